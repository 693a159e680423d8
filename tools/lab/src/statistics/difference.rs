//! Whether the Sharpe ratios of two strategies on the same observations differ.
//!
//! Sources: Jobson and Korkie (1981) with Memmel's correction (2003), right for normal returns
//! without memory only; Ledoit and Wolf, "Robust performance hypothesis testing with the Sharpe
//! ratio" (2008): the delta method with a long-run variance, and a studentised circular block
//! bootstrap.

use super::moments::Moments;
use super::normal_below;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A difference and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// First ratio minus second, per observation.
    pub difference: f64,
    /// Its standard error.
    pub error: f64,
    /// Difference over error.
    pub z: f64,
    /// Two-sided probability of such a difference between equals.
    pub p: f64,
}

impl Difference {
    fn of(difference: f64, error: f64) -> Self {
        let z = difference / error;
        Self { difference, error, z, p: 2.0 * normal_below(-z.abs()) }
    }
}

/// Jobson and Korkie's test as Memmel corrected it; `None` where nothing varies or lengths differ.
pub fn jobson_korkie(first: &[f64], second: &[f64]) -> Option<Difference> {
    if first.len() != second.len() {
        return None;
    }
    let (a, b) = (Moments::of(first)?, Moments::of(second)?);
    let n = first.len() as f64;
    let products = first.iter().zip(second).map(|(x, y)| (x - a.mean) * (y - b.mean));
    let rho = products.sum::<f64>() / (n - 1.0) / (a.deviation * b.deviation);
    let (one, two) = (a.sharpe(), b.sharpe());
    let squares = one * one + two * two - 2.0 * one * two * rho * rho;
    let variance = (2.0 - 2.0 * rho + 0.5 * squares) / n;
    Some(Difference::of(one - two, variance.sqrt()))
}

/// The delta method with a Bartlett kernel over `lags` lags; 0 takes returns as without memory.
/// `None` where nothing varies or lengths differ.
pub fn delta_method(first: &[f64], second: &[f64], lags: usize) -> Option<Difference> {
    let point = Point::of(first, second)?;
    let scores = point.scores(first, second);
    Some(Difference::of(point.difference, bartlett(&scores, lags).sqrt()))
}

/// The studentised circular block bootstrap with blocks of `block` observations, drawn `draws`
/// times by a generator of this seed: the share of draws that lie at least as far from the seen
/// difference as it lies from zero. `None` where nothing varies or lengths differ.
pub fn bootstrap_p(
    first: &[f64],
    second: &[f64],
    (block, draws): (usize, usize),
    seed: u64,
) -> Option<f64> {
    let point = Point::of(first, second)?;
    let scores = point.scores(first, second);
    let seen = point.difference.abs() / bartlett(&scores, block).sqrt();
    let rows = first.len();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut farther = 0_usize;
    let (mut a, mut b) = (vec![0.0; rows], vec![0.0; rows]);
    for _ in 0..draws {
        for from in (0..rows).step_by(block) {
            let start = random.random_range(0..rows);
            for offset in 0..block.min(rows - from) {
                let at = (start + offset) % rows;
                (a[from + offset], b[from + offset]) = (first[at], second[at]);
            }
        }
        let Some(drawn) = Point::of(&a, &b) else { continue };
        let error = block_variance(&drawn.scores(&a, &b), block).sqrt();
        let distance = (drawn.difference - point.difference).abs() / error;
        farther += usize::from(distance >= seen);
    }
    Some((farther as f64 + 1.0) / (draws as f64 + 1.0))
}

/// Two series' first and second moments, and the slopes of the difference in them.
struct Point {
    difference: f64,
    moments: [f64; 4],
    slopes: [f64; 4],
}

impl Point {
    fn of(first: &[f64], second: &[f64]) -> Option<Self> {
        if first.len() != second.len() || first.len() < 2 {
            return None;
        }
        let n = first.len() as f64;
        let raw = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / n;
            (mean, values.iter().map(|value| value * value).sum::<f64>() / n)
        };
        let ((m1, g1), (m2, g2)) = (raw(first), raw(second));
        let (v1, v2) = (g1 - m1 * m1, g2 - m2 * m2);
        if v1 <= 0.0 || v2 <= 0.0 {
            return None;
        }
        let (d1, d2) = (v1.powf(1.5), v2.powf(1.5));
        Some(Self {
            difference: m1 / v1.sqrt() - m2 / v2.sqrt(),
            moments: [m1, m2, g1, g2],
            slopes: [g1 / d1, -g2 / d2, -0.5 * m1 / d1, 0.5 * m2 / d2],
        })
    }

    /// Each observation's share in the difference's error.
    fn scores(&self, first: &[f64], second: &[f64]) -> Vec<f64> {
        let one = |(x, y): (&f64, &f64)| {
            let raw = [*x, *y, x * x, y * y];
            (0..4).map(|at| self.slopes[at] * (raw[at] - self.moments[at])).sum()
        };
        first.iter().zip(second).map(one).collect()
    }
}

/// Long-run variance of the mean of scores, with Bartlett's weights.
fn bartlett(scores: &[f64], lags: usize) -> f64 {
    let n = scores.len() as f64;
    let at_lag = |lag: usize| {
        scores[lag..].iter().zip(scores).map(|(later, earlier)| later * earlier).sum::<f64>() / n
    };
    let weighted = |lag: usize| 2.0 * (1.0 - lag as f64 / (lags as f64 + 1.0)) * at_lag(lag);
    let lags_max = lags.min(scores.len() - 1);
    let variance = at_lag(0) + (1..=lags_max).map(weighted).sum::<f64>();
    variance / n
}

/// Variance of the mean of scores as the blocks they were drawn in show it.
fn block_variance(scores: &[f64], block: usize) -> f64 {
    let blocks = scores.chunks_exact(block);
    let count = blocks.len() as f64;
    let sums = blocks.map(|chunk| chunk.iter().sum::<f64>() / (block as f64).sqrt());
    sums.map(|sum| sum * sum).sum::<f64>() / count / scores.len() as f64
}
