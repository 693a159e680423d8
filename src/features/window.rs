//! A ring of the newest `N` numbers whose newest part is always one slice: every number is written
//! twice, `N` apart, so no window ever wraps.
//!
//! ```text
//!           next                next + N
//!   | f g h | a b c d e | f g h | a b c d e |      a oldest, h newest
//!           `----- the newest N -----'
//! ```
//! Sums over a window are taken anew when a bar closes, so no rounding error is ever carried along.

/// See the head of this file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<const N: usize> {
    data: [[f64; N]; 2],
    next: usize,
    count: usize,
}

impl<const N: usize> Window<N> {
    pub(super) const EMPTY: Self = Self { data: [[0.0; N]; 2], next: 0, count: 0 };

    pub(super) fn push(&mut self, value: f64) {
        self.data[0][self.next] = value;
        self.data[1][self.next] = value;
        self.next = (self.next + 1) % N;
        self.count = (self.count + 1).min(N);
    }

    /// The newest `n`, oldest first; `None` when fewer have come.
    pub(super) fn last(&self, n: usize) -> Option<&[f64]> {
        if n > self.count {
            return None;
        }
        let end = self.next + N;
        self.data.as_flattened().get(end - n..end)
    }

    /// The value `k` before the newest.
    pub(super) fn back(&self, k: usize) -> Option<f64> {
        self.last(k + 1).map(|values| values[0])
    }

    /// Newest over the value `k` before it, minus 1.
    pub(super) fn change(&self, k: usize) -> Option<f64> {
        Some(self.back(0)? / self.back(k)? - 1.0)
    }

    /// (Newest − mean) / population standard deviation of the newest `n`; 0 when all are equal.
    pub(super) fn zscore(&self, n: usize) -> Option<f64> {
        let values = self.last(n)?;
        let (mean, sigma) = mean_sigma(values);
        Some(if sigma == 0.0 { 0.0 } else { (values[n - 1] - mean) / sigma })
    }
}

/// Sum in four interleaved parts: a fixed order that leaves the adders no chain to wait for.
pub(super) fn sum(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<4>();
    let mut parts = [0.0; 4];
    for chunk in chunks {
        for (part, value) in parts.iter_mut().zip(chunk) {
            *part += value;
        }
    }
    rest.iter().fold((parts[0] + parts[1]) + (parts[2] + parts[3]), |sum, value| sum + value)
}

/// Sum of products, in the order of [`sum`].
pub(super) fn dot(values: &[f64], weights: &[f64]) -> f64 {
    let (left, left_rest) = values.as_chunks::<4>();
    let (right, right_rest) = weights.as_chunks::<4>();
    let mut parts = [0.0; 4];
    for (a, b) in left.iter().zip(right) {
        for i in 0..4 {
            parts[i] += a[i] * b[i];
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    (parts[0] + parts[1]) + (parts[2] + parts[3]) + rest
}

/// Mean and population standard deviation, in two passes. Equal values give exactly their value and
/// 0: the rounding of the mean must not become a deviation that a z-score then divides by.
pub(super) fn mean_sigma(values: &[f64]) -> (f64, f64) {
    let Some(&first) = values.first() else {
        return (f64::NAN, f64::NAN);
    };
    if values.iter().all(|&v| v == first) {
        return (first, 0.0);
    }
    let n = values.len() as f64;
    let mean = sum(values) / n;
    let mut parts = [0.0; 4];
    for (i, value) in values.iter().enumerate() {
        parts[i % 4] += (value - mean) * (value - mean);
    }
    (mean, ((parts[0] + parts[1] + parts[2] + parts[3]) / n).sqrt())
}
