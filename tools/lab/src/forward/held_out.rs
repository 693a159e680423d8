//! A model on what was held out: the one reading that no choice was made on.
//!
//! ```text
//!   model.onnx ─┐ judged by the walk-forward validation beside, with the threshold chosen there
//!   data set ───┴─► rows of the hold-out ─► probabilities ─► trade ─► hold_out.json
//!                        └─ who reads them is noted first, and how many have read is told
//! ```

use super::config::Config;
use super::figures::pooled;
use super::report::JSON_FILE;
use super::trade::{Rule, View, trade};
use super::{code_of, training_hash};
use crate::files::write_json;
use crate::history::{Rows, rows};
use crate::metrics::log_loss;
use anyhow::{Context, Result, anyhow, ensure};
use peregrine::base::Nanos;
use peregrine::features::schema_hash;
use peregrine::model::artifact::{hex, sha256};
use peregrine::model::{ArtifactFiles, LoadPolicy, Model, ModelOutput};
use peregrine::venue::dataset::DataSet;
use serde_json::{Value, json};
use std::path::Path;

/// What a reading found.
pub const HOLD_OUT_FILE: &str = "hold_out.json";

/// What is read by whom.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'r> {
    /// Folder of the data set.
    pub data: &'r Path,
    /// Folder of the model's version.
    pub model: &'r Path,
    /// Folder of the reports: the validation's, and this one's.
    pub reports: &'r Path,
    /// The configuration of both.
    pub config: &'r Config,
}

/// Judges the model on what is held out and writes `hold_out.json`.
///
/// # Errors
/// Nothing is held out; a model that was not judged by the validation in the reports; one that
/// carries a state from row to row; a file that is not what it says.
pub fn judge(reading: Reading<'_>, progress: &mut dyn FnMut(f64)) -> Result<Value> {
    let config = reading.config;
    config.check()?;
    let files = ArtifactFiles::read(reading.model)?;
    let edge = chosen(reading, &files)?;
    let mut model = Model::load(&files, schema_hash(), LoadPolicy::ANY)?;
    ensure!(model.state().is_empty(), "{}: it carries a state", reading.model.display());
    let model_sha256 = hex(&files.sha256);
    // The same model by the same rule reads the same: that is no further reading.
    let by = format!("{model_sha256} {} {edge}", config.hash());
    let (set, readings) = DataSet::open_hold_out(reading.data, &hex(&sha256(by.as_bytes())))?;
    let from = set.manifest().hold_out_from_ms.context("nothing is held out")?;
    let mut wanted = config.wanted();
    wanted.from = Some(Nanos::from_millis(from));
    wanted.to = None;
    let rows = rows(&set, &wanted, &config.label_of(), progress)?;
    ensure!(rows.names == files.card.features, "the model's features are others than the rows'");
    let said = answers(&mut model, &rows)?;
    let view = |(row, said): (usize, &[f64; 3])| View { row, edge: said[2] - said[0] };
    let views: Vec<View> = said.iter().enumerate().map(view).collect();
    let cost = config.label_of().cost;
    let track = |times: f64| trade(&rows, &views, &Rule::new(config, edge, times), cost);
    let (once, twice) = (track(1.0), track(2.0));
    let figures = pooled(&once, &twice, std::slice::from_ref(&once), 1, config.period_ms);
    let came: Vec<usize> = rows.table.targets.iter().map(|&target| target as usize).collect();
    let told = json!({
        "kind": "hold_out",
        "schema": 1,
        "data_manifest_sha256": hex(&rows.data_hash),
        "model_sha256": model_sha256,
        "config_sha256": config.hash(),
        "code": code_of(),
        "from_ms": from,
        "readings": readings,
        "rows": rows.len(),
        "log_loss": log_loss(&said, &came),
        "pooled": figures,
        "files": {},
    });
    write_json(&reading.reports.join(HOLD_OUT_FILE), &told)?;
    Ok(told)
}

/// The threshold that the validation chose, where it judged this model.
fn chosen(reading: Reading<'_>, files: &ArtifactFiles) -> Result<f64> {
    let path = reading.reports.join(JSON_FILE);
    let at = || path.display().to_string();
    let told: Value =
        serde_json::from_slice(&std::fs::read(&path).with_context(at)?).with_context(at)?;
    let depth = told["chosen"]["depth"].as_u64().with_context(at)?;
    let training = training_hash(reading.config, usize::try_from(depth)?);
    let made_from = &files.card.created_from;
    ensure!(
        told["training_sha256"] == training.as_str()
            && made_from.training_sha256.as_deref() == Some(&training)
            && told["data_manifest_sha256"] == made_from.data_hash.as_str(),
        "{}: it judged another training or other data than this model and configuration have",
        path.display()
    );
    told["chosen"]["enter_edge"].as_f64().with_context(at)
}

/// What a model without a state answers to each row: probabilities of down, flat, up.
///
/// # Errors
/// A row that it has no answer to.
pub fn answers(model: &mut Model, rows: &Rows) -> Result<Vec<[f64; 3]>> {
    let mut out = ModelOutput::default();
    let mut one = |row: usize| {
        let run = model.run(rows.table.row(row), &mut out);
        run.map_err(|reason| anyhow!("row {row}: {}", reason.name()))?;
        Ok(out.probability.map(f64::from))
    };
    (0..rows.len()).map(&mut one).collect()
}
