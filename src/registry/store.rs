//! Files of the registry: reading with caps, writing so that a crash leaves the old or the new.

use super::error::{Problem, RegistryError};
use super::record::{Document, FileRecord, Record};
use crate::model::ArtifactFiles;
use crate::model::artifact::{CARD_FILE, ONNX_FILE, hex, sha256};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Name of the registry's file.
pub(super) const REGISTRY_FILE: &str = "registry.json";
const LOCK_FILE: &str = ".registry.lock";
const TEMPORARY_FILE: &str = ".registry.json.tmp";
const REGISTRY_BYTES_MAX: u64 = 16 << 20;
/// Longest wait for the lock; whoever holds it copies a version at most.
const LOCK_TIME: Duration = Duration::from_secs(5);
/// Wait between two looks at it.
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// Reads `registry.json`.
pub(super) fn read(dir: &Path) -> Result<Document, RegistryError> {
    let path = dir.join(REGISTRY_FILE);
    let file = File::open(&path).map_err(|cause| io(&path, cause))?;
    let mut bytes = Vec::new();
    file.take(REGISTRY_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|cause| io(&path, cause))?;
    if bytes.len() as u64 > REGISTRY_BYTES_MAX {
        return Err(RegistryError::TooLarge { cap: REGISTRY_BYTES_MAX });
    }
    Document::parse(&bytes)
}

/// Writes `registry.json`: temporary file, fsync, rename, fsync of the folder.
pub(super) fn write(dir: &Path, document: &Document) -> Result<(), RegistryError> {
    let mut text = serde_json::to_vec_pretty(document)
        .map_err(|e| RegistryError::Format { what: e.to_string() })?;
    text.push(b'\n');
    let temporary = dir.join(TEMPORARY_FILE);
    write_synced(&temporary, &text)?;
    let path = dir.join(REGISTRY_FILE);
    fs::rename(&temporary, &path).map_err(|cause| io(&path, cause))?;
    sync_folder(dir)
}

/// Starts a registry in a folder that has none.
pub(super) fn create(dir: &Path, document: &Document) -> Result<(), RegistryError> {
    fs::create_dir_all(dir).map_err(|cause| io(dir, cause))?;
    let _lock = lock(dir)?;
    let path = dir.join(REGISTRY_FILE);
    if fs::symlink_metadata(&path).is_ok() {
        return Err(RegistryError::Exists { path });
    }
    write(dir, document)
}

/// Waits a while for the lock of a registry and takes it; dropping the file gives it back.
pub(super) fn lock(dir: &Path) -> Result<File, RegistryError> {
    let path = dir.join(LOCK_FILE);
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|cause| io(&path, cause))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(cause)) => return Err(io(&path, cause)),
            Err(TryLockError::WouldBlock) if began.elapsed() > LOCK_TIME => {
                return Err(RegistryError::Busy { path });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_LOOK),
        }
    }
}

/// The file records of a version in memory.
pub(super) fn records(files: &ArtifactFiles) -> Vec<FileRecord> {
    let record = |path: &str, hash: [u8; 32], bytes: usize| FileRecord {
        path: path.to_owned(),
        sha256: hex(&hash),
        bytes: bytes as u64,
    };
    vec![
        record(CARD_FILE, sha256(files.card_text.as_bytes()), files.card_text.len()),
        record(ONNX_FILE, files.sha256, files.onnx.len()),
    ]
}

/// Puts a version's files in their folder; the folder appears whole or not at all. `from` is the
/// folder they were read from, if any.
pub(super) fn place(
    dir: &Path,
    version: &str,
    files: &ArtifactFiles,
    from: Option<&Path>,
) -> Result<(), RegistryError> {
    let target = dir.join(version);
    let there = target.canonicalize().ok();
    if there.is_some() && there == from.and_then(|from| from.canonicalize().ok()) {
        return Ok(());
    }
    if fs::symlink_metadata(&target).is_ok() {
        return Err(RegistryError::Exists { path: target });
    }
    let staging = dir.join(format!(".staging-{version}"));
    // What an interrupted registration left behind; the lock keeps others away from it.
    match fs::remove_dir_all(&staging) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            return Err(io(&staging, cause));
        }
        _ => {}
    }
    fs::create_dir(&staging).map_err(|cause| io(&staging, cause))?;
    write_synced(&staging.join(ONNX_FILE), &files.onnx)?;
    write_synced(&staging.join(CARD_FILE), files.card_text.as_bytes())?;
    sync_folder(&staging)?;
    fs::rename(&staging, &target).map_err(|cause| io(&target, cause))?;
    sync_folder(dir)
}

/// Removes a version's folder; it is gone whole or not at all, to whoever looks. False where there
/// was none.
pub(super) fn remove(dir: &Path, version: &str) -> Result<bool, RegistryError> {
    let (folder, doomed) = (dir.join(version), dir.join(format!(".removed-{version}")));
    let clear = || match fs::remove_dir_all(&doomed) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(io(&doomed, cause)),
        _ => Ok(()),
    };
    // What an interrupted removal left behind; the lock keeps others away from it.
    clear()?;
    match fs::rename(&folder, &doomed) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        moved => moved.map_err(|cause| io(&folder, cause))?,
    }
    sync_folder(dir)?;
    clear()?;
    Ok(true)
}

/// Compares a version's folder with its record.
pub(super) fn check_version(
    dir: &Path,
    version: &str,
    record: &Record,
) -> Result<Vec<Problem>, RegistryError> {
    let mut problems = Vec::new();
    let folder = dir.join(version);
    for file in &record.files {
        let path = format!("{version}/{}", file.path);
        if let Some(what) = file_problem(&folder.join(&file.path), file) {
            problems.push(Problem { path, what });
        }
    }
    if !folder.is_dir() {
        return Ok(problems);
    }
    if problems.is_empty() && !has_metrics(&folder, record) {
        let what = format!("the metrics of {version} are not those of its card");
        problems.push(Problem { path: REGISTRY_FILE.to_owned(), what });
    }
    for name in names(&folder)? {
        if record.files.iter().all(|file| file.path != name) {
            let path = format!("{version}/{name}");
            problems.push(Problem { path, what: "is not registered".into() });
        }
    }
    Ok(problems)
}

/// What lies in the registry's folder without being registered. Names that start with a dot, and
/// a README, may.
pub(super) fn strangers(
    dir: &Path,
    kept: impl Fn(&str) -> bool,
) -> Result<Vec<Problem>, RegistryError> {
    let known = |name: &str| {
        name == REGISTRY_FILE || name == "README.md" || name.starts_with('.') || kept(name)
    };
    let names = names(dir)?.into_iter().filter(|name| !known(name));
    Ok(names.map(|path| Problem { path, what: "is not registered".into() }).collect())
}

/// Whether a record's metrics are its card's, to the last bit.
fn has_metrics(folder: &Path, record: &Record) -> bool {
    ArtifactFiles::read(folder).is_ok_and(|files| files.card.metrics == record.metrics)
}

fn file_problem(path: &Path, record: &FileRecord) -> Option<String> {
    let facts = match fs::symlink_metadata(path) {
        Ok(facts) => facts,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            return Some("is missing".into());
        }
        Err(cause) => return Some(cause.to_string()),
    };
    if !facts.is_file() {
        return Some("is no regular file".into());
    }
    if facts.len() != record.bytes {
        return Some(format!("has {} bytes, {} were registered", facts.len(), record.bytes));
    }
    match file_hash(path) {
        Ok(found) if found == record.sha256 => None,
        Ok(found) => Some(format!("SHA-256 is {found}, {} was registered", record.sha256)),
        Err(cause) => Some(cause.to_string()),
    }
}

fn file_hash(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn names(dir: &Path) -> Result<Vec<String>, RegistryError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|cause| io(dir, cause))? {
        let entry = entry.map_err(|cause| io(dir, cause))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|cause| io(path, cause))
}

fn sync_folder(dir: &Path) -> Result<(), RegistryError> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(|cause| io(dir, cause))
}

fn io(path: &Path, cause: std::io::Error) -> RegistryError {
    RegistryError::Io { path: path.to_owned(), cause }
}
