//! Every key of `[breakers]` bites: the same course of events ends otherwise with another value.
//! The list is held against the table itself, so that a key without a case is a failure.

use super::*;

/// A key: its name, its place, two values, and what is seen after a course of events.
type Key = (&'static str, fn(&mut BreakerSettings) -> &mut u32, [u32; 2], fn(&mut Desk) -> u32);

fn level(desk: &Desk, control: Control) -> u32 {
    desk.level(control) as u32
}

fn lost(desk: &mut Desk, percent_of_a_hundred: i64) -> u32 {
    desk.receive(Money::whole(-100 * percent_of_a_hundred));
    desk.settle();
    10 * level(desk, Control::DayLoss) + level(desk, Control::Drawdown)
}

fn refused(desk: &mut Desk, outcomes: &[bool]) -> u32 {
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    for &taken in outcomes {
        desk.answer((!taken).then_some(Reason::VenueRejected));
    }
    10 * level(desk, Control::RejectsInARow) + level(desk, Control::RejectRate)
}

fn silent(desk: &mut Desk) -> u32 {
    desk.wait(2_000);
    level(desk, Control::Staleness)
}

fn recovered(desk: &mut Desk) -> u32 {
    desk.wait(5_000);
    for _ in 0..10 {
        desk.now = desk.now + Nanos::from_millis(10);
        for id in [BTC, ETH] {
            desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
            let (bid_px, ask_px) = (px("99.9").0, px("100.1").0);
            let body = BookTicker { bid_px, ask_px, ..BookTicker::default() };
            desk.show(Event::new(Kind::BookTicker, id, &body));
        }
    }
    desk.quiet(5_500);
    level(desk, Control::Staleness)
}

fn spread(desk: &mut Desk) -> u32 {
    desk.tick("99.75", "100.25");
    let tripped = level(desk, Control::Spread);
    for _ in 0..60 {
        desk.wait(100);
        desk.tick("99.85", "100.15");
    }
    10 * tripped + level(desk, Control::Spread)
}

fn range(desk: &mut Desk) -> u32 {
    for i in 0..60 {
        desk.quiet(1_000);
        desk.predict(0.5, i, "1");
    }
    let mut seen = 0;
    for (i, atr) in ["3", "1.7", "1.7", "1.7", "1.7", "1.7", "1.7", "1.7"].into_iter().enumerate() {
        desk.quiet(1_000);
        desk.predict(0.6, 100 + i as u64, atr);
        seen = 10 * seen.min(9) + level(desk, Control::Range);
    }
    seen
}

fn jump(desk: &mut Desk) -> u32 {
    desk.tick("99.9", "100.1");
    desk.tick("110.9", "111.1");
    let tripped = level(desk, Control::Jump);
    // The bars after it move by seven percent each.
    for i in 0..300 {
        desk.wait(1_000);
        let (bid, ask) = if i % 2 == 0 { ("110.9", "111.1") } else { ("103.4", "103.6") };
        desk.tick(bid, ask);
    }
    10 * tripped + level(desk, Control::Jump)
}

/// A move of eleven percent, half of it in each of two bars of a minute.
fn slow_move(desk: &mut Desk) -> u32 {
    desk.now = NOON + Nanos::from_secs(58);
    desk.tick("99.9", "100.1");
    desk.tick("105.4", "105.6");
    desk.now = NOON + Nanos::from_secs(61);
    desk.tick("105.4", "105.6");
    desk.tick("110.9", "111.1");
    level(desk, Control::Jump)
}

fn slow_answers(desk: &mut Desk) -> u32 {
    for _ in 0..6 {
        let client_id = desk.passes(&Wanted { qty: qty("0.1"), px: px("99"), ..entry() });
        desk.now = desk.now + Nanos::from_millis(300);
        for id in [BTC, ETH] {
            desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
        }
        desk.hear(Kind::OrderAccepted, BTC, &OrderReport { client_id, ..OrderReport::default() });
        desk.end_orders();
    }
    desk.quiet(1_000);
    level(desk, Control::SendToAck)
}

fn invalid(desk: &mut Desk) -> u32 {
    let reason = Reason::ModelOutput as u16;
    let body = NoDecision { reason, ..NoDecision::default() };
    (0..5).for_each(|_| {
        desk.show(Event::new(Kind::NoDecision, BTC, &body));
    });
    level(desk, Control::InvalidOutputs)
}

fn cooled(desk: &mut Desk) -> u32 {
    desk.measure(Measure::Memory, 100_000);
    for _ in 0..30 {
        desk.quiet(100);
        desk.measure(Measure::Memory, 1);
    }
    level(desk, Control::Memory)
}

/// After a halt: the size at once, and after two round trips and twenty seconds.
fn resumed(desk: &mut Desk) -> u32 {
    desk.measure(Measure::SegmentNeed, 100);
    desk.measure(Measure::SegmentNeed, 0);
    desk.quiet(1_000);
    desk.command(Verb::Arm);
    let first = desk.gate.size_percent();
    desk.round_trip("101");
    desk.round_trip("101");
    desk.quiet(20_000);
    1_000 * first + desk.gate.size_percent()
}

const fn measured<const M: usize>() -> fn(&mut Desk) -> u32 {
    |desk| {
        desk.measure(Measure::ALL[M], 90);
        let at = [
            Control::TickToGate,
            Control::RingDepth,
            Control::Disk,
            Control::Disk,
            Control::Memory,
            Control::Files,
            Control::CoreStall,
            Control::TickToGateP95,
        ];
        level(desk, at[M])
    }
}

/// Money and orders.
const FIRST: [Key; 13] = [
    ("day_loss_warn_bps", |s| &mut s.day_loss_warn_bps, [100, 200], |d| lost(d, 150)),
    ("day_loss_halt_bps", |s| &mut s.day_loss_halt_bps, [250, 300], |d| lost(d, 270)),
    ("day_loss_kill_bps", |s| &mut s.day_loss_kill_bps, [400, 500], |d| lost(d, 450)),
    ("drawdown_reduce_bps", |s| &mut s.drawdown_reduce_bps, [100, 1_500], |d| lost(d, 150)),
    ("drawdown_halt_bps", |s| &mut s.drawdown_halt_bps, [1_600, 2_000], |d| lost(d, 1_700)),
    (
        "losses_half",
        |s| &mut s.losses_half,
        [1, 3],
        |d| {
            d.round_trip("99");
            d.gate.size_percent()
        },
    ),
    (
        "losses_quarter",
        |s| &mut s.losses_quarter,
        [3, 4],
        |d| {
            (0..3).for_each(|_| d.round_trip("99"));
            d.gate.size_percent()
        },
    ),
    (
        "losses_halt",
        |s| &mut s.losses_halt,
        [5, 6],
        |d| {
            (0..5).for_each(|_| d.round_trip("99"));
            level(d, Control::LossesInARow)
        },
    ),
    (
        "slippage_bps",
        |s| &mut s.slippage_bps,
        [10, 50],
        |d| {
            d.fill_entry("100.3", "0");
            level(d, Control::Slippage)
        },
    ),
    (
        "fee_bps",
        |s| &mut s.fee_bps,
        [10, 20],
        |d| {
            d.fill_entry("100.1", "0.15");
            level(d, Control::Fee)
        },
    ),
    ("rejects_in_a_row", |s| &mut s.rejects_in_a_row, [3, 5], |d| refused(d, &[false; 3])),
    ("rejects_percent", |s| &mut s.rejects_percent, [3, 20], |d| refused(d, &[false, true, false])),
    ("rejects_window", |s| &mut s.rejects_window, [6, 50], |d| refused(d, &[false, true, false])),
];

/// Market, latency and machine.
const SECOND: [Key; 16] = [
    ("stale_degraded_ms", |s| &mut s.stale_degraded_ms, [1_000, 4_000], silent),
    ("stale_ms", |s| &mut s.stale_ms, [1_500, 5_000], silent),
    ("stale_good_ticks", |s| &mut s.stale_good_ticks, [10, 10_000], recovered),
    ("spread_trip_bps", |s| &mut s.spread_trip_bps, [50, 60], spread),
    ("spread_clear_bps", |s| &mut s.spread_clear_bps, [20, 40], spread),
    ("range_trip_percent", |s| &mut s.range_trip_percent, [250, 400], range),
    ("range_clear_percent", |s| &mut s.range_clear_percent, [150, 200], range),
    ("jump_trip_bps", |s| &mut s.jump_trip_bps, [1_000, 1_200], jump),
    ("jump_clear_bps", |s| &mut s.jump_clear_bps, [500, 800], jump),
    ("jump_bar_s", |s| &mut s.jump_bar_s, [60, 120], slow_move),
    ("tick_to_gate_us", |s| &mut s.tick_to_gate_us, [80, 100], measured::<0>()),
    ("tick_to_gate_p95_us", |s| &mut s.tick_to_gate_p95_us, [80, 100], measured::<7>()),
    (
        "send_to_ack_p95_ms",
        |s| &mut s.send_to_ack_p95_ms,
        [300, 500],
        |d| {
            let _ = slow_answers(d);
            level(d, Control::SendToAckP95)
        },
    ),
    ("send_to_ack_ms", |s| &mut s.send_to_ack_ms, [300, 500], slow_answers),
    ("ring_percent", |s| &mut s.ring_percent, [50, 95], measured::<1>()),
    ("memory_mib", |s| &mut s.memory_mib, [80, 100], measured::<4>()),
];

/// Machine, model, gate and the way back.
const THIRD: [Key; 8] = [
    ("files_percent", |s| &mut s.files_percent, [80, 95], measured::<5>()),
    ("core_stall_ms", |s| &mut s.core_stall_ms, [80, 100], measured::<6>()),
    ("invalid_outputs", |s| &mut s.invalid_outputs, [5, 10], invalid),
    ("cool_down_s", |s| &mut s.cool_down_s, [1, 60], cooled),
    ("restart_first_percent", |s| &mut s.restart_first_percent, [50, 60], resumed),
    ("restart_second_percent", |s| &mut s.restart_second_percent, [75, 80], resumed),
    ("restart_round_trips", |s| &mut s.restart_round_trips, [2, 3], resumed),
    ("restart_step_s", |s| &mut s.restart_step_s, [10, 600], resumed),
];

/// What is measured before it comes here: `runtime::measures` has its case.
const MEASURED_ELSEWHERE: [&str; 1] = ["disk_reserve_hours"];

fn keys() -> impl Iterator<Item = Key> {
    FIRST.into_iter().chain(SECOND).chain(THIRD)
}

/// The desk of a case: its own values, and others that leave it alone.
fn desk_for(name: &str, place: fn(&mut BreakerSettings) -> &mut u32, value: u32) -> Desk {
    let money = ["day_loss", "drawdown", "losses"].iter().any(|start| name.starts_with(start));
    let mut settings = if money { BreakerSettings::default() } else { alone() };
    (settings.restart_round_trips, settings.restart_step_s) = (2, 10);
    *place(&mut settings) = value;
    desk(&settings)
}

#[test]
fn every_key_bites() {
    for (name, place, values, course) in keys() {
        let seen = values.map(|value| {
            let mut desk = desk_for(name, place, value);
            desk.tick("99.9", "100.1");
            course(&mut desk)
        });
        assert_ne!(seen[0], seen[1], "{name} at {values:?} makes no difference");
    }
}

#[test]
fn no_key_is_without_a_case_and_each_case_is_a_keys() {
    let table = format!("{:?}", BreakerSettings::default());
    let inner = table.trim_start_matches("BreakerSettings { ").trim_end_matches(" }");
    let mut there: Vec<&str> =
        inner.split(", ").map(|pair| pair.split_once(':').unwrap().0).collect();
    let mut cases: Vec<&str> = keys().map(|key| key.0).chain(MEASURED_ELSEWHERE).collect();
    there.sort_unstable();
    cases.sort_unstable();
    assert_eq!(cases, there);
}
