//! Orders as they are asked for and as they are shown.

use super::Call;
use crate::base::{Nanos, Rate, Side};
use crate::exchange::account::order::{
    NewOrder, Order, OrderKind, PositionSide, PriceMatch, Status, TimeInForce,
};
use crate::exchange::matching::SelfTrade;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::number::{mean_px, plain, px, qty, quote};
use crate::exchange::wire::params::{Params, invalid, missing};
use serde_json::{Map, Value, json};

/// Whether REST answers to order requests tell `avgPrice` and `cumQuote`. The official schema lost
/// both on 2026-07-15, in POST, PUT and DELETE alone; clients treat them as optional.
const AVERAGES_IN_ANSWERS: bool = false;

const CLIENT_ID_LEN_MAX: usize = 36;

/// Which of the venue's forms of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Answer to a new order.
    Answer,
    /// Answer to a cancelled order.
    Cancel,
    /// Answer to a changed order.
    Change,
    /// One that was asked after.
    Query,
}

/// Buying or selling, as the protocol spells it.
pub const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

/// What an order is shown as: the venue's own orders look like limit orders.
pub const fn kind_name(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Liquidation => "LIMIT",
        other => other.name(),
    }
}

const SELF_TRADES: [(&str, SelfTrade); 4] = [
    ("NONE", SelfTrade::Allow),
    ("EXPIRE_TAKER", SelfTrade::ExpireTaker),
    ("EXPIRE_MAKER", SelfTrade::ExpireMaker),
    ("EXPIRE_BOTH", SelfTrade::ExpireBoth),
];

/// Self-trade prevention, as the protocol spells it.
pub fn self_trade_name(mode: SelfTrade) -> &'static str {
    SELF_TRADES.iter().find(|(_, value)| *value == mode).map_or("NONE", |(name, _)| name)
}

/// A callback rate in percent.
pub fn percent(rate: Rate) -> String {
    plain(rate.0.saturating_mul(100))
}

/// Milliseconds; 0 for none.
pub const fn millis(ts: Nanos) -> i64 {
    ts.to_millis()
}

/// An order in one of the venue's forms, keys in the venue's order.
pub fn order_json(call: &Call<'_>, order: &Order, form: Form) -> Value {
    let spec = call.spec(order.contract);
    let averages = form == Form::Query || call.socket || AVERAGES_IN_ANSWERS;
    let change = form == Form::Change && !call.socket;
    let mut out = Map::with_capacity(28);
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("orderId", json!(order.id));
    put("symbol", json!(spec.symbol.as_str()));
    if change {
        put("pair", json!(spec.symbol.as_str()));
    }
    put("status", json!(order.status.name()));
    put("clientOrderId", json!(order.client_id));
    put("price", json!(px(order.px.0, spec)));
    // On the socket a cancelled order is shown without its mean price.
    if averages && !(form == Form::Cancel && call.socket) {
        put("avgPrice", json!(average(order, spec, form)));
    }
    put("origQty", json!(qty(order.qty.0, spec)));
    put("executedQty", json!(qty(order.filled.0, spec)));
    if form != Form::Query {
        put("cumQty", json!(qty(order.filled.0, spec)));
    }
    if change {
        put("cumBase", json!("0"));
    } else if averages {
        put("cumQuote", json!(quote(order.quote.0, spec)));
    }
    put("timeInForce", json!(order.tif.name()));
    put("type", json!(kind_name(order.kind)));
    put("reduceOnly", json!(order.reduce_only));
    put("closePosition", json!(order.close_position));
    put("side", json!(side_name(order.side)));
    put("positionSide", json!(order.position_side.name()));
    put("stopPrice", json!(px(order.stop_px.0, spec)));
    put("workingType", json!(order.working.name()));
    put("priceProtect", json!(order.price_protect));
    put("origType", json!(kind_name(order.orig_kind)));
    if order.orig_kind == OrderKind::TrailingStopMarket {
        put("activatePrice", json!(px(order.activate_px.0, spec)));
        put("priceRate", json!(percent(order.callback)));
    }
    put("priceMatch", json!(order.price_match.name()));
    put("selfTradePreventionMode", json!(self_trade_name(order.self_trade)));
    put("goodTillDate", json!(millis(order.good_till)));
    if form == Form::Query {
        put("time", json!(millis(order.created)));
    }
    put("updateTime", json!(millis(order.updated)));
    Value::Object(out)
}

fn average(order: &Order, spec: &SymbolSpec, form: Form) -> String {
    let mean = order.average_px().0;
    if mean == 0 && form != Form::Query { px(0, spec) } else { mean_px(mean, spec) }
}

/// How much of an order's fate its answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// That it was taken on.
    Ack,
    /// How it ended, for orders that end at once.
    Result,
}

impl Response {
    /// From `newOrderRespType`.
    ///
    /// # Errors
    /// −1136 for another word.
    pub fn of(params: &Params) -> Result<Self, VenueError> {
        match params.text("newOrderRespType") {
            None | Some("" | "ACK") => Ok(Self::Ack),
            Some("RESULT") => Ok(Self::Result),
            Some(_) => Err(VenueError::BAD_RESPONSE_TYPE),
        }
    }

    /// The order as the answer shows it: as it was taken on, unless its end was asked for and it is
    /// an order that ends at once.
    pub fn shown(self, order: Order) -> Order {
        let ends = order.kind == OrderKind::Market
            || matches!(order.tif, TimeInForce::Ioc | TimeInForce::Fok);
        if self == Self::Result && ends {
            return order;
        }
        Order {
            status: Status::New,
            filled: crate::base::Qty::ZERO,
            quote: crate::base::Money::ZERO,
            updated: order.created,
            ..order
        }
    }
}

/// A new order, checked for form.
///
/// # Errors
/// The venue's refusal of a parameter.
pub fn new_order(call: &Call<'_>, params: &Params) -> Result<NewOrder, VenueError> {
    let kind = OrderKind::parse(params.need("type")?).ok_or(VenueError::BAD_TYPE)?;
    if kind.is_conditional() {
        return Err(VenueError::USE_ALGO);
    }
    if params.flag("closePosition")? == Some(true) {
        let kind = kind.name();
        let text = format!("Target strategy invalid for orderType {kind},closePosition true");
        return Err(VenueError::with(-4136, text));
    }
    Response::of(params)?;
    let new = terms(call, params, kind, "newClientOrderId")?;
    if kind == OrderKind::Limit {
        let priced = new.px.is_some() || new.price_match != PriceMatch::None;
        new.tif.ok_or_else(|| missing("timeInForce"))?;
        new.qty.ok_or_else(|| missing("quantity"))?;
        if !priced {
            return Err(missing("price"));
        }
    } else {
        new.qty.ok_or_else(|| missing("quantity"))?;
        for name in ["price", "timeInForce"] {
            if params.text(name).is_some() {
                let text = format!("Parameter '{name}' sent when not required.");
                return Err(VenueError::with(-1106, text));
            }
        }
    }
    Ok(new)
}

/// What new orders of every kind may say.
///
/// # Errors
/// The venue's refusal of a parameter.
pub fn terms(
    call: &Call<'_>,
    params: &Params,
    kind: OrderKind,
    id_name: &str,
) -> Result<NewOrder, VenueError> {
    let symbol = params.need("symbol")?;
    let contract = call.exchange.market.index_of(symbol).ok_or(VenueError::BAD_SYMBOL)?;
    let tif = word(params, "timeInForce", VenueError::BAD_TIF, TimeInForce::parse)?;
    let good_till = params.time("goodTillDate")?.filter(|_| tif == Some(TimeInForce::Gtd));
    if tif == Some(TimeInForce::Gtd) && good_till.is_none() {
        return Err(missing("goodTillDate"));
    }
    let self_trade = word(params, "selfTradePreventionMode", VenueError::BAD_SELF_TRADE, |text| {
        SELF_TRADES.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
    })?;
    let price_match = word(params, "priceMatch", VenueError::BAD_PRICE_MATCH, |text| {
        PriceMatch::ALL.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
    })?;
    Ok(NewOrder {
        contract,
        side: side_of(params)?.ok_or_else(|| missing("side"))?,
        position_side: position_side_of(params)?,
        kind,
        tif,
        qty: params.qty("quantity")?,
        px: params.px("price")?,
        reduce_only: params.flag("reduceOnly")?,
        client_id: client_id(params, id_name)?,
        self_trade: self_trade.unwrap_or(SelfTrade::ExpireMaker),
        price_match: price_match.unwrap_or(PriceMatch::None),
        good_till: good_till.unwrap_or(Nanos::ZERO),
    })
}

/// `side`; `None` where not sent.
///
/// # Errors
/// −1117 for another word.
pub fn side_of(params: &Params) -> Result<Option<Side>, VenueError> {
    word(params, "side", VenueError::BAD_SIDE, |text| match text {
        "BUY" => Some(Side::Buy),
        "SELL" => Some(Side::Sell),
        _ => None,
    })
}

/// `positionSide`; `None` where not sent.
///
/// # Errors
/// −4060 for another word.
pub fn position_side_of(params: &Params) -> Result<Option<PositionSide>, VenueError> {
    word(params, "positionSide", VenueError::BAD_POSITION_SIDE, PositionSide::parse)
}

/// A parameter that is one of some words; `None` where it was not sent or is empty.
pub(super) fn word<T>(
    params: &Params,
    name: &str,
    refusal: VenueError,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, VenueError> {
    let text = params.text(name).filter(|text| !text.is_empty());
    text.map(|text| parse(text).ok_or(refusal)).transpose()
}

/// The client's name for a new order: `^[\.A-Z\:/a-z0-9_-]{1,36}$`.
fn client_id(params: &Params, name: &str) -> Result<Option<String>, VenueError> {
    let Some(text) = params.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > CLIENT_ID_LEN_MAX {
        let text = "Client order id length should not be more than 36 chars";
        return Err(VenueError::new(-4015, text));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte);
    if text.bytes().all(allowed) {
        Ok(Some(text.to_owned()))
    } else {
        Err(VenueError::BAD_CLIENT_ID)
    }
}

/// A JSON object's members as parameters.
///
/// # Errors
/// −1130 for what is no object.
pub fn params_of(item: &Value) -> Result<Params, VenueError> {
    let object = item.as_object().ok_or_else(|| invalid("batchOrders"))?;
    let mut params = Params::default();
    for (name, value) in object {
        match value {
            Value::Null => {}
            Value::String(text) => params.add(name.clone(), text.clone()),
            other => params.add(name.clone(), other.to_string()),
        }
    }
    Ok(params)
}
