//! A process killed while it appends loses nothing that it appended; repair ends what it left.

use crate::journal_support::{
    Left, append_all, event, events_of_lane, journal_of, read, segment, settings,
};
use peregrine::base::Event;
use peregrine::base::event::Kind;
use peregrine::journal::format::Ending;
use peregrine::journal::{
    Journal, JournalError, JournalFault, LANES, LaneEnd, repair, stat, verify,
};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

const CHILD_DIR: &str = "PEREGRINE_JOURNAL_CRASH_DIR";
const CHILD: &str = "journal_crash::the_child_that_is_killed_while_it_appends";

/// Does nothing as a test; as a child process it appends until it is killed and tells its parent
/// through the pipe, after every round, how many records each lane has.
#[test]
fn the_child_that_is_killed_while_it_appends() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let (_journal, mut writers) = Journal::create(Path::new(&dir), settings(512, true)).unwrap();
    for n in 0.. {
        for writer in &mut writers {
            while writer.append(&event(Kind::Timer, n)) == Err(JournalFault::NoSegment) {
                std::thread::yield_now();
            }
        }
        // A bare write, so that nothing said waits in a buffer.
        let said = format!("\nappended {}\n", n + 1);
        rustix::io::write(std::io::stdout(), said.as_bytes()).unwrap();
    }
}

/// Starts the child, kills it once it has said `rounds` and returns the last number it said.
fn kill_after(dir: &Path, rounds: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = 0;
    let mut killed = false;
    // After the kill the pipe still holds what the child said last.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Some(count) = line.unwrap().strip_prefix("appended ").map(str::to_owned) else {
            continue;
        };
        said = count.parse().unwrap_or(said);
        if said >= rounds && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(killed, "the child ended by itself");
    child.wait().unwrap();
    said
}

#[test]
fn a_killed_process_loses_nothing_it_appended() {
    for rounds in [1, 300, 511, 512, 513, 2_000, 5_000] {
        let dir = tempfile::tempdir().unwrap();
        let said = kill_after(dir.path(), rounds) as usize;
        let expected: Vec<Event> = (0..said as u64 + 1).map(|n| event(Kind::Timer, n)).collect();
        let mut before = Vec::new();
        for lane in 0..LANES {
            let read = read(dir.path(), lane);
            assert!(matches!(read.end, Ok(LaneEnd::Open { .. })), "lane {lane}: {:?}", read.end);
            assert!(read.events.len() >= said, "lane {lane}: {} of {said}", read.events.len());
            // The child may have been in the middle of its next round.
            assert!(read.events.len() <= said + 1, "lane {lane}: records were invented");
            assert!(read.events == expected[..read.events.len()]);
            before.push(read.events);
        }
        let report = verify(dir.path());
        assert_eq!(report.corrupt, 0, "{:?}", report.first);

        let repaired = repair(dir.path(), false).unwrap();
        assert_eq!(repaired.cut, [0, 1, 2, 3, 4]);
        assert!(repaired.lossy.is_empty());
        for (lane, before) in before.iter().enumerate() {
            let read = read(dir.path(), lane);
            assert_eq!(read.end, Ok(LaneEnd::Closed(Ending::Cut)));
            assert!(read.events == *before);
        }
        // Nothing is left to repair, and nothing half-made lies about.
        assert!(repair(dir.path(), false).unwrap().cut.is_empty());
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.map(|n| n.into_string().unwrap()).all(|name| !name.ends_with(".tmp")));
    }
}

fn damage(path: &Path, at: u64) {
    File::options().write(true).open(path).unwrap().write_all_at(&[0xFF; 16], at).unwrap();
}

#[test]
fn repair_keeps_every_sound_record_and_the_torn_original() {
    let events = events_of_lane(0, 20);
    let dir = journal_of(&events, 16, Left::Crashed);
    let last = segment(dir.path(), 0, 1);
    damage(&last, 4_096 + 4 * 128 + 60);
    let torn = fs::read(&last).unwrap();
    assert_eq!(verify(dir.path()).torn, 1);

    let report = repair(dir.path(), false).unwrap();
    assert_eq!(report.set_aside, ["lane0-000001.pgj.damaged"]);
    assert_eq!(fs::read(dir.path().join("lane0-000001.pgj.damaged")).unwrap(), torn);
    assert!(read(dir.path(), 0).events == events);
    assert_eq!(read(dir.path(), 0).end, Ok(LaneEnd::Closed(Ending::Cut)));
    let report = verify(dir.path());
    assert_eq!((report.records, report.corrupt, report.torn), (20, 0, 0));
}

/// Harms a journal of four segments, repairs it, and expects the first `kept` records.
fn repair_with_loss(left: Left, kept: usize, harm: fn(&Path)) {
    let events = events_of_lane(0, 60);
    let dir = journal_of(&events, 16, left);
    harm(dir.path());
    let before = files_of(dir.path());
    let refused = repair(dir.path(), false);
    assert!(matches!(refused, Err(JournalError::Corrupt(_))), "{left:?}");
    assert!(files_of(dir.path()) == before, "a refused repair touches nothing");

    let report = repair(dir.path(), true).unwrap();
    assert_eq!(report.lossy, [0]);
    for name in &report.set_aside {
        let original = before.iter().find(|(n, _)| format!("{n}.damaged") == *name).unwrap();
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), original.1);
    }
    let read = read(dir.path(), 0);
    assert_eq!(read.end, Ok(LaneEnd::Closed(Ending::Lossy)), "{left:?}");
    assert!(read.events == events[..kept], "{left:?}: {} for {kept}", read.events.len());
    assert_eq!(verify(dir.path()).corrupt, 0);
    assert_eq!(stat(dir.path()).unwrap().lanes[0].ending, "lossy");
}

fn files_of(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn repair_refuses_damage_until_an_operator_accepts_the_loss() {
    for left in [Left::Closed, Left::Crashed] {
        repair_with_loss(left, 20, |dir| damage(&segment(dir, 0, 1), 4_096 + 4 * 128));
        repair_with_loss(left, 16, |dir| damage(&segment(dir, 0, 1), 20));
        repair_with_loss(left, 0, |dir| damage(&segment(dir, 0, 0), 20));
        repair_with_loss(left, 0, |dir| fs::remove_file(segment(dir, 0, 0)).unwrap());
        repair_with_loss(left, 32, |dir| fs::remove_file(segment(dir, 0, 2)).unwrap());
    }
    // A damaged seal takes its segment with it: without it the count of records is unknown.
    repair_with_loss(Left::Closed, 48, |dir| damage(&segment(dir, 0, 3), 70));
}

#[test]
fn a_dropped_journal_reads_like_a_crashed_one_and_repairs_to_the_same_records() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut writers) = Journal::create(dir.path(), settings(16, true)).unwrap();
    let events = events_of_lane(3, 100);
    append_all(&mut writers[3], &events);
    drop((journal, writers));
    // What a kill in the middle of a preparation leaves.
    let mut half = File::create(dir.path().join("lane3-000099.pgj.tmp")).unwrap();
    half.write_all(&[0; 100]).unwrap();
    assert!(read(dir.path(), 3).events == events);
    repair(dir.path(), false).unwrap();
    assert!(read(dir.path(), 3).events == events);
    assert!(!dir.path().join("lane3-000099.pgj.tmp").exists());
}
