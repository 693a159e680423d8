//! RC-16: answers, and features, that are no numbers.

use super::board::Board;
use crate::base::event::{Event, NoDecision};
use crate::base::{Control, Nanos, Reason};

/// What is counted per minute.
const MINUTE: Nanos = Nanos::from_secs(60);

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(super) struct Outputs {
    minute: i64,
    invalid: u32,
}

impl Outputs {
    /// There was no answer.
    pub(super) fn on_no_decision(&mut self, board: &mut Board, event: &Event) {
        let body: &NoDecision = event.body();
        let invalid = matches!(
            Reason::from_u16(body.reason),
            Some(Reason::FeatureNotFinite | Reason::ModelOutput | Reason::ModelFailed)
        );
        if invalid {
            self.invalid = self.invalid.saturating_add(1);
            board.judge(Control::InvalidOutputs, i64::from(self.invalid), event.now());
        }
    }

    /// Time passed: each minute counts from none again.
    pub(super) fn on_time(&mut self, board: &mut Board, now: Nanos) {
        let minute = now.0.div_euclid(MINUTE.0);
        if minute != self.minute {
            board.judge(Control::InvalidOutputs, i64::from(self.invalid), now);
            (self.minute, self.invalid) = (minute, 0);
        }
    }
}
