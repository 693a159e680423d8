//! What the pages show of the journal's condition.

use crate::journal::{JournalHealth, LANES};
use serde::Serialize;

/// Names of the lanes in metrics and JSON, in order.
const LANE_NAMES: [&str; LANES] = ["inputs", "inference", "risk", "execution", "stamps"];

/// The journal's condition.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JournalView {
    /// True after the first failed flush: nothing is appended any more.
    pub poisoned: bool,
    /// True while its disk has less free space than the configuration asks for.
    pub low_space: bool,
    /// Each lane.
    pub lanes: Vec<LaneView>,
}

/// One lane.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LaneView {
    /// `inputs`, `inference`, `risk`, `execution` or `stamps`.
    pub name: &'static str,
    /// Records appended since the session began.
    pub appended: u64,
    /// Records known to be on the disk.
    pub durable: u64,
}

impl JournalView {
    /// Reads it.
    pub fn read(health: &JournalHealth) -> Self {
        let lane = |(lane, name): (usize, &'static str)| LaneView {
            name,
            // In this order: what is durable was appended before.
            durable: health.durable(lane),
            appended: health.appended(lane),
        };
        Self {
            poisoned: health.poisoned(),
            low_space: health.low_space(),
            lanes: LANE_NAMES.into_iter().enumerate().map(lane).collect(),
        }
    }
}
