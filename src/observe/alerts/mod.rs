//! Alerts: one thread follows the journal's lanes and says what a person has to know; others
//! deliver. No stage waits on any of it, and none raises an alert itself: what is in the journal
//! alerts.
//!
//! ```text
//!  lanes 0 and 2 ─► rules ─┐                       ┌─► telegram ──► Bot API
//!  newest snapshot ─► signs ┼─► dispatcher ─ one ──┼─► webhook ───► signed JSON
//!  UTC day over ─► summary ─┘   (bounded)  message ├─► mail ──────► a program
//!                               │           each   └─◄ outcomes
//!                               └─► board: page, metrics, log
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `rules` | which records of the lanes are alerts, and how severe |
//! | `signs` | what the snapshot says of threads, disk and readiness |
//! | `dispatch` | grouping, rates, escalation, retries; pure |
//! | `board` | what the page and the metrics show of it |
//! | `service` | the threads |
//! | `telegram` | commands by Telegram |
//! | `ways` | the channels: Telegram, webhook, mail |
//! | `secret` | tokens that never show |

pub mod board;
pub mod dispatch;
pub mod rules;
pub mod secret;
pub mod service;
pub mod signs;
pub mod telegram;
pub mod ways;

use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// How soon a person has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Severity {
    /// Now: trading stopped for a hard reason, or money is at risk. Sent on every channel at once.
    P0 = 0,
    /// Within minutes: something that stops trading soon or hides the truth.
    P1 = 1,
    /// Today: worth a look.
    P2 = 2,
    /// For the record.
    P3 = 3,
}

impl Severity {
    /// All, the most severe first.
    pub const ALL: [Severity; 4] = [Severity::P0, Severity::P1, Severity::P2, Severity::P3];

    /// `P0` to `P3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }

    /// The word of the page: `critical`, `error`, `warning` or `info`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::P0 => "critical",
            Self::P1 => "error",
            Self::P2 => "warning",
            Self::P3 => "info",
        }
    }
}

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What an alert is about; the unit of summaries and metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $($(#[$doc])* $name),* }

        impl Class {
            /// Every class, in table order.
            pub const ALL: &[Class] = &[$(Class::$name),*];

            /// The name used in messages, logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

classes! {
    /// The trading state changed.
    State = "state",
    /// A kill, and what comes of it.
    Kill = "kill",
    /// An operator's command.
    Command = "command",
    /// Orders denied by the gate or refused by the venue, over the rate.
    Denials = "denials",
    /// An order of unknown outcome.
    UnknownOrder = "unknown_order",
    /// The venue's books and ours.
    Reconcile = "reconcile",
    /// Something about the venue or the account there.
    Venue = "venue",
    /// The model that decides.
    Model = "model",
    /// Market data or the account's stream.
    Stream = "stream",
    /// Threads, disk, journal.
    Resource = "resource",
    /// A session began or ended.
    Session = "session",
    /// What was held back in the last minute.
    Summary = "summary",
    /// All is well.
    Heartbeat = "heartbeat",
    /// The day or the week in figures.
    Report = "report",
    /// The alerts themselves or the audit trail.
    Observer = "observer",
}

/// One thing a person has to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// How soon.
    pub severity: Severity,
    /// About what.
    pub class: Class,
    /// Alerts of the same key are the same alert again.
    pub key: String,
    /// A sentence, without control characters.
    pub text: String,
    /// Place in the river of what caused it; 0 where nothing in the river did.
    pub seq: u64,
    /// When it happened, nanoseconds since the epoch.
    pub ts_ns: i64,
    /// A picture (PNG) that belongs to it.
    pub picture: Option<Arc<Vec<u8>>>,
}

/// Longest text of an alert in bytes.
pub const TEXT_BYTES_MAX: usize = 1_024;

impl Alert {
    /// An alert at `ts_ns` caused by the river's `seq`. The text is made plain: control characters
    /// become blanks, and what is too long is cut.
    pub fn new(
        severity: Severity,
        class: Class,
        key: impl Into<String>,
        text: &str,
        (seq, ts_ns): (u64, i64),
    ) -> Self {
        Self { severity, class, key: key.into(), text: plain(text), seq, ts_ns, picture: None }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.ts_ns)).unwrap_or_default();
        let time = time.strftime("%Y-%m-%d %H:%M:%SZ");
        write!(f, "{} {}: {} ({time}", self.severity.name(), self.class.name(), self.text)?;
        if self.seq > 0 { write!(f, ", seq {})", self.seq) } else { f.write_str(")") }
    }
}

/// Text that can stand in a line: control characters are blanks, line feeds of a report stay, and
/// what is longer than [`TEXT_BYTES_MAX`] is cut at a character.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    for c in text.chars() {
        if out.len() + c.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        out.push(if c.is_control() && c != '\n' { ' ' } else { c });
    }
    out
}

/// The wall clock, for side threads alone: nanoseconds since the epoch.
pub(crate) fn wall_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
