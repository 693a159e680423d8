//! A real trader at a real exchange, killed in every way there is: what is left is read from the
//! exchange's own ledger, what happened from the journal.

use crate::lanes::{count, has, read};
use crate::pipeline_support::{last_json, peregrine, peregrine_in, root, text};
use crate::process::{Process, free_address, look, wait};
use crate::trader_world::{World, error_of};
use peregrine::base::event::{Breaker, Command, Event, KillRound, Order, StateChange};
use peregrine::base::{Control, Kind, Level, Nanos, Purpose, Reason};
use peregrine::exchange::ExchangeServer;
use peregrine::execution::Signer;
use peregrine::risk::{Origin, TradingState, reason_of};
use peregrine::runtime::kill::latch::{FILE, Latch, Mode};
use peregrine::venue::account::whole_query;
use peregrine::venue::job::{Access, RestRequest};
use peregrine::venue::rest::RestClient;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;
use std::time::Instant;

const TOKEN: &str = "a-token-of-this-test-0123456789-0123456789-0123456789";
const JOURNAL: &str = "0000001-testnet";
/// Entries rest at the touch for long, and positions are held with their stops.
const MAKER: [(&str, &str); 5] = [
    ("PEREGRINE__POLICY__ENTER_AS_MAKER", "true"),
    ("PEREGRINE__POLICY__ENTRY_REST_MS_MAX", "60000"),
    ("PEREGRINE__POLICY__EXIT_EDGE", "-1.0"),
    ("PEREGRINE__EXITS__HOLD_MS_MAX", "3600000"),
    ("PEREGRINE__FEATURES__MARKET_AGE_MS_MAX", "5000"),
];

/// A breaker's level that kills.
const KILL: u8 = Level::Kill as u8;

/// What the exchange has of the account.
pub struct Books(Value);

impl Books {
    pub fn of(exchange: &ExchangeServer) -> Self {
        // A machine that is too busy to answer in time says nothing about the account.
        let rest = RestClient::new(&exchange.rest_url());
        let told = (0..20).find_map(|_| rest.get("/sim/ledger").ok()).expect("an answer");
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["balanced"], true);
        Self(told["accounts"][0].clone())
    }

    pub fn rows(&self, key: &str) -> Vec<Value> {
        self.0[key].as_array().unwrap().clone()
    }

    pub fn open_orders(&self) -> usize {
        let open =
            |row: &&Value| matches!(row["status"].as_str().unwrap(), "NEW" | "PARTIALLY_FILLED");
        self.rows("orders").iter().filter(open).count()
    }

    pub fn stops(&self) -> usize {
        self.rows("algo_orders").iter().filter(|row| row["status"] == "NEW").count()
    }

    pub fn positions(&self) -> usize {
        self.rows("positions").iter().filter(|row| row["qty"] != 0).count()
    }
}

/// A trader that trades at the exchange.
pub struct Trader {
    pub world: World,
    pub process: Process,
}

/// Another session there.
pub fn start(world: &World, more: &[(&str, &str)]) -> Process {
    world.start_quick("config/testnet.toml", &[&MAKER[..], more].concat())
}

impl Trader {
    /// Armed, with an order sent.
    pub fn start(more: &[(&str, &str)]) -> Self {
        let world = World::new();
        let process = start(&world, more);
        world.wait_for_state("halted");
        let armed = world.operate(&["arm", "--reason", "books compared"]);
        assert_eq!(armed.status.code(), Some(0), "{}", error_of(&armed));
        // It may be filled before it is looked at; what a test needs open it places far away.
        look("an order at the exchange", || {
            let books = Books::of(&world.exchange);
            let status = || world.ask("status").unwrap_or_default();
            let is_there = !books.rows("orders").is_empty();
            if is_there { Ok(()) } else { Err(format!("{} {}", status(), books.0)) }
        });
        Self { world, process }
    }

    fn journal(&self) -> PathBuf {
        self.world.journal(JOURNAL)
    }

    fn fault(&self, fault: &Value) {
        let url = format!("{}/sim/faults", self.world.exchange.rest_url());
        let sent = ureq::post(&url).send(fault.to_string()).unwrap();
        assert_eq!(sent.status().as_u16(), 200);
    }

    fn heal(&self) {
        let url = format!("{}/sim/faults", self.world.exchange.rest_url());
        assert_eq!(ureq::delete(&url).call().unwrap().status().as_u16(), 200);
    }

    /// True once the journal tells such a round of the kill.
    fn has_round(&self, is_it: impl Fn(&KillRound) -> bool) -> bool {
        let is_round = |event: &Event| event.kind() == Some(Kind::KillRound);
        has(&self.journal(), 0, |event| is_round(event) && is_it(event.body()))
    }

    /// Waits for nothing but the trader's own end; the world it leaves.
    pub fn ends_killed(self, what: &str) -> World {
        let began = Instant::now();
        let is_empty = || Books::of(&self.world.exchange).open_orders() == 0;
        wait("no order that works at the exchange", is_empty);
        println!("{what}: no working order after {} ms", began.elapsed().as_millis());
        let ended = self.process.end();
        println!("{what}: ended after {} ms", began.elapsed().as_millis());
        assert_eq!(ended.status.code(), Some(78), "{what}: {}", error_of(&ended));
        assert_eq!(Books::of(&self.world.exchange).open_orders(), 0, "{what}");
        assert!(Latch::read(&self.world.state()).unwrap().finished, "{what}");
        self.world
    }
}

/// Nothing that adds risk was approved after trading was killed, and the kill's rounds end with
/// one that found the venue empty; the command that killed.
pub fn check_journal(world: &World, what: &str) -> Option<Command> {
    let journal = world.journal(JOURNAL);
    let (inputs, decided) = (read(&journal, 0), read(&journal, 2));
    let killed = |event: &&Event| {
        event.kind() == Some(Kind::StateChange)
            && event.body::<StateChange>().to == TradingState::Killed as u8
    };
    let killed = decided.iter().find(killed).unwrap_or_else(|| panic!("{what}: not killed")).seq;
    let entries = decided.iter().filter(|event| {
        event.kind() == Some(Kind::OrderApproved)
            && event.body::<Order>().purpose == Purpose::Entry as u8
    });
    assert!(entries.clone().count() > 0, "{what}: it traded before");
    assert_eq!(entries.filter(|event| event.seq > killed).count(), 0, "{what}: an entry after it");
    // A cancel that is refused is asked for again with the next timer, not with the refusal.
    let orders = count(&decided, Kind::OrderApproved);
    let most = orders * (count(&inputs, Kind::Timer) + 1);
    let cancels = count(&decided, Kind::CancelApproved);
    assert!(cancels <= most, "{what}: {cancels} cancels of {orders} orders");
    let mut rounds = inputs.iter().filter(|event| event.kind() == Some(Kind::KillRound));
    let last: KillRound = *rounds.next_back().expect("a round").body();
    assert_eq!((last.orders, last.reason), (0, Reason::KillEmpty as u16), "{what}");
    let replayed = peregrine(&["replay", text(&journal), "--verify", "--json"]);
    assert_eq!(last_json(&replayed)["differences"], 0, "{what}");
    let command = inputs.iter().rfind(|event| {
        event.kind() == Some(Kind::Command) && matches!(event.body::<Command>().verb, 2 | 3)
    });
    command.map(|event| *event.body())
}

fn post(http: SocketAddr, headers: &[(&str, &str)], body: &str) -> u16 {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.post(format!("http://{http}/api/v1/kill"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send(body).unwrap().status().as_u16()
}

#[test]
fn a_graceful_kill_by_command_leaves_no_working_order_and_keeps_positions_with_their_stops() {
    let trader = Trader::start(&[]);
    let words = ["kill", "--mode", "graceful", "--reason", "enough"];
    let killed = trader.world.operate(&words);
    assert_eq!(killed.status.code(), Some(0), "{}", error_of(&killed));
    let world = trader.ends_killed("command");
    let command = check_journal(&world, "command").unwrap();
    assert_eq!(Origin::from_u32(command.origin), Some(Origin::Operator));
    assert_eq!(reason_of(&command), "enough");
    let books = Books::of(&world.exchange);
    assert_eq!(books.positions(), books.stops(), "each position has its stop");

    // Pressed again with nobody there, it says the same; nothing starts before it is cleared.
    let again = world.operate(&words);
    assert_eq!(again.status.code(), Some(0), "{}", error_of(&again));
    let refused = start(&world, &[]).end();
    assert_eq!(refused.status.code(), Some(78));
    assert!(error_of(&refused).contains("peregrine clear"), "{}", error_of(&refused));
    let cleared = world.operate(&["clear", "--reason", "cause removed"]);
    assert_eq!(cleared.status.code(), Some(0), "{}", error_of(&cleared));
    let session = start(&world, &[]);
    world.wait_for_state("halted");
    let while_it_runs = world.operate(&["clear", "--reason", "again"]);
    assert_eq!(while_it_runs.status.code(), Some(1));
    session.signal(Signal::TERM);
    assert_eq!(session.end().status.code(), Some(0));
    let inputs = read(&world.journal("0000002-testnet"), 0);
    let noted = inputs.iter().find(|event| event.kind() == Some(Kind::Command)).unwrap();
    assert_eq!(reason_of(noted.body()), "cause removed", "the clear is in the journal");
}

#[test]
fn an_immediate_kill_over_http_leaves_nothing_at_all_and_others_are_not_let_in() {
    let http = free_address();
    let bind = http.to_string();
    let trader =
        Trader::start(&[("PEREGRINE__HTTP__BIND", bind.as_str()), ("PEREGRINE_HTTP_TOKEN", TOKEN)]);
    wait("a position", || Books::of(&trader.world.exchange).positions() > 0);
    let bearer = format!("Bearer {TOKEN}");
    let json = ("Content-Type", "application/json");
    let own = ("X-Peregrine-Request", "1");
    let body = json!({"reason": "runs wild", "mode": "immediate"}).to_string();
    let auth = ("Authorization", bearer.as_str());
    for (headers, status) in [
        (vec![json, own], 401),
        (vec![("Authorization", "Bearer guess"), json, own], 401),
        (vec![auth, json], 403),
        (vec![auth, json, own, ("Origin", "http://elsewhere.example")], 403),
        (vec![auth, own, ("Content-Type", "text/plain")], 415),
    ] {
        assert_eq!(post(http, &headers, &body), status, "{headers:?}");
    }
    assert_eq!(post(http, &[auth, json, own], "{\"reason\": \"\"}"), 400);
    assert_eq!(post(http, &[auth, json, own], &body), 202);
    let world = trader.ends_killed("http");
    let command = check_journal(&world, "http").unwrap();
    assert_eq!(Origin::from_u32(command.origin), Some(Origin::Http));
    let books = Books::of(&world.exchange);
    assert_eq!((books.positions(), books.stops()), (0, 0));
    let decided = read(&world.journal(JOURNAL), 2);
    let flatten = decided.iter().any(|event| {
        event.kind() == Some(Kind::OrderApproved)
            && event.body::<Order>().purpose == Purpose::Flatten as u8
    });
    assert!(flatten, "the position was left over the gate");
}

#[test]
fn a_signal_and_a_kill_file_kill_as_an_operator_does() {
    let trader = Trader::start(&[]);
    trader.process.signal(Signal::USR1);
    let world = trader.ends_killed("signal");
    let command = check_journal(&world, "signal").unwrap();
    assert_eq!(Origin::from_u32(command.origin), Some(Origin::Signal));

    let trader = Trader::start(&[]);
    std::fs::write(trader.world.state().join(FILE), "").unwrap();
    let world = trader.ends_killed("kill file");
    let command = check_journal(&world, "kill file").unwrap();
    assert_eq!(Origin::from_u32(command.origin), Some(Origin::LatchFile));
}

#[test]
fn a_breaker_that_kills_ends_the_process_and_leaves_nothing_at_all_at_the_exchange() {
    let trader = Trader::start(&[
        ("PEREGRINE__BREAKERS__DAY_LOSS_WARN_BPS", "1"),
        ("PEREGRINE__BREAKERS__DAY_LOSS_HALT_BPS", "2"),
        ("PEREGRINE__BREAKERS__DAY_LOSS_KILL_BPS", "3"),
        // Farther than the mark price goes: what is held is the breaker's to leave.
        ("PEREGRINE__EXITS__PROTECTIVE_STOP_BPS", "2000"),
    ]);
    wait("a position", || Books::of(&trader.world.exchange).positions() > 0);
    // Against whatever is held: nine percent of the least position are more than the three basis
    // points of the account.
    for row in Books::of(&trader.world.exchange).rows("positions") {
        let bps = match row["qty"].as_i64().unwrap() {
            0 => continue,
            1.. => -900,
            _ => 900,
        };
        let symbol = &row["symbol"];
        trader.fault(&json!({"kind": "mark_divergence", "symbol": symbol, "bps": bps}));
    }
    let world = trader.ends_killed("breaker");
    assert!(check_journal(&world, "breaker").is_none(), "nobody gave a command");
    let decided = read(&world.journal(JOURNAL), 2);
    let killed = decided.iter().find(|event| {
        event.kind() == Some(Kind::StateChange)
            && event.body::<StateChange>().to == TradingState::Killed as u8
    });
    let killed: &StateChange = killed.unwrap().body();
    assert_eq!((killed.reason, killed.actor), (Reason::DailyLoss as u16, u32::MAX));
    let mut tripped = decided.iter().filter(|event| event.kind() == Some(Kind::Breaker));
    let is_it = |body: &Breaker| (body.control, body.to) == (Control::DayLoss as u16, KILL);
    assert!(tripped.any(|event| is_it(event.body())));
    let latch = Latch::read(&world.state()).unwrap();
    assert_eq!((latch.mode, latch.origin.as_str()), (Mode::Immediate, Origin::Breaker.name()));
    let books = Books::of(&world.exchange);
    assert_eq!((books.positions(), books.stops()), (0, 0), "flat");
    let refused = start(&world, &[]).end();
    assert_eq!(refused.status.code(), Some(78), "the kill is there after the process");
}

#[test]
fn fault_o09_a_kill_during_start_up_is_kept_and_ends_the_session_that_was_starting() {
    let world = World::new();
    let session = start(&world, &[]);
    wait("the state folder", || world.state().join("lock").exists());
    let killed = world.operate(&["kill", "--mode", "immediate", "--reason", "too early"]);
    // With nobody at the socket yet it says that somebody is there who does not answer.
    assert!(matches!(killed.status.code(), Some(0 | 1)), "{}", error_of(&killed));
    assert_eq!(session.end().status.code(), Some(78));
    assert_eq!(Latch::read(&world.state()).unwrap().mode, Mode::Immediate);
    assert_eq!(Books::of(&world.exchange).rows("orders").len(), 0, "nothing was ever sent");
}

#[test]
fn fault_r18_a_kill_whose_cancels_fail_looks_again_pages_twice_and_ends_when_the_venue_is_empty() {
    let trader = Trader::start(&[
        ("PEREGRINE__KILL__PAGE_AFTER_MS", "600"),
        ("PEREGRINE__KILL__STUCK_AFTER_MS", "1200"),
        ("PEREGRINE__VENUE__DEAD_MAN_MS", "0"),
    ]);
    // The cancel of everything stays without effect, single cancels and cancels by number fail.
    for (kind, path) in [
        ("cancel_stays", "/fapi/v1/allOpenOrders"),
        ("unavailable", "/fapi/v1/order"),
        ("unavailable", "/fapi/v1/batchOrders"),
    ] {
        trader.fault(&json!({"kind": kind, "target": {"method": "DELETE", "path": path}}));
    }
    place_far_away(&trader.world.exchange);
    trader.process.signal(Signal::USR1);
    let told =
        |trader: &Trader, reason: Reason| trader.has_round(|round| round.reason == reason as u16);
    wait("the second page", || told(&trader, Reason::KillStuck));
    assert!(told(&trader, Reason::KillNotEmpty));
    assert!(!told(&trader, Reason::KillEmpty));
    assert!(Books::of(&trader.world.exchange).open_orders() > 0);
    assert!(!Latch::read(&trader.world.state()).unwrap().finished);
    trader.heal();
    let world = trader.ends_killed("one order that stays");
    check_journal(&world, "one order that stays");
}

#[test]
fn fault_p01_a_kill_whose_process_dies_is_brought_to_its_end_by_the_next_start() {
    let trader = Trader::start(&[("PEREGRINE__VENUE__DEAD_MAN_MS", "0")]);
    trader.fault(&json!({"kind": "unavailable", "target": {"method": "DELETE"}}));
    place_far_away(&trader.world.exchange);
    trader.process.signal(Signal::USR1);
    wait("a round in vain", || trader.has_round(|_| true));
    wait("the latch", || Latch::read(&trader.world.state()).is_some());
    trader.process.signal(Signal::KILL);
    let Trader { world, process } = trader;
    assert_eq!(process.end().status.code(), None);
    assert!(Books::of(&world.exchange).open_orders() > 0, "left behind");
    let url = format!("{}/sim/faults", world.exchange.rest_url());
    ureq::delete(&url).call().unwrap();
    let again = start(&world, &[]).end();
    assert_eq!(again.status.code(), Some(78), "{}", error_of(&again));
    assert_eq!(Books::of(&world.exchange).open_orders(), 0);
    assert!(Latch::read(&world.state()).unwrap().finished);
}

/// An order of the account that no market comes to.
pub fn place_far_away(exchange: &ExchangeServer) {
    place(exchange, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=30000");
}

/// An order of the account that somebody else places.
pub fn place(exchange: &ExchangeServer, query: &str) {
    let signer = Signer::new(exchange.api_secret().as_bytes());
    let (method, path) = ("POST", "/fapi/v1/order");
    let (query, access) = (query.to_owned(), Access::Signed);
    let request = RestRequest { method, path, query, access };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let query = whole_query(&request, &signer, Nanos(now.as_nanos() as i64));
    let rest = RestClient::new(&exchange.rest_url());
    let answer = rest.carry(method, path, &query, Some(exchange.api_key())).unwrap();
    assert_eq!(answer.0, 200, "{}", String::from_utf8_lossy(&answer.1));
}

/// The killer as a program of its own.
pub fn killer(world: &World, more: &[&str]) -> Output {
    let url = world.exchange.rest_url();
    let arguments = ["--url", url.as_str(), "--symbols", "BTCUSDT,ETHUSDT"];
    std::process::Command::new(env!("CARGO_BIN_EXE_peregrine-killer"))
        .args([&arguments[..], more].concat())
        .env("PEREGRINE_KILLER_API_KEY", world.exchange.api_key())
        .env("PEREGRINE_KILLER_API_SECRET", world.exchange.api_secret())
        .output()
        .unwrap()
}

#[test]
fn the_killer_leaves_nothing_while_the_trader_is_stopped_and_the_trader_wakes_up_killed() {
    let trader = Trader::start(&[]);
    wait("a position", || Books::of(&trader.world.exchange).positions() > 0);
    trader.process.signal(Signal::STOP);
    let dry = killer(&trader.world, &["--mode", "flatten"]);
    assert_eq!(dry.status.code(), Some(1), "{}", error_of(&dry));
    assert_eq!(last_json(&dry)["dry"], true);
    assert!(Books::of(&trader.world.exchange).positions() > 0, "it only looked");
    let state = trader.world.state();
    let words = ["--mode", "flatten", "--yes", "--state", text(&state), "--reason", "it hangs"];
    let killed = killer(&trader.world, &words);
    assert_eq!(killed.status.code(), Some(0), "{}", error_of(&killed));
    let told = last_json(&killed);
    println!("killer: {told}");
    assert_eq!((&told["positions"], &told["orders"]), (&json!(0), &json!(0)), "{told}");
    let books = Books::of(&trader.world.exchange);
    assert_eq!((books.open_orders(), books.positions(), books.stops()), (0, 0, 0));
    trader.process.signal(Signal::CONT);
    let world = trader.ends_killed("killer");
    assert_eq!(Latch::read(&world.state()).unwrap().reason, "it hangs");
    let without_key = std::process::Command::new(env!("CARGO_BIN_EXE_peregrine-killer"))
        .args(["--url", "http://127.0.0.1:9", "--all-symbols", "--mode", "flatten"])
        .env_remove("PEREGRINE_KILLER_API_KEY")
        .output()
        .unwrap();
    assert_eq!(without_key.status.code(), Some(2));
}

#[test]
fn a_clear_is_refused_while_an_order_is_open_at_the_venue() {
    let world = World::new();
    let exchange = &world.exchange;
    std::fs::create_dir(world.state()).unwrap();
    std::fs::write(world.state().join(FILE), "").unwrap();
    place_far_away(exchange);
    let (state, rest) = (world.state(), exchange.rest_url());
    let variables = [
        ("PEREGRINE_API_KEY", exchange.api_key()),
        ("PEREGRINE_API_SECRET", exchange.api_secret()),
        ("PEREGRINE__SESSION__STATE_DIR", text(&state)),
        ("PEREGRINE__VENUE__REST_URL", rest.as_str()),
    ];
    let words = ["clear", "--config", "config/testnet.toml", "--reason", "looked"];
    let refused = peregrine_in(&root(), &words, &variables);
    assert_eq!(refused.status.code(), Some(1));
    assert!(error_of(&refused).contains("orders are still open"), "{}", error_of(&refused));
    assert!(Latch::read(&world.state()).is_some());
    let killed = killer(&world, &["--mode", "cancel-only", "--yes"]);
    assert_eq!(killed.status.code(), Some(0), "{}", error_of(&killed));
    let cleared = peregrine_in(&root(), &words, &variables);
    assert_eq!(cleared.status.code(), Some(0), "{}", error_of(&cleared));
    assert_eq!(Latch::read(&world.state()), None);
}
