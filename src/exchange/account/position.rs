//! One position: signed quantity, exact cost, and what a fill does to it.

use super::order::PositionSide;
use crate::base::units::{SCALE, notional};
use crate::base::{Money, Nanos, Px, Qty, Side};

/// A position. Quantity and cost have the same sign: long above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Signed quantity.
    pub qty: Qty,
    /// What the open quantity was bought for; below zero what it was sold for. Exact.
    pub cost: Money,
    /// Fees paid on the open quantity, for the break-even price alone.
    pub open_fees: Money,
    /// Realised since the beginning, before fees.
    pub realized: Money,
    /// Its own margin, part of the wallet; zero for a cross position.
    pub isolated_wallet: Money,
    /// Value of resting buy orders that may open it.
    pub bid_value: Money,
    /// Value of resting sell orders that may open it.
    pub ask_value: Money,
    /// A margin call was sent and the danger has not passed since.
    pub warned: bool,
    /// When it last changed.
    pub updated: Nanos,
}

/// What a fill did to a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Profit realised by the part that closed.
    pub realized: Money,
    /// Quantity closed, zero or more.
    pub closed: Qty,
    /// Value of the part that opened.
    pub opened: Money,
}

impl Position {
    /// Takes a fill in: first what closes, then what opens, so that a flip through zero is both.
    ///
    /// The cost released by a close is cost × closed / quantity, rounded toward zero; what rounding
    /// leaves over stays with the position and is released with its last lot, so nothing is lost.
    pub fn fill(&mut self, side: Side, qty: Qty, px: Px, fee: Money) -> Change {
        let mut change = Change::default();
        let closes = self.closable(side).0.min(qty.0);
        if closes > 0 {
            let open = self.qty.abs().0;
            let released = share(self.cost, closes, open);
            let flow = side.sign() * value(Qty(closes), px).0;
            change.realized = Money(-flow - released.0);
            change.closed = Qty(closes);
            self.cost -= released;
            self.open_fees -= share(self.open_fees, closes, open);
            self.isolated_wallet -= share(self.isolated_wallet, closes, open);
            self.qty += Qty(side.sign() * closes);
            self.realized += change.realized;
        }
        let opens = qty.0 - closes;
        if opens > 0 {
            change.opened = value(Qty(opens), px);
            self.qty += Qty(side.sign() * opens);
            self.cost += Money(side.sign() * change.opened.0);
            self.open_fees += share(fee, opens, qty.0);
        }
        change
    }

    /// Quantity an order of `side` could close.
    pub fn closable(&self, side: Side) -> Qty {
        Qty((-side.sign() * self.qty.0).max(0))
    }

    /// Signed value at a price.
    pub fn notional(&self, px: Px) -> Money {
        value(self.qty, px)
    }

    /// Profit not realised yet at a price.
    pub fn unrealized(&self, px: Px) -> Money {
        self.notional(px) - self.cost
    }

    /// Mean entry price, rounded to the nearest 1e-8; zero when flat.
    pub fn entry_px(&self) -> Px {
        quotient(self.cost, self.qty)
    }

    /// Price at which closing would leave nothing once the fees of entry are paid; zero when flat.
    pub fn break_even_px(&self) -> Px {
        quotient(self.cost + self.open_fees, self.qty)
    }
}

/// Index of a position side among a contract's positions.
pub const fn index_of(side: PositionSide) -> usize {
    match side {
        PositionSide::Both => 0,
        PositionSide::Long => 1,
        PositionSide::Short => 2,
    }
}

/// Quantity × price. Filters keep both far below where it could overflow.
pub fn value(qty: Qty, px: Px) -> Money {
    notional(qty, px).expect("filters bound quantity and price")
}

/// `whole` × `part` / `of`, rounded toward zero; all of it when `part` is `of`.
pub fn share(whole: Money, part: i64, of: i64) -> Money {
    let exact = i128::from(whole.0) * i128::from(part) / i128::from(of);
    Money(i64::try_from(exact).expect("a share is no larger than the whole"))
}

fn quotient(cost: Money, qty: Qty) -> Px {
    if qty.0 == 0 {
        return Px::ZERO;
    }
    let (cost, qty) = (i128::from(cost.0) * i128::from(SCALE), i128::from(qty.0));
    // Numerator and denominator above zero, so that half a unit more rounds to the nearest.
    let (cost, qty) = if qty < 0 { (-cost, -qty) } else { (cost, qty) };
    Px(i64::try_from((cost + qty / 2).div_euclid(qty)).unwrap_or(i64::MAX))
}
