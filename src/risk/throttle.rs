//! What was approved lately: the message throttle (RC-09) and the memory of duplicates (RC-08).

use crate::base::{InstrumentId, Nanos, Px, Qty, Side};
use crate::policy::Wanted;

/// Window of the throttle.
const WINDOW: Nanos = Nanos::from_secs(10);
/// Most approvals the throttle can remember; a larger limit is cut to it. The venue allows 300.
pub(super) const ORDERS_PER_10S_CAP: usize = 10_000;
/// Approvals kept for comparison. Within a window of half a second the throttle lets fewer through.
const DUPLICATES: usize = 64;

/// Times of the last approvals, a ring.
///
/// Time never goes back, so the approvals inside the window are the newest ones, and one look at
/// the one `most` places back answers.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    times: Vec<Nanos>,
    next: usize,
}

impl Throttle {
    /// Remembers `capacity` approvals.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, ORDERS_PER_10S_CAP);
        Self { times: vec![Nanos(i64::MIN); capacity], next: 0 }
    }

    /// True when `most` approvals (no more than the capacity) lie within the last ten seconds.
    pub(super) fn reached(&self, most: usize, now: Nanos) -> bool {
        let capacity = self.times.len();
        let most = most.min(capacity);
        if most == 0 {
            return true;
        }
        // The approval `most` places back: while it is inside the window, all newer ones are too.
        let at = self.times[(self.next + capacity - most) % capacity];
        at.0 != i64::MIN && now - at < WINDOW
    }

    pub(super) fn record(&mut self, now: Nanos) {
        self.times[self.next] = now;
        self.next = (self.next + 1) % self.times.len();
    }
}

/// The last approved orders.
#[derive(Clone, Debug)]
pub(super) struct Duplicates {
    seen: [Option<Seen>; DUPLICATES],
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    instrument: InstrumentId,
    side: Side,
    qty: Qty,
    px: Px,
    at: Nanos,
}

impl Duplicates {
    pub(super) fn new() -> Self {
        Self { seen: [None; DUPLICATES], next: 0 }
    }

    /// True when an order of the same instrument, side and quantity, at the same price or one tick
    /// beside it, was approved less than `window` ago.
    pub(super) fn holds(&self, wanted: &Wanted, tick: Px, window: Nanos, now: Nanos) -> bool {
        self.seen.iter().flatten().any(|seen| {
            now - seen.at < window
                && seen.instrument == wanted.instrument
                && seen.side == wanted.side
                && seen.qty == wanted.qty
                && seen.px.0.abs_diff(wanted.px.0) <= tick.0.unsigned_abs()
        })
    }

    pub(super) fn record(&mut self, wanted: &Wanted, now: Nanos) {
        let Wanted { instrument, side, qty, px, .. } = *wanted;
        self.seen[self.next] = Some(Seen { instrument, side, qty, px, at: now });
        self.next = (self.next + 1) % DUPLICATES;
    }
}
