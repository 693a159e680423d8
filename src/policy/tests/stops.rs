//! The stop at the venue, as the policy wants it.

use super::*;
use crate::base::event::OrderReport;
use crate::base::{ClientOrderId, Kind, Reason};

/// A desk that wants stops 1 % from the entry, and holds `held` at 100 since second 0.
fn holding(side: Side, held: &str) -> Desk {
    let mut desk = Desk::new(|settings| {
        settings.exits.protective_stop_bps = 100;
        (settings.exits.stop_atr, settings.exits.take_profit_r) = (0.0, 0.0);
        settings.exits.hold_ms_max = 86_400_000;
        settings.exits.protective_ms_max = 60_000;
    });
    desk.touch(0, "99.9", "100.1");
    desk.fill(0, side, held, "100");
    desk
}

impl Desk {
    fn protect(&mut self, ms: i64) -> Intent {
        self.policy.protect(BTC, Nanos::from_millis(ms), &self.ledger)
    }

    #[track_caller]
    fn protected(&mut self, ms: i64, id: u64) -> Wanted {
        match self.protect(ms) {
            Intent::Protect(wanted) => {
                self.send(id, ms, &wanted);
                wanted
            }
            other => panic!("no stop: {other:?}"),
        }
    }

    fn told(&mut self, kind: Kind, id: u64, reason: Reason, code: i32) {
        let body = OrderReport {
            client_id: id,
            reason: reason as u16,
            venue_code: code,
            ..OrderReport::default()
        };
        self.ledger.on_event(&Event::new(kind, BTC, &body));
    }

    fn accepted(&mut self, id: u64) {
        self.told(Kind::OrderAccepted, id, Reason::None, 0);
    }
}

fn cancel_of(id: u64) -> Intent {
    Intent::Cancel { instrument: BTC, id: ClientOrderId(id) }
}

#[test]
fn every_position_gets_one_stop_on_its_far_side_rounded_away_from_the_market() {
    for (side, entry, far) in [(Side::Buy, "100.07", "99"), (Side::Sell, "99.93", "101")] {
        let mut desk = Desk::new(|settings| {
            settings.exits.protective_stop_bps = 100;
            settings.exits.protective_ms_max = 60_000;
            settings.exits.stop_atr = 0.0;
        });
        desk.touch(0, "99.9", "100.1");
        assert_eq!(desk.protect(0), Intent::None, "nothing to protect");
        desk.fill(0, side, "5", entry);
        // 1 % below 100.07 is 99.0693, above 99.93 it is 100.9293.
        let wanted = desk.protected(0, 1);
        assert_eq!((wanted.side, wanted.qty, wanted.px), (side.opposite(), qty("5"), px(far)));
        assert_eq!(
            (wanted.order_type, wanted.purpose, wanted.time_in_force),
            (OrderType::StopMarket, Purpose::Protect, TimeInForce::Gtc)
        );
        assert_eq!(desk.protect(10_000), Intent::None, "it is on its way");
        desk.accepted(1);
        assert_eq!(desk.protect(20_000), Intent::None, "it is there");
    }
}

#[test]
fn without_the_setting_there_is_no_stop() {
    let mut desk = holding(Side::Buy, "5");
    desk.policy.rules.exits.protective_stop_bps = 0;
    assert_eq!(desk.protect(0), Intent::None);
}

#[test]
fn a_position_that_grew_has_its_new_stop_before_the_old_one_goes() {
    let mut desk = holding(Side::Buy, "5");
    desk.protected(0, 1);
    desk.accepted(1);
    // The average moves by 0.05, half of the tolerance of a tenth of the distance.
    desk.fill(1_000, Side::Buy, "5", "100.1");
    assert_eq!(desk.protect(1_000), Intent::None);
    desk.fill(2_000, Side::Buy, "10", "100.45");
    assert_eq!(desk.protected(2_000, 2).px, px("99.2"));
    assert_eq!(desk.protect(3_000), Intent::None, "the old one stays until the new one is there");
    desk.accepted(2);
    assert_eq!(desk.protect(3_000), cancel_of(1));
}

#[test]
fn a_position_that_changed_its_side_is_protected_on_the_other_side_at_once() {
    let mut desk = holding(Side::Buy, "5");
    desk.protected(0, 1);
    desk.accepted(1);
    desk.fill(100, Side::Sell, "8", "100");
    let wanted = desk.protected(100, 2);
    assert_eq!((wanted.side, wanted.px), (Side::Buy, px("101")));
    desk.accepted(2);
    assert_eq!(desk.protect(101), cancel_of(1));
}

#[test]
fn where_the_venue_takes_no_second_stop_the_old_one_goes_first() {
    let mut desk = holding(Side::Buy, "5");
    desk.protected(0, 1);
    desk.accepted(1);
    desk.fill(2_000, Side::Buy, "10", "101");
    desk.protected(2_000, 2);
    desk.told(Kind::OrderRejected, 2, Reason::VenueRejected, -4130);
    assert_eq!(desk.protect(2_400), Intent::None, "not at once again");
    assert_eq!(desk.protect(2_500), cancel_of(1));
    desk.told(Kind::OrderCancelled, 1, Reason::None, 0);
    assert!(matches!(desk.protect(2_501), Intent::Protect(_)));
}

#[test]
fn a_stop_that_outlives_its_position_is_cancelled_after_the_venue_had_time_to_drop_it() {
    let mut desk = holding(Side::Buy, "5");
    desk.protected(0, 1);
    desk.accepted(1);
    desk.fill(100, Side::Sell, "5", "100");
    assert_eq!(desk.protect(100), Intent::None);
    assert_eq!(desk.protect(1_099), Intent::None);
    assert_eq!(desk.protect(1_100), cancel_of(1));
    desk.told(Kind::OrderCancelled, 1, Reason::None, 0);
    assert_eq!(desk.protect(1_101), Intent::None);
}

#[test]
fn fault_r19_would_trigger_leaves_the_position_at_once() {
    let mut desk = holding(Side::Buy, "5");
    desk.protected(0, 1);
    desk.told(Kind::OrderRejected, 1, Reason::WouldTrigger, -2021);
    assert_eq!(exited(desk.protect(500)).purpose, Purpose::ExitStop);
}

#[test]
fn fault_x03_a_gap_through_the_stop_is_left_without_asking_for_a_stop_first() {
    for (side, bid, ask) in [(Side::Buy, "98.9", "99"), (Side::Sell, "101", "101.1")] {
        let mut desk = holding(side, "5");
        desk.touch(1, bid, ask);
        let wanted = exited(desk.protect(1));
        assert_eq!((wanted.purpose, wanted.side), (Purpose::ExitStop, side.opposite()));
        desk.send(7, 1, &wanted);
        assert_eq!(desk.protect(1_000), Intent::None, "the exit is on its way");
    }
}

#[test]
fn a_position_without_a_stop_after_three_refusals_is_left() {
    let mut desk = holding(Side::Buy, "5");
    for id in 1..=3 {
        desk.protected(500 * i64::try_from(id).unwrap(), id);
        desk.told(Kind::OrderRejected, id, Reason::VenueRejected, -4045);
    }
    assert_eq!(exited(desk.protect(2_000)).purpose, Purpose::ExitStop);
}

#[test]
fn what_never_reached_the_venue_is_tried_again_and_no_reason_to_leave() {
    let mut desk = holding(Side::Buy, "5");
    for id in 1..=9 {
        desk.protected(500 * i64::try_from(id).unwrap(), id);
        desk.told(Kind::OrderRejected, id, Reason::AccountStreamDown, 0);
    }
}

#[test]
fn a_stop_of_unknown_outcome_protects_nobody_until_it_is_found() {
    let mut desk = holding(Side::Buy, "5");
    desk.protected(0, 1);
    desk.told(Kind::OrderUnknown, 1, Reason::RequestTimeout, 0);
    desk.protected(500, 2);
    desk.accepted(2);
    assert_eq!(desk.protect(501), cancel_of(1));
    // Found after all: it is taken back all the same.
    desk.accepted(1);
    assert_eq!(desk.protect(502), cancel_of(2), "of two that fit the older one stays");
    let mut silent = holding(Side::Buy, "5");
    for id in 1..=4 {
        silent.protected(500 * i64::try_from(id).unwrap(), id);
        silent.told(Kind::OrderUnknown, id, Reason::RequestTimeout, 0);
    }
    assert_eq!(silent.protect(60_000), Intent::None, "no more than four of unknown outcome");
}

#[test]
fn a_stop_keeps_neither_exit_nor_entry_from_being_wanted() {
    let mut desk = holding(Side::Buy, "5");
    desk.protected(0, 1);
    desk.accepted(1);
    assert_eq!(super::flatten::leaving(&desk, &super::flatten::kill(), 0).qty, qty("5"));
    assert_eq!(desk.ledger.live_exit(BTC), None);
    assert_eq!(desk.ledger.live_entry(BTC), None);
}

#[test]
fn the_stop_at_the_venue_stands_beyond_our_own_and_follows_it_without_a_gap() {
    for (side, sign) in [(Side::Buy, 1_i64), (Side::Sell, -1)] {
        let mut desk = Desk::new(|rules| {
            rules.exits.protective_stop_bps = 100;
            (rules.exits.trail_start_r, rules.exits.trail_r) = (1.0, 0.5);
            rules.exits.take_profit_r = 0.0;
            rules.exits.hold_ms_max = 86_400_000;
        });
        let at = |desk: &mut Desk, ms: i64, gain: i64| {
            let close = px("100").0 + sign * gain * 1_000_000;
            let other = close + sign * 10_000_000;
            let (bid, ask) = if sign > 0 { (close, other) } else { (other, close) };
            desk.ledger.on_touch(BTC, Px(bid), Px(ask), Nanos::from_millis(ms));
        };
        desk.predict(0, 0.0, 0.0);
        desk.fill(0, side, "5", "100");
        // R is 2: our own stop is at a loss of 2, the venue's 1 % of that price beyond.
        let first = desk.protected(0, 1).px;
        let own = px("100").0 - sign * px("2").0;
        let beyond = (own - sign * own / 100) as f64 / 1e8;
        assert!((first.to_f64() - beyond).abs() <= 0.1 && sign * (own - first.0) > 0);
        desk.accepted(1);
        // A gain of 2 brings our own to a gain of 1; less than a tenth of R more moves nothing.
        at(&mut desk, 1_000, 200);
        let second = desk.protected(1_000, 2).px;
        assert!(sign * (second.0 - first.0) >= px("2.9").0, "{first} {second}");
        assert_eq!(desk.protect(1_000), Intent::None, "the old one stays until the new is there");
        desk.accepted(2);
        assert_eq!(desk.protect(1_100), cancel_of(1));
        desk.told(Kind::OrderCancelled, 1, Reason::None, 0);
        at(&mut desk, 2_000, 215);
        assert_eq!(desk.protect(2_000), Intent::None, "too little to move it");
        // It never goes back with the price.
        at(&mut desk, 3_000, 150);
        assert_eq!(desk.protect(3_000), Intent::None);
        at(&mut desk, 4_000, 300);
        assert!(sign * (desk.protected(4_000, 3).px.0 - second.0) > 0);
    }
}

#[test]
fn rc34_a_position_without_its_stop_a_second_after_the_fill_is_left() {
    let mut desk = holding(Side::Buy, "5");
    desk.policy.rules.exits.protective_ms_max = 1_000;
    desk.protected(0, 1);
    assert_eq!(desk.protect(999), Intent::None, "it is on its way");
    assert_eq!(exited(desk.protect(1_000)).purpose, Purpose::ExitUnprotected);
    // Accepted in time, it is left alone; also while a better one replaces it.
    let mut desk = holding(Side::Buy, "5");
    desk.policy.rules.exits.protective_ms_max = 1_000;
    desk.protected(0, 1);
    desk.accepted(1);
    assert_eq!(desk.protect(5_000), Intent::None);
    desk.fill(6_000, Side::Buy, "10", "100.45");
    desk.protected(6_000, 2);
    assert_eq!(desk.protect(60_000), Intent::None, "the old one protects");
    // Taken back by somebody: the time begins anew.
    desk.told(Kind::OrderCancelled, 1, Reason::None, 0);
    desk.told(Kind::OrderRejected, 2, Reason::VenueRejected, -4045);
    assert!(matches!(desk.protect(61_000), Intent::Protect(_)));
    assert_eq!(exited(desk.protect(62_000)).purpose, Purpose::ExitUnprotected);
}
