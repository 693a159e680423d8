//! Each cause of `[rollback]` on a journal made for it, and it alone.

use crate::lanes::sound;
use crate::pipeline_support::{EAGER, Lanes, Rig, lanes, leaning, parts, rules, synthetic, text};
use crate::process::wait;
use peregrine::base::event::{Event, Kind, Order, Passage, Position, Prediction, Stamps};
use peregrine::base::hop::Hop;
use peregrine::base::{InstrumentId, Nanos, Purpose};
use peregrine::engine::{Rows, SlotSeen};
use peregrine::features::Selection;
use peregrine::model::artifact::{CARD_FILE, ONNX_FILE, sha256};
use peregrine::model::{ArtifactFiles, Card, Training};
use peregrine::promotion::RollbackCause;
use peregrine::registry::verdict::Contender;
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::readiness::ModelFiles;
use peregrine::runtime::revert::Judge;
use peregrine::runtime::revert::judge::Champion;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const TAG: u64 = 77;
const OTHER: u64 = 78;
/// One quote unit.
const ONE: i64 = 100_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;
/// When everything begins.
const BEGIN_NS: i64 = 1_750_000_000_000_000_000;

/// A judge over a journal that is written by hand.
struct Court {
    state: TempDir,
    lanes: Lanes,
    parts: Parts,
    judge: Judge,
    seq: u64,
    at_ns: i64,
    realised: i64,
}

fn champion() -> Champion {
    named("old", TAG)
}

fn named(version: &str, tag: u64) -> Champion {
    let (sha256, card_sha256) = ("11".repeat(32), "22".repeat(32));
    Champion { who: Contender { version: version.to_owned(), sha256, card_sha256 }, tag }
}

fn folder(state: &Path) -> PathBuf {
    state.join("journal/0000001-paper")
}

fn causes(judge: &mut Judge) -> Vec<RollbackCause> {
    causes_with(judge, SlotSeen::default())
}

fn causes_with(judge: &mut Judge, seen: SlotSeen) -> Vec<RollbackCause> {
    judge.look(seen).iter().map(|breach| breach.cause).collect()
}

impl Court {
    fn new() -> Self {
        Self::in_state(tempfile::tempdir().unwrap())
    }

    fn in_state(state: TempDir) -> Self {
        let dir = format!("\"{}\"", text(state.path()));
        let parts = parts(
            synthetic(1, 1, &[]).0,
            &[
                ("session", "state_dir", dir.as_str()),
                ("rollback", "rows", "false"),
                ("risk", "starting_equity", "\"10000\""),
            ],
        );
        let journal = folder(state.path());
        let _ = std::fs::remove_dir_all(&journal);
        let lanes = lanes(&parts, &journal);
        let judge = Judge::new(rules(), &parts, &journal, champion()).unwrap();
        Self { state, lanes, parts, judge, seq: 0, at_ns: BEGIN_NS, realised: 0 }
    }

    fn next(&mut self, event: Event) -> Event {
        self.seq += 1;
        Event { seq: self.seq, ts_recv: self.at_ns, ..event }
    }

    fn risk(&mut self, kind: Kind, body: &impl peregrine::base::event::Body) {
        let event = self.next(Event::new(kind, InstrumentId(0), body));
        let _ = self.lanes.stages.risk.append(&event).unwrap();
    }

    /// A position that the model of `tag` opened, or none any more, with what was booked so far.
    fn position(&mut self, qty: i64, unrealised: i64) {
        let (realised, unrealised) = (self.realised * ONE, unrealised * ONE);
        self.risk(Kind::Position, &Position { qty, realised, unrealised, ..Position::default() });
    }

    fn opens(&mut self, tag: u64) {
        let purpose = Purpose::Entry as u8;
        self.risk(Kind::OrderApproved, &Order { purpose, model_tag: tag, ..Order::default() });
        self.position(1, 0);
    }

    fn trip(&mut self, tag: u64, pnl: i64) {
        self.opens(tag);
        self.realised += pnl;
        self.position(0, 0);
    }

    /// A prediction of the model with this tag, and how long it took.
    fn predicts(&mut self, tag: u64, ns: u64) {
        let body = Prediction { model_tag: tag, ..Prediction::default() };
        let event = self.next(Event::new(Kind::Prediction, InstrumentId(0), &body));
        let _ = self.lanes.stages.inference.append(&event).unwrap();
        let mut stamps = Stamps::default();
        assert!(stamps.put(0, event.seq, Passage { hop: Hop::Inference, ns, seq: event.seq }));
        let stamps = stamps.event(event.seq, Nanos(self.at_ns));
        let _ = self.lanes.stamps.append(&stamps).unwrap();
    }

    fn causes(&mut self) -> Vec<RollbackCause> {
        causes(&mut self.judge)
    }

    /// Looks until there is a cause; the looks at files are a second apart.
    #[track_caller]
    fn caused(&mut self) -> Vec<RollbackCause> {
        wait("a cause", || !self.causes().is_empty());
        self.causes()
    }

    /// Lines of the shadow log.
    fn log(&self, lines: &[serde_json::Value]) {
        let dir = self.state.path().join("logs/shadow");
        std::fs::create_dir_all(&dir).unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(dir.join("shadow_eval.jsonl"), text).unwrap();
    }
}

#[test]
fn losses_in_a_row_of_its_own_trades_are_a_cause_and_another_models_are_none() {
    let mut court = Court::new();
    (0..4).for_each(|_| court.trip(TAG, -1));
    court.trip(TAG, 1);
    (0..4).for_each(|_| court.trip(TAG, -1));
    (0..5).for_each(|_| court.trip(OTHER, -1));
    assert_eq!(court.causes(), []);
    court.trip(TAG, -1);
    assert_eq!(court.causes(), [RollbackCause::Losses]);
}

#[test]
fn a_fall_of_its_own_equity_is_a_cause_and_the_next_champion_does_not_answer_for_it() {
    let mut court = Court::new();
    court.opens(OTHER);
    court.position(1, -5_000);
    court.position(0, 0);
    court.opens(TAG);
    court.position(1, -2_000);
    assert_eq!(court.causes(), [], "a fifth of 10 000, and no more");
    court.position(1, -2_001);
    assert_eq!(court.causes(), [RollbackCause::Drawdown]);
    let files = ModelFiles::of(court.state.path(), [0; 32], [0; 32]);
    let next = named("new", OTHER);
    court.judge.begin(next, &court.parts.files.card.clone(), files, BTreeSet::new());
    assert!(!court.causes().contains(&RollbackCause::Drawdown), "it begins anew");
    // What it left open still falls, and is not the new one's either.
    court.position(1, -4_000);
    assert!(!court.causes().contains(&RollbackCause::Drawdown));
}

#[test]
fn what_the_market_takes_from_an_open_position_counts_before_it_is_closed() {
    let mut court = Court::new();
    court.opens(TAG);
    // A hundred at 100: half of that is gone when the middle of the touch is 50.
    let body = Position { qty: 100 * ONE, avg_px: 100 * ONE, ..Position::default() };
    court.risk(Kind::Position, &body);
    let told = |bid: i64, ask: i64| Prediction {
        model_tag: TAG,
        bid_px: bid * ONE,
        ask_px: ask * ONE,
        ..Prediction::default()
    };
    for (body, causes) in [(told(79, 81), vec![]), (told(49, 51), vec![RollbackCause::Drawdown])] {
        let event = court.next(Event::new(Kind::Prediction, InstrumentId(0), &body));
        let _ = court.lanes.stages.inference.append(&event).unwrap();
        assert_eq!(court.causes(), causes);
    }
}

#[test]
fn a_day_of_hours_with_a_low_sharpe_ratio_is_a_cause() {
    let mut court = Court::new();
    court.opens(TAG);
    for hour in 0..47 {
        court.at_ns = BEGIN_NS + hour * HOUR_NS;
        court.position(1, -hour - hour % 2);
    }
    assert_eq!(court.causes(), [], "23 hours of a day that was low");
    court.at_ns = BEGIN_NS + 47 * HOUR_NS;
    court.position(1, -48);
    assert_eq!(court.causes(), [RollbackCause::Sharpe]);
}

#[test]
fn failed_answers_in_a_row_are_a_cause() {
    let mut court = Court::new();
    let failed = |faults_in_a_row| SlotSeen { faults_in_a_row, ..SlotSeen::default() };
    assert_eq!(causes_with(&mut court.judge, failed(2)), []);
    assert_eq!(causes_with(&mut court.judge, failed(3)), [RollbackCause::InferenceErrors]);
}

#[test]
fn slow_answers_of_its_own_are_a_cause_once_there_are_enough_of_them() {
    let mut court = Court::new();
    for n in 0..999 {
        court.predicts(TAG, if n % 50 == 0 { 6_000_000 } else { 1_000 });
        court.predicts(OTHER, 9_000_000);
    }
    assert_eq!(court.causes(), []);
    court.predicts(TAG, 1_000);
    assert_eq!(court.caused(), [RollbackCause::Latency]);
}

#[test]
fn a_file_that_is_not_what_was_registered_is_a_cause() {
    let mut court = Court::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(ONNX_FILE), b"graph").unwrap();
    std::fs::write(dir.path().join(CARD_FILE), "card").unwrap();
    court.judge.watch(ModelFiles::of(dir.path(), sha256(b"graph"), sha256(b"card")));
    assert_eq!(court.causes(), []);
    std::fs::write(dir.path().join(CARD_FILE), "cart").unwrap();
    assert_eq!(court.caused(), [RollbackCause::HashMismatch]);
}

/// What one model says, as a line of the shadow log has it.
fn told(version: &str, proba: [f64; 3]) -> serde_json::Value {
    json!({"version": version, "sha256": "11".repeat(32), "card_sha256": "22".repeat(32),
        "proba": proba, "q": null, "signal": "hold", "feature_set_id": "00112233445566aa",
        "features_hash": "ff", "latency_ns": 700, "virtual_fill": null, "position_before": 0.0,
        "position_after": 0.0, "equity": 1_000.0, "closed_pnl": null, "error": null})
}

/// A decision and what came of it: class 2.
fn lines(seq: u64, champion: &serde_json::Value, proba: [f64; 3]) -> [serde_json::Value; 2] {
    let ts = BEGIN_NS + seq as i64 * HOUR_NS;
    let decision = json!({"record": "decision", "schema": 1, "seq": seq,
        "timestamp": "2026-01-01T00:00:00Z", "ts_event_ns": ts, "ts_decision_ns": ts,
        "symbol": "BTCUSDT", "price": 100.0, "bar_id": seq, "stage": "shadow", "assigned": null,
        "features_match": true, "drift": null, "guardrail": null, "champion": champion,
        "challenger": told("before", proba)});
    let outcome = json!({"record": "outcome", "schema": 1, "seq": seq, "symbol": "BTCUSDT",
        "challenger": "before", "outcome": {"class": 2, "t1_ns": ts, "ret_net": 0.0}});
    [decision, outcome]
}

#[test]
fn evidence_in_the_shadow_log_for_a_former_champion_is_a_cause_and_for_another_model_none() {
    let third = 1.0 / 3.0;
    let old = told("old", [third; 3]);
    let all: Vec<_> = (0..336).flat_map(|seq| lines(seq, &old, [0.05, 0.05, 0.9])).collect();
    let mut court = Court::new();
    court.judge.compare_with(BTreeSet::from(["another".to_owned()]));
    court.log(&all);
    // The log was read by the time a file is found changed, and says nothing.
    let dir = tempfile::tempdir().unwrap();
    court.judge.watch(ModelFiles::of(dir.path(), [0; 32], [0; 32]));
    assert_eq!(court.caused(), [RollbackCause::HashMismatch]);
    let mut court = Court::new();
    court.judge.compare_with(BTreeSet::from(["before".to_owned()]));
    court.log(&all);
    assert_eq!(court.caused(), [RollbackCause::Evidence]);
}

#[test]
fn a_calibration_that_breaks_in_the_shadow_log_is_a_cause() {
    let (right, wrong) = ([0.05, 0.05, 0.9], [0.9, 0.05, 0.05]);
    let said = |seq: u64| if seq < 240 { right } else { wrong };
    let line = |seq: u64| lines(seq, &told("old", said(seq)), said(seq));
    let mut court = Court::new();
    court.log(&(0..300).flat_map(line).collect::<Vec<_>>());
    assert_eq!(court.caused(), [RollbackCause::Calibration]);
}

#[test]
fn a_row_that_the_shadow_log_says_came_out_differently_is_a_cause_of_this_champion_alone() {
    let mut court = Court::new();
    let (own, other) = (told("old", [0.2, 0.3, 0.5]), told("older", [0.2, 0.3, 0.5]));
    let mut all: Vec<_> = [&other, &own]
        .iter()
        .enumerate()
        .flat_map(|(seq, champion)| lines(seq as u64, champion, [0.2, 0.3, 0.5]))
        .collect();
    all[0]["features_match"] = json!(false);
    court.log(&all[..2]);
    court.judge.look(SlotSeen::default());
    all[2]["features_match"] = json!(false);
    court.log(&all);
    assert_eq!(court.caused(), [RollbackCause::FeatureMismatch]);
    assert_eq!(court.judge.health(SlotSeen::default()).feature_mismatches, 1);
}

#[test]
fn a_champion_goes_on_with_its_figures_after_a_restart_and_another_one_does_not() {
    let mut court = Court::new();
    (0..4).for_each(|_| court.trip(TAG, -300));
    assert_eq!(court.causes(), []);
    let Court { state, judge, .. } = court;
    drop(judge);
    // What was lost lies in the journal that is carried; here it begins with an empty one.
    let mut again = Court::in_state(state);
    let fall = again.judge.health(SlotSeen::default()).drawdown;
    assert!((fall - 0.12).abs() < 1e-12, "{fall}");
    again.trip(TAG, -300);
    assert_eq!(again.causes(), [RollbackCause::Losses]);
    let Court { state, parts, .. } = again;
    let other = named("new", TAG);
    let judge = Judge::new(rules(), &parts, &folder(state.path()), other).unwrap();
    assert_eq!(judge.health(SlotSeen::default()).drawdown, 0.0);
}

/// A session of the four stages on a synthetic market with this model.
struct Ran {
    state: TempDir,
    parts: Parts,
}

impl Ran {
    fn new(training: Option<Training>) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (instruments, arrivals) = synthetic(3, 6_000, &[]);
        let dir = format!("\"{}\"", text(state.path()));
        let own = [("session", "state_dir", dir.as_str()), ("rollback", "rows", "true")];
        // It decides and never enters: what it would lose is another cause.
        let idle = [("policy", "enter_edge", "1.0")];
        let mut parts = parts(instruments, &[&own[..], &EAGER[..], &idle[..]].concat());
        let files = leaning("watched", "imbalance_1", 1.0);
        let card = Card { training, horizon_ms: 10, ..files.card };
        parts.files = ArtifactFiles::from_bytes(files.onnx, card.to_toml().unwrap()).unwrap();
        let mut rig = Rig::fused(&parts, &folder(state.path()));
        rig.run(&arrivals);
        rig.finish();
        Self { state, parts }
    }

    fn champion(&self) -> Champion {
        named("watched", self.parts.files.tag())
    }

    /// Judged by the newest so many rows.
    fn judge(&self, journal: &Path, window: usize) -> Judge {
        let mut rules = rules();
        rules.drift.window = u32::try_from(window).unwrap();
        Judge::new(rules, &self.parts, journal, self.champion()).unwrap()
    }

    /// Every row of imbalances that was decided on, worked out by the stage's own steps.
    fn rows(&self) -> Vec<f32> {
        let journal = folder(self.state.path());
        let selection = Selection::new(&self.parts.files.card.features).unwrap();
        let settings = self.parts.inference_settings();
        let mut rows = Rows::new(self.parts.instruments.len(), &settings, selection);
        let told = sound(&journal, 1);
        let mut told = told.iter().filter(|e| e.kind() == Some(Kind::Prediction)).peekable();
        let mut found = Vec::new();
        for event in sound(&journal, 0) {
            rows.on_input(&event);
            while let Some(told) = told.next_if(|told| told.seq == event.seq) {
                found.extend_from_slice(rows.row(told.instrument(), event.now()).unwrap());
            }
        }
        found
    }
}

#[test]
fn rows_that_come_out_as_recorded_and_are_like_the_training_are_no_cause() {
    let before = Ran::new(None);
    let rows = before.rows();
    assert!(rows.len() > 100, "{}", rows.len());
    let ran = Ran::new(Training::of(1, &rows));
    let mut judge = ran.judge(&folder(ran.state.path()), rows.len());
    assert_eq!(causes(&mut judge), []);
    assert_eq!(judge.rows_compared() as usize, rows.len());
    wait("the features to be judged", || {
        judge.look(SlotSeen::default());
        judge.health(SlotSeen::default()).psi.is_some()
    });
    assert_eq!(causes(&mut judge), []);
}

#[test]
fn features_that_are_not_those_of_the_training_are_a_cause() {
    let strange: Vec<f32> = (0..1_000_u16).map(|n| 5.0 + f32::from(n) / 1_000.0).collect();
    let ran = Ran::new(Training::of(1, &strange));
    let mut judge = ran.judge(&folder(ran.state.path()), 100);
    wait("a cause", || !causes(&mut judge).is_empty());
    assert_eq!(causes(&mut judge), [RollbackCause::Drift]);
}

#[test]
fn a_row_that_does_not_come_out_as_it_was_recorded_is_a_cause() {
    let ran = Ran::new(None);
    let (from, to) = (folder(ran.state.path()), ran.state.path().join("journal/0000002-paper"));
    let Lanes { mut inputs, mut stages, .. } = lanes(&ran.parts, &to);
    let mut changed = false;
    for event in sound(&from, 0) {
        let _ = inputs.append(&event).unwrap();
    }
    for mut event in sound(&from, 1) {
        if event.kind() == Some(Kind::Prediction) && !std::mem::replace(&mut changed, true) {
            let mut body: Prediction = *event.body();
            body.features_hash ^= 1;
            let copy = Event::new(Kind::Prediction, event.instrument(), &body);
            event = Event { seq: event.seq, ts_recv: event.ts_recv, ..copy };
        }
        let _ = stages.inference.append(&event).unwrap();
    }
    let mut judge = ran.judge(&to, 100);
    assert_eq!(causes(&mut judge), [RollbackCause::FeatureMismatch]);
    assert_eq!(judge.health(SlotSeen::default()).feature_mismatches, 1);
}
