//! Challengers beside the champion, over the market of a session, on nobody's path.
//!
//! ```text
//!  journal of the session                            state/logs/shadow/
//!   lane 0 ─► market ─┬─► Seat (champion) ────┐
//!                     ├─► Seat (challenger) ──┼─► Engine ─► EvalLog ─► shadow_eval.jsonl
//!                     └─► Outcomes ───────────┤
//!   lane 1 ─► what the session's champion said┘
//! ```
//! No stage pays for it: the journal is read from its files, and no stage knows of it.
//!
//! | file | holds |
//! |---|---|
//! | `seat` | one model with stages, paper venue and ledger of its own |
//! | `changes` | the champions that the session changes to |
//! | `books` | what its ledger came to between two decisions |
//! | `rows` | what it is given, against what it was trained on |
//! | `deal` | its share of the session's trading |
//! | `outcome` | what came of decisions |
//! | `engine` | one input to every seat; lines in the order of decisions |
//! | `held` | lines that wait for what the session itself said |
//! | `roster` | who is on trial, and from when on it counts |
//! | `follow` | the two lanes, while they are written or after |
//! | `log` | the lines on disk |
//! | `thread` | all of it beside a running session |

mod books;
mod changes;
mod deal;
mod engine;
mod follow;
mod held;
mod log;
mod outcome;
mod roster;
mod rows;
mod seat;
mod thread;

pub use engine::{Challenger, Engine, EngineCounts, Field};
pub use follow::{Follower, Progress, Turn, challenger_parts, session_parts};
pub use log::{EvalLog, LogBounds, log_path, parts};
pub use outcome::{Outcomes, Rule};
pub use roster::{challengers, on_trial};
pub use seat::{Identity, Said, Seat};
pub use thread::{ShadowBoard, ShadowThread};

use crate::promotion::settings::DriftSettings;
use crate::runtime::gates;
use anyhow::Result;
use std::path::Path;

/// Challengers at once at most.
pub const CHALLENGERS_MAX: usize = 3;

/// How drift is looked for: the table `[drift]` of the file at `path`.
///
/// # Errors
/// Names the file that cannot be read, and each key of it that is not lawful.
pub fn drift(path: &Path) -> Result<DriftSettings> {
    Ok(gates::read(path)?.drift)
}
