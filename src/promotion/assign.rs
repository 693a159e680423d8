//! Which of two models trades when: by the hash of a seed, an instrument and a block of time.
//!
//! ```text
//! block     │ carry-over │            counts             │ carry-over │        counts …
//!           │ what the block before left open           │
//! ```
//! The same seed gives the same blocks on any machine, in any order of asking. The first part of
//! every block is carry-over: positions and labels of the block before reach into it.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assignment {
    seed: u64,
    share: f64,
    block_ns: i64,
    carry_over_ns: i64,
}

impl Assignment {
    /// Blocks of `block_ns`, of which the canary has a part `share` from 0 to 1; the first
    /// `carry_over_ns` of each, the horizon and what is kept free after it, count for nobody.
    /// `None` where that leaves nothing.
    pub fn new(seed: u64, share: f64, block_ns: i64, carry_over_ns: i64) -> Option<Self> {
        let lawful = carry_over_ns >= 0 && block_ns > carry_over_ns && (0.0..=1.0).contains(&share);
        lawful.then_some(Self { seed, share, block_ns, carry_over_ns })
    }

    /// Who trades `instrument` at `ts_ns`.
    pub fn at(&self, instrument: &str, ts_ns: i64) -> Assigned {
        let block = ts_ns.div_euclid(self.block_ns);
        // The instrument's length keeps its text apart from the number behind it.
        let mut text = Vec::with_capacity(instrument.len() + 16);
        text.extend_from_slice(&(instrument.len() as u64).to_le_bytes());
        text.extend_from_slice(instrument.as_bytes());
        text.extend_from_slice(&block.to_le_bytes());
        // 53 bits make every fraction exact.
        let fraction = (xxh3_64_with_seed(&text, self.seed) >> 11) as f64 / (1_u64 << 53) as f64;
        let arm = if fraction < self.share { Arm::Canary } else { Arm::Champion };
        let carry_over = ts_ns.rem_euclid(self.block_ns) < self.carry_over_ns;
        Assigned { block, arm, carry_over }
    }
}
