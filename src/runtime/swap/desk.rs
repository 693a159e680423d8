//! The thread that has models changed: it takes wishes, follows the registry's champion, and ends
//! by itself what goes wrong.

use super::DeskEnds;
use super::board::ModelBoard;
use super::guard::Guard;
use super::places::{Places, Seat};
use super::work::Work;
use crate::base::Reason;
use crate::base::event::{COMMAND_MODEL, COMMAND_REASON_BYTES, Command};
use crate::base::settings::{CanarySettings, Mode};
use crate::features::schema_hash;
use crate::journal::{Attacher, JournalHealth};
use crate::model::LoadPolicy;
use crate::promotion::Breach;
use crate::registry::{Proving, Registry};
use crate::risk::{ACTOR_SYSTEM, Origin};
use crate::runtime::assemble::Parts;
use crate::runtime::config::Loaded;
use crate::runtime::revert::keeper::RegistryKeeper;
use crate::runtime::revert::{self, Judge, LeftModels};
use anyhow::{Context, Result};
use crossbeam::channel::{Receiver, Sender, bounded};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Wishes at once, the one in hand included. Few: each holds one of the admin socket's peers, and a
/// kill must always find one free.
const ASKS_MAX: usize = 2;
/// Time between two looks at the registry and the guardrails while nobody asks.
const TURN: Duration = Duration::from_millis(100);

/// What the desk is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That version, `champion` or `previous` decides.
    Use(String),
    /// A trial begins; what is not given is the configuration's.
    StartTrial {
        /// The challenger.
        version: String,
        /// Its share in basis points.
        share_bps: Option<u32>,
        /// Length of the blocks in milliseconds.
        block_ms: Option<u32>,
        /// Seed of the deal.
        seed: Option<u64>,
    },
    /// The trial ends; the champion decides everything.
    EndTrial,
    /// Nothing: what decides is told.
    Status,
}

/// A wish with who has it and why.
#[derive(Clone, Debug)]
pub struct Ask {
    pub(super) wish: Wish,
    /// Why it comes to it, as the river tells it.
    pub(super) cause: Reason,
    pub(super) actor: u32,
    /// The person's words; `None` where the session itself asks.
    pub(super) command: Option<Command>,
    answer: Option<Sender<Result<Value, String>>>,
}

impl Ask {
    /// An operator's.
    ///
    /// # Errors
    /// In words, for a reason of no or more than 84 bytes.
    pub fn new(wish: Wish, actor: u32, why: &str) -> Result<Self, String> {
        let mut command = Command {
            verb: COMMAND_MODEL,
            actor,
            origin: Origin::Operator as u32,
            ..Command::default()
        };
        let why = why.trim().as_bytes();
        if wish != Wish::Status && !(1..=COMMAND_REASON_BYTES).contains(&why.len()) {
            return Err(format!("reason: 1 to {COMMAND_REASON_BYTES} bytes are needed"));
        }
        let kept = why.len().min(COMMAND_REASON_BYTES);
        command.reason[..kept].copy_from_slice(&why[..kept]);
        Ok(Self { wish, cause: Reason::Operator, actor, command: Some(command), answer: None })
    }

    /// The session's own.
    pub(super) const fn own(wish: Wish, cause: Reason) -> Self {
        Self { wish, cause, actor: ACTOR_SYSTEM, command: None, answer: None }
    }

    /// The session's own, told with its figures: the champion is left, or entries stop.
    pub(super) fn of_breach(breach: &Breach, verb: u32, more: &str) -> Self {
        let mut command = Command {
            verb,
            actor: ACTOR_SYSTEM,
            origin: Origin::Session as u32,
            ..Command::default()
        };
        let why = format!("{breach}{more}");
        let kept = why.len().min(COMMAND_REASON_BYTES);
        command.reason[..kept].copy_from_slice(&why.as_bytes()[..kept]);
        let wish = Wish::Use("previous".to_owned());
        Self { command: Some(command), ..Self::own(wish, breach.cause.reason()) }
    }

    /// Whether what is left by it is nothing to go back to.
    pub(super) fn leaves_for_good(&self) -> bool {
        self.actor == ACTOR_SYSTEM && self.cause != Reason::ChampionMoved
    }
}

/// The way to the desk.
#[derive(Clone, Debug)]
pub struct Asking {
    asks: Sender<Ask>,
    waiting: Arc<AtomicUsize>,
}

impl Asking {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// In words: what was refused and why, or that the desk does not answer.
    pub fn ask(&self, ask: Ask, patience: Duration) -> Result<Value, String> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let answered = if before < ASKS_MAX {
            self.pass_on(ask, patience)
        } else {
            Err("other wishes are being worked on; ask again".to_owned())
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        answered
    }

    fn pass_on(&self, ask: Ask, patience: Duration) -> Result<Value, String> {
        let (answer, told) = bounded(1);
        let ask = Ask { answer: Some(answer), ..ask };
        self.asks.try_send(ask).map_err(|_| "the session ends".to_owned())?;
        told.recv_timeout(patience).map_err(|_| "no answer in time".to_owned())?
    }
}

/// What the desk works with.
pub struct DeskWork<'w> {
    /// The session's parts.
    pub parts: &'w Parts,
    /// What runs its first model.
    pub executor: &'static str,
    /// The configuration as it stands in its file: what a sign-off is of.
    pub signed: &'w Loaded,
    /// The ways to the stages.
    pub ends: DeskEnds,
    /// Puts files beside the journal.
    pub attacher: Attacher,
    /// How far the lanes are, and whether the journal is sound.
    pub health: Arc<JournalHealth>,
    /// The journal's folder.
    pub journal: &'w Path,
    /// What the page shows.
    pub board: Arc<ModelBoard>,
    /// What sessions left and the registry does not say yet.
    pub left: Arc<LeftModels>,
    /// The champion that could not be begun with.
    pub failed: Option<(String, Breach)>,
}

/// The running thread; ends when dropped.
pub struct ModelDesk {
    asks: Option<Sender<Ask>>,
    thread: Option<JoinHandle<()>>,
    waiting: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
}

impl ModelDesk {
    /// Starts it.
    ///
    /// # Errors
    /// When a lane cannot be followed or the thread cannot be started.
    pub fn start(work: DeskWork<'_>) -> Result<Self> {
        let DeskWork { parts, executor, signed, health, journal, .. } = &work;
        let settings = &parts.settings;
        let booked = parts.carried.booked(&parts.symbols());
        let pooled = parts.own.pooled(parts.instruments.len());
        let guard = Guard::new(settings, booked, (journal, pooled), Arc::clone(health))?;
        let seat = Seat::new(&parts.files, executor);
        let judge = match revert::rules(&settings.rollback.gates)? {
            Some(rules) => Some(Judge::new(rules, parts, journal, seat.champion())?),
            None => None,
        };
        // A version that is named in the configuration stays.
        let follows = signed.settings.model.version == "champion";
        let dir = settings.model.dir.clone();
        let watch = RegistryWatch::new(follows.then_some(dir.as_str()), &seat.version);
        let proving = Proving {
            schema_hash: Some(schema_hash()),
            policy: LoadPolicy::of(&settings.model).at_any_speed(),
        };
        let keeper = RegistryKeeper::start(Arc::clone(&work.left), dir.into(), proving);
        let journal = journal.file_name().unwrap_or_default().to_string_lossy();
        let attached = parts.own.tags();
        let desk = Work {
            terms: parts.terms(),
            canary: settings.canary.clone(),
            signed: (settings.mode == Mode::Live).then(|| (*signed).clone()),
            name: format!("session {journal}"),
            judged: judge.is_some(),
            gone_back: 0,
            stopped_for: Vec::new(),
            keeper: keeper.context("the thread that has the registry follow")?,
            left: work.left,
            ends: work.ends,
            attacher: work.attacher,
            attached,
            places: Places::new(seat),
            sent: 0,
            board: work.board,
            ending: Arc::default(),
        };
        let failed = work.failed;
        let (asks, asked) = bounded(ASKS_MAX);
        let ending = Arc::clone(&desk.ending);
        let thread = std::thread::Builder::new()
            .name("models".to_owned())
            .spawn(move || run(desk, (watch, guard, judge), failed, &asked))
            .context("the thread of the models")?;
        Ok(Self { asks: Some(asks), thread: Some(thread), waiting: Arc::default(), ending })
    }

    /// The way to it.
    pub fn asking(&self) -> Option<Asking> {
        let asks = self.asks.clone()?;
        Some(Asking { asks, waiting: Arc::clone(&self.waiting) })
    }
}

impl Drop for ModelDesk {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    mut desk: Work,
    (mut watch, mut guard, mut judge): (RegistryWatch, Guard, Option<Judge>),
    failed: Option<(String, Breach)>,
    asked: &Receiver<Ask>,
) {
    if let Some((version, breach)) = failed {
        desk.tell_failed(&version, &breach);
    }
    desk.begin_judging(&mut judge);
    let CanarySettings { model, .. } = desk.canary.clone();
    if !model.is_empty() {
        let (share_bps, block_ms, seed) = (None, None, None);
        let wish = Wish::StartTrial { version: model, share_bps, block_ms, seed };
        serve(&mut desk, &mut guard, Ask::own(wish, Reason::StartUp));
    }
    while !desk.ending.load(Ordering::Relaxed) {
        if let Ok(ask) = asked.recv_timeout(TURN) {
            serve(&mut desk, &mut guard, ask);
        }
        desk.ends.supply.take_back();
        if watch.has_moved(&desk.left) {
            let wish = Wish::Use("champion".to_owned());
            serve(&mut desk, &mut guard, Ask::own(wish, Reason::ChampionMoved));
        }
        if let Some((wish, cause)) = desk.fault(&mut guard) {
            serve(&mut desk, &mut guard, Ask::own(wish, cause));
        }
        match &mut judge {
            Some(judge) => desk.judge(judge, &mut guard),
            None => desk.judge_answers(&mut guard),
        }
        desk.show_judgement(judge.as_ref());
    }
}

fn serve(desk: &mut Work, guard: &mut Guard, mut ask: Ask) {
    let answer = ask.answer.take();
    let done = desk.serve(&ask, guard);
    if let Err(what) = &done {
        tracing::error!(what, "models: refused");
    }
    if let Some(answer) = answer {
        let _ = answer.try_send(done);
    }
}

/// Sees that the registry names another champion.
struct RegistryWatch {
    /// `None` where the session does not follow it.
    dir: Option<String>,
    looked: Option<Instant>,
    touched: Option<(SystemTime, u64)>,
    champion: Option<String>,
}

impl RegistryWatch {
    fn new(dir: Option<&str>, running: &str) -> Self {
        let champion = Some(running.to_owned());
        Self { dir: dir.map(str::to_owned), looked: None, touched: None, champion }
    }

    /// True once for every change of the champion; a registry that cannot be read is told of in the
    /// log, and looked at again when it is touched.
    fn has_moved(&mut self, left: &LeftModels) -> bool {
        let Some(dir) = &self.dir else { return false };
        let now = Instant::now();
        if self.looked.is_some_and(|last| now - last < TURN) {
            return false;
        }
        self.looked = Some(now);
        let about = std::fs::metadata(Path::new(dir).join("registry.json")).ok();
        let touched = about.and_then(|about| Some((about.modified().ok()?, about.len())));
        if touched == self.touched {
            return false;
        }
        self.touched = touched;
        match Registry::open(Path::new(dir)) {
            Ok(registry) => {
                // The one that the session left has not moved anywhere: the registry is behind.
                let names = registry.champion_version().filter(|version| !left.has(version));
                let names = names.map(str::to_owned);
                let moved = names.is_some() && names != self.champion;
                self.champion = names.or(self.champion.take());
                moved
            }
            Err(error) => {
                tracing::error!(%error, "the registry of models");
                false
            }
        }
    }
}
