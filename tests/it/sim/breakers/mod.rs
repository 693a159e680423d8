//! Breakers in whole sessions against the simulated exchange: each trips under what should trip it,
//! is written down and alerts, lets nothing in and everything out, and is what it was after the
//! process died. `cases` says what trips which.

mod cases;

use super::plan::Plan;
use super::run::Run;
use crate::lanes::sound;
use crate::pipeline_support::root;
use peregrine::base::event::{Breaker, Event, Kind, StateChange, flags};
use peregrine::base::{Control, Level, Measure, Nanos, Purpose, Reason};
use peregrine::exchange::account::order::{OrderName, Status};
use peregrine::model::ArtifactFiles;
use peregrine::observe::alerts::Severity;
use peregrine::observe::alerts::rules::Rules;
use peregrine::risk::TradingState::{self, Active, Halted, Killed, Reducing};
use std::path::Path;

/// Of all these tests.
const SEED: u64 = 7;
/// By then the session trades.
const TRADES_MS: i64 = 12_000;
/// How long a position may take to be left: the exchange may refuse for some seconds.
const LEAVES: Nanos = Nanos::from_secs(20);

/// One breaker: what is configured, what goes wrong, and what follows.
struct Case {
    control: Control,
    keys: &'static [(&'static str, &'static str, &'static str)],
    /// What goes wrong at times of its own.
    wrong: fn(&mut Plan),
    strike: Strike,
    /// Another model than all others have.
    model: Option<fn() -> ArtifactFiles>,
    state: TradingState,
    reason: Reason,
    level: Level,
    /// By then it has tripped.
    until_ms: i64,
}

/// What a test does to a session that trades.
#[derive(Clone, Copy)]
enum Strike {
    /// Nothing: what goes wrong does so by itself.
    Itself,
    /// This, while a position is held.
    Held(fn(&mut Run)),
}

/// Limits that nothing here reaches.
const OUT_OF_REACH: [(&str, &str, &str); 27] = [
    ("risk", "daily_loss_max", "\"5000\""),
    ("breakers", "day_loss_warn_bps", "9000"),
    ("breakers", "day_loss_halt_bps", "9500"),
    ("breakers", "day_loss_kill_bps", "9900"),
    ("breakers", "drawdown_reduce_bps", "9000"),
    ("breakers", "drawdown_halt_bps", "9999"),
    ("breakers", "losses_half", "999990"),
    ("breakers", "losses_quarter", "999995"),
    ("breakers", "losses_halt", "1000000"),
    ("breakers", "slippage_bps", "10000"),
    ("breakers", "fee_bps", "10000"),
    ("breakers", "rejects_in_a_row", "255"),
    ("breakers", "rejects_percent", "100"),
    ("breakers", "rejects_window", "256"),
    ("breakers", "stale_ms", "3600000"),
    ("breakers", "spread_trip_bps", "10000"),
    ("breakers", "range_trip_percent", "100000"),
    ("breakers", "jump_trip_bps", "100000"),
    ("breakers", "tick_to_gate_us", "1000000"),
    ("breakers", "tick_to_gate_p95_us", "1000000"),
    ("breakers", "send_to_ack_ms", "60000"),
    ("breakers", "send_to_ack_p95_ms", "60000"),
    ("breakers", "ring_percent", "100"),
    ("breakers", "memory_mib", "1000000"),
    ("breakers", "files_percent", "100"),
    ("breakers", "core_stall_ms", "600000"),
    ("breakers", "invalid_outputs", "1000000"),
];

/// Controls that have no limit to move.
const LIMITLESS: [Control; 4] =
    [Control::LedgerFault, Control::OrderBalance, Control::UnknownOrders, Control::Disk];

/// Controls that nothing outside the process can trip, and the test that does.
const ELSEWHERE: [(Control, &str, &str); 1] = [(
    // The books are held against a second set of them in the same memory.
    Control::StateSeal,
    "src/risk/tests/breakers/seal.rs",
    "fault_p19_a_bit_that_flips_in_the_books_kills_within_a_second",
)];

/// The levels that the journal of a folder tells of a control.
fn journaled(dir: &Path, control: Control) -> Vec<Level> {
    let records = sound(dir, 2);
    let breakers = records.iter().filter(|event| event.kind() == Some(Kind::Breaker));
    breakers
        .map(Event::body::<Breaker>)
        .filter(|body| body.control == control as u16)
        .filter_map(|body| Level::from_u8(body.to))
        .collect()
}

/// Runs on until the state is `wanted`; what it was at the end.
fn wait_for(run: &mut Run, wanted: TradingState, until_ms: i64) -> (TradingState, u16) {
    let mut seen = run.state_after(1);
    while seen.0 != wanted && run.now() < Nanos::from_millis(until_ms) {
        seen = run.state_after(100);
    }
    seen
}

/// Runs on until a position is held.
fn wait_for_position(run: &mut Run) {
    let end = run.now() + Nanos::from_secs(10);
    while run.held() == 0 {
        assert!(run.now() < end, "no position");
        run.state_after(10);
    }
}

/// Runs on until nothing is held at the exchange any more; false where that takes too long.
fn is_left(run: &mut Run) -> bool {
    let end = run.now() + LEAVES;
    while run.held() != 0 && run.now() < end {
        run.state_after(100);
    }
    run.held() == 0
}

/// True where an order that leaves a position was approved in this state.
fn has_left(run: &Run, state: TradingState) -> bool {
    let is_exit = |purpose| Purpose::from_u8(purpose).is_some_and(|own| !own.is_entry());
    let left = &run.world.borrow().watch.left;
    left.iter().any(|&(purpose, within)| is_exit(purpose) && within == state as u8)
}

/// The breaker's level and the state that it leads to are alerts, as severe as they have to be.
fn is_alerted(dir: &Path, case: &Case) {
    let of_level = match case.level {
        Level::Clear | Level::Warn | Level::Reduce => Severity::P2,
        Level::Halt | Level::Kill => Severity::P1,
    };
    let of_state = match case.state {
        Halted | Killed => Severity::P0,
        Reducing => Severity::P1,
        Active | TradingState::Reconciling => Severity::P2,
    };
    let mut rules = Rules::new(u32::MAX);
    let (inputs, decided) = (sound(dir, 0), sound(dir, 2));
    let opening = inputs.iter().filter(|event| event.kind() == Some(Kind::Instrument));
    opening.for_each(|event| assert_eq!(rules.on_event(event), None, "an opening is no news"));
    let (mut levels, mut states) = (0, 0);
    for event in &decided {
        match event.kind() {
            Some(Kind::Breaker) => {
                let body: &Breaker = event.body();
                let of_control = body.control == case.control as u16 && event.has(flags::ON);
                if !of_control || body.to != case.level as u8 {
                    continue;
                }
                let alert = rules.on_event(event).expect("a level that rises is an alert");
                let name = case.control.name();
                let key = format!("breaker:{name}:{}", case.level.name());
                assert_eq!((alert.severity, alert.key), (of_level, key));
                let found = format!("found {}, bound {}", body.value, body.limit);
                assert!(alert.text.contains(&found), "{}", alert.text);
                let of_one = ["BTCUSDT", "ETHUSDT"].get(event.instrument().index());
                let named = of_one.is_none_or(|symbol| alert.text.starts_with(symbol));
                assert!(named, "{}", alert.text);
                levels += 1;
            }
            Some(Kind::StateChange) => {
                let body: &StateChange = event.body();
                if (body.to, body.reason) != (case.state as u8, case.reason as u16) {
                    continue;
                }
                let alert = rules.on_event(event).expect("a state is an alert");
                assert_eq!(alert.severity, of_state, "{}", alert.text);
                assert!(alert.text.contains(case.reason.name()), "{}", alert.text);
                states += 1;
            }
            _ => {}
        }
    }
    let name = (case.control, case.level);
    assert!(levels > 0 && states > 0, "{name:?}: {levels} alerts of it, {states} of its state");
}

/// A session under what goes wrong in a case, with these keys on top of its own.
fn start(case: &Case, more: &[(&str, &str, &str)]) -> Run {
    let mut plan = Plan::calm();
    (case.wrong)(&mut plan);
    let mut run = Run::configured(SEED, plan, &[case.keys, more].concat());
    if let Some(model) = case.model {
        run.give_model(model());
    }
    run.start();
    run
}

/// The same goes wrong for as long where the limit is out of reach, or, of a control without one,
/// nothing is done: the level is not reached.
fn holds_out(case: &Case, until: Nanos) {
    let mut run = start(case, &OUT_OF_REACH);
    if let Strike::Held(strike) = case.strike {
        run.state_after(TRADES_MS);
        wait_for_position(&mut run);
        if !LIMITLESS.contains(&case.control) {
            strike(&mut run);
        }
    }
    while run.now() < until {
        run.state_after(100);
    }
    let dir = run.crash().expect("it ran");
    let levels = journaled(&dir, case.control);
    assert!(!levels.contains(&case.level), "{:?} trips at no limit: {levels:?}", case.control);
}

fn trips(case: &Case) {
    let name = (case.control, case.level);
    let mut run = start(case, &[]);
    if let Strike::Held(strike) = case.strike {
        assert_eq!(run.state_after(TRADES_MS).0, Active, "{name:?}: it trades");
        wait_for_position(&mut run);
        strike(&mut run);
    }
    let tripped = wait_for(&mut run, case.state, case.until_ms);
    assert_eq!(tripped, (case.state, case.reason as u16), "{name:?}");
    let tripped_at = run.now();
    // Exits go on: whatever was held is left, where there is a market to leave at.
    let held = run.held();
    if case.control != Control::Staleness {
        assert!(is_left(&mut run), "{name:?}: a position is left");
        // While the venue is asked, what was under way before leaves it.
        let asks = case.state == TradingState::Reconciling;
        assert!(held == 0 || asks || has_left(&run, case.state), "{name:?}: by an exit of ours");
    }
    let dir = run.crash().expect("it ran");
    assert!(journaled(&dir, case.control).contains(&case.level), "{name:?}: is in the journal");
    is_alerted(&dir, case);
    let latched = matches!(case.state, Halted | Killed);
    let after = run.state_after(8_000);
    if latched {
        assert_eq!(after.0, case.state, "{name:?}: no restart lifts it");
    }
    let broken = std::mem::take(&mut run.world.borrow_mut().watch.broken);
    assert_eq!(broken, Vec::<String>::new(), "{name:?}: no entry has left since");
    holds_out(case, tripped_at + Nanos::from_secs(1));
}

#[test]
fn each_breaker_trips_on_the_exchange_is_journaled_alerts_and_outlives_the_process() {
    for case in cases::all() {
        trips(&case);
    }
}

/// Entries rest at the touch for long.
const MAKER: [(&str, &str, &str); 2] =
    [("policy", "enter_as_maker", "true"), ("policy", "entry_rest_ms_max", "60000")];

/// The entries that rest at the exchange: contract and number.
fn resting(run: &Run) -> Vec<(usize, u64)> {
    let world = run.world.borrow();
    let open = |contract| world.exchange.accounts.open_orders(0, contract);
    let all = (0..world.exchange.market.len()).flat_map(open);
    all.filter(|order| !order.reduce_only).map(|order| (order.contract, order.id)).collect()
}

#[test]
fn a_breaker_that_trips_has_the_entries_cancelled_that_rest_at_the_exchange() {
    for (measure, value, state) in
        [(Measure::Memory, 1 << 40, Reducing), (Measure::SegmentNeed, 120, Halted)]
    {
        let mut run = Run::configured(SEED, Plan::calm(), &MAKER);
        run.start();
        assert_eq!(run.state_after(TRADES_MS).0, Active);
        while resting(&run).is_empty() {
            run.state_after(10);
            assert!(run.now() < Nanos::from_secs(30), "no entry rests");
        }
        let rested = resting(&run);
        run.session().tell(measure, value);
        assert_eq!(run.state_after(1_000).0, state);
        assert_eq!(resting(&run), [], "{state:?}");
        for (contract, id) in rested {
            let name = OrderName { id: Some(id), client_id: None };
            let world = run.world.borrow();
            let order = world.exchange.accounts.order(0, contract, &name).unwrap();
            assert_eq!(order.status, Status::Canceled, "{state:?}: {order:?}");
        }
        let broken = std::mem::take(&mut run.world.borrow_mut().watch.broken);
        assert_eq!(broken, Vec::<String>::new());
    }
}

#[test]
fn every_breaker_there_is_has_its_case_here_or_its_test_elsewhere() {
    let here: Vec<Control> = cases::all().map(|case| case.control).collect();
    for control in Control::ALL {
        let elsewhere = ELSEWHERE.iter().find(|(own, ..)| *own == control);
        let count = usize::from(here.contains(&control)) + usize::from(elsewhere.is_some());
        assert_eq!(count, 1, "{control:?}: one or the other");
        let Some((_, file, test)) = elsewhere else { continue };
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(
            text.contains(&format!("#[test]\nfn {test}()")),
            "{control:?}: {file} has no {test}"
        );
    }
}

#[test]
fn a_reduction_ends_by_itself_and_the_session_trades_again() {
    let mut run = Run::configured(SEED, Plan::calm(), &[("breakers", "cool_down_s", "2")]);
    run.start();
    assert_eq!(run.state_after(TRADES_MS).0, Active);
    run.session().tell(Measure::Memory, 1 << 40);
    assert_eq!(run.state_after(500), (Reducing, Reason::MemoryHigh as u16));
    run.session().tell(Measure::Memory, 1);
    run.state_after(1_000);
    run.session().tell(Measure::Memory, 1);
    assert_eq!(run.state_after(900).0, Reducing, "the cool-down is not over");
    for _ in 0..5 {
        run.session().tell(Measure::Memory, 1);
        run.state_after(1_000);
    }
    assert_eq!(run.state_after(1).0, Active);
    let before = run.world.borrow().watch.sent;
    run.state_after(8_000);
    assert!(run.world.borrow().watch.sent > before, "it trades again");
}

#[test]
fn size_on_the_way_back_from_a_halt_is_the_same_after_the_process_died() {
    let mut run = Run::configured(SEED, Plan::calm(), &[]);
    run.start();
    assert_eq!(run.state_after(TRADES_MS).0, Active);
    run.session().tell(Measure::SegmentNeed, 120);
    assert_eq!(run.state_after(500).0, Halted);
    run.session().tell(Measure::SegmentNeed, 1);
    run.state_after(500);
    run.session().command(peregrine::risk::Verb::Arm as u32);
    assert_eq!(run.state_after(500).0, Active);
    let size = |run: &mut Run| run.session().risk().gate().size_percent();
    assert_eq!(size(&mut run), 50);
    let dir = run.crash().expect("it ran");
    run.replay(&dir);
    run.state_after(2_000);
    assert_eq!(size(&mut run), 50, "a restart is no reward");
    let broken = std::mem::take(&mut run.world.borrow_mut().watch.broken);
    assert_eq!(broken, Vec::<String>::new());
}
