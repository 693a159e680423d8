//! The ledger: every amount that moved, from one account to another, in whole 1e-8 units. Nothing is
//! made or lost: the balances always sum to zero, deposits being what the outside world paid in.

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
    /// How much.
    pub amount: Money,
    /// Why.
    pub cause: Cause,
    /// Index of the contract; `None` for deposits.
    pub contract: Option<usize>,
    /// The trade that caused it; 0 where none did.
    pub trade_id: i64,
}
