//! Latency histograms, metrics, health, dashboard. Never waits on a stage, never makes one wait.
//!
//! ```text
//!  pinned threads                          side threads
//!  HopRecorder ──full set──►┐
//!              ◄─clean set──┴ HopCollector ─► LatencyView ─┐
//!  Counters (atomics) ─────────────────────────────────────┼► Snapshot ─► SnapshotCell
//!  rings, heartbeats, ledger as seen by the runtime ───────┘                 │
//!                       ┌────────────────────────────────────────────────────┘
//!                       └─► metrics text · JSON pages · HttpServer · Summary at the end
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `hop` | the hops and the cycle clock |
//! | `steady` | whether the cycle counter can be trusted |
//! | `latency` | recording on a pinned thread, merging on the observer, percentiles |
//! | `worst` | the longest passages with their inputs |
//! | `stamps` | passages as records of lane 4, and histograms of them again |
//! | `hlog` | histogram logs that other tools read |
//! | `plot` | percentiles drawn on one HTML page |
//! | `controls` | a row for each check and breaker |
//! | `journal_view` | the journal's condition |
//! | `snapshot` | what the pages show, and the cell it is handed over in |
//! | `metrics` | the Prometheus text |
//! | `http` | the server on side threads |
//! | `alerts` | who is told what happens |
//! | `audit` | who did what, in a chain of lines |
//! | `report` | a day or a week in figures and a picture |
//! | `summary` | what a session prints at its end |

pub mod alerts;
pub mod audit;
mod controls;
mod journal_view;
pub mod hop;
pub mod report;
mod steady;
pub mod worst;
pub mod stamps;
pub mod latency;
pub mod hlog;
pub mod plot;
pub mod snapshot;
pub mod metrics;
pub mod http;
pub mod summary;

pub use hop::{CycleClock, Hop, Stamp};
pub use latency::{HopCollector, HopRecorder, HopView, LatencyView};
pub use snapshot::{Snapshot, SnapshotCell};
pub use summary::Summary;

#[cfg(test)]
mod tests;
