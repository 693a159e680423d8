//! Whole sessions with orders at a venue over real sockets: at the simulated exchange, and at a
//! small and exact one of this file. That one fills every order whole at its price, tells the
//! account's stream before it answers, loses an answer now and then, and keeps books of its own to
//! hold the journal against.

use crate::lanes::{count, is, read};
use crate::pipeline_support::{EAGER, assert_replays};
use crate::session_support::Session;
use peregrine::base::event::{Event, Kind, OrderReport};
use peregrine::base::units::{SCALE, parse_fixed};
use peregrine::base::{Money, Nanos, Px, Qty};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::execution::Signer;
use peregrine::runtime::session::SessionOutcome;
use peregrine::runtime::statement::{self, LEDGER_PATH};
use peregrine::venue::account::Credentials;
use peregrine::venue::rest::RestClient;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tiny_http::{Header, Method, Request, Response, Server};
use tungstenite::Message;

const KEY: &str = "key-of-the-account";
const SECRET: &str = "secret-of-the-account";
const DEPOSIT: i64 = 5_000 * SCALE;

/// The venue's books.
#[derive(Default)]
struct Books {
    cash: i64,
    fees: i64,
    funding: i64,
    trades: u64,
    held: BTreeMap<String, (i64, i64)>,
    orders: Vec<Value>,
    /// As lists of trades and of funding tell them.
    told: (Vec<Value>, Vec<Value>),
}

impl Books {
    /// Fills an order whole; the frames that tell it, and the answer.
    fn fill(&mut self, params: &BTreeMap<String, String>) -> (Vec<Value>, Value) {
        let number = |key: &str| parse_fixed(params[key].as_bytes()).unwrap();
        let (qty, px) = (number("quantity"), number("price"));
        let (symbol, id) = (&params["symbol"], &params["newClientOrderId"]);
        let sign = if params["side"] == "BUY" { 1 } else { -1 };
        let quote = i64::try_from(i128::from(qty) * i128::from(px) / i128::from(SCALE)).unwrap();
        let fee = quote / 2_000 + 1;
        self.trades += 1;
        self.cash -= sign * quote;
        self.fees += fee;
        let held = self.held.entry(symbol.clone()).or_default();
        held.0 += sign * qty;
        held.1 = px;
        self.orders.push(json!({
            "client_id": id, "order_id": self.trades, "symbol": symbol, "side": params["side"],
            "type": "LIMIT", "status": "FILLED", "px": px, "qty": qty, "filled": qty,
            "quote": quote, "fee": fee, "fills": []
        }));
        let update = |kind: &str, status: &str, done: i64, fee: i64| {
            json!({"e": "ORDER_TRADE_UPDATE", "E": millis(), "T": millis(), "o": {
                "s": symbol, "c": id, "S": params["side"], "o": "LIMIT", "f": "IOC",
                "q": Qty(qty).to_string(), "p": Px(px).to_string(), "x": kind, "X": status,
                "i": self.trades, "l": Qty(done).to_string(), "z": Qty(done).to_string(),
                "L": Px(px).to_string(), "N": "USDT", "n": Money(fee).to_string(),
                "T": millis(), "t": self.trades, "m": false, "R": params["reduceOnly"] == "true"
            }})
        };
        let fill = update("TRADE", "FILLED", qty, fee);
        self.told.0.push(json!({
            "symbol": symbol, "id": self.trades, "orderId": self.trades, "side": params["side"],
            "price": Px(px).to_string(), "qty": Qty(qty).to_string(), "maker": false,
            "commission": Money(fee).to_string(), "commissionAsset": "USDT", "time": millis()
        }));
        // The same fill comes again, as it does after a reconnect.
        let frames = vec![update("NEW", "NEW", 0, 0), fill.clone(), fill];
        let answer = json!({
            "clientOrderId": id, "orderId": self.trades, "status": "NEW", "executedQty": "0",
            "origQty": Qty(qty).to_string(), "updateTime": millis()
        });
        (frames, answer)
    }

    fn pay_funding(&mut self, symbol: &str, amount: i64) -> Value {
        self.funding += amount;
        self.told.1.push(json!({
            "symbol": symbol, "income": Money(amount).to_string(), "time": millis()
        }));
        json!({"e": "ACCOUNT_UPDATE", "E": millis(), "T": millis(), "a": {
            "m": "FUNDING_FEE", "S": symbol, "P": [],
            "B": [{"a": "USDT", "wb": "0", "cw": "0", "bc": Money(amount).to_string()}]
        }})
    }

    /// The trades of the symbol in a query, from the number in it on.
    fn trades(&self, query: &str) -> Value {
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let from = parameter("fromId").map_or(0, |text| text.parse::<u64>().unwrap());
        let is_wanted = |trade: &&Value| {
            Some(trade["symbol"].as_str().unwrap()) == parameter("symbol")
                && trade["id"].as_u64().unwrap() >= from
        };
        self.told.0.iter().filter(is_wanted).cloned().collect()
    }

    fn positions(&self) -> Value {
        let held = self.held.iter().filter(|(_, (qty, _))| *qty != 0);
        let row = |(symbol, (qty, px)): (&String, &(i64, i64))| {
            let (qty, px) = (Qty(*qty).to_string(), Px(*px).to_string());
            json!({"symbol": symbol, "positionAmt": qty, "entryPrice": px})
        };
        held.map(row).collect()
    }

    /// Its ledger, with `error` units too many in the fees.
    fn statement(&self, error: i64) -> Value {
        let positions: Vec<Value> = self
            .held
            .iter()
            .map(|(symbol, (qty, px))| {
                let cost = i128::from(*qty) * i128::from(*px) / i128::from(SCALE);
                json!({"symbol": symbol, "side": "BOTH", "qty": qty, "cost": cost as i64})
            })
            .collect();
        let cost: i64 = positions.iter().map(|held| held["cost"].as_i64().unwrap()).sum();
        let (realized, fees) = (self.cash + cost, self.fees + error);
        json!({"time": millis(), "unit": SCALE, "balanced": true, "accounts": [{
            "api_key": KEY, "deposit": DEPOSIT, "wallet": DEPOSIT + realized - fees + self.funding,
            "realized": realized, "fees": fees, "funding": self.funding,
            "positions": positions, "orders": self.orders
        }]})
    }
}

fn millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The venue: market data of the simulated exchange, an account of its own.
pub struct Venue {
    exchange: ExchangeServer,
    http: Arc<Server>,
    private_url: String,
    thread: Option<JoinHandle<()>>,
    /// Answers to be lost: every so many orders.
    books: Arc<Mutex<Books>>,
    /// To whoever is connected to the account's stream.
    pub frames: Sender<Value>,
}

impl Venue {
    pub fn start(error: i64) -> Self {
        let exchange = ExchangeServer::start(ServerSettings::default()).unwrap();
        let http = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let sockets = TcpListener::bind("127.0.0.1:0").unwrap();
        let private_url = format!("ws://{}/private", sockets.local_addr().unwrap());
        let (frames, frames_out) = channel();
        std::thread::spawn(move || tell(&sockets, &frames_out));
        let market = RestClient::new(&exchange.rest_url());
        let books = Arc::new(Mutex::new(Books::default()));
        let told = frames.clone();
        let (server, kept) = (Arc::clone(&http), Arc::clone(&books));
        let thread = std::thread::spawn(move || {
            for request in server.incoming_requests() {
                serve(request, &market, &mut kept.lock().unwrap(), &told, error);
            }
        });
        Self { exchange, http, private_url, thread: Some(thread), books, frames }
    }

    fn rest_url(&self) -> String {
        format!("http://{}", self.http.server_addr())
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.http.unblock();
        self.thread.take().map(JoinHandle::join);
    }
}

/// Gives what happens to whoever is connected, one after the other, and answers pings.
fn tell(sockets: &TcpListener, frames: &Receiver<Value>) {
    while let Ok((socket, _)) = sockets.accept() {
        // The handshake takes as long as it takes: only looks for pings are short.
        let Ok(mut socket) = tungstenite::accept(socket) else { continue };
        socket.get_ref().set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut is_open = true;
        while is_open {
            match frames.try_recv() {
                Ok(frame) => is_open = socket.send(Message::text(frame.to_string())).is_ok(),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => match socket.read() {
                    Err(tungstenite::Error::Io(error)) => {
                        is_open = matches!(error.kind(), WouldBlock | TimedOut);
                    }
                    read => is_open = read.is_ok(),
                },
            }
        }
    }
}

/// What this venue answers to anyone.
const OPEN: [&str; 6] = [
    "/fapi/v1/aggTrades",
    "/fapi/v1/exchangeInfo",
    INTEREST,
    "/fapi/v1/time",
    FUNDING,
    LEDGER_PATH,
];
const INTEREST: &str = "/fapi/v1/openInterest";
const FUNDING: &str = "/fapi/v1/fundingInfo";
/// It does not tell margins and modes, and its list of income holds funding alone.
const NO_ACCOUNT: [(&str, &str, &str); 3] = [
    ("watch", "account_every_s", "0"),
    ("watch", "modes_every_s", "0"),
    ("watch", "drop_copy_every_s", "0"),
];

fn serve(
    request: Request,
    market: &RestClient,
    books: &mut Books,
    frames: &Sender<Value>,
    error: i64,
) {
    let url = request.url().to_owned();
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let open = path.starts_with("/fapi/v1/depth") || OPEN.contains(&path);
    if !open {
        let key = |header: &&Header| header.field.equiv("X-MBX-APIKEY");
        let key = request.headers().iter().find(key).map(|header| header.value.as_str());
        assert_eq!(key, Some(KEY), "{path}");
        if path != "/fapi/v1/listenKey" {
            let (signed, signature) = query.split_once("&signature=").unwrap();
            let own = Signer::new(SECRET.as_bytes()).sign(signed.as_bytes());
            assert_eq!(signature.as_bytes(), &own[..], "{path}");
        }
    }
    let body = match (request.method(), path) {
        (Method::Post, "/fapi/v1/order") => {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let params = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            let (told, answer) = books.fill(&params);
            told.into_iter().for_each(|frame| frames.send(frame).unwrap());
            if books.trades.is_multiple_of(4) {
                let paid = books.pay_funding(&params["symbol"], -1_234_567);
                frames.send(paid).unwrap();
            }
            if books.trades % 5 == 3 {
                // Dropped without an answer of the venue: the server says 500 for it.
                return;
            }
            answer.to_string()
        }
        (Method::Delete, "/fapi/v1/allOpenOrders") => r#"{"code":200,"msg":"done"}"#.to_owned(),
        (Method::Get, "/fapi/v3/account") => {
            let wallet = Money(DEPOSIT).to_string();
            json!({"assets": [{"asset": "USDT", "walletBalance": wallet}], "positions": []})
                .to_string()
        }
        (Method::Get, "/fapi/v3/positionRisk") => books.positions().to_string(),
        (Method::Get, "/fapi/v1/openOrders" | "/fapi/v1/openAlgoOrders") => "[]".to_owned(),
        (Method::Get, "/fapi/v1/userTrades") => books.trades(query).to_string(),
        (Method::Get, "/fapi/v1/income") => Value::from(books.told.1.clone()).to_string(),
        (Method::Get, "/fapi/v1/positionSide/dual") => r#"{"dualSidePosition":false}"#.to_owned(),
        (Method::Post | Method::Put, "/fapi/v1/listenKey") => {
            r#"{"listenKey":"pqia91ma19a5s61cv6a81va65sdf19v8a65a1"}"#.to_owned()
        }
        (Method::Get, LEDGER_PATH) => books.statement(error).to_string(),
        _ => String::from_utf8(market.get(&url).unwrap_or_default()).unwrap(),
    };
    let _ = request.respond(Response::from_string(body));
}

/// One at this file's venue.
pub fn session_at(venue: &Venue) -> Session {
    let urls = [venue.rest_url(), venue.exchange.ws_url(), venue.private_url.clone()];
    let credentials = Credentials::new(KEY.to_owned(), SECRET.to_owned());
    Session::start_with(&urls, credentials, &[&EAGER[..], &NO_ACCOUNT].concat())
}

/// Lets a session trade until lane 0 holds so many fills, then ends it.
fn trade(session: Session, fills: usize) -> (SessionOutcome, TempDir) {
    session.wait(|told| count(told, Kind::OrderFilled) >= fills);
    session.end()
}

#[test]
fn the_journal_equals_the_venues_ledger_to_the_last_unit_though_answers_are_lost() {
    let venue = Venue::start(0);
    let (outcome, state) = trade(session_at(&venue), 30);
    assert_eq!(outcome.halt, None);
    assert_eq!(outcome.differences, Vec::<String>::new());
    assert_eq!(outcome.summary.ledger_equal, Some(true));
    let dir = state.path().join("journal/0000001-paper");
    let inputs = read(&dir, 0);
    let of = |kind| count(&inputs, kind);
    let fills: Vec<&OrderReport> =
        inputs.iter().filter(|event| is(Kind::OrderFilled)(event)).map(Event::body).collect();
    let trades = venue.books.lock().unwrap().trades;
    // The stream told every fill twice. Where an answer was lost and the venue was asked sooner,
    // its list of trades told it as well: without the order's price.
    for id in 1..=trades {
        let told = fills.iter().filter(|fill| fill.trade_id == id && fill.px != 0).count();
        assert_eq!(told, 2, "trade {id} of {trades}");
    }
    assert!(fills.iter().all(|fill| (1..=trades).contains(&fill.trade_id)));
    assert!(fills.len() >= 30 && of(Kind::FundingPayment) > 0);
    assert_replays(&dir);
    for file in std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for secret in [KEY, SECRET] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a credential", file.display());
        }
    }
}

#[test]
fn a_session_at_the_simulated_exchange_ends_with_equal_ledgers_and_replays() {
    let mut settings = ServerSettings::default();
    // Funding is part of what has to be equal, and eight hours are too long to wait for it.
    settings.symbols.iter_mut().for_each(|spec| spec.funding_every = Nanos::from_secs(1));
    // Every second would otherwise lie inside the window in which nothing is entered.
    let enters_near_funding = [EAGER[0], EAGER[1], ("watch", "funding_window_s", "0")];
    let (_exchange, session) = Session::at_exchange(settings, &enters_near_funding);
    session.wait(|told| {
        count(told, Kind::OrderFilled) >= 10 && count(told, Kind::FundingPayment) >= 2
    });
    let (outcome, state) = session.end();
    assert_eq!(outcome.halt, None);
    assert_eq!(outcome.differences, Vec::<String>::new());
    assert_eq!(outcome.summary.ledger_equal, Some(true));
    let dir = state.path().join("journal/0000001-paper");
    let inputs = read(&dir, 0);
    let of = |kind| count(&inputs, kind);
    assert!(of(Kind::OrderFilled) >= 10 && of(Kind::OrderAccepted) >= 10);
    assert!(of(Kind::FundingPayment) >= 2);
    assert_eq!((of(Kind::OrderUnknown), of(Kind::Malformed)), (0, 0));
    assert_replays(&dir);
}

#[test]
fn one_unit_of_difference_is_found_and_named() {
    let venue = Venue::start(1);
    let (outcome, _state) = trade(session_at(&venue), 4);
    assert_eq!(outcome.halt, None);
    assert_eq!(outcome.summary.ledger_equal, Some(false));
    let named = |what: &str| outcome.differences.iter().any(|line| line.starts_with(what));
    assert!(named("fees: ") && named("cash flow: "), "{:?}", outcome.differences);
    assert_eq!(outcome.differences.len(), 2, "{:?}", outcome.differences);
}

/// Every quantity of the venue's ledger, changed alone, and what is then said to differ.
const CHANGES: [(&str, &str); 12] = [
    ("/balanced", "balanced: "),
    ("/accounts/0/deposit", "wallet of its own sum: "),
    ("/accounts/0/wallet", "cash flow: "),
    ("/accounts/0/realized", "wallet of its own sum: "),
    ("/accounts/0/fees", "fees: "),
    ("/accounts/0/funding", "funding: "),
    ("/accounts/0/positions/0/qty", "position: "),
    ("/accounts/0/positions/0/cost", "cash flow: "),
    ("/accounts/0/positions/0/symbol", "position: "),
    ("/accounts/0/orders/0/filled", "filled: "),
    ("/accounts/0/orders/0/fee", "fees: "),
    ("/accounts/0/orders/0/client_id", "filled: "),
];

#[test]
fn every_quantity_of_the_ledgers_is_compared() {
    let venue = Venue::start(0);
    let (outcome, state) = trade(session_at(&venue), 5);
    assert_eq!(outcome.differences, Vec::<String>::new());
    let dir = state.path().join("journal/0000001-paper");
    let mut told = venue.books.lock().unwrap().statement(0);
    let open = |held: &Value| held["qty"] != 0;
    let positions = told["accounts"][0]["positions"].as_array_mut().unwrap();
    positions.sort_by_key(|held| !open(held));
    let differences =
        |told: &Value| statement::differences(&dir, told.to_string().as_bytes(), KEY).unwrap();
    assert_eq!(differences(&told), Vec::<String>::new());
    let flat = !open(&told["accounts"][0]["positions"][0]);
    for (pointer, named) in CHANGES {
        if flat && pointer.ends_with("symbol") {
            continue;
        }
        let mut changed = told.clone();
        let value = changed.pointer_mut(pointer).unwrap();
        *value = match &*value {
            Value::Bool(_) => json!(false),
            Value::String(text) => json!(format!("{text}0")),
            number => json!(number.as_i64().unwrap() + 1),
        };
        let found = differences(&changed);
        assert!(found.iter().any(|line| line.contains(named)), "{pointer}: {found:?}");
    }
    let orders = told["accounts"][0]["orders"].take();
    let (first, gone) = orders.as_array().unwrap().split_at(1);
    told["accounts"][0]["orders"] = first.into();
    let found = differences(&told);
    assert!(found.iter().any(|line| line.contains("filled: 0 at the venue")), "{found:?}");

    // An exchange that ran for long tells of its oldest orders what they came to.
    let sum = |part: &str| gone.iter().map(|order| order[part].as_i64().unwrap()).sum::<i64>();
    let (filled, fee) = (sum("filled"), sum("fee"));
    let (symbol, orders) = ("BTCUSDT", gone.len());
    for (by, named) in [((0, 0), ""), ((1, 0), "filled: "), ((0, 1), "fees: ")] {
        let (filled, fee) = (filled + by.0, fee + by.1);
        told["accounts"][0]["forgotten"] =
            json!([{"symbol": symbol, "orders": orders, "filled": filled, "fee": fee}]);
        let found = differences(&told);
        assert_eq!(found.is_empty(), named.is_empty(), "{found:?}");
        let named = format!("forgotten orders {named}");
        assert!(found.iter().all(|line| line.starts_with(&named)), "{found:?}");
    }
}
