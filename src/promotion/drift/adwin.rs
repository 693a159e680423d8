//! ADWIN (Bifet and Gavaldà 2007): a window over a stream that is cut where the mean changed.
//!
//! ```text
//! oldest                                             newest
//! [ 2ⁿ values ] … [ 4 ][ 4 ] [ 2 ][ 2 ][ 2 ] [1][1][1][1][1]
//! ```
//! Values are kept as buckets of 2ʳ, at most five of a size and one more while they are merged:
//! memory grows with the logarithm of the window. Cuts are tried at the edges of buckets.

/// Buckets of a size before the two oldest become one of the next.
const BUCKETS: usize = 5;
/// Values between two searches for a cut.
const CLOCK: u64 = 32;
/// No cut is searched in a window of so few values.
const WINDOW_MIN: f64 = 10.0;
/// Values that each side of a cut has at least.
const SIDE_MIN: f64 = 5.0;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    total: f64,
    variance: f64,
}

/// The detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Adwin {
    delta: f64,
    /// By size, 2⁰ first; within a size the oldest first.
    rows: Vec<Vec<Bucket>>,
    ticks: u64,
    width: f64,
    total: f64,
    /// Sum of squares around the mean.
    variance: f64,
    fired: bool,
}

impl Adwin {
    /// `delta`: about how often a stream without change is cut, above 0 and below 1.
    pub fn new(delta: f64) -> Self {
        let (rows, zero) = (vec![Vec::with_capacity(BUCKETS + 1)], 0.0);
        Self { delta, rows, ticks: 0, width: zero, total: zero, variance: zero, fired: false }
    }

    /// Takes a value in; true where the mean has changed. After that it starts anew.
    pub fn push(&mut self, value: f64) -> bool {
        if self.fired {
            *self = Self::new(self.delta);
        }
        self.insert(value);
        self.ticks += 1;
        if self.ticks.is_multiple_of(CLOCK) && self.width > WINDOW_MIN {
            while self.cut() {
                self.fired = true;
                self.forget_oldest();
            }
        }
        self.fired
    }

    /// Values in the window.
    pub fn width(&self) -> u64 {
        self.width as u64
    }

    /// Mean of the window; `None` before the first value.
    pub fn mean(&self) -> Option<f64> {
        (self.width > 0.0).then(|| self.total / self.width)
    }

    /// Variance of the window; `None` before the first value.
    pub fn variance(&self) -> Option<f64> {
        (self.width > 0.0).then(|| self.variance / self.width)
    }

    fn insert(&mut self, value: f64) {
        self.rows[0].push(Bucket { total: value, variance: 0.0 });
        self.width += 1.0;
        if self.width > 1.0 {
            let before = self.width - 1.0;
            let apart = value - self.total / before;
            self.variance += before * apart * apart / self.width;
        }
        self.total += value;
        self.merge_full_rows();
    }

    fn merge_full_rows(&mut self) {
        let mut row = 0;
        while self.rows[row].len() > BUCKETS {
            let size = size_of_row(row);
            let (first, second) = (self.rows[row].remove(0), self.rows[row].remove(0));
            let merged = Bucket {
                total: first.total + second.total,
                variance: first.variance
                    + second.variance
                    + between((size, first.total / size), (size, second.total / size)),
            };
            if self.rows.len() == row + 1 {
                self.rows.push(Vec::with_capacity(BUCKETS + 1));
            }
            row += 1;
            self.rows[row].push(merged);
        }
    }

    /// Whether there is a place where the means before and after differ.
    fn cut(&self) -> bool {
        let (mut before, mut after) = ((0.0, 0.0), (self.width, self.total));
        for (row, buckets) in self.rows.iter().enumerate().rev() {
            let size = size_of_row(row);
            for bucket in buckets {
                before = (before.0 + size, before.1 + bucket.total);
                after = (after.0 - size, after.1 - bucket.total);
                let long = before.0 >= SIDE_MIN && after.0 >= SIDE_MIN;
                let apart = before.1 / before.0 - after.1 / after.0;
                if long && apart.abs() > self.bound(before.0, after.0) {
                    return true;
                }
            }
        }
        false
    }

    fn bound(&self, before: f64, after: f64) -> f64 {
        let ln = (2.0 * self.width.ln() / self.delta).ln();
        let side = |n: f64| 1.0 / (n - SIDE_MIN + 1.0);
        let recip = side(before) + side(after);
        (2.0 * recip * self.variance / self.width * ln).sqrt() + 2.0 / 3.0 * ln * recip
    }

    fn forget_oldest(&mut self) {
        let row = self.rows.len() - 1;
        let size = size_of_row(row);
        let gone = self.rows[row].remove(0);
        self.width -= size;
        self.total -= gone.total;
        let mean = if self.width > 0.0 { self.total / self.width } else { 0.0 };
        self.variance -= gone.variance + between((size, gone.total / size), (self.width, mean));
        if self.rows[row].is_empty() && row > 0 {
            self.rows.pop();
        }
    }
}

fn size_of_row(row: usize) -> f64 {
    (row as f64).exp2()
}

/// What two groups of (number, mean) add to the sum of squares by having different means.
fn between((n, mean): (f64, f64), (m, other): (f64, f64)) -> f64 {
    n * m * (mean - other) * (mean - other) / (n + m)
}
