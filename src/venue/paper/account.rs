//! The paper venue's own books, in double entry: every posting moves an amount from one account to
//! another, so the four balances always sum to the deposit. Kept apart from our ledger on purpose:
//! the two must agree to the unit.

use crate::base::units::{fee, notional};
use crate::base::{InstrumentId, Money, Px, Qty, Rate, Side};

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    deposit: i128,
    /// What we hold.
    wallet: i128,
    /// What the other traders got for their side of our fills.
    traders: i128,
    /// What the venue got as fees.
    venue: i128,
    /// What the funding counterparties got.
    funding: i128,
    /// Signed positions.
    held: Vec<Qty>,
}

impl Account {
    /// Holds `deposit` and nothing else.
    pub fn new(instrument_count: usize, deposit: Money) -> Self {
        Self {
            deposit: deposit.0.into(),
            wallet: deposit.0.into(),
            traders: 0,
            venue: 0,
            funding: 0,
            held: vec![Qty::ZERO; instrument_count],
        }
    }

    /// Signed position; zero for an instrument not held here.
    pub fn held(&self, instrument: InstrumentId) -> Qty {
        self.held.get(instrument.index()).copied().unwrap_or(Qty::ZERO)
    }

    /// Wallet and the value of every position at `px_of`; `None` beyond the range of money.
    pub fn equity(&self, px_of: impl Fn(InstrumentId) -> Px) -> Option<Money> {
        let mut sum = self.wallet;
        for (index, &qty) in self.held.iter().enumerate() {
            let px = px_of(InstrumentId(u16::try_from(index).ok()?));
            sum += i128::from(notional(qty, px)?.0);
        }
        i64::try_from(sum).ok().map(Money)
    }

    /// True when nothing was made or lost: the balances sum to the deposit.
    pub fn balances(&self) -> bool {
        self.wallet + self.traders + self.venue + self.funding == self.deposit
    }

    /// Posts a fill and its fee; the fee, or `None` (and no posting) beyond the range.
    pub(super) fn post_fill(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        qty: Qty,
        px: Px,
        rate: Rate,
    ) -> Option<Money> {
        let held = self.held.get_mut(instrument.index())?;
        let value = notional(qty, px)?;
        let cost = fee(value, rate)?;
        *held = Qty(held.0.checked_add(side.sign() * qty.0)?);
        let paid = i128::from(side.sign() * value.0);
        self.wallet -= paid + i128::from(cost.0);
        self.traders += paid;
        self.venue += i128::from(cost.0);
        Some(cost)
    }

    /// Posts funding on the whole position: longs pay shorts where `rate` is above zero. The amount
    /// received (below zero: paid), rounded against us; `None` while flat or beyond the range.
    pub(super) fn post_funding(
        &mut self,
        instrument: InstrumentId,
        mark_px: Px,
        rate: Rate,
    ) -> Option<Money> {
        let held = self.held(instrument);
        if held == Qty::ZERO {
            return None;
        }
        let value = notional(Qty(held.0.checked_abs()?), mark_px)?;
        let signed_rate = if held.is_positive() { rate } else { Rate(rate.0.checked_neg()?) };
        let cost = fee(value, signed_rate)?;
        self.wallet -= i128::from(cost.0);
        self.funding += i128::from(cost.0);
        Some(-cost)
    }
}
