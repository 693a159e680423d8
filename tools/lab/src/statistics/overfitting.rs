//! Probability of backtest overfitting by combinatorially symmetric cross-validation: Bailey,
//! Borwein, López de Prado and Zhu, "The probability of backtest overfitting" (2015).
//!
//! ```text
//!   rows in S blocks ─► every choice of S/2 blocks: in sample    the best trial n* there
//!                                   the other S/2: out of sample  its rank among the N there
//!   λ = ln(ω / (1 − ω)), ω = rank / (N + 1)         overfit where λ ≤ 0
//! ```

use std::fmt;

/// Returns of trials on the same observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Trials {
    /// Trials, the length of a row.
    pub trials: usize,
    /// Observation after observation, `trials` values each.
    pub returns: Vec<f64>,
}

/// What the cross-validation says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overfitting {
    /// Ways to choose half of the blocks.
    pub halves: usize,
    /// Share of them in which the best trial in sample is at or below the median out of sample.
    pub probability: f64,
    /// Share of them in which it loses out of sample.
    pub loss_probability: f64,
    /// Slope of its ratio out of sample over the one in sample; 0 where all are equal.
    pub slope: f64,
    /// Mean of λ.
    pub logit_mean: f64,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Blocks are an even number from 2 to 20.
    Blocks(usize),
    /// At least two trials are compared, with whole rows.
    Trials,
    /// Each block needs two observations.
    Rows {
        /// Observations there are.
        rows: usize,
        /// Blocks asked for.
        blocks: usize,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks(blocks) => write!(f, "{blocks} blocks: an even number from 2 to 20"),
            Self::Trials => write!(f, "at least two trials with whole rows are compared"),
            Self::Rows { rows, blocks } => write!(f, "{rows} rows are too few for {blocks} blocks"),
        }
    }
}

impl std::error::Error for Refused {}

/// Sums of a block or of several: count, sum, sum of squares.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }

    /// Mean over sample deviation; 0 where nothing varies.
    fn sharpe(self) -> f64 {
        let mean = self.sum / self.count;
        let variance = (self.squares - self.sum * mean) / (self.count - 1.0);
        if variance > 0.0 { mean / variance.sqrt() } else { 0.0 }
    }
}

/// The probability of overfitting with `blocks` blocks; rows beyond a multiple of them are left
/// out at the end.
///
/// # Errors
/// [`Refused`] where the trials cannot be cut so.
pub fn overfitting(trials: &Trials, blocks: usize) -> Result<Overfitting, Refused> {
    if !(2..=20).contains(&blocks) || !blocks.is_multiple_of(2) {
        return Err(Refused::Blocks(blocks));
    }
    if trials.trials < 2 || !trials.returns.len().is_multiple_of(trials.trials) {
        return Err(Refused::Trials);
    }
    let rows = trials.returns.len() / trials.trials;
    if rows / blocks < 2 {
        return Err(Refused::Rows { rows, blocks });
    }
    let sums = block_sums(trials, blocks, rows / blocks);
    let mut chosen: Vec<Half> = Vec::new();
    for mask in 0_u32..1 << blocks {
        if mask.count_ones() as usize == blocks / 2 {
            chosen.push(half(&sums, mask));
        }
    }
    Ok(sum_up(&chosen))
}

/// Sums by block, then by trial.
fn block_sums(trials: &Trials, blocks: usize, rows: usize) -> Vec<Vec<Sums>> {
    let one = |block: usize| {
        let mut sums = vec![Sums::default(); trials.trials];
        let from = block * rows * trials.trials;
        for row in trials.returns[from..from + rows * trials.trials].chunks(trials.trials) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = sum.add(Sums { count: 1.0, sum: *value, squares: value * value });
            }
        }
        sums
    };
    (0..blocks).map(one).collect()
}

/// The best trial of one choice of blocks.
struct Half {
    inside: f64,
    outside: f64,
    logit: f64,
}

fn half(sums: &[Vec<Sums>], mask: u32) -> Half {
    let trials = sums[0].len();
    let ratio = |trial: usize, is_inside: bool| {
        let part =
            sums.iter().enumerate().filter(|(block, _)| (mask >> block & 1 == 1) == is_inside);
        part.map(|(_, sums)| sums[trial]).fold(Sums::default(), Sums::add).sharpe()
    };
    let inside: Vec<f64> = (0..trials).map(|trial| ratio(trial, true)).collect();
    let best =
        (1..trials).fold(0, |best, trial| if inside[trial] > inside[best] { trial } else { best });
    let outside: Vec<f64> = (0..trials).map(|trial| ratio(trial, false)).collect();
    // Ties share their ranks.
    let below = outside.iter().filter(|&&other| other < outside[best]).count() as f64;
    let same = outside.iter().filter(|&&other| other == outside[best]).count() as f64;
    let share = (below + (same + 1.0) / 2.0) / (trials as f64 + 1.0);
    Half { inside: inside[best], outside: outside[best], logit: (share / (1.0 - share)).ln() }
}

fn sum_up(halves: &[Half]) -> Overfitting {
    let n = halves.len() as f64;
    let share =
        |is_so: fn(&Half) -> bool| halves.iter().filter(|half| is_so(half)).count() as f64 / n;
    let mean = |of: fn(&Half) -> f64| halves.iter().map(of).sum::<f64>() / n;
    let (inside, outside) = (mean(|half| half.inside), mean(|half| half.outside));
    let (mut together, mut alone) = (0.0, 0.0);
    for half in halves {
        together += (half.inside - inside) * (half.outside - outside);
        alone += (half.inside - inside).powi(2);
    }
    Overfitting {
        halves: halves.len(),
        probability: share(|half| half.logit <= 0.0),
        loss_probability: share(|half| half.outside < 0.0),
        slope: if alone > 0.0 { together / alone } else { 0.0 },
        logit_mean: mean(|half| half.logit),
    }
}
