//! When the champion leaves: every cause with its limit. One is enough.

use super::account::Account;
use super::figures::Figures;
use crate::base::Reason;
use crate::registry::decision::Relation::{self, AtMost};
use serde::{Deserialize, Serialize};

/// What is known of the champion that trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Health {
    /// Hours in a row at whose end the Sharpe ratio of 24 hours was below its limit.
    pub sharpe_hours_below: u64,
    /// Fall from the highest equity, as a fraction of it.
    pub drawdown: f64,
    /// Losses since the last trade that was none.
    pub losses_in_a_row: u64,
    /// Times it could not be loaded.
    pub load_failures: u64,
    /// Files that are not what was registered.
    pub hash_mismatches: u64,
    /// Largest population stability index of its features; `None` is not known.
    pub psi: Option<f64>,
    /// Times its calibration broke since it trades.
    pub calibration_breaks: u64,
    /// Rows that came out differently when worked out again.
    pub feature_mismatches: u64,
    /// 99th percentile of the inference, nanoseconds; `None` is not known.
    pub latency_p99_ns: Option<f64>,
    /// Failed inferences since the last that succeeded.
    pub errors_in_a_row: u64,
    /// Evidence that the one before is better.
    pub evidence_of_previous: f64,
}

impl Health {
    /// Takes over what an account tells.
    pub fn with_figures(self, figures: &Figures) -> Self {
        Self {
            latency_p99_ns: figures.latency_p99_ns().map(|ns| ns as f64),
            errors_in_a_row: figures.errors_in_a_row(),
            ..self.with_account(figures.account())
        }
    }

    /// Takes over what its money tells.
    pub fn with_account(self, account: &Account) -> Self {
        Self {
            sharpe_hours_below: account.hours_below(),
            drawdown: account.drawdown(),
            losses_in_a_row: account.losses_in_a_row(),
            ..self
        }
    }
}

/// Why a champion is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackCause {
    /// It could not be loaded.
    LoadFailure,
    /// A file is not what was registered.
    HashMismatch,
    /// Its equity fell too far.
    Drawdown,
    /// Too many losses in a row.
    Losses,
    /// Its Sharpe ratio of 24 hours stayed too low for too long.
    Sharpe,
    /// Inference failed too often in a row.
    InferenceErrors,
    /// Inference took too long.
    Latency,
    /// A row of features was not what it should have been.
    FeatureMismatch,
    /// Its features are not those it was trained on.
    Drift,
    /// It is no longer as sure as it is right.
    Calibration,
    /// The one before has shown to be better.
    Evidence,
}

impl RollbackCause {
    /// As the river tells it.
    pub const fn reason(self) -> Reason {
        match self {
            Self::LoadFailure => Reason::ModelRefused,
            Self::HashMismatch => Reason::ModelHashMismatch,
            Self::Drawdown => Reason::ChampionDrawdown,
            Self::Losses => Reason::ChampionLosses,
            Self::Sharpe => Reason::ChampionSharpe,
            Self::InferenceErrors => Reason::ModelErrors,
            Self::Latency => Reason::ChampionSlow,
            Self::FeatureMismatch => Reason::FeaturesMismatched,
            Self::Drift => Reason::FeaturesDrifted,
            Self::Calibration => Reason::CalibrationBroken,
            Self::Evidence => Reason::FormerBetter,
        }
    }
}

/// One row: the key in `[rollback]`, and what keeps the champion in place.
pub struct RollbackRule {
    /// Key in the table.
    pub key: &'static str,
    /// What it is told as.
    pub cause: RollbackCause,
    /// How the value stands to the threshold while all is well.
    pub well: Relation,
    /// Least and largest threshold that is lawful.
    pub range: (f64, f64),
    /// The value; `None` is not known, and no cause.
    pub value: fn(&Health) -> Option<f64>,
}

const fn rule(
    key: &'static str,
    cause: RollbackCause,
    range: (f64, f64),
    value: fn(&Health) -> Option<f64>,
) -> RollbackRule {
    RollbackRule { key, cause, well: AtMost, range, value }
}

use RollbackCause::{
    Calibration, Drawdown, Drift, Evidence, FeatureMismatch, HashMismatch, InferenceErrors,
    Latency, LoadFailure, Losses, Sharpe,
};

/// The causes, the plainest first. A limit that may be reached and not passed is told as `_max`.
pub const ROLLBACK: [RollbackRule; 11] = [
    rule("load_failures_max", LoadFailure, (0.0, 0.0), |h| Some(h.load_failures as f64)),
    rule("hash_mismatches_max", HashMismatch, (0.0, 0.0), |h| Some(h.hash_mismatches as f64)),
    rule("drawdown_frac_max", Drawdown, (0.0, 0.25), |h| Some(h.drawdown)),
    rule("losses_in_a_row_max", Losses, (1.0, 9.0), |h| Some(h.losses_in_a_row as f64)),
    rule("sharpe_hours_below_max", Sharpe, (0.0, 23.0), |h| Some(h.sharpe_hours_below as f64)),
    rule("errors_in_a_row_max", InferenceErrors, (0.0, 2.0), |h| Some(h.errors_in_a_row as f64)),
    rule("latency_p99_ns_max", Latency, (1.0, 1e7), |h| h.latency_p99_ns),
    rule("mismatches_max", FeatureMismatch, (0.0, 0.0), |h| Some(h.feature_mismatches as f64)),
    rule("psi_max", Drift, (0.0, 0.25), |h| h.psi),
    rule("calibration_breaks_max", Calibration, (0.0, 0.0), |h| Some(h.calibration_breaks as f64)),
    rule("evidence_max", Evidence, (1.0, 20.0), |h| Some(h.evidence_of_previous)),
];

/// A limit that was passed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breach {
    /// What it is told as.
    pub cause: RollbackCause,
    /// Its key in `[rollback]`.
    pub key: &'static str,
    /// What was seen.
    pub value: f64,
    /// What would have been well.
    pub limit: f64,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rollback.{}: {} is above {}", self.key, self.value, self.limit)
    }
}

/// Every limit that was passed, in the order of the table; empty while the champion may stay.
pub fn breaches(limits: &[f64; ROLLBACK.len()], health: &Health) -> Vec<Breach> {
    let passed = |(rule, limit): (&RollbackRule, &f64)| {
        let value = (rule.value)(health)?;
        // What is no number is no reason to stay.
        let well = rule.well.holds(Some(value), *limit);
        (!well).then_some(Breach { cause: rule.cause, key: rule.key, value, limit: *limit })
    };
    ROLLBACK.iter().zip(limits).filter_map(passed).collect()
}
