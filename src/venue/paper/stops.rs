//! Protective stops: they wait apart from the orders until the mark price comes to them, and then
//! close the whole position at the market, as the real venue's do.
//!
//! ```text
//!  NEW ── mark price at the trigger ──► a market order over what is held ──► fills
//!   │                                    └ nothing to close: refused
//!   └── the position is gone: dropped
//! ```
//! Where no mark price is told the middle of the touch stands for it.

use super::matching::{CODE_DUPLICATE, CODE_FILTER, CODE_REDUCE_ONLY};
use super::queue::QueuePosition;
use super::{Action, PaperVenue, Resting};
use crate::base::event::Order;
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{ClientOrderId, InstrumentId, Kind, Nanos, Px, Qty, Reason, Side};

/// Stops that may wait at once over all instruments.
const STOPS_MAX: usize = 200;
const CODE_STOPS_MAX: i32 = -4045;
const CODE_WOULD_TRIGGER: i32 = -2021;

const _: () = assert!(STOPS_MAX <= OPEN_ORDERS_MAX, "as many as have room");

/// A stop that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Our id of it.
    pub id: ClientOrderId,
    /// Whose.
    pub instrument: InstrumentId,
    /// Of the order it becomes.
    pub side: Side,
    /// The price it waits for.
    pub trigger_px: Px,
    venue_id: u64,
}

impl Stop {
    /// True once the price has come: a sale waits for it to fall, a purchase for it to rise.
    fn comes_at(&self, px: Px) -> bool {
        px.is_positive()
            && match self.side {
                Side::Sell => px <= self.trigger_px,
                Side::Buy => px >= self.trigger_px,
            }
    }

    /// As the order it is, or becomes, over `qty`.
    fn as_order(&self, qty: Qty) -> Resting {
        Resting {
            id: self.id,
            venue_id: self.venue_id,
            instrument: self.instrument,
            side: self.side,
            px: self.trigger_px,
            qty,
            filled: Qty::ZERO,
            reduce_only: true,
            taker: true,
            queue: QueuePosition::behind(None),
        }
    }
}

impl PaperVenue {
    /// A stop arrives at the venue.
    pub(super) fn arrive_stop(&mut self, action: &Action) {
        let body: &Order = action.event.body();
        let mut stop = Stop {
            id: body.id(),
            instrument: action.event.instrument(),
            side: action.event.side(),
            trigger_px: Px(body.px),
            venue_id: 0,
        };
        // The whole position, whatever it will be: a stop has no quantity.
        let kind = match self.refusal_of(&stop) {
            Some((reason, code)) => {
                let order = stop.as_order(Qty::ZERO);
                return self.report(Kind::OrderRejected, &order, action.at, reason, code);
            }
            None => Kind::OrderAccepted,
        };
        self.last_venue_id += 1;
        stop.venue_id = self.last_venue_id;
        self.stops.push(stop);
        self.report(kind, &stop.as_order(Qty::ZERO), action.at, Reason::None, 0);
    }

    fn refusal_of(&self, stop: &Stop) -> Option<(Reason, i32)> {
        let Some(market) = self.markets.get(stop.instrument.index()) else {
            return Some((Reason::VenueRejected, CODE_FILTER));
        };
        if !stop.trigger_px.is_positive() {
            return Some((Reason::VenueRejected, CODE_FILTER));
        }
        if self.stops.iter().any(|other| other.id == stop.id) {
            return Some((Reason::VenueRejected, CODE_DUPLICATE));
        }
        if self.stops.len() >= STOPS_MAX {
            return Some((Reason::VenueRejected, CODE_STOPS_MAX));
        }
        let at_once = stop.comes_at(market.value_px());
        at_once.then_some((Reason::WouldTrigger, CODE_WOULD_TRIGGER))
    }

    /// Takes a stop back; false where no stop has that id.
    pub(super) fn take_stop_back(&mut self, id: ClientOrderId, at: Nanos) -> bool {
        let Some(index) = self.stops.iter().position(|stop| stop.id == id) else { return false };
        self.end_stop(index, Reason::None, at);
        true
    }

    /// The position is gone: so are the stops that were to close it.
    pub(super) fn drop_stops(&mut self, instrument: InstrumentId, at: Nanos) {
        while let Some(index) = self.stops.iter().position(|stop| stop.instrument == instrument) {
            self.end_stop(index, Reason::ReduceOnlyRefused, at);
        }
    }

    /// Looks whether the price of an instrument has come to its stops.
    pub(super) fn watch_stops(&mut self, instrument: InstrumentId, at: Nanos) {
        if self.stops.is_empty() {
            return;
        }
        let Some(market) = self.markets.get(instrument.index()) else { return };
        let px = market.value_px();
        let comes = |stop: &Stop| stop.instrument == instrument && stop.comes_at(px);
        while let Some(index) = self.stops.iter().position(comes) {
            if !self.has_room() {
                return;
            }
            let stop = self.stops.remove(index);
            self.trigger(&stop, at);
        }
    }

    /// Sends the order that a stop stands for.
    fn trigger(&mut self, stop: &Stop, at: Nanos) {
        let held = self.account.held(stop.instrument);
        let closes = held.0.signum() == -stop.side.sign();
        if !closes || self.orders.len() >= OPEN_ORDERS_MAX {
            let (order, reason) = (stop.as_order(Qty::ZERO), Reason::ReduceOnlyRefused);
            return self.report(Kind::OrderRejected, &order, at, reason, CODE_REDUCE_ONLY);
        }
        self.last_venue_id += 1;
        let venue_id = self.last_venue_id;
        let qty = Qty(held.0.saturating_abs());
        let mut order = Resting { venue_id, px: Px::ZERO, ..stop.as_order(qty) };
        self.report(Kind::OrderAccepted, &order, at, Reason::StopTriggered, 0);
        self.expire_own_makers(&order, at);
        self.take(&mut order, at);
        if order.leaves() > Qty::ZERO {
            self.rest(order);
        }
    }

    fn end_stop(&mut self, index: usize, reason: Reason, at: Nanos) {
        let stop = self.stops.remove(index);
        self.report(Kind::OrderCancelled, &stop.as_order(Qty::ZERO), at, reason, 0);
    }
}
