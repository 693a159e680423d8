//! Faults of the network and of streams, each seen on the wire.

use crate::exchange_sim::{
    CLOSE, CONTINUATION, Frame, Http, PING, Sim, TEXT, Wire, handshake, resting, settings,
};
use peregrine::base::Nanos;
use peregrine::exchange::fault::kind::ROWS;
use peregrine::exchange::{Limits, ServerSettings};
use serde_json::{Value, json};
use std::io::ErrorKind;

const TICKER: &str = "/public/ws/btcusdt@bookTicker";
const DEPTH: &str = "/public/ws/btcusdt@depth@100ms";

/// Frames of `path` while a fault is on, and of the same connection without it.
fn both(fault: &str, path: &str, ms: i64) -> (Vec<Frame>, Vec<Frame>) {
    let frames = |faults: &str| {
        let mut sim = Sim::start(faults);
        let mut wire = sim.wire(path);
        sim.step(ms);
        wire.drain()
    };
    (frames(&format!("[[fault]]\n{fault}")), frames(""))
}

fn texts(frames: &[Frame]) -> Vec<Value> {
    frames.iter().filter(|frame| frame.opcode() == TEXT).map(Frame::json).collect()
}

#[test]
fn delayed_texts_leave_late_in_order_and_whole() {
    let mut sim = Sim::start("[[fault]]\nkind = 'delay'\nms = 150\njitter_ms = 100");
    let mut wire = sim.wire(TICKER);
    let mut sound = Sim::start("");
    let mut other = sound.wire(TICKER);
    sim.step(150);
    sound.step(1_000);
    assert!(wire.is_silent(), "nothing is less than 150 ms late");
    // The pong of a drain stands behind what is delayed: all of the first second by now.
    sim.step(850);
    sim.step(250);
    let late: Vec<Value> = (0..50).map(|_| wire.json()).collect();
    let prompt: Vec<Value> = (0..50).map(|_| other.json()).collect();
    assert_eq!(late, prompt);
}

#[test]
fn dropped_texts_are_missing_and_the_rest_is_untouched() {
    let (struck, sound) = both("kind = 'drop'\nprobability = 0.5", TICKER, 1_000);
    assert!(struck.len() < sound.len() && !struck.is_empty());
    let mut rest = sound.iter();
    assert!(struck.iter().all(|frame| rest.any(|other| other == frame)), "in order, unchanged");
}

#[test]
fn a_half_open_connection_neither_speaks_nor_answers_nor_ends() {
    let mut sim = Sim::start("[[fault]]\nkind = 'half_open'\ntarget = 'ws'\nat = 500");
    let mut wire = sim.wire(TICKER);
    sim.step(400);
    assert!(!wire.drain().is_empty());
    sim.step(200);
    while let Ok(frame) = wire.try_frame() {
        assert_eq!(frame.opcode(), TEXT);
    }
    wire.send(&json!({"method": "LIST_SUBSCRIPTIONS", "id": 1}).to_string());
    sim.step(5_000);
    assert!(wire.is_silent(), "nothing is sent, not even an answer, nor is the end");
}

#[test]
fn connects_are_refused_or_never_answered() {
    let mut sim = Sim::start(
        "[[fault]]\nkind = 'refuse_connect'\ntarget = 'ws'\nuntil = 1000\n\
         [[fault]]\nkind = 'hang_connect'\ntarget = 'ws'\nfrom = 1000\nuntil = 2000",
    );
    let refused = Wire::connect(&sim.server.ws_url(), TICKER).err().expect("a refusal");
    assert_eq!(refused.kind(), ErrorKind::ConnectionReset);
    assert_eq!(sim.http().request("GET", "/fapi/v1/ping", &[], "").unwrap().status, 200);
    sim.step(1_000);
    let mut hanging = Http::connect(&sim.server.ws_url());
    hanging.send(handshake(TICKER).as_bytes());
    sim.step(999);
    assert!(hanging.is_silent());
    sim.step(1);
    sim.wire(TICKER);
    assert!(hanging.is_silent(), "it is lost for good");
}

#[test]
fn a_reset_is_a_reset_and_a_close_has_its_code() {
    let mut sim = Sim::start("[[fault]]\nkind = 'reset'\ntarget = { connection = 1 }\nat = 100");
    let (mut first, mut second) = (sim.wire(TICKER), sim.wire(TICKER));
    sim.step(200);
    assert!(!first.until_end().2, "no orderly end");
    assert!(!second.drain().is_empty(), "others stay");
    for (code, told) in [(1_006, None), (1_012, Some([0x03, 0xF4])), (1_013, Some([0x03, 0xF5]))] {
        let mut sim = Sim::start(&format!("[[fault]]\nkind = 'close'\ncode = {code}\nat = 100"));
        let mut wire = sim.wire(TICKER);
        sim.step(200);
        let (frames, rest, in_order) = wire.until_end();
        let close = frames.iter().find(|frame| frame.opcode() == CLOSE);
        assert_eq!(close.map(|frame| frame.payload.clone()), told.map(|code| code.to_vec()));
        assert!(in_order && rest.is_empty(), "{code}");
    }
}

#[test]
fn a_connection_that_closes_in_the_middle_of_a_frame_leaves_half_of_it() {
    let mut sim = Sim::start("[[fault]]\nkind = 'close_mid_frame'\nfrom = 500\ncount = 1");
    let mut wire = sim.wire(TICKER);
    sim.step(2_000);
    let (frames, rest, in_order) = wire.until_end();
    assert!(in_order && frames.iter().all(|frame| frame.opcode() == TEXT));
    // A length of 126 to 65535 stands in two bytes of its own.
    assert_eq!(rest[1], 126);
    let (length, head) = (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4);
    assert!(rest.len() - head == length / 2 && rest.len() > head, "{rest:?}");
}

#[test]
fn a_fragmented_message_is_the_same_message_with_a_ping_inside() {
    let (struck, sound) = both("kind = 'fragment'\nbytes = 1\ncount = 3", TICKER, 300);
    assert!(struck.iter().any(|frame| frame.opcode() == PING), "between fragments");
    let mut whole: Vec<Vec<u8>> = Vec::new();
    for frame in struck.iter().filter(|frame| frame.opcode() != PING) {
        match frame.opcode() {
            TEXT => whole.push(frame.payload.clone()),
            CONTINUATION => whole.last_mut().unwrap().extend(&frame.payload),
            other => panic!("opcode {other}"),
        }
    }
    assert!(struck.iter().filter(|frame| !frame.is_final()).all(|frame| frame.payload.len() == 1));
    assert!(struck.iter().any(|frame| !frame.is_final()));
    let sound: Vec<Vec<u8>> = sound.into_iter().map(|frame| frame.payload).collect();
    assert_eq!(whole, sound);
    // The client library puts it together as well.
    let mut sim = Sim::start("[[fault]]\nkind = 'fragment'\nbytes = 7");
    let url = format!("{}{TICKER}", sim.server.ws_url());
    let stream = Http::connect(&sim.server.ws_url()).stream;
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    sim.step(300);
    loop {
        if let tungstenite::Message::Text(text) = socket.read().unwrap() {
            assert_eq!(text.as_bytes(), sound[0].as_slice());
            break;
        }
    }
}

#[test]
fn an_answer_sent_byte_by_byte_is_whole_and_one_that_trickles_takes_its_time() {
    let mut sim = Sim::start("[[fault]]\nkind = 'fragment'\ntarget = 'rest'\nuntil = 1000");
    let answer = sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap();
    assert_eq!(answer.json()["serverTime"], sim.now_ms);
    sim.sim(
        "POST",
        "/sim/faults",
        &json!({"kind": "trickle", "target": "rest", "bytes": 1, "every_ms": 10}),
    );
    sim.step(1_000);
    let mut http = sim.http();
    http.send(b"GET /fapi/v1/time HTTP/1.1\r\nHost: x\r\n\r\n");
    sim.step(500);
    // One byte at once and one every 10 ms: 51 of them, the status line and not much more.
    assert_eq!(http.so_far(), 51);
    sim.step(5_000);
    assert_eq!(http.answer().unwrap().status, 200);
}

#[test]
fn duplicated_and_reordered_texts_are_each_others_neighbours() {
    let (struck, sound) = both("kind = 'duplicate'\nfrom = 100\ncount = 1", TICKER, 1_000);
    assert_eq!(struck.len(), sound.len() + 1);
    let twice = struck.windows(2).position(|pair| pair[0] == pair[1]).expect("a text twice");
    let mut without = struck.clone();
    without.remove(twice);
    assert_eq!(without, sound);
    let (struck, sound) = both("kind = 'reorder'\nfrom = 100\ncount = 1", TICKER, 1_000);
    let first = (0..sound.len()).find(|i| struck[*i] != sound[*i]).expect("a change");
    let mut back = struck;
    back.swap(first, first + 1);
    assert_eq!(back, sound);
}

#[test]
fn a_gap_takes_diffs_out_so_that_ids_do_not_join() {
    let (struck, sound) = both("kind = 'gap'\nfrom = 300\nuntil = 600", DEPTH, 1_000);
    let joins = |frames: &[Frame]| -> Vec<bool> {
        texts(frames).windows(2).map(|pair| pair[0]["u"] == pair[1]["pu"]).collect()
    };
    assert!(joins(&sound).iter().all(|joined| *joined));
    assert_eq!(joins(&struck).iter().filter(|joined| !**joined).count(), 1);
    let (tickers, same) = both("kind = 'gap'", TICKER, 500);
    assert_eq!(tickers, same, "a gap is of depth diffs");
}

#[test]
fn a_stale_stream_is_silent_while_others_speak_and_pongs_come() {
    let script = "[[fault]]\nkind = 'stale'\ntarget = { stream = 'btcusdt@*' }\nfrom = 200";
    let mut sim = Sim::start(script);
    let path = "/public/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker";
    let mut wire = sim.wire(path);
    sim.step(200);
    let of = |texts: &[Value], name: &str| texts.iter().any(|text| text["stream"] == name);
    let before = wire.texts();
    assert!(of(&before, "btcusdt@bookTicker") && of(&before, "ethusdt@bookTicker"));
    sim.step(2_000);
    let after = wire.texts();
    assert!(!of(&after, "btcusdt@bookTicker") && of(&after, "ethusdt@bookTicker"));
}

#[test]
fn a_subscription_is_acknowledged_and_brings_no_data() {
    let script = "[[fault]]\nkind = 'ack_without_data'\ntarget = { connection = 1 }";
    let mut sim = Sim::start(script);
    let (mut wire, mut other) = (sim.wire("/public/ws"), sim.wire(TICKER));
    let request = json!({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1});
    assert_eq!(wire.ask(&request), json!({"result": null, "id": 1}));
    sim.step(2_000);
    assert!(wire.texts().is_empty() && !other.texts().is_empty());
}

#[test]
fn unsound_frames_are_as_unsound_as_asked_for() {
    let struck = |fault: &str| both(&format!("{fault}\ncount = 1"), TICKER, 200).0;
    let oversize = struck("kind = 'oversize_frame'\nbytes = 2000000");
    assert_eq!(oversize[0].payload.len(), 2_000_000);
    assert_eq!(oversize[0].json()["e"], "bookTicker");
    let broken = struck("kind = 'invalid_utf8'");
    assert!(std::str::from_utf8(&broken[0].payload).is_err() && broken[0].opcode() == TEXT);
    assert_eq!(struck("kind = 'bad_opcode'")[0].first, 0x83);
    assert_eq!(struck("kind = 'bad_opcode'\nopcode = 11")[0].first, 0x8B);
    assert_eq!(struck("kind = 'reserved_bits'")[0].first, 0xC1);
    assert!(struck("kind = 'masked_frame'")[0].masked);
    let flood = struck("kind = 'ping_flood'\npings = 500");
    assert_eq!(flood.iter().filter(|frame| frame.opcode() == PING).count(), 500);
}

#[test]
fn a_late_burst_holds_one_stream_back_and_brings_old_events_at_once() {
    let script = "[[fault]]\nkind = 'late_burst'\nms = 3000\ntarget = { stream = 'btcusdt@*' }\n\
                  until = 3000";
    let mut sim = Sim::start(script);
    let path = "/public/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker";
    let mut wire = sim.wire(path);
    sim.step(2_900);
    let early = wire.texts();
    assert!(!early.is_empty() && early.iter().all(|text| text["stream"] == "ethusdt@bookTicker"));
    sim.step(200);
    let late = wire.texts();
    let old: Vec<i64> = late
        .iter()
        .filter(|text| text["stream"] == "btcusdt@bookTicker")
        .map(|text| sim.now_ms - text["data"]["E"].as_i64().expect("a time"))
        .collect();
    assert!(old.len() > 20 && old[0] > 2_500, "{old:?}");
}

#[test]
fn garbled_texts_are_what_their_kind_says() {
    let first = |fault: &str| {
        let (struck, sound) = both(&format!("kind = '{fault}'\ncount = 1"), TICKER, 200);
        (struck[0].clone(), sound[0].json())
    };
    let (frame, _) = first("malformed_json");
    assert!(serde_json::from_slice::<Value>(&frame.payload).is_err());
    let (frame, sound) = first("unknown_event");
    assert_ne!(frame.json()["e"], sound["e"]);
    let (frame, sound) = first("unknown_field");
    let mut without = frame.json();
    without.as_object_mut().unwrap().shift_remove("zz").expect("a new field");
    assert_eq!(without, sound);
    assert!(first("missing_field").0.json().get("b").is_none());
    assert!(first("wrong_type").0.json()["b"].is_number());
    assert_eq!(first("wrong_symbol").0.json()["s"], "NOSUCHUSDT");
    assert!(first("huge_id").0.json()["u"].as_i64().is_none());
    assert_eq!(first("zero_price").0.json()["b"], "0");
    let (frame, sound) = first("negative_price");
    assert_eq!(frame.json()["b"], format!("-{}", sound["b"].as_str().unwrap()));
    let (frame, sound) = first("price_jump");
    let price = |value: &Value| value["b"].as_str().unwrap().parse::<f64>().unwrap();
    assert!((price(&frame.json()) / price(&sound) - 10.0).abs() < 1e-9);
}

#[test]
fn pings_stay_away_while_they_are_told_to_and_a_deaf_client_is_dropped() {
    let (ping_every, pong_within) = (Nanos::from_secs(1), Nanos::from_secs(5));
    let limits = Limits { ping_every, pong_within, ..Limits::default() };
    let faults = "[[fault]]\nkind = 'no_pings'\ntarget = { connection = 2 }\nuntil = 3000";
    let faults = peregrine::exchange::fault::script::parse(faults).unwrap();
    let mut sim = Sim::with(ServerSettings { limits, faults, ..settings() });
    let (mut pinged, mut spared) = (sim.wire("/public/ws"), sim.wire("/public/ws"));
    sim.step(2_500);
    let count = |wire: &mut Wire| wire.drain().iter().filter(|f| f.opcode() == PING).count();
    assert_eq!((count(&mut pinged), count(&mut spared)), (2, 0));
    sim.step(1_000);
    assert_eq!(count(&mut spared), 1, "pings are back");
    sim.step(2_000);
    let (frames, _, in_order) = pinged.until_end();
    let close = frames.iter().find(|frame| frame.opcode() == CLOSE).expect("a close frame");
    assert_eq!(&close.payload[..2], [0x03, 0xF0], "1008");
    assert!(in_order && close.payload.ends_with(b"Pong timeout"));
}

#[test]
fn an_outage_ends_every_connection_and_refuses_new_ones_until_it_is_over() {
    let mut sim = Sim::start("[[fault]]\nkind = 'outage'\nfrom = 1000\nuntil = 2000");
    let mut wire = sim.wire(TICKER);
    sim.rest_order("stays").unwrap();
    sim.step(1_500);
    assert!(!wire.until_end().2);
    assert!(sim.http().request("GET", "/fapi/v1/ping", &[], "").is_err());
    assert!(Wire::connect(&sim.server.ws_url(), TICKER).is_err());
    sim.step(500);
    let mut wire = sim.wire(TICKER);
    sim.step(500);
    assert!(!wire.texts().is_empty());
    let open = sim.signed("GET", "/fapi/v1/openOrders", "").unwrap().json();
    assert_eq!(open[0]["clientOrderId"], "stays", "orders outlive it");
}

#[test]
fn user_events_lag_and_come_twice_when_told_to() {
    let script = "
        [[fault]]
        kind = 'delay'
        ms = 400
        target = { route = 'private' }
        until = 1000
        [[fault]]
        kind = 'duplicate'
        target = { event = 'ORDER_TRADE_UPDATE' }
        from = 1000
    ";
    let mut sim = Sim::start(script);
    let mut user = sim.user_stream();
    sim.step(100);
    assert_eq!(sim.rest_order("late").unwrap().status, 200);
    sim.step(300);
    assert!(user.is_silent());
    sim.step(200);
    let event = user.json();
    assert_eq!((&event["e"], &event["o"]["c"]), (&json!("ORDER_TRADE_UPDATE"), &json!("late")));
    sim.step(500);
    sim.rest_order("twice").unwrap();
    let events = user.texts();
    assert!(events.len() == 2 && events[0] == events[1] && events[0]["o"]["c"] == "twice");
}

#[test]
fn a_fill_arrives_before_the_answer_when_the_answer_is_held_up() {
    let script = "
        [[fault]]
        kind = 'delay'
        ms = 300
        target = { method = 'POST', path = '/fapi/v1/order' }
    ";
    let mut sim = Sim::start(script);
    let mut user = sim.user_stream();
    sim.step(100);
    let mut http = sim.http();
    let target = sim.signed_target("/fapi/v1/order", &resting("held"));
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", sim.key());
    http.send(head.as_bytes());
    sim.step(100);
    assert_eq!(user.json()["o"]["c"], "held");
    assert!(http.is_silent());
    sim.step(300);
    assert_eq!(http.answer().unwrap().json()["clientOrderId"], "held");
}

#[test]
fn the_guide_explains_every_kind_and_every_number() {
    let guide = include_str!("../../docs/EXCHANGE.md");
    for row in ROWS {
        let name = format!("`{}`", row.name);
        let line = guide.lines().find(|l| l.starts_with('|') && l.contains(&name));
        let line = line.unwrap_or_else(|| panic!("{} is not explained", row.name));
        for key in row.numbers.iter().map(|number| number.key).chain(row.texts.iter().copied()) {
            let halting = ["halt", "settle"].contains(&row.name) || key == "symbol";
            assert!(halting || line.contains(&format!("`{key}`")), "{}.{key}", row.name);
        }
    }
}

/// A kind nobody has seen strike is a promise nobody has kept.
#[test]
fn every_kind_stands_in_a_test_that_sees_it() {
    let tests = [
        include_str!("exchange_faults_wire.rs"),
        include_str!("exchange_faults_api.rs"),
        include_str!("sim/watched.rs"),
    ];
    for row in ROWS {
        let seen = tests.iter().any(|text| {
            [format!("'{}'", row.name), format!("\"{}\"", row.name)]
                .iter()
                .any(|n| text.contains(n))
        });
        assert!(seen, "{}", row.name);
    }
}
