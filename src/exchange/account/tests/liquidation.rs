//! Ann has 1 000 USDT and buys 0.2 BTC at 60 000 at leverage 20; the fee is 6. In the first bracket
//! (0.4 %) she is liquidated at (994 − 12 000) / (0.2 × (0.004 − 1)) = 55 251.00401606…

use super::*;
use crate::exchange::account::ledger::Place;
use crate::exchange::account::notice::Execution;
use crate::exchange::account::order::Status;

fn floor() -> Floor {
    let mut floor = Floor::with_deposits(["1000", "100000", "100000"]);
    floor.go_long("60000", "0.2");
    floor
}

fn calls(news: &[News]) -> usize {
    news.iter().filter(|news| matches!(news, News::MarginCall { .. })).count()
}

#[test]
fn a_margin_call_comes_first_and_once() {
    let mut floor = floor();
    assert_eq!(floor.position(ANN, BTC).liquidation_px, px("55251.00401606"));
    // Equity 994 − 0.2 × 4 700 = 54; maintenance 0.2 × 55 300 × 0.004 = 44.24: 82 %.
    floor.prices(BTC, "55300");
    floor.prices(BTC, "55301");
    assert_eq!(calls(&floor.news(ANN)), 1);
    assert_eq!(floor.position(ANN, BTC).news.qty, qty("0.2"));
    // Far away and back.
    floor.prices(BTC, "59000");
    floor.prices(BTC, "55300");
    assert_eq!(calls(&floor.news(ANN)), 1);
}

#[test]
fn liquidation_closes_takes_its_fee_from_what_is_left_and_tells() {
    let mut floor = floor();
    floor.must(BOB, &buy("55240", "1"));
    let resting = floor.must(ANN, &buy("50000", "0.001"));
    floor.prices(BTC, "55251.1");
    assert_eq!(floor.position(ANN, BTC).news.qty, qty("0.2"));
    floor.accounts.take_notices();
    floor.prices(BTC, "55250.9");
    let totals = *floor.accounts.ledger().totals(ANN);
    // 0.2 × (55 240 − 60 000) = −952; fees 6 + 0.05 % of 11 048 = 5.524; 36.476 are left, less
    // than the 1.25 % of 11 048 that the fund would take.
    assert_eq!((totals.realized, totals.fees), (usdt("-952"), usdt("11.524")));
    assert_eq!((totals.insurance, totals.wallet()), (usdt("-36.476"), Money::ZERO));
    assert_eq!(floor.accounts.ledger().balance(Place::Insurance), usdt("36.476"));
    let resting = floor.order(ANN, resting.id);
    assert_eq!((resting.status, resting.expire_reason), (Status::Expired, 5));
    assert!(floor.accounts.is_consistent(&floor.market));

    let news = floor.news(ANN);
    let calculated = news.iter().find_map(|news| match news {
        News::Order { order, execution: Execution::Calculated, fill, .. } => Some((order, fill)),
        _ => None,
    });
    let (order, fill) = calculated.unwrap();
    assert!(order.client_id.starts_with("autoclose-"), "{}", order.client_id);
    assert!(order.client_id.len() <= 36);
    assert_eq!((order.status, order.side), (Status::Filled, Side::Sell));
    assert_eq!(fill.unwrap().realized, usdt("-952"));
}

#[test]
fn the_insurance_fund_pays_what_a_wallet_cannot() {
    let mut floor = floor();
    floor.must(BOB, &buy("54000", "1"));
    floor.prices(BTC, "55200");
    // 994 − 0.2 × 6 000 − 0.05 % of 10 800 = −211.4.
    let totals = floor.accounts.ledger().totals(ANN);
    assert_eq!((totals.insurance, totals.wallet()), (usdt("211.4"), Money::ZERO));
    assert!(floor.accounts.ledger().is_balanced());
}

#[test]
fn nothing_happens_without_a_counterparty_and_it_is_tried_again() {
    let mut floor = floor();
    floor.prices(BTC, "55200");
    assert_eq!(floor.position(ANN, BTC).news.qty, qty("0.2"));
    floor.must(BOB, &buy("55100", "1"));
    floor.prices(BTC, "55200");
    assert_eq!(floor.position(ANN, BTC).news.qty, Qty::ZERO);
}

#[test]
fn an_isolated_position_takes_nothing_else_with_it() {
    let mut floor = Floor::with_deposits(["1000", "100000", "100000"]);
    floor.accounts.set_isolated(ANN, BTC, true).unwrap();
    floor.go_long("60000", "0.2");
    assert_eq!(floor.balance(ANN).cross_wallet, usdt("394"));
    floor.must(BOB, &buy("57000", "1"));
    // Its own 600: liquidated below (600 − 12 000) / (0.2 × (0.004 − 1)) = 57 228.9.
    floor.prices(BTC, "57229");
    assert_eq!(floor.position(ANN, BTC).news.qty, qty("0.2"));
    floor.prices(BTC, "57228");
    assert_eq!(floor.position(ANN, BTC).news.qty, Qty::ZERO);
    // 600 − 0.2 × 3 000 − 0.05 % of 11 400 = −5.7: the fund pays it.
    assert_eq!(floor.accounts.ledger().totals(ANN).insurance, usdt("5.7"));
    assert_eq!(floor.balance(ANN).wallet, usdt("394"));
    assert_eq!(floor.balance(ANN).cross_wallet, usdt("394"));
}

#[test]
fn a_halted_contract_liquidates_nobody() {
    let mut floor = floor();
    floor.must(BOB, &buy("55000", "1"));
    floor.market.at_mut(BTC).halted = true;
    floor.prices(BTC, "55000");
    assert_eq!(floor.position(ANN, BTC).news.qty, qty("0.2"));
}
