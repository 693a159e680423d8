//! The account of a champion since it trades: the equity at which it began, and what came of its
//! own positions. Another champion begins anew, so none answers for the one before it.

use super::account::Account;
use super::books::Books;
use crate::base::Event;

/// Units of a whole, 1e-8.
const UNIT: f64 = 1e8;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Reign {
    books: Books,
    /// Tag of the model.
    tag: u64,
    /// What the account was worth when its books began, 1e-8.
    equity_before: i64,
    /// Equity at which it began to trade, quote currency.
    begun_at: f64,
    /// What its closed positions came to, 1e-8.
    banked: i64,
    account: Account,
    sharpe_min: f64,
}

impl Reign {
    /// Of the model with this tag. The books begin as they are at an equity of `equity` (1e-8);
    /// hours with a short Sharpe ratio below `sharpe_min` are counted.
    pub fn new(books: Books, equity: i64, tag: u64, sharpe_min: f64) -> Self {
        let equity_before = equity.saturating_sub(books.all());
        let mut reign = Self {
            books,
            tag,
            equity_before,
            begun_at: 0.0,
            banked: 0,
            account: Account::default(),
            sharpe_min,
        };
        reign.begin(tag);
        reign
    }

    /// Another champion begins; nothing of what was before counts for it.
    pub fn begin(&mut self, tag: u64) {
        self.tag = tag;
        self.begun_at = self.equity_before.saturating_add(self.books.all()) as f64 / UNIT;
        // What it holds already is where it begins.
        self.banked = self.books.open(tag).saturating_neg();
        self.account = Account::of(self.begun_at);
    }

    /// Goes on with an account that was kept, of the same champion in a session before, and what
    /// that one had come to without its open positions, 1e-8.
    pub fn resume(&mut self, account: Account, closed: i64) {
        self.begun_at = closed as f64 / UNIT;
        self.account = account;
    }

    /// What it began with and what its closed positions came to, 1e-8.
    pub fn closed(&self) -> i64 {
        ((self.begun_at * UNIT) as i64).saturating_add(self.banked)
    }

    /// Takes in a record of lane 1 or 2.
    pub fn note(&mut self, event: &Event) {
        if let Some(moved) = self.books.note(event)
            && moved.owner == self.tag
        {
            self.banked = self.banked.saturating_add(moved.change);
            if let Some(pnl) = moved.closed {
                self.account.closed(pnl as f64 / UNIT);
            }
        }
        let own = self.banked.saturating_add(self.books.open(self.tag));
        let equity = self.begun_at + own as f64 / UNIT;
        self.account.worth(event.now().0, equity, self.sharpe_min);
    }

    /// What it has come to.
    pub const fn account(&self) -> &Account {
        &self.account
    }
}
