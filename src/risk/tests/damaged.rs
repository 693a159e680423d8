//! Books out of their range: no order passes because of what they no longer tell, and the price
//! that led them there halts.

use super::*;
use crate::base::event::{ContractStatus, MarkPrice, flags};
use crate::risk::gate::glances;

/// Resting entries of both instruments, and then a price of the other one beyond all sums.
fn beyond(by: fn(&mut Desk)) -> Desk {
    let mut desk = Desk::new(&generous());
    desk.passes(&Wanted { instrument: ETH, px: px("99.9"), ..entry() });
    desk.passes(&Wanted { px: px("99.9"), ..entry() });
    desk.now = desk.now + Nanos::from_millis(10);
    by(&mut desk);
    assert_eq!(desk.ledger.fault(), Some(Reason::Overflow));
    desk
}

fn by_mark(desk: &mut Desk) {
    let mark = MarkPrice { mark_px: i64::MAX, ..MarkPrice::default() };
    desk.told(Kind::MarkPrice, ETH, &mark);
}

fn by_touch(desk: &mut Desk) {
    desk.ledger.position_mut(ETH).mark_px = Px::ZERO;
    let touch = crate::base::event::BookTicker {
        bid_px: i64::MAX - 1,
        ask_px: i64::MAX,
        ..Default::default()
    };
    desk.told(Kind::BookTicker, ETH, &touch);
}

#[test]
fn a_price_that_leads_the_books_out_of_their_range_halts_at_once() {
    for by in [by_mark, by_touch] {
        let mut desk = beyond(by);
        assert!(desk.gate.is_stirred(&desk.ledger));
        let cause = desk.cause();
        let _ = desk.gate.break_on(&cause, &desk.ledger);
        assert_eq!(desk.gate.state(), TradingState::Halted);
        desk.is_denied(&Wanted { px: px("99.8"), ..entry() }, Reason::TradingState);
    }
}

#[test]
fn sound_books_are_looked_at_with_every_report() {
    use crate::base::Control;
    let mut desk = Desk::new(&generous());
    let looked = |desk: &Desk| desk.gate.breaker_count(Control::LedgerFault).evaluated;
    let before = looked(&desk);
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    assert_eq!(looked(&desk), before + 1);
}

#[test]
fn books_with_a_fault_are_never_passed_at_a_glance() {
    let mut desk = beyond(by_mark);
    let before = glances();
    desk.is_denied(&Wanted { px: px("99.8"), ..entry() }, Reason::MaxCorrelated);
    assert_eq!(glances(), before);
}

#[test]
fn an_order_that_the_venue_tells_beyond_all_sums_lets_no_other_pass() {
    let mut desk = Desk::new(&generous());
    let sale = Wanted { instrument: ETH, purpose: Purpose::Entry, px: px("100.2"), ..exit() };
    let client_id = desk.passes(&sale);
    desk.ledger.on_mark(ETH, Px::whole(2), desk.now);
    let told = OrderReport { client_id, qty: 1 << 62, ..OrderReport::default() };
    desk.hear(Kind::OrderAccepted, ETH, &told);
    assert!(matches!(desk.admit(&Wanted { qty: qty("2"), ..entry() }), Verdict::Denied(_)));
}

#[test]
fn a_sum_of_less_than_its_part_is_no_distance_to_liquidation() {
    let mut desk = Desk::new(&generous());
    desk.ledger.position_mut(BTC).exposure = Money::whole(1_000_000);
    desk.is_denied(&entry(), Reason::LiquidationNear);
}

#[test]
fn what_is_worth_more_than_can_be_told_is_denied_and_not_added_up() {
    let mut desk = Desk::new(&generous());
    let position = desk.ledger.position_mut(BTC);
    (position.qty, position.buy_leaves) = (Qty::MAX, Qty::MAX);
    position.ask = Px(i64::MAX);
    assert!(matches!(desk.admit(&Wanted { qty: Qty(4), ..entry() }), Verdict::Denied(_)));
}

#[test]
fn a_least_amount_below_zero_is_looked_at_closer() {
    let mut desk = Desk::new(&generous());
    let facts = instrument("BTCUSDT");
    let body = ContractStatus {
        trading: 1,
        tick_size: facts.tick_size.0,
        lot_size: facts.lot_size.0,
        min_qty: facts.min_qty.0,
        max_qty: facts.max_qty.0,
        min_notional: -3 << 61,
        ..ContractStatus::default()
    };
    let event = Event::new(Kind::ContractStatus, BTC, &body).with_flags(flags::LAST);
    let _ = desk.gate.on_watched(&Event { ts_recv: desk.now.0, ..event }, &desk.ledger);
    desk.passes(&entry());
    assert_eq!(glances(), 0);
}
