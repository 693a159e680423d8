//! A version from a frozen data set.
//!
//! ```text
//!   |◄────────── fit ──────────►|purge|◄─ stop ─►|purge, embargo|◄──── test ────►|
//! ```
//! A model is fitted on the first part, stopped and calibrated on the second; the card's figures
//! are those of the last, which nothing has seen.

use super::warm::{Warm, learned_until};
use super::{GOLDEN_COUNT, PART_ROWS_MIN, STOP_PART, Step, Version, judge};
use crate::card::{golden, training};
use crate::export::to_onnx;
use crate::forward::config::Config;
use crate::forward::learn::{Learned, learn};
use crate::forward::training_hash;
use crate::gbdt::Forest;
use crate::history::{Rows, rows};
use crate::learn::{Predictor, classes, coverage, learn_spread};
use crate::statistics::calibration::calibration_error;
use anyhow::{Result, ensure};
use peregrine::features::schema_hash;
use peregrine::model::artifact::{CLASSES, hex, sha256};
use peregrine::model::{Card, CreatedFrom};
use peregrine::venue::dataset::DataSet;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Version name.
    pub version: String,
    /// Rows, labels with their costs, the model; the first depth is taken.
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
    train_from(set, (order, None), progress)
}

/// As [`train_frozen`], going on from the trees of `warm`.
///
/// # Errors
/// As [`train_frozen`], and a model that was made for something else, or has learned from what the
/// new one is to be judged on.
pub fn train_from(
    set: &DataSet,
    (order, warm): (&Order, Option<&Warm>),
    progress: &mut dyn FnMut(Step),
) -> Result<Version> {
    let config = &order.config;
    config.check()?;
    let mut reading = |part| progress(Step::Market(part));
    let rows = rows(set, &config.wanted(), &config.label_of(), &mut reading)?;
    let (training, test) = split(&rows, config)?;
    if let Some(warm) = warm {
        warm.check(&rows, config, rows.lives[test[0]].from)?;
    }
    let from = warm.map(|warm| &warm.trees);
    let draws = (config.trees.depths[0], 0, order.threads);
    let mut on_round = |round| progress(Step::Round(round));
    let learned = learn(&rows, &training, (config, from), draws, &mut on_round)?;
    let from = warm.and_then(|warm| warm.spread.as_ref());
    let spread = spread_of(&rows, &learned, (config, from), draws, &mut on_round)?;
    version_of((order, warm), &rows, (&learned, spread), &test)
}

/// Trees of the quantiles of the return, where the configuration asks for them.
pub(crate) fn spread_of(
    rows: &Rows,
    learned: &Learned,
    (config, from): (&Config, Option<&Forest>),
    (depth, fold, threads): (usize, u32, usize),
    on_round: &mut dyn FnMut(usize),
) -> Result<Option<Forest>> {
    if !config.model.quantiles {
        return Ok(None);
    }
    let params = config.params(depth, fold, threads);
    let parts = (learned.fit.as_slice(), learned.stop.as_slice());
    let mut watch = |round, _| {
        on_round(round);
        ControlFlow::Continue(())
    };
    let spread = learn_spread(rows.ground(), &rows.changes, parts, (&params, from), &mut watch)?;
    Ok(Some(spread))
}

/// Rows to learn from and rows to be judged on. What is known only in the second is in neither, and
/// as many bars as the embargo has lie between.
pub(crate) fn split(rows: &Rows, config: &Config) -> Result<(Vec<usize>, Vec<usize>)> {
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

/// File and card of what was learned, with its figures on the rows `test`.
pub(crate) fn version_of(
    (order, warm): (&Order, Option<&Warm>),
    rows: &Rows,
    (learned, spread): (&Learned, Option<Forest>),
    test: &[usize],
) -> Result<Version> {
    let config = &order.config;
    let data_hash = hex(&rows.data_hash);
    let schema = format!("{:016x}", schema_hash());
    let code = format!("peregrine-lab {}", env!("CARGO_PKG_VERSION"));
    let horizon_ms = config.label.horizon_bars as u64 * rows.bar_ms.unsigned_abs();
    let mut properties = vec![
        ("version", order.version.clone()),
        ("kind", config.model.kind.name().to_owned()),
        ("features", rows.names.join(",")),
        ("schema_hash", schema.clone()),
        ("data_sha256", data_hash.clone()),
        ("config_sha256", config.hash()),
        ("meaning_sha256", config.meaning()),
        ("learned_until_ms", learned_until(rows, learned, warm).to_string()),
        ("horizon_ms", horizon_ms.to_string()),
        ("seed", config.seed.to_string()),
        ("temperature", learned.temperature.to_string()),
        ("code", code.clone()),
    ];
    if let Some(warm) = warm {
        properties.push(("parent", warm.version.clone()));
        properties.push(("parent_sha256", hex(&warm.sha256)));
    }
    let onnx = to_onnx(&learned.predictor, spread.as_ref(), &properties)?;
    let pair = (&learned.predictor, spread.as_ref());
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
        metrics: metrics((rows, config), learned, spread.as_ref(), test),
        training: training(&rows.table, &learned.fit),
        golden: golden(pair, (rows.ground(), test), GOLDEN_COUNT),
    };
    Ok(Version { predictor: learned.predictor.clone(), spread, onnx, card })
}

fn metrics(
    (rows, config): (&Rows, &Config),
    learned: &Learned,
    spread: Option<&Forest>,
    test: &[usize],
) -> BTreeMap<String, f64> {
    let ground = rows.ground();
    let mut metrics = judge(&learned.predictor, ground, (&learned.fit, test));
    let said = learned.predictor.probabilities(ground, test);
    let came = classes(&rows.table, test);
    let ece = calibration_error(&said, &came, crate::forward::BINS);
    let mut more = vec![
        ("calibration_error", ece),
        ("rounds", learned.rounds as f64),
        ("rows_fit", learned.fit.len() as f64),
        ("rows_stop", learned.stop.len() as f64),
        ("rows_test", test.len() as f64),
        ("temperature", learned.temperature),
    ];
    if let Some(spread) = spread {
        let ([low, middle, high], loss) = coverage(spread, ground, &rows.changes, test);
        more.extend([
            ("coverage_q10", low),
            ("coverage_q50", middle),
            ("coverage_q90", high),
            ("pinball_loss", loss),
            ("rounds_quantiles", (spread.trees.len() / spread.base.len()) as f64),
        ]);
    }
    if let Some(bps) = config.threshold_bps() {
        more.push(("threshold_bps", bps));
    }
    if let Predictor::Stack(stack) = &learned.predictor {
        more.push(("models_stacked", stack.bases.len() as f64));
    }
    metrics.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    metrics
}
