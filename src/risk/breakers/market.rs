//! RC-39: spread, range and jumps of each instrument, each with a pair of limits.

use super::board::Board;
use crate::base::event::{Event, Prediction};
use crate::base::{Control, InstrumentId, Nanos};
use crate::ledger::Position;

/// Ranges heard before they say what is usual.
const WARM: u32 = 60;
/// Ranges that the long average forgets over.
const LONG: i64 = 1_000;
/// Least time between two ranges that are taken into it.
const RANGE_EVERY: Nanos = Nanos::from_secs(1);
/// Basis points of the whole.
const WHOLE: i64 = 10_000;

#[derive(Clone, Copy, Debug)]
struct Market {
    /// Long average of the average true range, 1e-8.
    usual: i64,
    ranges: u32,
    ranged_at: Nanos,
    /// Which bar it is, and its lowest and highest mid.
    bar: i64,
    low: i64,
    high: i64,
    /// Move of the bar before, in basis points.
    before_bps: i64,
}

impl Market {
    /// Before the first quote and range: no bar follows this one, and no range comes too soon.
    const NEW: Self = Self {
        usual: 0,
        ranges: 0,
        ranged_at: Nanos(i64::MIN),
        bar: i64::MIN,
        low: 0,
        high: 0,
        before_bps: 0,
    };
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Markets {
    markets: Vec<Market>,
    allowed: Vec<bool>,
    bar: Nanos,
}

impl Markets {
    pub(super) fn new(allowed: &[bool], bar_s: u32) -> Self {
        Self {
            markets: vec![Market::NEW; allowed.len()],
            allowed: allowed.to_vec(),
            bar: Nanos::from_secs(i64::from(bar_s.max(1))),
        }
    }

    /// The instrument's next quote and range are its first.
    pub(super) fn forget(&mut self, instrument: InstrumentId) {
        if let Some(market) = self.markets.get_mut(instrument.index()) {
            *market = Market::NEW;
        }
    }

    /// A best bid and ask came.
    pub(super) fn on_touch(&mut self, board: &mut Board, event: &Event, position: &Position) {
        let (instrument, now) = (event.instrument(), event.now());
        let place = instrument.index();
        let mid = position.mid().0;
        if mid <= 0 || !self.allowed.get(place).copied().unwrap_or(false) {
            return;
        }
        let spread = bps(position.ask.0 - position.bid.0, mid);
        board.judge_at(Control::Spread, instrument, spread, now);
        let market = &mut self.markets[place];
        let bar = now.0.div_euclid(self.bar.0);
        if bar != market.bar {
            // A bar without a quote moved nothing.
            let follows = bar == market.bar + 1;
            market.before_bps = if follows { bps(market.high - market.low, market.low) } else { 0 };
            (market.bar, market.low, market.high) = (bar, mid, mid);
        }
        market.low = market.low.min(mid);
        market.high = market.high.max(mid);
        let moved = bps(market.high - market.low, market.low);
        board.judge_at(Control::Jump, instrument, moved.max(market.before_bps), now);
    }

    /// A prediction tells the average true range.
    pub(super) fn on_prediction(&mut self, board: &mut Board, event: &Event) {
        let (instrument, now) = (event.instrument(), event.now());
        let place = instrument.index();
        let range = event.body::<Prediction>().atr_px;
        if range <= 0 || !self.allowed.get(place).copied().unwrap_or(false) {
            return;
        }
        let market = &mut self.markets[place];
        if now - market.ranged_at < RANGE_EVERY {
            return;
        }
        market.ranged_at = now;
        if market.ranges >= WARM {
            let percent = i128::from(range) * 100 / i128::from(market.usual.max(1));
            let percent = i64::try_from(percent).unwrap_or(i64::MAX);
            board.judge_at(Control::Range, instrument, percent, now);
        }
        market.ranges = market.ranges.saturating_add(1);
        let weight = i64::from(market.ranges).min(LONG);
        market.usual += (range - market.usual) / weight;
    }
}

/// `part` of `whole` in basis points, rounded down; `whole` above zero.
fn bps(part: i64, whole: i64) -> i64 {
    match part.checked_mul(WHOLE) {
        Some(parts) => parts / whole,
        // A part of nearly the range: wider than any market.
        None => i64::try_from(i128::from(part) * i128::from(WHOLE) / i128::from(whole))
            .unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basis_points_are_exact_for_small_and_for_huge_numbers() {
        assert_eq!((bps(5, 10_000), bps(10_000, 10_000), bps(3, 1)), (5, 10_000, 30_000));
        assert_eq!((bps(19_999, 10_000), bps(0, 7)), (19_999, 0));
        // A quarter of a number whose ten thousandfold leaves 64 bits.
        assert_eq!(bps(i64::MAX / 4, i64::MAX / 4 * 4), 2_500);
        assert_eq!(bps(i64::MAX, 1), i64::MAX);
    }
}
