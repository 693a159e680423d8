//! RC-28: the venue's refusals, by class: in a row, and as a share of the newest outcomes.
//!
//! What says more of the moment than of our orders is no refusal here: an overloaded venue, a
//! request limit, a clock, a post-only order that would have taken, a request that never left.

use super::board::Board;
use crate::base::event::OrderReport;
use crate::base::limits::REJECTS_WINDOW_MAX;
use crate::base::{Control, Event, Kind, Nanos, Reason};

/// Most outcomes a window can hold.
const WINDOW_MAX: usize = REJECTS_WINDOW_MAX as usize;
/// Class of an order that was not refused.
const TAKEN: u8 = 0;
const CLASSES: usize = 7;

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Rejects {
    /// A ring of `window` outcomes; before the first of them, of orders that were taken.
    outcomes: [u8; WINDOW_MAX],
    window: usize,
    next: usize,
    /// Outcomes of the window by class.
    counts: [u16; CLASSES],
    /// Class of the newest outcome, and how often it came in a row.
    run: (u8, u32),
}

impl Rejects {
    pub(super) fn new(window: u32) -> Self {
        let window = (window as usize).clamp(1, WINDOW_MAX);
        let mut counts = [0; CLASSES];
        counts[usize::from(TAKEN)] = window as u16;
        Self { outcomes: [TAKEN; WINDOW_MAX], window, next: 0, counts, run: (TAKEN, 0) }
    }

    /// Takes an order's first outcome in.
    pub(super) fn on_report(&mut self, event: &Event, board: &mut Board) {
        let report: &OrderReport = event.body();
        let class = match event.kind() {
            Some(Kind::OrderAccepted | Kind::OrderFilled) => Some(TAKEN),
            Some(Kind::OrderRejected) => {
                class_of(Reason::from_u16(report.reason).unwrap_or(Reason::VenueRejected))
            }
            _ => None,
        };
        if let Some(class) = class {
            self.push(class);
        }
        self.judge(board, event.now());
    }

    /// Judges what was heard so far.
    pub(super) fn judge(&self, board: &mut Board, now: Nanos) {
        let in_a_row = if self.run.0 == TAKEN { 0 } else { self.run.1 };
        board.judge(Control::RejectsInARow, i64::from(in_a_row), now);
        let most = self.counts[1..].iter().copied().fold(0, u16::max);
        // Of the whole window, so that the first refusal of a session is no 100 %.
        let percent = i64::from(most) * 100 / self.window as i64;
        board.judge(Control::RejectRate, percent, now);
    }

    /// An operator has seen them.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.window as u32);
    }

    fn push(&mut self, class: u8) {
        let oldest = std::mem::replace(&mut self.outcomes[self.next], class);
        self.counts[usize::from(oldest)] -= 1;
        self.counts[usize::from(class)] += 1;
        self.next = (self.next + 1) % self.window;
        self.run =
            if self.run.0 == class { (class, self.run.1.saturating_add(1)) } else { (class, 1) };
    }
}

/// The class of a refusal; `None` for what is none.
fn class_of(reason: Reason) -> Option<u8> {
    Some(match reason {
        Reason::PostOnlyWouldTake
        | Reason::ClockSkew
        | Reason::NotSent
        | Reason::Overloaded
        | Reason::RateLimited
        | Reason::NeverArrived
        | Reason::Shutdown
        | Reason::OrderEntryDown
        | Reason::Fenced => return None,
        Reason::MarginShort => 1,
        Reason::FiltersChanged | Reason::VenuePriceBand => 2,
        Reason::ReduceOnlyRefused => 3,
        Reason::WouldTrigger => 4,
        Reason::CredentialsRefused | Reason::AccountMode => 5,
        _ => 6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(outcomes: impl IntoIterator<Item = u8>) -> (u32, u16) {
        let mut rejects = Rejects::new(50);
        outcomes.into_iter().for_each(|class| rejects.push(class));
        let row = if rejects.run.0 == TAKEN { 0 } else { rejects.run.1 };
        (row, rejects.counts.iter().skip(1).max().copied().unwrap())
    }

    #[test]
    fn a_row_is_of_one_class_and_an_order_that_is_taken_ends_it() {
        assert_eq!(after([6, 6, 6, 6]).0, 4);
        assert_eq!(after([6, 6, 6, 6, 6]).0, 5);
        assert_eq!(after([6, 6, 1, 6, 6]).0, 2);
        assert_eq!(after([6, 6, 6, 6, TAKEN]).0, 0);
    }

    #[test]
    fn the_share_is_of_the_newest_outcomes_alone() {
        // Ten refusals, far apart, then fifty orders that were taken.
        let spread = (0..50).map(|i| if i % 5 == 0 { 6 } else { TAKEN });
        assert_eq!(after(spread.clone()), (0, 10));
        assert_eq!(after(spread.chain((0..50).map(|_| TAKEN))), (0, 0));
    }
}
