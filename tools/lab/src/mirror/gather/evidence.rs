//! Reports: validations, decisions of the gate, verdicts of the promotion engine. Each is a run of
//! its own by the SHA-256 of its file, so that one that is written over is not lost; it lies below
//! the run of the version that it is about.

use super::find::{REPORT_BYTES_MAX, bytes_of, named, written_ms};
use super::{Found, text};
use crate::forward::{JSON_FILE, REPORT_FILE};
use crate::gate::{DECISION_FILE, DOCUMENT_FILE};
use crate::mirror::item::{Kind, Run};
use crate::mirror::settings::Settings;
use peregrine::model::artifact::{hex, sha256};
use peregrine::registry::decision::Criterion;
use serde::Deserialize as _;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// As `peregrine shadow report` is told to write it.
const VERDICT_FILE: &str = "promotion_verdict.json";
/// Beside a decision, what it rests on, where it is small enough to be read by people.
const BESIDE: [&str; 5] =
    [DOCUMENT_FILE, JSON_FILE, REPORT_FILE, "stress.json", "stress_test_results.md"];

/// Runs of versions, which reports are about.
pub(super) struct Owners(pub(super) Vec<Run>);

/// A file that says something about a model.
#[derive(Clone, Debug)]
pub(super) struct Report {
    kind: Kind,
    path: PathBuf,
    bytes: u64,
    sha256: String,
    /// The file, or the signed body in it.
    body: Value,
    /// Whose signature stands below it.
    key: Option<String>,
}

/// Every report below the folders that are named.
pub(super) fn look(settings: &Settings, problems: &mut Vec<String>) -> Vec<Report> {
    let names = [JSON_FILE, DECISION_FILE, VERDICT_FILE];
    let mut reports = Vec::new();
    for root in &settings.sources.reports {
        for path in named(root, &names, problems) {
            match Report::read(path) {
                Ok(report) => reports.push(report),
                Err(problem) => problems.push(problem),
            }
        }
    }
    // What was decided last is shown with the model.
    reports.sort_by_key(|report| report.at_ms());
    reports
}

impl Report {
    fn read(path: PathBuf) -> Result<Self, String> {
        let bytes = bytes_of(&path, REPORT_BYTES_MAX)?;
        let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
        let (body, key) = match value.get("body") {
            Some(body) => (body.clone(), value["public_key"].as_str().map(str::to_owned)),
            None => (value, None),
        };
        let kind = match body["kind"].as_str() {
            Some("walk_forward") => Kind::Validation,
            Some("gate_decision") => Kind::Decision,
            Some("promotion_verdict") => Kind::Verdict,
            _ => return Err(wrong(&"its kind is none of those that are shown")),
        };
        let hash = hex(&sha256(&bytes));
        Ok(Self { kind, bytes: bytes.len() as u64, sha256: hash, body, key, path })
    }

    /// When it was decided; for a validation, which does not tell it, when its file was written.
    fn at_ms(&self) -> u64 {
        let told = self.body["decided_at_ms"].as_u64();
        told.unwrap_or_else(|| written_ms(&self.path))
    }

    /// Whether it is about the version of this run, by hashes.
    pub(super) fn is_of(&self, version: &Run) -> bool {
        let told = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let has = |name: &str, value: &Value| {
            let own = version.params.get(name).or_else(|| version.tags.get(name));
            own.is_some_and(|own| *own == told(value))
        };
        let subject = match self.kind {
            Kind::Validation => {
                return has("training_sha256", &self.body["training_sha256"])
                    && has("data_hash", &self.body["data_manifest_sha256"]);
            }
            Kind::Decision => &self.body["model"],
            _ => &self.body["challenger"],
        };
        has("peregrine.model_sha256", &subject["sha256"])
            && has("peregrine.card_sha256", &subject["card_sha256"])
    }

    /// The files of it that stand with the model too: path and name.
    pub(super) fn shown_with_the_model(&self) -> Vec<(PathBuf, &'static str)> {
        let names: &[&'static str] = match self.kind {
            Kind::Validation => &[JSON_FILE, REPORT_FILE],
            Kind::Decision => &[DECISION_FILE, DOCUMENT_FILE],
            _ => &[VERDICT_FILE],
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let paths = names.iter().map(|name| (folder.join(name), *name));
        paths.filter(|(path, _)| path.exists()).collect()
    }

    /// Its run.
    pub(super) fn found(&self, owners: &Owners, file_bytes_max: u64) -> Found {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let place = folder.file_name().map_or("".into(), |name| name.to_string_lossy());
        let key = format!("{}/{}", self.kind.name(), self.sha256);
        let name = format!("{} {place}", self.kind.name());
        let mut run = Run::new(self.kind, key, &name, self.at_ms());
        run.parent = owners.0.iter().find(|owner| self.is_of(owner)).map(|run| run.key.clone());
        run.tag("sha256", &self.sha256);
        if let Some(key) = &self.key {
            run.tag("public_key", key);
        }
        match self.kind {
            Kind::Validation => validation(&mut run, &self.body),
            _ => judgement(&mut run, &self.body, self.at_ms()),
        }
        let mut found = Found::new(run, file_bytes_max);
        let name = self.path.file_name().map_or("".into(), |name| name.to_string_lossy());
        found.file(&name, &self.sha256, self.bytes, &self.path);
        for (name, told) in self.files() {
            let path = folder.join(&name);
            let Ok(bytes) = bytes_of(&path, file_bytes_max) else { continue };
            // A file that is another one by now is no part of what was reported.
            if hex(&sha256(&bytes)) == told {
                found.file(&name, &told, bytes.len() as u64, &path);
            }
        }
        if self.kind == Kind::Decision {
            found.attach(DOCUMENT_FILE, &folder.join(DOCUMENT_FILE));
        }
        found
    }

    /// Files it rests on, with their SHA-256: pictures and texts of a validation, the reports a
    /// decision was made from. Folds are not among them: their figures are.
    fn files(&self) -> Vec<(String, String)> {
        let (named, is_shown): (&Value, fn(&str) -> bool) = match self.kind {
            Kind::Validation => (&self.body["files"], |name| !name.contains('/')),
            Kind::Decision => (&self.body["evidence"], |name| BESIDE.contains(&name)),
            _ => return Vec::new(),
        };
        let named = named.as_object().into_iter().flatten();
        named
            .filter(|(name, _)| is_shown(name) && !name.contains(['/', '\\']) && *name != "..")
            .filter_map(|(name, told)| Some((name.clone(), told.as_str()?.to_owned())))
            .collect()
    }
}

/// Every number of an object, with its name below `prefix`.
fn numbers(run: &mut Run, prefix: &str, value: &Value, at: (u64, u64)) {
    for (name, value) in value.as_object().into_iter().flatten() {
        run.metric(&format!("{prefix}{name}"), value.as_f64(), at);
    }
}

/// A validation: folds in steps, what they come to, and what was judged.
fn validation(run: &mut Run, body: &Value) {
    for name in [
        "data_manifest_sha256",
        "config_sha256",
        "code",
        "training_sha256",
        "seed",
        "trials",
        "hold_out_from_ms",
    ] {
        if !body[name].is_null() {
            run.param(name, text(&body[name]));
        }
    }
    for (name, value) in body["chosen"].as_object().into_iter().flatten() {
        run.param(name, text(value));
    }
    let folds = body["folds"].as_array().map_or(&[][..], Vec::as_slice);
    // A validation has no time of its own: its figures stand at the end of what they are of.
    let end = |fold: &Value| fold["test_to_ms"].as_u64().unwrap_or_default();
    for (place, fold) in folds.iter().enumerate() {
        let step = fold["number"].as_u64().unwrap_or(place as u64);
        numbers(run, "fold.", fold, (end(fold), step));
    }
    let at = (folds.iter().map(end).max().unwrap_or_default(), 0);
    numbers(run, "pooled.", &body["pooled"], at);
    for (step, path) in body["cpcv"]["paths"].as_array().into_iter().flatten().enumerate() {
        run.metric("path.sharpe", path.as_f64(), (at.0, step as u64));
    }
    run.metric("path.sharpe_q05", body["cpcv"]["sharpe_q05"].as_f64(), at);
    run.metric("pbo", body["pbo"].as_f64(), at);
    run.metric("calibration.ece", body["calibration"]["ece"].as_f64(), at);
}

/// A decision or a verdict: what was said, and every criterion with its value and its threshold.
fn judgement(run: &mut Run, body: &Value, at_ms: u64) {
    run.tag("verdict", text(&body["verdict"]));
    for name in ["from", "to", "evidence_digest"] {
        if !body[name].is_null() {
            run.tag(name, text(&body[name]));
        }
    }
    for subject in ["model", "champion", "challenger"] {
        if let Some(version) = body[subject]["version"].as_str() {
            run.tag(subject, version);
        }
    }
    let criteria = body["criteria"].as_array().into_iter().flatten();
    let criteria = criteria.filter_map(|value| Criterion::deserialize(value).ok());
    let mut failed = Vec::new();
    for Criterion { name, value, relation, threshold, passed, .. } in criteria {
        run.metric(&format!("criterion.{name}"), value, (at_ms, 0));
        run.metric(&format!("threshold.{name}"), Some(threshold), (at_ms, 0));
        if !passed {
            let value = value.map_or("not known".to_owned(), |value| value.to_string());
            failed.push(format!("{name}: {value}, needs {} {threshold}", relation.sign()));
        }
    }
    run.tag("failed", if failed.is_empty() { "nothing".to_owned() } else { failed.join("; ") });
}
