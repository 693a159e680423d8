//! The demo, ended by signals: in order by SIGTERM, in the middle of anything by SIGKILL.

use crate::lanes::{has, is};
use crate::pipeline_support::{last_json, peregrine, text};
use crate::process::{Process, look};
use peregrine::base::Kind;
use rustix::process::Signal;
use std::path::{Path, PathBuf};

/// Longer than any test waits: a demo that only ends by itself fails the test.
const LENGTH: &str = "60s";

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
        let newest = || std::fs::read_dir(&journals).ok()?.next();
        look("a prediction", || {
            let dir = newest().map(|entry| entry.unwrap().path()).ok_or("no journal")?;
            if has(&dir, 1, is(Kind::Prediction)) {
                return Ok(dir);
            }
            assert!(!self.0.has_ended(), "the demo ended by itself");
            Err("none in its journal")
        })
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
        look("a second journal", || {
            let entries = std::fs::read_dir(state.join("journal")).unwrap();
            let mut paths = entries.map(|entry| entry.unwrap().path());
            let other = paths.find(|path| path != first);
            assert!(other.is_some() || !self.0.has_ended(), "the second demo does not start");
            other.ok_or("the first one alone")
        })
    }
}
