//! A session's journal from creation to close: same bytes with and without a keeper thread, what
//! is refused, what retention keeps, what an independent reading of the format finds.

use crate::journal_support::{
    Left, SESSION, append_all, event, events_of_lane, journal_of, read, segment, settings,
};
use peregrine::base::Event;
use peregrine::base::event::Kind;
use peregrine::journal::format::Ending;
use peregrine::journal::{
    Journal, JournalError, JournalFault, JournalSettings, LANES, LaneEnd, read_attachment, repair,
    stat, verify,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};
use zerocopy::IntoBytes;

/// Every file of a folder with its bytes.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

fn write_session(dir: &Path, settings: JournalSettings, lanes: &[Vec<Event>; LANES]) {
    let (journal, mut writers) = Journal::create(dir, settings).unwrap();
    journal.attach("config.toml", b"mode = \"paper\"\n").unwrap();
    for (writer, events) in writers.iter_mut().zip(lanes) {
        append_all(writer, events);
    }
    let records = journal.close(writers).unwrap();
    assert_eq!(records, lanes.each_ref().map(|events| events.len() as u64));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_keeper_thread_changes_no_byte_and_every_record_comes_back(
        counts in proptest::array::uniform5(0_usize..150),
        segment_records in 1_usize..70,
        keep_segments in 0_u32..4,
    ) {
        let lanes: [Vec<Event>; LANES] =
            std::array::from_fn(|lane| events_of_lane(lane, counts[lane]));
        let folders = [false, true].map(|threaded| {
            let dir = tempfile::tempdir().unwrap();
            let settings =
                JournalSettings { keep_segments, ..settings(segment_records, threaded) };
            write_session(dir.path(), settings, &lanes);
            dir
        });
        let [inline, threaded] = folders.each_ref().map(|dir| contents(dir.path()));
        prop_assert!(inline == threaded);
        for (lane, written) in lanes.iter().enumerate() {
            let read = read(folders[0].path(), lane);
            prop_assert_eq!(read.end, Ok(LaneEnd::Closed(Ending::Final)));
            let kept = &written[written.len() - read.events.len()..];
            prop_assert_eq!(&read.events, kept);
            let segments = written.len().div_ceil(segment_records).max(1);
            let whole = keep_segments == 0 || segments <= keep_segments as usize;
            prop_assert_eq!(whole, read.events.len() == written.len());
            if !whole {
                let first = (segments - keep_segments as usize) * segment_records;
                prop_assert_eq!(written.len() - read.events.len(), first);
            }
        }
        let report = verify(folders[0].path());
        prop_assert_eq!((report.corrupt, report.torn), (0, 0));
    }
}

/// Reads a lane by `docs/JOURNAL_FORMAT.md` alone, with no code of the room.
fn read_by_the_book(dir: &Path, lane: u32) -> Vec<Vec<u8>> {
    let u32_at = |b: &[u8], at: usize| u32::from_le_bytes(b[at..at + 4].try_into().unwrap());
    let u64_at = |b: &[u8], at: usize| u64::from_le_bytes(b[at..at + 8].try_into().unwrap());
    let (mut records, mut previous) = (Vec::new(), 0);
    for number in 0.. {
        let bytes = fs::read(dir.join(format!("lane{lane}-{number:06}.pgj"))).unwrap();
        assert_eq!(&bytes[..8], b"PGRNJNL\n");
        assert_eq!((u32_at(&bytes, 8), u32_at(&bytes, 12)), (1, 4));
        let (session, capacity) = (u64_at(&bytes, 16), u64_at(&bytes, 48));
        assert_eq!((u32_at(&bytes, 24), u32_at(&bytes, 28)), (lane, 128));
        assert_eq!((u64_at(&bytes, 32), u64_at(&bytes, 40)), (number, number * capacity));
        assert_eq!(u64_at(&bytes, 56), xxh3_64(&bytes[..56]));
        assert_eq!(u64_at(&bytes, 96), xxh3_64(&bytes[..96]));
        let (ending, count) = (u32_at(&bytes, 64), u64_at(&bytes, 72));
        assert_eq!(u64_at(&bytes, 80), previous);
        let body = &bytes[4_096..];
        assert_eq!(body.len() as u64, count * 128);
        let chained = [&previous.to_le_bytes(), &bytes[..64], body].concat();
        previous = xxh3_64(&chained);
        assert_eq!(u64_at(&bytes, 88), previous);

        let identity =
            [&session.to_le_bytes()[..], &lane.to_le_bytes(), &number.to_le_bytes()].concat();
        for (i, record) in body.chunks(128).enumerate() {
            let index = number * capacity + i as u64;
            let seed = xxh3_64(&identity) ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut clean = record.to_vec();
            clean[4..8].fill(0);
            assert_eq!(u32_at(record, 4), (xxh3_64_with_seed(&clean, seed) as u32).max(1));
            records.push(clean);
        }
        if ending != 1 {
            assert_eq!(ending, 2);
            return records;
        }
    }
    unreachable!("a closed lane has a last segment")
}

#[test]
fn a_reader_written_from_the_format_page_alone_reads_every_record() {
    let lanes: [Vec<Event>; LANES] = std::array::from_fn(|lane| events_of_lane(lane, 45));
    let dir = tempfile::tempdir().unwrap();
    write_session(dir.path(), settings(16, false), &lanes);
    for (lane, events) in lanes.iter().enumerate() {
        let written: Vec<Vec<u8>> = events.iter().map(|event| event.as_bytes().to_vec()).collect();
        assert_eq!(read_by_the_book(dir.path(), lane as u32), written);
    }
}

#[test]
fn the_proof_names_lane_and_place_and_the_check_in_hand_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut writers) = Journal::create(dir.path(), settings(4, false)).unwrap();
    for n in 0..10 {
        let dirty = Event { check: 0xDEAD_BEEF, ..event(Kind::OrderIntent, n) };
        let journaled = writers[3].append(&dirty).unwrap();
        assert_eq!((journaled.lane(), journaled.record().0), (3, n));
    }
    journal.close(writers).unwrap();
    let expected: Vec<Event> = (0..10).map(|n| event(Kind::OrderIntent, n)).collect();
    assert_eq!(read(dir.path(), 3).events, expected);
}

#[test]
fn a_journal_starts_in_an_empty_folder_that_nobody_else_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, writers) = Journal::create(dir.path(), settings(4, true)).unwrap();
    let again = Journal::create(dir.path(), settings(4, true));
    assert!(matches!(again.err(), Some(JournalError::Locked(_))));
    assert!(matches!(repair(dir.path(), true), Err(JournalError::Locked(_))));
    journal.close(writers).unwrap();
    let again = Journal::create(dir.path(), settings(4, true));
    assert!(matches!(again.err(), Some(JournalError::NotEmpty(_))));

    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("journal");
    let refused = Journal::create(&below, settings(4, true)).err().unwrap().to_string();
    assert!(refused.contains(below.to_str().unwrap()), "{refused}");
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |settings| Journal::create(dir.path(), settings).err().unwrap().to_string();
    let zero = JournalSettings { segment_records: [4, 4, 0, 4, 4], ..settings(4, false) };
    assert!(refused(zero).starts_with("journal setting segment_records: lane 2"));
    let huge = JournalSettings { segment_records: [1 << 30; LANES], ..settings(4, false) };
    assert!(refused(huge).starts_with("journal setting segment_records: lane 0"));
    let interval = JournalSettings { flush_interval_ms: 0, ..settings(4, true) };
    assert!(refused(interval).starts_with("journal setting flush_interval_ms: 0"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn fault_p06_a_journal_without_its_folder_runs_out_of_segments_and_says_why() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, gone) = (parent.path().join("journal"), parent.path().join("gone"));
    let (journal, mut writers) = Journal::create(&dir, settings(8, true)).unwrap();
    let health = journal.health();
    fs::rename(&dir, &gone).unwrap();
    // At most the first segment and two ready ones take records.
    for n in 0.. {
        match writers[0].append(&event(Kind::Timer, n)) {
            Ok(_) => assert!(n < 24),
            Err(fault) => {
                assert_eq!(fault, JournalFault::NoSegment);
                if health.last_error().is_some() {
                    break;
                }
                std::thread::yield_now();
            }
        }
    }
    assert!(writers[0].append(&event(Kind::Timer, 0)).is_err());
    let error = health.last_error().unwrap();
    assert!(error.contains(dir.to_str().unwrap()), "{error}");
    drop(journal);

    // The same without a keeper thread.
    fs::remove_dir_all(&gone).unwrap();
    let (journal, mut writers) = Journal::create(&dir, settings(8, false)).unwrap();
    fs::rename(&dir, &gone).unwrap();
    append_all(&mut writers[0], &events_of_lane(0, 8));
    assert_eq!(writers[0].append(&event(Kind::Timer, 9)), Err(JournalFault::NoSegment));
    assert!(journal.health().last_error().is_some());
}

#[test]
fn what_was_appended_becomes_durable_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut writers) = Journal::create(dir.path(), settings(64, true)).unwrap();
    let health = journal.health();
    append_all(&mut writers[2], &events_of_lane(2, 100));
    assert_eq!(health.appended(2), 100);
    while health.durable(2) < 100 {
        std::thread::yield_now();
    }
    while health.disk_free_bytes() == 0 {
        std::thread::yield_now();
    }
    assert!(!health.low_space() && !health.poisoned());
    journal.close(writers).unwrap();
}

#[test]
fn fault_p06_low_disk_space_is_told_and_does_not_stop_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let settings = JournalSettings { disk_free_min_bytes: u64::MAX, ..settings(8, true) };
    let (journal, mut writers) = Journal::create(dir.path(), settings).unwrap();
    while !journal.health().low_space() {
        std::thread::yield_now();
    }
    append_all(&mut writers[0], &events_of_lane(0, 50));
    journal.close(writers).unwrap();
    assert_eq!(read(dir.path(), 0).events, events_of_lane(0, 50));
}

#[test]
fn attachments_are_listed_hashed_replaced_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, writers) = Journal::create(dir.path(), settings(8, true)).unwrap();
    journal.attach("model.onnx", b"first").unwrap();
    journal.attach("card.toml", b"card").unwrap();
    journal.attach("model.onnx", b"second").unwrap();
    let unlawful =
        ["", ".", "..", "a/b", "/etc/x", ".hidden", "manifest.json", "lane0-000000.pgj", "x.tmp"];
    for name in unlawful {
        let refused = journal.attach(name, b"x");
        assert!(matches!(refused, Err(JournalError::Attachment { .. })), "{name:?}");
    }
    journal.close(writers).unwrap();

    assert_eq!(read_attachment(dir.path(), "model.onnx").unwrap(), b"second");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("manifest.json")).unwrap()).unwrap();
    let hash: String = Sha256::digest(b"second").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(manifest["attachments"][1]["sha256"], hash);
    assert_eq!(stat(dir.path()).unwrap().attachments, ["card.toml", "model.onnx"]);
    assert_eq!(verify(dir.path()).corrupt, 0);

    assert!(read_attachment(dir.path(), "other").is_err());
    fs::write(dir.path().join("model.onnx"), b"sec0nd").unwrap();
    fs::remove_file(dir.path().join("card.toml")).unwrap();
    assert!(read_attachment(dir.path(), "model.onnx").is_err());
    let report = verify(dir.path());
    assert_eq!(report.corrupt, 2);
    assert!(report.first.unwrap().contains("card.toml"));
}

#[test]
fn retired_segments_left_by_a_crash_are_no_damage_but_lost_ones_are() {
    let events = events_of_lane(0, 100);
    let settings = JournalSettings { keep_segments: 2, ..settings(16, false) };
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut writers) = Journal::create(dir.path(), settings).unwrap();
    append_all(&mut writers[0], &events);
    journal.close(writers).unwrap();
    // The crash: the manifest was written, the file not yet deleted.
    fs::write(segment(dir.path(), 0, 4), b"left behind").unwrap();
    assert_eq!(read(dir.path(), 0).events, events[80..]);
    fs::remove_file(segment(dir.path(), 0, 5)).unwrap();
    assert!(read(dir.path(), 0).end.is_err());
}

#[test]
fn a_closed_journal_holds_nothing_but_its_records() {
    let dir = journal_of(&events_of_lane(0, 20), 16, Left::Closed);
    let files = contents(dir.path());
    let sizes: Vec<(&str, usize)> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect();
    let expected = [
        ("lane0-000000.pgj", 4_096 + 16 * 128),
        ("lane0-000001.pgj", 4_096 + 4 * 128),
        ("lane1-000000.pgj", 4_096),
        ("lane2-000000.pgj", 4_096),
        ("lane3-000000.pgj", 4_096),
        ("lane4-000000.pgj", 4_096),
    ];
    assert_eq!(sizes[..6], expected);
    assert_eq!(sizes[6].0, "manifest.json");
    let session = stat(dir.path()).unwrap().session;
    assert_eq!(session, format!("{SESSION:016x}"));
}
