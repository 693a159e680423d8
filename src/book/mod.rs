//! Depth of market: both sides of one instrument, valid or not, never half changed.
//!
//! ```text
//!          snapshot batch                 change batch that bridges it
//! Empty ──────────────────► Bridging ──────────────────────────────────► Live ──┐ change batches
//!   ▲                           │                                         │  ▲──┘
//!   │                           └──────────────┐                          │
//!   └── Gap, stream down, asleep, crossed, hole in ids ───────────────────┘
//! ```
//!
//! A batch is staged while it arrives and applied as a whole with its last event, so a reader never
//! sees part of one. The book checks continuity of ids on its own, although the feed does too: a
//! hole must not become a price, whoever made it.
//!
//! `Live` with an empty side is invalid ([`Reason::BookEmpty`]) until the side fills again; every
//! other cause lasts until the next snapshot is bridged.

mod side;

#[cfg(test)]
mod tests;

use crate::base::event::{DepthHead, DepthLevels, Event, Gap, Level, StreamStatus, carries, flags};
use crate::base::limits::BATCH_LEVELS_MAX;
use crate::base::{Kind, Reason, Side};
pub use side::Levels;
use side::{BookSide, Change};

/// One instrument's book. Feed it that instrument's events and the stream's status.
#[derive(Clone, Debug)]
pub struct Book {
    bids: BookSide,
    asks: BookSide,
    state: State,
    reason: Reason,
    last_id: u64,
    ts_match: i64,
    staged: Vec<Level>,
    staged_bids: usize,
    pending: Option<Pending>,
    dropped_levels: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Empty,
    Bridging,
    Live,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    head: DepthHead,
    is_snapshot: bool,
}

/// What an event did to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookUpdate {
    /// The event is of no concern to the book, or changed nothing.
    None,
    /// Part of a batch, or a snapshot that is not bridged yet: nothing visible changed.
    Pending,
    /// A batch was applied to a valid book; `top_changed` when best price or quantity did.
    Applied {
        /// True when a best price or its quantity changed.
        top_changed: bool,
    },
    /// The book became valid.
    Synced,
    /// The book became, or is still, invalid.
    Invalid(Reason),
}

impl Book {
    /// An empty, invalid book that holds at most `capacity_per_side` levels a side. All memory is
    /// taken here.
    pub fn new(capacity_per_side: usize) -> Self {
        Self {
            bids: BookSide::new(Side::Buy, capacity_per_side),
            asks: BookSide::new(Side::Sell, capacity_per_side),
            state: State::Empty,
            reason: Reason::BookNotSynced,
            last_id: 0,
            ts_match: 0,
            staged: Vec::with_capacity(BATCH_LEVELS_MAX),
            staged_bids: 0,
            pending: None,
            dropped_levels: 0,
        }
    }

    /// Takes one event. The caller sees to it that the event is of this book's instrument or of
    /// none.
    #[inline]
    pub fn apply(&mut self, event: &Event) -> BookUpdate {
        match event.kind() {
            Some(Kind::DepthLevels) => self.on_levels(event),
            Some(Kind::DepthHead) => self.on_head(event),
            Some(Kind::Gap) => match Reason::from_u16(event.body::<Gap>().reason) {
                // Missing trades say nothing of the book.
                Some(Reason::TradeGap) => BookUpdate::None,
                reason => self.invalidate(reason.unwrap_or(Reason::BookGap)),
            },
            Some(Kind::StreamStatus)
                if !event.has(flags::ON)
                    && event.body::<StreamStatus>().has_carried(carries::DEPTH) =>
            {
                self.invalidate(Reason::StreamDown)
            }
            Some(Kind::SymbolChange) if event.puts_to_sleep() => {
                self.invalidate(Reason::SymbolDropped)
            }
            _ => BookUpdate::None,
        }
    }

    /// True when prices may be taken from the book.
    #[inline]
    pub const fn is_valid(&self) -> bool {
        matches!(self.state, State::Live) && matches!(self.reason, Reason::None)
    }

    /// Why the book is invalid; [`Reason::None`] when it is valid.
    #[inline]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Update id the book stands at, 0 before the first snapshot.
    #[inline]
    pub const fn last_id(&self) -> u64 {
        self.last_id
    }

    /// The venue's matching time of the newest batch, in nanoseconds.
    #[inline]
    pub const fn ts_match(&self) -> i64 {
        self.ts_match
    }

    /// Best bid. Present while the side has levels, valid or not.
    #[inline]
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.best()
    }

    /// Best ask. Present while the side has levels, valid or not.
    #[inline]
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.best()
    }

    /// Number of levels on a side.
    #[inline]
    pub fn levels(&self, side: Side) -> usize {
        self.side(side).len()
    }

    /// Bids from the best downward.
    pub fn bids(&self) -> Levels<'_> {
        self.bids.iter()
    }

    /// Asks from the best upward.
    pub fn asks(&self) -> Levels<'_> {
        self.asks.iter()
    }

    /// Quantity resting on a side at `limit_px` or better, 1e-8; saturates.
    pub fn depth_within(&self, side: Side, limit_px: i64) -> i64 {
        let sign = side.sign();
        let within = |level: &&Level| level.px * sign >= limit_px.wrapping_mul(sign);
        let add = |sum: i64, level: &Level| sum.saturating_add(level.qty);
        self.side(side).iter().take_while(within).fold(0, add)
    }

    /// Quantity at one price, 0 when there is no such level.
    pub fn qty_at(&self, side: Side, px: i64) -> i64 {
        self.side(side).qty_at(px)
    }

    /// Levels dropped because a side was full, since start.
    pub const fn dropped_levels(&self) -> u64 {
        self.dropped_levels
    }

    #[inline]
    const fn side(&self, side: Side) -> &BookSide {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn on_head(&mut self, event: &Event) -> BookUpdate {
        let head = *event.body::<DepthHead>();
        let is_snapshot = event.has(flags::SNAPSHOT);
        if self.pending.is_some() {
            return self.invalidate(Reason::BookGap);
        }
        if !is_snapshot && !self.follows(&head) {
            let reason = if self.state == State::Empty { self.reason } else { Reason::BookGap };
            return self.invalidate(reason);
        }
        self.staged.clear();
        self.staged_bids = 0;
        self.pending = Some(Pending { head, is_snapshot });
        if event.has(flags::LAST) { self.commit() } else { BookUpdate::Pending }
    }

    fn follows(&self, head: &DepthHead) -> bool {
        match self.state {
            State::Empty => false,
            State::Live => head.prev_id == self.last_id,
            State::Bridging => {
                head.prev_id == self.last_id
                    || (head.first_id <= self.last_id && self.last_id <= head.last_id)
            }
        }
    }

    #[inline]
    fn on_levels(&mut self, event: &Event) -> BookUpdate {
        if self.pending.is_none() {
            // The rest of a batch whose head was refused.
            return BookUpdate::None;
        }
        let is_ask = event.has(flags::SELL);
        for level in event.body::<DepthLevels>().levels {
            if level.px == 0 {
                break;
            }
            let is_lawful = level.px > 0 && level.qty >= 0;
            if !is_lawful || self.staged.len() == BATCH_LEVELS_MAX {
                return self.invalidate(Reason::BookGap);
            }
            if !is_ask && self.staged_bids != self.staged.len() {
                return self.invalidate(Reason::BookGap);
            }
            self.staged.push(level);
            self.staged_bids += usize::from(!is_ask);
        }
        if event.has(flags::LAST) { self.commit() } else { BookUpdate::Pending }
    }

    fn commit(&mut self) -> BookUpdate {
        let Some(Pending { head, is_snapshot }) = self.pending.take() else {
            return BookUpdate::None;
        };
        let expected = (head.bid_count as usize, head.ask_count as usize);
        if expected != (self.staged_bids, self.staged.len() - self.staged_bids) {
            return self.invalidate(Reason::BookGap);
        }
        let top_before = (self.best_bid(), self.best_ask());
        let was_valid = self.is_valid();
        self.last_id = head.last_id;
        self.ts_match = head.ts_match;
        if is_snapshot {
            self.bids.clear();
            self.asks.clear();
        }
        self.apply_staged(is_snapshot);
        if is_snapshot {
            self.state = State::Bridging;
            self.reason = Reason::BookNotSynced;
            return BookUpdate::Pending;
        }
        self.state = State::Live;
        self.reason = match (self.best_bid(), self.best_ask()) {
            (Some(bid), Some(ask)) if bid.px >= ask.px => {
                return self.invalidate(Reason::BookCrossed);
            }
            (Some(_), Some(_)) => Reason::None,
            _ => return self.become_empty(),
        };
        if was_valid {
            BookUpdate::Applied { top_changed: top_before != (self.best_bid(), self.best_ask()) }
        } else {
            BookUpdate::Synced
        }
    }

    fn apply_staged(&mut self, is_snapshot: bool) {
        let (bids, asks) = self.staged.split_at(self.staged_bids);
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            if is_snapshot && side.fill_from_best(levels) {
                continue;
            }
            for level in levels {
                self.dropped_levels += u64::from(side.set(*level) == Change::Dropped);
            }
        }
    }

    fn become_empty(&mut self) -> BookUpdate {
        self.reason = Reason::BookEmpty;
        BookUpdate::Invalid(Reason::BookEmpty)
    }

    #[cold]
    fn invalidate(&mut self, reason: Reason) -> BookUpdate {
        self.pending = None;
        self.state = State::Empty;
        self.reason = reason;
        BookUpdate::Invalid(reason)
    }
}
