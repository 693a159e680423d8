//! The shadow of a running session: a thread that follows its journal, at the lowest priority.
//!
//! ```text
//!  registry: who is in shadow ─► engine from record 0 ─► turns … ─► another set: from record 0
//!                                                          └─► ShadowBoard ─► page, metrics
//! ```
//! Whatever goes wrong here is told and ends the trial of this set; the session goes on.

use super::drift;
use super::engine::{Engine, Field};
use super::follow::{Follower, Turn, challenger_parts, on_paper};
use super::log::{EvalLog, LogBounds, log_path};
use super::roster::{challengers, on_trial};
use crate::base::settings::ShadowSettings;
use crate::journal::JournalHealth;
use crate::observe::snapshot::{ShadowLag, ShadowView};
use crate::registry::Registry;
use crate::runtime::assemble::Parts;
use crate::runtime::clock::wall_now;
use crate::runtime::lock::held;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Records of lane 0 between two looks around.
const TURN_RECORDS: usize = 1_024;
/// Between two looks at a journal that has nothing new.
const IDLE: Duration = Duration::from_millis(20);
/// Between two looks at the registry.
const REGISTRY: Duration = Duration::from_secs(10);
/// The lowest priority there is.
const NICE: i32 = 19;

/// What the thread shows of itself.
#[derive(Default)]
pub struct ShadowBoard {
    shown: Mutex<(Vec<ShadowView>, ShadowLag)>,
}

impl ShadowBoard {
    /// The challengers, and how far behind they are.
    pub fn view(&self) -> (Vec<ShadowView>, ShadowLag) {
        held(&self.shown).clone()
    }

    fn show(&self, shown: (Vec<ShadowView>, ShadowLag)) {
        *held(&self.shown) = shown;
    }
}

/// See the head of this file.
pub struct ShadowThread {
    thread: Option<JoinHandle<()>>,
    ending: Arc<AtomicBool>,
}

struct Work {
    champion: Parts,
    settings: ShadowSettings,
    health: Arc<JournalHealth>,
    journal: PathBuf,
    log: PathBuf,
    board: Arc<ShadowBoard>,
    ending: Arc<AtomicBool>,
}

impl ShadowThread {
    /// Begins to follow `journal`, where that is configured; the log lies in the state folder.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        parts: &Parts,
        (health, journal): (Arc<JournalHealth>, &Path),
        state: &Path,
        board: &Arc<ShadowBoard>,
    ) -> Result<Self> {
        let ending = Arc::new(AtomicBool::new(false));
        let settings = parts.settings.shadow.clone();
        if !settings.on {
            return Ok(Self { thread: None, ending });
        }
        let work = Work {
            champion: on_paper(challenger_parts(parts, parts.files.clone())),
            settings,
            health,
            journal: journal.to_path_buf(),
            log: log_path(state),
            board: Arc::clone(board),
            ending: Arc::clone(&ending),
        };
        let thread = std::thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || work.run())
            .context("the thread of the shadow")?;
        Ok(Self { thread: Some(thread), ending })
    }
}

impl Drop for ShadowThread {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Work {
    fn run(&self) {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::warn!(%error, "shadow: runs at the usual priority");
        }
        let (mut failed, mut log) = (None, None);
        while !self.is_ending() {
            let names = self.names();
            let tried = names.is_none() || names == failed;
            let Some(names) = names.filter(|names| !names.is_empty() && !tried) else {
                self.pause(REGISTRY);
                continue;
            };
            match self.follow(&names, log.take()) {
                Ok(left) => {
                    (log, failed) = (Some(left), None);
                    self.board.show(Default::default());
                }
                Err(error) => {
                    tracing::warn!("shadow: {error:#}");
                    failed = Some(names);
                    // What it came to stays on the page.
                    let (shown, lag) = self.board.view();
                    self.board.show((shown, ShadowLag { failed: 1, ..lag }));
                }
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    fn pause(&self, length: Duration) {
        let until = Instant::now() + length;
        while !self.is_ending() && Instant::now() < until {
            std::thread::sleep(IDLE);
        }
    }

    fn registry(&self) -> Result<Registry> {
        Ok(Registry::open(Path::new(&self.champion.settings.model.dir))?)
    }

    /// Who is on trial, by name; `None` where the registry cannot be read just now.
    fn names(&self) -> Option<Vec<String>> {
        let mut names = on_trial(&self.registry().ok()?);
        names.truncate(self.settings.challengers_max as usize);
        Some(names)
    }

    fn open_log(&self) -> Result<EvalLog> {
        let mib = |mib: u32| u64::from(mib) << 20;
        let bounds =
            LogBounds { part: mib(self.settings.part_mib), all: mib(self.settings.all_mib) };
        let log = EvalLog::open(&self.log, bounds)?;
        if log.cut() > 0 {
            tracing::warn!(bytes = log.cut(), "shadow: half a line at the log's end was cut off");
        }
        Ok(log)
    }

    /// Runs `names` from the session's first record on, until others are on trial; the log goes on.
    fn follow(&self, names: &[String], log: Option<EvalLog>) -> Result<EvalLog> {
        let log = log.map_or_else(|| self.open_log(), Ok)?;
        let challengers = challengers(&self.registry()?, &self.champion, names, false)?;
        let engine = Engine::new(&Field {
            journal: &self.journal,
            champion: &self.champion,
            challengers: &challengers,
            drift: &drift(Path::new(&self.settings.gates))?,
        })?;
        let mut follower = Follower::new(&self.journal, engine, log)?;
        let mut looked = Instant::now();
        while !self.is_ending() {
            let turn = follower.turn(TURN_RECORDS);
            self.show(&mut follower);
            match turn? {
                Turn::Read => {}
                Turn::Idle => std::thread::sleep(IDLE),
                Turn::Ended => self.pause(REGISTRY),
            }
            if looked.elapsed() >= REGISTRY {
                looked = Instant::now();
                if self.names().is_some_and(|now| now != names) {
                    break;
                }
            }
        }
        follower.finish()?;
        Ok(follower.into_log())
    }

    fn show(&self, follower: &mut Follower) {
        let progress = follower.progress();
        let seen = progress.read + progress.dropped;
        let lag = ShadowLag {
            events_behind: self.health.appended(0).saturating_sub(seen),
            behind_ms: u64::try_from(progress.behind_ms(wall_now())).unwrap_or(0),
            dropped: progress.dropped,
            mismatches: progress.engine.mismatches,
            lines: follower.log().written(),
            failed: 0,
        };
        self.board.show((follower.engine().views(), lag));
    }
}
