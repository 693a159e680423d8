//! Orders and positions counted a second time: in step with the ledger whatever is heard, apart
//! from it where one of both is wrong, and what a fill is judged by.

use super::*;
use crate::base::event::{Order, OrderCarried, SessionCarried};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{Money, Purpose};

/// The least quantity there is, and a price at which it is worth the least amount.
const UNIT: i64 = 1;
const PX: i64 = crate::base::units::SCALE;

fn approved(id: u64, qty: i64, purpose: Purpose, reference_px: i64) -> Event {
    let purpose = purpose as u8;
    let body = Order { client_id: id, qty, px: PX, purpose, reference_px, ..Order::default() };
    event(Kind::OrderApproved, &body, START)
}

/// A ledger, and the count beside it.
struct Books {
    ledger: Ledger,
    balance: Balance,
    trade_id: u64,
}

impl Books {
    fn new() -> Self {
        let ledger = Ledger::new(1, Money::whole(1_000));
        Self { ledger, balance: Balance::new(1), trade_id: 0 }
    }

    /// With an order of number 1.
    fn with_order(qty: i64, purpose: Purpose) -> Self {
        let mut books = Self::new();
        books.balance.on_intent();
        books.approve(1, qty, purpose);
        books
    }

    fn approve(&mut self, id: u64, qty: i64, purpose: Purpose) {
        let event = approved(id, qty, purpose, PX);
        self.ledger.on_order_sent(&event).unwrap();
        self.balance.on_approved(&event);
    }

    fn carry(&mut self, body: &OrderCarried) {
        let event = event(Kind::OrderCarried, body, START);
        self.ledger.on_event(&event);
        self.balance.on_carried(&event);
    }

    fn hear(&mut self, kind: Kind, report: OrderReport) -> Heard {
        let event = event(kind, &report, START);
        let change = self.ledger.on_event(&event);
        self.balance.on_report(&event, change)
    }

    fn fill(&mut self, last_qty: i64, cum_qty: i64) -> Heard {
        self.trade_id += 1;
        let trade_id = self.trade_id;
        let report =
            OrderReport { client_id: 1, trade_id, last_qty, cum_qty, ..Default::default() };
        self.hear(Kind::OrderFilled, OrderReport { last_px: PX, ..report })
    }

    fn sealed(&self, orders: u32, entries: u32) -> bool {
        seal::holds(&self.balance, &self.ledger, GateCounts { orders, entries })
    }

    /// Counts and books are the ledger's.
    fn agree(&self) -> bool {
        let orders = u32::try_from(self.balance.approvals).unwrap();
        self.balance.holds(&self.ledger) && self.sealed(orders, self.balance.entries)
    }
}

#[test]
fn whatever_the_venue_says_both_counts_agree_until_more_is_filled_than_ordered() {
    // What is told: a quantity of the order, a fill, and how far beyond the fills what is counted
    // as filled lies; nothing of it where it is not told.
    let words = [
        (Kind::OrderAccepted, 0, 0, None),
        (Kind::OrderAccepted, UNIT, 0, None),
        (Kind::OrderFilled, 0, UNIT, None),
        (Kind::OrderFilled, 0, UNIT, Some(0)),
        (Kind::OrderFilled, 0, UNIT, Some(UNIT)),
        (Kind::OrderCancelled, 0, 0, None),
        (Kind::OrderCancelled, 0, 0, Some(2 * UNIT)),
        (Kind::OrderUnknown, 0, 0, None),
    ];
    let mut overfilled = 0;
    for walk in 0..words.len().pow(4) {
        let mut books = Books::with_order(3 * UNIT, Purpose::Entry);
        let mut filled = 0;
        for step in 0..4_u32 {
            let (kind, qty, last_qty, ahead) = words[walk / words.len().pow(step) % words.len()];
            filled += last_qty;
            let cum_qty = ahead.map_or(0, |ahead: i64| filled + ahead);
            if kind == Kind::OrderFilled {
                books.fill(last_qty, cum_qty);
            } else {
                let report = OrderReport { client_id: 1, qty, cum_qty, ..Default::default() };
                books.hear(kind, report);
            }
            let sound = books.ledger.fault().is_none();
            overfilled += usize::from(!sound);
            assert_eq!(books.agree(), sound, "walk {walk}, step {step}");
        }
    }
    assert!(overfilled > 0, "an order that shrank below its fills is among them");
}

#[test]
fn an_order_that_ended_waits_for_the_fills_that_the_venue_counted() {
    for (what, first, end, after) in [
        ("told by the end", 0, 3, [true, true, false]),
        ("told by a fill before it", 3, 0, [true, true, false]),
        ("told by nobody", 0, 0, [false, false, false]),
    ] {
        let mut books = Books::with_order(9, Purpose::Entry);
        books.fill(1, first);
        let report = OrderReport { client_id: 1, cum_qty: end, ..Default::default() };
        books.hear(Kind::OrderCancelled, report);
        let mut live = vec![!books.balance.live.is_empty()];
        // The counts of these fills lag behind what was told before.
        for cum_qty in [1, 2] {
            books.fill(1, cum_qty);
            live.push(!books.balance.live.is_empty());
        }
        assert_eq!(live, after, "{what}");
    }
}

#[test]
fn rc_26_more_filled_than_ordered_is_no_balance_but_for_a_stop() {
    for (purpose, filled, holds) in [
        (Purpose::Entry, 2, true),
        (Purpose::Entry, 3, false),
        (Purpose::ExitSignal, 3, false),
        (Purpose::Protect, 2, true),
        (Purpose::Protect, 3, true),
    ] {
        let mut books = Books::with_order(2, purpose);
        books.fill(filled, filled);
        assert!(books.balance.live.is_empty());
        assert_eq!(books.balance.holds(&books.ledger), holds, "{purpose:?} {filled}");
    }
}

#[test]
fn rc_26_an_approval_that_nobody_asked_for_is_no_balance() {
    let mut books = Books::new();
    assert!(books.balance.holds(&books.ledger));
    books.approve(1, UNIT, Purpose::Entry);
    assert!(!books.balance.holds(&books.ledger));
    books.balance.on_intent();
    assert!(books.balance.holds(&books.ledger));
    books.approve(2, UNIT, Purpose::Entry);
    assert!(!books.balance.holds(&books.ledger), "one intent, two approvals");
}

#[test]
fn the_first_word_on_an_order_is_the_first_one_of_this_session_s_orders_alone() {
    let report = |client_id| OrderReport { client_id, ..OrderReport::default() };
    let mut books = Books::with_order(UNIT, Purpose::Entry);
    let of_nobody = books.hear(Kind::OrderAccepted, report(2));
    assert!(of_nobody.order.is_none() && !of_nobody.first);
    let told = [(), ()].map(|()| books.hear(Kind::OrderAccepted, report(1)).first);
    assert_eq!(told, [true, false]);
    let mut books = Books::new();
    books.carry(&OrderCarried { client_id: 1, qty: UNIT, state: 2, ..OrderCarried::default() });
    let heard = books.hear(Kind::OrderAccepted, report(1));
    assert!(heard.order.is_some() && !heard.first, "an earlier session heard it");
}

#[test]
fn of_what_an_earlier_session_left_the_ended_orders_end_with_their_last_fill() {
    // 5 to 8 are filled, cancelled, rejected and expired; 9 is of unknown outcome.
    for state in 1..=9 {
        let mut books = Books::new();
        let body =
            OrderCarried { client_id: 1, qty: 4, filled: 1, reported: 2, ..Default::default() };
        books.carry(&OrderCarried { px: PX, state, ..body });
        assert_eq!(books.balance.live.len(), 1, "{state}");
        let heard = books.fill(1, 2);
        let ended = (5..=8).contains(&state);
        assert_eq!(books.balance.live.is_empty(), ended, "{state}");
        assert!(books.agree(), "{state}");
        // At what price it was decided is not known any more.
        let mut board = plain();
        fills::judge(&mut board, &fill_at(PX), heard.order.as_ref());
        assert_eq!(board.count(Control::Slippage).evaluated, 0, "{state}");
    }
}

#[test]
fn the_day_s_entries_of_an_earlier_session_count_where_there_was_one_and_on_their_day() {
    for (epoch, days, entries) in
        [(1, 0, 4), (1, 1, 4), (1, -1, 0), (0, 0, 0), (0, 1, 0), (0, -1, 0)]
    {
        let mut balance = Balance::new(1);
        assert_eq!(balance.entries, 0);
        balance.on_time(START);
        let day = START.utc_day() + days;
        let body = SessionCarried { epoch, day, entries_today: 4, ..SessionCarried::default() };
        balance.on_carried(&event(Kind::SessionCarried, &body, START));
        assert_eq!(balance.entries, entries, "{epoch} {days}");
    }
}

#[test]
fn the_first_time_that_is_told_ends_no_day_that_was_carried() {
    for (days, entries) in [(0, 4), (-1, 0)] {
        let mut balance = Balance::new(1);
        let day = START.utc_day() + days;
        let body = SessionCarried { epoch: 1, day, entries_today: 4, ..SessionCarried::default() };
        balance.on_carried(&event(Kind::SessionCarried, &body, START));
        balance.on_time(START);
        assert_eq!(balance.entries, entries, "{days}");
    }
}

#[test]
fn an_order_off_the_table_is_not_counted_and_neither_is_one_more_than_there_is_room_for() {
    let mut balance = Balance::new(1);
    let nowhere = Event { instrument: 1, ..approved(1, UNIT, Purpose::Entry, PX) };
    balance.on_approved(&nowhere);
    assert!(balance.live.is_empty());
    for id in 0..=OPEN_ORDERS_MAX as u64 {
        balance.on_approved(&approved(id, UNIT, Purpose::Entry, PX));
    }
    assert_eq!(balance.live.len(), OPEN_ORDERS_MAX);
}

#[test]
fn a_fill_of_no_possible_value_is_counted_without_one() {
    let mut balance = Balance::new(1);
    let body = OrderReport { last_qty: i64::MAX, last_px: i64::MAX, ..OrderReport::default() };
    let change = LedgerChange::Fault(Reason::Overflow);
    balance.on_report(&event(Kind::OrderFilled, &body, START), change);
    assert_eq!((balance.twins[0].qty, balance.twins[0].paid), (i64::MAX, 0));
}

#[test]
fn the_seal_needs_every_one_of_the_gate_s_counts() {
    let books = Books::with_order(UNIT, Purpose::Entry);
    for (orders, entries, sound) in [(1, 1, true), (2, 1, false), (1, 2, false), (0, 0, false)] {
        assert_eq!(books.sealed(orders, entries), sound, "{orders} {entries}");
    }
}

#[test]
fn the_seal_sees_a_profit_that_is_in_no_sum_and_a_position_that_is_missing() {
    for off in [1, -1] {
        let mut books = Books::with_order(2, Purpose::Entry);
        books.fill(1, 1);
        assert!(books.agree());
        books.ledger.position_mut(BTC).unrealised.0 += off;
        assert!(!books.agree(), "{off}");
    }
    let (two, one) = (Balance::new(2), Ledger::new(1, Money::whole(1)));
    let counts = GateCounts { orders: 0, entries: 0 };
    assert!(seal::holds(&Balance::new(1), &one, counts));
    assert!(!seal::holds(&two, &one, counts));
}

/// A buy of one unit at a price.
fn fill_at(last_px: i64) -> Event {
    let body = OrderReport { client_id: 1, last_qty: UNIT, last_px, ..OrderReport::default() };
    event(Kind::OrderFilled, &body, START)
}

#[test]
fn rc_25_a_fill_is_held_against_the_price_it_was_decided_at_and_a_stop_s_is_not() {
    for (purpose, reference, at, judged) in [
        (Purpose::Entry, 0, 2, None),
        (Purpose::Entry, -1, 2, None),
        (Purpose::Protect, 1, 2, None),
        // The least price there is, met, bettered and doubled.
        (Purpose::Entry, 1, 1, Some(Level::Clear)),
        (Purpose::Entry, 2, 1, Some(Level::Clear)),
        (Purpose::Entry, 1, 2, Some(Level::Reduce)),
        (Purpose::ExitSignal, 1, 2, Some(Level::Reduce)),
    ] {
        let mut balance = Balance::new(1);
        balance.on_approved(&approved(1, 2 * UNIT, purpose, reference));
        let order = balance.on_report(&fill_at(at), LedgerChange::Order).order;
        let mut board = plain();
        fills::judge(&mut board, &fill_at(at), order.as_ref());
        let evaluated = board.count(Control::Slippage).evaluated;
        let told = (evaluated > 0).then(|| board.level(Control::Slippage));
        assert_eq!(told, judged, "{purpose:?} {reference} {at}");
    }
}
