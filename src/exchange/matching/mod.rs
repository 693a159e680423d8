//! The limit order book: price-time priority, in whole ticks and lots.
//!
//! ```text
//!   side ──► level (tick) ──► queue:  crowd 40 │ client #7 5 │ crowd 12 │ client #9 1
//!                                     └─ served first                 served last ─┘
//! ```
//! The crowd is everyone whose orders have no name: its lots at a price are one amount that grows
//! at the back of the queue and shrinks from the back. A client's order keeps its place until it is
//! filled, cancelled or replaced. The book remembers which prices changed, for the diff stream.

mod level;
#[cfg(test)]
mod tests;

use crate::base::Side;
use level::Level;
use std::collections::{BTreeMap, BTreeSet};

/// Whose order it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub u32);

impl Owner {
    /// Everyone without a name.
    pub const CROWD: Self = Self(0);

    /// The owner of the account at `index`.
    pub fn account(index: usize) -> Self {
        Self(u32::try_from(index + 1).expect("accounts are few"))
    }

    /// Index of the account; `None` for the crowd.
    pub const fn index(self) -> Option<usize> {
        match self.0 {
            0 => None,
            n => Some(n as usize - 1),
        }
    }
}

/// What happens when two orders of one account would meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SelfTrade {
    /// They trade.
    Allow,
    /// The incoming order's rest expires.
    ExpireTaker,
    /// The resting order expires and the incoming one goes on.
    ExpireMaker,
    /// Both expire.
    ExpireBoth,
}

/// An order that takes what it can.
#[derive(Clone, Copy, Debug)]
pub struct Taker {
    /// Whose.
    pub owner: Owner,
    /// Buying or selling.
    pub side: Side,
    /// The worst tick it accepts; `None` accepts any.
    pub limit: Option<i64>,
    /// Lots wanted, above zero.
    pub lots: i64,
    /// Against the owner's own resting orders.
    pub self_trade: SelfTrade,
}

/// One thing that happened while an order took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// Lots changed hands.
    Trade {
        /// Whose resting order.
        maker: Owner,
        /// That order; 0 for the crowd's.
        order: u64,
        /// Price.
        tick: i64,
        /// Quantity.
        lots: i64,
    },
    /// A resting order of the taker's own account was taken out of the book.
    MakerExpired {
        /// The order.
        order: u64,
        /// Its price.
        tick: i64,
        /// Lots it still had.
        lots: i64,
    },
    /// The taker's rest expires here: nothing more is taken and nothing may rest.
    TakerExpired,
}

/// Best price and quantity of both sides: `(tick, lots)`, zeros for an empty side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// Best bid.
    pub bid: (i64, i64),
    /// Best ask.
    pub ask: (i64, i64),
}

/// Both sides of one book. Prices are ticks, quantities lots; a level never holds zero lots.
#[derive(Clone, Debug, Default)]
pub struct Book {
    bids: BTreeMap<i64, Level>,
    asks: BTreeMap<i64, Level>,
    touched_bids: BTreeSet<i64>,
    touched_asks: BTreeSet<i64>,
}

impl Book {
    /// Lots at a price, everyone's; 0 where there is no level.
    pub fn lots(&self, side: Side, tick: i64) -> i64 {
        self.side(side).get(&tick).map_or(0, Level::lots)
    }

    /// The crowd's lots at a price.
    pub fn crowd(&self, side: Side, tick: i64) -> i64 {
        self.side(side).get(&tick).map_or(0, Level::crowd)
    }

    /// Sets the crowd's lots at a price; zero or less takes them away. Clients keep their place.
    pub fn set_crowd(&mut self, side: Side, tick: i64, lots: i64) {
        self.edit(side, tick, |level| level.set_crowd(lots.max(0)));
    }

    /// A client's order joins the back of the queue at a price.
    pub fn rest(&mut self, side: Side, tick: i64, owner: Owner, order: u64, lots: i64) {
        assert!(lots > 0 && owner != Owner::CROWD, "only a client's open lots rest by name");
        self.edit(side, tick, |level| level.push(owner, order, lots));
    }

    /// Cuts a client's resting order to `lots`, keeping its place; 0 takes it out. The lots it had,
    /// or `None` when it does not rest there.
    pub fn cut(&mut self, side: Side, tick: i64, order: u64, lots: i64) -> Option<i64> {
        self.side(side).get(&tick)?.find(order)?;
        let mut had = None;
        self.edit(side, tick, |level| had = level.cut(order, lots));
        had
    }

    /// Lots of everyone else ahead of a client's resting order; `None` when it does not rest there.
    pub fn ahead(&self, side: Side, tick: i64, order: u64) -> Option<i64> {
        self.side(side).get(&tick)?.find(order)
    }

    /// Lets an order take what it can, best price first, first come first served. What happened is
    /// appended to `hits`; the lots it could not take are returned.
    pub fn take(&mut self, taker: &Taker, hits: &mut Vec<Hit>) -> i64 {
        assert!(taker.lots > 0, "an order takes something");
        let maker_side = taker.side.opposite();
        let mut left = taker.lots;
        while left > 0 {
            let Some(tick) = self.best(maker_side) else { break };
            let beyond = taker.limit.is_some_and(|limit| match taker.side {
                Side::Buy => tick > limit,
                Side::Sell => tick < limit,
            });
            if beyond {
                break;
            }
            let mut stopped = false;
            self.edit(maker_side, tick, |level| {
                (left, stopped) = level.take(taker, tick, left, hits);
            });
            if stopped {
                hits.push(Hit::TakerExpired);
                return left;
            }
        }
        left
    }

    /// Lots an order of `owner` could take at `limit` or better, its own resting orders left out,
    /// counted no further than `enough`.
    pub fn takeable(&self, side: Side, limit: Option<i64>, owner: Owner, enough: i64) -> i64 {
        let mut sum = 0;
        let mut add = |tick: i64, level: &Level| {
            let beyond = limit.is_some_and(|limit| match side {
                Side::Buy => tick > limit,
                Side::Sell => tick < limit,
            });
            if !beyond {
                sum += level.lots() - level.owned(owner);
            }
            !beyond && sum < enough
        };
        match side {
            Side::Buy => self.asks.iter().all(|(&tick, level)| add(tick, level)),
            Side::Sell => self.bids.iter().rev().all(|(&tick, level)| add(tick, level)),
        };
        sum
    }

    /// Best tick of a side; `None` when it is empty.
    pub fn best(&self, side: Side) -> Option<i64> {
        match side {
            Side::Buy => self.bids.last_key_value().map(|(&tick, _)| tick),
            Side::Sell => self.asks.first_key_value().map(|(&tick, _)| tick),
        }
    }

    /// Best price and quantity of both sides.
    pub fn top(&self) -> Top {
        let pair = |(&tick, level): (&i64, &Level)| (tick, level.lots());
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

    /// Farthest price of a side where the crowd stands; `None` when there is none.
    pub fn farthest_crowd(&self, side: Side) -> Option<i64> {
        let crowd = |(tick, level): (&i64, &Level)| (level.crowd() > 0).then_some(*tick);
        match side {
            Side::Buy => self.bids.iter().find_map(crowd),
            Side::Sell => self.asks.iter().rev().find_map(crowd),
        }
    }

    /// Bid levels from the best down.
    pub fn bids(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.bids.iter().rev().map(|(&tick, level)| (tick, level.lots()))
    }

    /// Ask levels from the best up.
    pub fn asks(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.asks.iter().map(|(&tick, level)| (tick, level.lots()))
    }

    /// Client orders of a side as `(tick, owner, order, lots)`, in no order of price.
    pub fn clients(&self, side: Side) -> impl Iterator<Item = (i64, Owner, u64, i64)> + '_ {
        self.side(side).iter().flat_map(|(&tick, level)| {
            level.clients().map(move |(owner, order, lots)| (tick, owner, order, lots))
        })
    }

    /// Prices of a side touched since the last [`Book::clear_touched`], ascending, with the lots
    /// now there.
    pub fn touched(&self, side: Side) -> impl Iterator<Item = (i64, i64)> + '_ {
        let touched = match side {
            Side::Buy => &self.touched_bids,
            Side::Sell => &self.touched_asks,
        };
        touched.iter().map(move |&tick| (tick, self.lots(side, tick)))
    }

    /// True when any price was touched since the last [`Book::clear_touched`].
    pub fn is_touched(&self) -> bool {
        !self.touched_bids.is_empty() || !self.touched_asks.is_empty()
    }

    /// Forgets what was touched.
    pub fn clear_touched(&mut self) {
        self.touched_bids.clear();
        self.touched_asks.clear();
    }

    fn side(&self, side: Side) -> &BTreeMap<i64, Level> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    /// Changes a level, makes it when it is not there, drops it when nothing is left.
    fn edit(&mut self, side: Side, tick: i64, change: impl FnOnce(&mut Level)) {
        let (levels, touched) = match side {
            Side::Buy => (&mut self.bids, &mut self.touched_bids),
            Side::Sell => (&mut self.asks, &mut self.touched_asks),
        };
        let level = levels.entry(tick).or_default();
        change(level);
        if level.lots() == 0 {
            levels.remove(&tick);
        }
        touched.insert(tick);
    }
}
