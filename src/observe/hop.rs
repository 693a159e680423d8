//! The clock that latency stamps come from.

pub use crate::base::hop::{Hop, Stamp};

/// The only source of latency stamps: the cycle counter, scaled to nanoseconds by a calibration
/// made once at start. Where the processor has no steady counter, the monotonic clock stands in.
///
/// Stamps never enter an event: no decision rests on them. Clones share the calibration, so stamps
/// of different threads may be subtracted.
#[derive(Clone, Debug)]
pub struct CycleClock {
    clock: quanta::Clock,
}

impl CycleClock {
    /// Calibrates, which takes up to 200 ms the first time in a process: call it at start.
    pub fn calibrate() -> Self {
        Self { clock: quanta::Clock::new() }
    }

    /// Reads the counter: about 12 ns, no system call where the counter is steady.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        Stamp(self.clock.raw())
    }

    /// Nanoseconds from `start` to `end`; 0 when `end` is not after `start` (two cores' counters
    /// may differ by a few cycles).
    #[inline]
    pub fn nanos_between(&self, start: Stamp, end: Stamp) -> u64 {
        self.clock.delta_as_nanos(start.0, end.0)
    }
}
