//! How trading comes back: cool-downs, the ladder of stale data, sizes, what waits for a person.

use super::*;
use TradingState::{Active, Halted, Killed, Reconciling, Reducing};

#[test]
fn rc_39_each_pair_has_its_other_limit_and_then_the_cool_down() {
    let mut desk = desk(&alone());
    desk.tick("99.75", "100.25");
    assert_eq!(desk.gate.state(), Reducing);
    // 20 basis points are not below 20.
    for _ in 0..100 {
        desk.wait(100);
        desk.tick("99.9", "100.1");
        desk.ledger.on_touch(ETH, px("99.9"), px("100.1"), desk.now);
    }
    assert_eq!(desk.level(Control::Spread), Level::Reduce);
    let calm = |desk: &mut Desk, ms: i64| {
        for _ in 0..ms / 100 {
            desk.wait(100);
            desk.tick("99.91", "100.09");
            desk.ledger.on_touch(ETH, px("99.9"), px("100.1"), desk.now);
        }
    };
    calm(&mut desk, 5_000);
    assert_eq!(desk.level(Control::Spread), Level::Reduce, "the cool-down is not over");
    calm(&mut desk, 200);
    assert_eq!(desk.level(Control::Spread), Level::Clear);
    assert_eq!(desk.gate.state(), Active, "one cool-down is enough");
}

#[test]
fn what_the_venue_tells_is_followed_by_one_cool_down_and_a_breaker_s_serves_it_no_second_time() {
    let mut desk = desk(&alone());
    desk.tick("99.9", "100.1");
    let status = |desk: &mut Desk, bits: u8| {
        let reason = Reason::OrderEntryDown as u16;
        let body = VenueStatus { reason, ..VenueStatus::default() };
        let event = desk.told(Kind::VenueStatus, InstrumentId::NONE, &body).with_flags(bits);
        let _ = desk.gate.on_venue_status(&event);
    };
    status(&mut desk, 0);
    desk.measure(Measure::Memory, 8_192);
    desk.quiet(1_000);
    desk.measure(Measure::Memory, 1);
    desk.quiet(2_000);
    // The breaker's cool-down began two seconds before this one, and this one ends last.
    status(&mut desk, flags::ON);
    let over = desk.now;
    while desk.gate.state() == Reducing && desk.now < over + Nanos::from_secs(60) {
        desk.quiet(100);
        desk.measure(Measure::Memory, 1);
    }
    let took = desk.now - over;
    assert!((5_000..5_300).contains(&took.to_millis()), "{took:?}");
}

#[test]
fn rc_15_a_prediction_is_no_tick_and_neither_is_a_crossed_or_late_one() {
    type Tick = fn(&mut Desk);
    let settings = BreakerSettings { cool_down_s: 1, stale_good_ticks: 3, ..alone() };
    let good: Tick = |desk| desk.tick("99.9", "100.1");
    let bad: [(&str, Tick); 3] = [
        ("a prediction", |desk| desk.predict(0.6, 1, "1")),
        ("crossed", |desk| desk.tick("100.1", "99.9")),
        ("late", |desk| {
            let body =
                BookTicker { bid_px: px("99.9").0, ask_px: px("100.1").0, ..Default::default() };
            let mut event = Event::new(Kind::BookTicker, BTC, &body);
            event.ts_venue = (desk.now - Nanos::from_millis(1_000)).0;
            desk.show(event);
        }),
    ];
    for (name, bad) in bad {
        let mut desk = desk(&settings);
        good(&mut desk);
        desk.wait(5_000);
        let mut step = |tick: Tick| {
            desk.now = desk.now + Nanos::from_millis(10);
            tick(&mut desk);
            desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), desk.now);
            desk.gate.breakers.to_recover(BTC)
        };
        assert_eq!([step(good), step(good), step(good)], [3, 2, 1], "{name}");
        let after = step(bad);
        assert_eq!(after, if name == "a prediction" { 1 } else { 3 }, "{name}");
    }
}

#[test]
fn rc_15_nothing_is_entered_before_enough_good_ticks_in_a_row() {
    let mut desk = desk(&BreakerSettings { stale_good_ticks: 2, ..alone() });
    desk.tick("99.9", "100.1");
    desk.now = desk.now + Nanos::from_millis(4_999);
    desk.tick("99.9", "100.1");
    desk.passes(&entry());
    // Nobody told the time meanwhile: the tick itself shows the silence.
    desk.now = desk.now + Nanos::from_millis(5_000);
    let ticked = |desk: &mut Desk| {
        desk.now = desk.now + Nanos::from_millis(10);
        let body = BookTicker { bid_px: px("99.9").0, ask_px: px("100.1").0, ..Default::default() };
        desk.told(Kind::BookTicker, BTC, &body);
    };
    ticked(&mut desk);
    desk.is_denied(&entry(), Reason::MarketRecovering);
    ticked(&mut desk);
    desk.is_denied(&entry(), Reason::MarketRecovering);
    ticked(&mut desk);
    desk.passes(&entry());
}

#[test]
fn rc_15_data_that_was_stale_is_live_again_after_enough_good_ticks_in_a_row() {
    let settings = BreakerSettings { cool_down_s: 1, ..alone() };
    let mut desk = desk(&settings);
    desk.tick("99.9", "100.1");
    let records = desk.wait(5_000);
    assert_eq!(
        told(&records, Control::Staleness),
        [(Level::Warn, true), (Level::Reduce, true)],
        "degraded, then stale"
    );
    // Nineteen good ticks, then silence that degrades: it begins again.
    let ticks = |desk: &mut Desk, count: usize| {
        for _ in 0..count {
            desk.now = desk.now + Nanos::from_millis(50);
            for id in [BTC, ETH] {
                desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
            }
            desk.tick("99.9", "100.1");
        }
    };
    ticks(&mut desk, 19);
    desk.wait(1_100);
    ticks(&mut desk, 19);
    desk.quiet(0);
    assert_eq!(desk.level(Control::Staleness), Level::Reduce);
    ticks(&mut desk, 1);
    // ETH has had no ticks of its own, only touches: it never went through the ladder's ticks.
    let body = BookTicker { bid_px: px("99.9").0, ask_px: px("100.1").0, ..BookTicker::default() };
    for _ in 0..60 {
        desk.now = desk.now + Nanos::from_millis(50);
        desk.show(Event::new(Kind::BookTicker, ETH, &body));
        desk.tick("99.9", "100.1");
        desk.wait(50);
    }
    assert_eq!(desk.level(Control::Staleness), Level::Clear);
    desk.quiet(2_000);
    assert_eq!(desk.gate.state(), Active);
}

#[test]
fn rc_24_losses_shrink_entries_and_a_gain_gives_their_size_back() {
    let settings = BreakerSettings { losses_half: 3, losses_quarter: 4, losses_halt: 6, ..alone() };
    let mut desk = desk(&settings);
    let mut sizes = Vec::new();
    for close in ["99", "99", "99", "99", "99", "101"] {
        desk.round_trip(close);
        sizes.push(desk.gate.size_percent());
    }
    assert_eq!(sizes, [100, 100, 50, 25, 25, 100]);
}

#[test]
fn a_halt_is_left_by_a_person_alone_and_then_size_comes_back_in_steps() {
    let settings = BreakerSettings {
        losses_half: 1_000,
        losses_quarter: 1_001,
        losses_halt: 1_002,
        restart_round_trips: 2,
        restart_step_s: 10,
        ..BreakerSettings::default()
    };
    let mut desk = desk(&settings);
    desk.tick("99.9", "100.1");
    desk.measure(Measure::SegmentNeed, 100);
    assert_eq!(desk.gate.state(), Halted);
    desk.measure(Measure::SegmentNeed, 0);
    desk.quiet(3_600_000 / 100);
    assert_eq!((desk.level(Control::Disk), desk.gate.state()), (Level::Clear, Halted));
    let before = desk.gate.size_percent();
    desk.command(Verb::Arm);
    assert_eq!((before, desk.gate.state(), desk.gate.size_percent()), (100, Active, 50));
    desk.round_trip("101");
    desk.round_trip("101");
    desk.quiet(9_800);
    assert_eq!(desk.gate.size_percent(), 50, "its time is not over");
    desk.quiet(400);
    assert_eq!(desk.gate.size_percent(), 75);
    desk.round_trip("99");
    desk.round_trip("101");
    desk.quiet(20_000);
    assert_eq!(desk.gate.size_percent(), 75, "one round trip since the loss");
    desk.round_trip("101");
    desk.quiet(200);
    assert_eq!(desk.gate.size_percent(), 100);
}

#[test]
fn a_first_start_is_no_halt_and_begins_with_the_whole_size() {
    let mut desk = desk(&alone());
    desk.command(Verb::Arm);
    assert_eq!(desk.gate.size_percent(), 100);
}

#[test]
fn rc_36_no_word_of_an_operator_loosens_what_is_still_at_its_limit() {
    let mut desk = desk(&BreakerSettings::default());
    desk.tick("99.9", "100.1");
    desk.receive(Money::whole(-30_000));
    desk.settle();
    assert_eq!(desk.gate.state(), Halted);
    desk.command(Verb::Arm);
    assert_eq!(desk.gate.state(), Halted, "the day's loss is what it is");
    desk.receive(Money::whole(-20_000));
    desk.settle();
    assert_eq!(desk.gate.state(), Killed);
    assert!(desk.gate.wants_flat(), "and every position is to be left");
    desk.command(Verb::Clear);
    assert_eq!(desk.gate.state(), Killed, "cleared, and killed again at once");
}

#[test]
fn an_operators_pause_outlives_a_breakers_cool_down() {
    let mut desk = desk(&alone());
    desk.tick("99.9", "100.1");
    desk.measure(Measure::Memory, 8_192);
    assert_eq!(desk.gate.state(), Reducing);
    desk.command(Verb::Pause);
    desk.measure(Measure::Memory, 1);
    for _ in 0..200 {
        desk.quiet(100);
        desk.measure(Measure::Memory, 1);
    }
    assert_eq!((desk.level(Control::Memory), desk.gate.state()), (Level::Clear, Reducing));
    desk.command(Verb::Arm);
    assert_eq!(desk.gate.state(), Active);
}

#[test]
fn a_breaker_that_trips_while_the_truth_is_sought_counts_when_it_is_found() {
    let mut desk = desk(&alone());
    desk.tick("99.9", "100.1");
    let cause = desk.cause();
    desk.gate.request(&cause, Reconciling, Reason::AccountStreamDown, Actor::System).unwrap();
    desk.measure(Measure::Memory, 8_192);
    assert_eq!(desk.gate.state(), Reconciling);
    let _ = desk.gate.on_reconciled(&cause);
    desk.settle();
    assert_eq!((desk.gate.state(), desk.gate.state_reason()), (Reducing, Reason::MemoryHigh));
}

#[test]
fn a_change_of_size_is_recorded_with_what_it_depends_on() {
    let mut desk = desk(&BreakerSettings { losses_half: 1, ..alone() });
    desk.hold(ETH, Side::Buy, qty("1"), px("100"));
    desk.hold(ETH, Side::Sell, qty("1"), px("99"));
    let records = desk.settle();
    let sizes: Vec<&SizeChange> = records
        .iter()
        .filter(|event| event.kind() == Some(Kind::SizeChange))
        .map(Event::body)
        .collect();
    assert_eq!(sizes.len(), 1);
    assert_eq!((sizes[0].percent, sizes[0].losses_percent, sizes[0].restart_percent), (50, 50, 0));
}
