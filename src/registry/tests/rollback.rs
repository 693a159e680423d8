//! Rollback: where it goes, what it proves first, what it leaves behind.

use super::{again, change, crown, reigned, staged};
use crate::registry::{Action, Proving, Registry, RegistryError, Rollback, Stage, Target};

fn back(registry: &mut Registry, target: Target<'_>) -> Result<Rollback, RegistryError> {
    registry.rollback(target, Proving::ANY, change("drawdown"), true)
}

fn champion(registry: &Registry) -> Option<String> {
    registry.champion_version().map(str::to_owned)
}

fn flip(root: &tempfile::TempDir, file: &str) {
    let path = root.path().join("models").join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn without_execute_nothing_is_written_and_what_would_happen_is_told() {
    let (root, mut registry) = reigned(&["v1", "v2"]);
    let file = root.path().join("models/registry.json");
    let before = std::fs::read(&file).unwrap();
    let plan = registry.rollback(Target::Previous, Proving::ANY, change("look"), false).unwrap();
    assert_eq!((plan.leaves.as_deref(), plan.to.as_deref()), (Some("v2"), Some("v1")));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(back(&mut registry, Target::Previous).unwrap(), plan, "and then it does that");
    assert_eq!(champion(&again(&root)).as_deref(), Some("v1"));
}

#[test]
fn a_rollback_leaves_a_quarantined_version_and_a_history_that_says_so() {
    let (root, mut registry) = reigned(&["v1", "v2"]);
    let before = registry.history().len();
    back(&mut registry, Target::Previous).unwrap();
    let registry = again(&root);
    let told: Vec<_> = registry.history()[before..]
        .iter()
        .map(|entry| (entry.action, entry.version.as_str(), entry.to, entry.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Action::RolledBack, "v2", Stage::Retired, "drawdown"),
            (Action::Quarantined, "v2", Stage::Retired, "left by a rollback: drawdown"),
            (Action::RolledBack, "v1", Stage::Champion, "drawdown"),
        ]
    );
    assert_eq!(registry.show("v2").unwrap().stage, Stage::Retired);
    assert_eq!(registry.previous_version(), None);
}

#[test]
fn repeated_rollbacks_go_further_back_and_never_stay_or_return() {
    let (_root, mut registry) = reigned(&["v1", "v2", "v3", "v4"]);
    assert_eq!(registry.previous_version(), Some("v3"));
    let mut seen = vec!["v4".to_owned()];
    for expected in ["v3", "v2", "v1"] {
        back(&mut registry, Target::Previous).unwrap();
        let now = champion(&registry).unwrap();
        assert!(!seen.contains(&now), "{now} after {seen:?}");
        assert_eq!(now, expected);
        seen.push(now);
    }
    let refused = back(&mut registry, Target::Previous).unwrap_err().to_string();
    assert!(refused.contains("no former champion") && refused.contains("--to none"), "{refused}");
    assert_eq!(champion(&registry).as_deref(), Some("v1"), "and nothing moved");
}

#[test]
fn a_champion_promoted_after_a_rollback_goes_back_to_where_that_went() {
    let (_root, mut registry) = reigned(&["v1", "v2"]);
    back(&mut registry, Target::Previous).unwrap();
    let dir = tempfile::tempdir().unwrap();
    registry.register(&super::version(dir.path(), "v3"), None, change("trained")).unwrap();
    crown(&mut registry, "v3");
    assert_eq!(registry.previous_version(), Some("v1"), "v2 was left for good");
    back(&mut registry, Target::Previous).unwrap();
    assert_eq!(champion(&registry).as_deref(), Some("v1"));
}

#[test]
fn quarantined_versions_are_passed_over_until_they_are_released() {
    let (_root, mut registry) = reigned(&["v1", "v2", "v3"]);
    registry.quarantine("v2", change("one-sided")).unwrap();
    assert_eq!(registry.previous_version(), Some("v1"));
    let named = back(&mut registry, Target::Version("v2")).unwrap_err().to_string();
    assert!(named.contains("v2") && named.contains("quarantined"), "{named}");
    let plan = registry.rollback(Target::Previous, Proving::ANY, change("x"), false).unwrap();
    assert_eq!(plan.to.as_deref(), Some("v1"));
    assert_eq!(plan.skipped, [("v2".to_owned(), "it is quarantined".to_owned())]);
    registry.release("v2", change("the feed was at fault")).unwrap();
    back(&mut registry, Target::Previous).unwrap();
    assert_eq!(champion(&registry).as_deref(), Some("v2"));
}

#[test]
fn a_version_that_is_not_what_was_registered_is_not_gone_back_to() {
    let (root, mut registry) = reigned(&["v1", "v2", "v3"]);
    flip(&root, "v2/model.onnx");
    let named = back(&mut registry, Target::Version("v2")).unwrap_err().to_string();
    assert!(named.contains("v2/model.onnx"), "{named}");
    assert_eq!(champion(&registry).as_deref(), Some("v3"), "the pointer did not move");
    let plan = back(&mut registry, Target::Previous).unwrap();
    assert_eq!(plan.to.as_deref(), Some("v1"));
    assert!(plan.skipped[0].1.contains("v2/model.onnx"), "{:?}", plan.skipped);
    flip(&root, "v1/card.toml");
    let refused = back(&mut registry, Target::Previous).unwrap_err().to_string();
    assert!(refused.contains("no former champion"), "{refused}");
}

#[test]
fn a_model_that_this_program_cannot_run_is_not_gone_back_to() {
    let (_root, mut registry) = reigned(&["v1", "v2"]);
    let other = Proving { schema_hash: Some(1), ..Proving::ANY };
    let refused = registry.rollback(Target::Previous, other, change("x"), true).unwrap_err();
    assert!(refused.to_string().contains("schema"), "{refused}");
    assert_eq!(champion(&registry).as_deref(), Some("v2"));
}

#[test]
fn only_former_champions_are_gone_back_to() {
    let (_root, mut registry) = staged(&["v1", "v2", "v3"]);
    crown(&mut registry, "v1");
    crown(&mut registry, "v2");
    for (version, told) in [("v3", "never was champion"), ("v2", "is the champion now")] {
        let refused = back(&mut registry, Target::Version(version)).unwrap_err().to_string();
        assert!(refused.contains(version) && refused.contains(told), "{refused}");
    }
    let unknown = back(&mut registry, Target::Version("v9")).unwrap_err();
    assert!(matches!(unknown, RegistryError::UnknownVersion { .. }), "{unknown}");
}

#[test]
fn rolled_back_to_nothing_no_model_trades_and_there_is_a_way_back() {
    let (root, mut registry) = reigned(&["v1", "v2"]);
    back(&mut registry, Target::Nothing).unwrap();
    let mut registry = again(&root);
    assert_eq!(registry.champion_version(), None);
    assert!(matches!(registry.champion(), Err(RegistryError::NoChampion)));
    assert!(matches!(back(&mut registry, Target::Nothing), Err(RegistryError::NoChampion)));
    registry.release("v2", change("x")).unwrap();
    assert_eq!(registry.previous_version(), Some("v1"), "what was left is not the way back");
    back(&mut registry, Target::Previous).unwrap();
    assert_eq!(champion(&registry).as_deref(), Some("v1"));
    back(&mut registry, Target::Nothing).unwrap();
    assert_eq!(registry.previous_version(), None, "both were left");
    let first = registry.advance("v1", Stage::Champion, change("x"));
    assert!(first.is_err(), "the first champion's exception does not come again");
    registry.release("v1", change("agreed by two")).unwrap();
    back(&mut registry, Target::Version("v1")).unwrap();
    assert_eq!(champion(&registry).as_deref(), Some("v1"));
}

#[test]
fn a_quarantined_version_is_not_promoted_and_the_champion_is_not_quarantined() {
    let (_root, mut registry) = staged(&["v1", "v2"]);
    crown(&mut registry, "v1");
    registry.quarantine("v2", change("leaks")).unwrap();
    let refused = registry.advance("v2", Stage::Shadow, change("x")).unwrap_err().to_string();
    assert!(refused.contains("quarantined"), "{refused}");
    assert!(registry.quarantine("v2", change("x")).is_err(), "twice");
    assert!(registry.quarantine("v1", change("x")).is_err(), "the champion");
    assert!(registry.release("v1", change("x")).is_err(), "it is not quarantined");
    registry.release("v2", change("does not leak")).unwrap();
    registry.advance("v2", Stage::Shadow, change("x")).unwrap();
}

#[test]
fn a_quarantined_version_is_not_taken_by_its_name_and_the_error_tells_who_said_so_and_why() {
    let (_root, mut registry) = staged(&["v1", "v2"]);
    crown(&mut registry, "v1");
    assert!(registry.select("v2").is_ok() && registry.select("champion").is_ok());
    registry.quarantine("v2", change("leaks the future")).unwrap();
    let refused = registry.select("v2").unwrap_err().to_string();
    for told in ["v2", "leaks the future", "an author", "model release"] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
    assert!(registry.files("v2").is_ok(), "looked at it may be");
    registry.release("v2", change("does not leak")).unwrap();
    assert!(registry.select("v2").is_ok());
}

#[test]
fn without_papers_a_version_goes_out_of_use_or_up_as_the_very_first_champion_and_nowhere_else() {
    let (_root, mut registry) = staged(&["v1", "v2"]);
    registry.crown_first("v1", change("nothing trades yet")).unwrap();
    let refused = registry.crown_first("v2", change("x")).unwrap_err().to_string();
    assert!(refused.contains("promote it"), "{refused}");
    let refused = registry.retire("v1", change("x")).unwrap_err().to_string();
    assert!(refused.contains("rollback"), "{refused}");
    assert!(registry.retire("v2", change(" ")).is_err(), "for no reason");
    registry.retire("v2", change("not needed")).unwrap();
    assert_eq!(registry.show("v2").unwrap().stage, Stage::Retired);
    back(&mut registry, Target::Nothing).unwrap();
    assert!(registry.crown_first("v1", change("x")).is_err(), "not after a rollback either");
    assert_eq!(registry.champion_version(), None);
}

#[test]
fn nobody_and_nothing_is_no_reason() {
    let (_root, mut registry) = reigned(&["v1", "v2"]);
    for (by, reason, told) in
        [("", "x", "by"), ("x", " ", "reason"), ("x", "a\nb", "reason"), ("x\u{1b}[2J", "x", "by")]
    {
        let mut who = change(reason);
        who.by = by.to_owned();
        let refused = registry.rollback(Target::Previous, Proving::ANY, who, true).unwrap_err();
        assert!(refused.to_string().starts_with(told), "{refused}");
    }
    assert_eq!(champion(&registry).as_deref(), Some("v2"));
}
