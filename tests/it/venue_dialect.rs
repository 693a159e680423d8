//! A market in COIN-M's form through the whole program: recorded, live, and never traded.

use crate::coin_venue::{COIN, CoinVenue, recording};
use crate::lanes::{count, sound};
use crate::pipeline_support::{assert_replays, last_json, peregrine_in, root, text};
use crate::session_support::{Session, order};
use peregrine::base::event::{BookTicker, Event, Kind, StateChange, flags};
use peregrine::base::{InstrumentId, Qty};
use peregrine::exchange::{ExchangeServer, ServerSettings, SymbolSpec};
use peregrine::risk::TradingState;
use peregrine::runtime::session::SessionOrder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const DIALECT: (&str, &str) = ("PEREGRINE__VENUE__DIALECT", "coin-m");
const NOWHERE: (&str, &str) = ("PEREGRINE__VENUE__ORDERS", "none");
const SYMBOLS: (&str, &str) = ("PEREGRINE__INSTRUMENTS__SYMBOLS", "[\"BTCUSD_PERP\"]");

/// Features are known after short bars.
const BARS: (&str, &str) = ("PEREGRINE__FEATURES__BAR_INTERVAL_MS", "250");

fn backtest(data: &Path, journal: &Path, variables: &[(&str, &str)]) -> std::process::Output {
    let (data, journal) = (text(data), text(journal));
    let arguments = ["backtest", "--config", "config/paper.toml", "--data", data];
    let arguments = [&arguments[..], &["--journal", journal, "--json"]].concat();
    peregrine_in(&root(), &arguments, variables)
}

/// The best bid and offer after every frame of a recording, by maps and nothing else.
fn best_of(lines: &str) -> [(f64, String); 2] {
    let price = |level: &Value| level[0].as_str().unwrap().parse::<f64>().unwrap();
    let mut sides = [BTreeMap::new(), BTreeMap::new()];
    let mut newest = None;
    let mut put = |side: usize, list: &Value| {
        for level in list.as_array().unwrap() {
            let (px, qty) = (price(level), level[1].as_str().unwrap().to_owned());
            let key = (px * 100.0).round() as i64;
            if qty == "0" {
                sides[side].remove(&key)
            } else {
                sides[side].insert(key, (px, qty))
            };
        }
    };
    for line in lines.lines() {
        let told: Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        if let Some(id) = told["lastUpdateId"].as_u64() {
            newest = Some(id);
            put(0, &told["bids"]);
            put(1, &told["asks"]);
        }
        let data = &told["data"];
        let is_later = newest.is_some_and(|id| data["u"].as_u64().is_some_and(|last| last >= id));
        if data["e"] == "depthUpdate" && is_later {
            put(0, &data["b"]);
            put(1, &data["a"]);
        }
    }
    let [bids, asks] = sides;
    [bids.last_key_value().unwrap().1.clone(), asks.first_key_value().unwrap().1.clone()]
}

#[test]
fn a_recorded_market_of_the_second_dialect_is_journaled_priced_and_not_traded() {
    let folder = tempfile::tempdir().unwrap();
    // Neither name nor frames are needed to tell whose the snapshot is: its body says so.
    let (data, journal) = (folder.path().join("market.log"), folder.path().join("journal"));
    let lines = recording(7, 40_000);
    std::fs::write(&data, &lines).unwrap();
    let output = backtest(&data, &journal, &[DIALECT, NOWHERE, SYMBOLS, BARS]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = last_json(&output);
    assert_eq!((&summary["dropped"], &summary["bad_lines"]), (&Value::from(0), &Value::from(0)));
    assert!(summary["decisions"].as_u64().unwrap() > 0, "{summary}");
    assert_eq!((&summary["orders"], &summary["fills"]), (&Value::from(0), &Value::from(0)));

    let market = &summary["market"][COIN];
    let candles = lines.lines().filter(|line| line.contains("\"e\":\"kline\"")).count();
    let inputs = sound(&journal, 0);
    assert!(candles > 0);
    assert_eq!(count(&inputs, Kind::Kline), 0, "candles in other units make no events");
    assert_eq!((count(&inputs, Kind::Malformed), count(&inputs, Kind::Reconciled)), (0, 0));
    for ((px, qty), side) in best_of(&lines).into_iter().zip(["best_bid", "best_ask"]) {
        let told = &market["book"][side];
        let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
        let wanted = (px, qty.parse::<f64>().unwrap());
        assert_eq!((number(&told[0]), number(&told[1])), wanted, "{side} {market}");
    }
    let whole = |qty: i64| qty % Qty::whole(1).0 == 0;
    let tops = inputs.iter().filter(|event| event.kind() == Some(Kind::BookTicker));
    let tops: Vec<&BookTicker> = tops.map(|event| event.body()).collect();
    assert!(tops.len() > 1_000 && tops.iter().all(|top| whole(top.bid_qty) && whole(top.ask_qty)));
    assert_never_traded(&journal);
    assert_replays(&journal);
}

/// Books were whole and rows were priced, and nothing was armed, wanted or sent.
fn assert_never_traded(journal: &Path) {
    let lanes = [0, 1, 2, 3].map(|lane| sound(journal, lane));
    assert!(lanes[1].iter().any(|e| e.kind() == Some(Kind::BookState) && e.has(flags::ON)));
    assert_eq!(count(&lanes[0], Kind::Command), 0, "nothing arms");
    assert_eq!(count(&lanes[2], Kind::OrderApproved), 0);
    let moves = lanes[2].iter().filter(|event| event.kind() == Some(Kind::StateChange));
    let active = TradingState::Active as u8;
    assert!(moves.map(|event| event.body::<StateChange>()).all(|change| change.to != active));
    assert!(lanes[3].is_empty(), "{:?}", lanes[3].first());
}

#[test]
fn contracts_settled_in_their_coin_are_traded_neither_by_default_nor_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let (data, journal) = (folder.path().join("market.log"), folder.path().join("journal"));
    std::fs::write(&data, recording(7, 200)).unwrap();
    let refused = |variables: &[(&str, &str)], code: i32, words: &[&str]| {
        let output = backtest(&data, &journal, variables);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!journal.exists(), "nothing was begun");
    };
    refused(&[DIALECT, SYMBOLS], 2, &["venue.orders", "\"none\"", "coin-m"]);
    refused(&[SYMBOLS], 2, &["instruments.symbols", "BTCUSD_PERP", "usd-m"]);
    // Found in the data and named nowhere.
    refused(&[], 1, &["BTCUSD_PERP", "venue.dialect"]);
}

#[test]
fn a_live_market_of_the_second_dialect_is_recorded_over_its_own_paths_and_never_armed() {
    let symbols = vec![SymbolSpec::by_symbol("BTCUSDT").unwrap()];
    let settings = ServerSettings { symbols, ..ServerSettings::default() };
    let venue = CoinVenue::start(ExchangeServer::start(settings).unwrap());
    let state = tempfile::tempdir().unwrap();
    let urls = [venue.rest_url(), venue.ws_url(), String::new()];
    let changes = [
        ("venue", "dialect", "\"coin-m\""),
        ("venue", "orders", "\"none\""),
        ("venue", "open_interest_every_s", "1"),
        ("instruments", "symbols", "[\"BTCUSD_PERP\"]"),
        ("features", "bar_interval_ms", "250"),
    ];
    let order = order(state.path(), &urls, None, &changes);
    let session = Session::run(state, SessionOrder { statement: None, ..order });
    session.until("a whole book", 1, |events| {
        events.iter().any(|e| e.kind() == Some(Kind::BookState) && e.has(flags::ON))
    });
    let wanted = [Kind::BookTicker, Kind::AggTrade, Kind::MarkPrice, Kind::OpenInterest];
    session.wait(|inputs| wanted.iter().all(|kind| count(inputs, *kind) > 0));
    let inputs = session.until("depth", 0, |inputs| count(inputs, Kind::DepthHead) > 10);
    let of_ours = |e: &&Event| e.kind() == Some(Kind::BookTicker);
    assert!(inputs.iter().filter(of_ours).all(|e| e.instrument() == InstrumentId(0)));
    assert_eq!(count(&inputs, Kind::Malformed), 0);
    let (outcome, state) = session.end();
    assert_eq!(outcome.halt, None);
    let asked = venue.asked();
    for path in ["exchangeInfo", "depth", "openInterest"] {
        assert!(asked.contains(&format!("/dapi/v1/{path}")), "{path}: {asked:?}");
    }
    assert!(asked.iter().all(|path| path.starts_with("/dapi/")), "{asked:?}");
    venue.stop();
    let journal = state.path().join("journal/0000001-paper");
    assert_never_traded(&journal);
    assert_replays(&journal);
}
