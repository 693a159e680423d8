//! Conditional orders once their price comes.
//!
//! ```text
//!   NEW ─► price ─► TRIGGERING ─┬─► refused: REJECTED
//!                               └─► TRIGGERED ─► the order runs ─► it ends: FINISHED
//! ```

use super::Accounts;
use super::algo::{working_px, would_trigger};
use super::notice::Execution;
use super::order::{Algo, AlgoStatus, NewOrder, OrderKind, TimeInForce};
use super::place::check_at_once;
use super::rules::{Ticket, price_of};
use crate::base::units::SCALE;
use crate::base::{Nanos, Px, Side};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::wire::error::VenueError;
use std::borrow::Cow;

/// How far last and mark price may be apart for a protected order, in percent (`triggerProtect`).
const PROTECT_PERCENT: i64 = 5;
/// Why an order that may only shrink a position was not sent, in the venue's words.
const NOTHING_TO_REDUCE: &str = "Reduce Only reject";

impl Accounts {
    /// Looks at the conditional orders of a contract at its present prices.
    pub(super) fn watch_algos(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        contract: usize,
        now: Nanos,
    ) {
        let waiting: Vec<u64> = self.list[account].slots[contract].algos.iter().copied().collect();
        for id in waiting {
            let held = &mut self.list[account];
            // One that triggered before may have ended this one.
            let Some(algo) = held.algos.get_mut(&id) else { continue };
            if algo.status != AlgoStatus::New {
                continue;
            }
            let px = working_px(market, &algo.asked);
            let was_active = algo.activated;
            let comes = comes(algo, px);
            if algo.activated && !was_active {
                algo.updated = now;
                self.tell_algo(account, id, now);
            }
            let protected = self.list[account].algos[&id].asked.price_protect;
            if comes && !(protected && are_apart(market, contract)) {
                self.trigger(market, account, id, now);
                self.follow(market, now);
            }
        }
    }

    /// Sends the order a conditional one stands for.
    fn trigger(&mut self, market: &mut SyntheticMarket, account: usize, id: u64, now: Nanos) {
        let held = &mut self.list[account];
        let Some(algo) = held.algos.get_mut(&id) else { return };
        let contract = algo.asked.order.contract;
        algo.status = AlgoStatus::Triggering;
        (algo.triggered_at, algo.updated) = (now, now);
        held.slots[contract].algos.remove(&id);
        self.tell_algo(account, id, now);

        let algo = self.list[account].algos[&id].clone();
        let new = self.order_of(account, &algo);
        let ticket = match self.admit(market, account, &algo, &new, now) {
            Ok(ticket) => ticket,
            Err(refusal) => {
                let reason = match refusal.text {
                    _ if refusal.code == VenueError::REDUCE_ONLY.code => NOTHING_TO_REDUCE,
                    Cow::Borrowed(text) => text,
                    Cow::Owned(_) => "Order is rejected",
                };
                return self.end_algo(account, id, AlgoStatus::Rejected, reason, now);
            }
        };
        let order_id = self.open(account, &new, &ticket, now);
        let held = &mut self.list[account];
        held.algo_of.insert(order_id, id);
        if let Some(order) = held.orders.get_mut(&order_id) {
            order.orig_kind = algo.asked.order.kind;
            order.stop_px = algo.asked.trigger_px;
            order.close_position = algo.asked.close_position;
            order.working = algo.asked.working;
            order.price_protect = algo.asked.price_protect;
            order.activate_px = algo.asked.activate_px;
            order.callback = algo.asked.callback;
        }
        if let Some(algo) = held.algos.get_mut(&id) {
            (algo.status, algo.order) = (AlgoStatus::Triggered, Some(order_id));
        }
        self.tell_algo(account, id, now);
        self.tell_order(account, order_id, Execution::New, None, now);
        self.run(market, account, order_id, now);
    }

    /// What the venue decides about a triggered order: as about any other, but for the one that
    /// closes the whole position whatever its size.
    fn admit(
        &self,
        market: &SyntheticMarket,
        account: usize,
        algo: &Algo,
        new: &NewOrder,
        now: Nanos,
    ) -> Result<Ticket, VenueError> {
        if !algo.asked.close_position {
            let ticket = self.check(market, account, new, now)?;
            check_at_once(market, new, &ticket)?;
            return Ok(ticket);
        }
        let position_side = new.position_side.ok_or(VenueError::REDUCE_ONLY)?;
        let position = self.list[account].slots[new.contract].position(position_side);
        let qty = position.closable(new.side);
        if qty.0 == 0 {
            return Err(VenueError::REDUCE_ONLY);
        }
        let px = price_of(market, new)?;
        let (tif, good_till) = (TimeInForce::Gtc, Nanos::ZERO);
        Ok(Ticket { position_side, tif, px, qty, reduce_only: true, good_till })
    }

    /// The order a conditional one stands for. It keeps the client's name where that is free.
    fn order_of(&self, account: usize, algo: &Algo) -> NewOrder {
        let held = &self.list[account];
        let asked = &algo.asked.order;
        let limits = matches!(asked.kind, OrderKind::Stop | OrderKind::TakeProfit);
        let free = !held.is_name_open(&algo.client_id);
        NewOrder {
            kind: if limits { OrderKind::Limit } else { OrderKind::Market },
            tif: asked.tif.filter(|_| limits),
            client_id: free.then(|| algo.client_id.clone()),
            ..asked.clone()
        }
    }

    /// An order has ended: so has the conditional one it came from.
    pub(super) fn finish_algo(&mut self, account: usize, order: u64, now: Nanos) {
        if let Some(id) = self.list[account].algo_of.remove(&order) {
            self.end_algo(account, id, AlgoStatus::Finished, "", now);
        }
    }

    /// A position is gone: so are the conditional orders that were to close it.
    pub(super) fn drop_closing_algos(
        &mut self,
        account: usize,
        contract: usize,
        side: super::order::PositionSide,
        now: Nanos,
    ) {
        let held = &self.list[account];
        let closes = |id: &&u64| {
            let asked = &held.algos[id].asked;
            asked.close_position && asked.order.position_side == Some(side)
        };
        let gone: Vec<u64> = held.slots[contract].algos.iter().filter(closes).copied().collect();
        for id in gone {
            self.end_algo(account, id, AlgoStatus::Canceled, NOTHING_TO_REDUCE, now);
        }
    }
}

/// Moves a trailing stop along; true when the price has come.
fn comes(algo: &mut Algo, px: Px) -> bool {
    if algo.asked.order.kind != OrderKind::TrailingStopMarket {
        return would_trigger(&algo.asked, px);
    }
    if !algo.activated {
        if would_trigger(&algo.asked, px) {
            (algo.activated, algo.best_px) = (true, px);
        }
        return false;
    }
    let (best, rate) = (i128::from(algo.best_px.0), i128::from(algo.asked.callback.0));
    let scale = i128::from(SCALE);
    match algo.asked.order.side {
        Side::Sell => {
            algo.best_px = algo.best_px.max(px);
            i128::from(px.0) * scale <= best * (scale - rate)
        }
        Side::Buy => {
            algo.best_px = algo.best_px.min(px);
            i128::from(px.0) * scale >= best * (scale + rate)
        }
    }
}

/// True while last and mark price are farther apart than protected orders allow.
fn are_apart(market: &SyntheticMarket, contract: usize) -> bool {
    let (last, mark) = (market.last_px(contract), market.mark_px(contract));
    i128::from((last - mark).abs().0) * 100 > i128::from(mark.0) * i128::from(PROTECT_PERCENT)
}
