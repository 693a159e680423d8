use super::*;
use crate::exchange::account::order::Status;

#[test]
fn a_round_trip_pays_the_hand_calculated_profit_and_fees() {
    let mut floor = Floor::new();
    floor.must(BOB, &sell("60000", "0.5"));
    let bought = floor.must(ANN, &market_order(Side::Buy, "0.3"));
    assert_eq!((bought.status, bought.average_px()), (Status::Filled, px("60000")));
    floor.must(BOB, &buy("60100", "0.3"));
    floor.must(ANN, &market_order(Side::Sell, "0.3"));
    // Ann: 0.3 × 100 = 30 profit; taker fees 0.05 % of 18 000 and of 18 030: 9 + 9.015.
    assert_eq!(floor.balance(ANN).wallet, usdt("100011.985"));
    // Bob: −30; maker fees 0.02 %: 3.6 + 3.606.
    assert_eq!(floor.balance(BOB).wallet, usdt("99962.794"));
    assert_eq!(floor.position(ANN, BTC).news.qty, Qty::ZERO);
    let totals = floor.accounts.ledger().totals(ANN);
    assert_eq!((totals.realized, totals.fees), (usdt("30"), usdt("18.015")));
}

#[test]
fn an_order_is_found_by_number_and_by_name_and_cancelled_once() {
    let mut floor = Floor::new();
    let named = NewOrder { client_id: Some("one".into()), ..buy("59000", "0.1") };
    let order = floor.must(ANN, &named);
    assert_eq!(floor.code(ANN, &named), -4116);
    let name = OrderName { id: None, client_id: Some("one".into()) };
    assert_eq!(floor.accounts.order(ANN, BTC, &name), Some(&order));
    assert_eq!(floor.accounts.order(ANN, ETH, &name), None);
    assert_eq!(floor.cancel(ANN, order.id).unwrap().status, Status::Canceled);
    assert_eq!(floor.cancel(ANN, order.id).unwrap_err().code, -2011);
    floor.must(ANN, &named);
}
