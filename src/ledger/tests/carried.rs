//! What an earlier session left is taken over field by field.

use super::*;

const TODAY: i64 = 20_000;

fn told<B: event::Body>(kind: Kind, body: &B) -> Event {
    Event { ts_recv: at(TODAY * 86_400 + 100).0, ..Event::new(kind, BTC, body) }
}

#[test]
fn a_position_of_a_cost_of_the_other_side_is_a_fault() {
    for (qty, cost, fault) in [
        (3, 5, None),
        (-3, -5, None),
        (3, -5, Some(Reason::InvariantBroken)),
        (-3, 5, Some(Reason::InvariantBroken)),
    ] {
        let body = PositionCarried { qty, cost, ..PositionCarried::default() };
        let mut ledger = Ledger::new(1, Money(1_000));
        ledger.on_event(&told(Kind::PositionCarried, &body));
        assert_eq!(ledger.fault(), fault, "{qty} {cost}");
    }
}

#[test]
fn every_number_of_a_position_is_carried() {
    let body = PositionCarried {
        qty: 3,
        cost: 5,
        realised: 7,
        fees: 11,
        funding: 13,
        ts_opened: 17,
        round_trip: 19,
        atr_px: 23,
        target_px: 29,
        best_px: 31,
        ..PositionCarried::default()
    };
    let mut ledger = Ledger::new(1, Money(1_000));
    assert_eq!(ledger.on_event(&told(Kind::PositionCarried, &body)), LedgerChange::Carried);
    let held = ledger.position(BTC).unwrap();
    assert_eq!((held.qty, held.cost, held.realised), (Qty(3), Money(5), Money(7)));
    assert_eq!((held.fees, held.funding, held.opened_at), (Money(11), Money(13), Nanos(17)));
    assert_eq!((held.round_trip(), held.entry_atr), (Money(19), Px(23)));
    assert_eq!((held.target_px, held.best_px), (Px(29), Px(31)));
    // 5 of cost over 3 units at 1e-8.
    assert_eq!(held.value_px, Px(166_666_666));
    assert_eq!((ledger.exposed(), ledger.fault()), (1, None));
    assert_eq!(ledger.exposed_positions().map(|(place, _)| place).collect::<Vec<_>>(), [0]);
    ledger.on_best(BTC, Px(37));
    assert_eq!(ledger.position(BTC).unwrap().best_px, Px(37));
}

#[test]
fn trades_that_an_earlier_session_booked_are_not_booked_again() {
    let mut ledger = Ledger::new(1, Money(1_000));
    let position = PositionCarried { trades_from: 10, ..PositionCarried::default() };
    ledger.on_event(&told(Kind::PositionCarried, &position));
    let mut booked = BookedCarried::default();
    booked.trade_ids[0] = 12;
    assert_eq!(ledger.on_event(&told(Kind::BookedCarried, &booked)), LedgerChange::Carried);
    for (trade_id, is_new) in [(9, false), (10, true), (11, true), (12, false), (13, true)] {
        let change = ledger.on_event(&fill(7, trade_id, Side::Buy, 1, 100));
        assert_eq!(matches!(change, LedgerChange::Fill(_)), is_new, "{trade_id}: {change:?}");
    }
    assert_eq!(ledger.position(BTC).unwrap().qty, Qty(3 * 1_000_000));
}

#[test]
fn a_price_that_the_market_told_values_what_is_carried_and_one_beyond_the_range_is_a_fault() {
    let body = PositionCarried {
        qty: Qty::whole(2).0,
        cost: Money::whole(100).0,
        ..PositionCarried::default()
    };
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_touch(BTC, Px::whole(59), Px::whole(61), at(1));
    ledger.on_event(&told(Kind::PositionCarried, &body));
    assert_eq!(ledger.position(BTC).unwrap().value_px, Px::whole(60));
    assert_eq!(ledger.equity(), Money::whole(1_020));
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_mark(BTC, Px::MAX, at(1));
    let fault = LedgerChange::Fault(Reason::Overflow);
    assert_eq!(ledger.on_event(&told(Kind::PositionCarried, &body)), fault);
}

#[test]
fn an_order_is_carried_as_what_its_state_says_and_an_id_only_once() {
    for (state, stage, cancel_pending) in [
        (1, Stage::Unknown, false),
        (2, Stage::Working, false),
        (3, Stage::Working, false),
        (4, Stage::Working, true),
        (5, Stage::Settling, false),
        (8, Stage::Settling, false),
        (9, Stage::Unknown, false),
    ] {
        let mut ledger = Ledger::new(1, Money(1_000));
        let body = OrderCarried {
            client_id: 7,
            state,
            px: 3,
            qty: 50,
            filled: 10,
            reported: 30,
            purpose: Purpose::Entry as u8,
            ..OrderCarried::default()
        };
        assert_eq!(ledger.on_event(&told(Kind::OrderCarried, &body)), LedgerChange::Carried);
        let order = ledger.order(ClientOrderId(7)).unwrap();
        assert_eq!((order.stage, order.cancel_pending), (stage, cancel_pending), "{state}");
        assert!(!order.cancel_refused, "nobody asked yet");
        let leaves = if stage == Stage::Settling { 20 } else { 40 };
        assert_eq!(ledger.position(BTC).unwrap().buy_leaves, Qty(leaves));
        let fault = LedgerChange::Fault(Reason::OrderTableFull);
        assert_eq!(ledger.on_event(&told(Kind::OrderCarried, &body)), fault);
    }
}

#[test]
fn what_is_carried_for_an_instrument_that_is_none_of_ours_is_a_fault() {
    let fault = LedgerChange::Fault(Reason::UnknownInstrument);
    for next in [1, 2, u16::MAX] {
        let mut ledger = Ledger::new(1, Money(1_000));
        let mut order = told(Kind::OrderCarried, &OrderCarried::default());
        let mut position = told(Kind::PositionCarried, &PositionCarried::default());
        (order.instrument, position.instrument) = (next, next);
        assert_eq!((ledger.on_event(&order), ledger.on_event(&position)), (fault, fault));
        assert!(ledger.orders().is_empty());
    }
}

#[test]
fn a_day_goes_on_within_itself_and_a_session_before_the_first_has_none() {
    let own = Money(1_000);
    // Epoch, day and starting equity as carried; day, its start and the peak as they are then.
    for (epoch, day, begun, now) in [
        (1, TODAY, 500, (TODAY, 450, 700)),
        (2, TODAY - 1, 500, (TODAY, 500, 700)),
        // A clock that was set back.
        (1, TODAY + 1, 500, (TODAY + 1, 450, 700)),
        (0, TODAY, 500, (TODAY, 500, 700)),
        (1, TODAY, 0, (TODAY, 450, 1_000)),
        (0, TODAY, -1, (TODAY, 1_000, 1_000)),
        (0, TODAY, 1, (TODAY, 1, 700)),
    ] {
        let mut ledger = Ledger::new(1, own);
        let body = SessionCarried {
            epoch,
            day,
            starting_equity: begun,
            peak_equity: 700,
            day_start_equity: 450,
            losses_in_a_row: 3,
            ..SessionCarried::default()
        };
        ledger.on_event(&told(Kind::SessionCarried, &body));
        let is = (ledger.day(), ledger.day_start_equity().0, ledger.peak_equity().0);
        assert_eq!(is, now, "{epoch} {day} {begun}");
        let equity = if begun > 0 { Money(begun) } else { own };
        assert_eq!((ledger.equity(), ledger.starting_equity()), (equity, equity));
        assert_eq!(ledger.losses_in_a_row(), 3);
    }
}
