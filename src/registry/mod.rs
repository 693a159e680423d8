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
//! | `record` | the file's layout |
//! | `chain` | the history's chain, and what the history comes to |
//! | `store` | reading, atomic writing, copying a version in |
//! | `promote` | stages are passed with papers |
//! | `unsigned` | the moves that need no papers |
//! | `rollback` | back to a former champion; quarantine |
//! | `choose` | the version that a name stands for, and whether it may run |
//! | `retention` | which files of retired versions may go |
//! | `signing` | who vouches for a version |
//! | `bundle` | one version as a file: made, and taken from anybody |
//! | `seal` | texts signed with Ed25519, and their keys |
//! | `decision` | the gate's decision on a model |
//! | `verdict` | the promotion engine's verdict, and people's approvals |
//! | `error` | what can go wrong |

mod bundle;
mod chain;
mod choose;
pub mod decision;
mod error;
mod promote;
mod record;
mod retention;
mod rollback;
pub mod seal;
mod signing;
mod store;
mod unsigned;
#[cfg(test)]
mod tests;
pub mod verdict;

pub use bundle::{Bundle, Imported};
pub use chain::Standing;
pub use error::{Problem, RegistryError};
pub use promote::{PaperFiles, Promotion, Trust};
pub use record::{
    Action, Ancestor, Document, Entry, FileRecord, GENESIS, Origin, Paper, Record, SCHEMA_VERSION,
    Signature, Stage,
};
pub use retention::{Needs, Pruned};
pub use rollback::{Rollback, Target};

use crate::model::artifact::{CARD_FILE, ONNX_FILE};
use crate::model::{ArtifactFiles, ExecutorKind, LoadPolicy, Model};
use std::path::{Path, PathBuf};

/// What the history says of the one champion that came without papers.
const FIRST_CHAMPION: &str = "the first champion, without a gate";

/// Names that commands and files of the registry have.
const RESERVED: [&str; 5] = ["champion", "previous", "none", store::REGISTRY_FILE, "README.md"];

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

impl Change {
    /// Checks that somebody and a reason are named, in a line each.
    ///
    /// # Errors
    /// What is missing, too long or no line.
    pub fn check(&self) -> Result<(), RegistryError> {
        for (field, text, max) in [("by", &self.by, 100), ("reason", &self.reason, 1_000)] {
            let what = if text.trim().is_empty() {
                "is not told"
            } else if text.len() > max {
                "is too long"
            } else if text.chars().any(char::is_control) {
                "is more than a line"
            } else {
                continue;
            };
            return Err(RegistryError::Told { field, what });
        }
        Ok(())
    }

    /// UTC day, counted from the epoch.
    fn day(&self) -> i64 {
        i64::try_from(self.at_ms / decision::MS_PER_DAY).unwrap_or(i64::MAX)
    }
}

/// What a version must prove before a pointer moves to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proving {
    /// The feature schema of the program it is to run in; `None` takes the card's word.
    pub schema_hash: Option<u64>,
    /// What the configuration allows.
    pub policy: LoadPolicy,
}

impl Proving {
    /// Whatever the card says, on any executor at any speed.
    pub const ANY: Self = Self { schema_hash: None, policy: LoadPolicy::ANY };
}

/// Where a version comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Birth {
    /// The version it was made from.
    pub parent: Option<String>,
    /// SHA-256 of the configuration of its training.
    pub config_sha256: Option<String>,
    /// What a bundle told; its parent may be unknown here.
    pub origin: Option<Origin>,
    /// Signatures that came with it.
    pub signatures: Vec<Signature>,
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

    /// Whether a folder holds one.
    pub fn is_one(dir: &Path) -> bool {
        dir.join(store::REGISTRY_FILE).exists()
    }

    /// Opens the registry of a folder; starts one where there is none.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn open_or_create(dir: &Path) -> Result<Self, RegistryError> {
        if Self::is_one(dir) { Self::open(dir) } else { Self::create(dir) }
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

    /// Name of the version that a rollback goes to.
    pub fn previous_version(&self) -> Option<&str> {
        self.document.previous.as_deref()
    }

    /// What the history comes to.
    ///
    /// # Errors
    /// Never for a registry that opened.
    pub fn standing(&self) -> Result<Standing<'_>, RegistryError> {
        self.document.standing()
    }

    /// Hashes every file and looks for missing and extra ones.
    ///
    /// # Errors
    /// When a folder cannot be listed; files at fault are in the report.
    pub fn verify(&self) -> Result<Report, RegistryError> {
        let mut report = Report::default();
        let removed = self.standing()?.removed;
        for (version, record) in &self.document.models {
            report.versions += 1;
            if removed.contains(version.as_str()) {
                continue;
            }
            report.files += record.files.len();
            report.problems.extend(store::check_version(&self.dir, version, record)?);
        }
        let kept = |name: &str| self.document.models.contains_key(name) && !removed.contains(name);
        report.problems.extend(store::strangers(&self.dir, kept)?);
        Ok(report)
    }

    /// A version's files, verified.
    ///
    /// # Errors
    /// Names every file that is not what was registered.
    pub fn files(&self, version: &str) -> Result<ArtifactFiles, RegistryError> {
        let record = self.show(version)?;
        if self.standing()?.removed.contains(version) {
            return Err(RegistryError::Removed { version: version.to_owned() });
        }
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

    /// Verifies a version's files, and loads and proves its model; tells the executor it runs on.
    ///
    /// # Errors
    /// Names the file, or the rule its model breaks.
    pub fn prove(&self, version: &str, proving: Proving) -> Result<ExecutorKind, RegistryError> {
        let files = self.files(version)?;
        let schema_hash = proving.schema_hash.unwrap_or_else(|| files.card.schema_hash());
        let model = Model::load(&files, schema_hash, proving.policy);
        model.map(|model| model.executor()).map_err(|cause| model_error(version, cause))
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
        let birth = Birth { parent: parent.map(str::to_owned), ..Birth::default() };
        self.register_born(from, birth, change)
    }

    /// The same with all that is known of where it comes from.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn register_born(
        &mut self,
        from: &Path,
        birth: Birth,
        change: Change,
    ) -> Result<String, RegistryError> {
        let shown = from.display().to_string();
        let files = ArtifactFiles::read(from).map_err(|cause| model_error(&shown, cause))?;
        self.admit(&files, Some(from), birth, (change, Vec::new()))?;
        Ok(files.card.version)
    }

    /// Proves a version in memory, and registers it; `from` is the folder it was read from.
    fn admit(
        &mut self,
        files: &ArtifactFiles,
        from: Option<&Path>,
        birth: Birth,
        (change, papers): (Change, Vec<Paper>),
    ) -> Result<(), RegistryError> {
        let version = &files.card.version;
        if RESERVED.contains(&version.as_str()) {
            let (version, to) = (version.clone(), Stage::Staged.name());
            let objections = vec!["this name means something else here".to_owned()];
            return Err(RegistryError::Refused { version, to, objections });
        }
        let shown = from.map_or_else(|| version.clone(), |from| from.display().to_string());
        Model::load(files, files.card.schema_hash(), Proving::ANY.policy)
            .map_err(|cause| model_error(&shown, cause))?;
        self.change(|dir, document| {
            if document.models.contains_key(version) {
                return Err(RegistryError::VersionExists { version: version.clone() });
            }
            if let Some(parent) = &birth.parent
                && birth.origin.is_none()
                && !document.models.contains_key(parent)
            {
                return Err(RegistryError::UnknownVersion { version: parent.clone() });
            }
            store::place(dir, version, files, from)?;
            let record = new_record(files, birth, change.at_ms);
            let entry = entry(Action::Registered, version, Stage::Staged, &change);
            let record_hash = Some(record.fixed_hash());
            document.append(Entry { papers, record_hash, ..entry });
            for signature in &record.signatures {
                document.append(signing::signed(version, Stage::Staged, signature, &change));
            }
            document.models.insert(version.clone(), record);
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
        let previous = document.standing()?.previous().map(str::to_owned);
        document.previous = previous;
        document.check()?;
        store::write(&self.dir, &document)?;
        self.document = document;
        Ok(())
    }
}

fn advance(
    document: &mut Document,
    version: &str,
    to: Stage,
    (change, papers): (Change, Vec<Paper>),
) -> Result<(), RegistryError> {
    let unknown = || RegistryError::UnknownVersion { version: version.to_owned() };
    let from = document.models.get(version).ok_or_else(unknown)?.stage;
    let forbidden = |why| RegistryError::Move {
        version: version.to_owned(),
        from: from.name(),
        to: to.name(),
        why,
    };
    let standing = document.standing()?;
    let first = to == Stage::Champion && from == Stage::Staged && standing.crowned.is_empty();
    if !first && !from.may_become(to) {
        return Err(forbidden("stages are passed in order"));
    }
    if to != Stage::Retired
        && let Some(why) = standing.forbids(version)
    {
        return Err(forbidden(why));
    }
    if to == Stage::Champion && !first && change.evidence_sha256.is_none() {
        return Err(forbidden("a gate decision is required"));
    }
    if to == Stage::Champion
        && let Some(old) = document.champion.clone()
    {
        let reason = format!("replaced by {version}");
        let change = Change { reason, ..change.clone() };
        move_to(document, &old, (Action::Moved, Stage::Retired), (&change, Vec::new()));
    }
    let reason =
        if first { format!("{FIRST_CHAMPION}: {}", change.reason) } else { change.reason.clone() };
    move_to(document, version, (Action::Moved, to), (&Change { reason, ..change }, papers));
    Ok(())
}

fn new_record(files: &ArtifactFiles, birth: Birth, at_ms: u64) -> Record {
    let card = &files.card;
    Record {
        files: store::records(files),
        stage: Stage::Staged,
        parent: birth.parent,
        schema_hash: card.schema_hash.clone(),
        data_hash: card.created_from.data_hash.clone(),
        seed: card.created_from.seed,
        code: Some(card.created_from.code.clone()),
        config_sha256: birth.config_sha256,
        metrics: card.metrics.clone(),
        registered_at_ms: at_ms,
        origin: birth.origin,
        signatures: birth.signatures,
    }
}

/// An entry that leaves a version in its stage.
fn entry(action: Action, version: &str, stage: Stage, change: &Change) -> Entry {
    Entry {
        seq: 0,
        at_ms: change.at_ms,
        action,
        version: version.to_owned(),
        from: (action != Action::Registered).then_some(stage),
        to: stage,
        by: change.by.clone(),
        reason: change.reason.clone(),
        evidence_sha256: change.evidence_sha256.clone(),
        papers: Vec::new(),
        record_hash: None,
        prev_hash: String::new(),
        hash: String::new(),
    }
}

fn move_to(
    document: &mut Document,
    version: &str,
    (action, to): (Action, Stage),
    (change, papers): (&Change, Vec<Paper>),
) {
    let Some(record) = document.models.get_mut(version) else { return };
    let from = Some(std::mem::replace(&mut record.stage, to));
    if to == Stage::Champion {
        document.champion = Some(version.to_owned());
    } else if document.champion.as_deref() == Some(version) {
        document.champion = None;
    }
    document.append(Entry { from, papers, ..entry(action, version, to, change) });
}

fn model_error(version: &str, cause: crate::model::ModelError) -> RegistryError {
    RegistryError::Model { version: version.to_owned(), cause: Box::new(cause) }
}
