//! Small nets, learned by gradient descent: a dense net and a recurrent step.
//!
//! ```text
//!   x ─► (x − mean)·inverse, clipped ─► dense:  relu(W·x + b)          ─► V·h + c ─► logits
//!                                  └──► step:   h' = gated(x, h)  ────► V·h' + c ─► logits
//! ```
//! The same rows, settings and seed give the same weights to the bit, whatever the number of
//! threads and however it is compiled: all is f64 in one written order, batches are cut into as
//! many shares as there ever are and their sums are added in order, `exp` and `tanh` are pure Rust,
//! random numbers come from a counter keyed by what they are for. In the end the weights are
//! rounded to f32: those are what an exported file holds.
//!
//! | file | holds |
//! |---|---|
//! | `scale` | inputs brought to one size |
//! | `affine` | a row times weights, and back |
//! | `dense` | one hidden layer |
//! | `gru` | a gated recurrent step over windows of rows |
//! | `fit` | epochs, early stopping, Adam |

mod affine;
mod dense;
mod fit;
mod gru;
mod scale;
#[cfg(test)]
mod tests;

use affine::Affine;

pub use dense::Dense;
pub use fit::{Epoch, Fitted, fit};
pub use gru::{Gru, Windows};
pub use scale::{FAR, Scale};

/// Classes that are told apart.
pub const OUTPUTS: usize = 3;

/// How a net is learned.
#[derive(Clone, Debug, PartialEq)]
pub struct NetParams {
    /// Hidden values, 1 to 256.
    pub hidden: usize,
    /// Most passes over the rows.
    pub epochs: usize,
    /// Passes without improvement on the held-out rows after which learning stops; 0 never stops.
    pub patience: usize,
    /// Rows (or windows of rows) between two steps.
    pub batch: usize,
    /// Length of a step.
    pub learning_rate: f64,
    /// Part by which weights shrink at each step, times the learning rate.
    pub decay: f64,
    /// Threads; nothing depends on it.
    pub threads: usize,
    /// Seed of the first weights and of the order of rows.
    pub seed: u64,
    /// Fold, so that folds of one study begin elsewhere.
    pub fold: u32,
}

/// A row to learn from, scaled: what comes in, the class, and how much it weighs.
#[derive(Clone, Copy, Debug)]
pub struct Lesson<'r> {
    /// Scaled features.
    pub input: &'r [f64],
    /// The class, 0 to [`OUTPUTS`] − 1.
    pub class: usize,
    /// Its weight; 0 for rows that only lead up to others.
    pub weight: f64,
}

/// What can be learned: a flat row of weights, and the loss of a window of consecutive rows with
/// its slope.
pub trait Net: Clone + Send + Sync {
    /// The weights.
    fn weights(&self) -> &[f64];
    /// The weights, to be changed.
    fn weights_mut(&mut self) -> &mut [f64];
    /// Sum of the weighted log-loss of a window that starts without a memory. Adds the slope by
    /// every weight to `slope` where there is one.
    fn loss(&self, window: &[Lesson<'_>], slope: Option<&mut [f64]>) -> f64;
}

/// Weighted log-loss of logits, which become its slope.
fn cross_entropy(logits: &mut [f64], class: usize, weight: f64) -> f64 {
    crate::gbdt::softmax(logits);
    let loss = -weight * libm::log(logits[class].max(1e-15));
    logits[class] -= 1.0;
    logits.iter_mut().for_each(|slope| *slope *= weight);
    loss
}

/// Has a head whose weights say nothing yet answer with `shares`.
fn begin_at(weights: &mut [f64], head: Affine, shares: &[f64]) {
    for (class, share) in shares.iter().enumerate() {
        weights[head.end() - OUTPUTS + class] = libm::log(share.max(1e-9));
    }
}

/// Divides the head's logits, takes from them what they have in common, rounds all to f32. Nothing
/// lies behind the head.
fn finish(weights: &mut [f64], head: Affine, temperature: f64) {
    let all = &mut weights[head.at..];
    all.iter_mut().for_each(|weight| *weight /= temperature);
    let (matrix, bias) = all.split_at_mut(OUTPUTS * head.inputs);
    centre(matrix, head.inputs);
    centre(bias, 1);
    to_single(weights);
}

/// Rounds weights to f32.
fn to_single(weights: &mut [f64]) {
    weights.iter_mut().for_each(|weight| *weight = f64::from(*weight as f32));
}

/// Takes from each column of a head's weights its mean, so that logits add up to zero: what they
/// have in common says nothing. `head` is [`OUTPUTS`] rows of `width`.
fn centre(head: &mut [f64], width: usize) {
    for column in 0..width {
        let sum: f64 = (0..OUTPUTS).map(|row| head[row * width + column]).sum();
        (0..OUTPUTS).for_each(|row| head[row * width + column] -= sum / OUTPUTS as f64);
    }
}
