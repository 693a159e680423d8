//! One segment file on the writing side.
//!
//! ```text
//!  Preparation ──step()…──► Segment (+ Pen for the writer) ──seal()──► finished file
//!  lane0-000003.pgj.tmp      lane0-000003.pgj, seal zero                seal set
//! ```
//! The file gets its name only when its header and its zeros are written, so a segment under its
//! own name is whole. Space is allocated at creation: a full disk shows here, as an error, and not
//! as a fatal signal in the middle of a store.

use super::error::JournalError;
use super::folder::{UNFINISHED, sync_dir};
use super::format::{Chain, Ending, HEADER_BYTES, Header, Opening, SEAL_AT, Seal, file_bytes};
use super::map::{Mapping, Pen};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Zeros written in one step of a preparation: small enough that the keeper's other work waits
/// for some milliseconds at worst.
const STEP_BYTES: u64 = 4 << 20;
const CHUNK_BYTES: usize = 64 << 10;
/// Zeros are written page by page. A larger write makes the system keep the file in larger folios,
/// and flushing one page of a folio write-protects all of it: the pages under and ahead of the
/// pen as well.
const ZEROS_BYTES: usize = 4_096;
static ZEROS: [u8; ZEROS_BYTES] = [0; ZEROS_BYTES];

/// Whether a segment's bytes reach the disk as they are written, or when the journal is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// The live way: the file exists on the disk before it is used, records follow in turns.
    Each,
    /// The backtest's way: the journal is synced once, when it is closed.
    AtClose,
}

/// A segment file in the making.
pub(super) struct Preparation {
    opening: Opening,
    dir: PathBuf,
    file: File,
    written: u64,
    durability: Durability,
}

/// A segment file in use.
pub(super) struct Segment {
    pub(super) opening: Opening,
    pub(super) mapping: Arc<Mapping>,
    path: PathBuf,
    file: File,
}

impl Preparation {
    /// Creates the file, allocates its space and writes the header.
    pub(super) fn start(
        dir: &Path,
        opening: Opening,
        durability: Durability,
    ) -> Result<Self, JournalError> {
        let path = unfinished_path(dir, &opening);
        let start = || -> io::Result<File> {
            let file =
                File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
            allocate(&file, opening.file_bytes())?;
            file.write_all_at(&Header { opening, seal: None }.encode(), 0)?;
            if durability == Durability::Each {
                file.sync_all()?;
            }
            Ok(file)
        };
        let file = start().map_err(JournalError::io("prepare", &path))?;
        let written = HEADER_BYTES as u64;
        Ok(Self { opening, dir: dir.to_owned(), file, written, durability })
    }

    /// Does a bounded piece of the work; true when the file is ready to be finished.
    ///
    /// The zeros bring the pages into memory ahead of the writer. Nothing waits for them to reach
    /// the disk: allocated room reads as zeros after a power loss, written or not.
    pub(super) fn step(&mut self) -> Result<bool, JournalError> {
        if self.durability == Durability::AtClose {
            return Ok(true);
        }
        let total = self.opening.file_bytes();
        let target = total.min(self.written + STEP_BYTES);
        let step = || -> io::Result<()> {
            let mut at = self.written;
            while at < target {
                let bytes = (target - at).min(ZEROS_BYTES as u64);
                self.file.write_all_at(&ZEROS[..bytes as usize], at)?;
                at += bytes;
            }
            Ok(())
        };
        let path = unfinished_path(&self.dir, &self.opening);
        step().map_err(JournalError::io("prepare", &path))?;
        self.written = target;
        Ok(target == total)
    }

    /// Gives the file its name and maps it.
    pub(super) fn finish(self) -> Result<(Pen, Segment), JournalError> {
        let path = self.dir.join(self.opening.file_name());
        let finish = || {
            let (pen, mapping) = Mapping::new(&self.file, self.opening.capacity)?;
            let is_alone = self.durability == Durability::AtClose;
            let pen = if is_alone { pen.alone() } else { pen };
            std::fs::rename(unfinished_path(&self.dir, &self.opening), &path)?;
            Ok((pen, mapping))
        };
        let (pen, mapping) = finish().map_err(JournalError::io("prepare", &path))?;
        if self.durability == Durability::Each {
            sync_dir(&self.dir)?;
        }
        Ok((pen, Segment { opening: self.opening, mapping, path, file: self.file }))
    }
}

impl Segment {
    /// Finishes the file: cuts it to `records`, computes the chain hash and writes the seal. The
    /// pen must be gone. Returns the chain hash.
    pub(super) fn seal(
        self,
        ending: Ending,
        records: u64,
        previous: u64,
        durability: Durability,
    ) -> Result<u64, JournalError> {
        // A mapping must not outlive the bytes it maps.
        drop(self.mapping);
        let sync = durability == Durability::Each;
        seal_file(&self.file, self.opening, ending, records, previous, sync)
            .map_err(JournalError::io("seal", &self.path))
    }

    /// Removes a segment that was prepared and never used.
    pub(super) fn discard(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(JournalError::io("remove", &self.path))
    }
}

/// Cuts `file` to `records`, then writes its seal. A crash in between leaves an unsealed segment
/// whose records are all there.
pub(super) fn seal_file(
    file: &File,
    opening: Opening,
    ending: Ending,
    records: u64,
    previous: u64,
    sync: bool,
) -> io::Result<u64> {
    file.set_len(file_bytes(records))?;
    let mut chain = Chain::new(previous, &opening);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = HEADER_BYTES as u64;
    while at < file_bytes(records) {
        let bytes = (file_bytes(records) - at).min(CHUNK_BYTES as u64) as usize;
        file.read_exact_at(&mut chunk[..bytes], at)?;
        chain.update(&chunk[..bytes]);
        at += bytes as u64;
    }
    let chain = chain.digest();
    let seal = Some(Seal { ending, records, previous, chain });
    let block = Header { opening, seal }.encode();
    if sync {
        // Records first: a seal on the disk must never speak of records that are not.
        file.sync_all()?;
    }
    file.write_all_at(&block[SEAL_AT..], SEAL_AT as u64)?;
    if sync {
        file.sync_all()?;
    }
    Ok(chain)
}

fn unfinished_path(dir: &Path, opening: &Opening) -> PathBuf {
    dir.join(format!("{}{UNFINISHED}", opening.file_name()))
}

/// Allocates `bytes` for `file`, so that no later store can meet a full disk.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // Some file systems cannot allocate; writing every byte does the same.
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let mut at = 0;
            while at < bytes {
                let chunk = (bytes - at).min(ZEROS_BYTES as u64);
                file.write_all_at(&ZEROS[..chunk as usize], at)?;
                at += chunk;
            }
            Ok(())
        }
        Err(errno) => Err(errno.into()),
    }
}
