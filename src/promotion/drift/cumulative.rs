//! Page and Hinkley's test: when the mean of a stream has risen.

/// Fading of the sum per value: what is ten thousand values old hardly counts.
const FADING: f64 = 1.0 - 1e-4;
/// Values before the first verdict.
const COUNT_MIN: u64 = 30;

/// The detector, for rises alone: a loss that falls is no drift to act on.
#[derive(Clone, Debug, PartialEq)]
pub struct PageHinkley {
    tolerance: f64,
    threshold: f64,
    count: u64,
    mean: f64,
    sum: f64,
    least: f64,
    fired: bool,
}

impl PageHinkley {
    /// Rises of up to `tolerance` are taken for chance; `threshold` is how far the sum of what is
    /// beyond them may go, both in the unit of the stream and above 0.
    pub fn new(tolerance: f64, threshold: f64) -> Self {
        let (count, fired, least) = (0, false, f64::INFINITY);
        Self { tolerance, threshold, count, mean: 0.0, sum: 0.0, least, fired }
    }

    /// Takes a value in; true where the mean has risen. After that it starts anew.
    pub fn push(&mut self, value: f64) -> bool {
        if self.fired {
            *self = Self::new(self.tolerance, self.threshold);
        }
        self.count += 1;
        self.mean += (value - self.mean) / self.count as f64;
        self.sum = FADING * self.sum + value - self.mean - self.tolerance;
        self.least = self.least.min(self.sum);
        self.fired = self.count >= COUNT_MIN && self.sum - self.least > self.threshold;
        self.fired
    }
}
