//! An order's way into the book.
//!
//! ```text
//!   check ─► FOK, GTX ─► open: NEW ─► run: take ─► settle ─┬─► filled
//!                                                          ├─► rest expires (MARKET, IOC, STP)
//!                                                          └─► rests
//! ```

use super::notice::{Execution, News};
use super::order::{NewOrder, Order, OrderKind, Status, TimeInForce, UserTrade};
use super::position::value;
use super::rules::{Ticket, bound_of};
use super::{Accounts, Timer};
use crate::base::{Nanos, Px, Qty, Side};
use crate::exchange::flow::client::{Resting, lots_of};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::matching::{Hit, Owner, SelfTrade, Taker};
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::keys::letter_of;

/// Nobody's: whoever counts what it could take counts everyone's orders.
const NOBODY: Owner = Owner(u32::MAX);

/// Why an order expired, as the venue numbers it (`er`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// It did not, or by its own date.
    None = 0,
    /// It would have met an order of its own account.
    SelfTrade = 1,
    /// What an IOC order could not take.
    ImmediateRest = 2,
    /// What an IOC order could not take without meeting its own account.
    ImmediateSelfTrade = 3,
    /// A reduce-only order that would have opened a position.
    ReduceOnly = 4,
    /// The account was liquidated.
    Liquidated = 5,
    /// What a market order could not take.
    MarketRest = 9,
}

impl Accounts {
    /// Takes an order on, lets it take, rests or ends it. The order as it stands after that.
    ///
    /// # Errors
    /// The venue's refusal; nothing has changed then.
    pub fn place(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        new: &NewOrder,
        now: Nanos,
    ) -> Result<Order, VenueError> {
        let ticket = self.check(market, account, new, now)?;
        check_at_once(market, new, &ticket)?;
        let id = self.open(account, new, &ticket, now);
        self.tell_order(account, id, Execution::New, None, now);
        self.run(market, account, id, now);
        self.follow(market, now);
        Ok(self.list[account].orders[&id].clone())
    }

    /// Makes an order of what was checked; nobody has been told.
    pub(super) fn open(
        &mut self,
        account: usize,
        new: &NewOrder,
        ticket: &Ticket,
        now: Nanos,
    ) -> u64 {
        self.last_order += 1;
        let id = self.last_order;
        let client_id = new.client_id.clone().unwrap_or_else(|| venue_name(id));
        let order = Order {
            position_side: ticket.position_side,
            tif: ticket.tif,
            px: ticket.px,
            qty: ticket.qty,
            reduce_only: ticket.reduce_only,
            good_till: ticket.good_till,
            ..new.order(id, client_id.clone(), now)
        };
        let held = &mut self.list[account];
        held.slots[new.contract].names.insert(client_id, id);
        held.orders.insert(id, order);
        id
    }

    /// Lets an open order that does not rest take what it can, and rests or ends what is left.
    pub(super) fn run(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        id: u64,
        now: Nanos,
    ) {
        let order = &self.list[account].orders[&id];
        let (contract, tif, kind) = (order.contract, order.tif, order.kind);
        let spec = market.spec(contract);
        let limit = match kind {
            OrderKind::Limit => Some(order.px.0 / spec.tick_size.0),
            OrderKind::Liquidation => None,
            // A market order takes no farther than a limit order could be placed.
            _ => {
                let bound = bound_of(spec, market.mark_px(contract), order.side);
                Some(bound.0 / spec.tick_size.0 + i64::from(order.side == Side::Sell))
            }
        };
        let self_trade = match tif {
            // The venue's prevention has no effect on these.
            TimeInForce::Fok | TimeInForce::Gtx => SelfTrade::Allow,
            _ => order.self_trade,
        };
        let lots = order.leaves().0 / spec.lot_size.0;
        let owner = Owner::account(account);
        let taker = Taker { owner, side: order.side, limit, lots, self_trade };
        let meets = kind != OrderKind::Limit || would_take(market, contract, order.side, order.px);
        let mut fills = Vec::new();
        if meets {
            (_, fills) = market.client_take(now, contract, &taker);
            self.settle(market, contract, Some((account, id)), &fills);
        }

        let order = &self.list[account].orders[&id];
        if !order.status.is_open() {
            return;
        }
        let stopped = fills.iter().any(|fill| fill.hit == Hit::TakerExpired);
        let ioc = tif == TimeInForce::Ioc;
        let (status, why) = match (stopped, kind) {
            (true, _) if ioc => (Status::ExpiredInMatch, Expiry::ImmediateSelfTrade),
            (true, _) => (Status::ExpiredInMatch, Expiry::SelfTrade),
            (false, OrderKind::Limit) if tif == TimeInForce::Fok || ioc => {
                (Status::Expired, Expiry::ImmediateRest)
            }
            (false, OrderKind::Limit) => return self.rest(market, account, id, now),
            (false, _) => (Status::Expired, Expiry::MarketRest),
        };
        self.end(account, id, status, why, now);
    }

    /// Puts what is left of an order into the book.
    fn rest(&mut self, market: &mut SyntheticMarket, account: usize, id: u64, now: Nanos) {
        let held = &mut self.list[account];
        let order = &held.orders[&id];
        let slot = &mut held.slots[order.contract];
        slot.open.insert(id);
        let leaves = order.leaves();
        if order.reduce_only {
            // Those behind it may have become too many.
            self.touched.push((account, order.contract, order.position_side));
        } else {
            let position = slot.position_mut(order.position_side);
            let open = value(leaves, order.px);
            match order.side {
                Side::Buy => position.bid_value += open,
                Side::Sell => position.ask_value += open,
            }
        }
        if order.good_till != Nanos::ZERO {
            self.timers.insert((order.good_till, Timer::GoodTill { account, order: id }));
        }
        let resting = resting(market, account, order, leaves);
        market.client_rest(now, order.contract, resting);
    }

    /// Takes an order out of the book and out of the open value; it stays open.
    pub(super) fn lift(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        id: u64,
        now: Nanos,
    ) {
        let order = &self.list[account].orders[&id];
        let resting = resting(market, account, order, Qty::ZERO);
        market.client_cut(now, order.contract, resting);
        self.unrest(account, id);
    }

    /// Forgets that an order rests: it has left the book.
    fn unrest(&mut self, account: usize, id: u64) {
        let held = &mut self.list[account];
        let order = &held.orders[&id];
        let slot = &mut held.slots[order.contract];
        if !slot.open.remove(&id) {
            return;
        }
        if !order.reduce_only {
            let position = slot.position_mut(order.position_side);
            let open = value(order.leaves(), order.px);
            match order.side {
                Side::Buy => position.bid_value -= open,
                Side::Sell => position.ask_value -= open,
            }
        }
        if order.good_till != Nanos::ZERO {
            self.timers.remove(&(order.good_till, Timer::GoodTill { account, order: id }));
        }
    }

    /// Ends an order that is not in the book any more, and tells.
    pub(super) fn end(&mut self, account: usize, id: u64, status: Status, why: Expiry, now: Nanos) {
        self.unrest(account, id);
        if let Some(order) = self.list[account].orders.get_mut(&id) {
            order.status = status;
            order.expire_reason = why as u8;
            order.updated = now;
        }
        let execution = match status {
            Status::Canceled => Execution::Canceled,
            _ => Execution::Expired,
        };
        self.tell_order(account, id, execution, None, now);
        self.retire(account, id, now);
    }

    /// An order has ended and was told of.
    pub(super) fn retire(&mut self, account: usize, id: u64, now: Nanos) {
        self.unrest(account, id);
        self.finish_algo(account, id, now);
        self.list[account].keep_ended(id);
    }

    /// Tells of an order as it stands.
    pub(super) fn tell_order(
        &mut self,
        account: usize,
        id: u64,
        execution: Execution,
        fill: Option<UserTrade>,
        ts: Nanos,
    ) {
        let held = &self.list[account];
        let order = &held.orders[&id];
        let open_value = held.slots[order.contract].open_value();
        let order = Box::new(order.clone());
        self.tell(account, ts, News::Order { order, execution, fill, open_value });
    }
}

/// Refuses what must take all or nothing and cannot, and what must not take and would.
pub(super) fn check_at_once(
    market: &SyntheticMarket,
    new: &NewOrder,
    ticket: &Ticket,
) -> Result<(), VenueError> {
    let (spec, book) = (market.spec(new.contract), market.book(new.contract));
    let tick = ticket.px.0 / spec.tick_size.0;
    match ticket.tif {
        TimeInForce::Fok => {
            let lots = lots_of(spec, ticket.qty).unwrap_or(i64::MAX);
            let there = book.takeable(new.side, Some(tick), NOBODY, lots);
            if there < lots { Err(VenueError::FOK) } else { Ok(()) }
        }
        TimeInForce::Gtx if would_take(market, new.contract, new.side, ticket.px) => {
            Err(VenueError::GTX)
        }
        _ => Ok(()),
    }
}

/// True when a limit order would meet the other side.
pub(super) fn would_take(market: &SyntheticMarket, contract: usize, side: Side, px: Px) -> bool {
    let tick = px.0 / market.spec(contract).tick_size.0;
    let best = market.book(contract).best(side.opposite());
    best.is_some_and(|best| side.sign() * (tick - best) >= 0)
}

/// An order as the book knows it, with `qty` resting.
pub(super) fn resting(
    market: &SyntheticMarket,
    account: usize,
    order: &Order,
    qty: Qty,
) -> Resting {
    let spec = market.spec(order.contract);
    Resting {
        owner: Owner::account(account),
        order: order.id,
        side: order.side,
        tick: order.px.0 / spec.tick_size.0,
        lots: qty.0 / spec.lot_size.0,
    }
}

/// The name the venue gives an order that came without: 22 letters and digits that follow from its
/// number.
pub(super) fn venue_name(id: u64) -> String {
    let mut state = id;
    let mut letter = || {
        // SplitMix64: neighbouring numbers get unlike names.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        letter_of(mixed ^ (mixed >> 31))
    };
    (0..22).map(|_| letter()).collect()
}
