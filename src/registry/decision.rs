//! The gate's decision on one model: what was looked at, what it had to be, GO or NO-GO. Written
//! and signed by the lab, believed here only after its signature was checked.
//!
//! ```text
//! {"body": {"kind": "gate_decision", "schema": 1, "verdict": "GO", "decided_at_ms": …,
//!           "model": {…}, "criteria": [{…}], "evidence": {file: sha256},
//!           "thresholds_sha256": …, "evidence_digest": …},
//!  "public_key": …, "signature": …}
//! ```
//! `evidence_digest` is the SHA-256 of the canonical body without itself and without
//! `decided_at_ms`: the same evidence gives the same digest, whenever it was judged.

use super::seal::{PublicKey, SealError, Sealed, canonical};
use crate::model::artifact::{hex, sha256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What `kind` says.
pub const DECISION_KIND: &str = "gate_decision";
/// Layout of the body.
pub const DECISION_SCHEMA: u32 = 1;
pub(super) const MS_PER_DAY: u64 = 86_400_000;

/// May this model trade?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Every criterion holds.
    #[serde(rename = "GO")]
    Go,
    /// At least one does not, or is not known.
    #[serde(rename = "NO-GO")]
    NoGo,
}

impl Verdict {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::NoGo => "NO-GO",
        }
    }
}

/// How a value has to stand to its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// `value >= threshold`.
    #[serde(rename = ">=")]
    AtLeast,
    /// `value <= threshold`.
    #[serde(rename = "<=")]
    AtMost,
    /// `value > threshold`.
    #[serde(rename = ">")]
    Above,
}

impl Relation {
    /// As written.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Above => ">",
        }
    }

    /// Whether a value passes; what is not known, or no number, does not.
    pub fn holds(self, value: Option<f64>, threshold: f64) -> bool {
        value.is_some_and(|value| match self {
            Self::AtLeast => value >= threshold,
            Self::AtMost => value <= threshold,
            Self::Above => value > threshold,
        })
    }
}

/// One criterion as it was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Its key in `gates.toml`, or `scenario.` and a scenario's name.
    pub name: String,
    /// What the evidence says; `None` is not known, which never passes.
    pub value: Option<f64>,
    /// How it has to stand to the threshold.
    pub relation: Relation,
    /// From `gates.toml`.
    pub threshold: f64,
    /// Whether it holds.
    pub passed: bool,
    /// The file the value is from.
    pub evidence: String,
    /// That file's SHA-256; `None` where there is no such file.
    pub evidence_sha256: Option<String>,
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecidedModel {
    /// The version's name.
    pub version: String,
    /// SHA-256 of `model.onnx`.
    pub sha256: String,
    /// SHA-256 of `card.toml`.
    pub card_sha256: String,
    /// SHA-256 of the data manifest it was made from.
    pub data_manifest_sha256: String,
}

/// The body of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// [`DECISION_KIND`].
    pub kind: String,
    /// [`DECISION_SCHEMA`].
    pub schema: u32,
    /// GO only where every criterion passed.
    pub verdict: Verdict,
    /// When, milliseconds since 1970, as the caller told it.
    pub decided_at_ms: u64,
    /// What was judged.
    pub model: DecidedModel,
    /// In the order of `gates.toml`.
    pub criteria: Vec<Criterion>,
    /// Every file that was looked at: name and SHA-256.
    pub evidence: BTreeMap<String, String>,
    /// SHA-256 of `gates.toml`.
    pub thresholds_sha256: String,
    /// See the head of this file.
    pub evidence_digest: String,
}

/// Why a decision does not let a model trade; names the file.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// Not signed, not by us, or changed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Signed, and not a decision that holds together.
    #[error("{path}: {what}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
}

/// What a trusted key said in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Signed<T> {
    /// What was said.
    pub said: T,
    /// Who signed it.
    pub key: PublicKey,
    /// SHA-256 of the file, hex.
    pub sha256: String,
}

impl<T: DeserializeOwned> Signed<T> {
    pub(super) fn read(
        path: &Path,
        trusted: &[PublicKey],
        what: &str,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<Self, DecisionError> {
        let (sealed, key, sha256) = Sealed::read_hashed(path, trusted)?;
        let malformed =
            |what: String| DecisionError::Malformed { path: path.display().to_string(), what };
        let said: T = serde_json::from_str(sealed.body())
            .map_err(|error| malformed(format!("is no {what}: {error}")))?;
        check(&said).map_err(malformed)?;
        Ok(Self { said, key, sha256 })
    }
}

impl Decision {
    /// Puts a decision together; the verdict follows from the criteria, and without any it is
    /// NO-GO.
    ///
    /// # Errors
    /// Never for numbers that are finite.
    pub fn new(
        model: DecidedModel,
        criteria: Vec<Criterion>,
        evidence: BTreeMap<String, String>,
        thresholds_sha256: String,
        decided_at_ms: u64,
    ) -> serde_json::Result<Self> {
        let mut decision = Self {
            kind: DECISION_KIND.to_owned(),
            schema: DECISION_SCHEMA,
            verdict: verdict_of(&criteria),
            decided_at_ms,
            model,
            criteria,
            evidence,
            thresholds_sha256,
            evidence_digest: String::new(),
        };
        decision.evidence_digest = decision.digest()?;
        Ok(decision)
    }

    /// Reads a decision that one of the `trusted` keys signed, and the key that did.
    ///
    /// # Errors
    /// When it is missing, changed, signed by another key, or does not hold together.
    pub fn read(path: &Path, trusted: &[PublicKey]) -> Result<(Self, PublicKey), DecisionError> {
        Self::read_paper(path, trusted).map(|paper| (paper.said, paper.key))
    }

    /// The same with what the registry's history tells of it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_paper(path: &Path, trusted: &[PublicKey]) -> Result<Signed<Self>, DecisionError> {
        Signed::read(path, trusted, "gate decision", Self::check)
    }

    /// The criteria that do not hold, in order.
    pub fn failed(&self) -> impl Iterator<Item = &Criterion> {
        self.criteria.iter().filter(|criterion| !criterion.passed)
    }

    /// Why this does not let that model trade on `today` (UTC day, counted from the epoch), with
    /// decisions of at most `days_max` days; empty where it does.
    pub fn objections(&self, model_sha256: &str, today: i64, days_max: u32) -> Vec<String> {
        let mut found = Vec::new();
        if self.verdict != Verdict::Go {
            let told: Vec<String> = self.failed().map(Criterion::told).collect();
            found.push(format!("{}: {}", self.verdict.name(), told.join(", ")));
        }
        if self.model.sha256 != model_sha256 {
            let (decided, version) = (&self.model.sha256, &self.model.version);
            found.push(format!("is on {version} ({decided}), selected is {model_sha256}"));
        }
        found.extend(age_objection(self.decided_at_ms, today, ("decision_days_max", days_max)));
        found
    }

    /// What a decision may not contradict: its kind, its verdict, its own digest.
    fn check(&self) -> Result<(), String> {
        if (self.kind.as_str(), self.schema) != (DECISION_KIND, DECISION_SCHEMA) {
            let (kind, schema) = (&self.kind, self.schema);
            return Err(format!("is a {kind} of layout {schema}, not a gate decision of layout 1"));
        }
        check_criteria(&self.criteria)?;
        if self.verdict != verdict_of(&self.criteria) {
            return Err(format!("the verdict {} is not of its criteria", self.verdict.name()));
        }
        match self.digest() {
            Ok(digest) if digest == self.evidence_digest => Ok(()),
            _ => Err("evidence_digest: is not of this decision".to_owned()),
        }
    }

    fn digest(&self) -> serde_json::Result<String> {
        digest_without_time(self)
    }
}

impl Criterion {
    /// Name, value, relation and threshold in a line.
    pub fn told(&self) -> String {
        let value = self.value.map_or("not known".to_owned(), |value| value.to_string());
        let (name, sign, threshold) = (&self.name, self.relation.sign(), self.threshold);
        format!("{name} is {value}, needs {sign} {threshold}")
    }
}

/// Each criterion's verdict must be that of its value.
pub(super) fn check_criteria(criteria: &[Criterion]) -> Result<(), String> {
    let unlike = |c: &&Criterion| c.passed != c.relation.holds(c.value, c.threshold);
    match criteria.iter().find(unlike) {
        Some(criterion) => Err(format!("{}: its verdict is not that of its value", criterion.name)),
        None => Ok(()),
    }
}

/// SHA-256 of a canonical body without its `evidence_digest` and `decided_at_ms`.
pub(super) fn digest_without_time(body: &impl Serialize) -> serde_json::Result<String> {
    let mut body = serde_json::to_value(body)?;
    if let Value::Object(body) = &mut body {
        body.shift_remove("evidence_digest");
        body.shift_remove("decided_at_ms");
    }
    Ok(hex(&sha256(canonical(&body).as_bytes())))
}

/// Why a document of that time does not count on `today`, by the named limit of `[stage]`.
pub(super) fn age_objection(
    at_ms: u64,
    today: i64,
    (limit, days_max): (&str, u32),
) -> Option<String> {
    let day = i64::try_from(at_ms / MS_PER_DAY).unwrap_or(i64::MAX);
    let age = today.saturating_sub(day);
    if age > i64::from(days_max) {
        return Some(format!("is {age} days old, stage.{limit} is {days_max}"));
    }
    (age < 0).then(|| format!("is from the future, by {} days", -age))
}

fn verdict_of(criteria: &[Criterion]) -> Verdict {
    let go = !criteria.is_empty() && criteria.iter().all(|criterion| criterion.passed);
    if go { Verdict::Go } else { Verdict::NoGo }
}
