//! The demo, ended by signals: in order by SIGTERM, in the middle of anything by SIGKILL.

use crate::pipeline_support::{last_json, peregrine, text};
use crate::process::Process;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than any test waits: a demo that only ends by itself fails the test.
const LENGTH: &str = "60s";
/// Looks at a growing journal before a test gives up.
const LOOKS_MAX: u32 = 4_000;

struct Demo(Process);

impl Demo {
    fn start(state: &Path) -> Self {
        let arguments = ["demo", "--for", LENGTH, "--json"];
        let variables =
            [("PEREGRINE__SESSION__STATE_DIR", text(state)), ("PEREGRINE__HTTP__BIND", "")];
        Self(Process::start(&arguments, &variables))
    }

    /// The demo's journal, once it holds predictions.
    fn journal_with_predictions(&mut self, state: &Path) -> PathBuf {
        let journals = state.join("journal");
        for _ in 0..LOOKS_MAX {
            if let Ok(mut entries) = std::fs::read_dir(&journals)
                && let Some(entry) = entries.next()
            {
                let dir = entry.unwrap().path();
                let answers = peregrine::journal::LaneReader::open(&dir, 1);
                let is_prediction = |item: Result<(_, peregrine::base::Event), _>| {
                    item.is_ok_and(|(_, e)| e.kind() == Some(peregrine::base::Kind::Prediction))
                };
                if answers.is_ok_and(|mut lane| lane.any(is_prediction)) {
                    return dir;
                }
            }
            assert!(!self.0.has_ended(), "the demo ended by itself");
            // Gives the processor away between two looks; what counts is the condition.
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("no prediction within {LOOKS_MAX} looks");
    }
}

#[test]
fn a_terminated_demo_ends_in_order_with_a_sealed_journal_and_its_summary() {
    let state = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(state.path());
    let journal = demo.journal_with_predictions(state.path());
    demo.0.signal(Signal::TERM);
    let output = demo.0.end();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    let summary = last_json(&output);
    assert!(summary["elapsed_seconds"].as_f64().unwrap() < 60.0, "it ran to its own end");
    assert!(summary["decisions"].as_u64().unwrap() > 0);

    let verified = last_json(&peregrine(&["journal", "verify", text(&journal), "--json"]));
    assert_eq!(verified["corrupt"], 0, "{verified}");
    assert_eq!(verified["torn"], 0, "{verified}");
    for lane in verified["lanes"].as_array().unwrap() {
        assert_eq!(lane["ending"], "final", "{lane}");
    }
    let replayed = last_json(&peregrine(&["replay", text(&journal), "--verify", "--json"]));
    assert_eq!(replayed["differences"], 0, "{replayed}");
    assert_eq!(replayed["inputs"], summary["events"]);
}

#[test]
fn a_killed_demo_leaves_a_journal_that_verifies_and_replays_up_to_its_torn_end() {
    let state = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(state.path());
    let journal = demo.journal_with_predictions(state.path());
    demo.0.signal(Signal::KILL);
    let output = demo.0.end();
    assert_eq!(output.status.code(), None, "killed, not ended");

    let verified = peregrine(&["journal", "verify", text(&journal), "--json"]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stderr));
    assert_eq!(last_json(&verified)["corrupt"], 0);
    let output = peregrine(&["replay", text(&journal), "--verify", "--json"]);
    let replayed = last_json(&output);
    assert_eq!(replayed["differences"], 0, "{replayed}");
    assert_eq!(output.status.code(), Some(0), "{replayed}");
    assert!(replayed["inputs"].as_u64().unwrap() > 0);

    // Whoever comes next finds the folder free and goes on with the next order-id epoch.
    let mut next = Demo::start(state.path());
    let found = std::fs::read_to_string(state.path().join("epoch"));
    let later = next.journal_after(state.path(), &journal);
    assert_ne!(later, journal, "{found:?}");
}

impl Demo {
    /// A second journal beside `first`.
    fn journal_after(&mut self, state: &Path, first: &Path) -> PathBuf {
        for _ in 0..LOOKS_MAX {
            let entries = std::fs::read_dir(state.join("journal")).unwrap();
            let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            if let Some(other) = paths.into_iter().find(|path| path != first) {
                return other;
            }
            assert!(!self.0.has_ended(), "the second demo does not start");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("no second journal within {LOOKS_MAX} looks");
    }
}
