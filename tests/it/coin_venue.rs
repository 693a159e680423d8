//! A market in COIN-M's form: what the simulated exchange tells, with contracts for quantities, and
//! a venue that serves it under COIN-M's paths.

use peregrine::base::Nanos;
use peregrine::exchange::{ExchangeServer, SymbolSpec, SyntheticMarket};
use peregrine::venue::rest::RestClient;
use serde_json::{Map, Value, json};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tiny_http::{Response, Server};
use tungstenite::{Message, WebSocket};

/// The contract, and the linear one whose market it is.
pub const COIN: &str = "BTCUSD_PERP";
const LINEAR: &str = "BTCUSDT";
/// Dollars of a contract.
const CONTRACT_SIZE: f64 = 100.0;

/// An amount of the coin as a number of contracts, at least one where there was something.
fn contracts_of(px: &Value, qty: &Value) -> Value {
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let dollars = number(px) * number(qty);
    json!(format!("{}", (dollars / CONTRACT_SIZE).ceil()))
}

fn levels(list: &Value) -> Value {
    let level = |level: &Value| json!([level[0], contracts_of(&level[0], &level[1])]);
    list.as_array().unwrap().iter().map(level).collect()
}

/// A payload of the linear contract in COIN-M's form: `ps` behind the symbol, whole contracts.
fn payload(linear: &Map<String, Value>) -> Value {
    let kind = linear["e"].as_str().unwrap_or_default();
    let mut inverse = Map::new();
    for (key, value) in linear {
        let value = match (kind, key.as_str()) {
            (_, "s") => json!(COIN),
            ("bookTicker", "B") => contracts_of(&linear["b"], value),
            ("bookTicker", "A") => contracts_of(&linear["a"], value),
            ("aggTrade" | "trade", "q") => contracts_of(&linear["p"], value),
            ("depthUpdate", "b" | "a") => levels(value),
            ("forceOrder", "o") => {
                let mut order = value.as_object().unwrap().clone();
                for key in ["q", "l", "z"] {
                    order[key] = contracts_of(&value["p"], &value[key]);
                }
                order["s"] = json!(COIN);
                order.insert("ps".to_owned(), json!("BTCUSD"));
                Value::Object(order)
            }
            _ => value.clone(),
        };
        inverse.insert(key.clone(), value);
        if key == "s" && matches!(kind, "bookTicker" | "depthUpdate") {
            inverse.insert("ps".to_owned(), json!("BTCUSD"));
        }
    }
    Value::Object(inverse)
}

/// A combined frame in COIN-M's form.
pub fn frame(linear: &[u8]) -> String {
    let mut frame: Value = serde_json::from_slice(linear).unwrap();
    let stream = frame["stream"].as_str().unwrap().replace("btcusdt", "btcusd_perp");
    frame["stream"] = json!(stream);
    frame["data"] = payload(frame["data"].as_object().unwrap());
    frame.to_string()
}

/// A body of the REST side in COIN-M's form.
fn body(path: &str, linear: &[u8]) -> String {
    let linear: Value = serde_json::from_slice(linear).unwrap();
    let Some(members) = linear.as_object() else { return trades(&linear).to_string() };
    let mut inverse = Map::new();
    for (key, value) in members {
        let value = match key.as_str() {
            "symbol" => json!(COIN),
            "bids" | "asks" => levels(value),
            "symbols" => json!([contract(value)]),
            _ => value.clone(),
        };
        inverse.insert(key.clone(), value);
        if key == "lastUpdateId" {
            inverse.insert("symbol".to_owned(), json!(COIN));
        }
        if matches!(key.as_str(), "lastUpdateId" | "symbol") {
            inverse.insert("pair".to_owned(), json!("BTCUSD"));
        }
    }
    if path.contains("openInterest") {
        inverse.insert("contractType".to_owned(), json!("PERPETUAL"));
    }
    Value::Object(inverse).to_string()
}

/// A list of trades, which name no symbol.
fn trades(linear: &Value) -> Value {
    let mut list = linear.clone();
    for trade in list.as_array_mut().unwrap() {
        trade["q"] = contracts_of(&trade["p"], &trade["q"]);
    }
    list
}

/// The contract in a list of contracts, made of the linear one's entry.
fn contract(linear: &Value) -> Value {
    let is_ours = |entry: &&Value| entry["symbol"] == LINEAR;
    let mut entry = linear.as_array().unwrap().iter().find(is_ours).unwrap().clone();
    for filter in entry["filters"].as_array_mut().unwrap() {
        if filter["filterType"] == "LOT_SIZE" {
            filter["stepSize"] = json!("1");
            filter["minQty"] = json!("1");
            filter["maxQty"] = json!("1000000");
        }
    }
    let told = [("symbol", json!(COIN)), ("pair", json!("BTCUSD")), ("contractSize", json!(100))];
    told.into_iter().for_each(|(key, value)| entry[key] = value);
    entry
}

/// `frames` frames of a synthetic market as a recording's lines, with a snapshot on the way.
pub fn recording(seed: u64, frames: usize) -> String {
    let start = Nanos(1_750_000_000_000_000_000);
    let specs = [SymbolSpec::by_symbol(LINEAR).unwrap()];
    let mut market = SyntheticMarket::new(seed, &specs, start);
    let mut lines = String::new();
    for n in 0..frames {
        let told = market.step();
        let ts = told.ts;
        lines.push_str(&format!("{} {}\n", ts.0, frame(told.frame)));
        if n == frames / 10 {
            let mut snapshot = Vec::new();
            assert!(market.snapshot(LINEAR, &mut snapshot));
            lines.push_str(&format!("{} {}\n", ts.0, body("depth", &snapshot)));
        }
    }
    lines
}

/// A venue that speaks COIN-M: the simulated exchange behind two translators.
pub struct CoinVenue {
    exchange: Option<ExchangeServer>,
    rest: Arc<Server>,
    sockets: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl CoinVenue {
    pub fn start(exchange: ExchangeServer) -> Self {
        let rest = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (serving, seen) = (Arc::clone(&rest), Arc::clone(&asked));
        let client = RestClient::new(&exchange.rest_url());
        let answering = std::thread::spawn(move || answer(&serving, &client, &seen));
        let upstream = exchange.ws_url();
        let streaming = std::thread::spawn(move || stream(&listener, &upstream));
        let threads = vec![answering, streaming];
        Self { exchange: Some(exchange), rest, sockets, asked, threads }
    }

    pub fn rest_url(&self) -> String {
        format!("http://{}", self.rest.server_addr().to_ip().unwrap())
    }

    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.sockets)
    }

    /// Paths asked for so far, without their queries.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub fn stop(mut self) {
        self.exchange.take().unwrap().stop();
        self.rest.unblock();
        // A connection that says nothing ends the one that accepts.
        drop(TcpStream::connect(self.sockets).unwrap());
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

/// Answers under COIN-M's paths, and under no other.
fn answer(server: &Server, client: &RestClient, asked: &Mutex<Vec<String>>) {
    for request in server.incoming_requests() {
        let url = request.url().to_owned();
        asked.lock().unwrap().push(url.split('?').next().unwrap_or_default().to_owned());
        let linear = url.strip_prefix("/dapi/").map(|rest| format!("/fapi/{rest}"));
        let told = linear.and_then(|url| client.get(&url.replace(COIN, LINEAR)).ok());
        let _ = match told {
            Some(told) => request.respond(Response::from_string(body(&url, &told))),
            None => request.respond(Response::empty(404)),
        };
    }
}

/// Accepts connections until one is no WebSocket; each has a thread that passes frames on.
fn stream(listener: &TcpListener, upstream: &str) {
    let mut passing = Vec::new();
    loop {
        let (socket, _) = listener.accept().unwrap();
        let mut head = [0; 1_024];
        let len = socket.peek(&mut head).unwrap_or(0);
        let head = String::from_utf8_lossy(&head[..len]).into_owned();
        let Some(wanted) = head.split(' ').nth(1) else { break };
        let Ok(client) = tungstenite::accept(socket) else { continue };
        let url = format!("{upstream}{}", wanted.replace("btcusd_perp", "btcusdt"));
        passing.push(std::thread::spawn(move || pass(client, &url)));
    }
    passing.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Passes frames on until either side is gone.
fn pass(mut client: WebSocket<TcpStream>, url: &str) {
    let address = url.trim_start_matches("ws://").split('/').next().unwrap();
    let Ok(socket) = TcpStream::connect(address) else { return };
    let Ok((mut exchange, _)) = tungstenite::client(url, socket) else { return };
    client.get_mut().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    while let Ok(told) = exchange.read() {
        let sent = match told {
            Message::Text(text) => client.send(Message::Text(frame(text.as_bytes()).into())),
            _ => Ok(()),
        };
        // Looks for pings, which reading answers.
        let heard = client.read();
        let is_quiet = match &heard {
            Err(tungstenite::Error::Io(error)) => {
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            }
            _ => false,
        };
        if sent.is_err() || !(heard.is_ok() || is_quiet) {
            return;
        }
    }
}
