//! What is kept between two runs: the steps of a night with the hashes of what they wrote, the
//! ledger of all nights, the lock.

use crate::files::{read_json, write_json};
use anyhow::{Context, Result};
use peregrine::venue::dataset::{files_below, hash_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const STATE_FILE: &str = "state.json";
/// Every night there was.
pub const LEDGER_FILE: &str = "ledger.json";
const LOCK_FILE: &str = "lock";

/// Held while one learns; gone with the process, whatever ends it.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Takes the folder's lock.
    ///
    /// # Errors
    /// When another process has it, or the folder cannot be written.
    pub fn take(work: &Path) -> Result<Self> {
        fs::create_dir_all(work).with_context(|| work.display().to_string())?;
        let file = File::create(work.join(LOCK_FILE))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .with_context(|| format!("{}: another one learns here", work.display()))?;
        Ok(Self(file))
    }
}

/// How a night ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Better than the champion, and a challenger at the stage shadow.
    Challenger,
    /// Better than the champion, and registered.
    Staged,
    /// Nothing was better.
    None,
    /// A check said no.
    Refused,
    /// A step failed.
    Failed,
    /// Too long ago to be made up for: its day was collected.
    Passed,
}

impl Outcome {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Challenger => "challenger",
            Self::Staged => "staged",
            Self::None => "none",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Passed => "passed",
        }
    }
}

/// A night in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// What made it begin.
    pub trigger: String,
    /// The version it registered.
    pub version: Option<String>,
    /// Models and thresholds that were compared: they count for what luck can do.
    pub trials: u64,
    /// How often it was tried.
    pub tries: u32,
    /// When it was tried last, milliseconds since the epoch.
    pub at_ms: i64,
}

/// Every night by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The nights.
    pub nights: BTreeMap<String, Entry>,
}

impl Ledger {
    /// Reads the folder's; empty where there is none.
    ///
    /// # Errors
    /// One that cannot be read.
    pub fn read(work: &Path) -> Result<Self> {
        let path = work.join(LEDGER_FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }

    /// Writes it.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, work: &Path) -> Result<()> {
        write_json(&work.join(LEDGER_FILE), self)
    }

    /// Trials of all other nights.
    pub fn trials_but(&self, name: &str) -> u64 {
        let others = self.nights.iter().filter(|(own, _)| own.as_str() != name);
        others.map(|(_, entry)| entry.trials).sum()
    }
}

/// A finished step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    /// What it wrote, below the night's folder, with SHA-256.
    files: BTreeMap<String, String>,
    /// What it told where it wrote nothing.
    told: Option<String>,
}

/// What a night is of; decided once, so that whoever goes on with it does the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// When it was begun, milliseconds since the epoch.
    pub at_ms: i64,
    /// What made it begin.
    pub trigger: String,
    /// Names of the days that are learned from, oldest first.
    pub days: Vec<String>,
    /// The champion there was, with the SHA-256 of its graph.
    pub champion: Option<(String, String)>,
    /// Trials that were made in nights before.
    pub trials_before: u64,
    /// SHA-256 of the settings it was begun with.
    pub settings_sha256: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    facts: Facts,
    /// In the order in which they were done.
    steps: Vec<(String, Done)>,
}

/// The steps of a night.
#[derive(Clone, Debug)]
pub struct Steps {
    dir: PathBuf,
    state: State,
}

impl Steps {
    /// Goes on with the night in `dir` where it was begun with the same settings; else begins it
    /// anew.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn open(dir: &Path, facts: impl FnOnce() -> Result<Facts>, settings: &str) -> Result<Self> {
        let before = read_json::<State>(&dir.join(STATE_FILE)).ok().flatten();
        if let Some(state) = before.filter(|state| state.facts.settings_sha256 == settings) {
            return Ok(Self { dir: dir.to_owned(), state });
        }
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let steps = Self { dir: dir.to_owned(), state: State { facts: facts()?, steps: vec![] } };
        steps.write()?;
        Ok(steps)
    }

    /// What the night is of.
    pub const fn facts(&self) -> &Facts {
        &self.state.facts
    }

    /// The night's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Does a step, unless it was done and everything that it wrote is as it was. `outputs` are
    /// files and folders below the night's; those that are `fresh` are removed before. What a step
    /// tells is kept and comes back.
    ///
    /// # Errors
    /// The step's.
    pub fn step(
        &mut self,
        name: &str,
        (outputs, fresh): (&[&str], bool),
        work: impl FnOnce(&Self) -> Result<Option<String>>,
    ) -> Result<Option<String>> {
        let place = self.state.steps.iter().position(|(own, _)| own == name);
        if let Some(place) = place {
            let done = &self.state.steps[place].1;
            if self.hashes(outputs).is_ok_and(|found| found == done.files) {
                return Ok(done.told.clone());
            }
            // What came behind rests on it.
            self.state.steps.truncate(place);
            self.write()?;
        }
        for output in outputs.iter().filter(|_| fresh) {
            let path = self.dir.join(output);
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            drop(removed);
        }
        tell_begin(&self.dir, name);
        let told = work(self).with_context(|| name.to_owned())?;
        let files = self.hashes(outputs)?;
        self.state.steps.push((name.to_owned(), Done { files, told: told.clone() }));
        self.write()?;
        Ok(told)
    }

    /// Every file that was written, with its SHA-256.
    pub fn files(&self) -> BTreeMap<String, String> {
        self.state.steps.iter().flat_map(|(_, done)| done.files.clone()).collect()
    }

    fn hashes(&self, outputs: &[&str]) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        for output in outputs {
            let path = self.dir.join(output);
            let files = if path.is_dir() { files_below(&path)? } else { vec![path] };
            for file in files.iter().filter(|file| file.exists()) {
                let name = file.strip_prefix(&self.dir).unwrap_or(file).display().to_string();
                found.insert(name, hash_of(&mut File::open(file)?)?.0);
            }
        }
        Ok(found)
    }

    fn write(&self) -> Result<()> {
        write_json(&self.dir.join(STATE_FILE), &self.state)
    }
}

/// Says on standard error what begins.
pub fn tell_begin(dir: &Path, step: &str) {
    eprintln!("{}: {step}", dir.file_name().unwrap_or_default().display());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Result<Facts> {
        Ok(Facts {
            at_ms: 1,
            trigger: "schedule".to_owned(),
            days: Vec::new(),
            champion: None,
            trials_before: 0,
            settings_sha256: "one".to_owned(),
        })
    }

    /// Does the steps a and b; which of them had something to do.
    fn run(dir: &Path, settings: &str) -> Vec<&'static str> {
        let mut steps = Steps::open(dir, facts, settings).unwrap();
        let mut done = Vec::new();
        for name in ["a", "b"] {
            let told = steps.step(name, (&[name], true), |steps| {
                done.push(name);
                fs::write(steps.dir().join(name), name)?;
                Ok(Some(format!("told {name}")))
            });
            assert_eq!(told.unwrap(), Some(format!("told {name}")));
        }
        done
    }

    #[test]
    fn a_step_is_done_once_and_again_with_all_behind_it_where_its_files_are_not_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let night = dir.path().join("night");
        assert_eq!(run(&night, "one"), ["a", "b"]);
        assert!(run(&night, "one").is_empty());
        fs::write(night.join("b"), "other").unwrap();
        assert_eq!(run(&night, "one"), ["b"]);
        fs::remove_file(night.join("a")).unwrap();
        assert_eq!(run(&night, "one"), ["a", "b"]);
        assert_eq!(run(&night, "other settings"), ["a", "b"]);
    }

    #[test]
    fn two_do_not_learn_in_one_folder() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path()).unwrap();
        let refused = format!("{:#}", Lock::take(dir.path()).unwrap_err());
        assert!(refused.contains("another one learns here"), "{refused}");
        drop(held);
        Lock::take(dir.path()).unwrap();
    }
}
