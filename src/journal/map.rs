//! A segment file mapped into memory: one thread stores records, the keeper flushes and warms.
//! The room's only unsafe code.
//!
//! ```text
//!          Pen (one, moves to the writer)         Mapping (shared with the keeper)
//!  page    ├── header ──┬── records ……… ┬── commit word of each page's first record
//!  access  pwrite only   plain stores,    atomic: Release store by the pen,
//!                        pen alone        exchange by the keeper (warm)
//! ```
//!
//! Why warm: a page of a shared file mapping is write-protected whenever it is clean, so the first
//! store after creation or after a flush takes a page fault of microseconds. The keeper takes those
//! faults instead, by a read-modify-write that changes nothing, on words that both sides access
//! atomically.

use super::format::{HEADER_BYTES, RECORD_BYTES, file_bytes};
use crate::base::Event;
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use zerocopy::IntoBytes;

/// Bytes of a page on every supported machine; larger real pages only make warming redundant.
const PAGE_BYTES: u64 = 4_096;
/// Records in a page.
pub(super) const RECORDS_PER_PAGE: u64 = PAGE_BYTES / RECORD_BYTES as u64;
const CHECK_AT: usize = std::mem::offset_of!(Event, check);

const _: () = {
    // The stores of `Pen::store` are: bytes 0–3, bytes 8–127, then the word between.
    assert!(CHECK_AT == 4 && RECORD_BYTES == 128);
    // A page begins with a record, whose commit word is what `warm` touches.
    assert!(HEADER_BYTES as u64 == PAGE_BYTES);
};

/// A mapped segment. Nobody but its [`Pen`] changes a byte of it.
pub(super) struct Mapping {
    map: MmapRaw,
    records: u64,
}

/// The right to store into a mapping; there is one per mapping.
pub(super) struct Pen {
    mapping: Arc<Mapping>,
    slot: u64,
    /// Slot at which the next pages are asked for; never reached where a keeper warms them.
    ask_at: u64,
    /// Records that the next asking is for.
    ask_for: u64,
}

/// Pages that a pen without a keeper asks for first, and most of them at once: one call of the
/// system instead of one fault a page, and little for a lane that hardly writes.
const ASKED_FIRST: u64 = 16 * RECORDS_PER_PAGE;
const ASKED_MOST: u64 = 512 * RECORDS_PER_PAGE;

impl Mapping {
    /// Maps `file`, which has room for `records` and, but for its header, is all zero.
    pub(super) fn new(file: &File, records: u64) -> io::Result<(Pen, Arc<Self>)> {
        let bytes = usize::try_from(file_bytes(records)).map_err(io::Error::other)?;
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::Error::other("the file is shorter than its mapping would be"));
        }
        let map = MmapOptions::new().len(bytes).map_raw(file)?;
        let mapping = Arc::new(Self { map, records });
        let pen =
            Pen { mapping: Arc::clone(&mapping), slot: 0, ask_at: u64::MAX, ask_for: ASKED_FIRST };
        Ok((pen, mapping))
    }

    /// Waits until records `from..to` (slots of this segment) are on the disk.
    pub(super) fn flush(&self, from: u64, to: u64) -> io::Result<()> {
        let (from, to) = (from.min(self.records), to.min(self.records));
        if from >= to {
            return Ok(());
        }
        let start = file_bytes(from) / PAGE_BYTES * PAGE_BYTES;
        self.map.flush_range(start as usize, (file_bytes(to) - start) as usize)
    }

    /// Makes the pages of slots `from..to` writable without a fault.
    pub(super) fn warm(&self, from: u64, to: u64) {
        let mut slot = from / RECORDS_PER_PAGE * RECORDS_PER_PAGE;
        while slot < to.min(self.records) {
            // Replaces a value by itself, so whatever the pen stores stays, before or after. A
            // `fetch_or(0)` would be compiled to a load, which makes no page writable.
            let word = self.commit_word(slot);
            let value = word.load(Ordering::Relaxed);
            let _ = word.compare_exchange(value, value, Ordering::Relaxed, Ordering::Relaxed);
            slot += RECORDS_PER_PAGE;
        }
    }

    /// The commit word of `slot`, which is below `records`.
    fn commit_word(&self, slot: u64) -> &AtomicU32 {
        assert!(slot < self.records, "slots are bounded by the callers");
        // SAFETY: the slot is inside the mapping (`new` checked its size), mapping and records are
        // 128-aligned, and this word is only ever accessed through this atomic.
        unsafe { AtomicU32::from_ptr(self.slot_ptr(slot).add(CHECK_AT).cast()) }
    }

    fn slot_ptr(&self, slot: u64) -> *mut u8 {
        // In range for every slot below `records`; a wrapped address is never dereferenced.
        self.map.as_mut_ptr().wrapping_add(file_bytes(slot) as usize)
    }
}

impl Pen {
    /// The same for a lane without a keeper: it asks for its pages itself.
    pub(super) const fn alone(mut self) -> Self {
        self.ask_at = 0;
        self
    }

    /// Has the next pages brought into memory, writable. Where the system cannot, each comes with
    /// the first store into it.
    #[cold]
    fn ask(&mut self) {
        let to = (self.slot + self.ask_for).min(self.mapping.records);
        let start = file_bytes(self.slot) / PAGE_BYTES * PAGE_BYTES;
        let bytes = file_bytes(to) - start;
        let _ =
            self.mapping.map.advise_range(Advice::PopulateWrite, start as usize, bytes as usize);
        self.ask_at = to;
        self.ask_for = (self.ask_for * 2).min(ASKED_MOST);
    }

    /// True when no record fits any more.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.slot >= self.mapping.records
    }

    /// Stores the next record and then, with Release, its commit word: a process that dies in
    /// between leaves a slot without one, which reads as "not written". False, and nothing is
    /// stored, when full.
    #[inline]
    #[must_use]
    pub(super) fn store(&mut self, event: &Event, check: u32) -> bool {
        if self.is_full() {
            return false;
        }
        if self.slot == self.ask_at {
            self.ask();
        }
        let target = self.mapping.slot_ptr(self.slot);
        let bytes = event.as_bytes();
        // SAFETY: the slot is inside the mapping; this is the only pen and it is borrowed mutably,
        // so no other thread stores here, and nobody reads these bytes through the mapping. The
        // commit word between the two ranges is left to the atomic store below.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, CHECK_AT);
            let rest = CHECK_AT + 4;
            let source = bytes.as_ptr().add(rest);
            std::ptr::copy_nonoverlapping(source, target.add(rest), RECORD_BYTES - rest);
        }
        self.mapping.commit_word(self.slot).store(check, Ordering::Release);
        self.slot += 1;
        true
    }
}
