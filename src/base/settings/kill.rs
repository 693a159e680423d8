//! `[kill]`: how a kill ends what is open, and when it calls for help.

use super::SettingsError;
use super::section::Section;
use crate::base::units::Money;
use toml::Table;

/// Settings of the kill procedure. None of them can keep a kill from happening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillSettings {
    /// How far through the touch an order of an immediate kill may be priced, in basis points.
    pub collar_bps: u32,
    /// Largest value of one order of an immediate kill; a larger position is left in slices.
    pub slice_notional: Money,
    /// Milliseconds of an immediate kill after which positions are closed at any price; 0 for
    /// never.
    pub market_after_ms: u32,
    /// Milliseconds after which somebody is paged because the venue is not empty.
    pub page_after_ms: u32,
    /// Milliseconds after which the second channel is used.
    pub stuck_after_ms: u32,
    /// Milliseconds a pinned thread may stand still while the rest of the process runs; then the
    /// session kills itself. 0 for never.
    pub stall_ms: u32,
}

impl Default for KillSettings {
    fn default() -> Self {
        Self {
            collar_bps: 300,
            slice_notional: Money::whole(1_000),
            market_after_ms: 10_000,
            page_after_ms: 5_000,
            stuck_after_ms: 30_000,
            stall_ms: 10_000,
        }
    }
}

impl KillSettings {
    pub(super) fn read(part: (String, Table), errors: &mut Vec<SettingsError>) -> Self {
        let usual = Self::default();
        let mut s = Section::new(&part.0, part.1, errors);
        let settings = Self {
            collar_bps: s.u32_opt("collar_bps", 1..=300).unwrap_or(usual.collar_bps),
            slice_notional: s.money_opt("slice_notional").unwrap_or(usual.slice_notional),
            market_after_ms: s
                .u32_opt("market_after_ms", 0..=600_000)
                .unwrap_or(usual.market_after_ms),
            page_after_ms: s.u32_opt("page_after_ms", 1..=600_000).unwrap_or(usual.page_after_ms),
            stuck_after_ms: s
                .u32_opt("stuck_after_ms", 1..=600_000)
                .unwrap_or(usual.stuck_after_ms),
            stall_ms: s.u32_opt("stall_ms", 0..=600_000).unwrap_or(usual.stall_ms),
        };
        if !settings.slice_notional.is_positive() {
            s.fail("slice_notional", "must be above zero");
        }
        if settings.stuck_after_ms < settings.page_after_ms {
            s.fail("stuck_after_ms", "must not be below page_after_ms");
        }
        s.finish();
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (KillSettings, Vec<String>) {
        let mut errors = Vec::new();
        let table = text.parse().unwrap();
        let settings = KillSettings::read(("kill".to_owned(), table), &mut errors);
        (settings, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_key_is_read_and_what_is_not_lawful_is_named() {
        let text = "collar_bps = 20\nslice_notional = \"50\"\nmarket_after_ms = 1\n\
                    page_after_ms = 2\nstuck_after_ms = 3\nstall_ms = 4";
        let wanted = KillSettings {
            collar_bps: 20,
            slice_notional: Money::whole(50),
            market_after_ms: 1,
            page_after_ms: 2,
            stuck_after_ms: 3,
            stall_ms: 4,
        };
        assert_eq!(read(text), (wanted, Vec::new()));
        assert_eq!(read(""), (KillSettings::default(), Vec::new()));
        for (text, key) in [
            ("collar_bps = 301", "kill.collar_bps"),
            ("slice_notional = \"0\"", "kill.slice_notional"),
            ("page_after_ms = 40000", "kill.stuck_after_ms"),
            ("exit = true", "kill.exit"),
        ] {
            let errors = read(text).1;
            assert!(errors.len() == 1 && errors[0].starts_with(key), "{text}: {errors:?}");
        }
    }
}
