use super::flow::market::SNAPSHOT_LEVELS;
use super::wire::route::{Route, Target};
use super::*;
use crate::base::{Nanos, Px};
use serde_json::Value;
use std::collections::BTreeMap;

const START: Nanos = Nanos::from_secs(1_750_000_000);

fn market(seed: u64) -> SyntheticMarket {
    SyntheticMarket::new(seed, &SymbolSpec::default_pair(), START)
}

/// The first `count` frames as one text, with their times.
fn transcript(seed: u64, count: usize) -> Vec<u8> {
    let mut market = market(seed);
    let mut text = Vec::new();
    for _ in 0..count {
        let frame = market.step();
        text.extend_from_slice(&frame.ts.0.to_le_bytes());
        text.extend_from_slice(frame.frame);
    }
    text
}

fn units(value: &Value) -> i64 {
    Px::parse(value.as_str().expect("a number in quotes")).expect("a decimal").0
}

/// A book kept the naive way: price to quantity per side, as a client would.
#[derive(Default)]
struct NaiveBook {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    last: i64,
    /// Highest ask of the snapshot.
    reach: i64,
}

impl NaiveBook {
    fn apply(&mut self, body: &Value, bids: &str, asks: &str) {
        for (side, key) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for level in body[key].as_array().expect("a list of levels") {
                let (px, qty) = (units(&level[0]), units(&level[1]));
                if qty == 0 {
                    side.remove(&px)
                } else {
                    side.insert(px, qty)
                };
            }
        }
    }

    fn top(&self) -> [i64; 4] {
        let (bid, ask) = (self.bids.last_key_value(), self.asks.first_key_value());
        let (bid, ask) = (bid.expect("a bid"), ask.expect("an ask"));
        [*bid.0, *bid.1, *ask.0, *ask.1]
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    assert_eq!(transcript(7, 30_000), transcript(7, 30_000));
    assert_ne!(transcript(7, 1_000), transcript(8, 1_000));
}

#[test]
fn cutting_the_run_into_peeks_and_snapshots_changes_no_frame() {
    let mut watched = market(3);
    let mut plain = market(3);
    let mut body = Vec::new();
    for i in 0..20_000 {
        let due = watched.peek();
        if i % 97 == 0 {
            body.clear();
            assert!(watched.snapshot("BTCUSDT", &mut body));
            assert!(watched.open_interest("ETHUSDT", &mut body));
        }
        let seen = watched.step();
        assert_eq!(seen.ts, due);
        assert_eq!(seen, plain.step());
    }
}

#[test]
fn every_frame_is_json_of_the_named_stream_in_rising_event_time() {
    let mut market = market(11);
    let mut last = START;
    for _ in 0..60_000 {
        let frame = market.step();
        assert!(frame.ts >= last, "time ran backward");
        last = frame.ts;
        let whole: Value = serde_json::from_slice(frame.frame).expect("JSON");
        let data: Value = serde_json::from_slice(frame.data).expect("JSON");
        assert_eq!(whole["stream"], frame.stream);
        assert_eq!(whole["data"], data);
        let sent = data["E"].as_i64().expect("event time in milliseconds");
        assert_eq!(sent, frame.ts.to_millis());
    }
}

#[test]
fn a_client_that_follows_the_venues_procedure_holds_the_markets_own_book() {
    let mut market = market(5);
    let mut books: BTreeMap<String, NaiveBook> = BTreeMap::new();
    for _ in 0..2_000 {
        market.step();
    }
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let mut body = Vec::new();
        assert!(market.snapshot(symbol, &mut body));
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["bids"].as_array().map(Vec::len), Some(SNAPSHOT_LEVELS));
        assert_eq!(body["asks"].as_array().map(Vec::len), Some(SNAPSHOT_LEVELS));
        let mut book = NaiveBook::default();
        book.apply(&body, "bids", "asks");
        book.reach = *book.asks.last_key_value().expect("an ask").0;
        book.last = body["lastUpdateId"].as_i64().expect("an id");
        books.insert(symbol.to_owned(), book);
    }
    let mut diffs = BTreeMap::new();
    for _ in 0..150_000 {
        let frame = market.step();
        if !frame.stream.ends_with("@depth@100ms") {
            continue;
        }
        let data: Value = serde_json::from_slice(frame.data).expect("JSON");
        let symbol = data["s"].as_str().expect("a symbol").to_owned();
        let [first, last, prev] = ["U", "u", "pu"].map(|key| data[key].as_i64().expect("an id"));
        let book = books.get_mut(&symbol).expect("a known symbol");
        if last < book.last {
            continue;
        }
        let count: &mut u32 = diffs.entry(symbol.clone()).or_default();
        if *count == 0 {
            assert!(first <= book.last && book.last <= last || prev == book.last, "no bridge");
        } else {
            assert_eq!(prev, book.last, "a hole in {symbol}");
        }
        *count += 1;
        book.apply(&data, "b", "a");
        book.last = last;
        let mine = market.contract(&symbol).expect("a known symbol");
        let (top, spec) = (mine.book.top(), mine.spec);
        let (tick, lot) = (spec.tick_size.0, spec.lot_size.0);
        let own = [top.bid.0 * tick, top.bid.1 * lot, top.ask.0 * tick, top.ask.1 * lot];
        assert_eq!(book.top(), own, "the top of {symbol} after diff {last}");
        if count.is_multiple_of(50) {
            // Deeper than the snapshot went, a client only knows what changed since.
            let known: Vec<(i64, i64)> =
                book.asks.range(..=book.reach).map(|(px, qty)| (px / tick, qty / lot)).collect();
            let asks: Vec<(i64, i64)> =
                mine.book.asks().take_while(|ask| ask.0 * tick <= book.reach).collect();
            assert!(known == asks, "asks of {symbol} differ after diff {last}");
        }
    }
    assert!(diffs.values().all(|&count| count > 300), "too few diffs to prove anything: {diffs:?}");
}

#[test]
fn the_best_prices_shown_are_those_of_the_diff_with_the_nearest_lower_id() {
    let mut market = market(6);
    let mut book = NaiveBook::default();
    let mut body = Vec::new();
    market.snapshot("ETHUSDT", &mut body);
    book.apply(&serde_json::from_slice(&body).expect("JSON"), "bids", "asks");
    let mut shown: Option<[i64; 4]> = None;
    let mut compared = 0;
    for _ in 0..60_000 {
        let frame = market.step();
        if frame.stream == "ethusdt@bookTicker" {
            let data: Value = serde_json::from_slice(frame.data).expect("JSON");
            let top = ["b", "B", "a", "A"].map(|key| units(&data[key]));
            assert!(top[0] < top[2], "a crossed best bid and ask");
            shown = Some(top);
        } else if frame.stream == "ethusdt@depth@100ms" {
            let data: Value = serde_json::from_slice(frame.data).expect("JSON");
            book.apply(&data, "b", "a");
            if let Some(shown) = shown {
                assert_eq!(book.top(), shown);
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "only {compared} comparisons");
}

#[test]
fn trades_are_numbered_without_holes_and_their_aggregates_add_up() {
    let mut market = market(9);
    let mut last_id = 0;
    let mut open: Vec<(i64, i64, i64)> = Vec::new();
    let mut aggregates = 0;
    for _ in 0..60_000 {
        let frame = market.step();
        if !frame.stream.starts_with("btcusdt@") {
            continue;
        }
        let data: Value = serde_json::from_slice(frame.data).expect("JSON");
        if frame.stream.ends_with("@trade") {
            let id = data["t"].as_i64().expect("an id");
            assert!(last_id == 0 || id == last_id + 1, "trade ids have a hole");
            assert_eq!(data["X"], "MARKET");
            last_id = id;
            open.push((id, units(&data["p"]), units(&data["q"])));
        } else if frame.stream.ends_with("@aggTrade") {
            let sum: i64 = open.iter().map(|trade| trade.2).sum();
            assert_eq!(data["f"].as_i64(), open.first().map(|trade| trade.0));
            assert_eq!(data["l"].as_i64(), open.last().map(|trade| trade.0));
            assert_eq!(units(&data["q"]), sum);
            assert!(open.iter().all(|trade| trade.1 == units(&data["p"])));
            open.clear();
            aggregates += 1;
        }
    }
    assert!(aggregates > 1_000);
}

#[test]
fn a_closed_candle_is_the_sum_of_its_minutes_trades() {
    let mut market = market(12);
    let mut trades: Vec<(i64, i64, bool)> = Vec::new();
    let mut closed = 0;
    while closed < 3 {
        let frame = market.step();
        let data = || -> Value { serde_json::from_slice(frame.data).expect("JSON") };
        if frame.stream == "btcusdt@trade" {
            let data = data();
            trades.push((units(&data["p"]), units(&data["q"]), data["m"] == false));
        } else if frame.stream == "btcusdt@kline_1m" && data()["k"]["x"] == true {
            let k = &data()["k"];
            let volume: i64 = trades.iter().map(|t| t.1).sum();
            let bought: i64 = trades.iter().filter(|t| t.2).map(|t| t.1).sum();
            assert_eq!(k["n"].as_u64(), Some(trades.len() as u64));
            assert_eq!((units(&k["v"]), units(&k["V"])), (volume, bought));
            assert_eq!(Some(units(&k["o"])), trades.first().map(|t| t.0));
            assert_eq!(Some(units(&k["c"])), trades.last().map(|t| t.0));
            assert_eq!(Some(units(&k["h"])), trades.iter().map(|t| t.0).max());
            assert_eq!(Some(units(&k["l"])), trades.iter().map(|t| t.0).min());
            trades.clear();
            closed += 1;
        }
    }
}

#[test]
fn the_frame_rate_follows_the_one_asked_for() {
    for wanted in [300.0, 1_500.0, 6_000.0] {
        let specs = SymbolSpec::default_pair();
        let mut market = SyntheticMarket::with_rate(1, &specs, START, wanted);
        let mut frames = 0.0;
        while market.peek() < START + Nanos::from_secs(300) {
            market.step();
            frames += 1.0;
        }
        let rate = frames / 300.0;
        assert!((0.5 * wanted..2.0 * wanted).contains(&rate), "{rate} instead of {wanted}");
    }
}

#[test]
fn days_of_market_keep_the_book_two_sided_bounded_and_near_its_price() {
    let mut market = SyntheticMarket::with_rate(2, &SymbolSpec::default_pair(), START, 100.0);
    for _ in 0..3_000_000 {
        market.step();
    }
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let contract = market.contract(symbol).expect("a known symbol");
        let top = contract.book.top();
        let px = (top.bid.0 * contract.spec.tick_size.0) as f64;
        let drift = px / contract.spec.start_px.0 as f64;
        assert!(top.bid.0 < top.ask.0);
        assert!((0.7..1.4).contains(&drift), "{symbol} drifted to {drift} of its start");
        for side in [crate::base::Side::Buy, crate::base::Side::Sell] {
            assert!((1_000..2_500).contains(&contract.book.len(side)));
        }
    }
}

#[test]
fn pressure_leads_prices_a_little_and_no_more() {
    // Correlation of the book's imbalance with the mid's move over the next two seconds.
    let mut market = market(21);
    let step = Nanos::from_millis(250);
    let mut next = START + step;
    let mut samples: Vec<(f64, f64)> = Vec::new();
    while samples.len() < 12_000 {
        if market.peek() < next {
            market.step();
            continue;
        }
        next = next + step;
        let top = market.contract("BTCUSDT").expect("a known symbol").book.top();
        let (bid, ask) = (top.bid.1 as f64, top.ask.1 as f64);
        samples.push(((bid - ask) / (bid + ask), (top.bid.0 + top.ask.0) as f64));
    }
    let pairs: Vec<(f64, f64)> =
        samples.windows(9).map(|w| (w[0].0, (w[8].1 - w[0].1) / w[0].1)).collect();
    let n = pairs.len() as f64;
    let mean = pairs.iter().fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
    let mut sums = (0.0, 0.0, 0.0);
    for (x, y) in &pairs {
        let (x, y) = (x - mean.0, y - mean.1);
        sums = (sums.0 + x * y, sums.1 + x * x, sums.2 + y * y);
    }
    let correlation = sums.0 / (sums.1 * sums.2).sqrt();
    assert!((0.05..0.5).contains(&correlation), "correlation {correlation}");
}

#[test]
fn stream_paths_are_read_as_the_venue_reads_them() {
    let target = |path: &str| Target::parse(path).expect("a stream path");
    let two = vec!["btcusdt@trade".to_owned(), "btcusdt@depth@100ms".to_owned()];
    let combined = target("/public/stream?streams=btcusdt@trade/btcusdt@depth@100ms");
    let none = Vec::new();
    let (route, streams) = (Route::Public, two.clone());
    assert_eq!(combined, Target { route, combined: true, streams, listens: none });
    assert_eq!(target("/stream?streams=btcusdt%40trade/btcusdt@depth@100ms").streams, two);
    assert_eq!(target("/market/ws/btcusdt@aggTrade").route, Route::Market);
    assert!(!target("/ws/btcusdt@trade").combined);
    assert!(target("/ws").streams.is_empty());
    assert_eq!(Target::parse("/fapi/v1/time"), None);
    assert_eq!(Target::parse("/wsx"), None);
}

#[test]
fn a_side_that_a_client_has_emptied_fills_up_again() {
    use super::matching::{Owner, SelfTrade, Taker};
    use crate::base::Side;
    for side in [Side::Buy, Side::Sell] {
        let mut market = market(3);
        let (owner, self_trade) = (Owner::account(0), SelfTrade::ExpireMaker);
        let taker = Taker { owner, side, limit: None, lots: i64::MAX / 4, self_trade };
        market.client_take(START, 0, &taker);
        assert!(market.book(0).is_empty(side.opposite()));
        while market.peek() < START + Nanos::from_secs(5) {
            market.step();
        }
        let contract = market.at(0);
        let top = contract.book.top();
        assert!(contract.book.len(side.opposite()) > 500, "{side:?}: {top:?}");
        assert!(0 < top.bid.0 && top.bid.0 < top.ask.0, "{top:?}");
        let px = top.ask.0 as f64 / contract.last_tick() as f64;
        assert!((0.9..1.1).contains(&px), "{top:?} is far from the market");
    }
}

#[test]
fn no_run_of_price_jumps_leaves_what_prices_can_be() {
    for bps in [100_000, -9_000] {
        let mut market = market(4);
        for jump in 1..=40 {
            let now = START + Nanos::from_secs(jump);
            market.gap(now, 0, bps);
            while market.peek() < now + Nanos::from_millis(1_100) {
                market.step();
            }
            let (top, mark) = (market.book(0).top(), market.mark(0).mark);
            assert!(0 < top.bid.0 && top.bid.0 < top.ask.0, "{jump}: {top:?}");
            assert!(0 < mark && mark <= 13 * market.spec(0).start_px.0, "{jump}: {mark}");
        }
    }
}
