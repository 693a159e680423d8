//! The venue's procedure for keeping a local order book, one state machine per instrument.
//!
//! ```text
//!            first change: buffer it, ask for a snapshot
//!   Idle ───────────────────────────────────────────────► Buffering ◄──────────┐
//!    ▲                                                     │      │            │ pu ≠ last u:
//!    │ stream down                     snapshot L, nothing │      │ snapshot L │ Gap, ask again
//!    │ (from any state)               with u ≥ L buffered  ▼      │ and bridge │
//!    ├───────────────────────────────────────────────── Held      │            │
//!    │                         change that bridges L ───┐  │      │            │
//!    │                                                  ▼  │      ▼            │
//!    └────────────────────────────────────────────── Releasing ─► Synced ──────┘
//!                                            (snapshot, then buffered changes)
//! ```
//!
//! A change with `u < L` is older than the snapshot and dropped; `u == L` is kept, for it is the
//! bridging change in most recordings. A change bridges when `U ≤ L ≤ u`, or when `pu == L`. If the
//! first change kept does neither, the snapshot is too old and another one is asked for.
//!
//! Nothing of a book leaves the feed before its snapshot is bridged. What waited leaves with the
//! time of receipt of the frame that released it, so that time never runs backwards in the river.

use super::pool::{List, Pool};
use super::stats::{FeedStats, InstrumentStats};
use crate::base::event::{DepthHead, Event};
use crate::base::limits::SYNC_BATCHES_MAX;

/// Where an instrument stands; see the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Buffering,
    Held,
    Releasing,
    Synced,
}

/// What is to be done with the batch just offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Hand it on.
    Pass,
    /// It was kept or thrown away; hand nothing on.
    Absorb,
    /// The book can be released: snapshot and changes wait in the list.
    Release,
    /// There is a hole: expected and found.
    Gap(u64, u64),
}

/// One instrument's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sync {
    pub state: State,
    /// `u` of the newest change accepted.
    last_id: u64,
    /// Its matching time.
    last_match: i64,
    /// The snapshot's id while `Held`.
    snapshot_id: u64,
    /// Changes; while `Releasing` the snapshot and the changes.
    waiting: List,
    /// The snapshot while `Held`.
    snapshot: List,
    /// A snapshot was asked for and has not come.
    pub asked: bool,
    pub stats: InstrumentStats,
}

/// What the machines share.
pub(super) struct Shared<'s> {
    pub pool: &'s mut Pool,
    /// Events of changes that one instrument may have waiting.
    pub waiting_max: usize,
    pub stats: &'s mut FeedStats,
}

impl Sync {
    pub const NEW: Self = Self {
        state: State::Idle,
        last_id: 0,
        last_match: 0,
        snapshot_id: 0,
        waiting: List::EMPTY,
        snapshot: List::EMPTY,
        asked: false,
        stats: InstrumentStats {
            snapshot_id: 0,
            diffs_dropped: 0,
            diffs_applied: 0,
            duplicates: 0,
            gaps: 0,
            syncs: 0,
            trades_not_market: 0,
        },
    };

    /// True when a snapshot should be asked for.
    pub fn wants_snapshot(&self) -> bool {
        self.state == State::Buffering && !self.asked
    }

    /// Offers a batch of changes.
    #[inline]
    pub fn offer(&mut self, head: &DepthHead, batch: &[Event], shared: &mut Shared<'_>) -> Verdict {
        if self.state == State::Synced && head.prev_id == self.last_id {
            self.accept(head);
            self.stats.diffs_applied += 1;
            return Verdict::Pass;
        }
        self.offer_out_of_step(head, batch, shared)
    }

    /// Offers a snapshot batch.
    pub fn offer_snapshot(
        &mut self,
        head: &DepthHead,
        batch: &[Event],
        shared: &mut Shared<'_>,
    ) -> Verdict {
        self.asked = false;
        if matches!(self.state, State::Synced | State::Releasing) {
            shared.stats.snapshots_unneeded += 1;
            return Verdict::Absorb;
        }
        self.drop_older(head.last_id, shared);
        shared.pool.clear(&mut self.snapshot);
        while shared.pool.free_count() < batch.len() && !self.waiting.is_empty() {
            shared.pool.drop_batch(&mut self.waiting);
            shared.stats.sync_buffer_drops += 1;
        }
        if shared.pool.free_count() < batch.len() {
            shared.stats.sync_buffer_drops += 1;
            return Verdict::Absorb;
        }
        let first = shared.pool.first(&self.waiting).map(|event| *event.body::<DepthHead>());
        match first {
            Some(first) if !bridges(&first, head.last_id) => {
                shared.stats.snapshots_too_old += 1;
                self.state = State::Buffering;
                Verdict::Absorb
            }
            _ => {
                shared.pool.append(&mut self.snapshot, batch);
                self.snapshot_id = head.last_id;
                self.state = State::Held;
                if first.is_some() { self.release(shared) } else { Verdict::Absorb }
            }
        }
    }

    /// The next event of a released book, with its time of receipt; `None` when all have left.
    pub fn pop_released(&mut self, pool: &mut Pool) -> Option<Event> {
        let event = pool.pop(&mut self.waiting);
        if event.is_none() && self.state == State::Releasing {
            self.state = State::Synced;
        }
        event
    }

    /// Forgets everything: the stream went down or the book cannot be trusted.
    pub fn reset(&mut self, pool: &mut Pool) {
        pool.clear(&mut self.waiting);
        pool.clear(&mut self.snapshot);
        self.state = State::Idle;
        self.last_id = 0;
        self.last_match = 0;
    }

    fn offer_out_of_step(
        &mut self,
        head: &DepthHead,
        batch: &[Event],
        shared: &mut Shared<'_>,
    ) -> Verdict {
        if self.is_repeated(head) {
            self.stats.duplicates += 1;
            shared.stats.depth_duplicates += 1;
            return Verdict::Absorb;
        }
        match self.state {
            State::Synced | State::Releasing => {
                if head.prev_id == self.last_id && shared.pool.free_count() >= batch.len() {
                    self.accept(head);
                    self.stats.diffs_applied += 1;
                    shared.pool.append(&mut self.waiting, batch);
                    return Verdict::Absorb;
                }
                self.gap(head, batch, shared)
            }
            State::Held if head.last_id < self.snapshot_id => {
                self.stats.diffs_dropped += 1;
                self.accept(head);
                Verdict::Absorb
            }
            State::Held if bridges(head, self.snapshot_id) => {
                if !self.buffer(head, batch, shared) {
                    return Verdict::Absorb;
                }
                self.release(shared)
            }
            State::Held => {
                shared.pool.clear(&mut self.snapshot);
                shared.stats.snapshots_too_old += 1;
                self.restart(head, batch, shared);
                Verdict::Absorb
            }
            State::Idle | State::Buffering => {
                if !self.waiting.is_empty() && head.prev_id != self.last_id {
                    shared.pool.clear(&mut self.waiting);
                }
                self.restart(head, batch, shared);
                Verdict::Absorb
            }
        }
    }

    /// True for a change already seen, as overlapping connections deliver it. A lower id with a
    /// newer matching time is no repetition but a venue that started counting anew.
    fn is_repeated(&self, head: &DepthHead) -> bool {
        self.state != State::Idle
            && head.last_id <= self.last_id
            && head.ts_match <= self.last_match
    }

    fn accept(&mut self, head: &DepthHead) {
        self.last_id = head.last_id;
        self.last_match = head.ts_match;
    }

    fn gap(&mut self, head: &DepthHead, batch: &[Event], shared: &mut Shared<'_>) -> Verdict {
        let expected = self.last_id;
        self.stats.gaps += 1;
        shared.stats.gaps += 1;
        shared.pool.clear(&mut self.waiting);
        self.restart(head, batch, shared);
        Verdict::Gap(expected, head.prev_id)
    }

    fn restart(&mut self, head: &DepthHead, batch: &[Event], shared: &mut Shared<'_>) {
        self.state = State::Buffering;
        self.buffer(head, batch, shared);
    }

    /// Keeps a change, pushing out the oldest ones when there is no room. `false`: not kept.
    fn buffer(&mut self, head: &DepthHead, batch: &[Event], shared: &mut Shared<'_>) -> bool {
        let waiting_max = shared.waiting_max;
        let full = |list: &List, pool: &Pool| {
            list.batches >= SYNC_BATCHES_MAX
                || list.events + batch.len() > waiting_max
                || pool.free_count() < batch.len()
        };
        while !self.waiting.is_empty() && full(&self.waiting, shared.pool) {
            shared.pool.drop_batch(&mut self.waiting);
            shared.stats.sync_buffer_drops += 1;
        }
        self.accept(head);
        if full(&self.waiting, shared.pool) {
            // It is too large or others hold the pool; the chain starts anew with the next change.
            shared.stats.sync_buffer_drops += 1;
            return false;
        }
        shared.pool.append(&mut self.waiting, batch);
        true
    }

    fn drop_older(&mut self, snapshot_id: u64, shared: &mut Shared<'_>) {
        while let Some(event) = shared.pool.first(&self.waiting) {
            if event.body::<DepthHead>().last_id >= snapshot_id {
                return;
            }
            shared.pool.drop_batch(&mut self.waiting);
            self.stats.diffs_dropped += 1;
        }
    }

    fn release(&mut self, shared: &mut Shared<'_>) -> Verdict {
        self.stats.diffs_applied += self.waiting.batches as u64;
        self.waiting = shared.pool.join(self.snapshot, self.waiting);
        self.snapshot = List::EMPTY;
        self.state = State::Releasing;
        self.stats.snapshot_id = self.snapshot_id;
        self.stats.syncs += 1;
        shared.stats.syncs += 1;
        Verdict::Release
    }
}

fn bridges(head: &DepthHead, snapshot_id: u64) -> bool {
    (head.first_id <= snapshot_id && snapshot_id <= head.last_id) || head.prev_id == snapshot_id
}
