//! The papers that a version needs behind the gate: the promotion engine's verdict on it against
//! the champion, and people's approvals. Both are signed texts as `seal` has them.
//!
//! ```text
//! promotion_verdict   {"kind": "promotion_verdict", "schema": 1, "from": "shadow", "to": "canary",
//!                      "champion": {version, sha256, card_sha256} or null, "challenger": {…},
//!                      "verdict": "promote" | "hold" | "reject", "criteria": [{…}],
//!                      "evidence": {file: sha256}, "decided_at_ms": …, "evidence_digest": …}
//! promotion_approval  {"kind": "promotion_approval", "schema": 1, "role": "risk" | "mlops",
//!                      "by": …, "reason": …, "challenger": {…}, "champion": {…} or null,
//!                      "approved_at_ms": …}
//! ```
//! `evidence_digest` is made as a gate decision's: the same evidence gives the same digest.

use super::decision::{
    Criterion, DecisionError, Signed, age_objection, check_criteria, digest_without_time,
};
use super::record::{Record, Stage};
use super::seal::{PublicKey, SealError, Sealed, SigningKey};
use crate::model::artifact::{CARD_FILE, ONNX_FILE};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What `kind` says of a verdict.
pub const VERDICT_KIND: &str = "promotion_verdict";
/// What `kind` says of an approval.
pub const APPROVAL_KIND: &str = "promotion_approval";
/// Layout of both bodies.
pub const PAPER_SCHEMA: u32 = 1;

/// A version in a comparison, by what it is and not by its name alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contender {
    /// The version's name.
    pub version: String,
    /// SHA-256 of `model.onnx`.
    pub sha256: String,
    /// SHA-256 of `card.toml`.
    pub card_sha256: String,
}

impl Contender {
    /// A registered version.
    pub fn of(version: &str, record: &Record) -> Self {
        Self {
            version: version.to_owned(),
            sha256: record.file_sha256(ONNX_FILE).to_owned(),
            card_sha256: record.file_sha256(CARD_FILE).to_owned(),
        }
    }

    /// Whether it is the version of that name and those files: SHA-256 of `model.onnx` and of
    /// `card.toml`, hex.
    pub fn is(&self, version: &str, sha256: &str, card_sha256: &str) -> bool {
        (self.version.as_str(), self.sha256.as_str(), self.card_sha256.as_str())
            == (version, sha256, card_sha256)
    }
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// The challenger goes on.
    Promote,
    /// Not known yet: everything stays as it is.
    Hold,
    /// The challenger is given up.
    Reject,
}

impl Ruling {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Hold => "hold",
            Self::Reject => "reject",
        }
    }
}

/// The body of a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionVerdict {
    /// [`VERDICT_KIND`].
    pub kind: String,
    /// [`PAPER_SCHEMA`].
    pub schema: u32,
    /// The stage that was observed: `shadow` or `canary`.
    pub from: Stage,
    /// The stage it is about: the one after `from`.
    pub to: Stage,
    /// What it was compared with; `None` where no model traded.
    pub champion: Option<Contender>,
    /// What was judged.
    pub challenger: Contender,
    /// `promote` only where every criterion passed, and there is one.
    pub verdict: Ruling,
    /// In the order they were judged.
    pub criteria: Vec<Criterion>,
    /// Every file that was looked at: name and SHA-256.
    pub evidence: BTreeMap<String, String>,
    /// When, milliseconds since 1970, as the caller told it.
    pub decided_at_ms: u64,
    /// See the head of this file.
    pub evidence_digest: String,
}

/// What one version needs to be moved: the same for verdicts and approvals.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The version to be moved.
    pub challenger: Contender,
    /// The champion there is.
    pub champion: Option<Contender>,
    /// UTC day, counted from the epoch.
    pub today: i64,
    /// `stage.verdict_days_max`.
    pub days_max: u32,
}

impl Wanted {
    fn objections(
        &self,
        challenger: &Contender,
        champion: Option<&Contender>,
        at_ms: u64,
    ) -> Vec<String> {
        let mut found = Vec::new();
        if *challenger != self.challenger {
            let (other, sha256) = (&challenger.version, &challenger.sha256);
            let (own, of) = (&self.challenger.version, &self.challenger.sha256);
            found.push(format!("is on {other} ({sha256}), not on {own} ({of}) as registered"));
        }
        if champion != self.champion.as_ref() {
            let named = |who: Option<&Contender>| {
                who.map_or("none".to_owned(), |who| format!("{} ({})", who.version, who.sha256))
            };
            let (then, now) = (named(champion), named(self.champion.as_ref()));
            found.push(format!("is against the champion {then}, the champion is {now}"));
        }
        found.extend(age_objection(at_ms, self.today, ("verdict_days_max", self.days_max)));
        found
    }
}

impl PromotionVerdict {
    /// Puts a verdict together; an outcome that its criteria do not bear is not written.
    ///
    /// # Errors
    /// What it contradicts.
    pub fn new(
        (from, to): (Stage, Stage),
        champion: Option<Contender>,
        challenger: Contender,
        verdict: Ruling,
        criteria: Vec<Criterion>,
        evidence: BTreeMap<String, String>,
        decided_at_ms: u64,
    ) -> Result<Self, String> {
        let mut made = Self {
            kind: VERDICT_KIND.to_owned(),
            schema: PAPER_SCHEMA,
            from,
            to,
            champion,
            challenger,
            verdict,
            criteria,
            evidence,
            decided_at_ms,
            evidence_digest: String::new(),
        };
        made.evidence_digest = digest_without_time(&made).map_err(|error| error.to_string())?;
        made.check()?;
        Ok(made)
    }

    /// Reads a verdict that one of the `trusted` keys signed.
    ///
    /// # Errors
    /// When it is missing, changed, signed by another key, or does not hold together.
    pub fn read(path: &Path, trusted: &[PublicKey]) -> Result<Signed<Self>, DecisionError> {
        Signed::read(path, trusted, "promotion verdict", Self::check)
    }

    /// The verdict as a signed file.
    ///
    /// # Errors
    /// Never for numbers that are finite.
    pub fn sealed(&self, key: &SigningKey) -> serde_json::Result<String> {
        Sealed::new(&serde_json::to_value(self)?, key)?.text()
    }

    /// Why this does not let that version move to `to`; empty where it does.
    pub fn objections(&self, to: Stage, wanted: &Wanted) -> Vec<String> {
        let mut found = Vec::new();
        if self.to != to {
            let (from, other, to) = (self.from.name(), self.to.name(), to.name());
            found.push(format!("is about going from {from} to {other}, not to {to}"));
        }
        if self.verdict != Ruling::Promote {
            let failed = self.criteria.iter().filter(|criterion| !criterion.passed);
            let told: Vec<String> = failed.map(Criterion::told).collect();
            let told =
                if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) };
            found.push(format!("the verdict is {}{told}", self.verdict.name()));
        }
        let champion = self.champion.as_ref();
        found.extend(wanted.objections(&self.challenger, champion, self.decided_at_ms));
        found
    }

    fn check(&self) -> Result<(), String> {
        check_kind((&self.kind, self.schema), VERDICT_KIND)?;
        let steps = [(Stage::Shadow, Stage::Canary), (Stage::Canary, Stage::Champion)];
        if !steps.contains(&(self.from, self.to)) {
            let (from, to) = (self.from.name(), self.to.name());
            return Err(format!("{from} to {to} is no step that a verdict decides"));
        }
        check_criteria(&self.criteria)?;
        let passed = self.criteria.iter().all(|criterion| criterion.passed);
        if self.verdict == Ruling::Promote && (self.criteria.is_empty() || !passed) {
            return Err("the verdict promote is not of its criteria".to_owned());
        }
        match digest_without_time(self) {
            Ok(digest) if digest == self.evidence_digest => Ok(()),
            _ => Err("evidence_digest: is not of this verdict".to_owned()),
        }
    }
}

/// Who has to approve a champion, each with a key of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers for what may be lost.
    Risk,
    /// Answers for how the model was made and runs.
    Mlops,
}

impl Role {
    /// Everybody who is asked.
    pub const ALL: [Self; 2] = [Self::Risk, Self::Mlops];

    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::Mlops => "mlops",
        }
    }
}

/// The body of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// [`APPROVAL_KIND`].
    pub kind: String,
    /// [`PAPER_SCHEMA`].
    pub schema: u32,
    /// As what it is given.
    pub role: Role,
    /// Who gives it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What is approved.
    pub challenger: Contender,
    /// What it replaces; `None` where no model trades.
    pub champion: Option<Contender>,
    /// When, milliseconds since 1970, as the caller told it.
    pub approved_at_ms: u64,
}

impl Approval {
    /// Puts an approval together.
    pub fn new(
        role: Role,
        (by, reason): (&str, &str),
        challenger: Contender,
        champion: Option<Contender>,
        approved_at_ms: u64,
    ) -> Self {
        Self {
            kind: APPROVAL_KIND.to_owned(),
            schema: PAPER_SCHEMA,
            role,
            by: by.to_owned(),
            reason: reason.to_owned(),
            challenger,
            champion,
            approved_at_ms,
        }
    }

    /// Reads an approval that one of the `trusted` keys signed.
    ///
    /// # Errors
    /// When it is missing, changed, signed by another key, or no approval.
    pub fn read(path: &Path, trusted: &[PublicKey]) -> Result<Signed<Self>, DecisionError> {
        Signed::read(path, trusted, "approval", |approval: &Self| {
            check_kind((&approval.kind, approval.schema), APPROVAL_KIND)
        })
    }

    /// The approval as a signed file.
    ///
    /// # Errors
    /// Never.
    pub fn sealed(&self, key: &SigningKey) -> serde_json::Result<String> {
        Sealed::new(&serde_json::to_value(self)?, key)?.text()
    }

    /// Why this does not count for that version; empty where it does.
    pub fn objections(&self, wanted: &Wanted) -> Vec<String> {
        wanted.objections(&self.challenger, self.champion.as_ref(), self.approved_at_ms)
    }
}

fn check_kind((kind, schema): (&str, u32), wanted: &str) -> Result<(), String> {
    if (kind, schema) == (wanted, PAPER_SCHEMA) {
        return Ok(());
    }
    Err(format!("is a {kind} of layout {schema}, not a {wanted} of layout {PAPER_SCHEMA}"))
}

/// The versions that a signed file names, whoever signed it: good enough to keep their files.
///
/// # Errors
/// When it is no such file.
pub fn versions_named(path: &Path, text: &[u8]) -> Result<Vec<String>, SealError> {
    #[derive(Deserialize)]
    struct Named {
        version: String,
    }
    #[derive(Deserialize)]
    struct Body {
        model: Option<Named>,
        challenger: Option<Named>,
        champion: Option<Named>,
    }
    #[derive(Deserialize)]
    struct Paper {
        body: Body,
    }
    let read: Paper = serde_json::from_slice(text).map_err(|error| SealError::Malformed {
        path: path.to_owned(),
        what: format!("is no signed document: {error}"),
    })?;
    let Body { model, challenger, champion } = read.body;
    Ok([model, challenger, champion].into_iter().flatten().map(|named| named.version).collect())
}
