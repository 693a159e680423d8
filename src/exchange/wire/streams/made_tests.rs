use super::tests::{START, after, exchange, open, parsed};
use super::{ConnId, Streams};
use crate::base::Nanos;
use crate::base::units::parse_fixed;
use crate::exchange::tape::frames::Stream;
use crate::exchange::wire::route::Target;
use crate::exchange::{MarketFrame, SymbolSpec, SyntheticMarket};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn units(value: &Value) -> i128 {
    parse_fixed(value.as_str().expect("text").as_bytes()).expect("a decimal").into()
}

fn millis(value: &Value) -> i64 {
    value.as_i64().expect("milliseconds")
}

#[test]
fn closed_candles_of_every_stream_are_the_sums_of_the_trades_shown() {
    let mut exchange = exchange(21);
    open(&mut exchange, 0, "/public/ws/btcusdt@trade");
    let names = ["kline_1m", "kline_3m", "continuousKline_1m", "continuousKline_1s"];
    for (conn, name) in (1..).zip(names) {
        let pair = if name.starts_with('c') { "btcusdt_perpetual" } else { "btcusdt" };
        open(&mut exchange, conn, &format!("/market/ws/{pair}@{name}"));
    }
    let mut trades: Vec<Value> = Vec::new();
    let mut closed = BTreeMap::<u64, u32>::new();
    for second in 1..=420 {
        exchange.advance(after(second * 1_000));
        for delivery in exchange.take_deliveries() {
            let data = parsed(&delivery);
            if delivery.conn.0 == 0 {
                trades.push(data);
                continue;
            }
            let candle = &data["k"];
            let (start, end) = (millis(&candle["t"]), millis(&candle["T"]));
            assert_eq!(candle["x"] == true, millis(&data["E"]) > end, "{data}");
            if candle["x"] == false || start < START.to_millis() {
                continue;
            }
            *closed.entry(delivery.conn.0).or_default() += 1;
            let inside = |own: &&Value| (start..=end).contains(&millis(&own["T"]));
            let inside: Vec<&Value> = trades.iter().filter(inside).collect();
            assert_eq!(candle["n"], inside.len(), "{data}");
            let qty = |own: &&Value| units(&own["q"]);
            assert_eq!(units(&candle["v"]), inside.iter().map(qty).sum::<i128>());
            let bought = inside.iter().filter(|own| own["m"] == false);
            assert_eq!(units(&candle["V"]), bought.map(qty).sum::<i128>());
            if let (Some(first), Some(last)) = (inside.first(), inside.last()) {
                assert_eq!((&candle["o"], &candle["c"]), (&first["p"], &last["p"]));
                assert_eq!((&candle["f"], &candle["L"]), (&first["t"], &last["t"]));
                let px = |own: &&Value| units(&own["p"]);
                assert_eq!(Some(units(&candle["h"])), inside.iter().map(px).max());
                assert_eq!(Some(units(&candle["l"])), inside.iter().map(px).min());
                let value: i128 = inside.iter().map(|own| px(own) * qty(own)).sum();
                assert_eq!(units(&candle["q"]), value / 100_000_000);
            }
        }
    }
    // 15:06:40 to 15:13:40: the minutes from 15:07, and of three minutes those from 15:09.
    let counts: Vec<u32> = closed.into_values().collect();
    assert_eq!(counts[0], counts[2]);
    assert!(counts[0] == 6 && counts[1] == 1 && counts[3] >= 418, "{counts:?}");
}

#[test]
fn tickers_show_what_the_rest_interface_shows() {
    let mut exchange = exchange(22);
    let names = ["btcusdt@ticker", "btcusdt@miniTicker", "!ticker@arr", "!miniTicker@arr"];
    for (conn, name) in (0..).zip(names) {
        open(&mut exchange, conn, &format!("/market/ws/{name}"));
    }
    exchange.advance(after(10_000));
    let all = exchange.take_deliveries();
    let counts = [0, 1, 2, 3].map(|conn| all.iter().filter(|own| own.conn == ConnId(conn)).count());
    assert_eq!(counts, [5, 5, 10, 10]);
    let last =
        |conn: u64| parsed(all.iter().rfind(|own| own.conn == ConnId(conn)).expect("a message"));
    let params = crate::exchange::wire::params::Params::of("symbol=BTCUSDT", "");
    let market = &exchange.market;
    let path = "/fapi/v1/ticker/24hr";
    let day = crate::exchange::wire::market_data::get(
        market,
        exchange.limits.settings,
        path,
        &params,
        exchange.now(),
    );
    let day: Value =
        serde_json::from_str(&day.expect("a path").expect("a reply").body).expect("JSON");
    let pairs = [
        ("p", "priceChange"),
        ("P", "priceChangePercent"),
        ("w", "weightedAvgPrice"),
        ("c", "lastPrice"),
        ("Q", "lastQty"),
        ("o", "openPrice"),
        ("h", "highPrice"),
        ("l", "lowPrice"),
        ("v", "volume"),
        ("q", "quoteVolume"),
        ("O", "openTime"),
        ("C", "closeTime"),
        ("F", "firstId"),
        ("L", "lastId"),
        ("n", "count"),
    ];
    let (ticker, mini) = (last(0), last(1));
    for (short, long) in pairs {
        assert_eq!(ticker[short], day[long], "{short}");
        assert!(mini[short].is_null() || mini[short] == day[long], "{short}");
    }
    assert_eq!((&last(2)[0], &last(3)[0]), (&ticker, &mini));
    assert_eq!(last(2).as_array().map(Vec::len), Some(2));
    // 24 hours and what has passed of the minute.
    let window = millis(&ticker["C"]) - millis(&ticker["O"]);
    assert!((86_400_000..86_460_000).contains(&window));
}

#[test]
fn mark_prices_come_at_their_pace_with_a_moving_average() {
    let mut exchange = exchange(23);
    let names =
        ["btcusdt@markPrice@1s", "btcusdt@markPrice", "!markPrice@arr@1s", "!markPrice@arr"];
    for (conn, name) in (0..).zip(names) {
        open(&mut exchange, conn, &format!("/market/ws/{name}"));
    }
    exchange.advance(after(30_000));
    let all = exchange.take_deliveries();
    let of = |conn: u64| -> Vec<Value> {
        all.iter().filter(|own| own.conn == ConnId(conn)).map(parsed).collect()
    };
    let counts = [0, 1, 2, 3].map(|conn| of(conn).len());
    assert_eq!(counts, [30, 10, 30, 10]);
    let marks = of(0);
    let span = |key: &str| {
        let values = marks.iter().map(|own| units(&own[key]));
        (values.clone().min().expect("one"), values.max().expect("one"))
    };
    let ((low, high), (least, most)) = (span("p"), span("ap"));
    assert!(low <= least && most <= high && most - least < high - low);
    assert!(of(1).iter().all(|own| millis(&own["E"]) % 3_000 == 0));
    for (one, all) in marks.iter().zip(of(2)) {
        assert_eq!(*one, all[0]);
        assert_eq!(all[1]["s"], "ETHUSDT");
    }
}

#[test]
fn of_the_forced_orders_of_a_second_the_largest_is_shown() {
    let specs = SymbolSpec::default_pair();
    let market = SyntheticMarket::new(1, &specs, START);
    let mut streams = Streams::new(&specs);
    let path = "/market/stream?streams=btcusdt@forceOrder/!forceOrder@arr";
    streams.open(ConnId(1), &Target::parse(path).expect("a stream path"), START);
    let mut out = Vec::new();
    let mut forced = |contract: usize, qty: &str, out: &mut Vec<_>| {
        let data = json!({"e": "forceOrder", "E": 1, "o": {"s": "X", "q": qty}}).to_string();
        let (frame, data) = (data.as_bytes(), data.as_bytes());
        let (ts, kind, stream) = (START, Stream::ForceOrder, "btcusdt@forceOrder");
        streams.publish(&MarketFrame { ts, contract, kind, stream, frame, data }, out);
    };
    for (contract, qty) in [(0, "0.014"), (0, "1.500"), (0, "0.900"), (1, "7.000")] {
        forced(contract, qty, &mut out);
    }
    assert!(out.is_empty(), "the second is not over");
    streams.on_due(&market, after(1_000), &mut out);
    let mut shown: Vec<(String, String)> = out
        .iter()
        .map(|own| {
            let data = &parsed(own)["data"];
            (own.topic.to_string(), data["o"]["q"].as_str().expect("a quantity").to_owned())
        })
        .collect();
    shown.sort();
    let row = |topic: &str, qty: &str| (topic.to_owned(), qty.to_owned());
    let all = "!forceOrder@arr";
    assert_eq!(shown, [row(all, "1.500"), row(all, "7.000"), row("btcusdt@forceOrder", "1.500")]);
    out.clear();
    streams.on_due(&market, after(2_000), &mut out);
    assert!(out.is_empty());
}

#[test]
fn changed_facts_are_told_once_and_brackets_only_when_they_change() {
    let mut exchange = exchange(24);
    open(&mut exchange, 1, "/market/ws/!contractInfo");
    exchange.advance(after(3_000));
    assert!(exchange.take_deliveries().is_empty());
    exchange.market.at_mut(1).halted = true;
    exchange.advance(after(5_000));
    let told = exchange.take_deliveries();
    let told: Vec<Value> = told.iter().map(parsed).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["s"], &told[0]["cs"]), (&json!("ETHUSDT"), &json!("PENDING_TRADING")));
    assert!(told[0]["bks"].is_null());
    let spec = &mut exchange.market.at_mut(0).spec;
    spec.brackets = &spec.brackets[1..];
    exchange.advance(after(7_000));
    let told = exchange.take_deliveries();
    let told: Vec<Value> = told.iter().map(parsed).collect();
    assert_eq!((told.len(), &told[0]["s"]), (1, &json!("BTCUSDT")));
    let first = &told[0]["bks"][0];
    // The second bracket has become the first; after it the leverage is 50 at most.
    assert_eq!((&first["bs"], &first["ma"], &first["mi"]), (&json!(1), &json!(100), &json!(51)));
    assert_eq!(first["mmr"], 0.005);
}

#[test]
fn all_best_prices_come_every_five_seconds() {
    let mut exchange = exchange(25);
    open(&mut exchange, 1, "/public/ws/!bookTicker");
    exchange.advance(after(20_000));
    let all = exchange.take_deliveries();
    let times: Vec<Nanos> = all.iter().map(|own| own.ts).collect();
    assert_eq!(all.len(), 8);
    assert!(times.iter().all(|ts| ts.floor_to(Nanos::from_secs(5)) == *ts));
    let last = parsed(&all[6]);
    let top = exchange.market.book(0).top();
    let spec = SymbolSpec::btcusdt();
    assert_eq!(units(&last["b"]), i128::from(top.bid.0 * spec.tick_size.0));
    assert_eq!(units(&last["A"]), i128::from(top.ask.1 * spec.lot_size.0));
}
