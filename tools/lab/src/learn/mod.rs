//! What is learned from rows, whatever the kind of model: one seam for training, walk-forward and
//! the search for parameters.
//!
//! ```text
//!   fit rows ─► trees | dense net | recurrent step ─────────────┐
//!        └────► each of them on purged folds ─► stack of them ──┤
//!   stop rows ─► when to stop, and at which temperature ────────┴─► predictor
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `kinds` | which model, and how each is learned |
//! | `predictor` | answers of any kind, row by row, with what it remembers |
//! | `net` | dense net and recurrent step on rows |
//! | `stack` | the model that weighs others |
//! | `spread` | quantiles of the return |

mod kinds;
mod net;
mod predictor;
mod spread;
mod stack;
#[cfg(test)]
pub(crate) mod tests;

pub use kinds::{Kind, Settings, StackParams};
pub use predictor::{Predictor, Seen};
pub use spread::{LEVELS, coverage, learn_spread};
pub use stack::{Stack, weigh};

use crate::gbdt::{Table, Watch, train_from};
use crate::statistics::calibration::temperature;
use crate::validation::folds::Life;
use anyhow::{Context, Result, bail};
use peregrine::model::artifact::CLASSES;

/// Rows of one or more symbols in time order.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'r> {
    /// Features, labels, weights.
    pub table: &'r Table,
    /// When each row was made and when its label was known.
    pub lives: &'r [Life],
    /// Of each row its symbol.
    pub symbols: &'r [u16],
}

/// What was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Taught {
    /// Answers, with the temperature in them.
    pub predictor: Predictor,
    /// Rounds of trees or passes over the rows that were kept.
    pub rounds: usize,
    /// By which logits were divided.
    pub temperature: f64,
    /// Weighted log-loss on the stop rows of the best round, before the temperature.
    pub stop_loss: f64,
}

/// Learns from the rows `fit`; the rows `stop`, which lie behind, tell when to stop and how to
/// calibrate. Trees can go on `from` others.
///
/// # Errors
/// Parameters out of range, rows that cannot be split, a model that cannot be gone on from.
pub fn learn(
    ground: Ground<'_>,
    (fit, stop): (&[usize], &[usize]),
    settings: &Settings,
    from: Option<&Predictor>,
    watch: Watch<'_>,
) -> Result<Taught> {
    let (mut predictor, rounds) = raw(ground, (fit, stop), settings, from, watch)?;
    let logits = predictor.logits(ground, stop);
    let stop_loss = weighted_loss(ground.table, stop, &logits);
    let temperature = temperature(&logits, &classes(ground.table, stop));
    predictor.finish(temperature);
    Ok(Taught { predictor, rounds, temperature, stop_loss })
}

/// The same without a temperature.
fn raw(
    ground: Ground<'_>,
    (fit, stop): (&[usize], &[usize]),
    settings: &Settings,
    from: Option<&Predictor>,
    watch: Watch<'_>,
) -> Result<(Predictor, usize)> {
    let from = match (from, settings.kind) {
        (None, _) => None,
        (Some(Predictor::Trees(forest)), Kind::Trees) => Some(forest),
        (Some(_), _) => bail!("only trees can be gone on from, and only with trees"),
    };
    match settings.kind {
        Kind::Trees => {
            let (fit, stop) = (pick(ground.table, fit), pick(ground.table, stop));
            let trained = train_from(&settings.trees, from, &fit, Some(&stop), watch)?;
            Ok((Predictor::Trees(trained.forest), trained.rounds))
        }
        Kind::Dense => Ok(net::dense(ground, (fit, stop), &settings.dense, watch)),
        Kind::Gru => Ok(net::gru(ground, (fit, stop), (&settings.gru, settings.windows), watch)),
        Kind::Stack => stack::learn(ground, (fit, stop), settings, watch).context("stack"),
    }
}

/// Some rows as a table of their own.
pub fn pick(table: &Table, rows: &[usize]) -> Table {
    let mut picked = Table { features: table.features, ..Table::default() };
    for &row in rows {
        picked.values.extend_from_slice(table.row(row));
        picked.targets.push(table.targets[row]);
        picked.weights.push(table.weight(row));
    }
    picked
}

/// Classes of some rows.
pub fn classes(table: &Table, rows: &[usize]) -> Vec<usize> {
    rows.iter().map(|&row| table.targets[row] as usize).collect()
}

/// Weighted mean log-loss of logits.
fn weighted_loss(table: &Table, rows: &[usize], logits: &[Vec<f64>]) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (&row, logits) in rows.iter().zip(logits) {
        let mut said = logits.clone();
        crate::gbdt::softmax(&mut said);
        let weight = table.weight(row);
        sum -= weight * libm::log(said[table.targets[row] as usize].max(1e-15));
        total += weight;
    }
    if total > 0.0 { sum / total } else { 0.0 }
}

/// Weighted class shares of some rows.
fn shares(table: &Table, rows: &[usize]) -> Vec<f64> {
    let mut shares = vec![0.0; CLASSES.len()];
    let total: f64 = rows.iter().map(|&row| table.weight(row)).sum();
    for &row in rows {
        shares[table.targets[row] as usize] += table.weight(row) / total.max(f64::MIN_POSITIVE);
    }
    shares
}
