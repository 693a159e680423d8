//! Journals written by hand, and what is read out of them. Every amount is reckoned in the test.

use super::*;
use crate::base::event::{
    ACTOR_UNATTENDED, BookTicker, Command, EVENT_VERSION, FundingPayment, Instrument, Order,
    OrderReport, Position, SessionStart, StateChange, flags,
};
use crate::base::{ClientOrderId, Nanos, Px, Qty, Rate, Reason};
use crate::execution::OrderState;
use crate::journal::{Journal, JournalSettings, LANES};
use crate::risk::Verb;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use tempfile::TempDir;

mod begun;
mod looks;
mod symbols;

const AT_VENUE: Chain = Chain { name: "paper", at_venue: true };
const BTC: InstrumentId = InstrumentId(0);
const UNIT: i64 = 100_000_000;
/// Noon of a day.
const NOON: i64 = (86_400 * 20_000 + 43_200) * 1_000_000_000;

fn facts(symbol: &str) -> InstrumentSettings {
    InstrumentSettings {
        symbol: Symbol::new(symbol.as_bytes()).unwrap(),
        tick_size: Px(1),
        lot_size: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty::MAX,
        min_notional: Money(1),
        maker_fee: Rate(0),
        taker_fee: Rate(0),
    }
}

/// A state folder's journals.
struct Journals(TempDir);

impl Journals {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read(&self) -> anyhow::Result<Carried> {
        Carried::read(self.path(), &AT_VENUE, None)
    }

    /// The text of the error at the start.
    fn refusal(&self) -> String {
        format!("{:#}", self.read().unwrap_err())
    }

    /// Writes a journal. Times and numbers are given to the events of lane 0; records of the other
    /// lanes carry the number of the input they follow.
    fn write(&self, epoch: u32, events: &[Event]) -> PathBuf {
        let dir = self.path().join(format!("{epoch:07}-paper"));
        let settings = JournalSettings {
            segment_records: [64; LANES],
            threaded: false,
            ..JournalSettings::live(u64::from(epoch))
        };
        let (journal, mut lanes) = Journal::create(&dir, settings).unwrap();
        journal.attach("config.toml", b"[venue]\norders = \"venue\"\n").unwrap();
        let mut seq = 0;
        for event in events {
            let lane = crate::base::event::lane_of(event.kind().unwrap());
            seq += u64::from(lane == 0);
            let ts = NOON + seq as i64;
            let event = Event { seq, ts_recv: ts, ..*event };
            let _ = lanes[lane].append(&event).unwrap();
        }
        journal.close(lanes).unwrap();
        dir
    }
}

fn start(epoch: u32) -> Event {
    let body = SessionStart {
        epoch,
        event_version: EVENT_VERSION,
        instrument_count: 2,
        account: 9,
        ..SessionStart::default()
    };
    Event::new(Kind::SessionStart, InstrumentId::NONE, &body)
}

/// The opening of a session that goes on from `carried`.
fn opening(epoch: u32, carried: &Carried) -> Vec<Event> {
    let table = [facts("BTCUSDT"), facts("ETHUSDT")];
    let mut events = vec![start(epoch)];
    for (i, facts) in table.iter().enumerate() {
        let body = Instrument { symbol: facts.symbol.to_bytes(), ..Instrument::default() };
        events.push(Event::new(Kind::Instrument, InstrumentId(i as u16), &body));
    }
    events.extend(carried.events(&table, Money::whole(1_000)));
    events
}

fn fresh(more: &[Event]) -> Vec<Event> {
    [&opening(1, &Carried::default())[..], more].concat()
}

fn intent(id: u64, side: u8, qty: i64) -> Event {
    let body = Order {
        client_id: id,
        px: 100 * UNIT,
        qty,
        order_type: 1,
        time_in_force: 2,
        purpose: 1,
        atr_px: UNIT,
        target_px: 3 * UNIT,
        ..Order::default()
    };
    Event::new(Kind::OrderIntent, BTC, &body).with_flags(side)
}

fn report(kind: Kind, id: u64, cum: i64) -> Event {
    let body = OrderReport { client_id: id, venue_id: id + 70, cum_qty: cum, ..Default::default() };
    Event::new(kind, BTC, &body)
}

fn fill(id: u64, side: u8, qty: i64, px: i64, fee: i64, trade_id: u64) -> Event {
    let body = OrderReport {
        client_id: id,
        last_px: px,
        last_qty: qty,
        cum_qty: qty,
        fee,
        trade_id,
        ..OrderReport::default()
    };
    Event::new(Kind::OrderFilled, BTC, &body).with_flags(side)
}

fn command(verb: Verb, actor: u32) -> Event {
    let body = Command { verb: verb as u32, actor, ..Command::default() };
    Event::new(Kind::Command, InstrumentId::NONE, &body)
}

fn moved(from: TradingState, to: TradingState, reason: Reason) -> Event {
    let body = StateChange {
        from: from as u8,
        to: to as u8,
        reason: reason as u16,
        ..StateChange::default()
    };
    Event::new(Kind::StateChange, InstrumentId::NONE, &body)
}

/// Buys 2 at 100 for a fee of 0.1, sells 1 at 110 for 0.05, pays 0.3 of funding.
fn trades() -> Vec<Event> {
    let paid = FundingPayment { amount: -UNIT * 3 / 10, ..FundingPayment::default() };
    let mut paid = Event::new(Kind::FundingPayment, BTC, &paid);
    paid.ts_venue = 77;
    vec![
        intent(1, 0, 2 * UNIT),
        fill(1, 0, 2 * UNIT, 100 * UNIT, UNIT / 10, 501),
        intent(2, flags::SELL, UNIT),
        fill(2, flags::SELL, UNIT, 110 * UNIT, UNIT / 20, 502),
        paid,
    ]
}

#[test]
fn the_first_session_of_a_chain_finds_nothing() {
    let journals = Journals::new();
    assert_eq!(journals.read().unwrap(), Carried::default());
    let nowhere = journals.path().join("none");
    assert_eq!(Carried::read(&nowhere, &AT_VENUE, None).unwrap(), Carried::default());
}

#[test]
fn how_far_the_price_went_for_a_position_is_carried_from_quotes_and_from_its_records() {
    let quote = BookTicker { bid_px: 104 * UNIT, ask_px: 105 * UNIT, ..BookTicker::default() };
    let quote = Event::new(Kind::BookTicker, BTC, &quote);
    let best = |events: &[Event]| {
        let journals = Journals::new();
        journals.write(1, &fresh(&[&trades()[..], events].concat()));
        journals.read().unwrap().positions[0].1.best_px
    };
    assert_eq!(best(&[quote]), 104 * UNIT);
    // A price of the book, which is in no input by itself.
    let record = |qty: i64| {
        let body = Position { qty, best_px: 107 * UNIT, ..Position::default() };
        Event::new(Kind::Position, BTC, &body)
    };
    assert_eq!(best(&[quote, record(UNIT)]), 107 * UNIT);
    assert_eq!(best(&[quote, record(2 * UNIT)]), 104 * UNIT, "not of this position any more");
}

#[test]
fn fault_p01_positions_are_carried_to_the_last_unit() {
    let journals = Journals::new();
    let dir = journals.write(1, &fresh(&trades()));
    let carried = journals.read().unwrap();
    assert_eq!(carried.from, Some(dir));
    let [(symbol, position)] = &carried.positions[..] else { panic!("{carried:?}") };
    assert_eq!(symbol.as_str(), "BTCUSDT");
    let expected = PositionCarried {
        qty: UNIT,
        cost: 100 * UNIT,
        realised: 10 * UNIT,
        fees: UNIT * 15 / 100,
        funding: -UNIT * 3 / 10,
        // The fifth input: session, two instruments, what was left, the fill.
        ts_opened: NOON + 5,
        round_trip: UNIT * 955 / 100,
        // As its entry was decided.
        atr_px: UNIT,
        target_px: 3 * UNIT,
        best_px: 100 * UNIT,
        ..PositionCarried::default()
    };
    assert_eq!(*position, expected);
    // Nobody has looked at the venue's lists: all of it may be told again.
    let booked = BookedCarried {
        trade_ids: [501, 502, 0, 0],
        ts_funding: [77, 0, 0, 0],
        funding: [-UNIT * 3 / 10, 0, 0, 0],
    };
    assert_eq!(carried.booked, [(*symbol, booked)]);
    assert_eq!(carried.orders, []);
    assert_eq!(carried.session.starting_equity, 1_000 * UNIT);
    assert_eq!(carried.session.epoch, 1);
    assert_eq!(carried.session.entries_today, 2);
    assert_eq!(carried.equity(Money::ZERO), Money(1_000 * UNIT + UNIT * 955 / 100));
}

#[test]
fn a_chain_of_sessions_carries_what_one_session_would_hold() {
    let journals = Journals::new();
    let all = trades();
    let single = Journals::new();
    single.write(1, &fresh(&all));
    for cut in 0..=all.len() {
        journals.write(2 * cut as u32 + 1, &fresh(&all[..cut]));
        let first = journals.read().unwrap();
        let second = [&opening(2 * cut as u32 + 2, &first)[..], &all[cut..]].concat();
        journals.write(2 * cut as u32 + 2, &second);
        let (mut both, mut one) = (journals.read().unwrap(), single.read().unwrap());
        // Receipts differ: the second session's events come at other times.
        for (_, position) in both.positions.iter_mut().chain(&mut one.positions) {
            position.ts_opened = 0;
        }
        assert_eq!(both.positions, one.positions, "cut at {cut}");
        assert_eq!(both.booked, one.booked, "cut at {cut}");
        assert_eq!(both.orders, []);
        let figures = |c: &Carried| {
            let s = c.session;
            (s.starting_equity, s.day_start_equity, s.losses_in_a_row, s.entries_today)
        };
        assert_eq!(figures(&both), figures(&one), "cut at {cut}");
    }
}

#[test]
fn fault_p01_every_order_that_may_be_open_is_carried_and_none_that_ended() {
    use OrderState::{Cancelled, PartiallyFilled, PendingCancel, Unknown, Working};
    let accepted = |id| report(Kind::OrderAccepted, id, 0);
    let cancel = |id| Event { kind: Kind::CancelIntent as u8, ..intent(id, 0, 3 * UNIT) };
    let part = |id| fill(id, 0, UNIT, 100 * UNIT, 0, id);
    let ended = |kind, id| report(kind, id, 0);
    // What follows on an intent of 3, and what is carried: state, filled.
    type Carried = Option<(OrderState, i64)>;
    let cases: Vec<(Vec<Event>, Carried)> = vec![
        (vec![], Some((Unknown, 0))),
        (vec![accepted(7)], Some((Working, 0))),
        (vec![accepted(7), part(7)], Some((PartiallyFilled, UNIT))),
        (vec![accepted(7), cancel(7)], Some((PendingCancel, 0))),
        (vec![report(Kind::OrderUnknown, 7, 0)], Some((Unknown, 0))),
        (vec![accepted(7), report(Kind::OrderCancelled, 7, UNIT)], Some((Cancelled, 0))),
        (vec![part(7), report(Kind::OrderCancelled, 7, UNIT)], None),
        (vec![accepted(7), ended(Kind::OrderExpired, 7)], None),
        (vec![ended(Kind::OrderRejected, 7)], None),
        (vec![fill(7, 0, 3 * UNIT, 100 * UNIT, 0, 7)], None),
    ];
    for (i, (events, expected)) in cases.into_iter().enumerate() {
        let journals = Journals::new();
        journals
            .write(1, &fresh(&[&[intent(7, flags::REDUCE_ONLY, 3 * UNIT)][..], &events].concat()));
        let carried = journals.read().unwrap();
        let found = carried.orders.first().map(|(symbol, flags, order)| {
            assert_eq!((symbol.as_str(), *flags), ("BTCUSDT", flags::REDUCE_ONLY));
            assert_eq!(ClientOrderId(order.client_id), ClientOrderId(7));
            assert_eq!((order.qty, order.px), (3 * UNIT, 100 * UNIT));
            assert_eq!((order.order_type, order.time_in_force, order.purpose), (1, 2, 1));
            (OrderState::from_u8(order.state).unwrap(), order.filled)
        });
        assert_eq!(found, expected, "case {i}: {events:?}");
        // The next session is killed before it hears of anything: it leaves the same.
        journals.write(2, &opening(2, &carried));
        let again = journals.read().unwrap();
        assert_eq!((again.orders, again.positions), (carried.orders, carried.positions), "{i}");
    }
}

#[test]
fn halts_kills_and_pauses_are_carried_and_only_what_was_active_arms_itself_again() {
    use TradingState::{Active, Halted, Killed, Reconciling, Reducing};
    let own = ACTOR_UNATTENDED;
    let up = moved(Reconciling, Active, Reason::Reconciled);
    let loss = moved(Active, Halted, Reason::DailyLoss);
    let dead = moved(Active, Killed, Reason::Operator);
    let away = moved(Active, Reconciling, Reason::AccountStreamDown);
    let cleared = moved(Killed, Reconciling, Reason::Operator);
    let cases: Vec<(Vec<Event>, TradingState, bool)> = vec![
        (vec![], Reconciling, true),
        (vec![up], Active, true),
        (vec![up, away], Active, true),
        (
            vec![up, command(Verb::Pause, own), moved(Active, Reducing, Reason::Operator)],
            Reducing,
            true,
        ),
        (
            vec![up, command(Verb::Pause, 7), moved(Active, Reducing, Reason::Operator)],
            Reducing,
            false,
        ),
        (vec![up, loss], Halted, false),
        (vec![up, loss, moved(Halted, Reconciling, Reason::AccountStreamDown)], Halted, false),
        (vec![up, dead], Killed, false),
        // Risk had no time to obey.
        (vec![up, command(Verb::KillImmediate, 7)], Killed, false),
        (vec![up, dead, cleared], Halted, false),
        (vec![up, loss, moved(Halted, Active, Reason::Operator)], Active, true),
    ];
    for (i, (events, state, rearms)) in cases.into_iter().enumerate() {
        let journals = Journals::new();
        journals.write(1, &fresh(&events));
        let carried = journals.read().unwrap();
        assert_eq!(TradingState::from_u8(carried.session.state), Some(state), "case {i}");
        assert_eq!(carried.may_rearm(), rearms, "case {i}");
        journals.write(2, &opening(2, &carried));
        assert_eq!(journals.read().unwrap().session.state, carried.session.state, "case {i}");
    }
}

/// As `docs/JOURNAL_FORMAT.md` names it.
fn first_segment(lane: usize) -> String {
    format!("lane{lane}-000000.pgj")
}

/// Flips a bit of record `place` in the only segment of a lane.
fn damage(dir: &Path, lane: usize, place: u64) {
    let path = dir.join(first_segment(lane));
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let offset = 4_096 + 128 * place + 40;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn fault_p08_a_damaged_journal_refuses_the_start_by_name() {
    for lane in [0, 2, 3] {
        let journals = Journals::new();
        let moves = [moved(TradingState::Reconciling, TradingState::Active, Reason::Reconciled)];
        let dir = journals.write(1, &fresh(&[&trades()[..], &moves].concat()));
        damage(&dir, lane, 0);
        let refusal = journals.refusal();
        let file = first_segment(lane);
        for part in ["0000001-paper", &file, "record 0", "journal verify", "state_dir"] {
            assert!(refusal.contains(part), "lane {lane}: {refusal}");
        }
    }
}

#[test]
fn fault_p07_a_journal_that_lost_files_refuses_the_start() {
    let remove = |lanes: &[usize], manifest: bool| {
        let journals = Journals::new();
        let dir = journals.write(1, &fresh(&trades()));
        for &lane in lanes {
            let name = first_segment(lane);
            std::fs::remove_file(dir.join(name)).unwrap();
        }
        if manifest {
            std::fs::remove_file(dir.join("manifest.json")).unwrap();
        }
        journals.refusal()
    };
    assert!(remove(&[0], false).contains("0000001-paper"));
    assert!(remove(&[3], false).contains("0000001-paper"));
    assert!(remove(&[], true).contains("manifest.json"));
    let journals = Journals::new();
    journals.write(1, &fresh(&trades()));
    let gone = Carried::read(journals.path(), &AT_VENUE, Some("0000002-paper")).unwrap_err();
    assert!(gone.to_string().contains("0000002-paper"), "{gone}");
    assert!(Carried::read(journals.path(), &AT_VENUE, Some("0000001-paper")).is_ok());
}

#[test]
fn fault_p17_another_version_account_or_symbol_set_refuses_the_start() {
    let journals = Journals::new();
    let mut events = fresh(&trades());
    let older = SessionStart { event_version: EVENT_VERSION - 1, ..*events[0].body() };
    events[0] = Event::new(Kind::SessionStart, InstrumentId::NONE, &older);
    journals.write(2, &events);
    assert!(journals.refusal().contains("event version"), "{}", journals.refusal());

    let journals = Journals::new();
    journals.write(1, &fresh(&trades()));
    let carried = journals.read().unwrap();
    assert!(carried.clone().of_account(9).is_ok());
    let other = carried.clone().of_account(8).unwrap_err().to_string();
    assert!(other.contains("another account"), "{other}");
    // Only a person knows that it is the same account, and has to look before anything is armed.
    assert!(carried.clone().may_rearm());
    let rotated = carried.clone().of_rotated_key(8).unwrap();
    assert_eq!((rotated.account, rotated.may_rearm()), (8, false));
    assert_eq!(rotated.positions, carried.positions, "the books go on");
    let again = carried.clone().of_rotated_key(9).unwrap_err().to_string();
    assert!(again.contains("--account-key-rotated") && again.contains("leave it out"), "{again}");
    assert!(Carried::default().of_rotated_key(9).is_err(), "nothing to go on from");
    let missing = carried.check(&[facts("ETHUSDT")]).unwrap_err().to_string();
    assert!(missing.contains("BTCUSDT") && missing.contains("a position"), "{missing}");
    assert!(carried.check(&[facts("ETHUSDT"), facts("BTCUSDT")]).is_ok());
}

#[test]
fn what_was_earned_with_a_contract_that_is_traded_no_more_stays_in_the_equity() {
    let journals = Journals::new();
    let mut events = trades();
    events.push(fill(3, flags::SELL, UNIT, 100 * UNIT, 0, 503));
    journals.write(1, &fresh(&events));
    let carried = journals.read().unwrap();
    carried.check(&[facts("ETHUSDT")]).unwrap();
    let told = carried.events(&[facts("ETHUSDT")], Money::ZERO);
    let session: SessionCarried = *told.last().unwrap().body();
    assert_eq!(told.len(), 1);
    assert_eq!(session.starting_equity, 1_000 * UNIT + UNIT * 955 / 100);
}

#[test]
fn on_paper_a_halt_is_carried_and_what_the_paper_venue_held_is_not() {
    let journals = Journals::new();
    let events = fresh(
        &[&trades()[..], &[moved(TradingState::Active, TradingState::Halted, Reason::DailyLoss)]]
            .concat(),
    );
    let dir = journals.write(1, &events);
    let chain = Chain { name: "paper", at_venue: false };
    // Orders went to the venue there: that is another chain.
    assert_eq!(Carried::read(journals.path(), &chain, None).unwrap(), Carried::default());
    std::fs::remove_dir_all(&dir).unwrap();
    let settings = JournalSettings {
        segment_records: [64; LANES],
        threaded: false,
        ..JournalSettings::live(1)
    };
    let (journal, mut lanes) = Journal::create(&dir, settings).unwrap();
    journal.attach("config.toml", b"[venue]\norders = \"paper\"\n").unwrap();
    for (i, event) in events.iter().enumerate() {
        let lane = crate::base::event::lane_of(event.kind().unwrap());
        let event = Event { seq: i as u64 + 1, ts_recv: NOON, ..*event };
        let _ = lanes[lane].append(&event).unwrap();
    }
    journal.close(lanes).unwrap();
    let carried = Carried::read(journals.path(), &chain, None).unwrap();
    assert_eq!((carried.positions.len(), carried.orders.len()), (0, 0));
    assert_eq!(carried.session.state, TradingState::Halted as u8);
    assert_eq!(carried.equity(Money::whole(5)), Money::whole(5));
    let told = carried.events(&[facts("BTCUSDT")], Money::whole(5));
    let session: SessionCarried = *told.last().unwrap().body();
    assert_eq!(session.starting_equity, 5 * UNIT);
    assert!(Nanos(session.ts_last) >= Nanos(NOON));
}
