use super::{Answered, get};
use crate::base::Nanos;
use crate::base::units::parse_fixed;
use crate::exchange::wire::params::Params;
use crate::exchange::{Exchange, ExchangeSettings, SymbolSpec};
use serde_json::Value;

/// 2026-07-03 17:08:28 UTC.
const START: Nanos = Nanos::from_secs(1_783_098_508);

fn exchange() -> Exchange {
    let mut exchange = Exchange::new(&ExchangeSettings {
        seed: 11,
        symbols: SymbolSpec::default_pair().to_vec(),
        rate: 600.0,
        opened_at: START,
        accounts: Vec::new(),
    });
    exchange.advance(START + Nanos::from_secs(190));
    exchange
}

fn ask(exchange: &Exchange, target: &str) -> Answered {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    get(&exchange.market, exchange.limits.settings, path, &Params::of(query, ""), exchange.now())
        .expect("a known path")
}

fn body(exchange: &Exchange, target: &str) -> Value {
    let reply = ask(exchange, target).unwrap_or_else(|error| panic!("{target}: {error}"));
    serde_json::from_str(&reply.body).expect("JSON")
}

fn units(value: &Value) -> i128 {
    parse_fixed(value.as_str().expect("text").as_bytes()).expect("a decimal").into()
}

#[test]
fn requests_weigh_what_the_documentation_says() {
    let exchange = exchange();
    let (one, btc) = ("symbol=BTCUSDT", "?symbol=BTCUSDT");
    let kline = |limit: u32| format!("/fapi/v1/klines?{one}&interval=1m&limit={limit}");
    let rows = [
        ("/fapi/v1/ping".to_owned(), Some(1)),
        ("/fapi/v1/time".to_owned(), Some(1)),
        ("/fapi/v1/exchangeInfo".to_owned(), Some(1)),
        (format!("/fapi/v1/depth?{one}&limit=5"), Some(2)),
        (format!("/fapi/v1/depth?{one}&limit=50"), Some(2)),
        (format!("/fapi/v1/depth?{one}&limit=100"), Some(5)),
        (format!("/fapi/v1/depth?{one}"), Some(10)),
        (format!("/fapi/v1/depth?{one}&limit=1000"), Some(20)),
        (kline(99), Some(1)),
        (kline(100), Some(2)),
        (kline(499), Some(2)),
        (kline(500), Some(5)),
        (kline(1000), Some(5)),
        (kline(1001), Some(10)),
        (format!("/fapi/v1/aggTrades{btc}"), Some(20)),
        (format!("/fapi/v1/trades{btc}"), Some(5)),
        (format!("/fapi/v1/historicalTrades{btc}"), Some(20)),
        (format!("/fapi/v1/premiumIndex{btc}"), Some(1)),
        ("/fapi/v1/premiumIndex".to_owned(), Some(10)),
        (format!("/fapi/v1/ticker/bookTicker{btc}"), Some(2)),
        ("/fapi/v1/ticker/bookTicker".to_owned(), Some(5)),
        ("/fapi/v1/ticker/24hr".to_owned(), Some(40)),
        (format!("/fapi/v1/openInterest{btc}"), Some(1)),
        (format!("/fapi/v1/fundingRate{btc}"), None),
        ("/fapi/v1/fundingInfo".to_owned(), None),
        (format!("/futures/data/openInterestHist{btc}&period=5m"), None),
    ];
    for (target, weight) in rows {
        assert_eq!(ask(&exchange, &target).expect("an answer").weight, weight, "{target}");
    }
    assert_eq!(
        get(
            &exchange.market,
            exchange.limits.settings,
            "/fapi/v1/order",
            &Params::default(),
            START
        ),
        None
    );
}

#[test]
fn bad_parameters_are_refused_with_the_venues_numbers() {
    let exchange = exchange();
    let btc = "symbol=BTCUSDT";
    let rows = [
        ("/fapi/v1/depth".to_owned(), -1102),
        ("/fapi/v1/depth?symbol=".to_owned(), -1102),
        ("/fapi/v1/depth?symbol=XRPUSDT".to_owned(), -1121),
        ("/fapi/v1/depth?symbol=BTC%2FUSDT".to_owned(), -1100),
        (format!("/fapi/v1/depth?{btc}&limit=7"), -4021),
        (format!("/fapi/v1/depth?{btc}&limit=x"), -1102),
        (format!("/fapi/v1/klines?{btc}"), -1102),
        (format!("/fapi/v1/klines?{btc}&interval=1s"), -1120),
        (format!("/fapi/v1/klines?{btc}&interval=1m&limit=1501"), -1130),
        (format!("/fapi/v1/klines?{btc}&interval=1m&limit=0"), -1130),
        (format!("/fapi/v1/klines?{btc}&interval=1m&startTime=2&endTime=1"), -1023),
        ("/fapi/v1/continuousKlines?pair=BTCUSDT&contractType=X&interval=1m".to_owned(), -4104),
        (format!("/fapi/v1/aggTrades?{btc}&fromId=1&startTime=1"), -1128),
        (format!("/fapi/v1/trades?{btc}&limit=1001"), -1130),
        ("/fapi/v1/ticker/price?symbol=NOPE".to_owned(), -1121),
        (format!("/futures/data/openInterestHist?{btc}&period=1m"), -1130),
        (format!("/futures/data/openInterestHist?{btc}"), -1102),
        (format!("/fapi/v1/fundingRate?{btc}&limit=1001"), -1130),
    ];
    for (target, code) in rows {
        let error = ask(&exchange, &target).expect_err(&target);
        assert_eq!((error.code, error.status), (code, 400), "{target}");
    }
}

#[test]
fn candles_prices_and_the_day_follow_from_the_trades() {
    let exchange = exchange();
    let newest = body(&exchange, "/fapi/v1/trades?symbol=BTCUSDT&limit=1000");
    let newest = newest.as_array().expect("a list");
    let mut trades: Vec<Value> = Vec::new();
    let mut from = newest[0]["id"].as_i64().expect("an id") - 30_000;
    loop {
        let page = format!("/fapi/v1/historicalTrades?symbol=BTCUSDT&limit=500&fromId={from}");
        let page = body(&exchange, &page);
        let page = page.as_array().expect("a list");
        let Some(last) = page.last() else { break };
        from = last["id"].as_i64().expect("an id") + 1;
        trades.extend_from_slice(page);
    }
    assert!(trades.ends_with(newest));
    let last = trades.last().expect("a trade");
    let first_time = trades[0]["time"].as_i64().expect("a time");
    let klines = body(&exchange, "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=3");
    let mut compared = 0;
    for kline in klines.as_array().expect("a list") {
        let span = kline[0].as_i64().expect("ms")..=kline[6].as_i64().expect("ms");
        // Only minutes of which every trade is among those listed.
        if *span.start() <= first_time {
            continue;
        }
        let inside: Vec<&Value> =
            trades.iter().filter(|own| span.contains(&own["time"].as_i64().expect("ms"))).collect();
        let sum = |key: &str| inside.iter().map(|own| units(&own[key])).sum::<i128>();
        assert_eq!(kline[8].as_i64(), Some(inside.len() as i64));
        assert_eq!(units(&kline[5]), sum("qty"));
        assert_eq!(kline[1], inside[0]["price"]);
        assert_eq!(kline[4], inside.last().expect("a trade")["price"]);
        compared += 1;
    }
    assert!(compared > 0, "no whole minute among the trades");
    let price = body(&exchange, "/fapi/v2/ticker/price?symbol=BTCUSDT");
    assert_eq!((&price["price"], &price["time"]), (&last["price"], &last["time"]));

    // The day is the 1 441 one-minute candles since the minute 24 hours ago.
    let day = body(&exchange, "/fapi/v1/ticker/24hr?symbol=BTCUSDT");
    let minutes = body(&exchange, "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1441");
    let minutes = minutes.as_array().expect("a list");
    let sum = |at: usize| minutes.iter().map(|own| units(&own[at])).sum::<i128>();
    assert_eq!(day["openTime"], minutes[0][0]);
    assert_eq!(day["openPrice"], minutes[0][1]);
    assert_eq!(day["lastPrice"], last["price"]);
    assert_eq!(day["lastQty"], last["qty"]);
    assert_eq!(units(&day["volume"]), sum(5));
    // Quote volume is shown to fewer decimals than the candles'.
    assert_eq!(units(&day["quoteVolume"]), sum(7) / 1_000_000 * 1_000_000);
    let count: i64 = minutes.iter().map(|own| own[8].as_i64().expect("a count")).sum();
    assert_eq!(day["count"].as_i64(), Some(count));
    let ids = [&day["firstId"], &day["lastId"]].map(|id| id.as_i64().expect("an id"));
    assert_eq!(ids[1] - ids[0] + 1, count);
    assert_eq!(last["id"].as_i64(), Some(ids[1]));
    let high = minutes.iter().map(|own| units(&own[2])).max();
    assert_eq!(Some(units(&day["highPrice"])), high);
}

#[test]
fn a_client_can_page_through_the_past() {
    let exchange = exchange();
    let funding = |query: &str| body(&exchange, &format!("/fapi/v1/fundingRate?{query}"));
    let all = funding("symbol=BTCUSDT&limit=1000");
    let all = all.as_array().expect("a list");
    assert_eq!(all.len(), 1_000);
    let start = all[500]["fundingTime"].as_i64().expect("ms");
    let page = funding(&format!("symbol=BTCUSDT&limit=3&startTime={start}"));
    assert_eq!(page.as_array().map(Vec::as_slice), Some(&all[500..503]));
    assert_eq!(funding("symbol=BTCUSDT").as_array().map(Vec::len), Some(100));
    // Every eight hours, late by no more than the 16 ms that recordings show.
    for pair in all.windows(2) {
        let times = [&pair[0], &pair[1]].map(|own| own["fundingTime"].as_i64().expect("ms"));
        assert!((times[1] - times[0] - 8 * 3_600_000).abs() <= 16);
    }
    let newest = body(&exchange, "/fapi/v1/aggTrades?symbol=ETHUSDT&limit=10");
    let id = newest[0]["a"].as_i64().expect("an id");
    let again = body(&exchange, &format!("/fapi/v1/aggTrades?symbol=ETHUSDT&limit=10&fromId={id}"));
    assert_eq!(again, newest);
    let time = newest[0]["T"].as_i64().expect("ms");
    let since = format!("/fapi/v1/aggTrades?symbol=ETHUSDT&startTime={time}&endTime={}", time + 1);
    let since = body(&exchange, &since);
    assert!(since.as_array().expect("a list").iter().all(|own| own["T"].as_i64() >= Some(time)));
    assert!(!since.as_array().expect("a list").is_empty());
    let old = body(&exchange, "/fapi/v1/historicalTrades?symbol=ETHUSDT&limit=5&fromId=1");
    let oldest = old[0]["id"].as_i64().expect("an id");
    let next = format!("/fapi/v1/historicalTrades?symbol=ETHUSDT&limit=1&fromId={}", oldest + 4);
    assert_eq!(body(&exchange, &next)[0], old[4]);
    let interest = "/futures/data/openInterestHist?symbol=BTCUSDT&period=1h&limit=500";
    let interest = body(&exchange, interest);
    let times: Vec<i64> = interest
        .as_array()
        .expect("a list")
        .iter()
        .map(|own| own["timestamp"].as_i64().expect("ms"))
        .collect();
    assert_eq!(times.len(), 500);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 3_600_000));
}

#[test]
fn what_a_client_reads_of_the_filters_is_what_the_contract_has() {
    let exchange = exchange();
    let info = body(&exchange, "/fapi/v1/exchangeInfo");
    for (shown, spec) in
        info["symbols"].as_array().expect("a list").iter().zip(exchange.market.specs())
    {
        assert_eq!(shown["symbol"], spec.symbol.as_str());
        let filter = |name: &str| {
            let all = shown["filters"].as_array().expect("a list");
            all.iter().find(|own| own["filterType"] == name).expect("the filter").clone()
        };
        let (px, lot, market) =
            (filter("PRICE_FILTER"), filter("LOT_SIZE"), filter("MARKET_LOT_SIZE"));
        assert_eq!(units(&px["tickSize"]), spec.tick_size.0.into());
        assert_eq!(units(&px["minPrice"]), spec.min_px.0.into());
        assert_eq!(units(&px["maxPrice"]), spec.max_px.0.into());
        assert_eq!(units(&lot["stepSize"]), spec.lot_size.0.into());
        assert_eq!(units(&lot["maxQty"]), spec.max_qty.0.into());
        assert_eq!(units(&market["maxQty"]), spec.market_max_qty.0.into());
        assert_eq!(units(&filter("MIN_NOTIONAL")["notional"]), spec.min_notional.0.into());
        assert_eq!(units(&filter("PERCENT_PRICE")["multiplierUp"]), spec.multiplier_up.0.into());
    }
}

#[test]
fn delivery_prices_are_of_the_last_fridays_of_quarters() {
    let exchange = exchange();
    let all = body(&exchange, "/futures/data/delivery-price?pair=BTCUSDT");
    let times: Vec<i64> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|own| own["deliveryTime"].as_i64().expect("ms"))
        .collect();
    // The documentation's own list holds 2023-09-29, 2023-06-30, 2023-03-31 and 2022-03-25.
    for documented in [1_695_945_600_000, 1_688_083_200_000, 1_680_220_800_000, 1_648_166_400_000] {
        assert!(times.contains(&documented), "{documented}");
    }
    assert!(times.windows(2).all(|pair| pair[0] > pair[1]));
    assert!(all[0]["deliveryPrice"].is_number());
}

#[test]
fn what_is_settled_is_the_rate_shown_before_and_listed_after() {
    let due = SymbolSpec::btcusdt().next_funding(START);
    let mut exchange = Exchange::new(&ExchangeSettings {
        seed: 12,
        symbols: SymbolSpec::default_pair().to_vec(),
        rate: 300.0,
        opened_at: due - Nanos::from_secs(5),
        accounts: Vec::new(),
    });
    exchange.advance(due - Nanos(1));
    let before = body(&exchange, "/fapi/v1/premiumIndex?symbol=BTCUSDT");
    assert_eq!(before["nextFundingTime"].as_i64(), Some(due.to_millis()));
    exchange.advance(due);
    let after = body(&exchange, "/fapi/v1/premiumIndex?symbol=BTCUSDT");
    let listed = body(&exchange, "/fapi/v1/fundingRate?symbol=BTCUSDT&limit=1");
    assert_eq!(listed[0]["fundingTime"].as_i64(), Some(due.to_millis()));
    assert_eq!(listed[0]["fundingRate"], before["lastFundingRate"]);
    assert_eq!(listed[0]["markPrice"], after["markPrice"]);
    let settled = exchange.market.settled_rate(0, due);
    assert_eq!(units(&before["lastFundingRate"]), i128::from(settled.0));
    assert_ne!(before["lastFundingRate"], after["lastFundingRate"], "a rate that never moves");
}

#[test]
fn times_at_the_ends_of_the_calendar_are_answered() {
    let exchange = exchange();
    let ends = [i64::MIN, -9_223_372_036_854, -9_200_000_000_000, -1, 0, 9_223_372_036_854];
    let mut targets = Vec::new();
    for interval in ["1m", "3d", "1w", "1M"] {
        for path in ["klines", "markPriceKlines", "premiumIndexKlines"] {
            targets.push(format!("/fapi/v1/{path}?symbol=BTCUSDT&interval={interval}&limit=1500"));
        }
    }
    for path in ["aggTrades", "fundingRate"] {
        targets.push(format!("/fapi/v1/{path}?symbol=BTCUSDT"));
    }
    for path in ["openInterestHist", "globalLongShortAccountRatio", "takerlongshortRatio"] {
        targets.push(format!("/futures/data/{path}?symbol=BTCUSDT&period=1d&limit=500"));
    }
    for target in &targets {
        for end in ends.into_iter().chain([i64::MAX]) {
            for name in ["startTime", "endTime"] {
                // Whatever is answered: a list or a refusal.
                let answered = ask(&exchange, &format!("{target}&{name}={end}"));
                let list = answered.map_or_else(
                    |_| Value::Array(Vec::new()),
                    |reply| serde_json::from_str(&reply.body).expect("JSON"),
                );
                assert!(list.is_array(), "{target} {name} {end}: {list}");
            }
        }
    }
}
