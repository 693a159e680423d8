//! Versions that a session left by itself, in the state folder until the registry has followed.

use crate::registry::verdict::Contender;
use crate::registry::{Change, Proving, Record, Registry, RegistryError, Target};
use crate::runtime::lock::held;
use crate::runtime::state::write_durably;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The file in the state folder.
pub const LEFT_FILE: &str = "left-models.json";
/// Layout of the file.
const SCHEMA: u32 = 1;

/// One version that was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The version.
    pub version: String,
    /// SHA-256 of its `model.onnx`, hex.
    pub sha256: String,
    /// SHA-256 of its `card.toml`, hex.
    pub card_sha256: String,
    /// The version that was gone back to.
    pub to: String,
    /// Who left it: the session.
    pub by: String,
    /// Why, with the figure and its limit.
    pub reason: String,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    left: Vec<Left>,
}

/// See the head of this file. Shared by side threads alone.
#[derive(Debug)]
pub struct LeftModels {
    path: PathBuf,
    left: Mutex<Vec<Left>>,
    /// Why the registry could not follow when it last was to.
    trouble: Mutex<Option<String>>,
}

impl LeftModels {
    /// Reads what an earlier session left.
    ///
    /// # Errors
    /// When the file is there and is none: what must not be loaded is not known then.
    pub fn read(state: &Path) -> Result<Self> {
        let path = state.join(LEFT_FILE);
        let left = match std::fs::read(&path) {
            Ok(bytes) => {
                let read: Document = serde_json::from_slice(&bytes)
                    .with_context(|| format!("{}: is not what a session wrote", path.display()))?;
                ensure!(read.schema == SCHEMA, "{}: schema {}", path.display(), read.schema);
                read.left
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        Ok(Self { path, left: Mutex::new(left), trouble: Mutex::default() })
    }

    /// Remembers one, durably.
    ///
    /// # Errors
    /// When the file cannot be written; it is remembered until the process ends all the same.
    pub fn add(&self, left: Left) -> std::io::Result<()> {
        let mut all = held(&self.left);
        all.push(left);
        self.write(&all)
    }

    /// The one that the registry has to follow first.
    pub fn first(&self) -> Option<Left> {
        held(&self.left).first().cloned()
    }

    /// How many wait for the registry.
    pub fn waiting(&self) -> usize {
        held(&self.left).len()
    }

    /// The registry has followed the first.
    ///
    /// # Errors
    /// When the file cannot be written: the next start follows once more, and finds it done.
    pub fn done(&self) -> std::io::Result<()> {
        let mut all = held(&self.left);
        if !all.is_empty() {
            all.remove(0);
        }
        self.write(&all)
    }

    fn write(&self, all: &[Left]) -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(&Document { schema: SCHEMA, left: all.to_vec() })?;
        write_durably(&self.path, &text)
    }

    /// Whether that version was left and the registry does not say so yet.
    pub fn has(&self, version: &str) -> bool {
        held(&self.left).iter().any(|left| left.version == version)
    }

    /// The version that a name stands for: itself, or with `champion` the registry's, and for one
    /// that was left the one that was gone back to.
    ///
    /// # Errors
    /// When there is no champion, or the version that is named was left or is quarantined.
    pub fn version_named(&self, registry: &Registry, name: &str) -> Result<String> {
        let mut version = registry.version_named(name)?.to_owned();
        if name == "champion" {
            for left in held(&self.left).iter() {
                if left.version == version {
                    version.clone_from(&left.to);
                }
            }
            return Ok(version);
        }
        if self.has(&version) {
            bail!("version {version}: a session left it, and the registry has not followed yet");
        }
        registry.check_free(&version)?;
        if let Some(what) = registry.standing()?.forbids(&version) {
            bail!("version {version}: {what}");
        }
        Ok(version)
    }

    /// Why the registry cannot follow; `None` where nothing is in the way.
    pub fn trouble(&self) -> Option<String> {
        held(&self.trouble).clone()
    }

    /// Something is in the way.
    pub fn report(&self, what: String) {
        self.set_trouble(Some(what));
    }

    pub(super) fn set_trouble(&self, what: Option<String>) {
        *held(&self.trouble) = what;
    }
}

impl Left {
    /// Has the registry in `dir` follow: where it still names this version, it goes back as the
    /// verb does; where it names another, this one is quarantined. Nothing where that is done.
    ///
    /// # Errors
    /// When the registry cannot be read or written, or has nothing to go back to.
    pub fn settle(&self, dir: &Path, proving: Proving) -> Result<(), RegistryError> {
        let mut registry = Registry::open(dir)?;
        if !registry.show(&self.version).is_ok_and(|record| self.is(record)) {
            tracing::warn!(version = self.version, "left, and not in this registry: nothing to do");
            return Ok(());
        }
        let change = Change {
            at_ms: self.at_ms,
            by: self.by.clone(),
            reason: self.reason.clone(),
            evidence_sha256: None,
        };
        if registry.champion_version() == Some(&self.version) {
            let to = Target::Version(&self.to);
            return match registry.rollback(to, proving, change.clone(), true) {
                // Whatever became of it meanwhile: the version left does not stay.
                Err(
                    RegistryError::Refused { .. }
                    | RegistryError::UnknownVersion { .. }
                    | RegistryError::Removed { .. }
                    | RegistryError::Files(_)
                    | RegistryError::Model { .. },
                ) => registry.rollback(Target::Previous, proving, change, true),
                other => other,
            }
            .map(drop);
        }
        if registry.standing()?.quarantined.contains(self.version.as_str()) {
            return Ok(());
        }
        registry.quarantine(&self.version, change)
    }

    fn is(&self, record: &Record) -> bool {
        let Self { version, sha256, card_sha256, .. } = self;
        Contender::of(version, record).is(version, sha256, card_sha256)
    }
}
