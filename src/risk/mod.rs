//! The gate: ordered checks, first failure wins. It alone can build an approved order.
//!
//! | file | holds |
//! |---|---|
//! | `state` | the trading state and who may move it where |
//! | `word` | the trading state as one word for every thread |
//! | `command` | commands: who, how, why, and who may give which |
//! | `venue` | what the venue tells, as trading states |
//! | `watch`, `gap` | what the watch of the venue tells, judged by its thresholds |
//! | `limits` | the configured limits, complete or not at all |
//! | `check` | the checks, in order, and whom each binds |
//! | `checks`, `exposure`, `pace` | how each is made: of the order, its sum, its moment |
//! | `glance` | all of them at once, for an entry that passes for certain |
//! | `senses` | what is remembered of each instrument beside the books |
//! | `terms` | what binds the orders of one instrument |
//! | `portfolio` | which instruments move together |
//! | `throttle` | what was approved and denied lately |
//! | `stage` | which stage on the way to live trading is lawful |
//! | `conduct` | events as they come, and what follows from denials |
//! | `breakers` | what acts after the fact |
//! | `session` | whose orders they are, and what is counted |
//! | `gate` | intents to approved orders |

mod breakers;
mod check;
mod checks;
mod command;
mod conduct;
mod exposure;
mod gap;
mod gate;
mod glance;
mod limits;
mod pace;
mod portfolio;
mod senses;
mod session;
pub mod stage;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod throttle;
mod venue;
mod word;
mod watch;

pub use breakers::{GateCounts, levels_of};
pub use check::Check;
pub use command::{ACTOR_SYSTEM, CommandError, Origin, arms_by_name, command, reason_of};
pub use gate::{Approved, Gate, Verdict};
pub use session::{CheckCount, GateError, GateSession};
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
