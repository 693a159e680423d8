//! A running session's own shadow: it follows the registry and the journal, and no stage knows.

use crate::lanes::read;
use crate::pipeline_support::{EAGER, assert_replays, leaning, root, text};
use crate::process::{look, wait};
use crate::session_support::Session;
use peregrine::base::event::{Kind, Prediction};
use peregrine::exchange::ServerSettings;
use peregrine::journal::JournalHealth;
use peregrine::model::ArtifactFiles;
use peregrine::promotion::Line;
use peregrine::promotion::record::Decided;
use peregrine::registry::{Change, Registry, Stage};
use peregrine::runtime::shadow::{ShadowBoard, ShadowThread, session_parts};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn change() -> Change {
    let (by, reason) = ("a test".to_owned(), "a trial".to_owned());
    Change { at_ms: 1, by, reason, evidence_sha256: Some("00".repeat(32)) }
}

/// A registry in `dir` whose champion has a copy of itself in shadow.
fn registry(dir: &Path, made: &Path) {
    copy(&root().join("models_saved"), dir);
    let mut registry = Registry::open(dir).unwrap();
    let ArtifactFiles { onnx, card_text, .. } = registry.champion().unwrap();
    std::fs::write(made.join("model.onnx"), onnx).unwrap();
    let card = card_text.replacen("\"synthetic-1\"", "\"copy-1\"", 1);
    std::fs::write(made.join("card.toml"), card).unwrap();
    registry.register(made, None, change()).unwrap();
    registry.advance("copy-1", Stage::Shadow, change()).unwrap();
}

/// The decisions of the log that end with their line.
fn decisions(log: &Path) -> Vec<Decided> {
    let text = std::fs::read(log).unwrap_or_default();
    let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let lines = whole.map(|line| Line::parse(&line[..line.len() - 1]).unwrap());
    lines
        .filter_map(|line| match line {
            Line::Decision(decided) => Some(*decided),
            Line::Outcome(_) => None,
        })
        .collect()
}

#[test]
fn a_trial_that_cannot_be_is_shown_and_the_next_set_is_tried() {
    let (models, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    registry(models.path(), made.path());
    // Its label is another than the champion's: no outcome can score both.
    let strange = leaning("a-strange-one", "imbalance_1", 1.0);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.onnx"), &strange.onnx).unwrap();
    std::fs::write(folder.path().join("card.toml"), &strange.card_text).unwrap();
    let mut registry = Registry::open(models.path()).unwrap();
    registry.register(folder.path(), None, change()).unwrap();
    registry.advance("a-strange-one", Stage::Shadow, change()).unwrap();
    let ran = crate::shadow_support::Session::new(8_000);
    let mut parts = session_parts(&ran.journal()).unwrap();
    parts.settings.model.dir = text(models.path()).to_owned();
    parts.settings.shadow.on = true;
    let (state, board) = (tempfile::tempdir().unwrap(), Arc::<ShadowBoard>::default());
    let journal = (Arc::<JournalHealth>::default(), &*ran.journal());
    let shadow = ShadowThread::start(&parts, journal, state.path(), &board).unwrap();
    wait("the fault is shown", || board.view().1.failed == 1);
    let log = state.path().join("logs/shadow/shadow_eval.jsonl");
    assert!(decisions(&log).is_empty(), "nothing can be said of them");
    registry.advance("a-strange-one", Stage::Retired, change()).unwrap();
    look("the other is compared", || {
        let (shown, lag) = board.view();
        let compared = shown.first().map_or(0, |one| one.decisions);
        let good = lag.failed == 0 && lag.lines > 100 && compared > 50;
        if good { Ok(()) } else { Err(format!("{shown:?} {lag:?}")) }
    });
    drop(shadow);
    assert!(decisions(&log).iter().all(|decided| decided.challenger.version == "copy-1"));
}

#[test]
fn a_session_runs_who_is_in_shadow_and_its_rows_are_those_of_the_journal() {
    let (models, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    registry(models.path(), made.path());
    let dir = format!("\"{}\"", text(models.path()));
    let changes = [&EAGER[..], &[("model", "dir", dir.as_str()), ("shadow", "on", "true")]];
    let (_exchange, session) = Session::at_exchange(ServerSettings::default(), &changes.concat());
    let log = session.state().join("logs/shadow/shadow_eval.jsonl");
    look("twenty decisions in the shadow", || {
        let both = |d: &&Decided| d.champion.proba.is_some() && d.challenger.proba.is_some();
        let count = decisions(&log).iter().filter(both).count();
        if count >= 20 { Ok(()) } else { Err(format!("{count}")) }
    });
    let journal = session.journal();
    let (outcome, _state) = session.end();
    assert_eq!((outcome.halt, outcome.differences), (None, Vec::new()));
    let recorded: BTreeMap<u64, [f64; 3]> = read(&journal, 1)
        .iter()
        .filter(|event| event.kind() == Some(Kind::Prediction))
        .map(|event| (event.seq, event.body::<Prediction>().probability.map(f64::from)))
        .collect();
    for decided in decisions(&log) {
        assert!(decided.features_match, "{decided:?}");
        assert_eq!(decided.challenger.version, "copy-1");
        assert_eq!(decided.champion.proba, recorded.get(&decided.seq).copied());
        assert_eq!(decided.challenger.proba, decided.champion.proba);
    }
    assert_replays(&journal);
}
