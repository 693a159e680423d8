//! `[canary]`: a share of the trading for a challenger, and what ends its trial by itself.

use super::SettingsError;
use super::section::Section;
use crate::base::split::SHARE_BPS;
use toml::Table;

/// Settings of trials. A trial is begun by `peregrine ab start`, or with the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanarySettings {
    /// Version whose trial begins with the session; empty for none.
    pub model: String,
    /// Share of the blocks that it decides, in basis points.
    pub share_bps: u32,
    /// Length of a block in milliseconds; not below the horizon of either model.
    pub block_ms: u32,
    /// Seed of the deal.
    pub seed: u64,
    /// Loss of its own trades below their best, in basis points of the session's starting equity,
    /// from which on the trial ends.
    pub loss_bps_max: u32,
    /// Failed answers in a row from which on a trial ends; a champion that was changed to goes back
    /// to the one before it.
    pub errors_max: u32,
    /// 99th percentile of its time to answer, in microseconds, above which the trial ends; 0 takes
    /// `model.budget_us`.
    pub p99_us_max: u32,
}

impl Default for CanarySettings {
    fn default() -> Self {
        Self {
            model: String::new(),
            share_bps: 1_000,
            block_ms: 300_000,
            seed: 1,
            loss_bps_max: 100,
            errors_max: 3,
            p99_us_max: 0,
        }
    }
}

impl CanarySettings {
    pub(super) fn read(part: (String, Table), errors: &mut Vec<SettingsError>) -> Self {
        let usual = Self::default();
        let mut s = Section::new(&part.0, part.1, errors);
        let seed = s.integer_opt("seed", 0..=i64::MAX).map(i64::unsigned_abs);
        let settings = Self {
            model: s.text_opt("model").unwrap_or_default(),
            share_bps: s.u32_opt("share_bps", SHARE_BPS).unwrap_or(usual.share_bps),
            block_ms: s.u32_opt("block_ms", 1_000..=86_400_000).unwrap_or(usual.block_ms),
            seed: seed.unwrap_or(usual.seed),
            loss_bps_max: s.u32_opt("loss_bps_max", 1..=10_000).unwrap_or(usual.loss_bps_max),
            errors_max: s.u32_opt("errors_max", 1..=100).unwrap_or(usual.errors_max),
            p99_us_max: s.u32_opt("p99_us_max", 0..=1_000_000).unwrap_or(usual.p99_us_max),
        };
        s.finish();
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (CanarySettings, Vec<String>) {
        let mut errors = Vec::new();
        let table = text.parse().unwrap();
        let settings = CanarySettings::read(("canary".to_owned(), table), &mut errors);
        (settings, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_key_is_read_and_what_is_not_lawful_is_named() {
        let text = "model = \"b\"\nshare_bps = 2000\nblock_ms = 1000\nseed = 3\n\
                    loss_bps_max = 4\nerrors_max = 5\np99_us_max = 6";
        let wanted = CanarySettings {
            model: "b".to_owned(),
            share_bps: 2_000,
            block_ms: 1_000,
            seed: 3,
            loss_bps_max: 4,
            errors_max: 5,
            p99_us_max: 6,
        };
        assert_eq!(read(text), (wanted, Vec::new()));
        assert_eq!(read(""), (CanarySettings::default(), Vec::new()));
        for (text, key) in [
            ("share_bps = 999", "canary.share_bps"),
            ("share_bps = 2001", "canary.share_bps"),
            ("block_ms = 999", "canary.block_ms"),
            ("errors_max = 0", "canary.errors_max"),
            ("shares = 1", "canary.shares"),
        ] {
            let errors = read(text).1;
            assert!(errors.len() == 1 && errors[0].starts_with(key), "{text}: {errors:?}");
        }
    }
}
