//! What stands between an exit and the wire where the configured limits are missing.

use super::*;
use crate::base::limits::OPEN_ORDERS_MAX;

/// A desk whose limits are missing, with a position of 10 to leave.
fn desk_without_limits() -> Desk {
    let mut desk = Desk::new(&RiskSettings { reduce_s: None, ..generous() });
    desk.is_denied(&entry(), Reason::LimitUnset);
    desk.hold(BTC, Side::Buy, qty("10"), px("100"));
    desk
}

#[test]
fn without_limits_an_exit_keeps_to_the_collar_of_exits() {
    let mut desk = desk_without_limits();
    // 3 % below a bid of 99.9 is 96.903; the tick is 0.1.
    desk.is_denied(&Wanted { px: px("96.9"), ..exit() }, Reason::PriceCollar);
    desk.passes(&Wanted { px: px("97"), ..exit() });
}

#[test]
fn without_limits_exits_keep_to_a_hundred_in_ten_seconds() {
    let mut desk = desk_without_limits();
    for _ in 0..100 {
        desk.passes(&exit());
        desk.end_orders();
    }
    desk.is_denied(&exit(), Reason::OrderRate);
    desk.now = desk.now + Nanos::from_secs(10);
    desk.passes(&exit());
}

#[test]
fn without_limits_exits_end_where_the_table_of_orders_does() {
    let mut desk = desk_without_limits();
    let resting = Wanted { qty: qty("0.01"), time_in_force: TimeInForce::Gtc, ..exit() };
    for count in 0..OPEN_ORDERS_MAX {
        if count % 100 == 0 {
            desk.now = desk.now + Nanos::from_secs(10);
        }
        desk.passes(&resting);
    }
    desk.now = desk.now + Nanos::from_secs(10);
    desk.is_denied(&resting, Reason::MaxOpenOrders);
}

#[test]
fn without_limits_an_exit_is_near_only_what_it_comes_near() {
    let mut desk = desk_without_limits();
    let near = |desk: &Desk| Check::ALL.map(|check| desk.gate.count(check).near);
    let before = near(&desk);
    desk.passes(&exit());
    assert_eq!(near(&desk), before);
}
