//! What breakers record and count when, and what they take over: a control that is silent, or that
//! tells what did not happen, is found here.

use super::*;
use crate::base::event::{OrderCarried, PositionCarried, SessionCarried};
use TradingState::{Active, Halted, Reducing};

fn sizes(records: &[Event]) -> Vec<SizeChange> {
    let sizes = records.iter().filter(|event| event.kind() == Some(Kind::SizeChange));
    sizes.map(|event| *event.body()).collect()
}

fn evaluated(desk: &Desk, control: Control) -> u64 {
    desk.gate.breaker_count(control).evaluated
}

/// Both ways of keeping the state agree, now and after a second.
#[track_caller]
fn agrees(desk: &mut Desk) {
    for id in [BTC, ETH] {
        desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
    }
    desk.wait(1_000);
    let levels = [Control::OrderBalance, Control::StateSeal].map(|control| desk.level(control));
    assert_eq!(levels, [Level::Clear; 2]);
}

#[test]
fn a_desk_where_nothing_happens_records_nothing_and_costs_little() {
    let mut desk = desk(&alone());
    desk.quiet(1_000);
    assert!(!desk.gate.is_stirred(&desk.ledger));
    assert!(desk.settle().is_empty());
    let counted = [Control::DayLoss, Control::OrderBalance, Control::LedgerFault];
    let before = counted.map(|control| evaluated(&desk, control));
    let account = AccountStatus { equity: Money::whole(1_000_000).0, ..Default::default() };
    desk.told(Kind::AccountStatus, InstrumentId::NONE, &account);
    assert_eq!(counted.map(|control| evaluated(&desk, control)), before, "nothing was booked");
}

#[test]
fn what_is_judged_once_a_second_is_judged_once_a_second_whatever_the_timers_do() {
    let mut desk = desk(&alone());
    desk.wait(1_000);
    let of = [Control::SendToAck, Control::RejectRate, Control::OrderBalance, Control::StateSeal];
    let before = of.map(|control| evaluated(&desk, control));
    desk.wait(3_000);
    let after = of.map(|control| evaluated(&desk, control));
    assert_eq!(after, before.map(|count| count + 3));
}

#[test]
fn only_a_fill_that_is_news_is_judged_as_one() {
    let mut desk = desk(&alone());
    let client_id = desk.passes(&entry());
    let accepted = OrderReport { client_id, ..OrderReport::default() };
    desk.hear(Kind::OrderAccepted, BTC, &accepted);
    assert_eq!(evaluated(&desk, Control::Fee), 0);
    let fill = OrderReport {
        client_id,
        trade_id: 7,
        last_qty: qty("0.5").0,
        cum_qty: qty("0.5").0,
        last_px: px("100.1").0,
        ..OrderReport::default()
    };
    (0..2).for_each(|_| desk.hear(Kind::OrderFilled, BTC, &fill));
    assert_eq!(evaluated(&desk, Control::Fee), 1);
    agrees(&mut desk);
}

#[test]
fn a_slipped_fill_and_a_minute_of_bad_answers_are_over_by_themselves() {
    let mut desk = desk(&alone());
    desk.tick("99.9", "100.1");
    desk.fill_entry("101", "0");
    assert_eq!((desk.level(Control::Slippage), desk.gate.state()), (Level::Reduce, Reducing));
    desk.quiet(6_000);
    assert_eq!((desk.level(Control::Slippage), desk.gate.state()), (Level::Clear, Active));
    let reason = Reason::FeatureNotFinite as u16;
    let bad = |desk: &mut Desk, count: usize| {
        for _ in 0..count {
            let body = NoDecision { reason, ..NoDecision::default() };
            desk.show(Event::new(Kind::NoDecision, BTC, &body));
        }
        desk.settle();
        desk.level(Control::InvalidOutputs)
    };
    assert_eq!(bad(&mut desk, 9), Level::Clear);
    desk.quiet(60_000);
    assert_eq!(bad(&mut desk, 9), Level::Clear, "each minute counts from none");
    assert_eq!(bad(&mut desk, 1), Level::Reduce);
    desk.quiet(70_000);
    assert_eq!(desk.level(Control::InvalidOutputs), Level::Clear);
}

#[test]
fn a_round_trip_without_a_result_is_no_loss_and_takes_a_step_further() {
    let settings = BreakerSettings { restart_round_trips: 1, restart_step_s: 1, ..alone() };
    let mut desk = desk(&settings);
    desk.tick("99.9", "100.1");
    desk.measure(Measure::SegmentNeed, 100);
    desk.measure(Measure::SegmentNeed, 0);
    desk.quiet(200);
    let body = Command { verb: Verb::Arm as u32, actor: 1_000, ..Command::default() };
    let arm = Event::new(Kind::Command, InstrumentId::NONE, &body);
    let _ = desk.gate.on_command(&arm, &mut desk.ledger);
    let armed = sizes(&desk.settle());
    assert_eq!(armed.len(), 1, "a smaller size is told");
    assert_eq!((armed[0].percent, armed[0].restart_percent), (50, 50));
    desk.round_trip("100");
    desk.quiet(1_500);
    assert_eq!(desk.gate.size_percent(), 75);
}

#[test]
fn the_way_back_from_a_halt_goes_on_over_a_restart_and_is_told() {
    for (left, told) in [(75, vec![75]), (0, vec![])] {
        let mut desk = desk(&alone());
        desk.settle();
        let body = SessionCarried { epoch: 1, restart_percent: left, ..SessionCarried::default() };
        let event = Event::new(Kind::SessionCarried, InstrumentId::NONE, &body);
        let _ = desk.gate.on_carried(&event);
        let percents: Vec<u32> = sizes(&desk.settle()).iter().map(|size| size.percent).collect();
        assert_eq!(percents, told);
    }
}

#[test]
fn refusals_are_seen_by_whoever_arms_and_count_from_none_again() {
    let mut desk = desk(&alone());
    desk.tick("99.9", "100.1");
    desk.hold(BTC, Side::Buy, qty("9"), px("100"));
    (0..5).for_each(|_| desk.answer(Some(Reason::VenueRejected)));
    assert_eq!((desk.level(Control::RejectsInARow), desk.gate.state()), (Level::Halt, Halted));
    desk.command(Verb::Arm);
    assert_eq!((desk.level(Control::RejectsInARow), desk.gate.state()), (Level::Clear, Active));
    (0..4).for_each(|_| desk.answer(Some(Reason::VenueRejected)));
    assert_eq!((desk.level(Control::RejectsInARow), desk.gate.state()), (Level::Clear, Active));
}

#[test]
fn losses_that_were_seen_leave_their_level_with_the_arm_itself() {
    let mut desk =
        desk(&BreakerSettings { losses_half: 1, losses_quarter: 2, losses_halt: 3, ..alone() });
    desk.tick("99.9", "100.1");
    (0..3).for_each(|_| desk.round_trip("99"));
    assert_eq!(desk.gate.state(), Halted);
    desk.command(Verb::Arm);
    assert_eq!((desk.level(Control::LossesInARow), desk.gate.state()), (Level::Clear, Active));
}

#[test]
fn both_counts_of_the_day_s_entries_end_with_it_and_with_a_person_s_arm() {
    let mut desk = desk(&alone());
    desk.tick("99.9", "100.1");
    desk.passes(&entry());
    desk.end_orders();
    agrees(&mut desk);
    desk.arm();
    agrees(&mut desk);
    desk.tick("99.9", "100.1");
    desk.passes(&entry());
    desk.end_orders();
    desk.now = NOON + Nanos::from_secs(43_200) - Nanos::from_millis(500);
    agrees(&mut desk);
}

#[test]
fn what_an_earlier_session_left_is_counted_on_both_sides() {
    let mut desk = desk(&alone());
    let position = PositionCarried {
        qty: qty("2").0,
        cost: money("200").0,
        realised: money("-3").0,
        fees: money("0.5").0,
        funding: money("-0.25").0,
        ..PositionCarried::default()
    };
    desk.told(Kind::PositionCarried, BTC, &position);
    // Working, half filled; and one that ended with a fill still to be told.
    for (client_id, state, reported) in [(11, 2, "0.5"), (12, 5, "0.75"), (13, 8, "0.75")] {
        let order = OrderCarried {
            client_id,
            qty: qty("1").0,
            filled: qty("0.5").0,
            reported: qty(reported).0,
            px: px("90").0,
            state,
            ..OrderCarried::default()
        };
        desk.told(Kind::OrderCarried, BTC, &order);
    }
    assert_eq!(desk.ledger.orders().len(), 3);
    agrees(&mut desk);
    // The fill that was missing ends the one that was over.
    for (client_id, trade_id) in [(12, 1), (13, 2)] {
        let fill = OrderReport {
            client_id,
            trade_id,
            last_qty: qty("0.25").0,
            cum_qty: qty("0.75").0,
            last_px: px("90").0,
            ..OrderReport::default()
        };
        desk.hear(Kind::OrderFilled, BTC, &fill);
    }
    assert_eq!(desk.ledger.orders().len(), 1);
    agrees(&mut desk);
    let carried = SessionCarried {
        epoch: 1,
        day: NOON.utc_day(),
        entries_today: 4,
        ..SessionCarried::default()
    };
    let event = desk.told(Kind::SessionCarried, InstrumentId::NONE, &carried);
    let _ = desk.gate.on_carried(&event);
    agrees(&mut desk);
}

#[test]
fn whatever_there_is_to_record_or_to_do_stirs_the_gate() {
    let mut desk = desk(&BreakerSettings { day_loss_warn_bps: 100, ..alone() });
    desk.tick("99.9", "100.1");
    // A level that demands nothing is recorded all the same.
    desk.receive(Money::whole(-11_000));
    assert_eq!(desk.level(Control::DayLoss), Level::Warn);
    assert!(desk.gate.is_stirred(&desk.ledger), "to be recorded");
    desk.settle();
    assert!(!desk.gate.is_stirred(&desk.ledger));
    // One that demands something stirs for as long as it does.
    desk.measure(Measure::Memory, 8_192);
    assert_eq!((desk.level(Control::Memory), desk.gate.state()), (Level::Reduce, Reducing));
    assert!(desk.gate.is_stirred(&desk.ledger), "recorded, and demanded");
}

#[test]
fn a_size_that_changed_is_recorded_though_no_level_did() {
    let mut desk = desk(&BreakerSettings::default());
    desk.tick("99.9", "100.1");
    desk.measure(Measure::SegmentNeed, 100);
    assert_eq!(desk.gate.state(), Halted);
    desk.measure(Measure::SegmentNeed, 0);
    desk.quiet(36_000);
    assert!(!desk.gate.is_stirred(&desk.ledger));
    desk.arm();
    assert!(desk.gate.is_stirred(&desk.ledger), "the size begins anew");
    assert_eq!(sizes(&desk.settle()).len(), 1);
}

#[test]
fn a_fee_that_a_person_has_looked_at_stops_nothing_any_more() {
    let mut desk = desk(&BreakerSettings { fee_bps: 10, ..alone() });
    desk.tick("99.9", "100.1");
    desk.fill_entry("100.1", "0.15");
    assert_ne!(desk.level(Control::Fee), Level::Clear);
    assert_eq!(desk.gate.state(), Halted);
    desk.command(Verb::Arm);
    desk.quiet(6_000);
    assert_eq!((desk.level(Control::Fee), desk.gate.state()), (Level::Clear, Active));
}
