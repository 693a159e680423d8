//! What `registry.json` holds.
//!
//! Layout 1 had no `previous`, no `papers`, and knew no other changes than registering and moving;
//! it is read as layout 2, and written as that with the next change.

use super::error::RegistryError;
use crate::model::artifact::{hex, sha256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file's layout.
pub const SCHEMA_VERSION: u32 = 2;
/// What the first entry names as its predecessor.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version that trades; `None` before the first, and where no model may.
    pub champion: Option<String>,
    /// The version that a rollback goes to; `None` where there is none.
    pub previous: Option<String>,
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
    /// Commit of the code that trained it, as its card says; absent in records of layout 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// SHA-256 of the configuration of its training, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// Figures from its card.
    pub metrics: BTreeMap<String, f64>,
    /// When it was registered, milliseconds since 1970, as told by the caller.
    pub registered_at_ms: u64,
    /// Where it was brought in from; `None` for what was registered from a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Who vouches for it: signatures over [`Record::statement`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Signature>,
}

/// What a bundle told about the registry it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// SHA-256 of the bundle.
    pub bundle_sha256: String,
    /// When it was registered there, milliseconds since 1970.
    pub registered_at_ms: u64,
    /// What it was made from, the nearest first.
    pub lineage: Vec<Ancestor>,
    /// The documents that came with it: name and SHA-256.
    pub documents: BTreeMap<String, String>,
}

/// A version that another one was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ancestor {
    /// Its name.
    pub version: String,
    /// SHA-256 of its `model.onnx`; `None` where that registry does not know it.
    pub model_sha256: Option<String>,
    /// SHA-256 of its data manifest; `None` as above.
    pub data_hash: Option<String>,
    /// Seed of its training; `None` as above.
    pub seed: Option<u64>,
    /// Commit of the code that trained it; `None` as above, or where its record does not tell.
    pub code: Option<String>,
}

/// An Ed25519 signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The key, 64 hexadecimal digits.
    pub public_key: String,
    /// The signature, 128 hexadecimal digits.
    pub signature: String,
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
///    │        ▲ └──────────┴──────────────────────▲ │ │
///    ├────────│───────────────────────────────────┘ │ │
///    │        └───────── on a new decision ─────────┘ │
///    └──► champion (only before the first)            │
///                  champion ◄── rollback ─────────────┘
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
            (Staged | Retired, Shadow)
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
    /// A champion was left for a former one, or a former one put back.
    RolledBack,
    /// A version may not be chosen until it is released.
    Quarantined,
    /// A quarantine was lifted.
    Released,
    /// The files of a retired version were removed.
    Removed,
    /// Somebody vouched for a version.
    Signed,
}

impl Action {
    /// As written in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Moved => "moved",
            Self::RolledBack => "rolled_back",
            Self::Quarantined => "quarantined",
            Self::Released => "released",
            Self::Removed => "removed",
            Self::Signed => "signed",
        }
    }
}

/// A document that a change rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// What it is: `gate_decision`, `promotion_verdict`, `approval_risk`, `bundle`, …
    pub kind: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The key that signed it, 64 hexadecimal digits; `None` where none did.
    pub key: Option<String>,
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
    /// Every document it rests on; empty in entries of layout 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub papers: Vec<Paper>,
    /// Hash of what was registered; `None` for anything else.
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
    /// among the files; each signature has an entry of its own.
    pub fn fixed_hash(&self) -> String {
        let (metrics, signatures) = (BTreeMap::new(), Vec::new());
        json_hash(&Self { stage: Stage::Staged, metrics, signatures, ..self.clone() })
    }

    /// The SHA-256 of one of its files; empty for a name that is none.
    pub fn file_sha256(&self, name: &str) -> &str {
        self.files.iter().find(|file| file.path == name).map_or("", |file| file.sha256.as_str())
    }

    /// What is signed to vouch for a version: its files, and what they were made from as far as
    /// the card does not say it. The same in every registry.
    pub fn statement(&self, version: &str) -> String {
        let Self { files, parent, config_sha256, .. } = self;
        let said = serde_json::json!({"kind": "model_version", "schema": 1, "version": version,
            "files": files, "parent": parent, "config_sha256": config_sha256});
        super::seal::canonical(&said)
    }
}

impl Signature {
    /// What its entry in the history names.
    pub fn hash(&self) -> String {
        json_hash(self)
    }
}

/// Layout 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentV1 {
    schema_version: u32,
    champion: Option<String>,
    models: BTreeMap<String, Record>,
    history: Vec<Entry>,
}

impl Document {
    /// A registry without versions.
    pub fn empty() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            champion: None,
            previous: None,
            models: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// Reads the file's bytes, of this layout or of the one before; checks nothing else.
    ///
    /// # Errors
    /// When they are no such document.
    pub fn parse(bytes: &[u8]) -> Result<Self, RegistryError> {
        #[derive(Deserialize)]
        struct Layout {
            schema_version: u32,
        }
        let format = |e: serde_json::Error| RegistryError::Format { what: e.to_string() };
        match serde_json::from_slice::<Layout>(bytes).map_err(format)?.schema_version {
            1 => serde_json::from_slice::<DocumentV1>(bytes).map_err(format)?.migrated(),
            SCHEMA_VERSION => serde_json::from_slice(bytes).map_err(format),
            found => {
                let what = format!("schema_version {found}, 1 to {SCHEMA_VERSION} can be read");
                Err(RegistryError::Broken { what })
            }
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
}

impl DocumentV1 {
    /// As layout 2: nothing but the pointer to the champion before is new.
    fn migrated(self) -> Result<Document, RegistryError> {
        let Self { schema_version, champion, models, history } = self;
        let known = |entry: &&Entry| matches!(entry.action, Action::Registered | Action::Moved);
        if let Some(entry) = history.iter().find(|entry| !known(entry)) {
            let (seq, action) = (entry.seq, entry.action.name());
            let what =
                format!("history entry {seq}: schema_version {schema_version} has no {action}");
            return Err(RegistryError::Broken { what });
        }
        let schema_version = SCHEMA_VERSION;
        let mut document = Document { schema_version, champion, previous: None, models, history };
        document.previous = document.standing()?.previous().map(str::to_owned);
        Ok(document)
    }
}

fn json_hash(value: &impl Serialize) -> String {
    // Plain structs with string keys always serialise; an empty text would match no hash.
    hex(&sha256(&serde_json::to_vec(value).unwrap_or_default()))
}
