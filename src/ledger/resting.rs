//! The nearest prices of our live orders, kept beside the other sums of an instrument, so that
//! whoever asks whether an order would meet one of ours need not look at all of them.

use super::OpenOrder;
use crate::base::{Px, Side};

/// The prices at which our live orders of an instrument could be met first. An order without a
/// price is met at any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Highest buy; the least price there is without one.
    pub buy: Px,
    /// Lowest sell; the largest price there is without one.
    pub sell: Px,
}

impl Default for Resting {
    /// No order.
    fn default() -> Self {
        Self { buy: Px(i64::MIN), sell: Px::MAX }
    }
}

impl Resting {
    /// Takes one of our orders in.
    pub(super) fn take(&mut self, order: &OpenOrder) {
        match order.side {
            Side::Buy => {
                let at = if order.px == Px::ZERO { Px::MAX } else { order.px };
                self.buy = self.buy.max(at);
            }
            // Zero is the lowest price as it is.
            Side::Sell => self.sell = self.sell.min(order.px),
        }
    }

    /// True when an order of this side and price would meet one of ours.
    pub fn meets(&self, side: Side, px: Px) -> bool {
        match side {
            Side::Buy => self.sell <= px,
            Side::Sell => self.buy >= px,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Order, OrderReport, flags, side_flag};
    use crate::base::units::notional;
    use crate::base::{Event, InstrumentId, Kind, Money, Nanos, Purpose, Qty, Reason};
    use crate::ledger::{Ledger, Stage};
    use proptest::prelude::*;

    const SCALE: i64 = 100_000_000;
    const BEGIN: i64 = 1_000_000 * SCALE;

    /// Something that is told of an order, or a price.
    #[derive(Clone, Debug)]
    struct Told {
        what: u8,
        which: u16,
        id: u64,
        sells: bool,
        purpose: u8,
        lots: i64,
        px: i64,
    }

    fn told() -> impl Strategy<Value = Told> {
        (0_u8..12, 0_u16..2, 1_u64..12, any::<bool>(), 1_u8..=5, 1_i64..50, 0_i64..20).prop_map(
            |(what, which, id, sells, purpose, lots, px)| Told {
                what,
                which,
                id,
                sells,
                purpose,
                lots,
                px,
            },
        )
    }

    fn show(ledger: &mut Ledger, told: &Told, nth: u64) {
        let instrument = InstrumentId(told.which);
        let bits = if told.sells { flags::SELL } else { 0 };
        let (qty, px) = (told.lots * SCALE / 10, told.px * SCALE);
        let body = OrderReport {
            client_id: told.id,
            trade_id: nth + 1,
            qty,
            last_qty: qty,
            cum_qty: qty,
            last_px: px + 1,
            fee: 7,
            ..OrderReport::default()
        };
        let kind = match told.what {
            0..=4 => {
                let order = Order {
                    client_id: told.id,
                    px,
                    qty,
                    purpose: told.purpose,
                    ..Order::default()
                };
                let event = Event::new(Kind::OrderApproved, instrument, &order).with_flags(bits);
                let _ = ledger.on_order_sent(&event);
                return;
            }
            5 => return ledger.on_mark(instrument, Px(px + 1), Nanos(1)),
            6 => Kind::OrderAccepted,
            7 => Kind::OrderUnknown,
            8 => Kind::OrderCancelled,
            9 => Kind::CancelRejected,
            _ => Kind::OrderFilled,
        };
        // A fill is of the order's own instrument and side.
        let own = ledger.order(crate::base::ClientOrderId(told.id)).copied();
        let (instrument, bits) =
            own.map_or((instrument, bits), |order| (order.instrument, side_flag(order.side)));
        let absent = if told.sells { Reason::UnknownOrder as u16 } else { 0 };
        let body = OrderReport { reason: absent, ..body };
        ledger.on_event(&Event::new(kind, instrument, &body).with_flags(bits));
    }

    /// Every sum of an instrument, of its live orders as they are, one by one.
    fn is_recounted(ledger: &Ledger, which: u16) {
        let position = ledger.position(InstrumentId(which)).unwrap();
        let of = |side| {
            let orders = ledger.orders().iter().filter(move |o| !o.protects() && o.side == side);
            orders.filter(|o| o.instrument.0 == which).collect::<Vec<_>>()
        };
        let (buys, sells) = (of(Side::Buy), of(Side::Sell));
        let leaves = |orders: &[&OpenOrder]| orders.iter().map(|o| o.leaves().0).sum::<i64>();
        let unknown = |orders: &[&OpenOrder]| {
            orders.iter().filter(|o| o.stage == Stage::Unknown).count() as u16
        };
        let highest = buys.iter().map(|o| if o.px.0 == 0 { i64::MAX } else { o.px.0 }).max();
        let lowest = sells.iter().map(|o| o.px.0).min();
        assert_eq!(
            (position.buy_leaves.0, position.sell_leaves.0),
            (leaves(&buys), leaves(&sells))
        );
        assert_eq!(usize::from(position.open_orders), buys.len() + sells.len());
        assert_eq!(position.unknown_orders, unknown(&buys) + unknown(&sells));
        let Resting { buy, sell } = position.resting;
        assert_eq!((buy.0, sell.0), (highest.unwrap_or(i64::MIN), lowest.unwrap_or(i64::MAX)));
        let value = |qty: i64| notional(Qty(qty), position.value_px).unwrap().0;
        let (most, least) = (position.qty.0 + leaves(&buys), position.qty.0 - leaves(&sells));
        assert_eq!(position.net.map(|net| net.0), [value(most), value(least)]);
        let long = position.qty.0.max(0) + leaves(&buys);
        let short = (-position.qty.0).max(0) + leaves(&sells);
        assert_eq!(position.exposure.0, value(long.max(short)));
    }

    proptest! {
        #[test]
        fn every_sum_equals_a_count_of_the_orders_after_whatever_is_told(
            course in prop::collection::vec(told(), 1..80),
        ) {
            let mut ledger = Ledger::new(2, Money(BEGIN));
            let mut peak = BEGIN;
            for (nth, told) in course.iter().enumerate() {
                show(&mut ledger, told, nth as u64);
                (0..2).for_each(|which| is_recounted(&ledger, which));
                let all = ledger.positions();
                let sum = |of: fn(&crate::ledger::Position) -> i64| all.iter().map(of).sum::<i64>();
                let earned = sum(|p| p.realised.0 + p.unrealised.0 - p.fees.0 + p.funding.0);
                prop_assert_eq!(ledger.equity().0, BEGIN + earned);
                peak = peak.max(ledger.equity().0);
                prop_assert_eq!(ledger.peak_equity().0, peak);
                prop_assert_eq!(ledger.gross_exposure().0, sum(|p| p.exposure.0));
                let net = [sum(|p| p.net[0].0), sum(|p| p.net[1].0)];
                prop_assert_eq!(ledger.net_exposure().map(|net| net.0), net);
                let exposed = all.iter().filter(|p| p.is_exposed()).count();
                prop_assert_eq!(ledger.exposed() as usize, exposed);
                let listed = ledger.exposed_positions().map(|(place, _)| place);
                let found = all.iter().enumerate().filter(|(_, p)| p.is_exposed());
                prop_assert!(listed.eq(found.map(|(place, _)| place)));
                let unknown: u16 = all.iter().map(|p| p.unknown_orders).sum();
                prop_assert_eq!(ledger.unknown_orders(), u32::from(unknown));
                let stops = ledger.orders().iter().filter(|o| o.purpose == Purpose::Protect);
                prop_assert_eq!(ledger.trading_orders(), ledger.orders().len() - stops.count());
            }
        }
    }

    #[test]
    fn an_order_meets_ours_at_its_price_and_one_without_a_price_meets_any() {
        let resting = |side, px: &[i64]| {
            let mut ledger = Ledger::new(1, Money(BEGIN));
            for (id, &px) in (1..).zip(px) {
                let body = Order { client_id: id, px, qty: SCALE, purpose: 1, ..Order::default() };
                let event = Event::new(Kind::OrderApproved, InstrumentId(0), &body);
                ledger.on_order_sent(&event.with_flags(side_flag(side))).unwrap();
            }
            ledger.position(InstrumentId(0)).unwrap().resting
        };
        let sells = resting(Side::Sell, &[105, 101, 103]);
        let met = [100, 101, 102].map(|px| sells.meets(Side::Buy, Px(px)));
        assert_eq!(met, [false, true, true]);
        let buys = resting(Side::Buy, &[95, 99, 97]);
        let met = [100, 99, 98].map(|px| buys.meets(Side::Sell, Px(px)));
        assert_eq!(met, [false, true, true]);
        assert!(!sells.meets(Side::Sell, Px(1)) && !buys.meets(Side::Buy, Px(1_000)));
        assert!(resting(Side::Sell, &[105, 0]).meets(Side::Buy, Px(1)));
        assert!(resting(Side::Buy, &[95, 0]).meets(Side::Sell, Px(i64::MAX)));
    }
}
