//! Conditional orders, which the venue keeps apart from the others.

use super::form::{kind_name, percent, self_trade_name, side_name, terms, word};
use super::{Call, Reply, done, limit_of, name_of, period_of};
use crate::base::{Nanos, Px, Rate};
use crate::exchange::account::order::{
    Algo, AlgoStatus, NewAlgo, OrderKind, OrderName, PositionSide, PriceMatch, TimeInForce,
    WorkingType,
};
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::number::{mean_px, px, qty};
use crate::exchange::wire::params::{Params, invalid, missing};
use serde_json::{Map, Value, json};

/// Callback rates a trailing stop may have: 0.1 % to 20 %, as since 2026-10-23.
const CALLBACKS: std::ops::RangeInclusive<i64> = 100_000..=20_000_000;
/// Longest period of one question.
const WEEK: Nanos = Nanos::from_secs(7 * 86_400);

/// `POST /fapi/v1/algoOrder`.
///
/// # Errors
/// The venue's refusal.
pub fn place(call: &mut Call<'_>) -> Reply {
    let new = new_algo(call, call.params)?;
    let exchange = &mut *call.exchange;
    let algo = exchange.accounts.place_algo(&mut exchange.market, call.account, &new, call.now)?;
    Ok(algo_json(call, &algo, true))
}

fn new_algo(call: &Call<'_>, params: &Params) -> Result<NewAlgo, VenueError> {
    if params.need("algoType")? != "CONDITIONAL" {
        return Err(invalid("algoType"));
    }
    let kind = OrderKind::parse(params.need("type")?).ok_or(VenueError::BAD_TYPE)?;
    if !kind.is_conditional() {
        return Err(VenueError::BAD_TYPE);
    }
    let order = terms(call, params, kind, "clientAlgoId")?;
    let close_position = params.flag("closePosition")?.unwrap_or(false);
    let trailing = kind == OrderKind::TrailingStopMarket;
    let limit = matches!(kind, OrderKind::Stop | OrderKind::TakeProfit);
    if close_position {
        if order.qty.is_some_and(crate::base::Qty::is_positive) {
            return Err(VenueError::CLOSE_WITH_QTY);
        }
        if order.reduce_only.is_some() {
            return Err(VenueError::CLOSE_WITH_REDUCE);
        }
        if limit || trailing {
            let kind = kind.name();
            let text = format!("Target strategy invalid for orderType {kind},closePosition true");
            return Err(VenueError::with(-4136, text));
        }
    } else if order.qty.is_none() {
        return Err(missing("quantity"));
    }
    if limit && order.px.is_none() && order.price_match == PriceMatch::None {
        return Err(missing("price"));
    }
    let trigger_px = params.px("triggerPrice")?;
    if trigger_px.is_none() && !trailing {
        return Err(missing("triggerPrice"));
    }
    let working = params.text("workingType").filter(|text| !text.is_empty());
    let working = match working {
        None | Some("CONTRACT_PRICE") => WorkingType::Contract,
        Some("MARK_PRICE") => WorkingType::Mark,
        Some(other) => {
            let text = format!("Invalid parameter working type: `{other}`");
            return Err(VenueError::with(-4031, text));
        }
    };
    // Sent in percent: 1 is 1 %.
    let callback = params.decimal("callbackRate")?.map(|percent| percent / 100);
    if trailing && !callback.is_some_and(|rate| CALLBACKS.contains(&rate)) {
        return Err(callback.map_or_else(|| missing("callbackRate"), |_| invalid("callbackRate")));
    }
    Ok(NewAlgo {
        order,
        trigger_px: trigger_px.unwrap_or(Px::ZERO),
        working,
        close_position,
        price_protect: params.flag("priceProtect")?.unwrap_or(false),
        activate_px: params.px("activatePrice")?.unwrap_or(Px::ZERO),
        callback: Rate(callback.unwrap_or(0)),
    })
}

/// A conditional order; `fresh` in the form of the answer to a new one.
fn algo_json(call: &Call<'_>, algo: &Algo, fresh: bool) -> Value {
    let asked = &algo.asked;
    let order = &asked.order;
    let spec = call.spec(order.contract);
    let trailing = order.kind == OrderKind::TrailingStopMarket;
    let mut out = Map::with_capacity(34);
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("algoId", json!(algo.id));
    put("clientAlgoId", json!(algo.client_id));
    put("algoType", json!("CONDITIONAL"));
    put("orderType", json!(kind_name(order.kind)));
    put("symbol", json!(spec.symbol.as_str()));
    put("side", json!(side_name(order.side)));
    let position_side = order.position_side.unwrap_or(PositionSide::Both);
    put("positionSide", json!(position_side.name()));
    put("timeInForce", json!(order.tif.unwrap_or(TimeInForce::Gtc).name()));
    put("quantity", json!(qty(order.qty.map_or(0, |qty| qty.0), spec)));
    put("algoStatus", json!(algo.status.name()));
    if !fresh {
        let name = OrderName { id: algo.order, client_id: None };
        let became = algo
            .order
            .and_then(|_| call.exchange.accounts.order(call.account, order.contract, &name));
        let mean = became.map_or(0, |order| order.average_px().0);
        put("actualOrderId", json!(algo.order.map_or(String::new(), |id| id.to_string())));
        put("actualPrice", json!(mean_px(mean, spec)));
    }
    put("triggerPrice", json!(px(asked.trigger_px.0, spec)));
    put("price", json!(px(order.px.map_or(0, |px| px.0), spec)));
    put("icebergQuantity", Value::Null);
    if !fresh {
        for name in ["tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice"] {
            put(name, json!(px(0, spec)));
        }
        put("tpOrderType", json!(""));
    }
    put("selfTradePreventionMode", json!(self_trade_name(order.self_trade)));
    put("workingType", json!(asked.working.name()));
    put("priceMatch", json!(order.price_match.name()));
    put("closePosition", json!(asked.close_position));
    put("priceProtect", json!(asked.price_protect));
    put("reduceOnly", json!(order.reduce_only.unwrap_or(false)));
    if trailing || (fresh && !call.socket) {
        let (activate, callback) = match trailing {
            true => (px(asked.activate_px.0, spec), percent(asked.callback)),
            false => (String::new(), String::new()),
        };
        put("activatePrice", json!(activate));
        put("callbackRate", json!(callback));
    }
    put("createTime", json!(algo.created.to_millis()));
    put("updateTime", json!(algo.updated.to_millis()));
    put("triggerTime", json!(algo.triggered_at.to_millis()));
    put("goodTillDate", json!(order.good_till.to_millis()));
    Value::Object(out)
}

/// `DELETE /fapi/v1/algoOrder`. Its `code` is a text, unlike everyone else's.
///
/// # Errors
/// The venue's refusal.
pub fn cancel(call: &mut Call<'_>) -> Reply {
    let name = name_of(call.params, "algoId", "clientAlgoId")?;
    let algo = call.exchange.accounts.cancel_algo(call.account, &name, call.now)?;
    Ok(json!({
        "algoId": algo.id,
        "clientAlgoId": algo.client_id,
        "code": "200",
        "msg": "success",
    }))
}

/// `DELETE /fapi/v1/algoOpenOrders`.
///
/// # Errors
/// The venue's refusal.
pub fn cancel_all(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    call.exchange.accounts.cancel_all_algos(call.account, contract, call.now);
    Ok(done("The operation of cancel all open order is done."))
}

/// `GET /fapi/v1/algoOrder`.
///
/// # Errors
/// −2013 for one there is not.
pub fn query(call: &mut Call<'_>) -> Reply {
    let name = name_of(call.params, "algoId", "clientAlgoId")?;
    let algo = call.exchange.accounts.algo(call.account, &name);
    let algo = algo.ok_or(VenueError::NO_SUCH_ORDER)?;
    Ok(algo_json(call, algo, false))
}

/// `GET /fapi/v1/openAlgoOrders`.
///
/// # Errors
/// The venue's refusal.
pub fn open(call: &mut Call<'_>) -> Reply {
    let contract = call.contract_if_sent()?;
    let id = call.params.int("algoId")?.map(|id| u64::try_from(id).unwrap_or(u64::MAX));
    let wanted = |algo: &&Algo| {
        matches!(algo.status, AlgoStatus::New | AlgoStatus::Triggering)
            && contract.is_none_or(|contract| algo.asked.order.contract == contract)
            && id.is_none_or(|id| algo.id == id)
    };
    let algos = call.exchange.accounts.algos(call.account).filter(wanted);
    Ok(algos.map(|algo| algo_json(call, algo, false)).collect())
}

/// `GET /fapi/v1/allAlgoOrders`.
///
/// # Errors
/// The venue's refusal.
pub fn all(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let limit = limit_of(call.params, 500, 1_000)?;
    let (start, end) = period_of(call.params, WEEK)?;
    let page = word(call.params, "page", invalid("page"), |text| text.parse::<usize>().ok())?;
    let from = call.params.int("algoId")?.map(|id| u64::try_from(id).unwrap_or(0));
    let wanted = |algo: &&Algo| {
        algo.asked.order.contract == contract
            && from.is_none_or(|id| algo.id >= id)
            && start.is_none_or(|start| algo.created >= start)
            && end.is_none_or(|end| algo.created <= end)
    };
    let algos = call.exchange.accounts.algos(call.account).filter(wanted);
    let skipped = page.unwrap_or(1).saturating_sub(1).saturating_mul(limit);
    Ok(algos.skip(skipped).take(limit).map(|algo| algo_json(call, algo, false)).collect())
}
