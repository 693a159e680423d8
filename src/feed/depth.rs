//! Writes one depth batch into an event batch.
//!
//! ```text
//! DepthHead | DepthLevels bids, 6 a record … | DepthLevels asks (SELL), 6 a record … (LAST)
//! ```

use super::batch::EventBatch;
use crate::base::event::{DepthHead, DepthLevels, Event, LEVELS_PER_EVENT, Level, flags};
use crate::base::limits::{BATCH_LEVELS_MAX, EVENTS_PER_FRAME_MAX};
use crate::base::{InstrumentId, Kind};

/// An open batch. Bids first, then [`DepthWriter::asks`], then [`DepthWriter::close`].
pub(super) struct DepthWriter<'o> {
    out: &'o mut EventBatch,
    start: usize,
    bid_count: u32,
    count: u32,
    slot: usize,
    template: Event,
    levels: [Level; LEVELS_PER_EVENT],
}

const _: () = assert!(BATCH_LEVELS_MAX.div_ceil(LEVELS_PER_EVENT) + 2 <= EVENTS_PER_FRAME_MAX);

impl<'o> DepthWriter<'o> {
    /// Opens a batch at the end of `out`. `stamp` carries times, instrument and flags.
    #[inline(always)]
    pub fn open(out: &'o mut EventBatch, stamp: &Event) -> Self {
        let start = out.len();
        let template = Event { kind: Kind::DepthLevels as u8, ..*stamp };
        out.push(Event { kind: Kind::DepthHead as u8, ..*stamp });
        let levels = [Level::default(); LEVELS_PER_EVENT];
        Self { out, start, bid_count: 0, count: 0, slot: 0, template, levels }
    }

    /// The next level; `false` when the batch holds all it may.
    #[inline(always)]
    #[must_use]
    pub fn level(&mut self, px: i64, qty: i64) -> bool {
        self.levels[self.slot] = Level { px, qty };
        self.slot += 1;
        self.count += 1;
        if self.slot == LEVELS_PER_EVENT {
            self.flush();
        }
        self.count as usize <= BATCH_LEVELS_MAX
    }

    /// From here on levels are asks.
    #[inline(always)]
    pub fn asks(&mut self) {
        self.flush();
        self.bid_count = self.count;
        self.template.flags |= flags::SELL;
    }

    /// Closes the batch: fills the head's counts in and flags the last event.
    #[inline(always)]
    pub fn close(mut self, head: DepthHead) {
        self.flush();
        let ask_count = self.count - self.bid_count;
        let head = DepthHead { bid_count: self.bid_count, ask_count, ..head };
        let events = self.out.as_mut_slice();
        if let Some(first) = events.get_mut(self.start) {
            let stamp = *first;
            let filled = Event::new(Kind::DepthHead, InstrumentId(stamp.instrument), &head);
            *first = Event { body: filled.body, ..stamp };
        }
        if let Some(last) = events.last_mut() {
            last.flags |= flags::LAST;
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        if self.slot == 0 {
            return;
        }
        let body = DepthLevels { levels: self.levels };
        let filled = Event::new(Kind::DepthLevels, InstrumentId(self.template.instrument), &body);
        self.out.push(Event { body: filled.body, ..self.template });
        self.levels = [Level::default(); LEVELS_PER_EVENT];
        self.slot = 0;
    }
}
