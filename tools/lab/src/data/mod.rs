//! Data of the lab: brought in, looked at, frozen.
//!
//! ```text
//!  fetch, from the venue ──┐
//!                          ▼
//!  candles, funding, trades as CSV ─► import ─► tables ─► freeze ─► data_manifest.yaml
//!  (plain, gzip or zip)                          │                  quality_report.md
//!                                                └─► quality: gaps, repeats, jumps, order
//! ```
//! Training, walk-forward and backtests read a data set through its manifest and nothing else.
//!
//! | file | holds |
//! |---|---|
//! | `fetch` | files from the venue's REST endpoints |
//! | `layout` | which file is what: by its name and its columns |
//! | `import` | CSV to tables |
//! | `quality` | what is wrong with a table |
//! | `freeze` | tables to a data set that can no longer change |

pub mod fetch;
pub mod freeze;
pub mod import;
pub mod layout;
pub mod quality;

#[cfg(test)]
mod tests;
