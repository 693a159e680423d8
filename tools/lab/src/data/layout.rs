//! Which file is what. Two layouts are known: this project's (`BTCUSDT-5m.csv.gz`, a header of
//! `open_time_ms,open,…`) and the venue's public archive (`BTCUSDT-5m-2024-01.zip`,
//! `BTCUSDT-aggTrades-2024-01-01.zip`, `BTCUSDT-fundingRate-2024-01.zip`), with or without a
//! header.

use csv::StringRecord;
use peregrine::venue::dataset::{Stream, Unit};

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// In upper case.
    pub symbol: String,
    /// The kind of its rows.
    pub stream: Stream,
    /// Time between rows, milliseconds; 0 where there is none.
    pub interval_ms: i64,
    /// For each column of the stream, its place in a line.
    pub places: Vec<usize>,
    /// The first line names the columns.
    pub has_header: bool,
}

/// Length of a candle named as the venue names it.
pub fn interval_ms(name: &str) -> Option<i64> {
    let (number, unit) = name.split_at(name.len().checked_sub(1)?);
    let number: i64 = number.parse().ok()?;
    let unit = match unit {
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    (number > 0).then_some(number * unit)
}

/// Names that a stream's columns go by, in their order.
fn names(stream: Stream) -> &'static [&'static [&'static str]] {
    const OPEN: &[&str] = &["open_time_ms", "open_time"];
    match stream {
        Stream::Bars => &[OPEN, &["open"], &["high"], &["low"], &["close"], &["volume"]],
        Stream::MarkBars => &[OPEN, &["open"], &["high"], &["low"], &["close"]],
        Stream::Funding => &[
            &["funding_time_ms", "calc_time", "fundingTime"],
            &["funding_rate", "last_funding_rate", "fundingRate"],
        ],
        Stream::Trades => &[
            &["time_ms", "transact_time"],
            &["id", "agg_trade_id"],
            &["price"],
            &["quantity"],
            &["is_buyer_maker"],
        ],
        Stream::OpenInterest => {
            &[&["time_ms", "create_time", "timestamp"], &["open_interest", "sum_open_interest"]]
        }
    }
}

/// Places of a stream's columns in the archive's files without a header.
fn archive_places(stream: Stream) -> &'static [usize] {
    match stream {
        Stream::Bars => &[0, 1, 2, 3, 4, 5],
        Stream::MarkBars => &[0, 1, 2, 3, 4],
        // calc_time, funding_interval_hours, last_funding_rate
        Stream::Funding => &[0, 2],
        // agg_trade_id, price, quantity, first, last, transact_time, is_buyer_maker
        Stream::Trades => &[5, 0, 1, 2, 6],
        Stream::OpenInterest => &[0, 2],
    }
}

/// The layout of a file of this name whose first line is this; what keeps it from being known.
///
/// # Errors
/// A name or columns that no layout has.
pub fn layout(file: &str, first: &StringRecord) -> Result<Layout, String> {
    let stem = file.split('.').next().unwrap_or(file);
    let mut parts = stem.split('-');
    let symbol = parts.next().unwrap_or_default().to_ascii_uppercase();
    let rest: Vec<&str> = parts.collect();
    let sort = rest.first().copied().unwrap_or_default();
    let is_mark = file.contains("markPriceKlines") || sort.starts_with("mark");
    let (stream, interval) = match sort {
        "funding" | "fundingRate" => (Stream::Funding, 0),
        "aggTrades" | "trades" => (Stream::Trades, 0),
        "metrics" | "openInterest" => (Stream::OpenInterest, 0),
        name if is_mark && name.starts_with("mark") => {
            let length = name.trim_start_matches("mark");
            (
                Stream::MarkBars,
                interval_ms(length).ok_or(format!("{file}: {name} names no length"))?,
            )
        }
        name => {
            let length = interval_ms(name);
            let length = length.ok_or(format!(
                "{file}: {name:?} is no candle's length and no known kind of data"
            ))?;
            (if is_mark { Stream::MarkBars } else { Stream::Bars }, length)
        }
    };
    if symbol.is_empty() || !symbol.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("{file}: its name does not begin with a symbol"));
    }
    let begins = first.get(0).unwrap_or_default().bytes().next();
    let has_header = begins.is_some_and(|byte| byte.is_ascii_alphabetic());
    let places =
        if has_header { by_header(file, stream, first)? } else { archive_places(stream).to_vec() };
    Ok(Layout { symbol, stream, interval_ms: interval, places, has_header })
}

fn by_header(file: &str, stream: Stream, header: &StringRecord) -> Result<Vec<usize>, String> {
    let place = |known: &&[&str]| {
        let found = header.iter().position(|name| known.contains(&name.trim()));
        found.ok_or(format!("{file}: no column {}", known.join(" or ")))
    };
    names(stream).iter().map(place).collect()
}

/// A cell as the integer of its column.
///
/// # Errors
/// Text that is no such number.
pub fn cell(text: &str, unit: Unit) -> Result<i64, String> {
    let text = text.trim();
    match unit {
        Unit::Fixed => fixed(text),
        Unit::Count => match text {
            "true" | "True" => Ok(1),
            "false" | "False" => Ok(0),
            number => number.parse().map_err(|_| format!("{number:?} is no whole number")),
        },
        Unit::Millis => millis(text),
    }
}

/// A decimal in 1e-8; what is finer is cut off, since mark prices are means with more digits.
fn fixed(text: &str) -> Result<i64, String> {
    let kept = match text.split_once('.') {
        Some((_, decimals)) if decimals.len() > 8 => &text[..text.len() - (decimals.len() - 8)],
        _ => text,
    };
    let value = peregrine::base::units::parse_fixed(kept.as_bytes());
    value.map_err(|error| format!("{text:?}: {error}"))
}

/// A time in milliseconds: a number of milliseconds or, as the archive has them since 2025, of
/// microseconds; or a date with a time of day in UTC.
fn millis(text: &str) -> Result<i64, String> {
    if let Ok(number) = text.parse::<i64>() {
        // Milliseconds reach this in the year 5138, microseconds in 1973.
        return Ok(if number >= 100_000_000_000_000 { number / 1_000 } else { number });
    }
    let time = text.replace(' ', "T") + "Z";
    let time: jiff::Timestamp = time.parse().map_err(|_| format!("{text:?} is no time"))?;
    Ok(time.as_millisecond())
}
