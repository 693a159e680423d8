//! The kinds of tables. Every column is an integer, so that nothing is rounded on the way.

use serde::{Deserialize, Serialize};

/// What a column's integers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds since the epoch.
    Millis,
    /// 1e-8 of a price, a quantity or a rate.
    Fixed,
    /// Things, numbers, yes or no.
    Count,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the file.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
}

const fn millis(name: &'static str) -> Column {
    Column { name, unit: Unit::Millis }
}

const fn fixed(name: &'static str) -> Column {
    Column { name, unit: Unit::Fixed }
}

const fn count(name: &'static str) -> Column {
    Column { name, unit: Unit::Count }
}

const BARS: [Column; 6] = [
    millis("open_time_ms"),
    fixed("open"),
    fixed("high"),
    fixed("low"),
    fixed("close"),
    fixed("volume"),
];
const MARK_BARS: [Column; 5] =
    [millis("open_time_ms"), fixed("open"), fixed("high"), fixed("low"), fixed("close")];
const FUNDING: [Column; 2] = [millis("funding_time_ms"), fixed("funding_rate")];
const TRADES: [Column; 5] =
    [millis("time_ms"), count("id"), fixed("price"), fixed("quantity"), count("is_buyer_maker")];
const OPEN_INTEREST: [Column; 2] = [millis("time_ms"), fixed("open_interest")];

/// A kind of table. The first column of each is its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Candles of trades.
    Bars,
    /// Candles of the mark price.
    MarkBars,
    /// Settled funding.
    Funding,
    /// Aggregated trades.
    Trades,
    /// Open interest.
    OpenInterest,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Bars, Self::MarkBars, Self::Funding, Self::Trades, Self::OpenInterest];

    /// The name in the manifest and of its folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::MarkBars => "mark_bars",
            Self::Funding => "funding",
            Self::Trades => "trades",
            Self::OpenInterest => "open_interest",
        }
    }

    /// Its columns, in order.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Bars => &BARS,
            Self::MarkBars => &MARK_BARS,
            Self::Funding => &FUNDING,
            Self::Trades => &TRADES,
            Self::OpenInterest => &OPEN_INTEREST,
        }
    }

    /// True where two rows may share a time: trades do.
    pub const fn repeats_times(self) -> bool {
        matches!(self, Self::Trades)
    }
}
