//! COIN-M on the wire, beside its frames: `feed` reads those.

use super::dialect::Paths;
use serde_json::Value;

pub(super) const PATHS: Paths = Paths {
    depth: "/dapi/v1/depth",
    open_interest: "/dapi/v1/openInterest",
    agg_trades: "/dapi/v1/aggTrades",
    contracts: "/dapi/v1/exchangeInfo",
    time: "/dapi/v1/time",
};

/// Each of its contracts says over how many dollars it is.
pub(super) fn lists(entry: &Value) -> bool {
    entry.get("contractSize").and_then(Value::as_u64).is_some_and(|dollars| dollars > 0)
}
