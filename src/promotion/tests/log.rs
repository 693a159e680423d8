//! From the lines of a log to what was seen.

use super::market::{self, EQUAL, Scene};
use super::shipped;
use crate::promotion::Trials;
use crate::promotion::record::{
    Came, Decided, FeatureDrift, LINE_BYTES_MAX, Line, Outcome, SHADOW_SCHEMA, Signal, Told,
    VirtualFill,
};
use crate::promotion::verdict::{Source, judge};
use crate::registry::Stage;
use crate::registry::verdict::Ruling;
use std::collections::BTreeMap;

pub fn fill() -> VirtualFill {
    let zero = 0.0;
    VirtualFill {
        side: 1,
        qty: 1.0,
        px: 100.0,
        fees: zero,
        slippage: zero,
        slippage_model: zero,
        funding: zero,
    }
}

/// What a model says that holds still.
pub fn told(version: &str, proba: [f64; 3]) -> Told {
    Told {
        version: version.to_owned(),
        sha256: "11".repeat(32),
        card_sha256: "22".repeat(32),
        proba: Some(proba),
        q: None,
        signal: Signal::Hold,
        feature_set_id: "00112233445566aa".to_owned(),
        features_hash: "ff".to_owned(),
        latency_ns: 700,
        virtual_fill: None,
        position_before: 0.0,
        position_after: 0.0,
        equity: 1_000.0,
        closed_pnl: None,
        error: None,
    }
}

pub fn decided(seq: u64, scene: &Scene) -> Decided {
    let ts = seq as i64 * 300_000_000_000;
    Decided {
        schema: SHADOW_SCHEMA,
        seq,
        timestamp: "2026-01-01T00:00:00Z".to_owned(),
        ts_event_ns: ts,
        ts_decision_ns: ts + 900,
        session_ns: 0,
        symbol: "SOLUSDT".to_owned(),
        price: 100.0,
        bar_id: seq as i64,
        stage: Stage::Shadow,
        assigned: None,
        features_match: true,
        drift: None,
        guardrail: None,
        champion: told("old", scene.champion),
        challenger: told("new", scene.challenger),
    }
}

pub fn came(seq: u64, class: usize) -> Came {
    Came {
        schema: SHADOW_SCHEMA,
        seq,
        symbol: "SOLUSDT".to_owned(),
        challenger: "new".to_owned(),
        outcome: Outcome { class: class as u8, t1_ns: 0, ret_net: 0.0 },
    }
}

/// A log of decisions whose outcome follows a horizon later.
fn lines(seed: u64, count: usize) -> Vec<Line> {
    let scenes = market::scenes(seed, count, EQUAL);
    let mut lines = Vec::new();
    for (at, scene) in scenes.iter().enumerate() {
        lines.push(Line::Decision(Box::new(decided(at as u64, scene))));
        if let Some(old) = at.checked_sub(48) {
            lines.push(Line::Outcome(came(old as u64, scenes[old].class)));
        }
    }
    lines
}

pub fn read(lines: Vec<Line>) -> Trials {
    let mut trials = Trials::new(shipped());
    lines.into_iter().for_each(|line| trials.push(line).unwrap());
    trials
}

#[test]
fn a_line_is_read_as_it_was_written() {
    let mut decision = decided(7, &market::scenes(1, 1, EQUAL)[0]);
    decision.drift = Some(FeatureDrift { psi_max: 0.1, drifted_frac: 0.0 });
    decision.challenger.virtual_fill = Some(fill());
    for line in [Line::Decision(Box::new(decision)), Line::Outcome(came(7, 2))] {
        let text = line.text().unwrap();
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1);
        assert_eq!(Line::parse(text.trim_end().as_bytes()).unwrap(), line);
    }
}

#[test]
fn a_line_that_cannot_be_is_refused_by_the_field_at_fault() {
    let scene = market::scenes(1, 1, EQUAL)[0];
    let good = decided(7, &scene);
    let text = |decided: Decided| Line::Decision(Box::new(decided)).text().unwrap();
    let mut distribution = good.clone();
    distribution.challenger.proba = Some([0.5, 0.5, 0.5]);
    let mut equity = good.clone();
    equity.champion.equity = 0.0;
    let cases = [
        (text(distribution), "challenger.proba"),
        (text(equity), "champion.equity"),
        (text(Decided { schema: 2, ..good.clone() }), "schema"),
        (text(Decided { stage: Stage::Champion, ..good.clone() }), "stage"),
        (text(Decided { stage: Stage::Canary, ..good.clone() }), "assigned"),
        (text(good.clone()).replace("\"price\"", "\"prize\""), "prize"),
        (Line::Outcome(came(1, 3)).text().unwrap(), "outcome.class"),
        (text(good).split_at(200).0.to_owned(), "EOF"),
        ("{\"record\":\"guess\"}".to_owned(), "guess"),
        (" ".repeat(LINE_BYTES_MAX + 1), "longer"),
    ];
    for (text, named) in cases {
        let what = Line::parse(text.trim_end_matches('\n').as_bytes()).unwrap_err();
        assert!(what.contains(named), "{named}: {what}");
    }
}

#[test]
fn outcomes_are_joined_to_their_decisions_and_nothing_is_lost() {
    let trials = read(lines(1, 600));
    assert_eq!(trials.counts(), [600, 552, 48, 0]);
    let observed = trials.trials()[0].observed(1);
    assert_eq!((observed.predictions, observed.unscored, observed.late), (552, 48, 0));
    // 552 decisions of five minutes are eleven and a half horizons of four hours.
    assert_eq!(observed.label_blocks, 12);
    let scenes = market::scenes(1, 600, EQUAL);
    let loss = |s: &Scene| -s.challenger[s.class].max(0.01).ln();
    let mean = scenes[..552].iter().map(loss).sum::<f64>() / 552.0;
    assert!((observed.challenger.score.unwrap() - mean).abs() < 1e-12);
}

#[test]
fn a_stranger_and_a_twin_are_refused_and_change_nothing() {
    let mut trials = read(lines(1, 10));
    let before = trials.trials()[0].observed(1);
    assert!(trials.push(Line::Outcome(came(999, 0))).unwrap_err().contains("no such decision"));
    let twin = decided(9, &market::scenes(2, 1, EQUAL)[0]);
    assert!(trials.push(Line::Decision(Box::new(twin))).unwrap_err().contains("twice"));
    assert_eq!(trials.trials()[0].observed(1), before);
}

#[test]
fn each_pair_and_stage_has_a_trial_of_its_own_and_challengers_share_the_level() {
    let scene = market::scenes(1, 1, EQUAL)[0];
    let mut third = decided(3, &scene);
    third.challenger.version = "newer".to_owned();
    let mut other_file = decided(4, &scene);
    other_file.challenger.sha256 = "33".repeat(32);
    let all = [decided(1, &scene), decided(2, &scene), third, other_file];
    let trials = read(all.map(|one| Line::Decision(Box::new(one))).into());
    assert_eq!(trials.trials().len(), 3, "the same name with another file is another model");
    assert_eq!(trials.challengers_beside(&trials.trials()[0]), 3);
}

#[test]
fn a_number_that_another_session_used_is_no_repetition() {
    let scene = market::scenes(1, 1, EQUAL)[0];
    let mut trials = Trials::new(shipped());
    let line =
        |ts_event_ns| Line::Decision(Box::new(Decided { ts_event_ns, ..decided(7, &scene) }));
    trials.push(line(100)).unwrap();
    assert!(trials.push(line(100)).unwrap_err().contains("twice"));
    trials.push(line(200)).unwrap();
    trials.push(Line::Outcome(came(7, 2))).unwrap();
    // Two decisions, one outcome, none waits, and the older one's never came.
    assert_eq!(trials.counts(), [2, 1, 0, 1]);
}

#[test]
fn a_log_of_two_equal_models_holds_and_its_paper_is_the_same_whenever_written() {
    let trials = read(lines(3, 2_500));
    let trial = &trials.trials()[0];
    let source = Source { name: "shadow_eval.jsonl", sha256: "cd" };
    let verdict = judge(&shipped(), trial.stage(), &trial.observed(1), source).unwrap();
    assert_eq!(verdict.verdict, Ruling::Hold, "{}", verdict.explained);
    let evidence = BTreeMap::from([("shadow_eval.jsonl".to_owned(), "cd".to_owned())]);
    let paper = |at_ms| verdict.document(trial.pair(), evidence.clone(), at_ms).unwrap();
    let (one, other) = (paper(1), paper(2));
    assert_eq!(one.evidence_digest, other.evidence_digest);
    let keys: Vec<String> =
        serde_json::to_value(&one).unwrap().as_object().unwrap().keys().cloned().collect();
    let layout = "kind schema from to champion challenger verdict criteria evidence decided_at_ms \
                  evidence_digest";
    assert_eq!(keys, layout.split(' ').collect::<Vec<_>>());
    assert_eq!(serde_json::to_value(one.verdict).unwrap(), "hold");
    assert_eq!(serde_json::to_value(one.from).unwrap(), "shadow");
}

#[test]
fn what_is_kept_of_a_log_does_not_grow_with_it() {
    let size = |count: usize| {
        let trials = read(lines(1, count));
        format!("{:?}", trials.trials()[0]).len()
    };
    let (short, long) = (size(2_000), size(6_000));
    assert!(long < short + short / 4, "{short} {long}");
}
