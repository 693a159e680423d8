//! The registry of models: what it refuses, what it names, what survives interruption.

use crate::model_fixtures::artifact;
use peregrine::model::ArtifactFiles;
use peregrine::registry::{Change, Registry, RegistryError, Stage};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn change(at_ms: u64) -> Change {
    Change { at_ms, by: "tester".into(), reason: "test".into(), evidence_sha256: None }
}

/// A folder outside the registry with a version's files.
fn version(root: &Path, name: &str) -> PathBuf {
    let files = artifact("sklearn_mlp");
    let card = files.card_text.replace("version = \"v1\"", &format!("version = \"{name}\""));
    let dir = root.join("out").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("model.onnx"), &files.onnx).unwrap();
    std::fs::write(dir.join("card.toml"), card).unwrap();
    dir
}

/// A registry with v1 as champion and v2 staged.
fn registry() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("models_saved");
    let mut registry = Registry::create(&dir).unwrap();
    registry.register(&version(root.path(), "v1"), None, change(1)).unwrap();
    registry.register(&version(root.path(), "v2"), Some("v1"), change(2)).unwrap();
    registry.advance("v1", Stage::Champion, change(3)).unwrap();
    (root, dir)
}

fn complaints(dir: &Path) -> Vec<String> {
    let report = Registry::open(dir).unwrap().verify().unwrap();
    report.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_registered_champion_reads_back_as_the_bytes_that_were_registered() {
    let (root, dir) = registry();
    let registry = Registry::open(&dir).unwrap();
    let champion = registry.champion().unwrap();
    let source = ArtifactFiles::read(&root.path().join("out/v1")).unwrap();
    assert_eq!(champion.onnx, source.onnx);
    assert_eq!(champion.card, source.card);
    assert_eq!(registry.champion_version(), Some("v1"));
    assert_eq!(
        registry.list().map(|(v, r)| (v, r.stage)).collect::<Vec<_>>(),
        [("v1", Stage::Champion), ("v2", Stage::Staged),]
    );
    assert_eq!(registry.show("v2").unwrap().parent.as_deref(), Some("v1"));
    let report = registry.verify().unwrap();
    assert_eq!((report.versions, report.files, report.problems.len()), (2, 4, 0), "{report:?}");
}

#[test]
fn a_tampered_missing_or_extra_file_is_refused_by_its_name() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 6] = [
        ("v1/model.onnx", |dir| {
            let path = dir.join("v1/model.onnx");
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }),
        ("v1/model.onnx", |dir| {
            use std::io::Write;
            let mut file =
                std::fs::OpenOptions::new().append(true).open(dir.join("v1/model.onnx")).unwrap();
            file.write_all(b"x").unwrap();
        }),
        ("v1/model.onnx", |dir| std::fs::remove_file(dir.join("v1/model.onnx")).unwrap()),
        ("v1/card.toml", |dir| {
            let path = dir.join("v1/card.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, text.replace("horizon_ms = 1000", "horizon_ms = 9000")).unwrap();
        }),
        ("v1/notes.txt", |dir| std::fs::write(dir.join("v1/notes.txt"), b"hi").unwrap()),
        ("v1/model.onnx", |dir| {
            let path = dir.join("v1/model.onnx");
            std::fs::rename(&path, dir.join("../elsewhere")).unwrap();
            std::os::unix::fs::symlink(dir.join("../elsewhere"), path).unwrap();
        }),
    ];
    for (name, damage) in cases {
        let (_root, dir) = registry();
        damage(&dir);
        let found = complaints(&dir);
        assert!(found.iter().any(|c| c.starts_with(name)), "{name}: {found:?}");
        let refused = Registry::open(&dir).unwrap().champion().unwrap_err().to_string();
        assert!(refused.contains(name), "{name}: {refused}");
    }
}

#[test]
fn a_folder_nobody_registered_is_named() {
    let (_root, dir) = registry();
    std::fs::create_dir(dir.join("v9")).unwrap();
    std::fs::write(dir.join("README.md"), b"models").unwrap();
    std::fs::create_dir(dir.join(".staging-v3")).unwrap();
    assert_eq!(complaints(&dir), ["v9: is not registered"]);
}

#[test]
fn an_edited_registry_file_does_not_open() {
    let cases = [
        ("\"champion\": \"v1\"", "\"champion\": \"v2\"", "champion"),
        ("\"stage\": \"staged\"", "\"stage\": \"canary\"", "stage of v2"),
        ("\"seed\": 7", "\"seed\": 8", "record of v1"),
        ("\"by\": \"tester\"", "\"by\": \"someone\"", "history entry 1"),
        ("\"path\": \"model.onnx\"", "\"path\": \"../../etc/passwd\"", "v1"),
        ("\"schema_version\": 2", "\"schema_version\": 3", "schema_version"),
        ("\"champion\"", "\"leader\"", "leader"),
    ];
    for (from, to, word) in cases {
        let (_root, dir) = registry();
        let path = dir.join("registry.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let refused = Registry::open(&dir).unwrap_err().to_string();
        assert!(refused.contains("registry.json") && refused.contains(word), "{to}: {refused}");
    }
}

#[test]
fn metrics_that_are_not_the_cards_are_named() {
    let (_root, dir) = registry();
    let path = dir.join("registry.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("0.30000000000000004", "0.2", 1)).unwrap();
    let found = complaints(&dir);
    assert!(found.len() == 1 && found[0].contains("metrics of v1"), "{found:?}");
}

#[test]
fn a_version_is_never_registered_twice() {
    let (root, dir) = registry();
    let mut registry = Registry::open(&dir).unwrap();
    let again = registry.register(&version(root.path(), "v1"), None, change(9));
    assert!(matches!(again, Err(RegistryError::VersionExists { .. })), "{again:?}");
    let orphan = registry.register(&version(root.path(), "v3"), Some("v0"), change(9));
    assert!(matches!(orphan, Err(RegistryError::UnknownVersion { .. })), "{orphan:?}");
    assert!(!dir.join("v3").exists(), "a refused registration leaves no folder");
}

#[test]
fn a_version_is_not_called_what_commands_and_files_are_called() {
    let (root, dir) = registry();
    let mut registry = Registry::open(&dir).unwrap();
    for name in ["champion", "previous", "none", "registry.json", "README.md"] {
        let refused = registry.register(&version(root.path(), name), None, change(9)).unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
    }
    assert_eq!(complaints(&dir), Vec::<String>::new());
}

#[test]
fn a_version_whose_model_does_not_load_is_not_registered() {
    let (root, dir) = registry();
    let from = version(root.path(), "v3");
    let card = std::fs::read_to_string(from.join("card.toml")).unwrap();
    let at = card.find("probabilities = \"").unwrap() + 40;
    let digit = if card.as_bytes()[at] == b'A' { "B" } else { "A" };
    std::fs::write(from.join("card.toml"), [&card[..at], digit, &card[at + 1..]].concat()).unwrap();
    let mut registry = Registry::open(&dir).unwrap();
    let refused = registry.register(&from, None, change(4)).unwrap_err().to_string();
    assert!(refused.contains("golden"), "{refused}");
    assert_eq!(Registry::open(&dir).unwrap().list().count(), 2);
}

#[test]
fn stages_are_passed_in_order_and_a_second_champion_needs_evidence() {
    let (_root, dir) = registry();
    let mut registry = Registry::open(&dir).unwrap();
    for to in [Stage::Champion, Stage::Canary, Stage::Staged] {
        let refused = registry.advance("v2", to, change(4)).unwrap_err().to_string();
        assert!(refused.contains("v2") && refused.contains("staged"), "{refused}");
    }
    registry.advance("v2", Stage::Shadow, change(5)).unwrap();
    registry.advance("v2", Stage::Canary, change(6)).unwrap();
    let refused = registry.advance("v2", Stage::Champion, change(7)).unwrap_err().to_string();
    assert!(refused.contains("gate decision"), "{refused}");
    let evidence = Change { evidence_sha256: Some("ab".repeat(32)), ..change(8) };
    registry.advance("v2", Stage::Champion, evidence).unwrap();
    let registry = Registry::open(&dir).unwrap();
    assert_eq!(registry.champion_version(), Some("v2"));
    assert_eq!(registry.show("v1").unwrap().stage, Stage::Retired);
    assert_eq!(registry.history().len(), 7);
}

#[test]
fn a_tampered_version_cannot_become_champion() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("models_saved");
    let mut registry = Registry::create(&dir).unwrap();
    registry.register(&version(root.path(), "v1"), None, change(1)).unwrap();
    std::fs::write(dir.join("v1/model.onnx"), b"other").unwrap();
    let refused = registry.advance("v1", Stage::Champion, change(2)).unwrap_err().to_string();
    assert!(refused.contains("v1/model.onnx"), "{refused}");
    assert!(matches!(registry.champion(), Err(RegistryError::NoChampion)));
}

#[test]
fn what_an_interrupted_write_leaves_behind_does_not_matter() {
    let (root, dir) = registry();
    std::fs::write(dir.join(".registry.json.tmp"), b"{\"schema_ver").unwrap();
    std::fs::create_dir(dir.join(".staging-v3")).unwrap();
    std::fs::write(dir.join(".staging-v3/model.onnx"), b"half").unwrap();
    let mut registry = Registry::open(&dir).unwrap();
    registry.register(&version(root.path(), "v3"), None, change(4)).unwrap();
    assert_eq!(complaints(&dir), Vec::<String>::new());
}

#[test]
fn registrations_at_the_same_time_are_all_kept() {
    let (root, dir) = registry();
    let names = ["a", "b", "c", "d"];
    let folders: Vec<PathBuf> = names.iter().map(|n| version(root.path(), n)).collect();
    std::thread::scope(|scope| {
        for folder in &folders {
            scope.spawn(|| {
                Registry::open(&dir).unwrap().register(folder, None, change(5)).unwrap();
            });
        }
    });
    let registry = Registry::open(&dir).unwrap();
    assert!(names.iter().all(|n| registry.show(n).is_ok()));
    assert_eq!(complaints(&dir), Vec::<String>::new());
}

#[test]
fn a_registry_is_not_made_over_another_and_a_missing_one_is_named() {
    let (_root, dir) = registry();
    assert!(matches!(Registry::create(&dir), Err(RegistryError::Exists { .. })));
    let nowhere = Registry::open(&dir.join("nowhere")).unwrap_err().to_string();
    assert!(nowhere.contains("registry.json"), "{nowhere}");
}
