//! Orders: placed, changed, cancelled, asked after.

use super::form::{Form, Response, new_order, order_json, side_of};
use super::{AmendmentRecord, Call, Reply, done, limit_of, name_of, period_of};
use crate::base::{Nanos, Px, Qty};
use crate::exchange::account::Amendment;
use crate::exchange::account::order::{NewOrder, Order, OrderKind};
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::number::plain;
use crate::exchange::wire::params::{Params, missing};
use serde_json::{Value, json};

/// How long orders that ended without a fill can be asked after.
const UNFILLED_KEPT: Nanos = Nanos::from_secs(3 * 86_400);
/// How long any order can be asked after.
const KEPT: Nanos = Nanos::from_secs(90 * 86_400);
/// Longest period of one question.
const WEEK: Nanos = Nanos::from_secs(7 * 86_400);

/// `POST /fapi/v1/order`.
///
/// # Errors
/// The venue's refusal.
pub fn place(call: &mut Call<'_>) -> Reply {
    let params = call.params;
    place_one(call, params)
}

/// Places the order that `params` describe.
pub(super) fn place_one(call: &mut Call<'_>, params: &Params) -> Reply {
    let new = new_order(call, params)?;
    let response = Response::of(params)?;
    let exchange = &mut *call.exchange;
    let order = exchange.accounts.place(&mut exchange.market, call.account, &new, call.now)?;
    Ok(order_json(call, &response.shown(order), Form::Answer))
}

/// `POST /fapi/v1/order/test`: checked, not placed.
///
/// # Errors
/// The venue's refusal.
pub fn test(call: &mut Call<'_>) -> Reply {
    let new = new_order(call, call.params)?;
    call.exchange.accounts.test(&call.exchange.market, call.account, &new, call.now)?;
    Ok(order_json(call, &imagined(&new, call.now), Form::Answer))
}

/// The order that a test would have placed; it has no number.
fn imagined(new: &NewOrder, now: Nanos) -> Order {
    new.order(0, new.client_id.clone().unwrap_or_else(|| "testOrder".to_owned()), now)
}

/// `PUT /fapi/v1/order`.
///
/// # Errors
/// The venue's refusal.
pub fn modify(call: &mut Call<'_>) -> Reply {
    let params = call.params;
    modify_one(call, params)
}

/// Changes the order that `params` name.
pub(super) fn modify_one(call: &mut Call<'_>, params: &Params) -> Reply {
    let symbol = params.need("symbol")?;
    let contract = call.exchange.market.index_of(symbol).ok_or(VenueError::BAD_SYMBOL)?;
    let name = name_of(params, "orderId", "origClientOrderId")?;
    let change = Amendment {
        contract,
        side: side_of(params)?,
        qty: params.qty("quantity")?.ok_or_else(|| missing("quantity"))?,
        px: params.px("price")?.ok_or_else(|| missing("price"))?,
    };
    let exchange = &mut *call.exchange;
    let before = exchange.accounts.order(call.account, contract, &name).map(|o| (o.px, o.qty));
    let order =
        exchange.accounts.modify(&mut exchange.market, call.account, &name, &change, call.now)?;
    if let Some(before) = before {
        note(call, &order, before);
    }
    Ok(order_json(call, &order, Form::Change))
}

fn note(call: &mut Call<'_>, order: &Order, before: (Px, Qty)) {
    let shown = json!({
        "price": {"before": plain(before.0.0), "after": plain(order.px.0)},
        "origQty": {"before": plain(before.1.0), "after": plain(order.qty.0)},
        "count": order.amendments,
    });
    call.exchange.records.note_amendment(AmendmentRecord {
        id: 0,
        account: call.account,
        contract: order.contract,
        order: order.id,
        ts: call.now,
        shown,
    });
}

/// `DELETE /fapi/v1/order`.
///
/// # Errors
/// The venue's refusal.
pub fn cancel(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let name = name_of(call.params, "orderId", "origClientOrderId")?;
    let exchange = &mut *call.exchange;
    let order =
        exchange.accounts.cancel(&mut exchange.market, call.account, contract, &name, call.now)?;
    Ok(order_json(call, &order, Form::Cancel))
}

/// `DELETE /fapi/v1/allOpenOrders`. Conditional orders stay.
///
/// # Errors
/// The venue's refusal.
pub fn cancel_all(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let exchange = &mut *call.exchange;
    exchange.accounts.cancel_all(&mut exchange.market, call.account, contract, call.now);
    Ok(done("The operation of cancel all open order is done."))
}

/// `POST /fapi/v1/countdownCancelAll`.
///
/// # Errors
/// The venue's refusal.
pub fn countdown(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let after = call.params.int("countdownTime")?.ok_or_else(|| missing("countdownTime"))?;
    if after < 0 {
        return Err(crate::exchange::wire::params::invalid("countdownTime"));
    }
    let span = Nanos::from_millis(after);
    call.exchange.accounts.countdown(call.account, contract, span, call.now);
    Ok(json!({"symbol": call.symbol(contract), "countdownTime": after.to_string()}))
}

/// `GET /fapi/v1/order`.
///
/// # Errors
/// −2013 for an order there is not, or that is no longer kept.
pub fn query(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let name = name_of(call.params, "orderId", "origClientOrderId")?;
    let found = call.exchange.accounts.order(call.account, contract, &name);
    let order = found.filter(|order| is_kept(order, call.now));
    let order = order.ok_or(VenueError::NO_SUCH_ORDER)?;
    Ok(order_json(call, order, Form::Query))
}

/// `GET /fapi/v1/openOrder`.
///
/// # Errors
/// −2013 for an order that is not open.
pub fn open_one(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let name = name_of(call.params, "orderId", "origClientOrderId")?;
    let found = call.exchange.accounts.order(call.account, contract, &name);
    let order = found.filter(|order| order.status.is_open()).ok_or(VenueError::NO_SUCH_ORDER)?;
    Ok(order_json(call, order, Form::Query))
}

/// `GET /fapi/v1/openOrders`.
///
/// # Errors
/// The venue's refusal.
pub fn open(call: &mut Call<'_>) -> Reply {
    let contract = call.contract_if_sent()?;
    let wanted = |order: &&Order| {
        order.status.is_open() && contract.is_none_or(|contract| order.contract == contract)
    };
    let orders = call.exchange.accounts.orders(call.account).filter(wanted);
    Ok(orders.map(|order| order_json(call, order, Form::Query)).collect())
}

/// `GET /fapi/v1/allOrders`: from an order number on, or the newest of a period.
///
/// # Errors
/// The venue's refusal.
pub fn all(call: &mut Call<'_>) -> Reply {
    let contract = call.contract_if_sent()?;
    let limit = limit_of(call.params, 500, 1_000)?;
    let (start, end) = period_of(call.params, WEEK)?;
    let from = call.params.int("orderId")?.map(|id| u64::try_from(id).unwrap_or(0));
    let wanted = |order: &&Order| {
        contract.is_none_or(|contract| order.contract == contract)
            && is_kept(order, call.now)
            && from.is_none_or(|id| order.id >= id)
            && start.is_none_or(|start| order.created >= start)
            && end.is_none_or(|end| order.created <= end)
    };
    let orders = call.exchange.accounts.orders(call.account).filter(wanted);
    let show = |order| order_json(call, order, Form::Query);
    if from.is_some() || start.is_some() {
        return Ok(orders.take(limit).map(show).collect());
    }
    let mut newest: Vec<Value> = orders.rev().take(limit).map(show).collect();
    newest.reverse();
    Ok(Value::Array(newest))
}

/// `GET /fapi/v1/forceOrders`: what the venue itself ended positions with.
///
/// # Errors
/// The venue's refusal.
pub fn forced(call: &mut Call<'_>) -> Reply {
    let contract = call.contract_if_sent()?;
    let limit = limit_of(call.params, if contract.is_some() { 100 } else { 50 }, 100)?;
    let (start, end) = period_of(call.params, WEEK)?;
    // Nothing here is ever deleveraged automatically, so ADL has no orders to show.
    let adl = call.params.text("autoCloseType") == Some("ADL");
    let wanted = |order: &&Order| {
        !adl && order.kind == OrderKind::Liquidation
            && contract.is_none_or(|contract| order.contract == contract)
            && start.is_none_or(|start| order.created >= start)
            && end.is_none_or(|end| order.created <= end)
    };
    let orders = call.exchange.accounts.orders(call.account).filter(wanted);
    let mut newest: Vec<Value> = orders
        .rev()
        .take(limit)
        .map(|order| {
            let mut shown = order_json(call, order, Form::Query);
            if let Some(object) = shown.as_object_mut() {
                for name in ["priceProtect", "priceMatch", "selfTradePreventionMode"] {
                    object.shift_remove(name);
                }
                object.shift_remove("goodTillDate");
            }
            shown
        })
        .collect();
    newest.reverse();
    Ok(Value::Array(newest))
}

/// `GET /fapi/v1/orderAmendment`, newest first.
///
/// # Errors
/// The venue's refusal.
pub fn amendments(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let limit = limit_of(call.params, 50, 100)?;
    let (start, end) = period_of(call.params, WEEK)?;
    let id = call.params.int("orderId")?.map(|id| u64::try_from(id).unwrap_or(u64::MAX));
    let client = call.params.text("origClientOrderId");
    let own = call.exchange.records.amendments.iter().rev().filter(|record| {
        record.account == call.account
            && record.contract == contract
            && id.is_none_or(|id| record.order == id)
            && start.is_none_or(|start| record.ts >= start)
            && end.is_none_or(|end| record.ts <= end)
    });
    let symbol = call.symbol(contract);
    let shown = own.filter_map(|record| {
        let name =
            crate::exchange::account::order::OrderName { id: Some(record.order), client_id: None };
        let order = call.exchange.accounts.order(call.account, contract, &name)?;
        if client.is_some_and(|client| client != order.client_id) {
            return None;
        }
        Some(json!({
            "amendmentId": record.id,
            "symbol": symbol,
            "pair": symbol,
            "orderId": record.order,
            "clientOrderId": order.client_id,
            "time": record.ts.to_millis(),
            "amendment": record.shown,
        }))
    });
    Ok(shown.take(limit).collect())
}

fn is_kept(order: &Order, now: Nanos) -> bool {
    let age = now - order.updated;
    let unfilled = !order.status.is_open() && order.filled == Qty::ZERO;
    order.status.is_open() || age <= if unfilled { UNFILLED_KEPT } else { KEPT }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Rate, Side};
    use crate::exchange::account::order::{OrderKind, PriceMatch, Status};
    use crate::exchange::matching::SelfTrade;

    fn ended(status: Status, filled: Qty) -> Order {
        let new = NewOrder {
            contract: 0,
            side: Side::Buy,
            position_side: None,
            kind: OrderKind::Limit,
            tif: None,
            qty: None,
            px: None,
            reduce_only: None,
            client_id: None,
            self_trade: SelfTrade::Allow,
            price_match: PriceMatch::None,
            good_till: Nanos::ZERO,
        };
        Order { status, filled, callback: Rate::ZERO, ..imagined(&new, Nanos::ZERO) }
    }

    #[test]
    fn what_ended_unfilled_is_forgotten_after_three_days_and_all_after_ninety() {
        let day = |days: i64| Nanos::from_secs(days * 86_400);
        let unfilled = ended(Status::Canceled, Qty::ZERO);
        assert!(is_kept(&unfilled, day(3)) && !is_kept(&unfilled, day(4)));
        let filled = ended(Status::Canceled, Qty(1));
        assert!(is_kept(&filled, day(90)) && !is_kept(&filled, day(91)));
        assert!(
            is_kept(&ended(Status::New, Qty::ZERO), day(91)),
            "an open order is never forgotten"
        );
    }
}
