mod carried;
mod edges;
mod reports;
mod sleep;
mod worst;

use super::*;
use crate::base::Side;
use crate::base::event::{
    BookState, BookTicker, BookedCarried, FundingPayment, OrderCarried, OrderReport,
    PositionCarried, Prediction, SessionCarried, flags, side_flag,
};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::units::notional;
use proptest::prelude::*;

const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);

fn at(seconds: i64) -> Nanos {
    Nanos::from_secs(seconds)
}

fn order(id: u64, instrument: InstrumentId, side: Side, qty: i64, px: i64) -> Event {
    let body = Order {
        client_id: id,
        px: Px::whole(px).0,
        qty: qty * 1_000_000,
        order_type: 1,
        time_in_force: 2,
        purpose: Purpose::Entry as u8,
        ..Order::default()
    };
    Event::new(Kind::OrderApproved, instrument, &body).with_flags(side_flag(side))
}

fn report(kind: Kind, id: u64) -> Event {
    report_with(kind, id, |_| {})
}

fn report_with(kind: Kind, id: u64, change: impl Fn(&mut OrderReport)) -> Event {
    let mut body = OrderReport { client_id: id, ..OrderReport::default() };
    change(&mut body);
    Event::new(kind, BTC, &body)
}

/// A fill of `qty` hundredths at `px` whole units.
fn fill(id: u64, trade_id: u64, side: Side, qty: i64, px: i64) -> Event {
    report_with(Kind::OrderFilled, id, |body| {
        body.trade_id = trade_id;
        body.last_qty = qty * 1_000_000;
        body.cum_qty = qty * 1_000_000;
        body.last_px = Px::whole(px).0;
    })
    .with_flags(side_flag(side))
}

fn leaves(ledger: &Ledger) -> (i64, i64) {
    let position = ledger.position(BTC).unwrap();
    (position.buy_leaves.0 / 1_000_000, position.sell_leaves.0 / 1_000_000)
}

/// The naive books: every fill value leaves or enters the cash, the position is what is left over.
#[derive(Default)]
struct NaiveBooks {
    cash: i128,
    fees: i128,
    funding: i128,
    qty: [i64; 2],
    mark: [i64; 2],
}

impl NaiveBooks {
    fn equity(&self, start: Money) -> i128 {
        let held: i128 = (0..2)
            .map(|i| i128::from(notional(Qty(self.qty[i]), Px(self.mark[i])).unwrap().0))
            .sum();
        i128::from(start.0) + self.cash + held - self.fees + self.funding
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Fill { which: u16, buy: bool, qty: i64, px: i64, fee: i64 },
    Mark { which: u16, px: i64 },
    Funding { which: u16, amount: i64 },
}

fn happening() -> impl Strategy<Value = Happening> {
    // Steps of 1 unit: products that are no whole units are the hard case.
    let px = 1_i64..20_000_000_000_000;
    let money = -1_000_000_000_i64..1_000_000_000;
    prop_oneof![
        (0_u16..2, any::<bool>(), 1_i64..2_000_000_000, px.clone(), money.clone())
            .prop_map(|(which, buy, qty, px, fee)| Happening::Fill { which, buy, qty, px, fee }),
        (0_u16..2, px).prop_map(|(which, px)| Happening::Mark { which, px }),
        (0_u16..2, money).prop_map(|(which, amount)| Happening::Funding { which, amount }),
    ]
}

proptest! {
    #[test]
    fn equity_equals_a_naive_double_entry_to_the_unit(
        happenings in prop::collection::vec(happening(), 1..80),
    ) {
        let start = Money::whole(1_000_000);
        let mut ledger = Ledger::new(2, start);
        let mut books = NaiveBooks::default();
        for (which, mark) in [(BTC, 7_000_000_000_001), (ETH, 300_000_000_007)] {
            ledger.on_mark(which, Px(mark), at(0));
            books.mark[which.index()] = mark;
        }
        for (i, happening) in happenings.iter().enumerate() {
            match *happening {
                Happening::Fill { which, buy, qty, px, fee } => {
                    let side = if buy { Side::Buy } else { Side::Sell };
                    let mut event = report_with(Kind::OrderFilled, 9, |body| {
                        body.trade_id = i as u64 + 1;
                        body.last_qty = qty;
                        body.last_px = px;
                        body.fee = fee;
                    })
                    .with_flags(side_flag(side));
                    event.instrument = which;
                    prop_assert!(matches!(ledger.on_event(&event), LedgerChange::Fill(_)));
                    let value = notional(Qty(qty), Px(px)).unwrap();
                    books.cash -= i128::from(side.sign() * value.0);
                    books.fees += i128::from(fee);
                    books.qty[usize::from(which)] += side.sign() * qty;
                }
                Happening::Mark { which, px } => {
                    ledger.on_mark(InstrumentId(which), Px(px), at(0));
                    books.mark[usize::from(which)] = px;
                }
                Happening::Funding { which, amount } => {
                    let body = FundingPayment { amount, ..FundingPayment::default() };
                    let event = Event::new(Kind::FundingPayment, InstrumentId(which), &body);
                    ledger.on_event(&event);
                    books.funding += i128::from(amount);
                }
            }
            prop_assert_eq!(i128::from(ledger.equity().0), books.equity(start));
            for which in [BTC, ETH] {
                let position = ledger.position(which).unwrap();
                prop_assert_eq!(position.qty.0, books.qty[which.index()]);
                if position.qty == Qty::ZERO {
                    prop_assert_eq!(position.cost, Money::ZERO);
                }
            }
        }
        prop_assert_eq!(ledger.fault(), None);
    }

    #[test]
    fn worst_case_is_the_worst_of_every_way_our_orders_could_fill(
        held in -50_i64..50,
        orders in prop::collection::vec((any::<bool>(), 1_i64..40, any::<bool>()), 0..7),
    ) {
        let mut ledger = Ledger::new(1, Money::whole(1_000));
        if held != 0 {
            let side = if held > 0 { Side::Buy } else { Side::Sell };
            ledger.on_event(&fill(99, 1, side, held.abs(), 100));
        }
        for (i, &(buy, qty, unknown)) in orders.iter().enumerate() {
            let side = if buy { Side::Buy } else { Side::Sell };
            ledger.on_order_sent(&order(i as u64 + 1, BTC, side, qty, 100)).unwrap();
            let kind = if unknown { Kind::OrderUnknown } else { Kind::OrderAccepted };
            ledger.on_event(&report(kind, i as u64 + 1));
        }
        let mut worst = 0;
        for subset in 0..(1_u32 << orders.len()) {
            let filled: i64 = orders
                .iter()
                .enumerate()
                .filter(|(i, _)| subset & (1 << i) != 0)
                .map(|(_, &(buy, qty, _))| if buy { qty } else { -qty })
                .sum();
            // The position may have been left before they fill.
            worst = worst.max((held + filled).abs()).max(filled.abs());
        }
        let counted = ledger.position(BTC).unwrap().worst_qty(Qty::ZERO, Qty::ZERO);
        prop_assert_eq!(counted, i128::from(worst) * 1_000_000);
    }
}

#[test]
fn an_average_entry_and_a_partial_close_give_the_profit_of_the_textbook() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_event(&fill(1, 1, Side::Buy, 100, 100));
    ledger.on_event(&fill(1, 2, Side::Buy, 100, 110));
    assert_eq!(ledger.position(BTC).unwrap().average_px(), Px::whole(105));
    let change = ledger.on_event(&fill(2, 3, Side::Sell, 100, 120));
    assert_eq!(change, LedgerChange::Fill(Booked { realised: Money::whole(15), closed: None }));
    ledger.on_mark(BTC, Px::whole(95), at(1));
    let position = ledger.position(BTC).unwrap();
    assert_eq!((position.realised, position.unrealised), (Money::whole(15), Money::whole(-10)));
    assert_eq!(ledger.equity(), Money::whole(1_005));
}

#[test]
fn a_fill_through_zero_closes_the_old_trip_and_opens_the_other_side_at_the_fill() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_event(&fill(1, 1, Side::Sell, 100, 100));
    let change = ledger.on_event(&fill(2, 2, Side::Buy, 300, 90));
    let closed = Some(Money::whole(10));
    assert_eq!(change, LedgerChange::Fill(Booked { realised: Money::whole(10), closed }));
    let position = ledger.position(BTC).unwrap();
    assert_eq!((position.qty, position.average_px()), (Qty::whole(2), Px::whole(90)));
}

#[test]
fn the_same_fill_is_booked_once_however_often_it_is_reported() {
    let mut ledger = Ledger::new(2, Money::whole(1_000));
    let once = fill(1, 77, Side::Buy, 100, 100);
    assert!(matches!(ledger.on_event(&once), LedgerChange::Fill(_)));
    assert_eq!(ledger.on_event(&once), LedgerChange::Duplicate);
    assert_eq!(ledger.position(BTC).unwrap().qty, Qty::whole(1));
    // Trade ids count per instrument: the same number elsewhere is another fill.
    let mut elsewhere = once;
    elsewhere.instrument = ETH.0;
    assert!(matches!(ledger.on_event(&elsewhere), LedgerChange::Fill(_)));
}

#[test]
fn a_fill_without_a_trade_id_counts_only_if_it_raises_the_filled_quantity() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_order_sent(&order(1, BTC, Side::Buy, 300, 100)).unwrap();
    let untold = fill(1, 0, Side::Buy, 100, 100);
    assert!(matches!(ledger.on_event(&untold), LedgerChange::Fill(_)));
    assert_eq!(ledger.on_event(&untold), LedgerChange::Duplicate);
}

#[test]
fn fault_r12_a_cancelled_order_counts_until_the_fills_the_venue_counted_have_come() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_order_sent(&order(1, BTC, Side::Buy, 100, 100)).unwrap();
    assert_eq!(leaves(&ledger), (100, 0));
    let cancelled = report_with(Kind::OrderCancelled, 1, |body| body.cum_qty = 40 * 1_000_000);
    ledger.on_event(&cancelled);
    assert_eq!(leaves(&ledger), (40, 0), "the fill of 40 is on its way");
    ledger.on_event(&fill(1, 5, Side::Buy, 40, 100));
    assert_eq!(leaves(&ledger), (0, 0));
    assert_eq!(ledger.orders().len(), 0);
}

#[test]
fn fault_r13_a_late_fill_after_a_cancel_is_booked_and_is_no_fault() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_order_sent(&order(1, BTC, Side::Buy, 100, 100)).unwrap();
    ledger.on_event(&report(Kind::OrderCancelled, 1));
    assert!(matches!(ledger.on_event(&fill(1, 5, Side::Buy, 100, 100)), LedgerChange::Fill(_)));
    assert_eq!(ledger.position(BTC).unwrap().qty, Qty::whole(1));
    assert_eq!(ledger.fault(), None);
}

#[test]
fn an_overfill_is_booked_because_it_is_true_and_is_a_fault_because_it_is_wrong() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_order_sent(&order(1, BTC, Side::Buy, 100, 100)).unwrap();
    let change = ledger.on_event(&fill(1, 5, Side::Buy, 101, 100));
    assert_eq!(change, LedgerChange::Fault(Reason::Overfill));
    assert_eq!(ledger.position(BTC).unwrap().qty, Qty(101_000_000));
    assert_eq!(ledger.fault(), Some(Reason::Overfill));
}

#[test]
fn a_fill_that_carries_no_id_of_ours_moves_the_position_and_can_be_traded_on_from() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    let change = ledger.on_event(&fill(0, 5, Side::Sell, 100, 100));
    assert!(matches!(change, LedgerChange::Fill(_)));
    assert_eq!(ledger.fault(), None, "the gate halts for it; a fault would never end");
    assert_eq!(ledger.position(BTC).unwrap().qty, Qty::whole(-1));
}

#[test]
fn fault_r11_a_missed_cancel_makes_the_outcome_unknown_and_a_later_report_settles_it() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_order_sent(&order(1, BTC, Side::Sell, 100, 100)).unwrap();
    let missed = report_with(Kind::CancelRejected, 1, |body| {
        body.reason = Reason::UnknownOrder as u16;
    });
    ledger.on_event(&missed);
    assert_eq!((ledger.unknown_orders(), leaves(&ledger)), (1, (0, 100)));
    ledger.on_event(&report(Kind::OrderExpired, 1));
    assert_eq!((ledger.unknown_orders(), leaves(&ledger)), (0, (0, 0)));
}

#[test]
fn an_unknown_report_after_a_cancel_does_not_open_the_order_again() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    ledger.on_order_sent(&order(1, BTC, Side::Buy, 100, 100)).unwrap();
    let cancelled = report_with(Kind::OrderCancelled, 1, |body| body.cum_qty = 40 * 1_000_000);
    ledger.on_event(&cancelled);
    ledger.on_event(&report(Kind::OrderUnknown, 1));
    assert_eq!((ledger.unknown_orders(), leaves(&ledger)), (0, (40, 0)));
}

#[test]
fn the_day_starts_at_midnight_utc_with_the_equity_before_its_first_event() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    let mut opening = fill(1, 1, Side::Buy, 100, 100);
    opening.ts_recv = at(86_400 * 20_000 + 80_000).0;
    ledger.on_event(&opening);
    ledger.on_mark(BTC, Px::whole(90), at(86_400 * 20_000 + 86_399));
    assert_eq!(ledger.day_loss(), Money::whole(10));
    ledger.on_time(at(86_400 * 20_001));
    assert_eq!((ledger.day_start_equity(), ledger.day_loss()), (Money::whole(990), Money::ZERO));
    ledger.on_mark(BTC, Px::whole(85), at(86_400 * 20_001 + 1));
    assert_eq!(ledger.day_loss(), Money::whole(5));
    assert_eq!(ledger.peak_equity(), Money::whole(1_000));
}

#[test]
fn losses_in_a_row_count_round_trips_after_fees_and_a_win_ends_the_row() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    let mut trade_id = 0;
    let mut trip = |ledger: &mut Ledger, entry: i64, exit: i64, fee: i64| {
        for (side, px) in [(Side::Buy, entry), (Side::Sell, exit)] {
            trade_id += 1;
            let event = report_with(Kind::OrderFilled, 1, |body| {
                body.trade_id = trade_id;
                body.last_qty = Qty::whole(1).0;
                body.last_px = Px::whole(px).0;
                body.fee = fee;
            });
            ledger.on_event(&event.with_flags(side_flag(side)));
        }
    };
    trip(&mut ledger, 100, 99, 0);
    // The price is where it was: the fees alone make it a loss.
    trip(&mut ledger, 100, 100, 1);
    assert_eq!(ledger.losses_in_a_row(), 2);
    trip(&mut ledger, 100, 101, 0);
    assert_eq!(ledger.losses_in_a_row(), 0);
}

#[test]
fn the_table_takes_no_order_beyond_its_bound_and_no_id_twice() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    for id in 1..=OPEN_ORDERS_MAX as u64 {
        ledger.on_order_sent(&order(id, BTC, Side::Buy, 1, 100)).unwrap();
    }
    let one_more = order(10_000, BTC, Side::Buy, 1, 100);
    assert_eq!(ledger.on_order_sent(&one_more), Err(Reason::OrderTableFull));
    ledger.on_event(&report(Kind::OrderRejected, 5));
    assert_eq!(
        ledger.on_order_sent(&order(6, BTC, Side::Buy, 1, 100)),
        Err(Reason::OrderTableFull)
    );
    assert_eq!(ledger.on_order_sent(&one_more), Ok(()));
}

#[test]
fn no_report_however_absurd_stops_the_ledger() {
    let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
    let mut ledger = Ledger::new(1, Money::MAX);
    let kinds = [
        Kind::OrderAccepted,
        Kind::OrderFilled,
        Kind::OrderCancelled,
        Kind::OrderExpired,
        Kind::OrderUnknown,
        Kind::FundingPayment,
        Kind::MarkPrice,
        Kind::BookTicker,
    ];
    let mut trade_id = 0;
    for kind in kinds {
        for a in numbers {
            for b in numbers {
                for instrument in [0, 7, u16::MAX] {
                    trade_id += 1;
                    let _ = ledger.on_order_sent(&order(1, BTC, Side::Buy, 1, 1));
                    let mut event = report_with(kind, 1, |body| {
                        *body = OrderReport { client_id: 1, trade_id, ..OrderReport::default() };
                        (body.qty, body.last_qty, body.cum_qty) = (a, a, a);
                        (body.px, body.last_px, body.fee) = (b, b, b);
                    });
                    (event.instrument, event.ts_recv) = (instrument, b);
                    ledger.on_event(&event);
                    event.body = [a as u64; 12];
                    ledger.on_event(&event);
                    assert!(ledger.position(BTC).is_some());
                }
            }
        }
    }
}

#[test]
fn an_order_that_the_venue_does_not_know_is_not_cancelled_over_and_over() {
    let mut ledger = Ledger::new(1, Money::ZERO);
    ledger.on_order_sent(&order(1, BTC, Side::Buy, 10, 100)).unwrap();
    let mut cancel = order(1, BTC, Side::Buy, 10, 100);
    cancel.kind = Kind::CancelApproved as u8;
    ledger.on_order_sent(&cancel).unwrap();
    let missed = report_with(Kind::CancelRejected, 1, |body| {
        body.reason = Reason::UnknownOrder as u16;
    });
    ledger.on_report(&missed);
    assert_eq!(ledger.entry_to_cancel(), None, "the answer would be the same");
    assert_eq!(leaves(&ledger), (10, 0), "it may be filled");
    ledger.on_report(&report(Kind::OrderAccepted, 1));
    assert!(ledger.entry_to_cancel().is_some(), "it lives after all");
    ledger.on_order_sent(&cancel).unwrap();
    ledger.on_report(&report(Kind::CancelRejected, 1));
    assert_eq!(ledger.entry_to_cancel(), None, "a venue that refuses at once is not asked at once");
    let timer = report(Kind::Timer, 0);
    assert_eq!(ledger.on_event(&timer), LedgerChange::Order);
    assert!(ledger.entry_to_cancel().is_some(), "any other refusal lets it be tried again");
    assert_eq!(ledger.on_event(&timer), LedgerChange::None, "nothing waited any more");
}

#[test]
fn a_session_that_carries_another_one_goes_on_as_if_there_had_been_no_end() {
    let mut whole = Ledger::new(1, Money::whole(1_000));
    whole.on_event(&Event { ts_recv: at(90_000).0, ..report(Kind::Timer, 0) });
    whole.on_order_sent(&order(1, BTC, Side::Buy, 100, 100)).unwrap();
    whole.on_event(&fill(1, 5, Side::Buy, 100, 100));
    whole.on_order_sent(&order(2, BTC, Side::Sell, 30, 110)).unwrap();
    let held = *whole.position(BTC).unwrap();

    let mut next = Ledger::new(1, Money::whole(77));
    let position = PositionCarried {
        qty: held.qty.0,
        cost: held.cost.0,
        realised: held.realised.0,
        fees: held.fees.0,
        funding: held.funding.0,
        trades_from: 6,
        ts_opened: held.opened_at.0,
        round_trip: held.round_trip().0,
        ..PositionCarried::default()
    };
    let sent = whole.order(ClientOrderId(2)).unwrap();
    let left = OrderCarried {
        client_id: 2,
        px: sent.px.0,
        qty: sent.qty.0,
        purpose: sent.purpose as u8,
        // Of unknown outcome, as in `execution::OrderState`.
        state: 9,
        ..OrderCarried::default()
    };
    let session = SessionCarried {
        starting_equity: Money::whole(1_000).0,
        peak_equity: whole.peak_equity().0,
        day_start_equity: whole.day_start_equity().0,
        day: 1,
        epoch: 3,
        losses_in_a_row: 2,
        ..SessionCarried::default()
    };
    for event in [
        Event::new(Kind::PositionCarried, BTC, &position),
        Event::new(Kind::OrderCarried, BTC, &left).with_flags(side_flag(Side::Sell)),
        Event::new(Kind::SessionCarried, InstrumentId::NONE, &session),
    ] {
        next.on_event(&Event { ts_recv: at(90_000).0, ..event });
    }
    let carried = next.position(BTC).unwrap();
    assert_eq!((carried.qty, carried.cost, carried.fees), (held.qty, held.cost, held.fees));
    assert_eq!(next.equity(), whole.equity());
    assert_eq!(next.day_start_equity(), whole.day_start_equity());
    assert_eq!(next.losses_in_a_row(), 2);
    // What was left open may be open or filled: it counts as both until the venue has told.
    assert_eq!((next.unknown_orders(), leaves(&next)), (1, (0, 30)));
}

#[test]
fn when_the_venue_told_a_touch_says_nothing_of_the_next_one() {
    let mut ledger = Ledger::new(1, Money::whole(1_000));
    let (bid_px, ask_px) = (Px::whole(99).0, Px::whole(101).0);
    let told = |event: Event, seconds: i64| Event { ts_recv: at(seconds).0, ..event };
    let ticker = BookTicker { bid_px, ask_px, ..BookTicker::default() };
    let mut ticker = told(Event::new(Kind::BookTicker, BTC, &ticker), 10);
    ticker.ts_venue = at(4).0;
    ledger.on_event(&ticker);
    let age = |ledger: &Ledger, seconds| ledger.position(BTC).unwrap().touch_age(at(seconds));
    assert_eq!(age(&ledger, 10), at(6), "it was held up for six seconds");
    // Told again with a decision, it is the same quote.
    let again = Prediction { bid_px, ask_px, ts_quote: at(10).0, ..Prediction::default() };
    ledger.on_event(&told(Event::new(Kind::Prediction, BTC, &again), 11));
    assert_eq!(age(&ledger, 11), at(7));
    let book = BookState { bid_px, ask_px, ..BookState::default() };
    let book = Event::new(Kind::BookState, BTC, &book).with_flags(flags::ON);
    ledger.on_event(&told(book, 12));
    assert_eq!(age(&ledger, 12), Nanos::ZERO, "a touch of its own, of this moment");
}
