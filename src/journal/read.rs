//! One lane's records, in order, each checked.
//!
//! ```text
//!  open ─► segment ─ record, record, … ─► sealed, full ───────────► next segment
//!              │                        ─► sealed, last ──────────► Closed
//!              │                        ─► unsealed, full ────────► next segment, or Open
//!              ├─ unsealed, unreadable place, nothing sound after ► Open (torn unless all zero)
//!              └─ anything else ──────────────────────────────────► CorruptRecord
//! ```
//! What is yielded before a [`CorruptRecord`] is sound and complete: a record is never left out
//! and never altered without an error in its place.

use super::error::{CorruptRecord, Damage, JournalError};
use super::folder::{Manifest, segment_numbers};
use super::format::{Ending, LANES, Opening, RecordIndex, Seal, segment_file_name};
use super::scan::{SegmentScan, Slot};
use crate::base::Event;
use std::path::{Path, PathBuf};

/// How a lane ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneEnd {
    /// Sealed; the lane is complete up to what the ending says.
    Closed(Ending),
    /// Not sealed: still being written, or its writer died.
    Open {
        /// The rest holds bytes that are no record, or is missing: the writer or the machine died
        /// in the middle of something.
        torn: bool,
    },
}

/// Iterates over a lane. Safe on a journal that is being written (it sees a prefix) and on hostile
/// bytes; memory use is fixed.
pub struct LaneReader {
    dir: PathBuf,
    lane: usize,
    session: u64,
    capacity: u64,
    /// Numbers of the segments from the first retained one, ascending.
    numbers: Vec<u64>,
    /// The segment being read, or to be opened next.
    number: u64,
    scan: Option<SegmentScan>,
    /// Chain hash that the next seal must name as its predecessor; `None` where retention deleted
    /// the predecessor or it is not sealed.
    chain: Option<u64>,
    previous_sealed: bool,
    end: Option<LaneEnd>,
    done: bool,
}

impl LaneReader {
    /// Opens `lane` of the journal in `dir`.
    ///
    /// # Errors
    /// [`JournalError`] when there is no such lane, or manifest or folder cannot be read. Damage in
    /// the segments shows while iterating.
    pub fn open(dir: &Path, lane: usize) -> Result<Self, JournalError> {
        if lane >= LANES {
            return Err(JournalError::NoLane(lane));
        }
        let manifest = Manifest::read(dir)?;
        let first = manifest.first_segments[lane];
        let mut numbers = segment_numbers(dir, lane)?;
        // A crash between the manifest and the deletion leaves retired segments behind.
        numbers.retain(|&number| number >= first);
        Ok(Self {
            dir: dir.to_owned(),
            lane,
            session: manifest.session(),
            capacity: manifest.segment_records[lane],
            numbers,
            number: first,
            scan: None,
            chain: (first == 0).then_some(0),
            previous_sealed: true,
            end: None,
            done: false,
        })
    }

    /// The session that wrote the journal.
    pub const fn session_id(&self) -> u64 {
        self.session
    }

    /// Index of the first record that retention has kept, before iterating.
    pub const fn first_record(&self) -> RecordIndex {
        RecordIndex(self.number.saturating_mul(self.capacity))
    }

    /// How the lane ended; `None` before the iterator has ended, or when it ended in damage.
    pub const fn end(&self) -> Option<LaneEnd> {
        self.end
    }

    fn advance(&mut self) -> Result<Option<(RecordIndex, Event)>, CorruptRecord> {
        loop {
            let Some(scan) = &mut self.scan else {
                self.scan = Some(self.open_segment(self.number)?);
                continue;
            };
            let (record, offset) = (scan.record(), scan.offset());
            let sealed = scan.header.seal;
            let slot = scan
                .next_slot()
                .map_err(|damage| self.corrupt(self.number, record, offset, damage))?;
            let damage = match (slot, sealed) {
                (Slot::Record(event), _) => return Ok(Some((record, event))),
                (Slot::End, Some(seal)) => {
                    if self.leave_sealed(seal, record, offset)? {
                        continue;
                    }
                    return Ok(None);
                }
                (Slot::End, None) => {
                    if self.leave_full(record, offset)? {
                        continue;
                    }
                    return Ok(None);
                }
                (Slot::Empty, Some(_)) => Damage::RecordMissing,
                (Slot::Bad, Some(_)) => Damage::RecordCheck,
                (Slot::Empty, None) => return self.end_open(record, offset, false),
                (Slot::Bad, None) => return self.end_open(record, offset, true),
            };
            return Err(self.corrupt(self.number, record, offset, damage));
        }
    }

    /// At the end of a sealed segment: checks the chain; true when the lane goes on.
    fn leave_sealed(
        &mut self,
        seal: Seal,
        record: RecordIndex,
        offset: u64,
    ) -> Result<bool, CorruptRecord> {
        let short = record.0 - self.opening(self.number).first_record < seal.records;
        if short {
            return Err(self.corrupt(self.number, record, offset, Damage::RecordMissing));
        }
        let chain = self.scan.as_ref().map(SegmentScan::chain);
        let linked = self.chain.is_none_or(|previous| previous == seal.previous);
        if chain != Some(seal.chain) || !linked {
            return Err(self.corrupt(self.number, record, offset, Damage::ChainHash));
        }
        self.chain = chain;
        if seal.ending == Ending::Full {
            self.go_on(true);
            return Ok(true);
        }
        // Listed before: a live keeper may have removed what it had prepared in vain.
        if let Some(next) = self.following().filter(|&next| self.exists(next)) {
            return Err(self.corrupt(next, record, 0, Damage::Follows("the last of its lane")));
        }
        self.end = Some(LaneEnd::Closed(seal.ending));
        Ok(false)
    }

    /// At the end of an unsealed segment without having met an empty place; true when the lane goes
    /// on.
    fn leave_full(&mut self, record: RecordIndex, offset: u64) -> Result<bool, CorruptRecord> {
        let cut_short = self.scan.as_ref().is_some_and(|scan| scan.cut_short);
        if cut_short {
            self.end_open(record, offset, true)?;
            return Ok(false);
        }
        if self.following().is_none() {
            self.end = Some(LaneEnd::Open { torn: false });
            return Ok(false);
        }
        self.go_on(false);
        Ok(true)
    }

    fn go_on(&mut self, sealed: bool) {
        self.number += 1;
        self.scan = None;
        self.previous_sealed = sealed;
        if !sealed {
            self.chain = None;
        }
    }

    /// The lane ends at `record` if nothing sound comes after it; otherwise there is a hole.
    fn end_open(
        &mut self,
        record: RecordIndex,
        offset: u64,
        mut torn: bool,
    ) -> Result<Option<(RecordIndex, Event)>, CorruptRecord> {
        let at = self.number;
        let Some(mut scan) = self.scan.take() else {
            return Ok(None);
        };
        let mut number = at;
        loop {
            let (place, place_offset) = (scan.record(), scan.offset());
            let slot = scan
                .next_slot()
                .map_err(|damage| self.corrupt(number, place, place_offset, damage))?;
            match slot {
                Slot::Record(_) if self.is_record(at, record) => {
                    // A live writer filled the place since it was read.
                    self.end = Some(LaneEnd::Open { torn: false });
                    return Ok(None);
                }
                Slot::Record(_) => {
                    return Err(self.corrupt(at, record, offset, Damage::Hole(place)));
                }
                Slot::Empty => {}
                Slot::Bad => torn = true,
                Slot::End => {
                    torn |= scan.cut_short;
                    if !self.numbers.iter().any(|&other| other > number && self.exists(other)) {
                        self.end = Some(LaneEnd::Open { torn });
                        return Ok(None);
                    }
                    number += 1;
                    self.previous_sealed = false;
                    scan = self.open_segment(number).map_err(|mut corrupt| {
                        // What can be kept ends where the records end, not where this file begins.
                        corrupt.record = record;
                        corrupt
                    })?;
                }
            }
        }
    }

    fn open_segment(&self, number: u64) -> Result<SegmentScan, CorruptRecord> {
        let opening = self.opening(number);
        let record = RecordIndex(opening.first_record);
        let scan = SegmentScan::open(&self.dir, &opening)
            .map_err(|(offset, damage)| self.corrupt(number, record, offset, damage))?;
        let misordered = scan.header.seal.is_some() && !self.previous_sealed;
        // A live keeper may have sealed the one before since it was opened.
        if misordered && !self.is_sealed(number - 1) {
            return Err(self.corrupt(number, record, 0, Damage::Follows("not sealed")));
        }
        Ok(scan)
    }

    fn exists(&self, number: u64) -> bool {
        self.dir.join(segment_file_name(self.lane, number)).symlink_metadata().is_ok()
    }

    /// Looks again whether segment `number` is sealed.
    fn is_sealed(&self, number: u64) -> bool {
        let scan = SegmentScan::open(&self.dir, &self.opening(number));
        scan.is_ok_and(|scan| scan.header.seal.is_some())
    }

    /// Looks again whether `record` of segment `number` is sound.
    fn is_record(&self, number: u64, record: RecordIndex) -> bool {
        let opening = self.opening(number);
        let Ok(mut scan) = SegmentScan::open(&self.dir, &opening) else {
            return false;
        };
        scan.seek(record.0 - opening.first_record);
        matches!(scan.next_slot(), Ok(Slot::Record(_)))
    }

    /// The next segment on disk after the one being read.
    fn following(&self) -> Option<u64> {
        self.numbers.iter().copied().find(|&number| number > self.number)
    }

    fn opening(&self, number: u64) -> Opening {
        Opening::new(self.session, self.lane as u32, number, self.capacity)
    }

    fn corrupt(
        &self,
        number: u64,
        record: RecordIndex,
        offset: u64,
        damage: Damage,
    ) -> CorruptRecord {
        let file = segment_file_name(self.lane, number);
        CorruptRecord { lane: self.lane, file, record, offset, damage }
    }
}

impl Iterator for LaneReader {
    type Item = Result<(RecordIndex, Event), CorruptRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.advance().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}
