//! Population stability index: Σ (actual − expected)·ln(actual / expected) over training's bins.

/// A bin that holds nothing counts as this share, so that the index stays finite.
const SHARE_MIN: f64 = 1e-4;

/// The index of two sets of counts or shares of the same bins; `None` where one of them is empty
/// or they have not the same number of bins.
pub fn psi(expected: &[f64], actual: &[f64]) -> Option<f64> {
    let (all, seen) = (expected.iter().sum::<f64>(), actual.iter().sum::<f64>());
    if expected.len() != actual.len() || !(all > 0.0 && seen > 0.0) {
        return None;
    }
    let part = |(e, a): (&f64, &f64)| {
        let (e, a) = ((e / all).max(SHARE_MIN), (a / seen).max(SHARE_MIN));
        (a - e) * (a / e).ln()
    };
    Some(expected.iter().zip(actual).map(part).sum())
}

/// The last `window` values of a feature, as counts of the bins that training had.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// Upper edges of all bins but the last, rising.
    edges: Vec<f64>,
    expected: Vec<f64>,
    counts: Vec<f64>,
    /// Bins of the values in the window, oldest at `next` once it is full.
    recent: Vec<u8>,
    window: usize,
    next: usize,
}

impl Shares {
    /// Bins with these upper edges (the last bin has none) and the shares training had in them; at
    /// most 256 bins. `None` where edges do not rise or their number does not fit.
    pub fn new(edges: Vec<f64>, expected: Vec<f64>, window: usize) -> Option<Self> {
        let rising = edges.windows(2).all(|pair| pair[0] < pair[1]);
        let fits = expected.len() == edges.len() + 1 && (2..=256).contains(&expected.len());
        if !rising || !fits || window == 0 {
            return None;
        }
        let counts = vec![0.0; expected.len()];
        let recent = Vec::with_capacity(window);
        Some(Self { edges, expected, counts, recent, window, next: 0 })
    }

    /// Deciles of a training sample: ten bins of equal share. `None` for fewer than ten different
    /// values.
    pub fn deciles(training: &[f64], window: usize) -> Option<Self> {
        let mut sorted: Vec<f64> = training.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let edge = |tenth: usize| sorted.get((sorted.len() * tenth / 10).saturating_sub(1));
        let edges: Option<Vec<f64>> = (1..10).map(|tenth| edge(tenth).copied()).collect();
        let mut shares = Self::new(edges?, vec![1.0; 10], window)?;
        // Equal values make unequal bins: count what is in them.
        let mut counts = vec![0.0; 10];
        sorted.iter().for_each(|x| counts[shares.bin(*x)] += 1.0);
        shares.expected = counts;
        Some(shares)
    }

    fn bin(&self, value: f64) -> usize {
        self.edges.partition_point(|edge| *edge < value)
    }

    /// Takes a value in; beyond the window the oldest leaves.
    pub fn push(&mut self, value: f64) {
        let bin = self.bin(value);
        self.counts[bin] += 1.0;
        // At most 256 bins.
        let byte = bin as u8;
        if self.recent.len() < self.window {
            self.recent.push(byte);
            return;
        }
        let left = std::mem::replace(&mut self.recent[self.next], byte);
        self.counts[usize::from(left)] -= 1.0;
        self.next = (self.next + 1) % self.window;
    }

    /// The largest distance, at the edges, of the window's distribution from training's: at most
    /// the Kolmogorov–Smirnov distance. `None` before the window is full.
    pub fn distance(&self) -> Option<f64> {
        if self.recent.len() < self.window {
            return None;
        }
        let all: f64 = self.expected.iter().sum();
        let (mut own, mut training, mut most) = (0.0, 0.0, 0.0_f64);
        for (count, expected) in self.counts.iter().zip(&self.expected) {
            own += count / self.window as f64;
            training += expected / all;
            most = most.max((own - training).abs());
        }
        Some(most)
    }

    /// The index of the window against training; `None` before the window is full.
    pub fn index(&self) -> Option<f64> {
        let full = self.recent.len() == self.window;
        if full { psi(&self.expected, &self.counts) } else { None }
    }
}
