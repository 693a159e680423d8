//! The chain that makes the history tamper-evident, and what the history comes to.
//!
//! ```text
//! entry 1 ──hash──► entry 2.prev_hash ──hash──► entry 3.prev_hash …
//!   └ record_hash: what was registered      └ from, to: how stages moved
//! ```
//! Replaying the history must give the stages, the champion and its predecessor that the file
//! states, and no entry may do what the rules forbid. The chain shows that a file was edited; it
//! does not prove who wrote it.

use super::error::RegistryError;
use super::record::{Action, Document, Entry, GENESIS, Record, SCHEMA_VERSION, Signature, Stage};
use crate::model::artifact::{CARD_FILE, ONNX_FILE, check_version};
use std::collections::{BTreeMap, BTreeSet};

/// What a history comes to.
#[derive(Debug, Default)]
pub struct Standing<'d> {
    /// Where each version stands.
    pub stages: BTreeMap<&'d str, Stage>,
    /// The version that trades.
    pub champion: Option<&'d str>,
    /// Champions that a rollback walks, the newest last; while there is a champion it is the last.
    /// One that was left by a rollback is gone from here.
    pub reigns: Vec<&'d str>,
    /// Every version that ever was champion.
    pub crowned: BTreeSet<&'d str>,
    /// Versions that may not be chosen.
    pub quarantined: BTreeSet<&'d str>,
    /// Versions whose files were removed.
    pub removed: BTreeSet<&'d str>,
    /// Hashes of each version's signatures, in order.
    signatures: BTreeMap<&'d str, Vec<&'d str>>,
}

impl<'d> Standing<'d> {
    /// Former champions, the one a rollback looks at first first; each once, the champion never.
    pub fn former(&self) -> Vec<&'d str> {
        let mut found: Vec<&str> = Vec::new();
        for &version in self.reigns.iter().rev() {
            if Some(version) != self.champion && !found.contains(&version) {
                found.push(version);
            }
        }
        found
    }

    /// The version that a rollback goes to, if its files are good.
    pub fn previous(&self) -> Option<&'d str> {
        self.former().into_iter().find(|version| self.forbids(version).is_none())
    }

    /// Why a version may not be chosen; `None` where it may.
    pub fn forbids(&self, version: &str) -> Option<&'static str> {
        if self.quarantined.contains(version) {
            return Some("it is quarantined");
        }
        self.removed.contains(version).then_some("its files were removed")
    }

    fn step(&mut self, entry: &'d Entry) -> Result<(), String> {
        let version = entry.version.as_str();
        let before = self.stages.insert(version, entry.to);
        if before != entry.from {
            return Err(format!("moves {version} from another stage"));
        }
        let stays = before == Some(entry.to);
        let lawful = match entry.action {
            Action::Registered => before.is_none() && entry.to == Stage::Staged,
            Action::Moved => self.moves(version, before, entry.to),
            Action::RolledBack => self.rolls_back(version, before, entry.to),
            Action::Quarantined => {
                stays && entry.to != Stage::Champion && self.quarantined.insert(version)
            }
            Action::Released => stays && self.quarantined.remove(version),
            Action::Removed => stays && entry.to == Stage::Retired && self.removed.insert(version),
            Action::Signed => {
                let hashes = entry.papers.iter().map(|paper| paper.sha256.as_str());
                self.signatures.entry(version).or_default().extend(hashes);
                stays && entry.papers.len() == 1
            }
        };
        if lawful { Ok(()) } else { Err(format!("{} {version} unlawfully", entry.action.name())) }
    }

    fn moves(&mut self, version: &'d str, from: Option<Stage>, to: Stage) -> bool {
        let Some(from) = from else { return false };
        let first = to == Stage::Champion && from == Stage::Staged && self.crowned.is_empty();
        let chosen = to == Stage::Retired || self.forbids(version).is_none();
        if !chosen || !(first || from.may_become(to)) {
            return false;
        }
        if from == Stage::Champion {
            self.champion = None;
        }
        to != Stage::Champion || self.crown(version)
    }

    fn rolls_back(&mut self, version: &'d str, from: Option<Stage>, to: Stage) -> bool {
        match (from, to) {
            (Some(Stage::Champion), Stage::Retired) => {
                self.reigns.pop();
                self.champion = None;
                true
            }
            (Some(Stage::Retired), Stage::Champion) => {
                let lawful = self.crowned.contains(version) && self.forbids(version).is_none();
                let reign = self.reigns.iter().rposition(|&former| former == version);
                self.reigns.truncate(reign.unwrap_or(self.reigns.len()));
                lawful && self.crown(version)
            }
            _ => false,
        }
    }

    /// Makes a version the champion; false while there is one.
    fn crown(&mut self, version: &'d str) -> bool {
        self.reigns.push(version);
        self.crowned.insert(version);
        self.champion.replace(version).is_none()
    }
}

impl Document {
    /// What the history comes to.
    ///
    /// # Errors
    /// Names the first entry that was edited, is out of order, or does what may not be done.
    pub fn standing(&self) -> Result<Standing<'_>, RegistryError> {
        let mut standing = Standing::default();
        let mut prev_hash = GENESIS;
        for (place, entry) in self.history.iter().enumerate() {
            let broken = |what: String| RegistryError::Broken {
                what: format!("history entry {} {what}", place + 1),
            };
            let in_order = entry.seq == place as u64 + 1 && entry.prev_hash == prev_hash;
            if !in_order || entry.hash != entry.compute_hash() {
                return Err(broken("was edited or is out of order".to_owned()));
            }
            prev_hash = &entry.hash;
            if !self.models.contains_key(&entry.version) {
                return Err(broken(format!("names {}, which is missing", entry.version)));
            }
            standing.step(entry).map_err(broken)?;
        }
        Ok(standing)
    }

    /// Checks the layout, the chain, and that the history leads to what the file states.
    ///
    /// # Errors
    /// Names the entry, version or key at fault.
    pub fn check(&self) -> Result<(), RegistryError> {
        let broken = |what: String| Err(RegistryError::Broken { what });
        if self.schema_version != SCHEMA_VERSION {
            let found = self.schema_version;
            return broken(format!("schema_version {found}, {SCHEMA_VERSION} expected"));
        }
        let standing = self.standing()?;
        for entry in self.history.iter().filter(|entry| entry.action == Action::Registered) {
            let record = self.models.get(&entry.version).map(Record::fixed_hash);
            if entry.record_hash != record {
                return broken(format!("the record of {} was edited", entry.version));
            }
        }
        for (version, record) in &self.models {
            // Both become paths below the registry's folder.
            let plain = record.files.iter().map(|f| f.path.as_str()).eq([CARD_FILE, ONNX_FILE]);
            if !plain || check_version(version).is_err() {
                return broken(format!("{version:?} is no version of two files"));
            }
            if standing.stages.get(version.as_str()) != Some(&record.stage) {
                return broken(format!("the stage of {version} is not the history's"));
            }
            let signed = standing.signatures.get(version.as_str()).map_or(&[][..], |v| v);
            if !record.signatures.iter().map(Signature::hash).eq(signed.iter().copied()) {
                return broken(format!("the signatures of {version} are not the history's"));
            }
        }
        if self.champion.as_deref() != standing.champion {
            return broken("the champion is not the history's".into());
        }
        if self.previous.as_deref() != standing.previous() {
            return broken("the previous champion is not the history's".into());
        }
        Ok(())
    }
}
