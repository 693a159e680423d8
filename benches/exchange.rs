//! The simulated exchange over loopback: an order's way to its acknowledgement, orders a second,
//! and market messages a second to several clients. Beside each the floor of plain sockets in the
//! same run: the same number of bytes there and back, or to as many readers, with nothing between.

#[path = "harness/mod.rs"]
mod harness;

use harness::{Bench, Race, machine};
use hdrhistogram::Histogram;
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::execution::Signer;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

/// Bytes of the acknowledgement of an order, headers included, within a few.
const ANSWER_BYTES: usize = 900;
/// Orders and cancels written at once.
const PIPELINED: usize = 20;
const READERS: usize = 4;
/// Frames a second asked of the market: more than can be made and sent.
const FLOOD: f64 = 2_000_000.0;

fn main() {
    let mut bench = Bench::start(
        "exchange: orders and market messages over loopback",
        &[
            "TLS and a network",
            "the client's signature: requests are signed before the time begins",
            "client and server share the machine's cores",
        ],
    );
    let server = across(|| ExchangeServer::start(settings(1_500.0)).expect("the exchange starts"));
    orders_one_by_one(&mut bench, &server);
    orders_pipelined(&mut bench, &server);
    server.stop();
    market_messages(&mut bench);
    bench.finish();
}

fn settings(rate: f64) -> ServerSettings {
    let mut settings = ServerSettings { rate, ..ServerSettings::default() };
    // The venue's own limits end a bench after 300 orders.
    settings.request_limits.weight_minute = u32::MAX;
    settings.request_limits.orders_ten_seconds = u32::MAX;
    settings.request_limits.orders_minute = u32::MAX;
    settings
}

/// Starts a server's thread on the last core and leaves its clients the first: where the system
/// moves them about, a wake-up costs three times as much in one run as in another.
fn across<T>(start: impl FnOnce() -> T) -> T {
    machine::pin(machine::last_core());
    let started = start();
    machine::pin(0);
    started
}

/// A client that knows the account, with one connection.
struct Client {
    stream: TcpStream,
    signer: Signer,
    api_key: String,
    px: String,
    number: u64,
    inbound: Vec<u8>,
}

impl Client {
    fn new(server: &ExchangeServer) -> Self {
        let addr = addr_of(&server.rest_url());
        let mut client = Self {
            stream: connect(addr),
            signer: Signer::new(server.api_secret().as_bytes()),
            api_key: server.api_key().to_owned(),
            px: String::new(),
            number: 0,
            inbound: Vec::new(),
        };
        // A price that rests: two percent below the best bid, on whole dollars.
        let text =
            client.call(b"GET /fapi/v1/depth?symbol=BTCUSDT&limit=5 HTTP/1.1\r\nhost: x\r\n\r\n");
        let body: serde_json::Value = serde_json::from_str(&text).expect("a JSON answer");
        let bid: f64 = body["bids"][0][0].as_str().expect("a price").parse().expect("a number");
        client.px = format!("{:.0}", bid * 0.98);
        client
    }

    fn signed(&self, method: &str, path: &str, query: &str) -> Vec<u8> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = now.expect("after 1970").as_millis();
        let query = format!("{query}&recvWindow=60000&timestamp={millis}");
        let signature = self.signer.sign(query.as_bytes());
        let signature = std::str::from_utf8(&signature).expect("hex");
        format!(
            "{method} {path}?{query}&signature={signature} HTTP/1.1\r\nhost: x\r\n\
             x-mbx-apikey: {}\r\n\r\n",
            self.api_key
        )
        .into_bytes()
    }

    fn place(&mut self) -> Vec<u8> {
        self.number += 1;
        let query = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price={}\
             &newClientOrderId=bench-{}",
            self.px, self.number
        );
        self.signed("POST", "/fapi/v1/order", &query)
    }

    fn cancel(&self) -> Vec<u8> {
        let query = format!("symbol=BTCUSDT&origClientOrderId=bench-{}", self.number);
        self.signed("DELETE", "/fapi/v1/order", &query)
    }

    fn call(&mut self, request: &[u8]) -> String {
        self.stream.write_all(request).expect("the exchange reads");
        self.answer()
    }

    /// The body of the next answer.
    fn answer(&mut self) -> String {
        loop {
            if let Some((head, length)) = framed(&self.inbound)
                && self.inbound.len() >= head + length
            {
                let body = String::from_utf8_lossy(&self.inbound[head..head + length]).into_owned();
                self.inbound.drain(..head + length);
                return body;
            }
            let mut chunk = [0; 16 << 10];
            let count = self.stream.read(&mut chunk).expect("the exchange answers");
            assert!(count > 0, "the exchange hung up");
            self.inbound.extend_from_slice(&chunk[..count]);
        }
    }
}

/// Length of the head and of the body of an answer whose head has come in.
fn framed(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).expect("an ASCII head").to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    Some((head, length.trim().parse().expect("a length")))
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("loopback connects");
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn addr_of(url: &str) -> SocketAddr {
    let (_, addr) = url.split_once("://").expect("a URL");
    addr.parse().expect("an address")
}

/// A thread that answers every `ask` bytes with `answer` bytes, on one connection at a time.
fn echo(ask: usize, answer: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback binds");
    let addr = listener.local_addr().expect("an address");
    across(|| std::thread::spawn(move || answer_all(&listener, ask, answer)));
    addr
}

fn answer_all(listener: &TcpListener, ask: usize, answer: usize) {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true).expect("no delay");
        let (mut inbound, outbound) = (vec![0; ask], vec![b'x'; answer]);
        while stream.read_exact(&mut inbound).is_ok() && stream.write_all(&outbound).is_ok() {}
    }
}

fn orders_one_by_one(bench: &mut Bench, server: &ExchangeServer) {
    let mut client = Client::new(server);
    let request = client.place();
    let checked = client.call(&request);
    assert!(checked.contains("\"status\":\"NEW\""), "an order is accepted: {checked}");
    let request = client.cancel();
    let checked = client.call(&request);
    assert!(checked.contains("\"status\":\"CANCELED\""), "and taken back: {checked}");
    let ask = client.place().len();
    let mut plain = connect(echo(ask, ANSWER_BYTES));
    let (outbound, mut inbound) = (vec![b'x'; ask], vec![0; ANSWER_BYTES]);
    let client = std::cell::RefCell::new((client, Vec::new(), String::new()));
    let mut race = Race::new("an order to its acknowledgement, one at a time", 1);
    race.add("plain socket echo", |_| {
        plain.write_all(&outbound).expect("the echo reads");
        plain.read_exact(&mut inbound).expect("the echo answers");
    });
    race.add_prepared(
        "exchange",
        |_| {
            let mut held = client.borrow_mut();
            let (client, request, answer) = &mut *held;
            // The order of the last turn is looked at and taken back outside the time.
            if !answer.is_empty() {
                assert!(answer.contains("\"status\":\"NEW\""), "{answer}");
                let cancel = client.cancel();
                client.call(&cancel);
            }
            *request = client.place();
        },
        |_| {
            let mut held = client.borrow_mut();
            let (client, request, answer) = &mut *held;
            *answer = client.call(request);
        },
    );
    let outcome = race.run(bench, 7, 1_000);
    let (mut client, _, _) = client.into_inner();
    let cancel = client.cancel();
    client.call(&cancel);
    for (name, label) in [("ack", "exchange"), ("echo", "plain socket echo")] {
        for (quantile, value) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            bench.figure(&format!("{name}_{quantile}_us"), outcome.nanos(label, value) / 1_000.0);
        }
    }
    bench.figure("ack_over_echo", outcome.ratio("exchange", "plain socket echo"));
}

fn orders_pipelined(bench: &mut Bench, server: &ExchangeServer) {
    let mut client = Client::new(server);
    client.number = 1_000_000;
    let rounds = bench.count(400, 10);
    let mut nanos: Histogram<u64> = harness::histogram();
    for round in 0..=rounds {
        let mut burst = Vec::new();
        for _ in 0..PIPELINED {
            burst.extend(client.place());
            burst.extend(client.cancel());
        }
        let start = bench.clock.stamp();
        client.stream.write_all(&burst).expect("the exchange reads");
        let answers: Vec<String> = (0..2 * PIPELINED).map(|_| client.answer()).collect();
        if round > 0 {
            nanos.saturating_record(bench.since(start) * 1_000);
        }
        let accepted = answers.iter().filter(|answer| answer.contains("\"status\":\"NEW\""));
        let taken_back = answers.iter().filter(|text| text.contains("\"status\":\"CANCELED\""));
        assert_eq!((accepted.count(), taken_back.count()), (PIPELINED, PIPELINED));
    }
    let each = harness::nanos_at(&nanos, 0.5) / PIPELINED as f64;
    println!();
    println!("{PIPELINED} orders and their cancels in one write: {:.0} orders/s", 1e9 / each);
    bench.figure("orders_per_second", 1e9 / each);
    let ask = client.place().len();
    let mut plain = connect(echo(ask, ANSWER_BYTES));
    let burst = vec![b'x'; ask * 2 * PIPELINED];
    let mut back = vec![0; ANSWER_BYTES * 2 * PIPELINED];
    let mut floor: Histogram<u64> = harness::histogram();
    for round in 0..=rounds {
        let start = bench.clock.stamp();
        plain.write_all(&burst).expect("the echo reads");
        plain.read_exact(&mut back).expect("the echo answers");
        if round > 0 {
            floor.saturating_record(bench.since(start) * 1_000);
        }
    }
    let least = harness::nanos_at(&floor, 0.5) / PIPELINED as f64;
    println!("the same bytes through a plain socket echo: {:.0} a second", 1e9 / least);
    bench.figure("orders_floor_per_second", 1e9 / least);
}

/// Messages a second that all readers together get while the market makes more than it can send.
fn market_messages(bench: &mut Bench) {
    let per_reader = bench.count(300_000, 3_000);
    let server = across(|| ExchangeServer::start(settings(FLOOD)).expect("the exchange starts"));
    let addr = addr_of(&server.ws_url());
    let streams = "btcusdt@bookTicker/ethusdt@bookTicker/btcusdt@trade/ethusdt@trade/\
                   btcusdt@depth@100ms/ethusdt@depth@100ms";
    let (count, bytes, seconds) = in_parallel(|| read_frames(addr, streams, per_reader));
    println!();
    let rate = count as f64 / seconds;
    println!(
        "{READERS} readers got {count} messages, {:.0} bytes each on average: {rate:.0} messages/s",
        bytes as f64 / count as f64
    );
    bench.figure("messages_per_second", rate);
    bench.figure("messages_cut_off", server.cut_off() as f64);
    server.stop();
    let share = bytes / READERS;
    let floor = TcpListener::bind("127.0.0.1:0").expect("loopback binds");
    let addr = floor.local_addr().expect("an address");
    let write = move || {
        let mut readers: Vec<TcpStream> =
            (0..READERS).filter_map(|_| floor.accept().ok()).map(|(stream, _)| stream).collect();
        let block = vec![b'x'; 32 << 10];
        let mut sent = 0;
        while sent < share {
            readers.iter_mut().for_each(|stream| stream.write_all(&block).unwrap_or_default());
            sent += block.len();
        }
    };
    let writer = across(|| std::thread::spawn(write));
    let (_, bytes, seconds) = in_parallel(|| {
        let mut stream = connect(addr);
        let mut block = vec![0; 64 << 10];
        let mut got = 0;
        while got < share {
            got += stream.read(&mut block).expect("the floor writes").max(1);
        }
        (0, got)
    });
    writer.join().expect("the writer only writes");
    let mean = bytes as f64 / (per_reader * READERS) as f64;
    let floor_rate = bytes as f64 / seconds / mean;
    println!("plain sockets carry the same bytes as {floor_rate:.0} messages/s");
    bench.figure("messages_floor_per_second", floor_rate);
}

/// Runs [`READERS`] readers at once: messages and bytes they got, and how long the slowest took.
fn in_parallel(read: impl Fn() -> (usize, usize) + Sync) -> (usize, usize, f64) {
    let start = Instant::now();
    let got: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(&read)).collect();
        readers.into_iter().map(|reader| reader.join().expect("a reader only reads")).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    (got.iter().map(|one| one.0).sum(), got.iter().map(|one| one.1).sum(), seconds)
}

/// Subscribes and reads `wanted` text frames; frames and their payload bytes. Every frame is looked
/// at: it is JSON of a stream asked for.
fn read_frames(addr: SocketAddr, streams: &str, wanted: usize) -> (usize, usize) {
    let url = format!("ws://{addr}/public/stream?streams={streams}");
    let (mut socket, _) = tungstenite::client(url, connect(addr)).expect("the handshake succeeds");
    let (mut count, mut bytes) = (0, 0);
    while count < wanted {
        if let tungstenite::Message::Text(text) = socket.read().expect("the exchange sends") {
            assert!(text.starts_with("{\"stream\":\"") && text.ends_with('}'), "{text}");
            count += 1;
            bytes += text.len();
        }
    }
    (count, bytes)
}
