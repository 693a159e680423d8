//! What leaves a position when everything must go.

use super::*;
use crate::base::settings::KillSettings;

/// Slices of 1000, up to 300 basis points through the touch, a market order after ten seconds.
pub(super) fn kill() -> KillSettings {
    KillSettings::default()
}

#[track_caller]
pub(super) fn leaving(desk: &Desk, kill: &KillSettings, since_ms: i64) -> Wanted {
    match desk.policy.flatten(BTC, &desk.ledger, kill, Nanos::from_millis(since_ms)) {
        Intent::Exit(wanted) => {
            assert_eq!(wanted.purpose, Purpose::Flatten);
            wanted
        }
        other => panic!("{other:?}"),
    }
}

fn holding(side: Side, size: &str) -> Desk {
    let mut desk = Desk::new(|_| {});
    desk.fill(0, side, size, "100");
    desk.touch(0, "99.9", "100.1");
    desk
}

#[test]
fn a_slice_is_an_immediate_order_at_the_edge_of_the_collar_on_the_side_that_closes() {
    // 300 of 10000 from 99.9 and 100.1: 96.903 up, 103.103 down, to the tick of 0.1.
    for (side, closes, edge) in [(Side::Buy, Side::Sell, "97"), (Side::Sell, Side::Buy, "103.1")] {
        let wanted = leaving(&holding(side, "5"), &kill(), 0);
        assert_eq!((wanted.side, wanted.qty), (closes, qty("5")));
        assert_eq!((wanted.order_type, wanted.time_in_force), (OrderType::Limit, TimeInForce::Ioc));
        assert_eq!(wanted.px, px(edge));
    }
}

#[test]
fn a_position_is_left_in_slices_of_the_value_set_and_the_rest_is_the_last() {
    let mut desk = holding(Side::Buy, "25");
    let mut left = Vec::new();
    for id in 1..=3 {
        let wanted = leaving(&desk, &kill(), 0);
        left.push(wanted.qty);
        desk.send(id, 0, &wanted);
        let silent = desk.policy.flatten(BTC, &desk.ledger, &kill(), Nanos::ZERO);
        assert_eq!(silent, Intent::None, "one at a time");
        desk.report(Kind::OrderExpired, id);
        desk.fill(1, Side::Sell, &wanted.qty.to_string(), "99.9");
    }
    // 1000 at 99.9, in steps of 0.01.
    assert_eq!(left, [qty("10.01"), qty("10.01"), qty("4.98")]);
    assert_eq!(desk.policy.flatten(BTC, &desk.ledger, &kill(), Nanos::ZERO), Intent::None);
}

#[test]
fn a_slice_is_never_below_the_venue_s_least() {
    let fine = KillSettings { slice_notional: Money(1), ..kill() };
    assert_eq!(leaving(&holding(Side::Buy, "5"), &fine, 0).qty, qty("0.01"));
}

#[test]
fn after_too_long_the_rest_goes_at_any_price_with_or_without_a_touch() {
    let mut desk = holding(Side::Buy, "25");
    assert_eq!(leaving(&desk, &kill(), 9_999).order_type, OrderType::Limit);
    let wanted = leaving(&desk, &kill(), 10_000);
    assert_eq!((wanted.order_type, wanted.px), (OrderType::Market, Px::ZERO));
    assert_eq!((wanted.side, wanted.qty), (Side::Sell, qty("25")));
    desk.touch(1, "0", "0");
    let since = Nanos::from_millis(9_999);
    let blind = desk.policy.flatten(BTC, &desk.ledger, &kill(), since);
    assert_eq!(blind, Intent::None, "no price, no limit order");
    assert_eq!(leaving(&desk, &kill(), 10_000).order_type, OrderType::Market);
    let patient = KillSettings { market_after_ms: 0, ..kill() };
    let never = desk.policy.flatten(BTC, &desk.ledger, &patient, Nanos::from_secs(600));
    assert_eq!(never, Intent::None);
}

#[test]
fn half_of_a_position_is_half_of_all_of_it_and_not_of_a_slice() {
    let desk = holding(Side::Buy, "25");
    let Intent::Exit(wanted) = desk.policy.halve(BTC, &desk.ledger, &kill()) else { panic!() };
    assert_eq!(
        (wanted.side, wanted.qty, wanted.purpose),
        (Side::Sell, qty("12.5"), Purpose::ExitStop)
    );
    assert_eq!(wanted.px, leaving(&desk, &kill(), 0).px, "within the collar");
    let least = holding(Side::Buy, "0.01");
    let Intent::Exit(wanted) = least.policy.halve(BTC, &least.ledger, &kill()) else { panic!() };
    assert_eq!(wanted.qty, qty("0.01"), "a lot is not halved");
    let mut busy = holding(Side::Sell, "25");
    let out = leaving(&busy, &kill(), 0);
    busy.send(1, 0, &out);
    assert_eq!(busy.policy.halve(BTC, &busy.ledger, &kill()), Intent::None, "one at a time");
}
