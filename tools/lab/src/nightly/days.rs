//! UTC days by number and by name.

use jiff::civil::Date;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// A UTC day, counted from the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// The day of a time, milliseconds since the epoch.
    pub const fn of(ms: i64) -> Self {
        Self(ms.div_euclid(DAY_MS))
    }

    /// Its first millisecond.
    pub const fn from_ms(self) -> i64 {
        self.0 * DAY_MS
    }

    /// The first millisecond behind it.
    pub const fn until_ms(self) -> i64 {
        self.from_ms() + DAY_MS
    }

    /// So many days before it, newest first.
    pub fn before(self, count: u32) -> impl Iterator<Item = Self> {
        (self.0 - i64::from(count)..self.0).rev().map(Self)
    }

    /// Such as 2026-01-10.
    pub fn name(self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.from_ms()).unwrap_or_default();
        at.strftime("%Y-%m-%d").to_string()
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        let day: Date = name.parse().ok()?;
        let since = day.duration_since(jiff::civil::date(1970, 1, 1));
        Some(Self(since.as_hours() / 24)).filter(|day| day.name() == name)
    }
}

/// One night: a whole day, or a day as far as it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Night {
    /// Its newest day.
    pub day: Day,
    /// Learned before the day was over: up to when, milliseconds since the epoch.
    pub early_until_ms: Option<i64>,
}

impl Night {
    /// After the whole day.
    pub const fn of(day: Day) -> Self {
        Self { day, early_until_ms: None }
    }

    /// Its folder and its key in the ledger.
    pub fn name(self) -> String {
        let end = if self.early_until_ms.is_some() { "-early" } else { "" };
        format!("{}{end}", self.day.name())
    }

    /// The first millisecond that it does not know of.
    pub fn until_ms(self) -> i64 {
        self.early_until_ms.unwrap_or(self.day.until_ms())
    }

    /// The name of its version of a kind.
    pub fn version(self, name: &str, kind: &str) -> String {
        let early = if self.early_until_ms.is_some() { "e" } else { "" };
        format!("{name}-{}{early}-{kind}", self.day.name().replace('-', ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::settings::NAME_MAX;
    use peregrine::model::artifact::check_version;

    #[test]
    fn days_have_their_names_and_names_their_days() {
        let day = Day::of(1_768_003_200_000);
        assert_eq!(day.name(), "2026-01-10");
        assert_eq!(Day::parse("2026-01-10"), Some(day));
        assert_eq!(Day::of(day.until_ms() - 1), day);
        assert_eq!(Day::of(day.until_ms()).name(), "2026-01-11");
        let before: Vec<String> = day.before(2).map(Day::name).collect();
        assert_eq!(before, ["2026-01-09", "2026-01-08"]);
        assert_eq!(Day::parse("2026-1-10"), None);
        assert_eq!(Day::parse("2026-01-10-early"), None);
    }

    #[test]
    fn the_longest_name_with_day_and_kind_is_a_versions_name() {
        let early = Night { day: Day(20_000), early_until_ms: Some(0) };
        for kind in ["cold", "warm"] {
            check_version(&early.version(&"n".repeat(NAME_MAX), kind)).unwrap();
        }
        let whole = Night::of(early.day);
        assert_ne!(whole.version("n", "cold"), early.version("n", "cold"));
        assert_ne!(whole.name(), early.name());
    }
}
