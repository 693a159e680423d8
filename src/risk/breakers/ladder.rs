//! Levels with hysteresis: up at once, down when it has been calm for long enough.
//!
//! ```text
//!   value ≥ trip ──► the rung's level, at once
//!   value < clear ──► the rung below, after the cool-down (halts and kills: at once, since the
//!                     trading state they led to is left by an operator alone)
//! ```

use crate::base::{Level, Nanos};

/// Most rungs of one control.
pub(super) const RUNGS: usize = 3;

/// One step of a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rung {
    pub(super) level: Level,
    /// Values from here on trip.
    pub(super) trip: i64,
    /// Values below this end it.
    pub(super) clear: i64,
}

impl Rung {
    /// Ends as soon as the value is below the limit.
    pub(super) const fn sharp(level: Level, limit: i64) -> Self {
        Self { level, trip: limit, clear: limit }
    }

    /// Ends a tenth below the limit: a value that hangs at the limit does not flutter.
    pub(super) const fn soft(level: Level, limit: i64) -> Self {
        Self { level, trip: limit, clear: limit - limit / 10 }
    }

    /// Ends at a value of its own.
    pub(super) const fn pair(level: Level, trip: i64, clear: i64) -> Self {
        Self { level, trip, clear }
    }
}

/// A control's rungs, lowest first. No rungs: it never trips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rungs([Option<Rung>; RUNGS]);

impl Rungs {
    pub(super) fn new(rungs: &[Rung]) -> Self {
        let mut all = Self::default();
        for (place, rung) in all.0.iter_mut().zip(rungs) {
            *place = Some(*rung);
        }
        all
    }

    /// The rungs there are, lowest first.
    pub(super) fn each(&self) -> impl DoubleEndedIterator<Item = &Rung> {
        self.0.iter().flatten()
    }

    /// Highest level whose limit `value` reaches.
    fn reached(&self, value: i64) -> Level {
        self.each().rev().find(|rung| value >= rung.trip).map_or(Level::Clear, |rung| rung.level)
    }

    /// Highest level, up to `level`, that `value` does not end.
    fn kept(&self, value: i64, level: Level) -> Level {
        let kept = self.each().rev().find(|rung| rung.level <= level && value >= rung.clear);
        kept.map_or(Level::Clear, |rung| rung.level)
    }

    /// Limit of a level; 0 for one that there is not.
    pub(super) fn limit(&self, level: Level) -> i64 {
        self.each().find(|rung| rung.level == level).map_or(0, |rung| rung.trip)
    }

    /// True for a value that no rung is reached by, but the next one nearly: more than four fifths.
    pub(super) fn nears(&self, value: i64) -> bool {
        self.0[0].is_some_and(|rung| {
            value < rung.trip && i128::from(value) * 5 > i128::from(rung.trip) * 4
        })
    }
}

/// Where one control, or one control of one instrument, stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ladder {
    pub(super) level: Level,
    /// Since when every value would end the level.
    calm: Option<Nanos>,
}

impl Ladder {
    /// Takes a value in; true when the level changed.
    pub(super) fn judge(
        &mut self,
        rungs: &Rungs,
        value: i64,
        now: Nanos,
        cool_down: Nanos,
    ) -> bool {
        let before = self.level;
        let reached = rungs.reached(value);
        if reached > before {
            (self.level, self.calm) = (reached, None);
            return true;
        }
        let kept = rungs.kept(value, before);
        if kept == before {
            self.calm = None;
            return false;
        }
        let since = *self.calm.get_or_insert(now);
        // Neither a warning nor a latched state has to wait.
        let waits = before == Level::Reduce && now - since < cool_down;
        if waits {
            return false;
        }
        (self.level, self.calm) = (kept, None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos::from_secs(1);

    fn rungs() -> Rungs {
        Rungs::new(&[
            Rung::sharp(Level::Warn, 200),
            Rung::pair(Level::Reduce, 300, 250),
            Rung::sharp(Level::Halt, 500),
        ])
    }

    #[test]
    fn every_level_begins_at_its_limit_and_not_one_unit_before() {
        for (limit, below, level) in [
            (200, Level::Clear, Level::Warn),
            (300, Level::Warn, Level::Reduce),
            (500, Level::Reduce, Level::Halt),
        ] {
            let mut ladder = Ladder::default();
            ladder.judge(&rungs(), limit - 1, Nanos::ZERO, SECOND);
            assert_eq!(ladder.level, below, "{limit}");
            assert!(ladder.judge(&rungs(), limit, Nanos::ZERO, SECOND));
            assert_eq!(ladder.level, level, "{limit}");
        }
    }

    #[test]
    fn a_reduction_ends_below_its_other_limit_after_an_unbroken_cool_down() {
        let mut ladder = Ladder::default();
        let mut at = |value: i64, ms: i64| {
            ladder.judge(&rungs(), value, Nanos::from_millis(ms), SECOND);
            ladder.level
        };
        assert_eq!(at(300, 0), Level::Reduce);
        assert_eq!(at(250, 10), Level::Reduce, "not below the lower limit");
        assert_eq!(at(249, 20), Level::Reduce, "the cool-down begins");
        assert_eq!(at(250, 900), Level::Reduce, "and is broken");
        assert_eq!(at(200, 1_000), Level::Reduce);
        assert_eq!(at(200, 1_999), Level::Reduce);
        assert_eq!(at(200, 2_000), Level::Warn);
        assert_eq!(at(199, 2_001), Level::Clear, "a warning does not wait");
    }

    #[test]
    fn only_a_level_that_changes_is_a_change() {
        let mut ladder = Ladder::default();
        let mut changes = |value, ms| ladder.judge(&rungs(), value, Nanos::from_millis(ms), SECOND);
        assert!(!changes(199, 0));
        assert!(changes(300, 1));
        assert!(!changes(300, 2) && !changes(250, 3), "it stays");
        assert!(!changes(249, 10), "the cool-down begins");
        assert!(!changes(249, 1_009));
        assert!(changes(249, 1_010), "down to the warning");
        assert!(!changes(249, 1_011));
    }

    #[test]
    fn each_level_has_its_own_limit_and_one_that_there_is_not_has_none() {
        let limits = [Level::Warn, Level::Reduce, Level::Halt, Level::Kill];
        assert_eq!(limits.map(|level| rungs().limit(level)), [200, 300, 500, 0]);
    }

    #[test]
    fn more_than_four_fifths_of_the_first_limit_is_near() {
        let near: Vec<i64> = (0..600).filter(|&value| rungs().nears(value)).collect();
        assert_eq!((near.first(), near.last()), (Some(&161), Some(&199)));
    }
}
