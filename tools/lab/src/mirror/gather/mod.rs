//! What is to be seen on the server, as the registry and the lab's files have it.
//!
//! | file | holds |
//! |---|---|
//! | `versions` | versions of the registry: their runs, model versions, aliases |
//! | `evidence` | validations, decisions and verdicts that lie in folders of reports |
//! | `trials` | trials of studies |
//! | `find` | files below folders |

mod evidence;
mod find;
mod trials;
mod versions;

use super::item::{Artifact, Run};
use super::settings::{MIB, Settings};
use peregrine::model::artifact::{hex, sha256};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A run with the places of its files.
#[derive(Clone, Debug)]
pub struct Found {
    /// The run.
    pub run: Run,
    /// Whether its files are gone: what was sent while they were there is better.
    pub is_less: bool,
    /// Where each file lies, by its SHA-256.
    pub sources: BTreeMap<String, PathBuf>,
    /// Largest file that is shown, bytes.
    file_bytes_max: u64,
}

/// A version of the registered model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVersion {
    /// Key of its run.
    pub key: String,
    /// Its name in the registry.
    pub version: String,
    /// What may change.
    pub tags: BTreeMap<String, String>,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Runs.
    pub found: Vec<Found>,
    /// Versions in the order they were registered.
    pub versions: Vec<ModelVersion>,
    /// Aliases with the versions they stand for.
    pub aliases: BTreeMap<String, String>,
    /// Entries of the registry's history, and the hash of the last.
    pub history: (u64, String),
    /// What could not be read, each in a line.
    pub problems: Vec<String>,
}

impl Gathered {
    /// Looks at the sources. What cannot be read is a problem and no reason to stop.
    pub fn look(settings: &Settings) -> Self {
        let mut gathered = Self::default();
        let bytes_max = settings.outbox.file_mib_max * MIB;
        let reports = evidence::look(settings, &mut gathered.problems);
        versions::look(settings, &reports, &mut gathered);
        let owners = evidence::Owners::of(&gathered);
        for report in &reports {
            gathered.found.push(report.found(&owners, bytes_max));
        }
        trials::look(settings, &mut gathered);
        // The same report in two folders is one.
        let mut keys = std::collections::BTreeSet::new();
        gathered.found.retain(|found| keys.insert(found.run.key.clone()));
        gathered
    }
}

impl Found {
    fn new(run: Run, file_bytes_max: u64) -> Self {
        Self { run, is_less: false, sources: BTreeMap::new(), file_bytes_max }
    }

    /// Shows a file as it is now, in the place of another one of its name; one that is not there
    /// or too large is left out.
    fn attach(&mut self, name: &str, path: &Path) {
        let Ok(bytes) = find::bytes_of(path, self.file_bytes_max) else { return };
        self.run.artifacts.retain(|artifact| artifact.path != name);
        self.file(name, &hex(&sha256(&bytes)), bytes.len() as u64, path);
    }

    /// Shows a file; of one that is too large its name, hash and size.
    fn file(&mut self, path: &str, sha256: &str, bytes: u64, source: &Path) {
        if bytes > self.file_bytes_max {
            self.run.tag(&format!("left_out/{path}"), format!("{sha256}, {bytes} bytes"));
            return;
        }
        self.sources.insert(sha256.to_owned(), source.to_owned());
        let artifact = Artifact { path: path.to_owned(), sha256: sha256.to_owned(), bytes };
        self.run.artifacts.push(artifact);
    }
}

/// A value as people read it: a text without its quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
