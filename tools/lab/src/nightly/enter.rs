//! The way of a version into the registry, by the registry's own rules: registered it is staged,
//! and a gate decision that says GO brings it to the stage shadow. The champion is never moved.

use super::settings::Settings;
use anyhow::{Result, ensure};
use peregrine::features::schema_hash;
use peregrine::model::{ArtifactFiles, LoadPolicy};
use peregrine::registry::{Birth, Change, PaperFiles, Proving, Registry, RegistryError, Stage};
use peregrine::runtime::config;
use peregrine::runtime::stage::trust;
use std::path::Path;

/// Who is told in the history.
const BY: &str = "peregrine-lab learn";

/// The champion: its name, and the SHA-256 of its graph.
///
/// # Errors
/// A registry that does not open. Where there is none, there is no champion.
pub fn champion(dir: &Path) -> Result<Option<(String, String)>> {
    if !Registry::is_one(dir) {
        return Ok(None);
    }
    let registry = Registry::open(dir)?;
    let Some(name) = registry.champion_version() else { return Ok(None) };
    let sha256 = peregrine::model::artifact::hex(&registry.files(name)?.sha256);
    Ok(Some((name.to_owned(), sha256)))
}

fn change(at_ms: i64, reason: &str) -> Change {
    // A reason is one line of at most a thousand bytes.
    let mut line: String = reason.chars().filter(|c| !c.is_control()).collect();
    while line.len() > 900 {
        line.pop();
    }
    Change { at_ms: at_ms.unsigned_abs(), by: BY.to_owned(), reason: line, evidence_sha256: None }
}

/// Registers the version in `from`, staged; one that is there from the same files is left as it is.
///
/// # Errors
/// As the registry words them; a version of this name with other files.
pub fn register(
    dir: &Path,
    from: &Path,
    (parent, config_sha256): (Option<&str>, Option<String>),
    (at_ms, reason): (i64, &str),
) -> Result<String> {
    let files = ArtifactFiles::read(from)?;
    let version = files.card.version.clone();
    let mut registry = Registry::open_or_create(dir)?;
    if registry.show(&version).is_ok() {
        let there = registry.files(&version)?;
        ensure!(
            there.sha256 == files.sha256 && there.card_text == files.card_text,
            "{version} is registered with other files"
        );
        return Ok(version);
    }
    let birth = Birth { parent: parent.map(str::to_owned), config_sha256, ..Birth::default() };
    Ok(registry.register_born(from, birth, change(at_ms, reason))?)
}

/// Brings a staged version to the stage shadow where the decision in `decision` says GO; the reason
/// where it stays staged.
///
/// # Errors
/// A configuration or registry that cannot be read.
pub fn challenge(
    settings: &Settings,
    version: &str,
    (decision, at_ms, reason): (&Path, i64, &str),
) -> Result<Result<(), String>> {
    let mut registry = Registry::open(&settings.registry)?;
    let stage = registry.show(version)?.stage;
    if stage != Stage::Staged {
        // It went on, by whatever way.
        return Ok(Ok(()));
    }
    let shadows = registry.list().filter(|(_, record)| record.stage == Stage::Shadow).count();
    if shadows >= settings.challengers_max as usize {
        return Ok(Err(format!(
            "challengers_max: {shadows} versions are at the stage shadow, and it waits as staged"
        )));
    }
    let loaded = config::load(&settings.gate.trader)?;
    let policy = LoadPolicy::of(&loaded.settings.model);
    let proving = Proving { schema_hash: Some(schema_hash()), policy };
    let papers = PaperFiles { decision: Some(decision.to_owned()), ..PaperFiles::default() };
    let trusted = trust(&loaded.settings.risk.stage);
    let asked = (version, Stage::Shadow);
    let change = change(at_ms, reason);
    match registry.promote(asked, (&papers, &trusted), proving, change, true) {
        Ok(_) => Ok(Ok(())),
        Err(RegistryError::Refused { objections, .. }) => Ok(Err(objections.join("; "))),
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Plan, train_synthetic, write};

    /// A registry with a champion, and the folder of another version.
    fn world() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan { minutes: 8, rounds: 3, depth: 2, ..Plan::default() };
        for (version, seed) in [("one", 7), ("two", 8)] {
            let plan = Plan { version: version.to_owned(), seed, ..plan.clone() };
            let version = train_synthetic(&plan, &mut |_| {}).unwrap();
            write(&version, &dir.path().join(&version.card.version)).unwrap();
        }
        let registry = dir.path().join("registry");
        register(&registry, &dir.path().join("one"), (None, None), (1, "first")).unwrap();
        let mut opened = Registry::open(&registry).unwrap();
        opened.advance("one", Stage::Champion, change(2, "first of all")).unwrap();
        let champion = champion(&registry).unwrap().unwrap().0;
        (dir, champion)
    }

    #[test]
    fn a_version_is_registered_once_and_nothing_of_it_moves_the_champion() {
        let (dir, before) = world();
        let (registry, from) = (dir.path().join("registry"), dir.path().join("two"));
        let born = (Some(before.as_str()), Some("a".repeat(64)));
        for at_ms in [3, 4] {
            let named = register(&registry, &from, born.clone(), (at_ms, "a\nnight")).unwrap();
            assert_eq!(named, "two");
        }
        let opened = Registry::open(&registry).unwrap();
        let record = opened.show("two").unwrap();
        assert_eq!((record.stage, record.registered_at_ms), (Stage::Staged, 3));
        assert_eq!(record.parent.as_deref(), Some("one"));
        let settings = Settings {
            registry: registry.clone(),
            gate: crate::nightly::settings::Gate {
                trader: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/paper.toml"),
                ..Default::default()
            },
            ..Settings::default()
        };
        // No decision, and nobody who is trusted to sign one.
        let paper = dir.path().join("gate_decision.json");
        let why = challenge(&settings, "two", (&paper, 5, "go")).unwrap().unwrap_err();
        assert!(why.contains("stage."), "{why}");
        let stage = Registry::open(&registry).unwrap().show("two").unwrap().stage;
        assert_eq!(stage, Stage::Staged);
        assert_eq!(champion(&registry).unwrap().unwrap().0, before);
        // Another model under the name of one that is there.
        let card = std::fs::read_to_string(dir.path().join("one/card.toml")).unwrap();
        let card = card.replacen("version = \"one\"", "version = \"two\"", 1);
        std::fs::write(dir.path().join("one/card.toml"), card).unwrap();
        let why = register(&registry, &dir.path().join("one"), (None, None), (6, "again"));
        assert!(why.unwrap_err().to_string().contains("with other files"));
    }
}
