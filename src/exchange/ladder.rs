//! A limit order book of price levels, in whole ticks and lots, that remembers what changed.

use crate::base::Side;
use std::collections::{BTreeMap, BTreeSet};

/// Both sides of one book. Prices are ticks, quantities lots; a level never holds zero lots.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    touched_bids: BTreeSet<i64>,
    touched_asks: BTreeSet<i64>,
}

/// Best price and quantity of both sides: `(tick, lots)`, zeros for an empty side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// Best bid.
    pub bid: (i64, i64),
    /// Best ask.
    pub ask: (i64, i64),
}

impl Ladder {
    /// Lots at a price, 0 where there is no level.
    pub fn lots(&self, side: Side, tick: i64) -> i64 {
        self.side(side).get(&tick).copied().unwrap_or(0)
    }

    /// Sets a level; zero or less removes it. The price is marked as touched.
    pub fn set(&mut self, side: Side, tick: i64, lots: i64) {
        let (levels, touched) = match side {
            Side::Buy => (&mut self.bids, &mut self.touched_bids),
            Side::Sell => (&mut self.asks, &mut self.touched_asks),
        };
        if lots > 0 {
            levels.insert(tick, lots);
        } else {
            levels.remove(&tick);
        }
        touched.insert(tick);
    }

    /// Best price and quantity of both sides.
    pub fn top(&self) -> Top {
        let pair = |(&tick, &lots): (&i64, &i64)| (tick, lots);
        Top {
            bid: self.bids.last_key_value().map(pair).unwrap_or_default(),
            ask: self.asks.first_key_value().map(pair).unwrap_or_default(),
        }
    }

    /// Number of levels of a side.
    pub fn len(&self, side: Side) -> usize {
        self.side(side).len()
    }

    /// True when a side has no level.
    pub fn is_empty(&self, side: Side) -> bool {
        self.side(side).is_empty()
    }

    /// Farthest price of a side; `None` when it is empty.
    pub fn farthest(&self, side: Side) -> Option<i64> {
        match side {
            Side::Buy => self.bids.keys().next().copied(),
            Side::Sell => self.asks.keys().next_back().copied(),
        }
    }

    /// Bid levels from the best down.
    pub fn bids(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.bids.iter().rev().map(|(&tick, &lots)| (tick, lots))
    }

    /// Ask levels from the best up.
    pub fn asks(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.asks.iter().map(|(&tick, &lots)| (tick, lots))
    }

    /// Prices of a side touched since the last [`Ladder::clear_touched`], ascending, with the lots
    /// now there.
    pub fn touched(&self, side: Side) -> impl Iterator<Item = (i64, i64)> + '_ {
        let touched = match side {
            Side::Buy => &self.touched_bids,
            Side::Sell => &self.touched_asks,
        };
        touched.iter().map(move |&tick| (tick, self.lots(side, tick)))
    }

    /// True when any price was touched since the last [`Ladder::clear_touched`].
    pub fn is_touched(&self) -> bool {
        !self.touched_bids.is_empty() || !self.touched_asks.is_empty()
    }

    /// Forgets what was touched.
    pub fn clear_touched(&mut self) {
        self.touched_bids.clear();
        self.touched_asks.clear();
    }

    fn side(&self, side: Side) -> &BTreeMap<i64, i64> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
}
