//! Lengths of candles and where they begin.

use crate::base::Nanos;

const MINUTE: Nanos = Nanos::from_secs(60);
const DAY: Nanos = Nanos::from_secs(86_400);
/// The epoch was a Thursday; weeks begin on the Monday four days later.
const FIRST_MONDAY: Nanos = Nanos(4 * DAY.0);
const WEEK: Nanos = Nanos(7 * DAY.0);

/// Length of a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Of one length, beginning at multiples of it since the epoch.
    Fixed {
        /// The venue's name for it.
        name: &'static str,
        /// Length.
        length: Nanos,
    },
    /// From Monday to Monday.
    Week,
    /// A month of the calendar.
    Month,
}

/// Names and minutes of the intervals of one length.
const FIXED: [(&str, i64); 13] = [
    ("1m", 1),
    ("3m", 3),
    ("5m", 5),
    ("15m", 15),
    ("30m", 30),
    ("1h", 60),
    ("2h", 120),
    ("4h", 240),
    ("6h", 360),
    ("8h", 480),
    ("12h", 720),
    ("1d", 1_440),
    ("3d", 4_320),
];

impl Interval {
    /// One minute.
    pub const MINUTE: Self = Self::Fixed { name: "1m", length: MINUTE };

    /// By the venue's name, such as `15m`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "1w" => Some(Self::Week),
            "1M" => Some(Self::Month),
            _ => FIXED
                .iter()
                .find(|(name, _)| *name == text)
                .map(|&(name, minutes)| Self::Fixed { name, length: Nanos(minutes * MINUTE.0) }),
        }
    }

    /// Every interval, shortest first.
    pub fn all() -> impl Iterator<Item = Self> {
        let names = FIXED.iter().map(|(name, _)| *name).chain(["1w", "1M"]);
        names.filter_map(Self::parse)
    }

    /// The venue's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed { name, .. } => name,
            Self::Week => "1w",
            Self::Month => "1M",
        }
    }

    /// When the candle that holds `ts` begins.
    pub fn start_of(self, ts: Nanos) -> Nanos {
        match self {
            Self::Fixed { length, .. } => ts.floor_to(length),
            Self::Week => (ts - FIRST_MONDAY).floor_to(WEEK) + FIRST_MONDAY,
            Self::Month => {
                let (year, month) = year_and_month(ts);
                first_of(year, month)
            }
        }
    }

    /// When the candle begins that is `count` after (before, below zero) the one that begins at
    /// `start`.
    pub fn step(self, start: Nanos, count: i64) -> Nanos {
        match self {
            Self::Fixed { length, .. } => Nanos(start.0 + count * length.0),
            Self::Week => Nanos(start.0 + count * WEEK.0),
            Self::Month => {
                let (year, month) = year_and_month(start);
                let months = year * 12 + month - 1 + count;
                first_of(months.div_euclid(12), months.rem_euclid(12) + 1)
            }
        }
    }
}

/// The month of a time, 1 to 12.
pub fn month_of(ts: Nanos) -> i64 {
    year_and_month(ts).1
}

/// Year and month (1 to 12) of a time, by the civil calendar.
fn year_and_month(ts: Nanos) -> (i64, i64) {
    // Days since 0000-03-01, in cycles of 400 years; years begin in March, so that the leap day is
    // the last of its year.
    let days = ts.0.div_euclid(DAY.0) + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + cycle * 400 + i64::from(month <= 2), month)
}

/// Midnight of the first day of a month.
fn first_of(year: i64, month: i64) -> Nanos {
    let year = if month <= 2 { year - 1 } else { year };
    let (cycle, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5;
    let days = of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year;
    Nanos((cycle * 146_097 + days - 719_468) * DAY.0)
}

#[cfg(test)]
mod tests {
    use super::Interval;
    use crate::base::Nanos;

    fn at(millis: i64) -> Nanos {
        Nanos::from_millis(millis)
    }

    #[test]
    fn candles_begin_where_the_calendar_says() {
        // 2026-07-03 17:08:28.611 UTC, a Friday. Starts by `date -u -d … +%s`.
        let ts = at(1_783_098_508_611);
        let rows = [
            ("1m", 1_783_098_480_000),
            ("5m", 1_783_098_300_000),
            ("1h", 1_783_098_000_000),
            ("1d", 1_783_036_800_000),
            ("1w", 1_782_691_200_000),
            ("1M", 1_782_864_000_000),
        ];
        for (name, start) in rows {
            let interval = Interval::parse(name).expect("an interval of the venue");
            assert_eq!(interval.start_of(ts), at(start), "{name}");
            assert_eq!(interval.start_of(at(start)), at(start), "{name}");
        }
        let month = Interval::Month;
        let july = month.start_of(ts);
        // 2026-08-01, 2026-01-01, 2024-03-01 and 2024-02-01.
        for (count, start) in [(1, 1_785_542_400), (-6, 1_767_225_600), (-28, 1_709_251_200)] {
            assert_eq!(month.step(july, count), Nanos::from_secs(start));
        }
        assert_eq!(month.step(july, -29), Nanos::from_secs(1_706_745_600));
    }

    #[test]
    fn the_venues_fifteen_intervals_are_known_and_no_other() {
        let names: Vec<_> = Interval::all().map(Interval::name).collect();
        let text = "1m,3m,5m,15m,30m,1h,2h,4h,6h,8h,12h,1d,3d,1w,1M";
        assert_eq!(names.join(","), text);
        for name in ["1s", "2m", "", "1W", "1mo"] {
            assert_eq!(Interval::parse(name), None);
        }
    }
}
