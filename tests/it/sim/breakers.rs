//! Breakers in whole sessions against the simulated exchange: each trips under what should trip it,
//! is written down, lets nothing in and everything out, and is what it was after the process died.

use super::net::Line;
use super::plan::{Plan, fault};
use super::run::Run;
use crate::lanes::sound;
use peregrine::base::event::{Breaker, Event, Kind};
use peregrine::base::{Control, Level, Measure, Nanos, Reason};
use peregrine::risk::TradingState::{self, Active, Halted, Killed, Reducing};
use serde_json::json;

/// Of all these tests.
const SEED: u64 = 7;
/// By then the session trades.
const TRADES_MS: i64 = 12_000;

/// One breaker: what is configured, what goes wrong, and what follows.
struct Case {
    control: Control,
    keys: &'static [(&'static str, &'static str, &'static str)],
    wrong: fn(&mut Plan),
    told: Option<(Measure, i64)>,
    state: TradingState,
    reason: Reason,
    level: Level,
}

fn nothing(_: &mut Plan) {}

/// A mark price ten percent away is four hundred basis points of the account, lost or won.
fn marks_far_away(plan: &mut Plan) {
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let numbers = json!({"symbol": symbol, "bps": 1_000});
        let times = json!({"from": 12_000, "until": 25_000});
        plan.faults.push(fault("mark_divergence", numbers, times));
    }
}

/// What the cases have in common.
const fn base() -> Case {
    Case {
        control: Control::Fee,
        keys: &[],
        wrong: nothing,
        told: None,
        state: Halted,
        reason: Reason::FillFee,
        level: Level::Halt,
    }
}

/// What halts and kills by money.
fn money() -> Vec<Case> {
    vec![
        Case { keys: &[("breakers", "fee_bps", "1")], ..base() },
        Case {
            control: Control::DayLoss,
            keys: &[("breakers", "day_loss_warn_bps", "1"), ("breakers", "day_loss_halt_bps", "2")],
            reason: Reason::DailyLoss,
            ..base()
        },
        Case {
            control: Control::DayLoss,
            keys: &[
                ("breakers", "day_loss_warn_bps", "1"),
                ("breakers", "day_loss_halt_bps", "20"),
                ("breakers", "day_loss_kill_bps", "21"),
            ],
            wrong: marks_far_away,
            state: Killed,
            reason: Reason::DailyLoss,
            level: Level::Kill,
            ..base()
        },
        Case {
            control: Control::Drawdown,
            keys: &[
                ("breakers", "drawdown_reduce_bps", "20"),
                ("breakers", "drawdown_halt_bps", "21"),
            ],
            wrong: marks_far_away,
            reason: Reason::Drawdown,
            ..base()
        },
        Case {
            control: Control::LossesInARow,
            keys: &[
                ("breakers", "losses_half", "1"),
                ("breakers", "losses_quarter", "2"),
                ("breakers", "losses_halt", "3"),
            ],
            reason: Reason::ConsecutiveLosses,
            ..base()
        },
    ]
}

/// What the market and the machine do.
fn others() -> Vec<Case> {
    vec![
        Case {
            control: Control::Staleness,
            wrong: |plan| {
                let silence = (Nanos::from_secs(13), Nanos::from_secs(40));
                plan.manners[Line::Market as usize].down.push(silence);
            },
            state: Reducing,
            reason: Reason::FeedStale,
            level: Level::Reduce,
            ..base()
        },
        Case {
            control: Control::Jump,
            keys: &[("breakers", "jump_trip_bps", "100"), ("breakers", "jump_clear_bps", "50")],
            wrong: |plan| {
                let numbers = json!({"symbol": "BTCUSDT", "bps": 300});
                let times = json!({"from": 14_000, "until": 15_000});
                plan.faults.push(fault("price_spike", numbers, times));
            },
            state: Reducing,
            reason: Reason::PriceJump,
            level: Level::Reduce,
            ..base()
        },
        Case {
            control: Control::SendToAck,
            keys: &[("breakers", "send_to_ack_ms", "300")],
            // Later than that, and within the time the venue lets a request be under way.
            wrong: |plan| plan.manners[Line::Entry as usize].delay = Nanos::from_millis(250),
            state: Reducing,
            reason: Reason::SendToAckSlow,
            level: Level::Reduce,
            ..base()
        },
        Case {
            control: Control::CoreStall,
            told: Some((Measure::CoreStall, 1_500)),
            state: Reducing,
            reason: Reason::CoreStalled,
            level: Level::Reduce,
            ..base()
        },
        Case {
            control: Control::TickToGate,
            told: Some((Measure::TickToGate, 200_000)),
            state: Reducing,
            reason: Reason::TickToGateSlow,
            level: Level::Reduce,
            ..base()
        },
        Case {
            control: Control::Disk,
            told: Some((Measure::SegmentNeed, 120)),
            reason: Reason::DiskShort,
            ..base()
        },
    ]
}

/// The levels that the journal of a folder tells of a control.
fn journaled(dir: &std::path::Path, control: Control) -> Vec<Level> {
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

fn trips(case: &Case) {
    let name = (case.control, case.level);
    let mut plan = Plan::calm();
    (case.wrong)(&mut plan);
    let mut run = Run::configured(SEED, plan, case.keys);
    run.start();
    if let Some((measure, value)) = case.told {
        assert_eq!(run.state_after(TRADES_MS).0, Active, "{name:?}: it trades");
        run.session().tell(measure, value);
    }
    let tripped = wait_for(&mut run, case.state, 38_000);
    assert_eq!(tripped, (case.state, case.reason as u16), "{name:?}");
    // Exits and cancels go on: whatever was held is left, where there is a market to leave at.
    if case.control != Control::Staleness {
        run.state_after(6_500);
        assert_eq!(run.held(), 0, "{name:?}: a position is left");
    }
    let dir = run.crash().expect("it ran");
    assert!(journaled(&dir, case.control).contains(&case.level), "{name:?}: is in the journal");
    let latched = matches!(case.state, Halted | Killed);
    let after = run.state_after(8_000);
    if latched {
        assert_eq!(after.0, case.state, "{name:?}: no restart lifts it");
    }
    let broken = std::mem::take(&mut run.world.borrow_mut().watch.broken);
    assert_eq!(broken, Vec::<String>::new(), "{name:?}: no entry has left since");
}

#[test]
fn each_breaker_trips_on_the_exchange_is_journaled_and_outlives_the_process() {
    for case in money().into_iter().chain(others()) {
        trips(&case);
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
