//! Each cause takes a champion out at its limit, and nothing else does.

use super::shipped;
use crate::promotion::rollback::{Health, ROLLBACK, RollbackCause, breaches};

/// A cause with the last value that is well, the first that is not, and how it is set.
struct Case(RollbackCause, f64, f64, fn(&mut Health, f64));

const CASES: [Case; 11] = [
    Case(RollbackCause::LoadFailure, 0.0, 1.0, |h, v| h.load_failures = v as u64),
    Case(RollbackCause::HashMismatch, 0.0, 1.0, |h, v| h.hash_mismatches = v as u64),
    Case(RollbackCause::Drawdown, 0.2, 0.200_1, |h, v| h.drawdown = v),
    Case(RollbackCause::Losses, 4.0, 5.0, |h, v| h.losses_in_a_row = v as u64),
    Case(RollbackCause::Sharpe, 23.0, 24.0, |h, v| h.sharpe_hours_below = v as u64),
    Case(RollbackCause::InferenceErrors, 2.0, 3.0, |h, v| h.errors_in_a_row = v as u64),
    Case(RollbackCause::Latency, 5e6, 5_000_001.0, |h, v| h.latency_p99_ns = Some(v)),
    Case(RollbackCause::FeatureMismatch, 0.0, 1.0, |h, v| h.feature_mismatches = v as u64),
    Case(RollbackCause::Drift, 0.25, 0.250_1, |h, v| h.psi = Some(v)),
    Case(RollbackCause::Calibration, 0.0, 1.0, |h, v| h.calibration_breaks = v as u64),
    Case(RollbackCause::Evidence, 20.0, 20.01, |h, v| h.evidence_of_previous = v),
];

#[test]
fn every_cause_takes_the_champion_out_at_its_limit_and_alone() {
    let limits = shipped().rollback;
    assert_eq!(CASES.each_ref().map(|case| case.0), ROLLBACK.each_ref().map(|rule| rule.cause));
    assert!(breaches(&limits, &Health::default()).is_empty(), "a champion that has just begun");
    for Case(cause, well, ill, set) in CASES {
        let mut health = Health::default();
        set(&mut health, well);
        assert!(breaches(&limits, &health).is_empty(), "{cause:?} at {well}");
        set(&mut health, ill);
        let found = breaches(&limits, &health);
        assert_eq!(found.iter().map(|b| b.cause).collect::<Vec<_>>(), [cause], "{ill}");
        assert!(found[0].to_string().starts_with("rollback."), "{}", found[0]);
    }
}

#[test]
fn what_is_no_number_is_no_reason_to_stay() {
    let health = Health { drawdown: f64::NAN, ..Health::default() };
    assert_eq!(breaches(&shipped().rollback, &health)[0].cause, RollbackCause::Drawdown);
}

#[test]
fn the_older_rules_cannot_be_loosened() {
    let loosest =
        |cause: RollbackCause| ROLLBACK.iter().find(|rule| rule.cause == cause).unwrap().range.1;
    // More than 25 % down, ten losses in a row, and a day below a Sharpe ratio of 1 roll back.
    assert_eq!(loosest(RollbackCause::Drawdown), 0.25);
    assert_eq!(loosest(RollbackCause::Losses) + 1.0, 10.0);
    assert_eq!(loosest(RollbackCause::Sharpe) + 1.0, 24.0);
}
