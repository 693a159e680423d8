//! Candles of a symbol as its trades and quotes made them, and its settlements.

use super::LabelOf;
use crate::validation::label::{Barriers, Candle, Label, barrier_label, fading_deviation};

/// A bar of trades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Nothing was heard of the symbol in it: its prices repeat the last one.
    pub is_missing: bool,
}

impl Bar {
    fn flat(px: f64, is_missing: bool) -> Self {
        Self { open: px, high: px, low: px, close: px, is_missing }
    }
}

/// Bars one after the other, without a gap, and what was settled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Market {
    /// The symbol.
    pub symbol: String,
    /// Start of the first bar, milliseconds.
    pub start_ms: i64,
    /// Length of a bar, milliseconds.
    pub bar_ms: i64,
    /// The bars.
    pub bars: Vec<Bar>,
    /// Settlements: time in milliseconds and rate, rising.
    pub funding: Vec<(i64, f64)>,
    /// Deviation of returns a bar, as known at the close of each.
    pub sigma: Vec<f32>,
    /// The newest bar holds no trade yet.
    is_quoted: bool,
}

impl Market {
    /// Nothing heard yet.
    pub fn new(symbol: String, bar_ms: i64, funding: Vec<(i64, f64)>) -> Self {
        Self { symbol, bar_ms, funding, ..Self::default() }
    }

    /// Index of the bar that holds a time.
    pub fn place(&self, ms: i64) -> i64 {
        (ms - self.start_ms).div_euclid(self.bar_ms)
    }

    /// When a bar begins, milliseconds.
    pub fn opens(&self, bar: usize) -> i64 {
        self.start_ms + bar as i64 * self.bar_ms
    }

    /// A trade at a price.
    pub(super) fn trade(&mut self, ms: i64, px: f64) {
        self.reach(ms, px);
        let Some(bar) = self.bars.last_mut() else { return };
        if self.is_quoted {
            *bar = Bar::flat(px, false);
            self.is_quoted = false;
        }
        bar.high = bar.high.max(px);
        bar.low = bar.low.min(px);
        bar.close = px;
    }

    /// A quote around a price: a bar without a trade is flat, not missing.
    pub(super) fn quote(&mut self, ms: i64, px: f64) {
        let last = self.bars.last().map_or(px, |bar| bar.close);
        self.reach(ms, last);
    }

    /// Opens the bar of a time and what lies between it and the newest one.
    fn reach(&mut self, ms: i64, px: f64) {
        if self.bars.is_empty() {
            self.start_ms = ms.div_euclid(self.bar_ms) * self.bar_ms;
        }
        let place = self.place(ms);
        while (self.bars.len() as i64) < place + 1 {
            let is_newest = self.bars.len() as i64 == place;
            let last = self.bars.last().map_or(px, |bar| bar.close);
            self.bars.push(Bar::flat(last, !is_newest));
            self.is_quoted = true;
        }
    }

    /// What settlements within `[from_ms, to_ms)` cost a long position, as a share of its value.
    pub fn settled(&self, from_ms: i64, to_ms: i64) -> f64 {
        let first = self.funding.partition_point(|&(at, _)| at < from_ms);
        let due = self.funding[first..].iter().take_while(|&&(at, _)| at < to_ms);
        due.map(|&(_, rate)| rate).sum()
    }

    /// The labels of entries at the closes of `places`; `None` where the future is not known.
    pub(super) fn labels(&mut self, places: &[u32], of: &LabelOf) -> Vec<Option<Label>> {
        let candle = |bar: &Bar| Candle { high: bar.high, low: bar.low, close: bar.close };
        let candles: Vec<Candle> = self.bars.iter().map(candle).collect();
        let closes: Vec<f64> = self.bars.iter().map(|bar| bar.close).collect();
        let sigma = fading_deviation(&closes, of.half_life_bars);
        self.sigma = sigma.iter().map(|&value| value as f32).collect();
        let mut missing = vec![0_u32];
        for bar in &self.bars {
            missing.push(missing[missing.len() - 1] + u32::from(bar.is_missing));
        }
        let barriers = Barriers {
            profit: of.profit,
            loss: of.loss,
            horizon: of.horizon_bars,
            flat: of.flat,
            cost: of.cost,
        };
        let one = |&place: &u32| {
            let at = place as usize;
            let label = barrier_label(&candles, at, f64::from(self.sigma[at]), &barriers)?;
            // What was not recorded decides nothing.
            (missing[label.until + 1] == missing[at]).then_some(label)
        };
        places.iter().map(one).collect()
    }
}
