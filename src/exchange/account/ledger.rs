//! The ledger: every amount that moved, from one account to another, in whole 1e-8 units. Nothing
//! is made or lost: the balances always sum to zero, deposits being what the outside world paid in.

use crate::base::{Money, Nanos};

/// Where an amount can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Outside the venue: where deposits come from.
    Outside,
    /// A client's wallet, by index of the account.
    Wallet(usize),
    /// Profit and loss of everybody's positions.
    Positions,
    /// The venue's fees.
    Fees,
    /// Funding between longs and shorts.
    Funding,
    /// The insurance fund.
    Insurance,
}

/// Why an amount moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Paid in.
    Deposit,
    /// Profit or loss of a closed position.
    RealizedPnl,
    /// Fee of a fill.
    Commission,
    /// Funding.
    FundingFee,
    /// Fee of a liquidation.
    InsuranceClear,
}

impl Cause {
    /// As the protocol spells it (`incomeType`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposit => "TRANSFER",
            Self::RealizedPnl => "REALIZED_PNL",
            Self::Commission => "COMMISSION",
            Self::FundingFee => "FUNDING_FEE",
            Self::InsuranceClear => "INSURANCE_CLEAR",
        }
    }
}

/// One posting: `amount` leaves `from` and arrives at `to`. Below zero it went the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Number, from 1.
    pub id: u64,
    /// When.
    pub ts: Nanos,
    /// Payer.
    pub from: Place,
    /// Payee.
    pub to: Place,
    /// How much, not zero.
    pub amount: Money,
    /// Why.
    pub cause: Cause,
    /// Index of the contract; `None` for deposits.
    pub contract: Option<usize>,
    /// The trade that caused it; 0 where none did.
    pub trade_id: i64,
}

/// Postings kept; the oldest quarter is forgotten beyond it. Balances and totals are kept apart.
pub const POSTINGS_MAX: usize = 500_000;

/// What moved into an account's wallet since the beginning, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Paid in.
    pub deposit: Money,
    /// Profit of closed positions.
    pub realized: Money,
    /// Fees paid.
    pub fees: Money,
    /// Funding received less paid.
    pub funding: Money,
    /// Received from the insurance fund less paid to it.
    pub insurance: Money,
}

impl Totals {
    /// The wallet that follows from them.
    pub fn wallet(&self) -> Money {
        self.deposit + self.realized - self.fees + self.funding + self.insurance
    }
}

/// All postings and what they add up to.
#[derive(Debug)]
pub struct Ledger {
    postings: Vec<Posting>,
    last: u64,
    wallets: Vec<Money>,
    totals: Vec<Totals>,
    outside: Money,
    positions: Money,
    fees: Money,
    funding: Money,
    insurance: Money,
}

impl Ledger {
    /// An empty ledger of so many wallets.
    pub fn new(wallets: usize) -> Self {
        Self {
            postings: Vec::new(),
            last: 0,
            wallets: vec![Money::ZERO; wallets],
            totals: vec![Totals::default(); wallets],
            outside: Money::ZERO,
            positions: Money::ZERO,
            fees: Money::ZERO,
            funding: Money::ZERO,
            insurance: Money::ZERO,
        }
    }

    /// Moves an amount, under the next number; nothing is posted where nothing moves.
    pub fn post(&mut self, posting: Posting) {
        let Posting { from, to, amount, cause, .. } = posting;
        if amount == Money::ZERO {
            return;
        }
        *self.place(from) -= amount;
        *self.place(to) += amount;
        for (place, amount) in [(from, -amount), (to, amount)] {
            let Place::Wallet(account) = place else { continue };
            let totals = &mut self.totals[account];
            match cause {
                Cause::Deposit => totals.deposit += amount,
                Cause::RealizedPnl => totals.realized += amount,
                Cause::Commission => totals.fees -= amount,
                Cause::FundingFee => totals.funding += amount,
                Cause::InsuranceClear => totals.insurance += amount,
            }
        }
        if self.postings.len() == POSTINGS_MAX {
            self.postings.drain(..POSTINGS_MAX / 4);
        }
        self.last += 1;
        self.postings.push(Posting { id: self.last, ..posting });
    }

    /// Every posting kept, in order.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// What is at a place.
    pub fn balance(&self, place: Place) -> Money {
        match place {
            Place::Outside => self.outside,
            Place::Wallet(account) => self.wallets[account],
            Place::Positions => self.positions,
            Place::Fees => self.fees,
            Place::Funding => self.funding,
            Place::Insurance => self.insurance,
        }
    }

    /// What moved into a wallet, by cause.
    pub fn totals(&self, account: usize) -> &Totals {
        &self.totals[account]
    }

    /// True when nothing was made or lost: all places sum to zero, and every wallet is what its
    /// totals say.
    pub fn is_balanced(&self) -> bool {
        let shared = [self.outside, self.positions, self.fees, self.funding, self.insurance];
        let sum: i128 = shared.iter().chain(&self.wallets).map(|place| i128::from(place.0)).sum();
        let agree = |(wallet, totals): (&Money, &Totals)| *wallet == totals.wallet();
        sum == 0 && self.wallets.iter().zip(&self.totals).all(agree)
    }

    fn place(&mut self, place: Place) -> &mut Money {
        match place {
            Place::Outside => &mut self.outside,
            Place::Wallet(account) => &mut self.wallets[account],
            Place::Positions => &mut self.positions,
            Place::Fees => &mut self.fees,
            Place::Funding => &mut self.funding,
            Place::Insurance => &mut self.insurance,
        }
    }
}
