//! Protective stops in the books: live orders of their own kind.
//!
//! A stop at the venue closes whatever position is there once its price comes. So it is no
//! exposure: it counts in no sum of what may still be filled, and neither in the live orders nor in
//! the orders of unknown outcome that hold entries and exits back.

use super::{Ledger, OpenOrder};
use crate::base::event::OrderReport;
use crate::base::{ClientOrderId, Event, InstrumentId, Kind, Reason};

impl Ledger {
    /// The live protective stops of an instrument, in no order.
    pub fn stops(&self, instrument: InstrumentId) -> impl Iterator<Item = &OpenOrder> {
        let held = self.position(instrument).is_some_and(|position| position.stops != 0);
        let orders = if held { self.orders() } else { &[] };
        orders.iter().filter(move |order| order.instrument == instrument && order.protects())
    }

    /// Live orders that enter or leave.
    pub fn trading_orders(&self) -> usize {
        self.orders().len() - self.stops
    }

    /// Notes how the venue took a stop: what was refused tells the policy what to do next. What
    /// never reached the venue says nothing.
    pub(super) fn note_stop(&mut self, event: &Event, report: &OrderReport) {
        let refused = match event.kind() {
            Some(Kind::OrderAccepted) => false,
            Some(Kind::OrderRejected) => true,
            _ => return,
        };
        let Some(order) = self.order(ClientOrderId(report.client_id)) else { return };
        let instrument = order.instrument;
        if !order.protects() {
            return;
        }
        let Some(position) = self.positions.get_mut(instrument.index()) else { return };
        if !refused {
            position.stop_refusals = 0;
            return;
        }
        position.stop_passed |= report.reason == Reason::WouldTrigger as u16;
        let by_venue = report.venue_code != 0;
        position.stop_refusals = position.stop_refusals.saturating_add(u8::from(by_venue));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Order, flags};
    use crate::base::{Money, OrderType, Purpose, Px, Qty};
    use crate::ledger::LedgerChange;

    const BTC: InstrumentId = InstrumentId(0);
    const LOT: i64 = 1_000_000;

    fn sent(ledger: &mut Ledger, id: u64, purpose: Purpose, qty: i64) {
        let body = Order {
            client_id: id,
            px: Px::whole(97).0,
            qty: qty * LOT,
            order_type: OrderType::StopMarket as u8,
            purpose: purpose as u8,
            ..Order::default()
        };
        let event = Event::new(Kind::OrderApproved, BTC, &body);
        let bits = if purpose == Purpose::Entry { 0 } else { flags::SELL | flags::REDUCE_ONLY };
        ledger.on_order_sent(&event.with_flags(bits)).unwrap();
    }

    fn filled(ledger: &mut Ledger, id: u64, trade_id: u64, bits: u8, qty: i64) -> LedgerChange {
        let body = OrderReport {
            client_id: id,
            trade_id,
            last_qty: qty * LOT,
            last_px: Px::whole(100).0,
            ..OrderReport::default()
        };
        ledger.on_event(&Event::new(Kind::OrderFilled, BTC, &body).with_flags(bits))
    }

    fn holding(qty: i64) -> Ledger {
        let mut ledger = Ledger::new(1, Money::whole(1_000));
        sent(&mut ledger, 1, Purpose::Entry, qty);
        filled(&mut ledger, 1, 1, 0, qty);
        ledger
    }

    #[test]
    fn exposure_with_stops_equals_exposure_without() {
        let mut ledger = holding(5);
        let without = *ledger.position(BTC).unwrap();
        for id in 2..6 {
            sent(&mut ledger, id, Purpose::Protect, 5);
        }
        ledger.on_event(&Event::new(
            Kind::OrderUnknown,
            BTC,
            &OrderReport { client_id: 3, ..OrderReport::default() },
        ));
        let mut with = *ledger.position(BTC).unwrap();
        assert_eq!(std::mem::take(&mut with.stops), 4);
        assert_eq!(with, without);
        assert_eq!((ledger.unknown_orders(), ledger.trading_orders()), (0, 0));
        assert_eq!(ledger.stops(BTC).count(), 4);
    }

    #[test]
    fn a_stop_that_triggers_closes_more_than_it_was_placed_for_and_that_is_no_fault() {
        let mut ledger = holding(5);
        sent(&mut ledger, 2, Purpose::Protect, 5);
        sent(&mut ledger, 3, Purpose::Entry, 4);
        filled(&mut ledger, 3, 2, 0, 4);
        assert!(matches!(filled(&mut ledger, 2, 3, flags::SELL, 9), LedgerChange::Fill(_)));
        assert_eq!(ledger.position(BTC).unwrap().qty, Qty::ZERO);
        assert_eq!((ledger.fault(), ledger.orders().len()), (None, 0));
    }

    #[test]
    fn stops_are_those_of_the_instrument_and_nothing_else_that_lives() {
        let mut ledger = Ledger::new(2, Money::whole(1_000));
        assert_eq!(ledger.stops(BTC).count(), 0);
        sent(&mut ledger, 1, Purpose::Entry, 5);
        assert_eq!(ledger.stops(BTC).count(), 0);
        sent(&mut ledger, 2, Purpose::Protect, 5);
        let other = Order { client_id: 3, purpose: Purpose::Protect as u8, ..Order::default() };
        let other = Event::new(Kind::OrderApproved, InstrumentId(1), &other);
        ledger.on_order_sent(&other).unwrap();
        let ids = |of| ledger.stops(of).map(|order| order.id.0).collect::<Vec<_>>();
        assert_eq!(
            (ids(BTC), ids(InstrumentId(1)), ids(InstrumentId(2))),
            (vec![2], vec![3], vec![])
        );
        assert_eq!(ledger.trading_orders(), 1);
    }

    #[test]
    fn refusals_of_stops_count_where_the_venue_made_them_until_it_takes_one() {
        let mut ledger = holding(5);
        let mut tell = |kind, id, purpose, reason: Reason, venue_code| {
            sent(&mut ledger, id, purpose, 5);
            let reason = reason as u16;
            let body = OrderReport { client_id: id, reason, venue_code, ..OrderReport::default() };
            ledger.on_event(&Event::new(kind, BTC, &body));
            let position = ledger.position(BTC).unwrap();
            (position.stop_refusals, position.stop_passed)
        };
        let (refused, stop) = (Kind::OrderRejected, Purpose::Protect);
        assert_eq!(tell(refused, 2, stop, Reason::None, 0), (0, false), "it never came there");
        assert_eq!(tell(refused, 3, Purpose::ExitStop, Reason::WouldTrigger, -1), (0, false));
        assert_eq!(tell(refused, 4, stop, Reason::None, 1), (1, false));
        assert_eq!(tell(refused, 5, stop, Reason::WouldTrigger, -2021), (2, true));
        assert_eq!(tell(Kind::OrderAccepted, 6, Purpose::ExitStop, Reason::None, 0), (2, true));
        assert_eq!(tell(Kind::OrderAccepted, 7, stop, Reason::None, 0), (0, true));
    }

    #[test]
    fn what_the_venue_refused_is_forgotten_with_the_position_it_was_for() {
        let mut ledger = holding(5);
        sent(&mut ledger, 2, Purpose::Protect, 5);
        let told = OrderReport {
            client_id: 2,
            reason: Reason::WouldTrigger as u16,
            venue_code: -2021,
            ..OrderReport::default()
        };
        ledger.on_event(&Event::new(Kind::OrderRejected, BTC, &told));
        let position = ledger.position(BTC).unwrap();
        assert_eq!((position.stop_passed, position.stop_refusals, position.stops), (true, 1, 0));
        sent(&mut ledger, 3, Purpose::ExitStop, 5);
        filled(&mut ledger, 3, 4, flags::SELL, 5);
        let position = ledger.position(BTC).unwrap();
        assert_eq!((position.stop_passed, position.stop_refusals), (false, 0));
    }
}
