//! The criteria: what each is called in `gates.toml`, where its value comes from, how it has to
//! stand to its threshold, and how loose the threshold may be.

use peregrine::registry::decision::Relation::{Above, AtLeast, AtMost};
use peregrine::registry::decision::{Criterion, Relation};
use serde_json::Value;

use super::evidence::Evidence;
use super::thresholds::Thresholds;

/// One row of the table.
pub struct Rule {
    /// Table in `gates.toml`.
    pub table: &'static str,
    /// Key in that table.
    pub key: &'static str,
    /// How the value has to stand to the threshold.
    pub relation: Relation,
    /// Least and largest threshold that is lawful.
    pub range: (f64, f64),
    /// The value in its evidence: `stress.json` for the table [`STRESS_TABLE`], `hold_out.json` for
    /// [`HOLD_OUT_TABLE`], else `walk_forward.json`. `None` is not known.
    pub value: fn(&Value) -> Option<f64>,
}

const fn rule(
    (table, key): (&'static str, &'static str),
    relation: Relation,
    range: (f64, f64),
    value: fn(&Value) -> Option<f64>,
) -> Rule {
    Rule { table, key, relation, range, value }
}

/// The table whose values are in `stress.json`.
pub const STRESS_TABLE: &str = "stress";
/// The table whose values are in `hold_out.json`; it counts where data were held out.
pub const HOLD_OUT_TABLE: &str = "hold_out";
/// The tables of `gates.toml`, in order.
pub const TABLES: [&str; 7] = [
    "older_rule",
    "walk_forward",
    "significance",
    "cpcv",
    "calibration",
    HOLD_OUT_TABLE,
    STRESS_TABLE,
];

/// Every criterion with a number, in the order of `gates.toml`.
pub const RULES: [Rule; 23] = [
    rule(("older_rule", "sharpe_min"), AtLeast, (1.8, 100.0), |v| number(v, "/pooled/sharpe")),
    rule(("older_rule", "drawdown_frac_max"), AtMost, (0.0, 0.2), |v| {
        number(v, "/pooled/max_drawdown_frac").filter(|fall| *fall >= 0.0)
    }),
    rule(("older_rule", "days_min"), AtLeast, (7.0, 36_500.0), |v| {
        let per_year = number(v, "/pooled/periods_per_year").filter(|count| *count > 0.0)?;
        Some(number(v, "/pooled/periods")? / per_year * 365.0)
    }),
    rule(("walk_forward", "folds_min"), AtLeast, (2.0, 1e5), |v| length(v, "/folds")),
    rule(("walk_forward", "gap_ms_min"), AtLeast, (0.0, 31_536_000_000.0), |v| {
        let (ends, begins) = (each(v, "train_to_ms")?, each(v, "test_from_ms")?);
        begins.iter().zip(&ends).map(|(begin, end)| begin - end).reduce(f64::min)
    }),
    rule(("walk_forward", "folds_positive_frac_min"), AtLeast, (0.5, 1.0), |v| {
        let all = each(v, "sharpe")?;
        let positive = all.iter().filter(|sharpe| **sharpe > 0.0).count();
        Some(positive as f64 / all.len() as f64)
    }),
    rule(("walk_forward", "fold_sharpe_min"), AtLeast, (-1.5, 100.0), |v| {
        each(v, "sharpe")?.into_iter().reduce(f64::min)
    }),
    rule(("walk_forward", "log_loss_gain_above"), Above, (0.0, 10.0), log_loss_gain),
    rule(("walk_forward", "trades_min"), AtLeast, (30.0, 1e9), |v| number(v, "/pooled/trades")),
    rule(("walk_forward", "net_return_above"), Above, (0.0, 1_000.0), |v| {
        number(v, "/pooled/net_return")
    }),
    rule(("walk_forward", "net_return_cost_x2_above"), Above, (0.0, 1_000.0), |v| {
        number(v, "/pooled/net_return_cost_x2")
    }),
    rule(("significance", "trials_min"), AtLeast, (1.0, 1e9), |v| number(v, "/trials")),
    rule(("significance", "dsr_min"), AtLeast, (0.9, 1.0), |v| probability(v, "/pooled/dsr")),
    rule(("significance", "track_record_ratio_min"), AtLeast, (1.0, 1_000.0), |v| {
        let needed = number(v, "/pooled/min_track_record_length_periods");
        Some(number(v, "/pooled/periods")? / needed.filter(|count| *count > 0.0)?)
    }),
    rule(("significance", "pbo_max"), AtMost, (0.0, 0.5), |v| probability(v, "/pbo")),
    rule(("cpcv", "paths_min"), AtLeast, (2.0, 1e6), |v| length(v, "/cpcv/paths")),
    rule(("cpcv", "sharpe_q05_above"), Above, (0.0, 100.0), |v| number(v, "/cpcv/sharpe_q05")),
    rule(("calibration", "bins_min"), AtLeast, (5.0, 10_000.0), |v| {
        number(v, "/calibration/bins").or_else(|| length(v, "/calibration/bins"))
    }),
    rule(("calibration", "ece_max"), AtMost, (0.0, 0.1), |v| probability(v, "/calibration/ece")),
    rule((HOLD_OUT_TABLE, "readings_max"), AtMost, (1.0, 20.0), |v| {
        number(v, "/readings").filter(|count| *count >= 1.0)
    }),
    rule((HOLD_OUT_TABLE, "net_return_above"), Above, (0.0, 1_000.0), |v| {
        number(v, "/pooled/net_return")
    }),
    rule((STRESS_TABLE, "loss_frac_max"), AtMost, (0.0, 0.2), |v| worst(v, "loss_frac")),
    rule((STRESS_TABLE, "drawdown_frac_max"), AtMost, (0.0, 0.2), |v| worst(v, "drawdown_frac")),
];

impl Rule {
    /// `table.key`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }
}

/// Judges everything: the rules in order, then every scenario that has to be passed, then every
/// other that was run. Where the validation tells of data that were held out, or they were read,
/// they count.
pub fn judge(
    thresholds: &Thresholds,
    walk: &Evidence,
    stress: &Evidence,
    held: &Evidence,
) -> Vec<Criterion> {
    let is_held = !walk.value["hold_out_from_ms"].is_null() || held.sha256.is_some();
    let rules = RULES.iter().zip(&thresholds.values);
    let rules = rules.filter(|(rule, _)| is_held || rule.table != HOLD_OUT_TABLE);
    let rules = rules.map(|(rule, &threshold)| {
        let from = match rule.table {
            STRESS_TABLE => stress,
            HOLD_OUT_TABLE => held,
            _ => walk,
        };
        let value = (rule.value)(&from.value);
        criterion(rule.name(), value, (rule.relation, threshold), from)
    });
    let required = thresholds.scenarios.iter().cloned();
    let mut names: Vec<String> = required.collect();
    for name in stress.scenarios() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let scenarios = names.into_iter().map(|name| {
        let value = passed_part(&stress.value, &name);
        criterion(format!("scenario.{name}"), value, (AtLeast, 1.0), stress)
    });
    rules.chain(scenarios).collect()
}

fn criterion(
    name: String,
    value: Option<f64>,
    (relation, threshold): (Relation, f64),
    from: &Evidence,
) -> Criterion {
    let passed = relation.holds(value, threshold);
    let (evidence, evidence_sha256) = (from.name.to_owned(), from.sha256.clone());
    Criterion { name, value, relation, threshold, passed, evidence, evidence_sha256 }
}

/// The part of a scenario's criteria that passed, the least over all runs of it: 0 where it says
/// that it did not pass or where it had no criteria, `None` where it was not run. A criterion
/// without a value did not pass.
fn passed_part(stress: &Value, name: &str) -> Option<f64> {
    let runs = stress.get("scenarios")?.as_array()?.iter();
    let parts = runs.filter(|run| run["name"] == name).map(|run| {
        let criteria = run["criteria"].as_array().map_or(&[][..], Vec::as_slice);
        let passed = criteria.iter().filter(|c| c["passed"] == true && !c["value"].is_null());
        match (run["passed"] == true, criteria.len()) {
            (true, count @ 1..) => passed.count() as f64 / count as f64,
            _ => 0.0,
        }
    });
    parts.reduce(f64::min)
}

/// The largest value of that criterion in any run of any scenario; `None` where one does not tell
/// it.
fn worst(stress: &Value, name: &str) -> Option<f64> {
    let value = |run: &Value| {
        let criteria = run.get("criteria")?.as_array()?;
        criteria.iter().find(|criterion| criterion["name"] == name)?.get("value")?.as_f64()
    };
    let runs = stress.get("scenarios")?.as_array()?;
    let all: Option<Vec<f64>> = runs.iter().map(value).collect();
    all?.into_iter().reduce(f64::max)
}

fn number(evidence: &Value, pointer: &str) -> Option<f64> {
    evidence.pointer(pointer)?.as_f64()
}

/// A number that is a probability; any other is not known.
fn probability(evidence: &Value, pointer: &str) -> Option<f64> {
    number(evidence, pointer).filter(|value| (0.0..=1.0).contains(value))
}

/// The length of a list without a hole.
fn length(evidence: &Value, pointer: &str) -> Option<f64> {
    let list = evidence.pointer(pointer)?.as_array()?;
    list.iter().all(|item| !item.is_null()).then_some(list.len() as f64)
}

/// One value of every fold; `None` where a single one is not known.
fn each(evidence: &Value, key: &str) -> Option<Vec<f64>> {
    let folds = evidence.get("folds")?.as_array()?;
    folds.iter().map(|fold| fold.get(key)?.as_f64()).collect()
}

/// Prior's log-loss minus the model's, over all test rows.
fn log_loss_gain(evidence: &Value) -> Option<f64> {
    let (told, prior) = (each(evidence, "log_loss")?, each(evidence, "log_loss_prior")?);
    let rows = each(evidence, "rows_test")?;
    let sum: f64 = rows.iter().zip(told.iter().zip(prior)).map(|(n, (m, p))| n * (p - m)).sum();
    let all: f64 = rows.iter().sum();
    (all > 0.0).then_some(sum / all)
}
