//! The synthetic market's frames have the form of recorded ones, byte for byte but the numbers.

use peregrine::base::{Nanos, Px};
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

fn data_dir() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var_os("PEREGRINE_DATA").map_or(beside, PathBuf::from);
    dir.is_dir().then_some(dir)
}

/// A frame with its numbers blurred: runs of digits become one 0, equal levels fold, the symbol and
/// yes or no lose their value. With `decimals` the digits behind a point are kept in number.
fn shape(frame: &str, decimals: bool) -> String {
    let mut text = String::new();
    let mut behind_point = false;
    for c in frame.chars() {
        let digit = c.is_ascii_digit();
        behind_point = if digit { behind_point } else { c == '.' };
        let c = if digit { '0' } else { c };
        if !(c == '0' && text.ends_with('0') && !(decimals && behind_point)) {
            text.push(c);
        }
    }
    // A rate may be negative.
    let mut text = text.replace("\"-", "\"").replace("true", "yn").replace("false", "yn");
    while let Some(at) = text.find("],[") {
        let end = text[at + 2..].find(']').map_or(text.len(), |end| at + 3 + end);
        text.replace_range(at + 1..end, "");
    }
    text
}

/// Shapes of the market's frames by event name, symbol taken out.
fn synthetic(spec: SymbolSpec, decimals: bool) -> BTreeMap<String, Vec<String>> {
    let start = Nanos::from_secs(1_750_000_000);
    let mut market = SyntheticMarket::new(7, &[spec], start);
    let mut shapes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..80_000 {
        let frame = market.step();
        let text = String::from_utf8_lossy(frame.frame);
        let name = frame.stream.split_once('@').expect("a stream name").1.to_owned();
        let text = text.replace(spec.symbol.as_str(), "S").replace(&spec.lower(), "s");
        let list = shapes.entry(name).or_default();
        let shape = shape(&text, decimals);
        if !list.contains(&shape) {
            list.push(shape);
        }
    }
    shapes
}

/// Frames of a recording that hold `word`, as (symbol, combined frame).
fn recorded(path: &Path, word: &str, limit: usize) -> Vec<(String, String)> {
    let file = std::fs::File::open(path).expect("a recording");
    let reader = std::io::BufReader::new(flate2::read::MultiGzDecoder::new(file));
    let lines = reader.lines().map(|line| line.expect("text"));
    let frames = lines.filter(|line| line.contains(word)).filter_map(|line| {
        let frame = line[line.find("{\"stream\"")?..].to_owned();
        let value: Value = serde_json::from_str(&frame).ok()?;
        Some((value["data"]["s"].as_str()?.to_owned(), frame))
    });
    frames.take(limit).collect()
}

fn compare(path: &Path, event: &str, ours: &str, decimals: bool) {
    let made = synthetic(SymbolSpec::btcusdt(), decimals);
    let made = &made[ours];
    let frames = recorded(path, &format!("\"e\":\"{event}\""), 2_000);
    assert!(!frames.is_empty(), "no {event} in {}", path.display());
    for (symbol, frame) in frames {
        let text = frame.replace(&symbol, "S").replace(&symbol.to_lowercase(), "s");
        // Recordings name the fastest diff stream by its undocumented alias; whole quantities
        // have no point.
        let text = text.replace("@depth@0ms", "@depth@100ms");
        let real = shape(&text, decimals);
        let loose = |text: &str| text.replace("0.0", "0").replace(['[', ']'], "");
        let same = |shape: &String| {
            if decimals { *shape == real } else { loose(shape) == loose(&real) }
        };
        // One side of a diff may be empty where ours is not.
        let is_partial = real.contains(":[],") || real.contains(":[]}");
        assert!(is_partial || made.iter().any(same), "recorded {real}\nours {made:?}");
    }
}

#[test]
fn frames_have_the_fields_order_and_decimals_of_recorded_ones() {
    let Some(dir) = data_dir() else {
        println!("recorded data is absent: nothing compared");
        return;
    };
    let btc = dir.join("hftbacktest/usdm_btcusdt_20240808.gz");
    compare(&btc, "bookTicker", "bookTicker", true);
    compare(&btc, "trade", "trade", true);
    compare(&btc, "depthUpdate", "depth@100ms", true);
    let marks = dir.join("hftbacktest-playground/btcusdt_20230404.dat.gz");
    compare(&marks, "markPriceUpdate", "markPrice@1s", true);
    let thin = dir.join("cryptofeed/BINANCE_FUTURES.ws.1.0.gz");
    compare(&thin, "aggTrade", "aggTrade", false);
    compare(&thin, "kline", "kline_1m", false);
}

#[test]
fn forced_orders_and_open_interest_have_the_documented_fields() {
    let Some(dir) = data_dir() else {
        println!("documented payloads are absent: nothing compared");
        return;
    };
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(dir.join("docs-samples").join(name)).expect("a sample");
        serde_json::from_str(&text).expect("JSON")
    };
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    let mut market = SyntheticMarket::new(7, &[SymbolSpec::btcusdt()], Nanos::from_secs(1));
    let forced: Value = loop {
        let frame = market.step();
        if frame.stream == "btcusdt@forceOrder" {
            break serde_json::from_slice(frame.data).expect("JSON");
        }
    };
    let documented = read("websocket-market-streams--Liquidation-Order-Streams.json");
    assert_eq!(keys(&forced), keys(&documented));
    assert_eq!(keys(&forced["o"]), keys(&documented["o"]));
    let mut body = Vec::new();
    assert!(market.open_interest("BTCUSDT", &mut body));
    let ours: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(keys(&ours), keys(&read("market-data--rest-api--Open-Interest.json")));
}

/// A filter of a contract as exchangeInfo lists it.
fn filter<'v>(entry: &'v Value, kind: &str) -> &'v Value {
    let filters = entry["filters"].as_array().expect("filters");
    filters.iter().find(|filter| filter["filterType"] == kind).expect("the filter is listed")
}

#[test]
fn the_simulated_contracts_have_the_steps_and_bounds_of_the_venues() {
    let Some(dir) = data_dir() else {
        println!("recorded data is absent: nothing was compared");
        return;
    };
    let path = dir.join("rest-2026-07/fapi-v1-exchangeInfo.json.gz");
    let file = std::fs::File::open(path).expect("the recorded answer");
    let real: Value =
        serde_json::from_reader(flate2::read::GzDecoder::new(file)).expect("a JSON answer");
    let entries = real["symbols"].as_array().expect("symbols");
    for spec in SymbolSpec::all() {
        let symbol = spec.symbol.as_str();
        let entry = entries.iter().find(|entry| entry["symbol"] == symbol).expect("it is listed");
        let decimal = |kind: &str, key: &str| {
            let text = filter(entry, kind)[key].as_str().expect("a decimal in quotes");
            Px::parse(text).expect("a decimal").0
        };
        let listed = [
            decimal("PRICE_FILTER", "tickSize"),
            decimal("PRICE_FILTER", "minPrice"),
            decimal("PRICE_FILTER", "maxPrice"),
            decimal("LOT_SIZE", "stepSize"),
            decimal("LOT_SIZE", "minQty"),
            decimal("LOT_SIZE", "maxQty"),
            decimal("MARKET_LOT_SIZE", "maxQty"),
            decimal("MIN_NOTIONAL", "notional"),
            decimal("PERCENT_PRICE", "multiplierUp"),
            decimal("PERCENT_PRICE", "multiplierDown"),
        ];
        let ours = [
            spec.tick_size.0,
            spec.min_px.0,
            spec.max_px.0,
            spec.lot_size.0,
            spec.min_qty.0,
            spec.max_qty.0,
            spec.market_max_qty.0,
            spec.min_notional.0,
            spec.multiplier_up.0,
            spec.multiplier_down.0,
        ];
        assert_eq!(ours, listed, "{symbol}");
        assert_eq!(entry["onboardDate"], spec.onboarded.to_millis(), "{symbol}");
    }
}

#[test]
fn every_simulated_contract_keeps_a_tight_book_of_two_sides() {
    let start = Nanos::from_secs(1_750_000_000);
    let specs = SymbolSpec::all();
    let mut market = SyntheticMarket::new(11, &specs, start);
    let mut wide = vec![0_u32; specs.len()];
    let mut looked = 0;
    for second in 1..=120 {
        while market.peek() < start + Nanos::from_secs(second) {
            let _ = market.step();
        }
        looked += 1;
        for (index, spec) in specs.iter().enumerate() {
            let top = market.book(index).top();
            assert!(top.bid.1 > 0 && top.ask.1 > 0 && top.bid.0 < top.ask.0, "{}", spec.symbol);
            // A makers' answer to a wide spread takes about a millisecond.
            wide[index] += u32::from(top.ask.0 - top.bid.0 > 1);
        }
    }
    assert!(wide.iter().all(|&count| count * 4 < looked), "{wide:?} of {looked}");
}
