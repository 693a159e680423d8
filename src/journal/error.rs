//! What can go wrong with a journal, as values that name the file and the record at fault.

use super::format::{FORMAT_VERSION, RecordIndex};
use crate::base::event::EVENT_VERSION;
use std::io;
use std::path::{Path, PathBuf};

/// Why an append did not happen. The event is not recorded, so whoever wanted to act on it must not
/// act: the caller halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalFault {
    /// The segment is full and the keeper has no next one ready.
    #[error("no journal segment is ready")]
    NoSegment,
    /// A sync failed before; nothing written since is known to be durable.
    #[error("the journal is poisoned by a failed write to disk")]
    Poisoned,
}

/// Why an operation on a journal folder failed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A journal starts in an empty folder, so that no old record can be taken for a new one.
    #[error("{} is not empty: a journal starts in an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// Another process writes or repairs this journal.
    #[error("{} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// A setting outside its range.
    #[error("journal setting {key}: {what}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The manifest is missing or cannot be understood.
    #[error("{}: {what}", path.display())]
    Manifest {
        /// The manifest's path.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An attachment is missing, altered or has an unlawful name.
    #[error("attachment {name:?}: {what}")]
    Attachment {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// There is no such lane.
    #[error("there is no lane {0}")]
    NoLane(usize),
    /// A record or header is damaged.
    #[error(transparent)]
    Corrupt(#[from] CorruptRecord),
    /// A sync failed: what was written since is not known to be durable, so nothing was sealed.
    #[error("the journal is poisoned: {0}")]
    Poisoned(String),
    /// The keeper thread panicked.
    #[error("the journal keeper stopped unexpectedly")]
    KeeperLost,
    /// An export could not be written.
    #[error("cannot write the export: {0}")]
    Export(String),
}

impl JournalError {
    /// Adds what was tried, and on what, to a system error.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

/// The first place in a lane that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lane {lane}, {file}, record {record}, byte {offset}: {damage}")]
pub struct CorruptRecord {
    /// The lane.
    pub lane: usize,
    /// The segment file's name.
    pub file: String,
    /// Index in the lane; everything before it was read and is sound.
    pub record: RecordIndex,
    /// Offset within the file, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub damage: Damage,
}

/// What is wrong with a record, a header or a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file does not begin as a segment does.
    #[error("this is no journal segment")]
    NoMagic,
    /// The file ends within its header.
    #[error("the file ends within its header")]
    ShortHeader,
    /// The opening fields do not match their check.
    #[error("the header does not match its check")]
    HeaderCheck,
    /// The seal does not match its check.
    #[error("the seal does not match its check")]
    SealCheck,
    /// Another layout.
    #[error("format version {0}, this build reads {FORMAT_VERSION}")]
    FormatVersion(u32),
    /// Another event layout.
    #[error("event version {0}, this build reads {EVENT_VERSION}")]
    EventVersion(u32),
    /// A header field out of its range.
    #[error("header field `{0}` is out of range")]
    Field(&'static str),
    /// The header belongs to another file than the name says.
    #[error("the header says {0}: the file was renamed or copied")]
    Misplaced(String),
    /// The segment belongs to another session than the manifest.
    #[error("written by session {found:016x}, the manifest says {expected:016x}")]
    ForeignSession {
        /// In the header.
        found: u64,
        /// In the manifest.
        expected: u64,
    },
    /// The segment's capacity is not the manifest's.
    #[error("segment of {found} records, the manifest says {expected}")]
    Capacity {
        /// In the header.
        found: u64,
        /// In the manifest.
        expected: u64,
    },
    /// A segment that must exist does not.
    #[error("the segment is missing")]
    MissingSegment,
    /// Not a regular file.
    #[error("not a regular file")]
    NotAFile,
    /// A segment follows although the one before says it is the last, or is not sealed.
    #[error("the segment follows one that is {0}")]
    Follows(&'static str),
    /// The file's size does not fit its header.
    #[error("the file has {found} bytes, its header says {expected}")]
    FileSize {
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// The record does not match its check.
    #[error("the record does not match its check")]
    RecordCheck,
    /// No record where the seal says there is one.
    #[error("no record here, although the segment is sealed with more")]
    RecordMissing,
    /// A hole: sound records follow.
    #[error("unreadable, although record {0} after it is sound")]
    Hole(RecordIndex),
    /// The segment's content or its predecessor is not what was sealed.
    #[error("the chain hash does not match: this segment or one before it was replaced")]
    ChainHash,
    /// The operating system could not read.
    #[error("cannot read: {0}")]
    Unreadable(String),
}
