use super::*;
use crate::base::Rate;
use crate::exchange::account::order::{Algo, AlgoStatus, NewAlgo, Status, WorkingType};

fn conditional(kind: OrderKind, order: NewOrder, trigger: &str) -> NewAlgo {
    let limits = matches!(kind, OrderKind::Stop | OrderKind::TakeProfit);
    let order = NewOrder {
        kind,
        tif: order.tif.filter(|_| limits),
        px: order.px.filter(|_| limits),
        ..order
    };
    NewAlgo {
        order,
        trigger_px: px(trigger),
        working: WorkingType::Contract,
        close_position: false,
        price_protect: false,
        activate_px: Px::ZERO,
        callback: Rate::ZERO,
    }
}

fn stop(side: Side, trigger: &str, quantity: &str) -> NewAlgo {
    conditional(OrderKind::StopMarket, limit(side, "1", quantity), trigger)
}

fn closing(side: Side, trigger: &str) -> NewAlgo {
    let mut algo = stop(side, trigger, "1");
    (algo.close_position, algo.order.qty) = (true, None);
    algo
}

fn trailing(side: Side, callback: i64, activate: &str, quantity: &str) -> NewAlgo {
    let order = limit(side, "1", quantity);
    let algo = conditional(OrderKind::TrailingStopMarket, order, "0");
    NewAlgo { callback: Rate(callback), activate_px: px(activate), ..algo }
}

impl Floor {
    fn wait(&mut self, new: &NewAlgo) -> Result<Algo, i32> {
        let Self { market, accounts, now } = self;
        accounts.place_algo(market, ANN, new, *now).map_err(|refusal| refusal.code)
    }

    fn algo(&self, id: u64) -> &Algo {
        self.accounts.algo(ANN, &OrderName { id: Some(id), client_id: None }).unwrap()
    }

    fn algo_statuses(&mut self, id: u64) -> Vec<AlgoStatus> {
        let news = self.news(ANN).into_iter();
        let of = |news| match news {
            News::Algo { algo, .. } if algo.id == id => Some(algo.status),
            _ => None,
        };
        news.filter_map(of).collect()
    }
}

#[test]
fn a_stop_waits_for_its_price_then_runs_and_finishes() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let mut asked = stop(Side::Sell, "59000", "1");
    asked.order.client_id = Some("guard".into());
    let algo = floor.wait(&asked).unwrap();
    floor.trade("59000.1");
    assert_eq!(floor.algo(algo.id).status, AlgoStatus::New);
    assert_eq!(floor.position(ANN, BTC).news.qty, qty("1"));
    floor.must(BOB, &buy("58990", "1"));
    floor.accounts.take_notices();
    floor.trade("59000");
    let order = floor.order(ANN, floor.algo(algo.id).order.unwrap());
    assert_eq!((order.status, order.average_px()), (Status::Filled, px("58990")));
    assert_eq!((order.kind, order.orig_kind), (OrderKind::Market, OrderKind::StopMarket));
    assert_eq!((order.stop_px, order.client_id.as_str()), (px("59000"), "guard"));
    assert_eq!(floor.position(ANN, BTC).news.qty, Qty::ZERO);
    let expected = [AlgoStatus::Triggering, AlgoStatus::Triggered, AlgoStatus::Finished];
    assert_eq!(floor.algo_statuses(algo.id), expected);
}

#[test]
fn each_kind_and_side_triggers_on_its_side_of_the_price() {
    // The last price is 60 000; what lies on the wrong side of it would trigger at once.
    let stops = [OrderKind::Stop, OrderKind::StopMarket];
    let profits = [OrderKind::TakeProfit, OrderKind::TakeProfitMarket];
    for (kinds, side, waits, triggers) in [
        (stops, Side::Buy, "60000.1", "60000"),
        (stops, Side::Sell, "59999.9", "60000"),
        (profits, Side::Buy, "59999.9", "60000"),
        (profits, Side::Sell, "60000.1", "60000"),
    ] {
        for kind in kinds {
            let mut floor = Floor::new();
            let algo = |trigger| conditional(kind, limit(side, "60000", "0.1"), trigger);
            assert_eq!(floor.wait(&algo(triggers)).unwrap_err(), -2021, "{kind:?} {side:?}");
            assert!(floor.wait(&algo(waits)).is_ok(), "{kind:?} {side:?}");
        }
    }
}

#[test]
fn a_conditional_order_that_breaks_a_rule_gets_the_venues_code() {
    let sell_stop = stop(Side::Sell, "59000", "1");
    let with = |change: fn(&mut NewAlgo)| {
        let mut algo = sell_stop.clone();
        change(&mut algo);
        algo
    };
    let mut close_qty = closing(Side::Sell, "59000");
    close_qty.order.qty = Some(qty("1"));
    let mut close_reduce = closing(Side::Sell, "59000");
    close_reduce.order.reduce_only = Some(true);
    let stop_limit = conditional(OrderKind::Stop, sell("50000", "1"), "59000");
    let cases = [
        (with(|a| a.order.kind = OrderKind::Limit), -1116),
        (with(|a| a.order.qty = None), -1102),
        (with(|a| a.trigger_px = Px::ZERO), -1102),
        (with(|a| a.order.px = Some(Px::whole(59_000))), -1106),
        (with(|a| a.trigger_px = Px(5_900_005_000_000)), -4014),
        (with(|a| a.order.qty = Some(Qty::whole(121))), -4005),
        (with(|a| a.order.client_id = Some("no spaces".into())), -4015),
        (with(|a| a.order.position_side = Some(PositionSide::Long)), -4061),
        (close_qty, -4137),
        (close_reduce, -4138),
        // Below the trigger price by more than 5 %.
        (stop_limit, -4184),
        (trailing(Side::Sell, 0, "0", "1"), -1102),
        (trailing(Side::Sell, 99_999, "0", "1"), -1130),
        (trailing(Side::Sell, 20_000_001, "0", "1"), -1130),
        (trailing(Side::Sell, 1_000_000, "59999", "1"), -2021),
    ];
    let mut floor = Floor::new();
    for (algo, code) in cases {
        assert_eq!(floor.wait(&algo).unwrap_err(), code, "{algo:?}");
    }
    assert_eq!(floor.accounts.algos(ANN).count(), 0);
    let named = with(|a| a.order.client_id = Some("one".into()));
    floor.wait(&named).unwrap();
    assert_eq!(floor.wait(&named).unwrap_err(), -4116);
}

#[test]
fn two_hundred_conditional_orders_wait_over_all_contracts_and_no_more() {
    let mut floor = Floor::new();
    let mut eth = stop(Side::Sell, "2400", "1");
    eth.order.contract = ETH;
    for _ in 0..100 {
        floor.wait(&stop(Side::Sell, "59000", "1")).unwrap();
        floor.wait(&eth).unwrap();
    }
    assert_eq!(floor.wait(&eth).unwrap_err(), -4045);
    assert_eq!(floor.accounts.cancel_all_algos(ANN, BTC, floor.now), 100);
    assert_eq!(floor.accounts.open_orders(ANN, BTC).count(), 0);
    floor.wait(&eth).unwrap();
}

#[test]
fn a_conditional_order_is_taken_back_once() {
    let mut floor = Floor::new();
    let algo = floor.wait(&stop(Side::Sell, "59000", "1")).unwrap();
    let name = OrderName { id: None, client_id: Some(algo.client_id) };
    let gone = floor.accounts.cancel_algo(ANN, &name, floor.now).unwrap();
    assert_eq!(gone.status, AlgoStatus::Canceled);
    assert_eq!(floor.accounts.cancel_algo(ANN, &name, floor.now).unwrap_err().code, -2011);
}

#[test]
fn margin_is_looked_at_when_it_triggers_and_no_sooner() {
    let mut floor = Floor::new();
    let algo = floor.wait(&stop(Side::Sell, "59000", "100")).unwrap();
    floor.trade("59000");
    let algo = floor.algo(algo.id);
    assert_eq!((algo.status, algo.reason), (AlgoStatus::Rejected, "Margin is insufficient."));
    assert_eq!(algo.order, None);
}

#[test]
fn a_reduce_only_stop_without_a_position_is_rejected_in_the_venues_words() {
    let mut floor = Floor::new();
    let mut asked = stop(Side::Sell, "59000", "1");
    asked.order.reduce_only = Some(true);
    let algo = floor.wait(&asked).unwrap();
    floor.trade("59000");
    let algo = floor.algo(algo.id);
    assert_eq!((algo.status, algo.reason), (AlgoStatus::Rejected, "Reduce Only reject"));
}

#[test]
fn close_position_closes_all_there_is_and_goes_when_the_position_goes() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let loss = floor.wait(&closing(Side::Sell, "59000")).unwrap();
    let mut gain = closing(Side::Sell, "61000");
    gain.order.kind = OrderKind::TakeProfitMarket;
    let gain = floor.wait(&gain).unwrap();
    floor.go_long("60000", "0.5");
    floor.must(BOB, &buy("58990", "2"));
    floor.trade("59000");
    assert_eq!(floor.position(ANN, BTC).news.qty, Qty::ZERO);
    let order = floor.order(ANN, floor.algo(loss.id).order.unwrap());
    assert_eq!((order.qty, order.close_position), (qty("1.5"), true));
    assert_eq!(floor.algo(loss.id).status, AlgoStatus::Finished);
    assert_eq!(floor.algo(gain.id).status, AlgoStatus::Canceled);
}

#[test]
fn a_trailing_stop_follows_the_best_price_since_its_activation() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let algo = floor.wait(&trailing(Side::Sell, 1_000_000, "60500", "1")).unwrap();
    assert!(!algo.activated);
    floor.must(BOB, &buy("58000", "1"));
    // From the best before the activation, 60 400, it would have come back by 1 % at 59 796.
    for price in ["60400", "59700", "60500", "61000", "60390.1"] {
        floor.trade(price);
        assert_eq!(floor.algo(algo.id).status, AlgoStatus::New, "{price}");
    }
    assert_eq!(floor.algo(algo.id).best_px, px("61000"));
    let activated = |news: &News| matches!(news, News::Algo { algo, .. } if algo.activated);
    assert_eq!(floor.news(ANN).iter().filter(|news| activated(news)).count(), 1);
    // 61 000 × 0.99.
    floor.trade("60390");
    assert_eq!(floor.algo(algo.id).status, AlgoStatus::Finished);
}

#[test]
fn the_working_type_says_which_price_counts_and_protection_waits_for_agreement() {
    let mut floor = Floor::new();
    floor.must(BOB, &buy("57000", "5"));
    let marked = NewAlgo { working: WorkingType::Mark, ..stop(Side::Sell, "59000", "0.1") };
    let marked = floor.wait(&marked).unwrap();
    let protected = NewAlgo { price_protect: true, ..stop(Side::Sell, "59000", "0.1") };
    let protected = floor.wait(&protected).unwrap();
    floor.must(BOB, &sell("58900", "0.01"));
    floor.must(CAT, &buy("58900", "0.01"));
    // 58 900 and 62 100 are more than 5 % apart.
    floor.prices(BTC, "62100");
    assert_eq!(floor.algo(marked.id).status, AlgoStatus::New);
    assert_eq!(floor.algo(protected.id).status, AlgoStatus::New);
    floor.prices(BTC, "58990");
    assert_eq!(floor.algo(marked.id).status, AlgoStatus::Finished);
    assert_eq!(floor.algo(protected.id).status, AlgoStatus::Finished);
}

#[test]
fn a_stop_limit_rests_where_it_cannot_take() {
    let mut floor = Floor::new();
    let algo = floor.wait(&conditional(OrderKind::Stop, sell("58900", "0.1"), "59000")).unwrap();
    floor.trade("59000");
    let triggered = floor.algo(algo.id);
    assert_eq!(triggered.status, AlgoStatus::Triggered);
    let id = triggered.order.unwrap();
    assert_eq!(floor.order(ANN, id).status, Status::New);
    floor.cancel(ANN, id).unwrap();
    assert_eq!(floor.algo(algo.id).status, AlgoStatus::Finished);
}
