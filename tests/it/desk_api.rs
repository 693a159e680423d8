//! Order entry over the trading WebSocket API of the simulated exchange, over real sockets, and a
//! whole session that trades so.

use crate::exchange_sim::{OPENED_MS, Sim, settings, sign};
use crate::lanes::{count, read};
use crate::pipeline_support::{EAGER, assert_replays, config_text};
use crate::session_support::{Session, urls};
use mio::Poll;
use peregrine::base::event::{Event, Kind, Order, OrderReport, VenueStatus};
use peregrine::base::hop::Stamp;
use peregrine::base::{ClientOrderId, InstrumentId, Money, Nanos, Reason};
use peregrine::exchange::account::{AccountSettings, Credential};
use peregrine::exchange::fault::script;
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::execution::RequestText;
use peregrine::runtime::patience::Patience;
use peregrine::runtime::statement::LEDGER_PATH;
use peregrine::runtime::{access, config};
use peregrine::venue::account::Credentials;
use peregrine::venue::budget::{Budget, RateLimits};
use peregrine::venue::desk::{ApiEntry, ApiPlan, OrderDesk};
use peregrine::venue::ports::Now;
use peregrine::venue::rest::RestClient;
use peregrine::venue::stream::{Dialer, Stream, StreamAddress};
use peregrine::venue::transport::tls_config;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Polls of the desk before a test gives up.
const POLLS_MAX: u32 = 2_000_000;
const AGE: Duration = Duration::from_secs(20);
/// Secret key of the first example of RFC 8032, section 7.1, in the form of RFC 8410, and its
/// public key.
const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
const PUBLIC: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];
const SECRET: &str = "secret of the account";

struct Bench {
    sim: Sim,
    desk: OrderDesk<ApiEntry<Stream>>,
    /// The key, where requests are signed one by one.
    signs: Option<String>,
    /// How far the desk's clock is ahead of the system's.
    ahead: Duration,
}

fn hmac_key() -> String {
    "K".repeat(64)
}

fn ed25519_key() -> String {
    "Q".repeat(64)
}

fn exchange(faults: &str) -> ServerSettings {
    let keys = vec![
        (hmac_key(), Credential::Hmac(SECRET.to_owned())),
        (ed25519_key(), Credential::Ed25519(PUBLIC)),
    ];
    let accounts = vec![AccountSettings { keys, deposit: Money::whole(10_000), leverage: 20 }];
    let faults = script::parse(faults).unwrap();
    ServerSettings { accounts, faults, ..settings() }
}

impl Bench {
    fn start(faults: &str, key: &str, secret: &str) -> Self {
        let sim = Sim::with(exchange(faults));
        let credentials = Credentials::new(key.to_owned(), secret.to_owned()).unwrap();
        let signs = (!credentials.signer().can_log_on()).then(|| key.to_owned());
        let registry = Poll::new().unwrap().registry().try_clone().unwrap();
        let dialer = Dialer::new(tls_config().unwrap(), registry).unwrap();
        let url = format!("{}/ws-fapi/v1", sim.server.ws_url());
        let ends = [1, 2].map(|seed| {
            let address = StreamAddress::parse(&url).unwrap();
            Stream::new(address, &dialer, mio::Token(3), Duration::MAX, seed).unwrap().quiet()
        });
        let plan = ApiPlan { age_max: AGE, wall: || Nanos::from_millis(OPENED_MS), seed: 1 };
        let entry = ApiEntry::new(ends, credentials, plan);
        let mut desk = OrderDesk::new(entry, Arc::new(Budget::new(RateLimits::default())));
        desk.open();
        Self { sim, desk, signs, ahead: Duration::ZERO }
    }

    fn now(&self) -> Now {
        let wall = Nanos::from_millis(self.sim.now_ms);
        Now { mono: Instant::now() + self.ahead, wall }
    }

    fn turn(&mut self) {
        let now = self.now();
        self.desk.poll(now, &mut |_, _| {});
    }

    fn until(&mut self, mut is_so: impl FnMut(&Self) -> bool) {
        for _ in 0..POLLS_MAX {
            if is_so(self) {
                return;
            }
            self.turn();
        }
        panic!("it does not come to it");
    }

    /// The parameters as execution writes them, by name in alphabetical order.
    fn text(&self, mut params: Vec<(&str, String)>) -> RequestText {
        params.push(("recvWindow", "5000".to_owned()));
        params.push(("timestamp", self.sim.now_ms.to_string()));
        if let Some(key) = &self.signs {
            params.push(("apiKey", key.clone()));
            params.sort();
            let pairs: Vec<String> = params.iter().map(|(k, v)| format!("{k}={v}")).collect();
            params.push(("signature", sign(SECRET, &pairs.join("&"))));
        }
        let members: serde_json::Map<_, _> =
            params.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        RequestText::new(json!(members).to_string().as_bytes())
    }

    fn ask(&mut self, counter: u32, params: &[(&'static str, &str)]) -> ClientOrderId {
        let id = ClientOrderId::pack(1, 1, 1, counter);
        let mut all = vec![("symbol", "BTCUSDT".to_owned()), ("side", "BUY".to_owned())];
        all.extend([("quantity", "0.010".to_owned()), ("newOrderRespType", "ACK".to_owned())]);
        all.extend([("newClientOrderId", id.to_string())]);
        all.extend(params.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let text = self.text(all);
        self.submit(Kind::OrderApproved, id, &text);
        id
    }

    /// An order 2 % below the market.
    fn rest(&mut self, counter: u32) -> ClientOrderId {
        self.ask(counter, &[("type", "LIMIT"), ("timeInForce", "GTC"), ("price", "58800")])
    }

    fn cancel(&mut self, id: ClientOrderId) {
        let name = ("origClientOrderId", id.to_string());
        let text = self.text(vec![("symbol", "BTCUSDT".to_owned()), name]);
        self.submit(Kind::CancelApproved, id, &text);
    }

    fn submit(&mut self, kind: Kind, id: ClientOrderId, text: &RequestText) {
        let body = Order {
            client_id: id.0,
            qty: 1_000_000,
            order_type: 1,
            time_in_force: 1,
            purpose: 1,
            ..Order::default()
        };
        let order = Event::new(kind, InstrumentId(0), &body);
        let now = self.now();
        self.desk.submit(&order, text, now, Stamp(0));
    }

    fn next(&mut self) -> Event {
        for _ in 0..POLLS_MAX {
            if let Some(event) = self.desk.next_report() {
                return event;
            }
            self.turn();
        }
        panic!("nothing came");
    }

    fn expect(&mut self, kind: Kind, id: ClientOrderId) {
        let report = self.next();
        assert_eq!(report.kind(), Some(kind), "{report:?}");
        assert_eq!(report.body::<OrderReport>().client_id, id.0);
    }

    fn status(&mut self, id: ClientOrderId) -> String {
        let order = self.sim.ledger_order(&id.to_string()).expect("the exchange has it");
        order["status"].as_str().unwrap().to_owned()
    }

    fn is_up(&self) -> bool {
        use peregrine::venue::ports::EntryPort as _;
        self.desk.entry().is_up()
    }
}

#[test]
fn either_kind_of_key_places_fills_and_cancels_over_the_trading_api() {
    for (key, secret) in [(hmac_key(), SECRET), (ed25519_key(), ED25519)] {
        let mut bench = Bench::start("", &key, secret);
        bench.until(Bench::is_up);
        let filled = bench.ask(1, &[("type", "MARKET")]);
        bench.expect(Kind::OrderAccepted, filled);
        let resting = bench.rest(2);
        bench.expect(Kind::OrderAccepted, resting);
        bench.cancel(resting);
        bench.expect(Kind::OrderCancelled, resting);
        assert_eq!((&*bench.status(filled), &*bench.status(resting)), ("FILLED", "CANCELED"));
        let refused = bench.rest(2);
        bench.expect(Kind::OrderAccepted, refused);
        let twice = bench.rest(2);
        bench.expect(Kind::OrderUnknown, twice);
    }
}

#[test]
fn fault_r02_a_cut_or_garbled_trading_api_leaves_one_order_unknown_and_comes_back() {
    for kind in ["close_after_accept", "empty_body", "truncated_json"] {
        let fault =
            format!("[[fault]]\nkind = \"{kind}\"\ntarget = {{ method = \"order.place\" }}\n");
        let mut bench = Bench::start(&fault, &ed25519_key(), ED25519);
        bench.until(Bench::is_up);
        let id = bench.rest(1);
        bench.expect(Kind::OrderUnknown, id);
        assert_eq!(bench.status(id), "NEW", "{kind}: it lives at the exchange");
        bench.until(Bench::is_up);
        bench.cancel(id);
        bench.expect(Kind::OrderCancelled, id);
        let orders = bench.sim.ledger()["orders"].as_array().unwrap().len();
        assert_eq!(orders, 1, "{kind}: never sent twice");
    }
}

#[test]
fn a_key_that_the_venue_does_not_know_is_told_and_nothing_leaves() {
    let mut bench = Bench::start("", &"X".repeat(64), ED25519);
    let told = bench.next();
    assert_eq!(told.kind(), Some(Kind::VenueStatus));
    assert_eq!(told.body::<VenueStatus>().reason, Reason::CredentialsRefused as u16);
    let id = bench.rest(1);
    bench.ahead += Duration::from_secs(2);
    let report = loop {
        let event = bench.next();
        if event.kind() == Some(Kind::OrderRejected) {
            break event;
        }
    };
    assert_eq!(report.body::<OrderReport>().client_id, id.0);
    assert_eq!(report.body::<OrderReport>().reason, Reason::NotSent as u16);
}

#[test]
fn fault_w08_trading_api_renewal_between_orders_loses_none() {
    let mut bench = Bench::start("", &ed25519_key(), ED25519);
    bench.until(Bench::is_up);
    for counter in 1..=3 {
        let id = bench.rest(2 * counter);
        bench.expect(Kind::OrderAccepted, id);
        let renewals = bench.desk.entry().renewals();
        bench.ahead += AGE;
        let id = bench.rest(2 * counter + 1);
        bench.expect(Kind::OrderAccepted, id);
        bench.until(|bench| bench.desk.entry().renewals() > renewals);
    }
    assert_eq!(bench.sim.ledger()["orders"].as_array().unwrap().len(), 6);
}

#[test]
fn entry_over_the_trading_api_without_its_address_is_refused_by_name() {
    let text = config_text(&[
        ("instruments", "discover", "false"),
        ("venue", "orders", "\"venue\""),
        ("venue", "rest_url", "\"http://127.0.0.1:1\""),
        ("venue", "public_url", "\"ws://127.0.0.1:1/public\""),
        ("venue", "market_url", "\"ws://127.0.0.1:1/market\""),
        ("venue", "private_url", "\"ws://127.0.0.1:1/private\""),
        ("venue", "order_entry", "\"websocket\""),
    ]);
    let loaded = config::from_text("test", &text).unwrap();
    let credentials = Credentials::new(hmac_key(), SECRET.to_owned());
    let budget = Arc::new(Budget::new(RateLimits::default()));
    let stop = AtomicBool::new(false);
    let patience = Patience::new(Duration::from_secs(3_600), &stop);
    let error =
        access::open(&loaded, credentials, None, (&budget, &patience)).err().expect("refused");
    assert!(error.to_string().contains("venue.api_url"), "{error}");
}

/// A session over the trading API of an exchange with these faults, whose account's first key is
/// the one of this place, until it has traded; then its ledger and the exchange's are compared.
/// What the exchange tells at this path at the end.
fn trade(faults: &str, place: usize, path: &str) -> Value {
    let clock = ServerSettings::default().clock;
    let mut settings = ServerSettings { clock, ..exchange(faults) };
    // The ledger names an account by its first key.
    settings.accounts[0].keys.rotate_left(place);
    let exchange = ExchangeServer::start(settings).unwrap();
    let urls = urls(&exchange);
    let api = format!("\"{}/ws-fapi/v1\"", exchange.ws_url());
    let more = [
        ("venue", "order_entry", "\"websocket\""),
        ("venue", "api_url", api.as_str()),
        ("venue", "connection_age_s_max", "5"),
        ("exits", "protective_stop_bps", "300"),
    ];
    let secret = [SECRET, ED25519][place];
    let credentials = Credentials::new(exchange.api_key().to_owned(), secret.to_owned());
    let session = Session::start_with(&urls, credentials, &[&EAGER[..], &more].concat());
    session.wait(|told| count(told, Kind::OrderFilled) >= 6);
    let (outcome, state) = session.end();
    assert_eq!(outcome.halt, None);
    assert_eq!(outcome.differences, Vec::<String>::new());
    assert_eq!(outcome.summary.ledger_equal, Some(true));
    let dir = state.path().join("journal/0000001-paper");
    let inputs = read(&dir, 0);
    assert!(count(&inputs, Kind::OrderFilled) >= 6);
    if faults.is_empty() {
        assert_eq!(count(&inputs, Kind::OrderUnknown), 0);
    }
    assert_replays(&dir);
    serde_json::from_slice(&RestClient::new(&urls[0]).get(path).unwrap()).unwrap()
}

#[test]
fn a_session_over_the_trading_api_ends_with_equal_ledgers_and_replays() {
    for place in [0, 1] {
        let told = trade("", place, LEDGER_PATH);
        let stops = told["accounts"][0]["algo_orders"].as_array().unwrap().len();
        assert!(stops > 0, "positions had their stops");
    }
}

#[test]
fn fault_n05_a_session_whose_trading_api_is_cut_behind_orders_ends_with_equal_ledgers() {
    let cut = "[[fault]]\nkind = \"close_after_accept\"\ncount = 2\n\
               target = { method = \"order.place\" }\n";
    let told = trade(cut, 1, "/sim/faults");
    assert_eq!(told[0]["hits"], 2, "{told}");
}
