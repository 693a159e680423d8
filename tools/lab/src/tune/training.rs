//! The training of a model as an objective.
//!
//! ```text
//!   |◄──────────── fit ───────────►|purge|◄──── score ────►|  last part: seen by no search
//! ```
//! The market is run once; each trial grows its own forest on the first part and is judged by its
//! log-loss on the second, round by round.

use super::space::{Point, Space};
use super::study::{Objective, Report, Verdict};
use super::{Market, TuneError};
use crate::gbdt::{Objective as Learned, Params, Table, train_while};
use crate::samples::Samples;
use crate::train::{check_rows, split, synthetic_rows};
use anyhow::Result;
use peregrine::base::Nanos;
use peregrine::model::artifact::{CLASSES, hex};

/// What a space may set; what it leaves out is as `train` has it.
pub const PARAMETERS: [&str; 10] = [
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

/// Two parts of a market, and what is grown on the first.
pub struct SyntheticTraining {
    about: String,
    seed: u64,
    patience: usize,
    fit: Table,
    score: Table,
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
        Self::of(&samples, horizon, (seed, market.patience as usize))
    }

    /// On rows of any source, in time order.
    ///
    /// # Errors
    /// Too few rows.
    pub fn of(samples: &Samples, horizon: Nanos, (seed, patience): (u64, usize)) -> Result<Self> {
        let [fit, score, _] = split(samples, horizon)?;
        check_rows(&[fit.clone(), score.clone()])?;
        Ok(Self {
            about: format!("log-loss of a forest on {}, seed {seed}", hex(&samples.data_hash)),
            seed,
            patience,
            fit: samples.table.slice(fit),
            score: samples.table.slice(score),
        })
    }

    /// Checks that a space sets only what there is to set.
    ///
    /// # Errors
    /// The first other name, or a choice where a number is needed.
    pub fn check(space: &Space) -> Result<(), TuneError> {
        for parameter in space.parameters() {
            let name = &parameter.name;
            if !PARAMETERS.contains(&name.as_str()) {
                let known = PARAMETERS.join(", ");
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
}

impl Objective for SyntheticTraining {
    fn about(&self) -> String {
        self.about.clone()
    }

    fn value(&self, point: &Point<'_>, report: Report<'_>) -> Result<Verdict> {
        let mut stopped = false;
        let mut on_round = |round: usize, loss: Option<f64>| {
            let flow = report(round as i64, loss.unwrap_or(f64::NAN));
            stopped = flow.is_break();
            flow
        };
        let trained =
            train_while(&self.params(point), &self.fit, Some(&self.score), &mut on_round)?;
        if stopped {
            return Ok(Verdict::Stopped);
        }
        Ok(Verdict::Value(trained.held_out.iter().copied().fold(f64::INFINITY, f64::min)))
    }
}
