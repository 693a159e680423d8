//! The search for hyper-parameters, kept in Optuna's own tables.
//!
//! ```text
//!   search.toml ─► space ─► sampler (TPE) ─► trial ─► objective ─► value ─┐
//!                              ▲               │ after each step          │
//!                              │               └─► pruner: stop early?    │
//!                              └──────────── storage (SQLite, PostgreSQL) ◄┘
//! ```
//! A study is a database that Optuna and its dashboard open and go on with. Any number of threads,
//! processes and machines work on one study: a trial is claimed under the database's own lock, a
//! worker that is gone is noticed by its heartbeat, and its trial is put back into the queue.
//!
//! | file | holds |
//! |---|---|
//! | `space.rs` | parameters and what they may be |
//! | `sampler.rs`, `parzen.rs` | the tree-structured Parzen estimator |
//! | `pruner.rs` | which trial is not worth finishing |
//! | `storage/` | the tables |
//! | `study.rs` | workers |
//! | `functions.rs` | functions whose optimum is published |
//! | `training.rs` | the training of a model as an objective |
//! | `settings.rs` | `config/search.toml` |

pub mod functions;
mod parzen;
mod pruner;
mod sampler;
mod settings;
mod space;
mod storage;
mod study;
#[cfg(test)]
mod tests;
mod training;

pub use pruner::{Curve, Halving, Median, Pruner};
pub use sampler::{Observation, Outcome, Tpe};
pub use settings::{Market, Search, load};
pub use space::{Distribution, Parameter, Point, Space};
pub use storage::{Claim, Claimed, Ending, Rescue, State, Storage, Trial};
pub use study::{Best, Finished, Job, Objective, Report, Summary, Verdict, run};
pub use training::SyntheticTraining;

/// Why a search cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// The space is not usable.
    #[error("space: {0}")]
    Space(String),
    /// A study is not what this search is about.
    #[error("study {study}: {why}")]
    Study {
        /// Its name.
        study: String,
        /// What does not fit.
        why: String,
    },
    /// A file of a study could not be read or written.
    #[error("the study's file")]
    File(#[from] rusqlite::Error),
    /// A server of studies could not be asked.
    #[error("the study's server")]
    Server(#[from] postgres::Error),
    /// A server of studies went away and did not come back.
    #[error(
        "the study's server is away and was waited for {secs} s; what ran is tried again later"
    )]
    Lost {
        /// How long it was waited for, seconds.
        secs: f64,
        /// What it, or the way to it, said last.
        #[source]
        why: Box<TuneError>,
    },
    /// The storage is there and holds something else.
    #[error("storage: {0}")]
    Storage(String),
    /// The objective could not be worked out.
    #[error("trial {number}: {why:#}")]
    Objective {
        /// Number of the trial.
        number: i64,
        /// What went wrong.
        why: anyhow::Error,
    },
}
