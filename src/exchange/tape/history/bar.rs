//! Candles of trades, and of mark price, index price and premium.

use super::layers::Span;
use crate::base::{Nanos, Side};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Print;

/// A candle of trades: prices in ticks, volumes in lots, values in ticks × lots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// When it begins.
    pub opened: Nanos,
    /// Price of the first trade; the last price before it where there was none.
    pub open: i64,
    /// Highest.
    pub high: i64,
    /// Lowest.
    pub low: i64,
    /// Price of the last trade.
    pub close: i64,
    /// Volume.
    pub lots: i64,
    /// Sum of price × quantity.
    pub turnover: i64,
    /// Volume of takers that bought.
    pub taker_lots: i64,
    /// Their part of the turnover.
    pub taker_turnover: i64,
    /// Number of trades.
    pub trades: i64,
    /// First trade; −1 without any.
    pub first_id: i64,
    /// Last trade; −1 without any.
    pub last_id: i64,
}

impl Bar {
    /// Without trades, at a price.
    pub fn quiet(opened: Nanos, tick: i64) -> Self {
        let (open, high, low, close) = (tick, tick, tick, tick);
        let (first_id, last_id) = (-1, -1);
        Self { opened, open, high, low, close, first_id, last_id, ..Self::default() }
    }

    /// Takes in a trade.
    pub fn add(&mut self, id: i64, print: Print) {
        let Print { tick, lots, taker } = print;
        let (opened, turnover, buys) = (self.opened, tick * lots, taker == Side::Buy);
        self.absorb(&Self {
            lots,
            turnover,
            taker_lots: if buys { lots } else { 0 },
            taker_turnover: if buys { turnover } else { 0 },
            trades: 1,
            first_id: id,
            last_id: id,
            ..Self::quiet(opened, tick)
        });
    }

    /// A sum of ticks × lots in 1e-8 quote units.
    pub fn value(spec: &SymbolSpec, turnover: i64) -> i128 {
        let unit = i128::from(spec.tick_size.0) * i128::from(spec.lot_size.0);
        i128::from(turnover) * unit / i128::from(crate::base::units::SCALE)
    }
}

impl Span for Bar {
    fn opened(&self) -> Nanos {
        self.opened
    }

    fn follow(&self, opened: Nanos) -> Self {
        Self::quiet(opened, self.close)
    }

    fn absorb(&mut self, later: &Self) {
        if later.trades == 0 {
            return;
        }
        if self.trades == 0 {
            *self = Self { opened: self.opened, ..*later };
            return;
        }
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.lots += later.lots;
        self.turnover += later.turnover;
        self.taker_lots += later.taker_lots;
        self.taker_turnover += later.taker_turnover;
        self.trades += later.trades;
        self.last_id = later.last_id;
    }
}

/// Open, high, low, close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ohlc {
    /// First.
    pub open: i64,
    /// Highest.
    pub high: i64,
    /// Lowest.
    pub low: i64,
    /// Last.
    pub close: i64,
}

impl Ohlc {
    /// All four the same.
    pub const fn flat(value: i64) -> Self {
        Self { open: value, high: value, low: value, close: value }
    }

    /// Goes on to a value. From nothing, which a recording begins with, it begins there.
    pub fn go(&mut self, value: i64) {
        if *self == Self::flat(0) {
            *self = Self::flat(value);
        }
        self.high = self.high.max(value);
        self.low = self.low.min(value);
        self.close = value;
    }

    fn absorb(&mut self, later: &Self) {
        self.go(later.high);
        self.go(later.low);
        self.close = later.close;
    }
}

/// A candle of what the venue computes each second: prices in 1e-8 units, premium in 1e-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkBar {
    /// When it begins.
    pub opened: Nanos,
    /// Mark price.
    pub mark: Ohlc,
    /// Index price.
    pub index: Ohlc,
    /// Premium of the mark price over the index price.
    pub premium: Ohlc,
}

impl MarkBar {
    /// Goes on to the values of a second.
    pub fn go(&mut self, mark: i64, index: i64) {
        self.mark.go(mark);
        self.index.go(index);
        self.premium.go(premium(mark, index));
    }
}

/// Premium of a mark price over an index price, in 1e-8.
pub fn premium(mark: i64, index: i64) -> i64 {
    if index == 0 {
        return 0;
    }
    let scaled = i128::from(mark - index) * i128::from(crate::base::units::SCALE);
    i64::try_from(scaled / i128::from(index)).unwrap_or(0)
}

impl Span for MarkBar {
    fn opened(&self) -> Nanos {
        self.opened
    }

    fn follow(&self, opened: Nanos) -> Self {
        let flat = |ohlc: Ohlc| Ohlc::flat(ohlc.close);
        let (mark, index) = (flat(self.mark), flat(self.index));
        Self { opened, mark, index, premium: flat(self.premium) }
    }

    fn absorb(&mut self, later: &Self) {
        self.mark.absorb(&later.mark);
        self.index.absorb(&later.index);
        self.premium.absorb(&later.premium);
    }
}
