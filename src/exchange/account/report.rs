//! The ledger as the oracle for money: everything in whole 1e-8 units.

use super::Accounts;
use super::client::{Account, Slot};
use super::order::{Algo, Order, UserTrade};
use super::position::{index_of, value};
use crate::base::units::SCALE;
use crate::base::{Money, Nanos};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::matching::Owner;
use serde_json::Value;
use std::collections::BTreeMap;

impl Accounts {
    /// `GET /sim/ledger`: every order, fill, fee and balance in whole 1e-8 units; of orders that
    /// are no longer kept what they came to.
    pub fn report(&self, market: &SyntheticMarket, now: Nanos) -> Value {
        let accounts = (0..self.list.len()).map(|account| self.report_of(market, account));
        object([
            ("time", now.to_millis().into()),
            ("unit", SCALE.into()),
            ("accounts", accounts.collect::<Vec<_>>().into()),
            ("balanced", self.is_consistent(market).into()),
        ])
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
        object([
            ("api_key", held.api_key.as_str().into()),
            ("deposit", totals.deposit.0.into()),
            ("wallet", totals.wallet().0.into()),
            ("realized", totals.realized.0.into()),
            ("fees", totals.fees.0.into()),
            ("funding", totals.funding.0.into()),
            ("insurance", totals.insurance.0.into()),
            ("positions", positions_report(held, market).into()),
            ("forgotten", forgotten_report(held, market).into()),
            ("orders", held.orders.values().map(order).collect::<Vec<_>>().into()),
            (
                "algo_orders",
                held.algos
                    .values()
                    .map(|algo| algo_report(algo, symbol(algo.asked.order.contract)))
                    .collect::<Vec<_>>()
                    .into(),
            ),
        ])
    }

    /// True when the ledger balances and what is open is what rests in the books.
    pub fn is_consistent(&self, market: &SyntheticMarket) -> bool {
        let mut contracts = 0..market.len();
        self.ledger.is_balanced()
            && contracts.all(|contract| {
                self.is_booked(market, contract) && self.is_open_value_summed(contract)
            })
    }

    /// True when the running sums of open value are those of the orders that rest.
    fn is_open_value_summed(&self, contract: usize) -> bool {
        let agrees = |held: &Account| {
            let slot = &held.slots[contract];
            let mut sums = [[Money::ZERO; 2]; 3];
            let resting = slot.open.iter().filter_map(|id| held.orders.get(id));
            for order in resting.filter(|order| !order.reduce_only) {
                let sum = &mut sums[index_of(order.position_side)][order.side as usize];
                *sum += value(order.leaves(), order.px);
            }
            let kept = slot.positions.map(|position| [position.bid_value, position.ask_value]);
            kept == sums
        };
        self.list.iter().all(agrees)
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
            positions.push(object([
                ("symbol", market.spec(contract).symbol.as_str().into()),
                ("side", side.name().into()),
                ("qty", position.qty.0.into()),
                ("cost", position.cost.0.into()),
            ]));
        }
    }
    positions
}

/// Contracts of which orders are no longer kept.
fn forgotten_report(held: &Account, market: &SyntheticMarket) -> Vec<Value> {
    let slots = held.slots.iter().enumerate().filter(|(_, slot)| slot.forgotten.orders > 0);
    let of = |(contract, slot): (usize, &Slot)| {
        object([
            ("symbol", market.spec(contract).symbol.as_str().into()),
            ("orders", slot.forgotten.orders.into()),
            ("filled", slot.forgotten.filled.into()),
            ("fee", slot.forgotten.fee.0.into()),
        ])
    };
    slots.map(of).collect()
}

fn order_report(order: &Order, symbol: &str, fills: &[&UserTrade]) -> Value {
    let fill = |fill: &&UserTrade| {
        object([
            ("trade_id", fill.trade_id.into()),
            ("px", fill.px.0.into()),
            ("qty", fill.qty.0.into()),
            ("fee", fill.fee.0.into()),
            ("maker", fill.maker.into()),
            ("realized", fill.realized.0.into()),
            ("time", fill.ts.to_millis().into()),
        ])
    };
    object([
        ("client_id", order.client_id.as_str().into()),
        ("order_id", order.id.into()),
        ("symbol", symbol.into()),
        ("side", side_name(order.side).into()),
        ("position_side", order.position_side.name().into()),
        ("type", order.kind.name().into()),
        ("reduce_only", (order.reduce_only || order.close_position).into()),
        ("status", order.status.name().into()),
        ("px", order.px.0.into()),
        ("qty", order.qty.0.into()),
        ("filled", order.filled.0.into()),
        ("quote", order.quote.0.into()),
        ("fee", order.fee.0.into()),
        ("time", order.created.to_millis().into()),
        ("updated", order.updated.to_millis().into()),
        ("fills", fills.iter().map(fill).collect::<Vec<_>>().into()),
    ])
}

fn algo_report(algo: &Algo, symbol: &str) -> Value {
    let asked = &algo.asked;
    object([
        ("client_id", algo.client_id.as_str().into()),
        ("algo_id", algo.id.into()),
        ("symbol", symbol.into()),
        ("side", side_name(asked.order.side).into()),
        ("position_side", asked.order.position_side.map_or("BOTH", |side| side.name()).into()),
        ("type", asked.order.kind.name().into()),
        ("status", algo.status.name().into()),
        ("trigger_px", asked.trigger_px.0.into()),
        ("px", asked.order.px.map_or(0, |px| px.0).into()),
        ("qty", asked.order.qty.map_or(0, |qty| qty.0).into()),
        ("close_position", asked.close_position.into()),
        ("order_id", algo.order.into()),
        ("reason", algo.reason.into()),
    ])
}

const fn side_name(side: crate::base::Side) -> &'static str {
    match side {
        crate::base::Side::Buy => "BUY",
        crate::base::Side::Sell => "SELL",
    }
}

/// An object of fields. Built by hand, as the values are moved: a report is long.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
