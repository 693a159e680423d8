//! Mixtures of martingales in closed form: how strong a sum speaks against its mean being nought.
//!
//! The gamma-exponential mixture is Howard, Ramdas, McAuliffe and Sekhon 2021 (arXiv 1810.08240),
//! proposition 9: the mean over a density of bets λ in (0, 1/c) of
//!
//! ```text
//! exp(λ·sum − ψ(λ)·variance),    ψ(λ) = (−ln(1 − cλ) − cλ) / c²
//! ```
//! With u = 1 − cλ and the density u^(ρ/c² − 1)·e^(−uρ/c²) every integral is one of
//! `K(a, b) = ∫ u^(a−1)·e^(−bu) du` over 0 to 1, which has a series of positive terms.

/// Terms of a series at most: it has converged long before for anything that weeks can gather.
const TERMS_MAX: u32 = 4_000_000;
/// A sum above this is scaled down, and its logarithm kept.
const LARGE: f64 = 1e250;

/// ln K(a, b), for a above 0 and any finite b.
fn ln_k(a: f64, b: f64) -> f64 {
    debug_assert!(a > 0.0 && b.is_finite());
    if b >= 0.0 {
        // e^(−b)·Σ bⁿ / (a(a+1)…(a+n))
        return ln_series(1.0 / a, |n| b / (a + n)) - b;
    }
    // Σ |b|ⁿ / (n!·(a+n)); the ratio of neighbours is |b|·(a+n−1) / (n·(a+n))
    ln_series(1.0 / a, |n| -b * (a + n - 1.0) / (n * (a + n)))
}

/// ln of a sum of positive terms, each `ratio(n)` times the one before.
fn ln_series(first: f64, ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut term, mut sum, mut scale) = (first, first, 0.0);
    for n in 1..TERMS_MAX {
        let step = ratio(f64::from(n));
        term *= step;
        sum += term;
        if sum > LARGE {
            term /= LARGE;
            sum /= LARGE;
            scale += LARGE.ln();
        }
        // Past the largest term the rest is below a geometric series.
        if step < 0.999 && term < sum * 1e-17 * (1.0 - step) {
            break;
        }
    }
    sum.ln() + scale
}

/// The mixture with its parameters fixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GammaExponential {
    /// Largest step down of what is summed, from its predicted mean.
    c: f64,
    rho: f64,
    /// ln K(ρ/c², ρ/c²): what makes the density one.
    norm: f64,
}

impl GammaExponential {
    /// For steps down of at most `c`, sharpest where the variance's sum is `variance_tuned`, for a
    /// test of level `alpha`. All above 0, `alpha` below a half.
    pub fn new(c: f64, variance_tuned: f64, alpha: f64) -> Self {
        let twice = 2.0 * (1.0 / (2.0 * alpha)).ln();
        let rho = variance_tuned / (twice + (1.0 + twice).ln());
        let r = rho / (c * c);
        Self { c, rho, norm: ln_k(r, r) }
    }

    /// Logarithm of the mixture: of the evidence that the mean is above nought.
    pub fn ln(&self, sum: f64, variance: f64) -> f64 {
        let square = self.c * self.c;
        let a = (variance + self.rho) / square;
        let b = (self.c * sum + variance + self.rho) / square;
        (self.c * sum + variance) / square + ln_k(a, b) - self.norm
    }

    /// The least sum that speaks with 1/`alpha` against the mean being nought.
    pub fn boundary(&self, variance: f64, alpha: f64) -> f64 {
        let wanted = (1.0 / alpha).ln();
        let (mut low, mut high) = (0.0, self.c);
        while self.ln(high, variance) < wanted {
            low = high;
            high *= 2.0;
        }
        // Fifty halvings are finer than the width of the numbers that come out of it.
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            if self.ln(middle, variance) < wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

/// Half the width of the normal mixture's confidence sequence for a mean after `n` draws of
/// deviation `sigma`, two-sided at level `alpha` (Robbins; Howard et al. 2021). `rho` is the
/// variance's sum at which it is tightest, roughly over nine.
pub fn normal_half_width(n: f64, sigma: f64, rho: f64, alpha: f64) -> f64 {
    let total = n * sigma * sigma + rho;
    (total * (total / (rho * alpha * alpha)).ln()).sqrt() / n
}

/// The mixture likelihood ratio of the mSPRT (Johari et al. 2022): evidence after `n` draws of
/// mean `mean` and known `variance` that the true mean is not 0, with a normal prior of variance
/// `prior`.
pub fn msprt(n: f64, mean: f64, variance: f64, prior: f64) -> f64 {
    let total = variance + n * prior;
    let exponent = n * n * prior * mean * mean / (2.0 * variance * total);
    (variance / total).sqrt() * exponent.exp()
}
