//! Changing a resting order's price and quantity.

use super::notice::Execution;
use super::order::{Order, OrderKind, OrderName, Status, TimeInForce};
use super::place::{Expiry, would_take};
use super::position::value;
use super::refusal::*;
use super::rules::{Exposure, check_grid, check_percent, check_qty, value_of};
use super::{Accounts, Amendment};
use crate::base::{Nanos, Qty};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::matching::SelfTrade;
use crate::exchange::wire::error::VenueError;

/// Changes one order may see.
const AMENDMENTS_MAX: u32 = 10_000;

impl Accounts {
    /// Changes price and quantity of a limit order; it loses its place in the queue.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn modify(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        name: &OrderName,
        change: &Amendment,
        now: Nanos,
    ) -> Result<Order, VenueError> {
        let held = &self.list[account];
        let contract = change.contract;
        let id = held.find(contract, name).ok_or(VenueError::NO_SUCH_ORDER)?;
        let order = &held.orders[&id];
        if !held.slots[contract].open.contains(&id) {
            return Err(VenueError::NO_SUCH_ORDER);
        }
        let qty = self.check_amendment(market, account, order, change)?;
        if qty <= order.filled {
            // All that is wanted has been filled.
            self.take_back(market, account, id, now);
            return Ok(self.list[account].orders[&id].clone());
        }

        self.lift(market, account, id, now);
        let Some(order) = self.list[account].orders.get_mut(&id) else {
            return Err(VenueError::NO_SUCH_ORDER);
        };
        (order.px, order.qty) = (change.px, qty);
        order.amendments += 1;
        order.updated = now;
        // The venue's questions and answers on self-trade prevention: an amended order has none.
        order.self_trade = SelfTrade::Allow;
        let crosses =
            order.tif == TimeInForce::Gtx && would_take(market, contract, order.side, change.px);
        self.tell_order(account, id, Execution::Amendment, None, now);
        if crosses {
            self.end(account, id, Status::Canceled, Expiry::None, now);
        } else {
            self.run(market, account, id, now);
        }
        self.follow(market, now);
        Ok(self.list[account].orders[&id].clone())
    }

    /// The quantity the order gets, or why it may not change.
    fn check_amendment(
        &self,
        market: &SyntheticMarket,
        account: usize,
        order: &Order,
        change: &Amendment,
    ) -> Result<Qty, VenueError> {
        let Amendment { contract, side, qty, px } = *change;
        let spec = market.spec(contract);
        if order.kind != OrderKind::Limit {
            return Err(MODIFY_KIND);
        }
        if side.is_some_and(|side| side != order.side) {
            return Err(BAD_SIDE);
        }
        if market.at(contract).halted {
            return Err(MODIFY_CLOSED);
        }
        check_qty(spec, OrderKind::Limit, qty)?;
        check_grid(spec, px)?;
        check_percent(spec, market.mark_px(contract), order.side, px)?;
        if (px, qty) == (order.px, order.qty) {
            return Err(MODIFY_SAME);
        }
        if order.amendments >= AMENDMENTS_MAX {
            return Err(MODIFY_MAX);
        }
        if qty <= order.filled {
            return Ok(qty);
        }
        let leaves = qty - order.filled;
        if order.reduce_only {
            let wanted = (order.side, Some(px), leaves);
            let fits = self.reducible(account, contract, order.position_side, wanted, order.id)?;
            return Ok(order.filled + fits);
        }
        if value_of(qty, px)? < spec.min_notional {
            let text = format!("Order's notional must be no smaller than {}", spec.min_notional);
            return Err(VenueError::with(-5029, text));
        }
        let exposure = Exposure {
            contract,
            position_side: order.position_side,
            side: order.side,
            replaced: value(order.leaves(), order.px),
            qty: leaves,
            px,
        };
        self.check_margin(market, account, &exposure)?;
        Ok(qty)
    }
}
