//! Commands by Telegram: ask, pause, kill. Nothing that arms, clears, flattens or loosens: whoever
//! has the bot's token reads and writes all its messages.
//!
//! ```text
//!  getUpdates (long poll, a thread of its own)
//!    │ offset made durable first: an update is acted on once, or not at all
//!  desk ─ stranger, group, bot, forwarded, edited, older than 30 s, seen before ─► nothing
//!    │
//!    ├─ /status, /positions ─► answered from the newest snapshot
//!    ├─ /pause [why] ────────► the river
//!    └─ /kill ─► a code ─ /kill CODE by the same user within a minute ─► the river
//! ```
//! The kill is the graceful one: entries are cancelled, positions keep their stops.

mod desk;
mod listener;

pub use desk::{CODE_TRIES_MAX, CommandDesk, Heard, Ignored, UPDATE_AGE_MAX_S};
pub use listener::{CommandListener, ListenerWork, QUESTION_MAX};
