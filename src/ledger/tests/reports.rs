//! What the venue says of our orders and positions, case by case.

use super::*;
use crate::base::event::{MarkPrice, StreamStatus, carries};

/// A ledger with a buy of 100 hundredths, id 1, that the venue told all of this about.
fn told(events: &[Event]) -> Ledger {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_order_sent(&order(1, BTC, Side::Buy, 100, 100)).unwrap();
    for event in events {
        ledger.on_event(event);
    }
    ledger
}

fn counted(qty: i64, cum: i64, trade_id: u64) -> Event {
    report_with(Kind::OrderFilled, 1, |body| {
        body.trade_id = trade_id;
        (body.last_qty, body.cum_qty) = (qty * 1_000_000, cum * 1_000_000);
        body.last_px = Px::whole(100).0;
    })
}

fn ended(cum: i64) -> Event {
    report_with(Kind::OrderCancelled, 1, |body| body.cum_qty = cum * 1_000_000)
}

#[test]
fn the_most_that_was_ever_reported_as_filled_is_waited_for() {
    // A fill that is counted before the others have come, and one that comes late.
    assert_eq!(leaves(&told(&[counted(10, 30, 1), ended(0)])), (20, 0));
    assert_eq!(leaves(&told(&[ended(40), counted(15, 15, 1)])), (25, 0));
    assert_eq!(leaves(&told(&[ended(40), counted(10, 50, 1)])), (40, 0));
    let all = told(&[counted(10, 30, 1), ended(0), counted(20, 30, 2)]);
    assert!(all.orders().is_empty() && all.fault().is_none());
}

#[test]
fn a_quantity_that_the_venue_tells_replaces_ours_and_none_is_not_zero() {
    let accepted = |qty| report_with(Kind::OrderAccepted, 1, |body| body.qty = qty);
    for (qty, left) in [(0, 100_000_000), (-1, 100_000_000), (1, 1), (40_000_000, 40_000_000)] {
        let ledger = told(&[accepted(qty)]);
        assert_eq!(ledger.position(BTC).unwrap().buy_leaves, Qty(left), "{qty}");
        assert_eq!(ledger.orders()[0].stage, Stage::Working);
    }
}

#[test]
fn an_order_of_unknown_outcome_is_known_again_by_its_fill() {
    let ledger = told(&[report(Kind::OrderUnknown, 1), counted(10, 10, 1)]);
    assert_eq!((ledger.unknown_orders(), ledger.orders()[0].stage), (0, Stage::Working));
}

#[test]
fn no_word_about_a_cancel_opens_an_order_again_that_waits_for_its_fills() {
    let absent = report_with(Kind::CancelRejected, 1, |body| {
        body.reason = Reason::UnknownOrder as u16;
    });
    for word in [absent, report(Kind::CancelRejected, 1), report(Kind::OrderUnknown, 1)] {
        let ledger = told(&[ended(40), word]);
        assert_eq!((ledger.unknown_orders(), leaves(&ledger)), (0, (40, 0)));
    }
    // Of one that works, only the word that it is not there makes it unknown.
    let other = told(&[report(Kind::OrderAccepted, 1), report(Kind::CancelRejected, 1)]);
    assert_eq!(other.unknown_orders(), 0);
    assert_eq!(told(&[report(Kind::OrderAccepted, 1), absent]).unknown_orders(), 1);
}

#[test]
fn a_cancel_that_went_astray_may_leave_anew_once_the_order_was_seen_open() {
    let mut cancel = order(1, BTC, Side::Buy, 100, 100);
    cancel.kind = Kind::CancelApproved as u8;
    for (reason, pending) in [(Reason::None, true), (Reason::Reconciled, false)] {
        let mut ledger = told(&[]);
        ledger.on_order_sent(&cancel).unwrap();
        let seen = report_with(Kind::OrderAccepted, 1, |body| body.reason = reason as u16);
        ledger.on_event(&seen);
        assert_eq!(ledger.orders()[0].cancel_pending, pending, "{reason:?}");
    }
}

#[test]
fn a_fill_of_nothing_at_no_price_or_of_no_instrument_of_ours_is_a_fault_and_books_nothing() {
    for (qty, px, instrument) in [(0, 1, 0), (-1, 1, 0), (1, 0, 0), (1, -1, 0), (1, 1, 1)] {
        let mut event = report_with(Kind::OrderFilled, 1, |body| {
            (body.trade_id, body.last_qty, body.last_px) = (1, qty, px);
        });
        event.instrument = instrument;
        let mut ledger = told(&[]);
        let fault = LedgerChange::Fault(Reason::ReportOutOfState);
        assert_eq!(ledger.on_event(&event), fault, "{qty} {px} {instrument}");
        assert_eq!(ledger.position(BTC).unwrap().qty, Qty::ZERO);
    }
}

#[test]
fn a_round_trip_that_ends_where_it_began_is_no_loss_and_with_funding_paid_it_is_one() {
    let paid = |amount| {
        let body = FundingPayment { amount, ..FundingPayment::default() };
        Event::new(Kind::FundingPayment, BTC, &body)
    };
    for (between, result, losses) in [(None, 0, 0), (Some(-1), -1, 1), (Some(1), 1, 0)] {
        let mut ledger = Ledger::new(1, Money::whole(1_000));
        // While there is no position it is nobody's.
        ledger.on_event(&Event { ts_venue: 1, ..paid(-9) });
        ledger.on_event(&fill(1, 1, Side::Buy, 100, 100));
        if let Some(amount) = between {
            ledger.on_event(&paid(amount));
        }
        let closed = Some(Money(result));
        let booked = LedgerChange::Fill(Booked { realised: Money::ZERO, closed });
        assert_eq!(ledger.on_event(&fill(2, 2, Side::Sell, 100, 100)), booked);
        assert_eq!(ledger.losses_in_a_row(), losses);
    }
}

#[test]
fn a_position_is_as_old_as_its_opening_and_a_turn_opens_it_anew() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    let steps = [
        (Side::Buy, 100, 10),
        (Side::Buy, 100, 10),
        (Side::Sell, 50, 10),
        (Side::Sell, 200, 40),
        (Side::Buy, 50, 0),
        (Side::Sell, 50, 60),
    ];
    for ((side, qty, opened), nth) in steps.into_iter().zip(1..) {
        let event =
            Event { ts_recv: at(10 * nth).0, ..fill(nth as u64, nth as u64, side, qty, 100) };
        ledger.on_event(&event);
        assert_eq!(ledger.position(BTC).unwrap().opened_at, at(opened), "{nth}");
    }
}

#[test]
fn closing_a_gain_is_no_higher_peak_than_the_gain_was() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_event(&fill(1, 1, Side::Buy, 100, 100));
    ledger.on_mark(BTC, Px::whole(110), at(1));
    ledger.on_event(&fill(2, 2, Side::Sell, 100, 110));
    assert_eq!((ledger.equity(), ledger.peak_equity()), (Money::whole(1_010), Money::whole(1_010)));
}

#[test]
fn the_best_price_is_the_best_to_leave_at_of_either_side_and_of_a_whole_touch_alone() {
    for (side, best) in [(Side::Buy, [100, 100, 103, 103]), (Side::Sell, [100, 100, 100, 98])] {
        let mut ledger = Ledger::new(1, Money::whole(1_000));
        ledger.on_event(&fill(1, 1, side, 100, 100));
        let touches = [(105, 0), (99, 101), (103, 104), (97, 98)];
        for ((bid, ask), best) in touches.into_iter().zip(best) {
            ledger.on_touch(BTC, Px::whole(bid), Px::whole(ask), at(1));
            assert_eq!(ledger.position(BTC).unwrap().best_px, Px::whole(best), "{bid} {ask}");
        }
    }
}

#[test]
fn a_lost_stream_withdraws_what_it_brought_and_of_its_instrument_alone() {
    let (touch, mark) = ((Px::whole(99), Px::whole(101)), Px::whole(100));
    let (none, all) = ((Px::ZERO, Px::ZERO), InstrumentId::NONE);
    for (carries, of, touches, marks) in [
        (0, all, [none; 2], [Px::ZERO; 2]),
        (carries::TOUCH, all, [none; 2], [mark; 2]),
        (carries::DEPTH, ETH, [touch, none], [mark; 2]),
        (carries::MARK, BTC, [touch; 2], [Px::ZERO, mark]),
    ] {
        let mut ledger = Ledger::new(2, Money::whole(1_000));
        for id in [BTC, ETH] {
            ledger.on_touch(id, touch.0, touch.1, at(1));
            let body = MarkPrice { mark_px: mark.0, ..MarkPrice::default() };
            ledger.on_event(&Event::new(Kind::MarkPrice, id, &body));
        }
        let body = StreamStatus { carries, ..StreamStatus::default() };
        let lost = Event::new(Kind::StreamStatus, of, &body);
        ledger.on_event(&lost.with_flags(flags::ON));
        assert_eq!(ledger.position(BTC).unwrap().mark_px, mark, "it has come");
        ledger.on_event(&lost);
        let told = [BTC, ETH].map(|id| *ledger.position(id).unwrap());
        assert_eq!(told.map(|position| (position.bid, position.ask)), touches, "{carries}");
        assert_eq!(told.map(|position| position.mark_px), marks, "{carries}");
    }
}

#[test]
fn without_a_mark_price_any_more_a_position_is_valued_by_the_touch_at_once() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_event(&fill(1, 1, Side::Buy, 100, 100));
    ledger.on_touch(BTC, Px::whole(103), Px::whole(105), at(1));
    ledger.on_mark(BTC, Px::whole(110), at(1));
    assert_eq!(ledger.equity(), Money::whole(1_010));
    let body = StreamStatus { carries: carries::MARK, ..StreamStatus::default() };
    ledger.on_event(&Event::new(Kind::StreamStatus, InstrumentId::NONE, &body));
    assert_eq!(ledger.equity(), Money::whole(1_004));
}
