//! Scores by hand.

use crate::promotion::scores::{Calibration, Score, is_distribution};

#[test]
fn scores_are_those_worked_out_by_hand() {
    let told = [0.2, 0.3, 0.5];
    // (0.2 − 1)² + 0.3² + 0.5²; −ln 0.2.
    assert!((Score::Brier.loss(&told, 0) - 0.98).abs() < 1e-12);
    assert!((Score::LogLoss.loss(&told, 0) - 1.609_437_912_434_1).abs() < 1e-12);
    assert!((Score::Brier.loss(&[1.0, 0.0, 0.0], 2) - 2.0).abs() < 1e-12);
    let sure = Score::LogLoss.loss(&[1.0, 0.0, 0.0], 2);
    assert_eq!(sure, Score::LogLoss.span(), "bounded: nothing counts as impossible");
}

#[test]
fn telling_the_truth_scores_best_in_the_mean() {
    let truth = [0.5, 0.3, 0.2];
    for score in [Score::Brier, Score::LogLoss] {
        let mean = |told: &[f64; 3]| (0..3).map(|c| truth[c] * score.loss(told, c)).sum::<f64>();
        for a in 0..20 {
            for b in 0..20 - a {
                let other =
                    [f64::from(a) / 20.0, f64::from(b) / 20.0, f64::from(20 - a - b) / 20.0];
                assert!(mean(&other) >= mean(&truth) - 1e-12, "{} {other:?}", score.name());
            }
        }
    }
}

#[test]
fn what_can_be_lost_is_known_before_and_never_exceeded() {
    let (champion, challenger) = ([0.2, 0.3, 0.5], [0.6, 0.3, 0.1]);
    for score in [Score::Brier, Score::LogLoss] {
        let pairs = [0, 1, 2].map(|class| score.pair(&champion, &challenger, class));
        let least = pairs.iter().map(|pair| pair.gain).fold(f64::INFINITY, f64::min);
        let most = pairs.iter().map(|pair| pair.gain).fold(f64::NEG_INFINITY, f64::max);
        for pair in pairs {
            assert_eq!((pair.stake, pair.prize), (-least, most));
            assert_eq!(pair.reversed().reversed(), pair);
            assert!(pair.stake <= score.span() && pair.prize <= score.span());
        }
        assert!(pairs[0].gain > 0.0 && pairs[2].gain < 0.0);
    }
}

#[test]
fn calibration_is_the_gap_between_confidence_and_being_right() {
    let mut calibration = Calibration::default();
    assert_eq!(calibration.error(), None);
    // Ten times sure with 0.8, right seven times; ten times with 0.5, right five times.
    (0..10).for_each(|n| calibration.push(&[0.8, 0.1, 0.1], if n < 7 { 0 } else { 1 }));
    (0..10).for_each(|n| calibration.push(&[0.2, 0.3, 0.5], if n < 5 { 2 } else { 0 }));
    assert!((calibration.error().unwrap() - 0.05).abs() < 1e-12);
}

#[test]
fn what_does_not_add_up_is_no_distribution() {
    assert!(is_distribution(&[0.2, 0.3, 0.5]));
    for bad in [[0.2, 0.3, 0.6], [-0.1, 0.6, 0.5], [f64::NAN, 0.5, 0.5]] {
        assert!(!is_distribution(&bad), "{bad:?}");
    }
}
