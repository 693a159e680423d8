//! What a session left by itself, told to the registry, so that no restart brings it back: the
//! champion is rolled back there, any other version is quarantined. Written by the desk's thread,
//! behind the change in the river; what cannot be written is tried again.

use super::desk::Wish;
use super::places::{Places, Seat};
use crate::base::Reason;
use crate::registry::{Change, Proving, Registry, RegistryError, Target};
use crate::runtime::clock::wall_now;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Wait before what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Most that waits: each is another version that failed.
const WAITING_MAX: usize = 64;

/// A version that was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    left: Seat,
    /// The version that decides now; `None` where it was a trial that ended.
    now: Option<String>,
    cause: Reason,
}

impl Mark {
    /// What it would be to carry out the session's own wish.
    pub fn of(wish: &Wish, cause: Reason, places: &Places) -> Option<Self> {
        let seat = |slot: usize| places.seat(slot).cloned();
        match wish {
            Wish::EndTrial => {
                let (slot, _) = places.trial?;
                Some(Self { left: seat(slot)?, now: None, cause })
            }
            Wish::Use(_) => {
                let now = seat(places.previous?)?.version;
                Some(Self { left: seat(places.champion)?, now: Some(now), cause })
            }
            _ => None,
        }
    }
}

/// What waits to be written.
pub(super) struct Marks {
    dir: PathBuf,
    by: String,
    proving: Proving,
    waiting: Vec<Mark>,
    tried: Option<Instant>,
}

impl Marks {
    /// For the registry in `dir`; `session` is the one who marks.
    pub fn new(dir: &Path, session: &str, proving: Proving) -> Self {
        let by = format!("session {session}");
        Self { dir: dir.to_owned(), by, proving, waiting: Vec::new(), tried: None }
    }

    /// One more.
    pub fn note(&mut self, mark: Mark) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(mark);
            self.tried = None;
        }
    }

    /// Writes what waits, unless it was tried a moment ago; what does not go is told in the log.
    pub fn write(&mut self) {
        if self.waiting.is_empty() || self.tried.is_some_and(|last| last.elapsed() < AGAIN) {
            return;
        }
        self.tried = Some(Instant::now());
        for mark in std::mem::take(&mut self.waiting) {
            let version = &mark.left.version;
            match self.write_one(&mark) {
                Ok(done) => tracing::warn!(version, done, "the registry of models"),
                Err(error) => {
                    tracing::error!(version, %error, "the registry does not know that it failed");
                    self.waiting.push(mark);
                }
            }
        }
    }

    fn write_one(&self, mark: &Mark) -> Result<&'static str, RegistryError> {
        let mut registry = Registry::open(&self.dir)?;
        let version = mark.left.version.as_str();
        if !mark.left.is(version, registry.show(version)?) {
            return Ok("another model has its name: left alone");
        }
        if registry.check_free(version).is_err() {
            return Ok("it is quarantined already");
        }
        let cause = mark.cause.name();
        let ended = if mark.now.is_some() { "it was left by itself" } else { "its trial ended" };
        let change = Change {
            at_ms: u64::try_from(wall_now().to_millis()).unwrap_or(0),
            by: self.by.clone(),
            reason: format!("{ended}: {cause}"),
            evidence_sha256: None,
        };
        if registry.champion_version() != Some(version) {
            registry.quarantine(version, change)?;
            return Ok("quarantined");
        }
        // First to what decides now; then as far back as it takes. A champion that fails is not
        // traded by the next start, whatever that leaves.
        let mut to = |target: Target<'_>| {
            registry.rollback(target, self.proving, change.clone(), true).map(|_| ())
        };
        if let Some(now) = &mark.now
            && to(Target::Version(now)).is_ok()
        {
            return Ok("rolled back to what decides now");
        }
        match to(Target::Previous) {
            Ok(()) => Ok("rolled back"),
            Err(RegistryError::NoFormer { .. }) => {
                to(Target::Nothing)?;
                Ok("rolled back to no model: there is no former champion")
            }
            Err(error) => Err(error),
        }
    }
}
