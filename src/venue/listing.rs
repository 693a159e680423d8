//! Whether a contract that the venue lists is one that is traded: its sort, and the asset it is
//! quoted and settled in. Nothing else tells a contract that is delivered, or one whose profit is
//! in another asset, from those that the ledger is right for.
//!
//! And whether our own limits lie within what the venue bounds prices and orders by: its filters
//! `PERCENT_PRICE`, `MAX_NUM_ORDERS` and `MAX_NUM_ALGO_ORDERS` are to refuse no order because a
//! limit of ours is wider.

use super::answers::QUOTE;
use super::capture::{filter_of, filter_text};
use crate::base::Rate;
use crate::base::settings::{OrderRoute, Settings};
use crate::base::units::SCALE;
use serde_json::Value;
use std::fmt;

/// The one sort of contract that is traded. `TRADIFI_PERPETUAL` rests with the exchange of its
/// underlying, which nothing here knows of; the others are delivered.
const SORT: &str = "PERPETUAL";

/// What each key of a listed contract must say.
const WANTED: [(&str, &str); 3] =
    [("contractType", SORT), ("quoteAsset", QUOTE), ("marginAsset", QUOTE)];

/// Conditional orders that an account may have over all contracts: the venue's documented limit
/// since December 2025.
const ALGO_ORDERS: u32 = 200;
/// Stops of one contract at once: a new one is there before the old one goes.
const STOPS: u32 = 2;

/// How far a contract bounds prices and orders, beside its steps and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How far from the mark price an order may be priced on the narrower side, in basis points;
    /// `u32::MAX` where no filter tells.
    pub price_bps: u32,
    /// Orders that may rest in the contract; `u32::MAX` where no filter tells.
    pub orders: u32,
    /// Conditional orders that may; `u32::MAX` where no filter tells.
    pub algo_orders: u32,
}

/// The session's own limits that must not be wider than the venue's; 0 is within any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnBounds {
    /// `risk.collar_mark_bps`.
    pub(super) collar_mark_bps: u32,
    /// `kill.collar_bps`.
    pub(super) collar_bps: u32,
    /// `risk.open_orders_max`.
    pub(super) open_orders: u32,
    /// Positions there may be at once, each with its stop at the venue.
    pub(super) stops: u32,
}

/// Why a contract is none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key or the filter that says so.
    pub key: &'static str,
    /// What it says, and what would do.
    pub what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.key, self.what)
    }
}

impl Bounds {
    /// # Errors
    /// A filter that is there and cannot be read.
    fn of(entry: &Value) -> Result<Self, Misfit> {
        let unread = |key| Misfit { key, what: "there and cannot be read".to_owned() };
        let count = |key| {
            let told = |filter: &Value| u32::try_from(filter.get("limit")?.as_u64()?).ok();
            let filter = filter_of(entry, key);
            filter.map(|filter| told(filter).ok_or_else(|| unread(key))).transpose()
        };
        let key = "PERCENT_PRICE";
        let price_bps = match filter_of(entry, key) {
            None => u32::MAX,
            Some(_) => percent_price(entry, key).ok_or_else(|| unread(key))?,
        };
        Ok(Self {
            price_bps,
            orders: count("MAX_NUM_ORDERS")?.unwrap_or(u32::MAX),
            algo_orders: count("MAX_NUM_ALGO_ORDERS")?.unwrap_or(u32::MAX),
        })
    }
}

/// The narrower of both multipliers' distances from 1, in whole basis points.
fn percent_price(entry: &Value, key: &str) -> Option<u32> {
    let rate = |side| Rate::parse(filter_text(entry, key, side)?).ok();
    let (up, down) = (rate("multiplierUp")?.0, rate("multiplierDown")?.0);
    let sound = up > SCALE && (0..SCALE).contains(&down);
    let least = (up - SCALE).min(SCALE - down) / (SCALE / 10_000);
    sound.then(|| u32::try_from(least).ok())?
}

impl OwnBounds {
    /// Of a session's settings.
    pub fn of(settings: &Settings) -> Self {
        let positions = settings.risk.portfolio.positions_max.unwrap_or(u32::MAX);
        let symbols = u32::try_from(settings.instruments.all().count()).unwrap_or(u32::MAX);
        let has_stops = settings.exits.protective_stop_bps > 0;
        Self {
            collar_mark_bps: settings.risk.collar_mark_bps.unwrap_or(0),
            collar_bps: settings.kill.collar_bps,
            open_orders: settings.risk.open_orders_max.unwrap_or(0),
            stops: if has_stops { positions.min(symbols) } else { 0 },
        }
    }

    /// # Errors
    /// The first of them that is wider than the venue's, by its key.
    pub(super) fn within(&self, bounds: &Bounds) -> Result<(), Misfit> {
        let Bounds { price_bps, orders, algo_orders } = *bounds;
        let own_stops = if self.stops > 0 { STOPS } else { 0 };
        let rows = [
            ("risk.collar_mark_bps", self.collar_mark_bps, "PERCENT_PRICE", price_bps),
            ("kill.collar_bps", self.collar_bps, "PERCENT_PRICE", price_bps),
            ("risk.open_orders_max", self.open_orders, "MAX_NUM_ORDERS", orders),
            ("portfolio.positions_max", self.stops, "limit of conditional orders", ALGO_ORDERS),
            ("exits.protective_stop_bps", own_stops, "MAX_NUM_ALGO_ORDERS", algo_orders),
        ];
        let wider = rows.into_iter().find(|(_, own, _, most)| own > most);
        wider.map_or(Ok(()), |(key, own, filter, most)| {
            Err(Misfit { key, what: format!("{own}, and the venue's {filter} allows {most}") })
        })
    }
}

/// What one entry of the list says of trading it: its bounds, or what is against it; a key that is
/// missing is as well.
///
/// # Errors
/// [`Misfit`].
pub(super) fn fits(entry: &Value) -> Result<Bounds, Misfit> {
    let other = WANTED
        .into_iter()
        .find(|(key, wanted)| entry.get(key).and_then(Value::as_str) != Some(wanted));
    other.map_or_else(
        || Bounds::of(entry),
        |(key, wanted)| {
            let found = entry.get(key).map_or("missing".to_owned(), Value::to_string);
            Err(Misfit { key, what: format!("{found}, and {wanted:?} alone is traded") })
        },
    )
}

/// Holds every contract of the session, and its own limits, against what the venue lists. A session
/// that sends no orders may look at any.
///
/// # Errors
/// The first that is not to be traded, by its symbol and the key that says so.
pub fn check(settings: &Settings, body: &[u8]) -> Result<(), String> {
    if settings.venue.orders == OrderRoute::Nowhere {
        return Ok(());
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let entries = value.get("symbols").and_then(Value::as_array);
    let entries = entries.ok_or("the list of contracts has no symbols")?;
    let own = OwnBounds::of(settings);
    for symbol in settings.instruments.all() {
        let is_it =
            |entry: &&Value| entry.get("symbol").and_then(Value::as_str) == Some(symbol.as_str());
        if let Some(entry) = entries.iter().find(is_it) {
            let listed = fits(entry).and_then(|bounds| own.within(&bounds));
            listed.map_err(|misfit| format!("{symbol}: {misfit}"))?;
        }
    }
    Ok(())
}

/// BTCUSDT as it was listed in July 2026, without what nothing reads.
#[cfg(test)]
pub(super) const BTC: &str = concat!(
    r#"{"symbol":"BTCUSDT","pair":"BTCUSDT","contractType":"PERPETUAL","#,
    r#""deliveryDate":4133404800000,"status":"TRADING","baseAsset":"BTC","#,
    r#""quoteAsset":"USDT","marginAsset":"USDT","filters":[{"maxPrice":"4529764","#,
    r#""tickSize":"0.10","minPrice":"556.80","filterType":"PRICE_FILTER"},"#,
    r#"{"filterType":"LOT_SIZE","minQty":"0.001","stepSize":"0.001","maxQty":"1000"},"#,
    r#"{"filterType":"MARKET_LOT_SIZE","minQty":"0.001","maxQty":"120","#,
    r#""stepSize":"0.001"},{"limit":200,"filterType":"MAX_NUM_ORDERS"},"#,
    r#"{"filterType":"MIN_NOTIONAL","notional":"50"},{"filterType":"PERCENT_PRICE","#,
    r#""multiplierUp":"1.0500","multiplierDown":"0.9500","multiplierDecimal":"4"},"#,
    r#"{"positionControlSide":"NONE","filterType":"POSITION_RISK_CONTROL"}]}"#,
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::watch::{Ask, Seen};

    /// What is wrong with it, and whether the watch of the venue says that it trades.
    fn look(entry: &str) -> (Option<&'static str>, bool) {
        let wrong = fits(&serde_json::from_str(entry).unwrap()).err().map(|misfit| misfit.key);
        let body = format!(r#"{{"symbols":[{entry}]}}"#);
        let Ok(Seen::Contracts(all)) = Ask::Contracts.read(body.as_bytes()) else { panic!() };
        (wrong, all[0].is_trading())
    }

    #[test]
    fn a_perpetual_in_the_account_s_asset_is_traded_and_no_other_sort_of_contract() {
        assert_eq!(look(BTC), (None, true));
        let sort = r#""contractType":"PERPETUAL""#;
        for (is, other, key) in [
            // Each other sort and asset that was listed in July 2026, and the ways to say nothing.
            (sort, r#""contractType":"CURRENT_QUARTER""#, "contractType"),
            (sort, r#""contractType":"NEXT_QUARTER""#, "contractType"),
            (sort, r#""contractType":"TRADIFI_PERPETUAL""#, "contractType"),
            (sort, r#""contractType":"""#, "contractType"),
            (sort, r#""contractType":7"#, "contractType"),
            (sort, r#""sort":"PERPETUAL""#, "contractType"),
            (r#""quoteAsset":"USDT""#, r#""quoteAsset":"USDC""#, "quoteAsset"),
            (r#""quoteAsset":"USDT""#, r#""quoteAsset":"BTC""#, "quoteAsset"),
            (r#""marginAsset":"USDT""#, r#""marginAsset":"USDC""#, "marginAsset"),
            (r#""marginAsset":"USDT""#, r#""asset":"USDT""#, "marginAsset"),
        ] {
            assert!(BTC.contains(is));
            assert_eq!(look(&BTC.replace(is, other)), (Some(key), false), "{other}");
        }
        let broken = BTC.replace("TRADING", "BREAK");
        assert_eq!(look(&broken), (None, false));
    }

    /// Narrower limits than these are within the venue's of [`BTC`].
    const WIDEST: OwnBounds =
        OwnBounds { collar_mark_bps: 500, collar_bps: 500, open_orders: 200, stops: 200 };

    fn bounds(entry: &str) -> Result<Bounds, &'static str> {
        fits(&serde_json::from_str(entry).unwrap()).map_err(|misfit| misfit.key)
    }

    #[test]
    fn the_venue_s_bounds_are_read_and_what_cannot_be_read_is_no_contract_to_trade() {
        let told = Bounds { price_bps: 500, orders: 200, algo_orders: u32::MAX };
        assert_eq!(bounds(BTC), Ok(told));
        let (up, down) = (r#""multiplierUp":"1.0500""#, r#""multiplierDown":"0.9500""#);
        let narrow = |price_bps| Ok(Bounds { price_bps, ..told });
        assert_eq!(bounds(&BTC.replace(up, r#""multiplierUp":"1.0300""#)), narrow(300));
        assert_eq!(bounds(&BTC.replace(down, r#""multiplierDown":"0.98005""#)), narrow(199));
        for wrong in [r#""multiplierUp":"1""#, r#""multiplierUp":"x""#, r#""multiplier":"1.05""#] {
            assert_eq!(bounds(&BTC.replace(up, wrong)), Err("PERCENT_PRICE"), "{wrong}");
        }
        for wrong in [r#""multiplierDown":"1.0""#, r#""multiplierDown":"-0.5""#] {
            assert_eq!(bounds(&BTC.replace(down, wrong)), Err("PERCENT_PRICE"), "{wrong}");
        }
        let orders = r#"{"limit":200,"filterType":"MAX_NUM_ORDERS"}"#;
        let with = |filter: &str| bounds(&BTC.replace(orders, filter));
        let fewer = r#"{"filterType":"MAX_NUM_ORDERS","limit":8}"#;
        assert_eq!(with(fewer), Ok(Bounds { orders: 8, ..told }));
        let algo = format!(r#"{orders},{{"filterType":"MAX_NUM_ALGO_ORDERS","limit":10}}"#);
        assert_eq!(with(&algo), Ok(Bounds { algo_orders: 10, ..told }));
        let none = r#"{"filterType":"NOTHING"}"#;
        assert_eq!(with(none), Ok(Bounds { orders: u32::MAX, ..told }));
        for key in ["MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS"] {
            for limit in ["\"200\"", "-1", "null"] {
                let filter = format!(r#"{{"filterType":"{key}","limit":{limit}}}"#);
                assert_eq!(with(&filter), Err(key), "{limit}");
            }
        }
        assert!(!look(&BTC.replace(orders, r#"{"filterType":"MAX_NUM_ORDERS"}"#)).1);
    }

    #[test]
    fn each_limit_of_ours_lies_within_the_venue_s_and_is_named_where_it_does_not() {
        let btc = bounds(BTC).unwrap();
        assert_eq!(WIDEST.within(&btc), Ok(()));
        assert_eq!(OwnBounds::default().within(&Bounds { price_bps: 0, ..btc }), Ok(()));
        for (own, key) in [
            (OwnBounds { collar_mark_bps: 501, ..WIDEST }, "risk.collar_mark_bps"),
            (OwnBounds { collar_bps: 501, ..WIDEST }, "kill.collar_bps"),
            (OwnBounds { open_orders: 201, ..WIDEST }, "risk.open_orders_max"),
            (OwnBounds { stops: 201, ..WIDEST }, "portfolio.positions_max"),
        ] {
            assert_eq!(own.within(&btc).unwrap_err().key, key);
        }
        // The filter is of one contract, which has one stop and for a moment the next.
        let of_one = |algo_orders| WIDEST.within(&Bounds { algo_orders, ..btc });
        assert_eq!(of_one(2), Ok(()));
        assert_eq!(of_one(1).unwrap_err().key, "exits.protective_stop_bps");
        assert_eq!(OwnBounds::default().within(&Bounds { algo_orders: 0, ..btc }), Ok(()));
        let wide = OwnBounds { collar_mark_bps: 501, ..WIDEST };
        let told = wide.within(&btc).unwrap_err().to_string();
        assert_eq!(told, "risk.collar_mark_bps is 501, and the venue's PERCENT_PRICE allows 500");
    }

    #[test]
    fn what_is_wrong_with_a_contract_is_told_by_its_key_and_its_word() {
        let entry: Value = serde_json::from_str(&BTC.replace("PERP", "TRADIFI_PERP")).unwrap();
        let told = fits(&entry).unwrap_err().to_string();
        let words = r#"contractType is "TRADIFI_PERPETUAL", and "PERPETUAL" alone is traded"#;
        assert_eq!(told, words);
    }
}
