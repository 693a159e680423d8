//! Published worked examples, and figures of independent implementations on a stream that any
//! language can make again.

use super::calibration::{brier, calibration_error, isotonic, temperature};
use super::difference::{bootstrap_p, delta_method, jobson_korkie};
use super::moments::{Moments, drawdown_max, sharpe, sortino};
use super::normal_quantile;
use super::overfitting::{Refused, Trials, overfitting};
use super::sharpe::{Seen, backtest_years_min, best_of, effective_trials};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn near(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{found} is not {expected}");
}

fn seen(sharpe: f64, count: f64, skewness: f64, kurtosis: f64) -> Seen {
    Seen { sharpe, count, skewness, kurtosis }
}

/// Draws of a standard normal distribution by a linear congruential generator.
fn stream(count: usize) -> Vec<f64> {
    let mut x: u32 = 12_345;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        normal_quantile((f64::from(x) + 0.5) / 2_f64.powi(32))
    };
    (0..count).map(|_| next()).collect()
}

/// 960 observations of 20 trials without skill.
fn noise() -> Trials {
    Trials { trials: 20, returns: stream(960 * 20).iter().map(|z| 0.01 * z).collect() }
}

#[test]
fn the_probabilistic_ratio_and_the_shortest_record_equal_the_published_examples() {
    near(seen(0.458, 24.0, 0.0, 3.0).probability_above(0.0), 0.981675, 1e-6);
    let fund = seen(1.585 / 12_f64.sqrt(), 24.0, -2.448, 10.164);
    near(fund.probability_above(0.0), 0.913_234_307, 1e-6);
    let years = |annual: f64, benchmark: f64, per_year: f64, skewness: f64, kurtosis: f64| {
        let root = per_year.sqrt();
        let seen = seen(annual / root, 2.0, skewness, kurtosis);
        seen.track_record_min(benchmark / root, 0.95) / per_year
    };
    near(years(2.0, 1.0, 250.0, 0.0, 3.0), 2.731_187_802, 1e-6);
    near(years(2.0, 1.0, 52.0, 0.0, 3.0), 2.828_833_587, 1e-6);
    near(years(2.0, 1.0, 12.0, 0.0, 3.0), 3.239_800_696, 1e-6);
    near(years(2.0, 1.0, 12.0, -0.72, 5.78), 4.991_258_224, 1e-6);
    near(years(3.0, 2.5, 12.0, -0.72, 5.78), 27.352_920_196, 1e-6);
    assert_eq!(seen(0.1, 24.0, 0.0, 3.0).track_record_min(0.1, 0.95), f64::INFINITY);
}

#[test]
fn the_deflated_ratio_and_the_shortest_backtest_equal_the_published_examples() {
    let found = |trials: f64, skewness: f64, kurtosis: f64| {
        let seen = seen(2.5 / 250_f64.sqrt(), 1_250.0, skewness, kurtosis);
        let deflated = seen.deflated(trials, 0.5 / 250.0);
        (deflated.benchmark, deflated.probability)
    };
    let (benchmark, probability) = found(100.0, -3.0, 10.0);
    near(benchmark, 0.113172, 1e-6);
    near(probability, 0.900_396_834, 1e-6);
    let (benchmark, probability) = found(46.0, -3.0, 10.0);
    near(benchmark, 0.100362, 1e-6);
    near(probability, 0.950502, 1e-6);
    near(found(88.0, 0.0, 3.0).1, 0.950491, 1e-6);
    near(found(1_000.0, -3.0, 10.0).1, 0.639915, 1e-6);
    let best = [
        (10.0, 1.574598),
        (46.0, 2.244171),
        (88.0, 2.485295),
        (100.0, 2.530_602_893),
        (1_000.0, 3.255122),
    ];
    best.iter().for_each(|&(trials, expected)| near(best_of(trials), expected, 1e-6));
    assert_eq!(best_of(1.0), 0.0);
    near(backtest_years_min(45.0, 1.0), 4.998087, 1e-6);
    near(effective_trials(10.0, 1.0), 1.0, 0.0);
    near(effective_trials(10.0, 0.0), 10.0, 0.0);
}

#[test]
fn overfitting_of_a_stream_without_skill_equals_the_independent_figures() {
    let draws = stream(3);
    for (z, u) in draws.iter().zip([0.02040269, 0.01654785, 0.54315579]) {
        near(super::normal_below(*z), u, 1e-8);
    }
    let eight = overfitting(&noise(), 8).unwrap();
    assert_eq!(eight.halves, 70);
    near(eight.probability, 47.0 / 70.0, 1e-12);
    near(eight.loss_probability, 0.771429, 1e-6);
    near(eight.slope, -0.310831, 1e-6);
    near(eight.logit_mean, -0.768631, 1e-6);
    let sixteen = overfitting(&noise(), 16).unwrap();
    assert_eq!(sixteen.halves, 12_870);
    near(sixteen.probability, 8_372.0 / 12_870.0, 1e-12);
    near(sixteen.loss_probability, 0.765967, 1e-6);
    near(sixteen.slope, -0.383285, 1e-6);
    near(sixteen.logit_mean, -0.762154, 1e-6);
}

#[test]
fn a_trial_with_skill_is_not_called_overfit_and_equal_means_always_are() {
    let mut skilled = noise();
    skilled.returns.chunks_mut(20).for_each(|row| row[7] += 0.0015);
    let found = overfitting(&skilled, 8).unwrap();
    near(found.probability, 5.0 / 70.0, 1e-12);
    near(found.loss_probability, 0.071429, 1e-6);
    near(found.slope, -0.406485, 1e-6);
    near(found.logit_mean, 2.579560, 1e-6);
    // Where every trial has the same mean over all, what is won inside is lost outside.
    let mut equal = noise();
    for trial in 0..20 {
        let mean = equal.returns.iter().skip(trial).step_by(20).sum::<f64>() / 960.0;
        equal.returns.chunks_mut(20).for_each(|row| row[trial] -= mean);
    }
    assert_eq!(overfitting(&equal, 8).unwrap().probability, 1.0);
}

#[test]
fn trials_that_cannot_be_cut_are_refused() {
    let trials = noise();
    for blocks in [0, 1, 7, 22] {
        assert_eq!(overfitting(&trials, blocks), Err(Refused::Blocks(blocks)));
    }
    let one = Trials { trials: 1, returns: vec![0.0; 100] };
    assert_eq!(overfitting(&one, 8), Err(Refused::Trials));
    let short = Trials { trials: 2, returns: vec![0.0; 30] };
    assert_eq!(overfitting(&short, 8), Err(Refused::Rows { rows: 15, blocks: 8 }));
}

#[test]
fn differences_of_ratios_equal_the_independent_figures() {
    let noise = stream(960 * 20);
    let rows = || noise.chunks(20);
    let first: Vec<f64> = rows().map(|z| 0.01 * z[0] + 0.001).collect();
    let second: Vec<f64> = rows().map(|z| 0.01 * (0.6 * z[0] + 0.8 * z[1]) + 0.0002).collect();
    near(sharpe(&first).unwrap(), 0.0903863, 1e-7);
    near(sharpe(&second).unwrap(), 0.0112477, 1e-7);
    let memmel = jobson_korkie(&first, &second).unwrap();
    near(memmel.z, 2.7912831, 1e-6);
    near(memmel.p, 0.00524995, 1e-6);
    let expected =
        [(0, 0.0282119, 0.0050065), (5, 0.0274127, 0.0038716), (10, 0.0281883, 0.0049701)];
    for (lags, error, p) in expected {
        let found = delta_method(&first, &second, lags).unwrap();
        near(found.difference, 0.0791798, 1e-6);
        near(found.error, error, 1e-6);
        near(found.p, p, 1e-6);
    }
    let drawn = bootstrap_p(&first, &second, (5, 4_999), 7).unwrap();
    assert!((0.001..0.015).contains(&drawn), "{drawn}");
    assert_eq!(drawn, bootstrap_p(&first, &second, (5, 4_999), 7).unwrap());
    assert!(jobson_korkie(&first, &second[1..]).is_none());
    assert!(delta_method(&[0.1; 5], &[0.1; 5], 0).is_none());
}

#[test]
fn the_bootstrap_rejects_equal_ratios_about_as_often_as_it_says() {
    // Returns with fat tails and memory, of two strategies with the same ratio.
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut fat = move || {
        let z = normal_quantile(random.random_range(1e-9..1.0));
        let squares: f64 =
            (0..5).map(|_| normal_quantile(random.random_range(1e-9..1.0)).powi(2)).sum();
        z / (squares / 5.0).sqrt()
    };
    let mut series = |own: f64| {
        let (mut last, mut both) = (0.0, Vec::with_capacity(240));
        for _ in 0..240 {
            last = 0.3 * last + own * fat();
            both.push(0.05 + last);
        }
        both
    };
    let pairs = 300;
    let mut rejected = 0;
    for pair in 0..pairs {
        let (first, second) = (series(1.0), series(1.0));
        let p = bootstrap_p(&first, &second, (5, 199), pair).unwrap();
        rejected += u32::from(p <= 0.05);
    }
    // 5 % of 300 are 15; beyond 30 the size would be wrong beyond chance.
    assert!((3..=30).contains(&rejected), "{rejected} of {pairs}");
}

#[test]
fn moments_are_those_of_a_series_worked_by_hand() {
    // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, population variance 4, third moment 5.25, fourth 44.5.
    let moments = Moments::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
    near(moments.mean, 5.0, 1e-12);
    near(moments.deviation, (32.0_f64 / 7.0).sqrt(), 1e-12);
    near(moments.skewness, 5.25 / 8.0, 1e-12);
    near(moments.kurtosis, 44.5 / 16.0, 1e-12);
    assert!(Moments::of(&[1.0]).is_none() && Moments::of(&[1.0, 1.0]).is_none());
    // Falls of 10 % and 20 % in a row from the peak: 1 − 0.9 · 0.8.
    near(drawdown_max(&[0.5, -0.1, -0.2, 0.1]), 0.28, 1e-12);
    near(sortino(&[0.03, -0.01, 0.01, -0.03]).unwrap_or(9.0), 0.0, 1e-12);
    assert!(sortino(&[0.1, 0.2]).is_none());
}

#[test]
fn calibration_finds_the_temperature_that_was_planted_and_orders_what_is_out_of_order() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let (mut logits, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..20_000 {
        let row: Vec<f64> =
            (0..3).map(|_| normal_quantile(random.random_range(1e-9..1.0))).collect();
        let sum: f64 = row.iter().map(|z| z.exp()).sum();
        let mut left = random.random_range(0.0..1.0);
        let label = row.iter().position(|z| {
            left -= z.exp() / sum;
            left <= 0.0
        });
        labels.push(label.unwrap_or(2));
        // Three times too sure of itself.
        logits.push(row.iter().map(|z| 3.0 * z).collect::<Vec<f64>>());
    }
    let found = temperature(&logits, &labels);
    near(found, 3.0, 0.1);
    let soft = |t: f64| {
        let one = |row: &Vec<f64>| {
            let sum: f64 = row.iter().map(|z| (z / t).exp()).sum();
            row.iter().map(|z| (z / t).exp() / sum).collect::<Vec<f64>>()
        };
        logits.iter().map(one).collect::<Vec<_>>()
    };
    assert!(calibration_error(&soft(1.0), &labels, 15) > 0.1);
    assert!(calibration_error(&soft(found), &labels, 15) < 0.02);
    assert!(brier(&soft(found), &labels) < brier(&soft(1.0), &labels));
    // Half right at 0.75 and always right at 1: (0.25 · 2 + 0) / 4 by hand.
    let rows = [vec![0.75, 0.25], vec![0.75, 0.25], vec![1.0, 0.0], vec![1.0, 0.0]];
    near(calibration_error(&rows, &[0, 1, 0, 0], 15), 0.125, 1e-12);
    let steps = isotonic(&[0.1, 0.2, 0.3, 0.4], &[false, true, false, true]);
    assert_eq!(steps, [(0.1, 0.0), (0.2, 0.5), (0.3, 0.5), (0.4, 1.0)]);
}
