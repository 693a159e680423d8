//! What funding a position will pay: the newest word of the mark price stream.

use crate::base::event::MarkPrice;
use crate::base::{Nanos, Rate, Side};

const HOUR: Nanos = Nanos::from_secs(3_600);
/// Intervals in use at the venue, in hours.
const INTERVALS: [i64; 3] = [1, 4, 8];

/// Rate and time of an instrument's next funding. Before the first mark price nothing is known, and
/// nothing is counted: where it bears on money the gate asks for a mark price.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FundingTold {
    /// Predicted rate; longs pay above zero.
    rate: Rate,
    /// When it is paid; 0 before the first mark price.
    next: Nanos,
    /// Time between two payments as seen; 0 before it was.
    interval: Nanos,
}

impl FundingTold {
    /// Takes in a mark price.
    pub(super) fn on_mark(&mut self, body: &MarkPrice) {
        let next = Nanos(body.ts_next_funding);
        if self.next > Nanos::ZERO && next > self.next {
            self.interval = next - self.next;
        }
        (self.rate, self.next) = (Rate(body.funding_rate), next);
    }

    /// Time to the next payment after `now`; `None` where it is not known.
    fn ahead(&self, now: Nanos) -> Option<Nanos> {
        if self.next <= Nanos::ZERO {
            return None;
        }
        let ahead = self.next.0.saturating_sub(now.0);
        if ahead > 0 {
            return Some(Nanos(ahead));
        }
        // The stream has not told the one after it yet.
        let interval = self.interval_after(Nanos::ZERO).0;
        Some(Nanos(interval - ahead.saturating_neg() % interval))
    }

    /// The interval as seen; before that the shortest in use that `ahead` fits in, which counts
    /// rather too many payments than too few.
    fn interval_after(&self, ahead: Nanos) -> Nanos {
        if self.interval > Nanos::ZERO {
            return self.interval;
        }
        let hours = INTERVALS.iter().map(|hours| Nanos(hours * HOUR.0));
        hours.into_iter().find(|interval| *interval >= ahead).unwrap_or(ahead)
    }

    /// What a position of `side` pays within `hold` from `now`, as a rate of its value; what it
    /// would receive counts as nothing.
    pub(super) fn paid(&self, side: Side, now: Nanos, hold: Nanos) -> Rate {
        let Some(ahead) = self.ahead(now) else { return Rate::ZERO };
        let each = self.rate.0.saturating_mul(side.sign());
        if each <= 0 || hold < ahead {
            return Rate::ZERO;
        }
        let interval = self.interval_after(ahead);
        let payments = 1 + (hold - ahead).0 / interval.0.max(1);
        Rate(each.saturating_mul(payments))
    }

    /// True when a position of `side` pays at least `rate` within `time` from `now`.
    pub(super) fn is_due(&self, side: Side, now: Nanos, time: Nanos, rate: Rate) -> bool {
        let each = self.rate.0.saturating_mul(side.sign());
        each > 0 && each >= rate.0 && self.ahead(now).is_some_and(|ahead| ahead <= time)
    }
}
