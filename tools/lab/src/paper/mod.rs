//! Weeks of trading on paper in compressed time, and whether real money may follow.
//!
//! ```text
//!  a day of the market ─► a session ─► a day's figures ─┐ equity
//!  the next day        ─► a session ◄───────────────────┘
//!  all days ─► figures ─► targets, steps of capital ─► paper_campaign.json, phase5_signoff.md
//! ```
//! Each day is a start of its own, as after a restart: features warm up anew, and what an earlier
//! day had halted an operator has armed again.
//!
//! | file | holds |
//! |---|---|
//! | `targets` | what has to be shown, from a file |
//! | `days` | the days, one session after the other |
//! | `report` | what it came to, for people and for programs |

pub mod days;
pub mod report;
pub mod targets;

#[cfg(test)]
mod tests;

pub use days::{Campaign, Day, Market};
pub use targets::Targets;
