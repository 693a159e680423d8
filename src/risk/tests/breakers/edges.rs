//! Each level at its limit and one unit inside, and what it leaves open.

use super::*;
use TradingState::{Active, Halted, Killed, Reducing};

/// What brings a control to its limit, or one unit before it.
type Reach = fn(&mut Desk, bool);

struct Case {
    control: Control,
    level: Level,
    reason: Reason,
    reach: Reach,
}

const fn case(control: Control, level: Level, reason: Reason, reach: Reach) -> Case {
    Case { control, level, reason, reach }
}

fn lose(desk: &mut Desk, amount: &str, inside: bool) {
    let loss = Money(-money(amount).0 + i64::from(inside));
    desk.receive(loss);
    desk.settle();
}

fn measured(desk: &mut Desk, measure: Measure, limit: u32, inside: bool) {
    desk.measure(measure, i64::from(limit) - i64::from(inside));
}

/// The cases of controls whose money limits stand as in the control table.
fn money_cases() -> Vec<(BreakerSettings, Case)> {
    use Control::{DayLoss, Drawdown, LossesInARow};
    use Level::{Halt, Kill, Reduce, Warn};
    let day = BreakerSettings {
        drawdown_reduce_bps: 9_998,
        drawdown_halt_bps: 9_999,
        ..BreakerSettings::default()
    };
    let fall = BreakerSettings { drawdown_reduce_bps: 1_500, drawdown_halt_bps: 2_000, ..alone() };
    let row = BreakerSettings { losses_half: 3, losses_quarter: 4, losses_halt: 5, ..alone() };
    let lost = Reason::DailyLoss;
    vec![
        // 2, 3 and 5 % of a million.
        (day, case(DayLoss, Warn, lost, |d, inside| lose(d, "20000", inside))),
        (day, case(DayLoss, Halt, lost, |d, inside| lose(d, "30000", inside))),
        (day, case(DayLoss, Kill, lost, |d, inside| lose(d, "50000", inside))),
        (fall, case(Drawdown, Reduce, Reason::Drawdown, |d, inside| lose(d, "150000", inside))),
        (fall, case(Drawdown, Halt, Reason::Drawdown, |d, inside| lose(d, "200000", inside))),
        (
            row,
            case(LossesInARow, Halt, Reason::ConsecutiveLosses, |d, inside| {
                (0..5 - usize::from(inside)).for_each(|_| d.round_trip("99"));
            }),
        ),
    ]
}

fn market_cases() -> Vec<Case> {
    use Control as C;
    use Level::{Halt, Reduce, Warn};
    vec![
        // 50 basis points of 100.1 are 0.5005.
        case(C::Slippage, Reduce, Reason::FillSlippage, |d, inside| {
            d.fill_entry(if inside { "100.6005" } else { "100.60050001" }, "0");
        }),
        // 20 basis points of 100.1 are 0.2002.
        case(C::Fee, Halt, Reason::FillFee, |d, inside| {
            d.fill_entry("100.1", if inside { "0.2002" } else { "0.20020001" });
        }),
        case(C::Staleness, Warn, Reason::FeedStale, |d, inside| {
            d.wait(1_000 - i64::from(inside));
        }),
        case(C::Staleness, Reduce, Reason::FeedStale, |d, inside| {
            d.wait(5_000 - i64::from(inside));
        }),
        // Of a mid of 100.
        case(C::Spread, Reduce, Reason::SpreadWide, |d, inside| {
            d.tick("99.75", if inside { "100.24" } else { "100.25" });
        }),
        case(C::Jump, Reduce, Reason::PriceJump, |d, inside| {
            d.tick("99.9", "100.1");
            let (bid, ask) = if inside { ("109.98", "109.99") } else { ("110", "110") };
            d.tick(bid, if inside { ask } else { "110.2" });
        }),
        case(C::Range, Reduce, Reason::RangeWide, |d, inside| {
            for i in 0..60 {
                d.quiet(1_000);
                d.predict(0.5 + i as f32 / 1_000.0, i, "1");
            }
            d.quiet(1_000);
            d.predict(0.6, 99, if inside { "2.49" } else { "2.5" });
        }),
        case(C::RejectsInARow, Halt, Reason::RejectsInARow, |d, inside| {
            d.hold(BTC, Side::Buy, qty("1"), px("100"));
            (0..5 - i32::from(inside)).for_each(|_| d.answer(Some(Reason::VenueRejected)));
        }),
        case(C::RejectRate, Halt, Reason::RejectRate, |d, inside| {
            d.hold(BTC, Side::Buy, qty("1"), px("100"));
            // A refusal, an acceptance: ten of each are a fifth of fifty.
            for _ in 0..10 - i32::from(inside) {
                d.answer(Some(Reason::VenueRejected));
                d.answer(None);
            }
        }),
        case(C::InvalidOutputs, Reduce, Reason::OutputsInvalid, |d, inside| {
            for _ in 0..10 - i32::from(inside) {
                let reason = Reason::FeatureNotFinite as u16;
                let body = NoDecision { reason, ..NoDecision::default() };
                d.show(Event::new(Kind::NoDecision, BTC, &body));
            }
            d.settle();
        }),
    ]
}

fn measured_cases() -> Vec<Case> {
    use Control as C;
    use Level::{Halt, Reduce};
    vec![
        case(C::TickToGate, Reduce, Reason::TickToGateSlow, |d, inside| {
            measured(d, Measure::TickToGate, 1_000, inside);
        }),
        case(C::TickToGateP95, Reduce, Reason::TickToGateSlow, |d, inside| {
            measured(d, Measure::TickToGateP95, 1_000, inside);
        }),
        case(C::RingDepth, Reduce, Reason::RingDeep, |d, inside| {
            measured(d, Measure::RingDepth, 50, inside);
        }),
        case(C::Memory, Reduce, Reason::MemoryHigh, |d, inside| {
            measured(d, Measure::Memory, 8_192, inside);
        }),
        case(C::Files, Reduce, Reason::FilesHigh, |d, inside| {
            measured(d, Measure::Files, 80, inside);
        }),
        case(C::CoreStall, Reduce, Reason::CoreStalled, |d, inside| {
            measured(d, Measure::CoreStall, 100, inside);
        }),
        case(C::Disk, Reduce, Reason::DiskShort, |d, inside| {
            measured(d, Measure::DiskNeed, 100, inside);
        }),
        case(C::Disk, Halt, Reason::DiskShort, |d, inside| {
            measured(d, Measure::SegmentNeed, 100, inside);
        }),
    ]
}

/// Runs a case one unit inside and at its limit.
fn runs(settings: &BreakerSettings, case: &Case) {
    let name = (case.control, case.level);
    let mut inside = desk(settings);
    inside.tick("99.9", "100.1");
    (case.reach)(&mut inside, true);
    assert!(inside.level(case.control) < case.level, "{name:?}: one unit inside");

    let mut at = desk(settings);
    at.tick("99.9", "100.1");
    at.hold(BTC, Side::Buy, qty("2"), px("100"));
    (case.reach)(&mut at, false);
    assert_eq!(at.level(case.control), case.level, "{name:?}: at the limit");
    let state = match case.level {
        Level::Clear | Level::Warn => Active,
        Level::Reduce => Reducing,
        Level::Halt => Halted,
        Level::Kill => Killed,
    };
    assert_eq!(at.gate.state(), state, "{name:?}");
    if case.level == Level::Warn {
        return;
    }
    assert_eq!(at.gate.state_reason(), case.reason, "{name:?}");
    at.now = at.now + Nanos::from_millis(10);
    for id in [BTC, ETH] {
        at.ledger.on_touch(id, px("99.9"), px("100.1"), at.now);
    }
    at.is_denied(&Wanted { instrument: ETH, ..entry() }, Reason::TradingState);
    let leaves = if state == Killed { Purpose::Flatten } else { Purpose::ExitSignal };
    at.passes(&Wanted { purpose: leaves, ..exit() });
}

#[test]
fn every_level_trips_at_its_limit_and_lets_exits_out_and_one_unit_inside_does_not() {
    for (settings, case) in money_cases() {
        runs(&settings, &case);
    }
    for case in market_cases().into_iter().chain(measured_cases()) {
        runs(&alone(), &case);
    }
}

#[test]
fn rc_27_unknown_orders_and_rc_22_amounts_are_told_as_levels_too() {
    let mut risk = generous();
    risk.daily_loss_max = Some(Money::whole(10));
    let mut desk = Desk::new(&risk);
    desk.gate = desk.gate.with_breakers(&alone(), &risk);
    desk.receive(Money(-Money::whole(10).0 + 1));
    desk.settle();
    assert_eq!(desk.gate.state(), Active);
    desk.receive(Money(-1));
    desk.settle();
    assert_eq!((desk.level(Control::DayLossAmount), desk.gate.state()), (Level::Halt, Halted));
}

#[test]
fn rc_22_a_day_begins_at_00_00_utc_with_what_the_equity_is_then() {
    let settings = BreakerSettings {
        drawdown_reduce_bps: 9_000,
        drawdown_halt_bps: 9_500,
        ..BreakerSettings::default()
    };
    let mut desk = desk(&settings);
    desk.tick("99.9", "100.1");
    desk.receive(Money::whole(-25_000));
    desk.settle();
    assert_eq!(desk.level(Control::DayLoss), Level::Warn);
    // Twelve hours after noon, with a timer on either side of midnight.
    desk.now = NOON + Nanos::from_secs(43_200) - Nanos::from_millis(100);
    desk.wait(99);
    assert_eq!(desk.level(Control::DayLoss), Level::Warn);
    desk.wait(1);
    assert_eq!(desk.level(Control::DayLoss), Level::Clear, "a new day has lost nothing yet");
    // 3 % of the 975 000 that are left.
    desk.receive(Money(-Money::whole(29_250).0 + 1));
    desk.settle();
    assert_eq!(desk.level(Control::DayLoss), Level::Warn);
    desk.receive(Money(-1));
    desk.settle();
    assert_eq!(desk.gate.state(), Halted);
}

#[test]
fn rc_40_the_95th_and_the_99th_percentile_of_a_minute_of_answers_reduce() {
    // By the nearest rank the slowest of a hundred does not count for the one, and the slowest five
    // do not for the other.
    let late = BreakerSettings { send_to_ack_ms: 600_000, ..alone() };
    let cases = [(Control::SendToAck, alone(), 1), (Control::SendToAckP95, late, 5)];
    for (control, settings, apart) in cases {
        let mut desk = desk(&settings);
        // The same entry again and again would halt.
        let mut asked = 0;
        let mut slow = |desk: &mut Desk, ms: i64| {
            asked += 1;
            let other = Px(px("99").0 - px("0.2").0 * (asked % 50));
            let client_id = desk.passes(&Wanted { qty: qty("0.1"), px: other, ..entry() });
            desk.now = desk.now + Nanos::from_millis(ms);
            for id in [BTC, ETH] {
                desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
            }
            let body = OrderReport { client_id, ..OrderReport::default() };
            desk.hear(Kind::OrderAccepted, BTC, &body);
            desk.end_orders();
        };
        (0..100 - apart).for_each(|_| slow(&mut desk, 10));
        (0..apart).for_each(|_| slow(&mut desk, 500));
        desk.quiet(1_000);
        assert_eq!(desk.level(control), Level::Clear);
        slow(&mut desk, 500);
        desk.quiet(1_000);
        assert_eq!((desk.level(control), desk.gate.state()), (Level::Reduce, Reducing));
        desk.quiet(70_000);
        assert_eq!((desk.level(control), desk.gate.state()), (Level::Clear, Active));
    }
}
