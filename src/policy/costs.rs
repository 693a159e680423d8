//! What an entry and its exit cost, as rates of their value.
//!
//! ```text
//!   fee in (maker or taker) + fee out (taker)
//! + for each order that takes: slippage × market's factor + half the spread + impact × value
//! + funding paid while it is held
//! ```
//! The exit takes: that is what leaving in need costs. Each part is rounded up.

use super::Rules;
use crate::base::{Px, Rate};

/// 1 basis point in units of a rate.
pub(super) const BPS: f64 = 10_000.0;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Costs {
    /// Of any size.
    pub(super) fixed: Rate,
    /// More for every 1 000 of quote currency.
    pub(super) impact: Rate,
}

/// The market an entry meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Market {
    pub(super) bid: Px,
    pub(super) ask: Px,
    /// Average true range; 0 if not warm.
    pub(super) atr: Px,
}

impl Market {
    /// Average true range as a part of the price.
    pub(super) fn range(&self) -> f64 {
        self.atr.0 as f64 / self.ask.0.max(1) as f64
    }

    /// Half the spread as a part of the price.
    fn half_spread(&self) -> f64 {
        (self.ask.0.saturating_sub(self.bid.0)) as f64 / 2.0 / self.bid.0.max(1) as f64
    }
}

impl Costs {
    /// Of an entry that pays the fees `maker` or `taker`, with `funding` to come.
    pub(super) fn new(
        rules: &Rules,
        (maker, taker): (Rate, Rate),
        market: &Market,
        funding: Rate,
    ) -> Self {
        let sizing = &rules.sizing;
        let reference = sizing.volatility_reference_bps / 10_000.0;
        let factor = match reference > 0.0 {
            true => (market.range() / reference).clamp(1.0, sizing.slippage_volatility_max),
            false => 1.0,
        };
        let rests = rules.policy.enter_as_maker;
        let takers = if rests { 1.0 } else { 2.0 };
        let taking = sizing.slippage_bps * factor * BPS + market.half_spread() * 10_000.0 * BPS;
        let fee_in = if rests { maker } else { taker };
        let fees = fee_in.0.saturating_add(taker.0);
        // A cast from float saturates.
        let slippage = (takers * taking).ceil() as i64;
        Self {
            fixed: Rate(fees.saturating_add(slippage).saturating_add(funding.0)),
            impact: Rate((takers * sizing.impact_bps * BPS).ceil() as i64),
        }
    }
}
