//! What the dialects of venues differ in beside their frames: paths, names of streams, facts of
//! contracts. Requests for an account are those of the one dialect that is traded.

#[cfg(feature = "coin-m")]
use super::coin_m;
use crate::base::Symbol;
use crate::base::settings::Dialect;
use serde_json::Value;

/// Where the REST side tells the market. Paths begin with a slash and have no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paths {
    /// A snapshot of the book.
    pub depth: &'static str,
    /// Open interest of a contract.
    pub open_interest: &'static str,
    /// Aggregated trades from a number on.
    pub agg_trades: &'static str,
    /// Every contract with its filters.
    pub contracts: &'static str,
    /// The venue's time.
    pub time: &'static str,
}

const USD_M: Paths = Paths {
    depth: "/fapi/v1/depth",
    open_interest: "/fapi/v1/openInterest",
    agg_trades: "/fapi/v1/aggTrades",
    contracts: "/fapi/v1/exchangeInfo",
    time: "/fapi/v1/time",
};

/// The dialect of requests for an account.
pub(super) const TRADED: Dialect = Dialect::UsdM;
/// Whatever is traded, the ledger can reckon with.
const _: () = assert!(TRADED.is_linear());

/// The paths of a dialect.
pub const fn paths(dialect: Dialect) -> &'static Paths {
    match dialect {
        Dialect::UsdM => &USD_M,
        #[cfg(feature = "coin-m")]
        Dialect::CoinM => &coin_m::PATHS,
    }
}

/// A dialect without all of its paths would ask for the venue's front page; it is not compiled.
const _: () = {
    let mut at = 0;
    while at < Dialect::ALL.len() {
        let (name, dialect) = Dialect::ALL[at];
        let Paths { depth, open_interest, agg_trades, contracts, time } = paths(dialect);
        let all = [depth, open_interest, agg_trades, contracts, time];
        let mut path = 0;
        while path < all.len() {
            assert!(all[path].len() > 1 && all[path].as_bytes()[0] == b'/');
            path += 1;
        }
        assert!(!name.is_empty());
        at += 1;
    }
};

/// The name of a symbol's stream, `btcusdt@depth@100ms`.
pub fn stream_name(dialect: Dialect, symbol: &Symbol, kind: &str) -> String {
    let lower = symbol.as_str().to_lowercase();
    match dialect {
        Dialect::UsdM => format!("{lower}@{kind}"),
        #[cfg(feature = "coin-m")]
        Dialect::CoinM => format!("{lower}@{kind}"),
    }
}

/// The address at which streams of these names come over one connection; `base` carries no path.
pub fn streams_url(dialect: Dialect, base: &str, names: &[&str]) -> String {
    let (base, list) = (base.trim_end_matches('/'), names.join("/"));
    match dialect {
        Dialect::UsdM => format!("{base}/stream?streams={list}"),
        #[cfg(feature = "coin-m")]
        Dialect::CoinM => format!("{base}/stream?streams={list}"),
    }
}

/// True for an entry of the list of contracts that is one of the dialect's.
pub(super) fn lists(dialect: Dialect, entry: &Value) -> bool {
    match dialect {
        // A contract over an amount of dollars is none that linear reckoning is right for.
        Dialect::UsdM => entry.get("contractSize").is_none(),
        #[cfg(feature = "coin-m")]
        Dialect::CoinM => coin_m::lists(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "coin-m")]
    const BTC: &str = concat!(
        r#"{"filters":[{"filterType":"PRICE_FILTER","maxPrice":"100000","minPrice":"0.1","#,
        r#""tickSize":"0.1"},{"filterType":"LOT_SIZE","maxQty":"100000","minQty":"1","#,
        r#""stepSize":"1"},{"filterType":"MAX_NUM_ORDERS","limit":200}],"symbol":"BTCUSD_PERP","#,
        r#""pair":"BTCUSD","contractType":"PERPETUAL","contractStatus":"TRADING","#,
        r#""contractSize":100,"marginAsset":"BTC","baseAsset":"BTC","quoteAsset":"USD"}"#,
    );

    #[cfg(feature = "coin-m")]
    #[test]
    fn each_dialect_takes_its_own_contracts_out_of_what_a_venue_lists() {
        use crate::venue::capture::contracts;
        let without = BTC.replace(r#""contractSize":100,"#, "");
        let body = |entry: &str| format!(r#"{{"serverTime":1,"symbols":[{entry}]}}"#);
        let found =
            |dialect, entry: &str| contracts(dialect, body(entry).as_bytes()).unwrap().len();
        assert_eq!((found(Dialect::CoinM, BTC), found(Dialect::UsdM, BTC)), (1, 0));
        assert_eq!((found(Dialect::CoinM, &without), found(Dialect::UsdM, &without)), (0, 1));
        let none = BTC.replace(":100", ":0");
        assert_eq!((found(Dialect::CoinM, &none), found(Dialect::UsdM, &none)), (0, 0));
        let [facts] = contracts(Dialect::CoinM, body(BTC).as_bytes()).unwrap()[..] else {
            panic!()
        };
        let told = [facts.tick_size.to_string(), facts.lot_size.to_string()];
        assert_eq!(told, ["0.1", "1"], "quantities are whole contracts");
        assert_eq!([facts.min_qty.to_string(), facts.max_qty.to_string()], ["1", "100000"]);
    }

    #[cfg(feature = "coin-m")]
    #[test]
    fn a_market_is_asked_for_where_its_dialect_tells_it() {
        use crate::base::InstrumentId;
        use crate::venue::job::RestJob;
        let symbol = Symbol::new(b"BTCUSD_PERP").unwrap();
        let instrument = InstrumentId(0);
        let jobs = [
            (
                RestJob::Snapshot { instrument, symbol, levels: 1000 },
                "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000",
            ),
            (
                RestJob::OpenInterest { instrument, symbol },
                "/dapi/v1/openInterest?symbol=BTCUSD_PERP",
            ),
            (
                RestJob::Trades { instrument, symbol, from_id: 7 },
                "/dapi/v1/aggTrades?symbol=BTCUSD_PERP&fromId=7&limit=500",
            ),
            (RestJob::Contracts, "/dapi/v1/exchangeInfo?"),
        ];
        for (job, wanted) in jobs {
            let asked = job.request(paths(Dialect::CoinM));
            assert_eq!(format!("{}?{}", asked.path, asked.query), wanted);
            let linear = job.request(paths(Dialect::UsdM));
            assert_eq!(linear.path, asked.path.replace("/dapi/", "/fapi/"));
        }
        let name = stream_name(Dialect::CoinM, &symbol, "depth@100ms");
        assert_eq!(name, "btcusd_perp@depth@100ms");
        let url = streams_url(Dialect::CoinM, "wss://h/", &[&name, "b@aggTrade"]);
        assert_eq!(url, "wss://h/stream?streams=btcusd_perp@depth@100ms/b@aggTrade");
    }
}
