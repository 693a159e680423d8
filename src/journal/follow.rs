//! One lane's records in order while they are written, from any place on: what a side thread reads
//! that must not miss a record. Never waits, and never makes the writer wait.
//!
//! ```text
//!  position ─► a sound record ───────────────► Record
//!          ├─► not written (yet) ────────────► Nothing: ask again later
//!          ├─► retention was faster ─────────► Retired: the records that are gone, once
//!          └─► a sealed segment is damaged ──► CorruptRecord
//! ```
//! A place that is being stored into may look torn for an instant, so in an unsealed segment
//! whatever is no sound record counts as not written.

use super::error::{CorruptRecord, Damage, JournalError};
use super::folder::Manifest;
use super::format::{Ending, LANES, Opening, RecordIndex};
use super::scan::{SegmentScan, Slot};
use crate::base::Event;
use std::path::{Path, PathBuf};

/// What stands at a follower's position.
#[derive(Debug)]
pub enum Followed {
    /// The next record.
    Record(RecordIndex, Event),
    /// Nothing yet, or the lane is at its end.
    Nothing,
    /// Records from the first up to, not including, the second were deleted by retention before
    /// they were read.
    Retired(RecordIndex, RecordIndex),
}

/// See the head of this file.
pub struct LaneFollower {
    dir: PathBuf,
    lane: usize,
    session: u64,
    capacity: u64,
    next: u64,
    scan: Option<SegmentScan>,
    closed: bool,
}

impl LaneFollower {
    /// Follows `lane` of the journal in `dir` from the record `from` on.
    ///
    /// # Errors
    /// [`JournalError`] when there is no such lane or the manifest cannot be read.
    pub fn open(dir: &Path, lane: usize, from: RecordIndex) -> Result<Self, JournalError> {
        if lane >= LANES {
            return Err(JournalError::NoLane(lane));
        }
        let manifest = Manifest::read(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            lane,
            session: manifest.session(),
            capacity: manifest.segment_records[lane],
            next: from.0,
            scan: None,
            closed: false,
        })
    }

    /// The lane followed.
    pub const fn lane(&self) -> usize {
        self.lane
    }

    /// The record that is read next.
    pub const fn position(&self) -> RecordIndex {
        RecordIndex(self.next)
    }

    /// True once the end of a lane that was closed or repaired has been read: no more will come.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// What stands at the position; a record moves it by one.
    ///
    /// # Errors
    /// [`CorruptRecord`] where a sealed segment or a header is damaged; the position stays.
    pub fn read(&mut self) -> Result<Followed, CorruptRecord> {
        if self.closed {
            return Ok(Followed::Nothing);
        }
        let number = self.next / self.capacity;
        let opening = Opening::new(self.session, self.lane as u32, number, self.capacity);
        let read_ahead = self.scan.take().filter(|scan| scan.header.opening.number == number);
        if let Some(scan) = read_ahead {
            match self.step(scan, &opening)? {
                // What was read ahead may be older than what has been appended since.
                Followed::Nothing if !self.closed => {}
                found => return Ok(found),
            }
        }
        match SegmentScan::open(&self.dir, &opening) {
            Ok(mut scan) => {
                scan.seek(self.next - opening.first_record);
                self.step(scan, &opening)
            }
            Err((_, Damage::MissingSegment)) => Ok(self.missing(number)),
            Err((offset, damage)) => Err(self.corrupt(&opening, offset, damage)),
        }
    }

    fn step(
        &mut self,
        mut scan: SegmentScan,
        opening: &Opening,
    ) -> Result<Followed, CorruptRecord> {
        let (offset, seal) = (scan.offset(), scan.header.seal);
        let slot = scan.next_slot().map_err(|damage| self.corrupt(opening, offset, damage))?;
        match (slot, seal) {
            (Slot::Record(event), _) => {
                let record = self.position();
                self.next += 1;
                self.scan = Some(scan);
                Ok(Followed::Record(record, event))
            }
            // Opened anew next time: a live file is cut and sealed under its reader.
            (Slot::End | Slot::Empty | Slot::Bad, None) => Ok(Followed::Nothing),
            (Slot::End, Some(seal)) => {
                self.closed = seal.ending != Ending::Full;
                Ok(Followed::Nothing)
            }
            (Slot::Empty, Some(_)) => Err(self.corrupt(opening, offset, Damage::RecordMissing)),
            (Slot::Bad, Some(_)) => Err(self.corrupt(opening, offset, Damage::RecordCheck)),
        }
    }

    /// Segment `number` is not there: retired, or not made yet.
    fn missing(&mut self, number: u64) -> Followed {
        let first = Manifest::read(&self.dir).map_or(0, |m| m.first_segments[self.lane]);
        if first <= number {
            self.closed = number > 0 && self.ends_with(number - 1);
            return Followed::Nothing;
        }
        let from = self.position();
        self.next = first.saturating_mul(self.capacity);
        Followed::Retired(from, self.position())
    }

    /// True where segment `number` says that none follows it.
    fn ends_with(&self, number: u64) -> bool {
        let opening = Opening::new(self.session, self.lane as u32, number, self.capacity);
        let seal = SegmentScan::open(&self.dir, &opening).ok().and_then(|scan| scan.header.seal);
        seal.is_some_and(|seal| seal.ending != Ending::Full)
    }

    fn corrupt(&self, opening: &Opening, offset: u64, damage: Damage) -> CorruptRecord {
        let (lane, file, record) = (self.lane, opening.file_name(), self.position());
        CorruptRecord { lane, file, record, offset, damage }
    }
}
