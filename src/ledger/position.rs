//! One instrument's position in exact integers.
//!
//! ```text
//!   cost      what was paid to hold the position: long above zero, short below
//!   value     qty × valuation price, rounded toward zero to 1e-8
//!   realised + unrealised = value − Σ (signed fill values)          always, to the unit
//! ```
//! A fill's value is rounded once, to 1e-8, when it is booked. A reduction takes the cost's share
//! `cost × closed / held` (rounded toward zero); what rounding leaves stays in the cost, so nothing
//! is lost or made, however many parts a position is closed in.

use super::{OpenOrder, Resting, Stage};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::units::{SCALE, notional};
use crate::base::{Money, Nanos, Px, Qty, Side};

const _: () = assert!(OPEN_ORDERS_MAX < u16::MAX as usize, "live orders are counted in u16");

/// See the head of this file. Written by the ledger alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Signed quantity.
    pub qty: Qty,
    /// Signed cost of the open quantity.
    pub cost: Money,
    /// Closed profit, before fees and funding.
    pub realised: Money,
    /// Fees paid; below zero is a net rebate.
    pub fees: Money,
    /// Funding received; below zero is paid.
    pub funding: Money,
    /// `value − cost` at [`Position::value_px`].
    pub unrealised: Money,
    /// When the position was opened or last changed its sign; 0 while flat.
    pub opened_at: Nanos,
    /// Best bid, 0 before the first.
    pub bid: Px,
    /// Best ask, 0 before the first.
    pub ask: Px,
    /// When the touch was last told.
    pub touched_at: Nanos,
    /// When the venue says it told the newest touch, by its own clock; 0 where it does not.
    pub told_at: Nanos,
    /// The venue's mark price, 0 before the first.
    pub mark_px: Px,
    /// When the mark price was last told.
    pub marked_at: Nanos,
    /// What the position is valued at: mark price, else mid, else the last fill.
    pub value_px: Px,
    /// Still to fill of our live buy orders, worst case.
    pub buy_leaves: Qty,
    /// Still to fill of our live sell orders, worst case.
    pub sell_leaves: Qty,
    /// The nearest prices of those orders.
    pub resting: Resting,
    /// Live orders that enter or leave.
    pub open_orders: u16,
    /// Orders of unknown outcome among them.
    pub unknown_orders: u16,
    /// Live protective stops; not among the counts and sums above.
    pub stops: u16,
    /// Protective stops that the venue refused since it last accepted one for this position.
    pub stop_refusals: u8,
    /// A stop was refused because the price is beyond it: the position must be left.
    pub stop_passed: bool,
    /// Worst-case value, see [`Position::worst_qty`].
    pub exposure: Money,
    /// Average true range the position was opened with; 0 while flat or not known.
    pub entry_atr: Px,
    /// Distance from the entry price at which the profit is taken; 0 while flat or not known.
    pub target_px: Px,
    /// Best price the position could have been left at since it was opened: the highest bid of a
    /// long one, the lowest ask of a short one, its first fill included; 0 while flat.
    pub best_px: Px,
    /// Signed value if every live buy fills and no sell does, and the other way round.
    pub net: [Money; 2],
    /// Result since the position was opened, after fees and funding.
    pub(super) trip: Money,
}

/// What a position has earned, closed and open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Earned {
    pub(super) realised: Money,
    pub(super) unrealised: Money,
    pub(super) fees: Money,
    pub(super) funding: Money,
}

/// What a position may come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) exposure: Money,
    pub(super) net: [Money; 2],
    pub(super) exposed: bool,
}

/// What a position adds to the ledger's sums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) result: Earned,
    pub(super) extent: Extent,
}

/// What a fill did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Profit closed by this fill, before its fee.
    pub realised: Money,
    /// Net result of the round trip that this fill ended: realised − fees + funding.
    pub closed: Option<Money>,
}

impl Position {
    /// Average entry price, rounded toward zero; zero while flat.
    pub fn average_px(&self) -> Px {
        if self.qty == Qty::ZERO {
            return Px::ZERO;
        }
        let px = i128::from(self.cost.0) * i128::from(SCALE) / i128::from(self.qty.0);
        Px(i64::try_from(px).unwrap_or(i64::MAX))
    }

    /// True while there is a position, or an order that may make one.
    pub fn is_exposed(&self) -> bool {
        self.qty != Qty::ZERO || self.open_orders > 0
    }

    /// True when both sides of the touch are known and not crossed.
    pub fn has_touch(&self) -> bool {
        self.bid.is_positive() && self.bid < self.ask
    }

    /// Age of the touch: of its receipt or, where the venue tells one, of its making. What was held
    /// up on its way is old though it has just come.
    pub fn touch_age(&self, now: Nanos) -> Nanos {
        let told = if self.told_at > Nanos::ZERO { now - self.told_at } else { Nanos::ZERO };
        (now - self.touched_at).max(told)
    }

    /// Middle of the touch, rounded down; zero without a touch.
    pub fn mid(&self) -> Px {
        if self.has_touch() { Px(self.bid.0 + (self.ask.0 - self.bid.0) / 2) } else { Px::ZERO }
    }

    /// Largest magnitude the position can reach if any of our live orders, and `buy` and `sell`
    /// more, fill (RC-05). An order of unknown outcome counts as open and as filled, whichever is
    /// worse: its whole leaves are in the sum of its own side and never offset the other side. Nor
    /// does what is held offset orders that would turn it: it may be left before they fill, and
    /// nothing keeps an exit from leaving it.
    pub fn worst_qty(&self, buy: Qty, sell: Qty) -> i128 {
        let held = i128::from(self.qty.0);
        let long = held.max(0) + i128::from(self.buy_leaves.0) + i128::from(buy.0);
        let short = held.min(0) - i128::from(self.sell_leaves.0) - i128::from(sell.0);
        long.max(-short)
    }

    /// The same where it fits 64 bits, as it nearly always does.
    #[inline]
    pub fn worst_of_64_bits(&self, buy: Qty, sell: Qty) -> Option<i64> {
        let held = self.qty.0;
        let long = held.max(0).checked_add(self.buy_leaves.0)?.checked_add(buy.0)?;
        let short = held.min(0).checked_sub(self.sell_leaves.0)?.checked_sub(sell.0)?;
        Some(long.max(short.checked_neg()?))
    }

    /// Books a fill. `None` leaves the position as it was: the numbers left the fixed-point range.
    pub(super) fn fill(
        &mut self,
        side: Side,
        qty: Qty,
        px: Px,
        fee: Money,
        now: Nanos,
    ) -> Option<Booked> {
        let sign = side.sign();
        let held = self.qty.0;
        let value = notional(qty, px)?;
        let closing = if held.signum() == -sign { qty.0.min(held.checked_abs()?) } else { 0 };
        let mut next = *self;
        let mut closed_value = Money::ZERO;
        let mut realised = Money::ZERO;
        if closing > 0 {
            closed_value = notional(Qty(closing), px)?;
            let share = i128::from(self.cost.0) * i128::from(closing) / i128::from(held.abs());
            let share = i64::try_from(share).ok()?;
            realised = Money((-sign * closed_value.0).checked_sub(share)?);
            next.cost = Money(self.cost.0.checked_sub(share)?);
        }
        next.qty = Qty(held.checked_add(sign * qty.0)?);
        next.cost = Money(next.cost.0.checked_add(sign * (value.0 - closed_value.0))?);
        next.realised = next.realised.checked_add(realised)?;
        next.fees = next.fees.checked_add(fee)?;
        next.trip = Money(next.trip.0.checked_add(realised.0)?.checked_sub(fee.0)?);
        let ended = closing > 0 && (next.qty == Qty::ZERO || closing < qty.0);
        let closed = ended.then_some(next.trip);
        if ended {
            next.trip = Money::ZERO;
            (next.stop_refusals, next.stop_passed) = (0, false);
        }
        if next.qty == Qty::ZERO {
            next.opened_at = Nanos::ZERO;
        } else if held == 0 || ended {
            next.opened_at = now;
        }
        if next.value_px == Px::ZERO {
            next.value_px = px;
        }
        next.revalue()?;
        *self = next;
        Some(Booked { realised, closed })
    }

    /// Notes what an entry was decided with, after a fill of it at `px`. `held` is the quantity
    /// before: only what opens a position decides how it is left.
    pub(super) fn plan(&mut self, held: Qty, atr_px: Px, target_px: Px, px: Px) {
        if self.qty == Qty::ZERO {
            (self.entry_atr, self.target_px, self.best_px) = (Px::ZERO, Px::ZERO, Px::ZERO);
        } else if held.0.signum() != self.qty.0.signum() {
            (self.entry_atr, self.target_px, self.best_px) = (atr_px, target_px, px);
        }
    }

    /// Notes the side of the touch that the position could be left at.
    pub(super) fn reach_touch(&mut self) {
        if self.has_touch() {
            self.reach(if self.qty.is_positive() { self.bid } else { self.ask });
        }
    }

    /// Notes a price that the position could be left at.
    pub(super) fn reach(&mut self, px: Px) {
        if self.qty == Qty::ZERO || !px.is_positive() {
            return;
        }
        self.best_px = match self.best_px {
            Px::ZERO => px,
            best if self.qty.is_positive() => best.max(px),
            best => best.min(px),
        };
    }

    /// Books a funding payment; `None` beyond the range.
    pub(super) fn pay_funding(&mut self, amount: Money) -> Option<()> {
        let funding = self.funding.checked_add(amount)?;
        let trip = self.trip.checked_add(amount)?;
        self.funding = funding;
        if self.qty != Qty::ZERO {
            self.trip = trip;
        }
        Some(())
    }

    /// Adds one of its live orders to its sums.
    #[inline]
    pub(super) fn count(&mut self, order: &OpenOrder) {
        if order.protects() {
            self.stops += 1;
            return;
        }
        let sum = match order.side {
            Side::Buy => &mut self.buy_leaves,
            Side::Sell => &mut self.sell_leaves,
        };
        *sum = Qty(sum.0.saturating_add(order.leaves().0));
        self.resting.take(order);
        self.open_orders += 1;
        self.unknown_orders += u16::from(order.stage == Stage::Unknown);
    }

    /// What it adds to the ledger's sums.
    #[inline]
    pub(super) fn part(&self) -> Part {
        Part {
            result: Earned {
                realised: self.realised,
                unrealised: self.unrealised,
                fees: self.fees,
                funding: self.funding,
            },
            extent: self.extent(),
        }
    }

    /// What it may come to.
    #[inline]
    pub(super) fn extent(&self) -> Extent {
        Extent { exposure: self.exposure, net: self.net, exposed: self.is_exposed() }
    }

    /// Brings the valuation price, the unrealised profit and the exposure up to date; `None` beyond
    /// the range.
    pub(super) fn revalue(&mut self) -> Option<()> {
        if self.mark_px.is_positive() {
            self.value_px = self.mark_px;
        } else if self.has_touch() {
            self.value_px = self.mid();
        }
        if self.qty == Qty::ZERO && self.open_orders == 0 {
            // Flat, the usual case: a closed position has no cost left.
            (self.unrealised, self.exposure) = (Money::ZERO, Money::ZERO);
            self.net = [Money::ZERO; 2];
            return Some(());
        }
        let value = notional(self.qty, self.value_px)?;
        self.unrealised = Money(value.0.checked_sub(self.cost.0)?);
        self.expose([Side::Buy, Side::Sell])
    }

    /// Brings the exposure up to date after orders of these sides were counted; the rest of the
    /// position is valued. `None` beyond the range.
    pub(super) fn expose<const N: usize>(&mut self, sides: [Side; N]) -> Option<()> {
        let worst = self.worst_of_64_bits(Qty::ZERO, Qty::ZERO)?;
        let mut exposure = None;
        for side in sides {
            let leaves = if side == Side::Buy { self.buy_leaves } else { self.sell_leaves };
            let most = Qty(self.qty.0.checked_add(side.sign().checked_mul(leaves.0)?)?);
            let value = notional(most, self.value_px)?;
            self.net[side as usize] = value;
            // Mostly the worst case is that all orders of one side fill.
            if most.0.checked_mul(side.sign()) == Some(worst) {
                exposure = value.0.checked_mul(side.sign()).map(Money);
            }
        }
        self.exposure = exposure.or_else(|| notional(Qty(worst), self.value_px))?;
        Some(())
    }
}
