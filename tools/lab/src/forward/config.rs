//! What a validation is made with: a TOML file, every key with a usual value, unknown keys errors.

use super::models::{DenseConfig, GruConfig, ModelConfig, StackConfig};
use crate::gbdt::{Objective, Params};
use crate::history::{LabelOf, Wanted};
use anyhow::{Context, Result, ensure};
use peregrine::base::Nanos;
use peregrine::model::artifact::{CLASSES, hex, sha256};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The whole of it. Its hash, with that of the data, names every stored fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seed of the training.
    pub seed: u64,
    /// First time taken, milliseconds since the epoch.
    pub from_ms: Option<i64>,
    /// First time no longer taken.
    pub to_ms: Option<i64>,
    /// Length of a period of returns, milliseconds; at least a bar.
    pub period_ms: i64,
    /// Trials made before this validation on the same data: they count for what luck can do.
    pub trials_before: u64,
    /// See [`RowsConfig`].
    pub rows: RowsConfig,
    /// See [`LabelConfig`].
    pub label: LabelConfig,
    /// See [`CostConfig`].
    pub costs: CostConfig,
    /// See [`FoldConfig`].
    pub folds: FoldConfig,
    /// See [`ModelConfig`].
    pub model: ModelConfig,
    /// See [`TreeConfig`].
    pub trees: TreeConfig,
    /// See [`DenseConfig`].
    pub dense: DenseConfig,
    /// See [`GruConfig`].
    pub gru: GruConfig,
    /// See [`StackConfig`].
    pub stack: StackConfig,
    /// See [`PolicyConfig`].
    pub policy: PolicyConfig,
}

/// Which rows are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowsConfig {
    /// Length of a bar in milliseconds, 0 for that of the shortest candles.
    pub bar_ms: u32,
    /// A row every so many bars, 1 to 10 000.
    pub every_bars: u32,
    /// Names of features; empty for those that have a meaning on the data.
    pub features: Vec<String>,
}

/// What is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelConfig {
    /// Bars until a moment is over, 1 to 100 000.
    pub horizon_bars: usize,
    /// Distance of both barriers in deviations of a bar, above 0; 0 for none: a fixed horizon.
    pub barrier: f64,
    /// A return up to this many basis points is flat when the horizon is reached.
    pub flat_bps: f64,
    /// Half-life of the deviation in bars, above 0.
    pub half_life_bars: f64,
}

/// What trading costs, basis points of the value of an order that takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CostConfig {
    /// Fee.
    pub taker_fee_bps: f64,
    /// Full spread; half of it is paid.
    pub spread_bps: f64,
    /// Slippage beyond the spread.
    pub slippage_bps: f64,
}

/// What is learned from what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FoldConfig {
    /// Walk-forward folds, 1 to 100.
    pub count: usize,
    /// Share of the rows that each fold learns from, 0.1 to 0.9; the rest is cut into tests.
    pub train_share: f64,
    /// Share of a fold's training, at its end, that tells when to stop and how to calibrate.
    pub stop_share: f64,
    /// Bars behind a test that nothing is learned from; no feature should look back further.
    pub embargo_bars: i64,
    /// Groups of the combinatorial validation, 2 to 12; 0 for none.
    pub groups: usize,
    /// Groups tested at once.
    pub tested: usize,
    /// Blocks by which overfitting is told, even, 2 to 16.
    pub blocks: usize,
}

/// How trees are grown. Each depth is a configuration of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreeConfig {
    /// Most rounds, 1 to 5 000.
    pub rounds: usize,
    /// Factor on every leaf.
    pub learning_rate: f64,
    /// Depths to try, 1 to 12.
    pub depths: Vec<usize>,
    /// Fewest rows of a leaf.
    pub leaf_rows_min: usize,
    /// Part of the rows a round looks at.
    pub row_share: f64,
    /// Part of the features a tree looks at.
    pub feature_share: f64,
    /// Rounds without improvement after which training stops.
    pub patience: usize,
}

/// When is traded. Each threshold is a configuration of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// p(up) − p(down) from which is entered, as the policy's `enter_edge`; above 0 to 1.
    pub enter_edges: Vec<f64>,
    /// An edge below this, on the side held, ends it, as the policy's `exit_edge`; −1 to 1.
    pub exit_edge: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 7,
            from_ms: None,
            to_ms: None,
            period_ms: 3_600_000,
            trials_before: 0,
            rows: RowsConfig::default(),
            label: LabelConfig::default(),
            costs: CostConfig::default(),
            folds: FoldConfig::default(),
            model: ModelConfig::default(),
            trees: TreeConfig::default(),
            dense: DenseConfig::default(),
            gru: GruConfig::default(),
            stack: StackConfig::default(),
            policy: PolicyConfig::default(),
        }
    }
}

impl Default for RowsConfig {
    fn default() -> Self {
        Self { bar_ms: 0, every_bars: 5, features: Vec::new() }
    }
}

impl Default for LabelConfig {
    fn default() -> Self {
        Self { horizon_bars: 48, barrier: 4.0, flat_bps: 0.0, half_life_bars: 288.0 }
    }
}

impl Default for CostConfig {
    fn default() -> Self {
        Self { taker_fee_bps: 5.0, spread_bps: 1.0, slippage_bps: 0.5 }
    }
}

impl Default for FoldConfig {
    fn default() -> Self {
        Self {
            count: 6,
            train_share: 0.4,
            stop_share: 0.15,
            embargo_bars: 288,
            groups: 6,
            tested: 2,
            blocks: 10,
        }
    }
}

impl Default for TreeConfig {
    fn default() -> Self {
        Self {
            rounds: 150,
            learning_rate: 0.05,
            depths: vec![3, 5],
            leaf_rows_min: 200,
            row_share: 0.7,
            feature_share: 0.7,
            patience: 15,
        }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { enter_edges: vec![0.1, 0.2, 0.3], exit_edge: 0.0 }
    }
}

impl CostConfig {
    /// Of one order, as a share of its value.
    pub fn side(&self) -> f64 {
        (self.taker_fee_bps + self.spread_bps / 2.0 + self.slippage_bps) / 10_000.0
    }
}

/// One of the configurations that are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Of the trees; 0 without any.
    pub depth: usize,
    /// Threshold of an entry.
    pub enter_edge: f64,
}

impl Config {
    /// From a file.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is not known, a value out of its range.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let config: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        config.check().with_context(|| path.display().to_string())?;
        Ok(config)
    }

    /// Looks whether every value is in its range.
    ///
    /// # Errors
    /// The keys that are not.
    pub fn check(&self) -> Result<()> {
        let share = |share: f64| share > 0.0 && share <= 1.0;
        let cost = |bps: f64| (0.0..=1_000.0).contains(&bps);
        let (folds, trees, costs) = (&self.folds, &self.trees, &self.costs);
        let edges = &self.policy.enter_edges;
        let ranges = [
            ("period_ms", (1..=604_800_000).contains(&self.period_ms)),
            ("rows.every_bars", (1..=10_000).contains(&self.rows.every_bars)),
            ("label.horizon_bars", (1..=100_000).contains(&self.label.horizon_bars)),
            ("label.barrier", (0.0..=1_000.0).contains(&self.label.barrier)),
            ("label.flat_bps", cost(self.label.flat_bps)),
            ("label.half_life_bars", (0.1..=1e6).contains(&self.label.half_life_bars)),
            ("costs.taker_fee_bps", cost(costs.taker_fee_bps)),
            ("costs.spread_bps", cost(costs.spread_bps)),
            ("costs.slippage_bps", cost(costs.slippage_bps)),
            ("folds.count", (1..=100).contains(&folds.count)),
            ("folds.train_share", (0.1..=0.9).contains(&folds.train_share)),
            ("folds.stop_share", (0.05..=0.5).contains(&folds.stop_share)),
            ("folds.embargo_bars", (0..=1_000_000).contains(&folds.embargo_bars)),
            ("folds.groups", folds.groups == 0 || (2..=12).contains(&folds.groups)),
            ("folds.tested", folds.groups == 0 || (1..folds.groups).contains(&folds.tested)),
            ("folds.blocks", (2..=16).contains(&folds.blocks) && folds.blocks.is_multiple_of(2)),
            ("trees.rounds", (1..=5_000).contains(&trees.rounds)),
            ("trees.learning_rate", share(trees.learning_rate)),
            (
                "trees.depths",
                !trees.depths.is_empty()
                    && trees.depths.iter().all(|depth| (1..=12).contains(depth)),
            ),
            ("trees.leaf_rows_min", trees.leaf_rows_min > 0),
            ("trees.row_share", share(trees.row_share)),
            ("trees.feature_share", share(trees.feature_share)),
            ("policy.enter_edges", !edges.is_empty() && edges.iter().all(|&edge| share(edge))),
            ("policy.exit_edge", (-1.0..=1.0).contains(&self.policy.exit_edge)),
        ];
        let ranges = ranges.into_iter().chain(super::models::ranges(self));
        let out: Vec<&str> = ranges.filter(|(_, holds)| !holds).map(|(name, _)| name).collect();
        ensure!(out.is_empty(), "out of range: {}", out.join(", "));
        Ok(())
    }

    /// SHA-256 of every value.
    pub fn hash(&self) -> String {
        hex(&sha256(serde_json::to_string(self).unwrap_or_default().as_bytes()))
    }

    /// The rows it asks for.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            bar_ms: self.rows.bar_ms,
            every_bars: self.rows.every_bars,
            features: self.rows.features.clone(),
            from: self.from_ms.map(Nanos::from_millis),
            to: self.to_ms.map(Nanos::from_millis),
        }
    }

    /// The labels it asks for, with the costs of a round trip in them.
    pub fn label_of(&self) -> LabelOf {
        let barrier = (self.label.barrier > 0.0).then_some(self.label.barrier);
        LabelOf {
            horizon_bars: self.label.horizon_bars,
            profit: barrier,
            loss: barrier,
            flat: self.label.flat_bps / 10_000.0,
            half_life_bars: self.label.half_life_bars,
            cost: 2.0 * self.costs.side(),
        }
    }

    /// Up to which return a label is flat, basis points; `None` where barriers decide.
    pub fn threshold_bps(&self) -> Option<f64> {
        let label = self.label_of();
        (self.label.barrier == 0.0).then_some(1e4 * (label.flat + label.cost))
    }

    /// How trees of a depth are grown.
    pub fn params(&self, depth: usize, fold: u32, threads: usize) -> Params {
        Params {
            rounds: self.trees.rounds,
            learning_rate: self.trees.learning_rate,
            depth_max: depth,
            leaves_max: 1 << depth.min(10),
            leaf_rows_min: self.trees.leaf_rows_min,
            row_share: self.trees.row_share,
            feature_share: self.trees.feature_share,
            patience: self.trees.patience,
            threads: threads.max(1),
            seed: self.seed,
            fold,
            ..Params::new(Objective::Softmax { classes: CLASSES.len() })
        }
    }

    /// The configurations that are compared: every depth, where there are trees, with every
    /// threshold.
    pub fn trials(&self) -> Vec<Trial> {
        let edges = |depth: usize| {
            self.policy.enter_edges.iter().map(move |&enter_edge| Trial { depth, enter_edge })
        };
        self.depths().into_iter().flat_map(edges).collect()
    }
}
