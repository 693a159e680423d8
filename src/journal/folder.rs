//! The journal's folder: its lock, its manifest and the attachments beside the lanes.
//!
//! Whatever is not a segment is written atomically: temporary name, fsync, rename, folder fsync. A
//! crash leaves the old content or the new, never a part.

use super::error::JournalError;
use super::format::{
    FORMAT_VERSION, LANES, SEGMENT_RECORDS_MAX, SEGMENTS_MAX, parse_segment_file_name,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Name of the manifest in a journal folder.
pub(super) const MANIFEST_NAME: &str = "manifest.json";
/// Ending of files that are being written and mean nothing yet.
pub(super) const UNFINISHED: &str = ".tmp";
/// Ending of originals that a repair set aside.
pub(super) const SET_ASIDE: &str = ".damaged";
/// Largest attachment in bytes: twice the largest model that is accepted.
pub const ATTACHMENT_BYTES_MAX: u64 = 128 << 20;
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
const ATTACHMENT_NAME_BYTES_MAX: usize = 64;
const ATTACHMENTS_MAX: usize = 256;

/// What the folder holds besides segments, and what every segment must agree with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// [`FORMAT_VERSION`].
    pub(super) format: u32,
    /// Session id, sixteen hex digits.
    session: String,
    /// Records per segment, by lane.
    pub(super) segment_records: [u64; LANES],
    /// Oldest segment that retention has not deleted, by lane.
    pub(super) first_segments: [u64; LANES],
    /// Files beside the lanes, in order of attachment.
    pub(super) attachments: Vec<Attachment>,
}

/// One file beside the lanes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attachment {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn new(session: u64, segment_records: [u64; LANES]) -> Self {
        Self {
            format: FORMAT_VERSION,
            session: format!("{session:016x}"),
            segment_records,
            first_segments: [0; LANES],
            attachments: Vec::new(),
        }
    }

    /// The session id.
    pub(super) fn session(&self) -> u64 {
        u64::from_str_radix(&self.session, 16).unwrap_or(0)
    }

    /// Reads and checks a folder's manifest.
    pub(super) fn read(dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(MANIFEST_NAME);
        let refuse = |what: String| JournalError::Manifest { path: path.clone(), what };
        let bytes = read_bounded(&path, MANIFEST_BYTES_MAX)?;
        let manifest: Self =
            serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        if manifest.format != FORMAT_VERSION {
            let what =
                format!("format version {}, this build reads {FORMAT_VERSION}", manifest.format);
            return Err(refuse(what));
        }
        if format!("{:016x}", manifest.session()) != manifest.session {
            return Err(refuse("session is not sixteen lower-case hex digits".to_owned()));
        }
        let lawful = |&records: &u64| (1..=SEGMENT_RECORDS_MAX).contains(&records);
        if !manifest.segment_records.iter().all(lawful) {
            return Err(refuse("segment_records out of range".to_owned()));
        }
        if manifest.attachments.len() > ATTACHMENTS_MAX {
            return Err(refuse("too many attachments".to_owned()));
        }
        for attachment in &manifest.attachments {
            check_attachment_name(&attachment.name)?;
        }
        Ok(manifest)
    }

    /// Replaces the folder's manifest.
    pub(super) fn write(&self, dir: &Path) -> Result<(), JournalError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| JournalError::Manifest {
            path: dir.join(MANIFEST_NAME),
            what: error.to_string(),
        })?;
        text.push(b'\n');
        write_atomically(dir, MANIFEST_NAME, &text)
    }

    /// Lists an attachment whose file has been written. The same name again replaces it.
    fn list(&mut self, dir: &Path, attachment: Attachment) -> Result<(), JournalError> {
        let mut next = self.clone();
        next.attachments.retain(|known| known.name != attachment.name);
        next.has_room_for(&attachment.name)?;
        next.attachments.push(attachment);
        next.write(dir)?;
        *self = next;
        Ok(())
    }

    fn has_room_for(&self, name: &str) -> Result<(), JournalError> {
        let others = self.attachments.iter().filter(|known| known.name != name).count();
        if others < ATTACHMENTS_MAX {
            return Ok(());
        }
        let what = "the journal has as many attachments as it may".to_owned();
        Err(JournalError::Attachment { name: name.to_owned(), what })
    }
}

impl Attachment {
    /// Reads the file and compares size and hash.
    pub(super) fn check(&self, dir: &Path) -> Result<Vec<u8>, JournalError> {
        let refuse = |what: String| JournalError::Attachment { name: self.name.clone(), what };
        let path = dir.join(&self.name);
        let bytes =
            read_bounded(&path, ATTACHMENT_BYTES_MAX).map_err(|error| refuse(error.to_string()))?;
        if bytes.len() as u64 != self.bytes {
            let found = bytes.len();
            return Err(refuse(format!("{found} bytes, the manifest says {}", self.bytes)));
        }
        if hex(&Sha256::digest(&bytes)) != self.sha256 {
            return Err(refuse("its SHA-256 is not the manifest's".to_owned()));
        }
        Ok(bytes)
    }
}

/// True for a folder that holds a journal, whole or damaged.
pub fn is_journal(dir: &Path) -> bool {
    dir.join(MANIFEST_NAME).is_file()
}

/// Reads an attachment of the journal in `dir`, checked against the manifest.
///
/// # Errors
/// [`JournalError`] when the manifest or the attachment is missing or altered.
pub fn read_attachment(dir: &Path, name: &str) -> Result<Vec<u8>, JournalError> {
    let manifest = Manifest::read(dir)?;
    let listed = manifest.attachments.iter().find(|attachment| attachment.name == name);
    let missing = || JournalError::Attachment {
        name: name.to_owned(),
        what: "not listed in the manifest".to_owned(),
    };
    listed.ok_or_else(missing)?.check(dir)
}

/// The lock of a folder, given back at its end.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl Drop for FolderLock {
    /// To close the handle is not enough: a child that is between its fork and its program has it
    /// too, and would go on holding the lock.
    fn drop(&mut self) {
        // There is nobody to tell, and the system gives it back with the process.
        let _ = self.0.unlock();
    }
}

/// Opens `dir` and takes its lock.
pub(super) fn lock(dir: &Path) -> Result<FolderLock, JournalError> {
    let handle = File::open(dir).map_err(JournalError::io("open", dir))?;
    match handle.try_lock() {
        Ok(()) => Ok(FolderLock(handle)),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(JournalError::io("lock", dir)(source)),
    }
}

/// Makes renames, creations and deletions in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|handle| handle.sync_all()).map_err(JournalError::io("sync", dir))
}

/// Numbers of a lane's segments on disk, ascending.
pub(super) fn segment_numbers(dir: &Path, lane: usize) -> Result<Vec<u64>, JournalError> {
    let mut numbers = Vec::new();
    let entries = std::fs::read_dir(dir).map_err(JournalError::io("list", dir))?;
    for entry in entries {
        let entry = entry.map_err(JournalError::io("list", dir))?;
        let name = entry.file_name();
        match name.to_str().and_then(parse_segment_file_name) {
            Some((of_lane, number)) if of_lane == lane => numbers.push(number),
            _ => {}
        }
        if numbers.len() > SEGMENTS_MAX {
            let source = std::io::Error::other("more segments than a lane may have");
            return Err(JournalError::io("list", dir)(source));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Writes `dir/name` so that it holds all of `bytes` or is as before.
pub(super) fn write_atomically(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
    let unfinished = dir.join(format!("{name}{UNFINISHED}"));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, dir.join(name))
    };
    write().map_err(JournalError::io("write", &dir.join(name)))?;
    sync_dir(dir)
}

/// Names that cannot leave the folder, hide, or be taken for a part of the journal.
fn check_attachment_name(name: &str) -> Result<(), JournalError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let own = [".pgj", UNFINISHED, SET_ASIDE].iter().any(|ending| name.ends_with(ending));
    let lawful = (1..=ATTACHMENT_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && name != MANIFEST_NAME
        && !own;
    if lawful {
        return Ok(());
    }
    let what = "not a lawful name (letters, digits, `.`, `_`, `-`; not one of the journal's own)";
    Err(JournalError::Attachment { name: name.to_owned(), what: what.to_owned() })
}

/// Reads a regular file of at most `bytes_max` bytes, whatever its size claims to be.
fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, JournalError> {
    let describe = JournalError::io("read", path);
    let read = || -> std::io::Result<Vec<u8>> {
        // A pipe or device under this name would block or never end.
        if !std::fs::symlink_metadata(path)?.is_file() {
            return Err(std::io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(std::io::Error::other("larger than it may be"));
        }
        Ok(bytes)
    };
    read().map_err(describe)
}

/// Where retention and attachments meet: the folder, held locked while the session writes.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Taken by side threads only.
    pub(super) manifest: std::sync::Mutex<Manifest>,
    _lock: FolderLock,
}

impl Folder {
    /// Makes `dir` if need be, locks it, refuses it if anything is in it, writes the manifest.
    pub(super) fn create(dir: &Path, manifest: Manifest) -> Result<Self, JournalError> {
        std::fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
        let lock = lock(dir)?;
        let mut entries = std::fs::read_dir(dir).map_err(JournalError::io("list", dir))?;
        if entries.next().is_some() {
            return Err(JournalError::NotEmpty(dir.to_owned()));
        }
        manifest.write(dir)?;
        Ok(Self { path: dir.to_owned(), manifest: manifest.into(), _lock: lock })
    }

    /// Writes an attachment and lists it; the manifest is held for the listing alone.
    pub(super) fn attach(&self, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
        check_attachment_name(name)?;
        if bytes.len() as u64 > ATTACHMENT_BYTES_MAX {
            let what = "larger than an attachment may be".to_owned();
            return Err(JournalError::Attachment { name: name.to_owned(), what });
        }
        self.manifest().has_room_for(name)?;
        write_atomically(&self.path, name, bytes)?;
        let attachment = Attachment {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
        };
        self.manifest().list(&self.path, attachment)
    }

    /// The manifest; nobody panics while holding it, so a broken lock holds a whole one.
    pub(super) fn manifest(&self) -> std::sync::MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_where_a_child_still_has_its_handle() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let child = held.0.try_clone().unwrap();
        assert!(matches!(lock(dir.path()), Err(JournalError::Locked(_))));
        drop(held);
        assert!(lock(dir.path()).is_ok());
        drop(child);
    }
}
