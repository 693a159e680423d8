//! The venue's published examples of self-trade prevention: Ann's sell order meets buy orders at
//! 20 002 and 20 001.

use super::*;
use crate::exchange::account::order::Status;

struct Seen {
    makers: Vec<Order>,
    taker: Order,
}

fn meet(makers: &[(usize, &str)], taker: NewOrder) -> Seen {
    let mut floor = Floor::new();
    floor.mark(BTC, "20000");
    let ids: Vec<(usize, u64)> = makers
        .iter()
        .map(|(account, price)| (*account, floor.must(*account, &buy(price, "1")).id))
        .collect();
    let taker = floor.must(ANN, &taker);
    let makers = ids.into_iter().map(|(account, id)| floor.order(account, id)).collect();
    Seen { makers, taker }
}

fn taking(quantity: &str, self_trade: SelfTrade) -> NewOrder {
    NewOrder { self_trade, ..sell("20000", quantity) }
}

#[test]
fn expire_maker_fills_with_others_and_expires_the_own_order() {
    let makers = [(BOB, "20002"), (ANN, "20001")];
    let Seen { makers, taker } = meet(&makers, taking("2", SelfTrade::ExpireMaker));
    assert_eq!((makers[0].status, makers[0].quote), (Status::Filled, usdt("20002")));
    assert_eq!((makers[1].status, makers[1].filled), (Status::ExpiredInMatch, Qty::ZERO));
    assert_eq!((taker.status, taker.filled), (Status::PartiallyFilled, qty("1")));
    assert_eq!((taker.average_px(), taker.quote), (px("20002"), usdt("20002")));
}

#[test]
fn expire_both_ends_both_unfilled() {
    let Seen { makers, taker } = meet(&[(ANN, "20002")], taking("3", SelfTrade::ExpireBoth));
    assert_eq!((makers[0].status, makers[0].filled), (Status::ExpiredInMatch, Qty::ZERO));
    assert_eq!((taker.status, taker.filled), (Status::ExpiredInMatch, Qty::ZERO));
    assert_eq!((makers[0].expire_reason, taker.expire_reason), (1, 1));
}

#[test]
fn expire_taker_ends_the_incoming_order_and_leaves_the_other() {
    let Seen { makers, taker } = meet(&[(ANN, "20002")], taking("3", SelfTrade::ExpireTaker));
    assert_eq!((makers[0].status, makers[0].filled), (Status::New, Qty::ZERO));
    assert_eq!((taker.status, taker.filled), (Status::ExpiredInMatch, Qty::ZERO));
}

#[test]
fn expire_maker_leaves_an_order_that_may_not_rest_expired() {
    let taker = with_tif(taking("3", SelfTrade::ExpireMaker), TimeInForce::Ioc);
    let Seen { makers, taker } = meet(&[(ANN, "20002")], taker);
    assert_eq!((makers[0].status, makers[0].filled), (Status::ExpiredInMatch, Qty::ZERO));
    assert_eq!((taker.status, taker.filled), (Status::Expired, Qty::ZERO));
}

#[test]
fn without_prevention_and_for_fill_or_kill_an_account_trades_with_itself() {
    let plain = taking("1", SelfTrade::Allow);
    let fok = with_tif(taking("1", SelfTrade::ExpireBoth), TimeInForce::Fok);
    for taker in [plain, fok] {
        let Seen { makers, taker } = meet(&[(ANN, "20002")], taker);
        assert_eq!((makers[0].status, taker.status), (Status::Filled, Status::Filled));
    }
}
