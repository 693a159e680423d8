//! The exchange over real sockets, as clients meet it.

use peregrine::exchange::{ExchangeServer, ServerSettings, SymbolSpec};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

fn exchange() -> ExchangeServer {
    ExchangeServer::start(ServerSettings::default()).expect("free loopback ports")
}

/// A blocking client; the handshake needs no TLS on loopback.
fn connect(url: &str) -> Socket {
    let host = url.trim_start_matches("ws://").split('/').next().expect("a host");
    let stream = TcpStream::connect(host).expect("the exchange listens");
    let (socket, _) = tungstenite::client(url, MaybeTlsStream::Plain(stream)).expect("a handshake");
    socket
}

fn next_json(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.read().expect("a message") {
            return serde_json::from_str(text.as_str()).expect("JSON");
        }
    }
}

fn http_get(server: &ExchangeServer, path: &str) -> (u16, Value) {
    let url = server.rest_url();
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the exchange listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    let body = text.split_once("\r\n\r\n").expect("a body").1;
    let json = body.find('{').map(|start| &body[start..=body.rfind('}').expect("a brace")]);
    (status, serde_json::from_str(json.expect("a JSON body")).expect("JSON"))
}

#[test]
fn combined_and_raw_connections_carry_what_their_path_names() {
    let server = exchange();
    let path = "/public/stream?streams=btcusdt@bookTicker/ethusdt@depth@100ms";
    let mut combined = connect(&format!("{}{path}", server.ws_url()));
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 2 {
        let frame = next_json(&mut combined);
        seen.insert(frame["stream"].as_str().expect("a stream").to_owned());
        assert!(frame["data"]["E"].is_i64());
    }
    let names: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(names, ["btcusdt@bookTicker", "ethusdt@depth@100ms"]);
    let mut raw = connect(&format!("{}/ws/ethusdt@bookTicker", server.ws_url()));
    assert_eq!(next_json(&mut raw)["e"], "bookTicker");
    let mut market = connect(&format!("{}/market/ws/btcusdt@markPrice", server.ws_url()));
    assert_eq!(next_json(&mut market)["e"], "markPriceUpdate");
    server.stop();
}

#[test]
fn subscriptions_change_while_connected_and_echo_any_id() {
    let server = exchange();
    let mut socket = connect(&format!("{}/public/ws", server.ws_url()));
    let ask = |socket: &mut Socket, request: Value| {
        socket.send(Message::Text(request.to_string().into())).expect("a sent request");
    };
    let params = json!(["btcusdt@bookTicker", "btcusdt@aggTrade"]);
    ask(&mut socket, json!({"method": "SUBSCRIBE", "params": params, "id": "a-uuid"}));
    assert_eq!(next_json(&mut socket), json!({"result": null, "id": "a-uuid"}));
    for _ in 0..50 {
        // aggTrade belongs to /market: acknowledged above, silent here.
        assert_eq!(next_json(&mut socket)["e"], "bookTicker");
    }
    ask(&mut socket, json!({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 2}));
    while next_json(&mut socket) != json!({"result": null, "id": 2}) {}
    ask(&mut socket, json!({"method": "LIST_SUBSCRIPTIONS", "id": 3}));
    // What was acknowledged is listed, whether or not it ever speaks here.
    assert_eq!(next_json(&mut socket), json!({"result": ["btcusdt@aggTrade"], "id": 3}));
    ask(&mut socket, json!({"method": "NONSENSE", "id": 4}));
    assert_eq!(next_json(&mut socket)["error"]["code"], 2);
    server.stop();
}

#[test]
fn a_snapshot_over_rest_bridges_to_the_diffs_on_the_socket() {
    let server = exchange();
    let mut socket = connect(&format!("{}/public/ws/btcusdt@depth@100ms", server.ws_url()));
    let first = next_json(&mut socket);
    let (status, body) = http_get(&server, "/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    assert_eq!(status, 200);
    let id = body["lastUpdateId"].as_i64().expect("an id");
    assert!(first["U"].as_i64().expect("an id") <= id, "the snapshot is older than the stream");
    let mut diff = first;
    while diff["u"].as_i64().expect("an id") < id {
        diff = next_json(&mut socket);
    }
    let [lo, hi, prev] = ["U", "u", "pu"].map(|key| diff[key].as_i64().expect("an id"));
    assert!(lo <= id && id <= hi || prev == id, "U {lo} u {hi} pu {prev} miss {id}");
    assert_eq!(http_get(&server, "/fapi/v1/depth?symbol=NOPE").0, 400);
    server.stop();
}

#[test]
fn a_client_that_never_reads_is_cut_off_and_stalls_nobody() {
    let rate = 60_000.0;
    let symbols = SymbolSpec::default_pair().to_vec();
    let settings = ServerSettings { rate, symbols, ..ServerSettings::default() };
    let server = ExchangeServer::start(settings).expect("free loopback ports");
    let streams = ["bookTicker", "trade", "depth@100ms"];
    let list: Vec<String> = ["btcusdt", "ethusdt"]
        .iter()
        .flat_map(|symbol| streams.map(|stream| format!("{symbol}@{stream}")))
        .collect();
    let url = format!("{}/public/stream?streams={}", server.ws_url(), list.join("/"));
    let deaf = connect(&url);
    let mut listener = connect(&url);
    let mut last = 0;
    while server.cut_off() == 0 {
        let frame = next_json(&mut listener);
        if frame["stream"] == "btcusdt@depth@100ms" {
            let data = &frame["data"];
            assert!(last == 0 || data["pu"].as_i64() == Some(last), "the reader lost a diff");
            last = data["u"].as_i64().expect("an id");
        }
    }
    assert_eq!(server.cut_off(), 1);
    next_json(&mut listener);
    drop(deaf);
    server.stop();
}

#[test]
fn a_path_that_is_no_stream_path_is_refused_and_addresses_are_free_after_stop() {
    let server = exchange();
    let host = server.ws_url().trim_start_matches("ws://").to_owned();
    let stream = TcpStream::connect(&host).expect("the exchange listens");
    assert!(tungstenite::client(format!("ws://{host}/nowhere"), stream).is_err());
    let rest = server.rest_url().trim_start_matches("http://").to_owned();
    server.stop();
    let addrs = [rest, host].map(|addr| addr.parse().expect("an address"));
    let again = ServerSettings { rest_addr: addrs[0], ws_addr: addrs[1], ..Default::default() };
    ExchangeServer::start(again).expect("both addresses are free again").stop();
}

#[test]
fn a_taken_address_is_named_in_the_error() {
    let server = exchange();
    let taken = server.rest_url().trim_start_matches("http://").parse().expect("an address");
    let settings = ServerSettings { rest_addr: taken, ..ServerSettings::default() };
    let error = ExchangeServer::start(settings).expect_err("the address is taken");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    server.stop();
}

#[test]
fn a_ping_is_answered_on_a_connection_that_has_nothing_else_to_send() {
    let server = exchange();
    let mut socket = connect(&format!("{}/market/ws", server.ws_url()));
    for payload in ["first", "second", "third"] {
        socket.send(Message::Ping(payload.as_bytes().to_vec().into())).expect("a sent ping");
        // Nothing is subscribed: the pong is all there is to read.
        let answer = socket.read().expect("a message");
        assert_eq!(answer, Message::Pong(payload.as_bytes().to_vec().into()));
    }
    server.stop();
}
