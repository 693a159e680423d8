//! Evidence as files: whether it is of this model and these data, and what it says it is.

use super::GateError;
use super::thresholds::is_scenario;
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::{hex, sha256};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};

/// What the walk-forward validation found.
pub const WALK_FORWARD: &str = "walk_forward.json";
/// What the stress tests found.
pub const STRESS: &str = "stress.json";
/// What the model did on what was held out.
pub const HOLD_OUT: &str = "hold_out.json";
/// Layout of all.
const SCHEMA: u64 = 1;

/// One file of evidence. One that is not there says nothing.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// [`WALK_FORWARD`], [`STRESS`] or [`HOLD_OUT`].
    pub name: &'static str,
    /// What it says; null where there is no file.
    pub value: Value,
    /// Its SHA-256; `None` where there is no file.
    pub sha256: Option<String>,
    /// The files it rests on, with their SHA-256, as they are.
    pub files: BTreeMap<String, String>,
}

impl Evidence {
    /// Reads a file of the evidence's folder and everything it names.
    ///
    /// # Errors
    /// When it is of another kind, another model or other data, or rests on a file that is not what
    /// it says.
    pub fn read(dir: &Path, name: &'static str, model: &ArtifactFiles) -> Result<Self, GateError> {
        let path = dir.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (value, sha256, files) = (Value::Null, None, BTreeMap::new());
                return Ok(Self { name, value, sha256, files });
            }
            Err(cause) => return Err(GateError::Io { path, cause }),
        };
        let wrong = |what: String| GateError::Evidence { path: path.clone(), what };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        check_origin(&value, name, model).map_err(wrong)?;
        let files = check_files(&value, dir).map_err(wrong)?;
        let sha256 = Some(hex(&sha256(&bytes)));
        let evidence = Self { name, value, sha256, files };
        match evidence.scenarios().iter().find(|name| !is_scenario(name)) {
            Some(name) => Err(wrong(format!("scenarios: {name:?} is no name of one"))),
            None => Ok(evidence),
        }
    }

    /// Names of the scenarios it tells of, in its order.
    pub fn scenarios(&self) -> Vec<String> {
        let runs = self.value["scenarios"].as_array().map_or(&[][..], Vec::as_slice);
        runs.iter().map(|run| run["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Kind, layout, data, training and model must be ours.
fn check_origin(value: &Value, name: &str, model: &ArtifactFiles) -> Result<(), String> {
    let kind = name.trim_end_matches(".json");
    if value["kind"] != kind {
        return Err(format!("kind: is {}, not {kind:?}", value["kind"]));
    }
    if value["schema"] != SCHEMA {
        return Err(format!("schema: is {}, not {SCHEMA}", value["schema"]));
    }
    let (key, wanted) = ("data_manifest_sha256", &model.card.created_from.data_hash);
    if value[key] != wanted.as_str() {
        return Err(format!("{key}: is of other data: {}, the model's {wanted}", value[key]));
    }
    if name == WALK_FORWARD {
        check_training(value, model)?;
    }
    // Folds train models of their own; only where a file names one must it be this.
    let (key, wanted) = ("model_sha256", hex(&model.sha256));
    let unnamed = value[key].is_null() && name == WALK_FORWARD;
    if !unnamed && value[key] != wanted.as_str() {
        return Err(format!("{key}: is of another model: {}, this one {wanted}", value[key]));
    }
    Ok(())
}

/// What was judged must have been trained as the model was: a validation of other trees or labels
/// says nothing about it.
fn check_training(value: &Value, model: &ArtifactFiles) -> Result<(), String> {
    let key = "training_sha256";
    match &model.card.created_from.training_sha256 {
        None => Err(format!(
            "{key}: cannot be compared: the model's card.toml tells no created_from.{key}; train \
             it on the data"
        )),
        Some(wanted) if value[key] != wanted.as_str() => {
            Err(format!("{key}: is of another training: {}, the model's {wanted}", value[key]))
        }
        Some(_) => Ok(()),
    }
}

/// Every file it names must be there, be inside the folder, and hash as told.
fn check_files(value: &Value, dir: &Path) -> Result<BTreeMap<String, String>, String> {
    let named = match &value["files"] {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Object(named) => named,
        other => return Err(format!("files: must be a table of names and hashes, not {other}")),
    };
    let mut files = BTreeMap::new();
    for (name, told) in named {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || name.is_empty() {
            return Err(format!("files: {name:?} is not inside this folder"));
        }
        let bytes = fs::read(dir.join(name)).map_err(|error| format!("files.{name}: {error}"))?;
        let found = hex(&sha256(&bytes));
        if told != found.as_str() {
            return Err(format!("files.{name}: was changed: hash {found}, told {told}"));
        }
        files.insert(name.clone(), found);
    }
    Ok(files)
}
