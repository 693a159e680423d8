use super::*;

/// Refused with the venue's code, without a trace.
#[test]
fn an_order_that_breaks_a_rule_gets_the_venues_code_and_leaves_no_trace() {
    let end = START + Nanos::from_secs(600);
    let dated = with_tif(buy("59000", "1"), TimeInForce::Gtd);
    let long_name = "x".repeat(37);
    let named = |name: &str| NewOrder { client_id: Some(name.into()), ..buy("59000", "1") };
    let cases = [
        (NewOrder { kind: OrderKind::StopMarket, ..buy("1", "1") }, -4120),
        (NewOrder { tif: None, ..buy("59000", "1") }, -1102),
        (NewOrder { px: None, ..buy("59000", "1") }, -1102),
        (NewOrder { qty: None, ..buy("59000", "1") }, -1102),
        (NewOrder { qty: None, ..market_order(Side::Buy, "1") }, -1102),
        (NewOrder { px: Some(px("59000")), ..market_order(Side::Buy, "1") }, -1106),
        (with_tif(market_order(Side::Buy, "1"), TimeInForce::Gtc), -1106),
        (NewOrder { price_match: PriceMatch::Queue(1), ..buy("59000", "1") }, -1106),
        (NewOrder { price_match: PriceMatch::Queue(1), px: None, ..buy("1", "1") }, -5041),
        (NewOrder { price_match: PriceMatch::Queue(1), ..market_order(Side::Buy, "1") }, -5038),
        (NewOrder { position_side: Some(PositionSide::Long), ..buy("59000", "1") }, -4061),
        (buy("-1", "1"), -4001),
        (buy("4529764.1", "1"), -4002),
        (buy("59000", "0"), -4003),
        (buy("59000", "0.002"), -4004),
        (buy("59000", "1001"), -4005),
        (market_order(Side::Buy, "121"), -4005),
        (buy("0", "1"), -4013),
        (buy("59000.05", "1"), -4014),
        (buy("59000.005", "1"), -1111),
        (buy("59000", "0.0105"), -1111),
        (named(&long_name), -4015),
        (named(""), -4015),
        (named("näme"), -4015),
        (buy("63000.1", "0.1"), -4016),
        (sell("56999.9", "0.1"), -4024),
        (buy("4000", "0.01"), -4164),
        (dated.clone(), -1102),
        (NewOrder { good_till: Nanos(i64::MIN), ..dated.clone() }, -5040),
        (NewOrder { good_till: end, ..dated }, -5040),
        (NewOrder { px: Some(Px::MAX), ..buy("1", "1") }, -1111),
        (NewOrder { qty: Some(Qty::MAX), ..buy("59000", "1") }, -1111),
        (reduce(sell("60000", "1")), -2022),
        (buy("60000", "33.334"), -2019),
    ];
    let mut floor = Floor::new();
    floor.market.at_mut(BTC).spec.min_qty = qty("0.005");
    for (order, code) in cases {
        assert_eq!(floor.code(ANN, &order), code, "{order:?}");
        let test = floor.accounts.test(&floor.market, ANN, &order, floor.now);
        assert_eq!(test.unwrap_err().code, code);
    }
    assert_eq!(floor.accounts.orders(ANN).count(), 0);
    assert_eq!(floor.accounts.take_notices(), Vec::new());
    // 33.333 × 60 000 / 20 = 99 999: the last that 100 000 can carry.
    floor.must(ANN, &buy("60000", "33.333"));
}

#[test]
fn prices_at_the_bounds_are_taken() {
    // Mark 60 000, ± 5 %.
    let mut floor = Floor::new();
    floor.must(ANN, &sell("57000", "0.1"));
    floor.must(BOB, &buy("63000", "0.1"));
}

#[test]
fn a_market_order_is_refused_where_the_best_price_is_out_of_bounds() {
    let mut floor = Floor::new();
    floor.must(BOB, &sell("63000.1", "1"));
    assert_eq!(floor.code(ANN, &market_order(Side::Buy, "0.1")), -4131);
    floor.must(BOB, &sell("62999.9", "0.1"));
    // It takes what is within and nothing beyond.
    let order = floor.must(ANN, &market_order(Side::Buy, "0.2"));
    assert_eq!(order.filled, qty("0.1"));
}

#[test]
fn a_halted_contract_takes_no_orders_but_gives_them_back() {
    let mut floor = Floor::new();
    let order = floor.must(ANN, &buy("59000", "1"));
    floor.market.at_mut(BTC).halted = true;
    assert_eq!(floor.code(ANN, &buy("59000", "1")), -4141);
    let name = OrderName { id: Some(order.id), client_id: None };
    let change = Amendment { contract: BTC, side: None, qty: qty("2"), px: px("59000") };
    let refused = floor.accounts.modify(&mut floor.market, ANN, &name, &change, floor.now);
    assert_eq!(refused.unwrap_err().code, -5024);
    floor.cancel(ANN, order.id).unwrap();
}

#[test]
fn no_more_orders_rest_than_the_contract_allows() {
    let mut floor = Floor::new();
    floor.market.at_mut(BTC).spec.orders_max = 2;
    floor.must(ANN, &buy("59000", "0.1"));
    floor.must(ANN, &buy("59000", "0.1"));
    assert_eq!(floor.code(ANN, &buy("59000", "0.1")), -2025);
    floor.must(BOB, &buy("59000", "0.1"));
}

#[test]
fn hedge_mode_wants_a_position_side_and_no_reduce_only() {
    let mut floor = Floor::new();
    floor.accounts.set_hedge(ANN, true).unwrap();
    assert_eq!(floor.code(ANN, &buy("59000", "1")), -4061);
    let long = |order| NewOrder { position_side: Some(PositionSide::Long), ..order };
    assert_eq!(floor.code(ANN, &long(reduce(sell("60000", "1")))), -4062);
    // Selling a long position that is not there.
    assert_eq!(floor.code(ANN, &long(sell("60000", "1"))), -2022);
    floor.must(ANN, &long(buy("59000", "1")));
}

#[test]
fn a_position_may_not_outgrow_its_leverage() {
    let mut floor = Floor::new();
    // The first bracket, of leverage 125, ends at 50 000; of leverage 20 at 50 million.
    let set = floor.accounts.set_leverage(&floor.market, ANN, BTC, 125, floor.now);
    assert_eq!(set, Ok(Money::whole(50_000)));
    assert_eq!(floor.code(ANN, &buy("60000", "0.834")), -2027);
    floor.must(ANN, &buy("60000", "0.833"));
    assert_eq!(floor.code(ANN, &buy("60000", "0.001")), -2027);
    // The other side counts by itself.
    floor.must(ANN, &sell("60100", "0.5"));
    for (leverage, code) in [(0, -4028), (126, -4028)] {
        let set = floor.accounts.set_leverage(&floor.market, ANN, BTC, leverage, floor.now);
        assert_eq!(set.unwrap_err().code, code);
    }
}

#[test]
fn a_sale_whose_value_no_money_can_count_is_refused() {
    // XRPUSDT takes 10 000 000 at up to 100 000: a million millions.
    let specs = [SymbolSpec::xrpusdt()];
    let mut market = SyntheticMarket::new(1, &specs, START);
    let settings = AccountSettings { keys: Vec::new(), deposit: usdt("100000"), leverage: 1 };
    let mut accounts = Accounts::new(&[settings], &specs, START);
    let new = sell("100000", "10000000");
    let refusal = accounts.place(&mut market, ANN, &new, START).unwrap_err();
    assert_eq!(refusal.code, -2027);
    let order = accounts.place(&mut market, ANN, &sell("3", "10"), START).unwrap();
    let name = OrderName { id: Some(order.id), client_id: None };
    let (qty, px) = (qty("10000000"), px("100000"));
    let change = Amendment { contract: 0, side: None, qty, px };
    let refusal = accounts.modify(&mut market, ANN, &name, &change, START).unwrap_err();
    assert_eq!(refusal.code, -2027);
}
