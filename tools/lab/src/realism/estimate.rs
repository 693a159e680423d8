//! A figure with its interval, and how many observations it rests on.
//!
//! ```text
//!   mean       x̄ ± t(n−1, 97.5 %)·s/√n
//!   quantile   the order statistics at n·p ± 1.96·√(n·p·(1−p)): no distribution is assumed
//!   slope      k = Σxy/Σx² through the origin, ± t(n−1, 97.5 %)·√(Σx²e²)/Σx²   (White 1980)
//! ```

use crate::statistics::normal_quantile;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Fewest observations from which anything is told.
pub const COUNT_MIN: usize = 30;
/// Share of all intervals that hold the truth.
const LEVEL: f64 = 0.95;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Observations.
    pub count: usize,
}

impl Estimate {
    /// True where the interval holds `value`.
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The same with an interval that reaches at least `reach` to both sides.
    pub fn at_least(self, reach: f64) -> Self {
        let (low, high) = (self.low.min(self.value - reach), self.high.max(self.value + reach));
        Self { low, high, ..self }
    }
}

fn reach(count: usize) -> f64 {
    let free = (count - 1) as f64;
    StudentsT::new(0.0, 1.0, free).map_or(f64::INFINITY, |t| t.inverse_cdf(0.5 + LEVEL / 2.0))
}

/// The mean; `None` for fewer than [`COUNT_MIN`].
pub fn mean(values: &[f64]) -> Option<Estimate> {
    let count = values.len();
    if count < COUNT_MIN {
        return None;
    }
    let n = count as f64;
    let value = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|v| (v - value).powi(2)).sum::<f64>() / (n - 1.0);
    let half = reach(count) * (square / n).sqrt();
    Some(Estimate { value, low: value - half, high: value + half, count })
}

/// The quantile `p` of ascending values; `None` for fewer than [`COUNT_MIN`]. Where too few lie
/// beyond it, its interval ends at the outermost value.
pub fn quantile(sorted: &[i64], p: f64) -> Option<Estimate> {
    let count = sorted.len();
    if count < COUNT_MIN {
        return None;
    }
    let n = count as f64;
    let half = normal_quantile(0.5 + LEVEL / 2.0) * (n * p * (1.0 - p)).sqrt();
    let at = |rank: f64| sorted[(rank.max(0.0) as usize).min(count - 1)] as f64;
    let (value, low, high) =
        (at((n * p).ceil() - 1.0), at((n * p - half).floor() - 1.0), at((n * p + half).ceil()));
    Some(Estimate { value, low, high, count })
}

/// True where a quantile `p` has an interval that does not end for want of observations.
pub fn has_tail(count: usize, p: f64) -> bool {
    let n = count as f64;
    n * p + normal_quantile(0.5 + LEVEL / 2.0) * (n * p * (1.0 - p)).sqrt() < n - 1.0
}

/// The slope of `y` over `x` through the origin; `None` for fewer than [`COUNT_MIN`] or without
/// any `x`.
pub fn slope(points: &[(f64, f64)]) -> Option<Estimate> {
    let count = points.len();
    let square: f64 = points.iter().map(|(x, _)| x * x).sum();
    if count < COUNT_MIN || square <= 0.0 {
        return None;
    }
    let value = points.iter().map(|(x, y)| x * y).sum::<f64>() / square;
    let noise: f64 = points.iter().map(|(x, y)| (x * (y - value * x)).powi(2)).sum();
    let half = reach(count) * noise.sqrt() / square;
    Some(Estimate { value, low: value - half, high: value + half, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_and_its_interval_are_those_of_the_textbook() {
        // 1 to 30: mean 15.5, deviation √77.5, t(29, 97.5 %) = 2.045 (any table of Student's t).
        let values: Vec<f64> = (1..=30).map(f64::from).collect();
        let found = mean(&values).expect("thirty are enough");
        let half = 2.045 * (77.5_f64 / 30.0).sqrt();
        assert!((found.value - 15.5).abs() < 1e-12);
        assert!((found.high - 15.5 - half).abs() < 0.005, "{found:?}");
        assert!(mean(&values[1..]).is_none(), "one fewer is too few");
    }

    #[test]
    fn a_quantile_is_an_order_statistic_and_its_interval_two_more() {
        // Of 1 to 100: 50 ± 1.96·5 → ranks 40 and 60 (Conover, Practical Nonparametric Statistics).
        let sorted: Vec<i64> = (1..=100).collect();
        let found = quantile(&sorted, 0.5).expect("a hundred are enough");
        assert_eq!((found.value, found.low, found.high), (50.0, 40.0, 61.0));
        assert!(!has_tail(100, 0.99) && has_tail(1_000, 0.99) && has_tail(100, 0.5));
    }

    #[test]
    fn a_slope_through_the_origin_is_found_in_noise_that_cancels() {
        // y = 3x ± 1 in turn at equal x: the noise cancels, k = 3 and √(Σx²e²)/Σx² = 1/(x√n).
        let points: Vec<(f64, f64)> =
            (0..100).map(|i| (2.0, 6.0 + if i % 2 == 0 { 1.0 } else { -1.0 })).collect();
        let found = slope(&points).expect("a slope");
        assert!((found.value - 3.0).abs() < 1e-12);
        // t(99, 97.5 %) = 1.984.
        assert!((found.high - 3.0 - 1.984 / 20.0).abs() < 1e-3, "{found:?}");
        assert!(slope(&vec![(0.0, 1.0); 50]).is_none(), "nothing was taken");
    }
}
