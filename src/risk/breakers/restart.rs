//! The way back from a halt: entries grow in steps, each earned.
//!
//! ```text
//!   armed after a halt ──► first share ──► second share ──► whole size
//!                             └─ round trips without a loss, and time, for each step;
//!                                a loss begins the step again
//! ```

use crate::base::Nanos;
use crate::base::event::SessionCarried;
use crate::base::settings::BreakerSettings;

/// Steps before the whole size.
const STEPS: usize = 2;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Restart {
    percents: [u32; STEPS],
    trips_needed: u32,
    step_time: Nanos,
    /// [`STEPS`] where nothing holds entries back.
    step: usize,
    /// Round trips without a loss in this step.
    pub(super) trips: u32,
    /// When the step began.
    pub(super) since: Nanos,
}

impl Restart {
    pub(super) fn new(settings: &BreakerSettings) -> Self {
        Self {
            percents: [settings.restart_first_percent, settings.restart_second_percent],
            trips_needed: settings.restart_round_trips,
            step_time: Nanos::from_secs(i64::from(settings.restart_step_s)),
            step: STEPS,
            trips: 0,
            since: Nanos::ZERO,
        }
    }

    /// Armed after a halt.
    pub(super) fn begin(&mut self, now: Nanos) {
        (self.step, self.trips, self.since) = (0, 0, now);
    }

    /// Goes on where an earlier session was.
    pub(super) fn carry(&mut self, carried: &SessionCarried) {
        if carried.restart_percent == 0 {
            return;
        }
        let step = self.percents.iter().position(|&share| carried.restart_percent <= share);
        self.step = step.unwrap_or(STEPS - 1);
        (self.trips, self.since) = (carried.restart_trips, Nanos(carried.ts_restart));
    }

    /// A round trip ended; true when that changed anything.
    pub(super) fn on_round_trip(&mut self, lost: bool, now: Nanos) -> bool {
        if self.step == STEPS {
            return false;
        }
        if lost {
            (self.trips, self.since) = (0, now);
        } else {
            self.trips = self.trips.saturating_add(1);
        }
        true
    }

    /// Time passed; true when a step ended.
    pub(super) fn on_time(&mut self, now: Nanos) -> bool {
        let earned = self.trips >= self.trips_needed && now - self.since >= self.step_time;
        if self.step == STEPS || !earned {
            return false;
        }
        (self.step, self.trips, self.since) = (self.step + 1, 0, now);
        true
    }

    /// Share of the policy's size, in percent.
    pub(super) fn percent(&self) -> u32 {
        self.percents.get(self.step).copied().unwrap_or(100)
    }

    /// That share as it is recorded: 0 where nothing holds entries back.
    pub(super) fn recorded(&self) -> u32 {
        self.percents.get(self.step).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> BreakerSettings {
        let (restart_round_trips, restart_step_s) = (2, 10);
        BreakerSettings { restart_round_trips, restart_step_s, ..BreakerSettings::default() }
    }

    const fn at(seconds: i64) -> Nanos {
        Nanos::from_secs(1_000 + seconds)
    }

    #[test]
    fn each_step_takes_its_round_trips_and_its_time_and_a_loss_begins_it_again() {
        let mut restart = Restart::new(&settings());
        assert_eq!((restart.percent(), restart.recorded()), (100, 0));
        assert_eq!((restart.trips, restart.since), (0, Nanos::ZERO));
        restart.begin(at(0));
        assert!(!restart.on_time(at(100)), "time alone earns nothing");
        assert!(restart.on_round_trip(false, at(101)), "a gain is to be recorded");
        assert!(restart.on_round_trip(true, at(102)), "and so is a loss");
        restart.on_round_trip(false, at(103));
        assert!(!restart.on_time(at(112)), "one trip since the loss");
        restart.on_round_trip(false, at(104));
        assert!(!restart.on_time(at(111)), "nine seconds since the loss");
        assert!(restart.on_time(at(112)));
        assert_eq!(restart.percent(), 75);
        restart.on_round_trip(false, at(113));
        restart.on_round_trip(false, at(114));
        assert!(!restart.on_time(at(121)));
        assert!(restart.on_time(at(122)));
        assert_eq!((restart.percent(), restart.recorded()), (100, 0));
        assert!(!restart.on_round_trip(true, at(123)), "nothing to lose any more");
    }

    #[test]
    fn a_restart_of_the_program_goes_on_in_the_step_and_never_above_it() {
        for (percent, goes_on) in [(0, 100), (50, 50), (60, 75), (75, 75), (90, 75)] {
            let mut restart = Restart::new(&settings());
            let (restart_trips, ts_restart) = (1, at(0).0);
            restart.carry(&SessionCarried {
                restart_percent: percent,
                restart_trips,
                ts_restart,
                ..SessionCarried::default()
            });
            assert_eq!(restart.percent(), goes_on, "{percent}");
        }
    }

    #[test]
    fn a_restart_of_the_program_keeps_the_round_trips_and_the_time_of_the_step() {
        let mut restart = Restart::new(&settings());
        restart.carry(&SessionCarried {
            restart_percent: 50,
            restart_trips: 1,
            ts_restart: at(0).0,
            ..SessionCarried::default()
        });
        assert_eq!((restart.trips, restart.since), (1, at(0)));
        restart.on_round_trip(false, at(1));
        assert!(!restart.on_time(at(9)), "ten seconds from where it began");
        assert!(restart.on_time(at(10)), "one round trip before and one after");
    }
}
