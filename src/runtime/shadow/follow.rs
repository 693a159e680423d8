//! A session's journal into the engine, while it is written or after: lane 0, and lane 1 beside it.

use super::engine::{Engine, EngineCounts};
use super::log::EvalLog;
use crate::base::event::Event;
use crate::base::settings::{Mode, OrderRoute};
use crate::base::time::Nanos;
use crate::execution::Signer;
use crate::journal::{ANSWERS_LANE, Followed, LaneFollower, RecordIndex, read_attachment};
use crate::model::ArtifactFiles;
use crate::runtime::assemble::Parts;
use crate::runtime::backtest::Again;
use crate::runtime::config;
use crate::runtime::own::OwnModels;
use crate::runtime::recover::Carried;
use crate::runtime::swap::attached::attached_text;
use anyhow::{Result, bail};
use std::path::Path;

/// The session of a journal as the champion's place runs it: its configuration, its instruments
/// and its model, on paper and armed from the start.
///
/// # Errors
/// When the journal's attachments or its opening cannot be read.
pub fn session_parts(dir: &Path) -> Result<Parts> {
    let text = |name| attached_text(dir, name);
    let files = ArtifactFiles::from_bytes(read_attachment(dir, "model.onnx")?, text("card.toml")?)?;
    let loaded = config::from_text("config.toml", &text("config.toml")?)?;
    let settings = loaded.settings;
    let instruments = Again::market(dir).instruments()?;
    let (text, carried, signer) = (loaded.text, Carried::default(), Signer::paper());
    let (own, epoch, mode) = (OwnModels::default(), 1, 0);
    Ok(on_paper(Parts { settings, text, instruments, files, own, epoch, mode, carried, signer }))
}

/// A session on paper that begins with nothing, armed from the start.
pub(super) fn on_paper(mut parts: Parts) -> Parts {
    // Nothing is asked of a venue here, so nothing can stand against trading there.
    parts.settings.mode = Mode::Paper;
    if parts.settings.venue.orders == OrderRoute::Venue {
        parts.settings.venue.orders = OrderRoute::Paper;
    }
    (parts.epoch, parts.mode) = (1, 0);
    parts
}

/// The same session with another model.
pub fn challenger_parts(champion: &Parts, files: ArtifactFiles) -> Parts {
    Parts {
        settings: champion.settings.clone(),
        text: champion.text.clone(),
        instruments: champion.instruments.clone(),
        files,
        // What they decide nobody is compared with: see `engine`.
        own: OwnModels::default(),
        epoch: champion.epoch,
        mode: champion.mode,
        carried: Carried::default(),
        signer: Signer::paper(),
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// Records of lane 0 read.
    pub read: u64,
    /// Records of lane 0 that retention removed before they were read.
    pub dropped: u64,
    /// Time of the newest input, nanoseconds since 1970.
    pub newest_ns: i64,
    /// What the engine counted.
    pub engine: EngineCounts,
}

impl Progress {
    /// How far behind `now` the newest input is, milliseconds.
    pub fn behind_ms(&self, now: Nanos) -> i64 {
        (now - Nanos(self.newest_ns)).to_millis().max(0)
    }
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Records were read: there may be more.
    Read,
    /// There is nothing yet.
    Idle,
    /// The lane is at its end.
    Ended,
}

/// See the head of this file.
pub struct Follower {
    engine: Engine,
    log: EvalLog,
    inputs: LaneFollower,
    answers: LaneFollower,
    progress: Progress,
}

impl Follower {
    /// Over the journal in `dir`, from its first record on.
    ///
    /// # Errors
    /// When its lanes cannot be followed.
    pub fn new(dir: &Path, engine: Engine, log: EvalLog) -> Result<Self> {
        let open = |lane| LaneFollower::open(dir, lane, RecordIndex(0));
        let (inputs, answers) = (open(0)?, open(ANSWERS_LANE)?);
        Ok(Self { engine, log, inputs, answers, progress: Progress::default() })
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let newest_ns = self.engine.newest().0;
        Progress { newest_ns, engine: self.engine.counts(), ..self.progress }
    }

    /// The engine, for checks of its books.
    pub const fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The log.
    pub const fn log(&self) -> &EvalLog {
        &self.log
    }

    /// The log, for the next.
    pub fn into_log(self) -> EvalLog {
        self.log
    }

    /// Reads `most` records of lane 0 at most, and what lane 1 has of them; writes what is ripe.
    ///
    /// # Errors
    /// When a sealed segment is damaged, retention removed records before they were read, a stage
    /// cannot go on or the log cannot be written.
    pub fn turn(&mut self, most: usize) -> Result<Turn> {
        let before = self.progress.read;
        let taken = self.take(most);
        // What was said up to a fault stands.
        self.read_answers()?;
        self.write(taken.is_err())?;
        taken?;
        Ok(match self.progress.read - before {
            0 if self.inputs.is_closed() && self.answers.is_closed() => Turn::Ended,
            0 => Turn::Idle,
            _ => Turn::Read,
        })
    }

    fn take(&mut self, most: usize) -> Result<()> {
        for _ in 0..most {
            match self.inputs.read()? {
                Followed::Record(_, event) => {
                    self.progress.read += 1;
                    self.engine.on_input(&Event { check: 0, ..event })?;
                }
                Followed::Retired(from, to) => {
                    self.progress.dropped += to.0 - from.0;
                    // Neither books nor models are known behind it.
                    let (first, last) = (from.0 + 1, to.0);
                    bail!("inputs {first} to {last} were removed before they were read");
                }
                Followed::Nothing => break,
            }
        }
        Ok(())
    }

    /// Writes what is left, without the answers that did not come.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        self.read_answers()?;
        self.write(true)
    }

    /// What the session said up to where lane 0 has been read, and one record beyond.
    fn read_answers(&mut self) -> Result<()> {
        while self.engine.wants_answers() {
            match self.answers.read()? {
                Followed::Record(_, event) => self.engine.answers().on_recorded(&event),
                Followed::Retired(..) => self.engine.answers().on_hole(),
                Followed::Nothing => break,
            }
        }
        Ok(())
    }

    fn write(&mut self, at_end: bool) -> Result<()> {
        let Self { engine, log, .. } = self;
        let at_end = at_end || self.answers.is_closed() && self.inputs.is_closed();
        engine.drain(at_end, |line, at_ns| log.push(line, at_ns))?;
        log.flush()
    }
}
