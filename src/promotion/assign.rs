//! Which of two models trades when, as a session deals it (`base::split`), and what of it counts.
//!
//! ```text
//! block     │ carry-over │            counts             │ carry-over │        counts …
//!           │ what the block before left open           │
//! ```
//! The first part of every block is carry-over: positions and labels of the block before reach into
//! it.

use crate::base::split::Split;
use crate::base::{InstrumentId, Nanos};
use serde::{Deserialize, Serialize};

/// Who trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The model in place.
    Champion,
    /// The model on trial.
    Canary,
}

/// A moment's place in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assigned {
    /// Block number, counted from the epoch.
    pub block: i64,
    /// Who trades in it.
    pub arm: Arm,
    /// Whether the block before still reaches here: traded, not counted.
    pub carry_over: bool,
}

/// How a trial divides time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    split: Split,
    carry_over: Nanos,
}

impl Assignment {
    /// Blocks as a session deals them, of which the first `carry_over` (the horizon and what is
    /// kept free after it) counts for nobody. `None` where that leaves nothing.
    pub fn new(split: Split, carry_over: Nanos) -> Option<Self> {
        let made = Self { split, carry_over };
        (carry_over >= Nanos::ZERO && split.length() > carry_over).then_some(made)
    }

    /// Who trades `instrument` at `now` (event time).
    pub fn at(&self, instrument: InstrumentId, now: Nanos) -> Assigned {
        let canary = self.split.is_canary(instrument, now);
        let arm = if canary { Arm::Canary } else { Arm::Champion };
        let since = now.0.rem_euclid(self.split.length().0);
        Assigned { block: self.split.block(now), arm, carry_over: since < self.carry_over.0 }
    }
}
