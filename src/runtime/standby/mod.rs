//! A session of a group of nodes: waits for the seat, takes over what the leader before left,
//! trades behind its fence, and stands by again when the lease is over.
//!
//! ```text
//!  etcd ◄── keeper's thread: renews, looks ──► fence ──► the order desk, the venue's timer
//!                    │ the seat is ours                     ▲ closed: nothing leaves
//!                    ▼                                      │
//!  stands by ──► takes over: timer, orders, positions ──► session ──► fenced ──► stands by
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `keeper` | the side thread that keeps the seat |
//! | `takeover` | what is at the venue, made into what a session starts from |
//! | `fenced` | what a session does when its fence has closed |
//! | `hashes` | what the nodes of a group must have in common |
//! | `apart` | alerts of a node that has no session |

mod apart;
pub mod fenced;
mod hashes;
mod keeper;
mod takeover;

use super::notify::Supervisor;
use super::session::{self, SessionOrder, SessionOutcome};
use super::state::StateFolder;
use crate::base::fence::Fence;
use crate::base::settings::StandbySettings;
use crate::base::units::Money;
use crate::observe::Summary;
use crate::standby::View;
use anyhow::Result;
use apart::Apart;
use keeper::Keeper;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time between two looks while standing by.
const LOOK: Duration = Duration::from_millis(20);

/// One time of leading.
pub struct Term {
    /// Until when requests may leave.
    pub fence: Arc<Fence>,
    /// What the group's keys held when the seat was won.
    view: View,
    /// The models that the group agreed on.
    agreed: hashes::Agreed,
    /// Set to end the session.
    stop: Arc<AtomicBool>,
    keeper: Arc<Keeper>,
}

/// Stands by and leads in turn, until it is stopped, its time is over, or trading was killed.
///
/// # Errors
/// When a session cannot start while the seat is held, or the side thread cannot.
pub fn run(
    order: &SessionOrder,
    state: &StateFolder,
    settings: &StandbySettings,
) -> Result<SessionOutcome> {
    let (hashes, agreed) = hashes::of(&order.loaded)?;
    let mut apart = Apart::start(&order.loaded.settings, settings.ttl())?;
    let keeper = Keeper::start(settings, hashes)?;
    let began = Instant::now();
    let left = || order.duration.map(|all| all.saturating_sub(began.elapsed()));
    let is_over =
        || order.stop.load(Ordering::Relaxed) || left().is_some_and(|left| left == Duration::ZERO);
    let (mut last, mut key_rotated) = (nothing(), order.key_rotated);
    let mut manager = Supervisor::from_environment(Instant::now());
    loop {
        manager.ready();
        while !is_over() && !keeper.leads() {
            std::thread::sleep(LOOK);
            apart.look(keeper.standing());
            manager.feed(Instant::now(), std::iter::empty());
        }
        let Some(seat) = keeper.seat().filter(|_| !is_over()) else {
            if is_over() {
                break;
            }
            continue;
        };
        let (fence, view) = seat;
        let stop = Arc::new(AtomicBool::new(false));
        let term = Term { fence, view, agreed, stop, keeper: Arc::clone(&keeper) };
        keeper.end_with(&term.stop, &order.stop);
        let outcome =
            session::run_in(&of_term(order, &term, left(), key_rotated), state, Some(&term));
        let is_fenced = term.fence.is_closed();
        keeper.forget_counters();
        // To be said once: the journal of this term is of the new key.
        key_rotated &= outcome.is_err();
        match outcome {
            Ok(outcome) if is_fenced && !outcome.killed => {
                tracing::error!("the lease is over: this node stands by");
                // It was dealt with: the end of the node is another.
                last = SessionOutcome { halt: None, ..outcome };
            }
            Err(error) if is_fenced => {
                tracing::error!(error = format!("{error:#}"), "the lease was over at the start");
            }
            outcome => {
                keeper.leave();
                return outcome;
            }
        }
    }
    keeper.leave();
    Ok(last)
}

/// The session of one term.
fn of_term(
    order: &SessionOrder,
    term: &Term,
    duration: Option<Duration>,
    key_rotated: bool,
) -> SessionOrder {
    SessionOrder {
        loaded: order.loaded.clone(),
        name: order.name,
        signed: order.signed.clone(),
        duration,
        stop: Arc::clone(&term.stop),
        kill: Arc::clone(&order.kill),
        // What the session asks over REST stands behind the fence by its key.
        credentials: order.credentials.clone().map(|own| own.behind(Arc::clone(&term.fence))),
        key_rotated,
        statement: order.statement,
    }
}

/// The outcome of a node that never led.
fn nothing() -> SessionOutcome {
    SessionOutcome {
        summary: Summary {
            counters: Default::default(),
            elapsed: Duration::ZERO,
            pnl: Money::ZERO,
            journal: None,
            latency: Default::default(),
            ledger_equal: None,
            last_look: None,
        },
        halt: None,
        killed: false,
        kill_done: false,
        differences: Vec::new(),
    }
}
