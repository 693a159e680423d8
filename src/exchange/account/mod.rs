//! Accounts: orders, positions, margin, and the ledger that is the oracle for money.
//!
//! ```text
//!   request ─► place / modify / cancel ─┬─► book (flow::client) ─► fills ─┐
//!   crowd's fills ──────────────────────┘                                 ▼
//!   mark price, timers ─► algo triggers, funding, liquidation ─►  settle: ledger, position, order
//!                                                                         │
//!                                                                         ▼
//!                                                              Notice: what the user stream tells
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `order` | orders as they are asked for, kept and told |
//! | `ledger` | every posting, in double entry and whole units |
//! | `notice` | what an account is told of |

pub mod ledger;
pub mod notice;
pub mod order;

use super::flow::contract::Fill;
use super::flow::market::SyntheticMarket;
use super::spec::SymbolSpec;
use super::wire::error::VenueError;
use crate::base::{Money, Nanos, Px};
use ledger::Posting;
use notice::{Notice, PositionNews};
use order::{Algo, NewAlgo, NewOrder, Order, OrderName, PositionSide, UserTrade};

/// What proves that a request is an account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// HMAC-SHA256 with this secret.
    Hmac(String),
    /// Ed25519: the public key, 32 bytes.
    Ed25519([u8; 32]),
}

/// An account to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// API keys and what proves each.
    pub keys: Vec<(String, Credential)>,
    /// USDT paid in.
    pub deposit: Money,
    /// Leverage of every contract at first.
    pub leverage: u32,
}

/// A change of an order's price and quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// Index of the contract.
    pub contract: usize,
    /// Must be the order's side; `None` where it was not sent.
    pub side: Option<crate::base::Side>,
    /// New quantity.
    pub qty: crate::base::Qty,
    /// New price.
    pub px: Px,
}

/// Balances and margin of one account, all in USDT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Wallet balance.
    pub wallet: Money,
    /// The part of it that is not in isolated positions.
    pub cross_wallet: Money,
    /// Profit of open positions.
    pub unrealized: Money,
    /// Profit of open cross positions.
    pub cross_unrealized: Money,
    /// Initial margin of positions.
    pub position_margin: Money,
    /// Initial margin of open orders.
    pub order_margin: Money,
    /// Maintenance margin.
    pub maint_margin: Money,
    /// What new orders may use.
    pub available: Money,
    /// When it last changed.
    pub updated: Nanos,
}

/// A position with what REST tells beyond the stream's news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionView {
    /// As the stream tells it.
    pub news: PositionNews,
    /// Signed value at the mark price.
    pub notional: Money,
    /// Initial margin of the position.
    pub position_margin: Money,
    /// Initial margin of open orders on its side.
    pub order_margin: Money,
    /// Value of open buy orders.
    pub bid_notional: Money,
    /// Value of open sell orders.
    pub ask_notional: Money,
    /// Price at which it would be liquidated; zero where none would.
    pub liquidation_px: Px,
    /// Leverage of the contract.
    pub leverage: u32,
    /// Largest value at this leverage.
    pub max_notional: Money,
    /// When it last changed.
    pub updated: Nanos,
    /// Signed exact cost of entry: what the open quantity was bought (above zero) or sold for.
    pub cost: Money,
}

/// All accounts, their orders and the ledger.
#[derive(Debug)]
pub struct Accounts {}

impl Accounts {
    /// Opens accounts and posts their deposits.
    pub fn new(_settings: &[AccountSettings], _specs: &[SymbolSpec], _now: Nanos) -> Self {
        Self {}
    }

    /// Index of the account of an API key, and what proves requests with it.
    pub fn find_key(&self, _api_key: &str) -> Option<(usize, &Credential)> {
        None
    }

    /// Takes an order on, lets it take, rests or ends it. The order as it stands after that.
    ///
    /// # Errors
    /// The venue's refusal; nothing has changed then.
    pub fn place(
        &mut self,
        _market: &mut SyntheticMarket,
        _account: usize,
        _new: &NewOrder,
        _now: Nanos,
    ) -> Result<Order, VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// Checks an order as [`Accounts::place`] does, and does nothing.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn test(
        &self,
        _market: &SyntheticMarket,
        _account: usize,
        _new: &NewOrder,
        _now: Nanos,
    ) -> Result<(), VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// Changes price and quantity of a limit order; it loses its place in the queue.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn modify(
        &mut self,
        _market: &mut SyntheticMarket,
        _account: usize,
        _name: &OrderName,
        _change: &Amendment,
        _now: Nanos,
    ) -> Result<Order, VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// Takes an order back.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn cancel(
        &mut self,
        _market: &mut SyntheticMarket,
        _account: usize,
        _contract: usize,
        _name: &OrderName,
        _now: Nanos,
    ) -> Result<Order, VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// Takes all of an account's orders in a contract back; how many there were.
    pub fn cancel_all(
        &mut self,
        _market: &mut SyntheticMarket,
        _account: usize,
        _contract: usize,
        _now: Nanos,
    ) -> usize {
        0
    }

    /// Takes all orders of a contract back when `after` has passed without another call; zero calls
    /// it off.
    pub fn countdown(&mut self, _account: usize, _contract: usize, _after: Nanos, _now: Nanos) {}

    /// Takes a conditional order on.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn place_algo(
        &mut self,
        _market: &mut SyntheticMarket,
        _account: usize,
        _new: &NewAlgo,
        _now: Nanos,
    ) -> Result<Algo, VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// Takes a conditional order back, by its number or its client's name.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn cancel_algo(
        &mut self,
        _account: usize,
        _name: &OrderName,
        _now: Nanos,
    ) -> Result<Algo, VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// Takes all conditional orders of a contract back; how many there were.
    pub fn cancel_all_algos(&mut self, _account: usize, _contract: usize, _now: Nanos) -> usize {
        0
    }

    /// Hedge mode on or off.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn set_hedge(&mut self, _account: usize, _on: bool) -> Result<(), VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// True in hedge mode.
    pub fn is_hedge(&self, _account: usize) -> bool {
        false
    }

    /// Multi-assets mode on or off.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn set_multi_assets(
        &mut self,
        _account: usize,
        _on: bool,
        _now: Nanos,
    ) -> Result<(), VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// True in multi-assets mode.
    pub fn is_multi_assets(&self, _account: usize) -> bool {
        false
    }

    /// Sets a contract's leverage; the largest position value it allows.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn set_leverage(
        &mut self,
        _market: &SyntheticMarket,
        _account: usize,
        _contract: usize,
        _leverage: u32,
        _now: Nanos,
    ) -> Result<Money, VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// Sets a contract's margin to be the position's own, or shared.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn set_isolated(
        &mut self,
        _account: usize,
        _contract: usize,
        _isolated: bool,
    ) -> Result<(), VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// True where a contract's margin is the position's own.
    pub fn is_isolated(&self, _account: usize, _contract: usize) -> bool {
        false
    }

    /// Adds to or takes from an isolated position's margin.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn move_margin(
        &mut self,
        _market: &SyntheticMarket,
        _account: usize,
        _contract: usize,
        _side: PositionSide,
        _amount: Money,
        _now: Nanos,
    ) -> Result<(), VenueError> {
        Err(VenueError::BAD_KEY)
    }

    /// Takes in what the crowd did to resting orders.
    pub fn on_fills(&mut self, _market: &mut SyntheticMarket, _fills: &[(usize, Fill)]) {}

    /// A price moved (last trade or mark): conditional orders, margin calls, liquidation.
    pub fn on_prices(&mut self, _market: &mut SyntheticMarket, _contract: usize, _now: Nanos) {}

    /// When something next happens by itself: GTD ends, countdowns, funding.
    pub fn next_due(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    /// Lets everything happen that is due by `now`.
    pub fn on_due(&mut self, _market: &mut SyntheticMarket, _now: Nanos) {}

    /// What accounts are to be told since the last call, in order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// An order, open or ended, by name.
    pub fn order(&self, _account: usize, _contract: usize, _name: &OrderName) -> Option<&Order> {
        None
    }

    /// An account's orders in order of their numbers, ended ones included.
    pub fn orders(&self, _account: usize) -> impl DoubleEndedIterator<Item = &Order> {
        [].iter()
    }

    /// A conditional order, open or ended, by name.
    pub fn algo(&self, _account: usize, _name: &OrderName) -> Option<&Algo> {
        None
    }

    /// An account's conditional orders in order of their numbers, ended ones included.
    pub fn algos(&self, _account: usize) -> impl DoubleEndedIterator<Item = &Algo> {
        [].iter()
    }

    /// An account's fills in order of time.
    pub fn trades(&self, _account: usize) -> &[UserTrade] {
        &[]
    }

    /// Every posting, in order.
    pub fn postings(&self) -> &[Posting] {
        &[]
    }

    /// Balances and margin at the market's prices.
    pub fn balance(&self, _market: &SyntheticMarket, _account: usize) -> Balance {
        Balance::default()
    }

    /// Positions of an account: in one-way mode one per contract, in hedge mode two.
    pub fn positions(&self, _market: &SyntheticMarket, _account: usize) -> Vec<PositionView> {
        Vec::new()
    }

    /// `GET /sim/ledger`: every order, fill, fee and balance in whole 1e-8 units.
    pub fn report(&self, _market: &SyntheticMarket, _now: Nanos) -> serde_json::Value {
        serde_json::Value::Null
    }
}
