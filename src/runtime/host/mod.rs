//! How the host is tuned, read from `/proc` and `/sys`: what `docs/HOST.md` asks for, line by line.
//!
//! | file | looks at |
//! |---|---|
//! | `cores` | isolation, ticks, interrupts, siblings, frequency, idle states of the pinned cores |
//! | `memory` | pages, swap, balancing between nodes |
//! | `system` | clocks, stolen time, limits, network polling |
//!
//! Nothing is changed and nothing is measured; a file that is absent says what its absence means.

mod cores;
mod list;
mod memory;
mod system;
#[cfg(test)]
mod tests;

use serde::Serialize;
use std::path::{Path, PathBuf};

pub use list::cores_of;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, with a cost that the finding names.
    Warn,
    /// A session must not be started like this.
    Fail,
}

impl Level {
    /// The word that is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do about it; empty where there is nothing to do.
    pub remedy: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, what: what.into(), remedy: String::new() }
    }

    /// A cost, and what ends it.
    pub fn warn(name: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, what: what.into(), remedy: remedy.into() }
    }

    /// A reason not to start, and what removes it.
    pub fn fail(name: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, what: what.into(), remedy: remedy.into() }
    }
}

/// What the host is held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Cores of the pinned threads.
    pub cores: Vec<usize>,
    /// The pinned threads spin, so their cores never idle.
    pub spins: bool,
}

/// Looks at the host whose `/proc`, `/sys` and `/run` lie below `root`.
pub fn examine(root: &Path, wanted: &Wanted) -> Vec<Finding> {
    let host = Host { root: root.to_owned() };
    let mut found = cores::examine(&host, wanted);
    found.extend(memory::examine(&host));
    found.extend(system::examine(&host));
    found
}

/// Files below a root.
struct Host {
    root: PathBuf,
}

impl Host {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A file's text without blanks at its ends; `None` where it cannot be read.
    fn text(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.path(path)).ok()?;
        Some(text.trim().to_owned())
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    fn is_folder(&self, folder: &str, name: &str) -> bool {
        self.path(folder).join(name).is_dir()
    }

    /// Names of a folder's entries, sorted; none where it cannot be read.
    fn entries(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(path)) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}
