//! A version from a frozen data set.
//!
//! ```text
//!   |◄────────── fit ──────────►|purge|◄─ stop ─►|purge, embargo|◄──── test ────►|
//! ```
//! Trees grow on the first part, stop and are calibrated on the second; the card's figures are
//! those of the last, which nothing has seen.

use super::{GOLDEN_COUNT, PART_ROWS_MIN, STOP_PART, Step, Version, judge};
use crate::card::golden;
use crate::export::to_onnx;
use crate::forward::config::Config;
use crate::forward::learn::{Learned, labels, learn, pick};
use crate::forward::training_hash;
use crate::gbdt::Table;
use crate::history::{Rows, rows};
use crate::statistics::calibration::calibration_error;
use anyhow::{Result, ensure};
use peregrine::features::schema_hash;
use peregrine::model::artifact::{CLASSES, hex, sha256};
use peregrine::model::{Card, CreatedFrom};
use peregrine::venue::dataset::DataSet;
use std::collections::BTreeMap;

/// What to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Version name.
    pub version: String,
    /// Rows, labels with their costs, trees; the first depth is taken.
    pub config: Config,
    /// Threads; the result does not depend on it.
    pub threads: usize,
}

/// Trains on a data set whose every file is what its manifest lists.
///
/// # Errors
/// A file that is not; too few rows; features or parameters that cannot be.
pub fn train_frozen(
    set: &DataSet,
    order: &Order,
    progress: &mut dyn FnMut(Step),
) -> Result<Version> {
    let config = &order.config;
    config.check()?;
    let mut reading = |part| progress(Step::Market(part));
    let rows = rows(set, &config.wanted(), &config.label_of(), &mut reading)?;
    let (training, test) = split(&rows, config)?;
    let depth = config.trees.depths[0];
    let mut on_round = |round| progress(Step::Round(round));
    let learned = learn(&rows, &training, config, (depth, 0, order.threads), &mut on_round)?;
    version_of(order, &rows, &learned, &pick(&rows.table, &test))
}

/// Rows to learn from and rows to be judged on. What is known only in the second is in neither, and
/// as many bars as the embargo has lie between.
fn split(rows: &Rows, config: &Config) -> Result<(Vec<usize>, Vec<usize>)> {
    let border = (rows.len() as f64 * STOP_PART) as usize;
    ensure!(border < rows.len(), "{} rows cannot be split", rows.len());
    let starts = rows.lives[border].from;
    let embargo = config.folds.embargo_bars * rows.bar_ms;
    let training: Vec<usize> = (0..border).filter(|&row| rows.lives[row].until < starts).collect();
    let test: Vec<usize> =
        (border..rows.len()).filter(|&row| rows.lives[row].from >= starts + embargo).collect();
    for (part, name) in [(&training, "training"), (&test, "test")] {
        ensure!(
            part.len() >= PART_ROWS_MIN,
            "the {name} part has {} rows, {PART_ROWS_MIN} are needed: more data, please",
            part.len()
        );
    }
    Ok((training, test))
}

/// File and card of what was learned, with its figures on `test`.
///
/// # Errors
/// A forest that cannot be exported.
pub fn version_of(order: &Order, rows: &Rows, learned: &Learned, test: &Table) -> Result<Version> {
    let config = &order.config;
    let data_hash = hex(&rows.data_hash);
    let schema = format!("{:016x}", schema_hash());
    let code = format!("peregrine-lab {}", env!("CARGO_PKG_VERSION"));
    let horizon_ms = config.label.horizon_bars as u64 * rows.bar_ms.unsigned_abs();
    let properties = [
        ("version", order.version.clone()),
        ("features", rows.names.join(",")),
        ("schema_hash", schema.clone()),
        ("data_sha256", data_hash.clone()),
        ("config_sha256", config.hash()),
        ("horizon_ms", horizon_ms.to_string()),
        ("seed", config.seed.to_string()),
        ("temperature", learned.temperature.to_string()),
        ("code", code.clone()),
    ];
    let onnx = to_onnx(&learned.forest, &properties)?;
    let card = Card {
        version: order.version.clone(),
        model_sha256: hex(&sha256(&onnx)),
        schema_hash: schema,
        horizon_ms,
        bar_interval_ms: Some(u32::try_from(rows.bar_ms)?),
        classes: CLASSES.map(str::to_owned).to_vec(),
        features: rows.names.clone(),
        created_from: CreatedFrom {
            data_hash,
            seed: config.seed,
            code,
            training_sha256: Some(training_hash(config, config.trials()[0].depth)),
        },
        metrics: metrics(rows, learned, test),
        golden: golden(&learned.forest, test, GOLDEN_COUNT),
    };
    Ok(Version { forest: learned.forest.clone(), onnx, card })
}

fn metrics(rows: &Rows, learned: &Learned, test: &Table) -> BTreeMap<String, f64> {
    let mut metrics = judge(&learned.forest, &pick(&rows.table, &learned.fit), test);
    let said: Vec<Vec<f64>> =
        (0..test.rows()).map(|row| learned.forest.probabilities(test.row(row))).collect();
    let ece = calibration_error(&said, &labels(test), crate::forward::BINS);
    let more = [
        ("calibration_error", ece),
        ("rounds", learned.rounds as f64),
        ("rows_fit", learned.fit.len() as f64),
        ("rows_stop", learned.stop.len() as f64),
        ("rows_test", test.rows() as f64),
        ("temperature", learned.temperature),
    ];
    metrics.extend(more.map(|(name, value)| (name.to_owned(), value)));
    metrics
}
