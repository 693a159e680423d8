//! Market data over REST: what needs no signature.
//!
//! | file | holds |
//! |---|---|
//! | `info` | facts of the exchange and its contracts |
//! | `now` | what is at this moment: books, prices, marks |
//! | `past` | trades, candles, funding |
//! | `statistics` | `/futures/data`: open interest and ratios over time |

mod info;
mod now;
mod past;
mod statistics;
#[cfg(test)]
mod tests;

pub use info::{NEVER_MILLIS, status};
pub use now::Day;

use super::error::VenueError;
use super::limits::LimitSettings;
use super::params::{Params, invalid};
use crate::base::{Nanos, Symbol};
use crate::exchange::flow::contract::Contract;
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::tape::frames::Json;
use crate::exchange::tape::history::interval::Interval;

/// 2200-01-01. Times asked for count as within 1970 and this, so that a candle before or behind
/// them is still a time.
const LATEST: Nanos = Nanos::from_secs(7_258_118_400);

/// A good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// JSON.
    pub body: String,
    /// What it adds to the address's used weight; `None` for endpoints that are counted by a limit
    /// of their own and are answered without the header of used weight.
    pub weight: Option<u32>,
}

/// An answer or the venue's refusal.
pub type Answered = Result<Reply, VenueError>;

/// A request.
#[derive(Clone, Copy)]
struct Ask<'a> {
    market: &'a SyntheticMarket,
    limits: LimitSettings,
    params: &'a Params,
    now: Nanos,
}

/// True for the paths here that want an API key, though no signature.
pub fn needs_key(path: &str) -> bool {
    path == "/fapi/v1/historicalTrades"
}

/// Answers `GET path`; `None` when the path is none of market data.
pub fn get(
    market: &SyntheticMarket,
    limits: LimitSettings,
    path: &str,
    params: &Params,
    now: Nanos,
) -> Option<Answered> {
    let ask = &Ask { market, limits, params, now };
    Some(match path {
        "/fapi/v1/ping" | "/api/v3/ping" => reply(1, "{}".to_owned()),
        "/fapi/v1/time" | "/api/v3/time" => info::time(ask),
        "/fapi/v1/exchangeInfo" => info::exchange(ask),
        "/fapi/v1/fundingInfo" => info::funding(ask),
        "/fapi/v1/constituents" => info::constituents(ask),
        "/fapi/v1/indexInfo" => info::composites(ask),
        "/fapi/v1/assetIndex" => info::asset_index(ask),
        "/fapi/v1/insuranceBalance" => info::insurance(ask),
        "/fapi/v1/symbolAdlRisk" => info::adl_risk(ask),
        "/fapi/v1/tradingSchedule" => info::schedule(ask),
        "/fapi/v1/depth" => now::depth(ask),
        "/fapi/v1/rpiDepth" => now::rpi_depth(ask),
        "/fapi/v1/premiumIndex" => now::premium_index(ask),
        "/fapi/v1/ticker/24hr" => now::day(ask),
        "/fapi/v1/ticker/price" | "/fapi/v2/ticker/price" => now::price(ask),
        "/fapi/v1/ticker/bookTicker" => now::book_ticker(ask),
        "/fapi/v1/openInterest" => now::open_interest(ask),
        "/fapi/v1/trades" => past::trades(ask),
        "/fapi/v1/historicalTrades" => past::historical_trades(ask),
        "/fapi/v1/aggTrades" => past::aggregates(ask),
        "/fapi/v1/klines" => past::klines(ask),
        "/fapi/v1/continuousKlines" => past::continuous_klines(ask),
        "/fapi/v1/indexPriceKlines" => past::mark_klines(ask, "pair", |bar| bar.index),
        "/fapi/v1/markPriceKlines" => past::mark_klines(ask, "symbol", |bar| bar.mark),
        "/fapi/v1/premiumIndexKlines" => past::mark_klines(ask, "symbol", |bar| bar.premium),
        "/fapi/v1/fundingRate" => past::funding(ask),
        "/futures/data/openInterestHist" => statistics::open_interest(ask),
        "/futures/data/topLongShortAccountRatio" => statistics::ratio(ask, 1),
        "/futures/data/topLongShortPositionRatio" => statistics::ratio(ask, 2),
        "/futures/data/globalLongShortAccountRatio" => statistics::ratio(ask, 3),
        "/futures/data/takerlongshortRatio" => statistics::takers(ask),
        "/futures/data/basis" => statistics::basis(ask),
        "/futures/data/delivery-price" => statistics::deliveries(ask),
        _ => return None,
    })
}

fn reply(weight: u32, body: String) -> Answered {
    Ok(Reply { body, weight: Some(weight) })
}

/// Of an endpoint with a limit of its own.
fn unweighted(body: String) -> Answered {
    Ok(Reply { body, weight: None })
}

/// A body that `write` makes.
fn body(write: impl FnOnce(&mut Json<'_>)) -> String {
    let mut bytes = Vec::new();
    write(&mut Json::new(&mut bytes));
    String::from_utf8(bytes).expect("symbols and numbers are text")
}

/// `[…,…]`.
fn list<T>(
    json: &mut Json<'_>,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut Json<'_>, T),
) {
    json.raw("[");
    for (i, item) in items.into_iter().enumerate() {
        json.raw(if i == 0 { "" } else { "," });
        each(json, item);
    }
    json.raw("]");
}

/// 1e-8 units beyond the range of an amount, in quotes: values of whole months.
pub fn wide(json: &mut Json<'_>, units: i128, decimals: u32) {
    let scale = i128::from(crate::base::units::SCALE);
    let (whole, rest) = (units.unsigned_abs() / scale.unsigned_abs(), units % scale);
    let rest = rest.unsigned_abs() / 10_u128.pow(8 - decimals.min(8));
    let sign = if units < 0 { "-" } else { "" };
    let width = decimals as usize;
    json.raw(&match decimals {
        0 => format!("\"{sign}{whole}\""),
        _ => format!("\"{sign}{whole}.{rest:0width$}\""),
    });
}

impl<'a> Ask<'a> {
    /// The contract that a mandatory parameter names.
    fn contract(&self, name: &str) -> Result<&'a Contract, VenueError> {
        let symbol = self.params.need(name)?;
        self.by_symbol(symbol)
    }

    /// The contract that `symbol` names; `None` where it was not sent.
    fn contract_or_all(&self) -> Result<Option<&'a Contract>, VenueError> {
        let sent = self.params.text("symbol").filter(|symbol| !symbol.is_empty());
        sent.map(|symbol| self.by_symbol(symbol)).transpose()
    }

    fn by_symbol(&self, symbol: &str) -> Result<&'a Contract, VenueError> {
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !symbol.chars().all(legal) {
            let range = "legal range is '^[A-Z0-9-_.]{1,20}$'.";
            let text = format!("Illegal characters found in parameter 'symbol'; {range}");
            return Err(VenueError::with(-1100, text));
        }
        let found = Symbol::new(symbol.as_bytes()).and_then(|_| self.market.index_of(symbol));
        found.map(|index| self.market.at(index)).ok_or(VenueError::BAD_SYMBOL)
    }

    fn contracts(&self) -> impl Iterator<Item = &'a Contract> + use<'a> {
        let market = self.market;
        (0..market.len()).map(move |index| market.at(index))
    }

    /// One object where a symbol was sent, the list of all otherwise, with the weights of both.
    fn one_or_all(
        &self,
        weights: (u32, u32),
        mut write: impl FnMut(&mut Json<'_>, &Contract),
    ) -> Answered {
        match self.contract_or_all()? {
            Some(contract) => reply(weights.0, body(|json| write(json, contract))),
            None => reply(weights.1, body(|json| list(json, self.contracts(), write))),
        }
    }

    /// `limit`, 1 to `most`.
    fn limit(&self, usual: usize, most: usize) -> Result<usize, VenueError> {
        match self.params.int("limit")? {
            None => Ok(usual),
            Some(limit) => {
                let fits = usize::try_from(limit).ok().filter(|limit| (1..=most).contains(limit));
                fits.ok_or_else(|| invalid("limit"))
            }
        }
    }

    fn interval(&self) -> Result<Interval, VenueError> {
        let text = self.params.need("interval")?;
        Interval::parse(text).ok_or(VenueError::new(-1120, "Invalid interval."))
    }

    /// `startTime` and `endTime`.
    fn times(&self) -> Result<(Option<Nanos>, Option<Nanos>), VenueError> {
        let (start, end) = (self.params.time("startTime")?, self.params.time("endTime")?);
        match (start, end) {
            (Some(start), Some(end)) if start > end => {
                Err(VenueError::new(-1023, "Start time is greater than end time."))
            }
            _ => {
                let known = |ts: Option<Nanos>| ts.map(|ts| ts.clamp(Nanos::ZERO, LATEST));
                Ok((known(start), known(end)))
            }
        }
    }
}
