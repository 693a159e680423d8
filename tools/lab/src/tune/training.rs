//! The training of a model as an objective.
//!
//! ```text
//!   |◄──────────── fit ───────────►|purge|◄──── score ────►|  last part: seen by no search
//! ```
//! The market is run once; each trial learns a model of its own on the first part and is judged by
//! its log-loss on the second, round by round.

use super::space::{Point, Space};
use super::study::{Objective, Report, Verdict};
use super::{Market, TuneError};
use crate::gbdt::{Objective as Learned, Params, Table};
use crate::learn::{Ground, Kind, Settings, StackParams, learn};
use crate::nets::{NetParams, Windows};
use crate::samples::Samples;
use crate::train::{check_rows, reach, split, synthetic_rows};
use crate::validation::folds::Life;
use anyhow::{Result, bail};
use peregrine::base::Nanos;
use peregrine::model::artifact::{CLASSES, hex};
use std::ops::{ControlFlow, Range};

/// What a space may set of trees; what it leaves out is as `train` has it.
const TREES: [&str; 10] = [
    "rounds",
    "learning_rate",
    "depth",
    "leaves_max",
    "lambda",
    "leaf_rows_min",
    "gain_min",
    "row_share",
    "feature_share",
    "bins_max",
];
/// What it may set of a dense net.
const DENSE: [&str; 5] = ["hidden", "epochs", "batch", "step", "decay"];
/// What it may set of a stack beside that of trees and of a dense net.
const STACK: [&str; 2] = ["groups", "pull"];

/// Names a space may set for a kind of model.
///
/// # Errors
/// A recurrent step: its memory moves once a bar, and this market has more than one row in each.
fn parameters(kind: Kind) -> Result<Vec<&'static str>, TuneError> {
    match kind {
        Kind::Trees => Ok(TREES.to_vec()),
        Kind::Dense => Ok(DENSE.to_vec()),
        Kind::Stack => Ok([&TREES[..], &DENSE, &STACK].concat()),
        Kind::Gru => Err(TuneError::Space(
            "a gru cannot be searched for: its memory moves once a bar, and the synthetic market \
             has two rows in each"
                .to_owned(),
        )),
    }
}

/// Two parts of a market, and what is learned on the first.
pub struct SyntheticTraining {
    about: String,
    kind: Kind,
    seed: u64,
    patience: usize,
    table: Table,
    lives: Vec<Life>,
    symbols: Vec<u16>,
    fit: Vec<usize>,
    score: Vec<usize>,
}

impl SyntheticTraining {
    /// Runs the market. `progress` is told the part done, 0 to 1.
    ///
    /// # Errors
    /// A market too short for its parts.
    pub fn new(market: &Market, seed: u64, progress: &mut dyn FnMut(f64)) -> Result<Self> {
        let label = (market.horizon_ms, market.threshold_bps);
        let run = (market.seed, market.minutes);
        let (samples, horizon) = synthetic_rows(run, label, market.warm_up_s, progress)?;
        let own = (seed, market.patience as usize);
        Self::of(&samples, horizon, own).map(|training| training.with(market.model))
    }

    /// The same with another kind of model.
    #[must_use]
    pub fn with(mut self, kind: Kind) -> Self {
        if kind != Kind::Trees {
            self.about = format!("{} of a {}", self.about, kind.name());
        }
        self.kind = kind;
        self
    }

    /// Trees on rows of any source, in time order.
    ///
    /// # Errors
    /// Too few rows.
    pub fn of(samples: &Samples, horizon: Nanos, (seed, patience): (u64, usize)) -> Result<Self> {
        let [fit, score, _] = split(samples, horizon)?;
        check_rows(&[fit.clone(), score.clone()])?;
        let life = |time: &Nanos| {
            let from = time.0 / 1_000_000;
            Life { from, until: from + reach(horizon).0 / 1_000_000 }
        };
        Ok(Self {
            about: format!("log-loss of a forest on {}, seed {seed}", hex(&samples.data_hash)),
            kind: Kind::Trees,
            seed,
            patience,
            table: samples.table.clone(),
            lives: samples.times.iter().map(life).collect(),
            symbols: vec![0; samples.times.len()],
            fit: Range::collect(fit),
            score: Range::collect(score),
        })
    }

    /// Checks that a space sets only what there is to set.
    ///
    /// # Errors
    /// The first other name, or a choice where a number is needed.
    pub fn check(space: &Space, kind: Kind) -> Result<(), TuneError> {
        let known = parameters(kind)?;
        for parameter in space.parameters() {
            let name = &parameter.name;
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                return Err(TuneError::Space(format!("{name} is none of {known}")));
            }
            if matches!(parameter.distribution, super::Distribution::Categorical { .. }) {
                return Err(TuneError::Space(format!("{name} is a number, not a choice")));
            }
        }
        Ok(())
    }

    fn params(&self, point: &Point<'_>) -> Params {
        let number = |name: &str, usual: f64| point.number(name).unwrap_or(usual);
        let depth = number("depth", 4.0) as usize;
        let leaves = (1_u64 << depth.min(10)) as f64;
        Params {
            rounds: number("rounds", 60.0) as usize,
            learning_rate: number("learning_rate", 0.1),
            depth_max: depth,
            leaves_max: number("leaves_max", leaves) as usize,
            lambda: number("lambda", 1.0),
            leaf_rows_min: number("leaf_rows_min", 100.0) as usize,
            gain_min: number("gain_min", 0.0),
            row_share: number("row_share", 0.8),
            feature_share: number("feature_share", 1.0),
            bins_max: number("bins_max", 255.0) as usize,
            patience: self.patience,
            seed: self.seed,
            ..Params::new(Learned::Softmax { classes: CLASSES.len() })
        }
    }

    fn settings(&self, point: &Point<'_>) -> Settings {
        let number = |name: &str, usual: f64| point.number(name).unwrap_or(usual);
        let dense = NetParams {
            hidden: number("hidden", 24.0) as usize,
            epochs: number("epochs", 30.0) as usize,
            patience: self.patience,
            batch: number("batch", 256.0) as usize,
            learning_rate: number("step", 0.002),
            decay: number("decay", 0.02),
            threads: 1,
            seed: self.seed,
            fold: 0,
        };
        Settings {
            kind: self.kind,
            trees: self.params(point),
            gru: dense.clone(),
            dense,
            windows: Windows { steps: 32, lead: 16 },
            stack: StackParams {
                of: vec![Kind::Trees, Kind::Dense],
                groups: number("groups", 4.0) as usize,
                // Features of this market look back some seconds.
                embargo: 60_000,
                pull: number("pull", 0.1),
            },
        }
    }
}

impl Objective for SyntheticTraining {
    fn about(&self) -> String {
        self.about.clone()
    }

    fn value(&self, point: &Point<'_>, report: Report<'_>) -> Result<Verdict> {
        let mut stopped = false;
        let mut on_round = |round: usize, loss: Option<f64>| {
            // The models of a stack have no loss of their own to tell.
            let Some(loss) = loss else { return ControlFlow::Continue(()) };
            let flow = report(round as i64, loss);
            stopped = flow.is_break();
            flow
        };
        if let Err(refused) = parameters(self.kind) {
            bail!(refused);
        }
        let ground = Ground { table: &self.table, lives: &self.lives, symbols: &self.symbols };
        let parts = (self.fit.as_slice(), self.score.as_slice());
        let taught = learn(ground, parts, &self.settings(point), None, &mut on_round)?;
        Ok(if stopped { Verdict::Stopped } else { Verdict::Value(taught.stop_loss) })
    }
}
