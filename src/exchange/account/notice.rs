//! What an account is told of on its user stream, as facts; `wire::user` gives them their words.

use super::order::{Algo, Order, PositionSide, UserTrade};
use crate::base::{Money, Nanos, Px, Qty};

/// One thing to tell one account.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Index of the account.
    pub account: usize,
    /// When it happened.
    pub ts: Nanos,
    /// What happened.
    pub what: News,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An order changed (`ORDER_TRADE_UPDATE`).
    Order {
        /// The order after the change.
        order: Box<Order>,
        /// What happened to it.
        execution: Execution,
        /// The fill, when that is what happened.
        fill: Option<UserTrade>,
        /// Value of the account's open buy and sell orders in this contract.
        open_value: (Money, Money),
    },
    /// A fill, told quickly and in few words (`TRADE_LITE`).
    TradeLite {
        /// The order after the fill.
        order: Box<Order>,
        /// The fill.
        fill: UserTrade,
    },
    /// Balance and positions changed (`ACCOUNT_UPDATE`).
    Account {
        /// Why: `ORDER`, `FUNDING_FEE`, `DEPOSIT`, `MARGIN_TRANSFER`, `MARGIN_TYPE_CHANGE`…
        reason: &'static str,
        /// Index of the contract that caused it; `None` where none did.
        contract: Option<usize>,
        /// Wallet balance after.
        wallet: Money,
        /// The part of it that is not in isolated positions.
        cross_wallet: Money,
        /// Change of the balance other than by profit and fees.
        change: Money,
        /// Positions that changed.
        positions: Vec<PositionNews>,
    },
    /// A conditional order changed (`ALGO_UPDATE`).
    Algo {
        /// The conditional order after the change.
        algo: Box<Algo>,
        /// The order it became, as it stands.
        order: Option<Box<Order>>,
    },
    /// Positions are near liquidation (`MARGIN_CALL`).
    MarginCall {
        /// Wallet balance of cross positions.
        cross_wallet: Money,
        /// The positions.
        positions: Vec<PositionNews>,
    },
    /// Leverage of a contract changed (`ACCOUNT_CONFIG_UPDATE`).
    Leverage {
        /// Index of the contract.
        contract: usize,
        /// The new leverage.
        leverage: u32,
    },
    /// The multi-assets mode changed (`ACCOUNT_CONFIG_UPDATE`).
    MultiAssets {
        /// The new mode.
        on: bool,
    },
    /// The key of the user stream is no longer good (`listenKeyExpired`).
    ListenKeyExpired {
        /// The key.
        key: String,
    },
}

/// What happened to an order (`x`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// Taken on.
    New,
    /// Taken back.
    Canceled,
    /// Ended by liquidation.
    Calculated,
    /// Ended by its own terms.
    Expired,
    /// Filled, wholly or in part.
    Trade,
    /// Price or quantity changed.
    Amendment,
}

impl Execution {
    /// As the protocol spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Canceled => "CANCELED",
            Self::Calculated => "CALCULATED",
            Self::Expired => "EXPIRED",
            Self::Trade => "TRADE",
            Self::Amendment => "AMENDMENT",
        }
    }
}

/// A position as the user stream tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionNews {
    /// Index of the contract.
    pub contract: usize,
    /// Which position.
    pub side: PositionSide,
    /// Signed quantity.
    pub qty: Qty,
    /// Mean entry price.
    pub entry_px: Px,
    /// Price at which closing it would leave nothing, fees included.
    pub break_even_px: Px,
    /// Mark price.
    pub mark_px: Px,
    /// Realised so far, before fees.
    pub realized: Money,
    /// Not realised yet.
    pub unrealized: Money,
    /// Margin is its own.
    pub isolated: bool,
    /// Its own margin; zero for a cross position.
    pub isolated_wallet: Money,
    /// Maintenance margin it requires.
    pub maint_margin: Money,
}
