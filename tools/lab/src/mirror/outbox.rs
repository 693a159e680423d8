//! What waits for the server, on disk, so that neither an outage nor the end of this process loses
//! it, and so that a report may be written over before it was sent.
//!
//! ```text
//!  DIR/lock                one process at a time
//!      items/HASH.json     a run that waits, by the hash of its key
//!      blobs/SHA256        the files it needs, each once
//!      delivered.json      what the server has, as it was last known
//!      status.json         the last look, for people
//! ```
//! Files come before the run that names them, and go behind it: a run that waits is always whole.

use super::item::{Artifact, Kind, Run};
use super::settings::{MIB, OutboxSettings};
use crate::files::read_json;
use anyhow::{Context, Result, bail, ensure};
use peregrine::model::artifact::{hex, sha256};
use peregrine::runtime::state::write_durably;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

const ITEMS: &str = "items";
const BLOBS: &str = "blobs";
const DELIVERED: &str = "delivered.json";
const STATUS: &str = "status.json";

/// The last look, for people and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The server.
    pub server: String,
    /// Runs that wait for it.
    pub waiting: usize,
    /// Runs it has.
    pub delivered: usize,
    /// When everything was last there, milliseconds since 1970.
    pub whole_at_ms: Option<u64>,
    /// When it was last tried.
    pub tried_at_ms: Option<u64>,
    /// Since when the server is away; `None` while it answers.
    pub away_since_ms: Option<u64>,
    /// Entries of the registry's history that the server has.
    pub history: u64,
    /// What does not go, each in a line.
    pub problems: Vec<String>,
}

/// See the head of this file.
pub struct Outbox {
    dir: PathBuf,
    settings: OutboxSettings,
    waiting: BTreeMap<String, Run>,
    delivered: BTreeMap<String, String>,
    /// Given back when this is dropped or the process ends.
    _lock: File,
}

impl Outbox {
    /// Opens the folder, making it where need be, and clears away what an interrupted run left.
    ///
    /// # Errors
    /// When another process uses it, or it cannot be read.
    pub fn open(settings: &OutboxSettings) -> Result<Self> {
        let dir = settings.dir.clone();
        for folder in [ITEMS, BLOBS] {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        let path = dir.join("lock");
        let lock = File::create(&path).with_context(|| path.display().to_string())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another process mirrors from here", dir.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).context("lock"),
        }
        let delivered = read_json(&dir.join(DELIVERED))?.unwrap_or_default();
        let mut waiting = BTreeMap::new();
        for path in files_of(&dir.join(ITEMS))? {
            if path.extension().is_none_or(|ending| ending != "json") {
                // Half a file of an interrupted run: what it was to be is found again.
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            } else if let Some(run) = read_json::<Run>(&path)? {
                waiting.insert(run.key.clone(), run);
            }
        }
        let outbox = Self { dir, settings: settings.clone(), waiting, delivered, _lock: lock };
        outbox.sweep()?;
        Ok(outbox)
    }

    /// What waits, in the order it is to be sent.
    pub fn waiting(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = self.waiting.values().cloned().collect();
        runs.sort_by(|a, b| (a.kind, a.at_ms, &a.key).cmp(&(b.kind, b.at_ms, &b.key)));
        runs
    }

    /// How many wait.
    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// The kind of each that waits.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.waiting.values().map(|run| run.kind)
    }

    /// Whether this waits.
    pub fn waits(&self, key: &str) -> bool {
        self.waiting.contains_key(key)
    }

    /// Whether this waits, or is with the server as far as is known.
    pub fn knows(&self, key: &str) -> bool {
        self.waits(key) || self.delivered.contains_key(key)
    }

    /// Whether exactly this is with the server, as far as is known.
    pub fn has_delivered(&self, run: &Run) -> bool {
        self.delivered.get(&run.key).is_some_and(|digest| *digest == run.digest())
    }

    /// How many the server has, as far as is known.
    pub fn delivered(&self) -> usize {
        self.delivered.len()
    }

    /// Keeps a run and its files until the server has them. What waits already under its key is
    /// part of it.
    ///
    /// # Errors
    /// A file that is not what the run says, a folder that is full; nothing is kept then.
    pub fn admit(&mut self, mut run: Run, sources: &BTreeMap<String, PathBuf>) -> Result<()> {
        if let Some(earlier) = self.waiting.get(&run.key) {
            run.absorb(earlier);
            if *earlier == run {
                return Ok(());
            }
        }
        let lacking: Vec<&Artifact> =
            run.artifacts.iter().filter(|file| !self.blob(&file.sha256).exists()).collect();
        let more: u64 = lacking.iter().map(|file| file.bytes).sum();
        let held = self.bytes()?;
        ensure!(
            held + more <= self.settings.mib_max * MIB,
            "{}: outbox.mib_max = {} is reached; {} stays where it is until there is room",
            self.dir.display(),
            self.settings.mib_max,
            run.key
        );
        for file in lacking {
            let source = sources
                .get(&file.sha256)
                .with_context(|| format!("{}: {} is not at hand", run.key, file.path))?;
            let bytes = fs::read(source).with_context(|| source.display().to_string())?;
            let is_it = hex(&sha256(&bytes)) == file.sha256;
            ensure!(is_it, "{}: it is not what it was", source.display());
            put(&self.blob(&file.sha256), &bytes)?;
        }
        put(&self.item(&run.key), &serde_json::to_vec_pretty(&run)?)?;
        self.waiting.insert(run.key.clone(), run);
        Ok(())
    }

    /// The bytes of a file that waits.
    ///
    /// # Errors
    /// When it is gone or was changed.
    pub fn bytes_of(&self, artifact: &Artifact) -> Result<Vec<u8>> {
        let path = self.blob(&artifact.sha256);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        ensure!(hex(&sha256(&bytes)) == artifact.sha256, "{}: it was changed", path.display());
        Ok(bytes)
    }

    /// The server has these, which never waited: keys and digests.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn learn(&mut self, there: Vec<(String, String)>) -> Result<()> {
        if there.is_empty() {
            return Ok(());
        }
        self.delivered.extend(there);
        put(&self.dir.join(DELIVERED), &serde_json::to_vec_pretty(&self.delivered)?)
    }

    /// The server has this: it waits no longer.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn settle(&mut self, key: &str, digest: String) -> Result<()> {
        self.learn(vec![(key.to_owned(), digest)])?;
        if self.waiting.remove(key).is_some() {
            let path = self.item(key);
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
            self.sweep()?;
        }
        Ok(())
    }

    /// Keeps the status.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn note(&self, status: &Status) -> Result<()> {
        put(&self.dir.join(STATUS), &serde_json::to_vec_pretty(status)?)
    }

    /// The status that was kept last, and what waits, without taking the folder.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn status(dir: &Path) -> Result<Status> {
        let mut status: Status = read_json(&dir.join(STATUS))?.unwrap_or_default();
        let items = dir.join(ITEMS);
        let files = if items.is_dir() { files_of(&items)? } else { Vec::new() };
        let is_item = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "json");
        status.waiting = files.iter().filter(is_item).count();
        Ok(status)
    }

    /// Removes files that nothing names any more.
    fn sweep(&self) -> Result<()> {
        let runs = self.waiting.values();
        let named: BTreeSet<&str> =
            runs.flat_map(|run| run.artifacts.iter().map(|file| file.sha256.as_str())).collect();
        for path in files_of(&self.dir.join(BLOBS))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !named.contains(name) {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for path in files_of(&self.dir.join(BLOBS))? {
            sum += fs::metadata(&path).with_context(|| path.display().to_string())?.len();
        }
        Ok(sum)
    }

    fn item(&self, key: &str) -> PathBuf {
        self.dir.join(ITEMS).join(format!("{}.json", hex(&sha256(key.as_bytes()))))
    }

    fn blob(&self, sha256: &str) -> PathBuf {
        self.dir.join(BLOBS).join(sha256)
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    write_durably(path, bytes).with_context(|| path.display().to_string())
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let named = || dir.display().to_string();
    let entries = fs::read_dir(dir).with_context(named)?;
    entries.map(|entry| Ok(entry.with_context(named)?.path())).collect()
}
