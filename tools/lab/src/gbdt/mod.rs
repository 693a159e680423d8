//! Deterministic gradient-boosted trees on histograms.
//!
//! ```text
//!   table ─► bins (sorted values, midpoints) ─┐
//!   labels, weights ─► gradients (i64, 2⁻³²) ─┴─► histograms ─► best-first tree ─► forest
//!                           ▲                                        │ one per class and round
//!                           └──────────────── scores ◄───────────────┘
//! ```
//!
//! The same data, parameters and seed give the same forest to the bit, whatever the number of
//! threads: sums are integers, ties go to the lower feature and then the lower bin, random numbers
//! come from a counter keyed by what they are for, `exp` and `ln` are pure Rust.

mod bins;
mod boost;
mod forest;
mod grow;
mod objective;
pub(crate) mod random;
#[cfg(test)]
mod tests;

pub use boost::{Progress, Trained, Watch, train, train_from, train_while};
pub use forest::{Forest, Node, Tree};
pub use objective::{softmax, weighted_quantile};

use crate::column::Column;

/// What is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// Probabilities of `classes` classes; labels are 0 to `classes` − 1.
    Softmax {
        /// Number of classes, at least 2.
        classes: usize,
    },
    /// A number, by least squares.
    Squared,
    /// Three quantiles of a number, by the pinball loss.
    Quantiles {
        /// Their levels in thousandths, rising, each 1 to 999.
        permille: [u16; 3],
    },
}

impl Objective {
    /// Trees per round.
    pub const fn outputs(self) -> usize {
        match self {
            Self::Softmax { classes } => classes,
            Self::Squared => 1,
            Self::Quantiles { .. } => 3,
        }
    }

    /// Level of an output, 0 to 1; `None` where it is no quantile.
    pub fn level(self, output: usize) -> Option<f64> {
        match self {
            Self::Quantiles { permille } => Some(f64::from(permille[output]) / 1_000.0),
            _ => None,
        }
    }
}

/// How a forest is grown.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// What is learned.
    pub objective: Objective,
    /// Most rounds; each adds one tree per output.
    pub rounds: usize,
    /// Factor on every leaf, above 0, at most 1.
    pub learning_rate: f64,
    /// Deepest leaf; the root is at depth 0.
    pub depth_max: usize,
    /// Most leaves of a tree.
    pub leaves_max: usize,
    /// L2 penalty on leaves.
    pub lambda: f64,
    /// Fewest rows of a leaf.
    pub leaf_rows_min: usize,
    /// Least sum of second derivatives of a leaf.
    pub leaf_weight_min: f64,
    /// Least gain of a split.
    pub gain_min: f64,
    /// Part of the rows each round looks at, above 0, at most 1.
    pub row_share: f64,
    /// Part of the features each tree looks at, above 0, at most 1.
    pub feature_share: f64,
    /// Most bins of a feature, 2 to 256.
    pub bins_max: usize,
    /// Rounds without improvement on the held-out rows after which training stops; 0 never stops.
    pub patience: usize,
    /// Threads that build histograms; the result does not depend on it.
    pub threads: usize,
    /// Seed of the shares.
    pub seed: u64,
    /// Fold, so that folds of one study draw different rows.
    pub fold: u32,
}

impl Params {
    /// Usual settings for an objective.
    pub const fn new(objective: Objective) -> Self {
        Self {
            objective,
            rounds: 100,
            learning_rate: 0.1,
            depth_max: 6,
            leaves_max: 31,
            lambda: 1.0,
            leaf_rows_min: 20,
            leaf_weight_min: 1e-3,
            gain_min: 0.0,
            row_share: 1.0,
            feature_share: 1.0,
            bins_max: 255,
            patience: 0,
            threads: 1,
            seed: 7,
            fold: 0,
        }
    }
}

/// Rows of features with what is to be learned from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Number of features of a row.
    pub features: usize,
    /// Row after row.
    pub values: Column<f32>,
    /// One label or number a row.
    pub targets: Vec<f64>,
    /// One weight a row; empty means all 1.
    pub weights: Vec<f64>,
}

impl Table {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.targets.len()
    }

    /// One row's features.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.features..(index + 1) * self.features]
    }

    /// One row's weight.
    pub fn weight(&self, index: usize) -> f64 {
        self.weights.get(index).copied().unwrap_or(1.0)
    }

    /// The rows of a range as a table of their own.
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        let cut = |all: &[f64]| all.get(rows.clone()).map(<[f64]>::to_vec).unwrap_or_default();
        Self {
            features: self.features,
            values: self.values[rows.start * self.features..rows.end * self.features]
                .iter()
                .copied()
                .collect(),
            targets: cut(&self.targets),
            weights: cut(&self.weights),
        }
    }
}

/// Why nothing can be learned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// There are no rows or no features.
    #[error("the table has {rows} rows and {features} features: both must be above zero")]
    Empty {
        /// Rows.
        rows: usize,
        /// Features.
        features: usize,
    },
    /// The parts of a table do not fit together.
    #[error("the table's {part} do not fit its {rows} rows")]
    Shape {
        /// The part at fault.
        part: &'static str,
        /// Rows by its targets.
        rows: usize,
    },
    /// A value is not finite.
    #[error("row {row}, feature {feature} is not finite")]
    NotFinite {
        /// The row.
        row: usize,
        /// The feature.
        feature: usize,
    },
    /// A label is no class, or a target or weight is no usable number.
    #[error("row {row} has the target {target} and weight {weight}: not usable")]
    Target {
        /// The row.
        row: usize,
        /// Its target.
        target: f64,
        /// Its weight.
        weight: f64,
    },
    /// A parameter is out of range.
    #[error("parameter {0} is out of range")]
    Parameter(&'static str),
    /// A forest to go on from was grown for something else.
    #[error("the forest to go on from has other {0}")]
    Base(&'static str),
}
