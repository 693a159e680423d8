//! A running session's own shadow: it follows the registry and the journal, and no stage knows.

use crate::lanes::read;
use crate::pipeline_support::{EAGER, assert_replays, root, text};
use crate::process::look;
use crate::session_support::Session;
use peregrine::base::event::{Kind, Prediction};
use peregrine::exchange::ServerSettings;
use peregrine::model::ArtifactFiles;
use peregrine::promotion::Line;
use peregrine::promotion::record::Decided;
use peregrine::registry::{Change, Registry, Stage};
use std::collections::BTreeMap;
use std::path::Path;

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
