//! The clocks, read here and nowhere else: the wall clock that stamps receipts, and the cycle
//! counter behind the latency histograms.

use crate::base::Nanos;
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::Seq;
use crate::engine::Probe;
use crate::observe::{CycleClock, HopRecorder};
use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock in nanoseconds since the epoch.
pub fn wall_now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Times hops with the cycle counter into one thread's recorder.
pub struct CycleProbe {
    clock: CycleClock,
    recorder: HopRecorder,
}

impl CycleProbe {
    /// A probe of one thread.
    pub const fn new(clock: CycleClock, recorder: HopRecorder) -> Self {
        Self { clock, recorder }
    }

    /// Offers what was recorded to the observer; for idle turns.
    pub fn publish(&mut self) {
        self.recorder.publish();
    }
}

impl Probe for CycleProbe {
    #[inline]
    fn stamp(&mut self) -> Stamp {
        self.clock.stamp()
    }

    #[inline]
    fn record(&mut self, hop: Hop, seq: Seq, from: Stamp, to: Stamp) {
        self.recorder.record(hop, seq, self.clock.nanos_between(from, to));
    }
}
