//! The ledger as the oracle for money: everything in whole 1e-8 units.

use super::Accounts;
use super::client::Account;
use super::order::{Algo, Order, UserTrade};
use crate::base::Nanos;
use crate::base::units::SCALE;
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::matching::Owner;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Accounts {
    /// `GET /sim/ledger`: every order, fill, fee and balance in whole 1e-8 units.
    pub fn report(&self, market: &SyntheticMarket, now: Nanos) -> Value {
        let accounts = (0..self.list.len()).map(|account| self.report_of(market, account));
        json!({
            "time": now.to_millis(),
            "unit": SCALE,
            "accounts": accounts.collect::<Vec<_>>(),
            "balanced": self.is_consistent(market),
        })
    }

    fn report_of(&self, market: &SyntheticMarket, account: usize) -> Value {
        let held = &self.list[account];
        let totals = self.ledger.totals(account);
        let mut fills: BTreeMap<u64, Vec<&UserTrade>> = BTreeMap::new();
        for trade in &held.trades {
            fills.entry(trade.order).or_default().push(trade);
        }
        let symbol = |contract: usize| market.spec(contract).symbol.as_str();
        let order = |order: &Order| {
            let fills = fills.get(&order.id).map_or(&[][..], Vec::as_slice);
            order_report(order, symbol(order.contract), fills)
        };
        json!({
            "api_key": held.api_key,
            "deposit": totals.deposit.0,
            "wallet": totals.wallet().0,
            "realized": totals.realized.0,
            "fees": totals.fees.0,
            "funding": totals.funding.0,
            "insurance": totals.insurance.0,
            "positions": positions_report(held, market),
            "orders": held.orders.values().map(order).collect::<Vec<_>>(),
            "algo_orders": held
                .algos
                .values()
                .map(|algo| algo_report(algo, symbol(algo.asked.order.contract)))
                .collect::<Vec<_>>(),
        })
    }

    /// True when the ledger balances, what is open is what rests in the books, and what orders
    /// filled is what positions hold.
    pub fn is_consistent(&self, market: &SyntheticMarket) -> bool {
        self.ledger.is_balanced()
            && (0..market.len()).all(|contract| self.is_booked(market, contract))
    }

    /// True when every resting order is in the book with the quantity it has left, and nothing
    /// else.
    fn is_booked(&self, market: &SyntheticMarket, contract: usize) -> bool {
        let lot = market.spec(contract).lot_size.0;
        let book = market.book(contract);
        let sides = [crate::base::Side::Buy, crate::base::Side::Sell];
        let mut booked: Vec<(Owner, u64, i64)> = sides
            .into_iter()
            .flat_map(|side| book.clients(side))
            .map(|(_, owner, order, lots)| (owner, order, lots * lot))
            .collect();
        booked.sort_unstable();
        let mut kept = Vec::new();
        for (account, held) in self.list.iter().enumerate() {
            let open = held.slots[contract].open.iter().filter_map(|id| held.orders.get(id));
            kept.extend(open.map(|o| (Owner::account(account), o.id, o.leaves().0)));
        }
        kept.sort_unstable();
        booked == kept
    }
}

fn positions_report(held: &Account, market: &SyntheticMarket) -> Vec<Value> {
    let mut positions = Vec::new();
    for (contract, slot) in held.slots.iter().enumerate() {
        for side in held.position_sides() {
            let position = slot.position(*side);
            positions.push(json!({
                "symbol": market.spec(contract).symbol.as_str(),
                "side": side.name(),
                "qty": position.qty.0,
                "cost": position.cost.0,
            }));
        }
    }
    positions
}

fn order_report(order: &Order, symbol: &str, fills: &[&UserTrade]) -> Value {
    let fill = |fill: &&UserTrade| {
        json!({
            "trade_id": fill.trade_id,
            "px": fill.px.0,
            "qty": fill.qty.0,
            "fee": fill.fee.0,
            "maker": fill.maker,
            "realized": fill.realized.0,
            "time": fill.ts.to_millis(),
        })
    };
    json!({
        "client_id": order.client_id,
        "order_id": order.id,
        "symbol": symbol,
        "side": side_name(order.side),
        "position_side": order.position_side.name(),
        "type": order.kind.name(),
        "status": order.status.name(),
        "px": order.px.0,
        "qty": order.qty.0,
        "filled": order.filled.0,
        "quote": order.quote.0,
        "fee": order.fee.0,
        "fills": fills.iter().map(fill).collect::<Vec<_>>(),
    })
}

fn algo_report(algo: &Algo, symbol: &str) -> Value {
    let asked = &algo.asked;
    json!({
        "client_id": algo.client_id,
        "algo_id": algo.id,
        "symbol": symbol,
        "side": side_name(asked.order.side),
        "position_side": asked.order.position_side.map_or("BOTH", |side| side.name()),
        "type": asked.order.kind.name(),
        "status": algo.status.name(),
        "trigger_px": asked.trigger_px.0,
        "px": asked.order.px.map_or(0, |px| px.0),
        "qty": asked.order.qty.map_or(0, |qty| qty.0),
        "close_position": asked.close_position,
        "order_id": algo.order,
        "reason": algo.reason,
    })
}

const fn side_name(side: crate::base::Side) -> &'static str {
    match side {
        crate::base::Side::Buy => "BUY",
        crate::base::Side::Sell => "SELL",
    }
}
