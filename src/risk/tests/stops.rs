//! Protective stops at the gate: nothing that limits risk denies them, and they cost nobody else
//! anything.

use super::*;

fn stop(side: Side, quantity: &str, trigger: &str) -> Wanted {
    Wanted {
        instrument: BTC,
        side,
        qty: qty(quantity),
        px: px(trigger),
        order_type: OrderType::StopMarket,
        time_in_force: TimeInForce::Gtc,
        purpose: Purpose::Protect,
        reference_px: px("100"),
        model_tag: 0,
        plan: Plan::default(),
    }
}

fn bought(settings: &RiskSettings) -> Desk {
    let mut desk = Desk::new(settings);
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    desk
}

#[test]
fn a_stop_may_leave_in_every_state_as_long_as_there_is_a_position() {
    for state in [
        TradingState::Active,
        TradingState::Reducing,
        TradingState::Halted,
        TradingState::Reconciling,
        TradingState::Killed,
    ] {
        let mut desk = bought(&generous());
        let cause = desk.cause();
        desk.gate.request(&cause, state, Reason::Operator, Actor::Operator(1));
        assert_eq!(desk.gate.state(), state);
        desk.passes(&stop(Side::Sell, "5", "97"));
        // On the side of the position it would grow it; without one there is nothing to close.
        desk.is_denied(&stop(Side::Buy, "5", "103"), Reason::ReduceOnlyWouldIncrease);
        desk.hold(BTC, Side::Sell, qty("5"), px("100"));
        desk.is_denied(&stop(Side::Sell, "5", "97"), Reason::ReduceOnlyWouldIncrease);
    }
}

#[test]
fn nothing_that_limits_risk_denies_a_stop() {
    // No limit is set, the instrument is not on the list, there is no touch, the price is far away,
    // and the position is larger than one order may be.
    let settings = RiskSettings { allow: Vec::new(), order_notional_max: None, ..generous() };
    let mut facts = instrument("BTCUSDT");
    facts.max_qty = qty("1");
    let mut desk = Desk::with(&settings, &[facts], Mode::Live);
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    desk.ledger.on_touch(BTC, Px::ZERO, Px::ZERO, desk.now);
    desk.passes(&stop(Side::Sell, "5", "50"));
    desk.passes(&stop(Side::Sell, "5", "50"));
}

#[test]
fn a_stop_is_priced_on_the_grid_and_only_a_stop_is_a_stop_order() {
    let mut desk = bought(&generous());
    desk.is_denied(&stop(Side::Sell, "5", "97.05"), Reason::TickSize);
    for purpose in [Purpose::Entry, Purpose::ExitStop, Purpose::Flatten] {
        desk.is_denied(&Wanted { purpose, ..stop(Side::Sell, "5", "97") }, Reason::TickSize);
    }
}

#[test]
fn stops_take_nothing_of_the_rate_and_the_places_of_others() {
    let settings = RiskSettings {
        orders_per_10s_max: Some(2),
        open_orders_max: Some(1),
        duplicate_window_ms: Some(500),
        ..generous()
    };
    let mut desk = bought(&settings);
    for trigger in ["97", "96"] {
        desk.passes(&stop(Side::Sell, "5", trigger));
    }
    let more = Wanted {
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        purpose: Purpose::Entry,
        // Below our own stop's trigger and on the other side: it does not meet it.
        ..stop(Side::Buy, "1", "99")
    };
    desk.passes(&more);
    let exit = Wanted {
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Ioc,
        purpose: Purpose::ExitTime,
        ..stop(Side::Sell, "5", "99.9")
    };
    desk.passes(&exit);
}

#[test]
fn the_cancel_of_a_stop_says_that_it_is_one() {
    let mut desk = bought(&generous());
    let id = desk.passes(&stop(Side::Sell, "5", "97"));
    let cause = desk.cause();
    let id = crate::base::ClientOrderId(id);
    let cancel = desk.gate.admit_cancel(&cause, BTC, id, &mut desk.ledger);
    let body: &Order = cancel.event().body();
    assert_eq!(body.order_type, OrderType::StopMarket as u8);
    assert_eq!(body.purpose, Purpose::Protect as u8);
}
