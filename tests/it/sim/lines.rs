//! The tests: connections that end, are renewed or leave something out, and what the session then
//! holds against the exchange that knows its own book. Nothing that the exchange sent over a
//! connection that survives is lost or repeated, and every book held valid is the exchange's.

use super::net::{Line, Sent};
use super::plan::{Plan, Setting, fault};
use super::run::Run;
use crate::lanes::read;
use peregrine::base::event::{
    BookTicker, DepthHead, Event, Gap, Kind, StreamStatus, Trade, carries, flags,
};
use peregrine::base::{Nanos, Reason};
use peregrine::risk::TradingState;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Of each test.
const SEEDS: std::ops::Range<u64> = 0..3;

/// The streams whose events have numbers, by the name behind the symbol.
const NUMBERED: [&str; 4] = ["depth@100ms", "bookTicker", "aggTrade", "markPrice@1s"];

/// A session in a world in which nothing goes wrong but what the test does.
struct Drive {
    run: Run,
    random: ChaCha8Rng,
}

impl Drive {
    fn new(seed: u64, setting: Setting, faults: Vec<peregrine::exchange::fault::Fault>) -> Self {
        let mut plan = Plan { setting, faults, ..Plan::calm() };
        // Connections differ in how fast they are, and each in itself.
        plan.manners[Line::Market as usize].jitter = Nanos::from_millis(120);
        let mut run = Run::new(seed, plan);
        run.world.borrow_mut().sent = Some(Vec::new());
        run.start();
        let mut drive = Self { run, random: ChaCha8Rng::seed_from_u64(seed) };
        drive.until_whole();
        drive
    }

    fn now(&self) -> Nanos {
        self.run.now()
    }

    /// Lets time pass.
    fn pass(&mut self, ms: i64) {
        let end = self.now() + Nanos::from_millis(ms);
        while self.now() < end {
            self.run.step(end);
        }
    }

    /// Lets time pass until every book is valid; how long that took.
    fn until_whole(&mut self) -> Nanos {
        let began = self.now();
        while !self.run.has_whole_books() {
            assert!(self.now() - began < Nanos::from_secs(30), "the books are never whole");
            self.pass(10);
        }
        self.now() - began
    }

    /// Ends every market connection.
    fn cut_all(&mut self) {
        let mut world = self.run.world.borrow_mut();
        for conn in world.open_conns(Line::Market) {
            let half_open = self.random.random_bool(0.2);
            world.end(conn, half_open);
        }
    }

    /// Ends one of two market connections that bring the same for at least a second; how many.
    fn cut_a_twin(&mut self) -> usize {
        let mut world = self.run.world.borrow_mut();
        let twins = world.twins(Nanos::from_secs(1));
        for pair in &twins {
            world.end(pair[self.random.random_range(0..2)], false);
        }
        twins.len()
    }

    /// The inputs recorded so far.
    fn river(&self) -> Vec<Event> {
        read(&self.run.dirs()[0], 0)
    }

    /// Ends the run; no promise was broken, and books were compared.
    fn finish(self) -> Vec<Event> {
        let river = self.river();
        let outcome = self.run.finish(None);
        assert_eq!(outcome.broken, Vec::<String>::new());
        assert!(outcome.books > 50, "{} books were compared", outcome.books);
        river
    }

    fn sent(&self) -> Vec<Sent> {
        self.run.world.borrow().sent.clone().unwrap_or_default()
    }
}

fn number(text: &str, stream: &str) -> u64 {
    let value: Value = serde_json::from_str(text).expect("the exchange sends JSON");
    let key = match stream {
        "aggTrade" => "a",
        "markPrice@1s" => "E",
        _ => "u",
    };
    value["data"][key].as_u64().expect("a number")
}

/// Numbers that the exchange sent of a stream, over whatever connection, in order.
fn sent_of(sent: &[Sent], symbol: &str, stream: &str) -> Vec<u64> {
    let topic = format!("{symbol}@{stream}");
    let own = sent.iter().filter(|sent| sent.topic == topic);
    let numbers: BTreeSet<u64> = own.map(|sent| number(&sent.text, stream)).collect();
    numbers.into_iter().collect()
}

/// Numbers of the events of a stream in the river, in their order.
fn came_of(river: &[Event], instrument: u16, stream: &str) -> Vec<u64> {
    let own = river.iter().filter(|event| event.instrument == instrument);
    own.filter_map(|event| match (event.kind()?, stream) {
        (Kind::DepthHead, "depth@100ms") if !event.has(flags::SNAPSHOT) => {
            Some(event.body::<DepthHead>().last_id)
        }
        (Kind::BookTicker, "bookTicker") => Some(event.body::<BookTicker>().update_id),
        (Kind::AggTrade, "aggTrade") => Some(event.body::<Trade>().trade_id),
        (Kind::MarkPrice, "markPrice@1s") => Some(Nanos(event.ts_venue).to_millis() as u64),
        _ => None,
    })
    .collect()
}

/// Each event that was sent since the first that came is in the river, once and in order; what was
/// sent last may still be under way.
#[track_caller]
fn assert_whole(what: &str, sent: &[Sent], river: &[Event]) {
    for (instrument, symbol) in (0..).zip(["btcusdt", "ethusdt"]) {
        for stream in NUMBERED {
            let came = came_of(river, instrument, stream);
            let first = *came.first().unwrap_or_else(|| panic!("{what}: {symbol} {stream}"));
            let sent = sent_of(sent, symbol, stream);
            let sent: Vec<u64> = sent.into_iter().skip_while(|number| *number < first).collect();
            let differs = came.iter().zip(&sent).position(|(came, sent)| came != sent);
            let near =
                differs.map(|at| (&came[at.saturating_sub(1)..came.len().min(at + 2)], sent[at]));
            assert_eq!(differs, None, "{what}: {symbol} {stream}: {near:?}");
            assert!(came.len() > 20, "{what}: {symbol} {stream}: {} came", came.len());
            let missing = sent.len().saturating_sub(came.len());
            assert!(missing <= 40, "{what}: {symbol} {stream} stopped, {missing} are missing");
        }
    }
}

fn gaps(river: &[Event], instrument: u16, reason: Reason) -> usize {
    let own = river.iter().filter(|e| e.kind() == Some(Kind::Gap) && e.instrument == instrument);
    own.filter(|event| event.body::<Gap>().reason == reason as u16).count()
}

/// Losses of market connections that the river was told of.
fn downs(river: &[Event]) -> usize {
    let is_down = |event: &&Event| {
        event.kind() == Some(Kind::StreamStatus)
            && !event.has(flags::ON)
            && event.body::<StreamStatus>().carries & carries::ACCOUNT == 0
    };
    river.iter().filter(is_down).count()
}

/// Connections that are renewed every few seconds.
const YOUNG: Setting = Setting { age_s: 6, ..Setting::PLAIN };

#[test]
fn fault_w08_a_renewed_connection_loses_no_event_of_the_exchange_and_every_book_stays_its_own() {
    for seed in SEEDS {
        let mut drive = Drive::new(seed, YOUNG, Vec::new());
        while drive.run.session().renewals().iter().any(|renewals| *renewals < 5) {
            assert!(drive.now() < Nanos::from_secs(70), "{:?}", drive.run.session().renewals());
            drive.pass(100);
            assert!(drive.run.has_whole_books(), "seed {seed}: a book was given up at a renewal");
        }
        let sent = drive.sent();
        let river = drive.finish();
        assert_whole(&format!("seed {seed}"), &sent, &river);
        assert_eq!(downs(&river), 0, "nobody is told");
        assert!((0..2).all(|id| gaps(&river, id, Reason::BookGap) == 0));
    }
}

#[test]
fn fault_w08_connections_cut_in_the_middle_of_their_renewal_lose_nothing_of_the_one_that_stays() {
    for seed in SEEDS {
        let mut drive = Drive::new(seed, YOUNG, Vec::new());
        let (mut cuts, end) = (0, drive.now() + Nanos::from_secs(60));
        while drive.now() < end {
            // The second one has had the time to come up.
            let ms = drive.random.random_range(300..900);
            drive.pass(ms);
            cuts += drive.cut_a_twin();
        }
        assert!(cuts >= 5, "seed {seed}: {cuts} cuts");
        let sent = drive.sent();
        let river = drive.finish();
        assert_whole(&format!("seed {seed}"), &sent, &river);
        assert_eq!(downs(&river), 0, "nobody is told");
    }
}

#[test]
fn fault_n13_after_each_storm_of_reconnects_every_book_is_the_exchange_s_and_no_trade_is_missing() {
    for seed in SEEDS {
        let mut drive = Drive::new(seed, Setting { age_s: 15, ..Setting::PLAIN }, Vec::new());
        for _ in 0..2 {
            for _ in 0..12 {
                drive.cut_all();
                let ms = drive.random.random_range(20..900);
                drive.pass(ms);
            }
            drive.until_whole();
            let renewed = drive.now();
            drive.pass(3_000);
            assert!(drive.run.has_whole_books(), "whole at {renewed:?} and no more");
        }
        let sent = drive.sent();
        let river = drive.finish();
        assert!(downs(&river) >= 2, "the storm was felt: {}", downs(&river));
        for (instrument, symbol) in (0..).zip(["btcusdt", "ethusdt"]) {
            // Whatever was missed is asked for, so every trade is there, sent to us or not.
            let came = came_of(&river, instrument, "aggTrade");
            let whole: Vec<u64> = (came[0]..=*came.last().unwrap()).collect();
            let lost = gaps(&river, instrument, Reason::TradeGap);
            assert!(lost > 0 || came == whole, "{symbol}: trades are missing, untold");
            // Quotes come at most once, in order, and none that was not sent.
            let came = came_of(&river, instrument, "bookTicker");
            assert!(came.is_sorted_by(|a, b| a < b), "{symbol}");
            let sent: BTreeSet<u64> = sent_of(&sent, symbol, "bookTicker").into_iter().collect();
            assert!(came.iter().all(|number| sent.contains(number)), "{symbol}");
        }
    }
}

#[test]
fn fault_w09_a_hole_in_one_book_is_mended_from_a_snapshot_and_no_other_book_notices() {
    for seed in SEEDS {
        // Snapshots are refused now and then.
        let holes = fault(
            "gap",
            json!({}),
            json!({"target": {"stream": "btcusdt@depth*"}, "probability": 0.03, "from": 3_000}),
        );
        let refused = fault(
            "unavailable",
            json!({}),
            json!({"target": {"path": "/fapi/v1/depth"}, "probability": 0.4, "from": 3_000}),
        );
        let mut drive = Drive::new(seed, Setting::PLAIN, vec![holes, refused]);
        drive.pass(36_000);
        // No more holes from here on.
        let _ = drive.run.world.borrow_mut().faults.remove(None);
        let took = drive.until_whole();
        assert!(took < Nanos::from_secs(30), "{took:?}");
        drive.pass(2_000);
        assert!(drive.run.has_whole_books());
        let sent = drive.sent();
        let river = drive.finish();
        assert!(gaps(&river, 0, Reason::BookGap) >= 3, "{}", gaps(&river, 0, Reason::BookGap));
        let snapshots = |instrument: u16| {
            let of = |e: &&Event| e.instrument == instrument && e.has(flags::SNAPSHOT);
            river.iter().filter(of).filter(|e| e.kind() == Some(Kind::DepthHead)).count()
        };
        assert!(snapshots(0) >= 3);
        // The other one: its first snapshot, and from then on every change that was sent.
        assert_eq!((gaps(&river, 1, Reason::BookGap), snapshots(1)), (0, 1));
        let came = came_of(&river, 1, "depth@100ms");
        let sent = sent_of(&sent, "ethusdt", "depth@100ms");
        let sent: Vec<u64> = sent.into_iter().skip_while(|number| *number < came[0]).collect();
        assert_eq!(came[..], sent[..came.len()]);
        assert!(sent.len() - came.len() < 10);
    }
}

#[test]
fn fault_w07_trades_that_did_not_come_are_filled_in_from_the_exchange_once_and_in_order() {
    for seed in SEEDS {
        let dropped = fault(
            "drop",
            json!({}),
            json!({"target": {"stream": "btcusdt@aggTrade"}, "probability": 0.02, "from": 2_000}),
        );
        let mut drive = Drive::new(seed, Setting::PLAIN, vec![dropped]);
        drive.pass(36_000);
        let _ = drive.run.world.borrow_mut().faults.remove(None);
        drive.pass(8_000);
        let sent = drive.sent();
        let river = drive.finish();
        for (instrument, symbol) in (0..).zip(["btcusdt", "ethusdt"]) {
            assert_eq!(gaps(&river, instrument, Reason::TradeGap), 0, "seed {seed}: {symbol}");
            let came = came_of(&river, instrument, "aggTrade");
            let sent = sent_of(&sent, symbol, "aggTrade");
            let sent: Vec<u64> = sent.into_iter().skip_while(|number| *number < came[0]).collect();
            assert_eq!(came[..], sent[..came.len()], "seed {seed}: {symbol}");
            assert!(came.len() > 30 && sent.len() - came.len() < 10, "{symbol} {}", came.len());
        }
    }
}

#[test]
fn fault_w08_orders_and_the_account_s_reports_go_on_over_renewed_connections() {
    let setting = Setting { api: true, age_s: 6, stop_bps: 100, dead_man_ms: 9_000 };
    let mut drive = Drive::new(5, setting, Vec::new());
    drive.pass(60_000);
    assert_eq!(drive.run.world.borrow().watch.state().0, TradingState::Active);
    let (of_orders, of_account) = drive.run.session().own_renewals();
    assert!(of_orders >= 5 && of_account >= 5, "{of_orders} and {of_account}");
    let settled = drive.run.settle();
    assert!(settled.is_some(), "books and exchange agree");
    let outcome = drive.run.finish(settled);
    assert_eq!(outcome.broken, Vec::<String>::new());
    assert!(outcome.sent > 50 && outcome.fills > 20, "{} {}", outcome.sent, outcome.fills);
}
