//! The tests: symbols that are added and dropped while a session trades, in calm and while
//! everything goes wrong, and what of it the next session of the chain knows.

use super::plan::{Deed, Plan, SAFETY, Setting};
use super::run::{Outcome, Run};
use crate::lanes::read;
use peregrine::base::event::{Breaker, Event, Kind, Order, StateChange, SymbolChange};
use peregrine::base::{Control, InstrumentId, Level, Nanos, Purpose, Qty, Reason, SymbolState};
use peregrine::risk::TradingState;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

const ETH: InstrumentId = InstrumentId(1);

type Changes = &'static [(&'static str, &'static str, &'static str)];

/// The second contract is there, and asleep.
const ASLEEP: Changes =
    &[("instruments", "symbols", "[\"BTCUSDT\"]"), ("instruments", "asleep", "[\"ETHUSDT\"]")];

/// Entries rest at the touch; positions stay until they are made to go.
const STAYS: Changes = &[
    ("policy", "exit_edge", "-1.0"),
    ("exits", "hold_ms_max", "3600000"),
    ("exits", "stop_bps_min", "1"),
    ("exits", "stop_bps_max", "1"),
];

const MAKER: Changes =
    &[("policy", "enter_as_maker", "true"), ("policy", "entry_rest_ms_max", "3000")];

fn drop_eth(flat: bool) -> Deed {
    Deed::Symbol { instrument: ETH, state: SymbolState::Leaving, flat }
}

const ADD_ETH: Deed = Deed::Symbol { instrument: ETH, state: SymbolState::Awake, flat: false };

fn run(seed: u64, changes: &[Changes], deeds: Vec<(Nanos, Deed)>) -> Run {
    let plan = Plan { deeds, ..Plan::calm() };
    let mut run = Run::configured(seed, plan, &changes.concat());
    run.world.borrow_mut().sent = Some(Vec::new());
    run.start();
    run
}

fn pass(run: &mut Run, ms: i64) {
    let end = run.now() + Nanos::from_millis(ms);
    while run.now() < end {
        run.step(end);
    }
}

/// Lets time pass until it is so.
#[track_caller]
fn until(run: &mut Run, what: &str, mut is_so: impl FnMut(&mut Run) -> bool) {
    for _ in 0..4_000 {
        if is_so(run) {
            return;
        }
        pass(run, 10);
    }
    panic!("never: {what}");
}

fn of_eth(lane: Vec<Event>) -> Vec<Event> {
    lane.into_iter().filter(|event| event.instrument() == ETH).collect()
}

fn is_market(event: &Event) -> bool {
    event.kind < Kind::SessionStart as u8
}

/// The changes of the second contract in a journal: place in the river, and to what.
fn changes(dir: &Path) -> Vec<(u64, SymbolState)> {
    let lane = of_eth(read(dir, 0)).into_iter();
    lane.filter_map(|event| Some((event.seq, event.symbol_state()?))).collect()
}

/// Entries of the second contract in a journal, by their place in the river.
fn entries(dir: &Path) -> Vec<u64> {
    let approved = of_eth(read(dir, 2)).into_iter();
    let entry = |event: &Event| {
        event.kind() == Some(Kind::OrderApproved)
            && event.body::<Order>().purpose == Purpose::Entry as u8
    };
    approved.filter(entry).map(|event| event.seq).collect()
}

/// Whether the second contract was traded at a place of the river.
fn was_awake(changes: &[(u64, SymbolState)], seq: u64) -> bool {
    let before = changes.iter().rev().find(|(at, _)| *at <= seq);
    before.is_none_or(|(_, state)| *state == SymbolState::Awake)
}

/// Whether nothing of its market stands in the river while it is asleep, and no entry of it was
/// allowed while it was not awake.
#[track_caller]
fn assert_obeyed(dir: &Path) {
    let changes = changes(dir);
    for seq in entries(dir) {
        assert!(was_awake(&changes, seq), "an entry at {seq}: {changes:?}");
    }
    for event in of_eth(read(dir, 0)).into_iter().filter(is_market) {
        let before = changes.iter().rev().find(|(at, _)| *at <= event.seq);
        let asleep = before.is_some_and(|(_, state)| *state == SymbolState::Asleep);
        // A lost connection is told of all it could bring.
        let told = matches!(event.kind(), Some(Kind::StreamStatus | Kind::Gap));
        assert!(!asleep || told, "{event:?} while asleep: {changes:?}");
    }
}

fn position(run: &mut Run) -> Qty {
    run.session().ledger().position(ETH).map_or(Qty::ZERO, |position| position.qty)
}

fn working(run: &mut Run) -> usize {
    run.session().ledger().orders().iter().filter(|order| order.instrument == ETH).count()
}

/// What the exchange has of the second contract: quantity, and open orders.
fn at_exchange(run: &Run) -> (i64, usize) {
    let world = run.world.borrow();
    let positions = world.exchange.accounts.positions(&world.exchange.market, 0);
    let own = positions.iter().filter(|view| view.news.contract == ETH.index());
    let open = world.exchange.accounts.open_orders(0, ETH.index()).count();
    (own.map(|view| view.news.qty.0).sum(), open)
}

/// How many frames of the second contract's streams the exchange has sent.
fn frames(run: &Run) -> usize {
    let world = run.world.borrow();
    let sent = world.sent.as_deref().unwrap_or_default();
    sent.iter().filter(|sent| sent.topic.starts_with("ethusdt@")).count()
}

#[track_caller]
fn finish(mut run: Run) {
    until(&mut run, "orders and positions are those of the exchange", Run::agrees);
    run.check_money();
    for dir in run.dirs() {
        assert_obeyed(dir);
    }
    let outcome = run.finish(None);
    assert_eq!(outcome.broken, Vec::<String>::new());
}

#[test]
fn an_added_symbol_is_traded_on_the_exchange_s_own_book_and_others_are_not_interrupted() {
    let mut run = run(3, &[ASLEEP], Vec::new());
    pass(&mut run, 8_000);
    let dir = run.dirs()[0].clone();
    assert_eq!(
        changes(&dir).iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        [SymbolState::Asleep]
    );
    assert_eq!(frames(&run), 0, "nothing of it is subscribed");
    assert!(!of_eth(read(&dir, 0)).iter().any(is_market));
    run.session().order_symbol(ETH, SymbolState::Awake, false);
    until(&mut run, "its book is there", |run| run.session().book(ETH).0.is_valid());
    let compared = run.world.borrow().books.compared;
    until(&mut run, "it is traded", |_| entries(&dir).len() > 3);
    pass(&mut run, 5_000);
    assert!(
        run.world.borrow().books.compared > compared + 50,
        "its book is held up to the venue's"
    );
    // Its connection is one that the other had already: nothing of that one was lost.
    let of_btc = |event: &&Event| event.instrument == 0;
    let lane = read(&dir, 0);
    let lost = lane.iter().filter(of_btc).filter(|event| event.kind() == Some(Kind::Gap));
    assert_eq!(lost.count(), 0);
    let down = |event: &&Event| event.kind() == Some(Kind::StreamStatus) && event.flags == 0;
    assert_eq!(lane.iter().filter(down).count(), 0);
    // Nothing was sent before the book stood.
    let valid = of_eth(read(&dir, 1)).into_iter().find(|e| e.kind() == Some(Kind::BookState));
    assert!(entries(&dir)[0] > valid.expect("its book became valid").seq);
    finish(run);
}

#[test]
fn a_dropped_symbol_takes_no_entry_is_left_by_its_exits_and_then_sleeps() {
    // With a position and its stop at the venue, and with an entry that rests.
    for (keys, stop_bps) in [(&[][..], 200), (MAKER, 0)] {
        let setting = Setting { stop_bps, ..Setting::PLAIN };
        let mut run = Run::configured(5, Plan { setting, ..Plan::calm() }, keys);
        run.world.borrow_mut().sent = Some(Vec::new());
        run.start();
        until(&mut run, "it is in the market", |run| {
            working(run) > 0 && (position(run) != Qty::ZERO || stop_bps == 0)
        });
        run.session().order_symbol(ETH, SymbolState::Leaving, false);
        let dir = run.dirs()[0].clone();
        until(&mut run, "it sleeps", |run| run.session().is_asleep(ETH));
        assert_eq!(at_exchange(&run), (0, 0));
        assert_eq!((position(&mut run), working(&mut run)), (Qty::ZERO, 0));
        // The connection that brings it is left as soon as another one brings the rest.
        pass(&mut run, 5_000);
        let before = frames(&run);
        pass(&mut run, 10_000);
        assert_eq!(frames(&run), before, "nothing of it is subscribed any more");
        let others = read(&dir, 3).iter().filter(|e| e.instrument == 0).count();
        assert!(others > 10, "the other is traded: {others}");
        // It comes back as it went.
        run.session().order_symbol(ETH, SymbolState::Awake, false);
        let at = entries(&dir).len();
        until(&mut run, "it is traded again", |_| entries(&dir).len() > at);
        let told: Vec<_> = changes(&dir).iter().map(|(_, state)| *state).collect();
        assert_eq!(told, [SymbolState::Leaving, SymbolState::Asleep, SymbolState::Awake]);
        finish(run);
    }
}

#[test]
fn a_position_without_an_exit_stays_and_is_left_at_once_where_that_is_asked_for() {
    let mut run = run(6, &[STAYS], Vec::new());
    until(&mut run, "it has a position", |run| position(run) != Qty::ZERO);
    run.session().order_symbol(ETH, SymbolState::Leaving, false);
    pass(&mut run, 5_000);
    assert!(position(&mut run) != Qty::ZERO && !run.session().is_asleep(ETH));
    let before = frames(&run);
    pass(&mut run, 2_000);
    assert!(frames(&run) > before, "its market is still listened to");
    run.session().order_symbol(ETH, SymbolState::Leaving, true);
    until(&mut run, "it sleeps", |run| run.session().is_asleep(ETH));
    assert_eq!(at_exchange(&run), (0, 0));
    finish(run);
}

#[test]
fn what_a_symbol_left_behind_troubles_nobody_while_it_sleeps_and_when_it_wakes() {
    // Its data grows stale, by the breaker's measure, many times over.
    let mut run = run(8, &[&[("breakers", "stale_ms", "2000")]], Vec::new());
    until(&mut run, "it trades", |run| position(run) != Qty::ZERO);
    run.session().order_symbol(ETH, SymbolState::Leaving, true);
    until(&mut run, "it sleeps", |run| run.session().is_asleep(ETH));
    pass(&mut run, 15_000);
    run.session().order_symbol(ETH, SymbolState::Awake, false);
    pass(&mut run, 10_000);
    let dir = run.dirs()[0].clone();
    let dropped = changes(&dir)[0].0;
    let lane = read(&dir, 2).into_iter().filter(|event| event.seq > dropped);
    let stale = lane.filter(|event| match event.kind() {
        Some(Kind::StateChange) => event.body::<StateChange>().reason == Reason::FeedStale as u16,
        Some(Kind::Breaker) => {
            let body: &Breaker = event.body();
            body.control == Control::Staleness as u16 && body.to >= Level::Reduce as u8
        }
        _ => false,
    });
    assert_eq!(stale.count(), 0, "neither what sleeps nor what wakes is stale");
    until(&mut run, "it trades", |run| run.world.borrow().watch.state().0 == TradingState::Active);
    assert!(!entries(&dir).is_empty() && *entries(&dir).last().unwrap() > dropped);
    finish(run);
}

#[test]
fn the_last_symbol_is_not_dropped_and_what_cannot_follow_changes_nothing() {
    let mut run = run(9, &[ASLEEP], Vec::new());
    pass(&mut run, 2_000);
    let btc = InstrumentId(0);
    for (id, state) in [
        (btc, SymbolState::Leaving),
        (btc, SymbolState::Awake),
        (btc, SymbolState::Asleep),
        (ETH, SymbolState::Leaving),
        (ETH, SymbolState::Asleep),
        (InstrumentId(2), SymbolState::Awake),
    ] {
        run.session().order_symbol(id, state, false);
    }
    pass(&mut run, 1_000);
    let lane = read(&run.dirs()[0], 0);
    let changes = lane.iter().filter(|event| event.kind() == Some(Kind::SymbolChange)).count();
    assert_eq!(changes, 1, "the configured one alone");
    finish(run);
}

/// The deeds of a session that is killed so many milliseconds after an order.
fn killed_after(deed: Deed, ms: i64) -> Vec<(Nanos, Deed)> {
    let at = Nanos::from_secs(12);
    vec![(at, deed), (at + Nanos::from_millis(ms), Deed::Crash { lost: 0 })]
}

#[track_caller]
fn end(mut run: Run) -> (Outcome, Vec<std::path::PathBuf>) {
    while run.now() < SAFETY {
        run.step(SAFETY);
    }
    let settled = run.settle();
    for dir in run.dirs() {
        assert_obeyed(dir);
    }
    let dirs = run.dirs().to_vec();
    // The journals are read before their folder goes.
    let told = dirs.iter().map(|dir| changes(dir)).collect::<Vec<_>>();
    // The next session goes on where this one was, whoever said so.
    for pair in told.windows(2) {
        let [before, after] = pair else { unreachable!("windows of two") };
        let states = [before.last(), after.first()].map(|change| change.map(|(_, state)| *state));
        assert_eq!(states[0], states[1], "{told:?}");
    }
    let traded = dirs.iter().map(|dir| entries(dir).len()).collect::<Vec<_>>();
    let outcome = run.finish(settled);
    assert_eq!(outcome.broken, Vec::<String>::new(), "{told:?} {traded:?}");
    assert!(outcome.settled.is_some(), "{:?}", outcome.ended);
    (outcome, dirs)
}

#[test]
fn a_drop_and_an_addition_outlive_a_kill_at_any_moment() {
    for ms in [0, 1, 15, 60, 150, 400, 1_500, 4_000] {
        for flat in [false, true] {
            let run = run(11, &[MAKER], killed_after(drop_eth(flat), ms));
            let folder = run.dirs().to_vec();
            let (outcome, dirs) = end(run);
            assert_eq!((outcome.sessions, folder.len()), (2, 1), "{ms}");
            assert_eq!(dirs.len(), 2);
        }
        let run = run(11, &[ASLEEP], killed_after(ADD_ETH, ms));
        let (outcome, _) = end(run);
        assert_eq!(outcome.sessions, 2, "{ms}");
    }
}

#[test]
fn the_next_session_begins_with_what_operators_made_of_its_symbols() {
    let mut run = run(12, &[STAYS], Vec::new());
    until(&mut run, "it has a position", |run| position(run) != Qty::ZERO);
    run.session().order_symbol(ETH, SymbolState::Leaving, false);
    pass(&mut run, 500);
    drop(run.crash());
    pass(&mut run, 8_000);
    // It is still being left, with its position, and its market is listened to for that.
    assert_eq!(changes(&run.dirs()[1])[0].1, SymbolState::Leaving);
    assert!(position(&mut run) != Qty::ZERO && run.session().book(ETH).0.is_valid());
    assert_eq!(entries(&run.dirs()[1]), Vec::<u64>::new());
    run.session().order_symbol(ETH, SymbolState::Leaving, true);
    until(&mut run, "it sleeps", |run| run.session().is_asleep(ETH));
    drop(run.crash());
    pass(&mut run, 8_000);
    let lane = of_eth(read(&run.dirs()[2], 0));
    let first = lane.iter().find(|event| event.kind() == Some(Kind::SymbolChange)).unwrap();
    let body: &SymbolChange = first.body();
    assert_eq!((body.state, body.actor, &body.reason[..6]), (3, 1_000, &b"a test"[..]));
    assert!(!lane.iter().any(is_market));
    run.session().order_symbol(ETH, SymbolState::Awake, false);
    pass(&mut run, 200);
    drop(run.crash());
    until(&mut run, "it is traded", |run| {
        run.dirs().len() == 4 && !entries(&run.dirs()[3]).is_empty()
    });
    finish(run);
}

#[test]
fn symbols_that_come_and_go_break_no_promise_whatever_else_goes_wrong() {
    let mut reached = [0_usize; 4];
    for seed in 0..40 {
        let mut plan = Plan::of(seed);
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x7379_6d62);
        let mut at = 3_000;
        while at < SAFETY.to_millis() - 1_000 {
            let deed = match random.random_range(0..3) {
                0 => ADD_ETH,
                1 => drop_eth(false),
                _ => drop_eth(true),
            };
            plan.deeds.push((Nanos::from_millis(at), deed));
            at += random.random_range(200..8_000);
        }
        // In the end both are traded: what is compared then is all there is.
        plan.deeds.push((SAFETY - Nanos::from_millis(500), ADD_ETH));
        plan.deeds.sort_by_key(|(at, _)| *at);
        let mut run = Run::new(seed, plan);
        run.start();
        while run.now() < SAFETY {
            run.step(SAFETY);
        }
        for dir in run.dirs().to_vec() {
            assert_obeyed(&dir);
            for (_, state) in changes(&dir) {
                reached[state as usize] += 1;
            }
        }
        let outcome = run.until_settled();
        assert_eq!(outcome.broken, Vec::<String>::new(), "seed {seed}");
    }
    assert!(reached[1..].iter().all(|count| *count > 20), "{reached:?}");
}
