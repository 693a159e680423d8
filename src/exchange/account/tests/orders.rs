use super::*;
use crate::exchange::account::notice::Execution;
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
fn a_flip_through_zero_closes_at_the_old_cost_and_opens_at_the_new() {
    let mut floor = Floor::new();
    floor.must(BOB, &buy("60000", "1"));
    floor.must(ANN, &sell("60000", "1"));
    floor.must(BOB, &sell("59000", "3"));
    floor.must(ANN, &buy("59000", "3"));
    let position = floor.position(ANN, BTC);
    // Sold 1 at 60 000, bought back at 59 000; the other 2 cost 118 000.
    assert_eq!(position.news.realized, usdt("1000"));
    assert_eq!((position.news.qty, position.cost), (qty("2"), usdt("118000")));
    assert_eq!(position.news.entry_px, px("59000"));
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
    assert_eq!(floor.accounts.order(BOB, BTC, &name), None);
    assert_eq!(floor.cancel(ANN, order.id).unwrap().status, Status::Canceled);
    assert_eq!(floor.cancel(ANN, order.id).unwrap_err().code, -2011);
    // The name is free again, and names the newest order.
    let again = floor.must(ANN, &named);
    assert_eq!(floor.accounts.order(ANN, BTC, &name).unwrap().id, again.id);
}

#[test]
fn the_venue_names_orders_that_come_without_a_name_each_differently() {
    let mut floor = Floor::new();
    let names: std::collections::BTreeSet<String> =
        (0..50).map(|_| floor.must(ANN, &buy("59000", "0.01")).client_id).collect();
    assert_eq!(names.len(), 50);
    let plain = |name: &String| name.len() == 22 && name.chars().all(|c| c.is_ascii_alphanumeric());
    assert!(names.iter().all(plain));
}

#[test]
fn what_cannot_be_taken_rests_or_expires_by_kind_and_time_in_force() {
    let cases = [
        (buy("60000", "1"), Status::PartiallyFilled, 0),
        (with_tif(buy("60000", "1"), TimeInForce::Ioc), Status::Expired, 2),
        (market_order(Side::Buy, "1"), Status::Expired, 9),
    ];
    for (order, status, reason) in cases {
        let mut floor = Floor::new();
        floor.must(BOB, &sell("60000", "0.4"));
        let order = floor.must(ANN, &order);
        assert_eq!((order.filled, order.status), (qty("0.4"), status));
        assert_eq!(order.expire_reason, reason);
        assert_eq!(floor.market.book(BTC).is_empty(Side::Buy), !order.status.is_open());
    }
}

#[test]
fn a_market_order_on_an_empty_book_expires_unfilled() {
    let order = Floor::new().must(ANN, &market_order(Side::Buy, "1"));
    assert_eq!((order.filled, order.status), (Qty::ZERO, Status::Expired));
}

#[test]
fn refused_fill_or_kill_and_post_only_orders_leave_no_trace() {
    let mut floor = Floor::new();
    floor.must(BOB, &sell("60000", "0.4"));
    floor.accounts.take_notices();
    assert_eq!(floor.code(ANN, &with_tif(buy("60000", "0.5"), TimeInForce::Fok)), -5021);
    assert_eq!(floor.code(ANN, &with_tif(buy("60000", "0.5"), TimeInForce::Gtx)), -5022);
    assert_eq!(floor.accounts.orders(ANN).count(), 0);
    assert_eq!(floor.accounts.take_notices(), Vec::new());
    let filled = floor.must(ANN, &with_tif(buy("60000", "0.4"), TimeInForce::Fok));
    assert_eq!(filled.status, Status::Filled);
    let rests = floor.must(ANN, &with_tif(buy("60000", "0.5"), TimeInForce::Gtx));
    assert_eq!(rests.status, Status::New);
}

#[test]
fn a_price_out_of_the_book_is_the_one_asked_for() {
    let mut floor = Floor::new();
    for (i, ask) in ["60001", "60002", "60003", "60004", "60005"].into_iter().enumerate() {
        floor.must(BOB, &sell(ask, &format!("0.{}", i + 1)));
    }
    floor.must(BOB, &buy("59990", "0.1"));
    let ask = |price_match| NewOrder { px: None, price_match, ..buy("1", "0.05") };
    assert_eq!(floor.must(ANN, &ask(PriceMatch::Queue(1))).px, px("59990"));
    assert_eq!(floor.must(ANN, &ask(PriceMatch::Opponent(5))).px, px("60005"));
    assert_eq!(floor.must(ANN, &ask(PriceMatch::Opponent(1))).px, px("60001"));
    assert_eq!(floor.code(ANN, &ask(PriceMatch::Queue(20))), -5041);
}

#[test]
fn a_fill_is_told_to_both_sides_in_few_words_then_as_balance_then_in_full() {
    let mut floor = Floor::new();
    floor.must(BOB, &sell("60000", "1"));
    floor.must(ANN, &buy("60000", "1"));
    let notices = floor.accounts.take_notices();
    let short = |news: &News| match news {
        News::Order { execution, order, .. } => {
            format!("{}/{}", execution.name(), order.status.name())
        }
        News::TradeLite { fill, .. } => {
            format!("lite {}", if fill.maker { "maker" } else { "taker" })
        }
        News::Account { reason, positions, .. } => format!("{reason} {}", positions.len()),
        other => format!("{other:?}"),
    };
    let told = |account| -> Vec<String> {
        notices.iter().filter(|n| n.account == account).map(|n| short(&n.what)).collect()
    };
    assert_eq!(told(ANN), ["NEW/NEW", "lite taker", "ORDER 1", "TRADE/FILLED"]);
    assert_eq!(told(BOB), ["NEW/NEW", "lite maker", "ORDER 1", "TRADE/FILLED"]);
}

#[test]
fn an_amended_order_loses_its_place_and_its_self_trade_prevention() {
    let mut floor = Floor::new();
    let first = floor.must(ANN, &buy("59000", "1"));
    let second = floor.must(BOB, &buy("59000", "1"));
    let name = OrderName { id: Some(first.id), client_id: None };
    let mut change = |quantity: &str, price: &str| {
        let change = Amendment { contract: BTC, side: None, qty: qty(quantity), px: px(price) };
        floor.accounts.modify(&mut floor.market, ANN, &name, &change, floor.now)
    };
    assert_eq!(change("1", "59000").unwrap_err().code, -5027);
    let amended = change("2", "59000").unwrap();
    assert_eq!((amended.qty, amended.amendments), (qty("2"), 1));
    assert_eq!(amended.self_trade, SelfTrade::Allow);
    let news = floor.news(ANN);
    let Some(News::Order { execution, .. }) = news.last() else { panic!("{news:?}") };
    assert_eq!(*execution, Execution::Amendment);
    floor.must(CAT, &sell("59000", "1.5"));
    assert_eq!(floor.order(BOB, second.id).status, Status::Filled);
    assert_eq!(floor.order(ANN, first.id).filled, qty("0.5"));

    // No more than what is filled is wanted: the order ends.
    let change = Amendment { contract: BTC, side: None, qty: qty("0.5"), px: px("59000") };
    let done = floor.accounts.modify(&mut floor.market, ANN, &name, &change, floor.now).unwrap();
    assert_eq!(done.status, Status::Canceled);
    assert!(floor.accounts.is_consistent(&floor.market));
    let gone = floor.accounts.modify(&mut floor.market, ANN, &name, &change, floor.now);
    assert_eq!(gone.unwrap_err().code, -2013);
}

#[test]
fn a_post_only_order_amended_into_the_other_side_is_cancelled() {
    let mut floor = Floor::new();
    floor.must(BOB, &sell("60000", "1"));
    let order = floor.must(ANN, &with_tif(buy("59000", "1"), TimeInForce::Gtx));
    let name = OrderName { id: Some(order.id), client_id: None };
    let change = Amendment { contract: BTC, side: Some(Side::Buy), qty: qty("1"), px: px("60000") };
    let order = floor.accounts.modify(&mut floor.market, ANN, &name, &change, floor.now).unwrap();
    assert_eq!((order.status, order.filled), (Status::Canceled, Qty::ZERO));
    assert!(floor.accounts.is_consistent(&floor.market));
}

#[test]
fn a_countdown_takes_back_the_orders_of_its_contract_alone() {
    let mut floor = Floor::new();
    floor.must(ANN, &buy("59000", "1"));
    floor.must(ANN, &NewOrder { contract: ETH, ..buy("2400", "1") });
    let (after, now) = (Nanos::from_secs(10), floor.now);
    floor.accounts.countdown(ANN, BTC, after, now);
    floor.accounts.countdown(ANN, ETH, after, now);
    floor.accounts.countdown(ANN, ETH, Nanos::ZERO, now);
    assert_eq!(floor.accounts.next_due(), now + after);
    floor.accounts.on_due(&mut floor.market, now + after);
    let open = |contract| floor.accounts.open_orders(ANN, contract).count();
    assert_eq!((open(BTC), open(ETH)), (0, 1));
    // Called off by the second call, and gone after the first has run out.
    assert!(floor.accounts.next_due() > now + after);
}

#[test]
fn a_good_till_order_expires_at_its_date() {
    let mut floor = Floor::new();
    let end = floor.now.floor_to(Nanos::from_secs(1)) + Nanos::from_secs(602);
    let good_till = end + Nanos::from_millis(500);
    let dated = NewOrder { good_till, ..with_tif(buy("59000", "1"), TimeInForce::Gtd) };
    let order = floor.must(ANN, &dated);
    // Milliseconds are ignored.
    assert_eq!(order.good_till, end);
    assert_eq!(floor.accounts.next_due(), end);
    floor.accounts.on_due(&mut floor.market, end);
    assert_eq!(floor.order(ANN, order.id).status, Status::Expired);
    assert!(floor.accounts.is_consistent(&floor.market));
}
