//! Which files of retired versions may go. Records and history always stay.
//!
//! Kept are: what is champion, canary or shadow, or staged; the champion before; the parents of
//! those; what a paper or a configuration names; and of the rest so many, those that were retired
//! last.

use super::record::{Action, Stage};
use super::seal::read_capped;
use super::verdict::versions_named;
use super::{Change, Registry, RegistryError, entry, store};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Versions whose files go.
    pub removed: Vec<String>,
    /// Bytes that makes.
    pub bytes: u64,
    /// Retired versions whose files stay, and why.
    pub kept: Vec<(String, &'static str)>,
}

/// Who names versions whose files stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs<'a> {
    /// Signed documents: the versions they name stay.
    pub papers: &'a [PathBuf],
    /// Versions that a session's configuration names.
    pub configured: &'a [&'a str],
}

impl Registry {
    /// Removes the files of retired versions, all but those that are referenced and the `keep` that
    /// were retired last; without `execute` only tells which.
    ///
    /// # Errors
    /// When a paper cannot be read, or a folder not be removed.
    pub fn prune(
        &mut self,
        keep: usize,
        needs: Needs<'_>,
        change: Change,
        execute: bool,
    ) -> Result<Pruned, RegistryError> {
        change.check()?;
        let mut named = BTreeSet::new();
        for path in needs.papers {
            named.extend(versions_named(path, &read_capped(path)?)?);
        }
        if !execute {
            return self.doomed(keep, &named, needs.configured);
        }
        let mut pruned = Pruned::default();
        let mut gone = Vec::new();
        self.change(|dir, document| {
            let now = Self { dir: dir.to_owned(), document: document.clone() };
            pruned = now.doomed(keep, &named, needs.configured)?;
            for version in &pruned.removed {
                document.append(entry(Action::Removed, version, Stage::Retired, &change));
            }
            gone = document.standing()?.removed.iter().map(|&v| v.to_owned()).collect();
            Ok(())
        })?;
        // The history first: what a crash leaves behind is then removed by the next call, and named
        // by `verify` until it is.
        let _lock = store::lock(&self.dir)?;
        for version in &gone {
            store::remove(&self.dir, version)?;
        }
        Ok(pruned)
    }

    fn doomed(
        &self,
        keep: usize,
        named: &BTreeSet<String>,
        configured: &[&str],
    ) -> Result<Pruned, RegistryError> {
        let standing = self.standing()?;
        let previous = standing.previous();
        let runs = |stage| matches!(stage, Stage::Champion | Stage::Canary | Stage::Shadow);
        let parents: BTreeSet<&str> = self
            .list()
            .filter(|(version, record)| runs(record.stage) || Some(*version) == previous)
            .filter_map(|(_, record)| record.parent.as_deref())
            .collect();
        let mut pruned = Pruned::default();
        let mut kept = 0;
        for version in self.retired_last_first() {
            if standing.removed.contains(version) {
                continue;
            }
            let why = if Some(version) == previous {
                "a rollback goes there"
            } else if parents.contains(version) {
                "a version in use was made from it"
            } else if named.contains(version) {
                "a paper names it"
            } else if configured.contains(&version) {
                "a configuration names it"
            } else if kept < keep {
                kept += 1;
                "among the newest"
            } else {
                pruned.removed.push(version.to_owned());
                let files = &self.show(version)?.files;
                pruned.bytes += files.iter().map(|file| file.bytes).sum::<u64>();
                continue;
            };
            pruned.kept.push((version.to_owned(), why));
        }
        Ok(pruned)
    }

    /// Retired versions, the one that was retired last first.
    fn retired_last_first(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for entry in self.history().iter().rev() {
            let retired = entry.to == Stage::Retired && entry.from != Some(Stage::Retired);
            let version = entry.version.as_str();
            let still = self.document.models.get(version).map(|record| record.stage);
            if retired && still == Some(Stage::Retired) && !found.contains(&version) {
                found.push(version);
            }
        }
        found
    }
}
