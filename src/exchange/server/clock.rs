//! How the exchange's time passes.

use crate::base::Nanos;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Which clock to run by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockMode {
    /// Opens at the wall clock's time and runs with the monotonic clock.
    #[default]
    Real,
    /// Stands still but for `POST /sim/step`.
    Stepped {
        /// Time at the opening.
        start: Nanos,
    },
}

/// A running clock.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// See [`ClockMode::Real`].
    Real {
        /// When it was started.
        since: Instant,
        /// Time at that moment.
        start: Nanos,
    },
    /// See [`ClockMode::Stepped`].
    Stepped,
}

impl ClockMode {
    /// Starts the clock; its time at the opening.
    pub fn start(self) -> (Clock, Nanos) {
        match self {
            Self::Real => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let start = Nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(0));
                (Clock::Real { since: Instant::now(), start }, start)
            }
            Self::Stepped { start } => (Clock::Stepped, start),
        }
    }
}

impl Clock {
    /// The time; `None` where it only passes by steps.
    pub fn now(&self) -> Option<Nanos> {
        match self {
            Self::Real { since, start } => {
                let passed = i64::try_from(since.elapsed().as_nanos()).unwrap_or(i64::MAX);
                Some(*start + Nanos(passed))
            }
            Self::Stepped => None,
        }
    }
}
