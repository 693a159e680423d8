//! Whether the cycle counter can be trusted: on every core it must show the same, and run as fast
//! as the system's clock.
//!
//! ```text
//!  round 1   core 0 ● core 1 ● …          round 2, some milliseconds later   core 0 ● core 1 ● …
//!            └── counter less clock: the same on every core ──┘
//!            └────────────── counter passed / clock passed: about 1 ──────────────┘
//! ```
//! A reading lies between two of the system's clock; how far those are apart is how wrong it may
//! be.

use std::fmt;
use std::time::{Duration, Instant};

/// Looks of one core, of which the closest counts.
const TRIES: usize = 32;
/// Least time between the two rounds.
const APART: Duration = Duration::from_millis(5);
/// Cores' counters may differ by so much beyond what readings may be wrong: far below anything a
/// hop is judged by.
const DIFFER_MAX: i64 = 20_000;
/// The counter may run faster or slower by one part in so many.
const RATE_PARTS: i64 = 100;

/// What one core showed, nanoseconds since the first look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub core: usize,
    pub counter: i64,
    pub clock: i64,
    /// How wrong the pair may be.
    pub slack: i64,
}

/// What is wrong with the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsteady {
    /// A core's counter differs from the first one's.
    Apart { core: usize, nanos: i64 },
    /// It ran so many nanoseconds while the clock ran others.
    Rate { counter: i64, clock: i64 },
}

impl fmt::Display for Unsteady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apart { core, nanos } => {
                write!(f, "the counter of core {core} is {nanos} ns ahead of the first core's")
            }
            Self::Rate { counter, clock } => {
                write!(f, "the counter ran {counter} ns while the clock ran {clock} ns")
            }
        }
    }
}

/// Two rounds over the cores this process may run on. A core it cannot be put on is left out.
pub(super) fn read(counter: impl Fn() -> u64 + Sync) -> Vec<Reading> {
    let began = Instant::now();
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let look = |core: core_affinity::CoreId| {
        let counter = &counter;
        let own =
            move || core_affinity::set_for_current(core).then(|| look(core.id, began, counter));
        // On a thread of its own: the caller stays where it is.
        std::thread::scope(|scope| scope.spawn(own).join().ok().flatten())
    };
    let mut readings: Vec<Reading> = cores.iter().filter_map(|core| look(*core)).collect();
    while began.elapsed() < APART {
        std::thread::park_timeout(APART);
    }
    readings.extend(cores.iter().filter_map(|core| look(*core)));
    readings
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The closest of some looks at both on this core.
fn look(core: usize, began: Instant, counter: &impl Fn() -> u64) -> Reading {
    let once = || {
        let before = nanos(began.elapsed());
        let counter = i64::try_from(counter()).unwrap_or(i64::MAX);
        let slack = nanos(began.elapsed()) - before;
        Reading { core, counter, clock: before + slack / 2, slack }
    };
    let first = once();
    (1..TRIES)
        .map(|_| once())
        .fold(first, |best, own| if own.slack < best.slack { own } else { best })
}

/// What speaks against the counter, if anything does.
pub(super) fn unsteady(readings: &[Reading]) -> Option<Unsteady> {
    let (first, last) = (readings.first()?, readings.last()?);
    let passed = (last.counter - first.counter, last.clock - first.clock);
    let slack = first.slack + last.slack;
    if (passed.0 - passed.1).abs() > passed.1 / RATE_PARTS + slack + DIFFER_MAX {
        return Some(Unsteady::Rate { counter: passed.0, clock: passed.1 });
    }
    readings.iter().find_map(|own| {
        // What the counter may have run away by since the first look is no difference of cores.
        let drift = (own.clock - first.clock).abs() / RATE_PARTS;
        let nanos = (own.counter - own.clock) - (first.counter - first.clock);
        let is_apart = nanos.abs() > drift + own.slack + first.slack + DIFFER_MAX;
        is_apart.then_some(Unsteady::Apart { core: own.core, nanos })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rounds over four cores, five milliseconds apart, as a perfect counter shows them.
    fn perfect() -> Vec<Reading> {
        let at = |round: i64, core: usize| {
            let clock = round * 5_000_000 + core as i64 * 100_000;
            Reading { core, counter: clock + 1_000, clock, slack: 60 }
        };
        (0..2).flat_map(|round| (0..4).map(move |core| at(round, core))).collect()
    }

    #[test]
    fn fault_p13_cores_whose_counters_differ_and_one_that_runs_wrong_are_found() {
        assert_eq!(unsteady(&perfect()), None);
        assert_eq!(unsteady(&[]), None);
        let mut apart = perfect();
        for reading in apart.iter_mut().filter(|reading| reading.core == 2) {
            reading.counter += 400_000;
        }
        assert_eq!(unsteady(&apart), Some(Unsteady::Apart { core: 2, nanos: 400_000 }));
        let mut slow = perfect();
        slow.iter_mut().for_each(|reading| reading.counter = reading.counter * 9 / 10);
        assert!(matches!(unsteady(&slow), Some(Unsteady::Rate { .. })), "{:?}", unsteady(&slow));
        // It stands still in deep sleep.
        let mut stands = perfect();
        stands[4..].iter_mut().for_each(|reading| reading.counter -= 3_000_000);
        assert!(matches!(unsteady(&stands), Some(Unsteady::Rate { .. })));
    }

    #[test]
    fn a_reading_that_was_interrupted_accuses_nobody() {
        let mut readings = perfect();
        (readings[3].counter, readings[3].slack) = (readings[3].counter + 400_000, 900_000);
        assert_eq!(unsteady(&readings), None);
    }

    #[test]
    fn fault_p13_every_core_of_this_machine_is_looked_at_twice() {
        let began = Instant::now();
        let readings = read(|| u64::try_from(began.elapsed().as_nanos()).unwrap());
        let cores = core_affinity::get_core_ids().unwrap().len();
        assert_eq!(readings.len(), 2 * cores);
        assert_eq!(unsteady(&readings), None, "the clock against itself: {readings:?}");
    }
}
