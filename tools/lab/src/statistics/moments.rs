//! Moments of a series of returns.

/// Moments of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Observations.
    pub count: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (divided by `count − 1`).
    pub deviation: f64,
    /// Third standardised moment of the population; 0 for a normal distribution.
    pub skewness: f64,
    /// Fourth standardised moment of the population; 3 for a normal distribution.
    pub kurtosis: f64,
}

impl Moments {
    /// Of these observations; `None` for fewer than two, or where all are equal.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count < 2 {
            return None;
        }
        let n = count as f64;
        let mean = values.iter().sum::<f64>() / n;
        let central =
            |power: i32| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / n;
        let variance = central(2);
        if !variance.is_finite() || variance <= 0.0 {
            return None;
        }
        Some(Self {
            count,
            mean,
            deviation: (variance * n / (n - 1.0)).sqrt(),
            skewness: central(3) / variance.powf(1.5),
            kurtosis: central(4) / (variance * variance),
        })
    }

    /// Mean over deviation.
    pub fn sharpe(&self) -> f64 {
        self.mean / self.deviation
    }
}

/// Mean over sample standard deviation; `None` where there is none.
pub fn sharpe(returns: &[f64]) -> Option<f64> {
    Moments::of(returns).map(|moments| moments.sharpe())
}

/// Mean over the root of the mean square of what lies below zero; `None` without a loss.
pub fn sortino(returns: &[f64]) -> Option<f64> {
    let n = returns.len() as f64;
    let below = returns.iter().map(|value| value.min(0.0).powi(2)).sum::<f64>() / n;
    (below > 0.0).then(|| returns.iter().sum::<f64>() / n / below.sqrt())
}

/// Largest fall of the compounded equity from its peak, as a share of the peak, 0 to 1.
pub fn drawdown_max(returns: &[f64]) -> f64 {
    let (mut equity, mut peak, mut worst) = (1.0_f64, 1.0_f64, 0.0_f64);
    for change in returns {
        equity *= 1.0 + change;
        peak = peak.max(equity);
        worst = worst.max(1.0 - equity / peak);
    }
    worst
}
