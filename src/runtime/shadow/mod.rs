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
//! | `books` | what its ledger came to between two decisions |
//! | `outcome` | what came of decisions |
//! | `engine` | one input to every seat; lines in the order of decisions |
//! | `follow` | the two lanes, while they are written or after |
//! | `log` | the lines on disk |
//! | `thread` | all of it beside a running session |

mod books;
mod engine;
mod follow;
mod log;
mod outcome;
mod seat;
mod thread;

pub use engine::{Engine, EngineCounts};
pub use follow::{Follower, Progress, Turn, challenger_parts, session_parts};
pub use log::{EvalLog, LogBounds, parts};
pub use outcome::{Outcomes, Rule};
pub use seat::{Identity, Said, Seat};
pub use thread::{ShadowBoard, ShadowThread};

/// Challengers at once at most.
pub const CHALLENGERS_MAX: usize = 3;
