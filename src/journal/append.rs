//! The hot path: one record into the mapping. No syscall, no lock, no allocation, no clock.

use super::error::JournalFault;
use super::format::{Opening, RecordIndex, commit_word};
use super::health::JournalHealth;
use super::lane_keeper::LaneKeeper;
use super::map::Pen;
use crate::base::Event;
use std::sync::Arc;

/// Proof that an event is recorded. Only [`LaneWriter::append`] makes one, so whoever asks for it
/// cannot be called before the append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Journaled {
    lane: u8,
    record: RecordIndex,
}

impl Journaled {
    pub(super) const fn of(lane: u8, record: RecordIndex) -> Self {
        Self { lane, record }
    }

    /// The lane that holds the record.
    pub const fn lane(self) -> usize {
        self.lane as usize
    }

    /// Its place in the lane.
    pub const fn record(self) -> RecordIndex {
        self.record
    }
}

/// The one writer of a lane.
pub struct LaneWriter {
    pen: Pen,
    /// [`Opening::seed`] of the segment under the pen.
    seed: u64,
    /// Index of the next record.
    next: u64,
    lane: u8,
    health: Arc<JournalHealth>,
    supply: Supply,
}

/// A segment ready to be written.
pub(super) struct Ready {
    pub(super) pen: Pen,
    pub(super) opening: Opening,
}

/// Where the next segment comes from.
pub(super) enum Supply {
    /// The keeper thread prepares it ahead.
    Keeper(rtrb::Consumer<Ready>),
    /// Single-threaded backtests: the writer makes it itself when it is needed.
    Inline(Box<LaneKeeper>),
}

impl LaneWriter {
    pub(super) fn new(first: Ready, health: Arc<JournalHealth>, supply: Supply) -> Self {
        let Ready { pen, opening } = first;
        // Lanes are counted in one digit.
        let lane = opening.lane as u8;
        Self { pen, seed: opening.seed(), next: opening.first_record, lane, health, supply }
    }

    /// Records `event` and returns the proof. From then on the record survives the death of this
    /// process; it survives the death of the machine once the keeper has flushed it.
    ///
    /// The event's `check` is ignored: the stored record carries its own.
    ///
    /// # Errors
    /// [`JournalFault`]: the event is not recorded and must not be acted on.
    #[inline]
    pub fn append(&mut self, event: &Event) -> Result<Journaled, JournalFault> {
        if self.health.poisoned() {
            return Err(JournalFault::Poisoned);
        }
        if self.pen.is_full() {
            self.roll()?;
        }
        let record = RecordIndex(self.next);
        if !self.pen.store(event, commit_word(event, self.seed, record)) {
            return Err(JournalFault::NoSegment);
        }
        self.next += 1;
        self.health.publish_appended(self.lane as usize, self.next);
        Ok(Journaled { lane: self.lane, record })
    }

    /// The lane this writes.
    pub const fn lane(&self) -> usize {
        self.lane as usize
    }

    /// Records appended so far.
    pub const fn records(&self) -> u64 {
        self.next
    }

    /// Goes on to the next segment. The keeper holds the old one's mapping until it sees a record
    /// in the new one, so letting go of the pen here unmaps nothing.
    #[cold]
    fn roll(&mut self) -> Result<(), JournalFault> {
        let ready = match &mut self.supply {
            Supply::Keeper(ready) => ready.pop().map_err(|_| JournalFault::NoSegment)?,
            Supply::Inline(keeper) => keeper.next_inline()?,
        };
        self.seed = ready.opening.seed();
        self.pen = ready.pen;
        Ok(())
    }

    pub(super) fn into_supply(self) -> Supply {
        self.supply
    }
}
