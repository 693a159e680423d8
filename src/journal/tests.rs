//! What needs the room's inside: failing syncs, names, headers, field tables.

use super::append::LaneWriter;
use super::error::{JournalError, JournalFault};
use super::fields::{Field, visit_fields};
use super::follow::{Followed, LaneFollower};
use super::format::{
    Ending, HEADER_BYTES, Header, LANES, Opening, RecordIndex, Seal, commit_word,
    parse_segment_file_name, segment_file_name,
};
use super::keeper::{Journal, JournalSettings};
use super::map::{Mapping, Pen};
use super::read::{LaneEnd, LaneReader};
use crate::base::event::{Event, Kind};
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::io::{self, Write};
use std::mem::discriminant;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Syncs that still succeed. Only one test uses it.
static SYNCS_LEFT: AtomicU64 = AtomicU64::new(0);

fn failing_sync(mapping: &Mapping, from: u64, to: u64) -> io::Result<()> {
    let left = SYNCS_LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    match left {
        Ok(_) => mapping.flush(from, to),
        Err(_) => Err(io::Error::other("input/output error")),
    }
}

fn timer(n: u64) -> Event {
    Event { kind: Kind::Timer as u8, seq: n + 1, ts_recv: n as i64, ..Event::EMPTY }
}

fn small(threaded: bool) -> JournalSettings {
    JournalSettings {
        segment_records: [64; LANES],
        flush_interval_ms: 1,
        threaded,
        ..JournalSettings::live(7)
    }
}

fn read_all(dir: &Path) -> (Vec<Event>, Option<LaneEnd>) {
    let mut reader = LaneReader::open(dir, 0).unwrap();
    let events = reader.by_ref().map(|item| item.unwrap().1).collect();
    (events, reader.end())
}

/// Appends until the journal refuses for good; returns how many records it took.
fn append_until_poisoned(writer: &mut LaneWriter) -> u64 {
    loop {
        match writer.append(&timer(writer.records())) {
            Ok(_) | Err(JournalFault::NoSegment) => std::thread::yield_now(),
            Err(JournalFault::Poisoned) => return writer.records(),
        }
    }
}

#[test]
fn fault_p09_the_first_failing_sync_poisons_the_journal_and_nothing_is_sealed_after_it() {
    for failing in 0..5 {
        SYNCS_LEFT.store(failing, Ordering::Relaxed);
        let dir = tempfile::tempdir().unwrap();
        let (journal, mut writers) =
            Journal::create_with(dir.path(), small(true), failing_sync).unwrap();
        let health = journal.health();
        let appended = append_until_poisoned(&mut writers[0]);
        // The disk works again: that must not matter, the lost pages are marked clean.
        SYNCS_LEFT.store(u64::MAX, Ordering::Relaxed);
        for writer in &mut writers {
            assert_eq!(writer.append(&timer(0)), Err(JournalFault::Poisoned));
        }
        assert!(health.poisoned());
        assert!(health.durable(0) <= appended);
        assert!(health.last_error().unwrap().contains("input/output error"));
        assert!(matches!(journal.close(writers), Err(JournalError::Poisoned(_))));
        // Everything appended is still in the file as far as this machine goes.
        let (events, end) = read_all(dir.path());
        assert!(events == (0..appended).map(timer).collect::<Vec<_>>());
        assert_eq!(end, Some(LaneEnd::Open { torn: false }));
    }
}

#[test]
fn warming_pages_under_the_pen_never_changes_a_record() {
    let (_dir, path, opening, mut pen, mapping) = mapped_segment(64 * 1_024);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                mapping.warm(0, opening.capacity);
            }
        });
        for n in 0..opening.capacity {
            let event = timer(n);
            assert!(pen.store(&event, commit_word(&event, opening.seed(), RecordIndex(n))));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(!pen.store(&timer(0), 1), "a full segment takes no record");
    let bytes = std::fs::read(&path).unwrap();
    for (n, record) in bytes[HEADER_BYTES..].chunks(128).enumerate() {
        let event = timer(n as u64);
        let check = commit_word(&event, opening.seed(), RecordIndex(n as u64));
        let expected = Event { check, ..event };
        assert_eq!(record, zerocopy::IntoBytes::as_bytes(&expected));
    }
}

/// A mapped segment of zeros, written page by page as the keeper does.
fn mapped_segment(
    records: u64,
) -> (tempfile::TempDir, PathBuf, Opening, Pen, std::sync::Arc<Mapping>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("segment");
    let opening = Opening::new(1, 0, 0, records);
    let mut options = std::fs::File::options();
    let mut file = options.read(true).write(true).create_new(true).open(&path).unwrap();
    for _ in 0..opening.file_bytes() / 4_096 {
        file.write_all(&[0; 4_096]).unwrap();
    }
    let (pen, mapping) = Mapping::new(&file, records).unwrap();
    (dir, path, opening, pen, mapping)
}

/// Page faults of this thread that needed no disk, from the system's own count.
fn minor_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name in parentheses may hold spaces; `minflt` is the eighth field after it.
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn a_writer_on_warm_pages_takes_next_to_no_page_faults() {
    let records = 1_024 * 32;
    let faults = [false, true].map(|warm| {
        let (_dir, _path, opening, mut pen, mapping) = mapped_segment(records);
        if warm {
            mapping.warm(0, records);
        }
        let before = minor_faults();
        for n in 0..opening.capacity {
            assert!(pen.store(&timer(n), 1));
        }
        minor_faults() - before
    });
    // The system may write a page back in between: not none, but far from one per page.
    assert!(faults[1] * 8 < faults[0], "{faults:?}");
}

#[test]
fn a_segment_name_has_one_spelling() {
    for (lane, number) in [(0, 0), (4, 999_999), (3, 1_000_000), (1, u64::MAX)] {
        let name = segment_file_name(lane, number);
        assert_eq!(parse_segment_file_name(&name), Some((lane, number)));
    }
    assert_eq!(segment_file_name(2, 31), "lane2-000031.pgj");
    let foreign = [
        "lane0-0000000.pgj",
        "lane0-00000.pgj",
        "lane00-000000.pgj",
        "lane0-+00001.pgj",
        "lane0-000000.pgj.tmp",
        "lane0-000000.pgj.damaged",
        "lane0-18446744073709551616.pgj",
        "lane0_000000.pgj",
        "",
    ];
    for name in foreign {
        assert_eq!(parse_segment_file_name(name), None, "{name}");
    }
}

#[test]
fn a_header_comes_back_as_it_was_and_no_flipped_bit_passes() {
    let opening = Opening::new(0xFEED, 3, 12, 500);
    let seal = Seal { ending: Ending::Cut, records: 31, previous: 5, chain: 6 };
    for header in [Header { opening, seal: None }, Header { opening, seal: Some(seal) }] {
        let block = header.encode();
        assert_eq!(Header::decode(&block), Ok(header));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = block;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&flipped).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn a_commit_word_depends_on_session_lane_segment_and_place_and_is_never_zero() {
    let event = timer(3);
    let word = |session, lane, number, record| {
        commit_word(&event, Opening::new(session, lane, number, 10).seed(), RecordIndex(record))
    };
    let base = word(1, 0, 0, 0);
    for other in [word(2, 0, 0, 0), word(1, 1, 0, 0), word(1, 0, 1, 0), word(1, 0, 0, 1)] {
        assert_ne!(base, other);
    }
    assert_eq!(
        base,
        commit_word(
            &Event { check: 99, ..event },
            Opening::new(1, 0, 0, 10).seed(),
            RecordIndex(0)
        )
    );
    assert!((0..100_000).all(|record| word(1, 0, 0, record) != 0));
}

#[test]
fn a_field_name_means_one_type_in_every_kind_and_comes_once_per_kind() {
    let mut types = HashMap::new();
    for &kind in Kind::ALL {
        let mut seen = BTreeMap::new();
        let event = Event { kind: kind as u8, ..Event::EMPTY };
        visit_fields(&event, &mut |name, field| {
            *seen.entry(name).or_insert(0) += 1;
            let type_of = match field {
                // Choices, reasons, ids and texts all become text columns.
                Field::Choice(..) | Field::Bytes(_) | Field::Text(_) => {
                    discriminant(&Field::Hash(0))
                }
                other => discriminant(&zeroed(other)),
            };
            let known = *types.entry(name).or_insert(type_of);
            assert_eq!(known, type_of, "{name} of {}", kind.name());
        });
        assert!(seen.values().all(|&count| count == 1), "{}: {seen:?}", kind.name());
    }
}

/// The field with a lifetime of its own, for comparing types alone.
fn zeroed(field: Field<'_>) -> Field<'static> {
    match field {
        Field::Fixed(n) => Field::Fixed(n),
        Field::Time(n) => Field::Time(n),
        Field::Count(n) => Field::Count(n),
        Field::Whole(n) => Field::Whole(n),
        Field::Ratio(n) => Field::Ratio(n),
        Field::Levels(_) => Field::Levels(&[crate::base::event::Level { px: 0, qty: 0 }; 6]),
        _ => Field::Hash(0),
    }
}

#[test]
fn a_follower_sees_every_record_once_however_its_reading_and_the_writing_interleave() {
    for step in [1, 3, 64, 100] {
        let dir = tempfile::tempdir().unwrap();
        let settings = small(false);
        let (journal, mut writers) = Journal::create(dir.path(), settings).unwrap();
        let mut follower = LaneFollower::open(dir.path(), 0, RecordIndex(0)).unwrap();
        let mut seen = Vec::new();
        let mut follow = |follower: &mut LaneFollower| {
            while let Followed::Record(record, event) = follower.read().unwrap() {
                assert_eq!(record.0 + 1, event.seq);
                seen.push(event.seq);
            }
        };
        for n in 0..300 {
            let _ = writers[0].append(&timer(n)).unwrap();
            if n % step == 0 {
                follow(&mut follower);
                assert_eq!(follower.position().0, n + 1, "nothing that is there is overlooked");
            }
        }
        assert!(!follower.is_closed());
        journal.close(writers).unwrap();
        follow(&mut follower);
        assert!(follower.is_closed());
        assert_eq!(seen, (1..=300).collect::<Vec<u64>>());
        let mut late = LaneFollower::open(dir.path(), 0, RecordIndex(299)).unwrap();
        assert!(matches!(late.read().unwrap(), Followed::Record(RecordIndex(299), _)));
        assert!(matches!(late.read().unwrap(), Followed::Nothing) && late.is_closed());
    }
}

#[test]
fn a_follower_is_told_what_retention_took_and_where_a_sealed_segment_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let settings = JournalSettings { keep_segments: 2, ..small(false) };
    let (journal, mut writers) = Journal::create(dir.path(), settings).unwrap();
    let mut follower = LaneFollower::open(dir.path(), 0, RecordIndex(0)).unwrap();
    for n in 0..640 {
        let _ = writers[0].append(&timer(n)).unwrap();
    }
    journal.close(writers).unwrap();
    let Followed::Retired(from, to) = follower.read().unwrap() else { panic!("not told") };
    assert_eq!((from, to), (RecordIndex(0), RecordIndex(512)));
    assert!(matches!(follower.read().unwrap(), Followed::Record(RecordIndex(512), _)));
    let path = dir.path().join(segment_file_name(0, 9));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[HEADER_BYTES + 128 * 5 + 40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damage = loop {
        match follower.read() {
            Ok(Followed::Record(..)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(damage) => break damage,
        }
    };
    assert_eq!(damage.record, RecordIndex(9 * 64 + 5));
}
