//! What the journal tests share: events that can be told apart, journals made of them, and the
//! one question every damage test asks.

use peregrine::base::event::{BODY_BYTES, Event, Kind, lane_of};
use peregrine::journal::{
    CorruptRecord, Journal, JournalFault, JournalSettings, LANES, LaneEnd, LaneReader, LaneWriter,
};
use std::path::Path;
use tempfile::TempDir;

pub const SESSION: u64 = 0x5EED_0001;

/// An event of `kind` whose every byte depends on `n` and on its place.
pub fn event(kind: Kind, n: u64) -> Event {
    let word = |i: u64| (n + 1).wrapping_mul(0x2545_F491_4F6C_DD1D).rotate_left(i as u32) | 1;
    let mut body = [0; BODY_BYTES / 8];
    for (i, target) in body.iter_mut().enumerate() {
        *target = word(i as u64 + 4);
    }
    Event {
        kind: kind as u8,
        flags: word(1) as u8,
        instrument: (n % 7) as u16,
        check: 0,
        seq: n + 1,
        ts_venue: word(2) as i64,
        ts_recv: 1_700_000_000_000_000_000 + n as i64,
        body,
    }
}

/// One event of every kind, in numeric order.
pub fn one_of_each_kind() -> Vec<Event> {
    Kind::ALL.iter().enumerate().map(|(n, &kind)| event(kind, n as u64)).collect()
}

/// `count` events for a lane, with kinds of that lane in turn.
pub fn events_of_lane(lane: usize, count: usize) -> Vec<Event> {
    let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|&k| lane_of(k) == lane).collect();
    let kind = |n: usize| if kinds.is_empty() { Kind::Timer } else { kinds[n % kinds.len()] };
    (0..count).map(|n| event(kind(n), n as u64)).collect()
}

pub fn settings(segment_records: usize, threaded: bool) -> JournalSettings {
    JournalSettings {
        session_id: SESSION,
        segment_records: [segment_records; LANES],
        flush_interval_ms: 1,
        keep_segments: 0,
        disk_free_min_bytes: 0,
        threaded,
    }
}

/// Appends, waiting for the keeper where a segment is not ready yet: tests write faster than any
/// stage.
pub fn append_all(writer: &mut LaneWriter, events: &[Event]) {
    for event in events {
        loop {
            match writer.append(event) {
                Ok(_) => break,
                Err(JournalFault::NoSegment) => std::thread::yield_now(),
                Err(fault) => panic!("append: {fault}"),
            }
        }
    }
}

/// How a journal of a test comes to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Left {
    Closed,
    Crashed,
}

/// A journal with `events` in lane 0 and nothing in the others.
pub fn journal_of(events: &[Event], segment_records: usize, left: Left) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(segment_records, false);
    let (journal, mut writers) = Journal::create(dir.path(), settings).unwrap();
    append_all(&mut writers[0], events);
    if left == Left::Closed {
        journal.close(writers).unwrap();
    }
    dir
}

pub struct Read {
    pub events: Vec<Event>,
    pub end: Result<LaneEnd, CorruptRecord>,
}

pub fn read(dir: &Path, lane: usize) -> Read {
    let mut reader = LaneReader::open(dir, lane).unwrap();
    let base = reader.first_record().0;
    let mut events = Vec::new();
    let mut end = None;
    for item in &mut reader {
        match item {
            Ok((record, event)) => {
                assert_eq!(record.0, base + events.len() as u64);
                events.push(event);
            }
            Err(corrupt) => end = Some(Err(corrupt)),
        }
    }
    let end = end.unwrap_or_else(|| Ok(reader.end().expect("a lane that ends tells how")));
    Read { events, end }
}

/// The promise: what is read is a prefix of what was written, and if it is less, it says so.
/// Returns true when damage or a torn end was reported.
pub fn never_silent(dir: &Path, lane: usize, written: &[Event], what: &str) -> bool {
    let read = read(dir, lane);
    assert!(read.events.len() <= written.len(), "{what}: records were invented");
    assert!(read.events == written[..read.events.len()], "{what}: a record was altered");
    let told = !matches!(read.end, Ok(LaneEnd::Closed(_) | LaneEnd::Open { torn: false }));
    assert!(told || read.events.len() == written.len(), "{what}: records are silently missing");
    told
}

pub fn segment(dir: &Path, lane: usize, number: u64) -> std::path::PathBuf {
    dir.join(format!("lane{lane}-{number:06}.pgj"))
}
