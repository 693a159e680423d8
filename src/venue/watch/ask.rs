//! What is asked to watch the venue and the account, and what answers say.

use super::margin::Bracket;
use crate::base::{Money, Nanos, Px, Qty, Rate, Symbol};
use crate::execution::reconcile::PAGE_ROWS;
use crate::venue::dialect::Paths;
use crate::venue::job::{Access, RestRequest};
use crate::venue::key_rights::{self, KeyRights};
use crate::venue::listing::Bounds;

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The venue's clock.
    Time,
    /// Every contract's state and filters.
    Contracts,
    /// Caps and intervals of funding.
    FundingRules,
    /// Leverage brackets.
    Brackets,
    /// Positions with their margins.
    Positions,
    /// Balance and margins of the account.
    Account,
    /// How the account is set up.
    Modes,
    /// How each symbol of the account is set up.
    SymbolModes,
    /// What the session's key may do, told by the wallet's host.
    KeyRights,
    /// What was earned and paid, oldest first.
    Income {
        /// First time wanted.
        since: Nanos,
        /// Last time wanted.
        until: Nanos,
    },
    /// Our trades of a symbol, oldest first.
    Trades {
        /// Whose.
        symbol: Symbol,
        /// First time wanted.
        since: Nanos,
        /// Last time wanted.
        until: Nanos,
    },
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The venue's time, to the millisecond.
    Time(Nanos),
    /// Every contract.
    Contracts(Vec<Contract>),
    /// Funding rules that are not the ordinary ones.
    FundingRules(Vec<FundingRule>),
    /// Brackets by symbol, lowest first.
    Brackets(Vec<(Symbol, Vec<Bracket>)>),
    /// Positions that are not flat.
    Positions(Vec<Held>),
    /// The account.
    Account(Balance),
    /// How it is set up.
    Modes(Modes),
    /// How each symbol is set up.
    SymbolModes(Vec<SymbolMode>),
    /// What the key may do.
    KeyRights(KeyRights),
    /// What was earned and paid.
    Income(Vec<Income>),
    /// Our trades.
    Trades(Vec<Trade>),
}

/// A contract's state and filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Its symbol.
    pub symbol: Symbol,
    /// Price step.
    pub tick_size: Px,
    /// Quantity step.
    pub lot_size: Qty,
    /// Least quantity.
    pub min_qty: Qty,
    /// Largest quantity.
    pub max_qty: Qty,
    /// Least value.
    pub min_notional: Money,
    /// Hash of every filter as the venue writes it.
    pub filters_hash: u64,
    /// When it is delivered; 0 where it is not told.
    pub delivery: Nanos,
    /// The venue's word for its state, padded with zeros.
    pub state: [u8; 24],
    /// How it bounds prices and orders; else the key that says that it is none to trade.
    pub listed: Result<Bounds, &'static str>,
}

impl Contract {
    /// True while it trades, and is of the sort that is traded.
    pub fn is_trading(&self) -> bool {
        self.state.starts_with(b"TRADING\0") && self.listed.is_ok()
    }
}

/// A contract's rules of funding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundingRule {
    /// Its symbol.
    pub symbol: Symbol,
    /// Largest rate.
    pub cap: Rate,
    /// Hours between two payments.
    pub hours: i64,
}

/// A position with its margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its symbol.
    pub symbol: Symbol,
    /// Signed quantity.
    pub qty: Qty,
    /// Mean entry price.
    pub entry_px: Px,
    /// Mark price.
    pub mark_px: Px,
    /// Price at which it is liquidated; zero for none.
    pub liquidation_px: Px,
    /// Unrealised profit.
    pub unrealised: Money,
    /// Margin it takes.
    pub initial_margin: Money,
    /// Margin below which it is liquidated.
    pub maintenance_margin: Money,
    /// Its own margin without its profit; zero where the whole account stands behind it.
    pub isolated_wallet: Money,
}

/// The account's sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What the wallet holds.
    pub wallet: Money,
    /// The part of it that stands behind positions without a margin of their own.
    pub cross_wallet: Money,
    /// Wallet and unrealised profit.
    pub equity: Money,
    /// Unrealised profit.
    pub unrealised: Money,
    /// Margin taken.
    pub initial_margin: Money,
    /// Equity below which positions are liquidated.
    pub maintenance_margin: Money,
    /// What is left for new orders.
    pub available: Money,
}

/// How the account is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// A symbol may have a long and a short position.
    pub hedged: bool,
    /// Other assets count as margin.
    pub multi_assets: bool,
    /// It may trade.
    pub can_trade: bool,
}

/// How a symbol is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolMode {
    /// Its symbol.
    pub symbol: Symbol,
    /// A position has a margin of its own.
    pub isolated: bool,
    /// Leverage set.
    pub leverage: u32,
}

/// Something earned or paid in the quote currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Income {
    /// Its symbol; `None` for the account as a whole.
    pub symbol: Option<Symbol>,
    /// What for.
    pub sort: IncomeSort,
    /// How much; below zero was paid.
    pub amount: Money,
    /// When.
    pub ts: Nanos,
    /// The venue's number, of its own for each sort.
    pub id: u64,
}

/// What an income is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncomeSort {
    /// Profit or loss of what was closed.
    Realised,
    /// A fee.
    Fee,
    /// Funding.
    Funding,
    /// Anything else: transfers, rebates, insurance.
    Other,
}

/// One of our trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// The venue's number.
    pub id: u64,
    /// Signed quantity: below zero was sold.
    pub qty: Qty,
    /// Price.
    pub px: Px,
    /// Fee in the quote currency; 0 where it was taken in another asset.
    pub fee: Money,
    /// When.
    pub ts: Nanos,
}

impl Ask {
    /// What it costs of the venue's request weight.
    pub const fn weight(&self) -> u32 {
        match self {
            // Counted by a limit of its own.
            Self::FundingRules => 0,
            Self::Time | Self::Contracts | Self::Brackets | Self::KeyRights => 1,
            Self::Positions | Self::Account | Self::Modes | Self::SymbolModes => 5,
            Self::Trades { .. } => 5,
            Self::Income { .. } => 30,
        }
    }

    /// The request, to a venue whose market is told at `paths`.
    pub fn request(&self, paths: &Paths) -> RestRequest {
        use Access::{Public, Signed};
        let new = RestRequest::new;
        let span = |request: RestRequest, since: &Nanos, until: &Nanos| {
            request
                .with("startTime", &since.to_millis().max(0).to_string())
                .with("endTime", &until.to_millis().max(0).to_string())
                .with("limit", &PAGE_ROWS.to_string())
        };
        match self {
            Self::Time => new("GET", paths.time, Public),
            Self::Contracts => new("GET", paths.contracts, Public),
            Self::FundingRules => new("GET", "/fapi/v1/fundingInfo", Public),
            Self::Brackets => new("GET", "/fapi/v1/leverageBracket", Signed),
            Self::Positions => new("GET", "/fapi/v3/positionRisk", Signed),
            Self::Account => new("GET", "/fapi/v3/account", Signed),
            Self::Modes => new("GET", "/fapi/v1/accountConfig", Signed),
            Self::SymbolModes => new("GET", "/fapi/v1/symbolConfig", Signed),
            Self::KeyRights => key_rights::request(),
            Self::Income { since, until } => {
                span(new("GET", "/fapi/v1/income", Signed), since, until)
            }
            Self::Trades { symbol, since, until } => {
                let request = new("GET", "/fapi/v1/userTrades", Signed).with_symbol(symbol);
                span(request, since, until)
            }
        }
    }
}
