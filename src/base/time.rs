//! Time as a number in hand, never as a clock to read.

use std::ops::{Add, Sub};

/// Nanoseconds since the Unix epoch (as a point) or a span of nanoseconds. Signed: a venue's clock
/// may run ahead of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Nanos(pub i64);

impl Nanos {
    /// The epoch, or an empty span.
    pub const ZERO: Self = Self(0);

    /// From milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Whole milliseconds, rounded toward negative infinity.
    pub const fn to_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The UTC day it lies in, counted from the epoch.
    pub const fn utc_day(self) -> i64 {
        self.0.div_euclid(86_400 * 1_000_000_000)
    }

    /// The first moment that is after a UTC day, counted as [`Nanos::utc_day`] does; the last there
    /// is for days beyond the range.
    pub const fn end_of_day(day: i64) -> Self {
        Self(day.saturating_add(1).saturating_mul(86_400 * 1_000_000_000))
    }

    /// Rounds down to a multiple of `step` (above zero), counted from the epoch.
    pub const fn floor_to(self, step: Self) -> Self {
        Self(self.0.div_euclid(step.0) * step.0)
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Nanos {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        match self.0.checked_sub(other.0) {
            Some(nanos) => Self(nanos),
            None => self.furthest(),
        }
    }
}

impl Nanos {
    /// The end of the range on its own side: apart from the usual way, which costs a branch.
    #[cold]
    const fn furthest(self) -> Self {
        Self(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_to_the_nanosecond_before_the_epoch_and_after() {
        for day in [-20_000, -1, 0, 1, 20_000] {
            let midnight = Nanos::from_secs(day * 24 * 60 * 60);
            assert_eq!((midnight.utc_day(), (midnight - Nanos(1)).utc_day()), (day, day - 1));
        }
    }

    #[test]
    fn a_day_ends_where_the_next_begins_and_one_beyond_the_range_with_it() {
        for day in [-20_000, -1, 0, 1, 20_000] {
            let end = Nanos::end_of_day(day);
            assert_eq!((end.utc_day(), (end - Nanos(1)).utc_day()), (day + 1, day));
        }
        assert_eq!(Nanos::end_of_day(Nanos(i64::MAX).utc_day()), Nanos(i64::MAX));
        assert_eq!(Nanos::end_of_day(i64::MAX), Nanos(i64::MAX));
    }

    #[test]
    fn a_span_that_is_longer_than_can_be_told_is_the_longest() {
        let (first, last) = (Nanos(i64::MIN), Nanos(i64::MAX));
        assert_eq!([last - first, Nanos(0) - first, last - Nanos(-1)], [last; 3]);
        assert_eq!([first - last, first - Nanos(1), Nanos(-2) - last], [first; 3]);
        assert_eq!((first - first, Nanos(-1) - first), (Nanos(0), last));
    }
}
