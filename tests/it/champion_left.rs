//! What a session left is followed by the registry once, however often and late it is asked, and
//! stands for what was gone back to until then.

use crate::model_swaps::{Models, change};
use crate::pipeline_support::leaning;
use peregrine::registry::{Proving, Stage, Target};
use peregrine::runtime::revert::left::LEFT_FILE;
use peregrine::runtime::revert::{Left, LeftModels};

/// That `version` of these models was left for `to`.
fn left(models: &Models, version: &str, to: &str) -> Left {
    let registry = models.registry();
    let record = registry.show(version).unwrap();
    Left {
        version: version.to_owned(),
        sha256: record.file_sha256("model.onnx").to_owned(),
        card_sha256: record.file_sha256("card.toml").to_owned(),
        to: to.to_owned(),
        by: "session 0000001-paper".to_owned(),
        reason: "rollback.losses_in_a_row_max: 5 is above 4".to_owned(),
        at_ms: 9,
    }
}

/// A registry whose champions were the shipped one, then these.
fn champions(names: &[&str]) -> (Models, String) {
    let files: Vec<_> = names.iter().map(|name| leaning(name, "imbalance_1", 1.0)).collect();
    let models = Models::new(&files.iter().collect::<Vec<_>>());
    let first = models.registry().champion_version().unwrap().to_owned();
    names.iter().for_each(|name| models.promote(name));
    (models, first)
}

fn settle(models: &Models, left: &Left) -> Result<(), String> {
    left.settle(models.dir.path(), Proving::ANY).map_err(|error| error.to_string())
}

#[test]
fn the_registry_follows_once_and_finds_it_done_afterwards() {
    let (models, first) = champions(&["other"]);
    let left = left(&models, "other", &first);
    settle(&models, &left).unwrap();
    let after = models.registry();
    assert_eq!(after.champion_version(), Some(first.as_str()));
    assert!(after.standing().unwrap().quarantined.contains("other"));
    settle(&models, &left).unwrap();
    assert_eq!(models.registry().history(), after.history());
}

#[test]
fn a_champion_that_somebody_replaced_meanwhile_is_quarantined_and_nothing_is_moved() {
    let (models, first) = champions(&["other", "third"]);
    settle(&models, &left(&models, "other", &first)).unwrap();
    let after = models.registry();
    assert_eq!(after.champion_version(), Some("third"));
    assert!(after.standing().unwrap().quarantined.contains("other"));
    assert_eq!(after.show("other").unwrap().stage, Stage::Retired);
}

#[test]
fn where_what_was_gone_back_to_may_not_be_chosen_any_more_the_next_one_is() {
    let (models, first) = champions(&["other", "third"]);
    models.registry().quarantine("other", change()).unwrap();
    settle(&models, &left(&models, "third", "other")).unwrap();
    assert_eq!(models.registry().champion_version(), Some(first.as_str()));
    // And with none at all it says so, and tries again later: nothing is changed.
    let (models, first) = champions(&["other"]);
    models.registry().quarantine(&first, change()).unwrap();
    let before = models.registry();
    let error = settle(&models, &left(&models, "other", &first)).unwrap_err();
    assert!(error.contains("no former champion"), "{error}");
    assert_eq!(models.registry().history(), before.history());
}

#[test]
fn what_is_another_model_of_that_name_or_none_at_all_is_not_touched() {
    let (models, first) = champions(&["other"]);
    let before = models.registry();
    let other = Left { sha256: "00".repeat(32), ..left(&models, "other", &first) };
    settle(&models, &other).unwrap();
    settle(&models, &Left { version: "nobody".to_owned(), ..other }).unwrap();
    assert_eq!(models.registry().history(), before.history());
}

#[test]
fn champion_stands_for_what_was_gone_back_to_over_restarts_until_the_registry_has_followed() {
    let (models, first) = champions(&["other", "third"]);
    let state = tempfile::tempdir().unwrap();
    let kept = LeftModels::read(state.path()).unwrap();
    kept.add(left(&models, "third", "other")).unwrap();
    kept.add(left(&models, "other", &first)).unwrap();
    let again = LeftModels::read(state.path()).unwrap();
    let named = |kept: &LeftModels, name: &str| {
        kept.version_named(&models.registry(), name).map_err(|error| error.to_string())
    };
    assert_eq!(named(&again, "champion"), Ok(first.clone()));
    assert!(named(&again, "third").unwrap_err().contains("third"));
    while let Some(left) = again.first() {
        settle(&models, &left).unwrap();
        again.done().unwrap();
    }
    assert_eq!(LeftModels::read(state.path()).unwrap().waiting(), 0);
    let registry = models.registry();
    assert_eq!(registry.champion_version(), Some(first.as_str()));
    assert_eq!(named(&again, "champion"), Ok(first));
    assert!(named(&again, "third").unwrap_err().contains("quarantined"));
}

#[test]
fn a_rollback_by_hand_at_the_same_time_is_as_good() {
    let (models, first) = champions(&["other"]);
    let left = left(&models, "other", &first);
    let mut registry = models.registry();
    registry.rollback(Target::Previous, Proving::ANY, change(), true).unwrap();
    settle(&models, &left).unwrap();
    assert_eq!(models.registry().history(), registry.history());
}

#[test]
fn a_file_that_no_session_wrote_is_refused_by_name_because_it_may_name_what_must_not_be_loaded() {
    let state = tempfile::tempdir().unwrap();
    for text in ["", "{}", "{\"schema\":2,\"left\":[]}", "{\"schema\":1,\"left\":[{}]}"] {
        std::fs::write(state.path().join(LEFT_FILE), text).unwrap();
        let error = format!("{:#}", LeftModels::read(state.path()).unwrap_err());
        assert!(error.contains(LEFT_FILE), "{text}: {error}");
    }
}
