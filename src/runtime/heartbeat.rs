//! Signs of life of the pinned threads, and how the session hears that one stopped.

use crate::engine::Halt;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// One thread's turns and end.
#[derive(Debug, Default)]
pub struct Heartbeat {
    turns: CachePadded<AtomicU64>,
    ended: AtomicBool,
    /// One more than the place of a thread that does not turn; 0 for none.
    stalled: AtomicUsize,
    halt: Mutex<Option<String>>,
}

impl Heartbeat {
    /// One turn of the loop. Only the thread itself calls this.
    #[inline]
    pub fn beat(&self) {
        self.turns.store(self.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Turns so far.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
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
