//! `[watch]`: how often the venue and our account there are looked at, and what follows from what
//! is seen.

use super::section::Section;
use crate::base::time::Nanos;

/// How the venue and the account are watched. Ages and intervals of 0 mean never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// Seconds between two readings of the venue's clock; 0 for never.
    pub clock_every_s: u32,
    /// RC-18: clocks that are apart by so many milliseconds are worth a warning.
    pub clock_warn_ms: u32,
    /// RC-18: from so many milliseconds on there are exits only.
    pub clock_reduce_ms: u32,
    /// RC-18: from so many milliseconds on trading halts.
    pub clock_halt_ms: u32,
    /// Oldest reading of the clock that entries may rest on, in seconds.
    pub clock_age_s_max: u32,
    /// Seconds between two readings of the contracts' states and filters; 0 for never.
    pub filters_every_s: u32,
    /// RC-13: oldest filters that entries may rest on, in seconds.
    pub filters_age_s_max: u32,
    /// Seconds between two readings of balance, margins and positions; 0 for never.
    pub account_every_s: u32,
    /// RC-07: oldest reading of the account that entries may rest on, in seconds.
    pub account_age_s_max: u32,
    /// Seconds between two readings of how the account is set up; 0 for never.
    pub modes_every_s: u32,
    /// RC-20: oldest such reading that entries may rest on, in seconds.
    pub modes_age_s_max: u32,
    /// RC-20: what stands behind a position; `None` takes what is found first.
    pub margin_type: Option<MarginType>,
    /// RC-20: leverage set for every symbol; `None` takes what is found first.
    pub leverage: Option<u32>,
    /// RC-20: whether other assets count as margin.
    pub multi_assets: bool,
    /// RC-19: least distance of the mark price from the liquidation price for entries, in basis
    /// points of the mark price. What reduced before ends here too.
    pub liquidation_entry_bps: u32,
    /// RC-19: below this distance there are exits only.
    pub liquidation_reduce_bps: u32,
    /// RC-19: below this distance half of the position is taken back, again and again.
    pub liquidation_critical_bps: u32,
    /// RC-19: how far the venue's liquidation price may be from ours, in basis points of the
    /// larger.
    pub liquidation_gap_bps_max: u32,
    /// How much less equity than the ledger the venue may count, in basis points.
    pub equity_gap_bps_max: u32,
    /// RC-21: no entries for so many seconds before and after funding is paid.
    pub funding_window_s: u32,
    /// Largest distance between mark price and touch for entries, in basis points.
    pub mark_gap_bps_max: u32,
    /// A contract is left so many seconds before it is delivered.
    pub delivery_lead_s: u32,
    /// Announced maintenance, in order.
    pub maintenance: Vec<Window>,
    /// No entries from so many seconds before maintenance on.
    pub maintenance_lead_s: u32,
    /// Leave positions before maintenance, too.
    pub maintenance_flatten: bool,
    /// RC-30: seconds between two comparisons with the venue's own list of what we earned and paid;
    /// 0 for never.
    pub drop_copy_every_s: u32,
}

/// What stands behind a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarginType {
    /// The account's whole equity.
    Cross,
    /// A margin of its own.
    Isolated,
}

/// A span of time at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub from: Nanos,
    /// Its end.
    pub until: Nanos,
}

impl WatchSettings {
    /// Every default, and nothing is asked.
    pub fn asking_nothing() -> Self {
        let mut errors = Vec::new();
        let defaults = Self::read(Section::new("watch", toml::Table::new(), &mut errors));
        Self {
            clock_every_s: 0,
            filters_every_s: 0,
            account_every_s: 0,
            modes_every_s: 0,
            drop_copy_every_s: 0,
            ..defaults
        }
    }

    pub(super) fn read(mut s: Section<'_>) -> Self {
        let margins =
            [("cross", Some(MarginType::Cross)), ("isolated", Some(MarginType::Isolated))];
        let (day, ms, bps) = (0..=86_400, 1..=10_000, 1..=10_000);
        let mut number = |key: &str, range: &std::ops::RangeInclusive<u32>, default: u32| {
            s.u32_opt(key, range.clone()).unwrap_or(default)
        };
        let mut settings = Self {
            clock_every_s: number("clock_every_s", &day, 10),
            clock_warn_ms: number("clock_warn_ms", &ms, 100),
            clock_reduce_ms: number("clock_reduce_ms", &ms, 250),
            clock_halt_ms: number("clock_halt_ms", &ms, 500),
            clock_age_s_max: number("clock_age_s_max", &day, 60),
            filters_every_s: number("filters_every_s", &day, 1_800),
            filters_age_s_max: number("filters_age_s_max", &day, 3_600),
            account_every_s: number("account_every_s", &day, 10),
            account_age_s_max: number("account_age_s_max", &day, 60),
            modes_every_s: number("modes_every_s", &day, 60),
            modes_age_s_max: number("modes_age_s_max", &day, 300),
            margin_type: None,
            leverage: None,
            multi_assets: false,
            liquidation_entry_bps: number("liquidation_entry_bps", &bps, 2_500),
            liquidation_reduce_bps: number("liquidation_reduce_bps", &bps, 2_000),
            liquidation_critical_bps: number("liquidation_critical_bps", &bps, 1_500),
            liquidation_gap_bps_max: number("liquidation_gap_bps_max", &bps, 100),
            equity_gap_bps_max: number("equity_gap_bps_max", &bps, 100),
            funding_window_s: number("funding_window_s", &(0..=3_600), 10),
            mark_gap_bps_max: number("mark_gap_bps_max", &bps, 100),
            delivery_lead_s: number("delivery_lead_s", &(0..=604_800), 3_600),
            maintenance: Vec::new(),
            maintenance_lead_s: number("maintenance_lead_s", &day, 600),
            maintenance_flatten: true,
            drop_copy_every_s: number("drop_copy_every_s", &day, 3_600),
        };
        settings.margin_type = s.choice("margin_type", &margins, None);
        settings.leverage = s.u32_opt("leverage", 1..=125);
        settings.multi_assets = s.flag("multi_assets", false);
        settings.maintenance_flatten = s.flag("maintenance_flatten", true);
        settings.maintenance = windows(&mut s);
        settings.check(&mut s);
        s.finish();
        settings
    }

    /// Thresholds that stand in the wrong order would never act, and an age below its interval
    /// would always.
    fn check(&self, s: &mut Section<'_>) {
        if self.clock_warn_ms >= self.clock_reduce_ms || self.clock_reduce_ms >= self.clock_halt_ms
        {
            s.fail("clock_warn_ms", "must be below clock_reduce_ms, and that below clock_halt_ms");
        }
        let (critical, reduce) = (self.liquidation_critical_bps, self.liquidation_reduce_bps);
        if critical >= reduce || reduce >= self.liquidation_entry_bps {
            s.fail(
                "liquidation_critical_bps",
                "must be below liquidation_reduce_bps, and that below liquidation_entry_bps",
            );
        }
        for (key, every, age) in [
            ("clock_age_s_max", self.clock_every_s, self.clock_age_s_max),
            ("filters_age_s_max", self.filters_every_s, self.filters_age_s_max),
            ("account_age_s_max", self.account_every_s, self.account_age_s_max),
            ("modes_age_s_max", self.modes_every_s, self.modes_age_s_max),
        ] {
            if every > 0 && age > 0 && age <= every {
                s.fail(key, format!("must be above the {every} s between two readings"));
            }
        }
    }
}

fn windows(s: &mut Section<'_>) -> Vec<Window> {
    let mut all: Vec<Window> = Vec::new();
    for text in s.texts("maintenance") {
        let ends = text.split_once('/').map(|(from, until)| (utc(from), utc(until)));
        match ends {
            Some((Some(from), Some(until))) if from < until => {
                if all.last().is_some_and(|last| last.until > from) {
                    s.fail(
                        "maintenance",
                        format!("{text:?} begins before the one above has ended"),
                    );
                }
                all.push(Window { from, until });
            }
            _ => s.fail(
                "maintenance",
                format!("{text:?} is no \"2026-12-01T08:00:00Z/2026-12-01T10:00:00Z\" in UTC"),
            ),
        }
    }
    all
}

/// A time such as `2026-12-01T08:00:00Z`; `None` for any other text.
fn utc(text: &str) -> Option<Nanos> {
    let text = text.trim();
    let form = "dddd-dd-ddTdd:dd:ddZ";
    let fits =
        |(own, form): (u8, u8)| if form == b'd' { own.is_ascii_digit() } else { own == form };
    if text.len() != form.len() || !text.bytes().zip(form.bytes()).all(fits) {
        return None;
    }
    let number = |place: std::ops::Range<usize>| text.get(place)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = days.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    if !(1..=*length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days before a year: every fourth has one more, but of the hundredth only the fourth.
    let before = |year: i64| year * 365 + year / 4 - year / 100 + year / 400;
    let past: i64 = days.iter().take(usize::try_from(month - 1).ok()?).sum();
    let all = before(year - 1) - before(1_969) + past + day - 1;
    Some(Nanos::from_secs(all * 86_400 + hour * 3_600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::SettingsError;

    fn read(text: &str) -> Result<WatchSettings, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let settings =
            WatchSettings::read(Section::new("watch", text.parse().unwrap(), &mut errors));
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        // Seconds by `date -u -d … +%s`.
        for (text, second) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2026-12-01T08:00:00Z", 1_796_112_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(utc(text), Some(Nanos::from_secs(second)), "{text}");
        }
        for text in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-12-00T00:00:00Z",
            "2026-12-01T24:00:00Z",
            "2026-12-01 08:00:00Z",
            "2026-12-01T08:00:00",
            "",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    #[test]
    fn maintenance_is_read_in_order_and_what_is_none_is_named() {
        let day = |hours: &str| format!("\"2026-12-01T{hours}\"");
        let good = day("08:00:00Z/2026-12-01T10:00:00Z");
        let settings = read(&format!("maintenance = [{good}]")).unwrap();
        let from = Nanos::from_secs(1_796_112_000);
        let until = from + Nanos::from_secs(7_200);
        assert_eq!(settings.maintenance, [Window { from, until }]);
        let backward = day("10:00:00Z/2026-12-01T08:00:00Z");
        let overlapping = format!("{good}, {}", day("09:00:00Z/2026-12-01T11:00:00Z"));
        for text in [backward.as_str(), "\"soon\"", overlapping.as_str()] {
            let errors = read(&format!("maintenance = [{text}]")).unwrap_err();
            assert_eq!(errors[0].key, "watch.maintenance", "{text}");
        }
    }

    #[test]
    fn thresholds_in_the_wrong_order_and_ages_below_their_interval_are_refused() {
        for (text, key) in [
            ("clock_warn_ms = 250", "watch.clock_warn_ms"),
            ("clock_halt_ms = 250", "watch.clock_warn_ms"),
            ("liquidation_critical_bps = 2000", "watch.liquidation_critical_bps"),
            ("liquidation_reduce_bps = 2500", "watch.liquidation_critical_bps"),
            ("clock_age_s_max = 10", "watch.clock_age_s_max"),
            ("filters_age_s_max = 1800", "watch.filters_age_s_max"),
            ("account_every_s = 60", "watch.account_age_s_max"),
            ("modes_every_s = 300", "watch.modes_age_s_max"),
            ("leverage = 126", "watch.leverage"),
            ("margin_type = \"none\"", "watch.margin_type"),
            ("clock_evry_s = 1", "watch.clock_evry_s"),
        ] {
            let errors = read(text).unwrap_err();
            assert_eq!(errors[0].key, key, "{text}");
        }
        assert!(read("account_every_s = 0\naccount_age_s_max = 0").is_ok());
    }
}
