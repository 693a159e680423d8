//! The decision as files: the same bytes, readable, complete.

use super::Reports;
use crate::gate::{DECISION_FILE, DOCUMENT_FILE, write};
use lopdf::Document;
use peregrine::registry::decision::{Decision, Verdict};
use peregrine::registry::seal::{PublicKey, SigningKey};
use serde_json::json;
use std::fs;
use tempfile::TempDir;

fn key(dir: &TempDir) -> (SigningKey, PublicKey) {
    let path = dir.path().join("key");
    let public = SigningKey::create(&path).unwrap();
    (SigningKey::read(&path).unwrap(), public)
}

/// The text of a PDF as another library reads it, its pages and lines run together.
fn text(bytes: &[u8]) -> (usize, String) {
    let document = Document::load_mem(bytes).unwrap();
    let pages: Vec<u32> = document.get_pages().into_keys().collect();
    (pages.len(), document.extract_text(&pages).unwrap())
}

#[test]
fn the_document_holds_the_verdict_every_criterion_every_hash_and_who_signed() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, public) = key(&dir);
    let mut reports = Reports::good();
    for verdict in [Verdict::Go, Verdict::NoGo] {
        let decision = reports.decide().unwrap();
        assert_eq!(decision.verdict, verdict);
        let sealed = write(&decision, &signing, dir.path()).unwrap();
        let (pages, text) = text(&fs::read(dir.path().join(DOCUMENT_FILE)).unwrap());
        assert!((1..=2).contains(&pages), "{pages} pages");
        assert!(text.contains(&format!("Verdict: {}\n", verdict.name())), "{text}");
        let mut wanted = vec![
            decision.model.sha256.clone(),
            decision.model.card_sha256.clone(),
            decision.model.data_manifest_sha256.clone(),
            decision.thresholds_sha256.clone(),
            decision.evidence_digest.clone(),
            sealed.signature()[..64].to_owned(),
            sealed.signature()[64..].to_owned(),
            public.hex(),
            public.fingerprint(),
            "2023-11-14T22:13:20Z".to_owned(),
        ];
        wanted.extend(decision.criteria.iter().map(|criterion| criterion.name.clone()));
        wanted.extend(decision.evidence.iter().flat_map(|(a, b)| [a.clone(), b.clone()]));
        wanted.extend(decision.failed().map(|criterion| criterion.told()));
        for part in wanted {
            assert!(text.contains(&part), "{part} in {text}");
        }
        let (passes, fails) = (text.matches("PASS").count(), text.matches("FAIL").count());
        assert_eq!((fails, passes + fails), (decision.failed().count(), decision.criteria.len()));
        reports.walk["pooled"]["dsr"] = json!(0.5);
        reports.walk["pbo"] = json!(null);
    }
}

#[test]
fn the_same_evidence_key_and_time_give_the_same_bytes_and_they_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, public) = key(&dir);
    let reports = Reports::good();
    let both = |name: &str| {
        let out = dir.path().join(name);
        let decision = reports.decide().unwrap();
        write(&decision, &signing, &out).unwrap();
        assert_eq!(Decision::read(&out.join(DECISION_FILE), &[public]).unwrap().0, decision);
        [DECISION_FILE, DOCUMENT_FILE].map(|file| fs::read(out.join(file)).unwrap())
    };
    assert!(both("once") == both("twice"));
}
