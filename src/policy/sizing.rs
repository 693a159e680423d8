//! How large an entry may be. Every bound is a most, the least of them is the size, and which one
//! it was is recorded with the order.
//!
//! ```text
//!   full     position_notional × 1 / (1 + slope × (range / reference − 1)), within its factors
//!   risk     equity × risk_bps / (R + costs), both as parts of the price
//!   kelly    equity × fraction × Kelly bet after costs
//!   share    equity × leverage limit × share_bps
//!   impact   where what the order itself moves eats the edge that is left
//!   venue    the largest order; then the part that breakers allow
//! ```
//! Amounts are integers and round down, costs round up: what is rounded never makes more of it.

use super::costs::{Costs, Market};
use super::exits;
use super::intent::Plan;
use super::outlook::Outlook;
use super::{Rules, costs};
use crate::base::event::Prediction;
use crate::base::settings::{InstrumentSettings, SizingSettings};
use crate::base::units::{SCALE, notional};
use crate::base::{Bound, Money, Px, Qty, Rate, Reason, Side};

/// What an entry is sized from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) facts: &'a InstrumentSettings,
    pub(super) prediction: &'a Prediction,
    pub(super) side: Side,
    /// Worst price of the entry.
    pub(super) px: Px,
    pub(super) market: Market,
    pub(super) equity: Money,
    /// Funding that will be paid.
    pub(super) funding: Rate,
    /// What breakers allow of the size, 0 to 100.
    pub(super) percent: u32,
}

/// Why there is no entry; see [`super::HeldBack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) reason: Reason,
    pub(super) value: i64,
    pub(super) limit: i64,
}

/// Quantity and plan of an entry.
pub(super) fn size(rules: &Rules, ask: &Ask<'_>) -> Result<(Qty, Plan), Short> {
    let Rules { sizing, .. } = rules;
    if ask.market.atr == Px::ZERO && exits::need_range(&rules.exits) {
        return Err(Short { reason: Reason::RangeUnknown, value: 0, limit: 1 });
    }
    if !ask.equity.is_positive() {
        let value = ask.equity.0;
        return Err(Short { reason: Reason::EquityNotPositive, value, limit: 1 });
    }
    let typical = sizing.move_atr * ask.market.range();
    let outlook = Outlook::new(ask.prediction, ask.side, typical);
    let fees = (ask.facts.maker_fee, ask.facts.taker_fee);
    let costs = Costs::new(rules, fees, &ask.market, ask.funding);
    // Rounded down; a cast from float saturates.
    let edge = Rate((outlook.mean() * SCALE as f64).floor() as i64);
    let net = edge.0.saturating_sub(costs.fixed.0);
    let least = i64::from(sizing.min_edge_bps) * costs::BPS as i64;
    if net < least {
        return Err(Short { reason: Reason::EdgeBelowCosts, value: net, limit: least });
    }
    let r = exits::risk_distance(&rules.exits, ask.px, ask.market.atr);
    let mut most = Most::default();
    most.lower(Bound::Full, full(rules, ask));
    most.lower(Bound::Share, share(rules, ask));
    most.lower(Bound::Impact, by_impact(net - least, costs.impact));
    let lost = r as f64 / ask.px.0.max(1) as f64 + costs.fixed.0 as f64 / SCALE as f64;
    most.lower(Bound::Risk, by_risk(sizing, ask.equity, lost, costs.impact));
    if sizing.kelly_fraction > 0.0 {
        let bet = outlook.kelly(costs.fixed.0 as f64 / SCALE as f64, sizing.kelly_shrink);
        // Also where it is not a number: a bet that cannot be told is none.
        if bet.is_nan() || bet <= 0.0 {
            let value = (bet * SCALE as f64) as i64;
            return Err(Short { reason: Reason::KellyNotPositive, value, limit: 1 });
        }
        most.lower(Bound::Kelly, by_kelly(ask.equity, sizing.kelly_fraction * bet));
    }
    let (qty, bound) = quantity(sizing, ask, most)?;
    let target_px = exits::target_distance(&rules.exits, r, ask.px, outlook.target());
    let plan = Plan { bound, atr_px: ask.market.atr, target_px, edge, costs: costs.fixed };
    Ok((qty, plan))
}

/// The least bound so far, in units of money.
#[derive(Clone, Copy, Debug)]
struct Most {
    value: i128,
    bound: Bound,
}

impl Default for Most {
    fn default() -> Self {
        Self { value: i128::from(i64::MAX), bound: Bound::None }
    }
}

impl Most {
    fn lower(&mut self, bound: Bound, value: i128) {
        if value < self.value {
            (self.value, self.bound) = (value, bound);
        }
    }
}

/// Rounds it to the lot; refuses what is less than the least order.
fn quantity(sizing: &SizingSettings, ask: &Ask<'_>, mut most: Most) -> Result<(Qty, Bound), Short> {
    let facts = ask.facts;
    // All of it lowers nothing.
    most.lower(Bound::Breakers, most.value * i128::from(ask.percent) / 100);
    let wanted = most.value.max(0) * i128::from(SCALE) / i128::from(ask.px.0.max(1));
    let mut qty = Qty(i64::try_from(wanted).unwrap_or(i64::MAX));
    if qty > facts.max_qty {
        (qty, most.bound) = (facts.max_qty, Bound::Venue);
    }
    let qty = qty.floor_to(facts.lot_size);
    let value = notional(qty, ask.px).unwrap_or(Money::ZERO);
    let least = facts.min_notional.max(sizing.notional_min);
    if !qty.is_positive() || qty < facts.min_qty || value < least {
        let reason = Reason::SizeBelowLeast;
        return Err(Short { reason, value: value.0, limit: least.0 });
    }
    Ok((qty, most.bound))
}

fn full(rules: &Rules, ask: &Ask<'_>) -> i128 {
    let factor = scale(&rules.sizing, ask.market.range());
    let base = i128::from(rules.policy.position_notional.0);
    base * i128::from((factor * SCALE as f64).floor() as i64) / i128::from(SCALE)
}

/// The factor on a full position in a market that moves by `range` of its price.
pub(super) fn scale(sizing: &SizingSettings, range: f64) -> f64 {
    let reference = sizing.volatility_reference_bps / 10_000.0;
    if reference <= 0.0 || range <= 0.0 {
        return 1.0;
    }
    let below = 1.0 + sizing.volatility_slope * (range / reference - 1.0);
    // In a market so calm that the divisor vanishes the largest factor is what bounds it.
    (1.0 / below.max(0.0)).clamp(sizing.volatility_scale_min, sizing.volatility_scale_max)
}

fn share(rules: &Rules, ask: &Ask<'_>) -> i128 {
    let leverage = i128::from(rules.leverage_max_percent);
    let part = i128::from(rules.sizing.share_bps);
    i128::from(ask.equity.0) * leverage * part / (100 * 10_000)
}

/// The value at which `impact` for every 1 000 uses up `slack`.
fn by_impact(slack: i64, impact: Rate) -> i128 {
    if impact.0 <= 0 {
        return i128::from(i64::MAX);
    }
    i128::from(slack) * 1_000 * i128::from(SCALE) / i128::from(impact.0)
}

/// The value that loses the share of the equity which may be lost: the part `lost` of it, and what
/// its own impact adds, `v·lost + v²·k = budget`.
fn by_risk(sizing: &SizingSettings, equity: Money, lost: f64, impact: Rate) -> i128 {
    let budget = equity.0 as f64 * f64::from(sizing.risk_bps) / 10_000.0;
    let lost = lost.max(1.0 / SCALE as f64);
    let more = impact.0.max(0) as f64 / SCALE as f64 / (1_000.0 * SCALE as f64);
    let value = 2.0 * budget / (lost + (lost * lost + 4.0 * more * budget).sqrt());
    // A cast from float saturates; what floats may have rounded up is taken off.
    i128::from((value * (1.0 - 1e-12)).floor() as i64)
}

fn by_kelly(equity: Money, bet: f64) -> i128 {
    i128::from(equity.0) * i128::from((bet * SCALE as f64).floor() as i64) / i128::from(SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 100 million a hundredth may be lost: 10^14 units.
    fn at_risk(lost: f64, impact: i64) -> i128 {
        let sizing = SizingSettings { risk_bps: 100, ..SizingSettings::default() };
        by_risk(&sizing, Money::whole(100_000_000), lost, Rate(impact))
    }

    #[test]
    fn price_and_own_impact_lose_what_may_be_lost_less_a_millionth_of_a_millionth() {
        for (lost, impact, value) in [
            (0.25, 0, 400_000_000_000_000),
            // Half to the price, half to the impact: 2e14 × 0.25, and 2e14² × 1.25e-15.
            (0.25, 12_500, 200_000_000_000_000),
            (0.25, -12_500, 400_000_000_000_000),
        ] {
            let (off, part) = (value - at_risk(lost, impact), value / 1_000_000_000_000);
            assert!((part - 1..=part + 1).contains(&off), "{lost} {impact}: {off}");
        }
    }

    #[test]
    fn the_least_impact_bounds_and_none_does_not() {
        let (thousand, unbounded) = (1_000 * i128::from(SCALE), i128::from(i64::MAX));
        for (impact, value) in
            [(2, 3 * thousand), (1, 6 * thousand), (0, unbounded), (-1, unbounded)]
        {
            assert_eq!(by_impact(6, Rate(impact)), value, "{impact}");
        }
    }
}
