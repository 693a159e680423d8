//! The audit trail: who did what, and what the machine did on its own, in a file that tells when
//! somebody changed it.
//!
//! ```text
//!  lanes 0 and 2 ─► entries ─► trail ─► audit.jsonl     one line each, in the state folder
//!  (by position)                │
//!                    {"n":7, "prev": SHA-256 of line 6, "journal":…, "lane":2, "record":41, …}
//! ```
//! The trail says nothing that the journals do not say, so both are held against each other
//! (`peregrine audit verify`): a line that was changed, removed or put in breaks the chain, and one
//! that was left out at the end is missing for its record. A writer that was killed goes on behind
//! the last whole line; where it stood in each lane is what that line tells, so nothing is left out
//! and nothing comes twice.
//!
//! | file | holds |
//! |---|---|
//! | `entry` | which records become lines, and what the lines say |
//! | `line` | a line's form and hash |
//! | `trail` | the file: opened, cut behind its last whole line, appended to |
//! | `keeper` | the thread that follows the lanes |
//! | `verify` | the chain, and the trail against the journals |

pub mod entry;
pub mod keeper;
pub mod line;
pub mod trail;
pub mod verify;

pub use entry::{reason_name, state_name, verb_name, who};
pub use keeper::{AuditKeeper, AuditWork};
pub use line::Line;
pub use verify::{AuditReport, verify};

/// The trail's name in the state folder.
pub const AUDIT_FILE: &str = "audit.jsonl";
/// Where the journals are in the state folder.
pub const JOURNALS: &str = "journal";
/// Lanes that hold what is audited: inputs and decisions of risk.
pub const LANES_AUDITED: [usize; 2] = [0, 2];

#[cfg(test)]
mod tests;
