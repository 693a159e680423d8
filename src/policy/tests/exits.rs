//! Each way out of a position, by its own name.

use super::*;
use crate::base::event::{MarkPrice, PositionCarried};

impl Desk {
    /// The market's range, without a wish.
    fn range(&mut self, ms: i64, atr: &str) -> Intent {
        self.range_at(ms, atr, "99.9", "100.1")
    }

    fn range_at(&mut self, ms: i64, atr: &str, bid: &str, ask: &str) -> Intent {
        let body = Prediction {
            probability: [0.0, 0.5, 0.5],
            bid_px: px(bid).0,
            ask_px: px(ask).0,
            atr_px: px(atr).0,
            ..Prediction::default()
        };
        let mut event = Event::new(Kind::Prediction, BTC, &body);
        event.ts_recv = Nanos::from_millis(ms).0;
        self.ledger.on_event(&event);
        self.policy.decide(&event, &self.ledger, 100)
    }

    /// A fill of a wanted entry, by its own order.
    fn fill_entry(&mut self, id: u64, ms: i64, wanted: &Wanted, at: &str) {
        self.send(id, ms, wanted);
        let body = OrderReport {
            client_id: id,
            trade_id: 1_000 + id,
            last_qty: wanted.qty.0,
            cum_qty: wanted.qty.0,
            last_px: px(at).0,
            ..OrderReport::default()
        };
        let event = Event::new(Kind::OrderFilled, BTC, &body).with_flags(side_flag(wanted.side));
        self.ledger.on_event(&Event { ts_recv: Nanos::from_millis(ms).0, ..event });
    }
}

/// Holds 5 at 100 since second 0, entered at a range of 1; nothing leaves it but what is changed.
fn holding(side: Side, change: impl Fn(&mut ExitSettings)) -> Desk {
    let mut desk = Desk::new(|rules| {
        rules.exits.stop_atr = 0.0;
        rules.exits.stop_bps_max = 200;
        rules.exits.take_profit_r = 0.0;
        rules.exits.hold_ms_max = 86_400_000;
        change(&mut rules.exits);
    });
    desk.predict(0, 0.0, 0.0);
    desk.fill(0, side, "5", "100");
    desk
}

#[test]
fn the_trailing_stop_begins_at_its_gain_and_follows_the_best_price_only_one_way() {
    // R is 2; it begins at a gain of 2 and leaves 1 behind the best price.
    let trails = |exits: &mut ExitSettings| {
        exits.stop_atr = 2.0;
        (exits.trail_start_r, exits.trail_r) = (1.0, 0.5);
    };
    for (side, sign) in [(Side::Buy, 1_i64), (Side::Sell, -1)] {
        let mut desk = holding(side, trails);
        // The side that closes stands `gain` hundredths better than the entry.
        let mut at = |ms: i64, gain: i64| {
            let close = px("100").0 + sign * gain * 1_000_000;
            let other = close + sign * 10_000_000;
            let (bid, ask) = if sign > 0 { (close, other) } else { (other, close) };
            desk.ledger.on_touch(BTC, Px(bid), Px(ask), Nanos::from_millis(ms));
            desk.policy.check(BTC, Nanos::from_millis(ms), &desk.ledger)
        };
        assert_eq!(at(1, 190), Intent::None);
        assert_eq!(at(2, 10), Intent::None, "it has not begun");
        assert_eq!(at(3, 200), Intent::None);
        assert_eq!(at(4, 101), Intent::None);
        assert_eq!(exited(at(5, 100)).purpose, Purpose::ExitTrail);
        assert_eq!(at(6, 500), Intent::None);
        assert_eq!(at(7, 401), Intent::None);
        assert_eq!(exited(at(8, 400)).purpose, Purpose::ExitTrail, "it has followed");
        assert_eq!(exited(at(9, 150)).purpose, Purpose::ExitTrail, "and does not go back");
    }
}

#[test]
fn the_profit_taken_is_the_entry_s_target_and_outlives_the_prediction() {
    let mut desk = Desk::new(|_| {});
    let body = Prediction {
        probability: [0.0, 0.25, 0.75],
        quantile: [0.0, 0.02, 0.04],
        bid_px: px("99.9").0,
        ask_px: px("100.1").0,
        atr_px: px("1").0,
        ..Prediction::default()
    };
    let event = Event::new(Kind::Prediction, BTC, &body);
    desk.ledger.on_event(&event);
    let wanted = entered(desk.policy.decide(&event, &desk.ledger, 100));
    // At the limit of 100.2: 0.7 × 2 % and 0.3 × 1.5 R, with R of two ranges.
    let target = 0.7 * 100.2 * 0.02 + 0.3 * 1.5 * 2.0;
    assert!((wanted.plan.target_px.to_f64() - target).abs() < 1e-5);
    assert_eq!(wanted.plan.atr_px, px("1"));
    desk.fill_entry(1, 0, &wanted, "100");
    let before = desk.touch(1, "102.30", "102.4");
    assert_eq!(before, Intent::None);
    assert_eq!(exited(desk.touch(2, "102.31", "102.4")).purpose, Purpose::ExitProfit);
}

#[test]
fn a_market_much_wilder_or_much_calmer_than_the_entry_s_is_left() {
    let mut desk = holding(Side::Buy, |exits| {
        (exits.volatility_high, exits.volatility_low) = (2.0, 0.5);
    });
    for atr in ["0.5", "1", "2"] {
        assert_eq!(desk.range(1, atr), Intent::None);
    }
    for atr in ["2.01", "0.49"] {
        assert_eq!(exited(desk.range(2, atr)).purpose, Purpose::ExitVolatility);
    }
    // A range that is not warm says nothing.
    assert_eq!(desk.range(3, "0"), Intent::None);
}

#[test]
fn a_position_is_left_ahead_of_funding_that_is_dear_and_near() {
    for (side, rate) in [(Side::Buy, 20_000), (Side::Sell, -20_000)] {
        let mut desk = holding(side, |exits| {
            (exits.funding_bps, exits.funding_ahead_s) = (2.0, 60);
        });
        let mark = |desk: &mut Desk, rate: i64| {
            let ts_next_funding = Nanos::from_secs(600).0;
            let body = MarkPrice {
                mark_px: px("100").0,
                funding_rate: rate,
                ts_next_funding,
                ..MarkPrice::default()
            };
            desk.policy.on_mark(&Event::new(Kind::MarkPrice, BTC, &body));
        };
        mark(&mut desk, rate);
        assert_eq!(desk.touch(539_999, "99.9", "100.1"), Intent::None);
        assert_eq!(exited(desk.touch(540_000, "99.9", "100.1")).purpose, Purpose::ExitFunding);
        mark(&mut desk, rate / 2);
        assert_eq!(desk.touch(540_001, "99.9", "100.1"), Intent::None, "cheap");
        mark(&mut desk, -rate);
        assert_eq!(desk.touch(540_002, "99.9", "100.1"), Intent::None, "it receives");
    }
}

#[test]
fn after_its_bars_a_position_is_left_if_that_pays_and_after_its_longest_in_any_case() {
    let mut desk = holding(Side::Buy, |exits| {
        (exits.hold_bars, exits.hold_ms_max) = (48, 100_000);
    });
    desk.policy.instruments[0].taker_fee = Rate(50_000);
    // Closing at 100.04 costs 5 × 100.04 × .05 %; the gain is 5 × .04.
    assert_eq!(desk.touch(48_000, "100.04", "100.1"), Intent::None);
    assert_eq!(desk.touch(47_999, "100.2", "100.3"), Intent::None);
    assert_eq!(exited(desk.touch(48_000, "100.2", "100.3")).purpose, Purpose::ExitTime);
    assert_eq!(desk.touch(99_999, "99.9", "100"), Intent::None);
    assert_eq!(exited(desk.touch(100_000, "99.9", "100")).purpose, Purpose::ExitTime);
}

/// What an earlier session knew of its position is enough to go on as it would have.
#[test]
fn a_position_carried_over_a_restart_keeps_its_stop_its_target_and_its_best_price() {
    let rules = |rules: &mut Rules| {
        (rules.exits.trail_start_r, rules.exits.trail_r) = (1.0, 0.5);
        rules.exits.hold_ms_max = 86_400_000;
    };
    let body = PositionCarried {
        qty: qty("5").0,
        cost: Money::whole(500).0,
        ts_opened: 1,
        atr_px: px("1").0,
        target_px: px("4").0,
        best_px: px("103").0,
        ..PositionCarried::default()
    };
    let mut desk = Desk::new(rules);
    desk.ledger.on_event(&Event::new(Kind::PositionCarried, BTC, &body));
    // A market that moves three times as much since does not widen the stop.
    assert_eq!(desk.range_at(1, "3", "102.5", "102.6"), Intent::None);
    assert_eq!(desk.touch(2, "102.01", "102.1"), Intent::None);
    assert_eq!(exited(desk.touch(3, "102", "102.1")).purpose, Purpose::ExitTrail);
    assert_eq!(exited(desk.touch(4, "104", "104.1")).purpose, Purpose::ExitProfit);
    let never_far = PositionCarried { best_px: px("100").0, ..body };
    let mut desk = Desk::new(rules);
    desk.ledger.on_event(&Event::new(Kind::PositionCarried, BTC, &never_far));
    assert_eq!(desk.touch(2, "98.01", "98.1"), Intent::None);
    assert_eq!(exited(desk.touch(3, "98", "98.1")).purpose, Purpose::ExitStop);
}

#[test]
fn a_position_of_unknown_origin_has_the_widest_stop_and_not_none() {
    let mut desk = Desk::new(|rules| rules.exits.stop_bps_max = 500);
    desk.fill(0, Side::Buy, "5", "100");
    assert_eq!(desk.touch(1, "95.01", "95.1"), Intent::None);
    assert_eq!(exited(desk.touch(2, "95", "95.1")).purpose, Purpose::ExitStop);
}
