//! Whether a contract that the venue lists is one that is traded: its sort, and the asset it is
//! quoted and settled in. Nothing else tells a contract that is delivered, or one whose profit is
//! in another asset, from those that the ledger is right for.

use super::answers::QUOTE;
use crate::base::settings::{OrderRoute, Settings};
use serde_json::Value;
use std::fmt;

/// The one sort of contract that is traded. `TRADIFI_PERPETUAL` rests with the exchange of its
/// underlying, which nothing here knows of; the others are delivered.
const SORT: &str = "PERPETUAL";

/// What each key of a listed contract must say.
const WANTED: [(&str, &str); 3] =
    [("contractType", SORT), ("quoteAsset", QUOTE), ("marginAsset", QUOTE)];

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

/// What one entry of the list says against trading it; a key that is missing does as well.
///
/// # Errors
/// [`Misfit`].
pub(super) fn fits(entry: &Value) -> Result<(), Misfit> {
    let other = WANTED
        .into_iter()
        .find(|(key, wanted)| entry.get(key).and_then(Value::as_str) != Some(wanted));
    other.map_or(Ok(()), |(key, wanted)| {
        let found = entry.get(key).map_or("missing".to_owned(), Value::to_string);
        Err(Misfit { key, what: format!("{found}, and {wanted:?} alone is traded") })
    })
}

/// Holds every contract of the session against what the venue lists. A session that sends no
/// orders may look at any.
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
    for symbol in settings.instruments.all() {
        let is_it =
            |entry: &&Value| entry.get("symbol").and_then(Value::as_str) == Some(symbol.as_str());
        if let Some(entry) = entries.iter().find(is_it) {
            fits(entry).map_err(|misfit| format!("{symbol}: {misfit}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::watch::{Ask, Seen};

    /// BTCUSDT as it was listed in July 2026, without what nothing reads.
    const BTC: &str = concat!(
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

    #[test]
    fn what_is_wrong_with_a_contract_is_told_by_its_key_and_its_word() {
        let entry: Value = serde_json::from_str(&BTC.replace("PERP", "TRADIFI_PERP")).unwrap();
        let told = fits(&entry).unwrap_err().to_string();
        let words = r#"contractType is "TRADIFI_PERPETUAL", and "PERPETUAL" alone is traded"#;
        assert_eq!(told, words);
    }
}
