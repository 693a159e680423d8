//! Orders, money and margin, checked by hand calculation and against the venue's published numbers.

mod algos;
mod funding;
mod liquidation;
mod margins;
mod memory;
mod orders;
mod property;
mod reduce_only;
mod refusals;
mod self_trade;
mod stream;

use super::order::{NewOrder, OrderKind, OrderName, PriceMatch, TimeInForce};
use super::*;
use crate::base::{Qty, Side};
use crate::exchange::matching::{Book, SelfTrade};
use crate::exchange::wire::error::VenueError;

const START: Nanos = Nanos::from_secs(1_750_000_000);
const BTC: usize = 0;
const ETH: usize = 1;
const ANN: usize = 0;
const BOB: usize = 1;
const CAT: usize = 2;

fn px(text: &str) -> Px {
    Px::parse(text).unwrap()
}

fn qty(text: &str) -> Qty {
    Qty::parse(text).unwrap()
}

fn usdt(text: &str) -> Money {
    Money::parse(text).unwrap()
}

/// An exchange of three accounts with 100 000 USDT each at leverage 20. The crowd stands aside:
/// what is in the books the test put there.
struct Floor {
    market: SyntheticMarket,
    accounts: Accounts,
    now: Nanos,
}

impl Floor {
    fn new() -> Self {
        Self::with_deposits(["100000"; 3])
    }

    fn with_deposits(deposits: [&str; 3]) -> Self {
        let specs = SymbolSpec::default_pair();
        let mut market = SyntheticMarket::new(1, &specs, START);
        for contract in 0..market.len() {
            market.at_mut(contract).book = Book::default();
        }
        let account = |(i, deposit): (usize, &str)| AccountSettings {
            keys: vec![(format!("key-{i}"), Credential::Hmac(format!("secret-{i}")))],
            deposit: usdt(deposit),
            leverage: 20,
        };
        let settings: Vec<_> = deposits.into_iter().enumerate().map(account).collect();
        let accounts = Accounts::new(&settings, &specs, START);
        Self { market, accounts, now: START }
    }

    fn place(&mut self, account: usize, new: &NewOrder) -> Result<Order, VenueError> {
        self.now = self.now + Nanos::from_millis(1);
        let order = self.accounts.place(&mut self.market, account, new, self.now);
        assert!(self.accounts.is_consistent(&self.market));
        order
    }

    fn must(&mut self, account: usize, new: &NewOrder) -> Order {
        self.place(account, new).unwrap()
    }

    /// Code of the refusal.
    fn code(&mut self, account: usize, new: &NewOrder) -> i32 {
        self.place(account, new).unwrap_err().code
    }

    fn mark(&mut self, contract: usize, text: &str) {
        let mark = *self.market.mark(contract);
        let px = px(text).0;
        let mark = crate::exchange::tape::frames::Mark { mark: px, index: px, settle: px, ..mark };
        self.market.at_mut(contract).set_mark(mark);
    }

    fn prices(&mut self, contract: usize, mark: &str) {
        self.mark(contract, mark);
        self.accounts.on_prices(&mut self.market, contract, self.now);
    }

    fn order(&self, account: usize, id: u64) -> Order {
        let name = OrderName { id: Some(id), client_id: None };
        let find = |contract| self.accounts.order(account, contract, &name);
        find(BTC).or_else(|| find(ETH)).unwrap().clone()
    }

    fn cancel(&mut self, account: usize, id: u64) -> Result<Order, VenueError> {
        let name = OrderName { id: Some(id), client_id: None };
        self.accounts.cancel(&mut self.market, account, BTC, &name, self.now)
    }

    fn balance(&self, account: usize) -> Balance {
        self.accounts.balance(&self.market, account)
    }

    fn position(&self, account: usize, contract: usize) -> PositionView {
        self.accounts.positions(&self.market, account)[contract]
    }

    /// Bob sells to Cat at a price, so that it becomes the last one.
    fn trade(&mut self, price: &str) {
        self.must(BOB, &sell(price, "0.01"));
        self.must(CAT, &buy(price, "0.01"));
        assert_eq!(self.market.last_px(BTC), px(price));
        self.accounts.on_prices(&mut self.market, BTC, self.now);
    }

    /// Ann buys from Bob.
    fn go_long(&mut self, price: &str, quantity: &str) {
        self.must(BOB, &sell(price, quantity));
        self.must(ANN, &buy(price, quantity));
    }

    /// What an account was told.
    fn news(&mut self, account: usize) -> Vec<News> {
        let notices = self.accounts.take_notices();
        notices.into_iter().filter(|n| n.account == account).map(|n| n.what).collect()
    }
}

fn limit(side: Side, price: &str, quantity: &str) -> NewOrder {
    NewOrder {
        contract: BTC,
        side,
        position_side: None,
        kind: OrderKind::Limit,
        tif: Some(TimeInForce::Gtc),
        qty: Some(qty(quantity)),
        px: Some(px(price)),
        reduce_only: None,
        client_id: None,
        self_trade: SelfTrade::ExpireMaker,
        price_match: PriceMatch::None,
        good_till: Nanos::ZERO,
    }
}

fn buy(price: &str, quantity: &str) -> NewOrder {
    limit(Side::Buy, price, quantity)
}

fn sell(price: &str, quantity: &str) -> NewOrder {
    limit(Side::Sell, price, quantity)
}

fn market_order(side: Side, quantity: &str) -> NewOrder {
    NewOrder { kind: OrderKind::Market, tif: None, px: None, ..limit(side, "1", quantity) }
}

fn with_tif(order: NewOrder, tif: TimeInForce) -> NewOrder {
    NewOrder { tif: Some(tif), ..order }
}

fn reduce(order: NewOrder) -> NewOrder {
    NewOrder { reduce_only: Some(true), ..order }
}
