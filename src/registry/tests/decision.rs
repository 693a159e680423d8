//! What a decision must be to let a model trade.

use super::key;
use crate::registry::decision::{
    Criterion, DecidedModel, Decision, DecisionError, Relation, Verdict,
};
use crate::registry::seal::Sealed;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;

fn criterion(name: &str, value: Option<f64>, relation: Relation, threshold: f64) -> Criterion {
    Criterion {
        name: name.to_owned(),
        value,
        relation,
        threshold,
        passed: relation.holds(value, threshold),
        evidence: "walk_forward.json".to_owned(),
        evidence_sha256: Some("e".repeat(64)),
    }
}

fn decision(criteria: Vec<Criterion>) -> Decision {
    let model = DecidedModel {
        version: "v1".to_owned(),
        sha256: "a".repeat(64),
        card_sha256: "b".repeat(64),
        data_manifest_sha256: "c".repeat(64),
    };
    let evidence = BTreeMap::from([("walk_forward.json".to_owned(), "e".repeat(64))]);
    Decision::new(model, criteria, evidence, "d".repeat(64), 100 * DAY_MS).unwrap()
}

fn good() -> Vec<Criterion> {
    vec![
        criterion("dsr", Some(0.97), Relation::AtLeast, 0.95),
        criterion("pbo", Some(0.1), Relation::AtMost, 0.2),
    ]
}

#[test]
fn the_verdict_is_go_only_where_every_criterion_is_known_and_holds() {
    assert_eq!(decision(good()).verdict, Verdict::Go);
    assert_eq!(decision(Vec::new()).verdict, Verdict::NoGo, "nothing was looked at");
    for (value, relation, threshold, passes) in [
        (Some(1.8), Relation::AtLeast, 1.8, true),
        (Some(1.8_f64.next_down()), Relation::AtLeast, 1.8, false),
        (Some(0.2), Relation::AtMost, 0.2, true),
        (Some(0.2_f64.next_up()), Relation::AtMost, 0.2, false),
        (Some(0.0_f64.next_up()), Relation::Above, 0.0, true),
        (Some(0.0), Relation::Above, 0.0, false),
        (Some(f64::NAN), Relation::AtLeast, 0.0, false),
        (Some(f64::NAN), Relation::AtMost, 0.0, false),
        (None, Relation::AtLeast, 0.0, false),
        (None, Relation::AtMost, 1.0, false),
        (None, Relation::Above, -1.0, false),
    ] {
        let more = criterion("more", value, relation, threshold);
        let wanted = if passes { Verdict::Go } else { Verdict::NoGo };
        let verdict = decision([good(), vec![more]].concat()).verdict;
        assert_eq!(verdict, wanted, "{value:?} {} {threshold}", relation.sign());
    }
}

#[test]
fn a_model_trades_on_a_go_of_its_own_that_is_not_too_old() {
    let go = decision(good());
    let objections = |model: &str, today| go.objections(&model.repeat(64), today, 30);
    assert_eq!(objections("a", 100), [""; 0]);
    assert_eq!(objections("a", 130), [""; 0]);
    assert!(objections("a", 131)[0].contains("31 days old, stage.decision_days_max is 30"));
    assert!(objections("a", 99)[0].contains("from the future"));
    assert!(objections("f", 100)[0].contains("is on v1"));
    let failing = criterion("ece", None, Relation::AtMost, 0.03);
    let nogo = decision([good(), vec![failing]].concat());
    let told = nogo.objections(&"a".repeat(64), 100, 30);
    assert_eq!(told, ["NO-GO: ece is not known, needs <= 0.03"]);
}

#[test]
fn the_same_evidence_has_the_same_digest_whenever_it_is_judged() {
    let at = |ms| {
        let Decision { model, criteria, evidence, thresholds_sha256, .. } = decision(good());
        Decision::new(model, criteria, evidence, thresholds_sha256, ms).unwrap().evidence_digest
    };
    assert_eq!(at(0), at(DAY_MS));
    let other = decision(vec![criterion("dsr", Some(0.98), Relation::AtLeast, 0.95)]);
    assert_ne!(other.evidence_digest, at(0));
}

#[test]
fn a_signed_decision_that_contradicts_itself_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, public) = key(dir.path(), "key");
    let path = dir.path().join("gate_decision.json");
    let read = |body: &Value| {
        let text = Sealed::new(body, &signing).unwrap().text().unwrap();
        std::fs::write(&path, text).unwrap();
        Decision::read(&path, &[public])
    };
    let whole = decision(good());
    let body = serde_json::to_value(&whole).unwrap();
    assert_eq!(read(&body).unwrap(), (whole, public));
    let nogo = decision(vec![criterion("dsr", Some(0.9), Relation::AtLeast, 0.95)]);
    let mut turned = serde_json::to_value(nogo).unwrap();
    turned["verdict"] = json!("GO");
    let with = |key: &str, value: Value| {
        let mut other = body.clone();
        other[key] = value;
        other
    };
    let mut passed = body.clone();
    passed["criteria"][0]["value"] = json!(0.5);
    for (other, told) in [
        (turned, "the verdict GO is not of its criteria"),
        (passed, "dsr: its verdict is not that of its value"),
        (with("kind", json!("sign_off")), "not a gate decision"),
        (with("schema", json!(2)), "layout 2"),
        (with("thresholds_sha256", json!("0")), "evidence_digest"),
        (with("note", json!("please")), "unknown field `note`"),
    ] {
        let refused = read(&other).unwrap_err();
        assert!(matches!(refused, DecisionError::Malformed { .. }), "{refused}");
        let refused = refused.to_string();
        assert!(refused.contains("gate_decision.json") && refused.contains(told), "{refused}");
    }
}
