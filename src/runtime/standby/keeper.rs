//! The side thread that keeps the seat: asks etcd what the machine wants to know, extends the
//! fence, keeps the risk state, and ends the session when another may lead.

use crate::base::Nanos;
use crate::base::counters::Counters;
use crate::base::fence::Fence;
use crate::base::settings::StandbySettings;
use crate::risk::TradingState;
use crate::runtime::clock::wall_now;
use crate::runtime::lock::held;
use crate::standby::{EtcdLine, Group, Machine, MachineSettings, Role, SharedRisk, View};
use anyhow::{Context, Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two turns without a question.
const TURN: Duration = Duration::from_millis(10);
/// Longest wait for the seat to be given back, and for an epoch to be sealed, in leases.
const PATIENCE_LEASES: u32 = 2;

/// How a node stands, for whoever tells people.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// What it is; `None` before the first turn.
    pub role: Option<Role>,
    /// Time since etcd answered last.
    pub silence: Duration,
}

/// What the thread and the session tell one another.
#[derive(Default)]
struct Board {
    role: Option<Role>,
    /// When etcd answered last, or the thread began.
    answered: Option<Instant>,
    view: View,
    term: Option<(i64, Arc<Fence>)>,
    sealed: Option<u32>,
    seal: Option<u32>,
    counters: Option<(Arc<Counters>, u32)>,
    /// Flags to set when the session is to end: its own, and the process's, which is passed on.
    stop: Option<(Arc<AtomicBool>, Arc<AtomicBool>)>,
    leaves: bool,
    has_left: bool,
}

/// See the head of this file.
pub struct Keeper {
    board: Arc<Mutex<Board>>,
    patience: Duration,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts the thread. It stands by until the group lets it lead.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(settings: &StandbySettings, hashes: String) -> Result<Arc<Self>> {
        let board = Board { answered: Some(Instant::now()), ..Board::default() };
        let board = Arc::new(Mutex::new(board));
        let group = Group::new(&settings.group);
        // Several tries must fit between two renewals and the deadline.
        let line = EtcdLine::new(&settings.endpoints, group, settings.ttl() / 5);
        let machine = Machine::new(MachineSettings {
            node: settings.node.clone(),
            hashes,
            ttl_s: settings.ttl_s,
            renew: settings.renew(),
            margin: settings.margin(),
            takeover_wait: settings.takeover_wait(),
        });
        let work = Work {
            board: Arc::clone(&board),
            machine,
            line,
            origin: Instant::now(),
            margin: settings.margin(),
            told: None,
            risk: None,
        };
        let thread = std::thread::Builder::new().name("standby".to_owned());
        let thread = thread.spawn(move || work.run()).context("the thread that keeps the seat")?;
        let patience = settings.ttl() * PATIENCE_LEASES;
        Ok(Arc::new(Self { board, patience, thread: Mutex::new(Some(thread)) }))
    }

    /// True while it has the seat and may send.
    pub fn leads(&self) -> bool {
        self.seat().is_some()
    }

    /// What it is, and since when etcd is silent.
    pub fn standing(&self) -> Standing {
        let board = held(&self.board);
        let silence = board.answered.map_or(Duration::ZERO, |at| at.elapsed());
        Standing { role: board.role, silence }
    }

    /// The fence of the present term, and what the group's keys held when it began.
    pub fn seat(&self) -> Option<(Arc<Fence>, View)> {
        let board = held(&self.board);
        let leads = board.role == Some(Role::Leader);
        let (_, fence) = board.term.as_ref().filter(|(_, fence)| leads && !fence.is_closed())?;
        Some((Arc::clone(fence), board.view.clone()))
    }

    /// Sets `session` when the lease is over and etcd knows, or when `process` is set.
    pub fn end_with(&self, session: &Arc<AtomicBool>, process: &Arc<AtomicBool>) {
        held(&self.board).stop = Some((Arc::clone(session), Arc::clone(process)));
    }

    /// Makes the epoch the group's, and waits until etcd has it.
    ///
    /// # Errors
    /// When the seat is lost first, or the group has seen an epoch that is not below it.
    pub fn seal(&self, epoch: u32) -> Result<()> {
        held(&self.board).seal = Some(epoch);
        let began = Instant::now();
        while began.elapsed() < self.patience {
            let board = held(&self.board);
            if board.sealed == Some(epoch) {
                return Ok(());
            }
            if board.role != Some(Role::Leader) {
                break;
            }
            drop(board);
            std::thread::sleep(TURN);
        }
        if let Some((_, fence)) = &held(&self.board).term {
            fence.close();
        }
        bail!("epoch {epoch} was not made the group's: the lease is over, or it is not the highest")
    }

    /// From here on the risk state of the session of `epoch` is kept.
    pub fn watch(&self, counters: Arc<Counters>, epoch: u32) {
        held(&self.board).counters = Some((counters, epoch));
    }

    /// The session is over.
    pub fn forget_counters(&self) {
        let mut board = held(&self.board);
        (board.counters, board.stop) = (None, None);
    }

    /// Gives the seat back and ends the thread; without an answer the lease ends by itself.
    pub fn leave(&self) {
        held(&self.board).leaves = true;
        let began = Instant::now();
        while !held(&self.board).has_left && began.elapsed() < self.patience {
            std::thread::sleep(TURN);
        }
        let thread = held(&self.thread).take();
        if let Some(thread) = thread.filter(|_| held(&self.board).has_left) {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Work {
    board: Arc<Mutex<Board>>,
    machine: Machine,
    line: EtcdLine,
    origin: Instant,
    margin: Duration,
    told: Option<Role>,
    risk: Option<SharedRisk>,
}

impl Work {
    fn run(mut self) {
        loop {
            self.hear();
            let asked = self.machine.next(self.origin.elapsed());
            if let Some(ask) = &asked {
                // The lease counts from before the question left.
                let sent = self.origin.elapsed();
                let reply = self.line.ask(ask);
                match &reply {
                    Ok(_) => held(&self.board).answered = Some(Instant::now()),
                    Err(error) => tracing::warn!(error, "etcd"),
                }
                self.machine.on_answer(ask, reply.ok().as_ref(), sent, self.origin.elapsed());
            }
            self.tell();
            if self.machine.has_left() {
                held(&self.board).has_left = true;
                return;
            }
            if asked.is_none() {
                std::thread::sleep(TURN);
            }
        }
    }

    /// Takes what the session wants.
    fn hear(&mut self) {
        let now = self.origin.elapsed();
        let mut board = held(&self.board);
        if let Some(epoch) = board.seal.take() {
            self.machine.seal(epoch, now);
        }
        if let Some((counters, epoch)) = &board.counters
            && let Some(risk) = risk_of(counters, *epoch)
        {
            let before = self.risk.replace(risk);
            self.machine.keep(risk.to_text());
            // A new peak can wait for the next renewal; what forbids something cannot.
            let calm = before.is_some_and(|before| {
                SharedRisk { peak_equity: risk.peak_equity, ..before } == risk
            });
            if !calm {
                self.machine.hurry(now);
            }
        }
        if std::mem::take(&mut board.leaves) {
            self.machine.leave(now);
        }
    }

    /// Tells what it is, and where the fence stands.
    fn tell(&mut self) {
        // The wall clock first: a pause between the two makes the lease shorter, never longer.
        let (wall, steady) = (wall_now(), Instant::now());
        let now = steady.saturating_duration_since(self.origin);
        let mut board = held(&self.board);
        if let Some((made, fence)) = &board.term
            && self.machine.term() == Some(*made)
            && fence.is_closed()
        {
            self.machine.give_up(now);
        }
        let role = self.machine.role(now);
        let term = self.machine.term();
        if let Some((made, fence)) = &board.term
            && term != Some(*made)
        {
            fence.close();
            board.term = None;
        }
        if let (Some(made), None) = (term, &board.term) {
            board.term = Some((made, Arc::new(Fence::new(self.margin, self.origin))));
        }
        if let (Some(deadline), Some((_, fence))) = (self.machine.deadline(), &board.term) {
            let left = (self.origin + deadline).saturating_duration_since(steady);
            let left = i64::try_from(left.as_nanos()).unwrap_or(0);
            fence.extend(Nanos(wall.0.saturating_add(left)), self.origin + deadline);
        }
        board.view = self.machine.view().clone();
        board.sealed = self.machine.sealed();
        board.role = Some(role);
        if let Some((session, process)) = &board.stop {
            // Fenced, it waits for etcd: until then nobody else leads that it could hear of, and an
            // operator may still close what is open.
            let is_over = !matches!(role, Role::Leader | Role::Waiting | Role::Fenced);
            if is_over || process.load(Ordering::Relaxed) {
                session.store(true, Ordering::Relaxed);
            }
        }
        drop(board);
        if self.told.replace(role) != Some(role) {
            match role {
                Role::Refused | Role::Unsteady | Role::Fenced => {
                    tracing::error!(?role, agreed = self.machine.view().agreed, "standby");
                }
                _ => tracing::info!(?role, "standby"),
            }
        }
    }
}

/// What a successor has to know, as the risk stage published it.
fn risk_of(counters: &Counters, epoch: u32) -> Option<SharedRisk> {
    let [day, day_start_equity, peak_equity, losses, entries, state, reason] = counters.risk()?;
    Some(SharedRisk {
        epoch,
        day,
        day_start_equity,
        peak_equity,
        losses_in_a_row: u32::try_from(losses).unwrap_or(u32::MAX),
        entries_today: u32::try_from(entries).unwrap_or(u32::MAX),
        state: u8::try_from(state).unwrap_or(TradingState::Killed as u8),
        reason: u16::try_from(reason).unwrap_or(0),
    })
}
