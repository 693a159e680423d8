//! What happens to the market and to accounts.

use super::kind::Kind;
use super::{Change, Fault, Faults};
use crate::base::{Money, Nanos, Px, Qty, Side};
use crate::exchange::account::order::{NewOrder, OrderKind, OrderName, PriceMatch, TimeInForce};
use crate::exchange::flow::client::{Resting, lots_of, tick_of};
use crate::exchange::matching::{Owner, SelfTrade};
use crate::exchange::venue::Exchange;

/// Most of a contract's own steps that one step of its orders may be.
const COARSEST: i64 = 1_000_000;

/// A fill that comes after its order's cancellation was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateFill {
    /// When it comes.
    pub due: Nanos,
    /// Whose order.
    pub account: usize,
    /// Index of the contract.
    pub contract: usize,
    /// Number of the order.
    pub order: u64,
}

impl LateFill {
    /// For an order of the account of an API key; `None` where there is none.
    pub fn of(exchange: &Exchange, api_key: &str, order: u64, due: Nanos) -> Option<Self> {
        let account = exchange.accounts.find_key(api_key)?.0;
        Self::in_account(exchange, account, order, due)
    }

    /// For an order told on a trading connection: by its key, or by whoever has the order.
    pub fn by_id(exchange: &Exchange, api_key: String, order: u64, due: Nanos) -> Option<Self> {
        if let Some(found) = Self::of(exchange, &api_key, order, due) {
            return Some(found);
        }
        let accounts = 0..exchange.accounts.len();
        accounts.into_iter().find_map(|account| Self::in_account(exchange, account, order, due))
    }

    fn in_account(exchange: &Exchange, account: usize, order: u64, due: Nanos) -> Option<Self> {
        let found = exchange.accounts.orders(account).find(|kept| kept.id == order)?;
        Some(Self { due, account, contract: found.contract, order })
    }
}

/// Lets a late fill happen: someone takes the order out of turn, wherever it stands.
pub fn fill_late(exchange: &mut Exchange, late: &LateFill, now: Nanos) {
    let name = OrderName { id: Some(late.order), client_id: None };
    let Some(order) = exchange.accounts.order(late.account, late.contract, &name) else { return };
    let spec = *exchange.market.spec(late.contract);
    let places = (tick_of(&spec, order.px), lots_of(&spec, order.leaves()));
    let (true, (Some(tick), Some(lots))) = (order.status.is_open(), places) else { return };
    let owner = Owner::account(late.account);
    let resting = Resting { owner, order: order.id, side: order.side, tick, lots };
    exchange.market.client_fill(now, late.contract, resting);
    exchange.advance(now);
}

/// Checks that what a fault names is there.
///
/// # Errors
/// Names the key.
pub fn check(exchange: &Exchange, fault: &Fault) -> Result<(), String> {
    if fault.texts.contains_key("symbol") {
        contract_of(exchange, fault)?;
    }
    if fault.kind == Kind::ForeignOrder {
        foreign_side(fault)?;
        foreign_qty(fault)?;
    }
    if matches!(fault.kind, Kind::ForeignOrder | Kind::Withdrawal | Kind::HiddenFee) {
        account_of(exchange, fault.numbers[1])?;
    }
    Ok(())
}

fn account_of(exchange: &Exchange, number: i64) -> Result<usize, String> {
    let account = usize::try_from(number).unwrap_or(usize::MAX);
    match account < exchange.accounts.len() {
        true => Ok(account),
        false => Err(format!("account: there is no account {account}")),
    }
}

fn foreign_side(fault: &Fault) -> Result<Side, String> {
    match fault.texts.get("side").map_or("", String::as_str) {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        other => Err(format!("side: {other:?} is neither BUY nor SELL")),
    }
}

fn foreign_qty(fault: &Fault) -> Result<Qty, String> {
    let text = fault.texts.get("quantity").map_or("", String::as_str);
    let qty = Qty::parse(text).map_err(|error| format!("quantity: {error}"))?;
    if qty.0 > 0 { Ok(qty) } else { Err("quantity: must be above zero".to_owned()) }
}

/// Carries out a change that concerns the market or accounts.
///
/// # Errors
/// Why it could not be done; nothing has changed then.
pub fn apply(exchange: &mut Exchange, change: &Change, now: Nanos) -> Result<(), String> {
    let Change { fault, begins } = change;
    let number = |i: usize| if *begins { fault.numbers[i] } else { 0 };
    match fault.kind {
        Kind::ClockSkew => exchange.skew = Nanos::from_millis(number(0)),
        Kind::ExpireListenKey if *begins => {
            exchange.keys.run_out(now);
            while exchange.keys.next_due() <= now {
                exchange.expire_key(now);
            }
        }
        Kind::ForeignOrder if *begins => foreign_order(exchange, fault, now)?,
        Kind::PriceSpike if *begins => {
            let contract = contract_of(exchange, fault)?;
            exchange.market.gap(now, contract, fault.numbers[0]);
        }
        Kind::Halt => {
            let contract = contract_of(exchange, fault)?;
            let contract = exchange.market.at_mut(contract);
            contract.halted = *begins;
            // What trades again is not being settled any more.
            contract.settling &= *begins;
        }
        Kind::Settle => {
            let contract = contract_of(exchange, fault)?;
            let contract = exchange.market.at_mut(contract);
            (contract.halted, contract.settling) = (*begins, *begins);
        }
        Kind::MarkDivergence => {
            let contract = contract_of(exchange, fault)?;
            exchange.market.at_mut(contract).mark_skew = number(0) as f64 / 1e4;
        }
        Kind::FundingSpike => {
            let contract = contract_of(exchange, fault)?;
            exchange.market.at_mut(contract).funding_skew = number(0) as f64 / 1e4;
        }
        Kind::FilterChange if *begins => filter_change(exchange, fault)?,
        Kind::Delivery => {
            let contract = contract_of(exchange, fault)?;
            let after = Nanos::from_millis(number(0));
            exchange.market.at_mut(contract).delivery = begins.then_some(now + after);
        }
        Kind::LiquidationSkew => {
            let contract = contract_of(exchange, fault)?;
            exchange.market.at_mut(contract).liquidation_skew_bps = number(0);
        }
        Kind::Withdrawal if *begins => {
            let account = account_of(exchange, fault.numbers[1])?;
            exchange.accounts.withdraw(account, Money(fault.numbers[0]), now);
        }
        Kind::HiddenFee if *begins => {
            let (contract, fee) = (contract_of(exchange, fault)?, Money(fault.numbers[0]));
            let account = account_of(exchange, fault.numbers[1])?;
            exchange.accounts.take_hidden_fee(account, contract, fee, now);
        }
        _ => {}
    }
    exchange.advance(now);
    Ok(())
}

fn contract_of(exchange: &Exchange, fault: &Fault) -> Result<usize, String> {
    let symbol = fault.texts.get("symbol").map_or("", String::as_str);
    let found = exchange.market.index_of(symbol);
    found.ok_or_else(|| format!("symbol: {symbol:?} is not traded here"))
}

/// An order on the account that its owner did not send: from the website, by its name.
fn foreign_order(exchange: &mut Exchange, fault: &Fault, now: Nanos) -> Result<(), String> {
    let contract = contract_of(exchange, fault)?;
    let (side, qty) = (foreign_side(fault)?, foreign_qty(fault)?);
    let spec = *exchange.market.spec(contract);
    let mark = exchange.market.mark_px(contract).0;
    let px = Px(mark + (i128::from(mark) * i128::from(fault.numbers[0]) / 10_000) as i64);
    let account = usize::try_from(fault.numbers[1]).unwrap_or(0);
    let order = NewOrder {
        contract,
        side,
        position_side: None,
        kind: OrderKind::Limit,
        tif: Some(TimeInForce::Gtc),
        qty: Some(qty),
        px: Some(px.floor_to(spec.tick_size)),
        reduce_only: None,
        client_id: Some(format!("web_{:016x}", now.0)),
        self_trade: SelfTrade::Allow,
        price_match: PriceMatch::None,
        good_till: Nanos::ZERO,
    };
    let placed = exchange.accounts.place(&mut exchange.market, account, &order, now);
    placed.map(|_| ()).map_err(|error| error.to_string())
}

/// Orders must be on a coarser grid, or be larger, from now on. The book keeps its own grid.
fn filter_change(exchange: &mut Exchange, fault: &Fault) -> Result<(), String> {
    let contract = contract_of(exchange, fault)?;
    let [tick, step, notional] = fault.numbers[..] else {
        return Err("tick_times: three numbers are needed".to_owned());
    };
    let spec = &mut exchange.market.at_mut(contract).spec;
    let coarser = |own: i64, times: i64| {
        let product = own.saturating_mul(times);
        let text = format!("tick_times, step_times: no grid is coarser than {COARSEST} steps");
        (product <= COARSEST).then_some(product).ok_or(text)
    };
    let (ticks, lots) = (coarser(spec.tick_times, tick)?, coarser(spec.lot_times, step)?);
    (spec.tick_times, spec.lot_times) = (ticks, lots);
    spec.min_notional.0 = spec.min_notional.0.saturating_mul(notional);
    Ok(())
}

impl Faults {
    /// Late fills that are due.
    pub fn take_late(&mut self, now: Nanos) -> Vec<LateFill> {
        let (due, later) = self.late.iter().copied().partition(|late| late.due <= now);
        self.late = later;
        due
    }
}
