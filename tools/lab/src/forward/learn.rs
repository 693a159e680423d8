//! One model: trees on the rows of a fold, stopped and calibrated on the end of its training.
//!
//! ```text
//!   |◄───────── fit ─────────►|purge|◄─ stop ─►|purge|◄──── test ────►|
//! ```

use super::config::Config;
use crate::gbdt::{Forest, Table, train};
use crate::history::Rows;
use crate::metrics::log_loss;
use crate::statistics::calibration::temperature;
use anyhow::{Result, ensure};
use peregrine::model::artifact::CLASSES;

/// Fewest rows of a part.
const PART_ROWS_MIN: usize = 50;

/// What was learned.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The trees, with the temperature in their leaves.
    pub forest: Forest,
    /// Rounds kept.
    pub rounds: usize,
    /// By which logits were divided.
    pub temperature: f64,
    /// Rows the trees were grown on.
    pub fit: Vec<usize>,
    /// Rows that stopped and calibrated.
    pub stop: Vec<usize>,
}

/// Learns from the rows `training`, rising.
///
/// # Errors
/// Too few rows, or parameters out of range.
pub fn learn(
    rows: &Rows,
    training: &[usize],
    config: &Config,
    (depth, fold, threads): (usize, u32, usize),
    progress: &mut dyn FnMut(usize),
) -> Result<Learned> {
    let (fit, stop) = cut(rows, training, config.folds.stop_share)?;
    let params = config.params(depth, fold, threads);
    let (fit_table, stop_table) = (pick(&rows.table, &fit), pick(&rows.table, &stop));
    let trained = train(&params, &fit_table, Some(&stop_table), &mut |round, _| progress(round))?;
    let logits: Vec<Vec<f64>> =
        (0..stop_table.rows()).map(|row| trained.forest.scores(stop_table.row(row))).collect();
    let temperature = temperature(&logits, &labels(&stop_table));
    let forest = cooled(trained.forest, temperature);
    Ok(Learned { forest, rounds: trained.rounds, temperature, fit, stop })
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

/// The same trees with every logit divided by `temperature`.
fn cooled(mut forest: Forest, temperature: f64) -> Forest {
    let divide = |value: &mut f32| *value = (f64::from(*value) / temperature) as f32;
    forest.base.iter_mut().for_each(divide);
    let nodes = forest.trees.iter_mut().flat_map(|tree| tree.nodes.iter_mut());
    nodes.for_each(|node| divide(&mut node.value));
    forest
}

/// Some rows as a table of their own.
pub fn pick(table: &Table, rows: &[usize]) -> Table {
    let mut picked = Table { features: table.features, ..Table::default() };
    picked.values.reserve(rows.len() * table.features);
    for &row in rows {
        picked.values.extend_from_slice(table.row(row));
        picked.targets.push(table.targets[row]);
        picked.weights.push(table.weight(row));
    }
    picked
}

/// Classes of a table.
pub fn labels(table: &Table) -> Vec<usize> {
    table.targets.iter().map(|&label| label as usize).collect()
}

/// Log-loss on rows of always answering the class shares of the rows fitted.
pub fn prior_loss(rows: &Rows, fit: &[usize], test: &[usize]) -> f64 {
    let mut shares = vec![0.0; CLASSES.len()];
    fit.iter().for_each(|&row| shares[rows.table.targets[row] as usize] += 1.0 / fit.len() as f64);
    let came: Vec<usize> = test.iter().map(|&row| rows.table.targets[row] as usize).collect();
    log_loss(&vec![shares; came.len()], &came)
}
