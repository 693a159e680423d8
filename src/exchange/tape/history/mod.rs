//! What one contract remembers: past trades, their aggregates, candles, funding, open interest.
//! All of it is bounded; the oldest goes first.
//!
//! | file | holds |
//! |---|---|
//! | `interval` | lengths of candles, and where they begin |
//! | `layers` | candles of every interval out of four layers |
//! | `bar` | one candle |
//! | `backfill` | a past from before the opening |

mod backfill;
pub mod bar;
pub mod interval;
pub mod layers;
#[cfg(test)]
mod tests;

use super::frames::{Mark, Print};
use crate::base::Nanos;
use crate::exchange::spec::SymbolSpec;
use bar::{Bar, MarkBar};
use layers::{Layers, Span};
use std::collections::VecDeque;

/// Trades kept.
pub const TRADES_MAX: usize = 50_000;
/// Aggregates kept.
pub const AGGREGATES_MAX: usize = 50_000;
/// Funding settlements kept.
pub const FUNDINGS_MAX: usize = 1_000;
/// Time between two notes of the open interest.
pub const INTEREST_EVERY: Nanos = Nanos::from_secs(300);
/// Notes of the open interest kept: 30 days.
pub const INTERESTS_MAX: usize = 30 * 288;
/// The window of the rolling statistics, from the last whole minute back.
const DAY: Nanos = Nanos::from_secs(86_400);
const MINUTE: Nanos = Nanos::from_secs(60);

/// A trade.
#[derive(Clone, Copy, Debug)]
pub struct PastTrade {
    /// When.
    pub ts: Nanos,
    /// Its number.
    pub id: i64,
    /// What.
    pub print: Print,
}

/// Trades of one taker order at one price.
#[derive(Clone, Copy, Debug)]
pub struct PastAggregate {
    /// When.
    pub ts: Nanos,
    /// Its number.
    pub id: i64,
    /// First and last trade.
    pub ids: (i64, i64),
    /// All of them together.
    pub print: Print,
}

/// A funding settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funding {
    /// When it took place.
    pub ts: Nanos,
    /// Rate in 1e-8; longs pay where it is above zero.
    pub rate: i64,
    /// Mark price it was reckoned with, 1e-8 units.
    pub mark: i64,
}

/// A note of the open interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// When.
    pub ts: Nanos,
    /// Open interest.
    pub lots: i64,
    /// Mark price, 1e-8 units.
    pub mark: i64,
}

/// The memory of one contract.
#[derive(Clone, Debug)]
pub struct History {
    spec: SymbolSpec,
    trades: VecDeque<PastTrade>,
    aggregates: VecDeque<PastAggregate>,
    bars: Layers<Bar>,
    marks: Layers<MarkBar>,
    fundings: VecDeque<Funding>,
    interests: VecDeque<Interest>,
    mark: Mark,
}

/// What a contract is at the opening, for a past that leads to it.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// When.
    pub now: Nanos,
    /// Number of the last trade before.
    pub trade_id: i64,
    /// Number of the last aggregate before.
    pub agg_id: i64,
    /// Open interest in lots.
    pub open_interest: i64,
}

impl History {
    /// Contract the history is of.
    pub const fn spec(&self) -> &SymbolSpec {
        &self.spec
    }

    /// A trade took place.
    pub fn on_trade(&mut self, ts: Nanos, id: i64, print: Print) {
        self.bars.roll(ts);
        self.bars.forming().for_each(|bar| bar.add(id, print));
        push(&mut self.trades, TRADES_MAX, PastTrade { ts, id, print });
    }

    /// Trades of one taker order at one price; `ids` are the first and last trade.
    pub fn on_aggregate(&mut self, ts: Nanos, id: i64, ids: (i64, i64), print: Print) {
        push(&mut self.aggregates, AGGREGATES_MAX, PastAggregate { ts, id, ids, print });
    }

    /// Once a second: the mark price message's numbers and the open interest in lots.
    pub fn on_second(&mut self, ts: Nanos, mark: &Mark, open_interest: i64) {
        self.bars.roll(ts);
        self.marks.roll(ts);
        self.marks.forming().for_each(|bar| bar.go(mark.mark, mark.index));
        if mark.next > self.mark.next && self.mark.next <= ts {
            // The rate that stood before the settlement is the one settled.
            let funding = Funding { ts: self.mark.next, rate: self.mark.rate, mark: mark.mark };
            push(&mut self.fundings, FUNDINGS_MAX, funding);
        }
        self.mark = *mark;
        if ts.floor_to(INTEREST_EVERY) == ts {
            let note = Interest { ts, lots: open_interest, mark: mark.mark };
            push(&mut self.interests, INTERESTS_MAX, note);
        }
    }

    /// Trades in order of time.
    pub const fn trades(&self) -> &VecDeque<PastTrade> {
        &self.trades
    }

    /// Aggregates in order of time.
    pub const fn aggregates(&self) -> &VecDeque<PastAggregate> {
        &self.aggregates
    }

    /// Candles of trades.
    pub const fn bars(&self) -> &Layers<Bar> {
        &self.bars
    }

    /// Candles of mark price, index price and premium.
    pub const fn marks(&self) -> &Layers<MarkBar> {
        &self.marks
    }

    /// Funding settlements in order of time.
    pub const fn fundings(&self) -> &VecDeque<Funding> {
        &self.fundings
    }

    /// Open interest every five minutes, in order of time.
    pub const fn interests(&self) -> &VecDeque<Interest> {
        &self.interests
    }

    /// The last 24 hours as one candle. Like the venue's it begins on a whole minute, 24 hours
    /// before the one that `now` is in.
    pub fn last_day(&self, now: Nanos) -> Bar {
        let opened = now.floor_to(MINUTE) - DAY;
        let mut minutes = self.bars.minutes_since(opened);
        let mut day = minutes.next().copied().unwrap_or_else(|| Bar::quiet(opened, 0));
        day.opened = opened;
        minutes.for_each(|bar| day.absorb(bar));
        day
    }

    /// The candle of the second that begins at `opened`, from the trades that are still kept.
    pub fn second(&self, opened: Nanos) -> Bar {
        let end = opened + Nanos::from_secs(1);
        let first = self.trades.partition_point(|trade| trade.ts < opened);
        let before = first.checked_sub(1).map_or(0, |at| self.trades[at].print.tick);
        let mut bar = Bar::quiet(opened, before);
        let trades = self.trades.range(first..).take_while(|trade| trade.ts < end);
        trades.for_each(|trade| bar.add(trade.id, trade.print));
        bar
    }
}

/// The oldest goes before the newest comes: a list never takes more room than for `keep`.
fn push<T>(list: &mut VecDeque<T>, keep: usize, item: T) {
    while list.len() >= keep {
        list.pop_front();
    }
    list.push_back(item);
}
