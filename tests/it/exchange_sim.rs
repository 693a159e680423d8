//! An exchange on a stepped clock and raw clients of it, for tests that look at bytes.
//!
//! Nothing here waits for time to pass. That nothing came is known by asking for something that
//! comes later: a pong behind frames, the answer to a step on another connection.

use hmac::{Hmac, KeyInit, Mac};
use peregrine::base::Nanos;
use peregrine::exchange::fault::script;
use peregrine::exchange::{ClockMode, ExchangeServer, ServerSettings};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// 2026-01-01 00:00 UTC.
pub const OPENED_MS: i64 = 1_767_225_600_000;

/// An exchange whose time stands still, and a connection that steps it.
pub struct Sim {
    pub server: ExchangeServer,
    admin: Http,
    pub now_ms: i64,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// A connection that talks HTTP.
pub struct Http {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// A connection that talks WebSocket, frame by frame.
pub struct Wire {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    asked: u32,
}

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub masked: bool,
    pub payload: Vec<u8>,
}

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

pub fn settings() -> ServerSettings {
    let clock = ClockMode::Stepped { start: Nanos::from_millis(OPENED_MS) };
    ServerSettings { clock, ..ServerSettings::default() }
}

impl Sim {
    /// With a fault script.
    pub fn start(faults: &str) -> Self {
        let faults = script::parse(faults).expect("a sound script");
        Self::with(ServerSettings { faults, ..settings() })
    }

    pub fn with(settings: ServerSettings) -> Self {
        let server = ExchangeServer::start(settings).expect("free loopback ports");
        let admin = Http::connect(&server.rest_url());
        Self { server, admin, now_ms: OPENED_MS }
    }

    /// Lets time pass; every delivery has been handed to its socket when this returns.
    pub fn step(&mut self, ms: i64) {
        let said = self.sim("POST", "/sim/step", &json!({"ms": ms}));
        self.now_ms += ms;
        assert_eq!(said, json!({"time": self.now_ms}));
    }

    /// An admin request that succeeds.
    pub fn sim(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_sim(method, path, body);
        assert_eq!(answer.status, 200, "{method} {path} {body}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }

    pub fn try_sim(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.admin.request(method, path, &[], &body).expect("an admin answer")
    }

    pub fn http(&self) -> Http {
        Http::connect(&self.server.rest_url())
    }

    /// A stream connection.
    pub fn wire(&self, path: &str) -> Wire {
        Wire::connect(&self.server.ws_url(), path).expect("a handshake")
    }

    /// A signed request on a connection of its own.
    pub fn signed(&self, method: &str, path: &str, params: &str) -> std::io::Result<Answer> {
        self.signed_on(&mut self.http(), method, path, params)
    }

    pub fn signed_on(
        &self,
        http: &mut Http,
        method: &str,
        path: &str,
        params: &str,
    ) -> std::io::Result<Answer> {
        let (target, key) = (self.signed_target(path, params), self.key());
        http.request(method, &target, &[&key], "")
    }

    /// The header that names the account.
    pub fn key(&self) -> String {
        format!("X-MBX-APIKEY: {}", self.server.api_key())
    }

    pub fn signed_target(&self, path: &str, params: &str) -> String {
        let separator = if params.is_empty() { "" } else { "&" };
        let query = format!("{params}{separator}timestamp={}", self.now_ms);
        format!("{path}?{query}&signature={}", sign(self.server.api_secret(), &query))
    }

    /// A limit order that rests 2 % below the market: the answer.
    pub fn rest_order(&self, client_id: &str) -> std::io::Result<Answer> {
        self.signed("POST", "/fapi/v1/order", &resting(client_id))
    }

    /// A new key of the user stream.
    pub fn listen_key(&self) -> String {
        let answer = self.http().request("POST", "/fapi/v1/listenKey", &[&self.key()], "").unwrap();
        answer.json()["listenKey"].as_str().expect("a key").to_owned()
    }

    /// A connection that listens to the account.
    pub fn user_stream(&self) -> Wire {
        self.wire(&format!("/private/ws?listenKey={}", self.listen_key()))
    }

    /// What the ledger says of the only account.
    pub fn ledger(&mut self) -> Value {
        let ledger = self.sim("GET", "/sim/ledger", &Value::Null);
        assert_eq!(ledger["balanced"], true);
        ledger["accounts"][0].clone()
    }

    /// The ledger's entry of an order by its client's name.
    pub fn ledger_order(&mut self, client_id: &str) -> Option<Value> {
        let ledger = self.ledger();
        let orders = ledger["orders"].as_array().expect("orders");
        orders.iter().find(|order| order["client_id"] == client_id).cloned()
    }

    /// How often the only fault struck.
    pub fn hits(&mut self) -> u64 {
        self.sim("GET", "/sim/faults", &Value::Null)[0]["hits"].as_u64().expect("hits")
    }
}

/// Parameters of an order 2 % below the opening price of BTCUSDT.
pub fn resting(client_id: &str) -> String {
    format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=58800&\
         newClientOrderId={client_id}"
    )
}

pub fn sign(secret: &str, text: &str) -> String {
    let keyed = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    let digest = keyed.chain_update(text.as_bytes()).finalize().into_bytes();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    /// The venue's error number.
    pub fn code(&self) -> i64 {
        self.json()["code"].as_i64().expect("a code")
    }
}

impl Http {
    pub fn connect(url: &str) -> Self {
        let host = url.trim_start_matches("http://").trim_start_matches("ws://");
        let stream = TcpStream::connect(host).expect("the exchange listens");
        stream.set_nodelay(true).expect("a socket option");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the exchange reads");
    }

    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: &str,
    ) -> std::io::Result<Answer> {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: exchange\r\n");
        headers.iter().for_each(|header| text += &format!("{header}\r\n"));
        if !body.is_empty() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        self.stream.write_all(format!("{text}\r\n{body}").as_bytes())?;
        self.answer()
    }

    /// The next answer. An end of the connection before its end is an error.
    pub fn answer(&mut self) -> std::io::Result<Answer> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8(self.buffer[..end].to_vec()).expect("a head of ASCII");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |text| text.parse().expect("a length"));
        while self.buffer.len() < end + length {
            self.more()?;
        }
        let body = String::from_utf8(self.buffer[end..end + length].to_vec()).expect("text");
        self.buffer.drain(..end + length);
        Ok(Answer { status, head, body })
    }

    /// Bytes of the answer that have come.
    pub fn so_far(&mut self) -> usize {
        self.stream.set_nonblocking(true).expect("a socket option");
        while self.more().is_ok() {}
        self.stream.set_nonblocking(false).expect("a socket option");
        self.buffer.len()
    }

    /// True when the exchange ended the connection in order.
    pub fn is_closed(&mut self) -> bool {
        self.buffer.clear();
        loop {
            match self.more() {
                Ok(()) => self.buffer.clear(),
                Err(error) => return error.kind() == ErrorKind::UnexpectedEof,
            }
        }
    }

    /// True when nothing has come. Call it when the exchange is known to have been at it.
    pub fn is_silent(&mut self) -> bool {
        is_silent(&self.stream)
    }

    fn more(&mut self) -> std::io::Result<()> {
        more(&mut self.stream, &mut self.buffer)
    }
}

fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    let mut bytes = [0; 16 << 10];
    match stream.read(&mut bytes)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        count => {
            buffer.extend_from_slice(&bytes[..count]);
            Ok(())
        }
    }
}

fn is_silent(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket option");
    let mut byte = [0];
    let found = stream.peek(&mut byte);
    stream.set_nonblocking(false).expect("a socket option");
    found.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

impl Wire {
    /// Opens a WebSocket connection by hand.
    pub fn connect(url: &str, path: &str) -> std::io::Result<Self> {
        let mut http = Http::connect(url);
        http.send(handshake(path).as_bytes());
        let answer = http.answer()?;
        assert_eq!(answer.status, 101, "{path}: {answer:?}");
        Ok(Self { stream: http.stream, buffer: http.buffer, asked: 0 })
    }

    /// The next frame.
    pub fn frame(&mut self) -> std::io::Result<Frame> {
        loop {
            if let Some((frame, length)) = parse_frame(&self.buffer) {
                self.buffer.drain(..length);
                return Ok(frame);
            }
            more(&mut self.stream, &mut self.buffer)?;
        }
    }

    /// The next frame that has come; an error where none has.
    pub fn try_frame(&mut self) -> std::io::Result<Frame> {
        self.stream.set_nonblocking(true)?;
        let found = self.frame();
        self.stream.set_nonblocking(false)?;
        found
    }

    /// The next frame that is a text, as JSON.
    pub fn json(&mut self) -> Value {
        loop {
            let frame = self.frame().expect("a frame");
            if frame.opcode() == TEXT {
                return frame.json();
            }
        }
    }

    /// Everything that came so far: asks for a pong, which comes behind it.
    pub fn drain(&mut self) -> Vec<Frame> {
        self.try_drain().expect("the connection is open")
    }

    pub fn try_drain(&mut self) -> std::io::Result<Vec<Frame>> {
        self.asked += 1;
        let mark = format!("mark {}", self.asked);
        self.stream.write_all(&client_frame(0x89, mark.as_bytes()))?;
        let mut frames = Vec::new();
        loop {
            let frame = self.frame()?;
            if frame.opcode() == PONG && frame.payload == mark.as_bytes() {
                return Ok(frames);
            }
            frames.push(frame);
        }
    }

    /// The texts among what came so far, as JSON.
    pub fn texts(&mut self) -> Vec<Value> {
        let frames = self.drain();
        frames.iter().filter(|frame| frame.opcode() == TEXT).map(Frame::json).collect()
    }

    /// Everything up to the end of the connection; whether it ended in order.
    pub fn until_end(&mut self) -> (Vec<Frame>, Vec<u8>, bool) {
        let mut frames = Vec::new();
        let in_order = loop {
            match self.frame() {
                Ok(frame) => frames.push(frame),
                Err(error) => break error.kind() == ErrorKind::UnexpectedEof,
            }
        };
        (frames, std::mem::take(&mut self.buffer), in_order)
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(&client_frame(0x81, text.as_bytes())).expect("the exchange reads");
    }

    /// Sends a control message and takes the answer, reading over what comes before it.
    pub fn ask(&mut self, request: &Value) -> Value {
        self.send(&request.to_string());
        loop {
            let said = self.json();
            if said["id"] == request["id"] {
                return said;
            }
        }
    }

    pub fn is_silent(&self) -> bool {
        self.buffer.is_empty() && is_silent(&self.stream)
    }
}

impl Frame {
    pub const fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    pub const fn is_final(&self) -> bool {
        self.first & 0x80 != 0
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload)
            .unwrap_or_else(|_| panic!("no JSON: {:?}", String::from_utf8_lossy(&self.payload)))
    }
}

pub fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: exchange\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A whole masked frame; `first` holds flags and opcode.
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [1, 2, 3, 4];
    let mut out = vec![first];
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// A frame at the head of `bytes` and its length with the head.
fn parse_frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let masked = second & 0x80 != 0;
    let (length, mut at) = match second & 0x7F {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
        short => (usize::from(short), 2),
    };
    at += if masked { 4 } else { 0 };
    let payload = bytes.get(at..at + length)?.to_vec();
    Some((Frame { first, masked, payload }, at + length))
}
