//! Lines that wait for what the session's own model said, which another lane tells later.

use crate::base::event::{Event, Kind, Prediction};
use crate::base::ids::InstrumentId;
use crate::promotion::record::{Came, Decided};
use std::collections::VecDeque;

/// Lines that wait at most; beyond it the oldest goes on without.
const HELD_MAX: usize = 1 << 16;

/// A decision and what came before it was told.
pub enum Held {
    /// A line for each challenger.
    Decision {
        /// The input's number.
        seq: u64,
        /// Its instrument.
        instrument: InstrumentId,
        /// The champion's model.
        tag: u64,
        /// Hash of the champion's row; `None` where it made no prediction.
        row: Option<u64>,
        /// Whether no other model decided anything at the session then.
        alone: bool,
        /// The lines.
        lines: Vec<Decided>,
    },
    /// What came of a decision, for each challenger.
    Came {
        /// When the decision was made.
        at_ns: i64,
        /// The lines.
        lines: Vec<Came>,
    },
}

/// What the session's own model said at an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recorded {
    seq: u64,
    instrument: InstrumentId,
    tag: u64,
    row: u64,
}

/// The champion at an input.
#[derive(Clone, Copy)]
struct Who {
    tag: u64,
    row: Option<u64>,
    alone: bool,
}

/// Predictions of the session, not yet met by a decision.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    recorded: VecDeque<Recorded>,
    /// Number of the newest record.
    passed: u64,
    /// Up to this number some are not known.
    unknown_to: u64,
}

impl Answers {
    /// Takes in a record of lane 1.
    pub fn on_recorded(&mut self, event: &Event) {
        if self.unknown_to == u64::MAX {
            self.unknown_to = event.seq;
        }
        self.passed = self.passed.max(event.seq);
        if event.kind() == Some(Kind::Prediction) {
            let body: &Prediction = event.body();
            let (seq, instrument) = (event.seq, event.instrument());
            let (tag, row) = (body.model_tag, body.features_hash);
            self.recorded.push_back(Recorded { seq, instrument, tag, row });
        }
        if self.recorded.len() > HELD_MAX {
            self.unknown_to = self.recorded.pop_front().map_or(self.unknown_to, |gone| gone.seq);
        }
    }

    /// Records of the lane were not read: up to the next one nothing is known.
    pub const fn on_hole(&mut self) {
        self.unknown_to = u64::MAX;
    }

    fn has(&self, seq: u64) -> bool {
        self.recorded.iter().any(|recorded| recorded.seq == seq)
    }

    /// Whether the champion's row is the one of the session; `None` where that is not known, or
    /// another model decided there.
    fn same(&mut self, (seq, place): (u64, InstrumentId), who: Who) -> Option<bool> {
        let Who { tag, row, alone } = who;
        while self.recorded.front().is_some_and(|recorded| recorded.seq < seq) {
            self.recorded.pop_front();
        }
        match self.recorded.front() {
            Some(found) if found.seq == seq => {
                let comparable = found.tag == tag && found.instrument == place;
                comparable.then(|| row == Some(found.row))
            }
            // The session went past this input without a prediction.
            _ if alone && seq < self.passed && seq > self.unknown_to => {
                row.is_some().then_some(false)
            }
            _ => None,
        }
    }
}

/// See the head of this file.
#[derive(Default)]
pub struct Waiting {
    held: VecDeque<Held>,
    pub answers: Answers,
    /// Number of the newest input.
    seq: u64,
}

impl Waiting {
    /// Inputs up to this number have been taken in.
    pub fn read_to(&mut self, seq: u64) {
        self.seq = self.seq.max(seq);
    }

    /// Takes lines in, in the order in which they are told.
    pub fn push(&mut self, held: Held) {
        self.held.push_back(held);
    }

    /// Whether the session's answers are still behind its inputs.
    pub const fn wants_answers(&self) -> bool {
        self.answers.passed <= self.seq
    }

    /// The next lines whose answer has been seen, or any where `at_end` says that none will come;
    /// with them whether the champion's row is the session's, as far as that is known.
    pub fn pop_ripe(&mut self, at_end: bool) -> Option<(Held, Option<bool>)> {
        // A later record of the same lane says that there was none for this one.
        let waits = matches!(self.held.front()?, Held::Decision { seq, .. }
            if *seq >= self.answers.passed && !self.answers.has(*seq));
        if waits && !at_end && self.held.len() <= HELD_MAX {
            return None;
        }
        let held = self.held.pop_front()?;
        let same = match &held {
            Held::Decision { seq, instrument, tag, row, alone, .. } => {
                let who = Who { tag: *tag, row: *row, alone: *alone };
                self.answers.same((*seq, *instrument), who)
            }
            Held::Came { .. } => None,
        };
        Some((held, same))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(told: &[(u64, u64, u64)]) -> Answers {
        let mut answers = Answers::default();
        for (seq, model_tag, features_hash) in told.iter().copied() {
            let body = Prediction { model_tag, features_hash, ..Prediction::default() };
            let mut event = Event::new(Kind::Prediction, InstrumentId(0), &body);
            event.seq = seq;
            answers.on_recorded(&event);
        }
        answers
    }

    const PLACE: InstrumentId = InstrumentId(0);

    fn own(row: Option<u64>) -> Who {
        Who { tag: 1, row, alone: true }
    }

    #[test]
    fn a_row_is_the_sessions_only_where_the_same_model_had_the_same_one() {
        let at = |seq, who| answers(&[(5, 1, 70), (9, 1, 71)]).same((seq, PLACE), who);
        assert_eq!(at(5, own(Some(70))), Some(true));
        assert_eq!(at(5, own(Some(71))), Some(false));
        assert_eq!(at(5, own(None)), Some(false), "the session had a row, and here was none");
        assert_eq!(at(7, own(Some(70))), Some(false), "the session had none");
        assert_eq!(at(7, own(None)), None, "neither had one");
        assert_eq!(at(9, own(Some(71))), Some(true));
        assert_eq!(at(12, own(Some(71))), None, "the session has not come so far");
        assert_eq!(at(5, Who { tag: 2, ..own(Some(71)) }), None, "a canary decided there");
        let shared = Who { alone: false, ..own(Some(70)) };
        assert_eq!(at(7, shared), None, "a canary may have failed there");
    }

    #[test]
    fn where_the_lane_has_a_hole_nothing_is_held_against_it() {
        let mut answers = answers(&[(5, 1, 70)]);
        answers.on_hole();
        let body = Prediction { model_tag: 1, features_hash: 80, ..Prediction::default() };
        let mut event = Event::new(Kind::Prediction, PLACE, &body);
        event.seq = 20;
        answers.on_recorded(&event);
        assert_eq!(answers.same((12, PLACE), own(Some(9))), None);
        assert_eq!(answers.same((20, PLACE), own(Some(9))), Some(false));
        event.seq = 30;
        answers.on_recorded(&event);
        assert_eq!(answers.same((25, PLACE), own(Some(9))), Some(false), "the hole is over");
    }
}
