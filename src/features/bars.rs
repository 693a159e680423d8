//! When bars close, and the bar that is forming.
//!
//! ```text
//!        bar 7            bar 8            bar 9
//!   |................|................|................|      multiples of the bar's length
//!                    ^ a trade matched at or after this instant closes bar 7 at once
//!                    ^·····^ any other event closes it when its receipt is past the grace:
//!                            trades of bar 7 may still be on their way
//! ```
//! The clock only moves forward. A trade matched in a bar that is already closed counts into the
//! forming one. A bar without trades repeats the last price with no volume. When more than
//! [`BARS_SKIPPED_MAX`] bars pass between two events, the history is forgotten instead.

use crate::base::Nanos;

/// Bars that may pass between two events. Beyond it nothing was recorded for so long that a history
/// of repeated prices would mislead; it exceeds the longest window, so nothing real is lost.
pub(super) const BARS_SKIPPED_MAX: i64 = 128;

/// Longest wait for trades still on their way, in nanoseconds: recorded streams lag each other by
/// tens of milliseconds. Never more than a quarter of a bar.
pub(super) const GRACE_NS_MAX: i64 = 250_000_000;

/// A trade dated further than this after its receipt is not believed, in nanoseconds. Recorded host
/// clocks were up to 1.3 s behind the venue's.
pub(super) const TRADE_AHEAD_NS_MAX: i64 = 60_000_000_000;

/// What moving the clock did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// This many bars closed, 0 to [`BARS_SKIPPED_MAX`].
    Bars(u32),
    /// Too many to repeat: forget the history.
    TooMany,
}

/// See the head of this file.
#[derive(Clone, Copy, Debug)]
pub(super) struct BarClock {
    bar_ns: i64,
    grace_ns: i64,
    /// Start of the forming bar in nanoseconds since the epoch; `None` before the first event.
    start: Option<i64>,
}

impl BarClock {
    pub(super) fn new(bar_interval_ms: u32) -> Self {
        let bar_ns = i64::from(bar_interval_ms.max(1)) * 1_000_000;
        Self { bar_ns, grace_ns: GRACE_NS_MAX.min(bar_ns / 4), start: None }
    }

    /// Length of a bar in nanoseconds.
    pub(super) const fn bar_ns(&self) -> i64 {
        self.bar_ns
    }

    /// Moves to the match time of a trade. The flag tells that the trade came late: it belongs to a
    /// bar already closed.
    #[inline]
    pub(super) fn trade(&mut self, matched: Nanos) -> (Passed, bool) {
        let late = self.start.is_some_and(|start| matched.0 < start);
        (self.move_to(matched.0), late)
    }

    /// Moves by the receipt of anything else.
    #[inline]
    pub(super) fn other(&mut self, now: Nanos) -> Passed {
        self.move_to(now.0.saturating_sub(self.grace_ns))
    }

    #[inline]
    fn move_to(&mut self, at: i64) -> Passed {
        let since = match self.start {
            Some(start) => at.saturating_sub(start),
            None => {
                self.start = Some(self.bar_start(at));
                0
            }
        };
        // Most events end here, without a division.
        if since < self.bar_ns {
            return Passed::Bars(0);
        }
        self.start = Some(self.bar_start(at));
        match since / self.bar_ns {
            bars if bars > BARS_SKIPPED_MAX => Passed::TooMany,
            bars => Passed::Bars(bars as u32),
        }
    }

    fn bar_start(&self, at: i64) -> i64 {
        at.div_euclid(self.bar_ns).saturating_mul(self.bar_ns)
    }
}

/// The trades of one bar. Sums are integers: they are exact in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bar {
    /// Prices, 1e-8.
    pub high: i64,
    pub low: i64,
    pub close: i64,
    /// Quantity, 1e-8.
    pub volume: i128,
    /// Quantity of taker buys, 1e-8.
    pub buy: i128,
    /// Quantity of large trades, 1e-8.
    pub large: i128,
    /// Price × quantity, 1e-16.
    pub quote: i128,
    /// Trades as the source reports them: an aggregate is one.
    pub count: u64,
}

impl Bar {
    /// A bar without trades after one that closed at `close`.
    pub(super) fn flat(close: i64) -> Self {
        Self { high: close, low: close, close, ..Self::default() }
    }

    #[inline]
    pub(super) fn add(&mut self, px: i64, qty: i64, buy: bool, large: bool) {
        let first = self.count == 0;
        self.high = if first { px } else { self.high.max(px) };
        self.low = if first { px } else { self.low.min(px) };
        self.close = px;
        let qty = i128::from(qty);
        self.volume = self.volume.saturating_add(qty);
        self.quote = self.quote.saturating_add(qty * i128::from(px));
        if buy {
            self.buy = self.buy.saturating_add(qty);
        }
        if large {
            self.large = self.large.saturating_add(qty);
        }
        self.count += 1;
    }
}
