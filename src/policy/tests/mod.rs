mod exits;
mod flatten;
mod keys;
mod property;
mod sizing;
mod stops;

use super::*;
use crate::base::event::{Order, OrderReport, side_flag};
use crate::base::settings::KillSettings;
use crate::base::{Kind, Money, Rate, Reason, Symbol};

pub(super) const BTC: InstrumentId = InstrumentId(0);

pub(super) fn px(text: &str) -> Px {
    Px::parse(text).unwrap()
}

pub(super) fn qty(text: &str) -> Qty {
    Qty::parse(text).unwrap()
}

/// A full position of 1 000 that nothing but the settings under test bounds or leaves.
fn rules() -> Rules {
    let policy = PolicySettings {
        decision_interval_ms: 0,
        enter_edge: 0.5,
        exit_edge: 0.25,
        position_notional: Money::whole(1_000),
        enter_as_maker: false,
        entry_rest_ms_max: 500,
        take_through_bps: 10,
    };
    let sizing = SizingSettings {
        risk_bps: 500,
        share_bps: 10_000,
        kelly_fraction: 0.0,
        volatility_reference_bps: 0.0,
        notional_min: Money::whole(1),
        min_edge_bps: -10_000,
        impact_bps: 0.0,
        ..SizingSettings::default()
    };
    let exits = ExitSettings {
        stop_atr: 2.0,
        stop_bps_min: 1,
        stop_bps_max: 10_000,
        take_profit_r: 1.5,
        trail_r: 0.0,
        hold_bars: 0,
        hold_ms_max: 60_000,
        volatility_high: 0.0,
        volatility_low: 0.0,
        ..ExitSettings::default()
    };
    let bar = Nanos::from_secs(1);
    Rules { policy, sizing, exits, bar, leverage_max_percent: 1_000 }
}

fn facts() -> InstrumentSettings {
    InstrumentSettings {
        symbol: Symbol::new(b"BTCUSDT").unwrap(),
        tick_size: px("0.1"),
        lot_size: qty("0.01"),
        min_qty: qty("0.01"),
        max_qty: qty("100"),
        min_notional: Money::whole(5),
        maker_fee: Rate(0),
        taker_fee: Rate(0),
    }
}

/// A policy with its ledger, touch 99.9 to 100.1, range 1.
pub(super) struct Desk {
    pub(super) policy: Policy,
    pub(super) ledger: Ledger,
    trade_id: u64,
}

impl Desk {
    pub(super) fn new(change: impl Fn(&mut Rules)) -> Self {
        let mut rules = rules();
        change(&mut rules);
        let ledger = Ledger::new(1, Money::whole(100_000));
        Self { policy: Policy::new(rules, &[facts()]), ledger, trade_id: 0 }
    }

    fn predict(&mut self, ms: i64, up: f32, down: f32) -> Intent {
        self.predict_at(ms, up, down, "99.9", "100.1")
    }

    fn predict_at(&mut self, ms: i64, up: f32, down: f32, bid: &str, ask: &str) -> Intent {
        let body = Prediction {
            probability: [down, 1.0 - up - down, up],
            bid_px: px(bid).0,
            ask_px: px(ask).0,
            atr_px: px("1").0,
            model_tag: 77,
            ..Prediction::default()
        };
        let mut event = Event::new(Kind::Prediction, BTC, &body);
        event.ts_recv = Nanos::from_millis(ms).0;
        self.ledger.on_event(&event);
        self.policy.decide(&event, &self.ledger, 100)
    }

    pub(super) fn touch(&mut self, ms: i64, bid: &str, ask: &str) -> Intent {
        let now = Nanos::from_millis(ms);
        self.ledger.on_touch(BTC, px(bid), px(ask), now);
        self.policy.check(BTC, now, &self.ledger)
    }

    pub(super) fn fill(&mut self, ms: i64, side: Side, quantity: &str, at: &str) {
        self.trade_id += 1;
        let body = OrderReport {
            client_id: 1 << 60,
            trade_id: self.trade_id,
            last_qty: qty(quantity).0,
            last_px: px(at).0,
            ..OrderReport::default()
        };
        let mut event = Event::new(Kind::OrderFilled, BTC, &body).with_flags(side_flag(side));
        event.ts_recv = Nanos::from_millis(ms).0;
        self.ledger.on_event(&event);
    }

    pub(super) fn send(&mut self, id: u64, ms: i64, wanted: &Wanted) {
        let body = Order {
            client_id: id,
            px: wanted.px.0,
            qty: wanted.qty.0,
            order_type: wanted.order_type as u8,
            purpose: wanted.purpose as u8,
            atr_px: wanted.plan.atr_px.0,
            target_px: wanted.plan.target_px.0,
            ..Order::default()
        };
        let mut event = Event::new(Kind::OrderApproved, BTC, &body);
        event.ts_recv = Nanos::from_millis(ms).0;
        self.ledger.on_order_sent(&event.with_flags(side_flag(wanted.side))).unwrap();
    }

    fn report(&mut self, kind: Kind, id: u64) {
        let body = OrderReport { client_id: id, ..OrderReport::default() };
        self.ledger.on_event(&Event::new(kind, BTC, &body));
    }
}

#[track_caller]
fn entered(intent: Intent) -> Wanted {
    match intent {
        Intent::Enter(wanted) => wanted,
        other => panic!("no entry: {other:?}"),
    }
}

#[track_caller]
pub(super) fn exited(intent: Intent) -> Wanted {
    match intent {
        Intent::Exit(wanted) => wanted,
        other => panic!("no exit: {other:?}"),
    }
}

#[test]
fn an_entry_takes_through_the_touch_and_rounds_to_the_safe_side() {
    let wanted = entered(Desk::new(|_| {}).predict(0, 0.75, 0.0));
    // 10 basis points above 100.1 are 100.2001; 1000 / 100.2 = 9.98004.
    assert_eq!((wanted.side, wanted.px, wanted.qty), (Side::Buy, px("100.2"), qty("9.98")));
    assert_eq!((wanted.time_in_force, wanted.model_tag), (TimeInForce::Ioc, 77));
    let wanted = entered(Desk::new(|_| {}).predict(0, 0.0, 0.75));
    // 10 basis points below 99.9 are 99.8001: a sell rounds up. 1000 / 99.9 = 10.01001.
    assert_eq!((wanted.side, wanted.px, wanted.qty), (Side::Sell, px("99.9"), qty("10.01")));
}

#[test]
fn a_maker_entry_rests_at_its_own_side_of_the_touch() {
    let wanted = entered(Desk::new(|s| s.policy.enter_as_maker = true).predict(0, 0.75, 0.0));
    assert_eq!((wanted.px, wanted.time_in_force), (px("99.9"), TimeInForce::Gtx));
    let wanted = entered(Desk::new(|s| s.policy.enter_as_maker = true).predict(0, 0.0, 0.75));
    assert_eq!((wanted.px, wanted.time_in_force), (px("100.1"), TimeInForce::Gtx));
}

#[test]
fn an_edge_between_exit_and_enter_keeps_what_is_and_starts_nothing() {
    let mut desk = Desk::new(|_| {});
    assert_eq!(desk.predict(0, 0.375, 0.0), Intent::None);
    assert!(matches!(desk.predict(0, 0.5, 0.0), Intent::Enter(_)));
    desk.fill(0, Side::Buy, "5", "100");
    assert_eq!(desk.predict(1, 0.375, 0.0), Intent::None);
    assert_eq!(desk.predict(1, 0.25, 0.0), Intent::None);
    let wanted = exited(desk.predict(1, 0.125, 0.0));
    assert_eq!((wanted.side, wanted.qty), (Side::Sell, qty("5")));
    assert_eq!((wanted.purpose, wanted.time_in_force), (Purpose::ExitSignal, TimeInForce::Ioc));
}

#[test]
fn a_short_is_left_by_the_mirrored_rule_and_never_flipped_in_one_step() {
    let mut desk = Desk::new(|_| {});
    desk.fill(0, Side::Sell, "5", "100");
    assert_eq!(desk.predict(1, 0.0, 0.5), Intent::None);
    let wanted = exited(desk.predict(1, 0.75, 0.0));
    assert_eq!((wanted.side, wanted.qty, wanted.px), (Side::Buy, qty("5"), px("100.2")));
}

#[test]
fn probabilities_that_are_no_numbers_decide_nothing() {
    let mut desk = Desk::new(|_| {});
    assert_eq!(desk.predict(0, f32::NAN, 0.0), Intent::None);
    desk.fill(0, Side::Buy, "5", "100");
    assert_eq!(desk.predict(0, f32::NAN, f32::NAN), Intent::None);
}

#[test]
fn decisions_keep_their_interval_and_stops_do_not_wait_for_it() {
    let mut desk = Desk::new(|s| s.policy.decision_interval_ms = 100);
    assert_eq!(desk.predict(0, 0.0, 0.0), Intent::None);
    assert_eq!(desk.predict(99, 0.75, 0.0), Intent::None);
    assert!(matches!(desk.predict(100, 0.75, 0.0), Intent::Enter(_)));
    desk.fill(100, Side::Buy, "5", "100");
    let stopped = exited(desk.predict_at(101, 0.75, 0.0, "98", "98.1"));
    assert_eq!(stopped.purpose, Purpose::ExitStop);
}

#[test]
fn never_more_than_one_live_entry() {
    let mut desk = Desk::new(|_| {});
    let wanted = entered(desk.predict(0, 0.75, 0.0));
    desk.send(1, 0, &wanted);
    assert_eq!(desk.predict(1, 0.75, 0.0), Intent::None);
    desk.report(Kind::OrderUnknown, 1);
    assert_eq!(desk.predict(2, 0.75, 0.0), Intent::None);
    desk.report(Kind::OrderExpired, 1);
    assert!(matches!(desk.predict(3, 0.75, 0.0), Intent::Enter(_)));
}

#[test]
fn a_resting_entry_is_cancelled_once_when_it_rested_too_long_or_its_edge_faded() {
    for faded in [false, true] {
        let mut desk = Desk::new(|s| s.policy.enter_as_maker = true);
        let wanted = entered(desk.predict(0, 0.75, 0.0));
        desk.send(1, 0, &wanted);
        assert_eq!(desk.touch(499, "99.9", "100.1"), Intent::None);
        let intent =
            if faded { desk.predict(499, 0.125, 0.0) } else { desk.touch(500, "99.9", "100.1") };
        let id = crate::base::ClientOrderId(1);
        assert_eq!(intent, Intent::Cancel { instrument: BTC, id });
        let body = Order { client_id: 1, ..Order::default() };
        let cancel = Event::new(Kind::CancelApproved, BTC, &body);
        desk.ledger.on_order_sent(&cancel).unwrap();
        assert_eq!(desk.touch(600, "99.9", "100.1"), Intent::None);
    }
}

#[test]
fn stop_and_profit_are_ranges_from_the_average_entry() {
    for (side, stop, before_stop, profit, before_profit) in [
        // Long from 100 with a range of 1: out at bid 98 or 103.
        (Side::Buy, ("98", "98.2"), ("98.1", "98.2"), ("103", "103.1"), ("102.9", "103")),
        // Short from 100: out at ask 102 or 97.
        (Side::Sell, ("101.9", "102"), ("101.8", "101.9"), ("96.9", "97"), ("97", "97.1")),
    ] {
        let mut desk = Desk::new(|_| {});
        desk.predict(0, 0.0, 0.0);
        desk.fill(0, side, "5", "100");
        assert_eq!(desk.touch(1, before_stop.0, before_stop.1), Intent::None);
        assert_eq!(exited(desk.touch(1, stop.0, stop.1)).purpose, Purpose::ExitStop);
        assert_eq!(desk.touch(1, before_profit.0, before_profit.1), Intent::None);
        assert_eq!(exited(desk.touch(1, profit.0, profit.1)).purpose, Purpose::ExitProfit);
    }
}

#[test]
fn the_stop_s_range_is_the_one_of_the_entry_and_not_of_a_calmer_market_later() {
    let mut desk = Desk::new(|_| {});
    desk.predict(0, 0.0, 0.0);
    desk.fill(0, Side::Buy, "5", "100");
    let body = Prediction {
        probability: [0.0, 0.25, 0.75],
        bid_px: px("99.9").0,
        ask_px: px("100.1").0,
        atr_px: px("0.1").0,
        ..Prediction::default()
    };
    desk.policy.decide(&Event::new(Kind::Prediction, BTC, &body), &desk.ledger, 100);
    assert_eq!(desk.touch(1, "99", "99.1"), Intent::None);
}

#[test]
fn no_entry_without_the_range_its_stop_needs() {
    let mut desk = Desk::new(|_| {});
    let body = Prediction {
        probability: [0.0, 0.25, 0.75],
        bid_px: px("99.9").0,
        ask_px: px("100.1").0,
        ..Prediction::default()
    };
    let cold = Event::new(Kind::Prediction, BTC, &body);
    desk.ledger.on_event(&cold);
    match desk.policy.decide(&cold, &desk.ledger, 100) {
        Intent::HoldBack(held) => assert_eq!(held.reason, Reason::RangeUnknown),
        other => panic!("{other:?}"),
    }
    let mut desk = Desk::new(|s| s.exits.stop_atr = 0.0);
    desk.ledger.on_event(&cold);
    assert!(matches!(desk.policy.decide(&cold, &desk.ledger, 100), Intent::Enter(_)));
}

#[test]
fn a_position_is_left_when_it_was_held_long_enough_without_any_prediction() {
    let mut desk = Desk::new(|_| {});
    desk.fill(1_000, Side::Buy, "5", "100");
    assert_eq!(desk.touch(60_999, "99.9", "100.1"), Intent::None);
    assert_eq!(exited(desk.touch(61_000, "99.9", "100.1")).purpose, Purpose::ExitTime);
}

#[test]
fn one_exit_at_a_time_and_another_once_the_first_is_of_unknown_outcome() {
    let mut desk = Desk::new(|_| {});
    desk.fill(0, Side::Buy, "5", "100");
    let wanted = exited(desk.predict(1, 0.0, 0.0));
    desk.send(1, 1, &wanted);
    assert_eq!(desk.predict(2, 0.0, 0.0), Intent::None);
    let kill = flatten::kill();
    assert_eq!(desk.policy.flatten(BTC, &desk.ledger, &kill, Nanos::ZERO), Intent::None);
    desk.report(Kind::OrderUnknown, 1);
    let again = exited(desk.predict(3, 0.0, 0.0));
    desk.send(2, 3, &again);
    assert_eq!(desk.predict(4, 0.0, 0.0), Intent::None);
}

#[test]
fn an_entry_still_resting_while_the_position_is_left_is_taken_back() {
    let mut desk = Desk::new(|s| s.policy.enter_as_maker = true);
    let resting = entered(desk.predict(0, 0.75, 0.0));
    desk.send(1, 0, &resting);
    desk.fill(1, Side::Buy, "5", "100");
    let leaving = exited(desk.predict(2, 0.0, 0.0));
    desk.send(2, 2, &leaving);
    assert!(matches!(desk.touch(3, "99.9", "100.1"), Intent::Cancel { .. }));
}

#[test]
fn a_position_beyond_the_largest_order_is_left_in_parts() {
    let mut desk = Desk::new(|_| {});
    desk.fill(0, Side::Buy, "250", "100");
    desk.touch(0, "99.9", "100.1");
    let kill = KillSettings { slice_notional: Money::whole(1_000_000), ..flatten::kill() };
    assert_eq!(flatten::leaving(&desk, &kill, 0).qty, qty("100"));
    assert_eq!(flatten::leaving(&desk, &kill, 10_000).qty, qty("100"));
}

#[test]
fn a_size_below_the_venue_s_least_is_no_entry() {
    for notional in [Money::whole(4), Money(0)] {
        let mut desk = Desk::new(|s| s.policy.position_notional = notional);
        match desk.predict(0, 0.75, 0.0) {
            Intent::HoldBack(held) => assert_eq!(held.reason, Reason::SizeBelowLeast),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_smaller_share_of_the_size_is_a_smaller_entry_and_none_of_it_is_none() {
    for (percent, wanted) in
        [(100, Some("9.98")), (50, Some("4.99")), (25, Some("2.49")), (0, None)]
    {
        let mut desk = Desk::new(|_| {});
        assert_eq!(desk.predict(0, 0.0, 0.0), Intent::None);
        let body = Prediction {
            probability: [0.0, 0.25, 0.75],
            bid_px: px("99.9").0,
            ask_px: px("100.1").0,
            atr_px: px("1").0,
            ..Prediction::default()
        };
        let event = Event::new(Kind::Prediction, BTC, &body);
        let intent = desk.policy.decide(&event, &desk.ledger, percent);
        match (intent, wanted) {
            (Intent::Enter(entry), Some(wanted)) => assert_eq!(entry.qty, qty(wanted)),
            (Intent::HoldBack(_), None) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_crossed_or_missing_touch_starts_and_ends_nothing() {
    let mut desk = Desk::new(|_| {});
    for (bid, ask) in [("0", "100"), ("100", "100"), ("101", "100"), ("100", "0")] {
        assert_eq!(desk.predict_at(0, 0.75, 0.0, bid, ask), Intent::None);
    }
    desk.fill(0, Side::Buy, "5", "100");
    assert_eq!(desk.predict_at(1, 0.0, 0.75, "0", "0"), Intent::None);
}

#[test]
fn no_touch_however_absurd_stops_the_policy() {
    let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
    for side in [Side::Buy, Side::Sell] {
        for bid in numbers {
            for ask in numbers {
                let mut desk = Desk::new(|_| {});
                desk.predict(0, 0.0, 0.0);
                desk.fill(0, side, "5", "100");
                desk.ledger.on_touch(BTC, Px(bid), Px(ask), Nanos(i64::MAX));
                for now in numbers {
                    let intent = desk.policy.check(BTC, Nanos(now), &desk.ledger);
                    assert!(!matches!(intent, Intent::Enter(_)));
                }
            }
        }
    }
}
