//! User stream events in the venue's words.

use super::number::{full, mean_px, plain};
use super::private::form::{kind_name, percent, self_trade_name, side_name};
use crate::base::{Money, Nanos};
use crate::exchange::account::notice::{Execution, News, Notice, PositionNews};
use crate::exchange::account::order::{
    Algo, AlgoStatus, Order, OrderKind, PositionSide, TimeInForce, UserTrade,
};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::spec::SymbolSpec;
use serde_json::{Map, Value, json};

/// The event's name and its text.
pub fn event(notice: &Notice, market: &SyntheticMarket) -> (&'static str, String) {
    let ts = notice.ts.to_millis();
    let (name, event) = match &notice.what {
        News::Order { order, execution, fill, open_value } => {
            let spec = market.spec(order.contract);
            let o = order_update(order, *execution, fill.as_ref(), *open_value, notice.ts, spec);
            ("ORDER_TRADE_UPDATE", json!({"e": "ORDER_TRADE_UPDATE", "E": ts, "T": ts, "o": o}))
        }
        News::TradeLite { order, fill } => ("TRADE_LITE", trade_lite(order, fill, ts, market)),
        News::Account { .. } => ("ACCOUNT_UPDATE", account_update(&notice.what, ts, market)),
        News::Algo { algo, order } => {
            let o = algo_update(algo, order.as_deref(), market);
            ("ALGO_UPDATE", json!({"e": "ALGO_UPDATE", "T": ts, "E": ts, "o": o}))
        }
        News::MarginCall { cross_wallet, positions } => {
            let p: Vec<Value> = positions.iter().map(|p| called(p, market)).collect();
            let cw = plain(cross_wallet.0);
            ("MARGIN_CALL", json!({"e": "MARGIN_CALL", "E": ts, "cw": cw, "p": p}))
        }
        News::Leverage { contract, leverage } => {
            let ac = json!({"s": symbol(market, *contract), "l": leverage});
            ("ACCOUNT_CONFIG_UPDATE", config_update(ts, "ac", ac))
        }
        News::MultiAssets { on } => {
            ("ACCOUNT_CONFIG_UPDATE", config_update(ts, "ai", json!({"j": on})))
        }
        News::ListenKeyExpired { key } => {
            ("listenKeyExpired", json!({"e": "listenKeyExpired", "E": ts, "listenKey": key}))
        }
    };
    (name, event.to_string())
}

fn symbol(market: &SyntheticMarket, contract: usize) -> &str {
    market.spec(contract).symbol.as_str()
}

fn config_update(ts: i64, name: &str, what: Value) -> Value {
    let mut event = json!({"e": "ACCOUNT_CONFIG_UPDATE", "E": ts, "T": ts});
    event[name] = what;
    event
}

fn order_update(
    order: &Order,
    execution: Execution,
    fill: Option<&UserTrade>,
    open_value: (Money, Money),
    ts: Nanos,
    spec: &SymbolSpec,
) -> Value {
    let mut out = Map::with_capacity(40);
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("s", json!(spec.symbol.as_str()));
    put("c", json!(order.client_id));
    put("S", json!(side_name(order.side)));
    put("o", json!(kind_name(order.kind)));
    put("f", json!(order.tif.name()));
    put("q", json!(plain(order.qty.0)));
    put("p", json!(plain(order.px.0)));
    let mean = order.average_px().0;
    put("ap", json!(if mean == 0 { "0".to_owned() } else { mean_px(mean, spec) }));
    put("sp", json!(plain(order.stop_px.0)));
    put("x", json!(execution.name()));
    put("X", json!(order.status.name()));
    put("i", json!(order.id));
    put("l", json!(plain(fill.map_or(0, |fill| fill.qty.0))));
    put("z", json!(plain(order.filled.0)));
    put("L", json!(plain(fill.map_or(0, |fill| fill.px.0))));
    put("N", json!("USDT"));
    put("n", json!(fill.map_or_else(|| "0".to_owned(), |fill| full(fill.fee.0))));
    put("T", json!(ts.to_millis()));
    put("t", json!(fill.map_or(0, |fill| fill.trade_id)));
    put("b", json!(plain(open_value.0.0)));
    put("a", json!(plain(open_value.1.0)));
    put("m", json!(fill.is_some_and(|fill| fill.maker)));
    put("R", json!(order.reduce_only));
    put("wt", json!(order.working.name()));
    put("ot", json!(kind_name(order.orig_kind)));
    put("ps", json!(order.position_side.name()));
    put("cp", json!(order.close_position));
    if order.orig_kind == OrderKind::TrailingStopMarket {
        put("AP", json!(plain(order.activate_px.0)));
        put("cr", json!(percent(order.callback)));
    }
    put("pP", json!(order.price_protect));
    put("si", json!(0));
    put("ss", json!(0));
    put("rp", json!(plain(fill.map_or(0, |fill| fill.realized.0))));
    put("V", json!(self_trade_name(order.self_trade)));
    put("pm", json!(order.price_match.name()));
    put("gtd", json!(order.good_till.to_millis()));
    put("er", json!(order.expire_reason.to_string()));
    Value::Object(out)
}

fn trade_lite(order: &Order, fill: &UserTrade, ts: i64, market: &SyntheticMarket) -> Value {
    json!({
        "e": "TRADE_LITE",
        "E": ts,
        "T": ts,
        "s": symbol(market, order.contract),
        "q": plain(order.qty.0),
        "p": plain(order.px.0),
        "m": fill.maker,
        "c": order.client_id,
        "S": side_name(order.side),
        "L": plain(fill.px.0),
        "l": plain(fill.qty.0),
        "t": fill.trade_id,
        "i": order.id,
    })
}

fn account_update(news: &News, ts: i64, market: &SyntheticMarket) -> Value {
    let News::Account { reason, contract, wallet, cross_wallet, change, positions } = news else {
        return Value::Null;
    };
    let mut a = Map::new();
    a.insert("m".to_owned(), json!(reason));
    // Funding of a cross position tells no position: since 2026-08 the symbol stands here.
    if let (&"FUNDING_FEE", Some(contract)) = (reason, contract) {
        a.insert("S".to_owned(), json!(symbol(market, *contract)));
    }
    let balance = json!({
        "a": "USDT",
        "wb": full(wallet.0),
        "cw": full(cross_wallet.0),
        "bc": plain(change.0),
    });
    a.insert("B".to_owned(), json!([balance]));
    let positions = positions.iter().map(|position| {
        json!({
            "s": symbol(market, position.contract),
            "pa": plain(position.qty.0),
            "ep": plain(position.entry_px.0),
            "bep": plain(position.break_even_px.0),
            "cr": plain(position.realized.0),
            "up": plain(position.unrealized.0),
            "mt": if position.isolated { "isolated" } else { "cross" },
            "iw": if position.isolated { full(position.isolated_wallet.0) } else { "0".to_owned() },
            "ps": position.side.name(),
        })
    });
    a.insert("P".to_owned(), positions.collect());
    json!({"e": "ACCOUNT_UPDATE", "E": ts, "T": ts, "a": a})
}

fn called(position: &PositionNews, market: &SyntheticMarket) -> Value {
    json!({
        "s": symbol(market, position.contract),
        "ps": position.side.name(),
        "pa": plain(position.qty.0),
        "mt": if position.isolated { "ISOLATED" } else { "CROSSED" },
        "iw": plain(position.isolated_wallet.0),
        "mp": plain(position.mark_px.0),
        "up": plain(position.unrealized.0),
        "mm": plain(position.maint_margin.0),
    })
}

fn algo_update(algo: &Algo, became: Option<&Order>, market: &SyntheticMarket) -> Value {
    let asked = &algo.asked;
    let order = &asked.order;
    let mut out = Map::with_capacity(30);
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("caid", json!(algo.client_id));
    put("aid", json!(algo.id));
    put("at", json!("CONDITIONAL"));
    put("o", json!(kind_name(order.kind)));
    put("s", json!(symbol(market, order.contract)));
    put("S", json!(side_name(order.side)));
    put("ps", json!(order.position_side.unwrap_or(PositionSide::Both).name()));
    put("f", json!(order.tif.unwrap_or(TimeInForce::Gtc).name()));
    put("q", json!(plain(order.qty.map_or(0, |qty| qty.0))));
    put("X", json!(algo.status.name()));
    put("ai", json!(algo.order.map_or(String::new(), |id| id.to_string())));
    // While it triggers nothing is known of the order it becomes.
    if algo.status != AlgoStatus::Triggering {
        let zero = "0.00000".to_owned();
        put("ap", json!(became.map_or_else(|| zero.clone(), |o| plain(o.average_px().0))));
        put("aq", json!(became.map_or(zero, |o| plain(o.filled.0))));
        put("act", json!(became.map_or("0", |o| kind_name(o.kind))));
    }
    put("tp", json!(plain(asked.trigger_px.0)));
    put("p", json!(plain(order.px.map_or(0, |px| px.0))));
    put("V", json!(self_trade_name(order.self_trade)));
    put("wt", json!(asked.working.name()));
    put("pm", json!(order.price_match.name()));
    put("cp", json!(asked.close_position));
    put("pP", json!(asked.price_protect));
    put("R", json!(order.reduce_only.unwrap_or(false)));
    put("tt", json!(algo.triggered_at.to_millis()));
    put("gtd", json!(order.good_till.to_millis()));
    if order.kind == OrderKind::TrailingStopMarket {
        put("ia", json!(algo.activated));
    }
    if !algo.reason.is_empty() {
        put("rm", json!(algo.reason));
    }
    Value::Object(out)
}
