//! Lanes: append before act. Format, append, read, recover, keep. Never interprets what it stores.
//!
//! ```text
//!  stage thread                     side thread                        any process, any time
//!  ┌────────────┐ ready ring  ┌──────────────────┐
//!  │ LaneWriter │◄────────────┤ keeper           │ prepare, flush, seal, retire
//!  │  append()  ├────────────►│  LaneKeeper × 5  │
//!  └─────┬──────┘ watermark   └───────┬──────────┘
//!        ▼ mapped stores              ▼ pwrite, msync, fdatasync
//!  ┌───────────────────────────────────────────────┐  read   ┌────────────────────────────┐
//!  │ folder: manifest.json, attachments, segments  ├────────►│ LaneReader, verify, repair │
//!  └───────────────────────────────────────────────┘         └────────────────────────────┘
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `format` | segment header, record check, names: every byte on disk |
//! | `error` | what can go wrong, named by file and record |
//! | `map` | the mapping; the room's only unsafe code |
//! | `folder` | the folder's lock, manifest and attachments; atomic file writes |
//! | `segment` | one segment file being prepared, filled and sealed |
//! | `append` | the hot path: one store into the mapping |
//! | `lane_keeper`, `keeper` | everything slow, for one lane and for the session |
//! | `health` | what other threads may read while the journal works |
//! | `scan`, `read` | one segment's records; one lane's records |
//! | `follow` | a lane's records while they are written |
//! | `recorder` | where a stage's records go: a lane, a comparison, a count |
//! | `recover` | verify, stat, repair |
//! | `fields`, `render` | an event's fields by name, and as JSON |
//! | `dump`, `export` | filtered JSON lines; CSV and Parquet tables |
//!
//! The bytes are described in `docs/JOURNAL_FORMAT.md`.

pub mod append;
pub mod dump;
pub mod error;
pub mod export;
pub mod fields;
mod folder;
pub mod follow;
pub mod format;
pub mod health;
pub mod keeper;
mod lane_keeper;
mod map;
pub mod read;
pub mod recorder;
pub mod recover;
pub mod render;
mod scan;
mod segment;

pub use append::{Journaled, LaneWriter};
pub use error::{CorruptRecord, Damage, JournalError, JournalFault};
pub use folder::{is_journal, read_attachment};
pub use follow::{Followed, LaneFollower};
pub use format::{ANSWERS_LANE, LANES, RISK_LANE, RecordIndex, STAMPS_LANE};
pub use health::JournalHealth;
pub use keeper::{Attacher, Journal, JournalSettings};
pub use read::{LaneEnd, LaneReader};
pub use recorder::{CheckOutcome, LaneCheck, Recorder};
pub use recover::{
    JournalStat, LaneReport, LaneStat, RepairReport, VerifyReport, repair, stat, verify,
};

#[cfg(test)]
mod tests;
