//! What the model expects of an entry: its mean return, how it scatters, and the Kelly bet on it.
//!
//! With quantiles the mean is Swanson's, `0.3·q10 + 0.4·q50 + 0.3·q90`, and the standard deviation
//! `(q90 − q10) / 2.5631`, the distance of those quantiles in a normal distribution. Without them
//! the return is one typical move up, none, or one down, by the classes' probabilities.
//!
//! The Kelly bet as a multiple of the equity (Thorp 2006): `μ / σ²` for the continuous case,
//! `(p·G − q·L − (1 − p − q)·c) / (G·L)` for a gain G, a loss L and costs c, which is
//! `(p − q/b) / L` with `b = G/L` where nothing is flat.

use crate::base::Side;
use crate::base::event::Prediction;

/// Distance of the quantiles .1 and .9 of a normal distribution in standard deviations.
const DECILES: f64 = 2.563_103_131_089_201;

/// See the head of this file. Returns are fractions in favour of the entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outlook {
    /// From quantiles of the return.
    Quantiles {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        deviation: f64,
    },
    /// From the classes alone.
    Classes {
        /// Probability of a move in favour, 0 to 1.
        with: f64,
        /// Probability of a move against.
        against: f64,
        /// Size of either.
        typical: f64,
    },
}

impl Outlook {
    /// Of an entry of `side`, where `typical` is the usual move as a fraction of the price.
    pub(super) fn new(prediction: &Prediction, side: Side, typical: f64) -> Self {
        let sign = side.sign() as f64;
        let [low, middle, high] = prediction.quantile.map(f64::from);
        let told = low.is_finite() && middle.is_finite() && high.is_finite();
        // A model without quantiles may leave them zero as well as not a number.
        if told && low <= middle && middle <= high && low < high {
            let mean = sign * (0.3 * low + 0.4 * middle + 0.3 * high);
            return Self::Quantiles { mean, deviation: (high - low) / DECILES };
        }
        let [down, _, up] = prediction.probability.map(f64::from);
        let (with, against) = if sign > 0.0 { (up, down) } else { (down, up) };
        Self::Classes { with, against, typical }
    }

    /// Expected return before costs.
    pub(super) fn mean(&self) -> f64 {
        match *self {
            Self::Quantiles { mean, .. } => mean,
            Self::Classes { with, against, typical } => (with - against) * typical,
        }
    }

    /// The return that the model itself aims at, where it tells one.
    pub(super) fn target(&self) -> Option<f64> {
        match *self {
            Self::Quantiles { mean, .. } if mean > 0.0 => Some(mean),
            _ => None,
        }
    }

    /// The Kelly bet after `costs`, with `shrink` of the edge left out; zero or below for none.
    pub(super) fn kelly(&self, costs: f64, shrink: f64) -> f64 {
        match *self {
            Self::Quantiles { mean, deviation } => {
                let net = mean * (1.0 - shrink) - costs;
                net / (deviation * deviation)
            }
            Self::Classes { with, against, typical } => {
                let out = shrink * (with - against) / 2.0;
                let (with, against) = (with - out, against + out);
                let flat = (1.0 - with - against).max(0.0);
                let (gain, loss) = (typical - costs, typical + costs);
                if gain <= 0.0 {
                    return 0.0;
                }
                (with * gain - against * loss - flat * costs) / (gain * loss)
            }
        }
    }
}
