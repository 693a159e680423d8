//! The file that keeps a kill over restarts. It is written when a session is killed, and it kills:
//! whoever puts one there, by hand or with `peregrine-killer`, kills the session that runs on the
//! folder and every later one, until `peregrine clear`.

use crate::base::event::Command;
use crate::risk::{self, Origin, Verb};
use crate::runtime::clock::wall_now;
use crate::runtime::state::write_durably;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Its name in the state folder.
pub const FILE: &str = "killed";
/// The name of the file that tells of the newest clear.
pub const CLEARED: &str = "cleared";

/// How a kill treats positions; the stronger one is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They stay, with their protective stops.
    #[default]
    Graceful,
    /// They are closed.
    Immediate,
}

impl Mode {
    /// The command that kills so.
    pub const fn verb(self) -> Verb {
        match self {
            Self::Graceful => Verb::KillGraceful,
            Self::Immediate => Verb::KillImmediate,
        }
    }
}

/// What the file tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latch {
    /// How positions are treated.
    pub mode: Mode,
    /// How the kill came in: a [`Origin::name`].
    pub origin: String,
    /// User id, or [`risk::ACTOR_SYSTEM`].
    pub actor: u32,
    /// Why.
    pub reason: String,
    /// When, milliseconds since the epoch; 0 where not told.
    pub at_ms: i64,
    /// The venue was found empty, twice.
    pub finished: bool,
}

impl Default for Latch {
    /// What a file says that says nothing.
    fn default() -> Self {
        Self {
            mode: Mode::Graceful,
            origin: Origin::LatchFile.name().to_owned(),
            actor: risk::ACTOR_SYSTEM,
            reason: "a kill file lies in the state folder".to_owned(),
            at_ms: 0,
            finished: false,
        }
    }
}

impl Latch {
    /// What a command that kills leaves; [`Mode`] apart, which the trading state tells.
    pub fn of_command(command: &Command, mode: Mode, at_ms: i64) -> Self {
        let origin = Origin::from_u32(command.origin).unwrap_or(Origin::LatchFile);
        Self {
            mode,
            origin: origin.name().to_owned(),
            actor: command.actor,
            reason: risk::reason_of(command),
            at_ms,
            finished: false,
        }
    }

    /// The latch of a state folder. A file that cannot be read as one kills gracefully: its being
    /// there is what counts.
    pub fn read(state: &Path) -> Option<Self> {
        match std::fs::read(state.join(FILE)) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // A folder that is not there has none; anything else may hide one.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
            Err(_) => Some(Self::default()),
        }
    }

    /// Writes it so that it outlives a loss of power.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self).map_err(io::Error::other)?;
        write_durably(&state.join(FILE), text.as_bytes())
    }

    /// Keeps a kill by signal that came while nobody was there to obey it: a start that waits for
    /// the venue may fail, and the next one must know. A kill that is known already stays as it is.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn keep_signal(state: &Path, signal: &AtomicBool) -> io::Result<()> {
        if !signal.swap(false, Ordering::Relaxed) || Self::read(state).is_some() {
            return Ok(());
        }
        let latch = Self {
            origin: Origin::Signal.name().to_owned(),
            reason: "SIGUSR1".to_owned(),
            at_ms: wall_now().to_millis(),
            ..Self::default()
        };
        let kept = latch.write(state);
        signal.store(kept.is_err(), Ordering::Relaxed);
        kept
    }

    /// The command that it gives a session.
    pub fn command(&self) -> Command {
        let mut reason = self.reason.clone();
        let mut end = reason.len().min(crate::base::event::COMMAND_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        let given = |why: &str| risk::command(self.mode.verb(), Origin::LatchFile, self.actor, why);
        given(&reason).or_else(|_| given("a kill file")).unwrap_or_else(|_| Command {
            verb: self.mode.verb() as u32,
            actor: self.actor,
            origin: Origin::LatchFile as u32,
            ..Command::default()
        })
    }
}

impl std::fmt::Display for Latch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { origin, reason, .. } = self;
        write!(f, "by {origin}")?;
        if self.actor != risk::ACTOR_SYSTEM {
            write!(f, " ({})", self.actor)?;
        }
        write!(f, ": {reason}")
    }
}

/// The newest clear: kills of sessions up to this order-id epoch are lifted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// The newest epoch when it was given.
    pub epoch: u32,
    /// User id.
    pub actor: u32,
    /// Why.
    pub reason: String,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
}

impl Cleared {
    /// The newest clear of a state folder; a file that cannot be read lifts nothing.
    pub fn read(state: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(state.join(CLEARED)).ok()?).ok()
    }

    /// Takes the latch away: first the note of it, then the file.
    ///
    /// # Errors
    /// When either cannot be made durable; the kill then stays.
    pub fn lift(&self, state: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self).map_err(io::Error::other)?;
        write_durably(&state.join(CLEARED), text.as_bytes())?;
        match std::fs::remove_file(state.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::File::open(state)?.sync_all()
    }

    /// The record of it for the journal of the next session.
    pub fn command(&self) -> Option<Command> {
        risk::command(Verb::Clear, Origin::Operator, self.actor, &self.reason).ok()
    }
}

/// A start that is refused because of a kill: exit code 78.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: killed {latch}; nothing is open at the venue any more, and nothing starts here before \
     `peregrine clear --state {} --reason …`", state.display(), state.display()
)]
pub struct StaysKilled {
    /// The state folder.
    pub state: std::path::PathBuf,
    /// Who, how and why.
    pub latch: Latch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latch_says_who_how_and_why_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Latch::read(dir.path()), None);
        let command = risk::command(Verb::KillImmediate, Origin::Http, 7, "runs wild").unwrap();
        let latch = Latch::of_command(&command, Mode::Immediate, 5);
        latch.write(dir.path()).unwrap();
        let read = Latch::read(dir.path()).unwrap();
        assert_eq!(read, latch);
        assert_eq!(read.to_string(), "by http (7): runs wild");
        let given = read.command();
        assert_eq!(given.verb, Verb::KillImmediate as u32);
        assert_eq!(given.origin, Origin::LatchFile as u32);
        assert_eq!(risk::reason_of(&given), "runs wild");
    }

    #[test]
    fn a_signal_that_nobody_obeyed_is_kept_once_and_weakens_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let signal = AtomicBool::new(false);
        Latch::keep_signal(dir.path(), &signal).unwrap();
        assert_eq!(Latch::read(dir.path()), None, "there was none");
        signal.store(true, Ordering::Relaxed);
        assert!(Latch::keep_signal(&dir.path().join("nowhere"), &signal).is_err());
        Latch::keep_signal(dir.path(), &signal).unwrap();
        let kept = Latch::read(dir.path()).unwrap();
        assert_eq!((kept.mode, kept.finished), (Mode::Graceful, false));
        assert_eq!(kept.to_string(), "by signal: SIGUSR1");
        assert!(!signal.load(Ordering::Relaxed), "it is obeyed");
        let stronger = Latch { mode: Mode::Immediate, ..kept };
        stronger.write(dir.path()).unwrap();
        signal.store(true, Ordering::Relaxed);
        Latch::keep_signal(dir.path(), &signal).unwrap();
        assert_eq!(Latch::read(dir.path()), Some(stronger));
    }

    #[test]
    fn a_file_of_whatever_content_kills_gracefully() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["", "stop!", "[1]", "{\"mode\": \"loudly\"}"] {
            std::fs::write(dir.path().join(FILE), content).unwrap();
            assert_eq!(Latch::read(dir.path()), Some(Latch::default()), "{content:?}");
        }
        std::fs::write(dir.path().join(FILE), "{\"mode\": \"immediate\"}").unwrap();
        assert_eq!(Latch::read(dir.path()).unwrap().mode, Mode::Immediate);
        std::fs::write(dir.path().join(FILE), format!("{{\"reason\": \"{}\"}}", "ü".repeat(90)))
            .unwrap();
        let cut = risk::reason_of(&Latch::read(dir.path()).unwrap().command());
        assert_eq!(cut, "ü".repeat(42), "cut between letters");
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        std::fs::create_dir(dir.path().join(FILE)).unwrap();
        assert_eq!(Latch::read(dir.path()), Some(Latch::default()), "what is there kills");
    }

    #[test]
    fn a_lift_leaves_a_note_and_takes_the_file() {
        let dir = tempfile::tempdir().unwrap();
        Latch::default().write(dir.path()).unwrap();
        let note = Cleared { epoch: 3, actor: 1_000, reason: "looked".to_owned(), at_ms: 9 };
        note.lift(dir.path()).unwrap();
        assert_eq!(Latch::read(dir.path()), None);
        assert_eq!(Cleared::read(dir.path()), Some(note.clone()));
        assert_eq!(note.command().unwrap().verb, Verb::Clear as u32);
        note.lift(dir.path()).unwrap();
    }
}
