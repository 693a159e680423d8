//! The comparison of scores: closed forms against integration, and what it promises against chance.

use super::market::{self, EQUAL, Errors, FIFTH_BETTER, HORIZON};
use crate::promotion::mixture::{GammaExponential, msprt, normal_half_width};
use crate::promotion::scores::{Paired, Score};
use crate::promotion::sequential::{Design, Evidence, merge_factor};

const BAR_NS: i64 = 300_000_000_000;

fn design(slot_bars: i64) -> Design {
    let (slot_ns, reach_ns) = (slot_bars * BAR_NS, HORIZON as i64 * BAR_NS);
    let lags = Design::lags_of(reach_ns, slot_ns) as u32;
    Design { slot_ns, lags, span: Score::LogLoss.span(), variance_tuned: 0.05, alpha: 0.05 }
}

#[test]
fn the_mixture_is_the_integral_over_its_bets() {
    // mpmath 1.4.1, 40 digits: the integrals of the two factors over λ, not the closed form.
    let cases = [
        ((1.0, 10.0, 0.05, 5.0, 8.0), 0.464_692_699_695_924),
        ((1.0, 10.0, 0.05, -5.0, 8.0), -1.971_798_526_474_02),
        ((1.0, 10.0, 0.05, -40.0, 8.0), -3.910_243_546_516_37),
        ((2.0, 4.0, 0.05, 12.0, 30.0), -0.531_111_494_631_961),
        ((0.25, 1.0, 0.05, 3.0, 1.5), 1.416_089_496_972_08),
        ((0.25, 1.0, 0.025, 40.0, 20.0), 28.050_480_171_020_3),
        ((1.0, 1.0, 0.05, 0.0, 50.0), -3.675_499_329_117_46),
        ((4.0, 1.0, 0.05, 10.0, 3.0), -0.593_216_194_486_065),
    ];
    for ((c, tuned, alpha, sum, variance), expected) in cases {
        let own = GammaExponential::new(c, tuned, alpha).ln(sum, variance);
        assert!((own - expected).abs() < 1e-10, "{c} {sum}: {own} {expected}");
    }
    let nothing = GammaExponential::new(1.0, 1.0, 0.05).ln(0.0, 0.0);
    assert!(nothing.abs() < 1e-12, "before anything was seen there is no evidence: {nothing}");
}

#[test]
fn the_boundary_is_where_the_mixture_says_so() {
    let mixture = GammaExponential::new(0.5, 2.0, 0.05);
    for variance in [0.1, 2.0, 300.0] {
        let edge = mixture.boundary(variance, 0.05);
        assert!((mixture.ln(edge, variance) - 20.0_f64.ln()).abs() < 1e-9);
    }
}

#[test]
fn normal_mixtures_are_the_published_ones() {
    for (n, width) in [(100.0, 0.365_639), (1_000.0, 0.096_064), (10_000.0, 0.032_730)] {
        assert!((normal_half_width(n, 1.0, 100.0, 0.05) - width).abs() < 1e-6, "{n}");
    }
    let ratios = [
        (100.0, 0.1, 0.907_943),
        (100.0, 0.3, 6.708_842),
        (400.0, 0.15, 16.367_228),
        (1_000.0, 0.1, 28.403_345),
    ];
    for (n, mean, ratio) in ratios {
        assert!((msprt(n, mean, 1.0, 0.01) - ratio).abs() < 1e-6, "{n} {mean}");
    }
}

#[test]
fn a_copy_of_the_champion_differs_in_nothing_and_is_never_better() {
    let mut evidence = Evidence::new(design(1));
    for (at, scene) in market::scenes(1, 8_064, EQUAL).into_iter().enumerate() {
        let paired = Score::LogLoss.pair(&scene.champion, &scene.champion, scene.class);
        assert_eq!(paired, Paired::default());
        evidence.push(at as i64 * BAR_NS, paired);
    }
    assert_eq!((evidence.mean(), evidence.slots()), (Some(0.0), 8_063));
    assert!(evidence.e_mean() <= 1.0 + 1e-9 && evidence.strength() < 1.0);
}

#[test]
fn the_lower_bound_is_below_the_truth_and_comes_closer() {
    // Gains of a known mean of 0.1: a coin of 0.5 and −0.3.
    let mut evidence = Evidence::new(Design { lags: 1, slot_ns: 1, ..design(1) });
    let mut x = 12_345_u32;
    let mut before = f64::NEG_INFINITY;
    for at in 0..20_000 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let gain = if x >> 31 == 0 { 0.5 } else { -0.3 };
        evidence.push(at, Paired { gain, stake: 0.3, prize: 0.5 });
        if at % 5_000 == 4_999 {
            let low = evidence.lower_bound().unwrap();
            assert!(low < 0.1 && low > before, "{at}: {low}");
            before = low;
        }
    }
    assert!(before > 0.05, "{before}");
    assert!(evidence.strength() > 1e9);
}

#[test]
fn a_bet_that_a_prediction_could_ruin_ends_before_it() {
    // Forty small wins, then one prediction at which everything can be lost, and it is.
    let mut evidence = Evidence::new(Design { lags: 1, slot_ns: 1, ..design(1) });
    let small = Paired { gain: 0.05, stake: 0.06, prize: 0.06 };
    (0..400).for_each(|at| evidence.push(at, small));
    evidence.close();
    let before = evidence.e_mean();
    assert!(before > 1e3, "{before}");
    evidence.push(400, Paired { gain: -4.0, stake: 4.0, prize: 0.0 });
    evidence.close();
    let after = evidence.e_mean();
    assert!((after / before - 1.0).abs() < 0.01, "what was won is kept: {before} {after}");
    (401..600).for_each(|at| evidence.push(at, small));
    assert!(evidence.e_mean() < before * 1.2, "and not wagered again");
}

#[test]
fn predictions_out_of_order_are_counted_and_not_used() {
    let mut evidence = Evidence::new(design(1));
    let some = Paired { gain: 0.1, stake: 0.2, prize: 0.2 };
    evidence.push(3 * BAR_NS, some);
    evidence.push(2 * BAR_NS, some);
    evidence.push(3 * BAR_NS + 1, some);
    evidence.close();
    assert_eq!((evidence.slots(), evidence.late()), (1, 1));
}

#[test]
fn merged_p_values_pay_for_their_dependence() {
    assert_eq!((merge_factor(1), merge_factor(2)), (1.0, 2.0));
    assert!((merge_factor(48) - 10.523_1).abs() < 1e-4, "e·ln 48");
}

/// Whether each experiment of `count` decisions promotes, looked at after every one of them: by
/// the evidence, and by a test made for one look.
fn experiments(seeds: std::ops::Range<u64>, count: usize, errors: Errors) -> (usize, usize) {
    let (mut by_evidence, mut by_one_look) = (0, 0);
    for seed in seeds {
        let mut evidence = Evidence::new(design(24));
        let (mut promoted, mut fooled, mut sum, mut squares) = (false, false, 0.0, 0.0);
        for (at, scene) in market::scenes(seed, count, errors).into_iter().enumerate() {
            let paired = Score::LogLoss.pair(&scene.champion, &scene.challenger, scene.class);
            evidence.push(at as i64 * BAR_NS, paired);
            promoted |= evidence.strength() >= 20.0;
            sum += paired.gain;
            squares += paired.gain * paired.gain;
            let n = (at + 1) as f64;
            let deviation = (squares / n - (sum / n) * (sum / n)).max(1e-12).sqrt();
            fooled |= n >= 100.0 && sum / n / deviation * n.sqrt() > 1.644_854;
        }
        by_evidence += usize::from(promoted);
        by_one_look += usize::from(fooled);
    }
    (by_evidence, by_one_look)
}

#[test]
fn equal_models_are_promoted_no_more_often_than_stated_however_often_one_looks() {
    let (promoted, fooled) = experiments(0..100, 4_032, EQUAL);
    // At 5 % more than 13 of 100 have a chance of a two-thousandth (binomial).
    assert!(promoted <= 13, "{promoted} of 100");
    assert!(fooled > 13, "the experiments can tell: a test made for one look gives {fooled}");
}

#[test]
fn a_challenger_better_by_a_fifth_is_found() {
    // Two weeks of minutes.
    let (promoted, _) = experiments(1_000..1_010, 20_160, FIFTH_BETTER);
    assert!(promoted >= 9, "{promoted} of 10");
}
