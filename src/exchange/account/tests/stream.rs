//! What accounts are told is what is there: whoever keeps the last word on everything holds the
//! venue's own state.

use super::property::{Act, acts, living};
use super::*;
use crate::exchange::account::notice::Execution;
use crate::exchange::account::order::{AlgoStatus, UserTrade};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The last word on everything of one account.
#[derive(Default)]
struct Heard {
    orders: BTreeMap<u64, Order>,
    algos: BTreeMap<u64, (AlgoStatus, Option<u64>)>,
    fills: Vec<UserTrade>,
    lite: Vec<i64>,
    wallets: Option<(Money, Money)>,
    positions: BTreeMap<(usize, PositionSide), PositionNews>,
}

impl Heard {
    fn hear(&mut self, what: News) {
        match what {
            News::Order { order, execution, fill, .. } => {
                let traded = matches!(execution, Execution::Trade | Execution::Calculated);
                assert_eq!(fill.is_some(), traded);
                let before = self.orders.get(&order.id);
                assert_eq!(before.is_none(), execution == Execution::New, "{order:?}");
                let ended = before.is_some_and(|before| !before.status.is_open());
                assert!(!ended, "told after its end: {order:?}");
                self.fills.extend(fill);
                self.orders.insert(order.id, *order);
            }
            News::TradeLite { fill, .. } => self.lite.push(fill.trade_id),
            News::Account { wallet, cross_wallet, positions, .. } => {
                self.wallets = Some((wallet, cross_wallet));
                for news in positions {
                    self.positions.insert((news.contract, news.side), news);
                }
            }
            News::Algo { algo, .. } => {
                self.algos.insert(algo.id, (algo.status, algo.order));
            }
            _ => {}
        }
    }

    /// Compares with what REST would answer.
    fn compare(&self, floor: &Floor, account: usize) {
        let kept: BTreeMap<u64, Order> =
            floor.accounts.orders(account).map(|order| (order.id, order.clone())).collect();
        assert_eq!(kept, self.orders);
        let algos = floor.accounts.algos(account);
        let algos: BTreeMap<_, _> =
            algos.map(|algo| (algo.id, (algo.status, algo.order))).collect();
        assert_eq!(algos, self.algos);
        assert_eq!(floor.accounts.trades(account), self.fills);
        let ids: Vec<i64> = self.fills.iter().map(|fill| fill.trade_id).collect();
        assert_eq!(ids, self.lite);
        if let Some(wallets) = self.wallets {
            let balance = floor.balance(account);
            assert_eq!((balance.wallet, balance.cross_wallet), wallets);
        }
        for view in floor.accounts.positions(&floor.market, account) {
            let is = view.news;
            let told = self.positions.get(&(is.contract, is.side));
            let of = |news: &PositionNews| {
                (news.qty, news.entry_px, news.break_even_px, news.isolated_wallet, news.realized)
            };
            // Nothing told is nothing there.
            let nothing = (Qty::ZERO, Px::ZERO, Px::ZERO, Money::ZERO, Money::ZERO);
            assert_eq!(of(&is), told.map_or(nothing, of));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_last_word_of_the_stream_is_what_questions_are_answered_with(acts in acts()) {
        let mut floor = living();
        let mut heard: [Heard; 3] = Default::default();
        for act in &acts {
            floor.do_act(act);
            for notice in floor.accounts.take_notices() {
                heard[notice.account].hear(notice.what);
            }
            for account in [ANN, BOB, CAT] {
                heard[account].compare(&floor, account);
            }
        }
    }
}

#[test]
fn a_long_run_tells_of_every_kind_of_event() {
    let mut floor = living();
    let mut heard: [Heard; 3] = Default::default();
    for i in 0..300_i64 {
        let (account, nth) = ((i % 3) as usize, (i % 4) as usize);
        let (kind, buys, away, lots) = ((i % 7) as u8, i % 5 < 3, i % 41 - 20, 1 + i * 37 % 900);
        floor.do_act(&Act::Place { account, buys, kind, away, lots });
        floor.do_act(&Act::Algo { account, buys: !buys, kind, away: 5 + i % 9, lots });
        floor.do_act(&Act::Modify { account, nth, away: -away, lots });
        floor.do_act(&Act::Turn { times: 20 });
        for notice in floor.accounts.take_notices() {
            heard[notice.account].hear(notice.what);
        }
    }
    for account in [ANN, BOB, CAT] {
        heard[account].compare(&floor, account);
    }
    let ended = heard.iter().flat_map(|heard| heard.algos.values());
    let finished = ended.filter(|(status, _)| *status == AlgoStatus::Finished).count();
    assert!(finished > 10, "{finished} conditional orders are too few to say much");
}
