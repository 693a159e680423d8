use super::*;
use crate::exchange::account::order::Status;
use crate::exchange::flow::client::{Resting, lots_of, tick_of};
use crate::exchange::matching::Owner;

#[test]
fn a_reduce_only_order_is_no_larger_than_the_position() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    assert_eq!(floor.code(ANN, &reduce(buy("59000", "0.1"))), -2022);
    let order = floor.must(ANN, &reduce(sell("61000", "5")));
    assert_eq!((order.qty, order.status), (qty("1"), Status::New));
    floor.must(BOB, &buy("61000", "5"));
    assert_eq!(floor.position(ANN, BTC).news.qty, Qty::ZERO);
}

#[test]
fn a_reduce_only_order_needs_neither_margin_nor_a_least_value() {
    let mut floor = Floor::with_deposits(["3100", "100000", "100000"]);
    floor.go_long("60000", "1");
    assert!(floor.balance(ANN).available < usdt("100"));
    floor.must(ANN, &reduce(sell("61000", "1")));
    floor.must(BOB, &buy("59900", "1"));
    // 0.001 × 45 000 is less than the least value of 50.
    floor.mark(BTC, "45000");
    assert_eq!(floor.code(ANN, &market_order(Side::Sell, "0.001")), -4164);
    let little = floor.must(ANN, &reduce(market_order(Side::Sell, "0.001")));
    assert_eq!(little.status, Status::Filled);
}

#[test]
fn the_order_behind_is_knocked_out_and_the_order_in_front_is_not() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let far = floor.must(ANN, &reduce(sell("61000", "1")));
    let near = floor.must(ANN, &reduce(sell("60900", "0.5")));
    let far = floor.order(ANN, far.id);
    assert_eq!((far.status, far.expire_reason), (Status::Expired, 4));
    assert_eq!(floor.code(ANN, &reduce(sell("61000", "0.6"))), -2022);
    floor.must(ANN, &reduce(sell("61000", "0.5")));
    assert_eq!(floor.order(ANN, near.id).status, Status::New);
}

#[test]
fn a_position_that_shrinks_takes_reduce_only_orders_with_it() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let near = floor.must(ANN, &reduce(sell("60900", "0.3")));
    let far = floor.must(ANN, &reduce(sell("61000", "0.5")));
    floor.must(BOB, &buy("60000", "1"));
    floor.must(ANN, &market_order(Side::Sell, "0.6"));
    // 0.4 are left: the near order fits, the far one does not any more.
    assert_eq!(floor.order(ANN, near.id).status, Status::New);
    assert_eq!(floor.order(ANN, far.id).status, Status::Expired);
    floor.must(ANN, &market_order(Side::Sell, "0.4"));
    assert_eq!(floor.order(ANN, near.id).status, Status::Expired);
}

#[test]
fn one_sweep_over_two_orders_does_not_let_the_reduce_only_one_open_a_position() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let plain = floor.must(ANN, &sell("60100", "0.7"));
    let reducing = floor.must(ANN, &reduce(sell("60200", "1")));
    floor.must(CAT, &buy("60200", "1.7"));
    assert_eq!(floor.order(ANN, plain.id).status, Status::Filled);
    let reducing = floor.order(ANN, reducing.id);
    assert_eq!((reducing.status, reducing.filled), (Status::Expired, qty("0.3")));
    assert_eq!(floor.position(ANN, BTC).news.qty, Qty::ZERO);
    assert_eq!(floor.position(CAT, BTC).news.qty, qty("1.7"));
}

#[test]
fn a_reduce_only_order_that_was_overtaken_ends_even_where_the_position_is_back_at_once() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let plain = floor.must(ANN, &sell("60100", "1"));
    let reducing = floor.must(ANN, &reduce(sell("60200", "1")));
    let again = floor.must(ANN, &buy("59000", "1"));
    // All three are served before the account hears of any of them.
    for (order, price) in [(&plain, "60100"), (&reducing, "60200"), (&again, "59000")] {
        let (spec, owner) = (*floor.market.spec(BTC), Owner::account(ANN));
        let tick = tick_of(&spec, px(price)).unwrap();
        let (order, side, lots) = (order.id, order.side, lots_of(&spec, qty("1")).unwrap());
        let resting = Resting { owner, order, side, tick, lots };
        floor.market.client_fill(floor.now, BTC, resting);
    }
    let fills = floor.market.take_fills();
    floor.accounts.on_fills(&mut floor.market, &fills);
    assert!(floor.accounts.is_consistent(&floor.market));
    assert_eq!(floor.position(ANN, BTC).news.qty, qty("1"));
    let reducing = floor.order(ANN, reducing.id);
    assert_eq!((reducing.status, reducing.filled), (Status::Expired, Qty::ZERO));
}
