//! What `registry.json` holds, and the chain that makes its history tamper-evident.
//!
//! ```text
//! entry 1 ──hash──► entry 2.prev_hash ──hash──► entry 3.prev_hash …
//!   └ record_hash: what was registered      └ from, to: how stages moved
//! ```
//! Replaying the history must give the stages and the champion the file states. The chain shows
//! that a file was edited; it does not prove who wrote it.

use super::error::RegistryError;
use crate::model::artifact::{CARD_FILE, ONNX_FILE, check_version, hex, sha256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file's layout.
pub const SCHEMA_VERSION: u32 = 1;
/// What the first entry names as its predecessor.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version that trades; `None` before the first.
    pub champion: Option<String>,
    /// Every version ever registered.
    pub models: BTreeMap<String, Record>,
    /// Every change, oldest first.
    pub history: Vec<Entry>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its files, sorted by path.
    pub files: Vec<FileRecord>,
    /// Where it stands.
    pub stage: Stage,
    /// The version it was made from.
    pub parent: Option<String>,
    /// Hash of its feature schema, sixteen hex digits.
    pub schema_hash: String,
    /// SHA-256 of its data manifest.
    pub data_hash: String,
    /// Seed of its training.
    pub seed: u64,
    /// Figures from its card.
    pub metrics: BTreeMap<String, f64>,
    /// When it was registered, milliseconds since 1970, as told by the caller.
    pub registered_at_ms: u64,
}

/// One file of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Name within the version's folder.
    pub path: String,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Where a version stands.
///
/// ```text
/// staged ──► shadow ──► canary ──► champion ──► retired
///    │          └──────────┴──────────────────────▲ │
///    ├────────────────────────────────────────────┘ │
///    └──► champion (only while there is none)       │
///                  champion ◄── rollback ───────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Registered, not run.
    Staged,
    /// Predicts beside the champion.
    Shadow,
    /// Trades a share.
    Canary,
    /// Trades.
    Champion,
    /// No longer runs.
    Retired,
}

impl Stage {
    /// As written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Champion => "champion",
            Self::Retired => "retired",
        }
    }

    /// Whether a version may move; the first champion and rollback are the caller's to allow.
    pub const fn may_become(self, to: Self) -> bool {
        use Stage::{Canary, Champion, Retired, Shadow, Staged};
        matches!(
            (self, to),
            (Staged, Shadow)
                | (Shadow, Canary)
                | (Canary, Champion)
                | (Staged | Shadow | Canary | Champion, Retired)
        )
    }
}

/// What an entry of the history says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A version was added, staged.
    Registered,
    /// A version moved from one stage to another.
    Moved,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 1, 2, 3…
    pub seq: u64,
    /// When, milliseconds since 1970, as told by the caller.
    pub at_ms: u64,
    /// What happened.
    pub action: Action,
    /// To which version.
    pub version: String,
    /// The stage before; `None` for a new version.
    pub from: Option<Stage>,
    /// The stage after.
    pub to: Stage,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// SHA-256 of the gate decision or other evidence.
    pub evidence_sha256: Option<String>,
    /// Hash of what was registered; `None` for a move.
    pub record_hash: Option<String>,
    /// [`Self::hash`] of the entry before, or [`GENESIS`].
    pub prev_hash: String,
    /// SHA-256 of this entry as JSON with an empty `hash`.
    pub hash: String,
}

impl Entry {
    /// What [`Self::hash`] must be.
    pub fn compute_hash(&self) -> String {
        json_hash(&Self { hash: String::new(), ..self.clone() })
    }
}

impl Record {
    /// Hash of what must never change. The stage may; the metrics are the card's, whose hash is
    /// among the files.
    pub fn fixed_hash(&self) -> String {
        let metrics = BTreeMap::new();
        json_hash(&Self { stage: Stage::Staged, metrics, ..self.clone() })
    }
}

impl Document {
    /// A registry without versions.
    pub fn empty() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            champion: None,
            models: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// Appends an entry; sequence and hashes are filled in.
    pub fn append(&mut self, entry: Entry) {
        let prev_hash = self.history.last().map_or(GENESIS, |e| e.hash.as_str()).to_owned();
        let seq = self.history.len() as u64 + 1;
        let entry = Entry { seq, prev_hash, ..entry };
        let hash = entry.compute_hash();
        self.history.push(Entry { hash, ..entry });
    }

    /// Checks the layout, the chain, and that the history leads to what the file states.
    ///
    /// # Errors
    /// Names the entry, version or key at fault.
    pub fn check(&self) -> Result<(), RegistryError> {
        let broken = |what: String| Err(RegistryError::Broken { what });
        if self.schema_version != SCHEMA_VERSION {
            let found = self.schema_version;
            return broken(format!("schema_version {found}, {SCHEMA_VERSION} expected"));
        }
        let mut stages: BTreeMap<&str, Stage> = BTreeMap::new();
        let mut champion = None;
        let mut prev_hash = GENESIS;
        for (place, entry) in self.history.iter().enumerate() {
            let name = format!("history entry {}", place + 1);
            let in_order = entry.seq == place as u64 + 1 && entry.prev_hash == prev_hash;
            if !in_order || entry.hash != entry.compute_hash() {
                return broken(format!("{name} was edited or is out of order"));
            }
            prev_hash = &entry.hash;
            let Some(record) = self.models.get(&entry.version) else {
                return broken(format!("{name} names {}, which is missing", entry.version));
            };
            if stages.insert(&entry.version, entry.to) != entry.from {
                return broken(format!("{name} moves {} from another stage", entry.version));
            }
            let registered = entry.action == Action::Registered;
            if registered && entry.record_hash.as_ref() != Some(&record.fixed_hash()) {
                return broken(format!("the record of {} was edited", entry.version));
            }
            match entry.to {
                Stage::Champion => champion = Some(entry.version.as_str()),
                _ if champion == Some(entry.version.as_str()) => champion = None,
                _ => {}
            }
        }
        for (version, record) in &self.models {
            // Both become paths below the registry's folder.
            let plain = record.files.iter().map(|f| f.path.as_str()).eq([CARD_FILE, ONNX_FILE]);
            if !plain || check_version(version).is_err() {
                return broken(format!("{version:?} is no version of two files"));
            }
            if stages.get(version.as_str()) != Some(&record.stage) {
                return broken(format!("the stage of {version} is not the history's"));
            }
        }
        let champions = self.models.values().filter(|r| r.stage == Stage::Champion).count();
        if self.champion.as_deref() != champion || champions > 1 {
            return broken("the champion is not the history's".into());
        }
        Ok(())
    }
}

fn json_hash(value: &impl Serialize) -> String {
    // Plain structs with string keys always serialise; an empty text would match no hash.
    hex(&sha256(&serde_json::to_vec(value).unwrap_or_default()))
}
