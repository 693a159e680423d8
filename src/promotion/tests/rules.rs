//! Each criterion decides at its edge; nothing that is not known promotes.

use super::shipped;
use crate::promotion::rules::{CANARY, Rule, SHADOW};
use crate::promotion::verdict::{Source, Verdict, judge};
use crate::promotion::{Observed, observed::Shown};
use crate::registry::Stage;
use crate::registry::verdict::Ruling;

/// Sets what a criterion looks at.
type Set = fn(&mut Observed, Option<f64>);

/// A criterion, how its value is set, and the nearest value inside and outside.
struct Case(&'static str, Set, f64, f64);

const SHADOW_CASES: [Case; 19] = [
    Case("days_min", |o, v| o.days = v.unwrap_or(0.0), 7.0, 6.999),
    Case("days_max", |o, v| o.days = v.unwrap_or(99.0), 28.0, 28.001),
    Case("predictions_min", |o, v| o.predictions = v.unwrap_or(0.0) as u64, 2_000.0, 1_999.0),
    Case("label_blocks_min", |o, v| o.label_blocks = v.unwrap_or(0.0) as u64, 40.0, 39.0),
    // Of 3 000 predictions.
    Case("unscored_frac_max", |o, v| o.unscored = v.unwrap_or(9e9) as u64, 157.0, 158.0),
    Case("late_max", |o, v| o.late = v.unwrap_or(1.0) as u64, 0.0, 1.0),
    Case("challengers_max", |o, v| o.challengers = v.unwrap_or(9.0) as u32, 3.0, 4.0),
    Case("sharpe_min", |o, v| o.challenger.sharpe = v, 1.8, 1.799),
    Case("drawdown_frac_max", |o, v| o.challenger.drawdown_max = v, 0.2, 0.2001),
    Case("sharpe_gain_frac_min", |o, v| o.champion.sharpe = v, 2.857, 2.858),
    Case("drawdown_worse_frac_max", |o, v| o.champion.drawdown_max = v, 0.1, 0.099_9),
    Case("evidence_min", |o, v| o.evidence = v.unwrap_or(f64::NAN), 40.0, 39.99),
    Case("mean_gain_above", |o, v| o.mean_gain = v, 1e-9, 0.0),
    Case("ece_max", |o, v| o.ece = v, 0.03, 0.030_1),
    Case("psi_max", |o, v| o.psi = v, 0.25, 0.250_1),
    Case("features_drifted_max", |o, v| o.features_drifted = v, 0.2, 0.201),
    Case("days_since_rise_min", |o, v| o.days_since_rise = v.unwrap_or(0.0), 3.0, 2.999),
    Case("feature_mismatches_max", |o, v| o.mismatches = v.unwrap_or(1.0) as u64, 0.0, 1.0),
    Case("latency_p99_ns_max", |o, v| o.challenger.latency_p99_ns = v, 1e6, 1_000_001.0),
];

const CANARY_CASES: [Case; 17] = [
    Case("days_min", |o, v| o.days = v.unwrap_or(0.0), 7.0, 6.999),
    Case("days_max", |o, v| o.days = v.unwrap_or(99.0), 28.0, 28.001),
    Case("predictions_min", |o, v| o.predictions = v.unwrap_or(0.0) as u64, 2_000.0, 1_999.0),
    Case("canary_blocks_min", |o, v| o.canary_blocks = v.unwrap_or(0.0) as u64, 20.0, 19.0),
    Case("champion_blocks_min", |o, v| o.champion_blocks = v.unwrap_or(0.0) as u64, 20.0, 19.0),
    Case("sharpe_min", |o, v| o.challenger.sharpe = v, 1.8, 1.799),
    Case("drawdown_frac_max", |o, v| o.challenger.drawdown_max = v, 0.2, 0.2001),
    Case("sharpe_gain_frac_min", |o, v| o.champion.sharpe = v, 2.857, 2.858),
    Case("drawdown_worse_frac_max", |o, v| o.champion.drawdown_max = v, 0.1, 0.099_9),
    Case("net_difference_above", |o, v| o.net_lower_bound = v, -0.000_9, -0.001),
    Case("ece_max", |o, v| o.ece = v, 0.03, 0.030_1),
    Case("psi_max", |o, v| o.psi = v, 0.25, 0.250_1),
    Case("days_since_rise_min", |o, v| o.days_since_rise = v.unwrap_or(0.0), 3.0, 2.999),
    Case("feature_mismatches_max", |o, v| o.mismatches = v.unwrap_or(1.0) as u64, 0.0, 1.0),
    Case("latency_p99_ns_max", |o, v| o.challenger.latency_p99_ns = v, 1e6, 1_000_001.0),
    Case("slippage_apart_frac_max", |o, v| o.challenger.slippage_apart = v, 0.2, 0.200_1),
    Case("guardrail_trips_max", |o, v| o.guardrail_trips = v.map(|n| n as u64), 0.0, 1.0),
];

/// A pair of which everything holds.
fn good() -> Observed {
    let champion = Shown { sharpe: Some(2.0), drawdown_max: Some(0.1), ..Shown::default() };
    Observed {
        days: 10.0,
        predictions: 3_000,
        label_blocks: 60,
        champion,
        challenger: Shown {
            sharpe: Some(3.0),
            latency_p99_ns: Some(9_000.0),
            slippage_apart: Some(0.1),
            ..champion
        },
        evidence: 90.0,
        challengers: 2,
        mean_gain: Some(0.01),
        ece: Some(0.02),
        psi: Some(0.1),
        features_drifted: Some(0.0),
        days_since_rise: 10.0,
        canary_blocks: 30,
        champion_blocks: 100,
        net_lower_bound: Some(0.0),
        guardrail_trips: Some(0),
        ..Observed::default()
    }
}

fn judged(stage: Stage, observed: &Observed) -> Verdict {
    let source = Source { name: "shadow_eval.jsonl", sha256: "ab" };
    judge(&shipped(), stage, observed, source).unwrap()
}

fn failed(verdict: &Verdict) -> Vec<&str> {
    let failed = verdict.criteria.iter().filter(|criterion| !criterion.passed);
    failed.map(|criterion| criterion.name.rsplit('.').next().unwrap()).collect()
}

#[test]
fn a_pair_of_which_everything_holds_is_promoted_one_stage() {
    for (from, to) in [(Stage::Shadow, Stage::Canary), (Stage::Canary, Stage::Champion)] {
        let verdict = judged(from, &good());
        assert_eq!((verdict.verdict, verdict.to), (Ruling::Promote, to), "{}", verdict.explained);
    }
    for stage in [Stage::Staged, Stage::Champion, Stage::Retired] {
        let source = Source { name: "", sha256: "" };
        assert_eq!(judge(&shipped(), stage, &good(), source), None);
    }
}

#[test]
fn every_criterion_decides_at_its_edge_and_unknown_does_not_hold() {
    let keys = |rules: &[Rule]| rules.iter().map(|rule| rule.key).collect::<Vec<_>>();
    let named = |cases: &[Case]| cases.iter().map(|case| case.0).collect::<Vec<_>>();
    assert_eq!(keys(&SHADOW), named(&SHADOW_CASES), "each criterion has a case");
    assert_eq!(keys(&CANARY), named(&CANARY_CASES), "each criterion has a case");
    let shadow = SHADOW_CASES.iter().map(|case| (Stage::Shadow, case));
    let all = shadow.chain(CANARY_CASES.iter().map(|case| (Stage::Canary, case)));
    for (stage, Case(key, set, inside, outside)) in all {
        for (value, holds) in [(Some(*inside), true), (Some(*outside), false), (None, false)] {
            let mut observed = good();
            set(&mut observed, value);
            let verdict = judged(stage, &observed);
            assert_eq!(!failed(&verdict).contains(key), holds, "{stage:?} {key} {value:?}");
            if !holds {
                assert_ne!(verdict.verdict, Ruling::Promote, "{key} {value:?}");
                assert!(verdict.explained.contains(key), "{}", verdict.explained);
            }
        }
    }
}

#[test]
fn silence_is_held_then_extended_then_rejected_and_never_promoted() {
    let cases = [
        (3.0, Ruling::Hold, "3.0 days seen"),
        (13.9, Ruling::Hold, "13.9 days seen"),
        (14.0, Ruling::Hold, "extended to 28"),
        (27.9, Ruling::Hold, "extended to 28"),
        (28.0, Ruling::Reject, "inconclusive after 28.0 days"),
    ];
    for stage in [Stage::Shadow, Stage::Canary] {
        for (days, ruling, words) in cases {
            let silent = Observed {
                days,
                evidence: 1.0,
                net_lower_bound: None,
                days_since_rise: days,
                ..good()
            };
            let verdict = judged(stage, &silent);
            assert_eq!(verdict.verdict, ruling, "{days}");
            assert!(verdict.explained.contains(words), "{}", verdict.explained);
        }
        let nothing = judged(stage, &Observed::default());
        assert_eq!(nothing.verdict, Ruling::Hold, "an empty log");
    }
}

#[test]
fn a_worse_challenger_and_a_tripped_guardrail_end_a_trial_at_once() {
    let worse = Observed { days: 1.0, evidence: 0.1, evidence_against: 40.0, ..good() };
    assert_eq!(judged(Stage::Shadow, &worse).verdict, Ruling::Reject);
    let hardly = Observed { evidence_against: 39.9, ..worse };
    assert_eq!(judged(Stage::Shadow, &hardly).verdict, Ruling::Hold, "two share the level");
    let tripped = Observed { days: 1.0, guardrail_trips: Some(1), ..good() };
    assert_eq!(judged(Stage::Canary, &tripped).verdict, Ruling::Reject);
}

#[test]
fn the_gain_on_a_champion_that_loses_is_in_its_own_size() {
    let gain = |own: f64, other: f64| {
        let mut observed = good();
        observed.challenger.sharpe = Some(own);
        observed.champion.sharpe = Some(other);
        observed.sharpe_gain().unwrap()
    };
    assert!((gain(2.1, 2.0) - 0.05).abs() < 1e-12);
    assert!((gain(2.0, -1.0) - 3.0).abs() < 1e-12, "better than one that loses");
    assert!(gain(-2.0, -1.0) < 0.0, "worse than one that loses");
    assert!(gain(2.0, 0.0).is_finite());
}
