//! When a position is left without a word of the model. Each way out has its own `Purpose`.
//!
//! ```text
//!   stop         average entry ∓ R, R = stop_atr ranges of the entry within its bounds
//!   trail        best price ∓ trail_r × R, from a gain of trail_start_r × R on; never moves back
//!   profit       the entry's target, else take_profit_r × R
//!   volatility   range above or below its multiples of the entry's
//!   funding      a payment is near and dear
//!   time         a profit after hold_bars; whatever it is after hold_ms_max
//! ```
//! What of this belongs to one position (range of the entry, target, best price) is the ledger's
//! and survives a restart; the rest is configuration.

use super::funding::FundingTold;
use crate::base::settings::{ExitSettings, InstrumentSettings};
use crate::base::units::{fee, notional};
use crate::base::{Nanos, Purpose, Px, Qty, Rate};
use crate::ledger::Position;

/// True where an entry cannot be left as configured without knowing the market's range.
pub(super) fn need_range(exits: &ExitSettings) -> bool {
    exits.stop_atr > 0.0
}

/// R: how far from `entry_px` the stop is, in units of price. Without a range it is the largest it
/// may be, so that nothing is without a stop.
pub(super) fn risk_distance(exits: &ExitSettings, entry_px: Px, atr: Px) -> i64 {
    let largest = part(entry_px, exits.stop_bps_max);
    if exits.stop_atr <= 0.0 {
        let protective = exits.protective_stop_bps;
        return if protective > 0 { part(entry_px, protective) } else { largest };
    }
    if atr <= Px::ZERO {
        return largest;
    }
    multiple(exits.stop_atr, atr.0).max(part(entry_px, exits.stop_bps_min)).min(largest)
}

/// How far from the entry the profit of a new position is taken; 0 for never. `model` is the return
/// that the model aims at.
pub(super) fn target_distance(exits: &ExitSettings, r: i64, px: Px, model: Option<f64>) -> Px {
    let by_risk = multiple(exits.take_profit_r, r);
    if exits.take_profit_r <= 0.0 {
        return Px::ZERO;
    }
    let Some(model) = model else { return Px(by_risk.max(1)) };
    let by_model = multiple(model, px.0) as f64;
    let mixed = exits.take_profit_model * by_model
        + (1.0 - exits.take_profit_model) * exits.take_profit_r * r as f64;
    Px((mixed as i64).max(1))
}

/// The distances of an open position, and its prices by them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// 1 for a long position, −1 for a short one.
    sign: i64,
    pub(super) average: Px,
    pub(super) r: i64,
    stop: bool,
    /// The trailing stop's distance from the entry, towards the gain; `None` before it begins.
    trail: Option<i64>,
}

impl Levels {
    /// Of an open position that was entered at a range of `atr`.
    pub(super) fn new(exits: &ExitSettings, position: &Position, atr: Px) -> Self {
        let sign = if position.qty.is_positive() { 1 } else { -1 };
        let average = position.average_px();
        let r = risk_distance(exits, average, atr);
        let best = position.best_px.0.saturating_sub(average.0).saturating_mul(sign);
        let begun = position.best_px.is_positive() && best >= multiple(exits.trail_start_r, r);
        let trails = exits.trail_r > 0.0 && begun;
        let trail = trails.then(|| best.saturating_sub(multiple(exits.trail_r, r)));
        Self { sign, average, r, stop: exits.stop_atr > 0.0, trail }
    }

    /// The nearer of stop and trailing stop, as a distance from the entry towards the gain, and
    /// whose it is.
    fn nearer(&self) -> Option<(i64, Purpose)> {
        let stop = self.stop.then_some((-self.r, Purpose::ExitStop));
        let trail = self.trail.map(|distance| (distance, Purpose::ExitTrail));
        match (stop, trail) {
            (Some(stop), Some(trail)) => Some(if trail.0 > stop.0 { trail } else { stop }),
            (stop, trail) => stop.or(trail),
        }
    }

    /// The price our own stop acts at; `None` where there is none.
    pub(super) fn stop_px(&self) -> Option<Px> {
        let (distance, _) = self.nearer()?;
        Some(Px(self.average.0.saturating_add(distance.saturating_mul(self.sign))))
    }

    /// Gain per unit when left at `px`.
    fn gain(&self, px: Px) -> i64 {
        px.0.saturating_sub(self.average.0).saturating_mul(self.sign)
    }
}

/// What is known of the market besides the position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now<'a> {
    pub(super) time: Nanos,
    /// The entry's range; 0 where not known.
    pub(super) entry_atr: Px,
    /// The newest range; 0 where not warm.
    pub(super) atr: Px,
    pub(super) funding: &'a FundingTold,
    /// Length of a bar.
    pub(super) bar: Nanos,
}

/// Why an open position should be left now, if at all: the stop first.
pub(super) fn leaving(
    exits: &ExitSettings,
    facts: &InstrumentSettings,
    position: &Position,
    now: &Now<'_>,
) -> Option<Purpose> {
    let levels = Levels::new(exits, position, now.entry_atr);
    let long = position.qty.is_positive();
    let close_px = if long { position.bid } else { position.ask };
    if position.has_touch() {
        let gain = levels.gain(close_px);
        if let Some((distance, purpose)) = levels.nearer()
            && gain <= distance
        {
            return Some(purpose);
        }
        let target = match position.target_px {
            Px(1..) => position.target_px.0,
            _ => multiple(exits.take_profit_r, levels.r),
        };
        if exits.take_profit_r > 0.0 && gain >= target {
            return Some(Purpose::ExitProfit);
        }
    }
    if is_other_market(exits, now) {
        return Some(Purpose::ExitVolatility);
    }
    if exits.funding_bps > 0.0 {
        let side = if long { crate::base::Side::Buy } else { crate::base::Side::Sell };
        let ahead = Nanos::from_secs(i64::from(exits.funding_ahead_s));
        let rate = Rate((exits.funding_bps * super::costs::BPS) as i64);
        if now.funding.is_due(side, now.time, ahead, rate) {
            return Some(Purpose::ExitFunding);
        }
    }
    let held = now.time - position.opened_at;
    let bars = Nanos(now.bar.0.saturating_mul(i64::from(exits.hold_bars)));
    if exits.hold_bars > 0
        && held >= bars
        && position.has_touch()
        && is_profit(facts, position, close_px)
    {
        return Some(Purpose::ExitTime);
    }
    let most = i64::try_from(exits.hold_ms_max).unwrap_or(i64::MAX);
    (held >= Nanos::from_millis(most)).then_some(Purpose::ExitTime)
}

/// How long a position is expected to be held.
pub(super) fn expected_hold(exits: &ExitSettings, bar: Nanos) -> Nanos {
    let most = Nanos::from_millis(i64::try_from(exits.hold_ms_max).unwrap_or(i64::MAX));
    match exits.hold_bars {
        0 => most,
        bars => most.min(Nanos(bar.0.saturating_mul(i64::from(bars)))),
    }
}

/// True when the market moves much more, or much less, than the one that was entered.
fn is_other_market(exits: &ExitSettings, now: &Now<'_>) -> bool {
    let (entry, range) = (now.entry_atr.0 as f64, now.atr.0 as f64);
    if entry <= 0.0 || range <= 0.0 {
        return false;
    }
    let high = exits.volatility_high > 0.0 && range > exits.volatility_high * entry;
    let low = exits.volatility_low > 0.0 && range < exits.volatility_low * entry;
    high || low
}

/// True when closing at `px` leaves the round trip with a profit, its fees and funding included.
fn is_profit(facts: &InstrumentSettings, position: &Position, px: Px) -> bool {
    let value = notional(position.qty, px);
    let paid = notional(Qty(position.qty.0.saturating_abs()), px)
        .and_then(|value| fee(value, facts.taker_fee));
    let (Some(value), Some(paid)) = (value, paid) else { return false };
    let gain = i128::from(value.0) - i128::from(position.cost.0);
    gain + i128::from(position.round_trip().0) - i128::from(paid.0) > 0
}

/// `factor × distance`, rounded toward zero; a product that saturates is never reached.
fn multiple(factor: f64, distance: i64) -> i64 {
    (factor * distance as f64) as i64
}

/// So many basis points of a price.
fn part(px: Px, bps: u32) -> i64 {
    let part = i128::from(px.0.max(0)) * i128::from(bps) / 10_000;
    i64::try_from(part).unwrap_or(i64::MAX)
}
