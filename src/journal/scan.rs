//! One segment's records, read through the file system and never through a mapping: a file that
//! changes its size under the reader ends the scan instead of killing the process.

use super::error::Damage;
use super::format::{
    Chain, HEADER_BYTES, Header, Opening, RECORD_BYTES, RecordIndex, commit_word, file_bytes,
};
use crate::base::Event;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use zerocopy::FromBytes;

/// The one buffer of a scan; a hostile file cannot make it larger.
const CHUNK_BYTES: usize = 64 << 10;

/// What stands in a record's place.
#[derive(Debug, PartialEq)]
pub(super) enum Slot {
    /// A record that matches its check; its `check` field is zeroed, as everywhere else.
    Record(Event),
    /// All zero: never written.
    Empty,
    /// Anything else.
    Bad,
    /// No place left in the file.
    End,
}

/// See the head of this file.
pub(super) struct SegmentScan {
    file: File,
    pub(super) header: Header,
    seed: u64,
    /// Place of the next slot.
    slot: u64,
    /// Whole slots to read.
    slots: u64,
    /// The file is shorter than it was allocated, or shrank while it was read.
    pub(super) cut_short: bool,
    chain: Chain,
    buffer: Vec<u8>,
    consumed: usize,
}

impl SegmentScan {
    /// Opens the segment that must be `expected`.
    ///
    /// # Errors
    /// The byte offset and what is wrong there.
    pub(super) fn open(dir: &Path, expected: &Opening) -> Result<Self, (u64, Damage)> {
        let path = dir.join(expected.file_name());
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => (0, Damage::MissingSegment),
            _ => (0, Damage::Unreadable(error.to_string())),
        };
        // Looked at before opening: to open a pipe would block.
        if !std::fs::symlink_metadata(&path).map_err(unreadable)?.is_file() {
            return Err((0, Damage::NotAFile));
        }
        let file = File::open(&path).map_err(unreadable)?;
        let mut block = [0; HEADER_BYTES];
        let filled = read_full(&file, &mut block, 0).map_err(unreadable)?;
        if filled < HEADER_BYTES {
            return Err((filled as u64, Damage::ShortHeader));
        }
        // Sized after the header was read: a live keeper cuts the file before it seals it.
        let length = file.metadata().map_err(unreadable)?.len().max(HEADER_BYTES as u64);
        let header = Header::decode(&block)?;
        check_opening(&header.opening, expected)?;
        let slots = readable_slots(&header, length)?;
        let chain = Chain::new(header.seal.map_or(0, |seal| seal.previous), &header.opening);
        Ok(Self {
            file,
            header,
            seed: header.opening.seed(),
            slot: 0,
            slots,
            cut_short: header.seal.is_none() && length < header.opening.file_bytes(),
            chain,
            buffer: Vec::with_capacity(CHUNK_BYTES),
            consumed: 0,
        })
    }

    /// Goes to `slot`; the chain hash is meaningless from then on.
    pub(super) fn seek(&mut self, slot: u64) {
        self.slot = slot.min(self.slots);
        self.buffer.clear();
        self.consumed = 0;
    }

    /// Index in the lane of the next slot.
    pub(super) fn record(&self) -> RecordIndex {
        RecordIndex(self.header.opening.first_record + self.slot)
    }

    /// Offset in the file of the next slot, in bytes.
    pub(super) fn offset(&self) -> u64 {
        file_bytes(self.slot)
    }

    /// Hash over everything read so far.
    pub(super) fn chain(&self) -> u64 {
        self.chain.digest()
    }

    /// The next slot.
    ///
    /// # Errors
    /// What the system said when it could not read.
    pub(super) fn next_slot(&mut self) -> Result<Slot, Damage> {
        if self.slot == self.slots {
            return Ok(Slot::End);
        }
        if self.consumed == self.buffer.len() {
            self.refill().map_err(|error| Damage::Unreadable(error.to_string()))?;
        }
        let bytes = &self.buffer[self.consumed..];
        let Ok((event, _)) = Event::read_from_prefix(bytes) else {
            self.cut_short = true;
            self.slots = self.slot;
            return Ok(Slot::End);
        };
        let slot =
            if event.check != 0 && event.check == commit_word(&event, self.seed, self.record()) {
                Slot::Record(Event { check: 0, ..event })
            } else if bytes[..RECORD_BYTES].iter().all(|&byte| byte == 0) {
                Slot::Empty
            } else {
                Slot::Bad
            };
        self.consumed += RECORD_BYTES;
        self.slot += 1;
        Ok(slot)
    }

    /// Reads the next chunk; what is less than a record is dropped.
    fn refill(&mut self) -> io::Result<()> {
        let left = (self.slots - self.slot).saturating_mul(RECORD_BYTES as u64);
        let wanted = left.min(CHUNK_BYTES as u64) as usize;
        self.buffer.resize(wanted, 0);
        self.consumed = 0;
        let filled = read_full(&self.file, &mut self.buffer, file_bytes(self.slot))?;
        self.buffer.truncate(filled / RECORD_BYTES * RECORD_BYTES);
        self.chain.update(&self.buffer);
        Ok(())
    }
}

/// Reads until `bytes` is full or the file ends; how many bytes were read.
fn read_full(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn check_opening(found: &Opening, expected: &Opening) -> Result<(), (u64, Damage)> {
    if found.session != expected.session {
        let (found, expected) = (found.session, expected.session);
        return Err((16, Damage::ForeignSession { found, expected }));
    }
    if (found.lane, found.number) != (expected.lane, expected.number) {
        return Err((24, Damage::Misplaced(found.file_name())));
    }
    if found.capacity != expected.capacity {
        let (found, expected) = (found.capacity, expected.capacity);
        return Err((48, Damage::Capacity { found, expected }));
    }
    Ok(())
}

/// Whole slots in a file of `length` bytes. A sealed file has exactly what its seal says; one being
/// filled has at most its capacity, and less when it was cut off.
fn readable_slots(header: &Header, length: u64) -> Result<u64, (u64, Damage)> {
    let expected = header.seal.map_or(header.opening.file_bytes(), |s| file_bytes(s.records));
    if length > expected || (header.seal.is_some() && length != expected) {
        return Err((length.min(expected), Damage::FileSize { found: length, expected }));
    }
    Ok((length - HEADER_BYTES as u64) / RECORD_BYTES as u64)
}
