//! Two samples, one distribution? Kolmogorov and Smirnov's distance, and what to make of many.

/// The largest distance of the two samples' distributions: 0 to 1; `None` where one is empty.
pub fn ks_distance(a: &[f64], b: &[f64]) -> Option<f64> {
    let sorted = |sample: &[f64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    };
    let (a, b) = (sorted(a), sorted(b));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let below = |sample: &[f64], x: f64| {
        sample.partition_point(|value| *value <= x) as f64 / sample.len() as f64
    };
    let apart = |x: &f64| (below(&a, *x) - below(&b, *x)).abs();
    a.iter().chain(&b).map(apart).reduce(f64::max)
}

/// The probability that Kolmogorov's distribution is above `x`.
pub fn kolmogorov_tail(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0;
    }
    let term = |k: i32| {
        let sign = if k % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * f64::from(k * k) * x * x).exp()
    };
    (1..=100).map(term).sum::<f64>().clamp(0.0, 1.0)
}

/// The probability of a distance this large between samples of one distribution, by their numbers
/// of independent values: overlapping labels or slow features make those fewer than the values.
pub fn ks_probability(distance: f64, n: f64, m: f64) -> f64 {
    kolmogorov_tail(distance * (n * m / (n + m)).sqrt())
}

/// Which of many probabilities are rejected where at most a part `rate` of the rejected may be
/// wrong (Benjamini and Hochberg 1995).
pub fn rejected(probabilities: &[f64], rate: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_unstable_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let count = order.len() as f64;
    let held = |(rank, at): (usize, &usize)| probabilities[*at] <= rate * (rank + 1) as f64 / count;
    let last = order.iter().enumerate().rposition(held);
    let mut verdicts = vec![false; order.len()];
    let rejected = last.map_or(0, |last| last + 1);
    order[..rejected].iter().for_each(|at| verdicts[*at] = true);
    verdicts
}

/// The last values of a feature beside those of training.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    training: Vec<f64>,
    recent: Vec<f64>,
    window: usize,
    next: usize,
    /// Values that tell one thing: neighbours share a label or a bar.
    dependence: f64,
}

impl Sample {
    /// Compares with these values; `dependence` values, 1 or more, count as one. `None` where
    /// there is nothing to compare with.
    pub fn new(training: Vec<f64>, window: usize, dependence: f64) -> Option<Self> {
        if training.is_empty() || window == 0 || dependence < 1.0 {
            return None;
        }
        Some(Self { training, recent: Vec::with_capacity(window), window, next: 0, dependence })
    }

    /// Takes a value in; beyond the window the oldest leaves.
    pub fn push(&mut self, value: f64) {
        if self.recent.len() < self.window {
            self.recent.push(value);
            return;
        }
        self.recent[self.next] = value;
        self.next = (self.next + 1) % self.window;
    }

    /// The probability of so large a distance by chance; `None` before the window is full.
    pub fn probability(&self) -> Option<f64> {
        if self.recent.len() < self.window {
            return None;
        }
        let distance = ks_distance(&self.training, &self.recent)?;
        let effective = |count: usize| count as f64 / self.dependence;
        let (n, m) = (effective(self.training.len()), effective(self.window));
        Some(ks_probability(distance, n, m))
    }
}
