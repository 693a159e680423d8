//! Every criterion decides, at its edge, and what is not known does not pass.

use super::{Reports, folds, scenario, shipped};
use crate::gate::criteria::{HOLD_OUT_TABLE, RULES, Rule, STRESS_TABLE};
use peregrine::registry::decision::Verdict;
use serde_json::{Value, json};

/// A value of the evidence that a criterion rests on: the nearest that passes and the nearest that
/// does not.
struct Case {
    criterion: &'static str,
    pointer: &'static str,
    inside: Value,
    outside: Value,
}

/// One for each criterion; a criterion without one fails.
fn cases() -> Vec<Case> {
    let case = |criterion, pointer, inside, outside| Case { criterion, pointer, inside, outside };
    let day = 86_400_000_u64;
    let trained = 300 * day + 4 * 36 * day;
    let paths = |count: usize| json!(vec![1.0; count]);
    vec![
        case("older_rule.sharpe_min", "/pooled/sharpe", json!(1.8), json!(1.799_999)),
        case(
            "older_rule.drawdown_frac_max",
            "/pooled/max_drawdown_frac",
            json!(0.2),
            json!(0.2001),
        ),
        case("older_rule.days_min", "/pooled/periods", json!(7), json!(6)),
        case("walk_forward.folds_min", "/folds", folds(5), folds(4)),
        case(
            "walk_forward.gap_ms_min",
            "/folds/4/test_from_ms",
            json!(trained),
            json!(trained - 1),
        ),
        case("walk_forward.folds_positive_frac_min", "/folds/9/sharpe", json!(1e-9), json!(0.0)),
        case("walk_forward.fold_sharpe_min", "/folds/0/sharpe", json!(-1.5), json!(-1.501)),
        case("walk_forward.log_loss_gain_above", "/folds/0/log_loss", json!(1.0999), json!(1.1)),
        case("walk_forward.trades_min", "/pooled/trades", json!(100), json!(99)),
        case("walk_forward.net_return_above", "/pooled/net_return", json!(1e-9), json!(0.0)),
        case(
            "walk_forward.net_return_cost_x2_above",
            "/pooled/net_return_cost_x2",
            json!(1e-9),
            json!(0.0),
        ),
        case("significance.trials_min", "/trials", json!(1), json!(0)),
        case("significance.dsr_min", "/pooled/dsr", json!(0.95), json!(0.9499)),
        case(
            "significance.track_record_ratio_min",
            "/pooled/min_track_record_length_periods",
            json!(365),
            json!(365.1),
        ),
        case("significance.pbo_max", "/pbo", json!(0.2), json!(0.2001)),
        case("cpcv.paths_min", "/cpcv/paths", paths(5), paths(4)),
        case("cpcv.sharpe_q05_above", "/cpcv/sharpe_q05", json!(1e-9), json!(0.0)),
        case("calibration.bins_min", "/calibration/bins", json!(10), json!(9)),
        case("calibration.ece_max", "/calibration/ece", json!(0.03), json!(0.0301)),
        case("hold_out.readings_max", "/readings", json!(1), json!(2)),
        case("hold_out.net_return_above", "/pooled/net_return", json!(1e-9), json!(0.0)),
        case("stress.loss_frac_max", "/scenarios/3/criteria/0/value", json!(0.03), json!(0.0301)),
        case("stress.drawdown_frac_max", "/scenarios/3/criteria/1/value", json!(0.2), json!(0.201)),
    ]
}

#[test]
fn everything_as_it_should_be_is_a_go_on_every_criterion_and_scenario() {
    let decision = Reports::good().decide().unwrap();
    assert_eq!(decision.verdict, Verdict::Go, "{:?}", decision.failed().collect::<Vec<_>>());
    assert_eq!(decision.criteria.len(), RULES.len() + shipped().scenarios.len());
    assert_eq!(decision.decided_at_ms, super::AT_MS);
}

#[test]
fn every_criterion_of_the_thresholds_decides_at_its_edge_and_is_named() {
    let cases = cases();
    let tested: Vec<&str> = cases.iter().map(|case| case.criterion).collect();
    let schema: Vec<String> = RULES.iter().map(|rule| rule.name()).collect();
    assert_eq!(tested, schema, "each criterion has a case");
    for Case { criterion, pointer, inside, outside } in cases {
        let mut reports = Reports::good();
        let mut failed_with = |value: Value| {
            let told = match criterion.split_once('.') {
                Some(("stress", _)) => &mut reports.stress,
                Some(("hold_out", _)) => &mut reports.held,
                _ => &mut reports.walk,
            };
            *told.pointer_mut(pointer).unwrap() = value;
            let decision = reports.decide().unwrap();
            let failed: Vec<String> = decision.failed().map(|c| c.name.clone()).collect();
            assert_eq!(decision.verdict == Verdict::Go, failed.is_empty());
            failed.iter().any(|name| name == criterion)
        };
        assert!(!failed_with(inside), "{criterion}: inside");
        assert!(failed_with(outside), "{criterion}: outside");
        assert!(failed_with(Value::Null), "{criterion}: not known");
        assert!(failed_with(json!("1.0")), "{criterion}: no number");
    }
}

#[test]
fn a_value_that_no_such_figure_can_have_is_not_known() {
    for (criterion, pointer, value) in [
        ("older_rule.drawdown_frac_max", "/pooled/max_drawdown_frac", -0.1),
        ("older_rule.days_min", "/pooled/periods_per_year", 0.0),
        ("significance.dsr_min", "/pooled/dsr", 1.1),
        ("significance.pbo_max", "/pbo", -0.1),
        ("significance.track_record_ratio_min", "/pooled/min_track_record_length_periods", -1.0),
        ("calibration.ece_max", "/calibration/ece", -0.01),
    ] {
        let mut reports = Reports::good();
        *reports.walk.pointer_mut(pointer).unwrap() = json!(value);
        assert!(reports.failed().iter().any(|name| name == criterion), "{pointer} is {value}");
    }
}

#[test]
fn nothing_of_the_walk_forward_is_a_no_go_on_every_criterion() {
    let reports = Reports::good();
    let _ = reports.decide().unwrap();
    std::fs::remove_file(reports.path().join("walk_forward.json")).unwrap();
    let decision = crate::gate::decide(&super::model(), reports.path(), &shipped(), 0).unwrap();
    let failed: Vec<&String> = decision.failed().map(|criterion| &criterion.name).collect();
    let of_walk = |rule: &&Rule| ![STRESS_TABLE, HOLD_OUT_TABLE].contains(&rule.table);
    assert_eq!(failed.len(), RULES.iter().filter(of_walk).count());
    assert!(decision.failed().all(|c| c.value.is_none() && c.evidence_sha256.is_none()));
}

/// What can be wrong with one scenario, and how it is done to it.
type Harm = (&'static str, fn(&mut Value));

const HARMS: [Harm; 6] = [
    ("it did not pass", |run| run["passed"] = json!(false)),
    ("one criterion did not", |run| run["criteria"][2]["passed"] = json!(false)),
    ("a value is not known", |run| run["criteria"][2]["value"] = Value::Null),
    ("a verdict is not known", |run| run["criteria"][2]["passed"] = Value::Null),
    ("nothing was looked at", |run| run["criteria"] = json!([])),
    ("it is another scenario", |run| run["name"] = json!("another")),
];

#[test]
fn every_required_scenario_must_have_been_run_and_passed_with_all_its_criteria() {
    for (at, name) in shipped().scenarios.iter().enumerate() {
        for (what, harm) in HARMS {
            let mut reports = Reports::good();
            harm(&mut reports.stress["scenarios"][at]);
            let failed = reports.failed();
            let of_scenario = failed.iter().filter(|failed| failed.starts_with("scenario."));
            assert!(of_scenario.eq([&format!("scenario.{name}")]), "{what}: {failed:?}");
        }
    }
    let mut reports = Reports::good();
    reports.stress["scenarios"] = Value::Null;
    assert_eq!(reports.failed().len(), 2 + shipped().scenarios.len());
}

#[test]
fn a_scenario_that_nobody_asked_for_must_have_passed_too_and_so_must_each_run_of_one() {
    let mut more = scenario("meteor");
    more["passed"] = json!(false);
    let mut again = scenario("gaps");
    again["criteria"][2]["passed"] = json!(false);
    for (run, failed) in [(more, "scenario.meteor"), (again, "scenario.gaps")] {
        let mut reports = Reports::good();
        reports.stress["scenarios"].as_array_mut().unwrap().insert(0, run);
        assert_eq!(reports.failed(), [failed]);
    }
}

#[test]
fn data_that_were_held_out_and_not_read_are_not_known_and_without_any_nothing_is_asked() {
    let mut reports = Reports::good();
    let names = |reports: &Reports| -> Vec<String> {
        let decision = crate::gate::decide(&reports.model, reports.path(), &shipped(), 0).unwrap();
        let held = decision.criteria.iter().filter(|c| c.name.starts_with("hold_out."));
        held.map(|c| format!("{} {}", c.name, c.passed)).collect()
    };
    reports.decide().unwrap();
    std::fs::remove_file(reports.path().join("hold_out.json")).unwrap();
    assert_eq!(names(&reports), ["hold_out.readings_max false", "hold_out.net_return_above false"]);
    reports.walk["hold_out_from_ms"] = Value::Null;
    reports.decide().unwrap();
    assert_eq!(names(&reports), ["hold_out.readings_max true", "hold_out.net_return_above true"]);
    std::fs::remove_file(reports.path().join("hold_out.json")).unwrap();
    assert!(names(&reports).is_empty());
}
