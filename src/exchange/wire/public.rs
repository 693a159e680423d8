//! The REST side of the server: answers as the venue words them.

use crate::base::units::{Px, Qty};
use crate::base::{Nanos, Symbol};
use crate::exchange::flow::market::{SNAPSHOT_LEVELS, SyntheticMarket};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Json;

/// An answer: status and JSON body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON text.
    pub body: Vec<u8>,
    /// Request weight.
    pub weight: u32,
}

/// Answers `GET path?query` at wall-clock time `now`.
pub fn get(path_and_query: &str, market: &SyntheticMarket, now: Nanos) -> Answer {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let result = match path {
        "/fapi/v1/ping" => Ok((b"{}".to_vec(), 1)),
        "/fapi/v1/time" => Ok((time(now), 1)),
        "/fapi/v1/exchangeInfo" => Ok((exchange_info(market, now), 1)),
        "/fapi/v1/depth" => depth(query, market),
        "/fapi/v1/openInterest" => open_interest(query, market),
        _ => Err(Refusal { status: 404, code: -5000, text: "Path does not exist, method GET" }),
    };
    match result {
        Ok((body, weight)) => Answer { status: 200, body, weight },
        Err(refusal) => refusal.answer(),
    }
}

/// The answer to any other method than `GET`.
pub fn no_such_method() -> Answer {
    Refusal { status: 405, code: -5000, text: "Path does not exist, or another method is needed" }
        .answer()
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    status: u16,
    code: i32,
    text: &'static str,
}

const NO_SYMBOL: Refusal = Refusal {
    status: 400,
    code: -1102,
    text: "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
};
const BAD_SYMBOL: Refusal = Refusal { status: 400, code: -1121, text: "Invalid symbol." };
const BAD_LIMIT: Refusal = Refusal { status: 400, code: -4021, text: "Invalid depth limit." };

impl Refusal {
    fn answer(self) -> Answer {
        let mut body = Vec::new();
        let mut json = Json::new(&mut body);
        json.raw("{\"code\":").int(i64::from(self.code));
        json.raw(",\"msg\":\"").raw(self.text).raw("\"}");
        Answer { status: self.status, body, weight: 1 }
    }
}

type Body = Result<(Vec<u8>, u32), Refusal>;

fn depth(query: &str, market: &SyntheticMarket) -> Body {
    let symbol = param(query, "symbol").ok_or(NO_SYMBOL)?;
    let (levels, weight) = match param(query, "limit").as_deref() {
        None | Some("500") => (500, 10),
        Some("5") => (5, 2),
        Some("10") => (10, 2),
        Some("20") => (20, 2),
        Some("50") => (50, 2),
        Some("100") => (100, 5),
        Some("1000") => (SNAPSHOT_LEVELS, 20),
        Some(_) => return Err(BAD_LIMIT),
    };
    let mut body = Vec::with_capacity(64 * levels);
    if market.snapshot_of(&symbol, levels, &mut body) {
        Ok((body, weight))
    } else {
        Err(BAD_SYMBOL)
    }
}

fn open_interest(query: &str, market: &SyntheticMarket) -> Body {
    let symbol = param(query, "symbol").ok_or(NO_SYMBOL)?;
    let mut body = Vec::new();
    if market.open_interest(&symbol, &mut body) { Ok((body, 1)) } else { Err(BAD_SYMBOL) }
}

fn time(now: Nanos) -> Vec<u8> {
    let mut body = Vec::new();
    Json::new(&mut body).raw("{\"serverTime\":").millis(now).raw("}");
    body
}

fn exchange_info(market: &SyntheticMarket, now: Nanos) -> Vec<u8> {
    let mut body = Vec::new();
    let mut json = Json::new(&mut body);
    json.raw("{\"timezone\":\"UTC\",\"serverTime\":").millis(now);
    json.raw(",\"futuresType\":\"U_MARGINED\",\"rateLimits\":[");
    json.raw("{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",");
    json.raw("\"intervalNum\":1,\"limit\":2400},");
    json.raw("{\"rateLimitType\":\"ORDERS\",\"interval\":\"MINUTE\",");
    json.raw("\"intervalNum\":1,\"limit\":1200},");
    json.raw("{\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",");
    json.raw("\"intervalNum\":10,\"limit\":300}],");
    json.raw("\"exchangeFilters\":[],\"assets\":[{\"asset\":\"USDT\",\"marginAvailable\":true,");
    json.raw("\"autoAssetExchange\":\"0\"}],\"symbols\":[");
    for (i, spec) in market.specs().enumerate() {
        json.raw(if i == 0 { "" } else { "," });
        symbol_info(&mut json, spec);
    }
    json.raw("]}");
    body
}

fn symbol_info(json: &mut Json<'_>, spec: &SymbolSpec) {
    let symbol = spec.symbol.as_str();
    let base = symbol.strip_suffix("USDT").unwrap_or(symbol);
    let (px, qty) = (spec.price_decimals, spec.qty_decimals);
    json.raw("{\"symbol\":\"").raw(symbol).raw("\",\"pair\":\"").raw(symbol);
    json.raw("\",\"contractType\":\"PERPETUAL\",\"deliveryDate\":4133404800000,");
    json.raw("\"onboardDate\":1567965300000,\"status\":\"TRADING\",");
    json.raw("\"maintMarginPercent\":\"2.5000\",\"requiredMarginPercent\":\"5.0000\",");
    json.raw("\"baseAsset\":\"").raw(base).raw("\",\"quoteAsset\":\"USDT\",");
    json.raw("\"marginAsset\":\"USDT\",\"pricePrecision\":").int(i64::from(px));
    json.raw(",\"quantityPrecision\":").int(i64::from(qty));
    json.raw(",\"baseAssetPrecision\":8,\"quotePrecision\":8,\"underlyingType\":\"COIN\",");
    json.raw("\"underlyingSubType\":[],\"triggerProtect\":\"0.0500\",");
    json.raw("\"liquidationFee\":\"0.012500\",\"marketTakeBound\":\"0.05\",");
    json.raw("\"maxMoveOrderLimit\":10000,\"filters\":[");
    let far: Px = Px(spec.start_px.0.saturating_mul(50));
    json.raw("{\"maxPrice\":").fixed(far.0, px).raw(",\"tickSize\":").fixed(spec.tick_size.0, px);
    json.raw(",\"minPrice\":").fixed(spec.tick_size.0, px);
    json.raw(",\"filterType\":\"PRICE_FILTER\"},");
    lot_filter(json, "LOT_SIZE", spec, spec.max_qty);
    json.raw(",");
    lot_filter(json, "MARKET_LOT_SIZE", spec, Qty(spec.max_qty.0 / 5));
    json.raw(",{\"limit\":200,\"filterType\":\"MAX_NUM_ORDERS\"},{\"filterType\":");
    json.raw("\"MIN_NOTIONAL\",\"notional\":").fixed(spec.min_notional.0, 0);
    json.raw("},{\"filterType\":\"PERCENT_PRICE\",\"multiplierUp\":\"1.0500\",");
    json.raw("\"multiplierDown\":\"0.9500\",\"multiplierDecimal\":\"4\"}],\"orderTypes\":");
    json.raw("[\"LIMIT\",\"MARKET\"],\"timeInForce\":[\"GTC\",\"IOC\",\"FOK\",\"GTX\"]}");
}

fn lot_filter(json: &mut Json<'_>, name: &str, spec: &SymbolSpec, max: Qty) {
    let decimals = spec.qty_decimals;
    json.raw("{\"filterType\":\"").raw(name);
    json.raw("\",\"minQty\":").fixed(spec.min_qty.0, decimals);
    json.raw(",\"stepSize\":").fixed(spec.lot_size.0, decimals);
    json.raw(",\"maxQty\":").fixed(max.0, decimals).raw("}");
}

/// A query parameter, percent-decoded; `None` when absent, empty or not a possible symbol text.
fn param(query: &str, key: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    Symbol::new(&bytes).map(|symbol| symbol.as_str().to_owned())
}
