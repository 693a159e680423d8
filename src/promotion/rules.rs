//! What has to hold, as tables: each row a key of `gates.toml`, how the value stands to it, how
//! loose it may be, and where the value is found. The older rules end the ranges: they can be made
//! stricter and not looser.

use super::observed::Observed;
use crate::registry::decision::Relation::{self, Above, AtLeast, AtMost};

/// One row.
pub struct Rule {
    /// Key in its table.
    pub key: &'static str,
    /// How the value has to stand to the threshold.
    pub relation: Relation,
    /// Least and largest threshold that is lawful.
    pub range: (f64, f64),
    /// The value; `None` is not known.
    pub value: fn(&Observed) -> Option<f64>,
}

const fn rule(
    key: &'static str,
    relation: Relation,
    range: (f64, f64),
    value: fn(&Observed) -> Option<f64>,
) -> Rule {
    Rule { key, relation, range, value }
}

const MANY: f64 = 1e9;
/// Nanoseconds: ten milliseconds.
const LATENCY_MAX: f64 = 1e7;

/// From shadow to canary, `[promotion.shadow_to_canary]`.
pub const SHADOW: [Rule; 19] = [
    rule("days_min", AtLeast, (7.0, 14.0), |o| Some(o.days)),
    rule("days_max", AtMost, (14.0, 28.0), |o| Some(o.days)),
    rule("predictions_min", AtLeast, (2_000.0, MANY), |o| Some(o.predictions as f64)),
    rule("label_blocks_min", AtLeast, (40.0, MANY), |o| Some(o.label_blocks as f64)),
    rule("unscored_frac_max", AtMost, (0.0, 0.1), Observed::unscored_frac),
    rule("late_max", AtMost, (0.0, 0.0), |o| Some(o.late as f64)),
    rule("challengers_max", AtMost, (1.0, 3.0), |o| Some(f64::from(o.challengers))),
    rule("sharpe_min", AtLeast, (1.8, 100.0), |o| o.challenger.sharpe),
    rule("drawdown_frac_max", AtMost, (0.0, 0.2), |o| o.challenger.drawdown_max),
    rule("sharpe_gain_frac_min", AtLeast, (0.05, 100.0), Observed::sharpe_gain),
    rule("drawdown_worse_frac_max", AtMost, (-1.0, 0.0), Observed::drawdown_worse),
    rule("evidence_min", AtLeast, (20.0, MANY), |o| o.evidence_per_challenger()),
    rule("mean_gain_above", Above, (0.0, 10.0), |o| o.mean_gain),
    rule("ece_max", AtMost, (0.0, 0.1), |o| o.ece),
    rule("psi_max", AtMost, (0.0, 0.25), |o| o.psi),
    rule("features_drifted_max", AtMost, (0.0, 0.5), |o| o.features_drifted),
    rule("days_since_rise_min", AtLeast, (1.0, 14.0), |o| Some(o.days_since_rise)),
    rule("feature_mismatches_max", AtMost, (0.0, 0.0), |o| Some(o.mismatches as f64)),
    rule("latency_p99_ns_max", AtMost, (1.0, LATENCY_MAX), |o| o.challenger.latency_p99_ns),
];

/// From canary to champion, `[promotion.canary_to_champion]`.
pub const CANARY: [Rule; 17] = [
    rule("days_min", AtLeast, (7.0, 14.0), |o| Some(o.days)),
    rule("days_max", AtMost, (14.0, 28.0), |o| Some(o.days)),
    rule("predictions_min", AtLeast, (100.0, MANY), |o| Some(o.predictions as f64)),
    rule("canary_blocks_min", AtLeast, (20.0, MANY), |o| Some(o.canary_blocks as f64)),
    rule("champion_blocks_min", AtLeast, (20.0, MANY), |o| Some(o.champion_blocks as f64)),
    rule("sharpe_min", AtLeast, (1.8, 100.0), |o| o.challenger.sharpe),
    rule("drawdown_frac_max", AtMost, (0.0, 0.2), |o| o.challenger.drawdown_max),
    rule("sharpe_gain_frac_min", AtLeast, (0.05, 100.0), Observed::sharpe_gain),
    rule("drawdown_worse_frac_max", AtMost, (-1.0, 0.0), Observed::drawdown_worse),
    rule("net_difference_above", Above, (-0.001, 1.0), |o| o.net_lower_bound),
    rule("ece_max", AtMost, (0.0, 0.1), |o| o.ece),
    rule("psi_max", AtMost, (0.0, 0.25), |o| o.psi),
    rule("days_since_rise_min", AtLeast, (1.0, 14.0), |o| Some(o.days_since_rise)),
    rule("feature_mismatches_max", AtMost, (0.0, 0.0), |o| Some(o.mismatches as f64)),
    rule("latency_p99_ns_max", AtMost, (1.0, LATENCY_MAX), |o| o.challenger.latency_p99_ns),
    rule("slippage_apart_frac_max", AtMost, (0.0, 0.2), |o| o.challenger.slippage_apart),
    rule("guardrail_trips_max", AtMost, (0.0, 0.0), |o| o.guardrail_trips.map(|n| n as f64)),
];
