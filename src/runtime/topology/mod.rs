//! Which stage runs on which thread and core, how a thread waits, and what each ring holds: the
//! machine as tables.
//!
//! ```text
//!  layout | threads                                        | chosen by `auto` with
//!  split  | feed │ inference │ risk │ execution            | six cores or more
//!  paired | feed │ inference + risk + execution            | three to five cores
//!  fused  | feed + inference + risk + execution            | two cores or fewer
//!
//!  split with shards: feed │ inference │ inference-1 │ … │ risk │ execution
//!
//!  ring             | from      → to        | when full
//!  feed_inference   | feed      → inference | drop frames, count, declare every book lost, resync
//!  inference_risk   | inference → risk      | wait, then halt: decisions are never dropped
//!  …_1, …_2         | the same two of the other shards
//!  inference_order  | feed      → risk      | never before a shard's: whose turn it is
//!  risk_execution   | risk      → execution | wait, then halt: orders are never dropped
//!  execution_feed   | execution → feed      | wait, then halt: reports are never dropped
//!  …_feed_texts     | execution → feed      | the signed texts, one before each order; the same
//!  lost_books       | inference → feed      | forget: the books named already wait for snapshots
//!                   | (with shards: risk → feed)
//! ```
//! `auto` leaves one core to the side threads (journal keeper, REST, observer, the rest of the
//! system); spinning is chosen only where every pinned thread has a core to itself.

use crate::base::limits::INFERENCE_SHARDS_MAX;
use crate::base::settings::{Layout, TopologySettings, Wait};
use std::fmt;

/// The four stages, in the order of the river.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Decodes, numbers, records the inputs.
    Feed,
    /// Book, features, model.
    Inference,
    /// Ledger, policy, gate.
    Risk,
    /// Order states, request bytes.
    Execution,
}

/// One pinned thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// The thread's name, as the system shows it.
    pub name: &'static str,
    /// What it runs, in order.
    pub stages: &'static [Stage],
    /// The core it is pinned to, if there is one for it.
    pub core: Option<usize>,
    /// What it does without work.
    pub wait: Wait,
}

/// The whole plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The layout after `auto` was resolved.
    pub layout: Layout,
    /// Pinned threads, in the order of the river.
    pub threads: Vec<ThreadPlan>,
    /// Cores this process may use.
    pub cores_available: Vec<usize>,
}

type Row = (&'static str, &'static [Stage]);

const BEFORE_INFERENCE: &[Row] = &[("feed", &[Stage::Feed])];
const BEHIND_INFERENCE: &[Row] = &[("risk", &[Stage::Risk]), ("execution", &[Stage::Execution])];
const PAIRED: &[Row] =
    &[("feed", &[Stage::Feed]), ("trader", &[Stage::Inference, Stage::Risk, Stage::Execution])];
const FUSED: &[Row] =
    &[("pipeline", &[Stage::Feed, Stage::Inference, Stage::Risk, Stage::Execution])];

/// A thread of inference, and the rings before and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardNames {
    /// The thread.
    pub thread: &'static str,
    /// The ring from the feed.
    pub feed: &'static str,
    /// The ring to risk.
    pub risk: &'static str,
}

const fn shard(thread: &'static str, feed: &'static str, risk: &'static str) -> ShardNames {
    ShardNames { thread, feed, risk }
}

/// The threads of inference, by shard; without shards the first is the only one.
pub const SHARDS: [ShardNames; INFERENCE_SHARDS_MAX] = [
    shard("inference", "feed_inference", "inference_risk"),
    shard("inference-1", "feed_inference_1", "inference_risk_1"),
    shard("inference-2", "feed_inference_2", "inference_risk_2"),
    shard("inference-3", "feed_inference_3", "inference_risk_3"),
    shard("inference-4", "feed_inference_4", "inference_risk_4"),
    shard("inference-5", "feed_inference_5", "inference_risk_5"),
    shard("inference-6", "feed_inference_6", "inference_risk_6"),
    shard("inference-7", "feed_inference_7", "inference_risk_7"),
];

/// The ring that a pinned thread empties: with shards risk empties one of each, and the fullest
/// counts.
pub fn ring_of(thread: &str) -> Option<&'static str> {
    match thread {
        "feed" | "pipeline" => Some("execution_feed"),
        "trader" => Some("feed_inference"),
        "risk" => Some("inference_risk"),
        "execution" => Some("risk_execution"),
        other => SHARDS.iter().find(|names| names.thread == other).map(|names| names.feed),
    }
}

/// Cores from which `auto` splits all stages: four pinned, one for interrupts, one for side
/// threads.
const SPLIT_CORES: usize = 6;
/// Cores from which `auto` pairs.
const PAIRED_CORES: usize = 3;

/// Chooses the plan for `cores_available` (core numbers this process may run on).
///
/// # Errors
/// When the settings name a core that is not available, or too few.
pub fn plan(
    settings: &TopologySettings,
    cores_available: &[usize],
) -> Result<Topology, TopologyError> {
    let layout = match settings.layout {
        Layout::Auto if cores_available.len() >= SPLIT_CORES => Layout::Split,
        Layout::Auto if cores_available.len() >= PAIRED_CORES => Layout::Paired,
        Layout::Auto => Layout::Fused,
        chosen => chosen,
    };
    let table = match layout {
        Layout::Split => split(settings.inference_shards as usize),
        Layout::Paired => PAIRED.to_vec(),
        Layout::Fused | Layout::Auto => FUSED.to_vec(),
    };
    let cores = choose_cores(settings, table.len(), cores_available)?;
    let alone = cores.len() == table.len() && cores_available.len() > table.len();
    let wait = match settings.wait {
        Wait::Auto if alone => Wait::Spin,
        Wait::Auto => Wait::Yield,
        chosen => chosen,
    };
    let threads = table
        .iter()
        .enumerate()
        .map(|(i, &(name, stages))| ThreadPlan { name, stages, core: cores.get(i).copied(), wait })
        .collect();
    Ok(Topology { layout, threads, cores_available: cores_available.to_vec() })
}

/// A thread for each stage, and for inference one a shard.
fn split(shards: usize) -> Vec<Row> {
    let shards = SHARDS.iter().take(shards.max(1));
    let inference = shards.map(|names| -> Row { (names.thread, &[Stage::Inference]) });
    let before = BEFORE_INFERENCE.iter().copied();
    before.chain(inference).chain(BEHIND_INFERENCE.iter().copied()).collect()
}

/// Named cores, or the last ones available: the first usually serve interrupts.
fn choose_cores(
    settings: &TopologySettings,
    threads: usize,
    available: &[usize],
) -> Result<Vec<usize>, TopologyError> {
    if settings.cores.is_empty() {
        let spare = available.len().saturating_sub(threads);
        return Ok(if spare == 0 { Vec::new() } else { available[spare..].to_vec() });
    }
    if settings.cores.len() != threads {
        return Err(TopologyError::CoreCount { named: settings.cores.len(), threads });
    }
    let mut cores = Vec::new();
    for &core in &settings.cores {
        let core = core as usize;
        if !available.contains(&core) {
            return Err(TopologyError::CoreMissing { core, available: available.to_vec() });
        }
        if cores.contains(&core) {
            return Err(TopologyError::CoreTwice { core });
        }
        cores.push(core);
    }
    Ok(cores)
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// As many cores as threads must be named.
    #[error("topology.cores names {named} cores for {threads} threads")]
    CoreCount {
        /// Cores named.
        named: usize,
        /// Threads of the layout.
        threads: usize,
    },
    /// A named core is not there, or not allowed to this process.
    #[error("topology.cores: core {core} is not among {available:?}")]
    CoreMissing {
        /// The core.
        core: usize,
        /// What there is.
        available: Vec<usize>,
    },
    /// A core is named twice.
    #[error("topology.cores: core {core} stands twice")]
    CoreTwice {
        /// The core.
        core: usize,
    },
    /// Pinning failed and the settings require it.
    #[error("thread {thread} could not be pinned to core {core}")]
    PinFailed {
        /// The thread.
        thread: &'static str,
        /// The core.
        core: usize,
    },
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on {} cores:", self.layout, self.cores_available.len())?;
        for thread in &self.threads {
            let core = thread.core.map_or("any core".to_owned(), |c| format!("core {c}"));
            write!(f, " [{} {core} {:?}]", thread.name, thread.wait)?;
        }
        Ok(())
    }
}

/// Cores this process may use. Call it on an unpinned thread.
pub fn cores_available() -> Vec<usize> {
    core_affinity::get_core_ids()
        .map(|ids| ids.into_iter().map(|id| id.id).collect())
        .unwrap_or_default()
}

/// Pins the calling thread and reads the mask back; a container may accept the call and ignore it.
///
/// # Errors
/// [`TopologyError::PinFailed`] when the mask read back is not exactly that core.
pub fn pin_current_thread(thread: &'static str, core: usize) -> Result<(), TopologyError> {
    let asked = core_affinity::set_for_current(core_affinity::CoreId { id: core });
    let mask = rustix::thread::sched_getaffinity(None);
    let alone = mask.is_ok_and(|mask| mask.is_set(core) && mask.count() == 1);
    if asked && alone { Ok(()) } else { Err(TopologyError::PinFailed { thread, core }) }
}

#[cfg(test)]
mod tests;
