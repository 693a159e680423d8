//! How much a Sharpe ratio proves, given how long it was seen and how many were tried.
//!
//! Sources: Bailey and López de Prado, "The Sharpe ratio efficient frontier" (2012) for the
//! probabilistic ratio and the shortest track record; the same, "The deflated Sharpe ratio" (2014);
//! Bailey, Borwein, López de Prado and Zhu, "Pseudo-mathematics and financial charlatanism" (2014)
//! for the shortest backtest.

use super::{normal_below, normal_quantile};

/// The Euler–Mascheroni constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// A Sharpe ratio as it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// The ratio, per observation.
    pub sharpe: f64,
    /// Observations.
    pub count: f64,
    /// Skewness of the returns.
    pub skewness: f64,
    /// Kurtosis of the returns, 3 for a normal distribution.
    pub kurtosis: f64,
}

impl Seen {
    /// Variance of the estimate times observations: 1 − γ₃·SR + (γ₄ − 1)/4·SR².
    fn spread(&self) -> f64 {
        let sharpe = self.sharpe;
        1.0 - self.skewness * sharpe + (self.kurtosis - 1.0) / 4.0 * sharpe * sharpe
    }

    /// Probability that the true ratio is above `benchmark`, 0 to 1.
    pub fn probability_above(&self, benchmark: f64) -> f64 {
        let distance = (self.sharpe - benchmark) * (self.count - 1.0).sqrt();
        normal_below(distance / self.spread().sqrt())
    }

    /// Observations after which the ratio would be above `benchmark` with this confidence (such as
    /// 0.95); infinite where it is not above it.
    pub fn track_record_min(&self, benchmark: f64, confidence: f64) -> f64 {
        if self.sharpe <= benchmark {
            return f64::INFINITY;
        }
        let ratio = normal_quantile(confidence) / (self.sharpe - benchmark);
        1.0 + self.spread() * ratio * ratio
    }

    /// Probability that the true ratio is above what the best of `trials` without any skill would
    /// show, and that ratio. `variance` is that of the trials' ratios per observation.
    pub fn deflated(&self, trials: f64, variance: f64) -> Deflated {
        let benchmark = variance.sqrt() * best_of(trials);
        Deflated { benchmark, probability: self.probability_above(benchmark) }
    }
}

/// See [`Seen::deflated`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deflated {
    /// What luck alone would show, per observation.
    pub benchmark: f64,
    /// Probability that the true ratio is above it.
    pub probability: f64,
}

/// Expected largest of `trials` independent draws of a standard normal distribution; 0 for one.
pub fn best_of(trials: f64) -> f64 {
    if trials <= 1.0 {
        return 0.0;
    }
    let top = normal_quantile(1.0 - 1.0 / trials);
    let next = normal_quantile(1.0 - 1.0 / (trials * std::f64::consts::E));
    (1.0 - EULER) * top + EULER * next
}

/// Years of a backtest below which the best of `trials` without skill is expected to show this
/// annual ratio.
pub fn backtest_years_min(trials: f64, annual_sharpe: f64) -> f64 {
    (best_of(trials) / annual_sharpe).powi(2)
}

/// Independent trials among `trials` whose returns have this mean correlation: ρ + (1 − ρ)·trials.
pub fn effective_trials(trials: f64, mean_correlation: f64) -> f64 {
    let correlation = mean_correlation.clamp(0.0, 1.0);
    correlation + (1.0 - correlation) * trials
}
