//! What can be done with a journal that is not being written: count it, check it, end it properly.
//!
//! ```text
//!  lane reads to …          repair                          with accept_loss
//!  Closed                   left alone                      left alone
//!  Open, nothing torn       sealed as Cut                   sealed as Cut
//!  Open, torn               original kept beside, Cut       original kept beside, Cut
//!  CorruptRecord at r       refused, nothing is touched     original kept beside, Lossy at r
//! ```

use super::error::{CorruptRecord, JournalError};
use super::folder::{
    MANIFEST_NAME, Manifest, SET_ASIDE, UNFINISHED, lock, segment_numbers, sync_dir,
};
use super::format::{
    Ending, HEADER_BYTES, Header, LANES, Opening, RecordIndex, parse_segment_file_name,
    segment_file_name,
};
use super::read::{LaneEnd, LaneReader};
use super::segment::seal_file;
use crate::base::{Event, Kind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What [`verify`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Sound records, all lanes.
    pub records: u64,
    /// Lanes, attachments and manifests that are damaged.
    pub corrupt: u64,
    /// Lanes that end in bytes which are no record.
    pub torn: u64,
    /// Lane by lane.
    pub lanes: Vec<LaneReport>,
    /// The first damage found.
    pub first: Option<String>,
}

/// One lane in a [`VerifyReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneReport {
    /// The lane.
    pub lane: usize,
    /// Sound records before its end or its first damage.
    pub records: u64,
    /// `final`, `cut`, `lossy`, `open`, `torn` or `corrupt`.
    pub ending: &'static str,
    /// The damage, if any.
    pub damage: Option<String>,
}

/// What [`stat`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JournalStat {
    /// Session id, sixteen hex digits.
    pub session: String,
    /// Lane by lane.
    pub lanes: Vec<LaneStat>,
    /// Names of the files beside the lanes.
    pub attachments: Vec<String>,
}

/// One lane in a [`JournalStat`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneStat {
    /// The lane.
    pub lane: usize,
    /// Number of the oldest segment.
    pub first_segment: u64,
    /// Segments on disk.
    pub segments: u64,
    /// Size on disk in bytes, allocated room included.
    pub bytes: u64,
    /// Sound records.
    pub records: u64,
    /// As in [`LaneReport::ending`].
    pub ending: &'static str,
    /// Time of receipt of the first record, nanoseconds; 0 if there is none.
    pub first_ts: i64,
    /// Time of receipt of the last record, nanoseconds; 0 if there is none.
    pub last_ts: i64,
    /// Records by kind.
    pub kinds: BTreeMap<&'static str, u64>,
}

/// What [`repair`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Lanes that were sealed; no record of theirs was lost.
    pub cut: Vec<usize>,
    /// Lanes of which an operator accepted the loss of everything after a damage.
    pub lossy: Vec<usize>,
    /// Originals kept beside, by name.
    pub set_aside: Vec<String>,
}

/// A lane read to its end.
struct Outcome {
    records: u64,
    end: Result<LaneEnd, CorruptRecord>,
}

impl Outcome {
    fn ending(&self) -> &'static str {
        match &self.end {
            Ok(LaneEnd::Closed(Ending::Full | Ending::Final)) => "final",
            Ok(LaneEnd::Closed(Ending::Cut)) => "cut",
            Ok(LaneEnd::Closed(Ending::Lossy)) => "lossy",
            Ok(LaneEnd::Open { torn: false }) => "open",
            Ok(LaneEnd::Open { torn: true }) => "torn",
            Err(_) => "corrupt",
        }
    }
}

/// Checks every record, header, chain hash and attachment of the journal in `dir`.
pub fn verify(dir: &Path) -> VerifyReport {
    let mut report =
        VerifyReport { records: 0, corrupt: 0, torn: 0, lanes: Vec::new(), first: None };
    let note = |report: &mut VerifyReport, damage: String| {
        report.corrupt += 1;
        report.first.get_or_insert(damage);
    };
    let manifest = match Manifest::read(dir) {
        Ok(manifest) => manifest,
        Err(error) => {
            note(&mut report, error.to_string());
            return report;
        }
    };
    for lane in 0..LANES {
        let outcome = match survey(dir, lane, |_, _| {}) {
            Ok(outcome) => outcome,
            Err(error) => {
                note(&mut report, error.to_string());
                continue;
            }
        };
        report.records += outcome.records;
        report.torn += u64::from(outcome.end == Ok(LaneEnd::Open { torn: true }));
        let damage = outcome.end.as_ref().err().map(ToString::to_string);
        if let Some(damage) = &damage {
            note(&mut report, damage.clone());
        }
        let (records, ending) = (outcome.records, outcome.ending());
        report.lanes.push(LaneReport { lane, records, ending, damage });
    }
    for attachment in &manifest.attachments {
        if let Err(error) = attachment.check(dir) {
            note(&mut report, error.to_string());
        }
    }
    report
}

/// Sizes, spans and kinds of the journal in `dir`.
///
/// # Errors
/// [`JournalError`] when manifest or folder cannot be read; damage shows as an ending.
pub fn stat(dir: &Path) -> Result<JournalStat, JournalError> {
    let manifest = Manifest::read(dir)?;
    let mut lanes = Vec::with_capacity(LANES);
    for lane in 0..LANES {
        let numbers = segment_numbers(dir, lane)?;
        let bytes = numbers
            .iter()
            .filter_map(|&number| dir.join(segment_file_name(lane, number)).metadata().ok())
            .map(|metadata| metadata.len())
            .sum();
        let mut span = None;
        let mut kinds = BTreeMap::new();
        let outcome = survey(dir, lane, |_, event| {
            let (first, _) = span.unwrap_or((event.ts_recv, 0));
            span = Some((first, event.ts_recv));
            *kinds.entry(event.kind().map_or("unknown", Kind::name)).or_insert(0) += 1;
        })?;
        let (first_ts, last_ts) = span.unwrap_or((0, 0));
        lanes.push(LaneStat {
            lane,
            first_segment: manifest.first_segments[lane],
            segments: numbers.len() as u64,
            bytes,
            records: outcome.records,
            ending: outcome.ending(),
            first_ts,
            last_ts,
            kinds,
        });
    }
    let session = format!("{:016x}", manifest.session());
    let attachments = manifest.attachments.into_iter().map(|a| a.name).collect();
    Ok(JournalStat { session, lanes, attachments })
}

/// Ends a journal whose writer died: seals every lane that is not sealed, so that it can no longer
/// be added to unnoticed. Damaged lanes are refused before anything is touched, unless
/// `accept_loss`: then each is cut at its first damage. Originals of whatever was torn or damaged
/// stay beside under their name with `.damaged` added.
///
/// # Errors
/// [`JournalError::Corrupt`] for a damaged lane without `accept_loss`, [`JournalError::Locked`]
/// while the journal is being written, [`JournalError::Io`].
pub fn repair(dir: &Path, accept_loss: bool) -> Result<RepairReport, JournalError> {
    let _lock = lock(dir)?;
    let manifest = Manifest::read(dir)?;
    let mut outcomes = Vec::with_capacity(LANES);
    for lane in 0..LANES {
        // Never decide on bytes that a dead process left in memory only.
        for number in segment_numbers(dir, lane)? {
            let path = dir.join(segment_file_name(lane, number));
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(JournalError::io("sync", &path))?;
        }
        let outcome = survey(dir, lane, |_, _| {})?;
        match outcome.end {
            Err(corrupt) if !accept_loss => return Err(corrupt.into()),
            _ => outcomes.push(outcome),
        }
    }
    remove_unfinished(dir)?;
    let mut report = RepairReport::default();
    for (lane, outcome) in outcomes.into_iter().enumerate() {
        let (ending, keep_original) = match outcome.end {
            Ok(LaneEnd::Closed(_)) => continue,
            Ok(LaneEnd::Open { torn }) => (Ending::Cut, torn),
            Err(_) => (Ending::Lossy, true),
        };
        let first = manifest.first_segments[lane];
        let capacity = manifest.segment_records[lane];
        let kept = first.saturating_mul(capacity) + outcome.records;
        let opening = |number| Opening::new(manifest.session(), lane as u32, number, capacity);
        let cut = LaneCut { dir, lane, first, kept, ending, keep_original };
        cut.apply(opening, &mut report.set_aside)?;
        match ending {
            Ending::Lossy => report.lossy.push(lane),
            _ => report.cut.push(lane),
        }
    }
    sync_dir(dir)?;
    Ok(report)
}

/// A lane to be ended after record `kept`.
struct LaneCut<'a> {
    dir: &'a Path,
    lane: usize,
    first: u64,
    kept: u64,
    ending: Ending,
    keep_original: bool,
}

impl LaneCut<'_> {
    fn apply(
        &self,
        opening: impl Fn(u64) -> Opening,
        set_aside: &mut Vec<String>,
    ) -> Result<(), JournalError> {
        let first = opening(self.first);
        let last = match self.kept > first.first_record {
            true => (self.kept - 1) / first.capacity,
            false => self.first,
        };
        // From the end, so that a crash in between leaves a shorter lane and never a gap.
        for number in segment_numbers(self.dir, self.lane)?.into_iter().rev() {
            let name = segment_file_name(self.lane, number);
            let path = self.dir.join(&name);
            let beside = self.dir.join(format!("{name}{SET_ASIDE}"));
            let keep = self.keep_original && number >= self.first;
            let moved = match number {
                n if n == last && keep => {
                    set_aside.push(format!("{name}{SET_ASIDE}"));
                    std::fs::copy(&path, &beside).and_then(|_| File::open(&beside)?.sync_all())
                }
                n if n > last && keep => {
                    set_aside.push(format!("{name}{SET_ASIDE}"));
                    std::fs::rename(&path, &beside)
                }
                n if n > last || n < self.first => std::fs::remove_file(&path),
                _ => Ok(()),
            };
            moved.map_err(JournalError::io("set aside", &path))?;
        }
        let mut previous = 0;
        for number in self.first..=last {
            let opening = opening(number);
            previous = match number == last {
                true => self.seal(opening, self.ending, previous)?,
                false => self.seal_unless_sealed(opening, previous)?,
            };
        }
        Ok(())
    }

    fn seal_unless_sealed(&self, opening: Opening, previous: u64) -> Result<u64, JournalError> {
        let path = self.dir.join(opening.file_name());
        let mut block = [0; HEADER_BYTES];
        File::open(&path)
            .and_then(|file| file.read_exact_at(&mut block, 0))
            .map_err(JournalError::io("read", &path))?;
        match Header::decode(&block) {
            Ok(Header { seal: Some(seal), .. }) => Ok(seal.chain),
            _ => self.seal(opening, Ending::Full, previous),
        }
    }

    /// Writes the header anew: the one on disk may be what is damaged.
    fn seal(&self, opening: Opening, ending: Ending, previous: u64) -> Result<u64, JournalError> {
        let path = self.dir.join(opening.file_name());
        let records = self.kept.min(opening.end_record()) - opening.first_record;
        let seal = || {
            let mut options = File::options();
            let file = options.read(true).write(true).create(true).truncate(false).open(&path)?;
            file.write_all_at(&Header { opening, seal: None }.encode(), 0)?;
            seal_file(&file, opening, ending, records, previous, true)
        };
        seal().map_err(JournalError::io("seal", &path))
    }
}

/// Removes files that were being prepared or replaced when the writer died.
fn remove_unfinished(dir: &Path) -> Result<(), JournalError> {
    for entry in std::fs::read_dir(dir).map_err(JournalError::io("list", dir))? {
        let entry = entry.map_err(JournalError::io("list", dir))?;
        let name = entry.file_name();
        let own = name
            .to_str()
            .and_then(|name| name.strip_suffix(UNFINISHED))
            .is_some_and(|name| parse_segment_file_name(name).is_some() || name == MANIFEST_NAME);
        if own {
            std::fs::remove_file(entry.path())
                .map_err(JournalError::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Reads a lane to its end or its first damage.
fn survey(
    dir: &Path,
    lane: usize,
    mut visit: impl FnMut(RecordIndex, &Event),
) -> Result<Outcome, JournalError> {
    let mut reader = LaneReader::open(dir, lane)?;
    let mut records = 0;
    let mut damage = None;
    for item in &mut reader {
        match item {
            Ok((record, event)) => {
                records += 1;
                visit(record, &event);
            }
            Err(corrupt) => damage = Some(corrupt),
        }
    }
    let end = match (damage, reader.end()) {
        (Some(corrupt), _) => Err(corrupt),
        (None, end) => Ok(end.unwrap_or(LaneEnd::Open { torn: true })),
    };
    Ok(Outcome { records, end })
}
