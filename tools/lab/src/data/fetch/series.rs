//! What can be asked for: how it is asked, page by page, and what rows answers hold.

use super::pace::Weight;
use crate::data::layout::{cell, interval_ms};
use peregrine::venue::dataset::Unit;
use serde_json::Value;

/// Candles of a page; the most the venue gives.
const CANDLES: i64 = 1_500;
/// Trades and settlements of a page.
const ROWS: i64 = 1_000;
/// Notes of open interest of a page.
const INTERESTS: i64 = 500;
/// The venue looks for trades by time in windows shorter than this.
const HOUR_MS: i64 = 3_600_000;
/// Time between two notes of open interest, the shortest there is.
const INTEREST_MS: i64 = 300_000;
/// Lengths of candles that the venue has.
const LENGTHS: [&str; 13] =
    ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d"];

/// One kind of history of a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Series {
    /// Candles of trades: the venue's name of their length, and the length.
    Bars(String, i64),
    /// Candles of the mark price.
    MarkBars(String, i64),
    /// Settled funding.
    Funding,
    /// Aggregated trades.
    Trades,
    /// Open interest every five minutes.
    OpenInterest,
}

/// Where a series stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The next row is of this time, milliseconds, or later.
    Time(i64),
    /// The next row is the trade of this number.
    Trade(i64),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its path.
    pub path: &'static str,
    /// Its query.
    pub query: String,
    /// What it counts as.
    pub weight: Weight,
    /// The time from which on nothing is answered; where the answer is empty, on from here.
    pub ends: i64,
}

/// A row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its time, milliseconds.
    pub time: i64,
    /// What rises from row to row: the time, or the number of a trade.
    pub key: i64,
    /// The line, without its end.
    pub line: String,
}

impl Series {
    /// By its name in `--series` and in files: `5m`, `mark8h`, `funding`, `aggTrades`,
    /// `openInterest`.
    ///
    /// # Errors
    /// A name that none has.
    pub fn parse(text: &str) -> Result<Self, String> {
        let length = |name: &str| {
            let known = LENGTHS.contains(&name).then(|| interval_ms(name)).flatten();
            known.map(|length| (name.to_owned(), length))
        };
        let found = match text {
            "funding" => Some(Self::Funding),
            "aggTrades" => Some(Self::Trades),
            "openInterest" => Some(Self::OpenInterest),
            name => match name.strip_prefix("mark") {
                Some(name) => length(name).map(|(name, length)| Self::MarkBars(name, length)),
                None => length(name).map(|(name, length)| Self::Bars(name, length)),
            },
        };
        found.ok_or_else(|| {
            format!(
                "{text:?} is none of funding, aggTrades, openInterest, {}, or mark and a length",
                LENGTHS.join(", ")
            )
        })
    }

    /// The name.
    pub fn name(&self) -> String {
        match self {
            Self::Bars(name, _) => name.clone(),
            Self::MarkBars(name, _) => format!("mark{name}"),
            Self::Funding => "funding".to_owned(),
            Self::Trades => "aggTrades".to_owned(),
            Self::OpenInterest => "openInterest".to_owned(),
        }
    }

    /// The first line of its files.
    pub const fn header(&self) -> &'static str {
        match self {
            Self::Bars(..) => "open_time_ms,open,high,low,close,volume",
            Self::MarkBars(..) => "open_time_ms,open,high,low,close",
            Self::Funding => "funding_time_ms,funding_rate",
            Self::Trades => "time_ms,id,price,quantity,is_buyer_maker",
            Self::OpenInterest => "time_ms,open_interest",
        }
    }

    /// Where a file stands whose last row is this; at its begin without one.
    pub const fn after(&self, last: Option<&Row>, from_ms: i64) -> Cursor {
        match (self, last) {
            (Self::Trades, Some(row)) => Cursor::Trade(row.key + 1),
            (_, Some(row)) => Cursor::Time(row.time + 1),
            (_, None) => Cursor::Time(from_ms),
        }
    }

    /// The next page; `None` where nothing is left before `until_ms`.
    pub fn request(&self, symbol: &str, cursor: Cursor, until_ms: i64) -> Option<Request> {
        let (path, more, weight, page_ms) = match self {
            Self::Bars(name, length) => (
                "/fapi/v1/klines",
                format!("&interval={name}"),
                Weight::Minute(10),
                length * CANDLES,
            ),
            Self::MarkBars(name, length) => (
                "/fapi/v1/markPriceKlines",
                format!("&interval={name}"),
                Weight::Minute(10),
                length * CANDLES,
            ),
            Self::Funding => ("/fapi/v1/fundingRate", String::new(), Weight::Funding, i64::MAX),
            Self::Trades => ("/fapi/v1/aggTrades", String::new(), Weight::Minute(20), HOUR_MS),
            Self::OpenInterest => (
                "/futures/data/openInterestHist",
                "&period=5m".to_owned(),
                Weight::Statistics,
                INTEREST_MS * INTERESTS,
            ),
        };
        let limit = match self {
            Self::Bars(..) | Self::MarkBars(..) => CANDLES,
            Self::Funding | Self::Trades => ROWS,
            Self::OpenInterest => INTERESTS,
        };
        let (place, ends) = match cursor {
            Cursor::Trade(id) => (format!("&fromId={id}"), until_ms),
            Cursor::Time(at) if at >= until_ms => return None,
            Cursor::Time(at) => {
                // A page that holds no more rows than are answered is answered whole.
                let ends = at.saturating_add(page_ms).min(until_ms);
                (format!("&startTime={at}&endTime={}", ends - 1), ends)
            }
        };
        let query = format!("symbol={symbol}{more}{place}&limit={limit}");
        Some(Request { path, query, weight, ends })
    }

    /// The time at which what a row tells is over: a candle's end, else the row's own.
    pub const fn over(&self, row: &Row) -> i64 {
        match self {
            Self::Bars(_, length) | Self::MarkBars(_, length) => row.time + *length - 1,
            _ => row.time,
        }
    }

    /// The rows of an answer, as they stand.
    ///
    /// # Errors
    /// What in it is no row.
    pub fn rows(&self, answer: &Value) -> Result<Vec<Row>, String> {
        let all = answer.as_array().ok_or("the answer is no list")?;
        all.iter().map(|entry| self.row(entry).map_err(|what| format!("{entry}: {what}"))).collect()
    }

    fn row(&self, entry: &Value) -> Result<Row, String> {
        let time = |at: &Value| number(at, "time");
        let row = |time: i64, key: i64, cells: &[String]| {
            let mut line = time.to_string();
            cells.iter().for_each(|cell| {
                line.push(',');
                line.push_str(cell);
            });
            Row { time, key, line }
        };
        match self {
            Self::Bars(..) | Self::MarkBars(..) => {
                let count = if matches!(self, Self::Bars(..)) { 5 } else { 4 };
                let cells: Result<Vec<String>, String> =
                    (1..=count).map(|at| decimal(&entry[at])).collect();
                let opened = time(&entry[0])?;
                Ok(row(opened, opened, &cells?))
            }
            Self::Funding => {
                let at = time(&entry["fundingTime"])?;
                Ok(row(at, at, &[decimal(&entry["fundingRate"])?]))
            }
            Self::Trades => {
                let (at, id) = (time(&entry["T"])?, number(&entry["a"], "a")?);
                let maker = entry["m"].as_bool().ok_or("m: is neither true nor false")?;
                let (px, qty) = (decimal(&entry["p"])?, decimal(&entry["q"])?);
                Ok(row(at, id, &[id.to_string(), px, qty, maker.to_string()]))
            }
            Self::OpenInterest => {
                let at = time(&entry["timestamp"])?;
                Ok(row(at, at, &[decimal(&entry["sumOpenInterest"])?]))
            }
        }
    }

    /// A row out of a line of a file of ours; `None` for what is no whole line.
    pub fn read(&self, line: &str) -> Option<Row> {
        let cells: Vec<&str> = line.split(',').collect();
        let columns = self.header().split(',').count();
        let time = cells.first()?.parse().ok()?;
        let key = if *self == Self::Trades { cells.get(1)?.parse().ok()? } else { time };
        let skipped = if *self == Self::Trades { 4 } else { columns };
        let is_whole = cells.len() == columns
            && cells[1..skipped].iter().all(|text| cell(text, Unit::Fixed).is_ok())
            && cells[skipped..].iter().all(|text| matches!(*text, "true" | "false"));
        is_whole.then(|| Row { time, key, line: line.to_owned() })
    }
}

/// A whole number, which older answers have as a text.
fn number(value: &Value, name: &str) -> Result<i64, String> {
    let told = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    told.ok_or_else(|| format!("{name}: is no whole number"))
}

/// A decimal as the venue writes it.
fn decimal(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| format!("{value}: is no decimal in a text"))?;
    cell(text, Unit::Fixed).map(|_| text.to_owned())
}
