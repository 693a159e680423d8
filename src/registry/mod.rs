//! models_saved: versions, hashes, stages. Moves no pointer without the gate.
//!
//! ```text
//! models_saved/registry.json          records, champion, history (a hash chain)
//!              <version>/model.onnx   never changed once registered
//!              <version>/card.toml
//!              .registry.lock         held while the file is rewritten
//! ```
//! Writing is: temporary file, fsync, rename, fsync of the folder.
//!
//! | file | holds |
//! |---|---|
//! | `record` | the file's layout, the history chain |
//! | `store` | reading, atomic writing, copying a version in |
//! | `seal` | texts signed with Ed25519, and their keys |
//! | `decision` | the gate's decision on a model |
//! | `error` | what can go wrong |

pub mod decision;
mod error;
mod record;
pub mod seal;
mod store;
#[cfg(test)]
mod tests;

pub use error::{Problem, RegistryError};
pub use record::{Action, Document, Entry, FileRecord, GENESIS, Record, SCHEMA_VERSION, Stage};

use crate::model::artifact::{CARD_FILE, ONNX_FILE};
use crate::model::{ArtifactFiles, LoadPolicy, Model};
use std::path::{Path, PathBuf};

/// Who changes the registry, when and why; the caller reads the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// SHA-256 of the gate decision that allows it, hex.
    pub evidence_sha256: Option<String>,
}

/// What [`Registry::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Versions looked at.
    pub versions: usize,
    /// Files hashed.
    pub files: usize,
    /// Every file that is not what was registered.
    pub problems: Vec<Problem>,
}

/// The registry of one folder.
#[derive(Clone, Debug)]
pub struct Registry {
    dir: PathBuf,
    document: Document,
}

impl Registry {
    /// Opens the registry of a folder and checks its history.
    ///
    /// # Errors
    /// Names what is missing, malformed or edited.
    pub fn open(dir: &Path) -> Result<Self, RegistryError> {
        let document = store::read(dir)?;
        document.check()?;
        Ok(Self { dir: dir.to_owned(), document })
    }

    /// Starts an empty registry, making the folder where needed.
    ///
    /// # Errors
    /// When one exists, or the folder cannot be written.
    pub fn create(dir: &Path) -> Result<Self, RegistryError> {
        let registry = Self { dir: dir.to_owned(), document: Document::empty() };
        store::create(dir, &registry.document)?;
        Ok(registry)
    }

    /// Every version with its record, by name.
    pub fn list(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.document.models.iter().map(|(version, record)| (version.as_str(), record))
    }

    /// One version's record.
    ///
    /// # Errors
    /// When it is not registered.
    pub fn show(&self, version: &str) -> Result<&Record, RegistryError> {
        let unknown = || RegistryError::UnknownVersion { version: version.to_owned() };
        self.document.models.get(version).ok_or_else(unknown)
    }

    /// Every change, oldest first.
    pub fn history(&self) -> &[Entry] {
        &self.document.history
    }

    /// Name of the version that trades.
    pub fn champion_version(&self) -> Option<&str> {
        self.document.champion.as_deref()
    }

    /// Hashes every file and looks for missing and extra ones.
    ///
    /// # Errors
    /// When a folder cannot be listed; files at fault are in the report.
    pub fn verify(&self) -> Result<Report, RegistryError> {
        let mut report = Report::default();
        for (version, record) in &self.document.models {
            report.versions += 1;
            report.files += record.files.len();
            report.problems.extend(store::check_version(&self.dir, version, record)?);
        }
        report.problems.extend(store::strangers(&self.dir, &self.document)?);
        Ok(report)
    }

    /// A version's files, verified.
    ///
    /// # Errors
    /// Names every file that is not what was registered.
    pub fn files(&self, version: &str) -> Result<ArtifactFiles, RegistryError> {
        let record = self.show(version)?;
        let problems = store::check_version(&self.dir, version, record)?;
        if !problems.is_empty() {
            return Err(RegistryError::Files(problems));
        }
        let files = ArtifactFiles::read(&self.dir.join(version));
        let files = files.map_err(|cause| model_error(version, cause))?;
        // What was hashed above and what is in memory now must be the same bytes.
        if store::records(&files) != record.files || files.card.version != version {
            let path = format!("{version}/{ONNX_FILE}, {version}/{CARD_FILE}");
            let what = "changed while being read, or the card names another version".into();
            return Err(RegistryError::Files(vec![Problem { path, what }]));
        }
        Ok(files)
    }

    /// Files by the name a configuration gives: a version, or `champion`. Verified.
    ///
    /// # Errors
    /// As [`Self::files`] and [`Self::champion`].
    pub fn select(&self, name: &str) -> Result<ArtifactFiles, RegistryError> {
        self.files(self.version_named(name)?)
    }

    /// The version that a name stands for: itself, or with `champion` that one.
    ///
    /// # Errors
    /// When there is no champion.
    pub fn version_named<'n>(&'n self, name: &'n str) -> Result<&'n str, RegistryError> {
        if name != "champion" {
            return Ok(name);
        }
        self.champion_version().ok_or(RegistryError::NoChampion)
    }

    /// The champion's files, verified.
    ///
    /// # Errors
    /// When there is no champion, or as [`Self::files`].
    pub fn champion(&self) -> Result<ArtifactFiles, RegistryError> {
        self.select("champion")
    }

    /// Registers the version in a folder, staged. The model is loaded and proved first; the
    /// files are copied in unless they lie in their place already.
    ///
    /// # Errors
    /// Names the file, rule or version at fault; nothing is changed then.
    pub fn register(
        &mut self,
        from: &Path,
        parent: Option<&str>,
        change: Change,
    ) -> Result<String, RegistryError> {
        let shown = from.display().to_string();
        let files = ArtifactFiles::read(from).map_err(|cause| model_error(&shown, cause))?;
        let version = files.card.version.clone();
        let policy = LoadPolicy { allow_tract: true, p99_budget_ns: u64::MAX };
        Model::load(&files, files.card.schema_hash(), policy)
            .map_err(|cause| model_error(&shown, cause))?;
        self.change(|dir, document| {
            if document.models.contains_key(&version) {
                return Err(RegistryError::VersionExists { version: version.clone() });
            }
            if let Some(parent) = parent
                && !document.models.contains_key(parent)
            {
                return Err(RegistryError::UnknownVersion { version: parent.to_owned() });
            }
            store::place(dir, &version, &files, from)?;
            let record = new_record(&files, parent, change.at_ms);
            let record_hash = Some(record.fixed_hash());
            document.models.insert(version.clone(), record);
            document.append(entry(Action::Registered, &version, change, record_hash));
            Ok(())
        })?;
        Ok(version)
    }

    /// Moves a version to another stage. A new champion retires the old one. Becoming champion
    /// asks for evidence, except for the very first.
    ///
    /// # Errors
    /// Names the version and the rule that forbids it; nothing is changed then.
    pub fn advance(
        &mut self,
        version: &str,
        to: Stage,
        change: Change,
    ) -> Result<(), RegistryError> {
        if to == Stage::Champion {
            self.files(version)?;
        }
        self.change(|_, document| {
            let unknown = || RegistryError::UnknownVersion { version: version.to_owned() };
            let from = document.models.get(version).ok_or_else(unknown)?.stage;
            let forbidden = |why| RegistryError::Move {
                version: version.to_owned(),
                from: from.name(),
                to: to.name(),
                why,
            };
            let first = to == Stage::Champion
                && from == Stage::Staged
                && document.history.iter().all(|entry| entry.to != Stage::Champion);
            if !first && !from.may_become(to) {
                return Err(forbidden("stages are passed in order"));
            }
            if to == Stage::Champion && !first && change.evidence_sha256.is_none() {
                return Err(forbidden("a gate decision is required"));
            }
            if to == Stage::Champion
                && let Some(old) = document.champion.clone()
            {
                let reason = format!("replaced by {version}");
                move_to(document, &old, Stage::Retired, Change { reason, ..change.clone() });
            }
            move_to(document, version, to, change);
            Ok(())
        })
    }

    /// Reads the file again under the lock, changes it, checks it and writes it.
    fn change(
        &mut self,
        edit: impl FnOnce(&Path, &mut Document) -> Result<(), RegistryError>,
    ) -> Result<(), RegistryError> {
        let _lock = store::lock(&self.dir)?;
        let mut document = store::read(&self.dir)?;
        document.check()?;
        edit(&self.dir, &mut document)?;
        document.check()?;
        store::write(&self.dir, &document)?;
        self.document = document;
        Ok(())
    }
}

fn new_record(files: &ArtifactFiles, parent: Option<&str>, at_ms: u64) -> Record {
    let card = &files.card;
    Record {
        files: store::records(files),
        stage: Stage::Staged,
        parent: parent.map(str::to_owned),
        schema_hash: card.schema_hash.clone(),
        data_hash: card.created_from.data_hash.clone(),
        seed: card.created_from.seed,
        metrics: card.metrics.clone(),
        registered_at_ms: at_ms,
    }
}

fn entry(action: Action, version: &str, change: Change, record_hash: Option<String>) -> Entry {
    Entry {
        seq: 0,
        at_ms: change.at_ms,
        action,
        version: version.to_owned(),
        from: None,
        to: Stage::Staged,
        by: change.by,
        reason: change.reason,
        evidence_sha256: change.evidence_sha256,
        record_hash,
        prev_hash: String::new(),
        hash: String::new(),
    }
}

fn move_to(document: &mut Document, version: &str, to: Stage, change: Change) {
    let Some(record) = document.models.get_mut(version) else { return };
    let from = Some(std::mem::replace(&mut record.stage, to));
    if to == Stage::Champion {
        document.champion = Some(version.to_owned());
    } else if document.champion.as_deref() == Some(version) {
        document.champion = None;
    }
    document.append(Entry { from, to, ..entry(Action::Moved, version, change, None) });
}

fn model_error(version: &str, cause: crate::model::ModelError) -> RegistryError {
    RegistryError::Model { version: version.to_owned(), cause: Box::new(cause) }
}
