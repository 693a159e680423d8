//! The clock that latency stamps come from.

pub use crate::base::hop::{Hop, Stamp};

use super::steady::{Unsteady, read, unsteady};
use std::time::Instant;

/// The only source of latency stamps: the cycle counter, scaled to nanoseconds by a calibration
/// made once at start and read back on every core. Where the processor has no steady counter, or
/// its cores' counters differ, the monotonic clock stands in.
///
/// Stamps never enter an event: no decision rests on them. Clones share the calibration, so stamps
/// of different threads may be subtracted.
#[derive(Clone, Debug)]
pub struct CycleClock {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Cycles(quanta::Clock),
    /// Nanoseconds of the monotonic clock since then.
    System(Instant),
}

impl CycleClock {
    /// Calibrates, which takes up to 200 ms the first time in a process, and reads the counter back
    /// on every core: call it at start.
    pub fn calibrate() -> Self {
        let clock = quanta::Clock::new();
        let origin = clock.raw();
        let readings = read(|| clock.delta_as_nanos(origin, clock.raw()));
        let found = unsteady(&readings);
        if let Some(why) = found {
            tracing::warn!(%why, "the cycle counter is not steady; the system's clock is used");
        }
        Self::with(clock, found)
    }

    /// The counter, unless something was found against it.
    fn with(clock: quanta::Clock, found: Option<Unsteady>) -> Self {
        let source = match found {
            None => Source::Cycles(clock),
            Some(_) => Source::System(Instant::now()),
        };
        Self { source }
    }

    /// True where stamps are of the cycle counter.
    pub const fn is_of_cycles(&self) -> bool {
        matches!(self.source, Source::Cycles(_))
    }

    /// Reads the counter: about 12 ns, no system call where the counter is steady.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        match &self.source {
            Source::Cycles(clock) => Stamp(clock.raw()),
            Source::System(origin) => {
                Stamp(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
        }
    }

    /// Nanoseconds from `start` to `end`; 0 when `end` is not after `start` (two cores' counters
    /// may differ by a few cycles).
    #[inline]
    pub fn nanos_between(&self, start: Stamp, end: Stamp) -> u64 {
        match &self.source {
            Source::Cycles(clock) => clock.delta_as_nanos(start.0, end.0),
            Source::System(_) => end.0.saturating_sub(start.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_p13_where_the_counter_is_not_steady_the_system_s_clock_stands_in() {
        let found = Unsteady::Apart { core: 1, nanos: 1_000_000 };
        let clock = CycleClock::with(quanta::Clock::new(), Some(found));
        assert!(!clock.is_of_cycles());
        let (start, before) = (clock.stamp(), Instant::now());
        while before.elapsed().as_millis() < 2 {
            std::hint::spin_loop();
        }
        let (end, passed) = (clock.stamp(), before.elapsed());
        assert!(clock.nanos_between(start, end) >= 2_000_000);
        assert!(clock.nanos_between(start, end) <= passed.as_nanos() as u64 + 5_000_000);
        assert_eq!(clock.nanos_between(end, start), 0);
        assert!(CycleClock::with(quanta::Clock::new(), None).is_of_cycles());
    }
}
