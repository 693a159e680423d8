//! The checks of what an order adds up to: with the position, with every order that may still fill,
//! with the other instruments, against the account. All of them are of the worst case.

use super::check::Check;
use super::checks::{
    Answer, Margin, Question, Trip, at_least, at_most, cut, denied, overflow, value_of, worth,
};
use super::limits::Limits;
use super::portfolio::Portfolio;
use crate::base::units::{part_of, quotient};
use crate::base::{Money, Px, Qty, Reason, Side};
use crate::ledger::{Ledger, Position};
use crate::policy::Wanted;

/// An order in the worst case: what several checks ask for, computed once. `None` beyond the range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worst {
    /// Worst of limit price, mark price and opposite touch.
    px: Px,
    /// Quantity of the order.
    wanted: Qty,
    /// Value of the order.
    pub(super) value: i128,
    /// Quantity that the instrument's position may come to with the order.
    qty: i128,
    /// What that is worth, rounded up: a limit is never passed by a fraction.
    pub(super) exposure: Option<i128>,
}

impl Worst {
    #[inline(always)]
    pub(super) fn new(wanted: &Wanted, position: &Position, mark: Px) -> Self {
        let px = wanted.px.max(mark).max(position.ask);
        let (buy, sell) = added(wanted);
        let value = value_of(wanted.qty, px);
        let (qty, exposure) = match position.worst_of_64_bits(buy, sell) {
            Some(qty) => (i128::from(qty), Some(value_of(Qty(qty), px))),
            None => {
                let qty = position.worst_qty(buy, sell);
                (qty, worth(qty, px).ok())
            }
        };
        Self { px, wanted: wanted.qty, value, qty, exposure }
    }

    /// What a quantity is worth; that of the worst case is known.
    fn worth(&self, qty: i128) -> Result<i128, Trip> {
        if qty == self.qty { self.exposure.ok_or(overflow()) } else { worth(qty, self.px) }
    }

    /// Value of the order.
    #[inline]
    pub(super) fn notional(&self) -> Result<Money, Trip> {
        i64::try_from(self.value).map(Money).map_err(|_| overflow())
    }

    /// Value of the order at a price; that at the worst is known.
    #[inline]
    pub(super) fn value_at(&self, px: Px) -> i128 {
        if px == self.px { self.value } else { value_of(self.wanted, px) }
    }
}

/// What the order adds to buys and to sells.
fn added(wanted: &Wanted) -> (Qty, Qty) {
    match wanted.side {
        Side::Buy => (wanted.qty, Qty::ZERO),
        Side::Sell => (Qty::ZERO, wanted.qty),
    }
}

/// What an instrument whose position is worth `worst` and all that move with it, or may, come to;
/// or another that moves with it and all that move with that one, whichever is the most: two that
/// do not move together may both move with a third.
#[inline(never)]
fn most_correlated(ledger: &Ledger, portfolio: &Portfolio, own: usize, worst: i128) -> i128 {
    let others = || ledger.exposed_positions().filter(|&(at, _)| at != own);
    let value = |position: &Position| i128::from(position.exposure.0);
    // All that move with the one at a place, but for it and for the instrument's own.
    let along = |place: usize| -> i128 {
        let along = others().filter(|&(at, _)| at != place && portfolio.together(place, at));
        along.map(|(_, position)| value(position)).sum()
    };
    let all: i128 = others().map(|(_, position)| value(position)).sum();
    let mut most = along(own);
    for (other, position) in others() {
        // There is nothing beside it: so it is wherever nothing is known yet.
        if most == all {
            break;
        }
        if portfolio.together(own, other) {
            most = most.max(value(position) + along(other));
        }
    }
    worst + most
}

/// A hundred times an amount.
fn hundredfold(amount: i128) -> Result<i128, Trip> {
    match i64::try_from(amount) {
        // Of what fits 64 bits it fits 128.
        Ok(amount) => Ok(i128::from(amount) * 100),
        Err(_) => amount.checked_mul(100).ok_or(overflow()),
    }
}

impl Question<'_> {
    #[inline(always)]
    pub(super) fn ask_exposure(&self, check: Check, limits: &Limits) -> Answer {
        match check {
            Check::Position => {
                let value = self.worst_exposure()?;
                at_most(value, limits.position_notional.0, Reason::MaxPosition)
            }
            Check::SymbolBudget => {
                let budget = self.terms.budget.0;
                at_most(self.worst_exposure()?, budget, Reason::MaxSymbolBudget)
            }
            Check::GrossExposure => {
                at_most(self.worst_gross()?, limits.gross_notional.0, Reason::MaxGrossExposure)
            }
            Check::NetExposure => {
                at_most(self.worst_net()?, limits.net_notional.0, Reason::MaxNetExposure)
            }
            Check::Correlated => {
                let value = self.worst_correlated()?;
                at_most(value, limits.correlated_notional.0, Reason::MaxCorrelated)
            }
            Check::Positions => {
                let new = u32::from(!self.position.is_exposed());
                let after = self.ledger.exposed() + new;
                at_most(after.into(), limits.positions.into(), Reason::MaxPositions)
            }
            Check::Leverage => self.leverage(limits),
            Check::Liquidation => self.liquidation(limits),
            Check::Capital => self.capital(limits),
            _ => denied(Reason::InvariantBroken),
        }
    }

    /// Worst-case value of the instrument's position with this order.
    fn worst_exposure(&self) -> Result<i128, Trip> {
        self.worst.exposure.ok_or(overflow())
    }

    fn worst_gross(&self) -> Result<i128, Trip> {
        let others =
            i128::from(self.ledger.gross_exposure().0) - i128::from(self.position.exposure.0);
        Ok(others + self.worst_exposure()?)
    }

    /// The larger of the net values that all buys and no sells, or all sells and no buys, leave.
    #[inline(always)]
    fn worst_net(&self) -> Result<i128, Trip> {
        let (buy, sell) = added(self.wanted);
        let held = i128::from(self.position.qty.0);
        let [long, short] = self.ledger.net_exposure();
        let [own_long, own_short] = self.position.net;
        let most = held + i128::from(self.position.buy_leaves.0) + i128::from(buy.0);
        let least = held - i128::from(self.position.sell_leaves.0) - i128::from(sell.0);
        let long = i128::from(long.0) - i128::from(own_long.0) + self.worst.worth(most)?;
        let short = i128::from(short.0) - i128::from(own_short.0) - self.worst.worth(-least)?;
        Ok(long.abs().max(short.abs()))
    }

    #[inline(always)]
    pub(super) fn worst_correlated(&self) -> Result<i128, Trip> {
        let own = self.wanted.instrument.index();
        Ok(most_correlated(self.ledger, self.portfolio, own, self.worst_exposure()?))
    }

    #[inline(always)]
    fn leverage(&self, limits: &Limits) -> Answer {
        let gross = hundredfold(self.worst_gross()?)?;
        let equity = i128::from(self.equity().0);
        // An order is worth something: without equity none of it fits.
        if gross <= equity * i128::from(limits.leverage_percent) {
            return Ok(Margin::Wide);
        }
        let percent = if equity > 0 { cut((gross + equity - 1) / equity) } else { i64::MAX };
        Err(Trip { reason: Reason::MaxLeverage, value: percent, limit: limits.leverage_percent })
    }

    /// How far prices may go against everything at once before the venue liquidates, with this
    /// order: by our own arithmetic for the account, and by the nearer of the venue's price and
    /// ours for the position that is there.
    #[inline(always)]
    fn liquidation(&self, limits: &Limits) -> Answer {
        let kept = self.ledger.account().map_or(Money::ZERO, |account| account.maintenance_margin);
        let gross = self.worst_gross()?;
        let free = i128::from(self.equity().0) - i128::from(kept.0);
        // An order is worth something: a sum that is not above zero is none of sound books.
        let away = if gross.is_positive() { part_of(free, 10_000, gross) } else { 0 };
        let told = self.ledger.liquidation_bps(self.wanted.instrument).unwrap_or(u32::MAX);
        at_least(away.min(told.into()), limits.liquidation_bps, Reason::LiquidationNear)
    }

    /// The lesser of what our books and the venue say.
    pub(super) fn equity(&self) -> Money {
        let told = self.ledger.account().filter(|_| !self.paper);
        let own = self.ledger.equity();
        told.map_or(own, |account| account.equity.min(own))
    }

    /// Margin in use at the highest allowed leverage, and what was lost, within the capital that is
    /// set, and the capital the session started with: bounds that a wrong reading of the equity
    /// cannot move.
    #[inline(always)]
    fn capital(&self, limits: &Limits) -> Answer {
        let gross = hundredfold(self.worst_gross()?)?;
        let leverage = i128::from(limits.leverage_percent);
        let margin = quotient(gross + leverage - 1, leverage);
        let used = margin + self.lost(limits);
        at_most(used, self.capital_at_risk(limits).0, Reason::MaxCapital)
    }

    /// What was lost today; in a limited stage since the peak, whatever the day: its capital is
    /// lost once.
    fn lost(&self, limits: &Limits) -> i128 {
        let today = i128::from(self.ledger.day_loss().0);
        if !limits.limited {
            return today;
        }
        today.max(i128::from(self.ledger.peak_equity().0) - i128::from(self.ledger.equity().0))
    }

    /// The capital that is set, and no more than the session started with.
    pub(super) fn capital_at_risk(&self, limits: &Limits) -> Money {
        self.ledger.starting_equity().min(limits.capital)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_worth_what_its_price_says_and_at_worst_what_the_dearest_does() {
        let whole = |px| Px::whole(px);
        for (mark, ask, worst) in [(100, 101, 101), (103, 101, 103), (90, 91, 99)] {
            let wanted = Wanted {
                side: Side::Sell,
                qty: Qty::whole(2),
                px: whole(99),
                ..crate::risk::tests::entry()
            };
            let mut position = Position::default();
            (position.qty, position.ask) = (Qty::whole(-1), whole(ask));
            let order = Worst::new(&wanted, &position, whole(mark));
            assert_eq!(order.notional(), Ok(Money::whole(2 * worst)));
            assert_eq!(order.value_at(whole(99)), i128::from(Money::whole(198).0));
            assert_eq!(order.value_at(whole(worst)), i128::from(Money::whole(2 * worst).0));
            // Three are short with it.
            for qty in [3, 1] {
                let told = order.worth(i128::from(Qty::whole(qty).0));
                assert_eq!(told, Ok(i128::from(Money::whole(qty * worst).0)));
            }
        }
    }

    #[test]
    fn a_hundredfold_is_exact_beyond_64_bits_and_an_overflow_beyond_128() {
        let wide = i128::from(i64::MAX);
        for amount in [0, 1, -1, wide, wide + 1, -wide - 1, -wide - 2, i128::MAX / 100] {
            // Ten times, and ten times again.
            let tenfold: i128 = (0..10).map(|_| amount).sum();
            let expected: i128 = (0..10).map(|_| tenfold).sum();
            assert_eq!(hundredfold(amount), Ok(expected), "{amount}");
        }
        assert_eq!(hundredfold(i128::MAX / 100 + 1), Err(overflow()));
    }
}
