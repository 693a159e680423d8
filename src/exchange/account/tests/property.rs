//! Any run of orders of three accounts in a living market, checked against sums over the trades.

use super::*;
use crate::exchange::account::order::{NewAlgo, UserTrade, WorkingType};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) enum Act {
    Place {
        account: usize,
        buys: bool,
        kind: u8,
        away: i64,
        lots: i64,
    },
    Cancel {
        account: usize,
        nth: usize,
    },
    Modify {
        account: usize,
        nth: usize,
        away: i64,
        lots: i64,
    },
    CancelAll {
        account: usize,
    },
    Turn {
        times: usize,
    },
    Funding,
    Mark {
        percent: i64,
    },
    /// Kinds from 4 on close the whole position.
    Algo {
        account: usize,
        buys: bool,
        kind: u8,
        away: i64,
        lots: i64,
    },
    Leverage {
        account: usize,
        leverage: u32,
    },
    Margin {
        account: usize,
        whole: i64,
    },
    Halt {
        on: bool,
    },
    Jump {
        bps: i64,
    },
}

pub(super) fn acts() -> impl Strategy<Value = Vec<Act>> {
    let place = (0..3_usize, any::<bool>(), 0..7_u8, -30..30_i64, 1..4_000_i64).prop_map(
        |(account, buys, kind, away, lots)| Act::Place { account, buys, kind, away, lots },
    );
    let act = prop_oneof![
        10 => place,
        2 => (0..3_usize, 0..9_usize).prop_map(|(account, nth)| Act::Cancel { account, nth }),
        2 => (0..3_usize, 0..9_usize, -30..30_i64, 1..4_000_i64)
            .prop_map(|(account, nth, away, lots)| Act::Modify { account, nth, away, lots }),
        1 => (0..3_usize).prop_map(|account| Act::CancelAll { account }),
        4 => (1..200_usize).prop_map(|times| Act::Turn { times }),
        1 => Just(Act::Funding),
        1 => (80..120_i64).prop_map(|percent| Act::Mark { percent }),
        4 => (0..3_usize, any::<bool>(), 0..7_u8, 1..30_i64, 1..4_000_i64).prop_map(
            |(account, buys, kind, away, lots)| Act::Algo { account, buys, kind, away, lots },
        ),
        1 => (0..3_usize, 1..125_u32)
            .prop_map(|(account, leverage)| Act::Leverage { account, leverage }),
        1 => (0..3_usize, -500..500_i64)
            .prop_map(|(account, whole)| Act::Margin { account, whole }),
        1 => any::<bool>().prop_map(|on| Act::Halt { on }),
        1 => (-300..300_i64).prop_map(|bps| Act::Jump { bps }),
    ];
    prop::collection::vec(act, 1..80)
}

/// A living market with three clients: a rich one, one that is soon liquidated, one in hedge mode.
pub(super) fn living() -> Floor {
    let specs = SymbolSpec::default_pair();
    let market = SyntheticMarket::new(5, &specs, START);
    let account = |(i, deposit): (usize, i64)| AccountSettings {
        keys: vec![(format!("key-{i}"), Credential::Hmac(String::new()))],
        deposit: Money::whole(deposit),
        leverage: 20,
    };
    let settings: Vec<_> =
        [1_000_000, 5_000, 50_000].into_iter().enumerate().map(account).collect();
    let mut accounts = Accounts::new(&settings, &specs, START);
    accounts.set_hedge(CAT, true).unwrap();
    accounts.set_isolated(BOB, BTC, true).unwrap();
    Floor { market, accounts, now: START }
}

impl Floor {
    pub(super) fn do_act(&mut self, act: &Act) {
        self.now = self.now.max(self.market.now()) + Nanos(1_000);
        let tick = |floor: &Self, away: i64| {
            let (bid, _) = floor.market.book(BTC).top().bid;
            Px((bid + away) * floor.market.spec(BTC).tick_size.0)
        };
        let nth_open = |floor: &Self, account, nth| {
            let open = floor.accounts.open_orders(account, BTC).nth(nth)?;
            Some(OrderName { id: Some(open.id), client_id: None })
        };
        match *act {
            Act::Place { account, buys, kind, away, lots } => {
                let order = self.draw(account, buys, kind, tick(self, away), lots);
                // A refusal is as good an outcome as any: nothing may have changed then.
                let _ = self.accounts.place(&mut self.market, account, &order, self.now);
            }
            Act::Cancel { account, nth } => {
                let Some(name) = nth_open(self, account, nth) else { return };
                self.accounts.cancel(&mut self.market, account, BTC, &name, self.now).unwrap();
            }
            Act::Modify { account, nth, away, lots } => {
                let Some(name) = nth_open(self, account, nth) else { return };
                let (qty, px) = (Qty(lots * 100_000), tick(self, away));
                let change = Amendment { contract: BTC, side: None, qty, px };
                let Self { market, accounts, now } = self;
                let _ = accounts.modify(market, account, &name, &change, *now);
            }
            Act::CancelAll { account } => {
                self.accounts.cancel_all(&mut self.market, account, BTC, self.now);
            }
            Act::Turn { times } => (0..times).for_each(|_| self.market.turn()),
            Act::Funding => {
                let due = self.accounts.next_due();
                self.accounts.on_due(&mut self.market, due);
            }
            Act::Mark { percent } => {
                let px = self.market.last_px(BTC).0 / 100 * percent;
                let mark = *self.market.mark(BTC);
                let mark = crate::exchange::tape::frames::Mark { mark: px, ..mark };
                self.market.at_mut(BTC).set_mark(mark);
            }
            Act::Algo { account, buys, kind, away, lots } => {
                let px = tick(self, if buys { away } else { -away });
                let algo = self.draw_algo(account, buys, kind, px, lots);
                let _ = self.accounts.place_algo(&mut self.market, account, &algo, self.now);
            }
            Act::Leverage { account, leverage } => {
                let Self { market, accounts, now } = self;
                let _ = accounts.set_leverage(market, account, BTC, leverage, *now);
            }
            Act::Margin { account, whole } => {
                let Self { market, accounts, now } = self;
                let (side, amount) = (PositionSide::Both, Money::whole(whole));
                let _ = accounts.move_margin(market, account, BTC, side, amount, *now);
            }
            Act::Halt { on } => self.market.at_mut(BTC).halted = on,
            Act::Jump { bps } => self.market.gap(self.now, BTC, bps),
        }
        while self.market.pop().is_some() {}
        let fills = self.market.take_fills();
        self.accounts.on_fills(&mut self.market, &fills);
        self.accounts.on_prices(&mut self.market, BTC, self.now);
    }

    fn draw(&self, account: usize, buys: bool, kind: u8, px: Px, lots: i64) -> NewOrder {
        let side = if buys { Side::Buy } else { Side::Sell };
        let base = NewOrder { px: Some(px), qty: Some(Qty(lots * 100_000)), ..buy("1", "1") };
        let base = NewOrder { side, ..base };
        let hedge = self.accounts.is_hedge(account);
        let longs = px.0 / 10_000_000 % 2 == 0;
        let sided = if longs { PositionSide::Long } else { PositionSide::Short };
        let base = NewOrder { position_side: hedge.then_some(sided), ..base };
        match kind {
            0 => NewOrder { kind: OrderKind::Market, tif: None, px: None, ..base },
            1 => with_tif(base, TimeInForce::Ioc),
            2 => with_tif(base, TimeInForce::Gtx),
            3 => with_tif(base, TimeInForce::Fok),
            4 => NewOrder { reduce_only: (!hedge).then_some(true), ..base },
            5 => NewOrder { self_trade: SelfTrade::Allow, ..base },
            _ => base,
        }
    }

    /// A stop, or from kind 4 on one that closes the whole position.
    fn draw_algo(&self, account: usize, buys: bool, kind: u8, px: Px, lots: i64) -> NewAlgo {
        let order = NewOrder {
            kind: OrderKind::StopMarket,
            tif: None,
            px: None,
            qty: (kind < 4).then_some(Qty(lots * 100_000)),
            reduce_only: None,
            ..self.draw(account, buys, 6, px, lots)
        };
        NewAlgo {
            order,
            trigger_px: px,
            working: WorkingType::Contract,
            close_position: kind >= 4,
            price_protect: false,
            activate_px: Px::ZERO,
            callback: crate::base::Rate::ZERO,
        }
    }

    /// Everything that must hold whatever was done.
    fn audit(&self) {
        assert!(self.accounts.is_consistent(&self.market));
        for account in [ANN, BOB, CAT] {
            self.audit_account(account);
        }
        self.audit_trades();
    }

    fn audit_account(&self, account: usize) {
        let totals = self.accounts.ledger().totals(account);
        let trades = self.accounts.trades(account);
        let sum = |of: fn(&UserTrade) -> i64| trades.iter().map(of).sum::<i64>();
        assert_eq!(totals.realized.0, sum(|trade| trade.realized.0));
        assert_eq!(totals.fees.0, sum(|trade| trade.fee.0));
        let paid_in = totals.deposit + totals.realized - totals.fees;
        let wallet = paid_in + totals.funding + totals.insurance;
        assert_eq!(self.balance(account).wallet, wallet);
        for order in self.accounts.orders(account) {
            let own = || trades.iter().filter(|trade| trade.order == order.id);
            assert_eq!(order.filled.0, own().map(|trade| trade.qty.0).sum::<i64>());
            assert_eq!(order.quote.0, own().map(|trade| trade.quote.0).sum::<i64>());
            assert_eq!(order.fee.0, own().map(|trade| trade.fee.0).sum::<i64>());
            assert!(order.filled <= order.qty);
        }
        for view in self.accounts.positions(&self.market, account) {
            let (contract, side) = (view.news.contract, view.news.side);
            let own =
                || trades.iter().filter(|t| (t.contract, t.position_side) == (contract, side));
            let signed = |of: fn(&UserTrade) -> i64| -> i64 {
                own().map(|trade| trade.side.sign() * of(trade)).sum()
            };
            assert_eq!(view.news.qty.0, signed(|trade| trade.qty.0));
            // What was paid, less the cost of what is open, was lost.
            let realized: i64 = own().map(|trade| trade.realized.0).sum();
            assert_eq!(signed(|trade| trade.quote.0), view.cost.0 - realized);
        }
        // A reduce-only order never opened anything.
        let mut held: BTreeMap<_, i64> = BTreeMap::new();
        for trade in trades {
            let position = held.entry((trade.contract, trade.position_side)).or_default();
            let name = OrderName { id: Some(trade.order), client_id: None };
            let order = self.accounts.order(account, trade.contract, &name).unwrap();
            let after = *position + trade.side.sign() * trade.qty.0;
            if order.reduce_only {
                assert!(after.abs() < position.abs() && after.signum() * position.signum() >= 0);
            }
            *position = after;
        }
    }

    /// A trade has one taker and one maker; the crowd is whoever is missing. So what all accounts
    /// hold is what they traded with the crowd.
    fn audit_trades(&self) {
        let mut parts: BTreeMap<(usize, i64), Vec<UserTrade>> = BTreeMap::new();
        for account in [ANN, BOB, CAT] {
            for trade in self.accounts.trades(account) {
                parts.entry((trade.contract, trade.trade_id)).or_default().push(*trade);
            }
        }
        let mut with_crowd = 0;
        for trades in parts.values() {
            match &trades[..] {
                [one] => with_crowd += one.side.sign() * one.qty.0,
                [one, other] => {
                    let (taker, maker) = if one.maker { (other, one) } else { (one, other) };
                    assert!(maker.maker && !taker.maker && maker.side != taker.side);
                    assert!(maker.px == taker.px && maker.qty <= taker.qty);
                    with_crowd += taker.side.sign() * (taker.qty.0 - maker.qty.0);
                }
                more => panic!("{more:?}"),
            }
        }
        let positions = [ANN, BOB, CAT].map(|a| self.accounts.positions(&self.market, a));
        let held: i64 = positions.iter().flatten().map(|view| view.news.qty.0).sum();
        assert_eq!(held, with_crowd);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_run_of_orders_makes_or_loses_a_unit(acts in acts()) {
        let mut floor = living();
        for act in &acts {
            floor.do_act(act);
            prop_assert!(floor.accounts.is_consistent(&floor.market), "{:?}", act);
        }
        floor.audit();
    }
}

#[test]
fn the_same_acts_give_the_same_report_and_the_same_notices() {
    let run = || {
        let mut floor = living();
        let mut told = Vec::new();
        for i in 0..400_i64 {
            let (account, kind) = ((i % 3) as usize, (i % 7) as u8);
            let (buys, away, lots) = (i % 5 < 3, i % 41 - 20, 1 + i * 37 % 900);
            floor.do_act(&Act::Place { account, buys, kind, away, lots });
            floor.do_act(&Act::Turn { times: 20 });
            told.extend(floor.accounts.take_notices());
        }
        floor.audit();
        let fills = floor.accounts.trades(ANN).len();
        assert!(fills > 20, "{fills} fills are too few to say much");
        (floor.accounts.report(&floor.market, floor.now).to_string(), told)
    };
    assert_eq!(run(), run());
}

#[test]
fn the_report_has_the_agreed_shape() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let report = floor.accounts.report(&floor.market, floor.now);
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&report), ["time", "unit", "accounts", "balanced"]);
    assert_eq!(report["unit"], 100_000_000);
    assert_eq!(report["balanced"], true);
    let ann = &report["accounts"][0];
    let expected = [
        "api_key",
        "deposit",
        "wallet",
        "realized",
        "fees",
        "funding",
        "insurance",
        "positions",
        "forgotten",
        "orders",
        "algo_orders",
    ];
    assert_eq!(keys(ann), expected);
    assert_eq!(keys(&ann["positions"][0]), ["symbol", "side", "qty", "cost"]);
    let order = &ann["orders"][0];
    let expected = [
        "client_id",
        "order_id",
        "symbol",
        "side",
        "position_side",
        "type",
        "reduce_only",
        "status",
        "px",
        "qty",
        "filled",
        "quote",
        "fee",
        "time",
        "updated",
        "fills",
    ];
    assert_eq!(keys(order), expected);
    let expected = ["trade_id", "px", "qty", "fee", "maker", "realized", "time"];
    assert_eq!(keys(&order["fills"][0]), expected);
    // 1 BTC at 60 000, taker fee 0.05 %.
    assert_eq!(order["quote"], 6_000_000_000_000_i64);
    assert_eq!(order["fee"], 3_000_000_000_i64);
    assert_eq!(ann["positions"][0]["qty"], 100_000_000);
    assert_eq!(ann["wallet"], 9_997_000_000_000_i64);
}

#[test]
fn the_report_tells_when_an_order_ended_and_whether_it_could_open_a_position() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let entry = floor.must(ANN, &buy("59000", "0.1"));
    let exit = floor.must(ANN, &reduce(sell("61000", "0.1")));
    let placed = [entry.created.to_millis(), exit.created.to_millis()];
    floor.now = floor.now + Nanos::from_millis(700);
    floor.cancel(ANN, entry.id).unwrap();
    let report = floor.accounts.report(&floor.market, floor.now);
    let orders = report["accounts"][ANN]["orders"].as_array().unwrap();
    let told = |id: u64, key: &str| {
        orders.iter().find(|order| order["order_id"] == id).unwrap()[key].clone()
    };
    assert_eq!([told(entry.id, "time"), told(exit.id, "time")], placed);
    assert_eq!(told(entry.id, "updated"), floor.now.to_millis());
    assert_eq!(told(exit.id, "updated"), placed[1]);
    assert_eq!([told(entry.id, "reduce_only"), told(exit.id, "reduce_only")], [false, true]);
}
