//! Facts of the exchange and its contracts.

use super::{Answered, Ask, body, list, reply, unweighted};
use crate::base::{Nanos, Px};
use crate::exchange::flow::contract::Contract;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Json;
use crate::exchange::wire::error::VenueError;

/// The end of time of a contract without expiry.
pub const NEVER_MILLIS: i64 = 4_133_404_800_000;
/// Assets that count as margin, and from which debt on they are exchanged by themselves.
const ASSETS: [(&str, &str); 5] =
    [("USDT", "-10000"), ("BTC", "-0.10000000"), ("BNB", "0"), ("ETH", "0"), ("USDC", "-10000")];
/// Where the index price comes from: exchange, symbol with `#` for the coin, weight in 1e-8.
const INDEX_SOURCES: [(&str, &str, i64); 7] = [
    ("binance", "#USDT", 51_282_051),
    ("coinbase", "#-USDT", 15_384_615),
    ("gateio", "#_USDT", 2_564_103),
    ("kucoin", "#-USDT", 7_692_308),
    ("mxc", "#USDT", 7_692_308),
    ("bitget", "#USDT", 7_692_308),
    ("bybit", "#USDT", 7_692_307),
];
const _: () = {
    let (mut sum, mut i) = (0, 0);
    while i < INDEX_SOURCES.len() {
        sum += INDEX_SOURCES[i].2;
        i += 1;
    }
    assert!(sum == crate::base::units::SCALE, "the weights make one");
};
/// Insurance funds: asset, balance.
const INSURANCE: [(&str, &str); 3] =
    [("USDC", "299999998.6497832"), ("USDT", "793930579.315848"), ("BTC", "61.73143554")];
/// What an asset's index is reckoned with when it is bought or sold: normally and by itself.
const BUFFERS: (i64, i64) = (5_000_000, 2_500_000);
const HOUR: Nanos = Nanos::from_secs(3_600);
const DAY: Nanos = Nanos::from_secs(86_400);

/// `GET /fapi/v1/time`.
pub(super) fn time(ask: &Ask<'_>) -> Answered {
    reply(1, body(|json| _ = json.raw("{\"serverTime\":").millis(ask.now).raw("}")))
}

/// `GET /fapi/v1/exchangeInfo`.
pub(super) fn exchange(ask: &Ask<'_>) -> Answered {
    let write = |json: &mut Json<'_>| {
        json.raw("{\"timezone\":\"UTC\",\"serverTime\":").millis(ask.now);
        json.raw(",\"futuresType\":\"U_MARGINED\",\"rateLimits\":");
        let limits = [
            ("REQUEST_WEIGHT", "MINUTE", 1, ask.limits.weight_minute),
            ("ORDERS", "MINUTE", 1, ask.limits.orders_minute),
            ("ORDERS", "SECOND", 10, ask.limits.orders_ten_seconds),
        ];
        list(json, limits, |json, (what, interval, number, limit)| {
            json.raw("{\"rateLimitType\":\"").raw(what).raw("\",\"interval\":\"").raw(interval);
            json.raw("\",\"intervalNum\":")
                .int(number)
                .raw(",\"limit\":")
                .int(i64::from(limit))
                .raw("}");
        });
        json.raw(",\"exchangeFilters\":[],\"assets\":");
        list(json, ASSETS, |json, (asset, exchanged)| {
            json.raw("{\"asset\":\"").raw(asset).raw("\",\"marginAvailable\":true,");
            json.raw("\"autoAssetExchange\":\"").raw(exchanged).raw("\"}");
        });
        json.raw(",\"symbols\":");
        list(json, ask.contracts(), symbol);
        json.raw("}");
    };
    reply(1, body(write))
}

fn symbol(json: &mut Json<'_>, contract: &Contract) {
    let spec = &contract.spec;
    let name = spec.symbol.as_str();
    json.raw("{\"symbol\":\"").raw(name).raw("\",\"pair\":\"").raw(name);
    json.raw("\",\"contractType\":\"").raw(spec.sort).raw("\",\"deliveryDate\":");
    json.int(contract.delivery.map_or(NEVER_MILLIS, Nanos::to_millis));
    json.raw(",\"onboardDate\":").millis(spec.onboarded);
    json.raw(",\"status\":\"").raw(status(contract));
    json.raw("\",\"maintMarginPercent\":\"2.5000\",\"requiredMarginPercent\":\"5.0000\",");
    json.raw("\"baseAsset\":\"").raw(coin(spec)).raw("\",\"quoteAsset\":\"USDT\",");
    json.raw("\"marginAsset\":\"USDT\",\"pricePrecision\":").int(spec.price_decimals.into());
    json.raw(",\"quantityPrecision\":").int(spec.qty_decimals.into());
    json.raw(",\"baseAssetPrecision\":8,\"quotePrecision\":8,\"underlyingType\":\"COIN\",");
    json.raw("\"underlyingSubType\":[\"").raw(spec.coin_sort);
    json.raw("\"],\"triggerProtect\":\"0.0500\",\"liquidationFee\":");
    json.fixed(spec.liquidation_fee.0, 6);
    json.raw(",\"marketTakeBound\":\"0.05\",\"maxMoveOrderLimit\":10000,\"filters\":");
    filters(json, spec);
    json.raw(",\"orderTypes\":[\"LIMIT\",\"MARKET\",\"STOP\",\"STOP_MARKET\",\"TAKE_PROFIT\",");
    json.raw("\"TAKE_PROFIT_MARKET\",\"TRAILING_STOP_MARKET\"],");
    json.raw("\"timeInForce\":[\"GTC\",\"IOC\",\"FOK\",\"GTX\",\"GTD\"],");
    json.raw("\"permissionSets\":[\"GRID\",\"COPY\",\"DCA\",\"PSB\"]}");
}

fn filters(json: &mut Json<'_>, spec: &SymbolSpec) {
    let (px, qty) = (spec.price_decimals, spec.qty_decimals);
    json.raw("[{\"filterType\":\"PRICE_FILTER\",\"maxPrice\":");
    trimmed(json, spec.max_px.0, px);
    json.raw(",\"minPrice\":").fixed(spec.min_px.0, px);
    json.raw(",\"tickSize\":").fixed(spec.order_tick().0, px).raw("},");
    for (name, max) in [("LOT_SIZE", spec.max_qty), ("MARKET_LOT_SIZE", spec.market_max_qty)] {
        json.raw("{\"filterType\":\"").raw(name).raw("\",\"maxQty\":");
        trimmed(json, max.0, qty);
        json.raw(",\"minQty\":").fixed(spec.min_qty.0, qty);
        json.raw(",\"stepSize\":").fixed(spec.order_lot().0, qty).raw("},");
    }
    json.raw("{\"filterType\":\"MAX_NUM_ORDERS\",\"limit\":").int(spec.orders_max.into());
    json.raw("},{\"filterType\":\"MIN_NOTIONAL\",\"notional\":");
    trimmed(json, spec.min_notional.0, 8);
    json.raw("},{\"filterType\":\"PERCENT_PRICE\",\"multiplierDecimal\":\"4\",");
    json.raw("\"multiplierDown\":").fixed(spec.multiplier_down.0, 4);
    json.raw(",\"multiplierUp\":").fixed(spec.multiplier_up.0, 4);
    json.raw("},{\"filterType\":\"POSITION_RISK_CONTROL\",\"positionControlSide\":\"NONE\"}]");
}

/// Whole numbers without decimals, as the venue writes its upper limits.
fn trimmed(json: &mut Json<'_>, units: i64, decimals: u32) {
    let is_whole = units % crate::base::units::SCALE == 0;
    json.fixed(units, if is_whole { 0 } else { decimals });
}

/// The state of a contract in the venue's words.
pub fn status(contract: &Contract) -> &'static str {
    match (contract.settling, contract.halted) {
        (true, _) => "SETTLING",
        (false, true) => "PENDING_TRADING",
        (false, false) => "TRADING",
    }
}

fn coin(spec: &SymbolSpec) -> &str {
    let symbol = spec.symbol.as_str();
    symbol.strip_suffix("USDT").unwrap_or(symbol)
}

/// `GET /fapi/v1/fundingInfo`.
pub(super) fn funding(ask: &Ask<'_>) -> Answered {
    let write = |json: &mut Json<'_>, contract: &Contract| {
        let hours = contract.spec.funding_every.0 / HOUR.0;
        json.raw("{\"symbol\":\"").raw(contract.spec.symbol.as_str());
        json.raw("\",\"adjustedFundingRateCap\":\"0.00300\",");
        json.raw("\"adjustedFundingRateFloor\":\"-0.00300\",\"fundingIntervalHours\":");
        json.int(hours).raw(",\"disclaimer\":true,\"updateTime\":null}");
    };
    unweighted(body(|json| list(json, ask.contracts(), write)))
}

/// `GET /fapi/v1/constituents`.
pub(super) fn constituents(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    let (spec, index) = (&contract.spec, contract.mark().index);
    let write = |json: &mut Json<'_>| {
        json.raw("{\"symbol\":\"").raw(spec.symbol.as_str()).raw("\",\"time\":").millis(ask.now);
        json.raw(",\"constituents\":");
        list(json, INDEX_SOURCES, |json, (exchange, symbol, weight)| {
            json.raw("{\"exchange\":\"").raw(exchange).raw("\",\"symbol\":\"");
            json.raw(&symbol.replace('#', coin(spec))).raw("\",\"price\":");
            let px = Px(index).floor_to(spec.tick_size);
            json.fixed(px.0, 8).raw(",\"weight\":").fixed(weight, 8).raw("}");
        });
        json.raw("}");
    };
    reply(2, body(write))
}

/// `GET /fapi/v1/indexInfo`. No contract here is one on an index of several coins.
pub(super) fn composites(ask: &Ask<'_>) -> Answered {
    match ask.contract_or_all()? {
        Some(_) => Err(VenueError::BAD_SYMBOL),
        None => reply(1, "[]".to_owned()),
    }
}

/// `GET /fapi/v1/assetIndex`.
pub(super) fn asset_index(ask: &Ask<'_>) -> Answered {
    let one = crate::base::units::SCALE;
    let coins = ask.contracts().map(|contract| (coin(&contract.spec), contract.mark().index));
    let mut all: Vec<(String, i64)> = vec![("USDTUSD".to_owned(), one)];
    all.extend(coins.map(|(coin, index)| (format!("{coin}USD"), index)));
    let write = |json: &mut Json<'_>, (symbol, index): &(String, i64)| {
        let is_stable = symbol == "USDTUSD";
        let (usual, by_itself) = if is_stable { (10_000, 10_000) } else { BUFFERS };
        let part = |buffer: i64| i128::from(*index) * i128::from(buffer) / i128::from(one);
        let around = |buffer: i64| (*index - part(buffer) as i64, *index + part(buffer) as i64);
        let ((bid, ask_rate), (own_bid, own_ask)) = (around(usual), around(by_itself));
        json.raw("{\"symbol\":\"").raw(symbol).raw("\",\"time\":").millis(ask.now);
        json.raw(",\"index\":").fixed(*index, 8).raw(",\"bidBuffer\":").fixed(usual, 8);
        json.raw(",\"askBuffer\":").fixed(usual, 8).raw(",\"bidRate\":").fixed(bid, 8);
        json.raw(",\"askRate\":").fixed(ask_rate, 8);
        json.raw(",\"autoExchangeBidBuffer\":").fixed(by_itself, 8);
        json.raw(",\"autoExchangeAskBuffer\":").fixed(by_itself, 8);
        json.raw(",\"autoExchangeBidRate\":").fixed(own_bid, 8);
        json.raw(",\"autoExchangeAskRate\":").fixed(own_ask, 8).raw("}");
    };
    match ask.params.text("symbol").filter(|symbol| !symbol.is_empty()) {
        None => reply(10, body(|json| list(json, &all, write))),
        Some(symbol) => {
            let found = all.iter().find(|(own, _)| own == symbol);
            let found = found.ok_or(VenueError::BAD_SYMBOL)?;
            reply(1, body(|json| write(json, found)))
        }
    }
}

/// `GET /fapi/v1/insuranceBalance`.
pub(super) fn insurance(ask: &Ask<'_>) -> Answered {
    let only = ask.contract_or_all()?;
    let updated = ask.now.floor_to(HOUR);
    let write = |json: &mut Json<'_>| {
        json.raw("{\"symbols\":");
        list(json, ask.contracts(), |json, contract: &Contract| {
            json.raw("\"").raw(contract.spec.symbol.as_str()).raw("\"");
        });
        json.raw(",\"assets\":");
        list(json, INSURANCE, |json, (asset, balance)| {
            json.raw("{\"asset\":\"").raw(asset).raw("\",\"marginBalance\":\"").raw(balance);
            json.raw("\",\"updateTime\":").millis(updated).raw("}");
        });
        json.raw("}");
    };
    let fund = body(write);
    reply(1, if only.is_some() { fund } else { format!("[{fund}]") })
}

/// `GET /fapi/v1/symbolAdlRisk`.
pub(super) fn adl_risk(ask: &Ask<'_>) -> Answered {
    let updated = ask.now.floor_to(Nanos::from_secs(1_800));
    ask.one_or_all((1, 1), |json, contract| {
        json.raw("{\"symbol\":\"").raw(contract.spec.symbol.as_str());
        json.raw("\",\"adlRisk\":\"low\",\"updateTime\":").millis(updated).raw("}");
    })
}

/// `GET /fapi/v1/tradingSchedule`: when the markets of shares and goods trade.
pub(super) fn schedule(ask: &Ask<'_>) -> Answered {
    let today = ask.now.floor_to(DAY);
    let equity = [
        (0, 8 * 60, "OVERNIGHT"),
        (8 * 60, 13 * 60 + 30, "PRE_MARKET"),
        (13 * 60 + 30, 20 * 60, "REGULAR"),
        (20 * 60, 24 * 60, "AFTER_MARKET"),
    ];
    let goods =
        [(0, 21 * 60, "REGULAR"), (21 * 60, 22 * 60, "NO_TRADING"), (22 * 60, 24 * 60, "REGULAR")];
    let write = |json: &mut Json<'_>| {
        json.raw("{\"updateTime\":").millis(today).raw(",\"marketSchedules\":{");
        for (i, (market, sessions)) in
            [("EQUITY", &equity[..]), ("COMMODITY", &goods[..])].into_iter().enumerate()
        {
            json.raw(if i == 0 { "\"" } else { ",\"" }).raw(market).raw("\":{\"sessions\":");
            list(json, sessions, |json, (start, end, sort)| {
                let at = |minutes: i64| today + Nanos::from_secs(minutes * 60);
                json.raw("{\"startTime\":").millis(at(*start));
                json.raw(",\"endTime\":").millis(at(*end));
                json.raw(",\"type\":\"").raw(sort).raw("\"}");
            });
            json.raw("}");
        }
        json.raw("}}");
    };
    reply(5, body(write))
}
