//! Orders against the recorded market: taking, resting, filling, cancelling.

use super::market::Touch;
use super::queue::QueuePosition;
use super::{Action, PaperVenue, Resting};
use crate::base::event::{DepthLevels, Order, OrderReport, Trade, flags, side_flag};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{
    ClientOrderId, Event, InstrumentId, Kind, Nanos, OrderType, Px, Qty, Rate, Reason, Side,
    TimeInForce,
};

/// The venue's codes for what it refuses.
pub(super) const CODE_FILTER: i32 = -4003;
pub(super) const CODE_DUPLICATE: i32 = -4116;
const CODE_OPEN_ORDERS: i32 = -2025;
pub(super) const CODE_REDUCE_ONLY: i32 = -2022;
const CODE_FILL_OR_KILL: i32 = -5021;
const CODE_POST_ONLY: i32 = -5022;
const CODE_NO_SUCH_ORDER: i32 = -2011;

impl PaperVenue {
    /// An order arrives at the venue.
    pub(super) fn arrive(&mut self, action: &Action) {
        let body: &Order = action.event.body();
        if body.order_type == OrderType::StopMarket as u8 {
            return self.arrive_stop(action);
        }
        let mut order = Resting {
            id: body.id(),
            venue_id: 0,
            instrument: action.event.instrument(),
            side: action.event.side(),
            px: Px(body.px),
            qty: Qty(body.qty),
            filled: Qty::ZERO,
            reduce_only: action.event.has(flags::REDUCE_ONLY),
            taker: body.order_type == OrderType::Market as u8,
            queue: QueuePosition::behind(None),
        };
        let tif = TimeInForce::from_u8(body.time_in_force).unwrap_or(TimeInForce::Ioc);
        if let Err((reason, code)) = self.accept(&mut order, tif) {
            self.report(Kind::OrderRejected, &order, action.at, reason, code);
            return;
        }
        self.last_venue_id += 1;
        order.venue_id = self.last_venue_id;
        self.report(Kind::OrderAccepted, &order, action.at, Reason::None, 0);
        self.expire_own_makers(&order, action.at);
        self.take(&mut order, action.at);
        if order.leaves() == Qty::ZERO {
            return;
        }
        if !order.taker && matches!(tif, TimeInForce::Ioc | TimeInForce::Fok) {
            self.report(Kind::OrderExpired, &order, action.at, Reason::ImmediateRest, 0);
            return;
        }
        self.rest(order);
    }

    /// Puts what is left of an order on the table.
    pub(super) fn rest(&mut self, mut order: Resting) {
        let market = &mut self.markets[order.instrument.index()];
        order.queue = QueuePosition::behind(market.displayed(order.side, order.px));
        market.resting += 1;
        self.orders.push(order);
    }

    /// A cancel arrives at the venue.
    pub(super) fn arrive_cancel(&mut self, action: &Action) {
        let body: &Order = action.event.body();
        if self.take_stop_back(body.id(), action.at) {
            return;
        }
        let Some(index) = self.orders.iter().position(|order| order.id == body.id()) else {
            let report = OrderReport {
                client_id: body.client_id,
                reason: Reason::UnknownOrder as u16,
                venue_code: CODE_NO_SUCH_ORDER,
                ..OrderReport::default()
            };
            let instrument = action.event.instrument();
            self.queue_report(Event::new(Kind::CancelRejected, instrument, &report), action.at);
            return;
        };
        self.end(index, Kind::OrderCancelled, Reason::None, action.at);
    }

    /// A new touch: queues move, and orders that it crosses are filled with what it displays.
    pub(super) fn on_new_touch(&mut self, instrument: InstrumentId, touch: Touch, at: Nanos) {
        let Some(market) = self.markets.get_mut(instrument.index()) else { return };
        market.set_touch(touch);
        let market = *market;
        if market.resting == 0 || !self.has_room() {
            return;
        }
        for order in self.orders.iter_mut().filter(|o| o.instrument == instrument && !o.taker) {
            if let Some(displayed) = market.displayed(order.side, order.px) {
                order.queue.on_level(displayed, self.settings.queue);
            }
        }
        let mut index = 0;
        while index < self.orders.len() {
            let mut order = self.orders[index];
            if order.instrument == instrument {
                self.take(&mut order, at);
                self.orders[index] = order;
            }
            index += usize::from(!self.drop_ended(index, at));
        }
    }

    /// A trade: resting orders behind its price are filled, those at its price move up.
    pub(super) fn on_trade(&mut self, event: &Event) {
        let trade: &Trade = event.body();
        let instrument = event.instrument();
        let resting = self.markets.get(instrument.index()).is_some_and(|m| m.resting > 0);
        if !resting || trade.qty <= 0 || trade.px <= 0 || !self.has_room() {
            return;
        }
        let side = event.side().opposite();
        let mut budget = Qty(trade.qty);
        let mut index = 0;
        while index < self.orders.len() {
            let mut order = self.orders[index];
            let meets = order.instrument == instrument && order.side == side && !order.taker;
            if meets && order.px == Px(trade.px) {
                // Orders of ours at one price share what gets past the quantity ahead of each.
                let reaching = order.queue.on_trade(Qty(trade.qty)).min(budget);
                let filled = self.fill(&mut order, reaching, Px(trade.px), true, event.now());
                budget -= filled;
            } else if meets && order.side.sign() * (order.px.0 - trade.px) > 0 {
                let (leaves, px) = (order.leaves(), order.px);
                self.fill(&mut order, leaves, px, true, event.now());
            }
            self.orders[index] = order;
            index += usize::from(!self.drop_ended(index, event.now()));
        }
    }

    /// Depth levels tell the queues behind the touch; the touch itself is told by its own events.
    pub(super) fn on_levels(&mut self, event: &Event) {
        let instrument = event.instrument();
        let Some(market) = self.markets.get(instrument.index()).copied() else { return };
        if market.resting == 0 {
            return;
        }
        let body: &DepthLevels = event.body();
        for level in body.levels.iter().take_while(|level| level.px != 0) {
            let px = Px(level.px);
            let ours = self.orders.iter_mut().filter(|order| {
                order.instrument == instrument
                    && order.side == event.side()
                    && order.px == px
                    && !order.taker
            });
            for order in ours {
                if market.displayed(order.side, px).is_none() {
                    order.queue.on_level(Qty(level.qty), self.settings.queue);
                }
            }
        }
    }

    /// What the venue would refuse. A reduce-only order is shrunk to the position.
    fn accept(&self, order: &mut Resting, tif: TimeInForce) -> Result<(), (Reason, i32)> {
        let Some(market) = self.markets.get(order.instrument.index()) else {
            return Err((Reason::VenueRejected, CODE_FILTER));
        };
        let priced = order.taker || order.px.is_positive();
        if !order.qty.is_positive() || !priced {
            return Err((Reason::VenueRejected, CODE_FILTER));
        }
        if self.orders.iter().any(|open| open.id == order.id) {
            return Err((Reason::VenueRejected, CODE_DUPLICATE));
        }
        if self.orders.len() >= OPEN_ORDERS_MAX {
            return Err((Reason::VenueRejected, CODE_OPEN_ORDERS));
        }
        if order.reduce_only {
            order.qty = order.qty.min(self.reducible(order));
            if order.qty == Qty::ZERO {
                return Err((Reason::VenueRejected, CODE_REDUCE_ONLY));
            }
        }
        let met = market.opposite(order.side).filter(|&(px, _)| order.takes_at(px));
        match tif {
            TimeInForce::Gtx if met.is_some() => Err((Reason::PostOnlyWouldTake, CODE_POST_ONLY)),
            TimeInForce::Fok if met.is_none_or(|(_, qty)| qty < order.qty) => {
                Err((Reason::FillOrKill, CODE_FILL_OR_KILL))
            }
            _ => Ok(()),
        }
    }

    /// Our own resting orders that an arriving one would meet expire first (EXPIRE_MAKER).
    pub(super) fn expire_own_makers(&mut self, order: &Resting, at: Nanos) {
        let mut index = 0;
        while index < self.orders.len() {
            let open = &self.orders[index];
            let meets = open.instrument == order.instrument
                && open.side != order.side
                && !open.taker
                && order.takes_at(open.px);
            if meets {
                self.end(index, Kind::OrderExpired, Reason::SelfTrade, at);
            } else {
                index += 1;
            }
        }
    }

    /// Fills from the opposite touch what it displays and the order may take: at the touch for an
    /// order on arrival or a market order, at its own price for one that rested and was crossed.
    pub(super) fn take(&mut self, order: &mut Resting, at: Nanos) {
        let Some(market) = self.markets.get(order.instrument.index()) else { return };
        let Some((px, qty)) = market.opposite(order.side) else { return };
        if !order.takes_at(px) {
            return;
        }
        let rested = !order.taker && self.orders.iter().any(|open| open.id == order.id);
        let wanted = qty.min(order.leaves());
        let px = if rested { order.px } else { self.moved(order, px, wanted) };
        let filled = self.fill(order, wanted, px, rested, at);
        self.markets[order.instrument.index()].take(order.side, filled);
    }

    /// The price at which `order` takes `wanted` of what is displayed at `px`: moved against it by
    /// the square root of the part it takes, never beyond its limit.
    fn moved(&self, order: &Resting, px: Px, wanted: Qty) -> Px {
        let displayed = self.markets[order.instrument.index()].touch_qty(order.side);
        let (rate, sign) = (self.settings.impact, order.side.sign());
        if rate.0 == 0 || !displayed.is_positive() || !wanted.is_positive() {
            return px;
        }
        let moved = Px(px.0.saturating_add(sign * impact(rate, px, wanted, displayed)));
        match order.side {
            _ if order.taker => moved,
            Side::Buy => moved.min(order.px),
            Side::Sell => moved.max(order.px),
        }
    }

    /// Books and reports a fill of at most `qty`; what was filled.
    fn fill(&mut self, order: &mut Resting, qty: Qty, px: Px, maker: bool, at: Nanos) -> Qty {
        let mut qty = qty.min(order.leaves());
        if order.reduce_only {
            qty = qty.min(self.reducible(order));
        }
        let facts = &self.instruments[order.instrument.index()];
        // The venue trades whole lots: a part of one stays in the queue.
        qty = qty.floor_to(facts.lot_size);
        let rate = if maker { facts.maker_fee } else { facts.taker_fee };
        if !qty.is_positive() {
            return Qty::ZERO;
        }
        let paid = self.account.post_fill(order.instrument, order.side, qty, px, rate);
        // A fill beyond the range of money cannot be booked, so it does not happen.
        let Some(fee) = paid else { return Qty::ZERO };
        order.filled += qty;
        self.markets[order.instrument.index()].last_fill_px = px;
        self.last_trade_id += 1;
        let report = OrderReport {
            last_px: px.0,
            last_qty: qty.0,
            fee: fee.0,
            trade_id: self.last_trade_id,
            ..body_of(order)
        };
        let bits = if maker { flags::MAKER } else { 0 } | order.bits();
        let event = Event::new(Kind::OrderFilled, order.instrument, &report).with_flags(bits);
        self.queue_report(event, at);
        if self.account.held(order.instrument) == Qty::ZERO {
            self.drop_stops(order.instrument, at);
        }
        qty
    }

    /// How much of the position a reduce-only order may close.
    fn reducible(&self, order: &Resting) -> Qty {
        let held = self.account.held(order.instrument);
        let shrinks = held.0.signum() == -order.side.sign();
        if shrinks { Qty(held.0.saturating_abs()) } else { Qty::ZERO }
    }

    /// Takes an order off the table when it is filled, or reduce-only with nothing left to reduce.
    fn drop_ended(&mut self, index: usize, at: Nanos) -> bool {
        let order = self.orders[index];
        if order.leaves() == Qty::ZERO {
            self.remove(index);
            return true;
        }
        let pointless = order.reduce_only && self.reducible(&order) == Qty::ZERO;
        if pointless {
            self.end(index, Kind::OrderExpired, Reason::ReduceOnlyWouldIncrease, at);
        }
        pointless
    }

    fn end(&mut self, index: usize, kind: Kind, reason: Reason, at: Nanos) {
        let order = self.orders[index];
        self.remove(index);
        self.report(kind, &order, at, reason, 0);
    }

    fn remove(&mut self, index: usize) {
        // Not a swap: the table's order is the order of arrival.
        let order = self.orders.remove(index);
        let market = &mut self.markets[order.instrument.index()];
        market.resting = market.resting.saturating_sub(1);
    }

    pub(super) fn report(
        &mut self,
        kind: Kind,
        order: &Resting,
        at: Nanos,
        reason: Reason,
        code: i32,
    ) {
        let report = OrderReport { reason: reason as u16, venue_code: code, ..body_of(order) };
        let event = Event::new(kind, order.instrument, &report).with_flags(order.bits());
        self.queue_report(event, at);
    }
}

/// `px` × `rate` × √(`wanted` / `displayed`) in units of a price, rounded up: against us.
fn impact(rate: Rate, px: Px, wanted: Qty, displayed: Qty) -> i64 {
    // Parts and roots in 1e-12 and 1e-6, a rate in 1e-8.
    let part = i128::from(wanted.0.min(displayed.0)) * 1_000_000_000_000 / i128::from(displayed.0);
    let root = part.isqrt();
    let most = i128::from(px.0) * i128::from(rate.0) * root;
    let unit = 100_000_000 * 1_000_000;
    i64::try_from((most + unit - 1) / unit).unwrap_or(i64::MAX)
}

impl Resting {
    /// Our id of the order.
    pub fn id(&self) -> ClientOrderId {
        self.id
    }

    /// Quantity before us in the queue; `None` while not known.
    pub fn front(&self) -> Option<Qty> {
        self.queue.front()
    }

    pub(super) fn leaves(&self) -> Qty {
        self.qty - self.filled
    }

    /// True when the order would trade at the opposite price `px`.
    fn takes_at(&self, px: Px) -> bool {
        self.taker
            || match self.side {
                Side::Buy => self.px >= px,
                Side::Sell => self.px <= px,
            }
    }

    fn bits(&self) -> u8 {
        let reduce = if self.reduce_only { flags::REDUCE_ONLY } else { 0 };
        side_flag(self.side) | reduce
    }
}

fn body_of(order: &Resting) -> OrderReport {
    OrderReport {
        client_id: order.id.0,
        venue_id: order.venue_id,
        px: order.px.0,
        qty: order.qty.0,
        cum_qty: order.filled.0,
        ..OrderReport::default()
    }
}
