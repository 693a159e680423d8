//! The session changes its models while challengers run beside it: the comparison goes on with the
//! champion that decides, a share is dealt as the session deals it, and only what a challenger's
//! training cannot have seen counts.

use crate::pipeline_support::{lane, leaning, rules};
use crate::pipeline_swaps;
use crate::shadow_support::{Session, WHOLE, decisions, outcomes, recorded, shipped, timeless};
use peregrine::base::event::{Event, Kind, ModelSwap, Prediction};
use peregrine::base::split::Split;
use peregrine::base::{InstrumentId, Nanos, Reason};
use peregrine::model::{ArtifactFiles, Card, Training};
use peregrine::promotion::record::Decided;
use peregrine::promotion::settings::DriftSettings;
use peregrine::promotion::{Arm, Line, Trials};
use peregrine::registry::Stage;
use std::collections::BTreeMap;

const FRAMES: usize = 40_000;
const HORIZON_NS: i64 = 5_000_000_000;

/// A model whose label is that of the shipped champion.
fn model(name: &str, feature: &str) -> ArtifactFiles {
    let files = leaning(name, feature, 1.0);
    let metrics = [("threshold_bps".to_owned(), 0.7)].into();
    let card = Card { horizon_ms: 5_000, metrics, ..files.card };
    ArtifactFiles::from_bytes(files.onnx, card.to_toml().unwrap()).unwrap()
}

fn swap_to(files: &ArtifactFiles, slot: u8) -> ModelSwap {
    ModelSwap { reason: Reason::Operator as u16, ..pipeline_swaps::swap_to(files, slot, None) }
}

fn swaps(session: &Session) -> Vec<Event> {
    let lane = lane(&session.journal(), 0);
    lane.into_iter().filter(|event| event.kind() == Some(Kind::ModelSwap)).collect()
}

fn probability(told: &Prediction) -> [f64; 3] {
    told.probability.map(f64::from)
}

#[test]
fn another_champion_begins_another_trial_and_the_run_goes_on() {
    let other = model("other", "imbalance_1");
    let session = Session::driven(FRAMES, |rig, parts, taken| match taken {
        8_000 => rig.bring(parts, &other, 1),
        10_000 => rig.swap(&swap_to(&other, 1)),
        22_000 => rig.swap(&swap_to(&parts.files, 0)),
        _ => {}
    });
    let [there, back] = swaps(&session)[..] else { panic!("two changes") };
    let follower = session.run_copy("log", WHOLE);
    let recorded = recorded(&session.journal());
    let lines = session.lines("log");
    let mut by = [0; 2];
    for decided in decisions(&lines) {
        let turn = (there.seq..back.seq).contains(&decided.seq);
        let champion = if turn { "other" } else { "synthetic-1" };
        assert_eq!(decided.champion.version, champion, "at {}", decided.seq);
        assert!(decided.features_match, "at {}", decided.seq);
        assert_eq!(decided.champion.proba, recorded.get(&decided.seq).map(probability));
        by[usize::from(turn)] += 1;
    }
    assert!(by[0] > 100 && by[1] > 100, "{by:?}");
    let progress = follower.progress().engine;
    assert_eq!((progress.compared, progress.mismatches), (recorded.len() as u64, 0));
    // Decisions just before a change have their outcome behind it.
    let [made, came] = [decisions(&lines).len(), outcomes(&lines).len()];
    assert!(made - came < 200, "{came} outcomes of {made} decisions");
    let mut trials = Trials::new(rules());
    lines.into_iter().for_each(|line| trials.push(line).unwrap());
    let pairs: Vec<&str> =
        trials.trials().iter().map(|trial| trial.pair().0.version.as_str()).collect();
    assert_eq!(pairs, ["synthetic-1", "other"]);
}

#[test]
fn a_champion_with_another_label_ends_the_run_by_name() {
    let other = leaning("other", "imbalance_1", 1.0);
    let session = Session::driven(6_000, |rig, parts, taken| match taken {
        2_000 => rig.bring(parts, &other, 1),
        4_000 => rig.swap(&swap_to(&other, 1)),
        _ => {}
    });
    let challengers = [(session.copy(), Nanos::ZERO)];
    let error = session.run(("log", WHOLE), &challengers, &shipped()).err().unwrap();
    let told = format!("{error:#}");
    assert!(told.contains("another champion") && told.contains("copy-1"), "{told}");
    assert!(told.contains("1000 ms"), "{told}");
}

#[test]
fn while_it_has_a_share_its_lines_are_a_canarys_and_its_end_by_itself_is_told() {
    let other = model("other", "imbalance_1");
    let split = Split { seed: 3, share_bps: 4_000, block_ms: 6_000 };
    let deal = |share_bps, reason: Reason| ModelSwap {
        reason: reason as u16,
        ..pipeline_swaps::swap_to(&other, 1, Some(Split { share_bps, ..split }))
    };
    let session = Session::driven(60_000, |rig, parts, taken| match taken {
        6_000 => rig.bring(parts, &other, 1),
        8_000 => rig.swap(&deal(split.share_bps, Reason::Operator)),
        36_000 => rig.swap(&deal(0, Reason::ModelErrors)),
        _ => {}
    });
    let [begins, ends] = swaps(&session)[..] else { panic!("begin and end") };
    let challengers = [(other.clone(), Nanos::ZERO), (session.copy(), Nanos::ZERO)];
    let follower = session.run(("log", WHOLE), &challengers, &shipped()).unwrap();
    assert_eq!(follower.progress().engine.mismatches, 0);
    let lines = session.lines("log");
    let all = decisions(&lines);
    let of = |name: &str| -> Vec<&Decided> {
        all.iter().copied().filter(|decided| decided.challenger.version == name).collect()
    };
    assert!(of("copy-1").iter().all(|decided| decided.stage == Stage::Shadow));
    let recorded = recorded(&session.journal());
    let (mut arms, mut last) = ([0; 2], None);
    for decided in of("other") {
        if decided.seq < begins.seq || decided.seq > ends.seq && last.is_some() {
            assert_eq!((decided.stage, decided.assigned), (Stage::Shadow, None));
            continue;
        }
        assert_eq!(decided.stage, Stage::Canary, "at {}", decided.seq);
        let tripped = (decided.seq > ends.seq).then(|| Reason::ModelErrors.name().to_owned());
        assert_eq!(decided.guardrail, tripped, "at {}", decided.seq);
        last = last.or(tripped);
        let place = InstrumentId(u16::from(decided.symbol == "ETHUSDT"));
        let canary = split.is_canary(place, Nanos(decided.ts_event_ns));
        let assigned = decided.assigned.unwrap();
        let length = i64::from(split.block_ms) * 1_000_000;
        assert_eq!(assigned.arm, if canary { Arm::Canary } else { Arm::Champion });
        assert_eq!(assigned.block, decided.ts_event_ns / length);
        assert_eq!(assigned.carry_over, decided.ts_event_ns % length < HORIZON_NS);
        // Who had the turn is who the session's own record is of.
        if let Some(told) = recorded.get(&decided.seq).filter(|_| decided.seq < ends.seq) {
            let who = if canary { &decided.challenger } else { &decided.champion };
            assert_eq!(who.proba, Some(probability(told)), "at {}", decided.seq);
        }
        arms[usize::from(canary)] += 1;
    }
    assert!(last.is_some() && arms[0] > 50 && arms[1] > 50, "{arms:?}");
}

#[test]
fn a_challengers_lines_begin_where_its_training_cannot_have_seen_the_market() {
    let session = Session::new(20_000);
    drop(session.run_copy("whole", WHOLE));
    let whole = timeless(session.lines("whole"));
    let all = decisions(&whole);
    let since = all[all.len() / 2].ts_event_ns;
    let challengers = [(session.copy(), Nanos(since))];
    let follower = session.run(("late", WHOLE), &challengers, &shipped()).unwrap();
    let late = timeless(session.lines("late"));
    // The same lines as the whole run's from there on, and what came of those decisions alone.
    let made: BTreeMap<u64, i64> =
        all.iter().map(|decided| (decided.seq, decided.ts_event_ns)).collect();
    let counts = |line: &Line| match line {
        Line::Decision(decided) => decided.ts_event_ns >= since,
        Line::Outcome(came) => made[&came.seq] >= since,
    };
    let wanted: Vec<Line> = whole.iter().filter(|line| counts(line)).cloned().collect();
    assert!(late == wanted && late.len() > 100, "{} of {}", late.len(), wanted.len());
    assert_eq!(follower.log().written(), late.len() as u64);
}

#[test]
fn drift_is_told_of_a_card_that_knows_its_training_and_of_no_other() {
    let session = Session::new(FRAMES);
    let copy = session.copy();
    let count = copy.card.features.len();
    // Trained on a market of another kind: every feature far above what it comes to here.
    let elsewhere: Vec<f32> = (0..1_000 * count).map(|n| 1e6 + n as f32).collect();
    let (version, training) = ("knows".to_owned(), Training::of(count, &elsewhere));
    let card = Card { version, training, ..copy.card.clone() };
    let knows = ArtifactFiles::from_bytes(copy.onnx.clone(), card.to_toml().unwrap()).unwrap();
    let quick = DriftSettings { window: 300, window_hours: 0.001, ..shipped() };
    let challengers = [(copy, Nanos::ZERO), (knows, Nanos::ZERO)];
    drop(session.run(("log", WHOLE), &challengers, &quick).unwrap());
    let lines = session.lines("log");
    let told = decisions(&lines).into_iter().filter_map(|decided| {
        decided.drift.map(|drift| (decided.challenger.version.as_str(), drift))
    });
    let told: Vec<_> = told.collect();
    assert!(!told.is_empty() && told.iter().all(|(name, _)| *name == "knows"), "{told:?}");
    let moved = told.iter().all(|(_, drift)| drift.psi_max > 0.25 && drift.drifted_frac == 1.0);
    assert!(moved, "{told:?}");
    let mut trials = Trials::new(rules());
    lines.into_iter().for_each(|line| trials.push(line).unwrap());
    let known = |name: &str| {
        let mut all = trials.trials().iter();
        let trial = all.find(|trial| trial.pair().1.version == name).unwrap();
        let observed = trial.observed(1);
        (observed.psi.is_some(), observed.features_drifted.is_some())
    };
    assert_eq!((known("copy-1"), known("knows")), ((false, false), (true, true)));
}
