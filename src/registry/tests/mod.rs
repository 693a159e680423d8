//! What is believed and what is not; how versions move, and what is kept of them.

mod decision;
mod layout;
mod promote;
mod retention;
mod rollback;
mod seal;
mod signing;

use super::seal::{PublicKey, SigningKey};
use super::{Change, Registry, Stage};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(super) const DAY_MS: u64 = 86_400_000;
/// The day on which tests happen.
pub(super) const TODAY: u64 = 20_000;

/// A key of its own, in `dir`.
pub(super) fn key(dir: &Path, name: &str) -> (SigningKey, PublicKey) {
    let path = dir.join(name);
    let public = SigningKey::create(&path).unwrap();
    (SigningKey::read(&path).unwrap(), public)
}

pub(super) fn change(reason: &str) -> Change {
    Change {
        at_ms: TODAY * DAY_MS + 1,
        by: "an author".to_owned(),
        reason: reason.to_owned(),
        evidence_sha256: None,
    }
}

/// A folder outside of any registry with a small model under the name of a version.
pub(super) fn version(root: &Path, name: &str) -> PathBuf {
    let quick = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/kill_campaign/quick-1");
    let card = std::fs::read_to_string(quick.join("card.toml")).unwrap();
    let own = card.lines().find(|line| line.starts_with("version = ")).unwrap();
    let dir = root.join("out").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(quick.join("model.onnx"), dir.join("model.onnx")).unwrap();
    let card = card.replacen(own, &format!("version = \"{name}\""), 1);
    std::fs::write(dir.join("card.toml"), card).unwrap();
    dir
}

/// A registry in which these are staged.
pub(super) fn staged(names: &[&str]) -> (TempDir, Registry) {
    let root = tempfile::tempdir().unwrap();
    let mut registry = Registry::create(&root.path().join("models")).unwrap();
    for name in names {
        registry.register(&version(root.path(), name), None, change("trained")).unwrap();
    }
    (root, registry)
}

/// Makes a version the champion, whoever is it now.
pub(super) fn crown(registry: &mut Registry, name: &str) {
    let first = registry.standing().unwrap().crowned.is_empty();
    let steps = [Stage::Shadow, Stage::Canary, Stage::Champion];
    for to in if first { &steps[2..] } else { &steps[..] } {
        let evidence = Some("e".repeat(64));
        let change = Change { evidence_sha256: evidence, ..change("passed") };
        registry.advance(name, *to, change).unwrap();
    }
}

/// A registry whose champions were these, in order; the last one is.
pub(super) fn reigned(names: &[&str]) -> (TempDir, Registry) {
    let (root, mut registry) = staged(names);
    names.iter().for_each(|name| crown(&mut registry, name));
    (root, registry)
}

/// The registry once more, as it stands on the disk.
pub(super) fn again(root: &TempDir) -> Registry {
    Registry::open(&root.path().join("models")).unwrap()
}
