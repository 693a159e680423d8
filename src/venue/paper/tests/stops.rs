//! Protective stops at the paper venue.

use super::*;

/// Long 2 at 100.1, with a stop at 99 that the venue has taken on.
fn stopped() -> (Desk, u64) {
    let mut desk = averse();
    desk.mark(0, "100", 0, 1_000_000);
    desk.send(0, Side::Buy, "IOC", "2", "100.1");
    let stop = desk.send(1, Side::Sell, "STOP-R", "2", "99");
    assert_eq!(
        desk.hear(10),
        ["OrderAccepted None 0", "taker 2 at 100.1 fee 0.1001", "OrderAccepted None 0",]
    );
    (desk, stop)
}

#[test]
fn a_stop_waits_for_the_mark_price_and_sells_the_whole_position_at_the_quotes_it_then_meets() {
    let (mut desk, _) = stopped();
    desk.send(10, Side::Buy, "IOC", "1", "100.1");
    // The touch alone does not trigger it, nor does a mark price above it.
    desk.quote(20, ("98", "1"), ("98.1", "9"));
    desk.mark(30, "99.1", 0, 1_000_000);
    assert_eq!(desk.hear(40).len(), 2, "the second purchase alone");
    desk.mark(50, "99", 0, 1_000_000);
    assert_eq!(
        desk.hear(60),
        ["OrderAccepted StopTriggered 0", "taker 1 at 98 fee 0.049"],
        "3 held, 1 displayed"
    );
    desk.quote(70, ("97.5", "5"), ("97.6", "9"));
    assert_eq!(desk.hear(80), ["taker 2 at 97.5 fee 0.0975"]);
    assert_eq!(desk.venue.account().held(BTC), Qty::ZERO);
    assert!(desk.venue.account().balances());
}

#[test]
fn a_stop_goes_with_its_position_or_when_it_is_taken_back() {
    let (mut desk, stop) = stopped();
    desk.send(10, Side::Sell, "IOC-R", "2", "99.9");
    let heard = desk.hear(20);
    assert_eq!(heard.last().unwrap(), "OrderCancelled ReduceOnlyRefused 0");
    assert!(desk.venue.stops().is_empty());
    desk.cancel(20, stop);
    assert_eq!(desk.hear(30), ["CancelRejected UnknownOrder 0"]);
    let (mut desk, stop) = stopped();
    desk.cancel(10, stop);
    assert_eq!(desk.hear(20), ["OrderCancelled None 0"]);
    desk.mark(30, "98", 0, 1_000_000);
    assert!(desk.hear(40).is_empty());
}

#[test]
fn a_stop_beyond_the_mark_price_is_refused_and_one_with_nothing_to_close_when_it_triggers() {
    let mut desk = averse();
    desk.mark(0, "99", 0, 1_000_000);
    desk.send(0, Side::Sell, "STOP-R", "1", "99");
    assert_eq!(desk.hear(10), ["OrderRejected WouldTrigger 0"]);
    desk.send(10, Side::Sell, "STOP-R", "1", "98.9");
    assert_eq!(desk.hear(20), ["OrderAccepted None 0"]);
    desk.mark(30, "98.9", 0, 1_000_000);
    assert_eq!(desk.hear(40), ["OrderRejected ReduceOnlyRefused 0"]);
}

#[test]
fn without_a_mark_price_the_middle_of_the_touch_triggers() {
    let mut desk = averse();
    desk.send(0, Side::Sell, "IOC", "2", "99.9");
    desk.send(1, Side::Buy, "STOP-R", "2", "101");
    desk.quote(10, ("100.8", "9"), ("101.1", "9"));
    assert_eq!(desk.venue.stops().len(), 1);
    desk.quote(20, ("100.9", "9"), ("101.1", "9"));
    assert!(desk.venue.stops().is_empty());
    assert_eq!(desk.venue.account().held(BTC), Qty::ZERO);
}
