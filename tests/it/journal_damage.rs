//! Damage of every sort: nothing is ever read that was not written, and nothing is missing without
//! a word.

use crate::journal_support::{
    Left, SESSION, append_all, event, events_of_lane, journal_of, never_silent, one_of_each_kind,
    read, segment, settings,
};
use peregrine::base::event::Kind;
use peregrine::journal::format::{Header, Opening, RECORD_BYTES};
use peregrine::journal::{Damage, Journal, LaneEnd, LaneReader, verify};
use proptest::prelude::*;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

const HEADER: usize = 4_096;

/// Changes one byte of a file for as long as `check` runs.
fn with_byte(file: &File, at: u64, change: impl Fn(u8) -> u8, check: impl FnOnce()) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[change(byte[0])], at).unwrap();
    check();
    file.write_all_at(&byte, at).unwrap();
}

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn damage_of(dir: &Path) -> Damage {
    read(dir, 0).end.expect_err("this must be refused").damage
}

#[test]
fn a_segment_cut_at_any_byte_is_a_prefix_that_says_so() {
    let events = events_of_lane(0, 20);
    for left in [Left::Closed, Left::Crashed] {
        let dir = journal_of(&events, 16, left);
        let last = segment(dir.path(), 0, 1);
        let whole = fs::read(&last).unwrap();
        for length in (0..whole.len()).rev() {
            open(&last).set_len(length as u64).unwrap();
            let read = read(dir.path(), 0);
            let sound = 16 + length.saturating_sub(HEADER) / RECORD_BYTES;
            match left {
                Left::Crashed if length >= HEADER => {
                    assert_eq!(read.end, Ok(LaneEnd::Open { torn: true }), "{length}");
                    assert_eq!(read.events, events[..sound.min(20)], "{length}");
                }
                _ => {
                    assert!(read.end.is_err(), "{left:?} {length}");
                    assert_eq!(read.events, events[..16], "{left:?} {length}");
                }
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_every_kind_of_record_is_told() {
    let events = one_of_each_kind();
    for left in [Left::Closed, Left::Crashed] {
        let dir = journal_of(&events, 64, left);
        let file = open(&segment(dir.path(), 0, 0));
        for bit in 0..events.len() * RECORD_BYTES * 8 {
            let at = (HEADER + bit / 8) as u64;
            with_byte(
                &file,
                at,
                |byte| byte ^ 1 << (bit % 8),
                || {
                    let told = never_silent(dir.path(), 0, &events, &format!("{left:?} bit {bit}"));
                    assert!(told, "{left:?} bit {bit} of byte {at} went unnoticed");
                },
            );
        }
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_refused() {
    let events = events_of_lane(0, 12);
    for left in [Left::Closed, Left::Crashed] {
        let dir = journal_of(&events, 8, left);
        let file = open(&segment(dir.path(), 0, 1));
        for bit in 0..HEADER * 8 {
            with_byte(
                &file,
                (bit / 8) as u64,
                |byte| byte ^ 1 << (bit % 8),
                || {
                    let read = read(dir.path(), 0);
                    assert!(read.end.is_err(), "{left:?} bit {bit}");
                    assert_eq!(read.events, events[..8], "{left:?} bit {bit}");
                },
            );
        }
    }
}

#[test]
fn zeroed_pages_in_any_combination_are_holes_or_an_end_but_never_a_gap() {
    let events = events_of_lane(0, 12 * 32);
    for left in [Left::Closed, Left::Crashed] {
        let dir = journal_of(&events, 12 * 32, left);
        let path = segment(dir.path(), 0, 0);
        let whole = fs::read(&path).unwrap();
        for subset in 1..256_u32 {
            let mut bytes = whole.clone();
            for page in (0..8).filter(|page| subset & 1 << page != 0) {
                let start = HEADER + (4 + page) * 4_096;
                bytes[start..start + 4_096].fill(0);
            }
            fs::write(&path, &bytes).unwrap();
            let read = read(dir.path(), 0);
            let first_lost = (4 + subset.trailing_zeros() as usize) * 32;
            assert_eq!(read.events, events[..first_lost], "{left:?} {subset:08b}");
            // Zeros up to the end of a crashed lane are a place never written; all else is told.
            let lowest = subset.trailing_zeros();
            let tail = subset >> lowest == 0xFF >> lowest;
            let told = read.end.is_err();
            assert_eq!(told, left == Left::Closed || !tail, "{left:?} {subset:08b}");
        }
    }
}

#[test]
fn a_record_in_another_records_place_is_refused() {
    let events = events_of_lane(0, 40);
    let dir = journal_of(&events, 16, Left::Crashed);
    let sound: Vec<Vec<u8>> =
        (0..3).map(|n| fs::read(segment(dir.path(), 0, n)).unwrap()).collect();
    let place = |record: usize| (record / 16, HEADER + record % 16 * RECORD_BYTES);
    for from in 0..40 {
        for to in (0..40).filter(|&to| to != from) {
            let (from_segment, from_at) = place(from);
            let (to_segment, to_at) = place(to);
            let path = segment(dir.path(), 0, to_segment as u64);
            let record = &sound[from_segment][from_at..from_at + RECORD_BYTES];
            open(&path).write_all_at(record, to_at as u64).unwrap();
            let told = never_silent(dir.path(), 0, &events, &format!("{from} over {to}"));
            assert!(told, "{from} over {to} went unnoticed");
            fs::write(&path, &sound[to_segment]).unwrap();
        }
    }
}

#[test]
fn stale_bytes_of_a_recycled_segment_are_not_read_as_records() {
    let events = events_of_lane(0, 20);
    let dir = journal_of(&events, 16, Left::Crashed);
    let old = fs::read(segment(dir.path(), 0, 0)).unwrap();
    let last = segment(dir.path(), 0, 1);
    let stale = &old[HEADER + 4 * RECORD_BYTES..];
    open(&last).write_all_at(stale, (HEADER + 4 * RECORD_BYTES) as u64).unwrap();
    let read = read(dir.path(), 0);
    assert_eq!(read.events, events);
    assert_eq!(read.end, Ok(LaneEnd::Open { torn: true }));
}

#[test]
fn segments_missing_renamed_copied_or_from_elsewhere_are_refused() {
    let events = events_of_lane(0, 40);
    for left in [Left::Closed, Left::Crashed] {
        let path = |dir: &Path, n: u64| segment(dir, 0, n);
        let check = |what: &str, sound: usize, damage: fn(&Path)| {
            let dir = journal_of(&events, 16, left);
            damage(dir.path());
            let read = read(dir.path(), 0);
            assert!(read.end.is_err(), "{left:?}: {what}");
            assert_eq!(read.events, events[..sound], "{left:?}: {what}");
        };
        check("first missing", 0, |dir| fs::remove_file(segment(dir, 0, 0)).unwrap());
        check("middle missing", 16, |dir| fs::remove_file(segment(dir, 0, 1)).unwrap());
        check("swapped", 0, |dir| {
            fs::rename(segment(dir, 0, 0), dir.join("x")).unwrap();
            fs::rename(segment(dir, 0, 1), segment(dir, 0, 0)).unwrap();
            fs::rename(dir.join("x"), segment(dir, 0, 1)).unwrap();
        });
        check("other lane's", 0, |dir| {
            fs::copy(segment(dir, 1, 0), segment(dir, 0, 0)).unwrap();
        });
        let dir = journal_of(&events, 16, left);
        fs::copy(path(dir.path(), 2), path(dir.path(), 3)).unwrap();
        assert!(read(dir.path(), 0).end.is_err(), "{left:?}: copied to the end");
    }
}

#[test]
fn a_sealed_segment_of_another_history_breaks_the_chain() {
    let events = events_of_lane(0, 40);
    let mut other = events.clone();
    other[3].seq += 1;
    let dir = journal_of(&events, 16, Left::Closed);
    let foreign = journal_of(&other, 16, Left::Closed);
    // Every record of this segment is sound in itself: only the chain can tell.
    fs::copy(segment(foreign.path(), 0, 1), segment(dir.path(), 0, 1)).unwrap();
    assert_eq!(damage_of(dir.path()), Damage::ChainHash);
}

#[test]
fn the_last_segment_of_a_closed_lane_cannot_be_taken_away_unnoticed() {
    let dir = journal_of(&events_of_lane(0, 32), 16, Left::Closed);
    fs::remove_file(segment(dir.path(), 0, 1)).unwrap();
    let corrupt = read(dir.path(), 0).end.unwrap_err();
    assert_eq!(corrupt.damage, Damage::MissingSegment);
    let text = corrupt.to_string();
    assert_eq!(text, "lane 0, lane0-000001.pgj, record 16, byte 0: the segment is missing");
}

#[test]
fn damage_is_named_by_lane_file_record_and_byte() {
    let dir = journal_of(&events_of_lane(0, 40), 16, Left::Closed);
    let at = (HEADER + 3 * RECORD_BYTES + 77) as u64;
    open(&segment(dir.path(), 0, 1)).write_all_at(&[0xAA, 0xBB, 0xCC], at).unwrap();
    let report = verify(dir.path());
    assert_eq!((report.records, report.corrupt, report.torn), (19, 1, 0));
    let expected = "lane 0, lane0-000001.pgj, record 19, byte 4480: the record does not match its \
                    check";
    assert_eq!(report.first.as_deref(), Some(expected));
}

/// A header that was changed by someone who knows how to compute its check.
fn forge(dir: &Path, at: usize, bytes: &[u8]) -> Damage {
    let file = open(&segment(dir, 0, 0));
    let mut block = [0; HEADER];
    file.read_exact_at(&mut block, 0).unwrap();
    let sound = block;
    block[at..at + bytes.len()].copy_from_slice(bytes);
    let check = xxh3_64(&block[..56]).to_le_bytes();
    block[56..64].copy_from_slice(&check);
    file.write_all_at(&block, 0).unwrap();
    let damage = damage_of(dir);
    file.write_all_at(&sound, 0).unwrap();
    damage
}

#[test]
fn other_versions_sessions_and_impossible_headers_are_refused_by_name() {
    let dir = journal_of(&events_of_lane(0, 3), 16, Left::Crashed);
    let dir = dir.path();
    assert_eq!(forge(dir, 8, &9_u32.to_le_bytes()), Damage::FormatVersion(9));
    assert_eq!(forge(dir, 12, &7_u32.to_le_bytes()), Damage::EventVersion(7));
    let foreign = Damage::ForeignSession { found: 5, expected: SESSION };
    assert_eq!(forge(dir, 16, &5_u64.to_le_bytes()), foreign);
    assert_eq!(forge(dir, 28, &64_u32.to_le_bytes()), Damage::Field("record size"));
    assert_eq!(forge(dir, 40, &1_u64.to_le_bytes()), Damage::Field("first record"));
    for capacity in [0, u64::MAX, 1 << 40] {
        assert_eq!(forge(dir, 48, &u64::to_le_bytes(capacity)), Damage::Field("capacity"));
    }
    let capacity = Damage::Capacity { found: 17, expected: 16 };
    assert_eq!(forge(dir, 48, &17_u64.to_le_bytes()), capacity);
    assert!(matches!(forge(dir, 24, &1_u32.to_le_bytes()), Damage::Misplaced(_)));
    assert!(matches!(forge(dir, 32, &u64::MAX.to_le_bytes()), Damage::Field(_)));
}

#[test]
fn a_file_that_is_too_long_or_no_file_is_refused() {
    for left in [Left::Closed, Left::Crashed] {
        let dir = journal_of(&events_of_lane(0, 3), 16, left);
        let path = segment(dir.path(), 0, 0);
        // A terabyte of nothing must cost neither memory nor time.
        open(&path).set_len(1 << 40).unwrap();
        assert!(matches!(damage_of(dir.path()), Damage::FileSize { .. }));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(damage_of(dir.path()), Damage::NotAFile);
    }
}

#[test]
fn a_reader_beside_the_writer_sees_a_growing_prefix_and_never_damage() {
    let dir = tempfile::tempdir().unwrap();
    let events = events_of_lane(0, 6_000);
    let (journal, mut writers) = Journal::create(dir.path(), settings(64, true)).unwrap();
    let health = journal.health();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            append_all(&mut writers[0], &events);
            journal.close(writers).unwrap();
        });
        let mut known = 0;
        while !writing.is_finished() {
            let appended = health.appended(0) as usize;
            let read = read(dir.path(), 0);
            assert!(read.end.is_ok(), "{:?}", read.end);
            assert!(read.events.len() >= appended.max(known), "a record went missing");
            assert!(read.events == events[..read.events.len()]);
            known = read.events.len();
        }
    });
    let read = read(dir.path(), 0);
    assert!(read.events == events);
    assert!(matches!(read.end, Ok(LaneEnd::Closed(_))));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn hostile_segments_neither_panic_nor_yield_records(
        bytes in proptest::collection::vec(any::<u8>(), 0..9_000),
        sound_header in any::<bool>(),
    ) {
        let dir = journal_of(&[], 16, Left::Crashed);
        let mut bytes = bytes;
        if sound_header {
            let opening = Opening::new(SESSION, 0, 0, 16);
            let mut whole = Header { opening, seal: None }.encode().to_vec();
            whole.append(&mut bytes);
            bytes = whole;
        }
        fs::write(segment(dir.path(), 0, 0), &bytes).unwrap();
        prop_assert!(read(dir.path(), 0).events.is_empty());
        verify(dir.path());
    }

    #[test]
    fn hostile_manifests_are_refused_or_harmless(
        at in 0_usize..400,
        bytes in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        let events = [event(Kind::Timer, 0)];
        let dir = journal_of(&events, 16, Left::Closed);
        let path = dir.path().join("manifest.json");
        let mut text = fs::read(&path).unwrap();
        for (target, byte) in text.iter_mut().skip(at).zip(&bytes) {
            *target = *byte;
        }
        fs::write(&path, &text).unwrap();
        if LaneReader::open(dir.path(), 0).is_ok() {
            never_silent(dir.path(), 0, &events, "manifest");
        }
        verify(dir.path());
    }
}
