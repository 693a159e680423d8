//! Which trial is not worth finishing, told from its values so far and those of others.
//!
//! Values are such that less is better. Sources: Golovin et al. (2017), "Google Vizier", for the
//! median; Li et al. (2020), "A System for Massively Parallel Hyperparameter Tuning", for halving
//! without waiting. Steps and rungs are counted as Optuna counts them, so that both may judge
//! trials of one study.

use std::collections::BTreeMap;

/// Values of one trial by step.
pub type Curve = BTreeMap<i64, f64>;

/// When a trial is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pruner {
    /// Never.
    None,
    /// Where it is worse than the median of the others.
    Median(Median),
    /// Where it is not among the best of its rung.
    Halving(Halving),
}

/// A trial stops where the best it has reached is worse than the median of the finished ones at the
/// same step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    /// Finished trials before any is stopped.
    pub startup: usize,
    /// Steps of a trial before it may be stopped.
    pub warmup: i64,
    /// Steps between two looks, at least 1.
    pub interval: i64,
}

/// Successive halving without waiting: at `least · factor^rung` steps only the best `1/factor` of
/// those that came so far go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Halving {
    /// Steps to the first rung, at least 1.
    pub least: i64,
    /// At least 2.
    pub factor: i64,
}

impl Median {
    /// Whether a trial with this curve is due for a look at its last step.
    pub fn looks(&self, curve: &Curve) -> bool {
        let Some((&step, _)) = curve.last_key_value() else { return false };
        if step < self.warmup {
            return false;
        }
        // The first step told in each interval is looked at.
        let interval = self.interval.max(1);
        let begin = self.warmup + (step - self.warmup) / interval * interval;
        curve.range(begin..step).next().is_none()
    }

    /// Whether to stop: `finished` trials are complete, and `there` are their values at this
    /// trial's last step.
    pub fn stops(&self, curve: &Curve, finished: usize, there: &[f64]) -> bool {
        if finished < self.startup.max(1) || !self.looks(curve) {
            return false;
        }
        let best = curve.values().copied().filter(|value| !value.is_nan()).reduce(f64::min);
        let Some(best) = best else { return true };
        median(there).is_some_and(|median| best > median)
    }
}

impl Halving {
    /// Steps at which a rung is complete.
    pub const fn steps(&self, rung: u32) -> i64 {
        self.least.saturating_mul(self.factor.saturating_pow(rung))
    }

    /// Whether a trial with `value` goes on from a rung that `others` have completed with theirs.
    pub fn promotes(&self, value: f64, others: &[f64]) -> bool {
        if value.is_nan() {
            return false;
        }
        let mut all = others.to_vec();
        all.push(value);
        all.sort_by(f64::total_cmp);
        // Before there are `factor` values the best of them goes on.
        let last = (all.len() / self.factor.max(2) as usize).max(1) - 1;
        value <= all[last]
    }
}

/// The middle value, or the mean of the middle two; what is no number is passed over.
fn median(values: &[f64]) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}
