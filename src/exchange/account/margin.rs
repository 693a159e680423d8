//! Margin arithmetic: brackets, initial and maintenance margin, the liquidation price.

use crate::base::units::SCALE;
use crate::base::{Money, Px, Qty, Rate};
use crate::exchange::spec::Bracket;

/// The bracket a position of this value is in; the last one beyond all of them.
pub fn bracket_of(brackets: &[Bracket], notional: Money) -> &Bracket {
    let inside = |bracket: &&Bracket| {
        i128::from(notional.0.unsigned_abs()) <= i128::from(bracket.cap) * i128::from(SCALE)
    };
    let last = brackets.last().expect("a contract has brackets");
    brackets.iter().find(inside).unwrap_or(last)
}

/// Maintenance margin of a position of this value: value × rate − cum, so that brackets join.
pub fn maint_margin(brackets: &[Bracket], notional: Money) -> Money {
    if notional == Money::ZERO {
        return Money::ZERO;
    }
    let Bracket { maint_rate, cum, .. } = bracket_of(brackets, notional);
    scaled(notional.abs(), *maint_rate) - *cum
}

/// Largest position value at a leverage: the cap of the last bracket that allows it.
pub fn max_notional(brackets: &[Bracket], leverage: u32) -> Money {
    let allows = |bracket: &&Bracket| bracket.leverage >= leverage;
    Money::whole(brackets.iter().rev().find(allows).map_or(0, |bracket| bracket.cap))
}

/// Initial margin of a value at a leverage, rounded toward zero.
pub const fn initial_margin(notional: Money, leverage: u32) -> Money {
    Money(notional.0.abs() / leverage as i64)
}

/// Value on which a contract's margin is required: the worse of all buy orders filled and all sell
/// orders filled. So an order that only shrinks the position needs none.
pub fn worst_value(position: Money, bids: Money, asks: Money) -> Money {
    (position + bids).abs().max((position - asks).abs())
}

/// `amount × rate`, rounded toward zero.
pub fn scaled(amount: Money, rate: Rate) -> Money {
    let product = i128::from(amount.0) * i128::from(rate.0) / i128::from(SCALE);
    Money(i64::try_from(product).expect("a rate is at most a few ones"))
}

/// One position within the liquidation formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Signed quantity.
    pub qty: Qty,
    /// Signed cost.
    pub cost: Money,
    /// Maintenance margin rate of its bracket.
    pub rate: Rate,
    /// Maintenance amount of its bracket.
    pub cum: Money,
}

/// The venue's published formula:
///
/// ```text
///        WB − TMM + UPNL + Σ cum − Σ side × quantity × entry price
/// LP = ─────────────────────────────────────────────────────────────
///              Σ quantity × rate − Σ side × quantity
/// ```
/// `backing` is WB − TMM + UPNL: the wallet, less the maintenance margin and plus the profit of all
/// other contracts; for an isolated position its own wallet. Zero where no price liquidates.
///
/// <https://www.binance.com/en/support/faq/b3c689c1f50a44cabb3a84e663b81d93>
pub fn liquidation_px(backing: Money, legs: &[Leg]) -> Px {
    let (mut above, mut below) = (i128::from(backing.0), 0_i128);
    for Leg { qty, cost, rate, cum } in legs {
        above += i128::from(cum.0) - i128::from(cost.0);
        let (qty, size) = (i128::from(qty.0), i128::from(qty.0.abs()));
        below += size * i128::from(rate.0) - qty * i128::from(SCALE);
    }
    if below == 0 {
        return Px::ZERO;
    }
    // Amounts are in 1e-8 and `below` in 1e-16 units; the price is wanted in 1e-8.
    let px = above * i128::from(SCALE) * i128::from(SCALE) / below;
    Px(i64::try_from(px.max(0)).unwrap_or(0))
}
