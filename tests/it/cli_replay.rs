//! `replay --verify` finds every change of a journal and says where it is.

use crate::pipeline_support::{EAGER, Rig, lane, lanes, parts, peregrine, synthetic, text};
use peregrine::base::Event;
use peregrine::base::counters::Counter;
use peregrine::journal::Recorder;
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::backtest::close_journal;
use peregrine::runtime::replay;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Bytes before the first record, and of a record, as `docs/JOURNAL_FORMAT.md` has them.
const HEADER: usize = 4_096;
const RECORD: usize = 128;

fn session_parts() -> Parts {
    let (instruments, _) = synthetic(7, 1, &[]);
    let small = [("journal", "input_segment_mib", "1"), ("journal", "output_segment_mib", "1")];
    parts(instruments, &[&small[..], &EAGER].concat())
}

/// A sound journal of a session with orders; made once, copied by every test.
fn original() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let dir = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (_, arrivals) = synthetic(7, 20_000, &[]);
        let mut rig = Rig::fused(&session_parts(), &dir.path().join("journal"));
        rig.run(&arrivals);
        assert!(rig.count(Counter::Fills) > 0);
        rig.finish();
        dir
    });
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| dir.path().join("journal"))
}

fn copy() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(original()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn segment(dir: &Path, lane: usize) -> PathBuf {
    dir.join(format!("lane{lane}-000000.pgj"))
}

/// The program refuses the journal with exit code 1 in one line that holds all of `words`.
fn assert_refused(dir: &Path, words: &[&str]) {
    let output = peregrine(&["replay", text(dir), "--verify"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is missing in {error:?}");
    }
}

#[test]
fn an_untouched_journal_replays_without_a_difference() {
    let output = peregrine(&["replay", text(original()), "--verify"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.lines().any(|line| line.split_whitespace().eq(["differences", "0"])), "{told}");
}

#[test]
fn a_flipped_bit_in_any_lane_is_refused_with_lane_file_and_record() {
    for number in 0..4 {
        let records = lane(original(), number).len();
        let record = records.min(6_000) / 2;
        let dir = copy();
        flip(&segment(dir.path(), number), HEADER + RECORD * record + 70);
        let (lane, at) = (format!("lane {number}"), format!("record {record}"));
        assert_refused(dir.path(), &[&lane, &format!("lane{number}-000000.pgj"), &at]);
    }
}

#[test]
fn a_flipped_bit_in_any_header_is_refused_with_lane_and_file() {
    for number in 0..5 {
        let dir = copy();
        flip(&segment(dir.path(), number), 17);
        assert_refused(dir.path(), &[&format!("lane {number}"), &format!("lane{number}-000000")]);
    }
}

#[test]
fn a_lane_cut_short_is_refused_with_lane_and_record() {
    for number in 0..4 {
        let dir = copy();
        let path = segment(dir.path(), number);
        let kept = lane(original(), number).len().min(6_000) / 2;
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_len((HEADER + RECORD * kept) as u64).unwrap();
        assert_refused(dir.path(), &[&format!("lane {number}"), &format!("lane{number}-000000")]);
    }
}

#[test]
fn a_changed_attachment_is_refused_by_name() {
    for name in ["model.onnx", "config.toml", "card.toml"] {
        let dir = copy();
        flip(&dir.path().join(name), 40);
        assert_refused(dir.path(), &[name, "SHA-256"]);
        let dir = copy();
        std::fs::remove_file(dir.path().join(name)).unwrap();
        assert_refused(dir.path(), &[name]);
    }
}

/// An attachment and the manifest changed together agree with each other; the session's own record
/// in lane 0 does not agree with them.
#[test]
fn a_configuration_exchanged_together_with_its_manifest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = session_parts();
    let text = other.text.replace("enter_edge = 0.1", "enter_edge = 0.2");
    assert_ne!(text, other.text);
    rewrite(dir.path(), &other, |_, events| events);
    other.text = text;
    let exchanged = tempfile::tempdir().unwrap();
    rewrite(exchanged.path(), &other, |_, events| events);
    assert_refused(exchanged.path(), &["config.toml", "is not the one the session recorded"]);
}

#[test]
fn any_changed_byte_of_the_manifest_is_noticed() {
    let dir = copy();
    let path = dir.path().join("manifest.json");
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let noticed = replay::verify(dir.path()).map_or(true, |report| report.differences > 0);
        assert!(noticed, "byte {at} of the manifest: {:?}", char::from(whole[at]));
    }
    std::fs::write(&path, b"{").unwrap();
    assert_refused(dir.path(), &["manifest.json"]);
}

/// Writes the original's lanes anew, each changed by `change`: with lawful checksums.
fn rewrite(dir: &Path, parts: &Parts, change: impl Fn(usize, Vec<Event>) -> Vec<Event>) {
    let made = lanes(parts, dir);
    let stages = made.stages;
    let recorders = [made.inputs, stages.inference, stages.risk, stages.execution];
    let mut written: Vec<Recorder> = Vec::new();
    for (number, mut recorder) in recorders.into_iter().enumerate() {
        for event in change(number, lane(original(), number)) {
            let _ = recorder.append(&event).unwrap();
        }
        written.push(recorder);
    }
    written.push(made.stamps);
    close_journal(made.journal, written).unwrap();
}

#[test]
fn lanes_written_anew_unchanged_replay() {
    let dir = tempfile::tempdir().unwrap();
    rewrite(dir.path(), &session_parts(), |_, events| events);
    crate::pipeline_support::assert_replays(dir.path());
}

#[test]
fn a_forged_record_with_a_lawful_checksum_is_a_difference_at_its_lane_and_record() {
    for forged in 1..4 {
        let record = lane(original(), forged).len() / 2;
        let dir = tempfile::tempdir().unwrap();
        rewrite(dir.path(), &session_parts(), |number, mut events| {
            if number == forged {
                events[record].body[3] ^= 1;
            }
            events
        });
        assert_refused(dir.path(), &[&format!("lane {forged} record {record} "), "differing byte"]);
        assert_eq!(replay::verify(dir.path()).unwrap().differences, 1);
    }
}

#[test]
fn a_record_left_out_or_put_in_is_a_difference_at_its_place() {
    let record = lane(original(), 2).len() / 2;
    let dir = tempfile::tempdir().unwrap();
    rewrite(dir.path(), &session_parts(), |number, mut events| {
        if number == 2 {
            events.remove(record);
        }
        events
    });
    assert_refused(dir.path(), &[&format!("lane 2 record {record} ")]);

    let dir = tempfile::tempdir().unwrap();
    rewrite(dir.path(), &session_parts(), |number, mut events| {
        if number == 3 {
            events.push(events[0]);
        }
        events
    });
    let record = lane(original(), 3).len();
    let words = format!("lane 3 record {record}: recorded, but did not come out now");
    assert_refused(dir.path(), &[&words]);
}

/// An input changed in lane 0 changes what follows, or the session's record does not fit.
#[test]
fn a_forged_input_shows_in_the_lanes_behind_it() {
    let inputs = lane(original(), 0);
    let fill = peregrine::base::Kind::OrderFilled as u8;
    let record = inputs.iter().position(|event| event.kind == fill).unwrap();
    let dir = tempfile::tempdir().unwrap();
    rewrite(dir.path(), &session_parts(), |number, mut events| {
        if number == 0 {
            let body: &peregrine::base::event::OrderReport = events[record].body();
            let mut report = *body;
            report.fee += 1;
            let forged = Event::new(
                peregrine::base::Kind::OrderFilled,
                inputs[record].instrument(),
                &report,
            );
            events[record].body = forged.body;
        }
        events
    });
    assert_refused(dir.path(), &["lane 2 record"]);
}

/// A killed process: every stage behind the feed has written less than its inputs cause.
fn killed(forge: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = lanes(&session_parts(), dir.path());
    let stages = made.stages;
    let recorders = [made.inputs, stages.inference, stages.risk, stages.execution];
    for (number, mut recorder) in recorders.into_iter().enumerate() {
        let mut events = lane(original(), number);
        if number > 0 {
            events.truncate(events.len() - 1 - number);
        }
        if forge && number == 2 {
            events[5].body[3] ^= 1;
        }
        for event in events {
            let _ = recorder.append(&event).unwrap();
        }
    }
    dir
}

#[test]
fn what_a_killed_process_had_not_yet_written_is_counted_and_is_no_difference() {
    let dir = killed(false);
    let report = replay::verify(dir.path()).unwrap();
    assert_eq!((report.differences, report.first.as_deref()), (0, None));
    assert_eq!(report.unwritten, 2 + 3 + 4);
    peregrine::journal::repair(dir.path(), false).unwrap();
    let report = replay::verify(dir.path()).unwrap();
    assert_eq!((report.differences, report.unwritten), (0, 2 + 3 + 4), "repaired");
    assert_eq!(replay::verify(original()).unwrap().unwritten, 0);
}

#[test]
fn a_record_forged_in_a_killed_process_journal_is_still_a_difference() {
    let dir = killed(true);
    assert_refused(dir.path(), &["lane 2 record 5 "]);
}

#[test]
fn a_folder_that_is_no_journal_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    assert_refused(dir.path(), &[text(dir.path()), "manifest.json"]);
}
