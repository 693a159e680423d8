//! Conditional orders until their price comes.

use super::Accounts;
use super::client::Account;
use super::notice::News;
use super::order::{
    Algo, AlgoStatus, NewAlgo, NewOrder, OrderKind, OrderName, PriceMatch, TimeInForce, WorkingType,
};
use super::refusal::*;
use super::rules::{
    bound_of, check_client_text, check_grid, check_qty, good_till_of, position_side_of,
};
use crate::base::{Nanos, Px, Rate, Side};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::wire::error::VenueError;

/// Conditional orders an account may have over all contracts.
const ALGOS_MAX: usize = 200;
/// A trailing stop's distance: 0.1 % to 20 %.
const CALLBACKS: std::ops::RangeInclusive<Rate> = Rate(100_000)..=Rate(20_000_000);

impl Accounts {
    /// Takes a conditional order on. Margin is not looked at before it triggers.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn place_algo(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        new: &NewAlgo,
        now: Nanos,
    ) -> Result<Algo, VenueError> {
        let held = &self.list[account];
        let order = self.check_algo(market, held, new, now)?;
        self.last_algo += 1;
        let id = self.last_algo;
        let client_id = match &order.client_id {
            Some(own) => own.clone(),
            // Numbers of orders and of conditional orders are far apart, so these names are too.
            None => super::place::venue_name(id),
        };
        let trails = order.kind == OrderKind::TrailingStopMarket && new.activate_px == Px::ZERO;
        let best_px = if trails { working_px(market, new) } else { Px::ZERO };
        let algo = Algo {
            id,
            client_id: client_id.clone(),
            asked: NewAlgo { order, ..new.clone() },
            status: AlgoStatus::New,
            order: None,
            activated: trails,
            best_px,
            reason: "",
            created: now,
            updated: now,
            triggered_at: Nanos::ZERO,
        };
        let held = &mut self.list[account];
        held.algo_names.insert(client_id, id);
        held.slots[new.order.contract].algos.insert(id);
        held.algos.insert(id, algo.clone());
        self.tell_algo(account, id, now);
        Ok(algo)
    }

    /// Takes a conditional order back, by its number or its client's name.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn cancel_algo(
        &mut self,
        account: usize,
        name: &OrderName,
        now: Nanos,
    ) -> Result<Algo, VenueError> {
        let held = &self.list[account];
        let id = held.find_algo(name).ok_or(VenueError::UNKNOWN_ORDER)?;
        if held.algos[&id].status != AlgoStatus::New {
            return Err(VenueError::UNKNOWN_ORDER);
        }
        self.end_algo(account, id, AlgoStatus::Canceled, "", now);
        Ok(self.list[account].algos[&id].clone())
    }

    /// Takes all conditional orders of a contract back; how many there were.
    pub fn cancel_all_algos(&mut self, account: usize, contract: usize, now: Nanos) -> usize {
        let waiting: Vec<u64> = self.list[account].slots[contract].algos.iter().copied().collect();
        for &id in &waiting {
            self.end_algo(account, id, AlgoStatus::Canceled, "", now);
        }
        waiting.len()
    }

    /// Ends a conditional order and tells.
    pub(super) fn end_algo(
        &mut self,
        account: usize,
        id: u64,
        status: AlgoStatus,
        reason: &'static str,
        now: Nanos,
    ) {
        let held = &mut self.list[account];
        let Some(algo) = held.algos.get_mut(&id) else { return };
        (algo.status, algo.reason, algo.updated) = (status, reason, now);
        held.slots[algo.asked.order.contract].algos.remove(&id);
        self.tell_algo(account, id, now);
        self.list[account].keep_ended_algo(id);
    }

    /// Tells of a conditional order as it stands, and of the order it became.
    pub(super) fn tell_algo(&mut self, account: usize, id: u64, ts: Nanos) {
        let held = &self.list[account];
        let algo = Box::new(held.algos[&id].clone());
        let order = algo.order.and_then(|order| held.orders.get(&order));
        let order = order.map(|order| Box::new(order.clone()));
        self.tell(account, ts, News::Algo { algo, order });
    }

    /// The order as it will be sent, or why it may not wait.
    fn check_algo(
        &self,
        market: &SyntheticMarket,
        held: &Account,
        new: &NewAlgo,
        now: Nanos,
    ) -> Result<NewOrder, VenueError> {
        let asked = &new.order;
        if !asked.kind.is_conditional() {
            return Err(BAD_TYPE);
        }
        check_shape(new)?;
        let spec = market.spec(asked.contract);
        let position_side = position_side_of(held, asked)?;
        let good_till = good_till_of(asked, now)?;
        if market.at(asked.contract).halted {
            return Err(CLOSED);
        }
        if let Some(qty) = asked.qty {
            check_qty(spec, asked.kind, qty)?;
        }
        for px in [new.trigger_px, new.activate_px].into_iter().filter(|px| px.0 != 0) {
            check_grid(spec, px)?;
        }
        if let Some(px) = asked.px {
            check_grid(spec, px)?;
            let bound = bound_of(spec, new.trigger_px, asked.side);
            match asked.side {
                Side::Buy if px > bound => return Err(STOP_PX_CAP),
                Side::Sell if px < bound => return Err(STOP_PX_FLOOR),
                _ => {}
            }
        }
        if let Some(text) = &asked.client_id {
            check_client_text(text)?;
            let same = held.algo_names.get(text).and_then(|id| held.algos.get(id));
            if same.is_some_and(|algo| algo.status == AlgoStatus::New) {
                return Err(VenueError::DUPLICATE_CLIENT_ID);
            }
        }
        if held.waiting_algos() >= ALGOS_MAX {
            return Err(MAX_ALGOS);
        }
        let tif = Some(asked.tif.unwrap_or(TimeInForce::Gtc));
        let order =
            NewOrder { position_side: Some(position_side), tif, good_till, ..asked.clone() };
        if would_trigger(new, working_px(market, new)) {
            return Err(VenueError::WOULD_TRIGGER);
        }
        Ok(order)
    }
}

/// What must be sent and what must not.
fn check_shape(new: &NewAlgo) -> Result<(), VenueError> {
    let NewAlgo { order, close_position, .. } = new;
    let (limits, trails) = match order.kind {
        OrderKind::Stop | OrderKind::TakeProfit => (true, false),
        kind => (false, kind == OrderKind::TrailingStopMarket),
    };
    if *close_position {
        if limits || trails {
            return Err(not_required("closePosition"));
        }
        if order.qty.is_some_and(|qty| qty.0 != 0) {
            return Err(CLOSE_QTY);
        }
        if order.reduce_only.is_some() {
            return Err(CLOSE_REDUCE_ONLY);
        }
    } else if order.qty.is_none() {
        return Err(missing("quantity"));
    }
    match (limits, order.px, order.price_match) {
        (true, None, PriceMatch::None) => return Err(missing("price")),
        (true, Some(_), PriceMatch::Opponent(_) | PriceMatch::Queue(_)) => {
            return Err(not_required("price"));
        }
        (false, Some(_), _) => return Err(not_required("price")),
        (false, None, PriceMatch::Opponent(_) | PriceMatch::Queue(_)) => {
            return Err(PRICE_MATCH_KIND);
        }
        _ => {}
    }
    if trails {
        if new.trigger_px.0 != 0 {
            return Err(not_required("triggerPrice"));
        }
        return match new.callback {
            Rate::ZERO => Err(missing("callbackRate")),
            rate if CALLBACKS.contains(&rate) => Ok(()),
            _ => Err(invalid("callbackRate")),
        };
    }
    if new.activate_px.0 != 0 {
        return Err(not_required("activatePrice"));
    }
    if new.callback != Rate::ZERO {
        return Err(not_required("callbackRate"));
    }
    if new.trigger_px.0 == 0 { Err(missing("triggerPrice")) } else { Ok(()) }
}

/// The price a conditional order looks at.
pub(super) fn working_px(market: &SyntheticMarket, new: &NewAlgo) -> Px {
    match new.working {
        WorkingType::Contract => market.last_px(new.order.contract),
        WorkingType::Mark => market.mark_px(new.order.contract),
    }
}

/// True at a price that triggers it; for a trailing stop, that activates it.
pub(super) fn would_trigger(new: &NewAlgo, px: Px) -> bool {
    let NewAlgo { order, trigger_px, activate_px, .. } = new;
    // A stop buys when the price has risen to its trigger, all others when it has fallen to it.
    let (level, rises) = match order.kind {
        OrderKind::Stop | OrderKind::StopMarket => (*trigger_px, order.side == Side::Buy),
        OrderKind::TrailingStopMarket => (*activate_px, order.side == Side::Sell),
        _ => (*trigger_px, order.side == Side::Sell),
    };
    level.0 != 0 && if rises { px >= level } else { px <= level }
}
