//! Everything slow that one lane needs: prepare, flush, warm, seal, retire.
//!
//! ```text
//!  oldest on disk      sealed_to = live[0]                      next_number
//!   │ sealed … sealed │ filled │ being filled │ ready │ ready │ preparing
//!   └─ retention ─────┘        ▲ appended
//!                     ▲ flushed (durable)
//! ```
//! A filled segment is sealed once a record lies in the one after it: from then on the writer has
//! let go of its pen.

use super::append::Ready;
use super::error::{JournalError, JournalFault};
use super::folder::{Folder, UNFINISHED, sync_dir};
use super::format::{Ending, Opening, segment_file_name};
use super::health::JournalHealth;
use super::map::{Mapping, RECORDS_PER_PAGE};
use super::segment::{Durability, Preparation, Segment};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Segments ready ahead of the writer.
pub(super) const SEGMENTS_AHEAD: usize = 2;
/// Records ahead of the writer whose pages are kept writable: 4 MiB, what half a million events a
/// second write in 65 ms.
const WARM_RECORDS: u64 = 1_024 * RECORDS_PER_PAGE;
/// Turns that a busy writer's last, partial page may wait for its flush. A page under flush is
/// write-protected, so each such flush costs a busy writer one fault; full pages are flushed every
/// turn, and the partial one at once when the writer pauses.
const PARTIAL_TURNS: u32 = 25;
/// Turns after which the whole window is touched again, because the system writes dirty pages back
/// on its own after some seconds and protects them by that.
const WARM_AGAIN_TURNS: u32 = 64;

/// Waits until slots of a mapping are on the disk; tests put a failing one in its place.
pub(super) type SyncSlots = fn(&Mapping, u64, u64) -> io::Result<()>;

/// What a lane's keeper is made from.
#[derive(Clone)]
pub(super) struct LanePlan {
    pub(super) session: u64,
    pub(super) lane: usize,
    pub(super) capacity: u64,
    /// Segments kept on disk, 0 for all.
    pub(super) keep_segments: u64,
    pub(super) durability: Durability,
    pub(super) sync_slots: SyncSlots,
}

/// See the head of this file.
pub(super) struct LaneKeeper {
    plan: LanePlan,
    folder: Arc<Folder>,
    health: Arc<JournalHealth>,
    /// Segments not sealed, oldest first; never empty after [`LaneKeeper::next_ready`].
    live: VecDeque<Segment>,
    preparing: Option<Preparation>,
    next_number: u64,
    /// Number of the oldest segment that is not sealed.
    sealed_to: u64,
    /// Chain hash of segment `sealed_to - 1`.
    chain: u64,
    /// Records known to be on the disk.
    flushed: u64,
    /// Records appended when the last turn looked.
    seen: u64,
    /// Turn of the last flush that took the partial page along.
    whole_turn: u32,
    /// Records up to which pages were made writable.
    warmed: u64,
    turns: u32,
}

impl LaneKeeper {
    pub(super) fn new(plan: LanePlan, folder: Arc<Folder>, health: Arc<JournalHealth>) -> Self {
        Self {
            plan,
            folder,
            health,
            live: VecDeque::with_capacity(SEGMENTS_AHEAD + 2),
            preparing: None,
            next_number: 0,
            sealed_to: 0,
            chain: 0,
            flushed: 0,
            seen: 0,
            whole_turn: 0,
            warmed: 0,
            turns: 0,
        }
    }

    /// Prepares the next segment to the end and returns it.
    pub(super) fn next_ready(&mut self) -> Result<Ready, JournalError> {
        loop {
            if let Some(ready) = self.prepare_step()? {
                return Ok(ready);
            }
        }
    }

    /// The writer's own way to the next segment where there is no keeper thread. The new one comes
    /// first: if it cannot be made, the old one stays the last.
    pub(super) fn next_inline(&mut self) -> Result<Ready, JournalFault> {
        let ready = self.next_ready().map_err(|error| {
            self.health.note(error.to_string());
            JournalFault::NoSegment
        })?;
        match self.seal_filled(ready.opening.first_record + 1) {
            Ok(()) => Ok(ready),
            Err(error) => {
                self.health.poison(error.to_string());
                Err(JournalFault::Poisoned)
            }
        }
    }

    /// One round of the keeper thread: makes durable and seals what is due. False once a sync has
    /// failed.
    pub(super) fn turn(&mut self) -> bool {
        let appended = self.health.appended(self.plan.lane);
        let due = self.flush_target(appended);
        let durable = self.flush(due).and_then(|()| self.seal_filled(appended));
        if let Err(error) = durable {
            self.health.poison(error.to_string());
            return false;
        }
        true
    }

    /// Records for which there is room before another segment is needed, in thousandths of a
    /// segment: the lane with the least is the one to prepare for.
    pub(super) fn room(&self) -> u64 {
        let end = self.next_number.saturating_mul(self.plan.capacity);
        let left = end.saturating_sub(self.health.appended(self.plan.lane));
        left.saturating_mul(1_000) / self.plan.capacity
    }

    /// Does a bounded piece of the next segment's preparation; true when there is more to do.
    pub(super) fn prepare(&mut self, ready: &mut rtrb::Producer<Ready>) -> bool {
        if ready.is_full() {
            return false;
        }
        match self.prepare_step() {
            Ok(Some(segment)) => {
                // The ring has room: this thread alone fills it, and looked before preparing.
                let pushed = ready.push(segment);
                debug_assert!(pushed.is_ok());
                true
            }
            Ok(None) => true,
            Err(error) => {
                // Tried again next turn: space may come back. The writer meets `NoSegment` if not.
                self.preparing = None;
                self.health.note(error.to_string());
                false
            }
        }
    }

    /// Seals the lane at `appended` records, removes what was prepared in vain, makes all durable.
    /// The lane's writer is gone.
    pub(super) fn finish(mut self, appended: u64) -> Result<(), JournalError> {
        self.seal_filled(appended)?;
        let last = self.live.pop_front();
        // Before the last seal, which says that nothing follows.
        for unused in std::mem::take(&mut self.live) {
            unused.discard()?;
        }
        if let Some(preparation) = self.preparing.take() {
            drop(preparation);
            let name = segment_file_name(self.plan.lane, self.next_number);
            let path = self.folder.path.join(format!("{name}{UNFINISHED}"));
            std::fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
        if let Some(last) = last {
            let records = appended - last.opening.first_record;
            self.seal(last, Ending::Final, records)?;
        }
        self.retire(self.sealed_to)?;
        if self.plan.durability == Durability::AtClose {
            self.sync_all_segments()?;
        }
        sync_dir(&self.folder.path)?;
        self.health.publish_durable(self.plan.lane, appended);
        Ok(())
    }

    /// Up to which record this turn flushes.
    fn flush_target(&mut self, appended: u64) -> u64 {
        self.turns = self.turns.wrapping_add(1);
        let paused = appended == self.seen;
        self.seen = appended;
        if paused || self.turns.wrapping_sub(self.whole_turn) >= PARTIAL_TURNS {
            self.whole_turn = self.turns;
            return appended;
        }
        // Pages begin anew in every segment.
        let in_segment = appended % self.plan.capacity;
        (appended - in_segment % RECORDS_PER_PAGE).max(self.flushed)
    }

    /// Makes every record below `appended` durable.
    fn flush(&mut self, appended: u64) -> Result<(), JournalError> {
        if self.flushed == appended {
            return Ok(());
        }
        for segment in &self.live {
            let Opening { first_record, capacity, .. } = segment.opening;
            if first_record >= appended {
                break;
            }
            let from = self.flushed.saturating_sub(first_record);
            let to = (appended - first_record).min(capacity);
            (self.plan.sync_slots)(&segment.mapping, from, to)
                .map_err(JournalError::io("sync", &self.folder.path))?;
        }
        self.flushed = appended;
        self.health.publish_durable(self.plan.lane, appended);
        // The page under the pen may be clean now, so the next store into it would fault.
        self.warm_range(appended, appended + 1);
        Ok(())
    }

    /// Seals every segment that has a record after it.
    fn seal_filled(&mut self, appended: u64) -> Result<(), JournalError> {
        while self.live.front().is_some_and(|oldest| oldest.opening.end_record() < appended) {
            if let Some(filled) = self.live.pop_front() {
                let records = filled.opening.capacity;
                self.seal(filled, Ending::Full, records)?;
                self.retire(self.sealed_to + 1)?;
            }
        }
        Ok(())
    }

    fn seal(&mut self, segment: Segment, ending: Ending, records: u64) -> Result<(), JournalError> {
        self.chain = segment.seal(ending, records, self.chain, self.plan.durability)?;
        self.sealed_to += 1;
        Ok(())
    }

    /// Deletes the oldest sealed segments while there are more than the settings keep; `end` is one
    /// past the newest that counts. The manifest says so first: a segment that is merely missing
    /// must never look retired.
    fn retire(&mut self, end: u64) -> Result<(), JournalError> {
        if self.plan.keep_segments == 0 {
            return Ok(());
        }
        let lane = self.plan.lane;
        let mut manifest = self.folder.manifest();
        let from = manifest.first_segments[lane];
        let to = end.saturating_sub(self.plan.keep_segments).min(self.sealed_to);
        if to <= from {
            return Ok(());
        }
        manifest.first_segments[lane] = to;
        manifest.write(&self.folder.path)?;
        for number in from..to {
            let path = self.folder.path.join(segment_file_name(lane, number));
            std::fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
        Ok(())
    }

    /// Does a piece of the next segment's preparation; the segment when it is done.
    fn prepare_step(&mut self) -> Result<Option<Ready>, JournalError> {
        let LanePlan { session, lane, capacity, durability, .. } = self.plan;
        let mut preparation = match self.preparing.take() {
            Some(preparation) => preparation,
            None => {
                let opening = Opening::new(session, lane as u32, self.next_number, capacity);
                Preparation::start(&self.folder.path, opening, durability)?
            }
        };
        if !preparation.step()? {
            self.preparing = Some(preparation);
            return Ok(None);
        }
        let (pen, segment) = preparation.finish()?;
        let opening = segment.opening;
        if durability == Durability::Each {
            segment.mapping.warm(0, capacity);
        }
        self.next_number += 1;
        self.live.push_back(segment);
        Ok(Some(Ready { pen, opening }))
    }

    /// Keeps the pages that the writer meets next writable.
    pub(super) fn warm(&mut self) {
        let appended = self.health.appended(self.plan.lane);
        if self.turns.is_multiple_of(WARM_AGAIN_TURNS) {
            self.warmed = appended;
        }
        let target = appended + WARM_RECORDS;
        self.warm_range(self.warmed.max(appended), target);
        self.warmed = target;
    }

    fn warm_range(&self, from: u64, to: u64) {
        for segment in &self.live {
            let first = segment.opening.first_record;
            segment.mapping.warm(from.saturating_sub(first), to.saturating_sub(first));
        }
    }

    fn sync_all_segments(&self) -> Result<(), JournalError> {
        let first = self.folder.manifest().first_segments[self.plan.lane];
        for number in first..self.sealed_to {
            let path = self.folder.path.join(segment_file_name(self.plan.lane, number));
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(JournalError::io("sync", &path))?;
        }
        Ok(())
    }
}
