//! What was approved or denied lately: rates (RC-04, RC-09) and the memory of what was asked before
//! (RC-08, RC-10).

use crate::base::limits::IDENTICAL_ENTRIES_MAX;
use crate::base::{InstrumentId, Nanos, Px, Qty, Side};
use crate::policy::Wanted;

/// Window of the message throttle and of the count of its denials.
pub(super) const TEN_SECONDS: Nanos = Nanos::from_secs(10);
/// Window of the count of collar denials and of identical entries.
pub(super) const MINUTE: Nanos = Nanos::from_secs(60);
/// Most a throttle can remember; a larger limit is cut to it. The venue allows 300 orders.
pub(super) const ORDERS_PER_10S_CAP: usize = 10_000;
/// Approvals kept for comparison. Within a window of half a second the throttle lets fewer through.
const DUPLICATES: usize = 64;
/// Entries of one instrument kept for comparison: the largest limit there can be.
const ENTRIES: usize = IDENTICAL_ENTRIES_MAX as usize;

/// Times of the last approvals or denials, a ring.
///
/// Time never goes back, so what lies inside the window is the newest, and one look at the one
/// `most` places back answers.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    times: Vec<Nanos>,
    next: usize,
    window: Nanos,
}

impl Throttle {
    /// Remembers `capacity` of what happened within `window`.
    pub(super) fn new(capacity: usize, window: Nanos) -> Self {
        let capacity = capacity.clamp(1, ORDERS_PER_10S_CAP);
        Self { times: vec![Nanos(i64::MIN); capacity], next: 0, window }
    }

    /// True when `most` of them (no more than the capacity) lie within the window.
    pub(super) fn reached(&self, most: usize, now: Nanos) -> bool {
        let capacity = self.times.len();
        let most = most.min(capacity);
        if most == 0 {
            return true;
        }
        // The one `most` places back: while it is inside the window, all newer ones are too.
        let at = self.times[(self.next + capacity - most) % capacity];
        at.0 != i64::MIN && now - at < self.window
    }

    pub(super) fn record(&mut self, now: Nanos) {
        self.times[self.next] = now;
        self.next += 1;
        if self.next == self.times.len() {
            self.next = 0;
        }
    }
}

/// What makes two orders the same.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Nanos,
    px: Px,
    qty: Qty,
    instrument: InstrumentId,
    side: Side,
}

impl Seen {
    /// Long ago, and nobody's.
    const NEVER: Self = Self {
        at: Nanos(i64::MIN),
        px: Px::ZERO,
        qty: Qty::ZERO,
        instrument: InstrumentId::NONE,
        side: Side::Buy,
    };

    fn of(wanted: &Wanted, at: Nanos) -> Self {
        let Wanted { instrument, side, qty, px, .. } = *wanted;
        Self { at, px, qty, instrument, side }
    }

    /// The same instrument, side and quantity, at the same price or one tick beside it.
    fn is_like(&self, wanted: &Wanted, tick: Px) -> bool {
        // Without a branch: many are looked at, and which of them are like is no guess.
        (self.qty == wanted.qty)
            & (self.px.0.abs_diff(wanted.px.0) <= tick.0.unsigned_abs())
            & (self.instrument == wanted.instrument)
            & (self.side == wanted.side)
    }
}

/// The last approved orders of all instruments (RC-08).
#[derive(Clone, Debug)]
pub(super) struct Duplicates {
    seen: [Seen; DUPLICATES],
    next: usize,
}

impl Duplicates {
    pub(super) fn new() -> Self {
        Self { seen: [Seen::NEVER; DUPLICATES], next: 0 }
    }

    /// True when such an order was approved less than `window` ago.
    pub(super) fn holds(&self, wanted: &Wanted, tick: Px, window: Nanos, now: Nanos) -> bool {
        let recent = newest_first(&self.seen, self.next).take_while(|seen| now - seen.at < window);
        { recent }.any(|seen| seen.is_like(wanted, tick))
    }

    pub(super) fn record(&mut self, wanted: &Wanted, now: Nanos) {
        self.seen[self.next] = Seen::of(wanted, now);
        self.next = (self.next + 1) % DUPLICATES;
    }
}

/// The last approved entries of one instrument (RC-10).
#[derive(Clone, Debug)]
pub(super) struct Entries {
    seen: [Seen; ENTRIES],
    next: usize,
}

impl Entries {
    pub(super) fn new() -> Self {
        Self { seen: [Seen::NEVER; ENTRIES], next: 0 }
    }

    /// How many such entries were approved within the last minute.
    pub(super) fn like(&self, wanted: &Wanted, tick: Px, now: Nanos) -> u32 {
        let counts = |seen: &Seen| (now - seen.at < MINUTE) & seen.is_like(wanted, tick);
        self.seen.iter().map(|seen| u32::from(counts(seen))).sum()
    }

    pub(super) fn record(&mut self, wanted: &Wanted, now: Nanos) {
        self.seen[self.next] = Seen::of(wanted, now);
        self.next = (self.next + 1) % ENTRIES;
    }
}

fn newest_first<const N: usize>(seen: &[Seen; N], next: usize) -> impl Iterator<Item = &Seen> {
    (1..=N).map(move |back| &seen[(next + N - back) % N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::tests::entry;

    #[test]
    fn a_ring_of_times_says_what_a_list_of_them_says() {
        for capacity in 1..5_usize {
            let mut throttle = Throttle::new(capacity, Nanos(10));
            let mut list: Vec<i64> = Vec::new();
            for step in 0..60_i64 {
                let now = step * (1 + step % 4);
                let now = list.last().map_or(now, |last| now.max(*last));
                for most in 1..=capacity {
                    let recent = list.iter().filter(|at| now - **at < 10).count();
                    let told = throttle.reached(most, Nanos(now));
                    assert_eq!(told, recent >= most, "{capacity} {most} {step}");
                }
                throttle.record(Nanos(now));
                list.push(now);
            }
        }
    }

    #[test]
    fn the_same_order_counts_for_its_window_and_not_at_its_end() {
        let (wanted, tick) = (entry(), Px(1));
        let mut entries = Entries::new();
        let mut duplicates = Duplicates::new();
        // More than either remembers: the oldest are forgotten.
        for i in 0..100 {
            entries.record(&wanted, Nanos(i));
            duplicates.record(&wanted, Nanos(i));
        }
        assert_eq!(entries.like(&wanted, tick, Nanos(99)), IDENTICAL_ENTRIES_MAX);
        assert_eq!(entries.like(&wanted, tick, Nanos(99) + MINUTE - Nanos(1)), 1);
        assert_eq!(entries.like(&wanted, tick, Nanos(99) + MINUTE), 0);
        assert!(duplicates.holds(&wanted, tick, Nanos(5), Nanos(103)));
        assert!(!duplicates.holds(&wanted, tick, Nanos(5), Nanos(104)));
        for (beside, like) in [(1, true), (-1, true), (2, false), (-2, false)] {
            let other = Wanted { px: Px(wanted.px.0 + beside), ..wanted };
            assert_eq!(duplicates.holds(&other, tick, Nanos(5), Nanos(100)), like, "{beside}");
        }
    }
}
