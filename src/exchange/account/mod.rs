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
//! | `client` | what is kept of one account |
//! | `position`, `margin` | arithmetic of positions and of margin |
//! | `rules`, `refusal` | what the venue refuses, and in which words |
//! | `place`, `settle`, `modify`, `cancel` | the life of an order |
//! | `algo`, `trigger` | conditional orders |
//! | `modes` | hedge and multi-assets mode, leverage, isolated margin |
//! | `rights` | what API keys may do |
//! | `funding`, `liquidation` | what prices and time do to positions |
//! | `balance` | balances and positions at the market's prices |
//! | `outside` | what happens to a wallet apart from trading |
//! | `report` | the ledger as the oracle for money |

mod algo;
mod balance;
mod cancel;
mod client;
mod funding;
pub mod ledger;
mod liquidation;
pub mod margin;
mod modes;
mod modify;
pub mod notice;
pub mod order;
mod outside;
mod place;
pub mod position;
mod refusal;
mod report;
mod rights;
mod rules;
mod settle;
mod trigger;
#[cfg(test)]
mod tests;

use super::flow::market::SyntheticMarket;
use super::spec::SymbolSpec;
use crate::base::{Money, Nanos, Px};
use client::Account;
use ledger::{Cause, Ledger, Place, Posting};
use notice::{News, Notice, PositionNews};
use order::{Algo, Order, OrderName, PositionSide, UserTrade};
use std::collections::{BTreeSet, HashMap};

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

/// A move of isolated margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarginMove {
    /// Index of the contract.
    pub contract: usize,
    /// Which position.
    pub side: PositionSide,
    /// Added; below zero taken.
    pub amount: Money,
    /// When.
    pub ts: Nanos,
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

/// Numbers of orders and of conditional orders begin after these, the magnitudes of real ones.
const LAST_ORDER_ID: u64 = 8_389_765_000;
const LAST_ALGO_ID: u64 = 2_146_700;

/// What happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A GTD order ends.
    GoodTill { account: usize, order: u64 },
    /// A countdown has run out.
    Countdown { account: usize, contract: usize },
    /// Funding is settled.
    Funding { contract: usize },
}

/// All accounts, their orders and the ledger.
#[derive(Debug)]
pub struct Accounts {
    list: Vec<Account>,
    /// By API key: index of the account, and what proves its requests.
    keys: HashMap<String, (usize, Credential)>,
    rights: rights::Rights,
    ledger: Ledger,
    timers: BTreeSet<(Nanos, Timer)>,
    notices: Vec<Notice>,
    /// Where a position changed and what rests may have to follow: account, contract, position.
    touched: Vec<(usize, usize, PositionSide)>,
    /// Resting orders of which the book has served more than their positions allowed: account,
    /// number.
    overtaken: Vec<(usize, u64)>,
    last_order: u64,
    last_algo: u64,
}

impl Accounts {
    /// Opens accounts and posts their deposits.
    pub fn new(settings: &[AccountSettings], specs: &[SymbolSpec], now: Nanos) -> Self {
        let mut ledger = Ledger::new(settings.len());
        let mut keys = HashMap::new();
        let mut list = Vec::new();
        for (index, AccountSettings { keys: own, deposit, leverage }) in settings.iter().enumerate()
        {
            let first = own.first().map(|(key, _)| key.clone()).unwrap_or_default();
            list.push(Account::new(first, specs, *leverage, now));
            keys.extend(own.iter().map(|(key, proof)| (key.clone(), (index, proof.clone()))));
            ledger.post(Posting {
                id: 0,
                ts: now,
                from: Place::Outside,
                to: Place::Wallet(index),
                amount: *deposit,
                cause: Cause::Deposit,
                contract: None,
                trade_id: 0,
            });
        }
        let funding = |(contract, spec): (usize, &SymbolSpec)| {
            (spec.next_funding(now), Timer::Funding { contract })
        };
        Self {
            list,
            keys,
            rights: rights::Rights::new(),
            ledger,
            timers: specs.iter().enumerate().map(funding).collect(),
            notices: Vec::new(),
            touched: Vec::new(),
            overtaken: Vec::new(),
            last_order: LAST_ORDER_ID,
            last_algo: LAST_ALGO_ID,
        }
    }

    /// Index of the account of an API key, and what proves requests with it.
    pub fn find_key(&self, api_key: &str) -> Option<(usize, &Credential)> {
        self.keys.get(api_key).map(|(index, proof)| (*index, proof))
    }

    /// Number of accounts.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True without accounts.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// When something next happens by itself: GTD ends, countdowns, funding.
    pub fn next_due(&self) -> Nanos {
        self.timers.first().map_or(Nanos(i64::MAX), |(when, _)| *when)
    }

    /// Lets everything happen that is due by `now`.
    pub fn on_due(&mut self, market: &mut SyntheticMarket, now: Nanos) {
        while let Some(&(when, timer)) = self.timers.first()
            && when <= now
        {
            self.timers.pop_first();
            match timer {
                Timer::GoodTill { account, order } => {
                    self.end_good_till(market, account, order, now)
                }
                Timer::Countdown { account, contract } => {
                    self.list[account].slots[contract].countdown = Nanos::ZERO;
                    self.cancel_all(market, account, contract, now);
                }
                Timer::Funding { contract } => {
                    self.settle_funding(market, contract, now);
                    let next = market.spec(contract).next_funding(when);
                    self.timers.insert((next, timer));
                }
            }
        }
    }

    /// What accounts are to be told since the last call, in order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// An order, open or ended, by name.
    pub fn order(&self, account: usize, contract: usize, name: &OrderName) -> Option<&Order> {
        let account = &self.list[account];
        account.orders.get(&account.find(contract, name)?)
    }

    /// An account's orders in order of their numbers, ended ones included.
    pub fn orders(&self, account: usize) -> impl DoubleEndedIterator<Item = &Order> {
        self.list[account].orders.values()
    }

    /// An account's resting orders in a contract, in order of their numbers.
    pub fn open_orders(
        &self,
        account: usize,
        contract: usize,
    ) -> impl DoubleEndedIterator<Item = &Order> {
        let account = &self.list[account];
        account.slots[contract].open.iter().filter_map(|id| account.orders.get(id))
    }

    /// A conditional order, open or ended, by name.
    pub fn algo(&self, account: usize, name: &OrderName) -> Option<&Algo> {
        let account = &self.list[account];
        account.algos.get(&account.find_algo(name)?)
    }

    /// An account's conditional orders in order of their numbers, ended ones included.
    pub fn algos(&self, account: usize) -> impl DoubleEndedIterator<Item = &Algo> {
        self.list[account].algos.values()
    }

    /// An account's fills in order of time.
    pub fn trades(&self, account: usize) -> &[UserTrade] {
        &self.list[account].trades
    }

    /// Every posting, in order.
    pub fn postings(&self) -> &[Posting] {
        self.ledger.postings()
    }

    /// What is at a place of the ledger, and what it adds up to.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn tell(&mut self, account: usize, ts: Nanos, what: News) {
        self.notices.push(Notice { account, ts, what });
    }
}
