//! How long a model took to answer, from the journal's lanes: whose answers, and how long inference
//! took, each read when it comes.

use crate::base::event::{Event, Kind, Prediction, Stamps};
use crate::base::hop::Hop;
use crate::base::ids::Seq;
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// Predictions and passages remembered until the other one is read.
const WAITING_MAX: usize = 65_536;

/// See the head of this file.
pub(in crate::runtime) struct Times {
    tag: u64,
    /// How many the percentile is taken of, and how many there must be.
    wanted: RangeInclusive<usize>,
    /// Inputs that it answered, in order.
    own: VecDeque<Seq>,
    /// Newest input that any model answered.
    newest: Seq,
    /// Passages whose prediction was not read yet.
    waiting: VecDeque<(Seq, u64)>,
    taken: VecDeque<u64>,
}

impl Times {
    /// Of the model with this tag.
    pub fn new(tag: u64, wanted: RangeInclusive<usize>) -> Self {
        let (own, waiting, taken) = Default::default();
        Self { tag, wanted, own, newest: 0, waiting, taken }
    }

    /// Takes in a record of lane 1.
    pub fn note_prediction(&mut self, event: &Event) {
        if event.kind() != Some(Kind::Prediction) {
            return;
        }
        self.newest = event.seq;
        if event.body::<Prediction>().model_tag == self.tag {
            push(&mut self.own, event.seq, WAITING_MAX);
        }
    }

    /// Takes in a record of lane 4.
    pub fn note_passages(&mut self, event: &Event) {
        for passage in event.body::<Stamps>().read(event.seq) {
            if passage.hop == Hop::Inference {
                push(&mut self.waiting, (passage.seq, passage.ns), WAITING_MAX);
            }
        }
    }

    /// Brings the two together.
    pub fn join(&mut self) {
        while let Some(&(seq, ns)) = self.waiting.front().filter(|(seq, _)| *seq <= self.newest) {
            self.waiting.pop_front();
            if self.own.binary_search(&seq).is_ok() {
                push(&mut self.taken, ns, *self.wanted.end());
            }
        }
    }

    /// Their 99th percentile in nanoseconds; `None` while there are too few.
    pub fn p99(&self) -> Option<u64> {
        if self.taken.len() < *self.wanted.start() {
            return None;
        }
        let mut sorted: Vec<u64> = self.taken.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() * 99).div_ceil(100) - 1).copied()
    }
}

/// Adds at the end; the oldest goes where there are too many.
fn push<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(item);
}
