//! Until when requests may leave: the end of a leader's lease, less a margin. One thread extends
//! it, the thread that sends asks it. Once it was passed or closed it stays so: a session that was
//! not the leader for a moment is not the leader any more.
//!
//! ```text
//!  lease asked for at s ──► answered ──► open until s + TTL − margin, by both clocks
//!                                            │ asked with the time t that a request is signed with
//!                                            ▼
//!                        t + margin < s + TTL ? leaves : closed for good
//! ```
//! The wall clock may be set, the steady one stands while the machine sleeps. A request leaves only
//! where both say so. Where the wall clock was set back, the request is signed with that same time,
//! and the venue refuses it as too old.

use super::Nanos;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// See the head of this file.
#[derive(Debug)]
pub struct Fence {
    /// What the steady clock is counted from.
    origin: Instant,
    margin: Duration,
    /// End of the lease by the wall clock, nanoseconds since the epoch; 0 before the first.
    wall: CachePadded<AtomicI64>,
    /// End of the lease by the steady clock, nanoseconds since `origin`; 0 before the first.
    steady: AtomicU64,
    closed: AtomicBool,
    /// A person ordered everything closed.
    by_hand: AtomicBool,
}

impl Fence {
    /// One that lets nothing through before it was extended. `margin` is kept before the lease's
    /// end; `origin` is any time before it.
    pub fn new(margin: Duration, origin: Instant) -> Self {
        Self {
            origin,
            margin,
            wall: CachePadded::default(),
            steady: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            by_hand: AtomicBool::new(false),
        }
    }

    /// The lease lasts until then, by both clocks. Changes nothing once it is closed.
    pub fn extend(&self, wall: Nanos, steady: Instant) {
        let steady = steady.saturating_duration_since(self.origin);
        self.wall.store(wall.0, Ordering::Release);
        let steady = u64::try_from(steady.as_nanos()).unwrap_or(u64::MAX);
        self.steady.store(steady, Ordering::Release);
    }

    /// Nothing leaves any more, whatever is extended later.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// A person ordered an immediate kill: what closes positions and takes orders away leaves past
    /// the lease as well. Nothing else does.
    pub fn close_by_hand(&self) {
        self.by_hand.store(true, Ordering::Release);
    }

    /// True after [`Fence::close_by_hand`].
    pub fn is_by_hand(&self) -> bool {
        self.by_hand.load(Ordering::Acquire)
    }

    /// True once it was closed or found passed. Another thread may close it while this is read.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// True where a request that is signed with the time `signed` may leave at `now`, which is
    /// `wall` by the clock that signs. False closes it for good.
    #[inline]
    pub fn lets_through(&self, signed: Nanos, wall: Nanos, now: Instant) -> bool {
        let margin = i64::try_from(self.margin.as_nanos()).unwrap_or(i64::MAX);
        let end = self.wall.load(Ordering::Acquire);
        let steady = Duration::from_nanos(self.steady.load(Ordering::Acquire));
        let newest = signed.0.max(wall.0);
        let open = newest.saturating_add(margin) < end
            && now.saturating_duration_since(self.origin) + self.margin < steady;
        if !open {
            self.close();
        }
        open && !self.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Duration = Duration::from_millis(500);

    fn wall(ms: i64) -> Nanos {
        Nanos::from_millis(1_000_000 + ms)
    }

    #[test]
    fn nothing_passes_before_the_first_lease() {
        let origin = Instant::now();
        let fence = Fence::new(MARGIN, origin);
        assert!(!fence.lets_through(wall(0), wall(0), origin));
        assert!(fence.is_closed());
    }

    #[test]
    fn the_end_counts_by_either_clock_and_by_the_time_that_is_signed() {
        let origin = Instant::now();
        let at = |ms: u64| origin + Duration::from_millis(ms);
        // signed, wall, steady; whether it may leave with a lease that ends at 5 000.
        let cases = [
            (4_499, 4_499, 4_499, true),
            (4_500, 4_500, 4_500, false),
            (4_500, 4_000, 4_000, false),
            (4_000, 4_500, 4_000, false),
            (4_000, 4_000, 4_500, false),
            (-9_000, -9_000, 4_499, true),
        ];
        for (signed, told, steady, open) in cases {
            let fence = Fence::new(MARGIN, origin);
            fence.extend(wall(5_000), at(5_000));
            let may = fence.lets_through(wall(signed), wall(told), at(steady));
            assert_eq!(may, open, "{signed} {told} {steady}");
            assert_eq!(fence.is_closed(), !open);
        }
    }

    #[test]
    fn fault_h04_what_was_passed_once_is_not_opened_by_a_late_answer() {
        let origin = Instant::now();
        let at = |ms: u64| origin + Duration::from_millis(ms);
        let fence = Fence::new(MARGIN, origin);
        fence.extend(wall(5_000), at(5_000));
        assert!(!fence.lets_through(wall(6_000), wall(6_000), at(6_000)), "a pause");
        fence.extend(wall(11_000), at(11_000));
        assert!(!fence.lets_through(wall(6_001), wall(6_001), at(6_001)));
        let closed = Fence::new(MARGIN, origin);
        closed.extend(wall(5_000), at(5_000));
        closed.close();
        assert!(!closed.lets_through(wall(1), wall(1), at(1)));
    }
}
