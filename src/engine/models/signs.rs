//! What the models did, for side threads: each stage writes its own signs; they are read in sum.

use super::SLOTS;
use super::own::OwnSigns;
use crate::base::limits::INFERENCE_SHARDS_MAX;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a place's model did, for side threads.
#[derive(Debug, Default)]
pub(super) struct SlotSigns {
    pub(super) answers: AtomicU64,
    pub(super) faults: AtomicU64,
    pub(super) in_a_row: AtomicU32,
}

/// What one stage's models do; it alone writes.
#[derive(Debug, Default)]
pub(super) struct StageSigns {
    pub(super) swaps: CachePadded<AtomicU64>,
    pub(super) slots: [CachePadded<SlotSigns>; SLOTS],
    own: OwnSigns,
}

impl StageSigns {
    #[inline]
    pub(super) fn at(&self, slot: usize) -> Option<&SlotSigns> {
        self.slots.get(slot).or_else(|| self.own.at(slot)).map(|signs| &**signs)
    }
}

/// What the models do, for side threads.
#[derive(Debug)]
pub struct ModelSigns {
    /// Of one stage, or of so many shards.
    shards: usize,
    pub(super) stages: [StageSigns; INFERENCE_SHARDS_MAX],
}

impl Default for ModelSigns {
    fn default() -> Self {
        Self::of_shards(1)
    }
}

/// What a place's model did since it came there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotSeen {
    /// Predictions.
    pub answers: u64,
    /// Times it failed or its answer was none.
    pub faults: u64,
    /// Such times in a row, up to now, since it began to work.
    pub faults_in_a_row: u32,
}

impl ModelSigns {
    /// Of so many shards, 1 to [`INFERENCE_SHARDS_MAX`].
    pub fn of_shards(shards: usize) -> Self {
        let shards = shards.clamp(1, INFERENCE_SHARDS_MAX);
        Self { shards, stages: Default::default() }
    }

    /// [`ModelSwap`](crate::base::event::ModelSwap) events that every shard has taken; those of own
    /// models are part of the opening and do not count.
    pub fn swaps(&self) -> u64 {
        let stages = self.stages.iter().take(self.shards);
        stages.map(|stage| stage.swaps.load(Ordering::Acquire)).min().unwrap_or(0)
    }

    /// What the model at `slot` did, summed over the shards. So are the faults in a row: those that
    /// stand at the end of all inputs stand at the end of some shard's, so the sum is never less
    /// than the row among all, and a limit of it is met no later than without shards.
    pub fn slot(&self, slot: usize) -> SlotSeen {
        let mut seen = SlotSeen::default();
        for signs in self.stages.iter().take(self.shards).filter_map(|stage| stage.at(slot)) {
            seen.answers += signs.answers.load(Ordering::Relaxed);
            seen.faults += signs.faults.load(Ordering::Relaxed);
            let in_a_row = signs.in_a_row.load(Ordering::Relaxed);
            seen.faults_in_a_row = seen.faults_in_a_row.saturating_add(in_a_row);
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_is_taken_when_the_last_shard_took_it_and_no_fault_of_any_is_left_out() {
        let signs = ModelSigns::of_shards(2);
        let note = |shard: usize, swaps, answers, in_a_row| {
            let StageSigns { swaps: taken, slots, .. } = &signs.stages[shard];
            taken.store(swaps, Ordering::Release);
            slots[1].answers.store(answers, Ordering::Relaxed);
            slots[1].faults.store(u64::from(in_a_row), Ordering::Relaxed);
            slots[1].in_a_row.store(in_a_row, Ordering::Relaxed);
        };
        // Faults of four inputs in a row: two of each shard.
        note(0, 3, 70, 2);
        note(1, 2, 30, 2);
        assert_eq!(signs.swaps(), 2);
        let seen = SlotSeen { answers: 100, faults: 4, faults_in_a_row: 4 };
        assert_eq!((signs.slot(1), signs.slot(0)), (seen, SlotSeen::default()));
        note(1, 3, 30, 2);
        assert_eq!(signs.swaps(), 3);
    }
}
