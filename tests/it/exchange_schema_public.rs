//! Every public answer and every market stream has the members and forms of the real one.

use crate::schema::{Trust, data_dir, differences, sample};
use peregrine::base::Nanos;
use peregrine::exchange::wire::market_data;
use peregrine::exchange::wire::params::Params;
use peregrine::exchange::wire::route::{Route, Target};
use peregrine::exchange::wire::streams::ConnId;
use peregrine::exchange::wire::streams::topic::Topic;
use peregrine::exchange::{Exchange, ExchangeSettings, SymbolSpec};
use serde_json::Value;
use std::path::Path;

/// 2026-07-04 04:49:45 UTC, when the recorded answers were taken.
const OPENED: Nanos = Nanos::from_secs(1_783_140_585);

/// A difference that is meant, and why. The first column is the end of the sample's name.
const MEANT: &[(&str, &str, &str)] = &[
    // Later than the samples.
    ("Aggregate-Trade-Streams.json", ".st: added", "2026-06-29: streams carry st and ps"),
    ("Book-Tickers-Stream.json", ".st: added", "2026-06-29"),
    ("Book-Tickers-Stream.json", ".ps: added", "2026-06-29"),
    ("Symbol-Book-Ticker-Streams.json", ".st: added", "2026-06-29"),
    ("Symbol-Book-Ticker-Streams.json", ".ps: added", "2026-06-29"),
    ("Depth-Streams.json", ".st: added", "2026-06-29"),
    ("Depth-Streams.json", ".ps: added", "2026-06-29"),
    ("Depth-Streams-RPI.json", ".st: added", "2026-06-29"),
    ("Depth-Streams-RPI.json", ".ps: added", "2026-06-29"),
    ("ws_futures_depth_diff_update.json", ".st: added", "2026-06-29"),
    ("ws_futures_depth_diff_update.json", ".ps: added", "2026-06-29"),
    ("Ticker-Streams.json", ".st: added", "2026-06-29"),
    ("All-Market-Tickers-Streams.json", "[].st: added", "2026-06-29"),
    ("Mark-Price-Stream.json", ".st: added", "2026-06-29"),
    ("Mark-Price-Stream-for-All-market.json", "[].st: added", "2026-06-29"),
    ("agg_trade_stream.json", ".nq: added", "2025-12-31: quantity without RPI orders"),
    ("mark_price_stream.json", ".ap: added", "2026-03-16: moving average of the mark price"),
    ("trade_stream.json", ".X: added", "recordings have it; the fixture is made up"),
    ("Trades-List.json", "[].nq: added", "2026-06-09: nq in REST aggTrades"),
    ("market_agg_trades.json", "[].nq: added", "2026-06-09"),
    ("market_trades.json", "[].isRPITrade: added", "2025-11-18: RPI orders"),
    ("market_historical_trades.json", "[].isRPITrade: added", "2025-11-18"),
    ("Order-Book-Ticker.json", ".lastUpdateId: added", "2026-07-15: recorded answers have it"),
    ("Order-Book-Ticker--2.json", "[].lastUpdateId: added", "2026-07-15"),
    ("market_book_ticker.json", ".lastUpdateId: added", "2026-07-15"),
    ("Funding-Rate-History.json", "[].rateType: added", "2026-07-28: Regular or Special"),
    ("market_funding_rate.json", "[].rateType: added", "2026-07-28"),
    ("market_funding_rate.json", "[].markPrice: added", "recorded answers have it"),
    ("-limit3.json", "[].rateType: added", "2026-07-28"),
    ("-limit20.json", "[].rateType: added", "2026-07-28"),
    ("Funding-Rate-Info.json", "[].updateTime: added", "recorded answers have it"),
    ("open_interest_historical.json", "[].CMCCirculatingSupply: added", "later than the fixture"),
    ("Open-Interest-Statistics.json", "[].timestamp: ", "a number by now"),
    ("open_interest_historical.json", "[].timestamp: ", "a number by now"),
    ("Ratio.json", "[].timestamp: ", "a number by now"),
    ("ratio.json", "[].timestamp: ", "a number by now"),
    ("Volume.json", "[].timestamp: ", "a number by now"),
    // Illustrations that are not what is sent.
    ("Contract-Info-Stream.json", ".bks: missing", "only when brackets change"),
    ("Exchange-Information.json", ".futuresType: added", "recorded answers have it"),
    ("Exchange-Information.json", ".symbols[].", "superseded by the recorded answer"),
    ("market_exchange_info.json", ".symbols[].", "superseded by the recorded answer of 2026"),
];

fn exchange() -> Exchange {
    let mut exchange = Exchange::new(&ExchangeSettings {
        seed: 5,
        symbols: vec![SymbolSpec::btcusdt(), SymbolSpec::ethusdt(), SymbolSpec::solusdt()],
        rate: 900.0,
        opened_at: OPENED,
        accounts: Vec::new(),
    });
    exchange.advance(OPENED + Nanos::from_secs(70));
    exchange
}

fn ask(exchange: &Exchange, target: &str) -> Value {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let params = Params::of(query, "");
    let answered =
        market_data::get(&exchange.market, exchange.limits.settings, path, &params, exchange.now());
    let reply = answered.unwrap_or_else(|| panic!("{target}: no such path"));
    let reply = reply.unwrap_or_else(|error| panic!("{target}: {error}"));
    serde_json::from_str(&reply.body).expect("JSON")
}

/// Differences that no row of [`MEANT`] explains.
fn unexplained(
    name: &str,
    ours: &Value,
    real: &Value,
    trust: Trust,
    used: &mut [bool],
) -> Vec<String> {
    let mut left = Vec::new();
    for line in differences(ours, real, trust) {
        let rows = MEANT.iter().enumerate();
        let mut fits =
            rows.filter(|(_, (end, start, _))| name.ends_with(end) && line.starts_with(start));
        match fits.next() {
            Some((row, _)) => used[row] = true,
            None => left.push(format!("{name} {line}")),
        }
    }
    left
}

const DOCS: &str = "docs-samples/market-data--rest-api--";
const FIXTURES: &str = "nautilus/py-adapter/http_futures_market_";

/// Samples of the documentation: name after [`DOCS`], request.
const DOCUMENTED: &[(&str, &str)] = &[
    ("24hr-Ticker-Price-Change-Statistics", "/fapi/v1/ticker/24hr?symbol=BTCUSDT"),
    ("24hr-Ticker-Price-Change-Statistics--2", "/fapi/v1/ticker/24hr"),
    ("ADL-Risk", "/fapi/v1/symbolAdlRisk?symbol=BTCUSDT"),
    ("ADL-Risk--2", "/fapi/v1/symbolAdlRisk"),
    ("Basis", "/futures/data/basis?pair=BTCUSDT&contractType=PERPETUAL&period=5m"),
    ("Composite-Index-Symbol-Information", "/fapi/v1/indexInfo"),
    ("Compressed-Aggregate-Trades-List", "/fapi/v1/aggTrades?symbol=BTCUSDT"),
    (
        "Continuous-Contract-Kline-Candlestick-Data",
        "/fapi/v1/continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1m",
    ),
    ("Delivery-Price", "/futures/data/delivery-price?pair=BTCUSDT"),
    ("Exchange-Information", "/fapi/v1/exchangeInfo"),
    ("Get-Funding-Rate-History", "/fapi/v1/fundingRate?symbol=BTCUSDT"),
    ("Get-Funding-Rate-Info", "/fapi/v1/fundingInfo"),
    ("Index-Constituents", "/fapi/v1/constituents?symbol=BTCUSDT"),
    ("Index-Price-Kline-Candlestick-Data", "/fapi/v1/indexPriceKlines?pair=BTCUSDT&interval=1m"),
    ("Insurance-Fund-Balance", "/fapi/v1/insuranceBalance?symbol=BTCUSDT"),
    ("Insurance-Fund-Balance--2", "/fapi/v1/insuranceBalance"),
    ("Kline-Candlestick-Data", "/fapi/v1/klines?symbol=BTCUSDT&interval=1w"),
    ("Long-Short-Ratio", "/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT&period=5m"),
    ("Mark-Price", "/fapi/v1/premiumIndex?symbol=BTCUSDT"),
    ("Mark-Price--2", "/fapi/v1/premiumIndex"),
    ("Mark-Price-Kline-Candlestick-Data", "/fapi/v1/markPriceKlines?symbol=BTCUSDT&interval=1m"),
    ("Multi-Assets-Mode-Asset-Index", "/fapi/v1/assetIndex?symbol=ETHUSD"),
    ("Multi-Assets-Mode-Asset-Index--2", "/fapi/v1/assetIndex"),
    ("Old-Trades-Lookup", "/fapi/v1/historicalTrades?symbol=BTCUSDT"),
    ("Open-Interest-Statistics", "/futures/data/openInterestHist?symbol=BTCUSDT&period=5m"),
    ("Open-Interest", "/fapi/v1/openInterest?symbol=BTCUSDT"),
    ("Order-Book-RPI", "/fapi/v1/rpiDepth?symbol=BTCUSDT"),
    ("Order-Book", "/fapi/v1/depth?symbol=BTCUSDT"),
    ("Premium-Index-Kline-Data", "/fapi/v1/premiumIndexKlines?symbol=BTCUSDT&interval=1m"),
    ("Recent-Trades-List", "/fapi/v1/trades?symbol=BTCUSDT"),
    ("Symbol-Order-Book-Ticker", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT"),
    ("Symbol-Order-Book-Ticker--2", "/fapi/v1/ticker/bookTicker"),
    ("Symbol-Price-Ticker", "/fapi/v1/ticker/price?symbol=BTCUSDT"),
    ("Symbol-Price-Ticker--2", "/fapi/v1/ticker/price"),
    ("Symbol-Price-Ticker-v2", "/fapi/v2/ticker/price?symbol=BTCUSDT"),
    ("Symbol-Price-Ticker-v2--2", "/fapi/v2/ticker/price"),
    ("Taker-BuySell-Volume", "/futures/data/takerlongshortRatio?symbol=BTCUSDT&period=5m"),
    (
        "Top-Long-Short-Account-Ratio",
        "/futures/data/topLongShortAccountRatio?symbol=BTCUSDT&period=5m",
    ),
    (
        "Top-Trader-Long-Short-Ratio",
        "/futures/data/topLongShortPositionRatio?symbol=BTCUSDT&period=5m",
    ),
    ("Trading-Schedule", "/fapi/v1/tradingSchedule"),
];

/// Fixtures: name after [`FIXTURES`], request.
const FIXED: &[(&str, &str)] = &[
    ("agg_trades", "/fapi/v1/aggTrades?symbol=BTCUSDT"),
    ("asset_index", "/fapi/v1/assetIndex?symbol=BTCUSD"),
    ("book_ticker", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT"),
    (
        "continuous_klines",
        "/fapi/v1/continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1h",
    ),
    ("depth", "/fapi/v1/depth?symbol=BTCUSDT&limit=1000"),
    ("exchange_info", "/fapi/v1/exchangeInfo"),
    ("funding_rate", "/fapi/v1/fundingRate?symbol=BTCUSDT"),
    (
        "global_long_short_account_ratio",
        "/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT&period=1h",
    ),
    ("historical_trades", "/fapi/v1/historicalTrades?symbol=BTCUSDT"),
    ("index_info", "/fapi/v1/indexInfo"),
    ("index_price_klines", "/fapi/v1/indexPriceKlines?pair=BTCUSDT&interval=1d"),
    ("klines", "/fapi/v1/klines?symbol=BTCUSDT&interval=1d"),
    ("mark_price_klines", "/fapi/v1/markPriceKlines?symbol=BTCUSDT&interval=1d"),
    ("open_interest", "/fapi/v1/openInterest?symbol=BTCUSDT"),
    ("open_interest_historical", "/futures/data/openInterestHist?symbol=BTCUSDT&period=1d"),
    ("premium_index", "/fapi/v1/premiumIndex?symbol=BTCUSDT"),
    ("taker_long_short_ratio", "/futures/data/takerlongshortRatio?symbol=BTCUSDT&period=1h"),
    ("ticker_24hr", "/fapi/v1/ticker/24hr?symbol=BTCUSDT"),
    ("ticker_price", "/fapi/v1/ticker/price?symbol=BTCUSDT"),
    (
        "top_long_short_account_ratio",
        "/futures/data/topLongShortAccountRatio?symbol=BTCUSDT&period=1h",
    ),
    (
        "top_long_short_position_ratio",
        "/futures/data/topLongShortPositionRatio?symbol=BTCUSDT&period=1h",
    ),
    ("trades", "/fapi/v1/trades?symbol=BTCUSDT"),
];

/// Answers as the venue sent them: file, request.
const SENT: &[(&str, &str)] = &[
    ("fapi-v1-exchangeInfo.json.gz", "/fapi/v1/exchangeInfo"),
    ("fapi-v1-premiumIndex.json.gz", "/fapi/v1/premiumIndex"),
    ("fapi-v1-fundingInfo.json.gz", "/fapi/v1/fundingInfo"),
    ("fapi-v1-fundingRate-BTCUSDT-limit3.json", "/fapi/v1/fundingRate?symbol=BTCUSDT&limit=3"),
    ("fapi-v1-fundingRate-SOLUSDT-limit20.json", "/fapi/v1/fundingRate?symbol=SOLUSDT&limit=20"),
    ("fapi-v1-fundingRate-ETHUSDT-limit20.json", "/fapi/v1/fundingRate?symbol=ETHUSDT&limit=20"),
    ("fapi-v1-ticker-bookTicker-BTCUSDT.json", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT"),
    ("fapi-v1-ticker-bookTicker-full.json.gz", "/fapi/v1/ticker/bookTicker"),
];

/// Samples of market streams: file, stream. A name without a folder is the documentation's.
const STREAMS: &[(&str, &str)] = &[
    ("Aggregate-Trade-Streams", "btcusdt@aggTrade"),
    ("All-Book-Tickers-Stream", "!bookTicker"),
    ("All-Market-Liquidation-Order-Streams", "!forceOrder@arr"),
    ("All-Market-Mini-Tickers-Stream", "!miniTicker@arr"),
    ("All-Market-Tickers-Streams", "!ticker@arr"),
    ("Continuous-Contract-Kline-Candlestick-Streams", "btcusdt_perpetual@continuousKline_5m"),
    ("Contract-Info-Stream", "!contractInfo"),
    ("Diff-Book-Depth-Streams", "btcusdt@depth"),
    ("Diff-Book-Depth-Streams", "btcusdt@depth@100ms"),
    ("Diff-Book-Depth-Streams-RPI", "btcusdt@rpiDepth@500ms"),
    ("Individual-Symbol-Book-Ticker-Streams", "btcusdt@bookTicker"),
    ("Individual-Symbol-Mini-Ticker-Stream", "btcusdt@miniTicker"),
    ("Individual-Symbol-Ticker-Streams", "btcusdt@ticker"),
    ("Kline-Candlestick-Streams", "btcusdt@kline_1m"),
    ("Kline-Candlestick-Streams", "btcusdt@kline_1h"),
    ("Liquidation-Order-Streams", "btcusdt@forceOrder"),
    ("Mark-Price-Stream", "btcusdt@markPrice"),
    ("Mark-Price-Stream-for-All-market", "!markPrice@arr"),
    ("Partial-Book-Depth-Streams", "btcusdt@depth5"),
    ("nautilus/rust-adapter/market_data_json/agg_trade_stream", "btcusdt@aggTrade"),
    ("nautilus/rust-adapter/market_data_json/book_ticker_stream", "btcusdt@bookTicker"),
    ("nautilus/rust-adapter/market_data_json/depth_update_stream", "btcusdt@depth"),
    ("nautilus/rust-adapter/market_data_json/kline_stream_closed", "btcusdt@kline_1m"),
    ("nautilus/rust-adapter/market_data_json/kline_stream_open", "btcusdt@kline_1m"),
    ("nautilus/rust-adapter/market_data_json/liquidation_stream", "btcusdt@forceOrder"),
    ("nautilus/rust-adapter/market_data_json/mark_price_stream", "btcusdt@markPrice@1s"),
    ("nautilus/rust-adapter/market_data_json/ticker_stream", "btcusdt@ticker"),
    ("nautilus/rust-adapter/market_data_json/trade_stream", "btcusdt@trade"),
    ("nautilus/py-adapter/ws_futures_book_ticker", "btcusdt@bookTicker"),
    ("nautilus/py-adapter/ws_futures_ticker_24hr", "btcusdt@ticker"),
    ("nautilus/py-adapter/ws_futures_depth_diff_update", "btcusdt@depth@500ms"),
    ("nautilus/py-adapter/ws_futures_depth_update", "btcusdt@depth20@100ms"),
];

fn stream_file(dir: &Path, name: &str) -> std::path::PathBuf {
    match name.contains('/') {
        true => dir.join(format!("{name}.json")),
        false => dir.join(format!("docs-samples/websocket-market-streams--{name}.json")),
    }
}

/// The first message of every stream of [`STREAMS`], by its place there.
fn first_messages(exchange: &mut Exchange) -> Vec<Option<Value>> {
    for (conn, (_, name)) in (0..).zip(STREAMS) {
        let topic = Topic::parse(name, &["btcusdt".to_owned()]).expect("a stream");
        let route = if topic.is_carried_by(Route::Public) { "public" } else { "market" };
        let target = Target::parse(&format!("/{route}/ws/{name}")).expect("a stream path");
        let now = exchange.now();
        exchange.open(ConnId(conn), &target, now);
    }
    let mut seen: Vec<Option<Value>> = vec![None; STREAMS.len()];
    // Forced orders are rare; everything else comes within seconds.
    for second in 1..3_600 {
        if second == 5 {
            exchange.market.at_mut(1).halted = true;
        }
        exchange.advance(OPENED + Nanos::from_secs(70 + second));
        for delivery in exchange.take_deliveries() {
            let first = &mut seen[delivery.conn.0 as usize];
            let data: Value = serde_json::from_str(&delivery.text).expect("JSON");
            // A side without changes says nothing of its levels.
            let empty = |key: &str| data[key].as_array().is_some_and(Vec::is_empty);
            if first.is_none() && !(data["e"] == "depthUpdate" && (empty("b") || empty("a"))) {
                *first = Some(data);
            }
        }
        if seen.iter().all(Option::is_some) {
            break;
        }
    }
    seen
}

#[test]
fn public_answers_and_market_streams_have_the_members_and_forms_of_real_ones() {
    let Some(dir) = data_dir() else {
        println!("recorded and documented payloads are absent: nothing compared");
        return;
    };
    let mut exchange = exchange();
    let mut used = vec![false; MEANT.len()];
    let mut found = Vec::new();
    let mut compared = 0;
    let mut rest = |file: &str, target: &str, trust: Trust, used: &mut Vec<bool>| {
        compared += 1;
        let real = sample(&dir.join(file));
        found.extend(unexplained(file, &ask(&exchange, target), &real, trust, used));
    };
    for (name, target) in DOCUMENTED {
        rest(&format!("{DOCS}{name}.json"), target, Trust::Illustrated, &mut used);
    }
    for (name, target) in FIXED {
        rest(&format!("{FIXTURES}{name}.json"), target, Trust::Illustrated, &mut used);
    }
    for (name, target) in SENT {
        rest(&format!("rest-2026-07/{name}"), target, Trust::Sent, &mut used);
    }
    let seen = first_messages(&mut exchange);
    for ((name, stream), ours) in STREAMS.iter().zip(seen) {
        let ours = ours.unwrap_or_else(|| panic!("{stream} said nothing"));
        let file = stream_file(&dir, name);
        let real = sample(&file);
        let file = file.to_string_lossy().into_owned();
        found.extend(unexplained(&file, &ours, &real, Trust::Illustrated, &mut used));
        compared += 1;
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    println!("{compared} samples compared");
    let idle = MEANT.iter().zip(&used).filter(|(_, used)| !**used).map(|(row, _)| row);
    let idle: Vec<_> = idle.collect();
    assert!(idle.is_empty(), "rows that explain nothing any more: {idle:#?}");
}

#[test]
fn every_sample_of_market_data_is_in_the_tables() {
    let Some(dir) = data_dir() else {
        println!("documented payloads are absent: nothing compared");
        return;
    };
    // Of streams that are silent here, of one that is not a market stream, of a dead product.
    let silent = [
        "Composite-Index-Symbol-Information-Streams",
        "Multi-Assets-Mode-Asset-Index",
        "Trading-Session-Stream",
        "Live-Subscribing",
        "blvt_nav_kline",
    ];
    let listed = |file: &str| {
        let rest = DOCUMENTED.iter().map(|(name, _)| format!("{DOCS}{name}.json"));
        let fixed = FIXED.iter().map(|(name, _)| format!("{FIXTURES}{name}.json"));
        let streams = STREAMS.iter().map(|(name, _)| stream_file(Path::new(""), name));
        let streams = streams.map(|path| path.to_string_lossy().into_owned());
        rest.chain(fixed).chain(streams).any(|own| own.ends_with(file))
            || silent.iter().any(|own| file.contains(own))
    };
    let folders = [
        ("docs-samples", "market-data--rest-api--"),
        ("docs-samples", "websocket-market-streams--"),
        ("nautilus/py-adapter", "http_futures_market_"),
        ("nautilus/py-adapter", "ws_futures_depth"),
        ("nautilus/py-adapter", "ws_futures_ticker"),
        ("nautilus/py-adapter", "ws_futures_book"),
        ("nautilus/rust-adapter/market_data_json", ""),
    ];
    for (folder, start) in folders {
        for entry in std::fs::read_dir(dir.join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            assert!(!name.starts_with(start) || listed(&name), "{folder}/{name} is in no table");
        }
    }
}
