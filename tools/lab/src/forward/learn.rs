//! One model on the rows of a fold, stopped and calibrated on the end of its training.
//!
//! ```text
//!   |◄───────── fit ─────────►|purge|◄─ stop ─►|purge|◄──── test ────►|
//! ```

use super::config::Config;
use crate::history::Rows;
use crate::learn::{self, Predictor};
use crate::metrics::log_loss;
use anyhow::{Result, ensure};
use peregrine::model::artifact::CLASSES;
use std::ops::ControlFlow;

/// Fewest rows of a part.
const PART_ROWS_MIN: usize = 50;

/// What was learned.
#[derive(Clone, Debug)]
pub struct Learned {
    /// Answers, with the temperature in them.
    pub predictor: Predictor,
    /// Rounds of trees or passes over the rows that were kept.
    pub rounds: usize,
    /// By which logits were divided.
    pub temperature: f64,
    /// Rows it was fitted on.
    pub fit: Vec<usize>,
    /// Rows that stopped and calibrated.
    pub stop: Vec<usize>,
}

/// Learns from the rows `training`, rising; trees can go on `from` others.
///
/// # Errors
/// Too few rows, or parameters out of range.
pub fn learn(
    rows: &Rows,
    training: &[usize],
    (config, from): (&Config, Option<&Predictor>),
    (depth, fold, threads): (usize, u32, usize),
    progress: &mut dyn FnMut(usize),
) -> Result<Learned> {
    let (fit, stop) = cut(rows, training, config.folds.stop_share)?;
    let settings = config.settings((depth, fold, threads), rows.bar_ms);
    let mut watch = |round, _| {
        progress(round);
        ControlFlow::Continue(())
    };
    let taught = learn::learn(rows.ground(), (&fit, &stop), &settings, from, &mut watch)?;
    let learn::Taught { predictor, rounds, temperature, .. } = taught;
    Ok(Learned { predictor, rounds, temperature, fit, stop })
}

/// The rows to fit and to stop on; a row whose label is known only in the second is in neither.
fn cut(rows: &Rows, training: &[usize], share: f64) -> Result<(Vec<usize>, Vec<usize>)> {
    let border = training.len() - (training.len() as f64 * share).ceil() as usize;
    let stop = training[border.min(training.len())..].to_vec();
    let starts = stop.first().map_or(i64::MAX, |&row| rows.lives[row].from);
    let before = training[..border].iter().copied();
    let fit: Vec<usize> = before.filter(|&row| rows.lives[row].until < starts).collect();
    for (part, name) in [(&fit, "fit"), (&stop, "stop")] {
        ensure!(
            part.len() >= PART_ROWS_MIN,
            "{} rows to {name} on, and {PART_ROWS_MIN} are needed: more data, please",
            part.len()
        );
    }
    Ok((fit, stop))
}

/// Log-loss on rows of always answering the class shares of the rows fitted.
pub fn prior_loss(rows: &Rows, fit: &[usize], test: &[usize]) -> f64 {
    let mut shares = vec![0.0; CLASSES.len()];
    fit.iter().for_each(|&row| shares[rows.table.targets[row] as usize] += 1.0 / fit.len() as f64);
    let came = learn::classes(&rows.table, test);
    log_loss(&vec![shares; came.len()], &came)
}
