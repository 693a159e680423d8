//! `peregrine shadow report`: the table, the faults by line number, the signed verdict.

use crate::pipeline_support::{last_json, peregrine, text};
use peregrine::promotion::record::{Came, Decided, Line, Outcome, SHADOW_SCHEMA, Signal, Told};
use peregrine::registry::Stage;
use peregrine::registry::seal::{PublicKey, Sealed, SigningKey};
use serde_json::Value;
use std::path::{Path, PathBuf};

const MINUTE_NS: i64 = 60_000_000_000;

fn told(version: &str, up: f64, equity: f64) -> Told {
    Told {
        version: version.to_owned(),
        sha256: "11".repeat(32),
        card_sha256: "22".repeat(32),
        proba: Some([0.5 - up / 2.0, 0.5 - up / 2.0, up]),
        q: None,
        signal: Signal::Hold,
        feature_set_id: "00112233445566aa".to_owned(),
        features_hash: "ff".to_owned(),
        latency_ns: 700,
        virtual_fill: None,
        position_before: 0.0,
        position_after: 0.0,
        equity,
        closed_pnl: None,
        error: None,
    }
}

/// A decision, and beside it what came: up, which the challenger says with 0.6 and the champion
/// with 0.2.
fn pair(seq: u64, challenger: &str) -> [String; 2] {
    let ts = seq as i64 * 5 * MINUTE_NS;
    let decided = Decided {
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
        champion: told("old-1", 0.2, 1_000.0),
        challenger: told(challenger, 0.6, 1_000.0 + seq as f64),
    };
    let came = Came {
        schema: SHADOW_SCHEMA,
        seq,
        symbol: "SOLUSDT".to_owned(),
        challenger: challenger.to_owned(),
        outcome: Outcome { class: 2, t1_ns: ts, ret_net: 0.0 },
    };
    [Line::Decision(Box::new(decided)), Line::Outcome(came)].map(|line| line.text().unwrap())
}

fn log_of(dir: &Path, lines: &[String]) -> PathBuf {
    let path = dir.join("shadow_eval.jsonl");
    std::fs::write(&path, lines.concat()).unwrap();
    path
}

#[test]
fn challenger_and_champion_stand_beside_each_other_and_the_verdict_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..600).flat_map(|seq| pair(seq, "new-1")).collect();
    let log = log_of(dir.path(), &lines);
    let output = peregrine(&["shadow", "report", "--log", text(&log)]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for words in ["old-1", "new-1", "1200 (0 cannot be used)", "hold: 2.1 days seen", "psi_max"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let output = peregrine(&["shadow", "report", "--log", text(&log), "--json"]);
    let told = last_json(&output);
    let trial = &told["trials"][0];
    assert_eq!((&told["decisions"], &told["waiting"]), (&Value::from(600), &Value::from(0)));
    // −ln 0.2 and −ln 0.6.
    let score = |side: &str| trial["observed"][side]["score"].as_f64().unwrap();
    assert!((score("champion") - 1.609_437_912_434_1).abs() < 1e-9);
    assert!((score("challenger") - 0.510_825_623_765_99).abs() < 1e-9);
    assert_eq!(trial["verdict"], "hold");
    let unknown = trial["criteria"].as_array().unwrap().iter();
    let psi = unknown.clone().find(|c| c["name"] == "promotion.shadow_to_canary.psi_max").unwrap();
    assert_eq!((&psi["value"], &psi["passed"]), (&Value::Null, &Value::from(false)));
}

#[test]
fn a_line_that_cannot_be_used_is_named_by_its_number_and_the_others_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines: Vec<String> = (0..50).flat_map(|seq| pair(seq, "new-1")).collect();
    lines.insert(10, "{\"record\":\"decision\"}\n".to_owned());
    lines.insert(20, "\u{0}\u{1}nonsense\n".to_owned());
    lines.insert(30, "x".repeat(200_000) + "\n");
    // Cut off by the end of a process.
    let torn = pair(50, "new-1")[0].clone();
    lines.push(torn[..torn.len() / 2].to_owned());
    let log = log_of(dir.path(), &lines);
    let output = peregrine(&["shadow", "report", "--log", text(&log), "--json"]);
    let told = last_json(&output);
    let faults: Vec<u64> = told["malformed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["line"].as_u64().unwrap())
        .collect();
    assert_eq!(faults, [11, 21, 31, 104]);
    assert_eq!((&told["lines"], &told["decisions"]), (&Value::from(104), &Value::from(50)));
    assert_eq!(told["outcomes"], 50);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("shadow_eval.jsonl:11: "), "{error}");
}

#[test]
fn the_verdict_is_written_signed_and_about_one_challenger() {
    let dir = tempfile::tempdir().unwrap();
    let (key, out) = (dir.path().join("judge.key"), dir.path().join("promotion_verdict.json"));
    let public: PublicKey = SigningKey::create(&key).unwrap();
    let mut lines: Vec<String> = (0..50).flat_map(|seq| pair(seq, "new-1")).collect();
    let log = log_of(dir.path(), &lines);
    let command = |more: &[&str]| {
        let fixed = ["shadow", "report", "--log", text(&log), "--out", text(&out)];
        peregrine(&[&fixed[..], &["--key", text(&key)], more].concat())
    };
    assert_eq!(command(&[]).status.code(), Some(0));
    let (sealed, signer) = Sealed::read(&out, &[public]).unwrap();
    assert_eq!(signer, public);
    let body: Value = serde_json::from_str(sealed.body()).unwrap();
    assert_eq!((&body["kind"], &body["verdict"]), (&"promotion_verdict".into(), &"hold".into()));
    assert_eq!((&body["from"], &body["to"]), (&"shadow".into(), &"canary".into()));
    assert_eq!(body["challenger"]["version"], "new-1");
    assert_eq!(body["evidence"].as_object().unwrap().len(), 2, "the log and the rules");
    lines.extend((0..50).flat_map(|seq| pair(seq, "new-2")));
    log_of(dir.path(), &lines);
    let output = command(&[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("--challenger: new-1, new-2"), "{error}");
    assert_eq!(command(&["--challenger", "new-2"]).status.code(), Some(0));
}

#[test]
fn bad_thresholds_are_bad_usage_and_a_missing_log_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_of(dir.path(), &[]);
    let gates = dir.path().join("gates.toml");
    let shipped = std::fs::read_to_string("config/gates.toml").unwrap();
    std::fs::write(&gates, shipped.replace("evidence_min = 20\n", "evidence_min = 2\n")).unwrap();
    let output = peregrine(&["shadow", "report", "--log", text(&log), "--config", text(&gates)]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("promotion.shadow_to_canary.evidence_min"), "{error}");
    let output = peregrine(&["shadow", "report", "--log", text(&dir.path().join("absent"))]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent"));
}
