//! Fills and income.

use super::form::side_name;
use super::{Call, Reply, limit_of, period_of};
use crate::base::{Nanos, Side};
use crate::exchange::account::ledger::{Place, Posting};
use crate::exchange::account::order::UserTrade;
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::number::{full, full_or_zero, px, qty, quote};
use serde_json::{Value, json};

const WEEK: Nanos = Nanos::from_secs(7 * 86_400);
/// How long fills can be asked after: three months, as since 2026-08-26.
const TRADES_KEPT: Nanos = Nanos::from_secs(90 * 86_400);

/// `GET /fapi/v1/userTrades`: from a trade number on, or the newest of a period.
///
/// # Errors
/// The venue's refusal.
pub fn trades(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let limit = limit_of(call.params, 500, 1_000)?;
    let (start, end) = period_of(call.params, WEEK)?;
    let from = call.params.int("fromId")?;
    if from.is_some() && (start.is_some() || end.is_some()) {
        return Err(VenueError::BAD_COMBINATION);
    }
    let order = call.params.int("orderId")?.map(|id| u64::try_from(id).unwrap_or(u64::MAX));
    let wanted = |trade: &&UserTrade| {
        trade.contract == contract
            && call.now - trade.ts <= TRADES_KEPT
            && order.is_none_or(|id| trade.order == id)
            && from.is_none_or(|id| trade.trade_id >= id)
            && start.is_none_or(|start| trade.ts >= start)
            && end.is_none_or(|end| trade.ts <= end)
    };
    let trades = call.exchange.accounts.trades(call.account).iter().filter(wanted);
    let show = |trade| trade_json(call, trade);
    if from.is_some() || start.is_some() {
        return Ok(trades.take(limit).map(show).collect());
    }
    let mut newest: Vec<Value> = trades.rev().take(limit).map(show).collect();
    newest.reverse();
    Ok(Value::Array(newest))
}

fn trade_json(call: &Call<'_>, trade: &UserTrade) -> Value {
    let spec = call.spec(trade.contract);
    json!({
        "symbol": spec.symbol.as_str(),
        "id": trade.trade_id,
        "orderId": trade.order,
        "side": side_name(trade.side),
        "price": px(trade.px.0, spec),
        "qty": qty(trade.qty.0, spec),
        "realizedPnl": full_or_zero(trade.realized.0),
        "quoteQty": quote(trade.quote.0, spec),
        "commission": full(trade.fee.0),
        "commissionAsset": "USDT",
        "time": trade.ts.to_millis(),
        "positionSide": trade.position_side.name(),
        "buyer": trade.side == Side::Buy,
        "maker": trade.maker,
    })
}

/// `GET /fapi/v1/income`: the account's postings, from a time on or the newest.
///
/// # Errors
/// The venue's refusal.
pub fn income(call: &mut Call<'_>) -> Reply {
    let contract = call.contract_if_sent()?;
    let limit = limit_of(call.params, 100, 1_000)?;
    let (start, end) = period_of(call.params, Nanos(i64::MAX))?;
    let kind = call.params.text("incomeType").filter(|text| !text.is_empty());
    let page = call.params.int("page")?.and_then(|page| usize::try_from(page).ok()).unwrap_or(1);
    let wallet = Place::Wallet(call.account);
    let wanted = |posting: &&Posting| {
        (posting.from == wallet || posting.to == wallet)
            && contract.is_none_or(|contract| posting.contract == Some(contract))
            && kind.is_none_or(|kind| posting.cause.name() == kind)
            && start.is_none_or(|start| posting.ts >= start)
            && end.is_none_or(|end| posting.ts <= end)
    };
    let show = |posting: &Posting| {
        let gain = if posting.to == wallet { posting.amount.0 } else { -posting.amount.0 };
        let trade = match posting.trade_id {
            0 => String::new(),
            id => id.to_string(),
        };
        json!({
            "symbol": posting.contract.map_or("", |contract| call.symbol(contract)),
            "incomeType": posting.cause.name(),
            "income": full(gain),
            "asset": "USDT",
            "info": posting.cause.name(),
            "time": posting.ts.to_millis(),
            "tranId": posting.id,
            "tradeId": trade,
        })
    };
    let own = call.exchange.accounts.postings().iter().filter(wanted);
    if start.is_some() || page > 1 {
        let skipped = page.saturating_sub(1).saturating_mul(limit);
        return Ok(own.skip(skipped).take(limit).map(show).collect());
    }
    let mut newest: Vec<Value> = own.rev().take(limit).map(show).collect();
    newest.reverse();
    Ok(Value::Array(newest))
}
