//! The gate on evidence made for it, about the shipped model.

mod criteria;
mod document;
mod evidence;
mod thresholds;
mod whole;

use super::evidence::{HOLD_OUT, STRESS, WALK_FORWARD};
use super::thresholds::Thresholds;
use super::{GateError, decide};
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::hex;
use peregrine::registry::decision::Decision;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const GATES: &str = include_str!("../../../../../config/gates.toml");
const AT_MS: u64 = 1_700_000_000_000;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn model() -> PathBuf {
    root().join("models_saved/synthetic-1")
}

/// The shipped model with a card that tells its training.
fn trained(dir: &Path) -> PathBuf {
    let copy = dir.join("synthetic-1");
    fs::create_dir_all(&copy).unwrap();
    fs::copy(model().join("model.onnx"), copy.join("model.onnx")).unwrap();
    let card = fs::read_to_string(model().join("card.toml")).unwrap();
    let told = format!("[created_from]\ntraining_sha256 = \"{}\"\n", training());
    fs::write(copy.join("card.toml"), card.replace("[created_from]\n", &told)).unwrap();
    copy
}

fn training() -> String {
    "7".repeat(64)
}

fn shipped() -> Thresholds {
    Thresholds::parse(GATES).unwrap()
}

/// A folder of evidence that passes everything; files are written when it is judged.
struct Reports {
    dir: TempDir,
    /// The model it is on, in a folder of its own.
    model: PathBuf,
    _models: TempDir,
    walk: Value,
    stress: Value,
    held: Value,
}

impl Reports {
    fn good() -> Self {
        let files = ArtifactFiles::read(&model()).unwrap();
        let (model, data) = (hex(&files.sha256), files.card.created_from.data_hash);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("wfv_report.md"), "ten folds\n").unwrap();
        // Of "ten folds\n", by sha256sum.
        let report = "5c2b56e36aa73c520471224e8f68dc3999b719ba74a308c5454d8bb4b2aae3b7";
        let (walk, stress) = (walk(&data, report), stress(&model, &data));
        let held = json!({
            "kind": "hold_out", "schema": 1, "model_sha256": model, "data_manifest_sha256": data,
            "readings": 1, "pooled": {"net_return": 0.02}, "files": {},
        });
        let models = tempfile::tempdir().unwrap();
        Self { dir, model: trained(models.path()), _models: models, walk, stress, held }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn decide(&self) -> Result<Decision, GateError> {
        for (name, value) in
            [(WALK_FORWARD, &self.walk), (STRESS, &self.stress), (HOLD_OUT, &self.held)]
        {
            fs::write(self.path().join(name), value.to_string()).unwrap();
        }
        decide(&self.model, self.path(), &shipped(), AT_MS)
    }

    /// Names of the criteria that do not hold.
    fn failed(&self) -> Vec<String> {
        self.decide().unwrap().failed().map(|criterion| criterion.name.clone()).collect()
    }
}

/// One fold; three of ten lose, and the first alone foresees more than the prior.
fn fold(number: u64) -> Value {
    let (day, begin) = (86_400_000, number * 36 * 86_400_000);
    json!({
        "number": number, "train_from_ms": begin, "train_to_ms": begin + 300 * day,
        "test_from_ms": begin + 301 * day, "test_to_ms": begin + 337 * day,
        "rows_fit": 10_000, "rows_test": 1_000, "net_return": 0.01, "trades": 30,
        "sharpe": if number < 3 { -0.5 } else { 3.0 },
        "log_loss": if number == 0 { 1.0 } else { 1.1 }, "log_loss_prior": 1.1,
    })
}

fn folds(count: u64) -> Value {
    (0..count).map(fold).collect()
}

fn walk(data: &str, report: &str) -> Value {
    json!({
        "kind": "walk_forward", "schema": 1, "data_manifest_sha256": data,
        "config_sha256": "c".repeat(64), "training_sha256": training(), "seed": 7,
        "hold_out_from_ms": 1, "trials": 40, "folds": folds(10),
        "pooled": {
            "sharpe": 2.4, "sortino": 3.0, "max_drawdown_frac": 0.08, "profit_factor": 1.4,
            "win_rate": 0.55, "turnover": 12.0, "psr": 0.99, "dsr": 0.97,
            "min_track_record_length_periods": 200.0, "periods": 365, "periods_per_year": 365.0,
            "net_return": 0.4, "net_return_cost_x2": 0.2, "trades": 300,
        },
        "cpcv": {"paths": [1.0, 1.2, 0.9, 1.4, 2.0], "sharpe_q05": 0.92},
        "pbo": 0.1, "calibration": {"ece": 0.02, "bins": 15},
        "files": {"wfv_report.md": report},
    })
}

fn stress(model: &str, data: &str) -> Value {
    let names = shipped().scenarios;
    let scenarios: Value = names.iter().map(|name| scenario(name)).collect();
    json!({
        "kind": "stress", "schema": 1, "model_sha256": model, "data_manifest_sha256": data,
        "config_sha256": "c".repeat(64), "scenarios": scenarios, "files": {},
    })
}

fn scenario(name: &str) -> Value {
    let loss = json!({"name": "loss_frac", "value": 0.01, "threshold": 0.03, "passed": true});
    let fall = json!({"name": "drawdown_frac", "value": 0.02, "threshold": 0.2, "passed": true});
    let orders = json!({"name": "unchecked_orders", "value": 0, "threshold": 0, "passed": true});
    json!({"name": name, "parameters": {}, "passed": true, "criteria": [loss, fall, orders]})
}
