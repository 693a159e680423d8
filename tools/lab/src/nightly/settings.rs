//! `learn.toml`: what is learned each night, from what, and what has to hold before.

use crate::forward::Config;
use crate::learn::Kind;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The file. Paths are below the working folder; every key may be left out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// State folder of the trader.
    pub state: PathBuf,
    /// Name of its sessions.
    pub session: String,
    /// Folder of the registry.
    pub registry: PathBuf,
    /// Folder for all that is written.
    pub work: PathBuf,
    /// What versions are called before their day; at most [`NAME_MAX`] bytes.
    pub name: String,
    /// Hour of the day, UTC, from which on the day before is due.
    pub hour: u8,
    /// Days that are learned from, the newest among them.
    pub window_days: u32,
    /// Most nights that one run makes up for.
    pub nights_max: u32,
    /// How often a night that failed is tried.
    pub tries_max: u32,
    /// Newest nights whose tables are kept.
    pub keep_nights: u32,
    /// Most versions at the stage shadow.
    pub challengers_max: u32,
    /// Least gain in log-loss over the champion, nats.
    pub improvement_min: f64,
    /// Threads; nothing depends on it.
    pub threads: u16,
    /// Niceness of all the work.
    pub nice: u8,
    /// Longest time of one step in a process of its own, seconds.
    pub time_limit_s: u64,
    /// Rows, labels, costs, folds, trees, thresholds.
    pub forward: PathBuf,
    /// Length of a bar over that of `forward`, milliseconds; 0 takes that.
    pub bar_ms: u32,
    /// What a day and its window have to be.
    pub check: Check,
    /// How a decision is made.
    pub gate: Gate,
    /// When is learned before its time.
    pub drift: Drift,
}

/// See [`Settings::check`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// Fewest independent labels of the window.
    pub labels_min: f64,
    /// Longest silence of a symbol within a session's day, seconds.
    pub gap_s_max: u32,
    /// Least share of the day that was recorded.
    pub coverage_min: f64,
    /// Most numbers missing between the trades of a symbol.
    pub trades_missing_max: u64,
    /// A feature's index against the days before above which it is another one.
    pub psi_max: f64,
    /// Most features, as a share, that may be another one.
    pub drifted_frac_max: f64,
}

/// See [`Settings::gate`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// The private key that signs decisions; empty for none.
    pub key: PathBuf,
    /// The thresholds.
    pub gates: PathBuf,
    /// The trader's configuration.
    pub trader: PathBuf,
    /// The scenarios of the stress test.
    pub scenarios: PathBuf,
}

/// See [`Settings::drift`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// Whether it is looked for.
    pub on: bool,
    /// Seconds between two looks of `watch`.
    pub look_every_s: u32,
    /// Days before the running one whose loss is looked at.
    pub loss_days: u32,
    /// A feature's index against the champion's training from which is learned early.
    pub psi_max: f64,
    /// Share of the features of another distribution from which is learned early.
    pub drifted_frac_max: f64,
}

/// Longest [`Settings::name`]: with day and kind behind it, it is a version's name.
pub const NAME_MAX: usize = 16;

impl Settings {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is missing, not known or out of its range.
    pub fn read(path: &Path) -> Result<Self> {
        let at = || path.display().to_string();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", at()))?;
        let settings: Self = toml::from_str(&text).with_context(at)?;
        settings.ranges().with_context(at)?;
        Ok(settings)
    }

    fn ranges(&self) -> Result<()> {
        let (check, drift) = (&self.check, &self.drift);
        let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let index = |index: f64| (0.01..=1e3).contains(&index);
        let ranges = [
            ("session", !self.session.is_empty()),
            ("name", (1..=NAME_MAX).contains(&self.name.len()) && self.name.bytes().all(letters)),
            ("hour", self.hour < 24),
            ("window_days", (1..=365).contains(&self.window_days)),
            ("nights_max", (1..=31).contains(&self.nights_max)),
            ("tries_max", (1..=10).contains(&self.tries_max)),
            ("keep_nights", (1..=1_000).contains(&self.keep_nights)),
            ("challengers_max", (1..=3).contains(&self.challengers_max)),
            ("improvement_min", (0.0..=1.0).contains(&self.improvement_min)),
            ("threads", (1..=64).contains(&self.threads)),
            ("nice", self.nice < 20),
            ("time_limit_s", (1..=604_800).contains(&self.time_limit_s)),
            ("bar_ms", self.bar_ms <= 86_400_000),
            ("check.labels_min", (1.0..=1e9).contains(&check.labels_min)),
            ("check.gap_s_max", (1..=86_400).contains(&check.gap_s_max)),
            ("check.coverage_min", share(check.coverage_min)),
            ("check.psi_max", index(check.psi_max)),
            ("check.drifted_frac_max", share(check.drifted_frac_max)),
            ("drift.look_every_s", (1..=86_400).contains(&drift.look_every_s)),
            ("drift.loss_days", (1..=31).contains(&drift.loss_days)),
            ("drift.psi_max", index(drift.psi_max)),
            ("drift.drifted_frac_max", share(drift.drifted_frac_max)),
        ];
        let out: Vec<&str> = ranges.iter().filter(|(_, holds)| !holds).map(|r| r.0).collect();
        ensure!(out.is_empty(), "out of range: {}", out.join(", "));
        Ok(())
    }

    /// Rows, labels, costs, folds, trees and thresholds, as far as a night can have them.
    ///
    /// # Errors
    /// As [`Config::load`]; no length of a bar; a model that carries a state from row to row.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::load(&self.forward)?;
        let at = self.forward.display();
        if self.bar_ms > 0 {
            config.rows.bar_ms = self.bar_ms;
        }
        ensure!(
            config.rows.bar_ms > 0,
            "bar_ms, or rows.bar_ms in {at}: a journal tells trades and no candles, so one of them \
             has to be set"
        );
        let kinds = match config.model.kind {
            Kind::Stack => config.stack.of.clone(),
            kind => vec![kind],
        };
        ensure!(
            !kinds.contains(&Kind::Gru),
            "{at}: model: a night judges models that carry no state from row to row"
        );
        ensure!(
            config.from_ms.is_none() && config.to_ms.is_none(),
            "{at}: from_ms, to_ms: the days decide"
        );
        Ok(config)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state: "state".into(),
            session: "paper".to_owned(),
            registry: "models_saved".into(),
            work: "learning".into(),
            name: "night".to_owned(),
            hour: 2,
            window_days: 14,
            nights_max: 3,
            tries_max: 2,
            keep_nights: 7,
            challengers_max: 3,
            improvement_min: 0.0,
            threads: 1,
            nice: 19,
            time_limit_s: 14_400,
            forward: "config/forward.toml".into(),
            bar_ms: 300_000,
            check: Check::default(),
            gate: Gate::default(),
            drift: Drift::default(),
        }
    }
}

impl Default for Check {
    fn default() -> Self {
        Self {
            labels_min: 200.0,
            gap_s_max: 60,
            coverage_min: 0.9,
            trades_missing_max: 100,
            psi_max: 0.25,
            drifted_frac_max: 0.5,
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            key: PathBuf::new(),
            gates: "config/gates.toml".into(),
            trader: "config/paper.toml".into(),
            scenarios: "config/stress.toml".into(),
        }
    }
}

impl Default for Drift {
    fn default() -> Self {
        Self { on: true, look_every_s: 900, loss_days: 3, psi_max: 0.5, drifted_frac_max: 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_comes_along_says_what_is_done_without_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = Settings::read(&root.join("config/learn.toml")).unwrap();
        assert_eq!(read, Settings::default());
        assert_eq!(read.gate.key, PathBuf::new());
        let forward = root.join(&read.forward);
        assert_eq!(Settings { forward, ..read }.config().unwrap().rows.bar_ms, 300_000);
    }

    #[test]
    fn a_key_out_of_its_range_or_of_no_meaning_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("learn.toml");
        for (text, told) in [
            ("hour = 24", "out of range: hour"),
            ("name = \"a name\"", "out of range: name"),
            ("nights = 3", "unknown field"),
            ("[check]\ngap_s_max = 0", "out of range: check.gap_s_max"),
            ("[drift]\nloss_days = 0\npsi_max = 0.0", "drift.loss_days, drift.psi_max"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", Settings::read(&path).unwrap_err());
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
