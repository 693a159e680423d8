//! Hostile requests and frames: bounded, refused in the venue's words, nobody else's trouble.

use crate::exchange_sim::{CLOSE, Http, Sim, Wire, client_frame, find, handshake, settings};
use peregrine::base::Nanos;
use peregrine::exchange::server::http1::{Parser, Progress};
use peregrine::exchange::{Limits, ServerSettings, fault};
use proptest::prelude::*;
use serde_json::{Value, json};

const TIME: &[u8] = b"GET /fapi/v1/time HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_slow_request_stalls_nobody_and_is_answered_408_when_its_time_is_over() {
    let mut sim = Sim::start("");
    let mut slow: Vec<Http> = (0..200).map(|_| sim.http()).collect();
    for http in &mut slow {
        http.send(b"GET /fapi/v1/time HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    }
    let mut body = sim.http();
    body.send(b"POST /fapi/v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsym");
    for _ in 0..9 {
        slow.iter_mut().for_each(|http| http.send(b"z"));
        sim.step(1_000);
        assert_eq!(sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap().status, 200);
    }
    assert!(slow.iter_mut().all(Http::is_silent));
    sim.step(1_100);
    for http in slow.iter_mut().chain([&mut body]) {
        assert_eq!(http.answer().unwrap().status, 408);
        assert!(http.is_closed());
    }
    let mut idle = sim.http();
    assert_eq!(idle.request("GET", "/fapi/v1/time", &[], "").unwrap().status, 200);
    sim.step(59_000);
    assert_eq!(idle.request("GET", "/fapi/v1/time", &[], "").unwrap().status, 200);
    sim.step(61_000);
    assert!(idle.is_closed(), "idle for a minute");
}

/// Bytes of a request, and the status it is refused with.
#[test]
fn what_is_no_sound_request_is_refused_and_ends_its_connection() {
    let long = "a".repeat(20_000);
    let head = |text: &str| format!("{text}\r\n\r\n").into_bytes();
    let cases: Vec<(Vec<u8>, u16)> = vec![
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400),
        (head("GET"), 400),
        (head("GET  /x HTTP/1.1\r\nHost: x"), 400),
        (head("G(T /x HTTP/1.1\r\nHost: x"), 400),
        (head("GET x HTTP/1.1\r\nHost: x"), 400),
        (head("GET /x HTTP/1.1"), 400),
        (head("GET /x HTTP/1.1\r\nHost x"), 400),
        (head("GET /x HTTP/1.1\r\nHost: x\r\n folded: y"), 400),
        (head("GET /x HTTP/2.0\r\nHost: x"), 505),
        (head(&format!("GET /{long} HTTP/1.1\r\nHost: x")), 414),
        (head(&format!("GET /x HTTP/1.1\r\nHost: x\r\nA: {long}")), 431),
        (head(&format!("GET /x HTTP/1.1\r\nHost: x{}", "\r\nA: b".repeat(100))), 431),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577"), 413),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999"), 413),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1"), 400),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: +1"), 400),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2"), 400),
        (
            head("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"),
            400,
        ),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip"), 501),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nExpect: the-worst"), 417),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"), 400),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd"), 400),
        (head("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100001"), 413),
        (
            head(
                "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                 fffffffffffffffff",
            ),
            400,
        ),
        (
            head("GET /public/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade"),
            426,
        ),
        (
            head(
                "GET /nowhere HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
               Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ),
            404,
        ),
    ];
    let sim = Sim::start("");
    for (bytes, status) in cases {
        let mut http = sim.http();
        http.send(&bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let answer = http.answer().unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert_eq!(answer.status, status, "{shown:?}");
        assert!(answer.body.starts_with("<html>"), "{shown:?}: the gateway's page");
        assert!(http.is_closed(), "{shown:?}");
    }
    assert_eq!(sim.http().request("GET", "/fapi/v1/ping", &[], "").unwrap().body, "{}");
}

#[test]
fn methods_the_gateway_does_not_know_never_reach_the_exchange() {
    let sim = Sim::start("");
    let mut http = sim.http();
    for method in ["PATCH", "TRACE", "CONNECT", "BREW"] {
        assert_eq!(http.request(method, "/fapi/v1/time", &[], "").unwrap().status, 403, "{method}");
    }
    assert_eq!(http.request("OPTIONS", "/fapi/v1/order", &[], "").unwrap().status, 200);
    http.send(b"HEAD /fapi/v1/time HTTP/1.1\r\nHost: x\r\n\r\n");
    http.send(TIME);
    let mut text = Vec::new();
    while find(&text, b"serverTime").is_none() {
        let mut bytes = [0; 4_096];
        let count = std::io::Read::read(&mut http.stream, &mut bytes).unwrap();
        text.extend_from_slice(&bytes[..count]);
    }
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("content-length: 28\r\n").count(), 2, "both tell the length: {text}");
    assert_eq!(text.matches("serverTime").count(), 1, "one has the body");
}

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let sim = Sim::start("");
    let mut bytes = Vec::new();
    let symbols = ["BTCUSDT", "ETHUSDT", "NOPE"];
    for i in 0..60 {
        let (symbol, path) = (symbols[i % 3], "/fapi/v1/depth");
        if i % 2 == 0 {
            let line = format!("GET {path}?symbol={symbol}&limit=5 HTTP/1.1\r\nHost: x\r\n\r\n");
            bytes.extend(line.into_bytes());
        } else {
            let line =
                "POST /fapi/v1/time HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
            bytes.extend(format!("{line}3\r\nabc\r\n0\r\n\r\n").into_bytes());
        }
    }
    for size in [1, 7, 1_000, bytes.len()] {
        let mut http = sim.http();
        bytes.chunks(size).for_each(|part| http.send(part));
        for i in 0..60 {
            let answer = http.answer().unwrap();
            let wanted = match (i % 2, symbols[i % 3]) {
                (0, "NOPE") => 400,
                (0, _) => 200,
                _ => 404,
            };
            assert_eq!(answer.status, wanted, "{size}, {i}: {answer:?}");
        }
    }
}

#[test]
fn a_client_that_expects_to_be_told_to_go_on_is_told() {
    let sim = Sim::start("");
    let mut http = sim.http();
    http.send(b"POST /fapi/v1/listenKey HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n");
    http.send(b"Expect: 100-continue\r\n\r\n");
    assert_eq!(http.answer().unwrap().status, 100);
    http.send(b"ab");
    assert_eq!(http.answer().unwrap().status, 401);
    http.send(b"GET /fapi/v1/ping HTTP/1.0\r\n\r\n");
    assert!(http.answer().unwrap().head.contains("connection: close\r\n"));
    assert!(http.is_closed());
}

#[test]
fn unsound_frames_end_their_connection_with_the_standards_code() {
    let limits = Limits { message_bytes_max: 4_096, ..Limits::default() };
    let sim = Sim::with(ServerSettings { limits, ..settings() });
    let mut unmasked = vec![0x81, 2];
    unmasked.extend(b"{}");
    let huge = client_frame(0x81, &[b'a'; 5_000]);
    let mut parts = client_frame(0x01, &[b'a'; 3_000]);
    parts.extend(client_frame(0x80, &[b'a'; 3_000]));
    // A head that announces more than memory holds.
    let endless = vec![0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
    for (bytes, code) in [
        (unmasked, 1_002),
        (client_frame(0x83, b"x"), 1_002),
        (client_frame(0xC1, b"{}"), 1_002),
        (client_frame(0x80, b"x"), 1_002),
        (client_frame(0x09, b"x"), 1_002),
        (client_frame(0x89, &[0; 126]), 1_002),
        (client_frame(0x81, b"\xff\xfe"), 1_007),
        (huge, 1_009),
        (parts, 1_009),
        (endless, 1_009),
    ] {
        let mut wire = sim.wire("/public/ws");
        std::io::Write::write_all(&mut wire.stream, &bytes).unwrap();
        let (frames, _, in_order) = wire.until_end();
        let close = frames.iter().find(|frame| frame.opcode() == CLOSE);
        let close = close.unwrap_or_else(|| panic!("{code}: {bytes:?} {frames:?}"));
        assert_eq!(close.payload[..2], u16::to_be_bytes(code), "{bytes:?}");
        assert!(in_order);
    }
    let mut wire = sim.wire("/public/ws");
    std::io::Write::write_all(&mut wire.stream, &client_frame(0x88, &[0x03, 0xE8])).unwrap();
    let (frames, _, in_order) = wire.until_end();
    assert!(in_order && frames[0].opcode() == CLOSE, "an orderly close is answered");
}

#[test]
fn too_many_messages_end_the_connection_and_ten_a_second_do_not() {
    let mut sim = Sim::start("");
    let mut wire = sim.wire("/public/ws");
    let request = |id: u64| json!({"method": "LIST_SUBSCRIPTIONS", "id": id});
    for second in 0..3 {
        (0..10).for_each(|id| drop(wire.ask(&request(100 * second + id))));
        sim.step(1_100);
    }
    (0..11).for_each(|id| wire.send(&request(id).to_string()));
    let (frames, _, in_order) = wire.until_end();
    let close = frames.last().expect("a close frame");
    assert_eq!((close.opcode(), &close.payload[..2]), (CLOSE, &[0x03, 0xF0][..]), "1008");
    assert!(in_order);
    let mut api = sim.wire("/ws-fapi/v1");
    (0..20).for_each(|id| api.send(&json!({"id": id, "method": "ping"}).to_string()));
    (0..20).for_each(|id| assert_eq!(api.json()["id"], id));
}

#[test]
fn connections_end_at_their_age() {
    let limits = Limits { life_max: Nanos::from_secs(30), ..Limits::default() };
    let mut sim = Sim::with(ServerSettings { limits, ..settings() });
    let mut wire = sim.wire("/public/ws");
    sim.step(29_900);
    assert!(wire.drain().is_empty());
    sim.step(200);
    let (frames, _, in_order) = wire.until_end();
    assert!(in_order && frames[0].payload[..2] == [0x03, 0xE9], "1001");
}

#[test]
fn more_than_a_thousand_connections_are_served_and_the_bound_is_kept() {
    let limits = Limits { connections_max: 1_100, ..Limits::default() };
    let mut sim = Sim::with(ServerSettings { limits, ..settings() });
    let mut wires: Vec<Wire> =
        (0..1_050).map(|_| sim.wire("/market/ws/btcusdt@markPrice@1s")).collect();
    sim.step(1_000);
    for wire in &mut wires {
        assert_eq!(wire.json()["e"], "markPriceUpdate");
    }
    // The connection that steps is one of them.
    let mut others: Vec<Http> = (0..60).map(|_| sim.http()).collect();
    let state = sim.sim("GET", "/sim/state", &Value::Null);
    assert_eq!(state["clients"], 1_100);
    assert!(others.pop().unwrap().request("GET", "/fapi/v1/ping", &[], "").is_err());
    drop(wires);
    sim.step(1_000);
    assert_eq!(sim.http().request("GET", "/fapi/v1/ping", &[], "").unwrap().status, 200);
}

#[test]
fn requests_without_end_from_a_client_that_does_not_read_stall_nobody() {
    let mut generous = settings();
    generous.request_limits.weight_minute = u32::MAX;
    let sim = Sim::with(generous);
    let mut deaf = sim.http();
    deaf.stream.set_nonblocking(true).unwrap();
    let request = b"GET /fapi/v1/depth?symbol=BTCUSDT&limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut sent = 0;
    // Once neither side takes more the exchange has stopped reading it.
    while let Ok(count) = std::io::Write::write(&mut deaf.stream, request) {
        sent += count;
        assert!(sent < 1 << 30, "it reads for ever");
        if count < request.len() {
            break;
        }
    }
    assert_eq!(sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap().status, 200);
    assert_eq!(sim.server.cut_off(), 0);
}

#[test]
fn a_client_that_asks_a_lot_at_once_and_then_reads_gets_every_answer() {
    let mut generous = settings();
    generous.request_limits.weight_minute = u32::MAX;
    let sim = Sim::with(generous);
    let mut http = sim.http();
    let request = "GET /fapi/v1/depth?symbol=BTCUSDT&limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n";
    // All of it is read at once; the answers are many times what waits for a client at most.
    http.send(request.repeat(400).as_bytes());
    for i in 0..400 {
        let answer = http.answer().unwrap_or_else(|error| panic!("answer {i}: {error}"));
        assert!(answer.status == 200 && answer.body.len() > 20_000);
    }
    assert_eq!(sim.server.cut_off(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_break_the_request_parser(
        bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
        cut in 1_usize..300,
    ) {
        let limits = Limits { head_bytes_max: 512, body_bytes_max: 256, ..Limits::default() };
        let mut parser = Parser::default();
        for part in bytes.chunks(cut) {
            parser.feed(part);
            if let Progress::Refused(_) = parser.step(&limits) { break }
        }
    }

    #[test]
    fn requests_damaged_at_random_are_read_or_refused_and_never_overread(
        at in 0_usize..200, byte in any::<u8>(), cut in 1_usize..64, chunked in any::<bool>(),
    ) {
        let limits = Limits::default();
        let mut bytes = if chunked {
            b"POST /fapi/v1/order?a=b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
              4\r\nabcd\r\n2\r\nef\r\n0\r\nTrailer: y\r\n\r\n".to_vec()
        } else {
            b"POST /fapi/v1/order?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n\
              abcdef".to_vec()
        };
        let at = at % bytes.len();
        bytes[at] = byte;
        let mut parser = Parser::default();
        let mut whole = Vec::new();
        for part in bytes.chunks(cut) {
            parser.feed(part);
            loop {
                match parser.step(&limits) {
                    Progress::Whole(incoming) => whole.push(incoming),
                    Progress::Continue => {}
                    _ => break,
                }
            }
        }
        prop_assert!(whole.iter().all(|incoming| incoming.request.body.len() <= bytes.len()));
    }

    #[test]
    fn a_request_is_the_same_however_it_is_cut(
        cuts in proptest::collection::vec(1_usize..50, 1..20),
    ) {
        let bytes: &[u8] = b"PUT /a?b=%20 HTTP/1.1\r\nhost: x\r\nX-MBX-APIKEY: k\r\n\
            transfer-encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\n\r\n";
        let limits = Limits::default();
        let mut parser = Parser::default();
        let mut found = None;
        let (mut at, mut turn) = (0, 0);
        while at < bytes.len() {
            let end = (at + cuts[turn % cuts.len()]).min(bytes.len());
            parser.feed(&bytes[at..end]);
            (at, turn) = (end, turn + 1);
            if let Progress::Whole(incoming) = parser.step(&limits) { found = Some(incoming) }
        }
        let request = found.expect("it is whole").request;
        prop_assert_eq!(request.method, "PUT");
        prop_assert_eq!((request.path.as_str(), request.query.as_str()), ("/a", "b=%20"));
        prop_assert_eq!((request.body.as_slice(), request.api_key.as_str()), (&b"hello"[..], "k"));
    }

    #[test]
    fn random_texts_never_break_the_fault_script(text in "\\PC{0,200}") {
        let _ = fault::script::parse(&text);
        let _ = fault::script::parse(&format!("[[fault]]\nkind = 'delay'\n{text}"));
    }
}

#[test]
fn garbage_on_real_sockets_leaves_the_exchange_standing() {
    let sim = Sim::start("");
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..600 {
        let length = random() as usize % 200;
        let bytes: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        let mut http = sim.http();
        if round % 2 == 0 {
            http.send(handshake("/public/ws/btcusdt@bookTicker").as_bytes());
        }
        http.send(&bytes);
    }
    assert_eq!(sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap().status, 200);
    assert!(sim.server.is_running());
}
