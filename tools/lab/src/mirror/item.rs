//! A run as it is to be seen on the server.

use peregrine::model::artifact::{hex, sha256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tag that says which run of ours it is.
pub const KEY_TAG: &str = "peregrine.key";
/// Tag that says what was sent, set behind everything else: without it a run is not whole.
pub const DIGEST_TAG: &str = "peregrine.digest";
/// Characters of a tag's value that every server takes.
const TAG_CHARS: usize = 4_900;

/// What a run is about, in the order they are sent: the run that others lie below comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A version of the registry.
    Version,
    /// A walk-forward validation.
    Validation,
    /// A decision of the gate.
    Decision,
    /// A verdict of the promotion engine.
    Verdict,
    /// A trial of a study.
    Trial,
}

impl Kind {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Validation => "validation",
            Self::Decision => "decision",
            Self::Verdict => "verdict",
            Self::Trial => "trial",
        }
    }

    /// Whether it is in the experiment of trials.
    pub const fn is_tuning(self) -> bool {
        matches!(self, Self::Trial)
    }
}

/// A figure. Time and step come from the source, so that the same figure sent twice is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name.
    pub key: String,
    /// A finite number.
    pub value: f64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Its place in a row of the same name.
    pub step: u64,
}

/// A file that is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it lies within the run.
    pub path: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Who it is, from hashes: the same source gives the same key.
    pub key: String,
    /// What it is about.
    pub kind: Kind,
    /// For people.
    pub name: String,
    /// When it began and ended, milliseconds since 1970; told when it is made, and then no more.
    pub at_ms: (u64, u64),
    /// Whether it failed.
    pub failed: bool,
    /// Key of the run that it lies below.
    pub parent: Option<String>,
    /// What never changes; the server refuses other values later.
    pub params: BTreeMap<String, String>,
    /// What may change.
    pub tags: BTreeMap<String, String>,
    /// Figures.
    pub metrics: Vec<Metric>,
    /// Files.
    pub artifacts: Vec<Artifact>,
}

impl Run {
    /// An empty run.
    pub fn new(kind: Kind, key: String, name: &str, at_ms: u64) -> Self {
        let tags = BTreeMap::from([
            (KEY_TAG.to_owned(), key.clone()),
            ("peregrine.kind".to_owned(), kind.name().to_owned()),
        ]);
        Self {
            key,
            kind,
            name: name.to_owned(),
            at_ms: (at_ms, at_ms),
            failed: false,
            parent: None,
            params: BTreeMap::new(),
            tags,
            metrics: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    /// Stands for all that is sent but for when it was.
    pub fn digest(&self) -> String {
        let plain = Self { at_ms: (0, 0), ..self.clone() };
        // Plain structs with string keys always serialise; an empty text would match no hash.
        hex(&sha256(&serde_json::to_vec(&plain).unwrap_or_default()))
    }

    /// Tells a parameter.
    pub fn param(&mut self, key: &str, value: impl ToString) {
        self.params.insert(key.to_owned(), shortened(&value.to_string()));
    }

    /// Tells a tag.
    pub fn tag(&mut self, key: &str, value: impl ToString) {
        self.tags.insert(format!("peregrine.{key}"), shortened(&value.to_string()));
    }

    /// Tells a figure, where it is a number.
    pub fn metric(&mut self, key: &str, value: Option<f64>, (at_ms, step): (u64, u64)) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.metrics.push(Metric { key: plain(key), value, at_ms, step });
        }
    }

    /// Adds what an earlier form of the same run told and this one no longer does.
    pub fn absorb(&mut self, earlier: &Self) {
        for (key, value) in &earlier.params {
            self.params.entry(key.clone()).or_insert_with(|| value.clone());
        }
        for (key, value) in &earlier.tags {
            self.tags.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let more = earlier.metrics.iter().filter(|metric| !self.metrics.contains(metric));
        let more: Vec<Metric> = more.cloned().collect();
        self.metrics.extend(more);
        for artifact in &earlier.artifacts {
            if self.artifacts.iter().all(|own| own.path != artifact.path) {
                self.artifacts.push(artifact.clone());
            }
        }
    }
}

/// A text that the server takes as a value.
pub fn shortened(text: &str) -> String {
    if text.chars().count() <= TAG_CHARS {
        return text.to_owned();
    }
    text.chars().take(TAG_CHARS).chain(['…']).collect()
}

/// A name that the server takes: other letters become `_`.
pub fn plain(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || "_-./ ".contains(c);
    name.chars().map(|c| if keep(c) { c } else { '_' }).take(250).collect()
}
