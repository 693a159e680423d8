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
/// Approvals kept for comparison. Where more than that come within the window, the oldest of them
/// are not known any more: see [`Lately::forgets`].
const DUPLICATES: usize = 128;
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
    #[inline(always)]
    pub(super) fn reached(&self, most: usize, now: Nanos) -> bool {
        let capacity = self.times.len();
        let most = most.min(capacity);
        if most == 0 {
            return true;
        }
        // The one `most` places back: while it is inside the window, all newer ones are too.
        let wrapped = if self.next < most { capacity } else { 0 };
        let at = self.times[wrapped + self.next - most];
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
    /// Its shelf, and the number of the one before it there; 0 for none.
    shelf: u8,
    before: u64,
}

impl Seen {
    /// Long ago, and nobody's.
    const NEVER: Self = Self {
        at: Nanos(i64::MIN),
        px: Px::ZERO,
        qty: Qty::ZERO,
        instrument: InstrumentId::NONE,
        side: Side::Buy,
        shelf: SHELVES as u8,
        before: 0,
    };

    /// The same instrument, side and quantity, at the same price or one tick beside it.
    fn is_like(&self, wanted: &Wanted, tick: Px) -> bool {
        (self.qty == wanted.qty)
            & (self.px.0.abs_diff(wanted.px.0) <= tick.0.unsigned_abs())
            & (self.instrument == wanted.instrument)
            & (self.side == wanted.side)
    }
}

/// The last approved orders of all instruments (RC-08).
pub(super) type Duplicates = Lately<DUPLICATES>;
/// The last approved entries of one instrument (RC-10).
pub(super) type Entries = Lately<ENTRIES>;

/// The last `N` approved orders: a ring in which those of the same quantity hang together, so that
/// only what may be like a wanted one is looked at.
///
/// ```text
/// number ──► place in the ring, number modulo N
/// quantity, side ──► shelf ──► the newest on it ──► the one before ──► … ──► too old
/// ```
#[derive(Clone, Debug)]
pub(super) struct Lately<const N: usize> {
    seen: [Seen; N],
    /// How many there were; the newest has this number.
    count: u64,
    /// Number of the newest on each shelf; 0 for none.
    newest: [u64; SHELVES],
    /// How many places of the ring hold what is on each shelf; those that hold nothing come last.
    kept: [u8; SHELVES + 1],
}

/// Shelves of [`Lately`].
const SHELVES: usize = 64;

/// The shelf of what an order may be like.
fn shelf(qty: Qty, side: Side) -> usize {
    // Fibonacci hashing: the high bits of a product with 2^64 / golden ratio are well mixed.
    let kind = qty.0 as u64 ^ u64::from(side as u8) << 63;
    (kind.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
}

const _: () = assert!(DUPLICATES < 256 && ENTRIES < 256, "all of a ring fit one shelf's count");
const _: () = assert!(SHELVES == 1 << (64 - 58), "a shelf's number is the six highest bits");

impl<const N: usize> Lately<N> {
    pub(super) fn new() -> Self {
        let mut kept = [0; SHELVES + 1];
        kept[SHELVES] = N as u8;
        Self { seen: [Seen::NEVER; N], count: 0, newest: [0; SHELVES], kept }
    }

    /// True when such an order was approved less than `window` ago.
    pub(super) fn holds(&self, wanted: &Wanted, tick: Px, window: Nanos, now: Nanos) -> bool {
        self.alike(wanted, tick, now - window) > 0
    }

    /// True when orders that were approved less than `window` ago are not known any more: whether a
    /// wanted one is like one of them, nobody can tell.
    pub(super) fn forgets(&self, window: Nanos, now: Nanos) -> bool {
        // The oldest that is known; what is not known is older.
        let oldest = &self.seen[place::<N>(self.count + 1)];
        self.count > N as u64 && oldest.at > now - window
    }

    /// How many such orders were approved within the last minute.
    pub(super) fn like(&self, wanted: &Wanted, tick: Px, now: Nanos) -> u32 {
        self.alike(wanted, tick, now - MINUTE)
    }

    /// No more than so many that are still known can be like it, whenever they were approved.
    pub(super) fn alike_at_most(&self, wanted: &Wanted) -> u32 {
        self.kept[shelf(wanted.qty, wanted.side)].into()
    }

    pub(super) fn record(&mut self, wanted: &Wanted, now: Nanos) {
        let Wanted { instrument, side, qty, px, .. } = *wanted;
        self.count += 1;
        let shelf = shelf(qty, side);
        let before = std::mem::replace(&mut self.newest[shelf], self.count);
        let seen = Seen { at: now, px, qty, instrument, side, shelf: shelf as u8, before };
        let gone = std::mem::replace(&mut self.seen[place::<N>(self.count)], seen);
        self.kept[usize::from(gone.shelf)] -= 1;
        self.kept[shelf] += 1;
    }

    /// How many like the wanted one are still known and were approved after `since`.
    #[inline]
    fn alike(&self, wanted: &Wanted, tick: Px, since: Nanos) -> u32 {
        let mut number = self.newest[shelf(wanted.qty, wanted.side)];
        let mut alike = 0;
        while let Some(seen) = self.known(number, since) {
            alike += u32::from(seen.is_like(wanted, tick));
            number = seen.before;
        }
        alike
    }

    /// The one of a number, if it is still known and was approved after `since`.
    fn known(&self, number: u64, since: Nanos) -> Option<&Seen> {
        // The places of all up to this one were taken by newer ones.
        let gone = self.count.saturating_sub(N as u64);
        let seen = &self.seen[place::<N>(number)];
        (number > gone && seen.at > since).then_some(seen)
    }
}

fn place<const N: usize>(number: u64) -> usize {
    number as usize % N
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

    #[test]
    fn what_was_approved_lately_is_what_a_list_of_it_says() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) % below
        };
        // Few quantities, one beside the other's shelf, and many: of 200 some share a shelf.
        for quantities in [1, 3, 200] {
            let (mut entries, mut duplicates) = (Entries::new(), Duplicates::new());
            let mut list: Vec<(i64, Wanted)> = Vec::new();
            let mut now = 0;
            for step in 0..3_000 {
                now += random(if step % 2 == 0 { 3 } else { 4_000_000_000 }) as i64;
                let wanted = Wanted {
                    qty: Qty(1 + random(quantities) as i64),
                    px: Px(100 + random(5) as i64),
                    side: if random(2) == 0 { Side::Buy } else { Side::Sell },
                    instrument: InstrumentId(random(2) as u16),
                    ..entry()
                };
                let like = |kept: usize, window: i64| {
                    let newest = list.iter().rev().take(kept);
                    let recent = newest.filter(|(at, _)| now - at < window);
                    let like = recent.filter(|(_, seen)| {
                        (seen.qty, seen.side, seen.instrument)
                            == (wanted.qty, wanted.side, wanted.instrument)
                            && (seen.px.0 - wanted.px.0).abs() <= 1
                    });
                    like.count()
                };
                let told = entries.like(&wanted, Px(1), Nanos(now));
                assert_eq!(told as usize, like(ENTRIES, MINUTE.0), "{quantities} {step}");
                let newest = list.iter().rev().take(ENTRIES);
                let shelf_of = |wanted: &Wanted| shelf(wanted.qty, wanted.side);
                let kept = newest.filter(|(_, seen)| shelf_of(seen) == shelf_of(&wanted));
                assert_eq!(entries.alike_at_most(&wanted) as usize, kept.count(), "{step}");
                for window in [1, 5_000_000_000, i64::MAX] {
                    let told = duplicates.holds(&wanted, Px(1), Nanos(window), Nanos(now));
                    let held = like(DUPLICATES, window) > 0;
                    assert_eq!(told, held, "{quantities} {step} {window}");
                    // All that are known are of the window, and there were more.
                    let since = |back: usize| list.len().checked_sub(back).map(|at| list[at].0);
                    let full = since(DUPLICATES).is_some_and(|at| now - at < window);
                    let forgets = full && list.len() > DUPLICATES;
                    let told = duplicates.forgets(Nanos(window), Nanos(now));
                    assert_eq!(told, forgets, "{quantities} {step} {window}");
                }
                entries.record(&wanted, Nanos(now));
                duplicates.record(&wanted, Nanos(now));
                list.push((now, wanted));
            }
        }
    }
}
