//! Open interest, mark price and settled funding: inputs that come every second, minute or hour.
//! Where a formula speaks of bars, the value known when the bar closed is taken.

use super::schema::Feature;
use super::vector::FeatureVector;
use super::window::Window;
use crate::base::event::{Funding, MarkPrice, OpenInterest};
use crate::base::units::SCALE;
use crate::base::{Nanos, Reason};

/// Bars a velocity is taken over.
const VELOCITY_BARS: usize = 12;
/// Settled rates that are summed.
const SETTLED: usize = 8;
/// Longest interval between settlements, in nanoseconds; venues use 1, 4 and 8 hours.
pub(super) const FUNDING_INTERVAL_NS_MAX: i64 = 8 * 3_600 * 1_000_000_000;

/// Open interest as it comes, and as it was at bar closes.
#[derive(Clone, Debug)]
pub(super) struct OpenInterestSeries {
    /// Newest value in base units and its receipt.
    newest: Option<(f64, Nanos)>,
    closes: Window<21>,
}

impl OpenInterestSeries {
    pub(super) const EMPTY: Self = Self { newest: None, closes: Window::EMPTY };

    /// Takes a value; one that is not positive is refused.
    pub(super) fn take(&mut self, event: &OpenInterest, now: Nanos) -> bool {
        let good = event.qty > 0;
        if good {
            self.newest = Some((event.qty as f64 / SCALE as f64, now));
        }
        good
    }

    /// Receipt of the newest value.
    #[inline]
    pub(super) fn received(&self) -> Option<Nanos> {
        self.newest.map(|(_, at)| at)
    }

    pub(super) fn close_bar(&mut self) {
        if let Some((value, _)) = self.newest {
            self.closes.push(value);
        }
    }

    pub(super) fn forget_bars(&mut self) {
        self.closes = Window::EMPTY;
    }

    /// Writes the bar features. `price_change_20` is return_20 in full precision.
    pub(super) fn write(&self, price_change_20: Option<f64>, out: &mut FeatureVector) {
        use Feature::*;
        let closes = &self.closes;
        out.put(OiChange1, closes.change(1));
        out.put(OiChange5, closes.change(5));
        out.put(OiChange20, closes.change(20));
        let velocity = |ago: usize| {
            let change = closes.back(ago)? / closes.back(ago + VELOCITY_BARS)? - 1.0;
            Some(change / VELOCITY_BARS as f64)
        };
        out.put(OiVelocity, velocity(0));
        out.put(OiAcceleration, velocity(0).zip(velocity(1)).map(|(v, before)| v - before));
        out.put(OiZscore, closes.zscore(20));
        let divergence = closes.change(20).zip(price_change_20).map(|(oi, price)| oi - price);
        out.put(OiPriceDivergence20, divergence);
    }
}

/// Mark price, index price and predicted funding.
#[derive(Clone, Debug)]
pub(super) struct MarkSeries {
    newest: Option<(MarkPrice, Nanos)>,
    /// Predicted funding rate at bar closes, fraction per interval.
    rates: Window<20>,
}

impl MarkSeries {
    pub(super) const EMPTY: Self = Self { newest: None, rates: Window::EMPTY };

    /// Takes a value; a mark price that is not positive is refused.
    pub(super) fn take(&mut self, event: &MarkPrice, now: Nanos) -> bool {
        let good = event.mark_px > 0;
        if good {
            self.newest = Some((*event, now));
        }
        good
    }

    /// Receipt of the newest value.
    #[inline]
    pub(super) fn received(&self) -> Option<Nanos> {
        self.newest.map(|(_, at)| at)
    }

    pub(super) fn close_bar(&mut self) {
        if let Some((mark, _)) = &self.newest {
            self.rates.push(mark.funding_rate as f64 / SCALE as f64);
        }
    }

    pub(super) fn forget_bars(&mut self) {
        self.rates = Window::EMPTY;
    }

    /// Writes the bar features.
    pub(super) fn write(&self, out: &mut FeatureVector) {
        let change = self.rates.back(0).zip(self.rates.back(1)).map(|(r, before)| r - before);
        out.put(Feature::FundingChange1, change);
        out.put(Feature::FundingZscore, self.rates.zscore(20));
    }

    /// Writes the live features.
    #[inline]
    pub(super) fn write_live(&self, now: Nanos, out: &mut FeatureVector) {
        use Feature::*;
        let Some((mark, _)) = &self.newest else { return };
        out.put(FundingRate, Some(mark.funding_rate as f64 / SCALE as f64));
        let left = Nanos(mark.ts_next_funding) - now;
        out.put(MinutesToFunding, Some(left.0.max(0) as f64 / 60e9));
        let basis = mark.mark_px as f64 / mark.index_px as f64 - 1.0;
        out.put(BasisBps, Some(10_000.0 * basis));
        // The stream leaves these at zero where the venue has none to tell.
        if mark.ts_next_funding <= 0 {
            out.refuse(MinutesToFunding.index(), Reason::FeatureInputMissing);
        }
        if mark.index_px <= 0 {
            out.refuse(BasisBps.index(), Reason::FeatureInputMissing);
        }
    }
}

/// The newest settled funding rates.
#[derive(Clone, Debug)]
pub(super) struct FundingSeries {
    rates: [i64; SETTLED],
    next: usize,
    count: usize,
    newest: Option<Nanos>,
}

impl FundingSeries {
    pub(super) const EMPTY: Self = Self { rates: [0; SETTLED], next: 0, count: 0, newest: None };

    /// Takes a settlement; one not newer than the newest is a repetition and refused.
    pub(super) fn take(&mut self, event: &Funding) -> bool {
        let at = Nanos(event.ts_funding);
        if at <= self.newest.unwrap_or(Nanos::ZERO) {
            return false;
        }
        self.newest = Some(at);
        self.rates[self.next] = event.rate;
        self.next = (self.next + 1) % SETTLED;
        self.count = (self.count + 1).min(SETTLED);
        true
    }

    /// Time of the newest settlement.
    #[inline]
    pub(super) fn settled(&self) -> Option<Nanos> {
        self.newest
    }

    /// Writes the sum.
    pub(super) fn write(&self, out: &mut FeatureVector) {
        let sum: i128 = self.rates.iter().map(|&rate| i128::from(rate)).sum();
        let full = self.count == SETTLED;
        out.put(Feature::FundingCumulative8, full.then(|| sum as f64 / SCALE as f64));
    }
}
