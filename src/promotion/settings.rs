//! Reads the tables `[promotion]`, `[rollback]` and `[drift]` of `gates.toml`. The others are the
//! lab's: they are left to it.

use super::rollback::ROLLBACK;
use super::rules::{CANARY, Rule, SHADOW};
use super::scores::Score;
use super::sequential::{Design, LAGS_MAX};
use crate::base::settings::section::Section;
use crate::base::settings::{SettingsError, parse_document};
use crate::model::artifact::{hex, sha256};

/// The tables that are read here.
pub const TABLES: [&str; 3] = ["promotion", "rollback", "drift"];
/// The tables that are the gate's.
pub const GATE_TABLES: [&str; 7] =
    ["older_rule", "walk_forward", "significance", "cpcv", "calibration", "hold_out", "stress"];

const NS_PER_MS: i64 = 1_000_000;
/// A month of 31 days.
const MS_MAX: i64 = 31 * 86_400_000;
/// Level of all sequential statements: one in twenty.
pub const ALPHA: f64 = 0.05;

/// How a trial is made and what it has to show.
#[derive(Clone, Debug, PartialEq)]
pub struct PromotionSettings {
    /// Which score decides.
    pub score: Score,
    /// How the scores are compared.
    pub design: Design,
    /// Horizon and what is kept free after it, nanoseconds.
    pub reach_ns: i64,
    /// Days after which an open trial is told to be extended.
    pub days_extended: f64,
    /// Blocks of an arm at which its comparison is sharpest.
    pub blocks_tuned: f64,
    /// Thresholds of [`SHADOW`], in order.
    pub shadow: [f64; SHADOW.len()],
    /// Thresholds of [`CANARY`], in order.
    pub canary: [f64; CANARY.len()],
    /// Limits of [`ROLLBACK`], in order.
    pub rollback: [f64; ROLLBACK.len()],
    /// The Sharpe ratio of 24 hours that counts as low below this.
    pub sharpe_24h_min: f64,
    /// How drift is looked for.
    pub drift: DriftSettings,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// How drift is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DriftSettings {
    /// Values of a feature that are held against training.
    pub window: u32,
    /// What a full window of a running challenger covers at least, hours.
    pub window_hours: f64,
    /// Part of the features told to have drifted that may be wrong.
    pub false_discovery_rate: f64,
    /// How often ADWIN cuts a stream without change, about.
    pub adwin_delta: f64,
    /// Rise of a score, as a part of its span, that Page and Hinkley take for chance.
    pub rise_tolerance: f64,
    /// Sum of what is beyond it, at which they fire.
    pub rise_threshold: f64,
}

impl PromotionSettings {
    /// Reads a text.
    ///
    /// # Errors
    /// Every unknown, missing or unlawful key at once.
    pub fn parse(text: &str) -> Result<Self, Vec<SettingsError>> {
        let document = parse_document(text).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let mut top = Section::new("", document, &mut errors);
        for name in GATE_TABLES {
            top.table(name);
        }
        let [promotion, rollback, drift] = TABLES.map(|name| top.table(name));
        top.finish();
        let sha256 = hex(&sha256(text.as_bytes()));
        let mut section = Section::new(&promotion.0, promotion.1, &mut errors);
        let mut read = trial(&mut section, sha256);
        let stages = ["shadow_to_canary", "canary_to_champion"].map(|name| section.table(name));
        section.finish();
        let [shadow, canary] = stages;
        read.shadow = thresholds(Section::new(&shadow.0, shadow.1, &mut errors), &SHADOW);
        read.canary = thresholds(Section::new(&canary.0, canary.1, &mut errors), &CANARY);
        let mut section = Section::new(&rollback.0, rollback.1, &mut errors);
        read.sharpe_24h_min = section.number("sharpe_24h_min", 1.0..=100.0);
        read.rollback =
            ROLLBACK.each_ref().map(|rule| section.number(rule.key, rule.range.0..=rule.range.1));
        section.finish();
        let mut section = Section::new(&drift.0, drift.1, &mut errors);
        read.drift = DriftSettings {
            window: section.u32("window", 100..=100_000),
            window_hours: section.number("window_hours", 0.001..=168.0),
            false_discovery_rate: section.number("false_discovery_rate", 0.0001..=0.1),
            adwin_delta: section.number("adwin_delta", 1e-6..=0.1),
            rise_tolerance: section.number("rise_tolerance", 0.0..=0.1),
            rise_threshold: section.number("rise_threshold", 0.1..=1_000.0),
        };
        section.finish();
        if errors.is_empty() { Ok(read) } else { Err(errors) }
    }
}

fn trial(section: &mut Section<'_>, sha256: String) -> PromotionSettings {
    let scores = [("brier", Score::Brier), ("log_loss", Score::LogLoss)];
    section.require(&["score"]);
    let score = section.choice("score", &scores, Score::LogLoss);
    let horizon_ms = section.integer("horizon_ms", 1..=MS_MAX);
    let reach_ms = horizon_ms + section.integer("embargo_ms", 0..=MS_MAX);
    let slot_ms = section.integer("slot_ms", 1..=MS_MAX).max(1);
    let lags = Design::lags_of(reach_ms, slot_ms);
    if lags > i64::from(LAGS_MAX) {
        section.fail("slot_ms", format!("{slot_ms} makes {lags} sub-streams of {LAGS_MAX}"));
    }
    let variance_tuned = section.number("variance_tuned", 1e-4..=1e4);
    let design = Design {
        slot_ns: slot_ms * NS_PER_MS,
        lags: u32::try_from(lags).unwrap_or(LAGS_MAX).clamp(1, LAGS_MAX),
        span: score.span(),
        variance_tuned,
        alpha: ALPHA,
    };
    PromotionSettings {
        score,
        design,
        reach_ns: reach_ms * NS_PER_MS,
        days_extended: section.number("days_extended", 7.0..=14.0),
        blocks_tuned: section.number("blocks_tuned", 2.0..=100_000.0),
        shadow: [0.0; SHADOW.len()],
        canary: [0.0; CANARY.len()],
        rollback: [0.0; ROLLBACK.len()],
        sharpe_24h_min: 0.0,
        drift: DriftSettings::default(),
        sha256,
    }
}

fn thresholds<const N: usize>(mut section: Section<'_>, rules: &[Rule; N]) -> [f64; N] {
    let values = rules.each_ref().map(|rule| section.number(rule.key, rule.range.0..=rule.range.1));
    section.finish();
    values
}
