//! `registry.json`: the layout before this one is read, and no byte can be changed unseen.

use super::{again, change, reigned, staged};
use crate::registry::{Document, Proving, Registry, SCHEMA_VERSION, Stage, Target};
use std::path::Path;

/// A file of layout 1 with one champion, as the program of that layout wrote it.
const OLDER: &[u8] = include_bytes!("../../../tests/fixtures/registry_1.json");

/// A registry's file, and one more pair of eyes on it.
fn file(root: &tempfile::TempDir) -> std::path::PathBuf {
    root.path().join("models/registry.json")
}

#[test]
fn a_file_of_layout_1_is_read_as_one_of_layout_2() {
    let told: serde_json::Value = serde_json::from_slice(OLDER).unwrap();
    let document = Document::parse(OLDER).unwrap();
    document.check().unwrap();
    assert_eq!((&told["schema_version"], document.schema_version), (&1.into(), SCHEMA_VERSION));
    assert_eq!(document.champion.as_deref(), Some("synthetic-1"));
    assert_eq!(document.previous, None);
    let hashes = document.history.iter().map(|entry| entry.hash.as_str());
    let were = told["history"].as_array().unwrap().iter().map(|e| e["hash"].as_str().unwrap());
    assert!(hashes.eq(were), "the chain is the one that was");
}

#[test]
fn the_shipped_registry_is_whole() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models_saved");
    let registry = Registry::open(&shipped).unwrap();
    assert_eq!(registry.verify().unwrap().problems, []);
    assert!(registry.champion_version().is_some());
}

#[test]
fn a_registry_of_layout_1_is_written_as_layout_2_with_the_next_change() {
    let (root, _) = reigned(&["v1", "v2"]);
    let text = std::fs::read_to_string(file(&root)).unwrap();
    let older = text.replacen("\"schema_version\": 2", "\"schema_version\": 1", 1);
    let older = older.replacen("  \"previous\": \"v1\",\n", "", 1);
    assert_eq!(text.len() - older.len(), "  \"previous\": \"v1\",\n".len());
    std::fs::write(file(&root), &older).unwrap();
    let mut registry = again(&root);
    assert_eq!(registry.previous_version(), Some("v1"), "it follows from the history");
    assert_eq!(std::fs::read_to_string(file(&root)).unwrap(), older, "reading writes nothing");
    registry.rollback(Target::Previous, Proving::ANY, change("x"), true).unwrap();
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file(&root)).unwrap()).unwrap();
    assert_eq!(told["schema_version"], SCHEMA_VERSION);
    assert_eq!(told["previous"], serde_json::Value::Null);
    assert_eq!(again(&root).champion_version(), Some("v1"));
    assert_eq!(again(&root).verify().unwrap().problems, []);
}

#[test]
fn layout_1_has_no_previous_no_papers_and_no_later_changes() {
    let (root, mut registry) = reigned(&["v1", "v2"]);
    registry.quarantine("v1", change("x")).unwrap();
    let text = std::fs::read_to_string(file(&root)).unwrap();
    let older = text.replacen("\"schema_version\": 2", "\"schema_version\": 1", 1);
    assert_ne!(older, text);
    let refused = Document::parse(older.as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("previous"), "{refused}");
    let without = older.replacen("  \"previous\": null,\n", "", 1);
    assert_ne!(without, older);
    let refused = Document::parse(without.as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("quarantined"), "{refused}");
    for other in [0, 3, 99] {
        let later =
            text.replacen("\"schema_version\": 2", &format!("\"schema_version\": {other}"), 1);
        let refused = Document::parse(later.as_bytes()).unwrap_err().to_string();
        assert!(
            refused.contains("registry.json") && refused.contains("schema_version"),
            "{refused}"
        );
    }
}

#[test]
fn every_byte_of_the_registry_s_file_is_guarded() {
    let (root, mut registry) = reigned(&["v1", "v2"]);
    registry.rollback(Target::Previous, Proving::ANY, change("x"), true).unwrap();
    let path = file(&root);
    let whole = std::fs::read(&path).unwrap();
    let before = Document::parse(&whole).unwrap();
    let dir = root.path().join("models");
    let mut accepted = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        let read = Document::parse(&changed);
        let read = read.and_then(|document| document.check().map(|()| document));
        match read {
            Err(refused) => {
                let told = refused.to_string();
                assert!(told.starts_with("registry.json: "), "byte {at}: {told}");
                continue;
            }
            Ok(document) if document == before => continue,
            Ok(_) => {}
        }
        // Figures are the card's, and are held against it when files are looked at.
        std::fs::write(&path, &changed).unwrap();
        let found = Registry::open(&dir).unwrap().verify().unwrap().problems;
        assert!(!found.is_empty(), "byte {at}: {}", String::from_utf8_lossy(&changed));
        accepted += 1;
    }
    assert!(accepted < whole.len() / 10, "{accepted} of {} are seen by verify alone", whole.len());
}

#[test]
fn every_byte_of_a_version_s_files_is_guarded() {
    let (root, registry) = staged(&["v1"]);
    for name in ["model.onnx", "card.toml"] {
        let path = root.path().join("models/v1").join(name);
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 150).chain([whole.len() - 1]) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, changed).unwrap();
            let refused = registry.files("v1").unwrap_err().to_string();
            assert!(refused.contains(&format!("v1/{name}")), "byte {at}: {refused}");
        }
        std::fs::write(&path, whole).unwrap();
    }
    registry.files("v1").unwrap();
}

#[test]
fn a_history_that_does_what_the_rules_forbid_does_not_open() {
    use crate::registry::{Action, Entry};
    let (root, registry) = staged(&["v1", "v2"]);
    let document = Document::parse(&std::fs::read(file(&root)).unwrap()).unwrap();
    let last = registry.history().last().unwrap().clone();
    let step = |action, version: &str, from: Stage, to: Stage| {
        let entry =
            Entry { action, version: version.to_owned(), from: Some(from), to, ..last.clone() };
        Entry { record_hash: None, ..entry }
    };
    use Stage::{Canary, Champion, Retired, Shadow, Staged};
    let cases: [&[Entry]; 8] = [
        &[step(Action::Moved, "v1", Staged, Canary)],
        &[step(Action::Moved, "v1", Staged, Champion), step(Action::Moved, "v2", Staged, Champion)],
        &[step(Action::RolledBack, "v1", Staged, Champion)],
        &[
            step(Action::Moved, "v1", Staged, Retired),
            step(Action::RolledBack, "v1", Retired, Champion),
        ],
        &[
            step(Action::Quarantined, "v1", Staged, Staged),
            step(Action::Moved, "v1", Staged, Shadow),
        ],
        &[step(Action::Released, "v1", Staged, Staged)],
        &[step(Action::Removed, "v1", Staged, Staged)],
        &[step(Action::Moved, "v1", Shadow, Canary)],
    ];
    for entries in cases {
        let mut forged = document.clone();
        entries.iter().for_each(|entry| forged.append(entry.clone()));
        let refused = forged.standing().unwrap_err().to_string();
        assert!(refused.contains("history entry"), "{refused}");
    }
}
