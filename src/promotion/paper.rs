//! The verdict as a document: signed by whoever judged, believed by the registry.
//!
//! ```text
//! {"kind": "promotion_verdict", "schema": 1, "from": "shadow", "to": "canary",
//!  "champion": {version, sha256, card_sha256} or null, "challenger": {…},
//!  "verdict": "promote" | "hold" | "reject", "criteria": [{…}],
//!  "evidence": {file: sha256}, "decided_at_ms": …, "evidence_digest": …}
//! ```
//! `evidence_digest` is made as a gate decision's: of the body without itself and without the time.

use super::trial::Contender;
use super::verdict::{Ruling, Verdict};
use crate::model::artifact::{hex, sha256};
use crate::registry::Stage;
use crate::registry::decision::Criterion;
use crate::registry::seal::canonical;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What `kind` says.
pub const PAPER_KIND: &str = "promotion_verdict";
/// Layout of the body.
pub const PAPER_SCHEMA: u32 = 1;

/// The body of a verdict's document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// [`PAPER_KIND`].
    pub kind: String,
    /// [`PAPER_SCHEMA`].
    pub schema: u32,
    /// The stage that was watched.
    pub from: Stage,
    /// The stage it is about.
    pub to: Stage,
    /// What it was compared with.
    pub champion: Option<Contender>,
    /// What was judged.
    pub challenger: Contender,
    /// What it came to.
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

impl Paper {
    /// Puts a document together.
    ///
    /// # Errors
    /// Never for numbers that are finite, and a verdict's are.
    pub fn new(
        verdict: &Verdict,
        (champion, challenger): (&Contender, &Contender),
        evidence: BTreeMap<String, String>,
        decided_at_ms: u64,
    ) -> serde_json::Result<Self> {
        let mut paper = Self {
            kind: PAPER_KIND.to_owned(),
            schema: PAPER_SCHEMA,
            from: verdict.from,
            to: verdict.to,
            champion: Some(champion.clone()),
            challenger: challenger.clone(),
            verdict: verdict.verdict,
            criteria: verdict.criteria.clone(),
            evidence,
            decided_at_ms,
            evidence_digest: String::new(),
        };
        let mut body = serde_json::to_value(&paper)?;
        if let Value::Object(body) = &mut body {
            body.shift_remove("evidence_digest");
            body.shift_remove("decided_at_ms");
        }
        paper.evidence_digest = hex(&sha256(canonical(&body).as_bytes()));
        Ok(paper)
    }
}
