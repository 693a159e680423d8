//! A running session's own shadow: it follows the registry and the journal, and no stage knows.

use crate::model_swaps::Models;
use crate::pipeline_support::{EAGER, assert_replays, leaning, text};
use crate::process::{look, wait};
use crate::session_support::Session;
use crate::shadow_support::{copied, recorded};
use peregrine::exchange::ServerSettings;
use peregrine::journal::JournalHealth;
use peregrine::promotion::Line;
use peregrine::promotion::record::Decided;
use peregrine::registry::Stage;
use peregrine::runtime::shadow::{ShadowBoard, ShadowThread, session_parts};
use std::path::Path;
use std::sync::Arc;

/// A registry whose champion has a copy of itself in shadow.
fn with_a_copy() -> Models {
    let models = Models::new(&[]);
    models.register(&copied(models.registry().champion().unwrap()));
    models.advance("copy-1", Stage::Shadow);
    models
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
    let models = with_a_copy();
    // Its label is another than the champion's: no outcome can score both.
    let strange = leaning("a-strange-one", "imbalance_1", 1.0);
    models.register(&strange);
    models.advance("a-strange-one", Stage::Shadow);
    let ran = crate::shadow_support::Session::new(8_000);
    let mut parts = session_parts(&ran.journal()).unwrap();
    parts.settings.model.dir = text(models.dir.path()).to_owned();
    parts.settings.shadow.on = true;
    let (state, board) = (tempfile::tempdir().unwrap(), Arc::<ShadowBoard>::default());
    let journal = (Arc::<JournalHealth>::default(), &*ran.journal());
    let shadow = ShadowThread::start(&parts, journal, state.path(), &board).unwrap();
    wait("the fault is shown", || board.view().1.failed == 1);
    let log = state.path().join("logs/shadow/shadow_eval.jsonl");
    assert!(decisions(&log).is_empty(), "nothing can be said of them");
    models.advance("a-strange-one", Stage::Retired);
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
    let models = with_a_copy();
    let dir = format!("\"{}\"", text(models.dir.path()));
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
    let recorded = recorded(&journal);
    for decided in decisions(&log) {
        assert!(decided.features_match, "{decided:?}");
        assert_eq!(decided.challenger.version, "copy-1");
        let said = recorded.get(&decided.seq).map(|told| told.probability.map(f64::from));
        assert_eq!(decided.champion.proba, said);
        assert_eq!(decided.challenger.proba, decided.champion.proba);
    }
    assert_replays(&journal);
}
