//! The ledger's numbers at their edges: ranges, places, times.

use super::*;

/// What is worth two thirds of all that the range holds, at a price of one.
const VAST: i64 = i64::MAX / 3 * 2;

fn vast(id: u64, instrument: InstrumentId) -> Event {
    let body =
        Order { client_id: id, px: Px::whole(1).0, qty: VAST, purpose: 1, ..Order::default() };
    Event::new(Kind::OrderApproved, instrument, &body)
}

#[test]
fn an_order_that_alone_or_with_another_is_beyond_the_range_is_a_fault() {
    let mut alone = Ledger::new(2, Money::ZERO);
    alone.on_mark(BTC, Px::whole(2), at(1));
    alone.on_order_sent(&vast(1, BTC)).unwrap();
    assert_eq!(alone.fault(), Some(Reason::Overflow));
    let mut both = Ledger::new(2, Money::ZERO);
    for (id, instrument, fault) in [(1, BTC, None), (2, ETH, Some(Reason::Overflow))] {
        both.on_mark(instrument, Px::whole(1), at(1));
        both.on_order_sent(&vast(id, instrument)).unwrap();
        assert_eq!(both.fault(), fault, "each alone fits, and both do not");
    }
}

#[test]
fn a_price_that_takes_a_position_or_their_sum_beyond_the_range_is_a_fault() {
    let bought = |ledger: &mut Ledger, trade_id, instrument: InstrumentId| {
        let body = OrderReport {
            trade_id,
            last_qty: VAST,
            last_px: Px::whole(1).0 / 2,
            ..OrderReport::default()
        };
        ledger.on_event(&Event::new(Kind::OrderFilled, instrument, &body));
    };
    let mut ledger = Ledger::new(2, Money::ZERO);
    bought(&mut ledger, 1, BTC);
    ledger.on_mark(BTC, Px::whole(1), at(1));
    assert_eq!(ledger.fault(), None);
    ledger.on_mark(BTC, Px::whole(2), at(2));
    assert_eq!(ledger.fault(), Some(Reason::Overflow), "one position");
    let mut ledger = Ledger::new(2, Money::ZERO);
    bought(&mut ledger, 1, BTC);
    bought(&mut ledger, 2, ETH);
    ledger.on_mark(BTC, Px::whole(1), at(1));
    assert_eq!(ledger.fault(), None);
    ledger.on_mark(ETH, Px::whole(1), at(2));
    assert_eq!(ledger.fault(), Some(Reason::Overflow), "the sum of two");
}

#[test]
fn an_equity_beyond_the_range_stays_at_its_end() {
    let paid = |ledger: &mut Ledger, amount| {
        let body = FundingPayment { amount, ..FundingPayment::default() };
        ledger.on_event(&Event::new(Kind::FundingPayment, BTC, &body));
        ledger.equity()
    };
    assert_eq!(paid(&mut Ledger::new(1, Money::MAX), 1), Money::MAX);
    assert_eq!(paid(&mut Ledger::new(1, Money(i64::MIN)), -1), Money(i64::MIN));
}

#[test]
fn an_order_for_the_place_after_the_last_instrument_is_refused() {
    let mut ledger = Ledger::new(1, Money::ZERO);
    for next in [1, 2, u16::MAX] {
        let sent = order(1, InstrumentId(next), Side::Buy, 1, 100);
        assert_eq!(ledger.on_order_sent(&sent), Err(Reason::UnknownInstrument));
    }
    assert!(ledger.orders().is_empty());
}

#[test]
fn a_decision_s_touch_is_as_old_as_its_quote_and_never_newer_than_now() {
    let told = |ts_quote| {
        let mut ledger = Ledger::new(1, Money::ZERO);
        let (bid_px, ask_px) = (Px::whole(99).0, Px::whole(101).0);
        let body = Prediction { bid_px, ask_px, ts_quote, ..Prediction::default() };
        let event = Event::new(Kind::Prediction, BTC, &body);
        ledger.on_event(&Event { ts_recv: 1_000, ..event });
        ledger.position(BTC).unwrap().touched_at.0
    };
    assert_eq!([-1, 0, 1, 999, 1_001].map(told), [1_000, 1_000, 1, 999, 1_000]);
}

#[test]
fn a_book_that_is_not_trusted_withdraws_both_sides_of_the_touch() {
    let mut ledger = Ledger::new(1, Money::ZERO);
    let (bid_px, ask_px) = (Px::whole(99).0, Px::whole(101).0);
    let book =
        Event::new(Kind::BookState, BTC, &BookState { bid_px, ask_px, ..Default::default() });
    for (event, touch) in [(book.with_flags(flags::ON), (bid_px, ask_px)), (book, (0, 0))] {
        ledger.on_event(&event);
        let position = ledger.position(BTC).unwrap();
        assert_eq!((position.bid.0, position.ask.0), touch);
    }
}

#[test]
fn a_ledger_begins_with_nothing_lost_and_nothing_open() {
    let ledger = Ledger::new(2, Money(7));
    assert_eq!((ledger.losses_in_a_row(), ledger.exposed(), ledger.unknown_orders()), (0, 0, 0));
    assert_eq!(
        (ledger.equity(), ledger.peak_equity(), ledger.starting_equity()),
        (Money(7), Money(7), Money(7))
    );
    assert_eq!(
        (ledger.day_loss(), ledger.trading_orders(), ledger.fault()),
        (Money::ZERO, 0, None)
    );
}

#[test]
fn one_unit_that_is_left_closes_its_position_and_what_it_was_planned_with() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_touch(BTC, Px::whole(99), Px::whole(101), at(1));
    assert_eq!(ledger.position(BTC).unwrap().best_px, Px::ZERO, "flat: no price to be left at");
    let entry = Order {
        client_id: 7,
        px: Px::whole(100).0,
        qty: 1,
        purpose: Purpose::Entry as u8,
        atr_px: 3,
        target_px: 5,
        ..Order::default()
    };
    ledger.on_order_sent(&Event::new(Kind::OrderApproved, BTC, &entry)).unwrap();
    assert!(ledger.position(BTC).unwrap().is_exposed() && ledger.exposed() == 1, "one order is");
    let one = |id, trade_id, side, px| {
        let tell = |body: &mut OrderReport| {
            (body.trade_id, body.last_qty, body.cum_qty) = (trade_id, 1, 1);
            body.last_px = Px::whole(px).0;
        };
        report_with(Kind::OrderFilled, id, tell).with_flags(side_flag(side))
    };
    ledger.on_event(&one(7, 1, Side::Buy, 100));
    let held = *ledger.position(BTC).unwrap();
    assert_eq!((held.qty, held.cost), (Qty(1), Money(100)));
    assert_eq!((held.entry_atr, held.target_px, held.best_px), (Px(3), Px(5), Px::whole(100)));
    assert_eq!(held.net, [Money(100); 2]);
    let LedgerChange::Fill(booked) = ledger.on_event(&one(8, 2, Side::Sell, 110)) else {
        panic!("it is a fill")
    };
    assert_eq!((booked.realised, booked.closed), (Money(10), Some(Money(10))));
    let left = *ledger.position(BTC).unwrap();
    assert_eq!((left.qty, left.cost, left.opened_at), (Qty::ZERO, Money::ZERO, Nanos::ZERO));
    assert_eq!((left.entry_atr, left.target_px, left.best_px), (Px::ZERO, Px::ZERO, Px::ZERO));
    assert_eq!(left.net, [Money::ZERO; 2]);
    assert_eq!(ledger.exposed(), 0);
}

#[test]
fn a_position_is_recorded_field_by_field_and_of_no_instrument_but_ours() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    let cause = fill(7, 1, Side::Sell, 200, 100);
    ledger.on_event(&cause);
    ledger.on_mark(BTC, Px::whole(90), at(2));
    assert_eq!(ledger.position(BTC).unwrap().marked_at, at(2));
    let told = ledger.position_event(&cause, BTC).unwrap();
    assert_eq!((told.kind(), told.instrument()), (Some(Kind::Position), BTC));
    let expected = event::Position {
        qty: -Qty::whole(2).0,
        avg_px: Px::whole(100).0,
        unrealised: Money::whole(20).0,
        mark_px: Px::whole(90).0,
        equity: Money::whole(1_020).0,
        best_px: Px::whole(100).0,
        ..event::Position::default()
    };
    assert_eq!(*told.body::<event::Position>(), expected);
    assert!(ledger.position_event(&cause, ETH).is_none());
}
