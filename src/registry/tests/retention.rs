//! Retention removes no file that somebody may still need.

use super::{again, change, crown, key, reigned, version};
use crate::registry::seal::Sealed;
use crate::registry::{Needs, Proving, Pruned, Registry, RegistryError, Stage, Target};
use std::path::PathBuf;

fn prune(registry: &mut Registry, keep: usize, papers: &[PathBuf]) -> Pruned {
    registry.prune(keep, papers_alone(papers), change("disk"), true).unwrap()
}

fn papers_alone(papers: &[PathBuf]) -> Needs<'_> {
    Needs { papers, ..Needs::default() }
}

#[test]
fn the_newest_retired_versions_stay_and_records_and_history_always() {
    let (root, mut registry) = reigned(&["v1", "v2", "v3", "v4", "v5"]);
    let before = registry.history().len();
    let plan = registry.prune(1, Needs::default(), change("disk"), false).unwrap();
    assert_eq!(plan.removed, ["v2", "v1"]);
    assert!(root.path().join("models/v1").exists(), "a look removes nothing");
    assert_eq!(registry.history().len(), before);
    assert_eq!(prune(&mut registry, 1, &[]), plan);
    let registry = again(&root);
    for (name, there) in [("v1", false), ("v2", false), ("v3", true), ("v4", true), ("v5", true)] {
        assert_eq!(root.path().join("models").join(name).exists(), there, "{name}");
        assert_eq!(registry.show(name).unwrap().files.len(), 2, "{name}: its record stays");
    }
    assert_eq!(registry.history().len(), before + 2);
    assert!(registry.verify().unwrap().problems.is_empty());
    assert!(matches!(registry.files("v1"), Err(RegistryError::Removed { .. })));
}

#[test]
fn what_is_referenced_stays_whatever_is_kept() {
    let (root, mut registry) = reigned(&["v1", "v2", "v3", "v4", "v5"]);
    let child = version(root.path(), "w1");
    registry.register(&child, Some("v1"), change("from v1")).unwrap();
    registry.register(&version(root.path(), "w2"), Some("v2"), change("from v2")).unwrap();
    registry.advance("w1", Stage::Shadow, change("x")).unwrap();
    let (signing, _) = key(root.path(), "key");
    let paper = root.path().join("gate_decision.json");
    let body = serde_json::json!({"kind": "gate_decision", "model": {"version": "v3"}});
    std::fs::write(&paper, Sealed::new(&body, &signing).unwrap().text().unwrap()).unwrap();
    let pruned = prune(&mut registry, 0, &[paper]);
    assert_eq!(pruned.removed, ["v2"], "w2 is staged, not in use");
    let kept: Vec<_> = pruned.kept.iter().map(|(version, why)| (version.as_str(), *why)).collect();
    assert_eq!(
        kept,
        [
            ("v4", "a rollback goes there"),
            ("v3", "a paper names it"),
            ("v1", "a version in use was made from it"),
        ]
    );
    let names = ["w1", "w2", "v5"];
    assert!(names.iter().all(|name| root.path().join("models").join(name).exists()));
}

#[test]
fn what_a_configuration_names_stays_for_as_long_as_it_does() {
    let (_root, mut registry) = reigned(&["v1", "v2", "v3", "v4"]);
    let needs = Needs { configured: &["v2", "champion"], ..Needs::default() };
    let pruned = registry.prune(0, needs, change("disk"), true).unwrap();
    assert_eq!(pruned.removed, ["v1"]);
    let kept: Vec<_> = pruned.kept.iter().map(|(version, why)| (version.as_str(), *why)).collect();
    assert_eq!(kept, [("v3", "a rollback goes there"), ("v2", "a configuration names it")]);
    assert_eq!(prune(&mut registry, 0, &[]).removed, ["v2"]);
}

#[test]
fn a_removed_version_is_chosen_by_nobody() {
    let (_root, mut registry) = reigned(&["v1", "v2", "v3"]);
    assert_eq!(prune(&mut registry, 0, &[]).removed, ["v1"]);
    let target = Target::Version("v1");
    let refused = registry.rollback(target, Proving::ANY, change("x"), true).unwrap_err();
    assert!(refused.to_string().contains("its files were removed"), "{refused}");
    let refused = registry.advance("v1", Stage::Shadow, change("x")).unwrap_err();
    assert!(refused.to_string().contains("its files were removed"), "{refused}");
    assert_eq!(prune(&mut registry, 0, &[]), {
        let kept = vec![("v2".to_owned(), "a rollback goes there")];
        Pruned { kept, ..Pruned::default() }
    });
}

#[test]
fn what_an_interrupted_removal_leaves_is_named_and_removed_by_the_next() {
    let (root, mut registry) = reigned(&["v1", "v2", "v3"]);
    let models = root.path().join("models");
    let away = root.path().join("away");
    std::fs::create_dir(&away).unwrap();
    for file in ["model.onnx", "card.toml"] {
        std::fs::copy(models.join("v1").join(file), away.join(file)).unwrap();
    }
    prune(&mut registry, 0, &[]);
    std::fs::rename(&away, models.join("v1")).unwrap();
    std::fs::create_dir(models.join(".removed-v1")).unwrap();
    let problems = registry.verify().unwrap().problems;
    assert_eq!(problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), ["v1"]);
    prune(&mut registry, 0, &[]);
    assert!(!models.join("v1").exists() && !models.join(".removed-v1").exists());
    assert!(registry.verify().unwrap().problems.is_empty());
}

#[test]
fn a_paper_that_cannot_be_read_stops_the_removal() {
    let (root, mut registry) = reigned(&["v1", "v2", "v3"]);
    let absent = root.path().join("absent.json");
    let refused = registry
        .prune(0, papers_alone(std::slice::from_ref(&absent)), change("disk"), true)
        .unwrap_err();
    assert!(refused.to_string().contains("absent.json"), "{refused}");
    std::fs::write(&absent, "{}").unwrap();
    let refused = registry.prune(0, papers_alone(&[absent]), change("disk"), true).unwrap_err();
    assert!(refused.to_string().contains("absent.json"), "{refused}");
    assert!(root.path().join("models/v1").exists());
}

#[test]
fn a_version_that_is_promoted_again_is_not_removed() {
    let (root, mut registry) = reigned(&["v1", "v2", "v3"]);
    registry.advance("v1", Stage::Shadow, change("a new decision")).unwrap();
    assert_eq!(prune(&mut registry, 0, &[]).removed, [""; 0]);
    crown_again(&mut registry);
    assert_eq!(registry.previous_version(), Some("v3"));
    assert!(root.path().join("models/v1").exists());
}

fn crown_again(registry: &mut Registry) {
    registry.advance("v1", Stage::Retired, change("not yet")).unwrap();
    crown(registry, "v1");
}
