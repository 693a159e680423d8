//! Signs of life of the pinned threads, and how the session hears that one stopped.

use crate::base::Measure;
use crate::engine::Halt;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Marks that nothing new was measured.
const NOTHING: i64 = i64::MIN;

/// One thread's turns and end.
#[derive(Debug)]
pub struct Heartbeat {
    turns: CachePadded<AtomicU64>,
    ended: AtomicBool,
    /// One more than the place of a thread that does not turn; 0 for none.
    stalled: AtomicUsize,
    /// Newest measures that were not taken yet.
    measures: [AtomicI64; Measure::COUNT],
    halt: Mutex<Option<String>>,
    /// Most events that waited on the ring this thread empties, and how many it holds.
    ring: CachePadded<(AtomicUsize, AtomicUsize)>,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            turns: CachePadded::default(),
            ended: AtomicBool::default(),
            stalled: AtomicUsize::default(),
            measures: [const { AtomicI64::new(NOTHING) }; Measure::COUNT],
            halt: Mutex::default(),
            ring: CachePadded::default(),
        }
    }
}

impl Heartbeat {
    /// One turn of the loop. Only the thread itself calls this.
    #[inline]
    pub fn beat(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// So many events wait on the ring that this thread empties, which holds so many. Only the
    /// thread itself calls this, once a turn.
    #[inline]
    pub fn note_ring(&self, waiting: usize, capacity: usize) {
        let (most, holds) = &*self.ring;
        // One writer; the reader's reset may be overwritten by what was seen before it.
        if waiting > most.load(Ordering::Relaxed) {
            most.store(waiting, Ordering::Relaxed);
        }
        if holds.load(Ordering::Relaxed) != capacity {
            holds.store(capacity, Ordering::Relaxed);
        }
    }

    /// Most events that waited on the ring since it was last asked for, and how many it holds; 0
    /// without a ring.
    pub fn take_ring(&self) -> (usize, usize) {
        (self.ring.0.swap(0, Ordering::Relaxed), self.ring.1.load(Ordering::Relaxed))
    }

    /// Turns so far.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Tells this thread what was measured; what it has not taken yet is replaced.
    pub fn tell(&self, measure: Measure, value: i64) {
        self.measures[measure as usize].store(value, Ordering::Relaxed);
    }

    /// What was measured since it was last asked for.
    #[inline]
    pub fn take_measure(&self, measure: Measure) -> Option<i64> {
        let slot = &self.measures[measure as usize];
        // A look first: mostly there is nothing.
        if slot.load(Ordering::Relaxed) == NOTHING {
            return None;
        }
        Some(slot.swap(NOTHING, Ordering::Relaxed))
    }

    /// Tells this thread that the one at `place` does not turn.
    pub fn tell_stall(&self, place: usize) {
        self.stalled.store(place + 1, Ordering::Relaxed);
    }

    /// The place of a thread that does not turn, if this one was told of one; once.
    #[inline]
    pub fn take_stall(&self) -> Option<usize> {
        // A look first: it costs nothing, and nearly always there is nothing.
        if self.stalled.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.stalled.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    /// The thread is leaving its loop; `halt` says why when it was not asked to.
    pub fn end(&self, halt: Option<&Halt>) {
        if let Some(halt) = halt {
            let mut slot = self.halt.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = Some(halt.to_string());
        }
        self.ended.store(true, Ordering::Release);
    }

    /// True once the loop was left.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Why the loop was left, if not on request.
    pub fn halt(&self) -> Option<String> {
        self.halt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
