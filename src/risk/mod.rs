//! The gate: ordered checks, first failure wins. It alone can build an approved order.
//!
//! | file | holds |
//! |---|---|
//! | `state` | the trading state and who may move it where |
//! | `word` | the trading state as one word for every thread |
//! | `command` | commands: who, how, why, and who may give which |
//! | `venue` | what the venue tells, as trading states |
//! | `watch` | what the watch of the venue tells, judged by its thresholds |
//! | `limits` | the configured limits, complete or not at all |
//! | `check` | the checks, in order, and whom each binds |
//! | `checks` | how each is made |
//! | `throttle` | what was approved lately |
//! | `breakers` | what acts after the fact |
//! | `gate` | intents to approved orders |

mod breakers;
mod check;
mod checks;
mod command;
mod gate;
mod limits;
mod state;
#[cfg(test)]
mod tests;
mod throttle;
mod venue;
mod word;
mod watch;

pub use breakers::GateCounts;
pub use check::Check;
pub use command::{ACTOR_SYSTEM, CommandError, Origin, command, reason_of};
pub use gate::{Approved, CheckCount, Gate, GateError, GateSession, Verdict};
pub use state::{Actor, Trading, TradingState, Verb};
pub use venue::{Conditions, Response, response};
pub use word::TradingWord;

use crate::base::Control;
use crate::base::counters::CONTROL_ROWS;

/// The row of a breaker among all controls: the checks come first.
pub const fn control_row(control: Control) -> usize {
    Check::ALL.len() + control as usize
}

const _: () = assert!(Check::ALL.len() + Control::COUNT <= CONTROL_ROWS);
