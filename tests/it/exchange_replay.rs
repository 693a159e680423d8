//! Recorded data drives the exchange over real sockets, and clients trade against it.

use crate::exchange_sim::{Sim, settings};
use crate::pipeline_support::data_dir;
use peregrine::exchange::ServerSettings;
use peregrine::exchange::flow::replay::Pace;
use peregrine::exchange::server::ReplaySettings;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn recording() -> Option<PathBuf> {
    let file = data_dir()?.join("hftbacktest/usdm_ethusdt_20240808.gz");
    if !file.is_file() {
        println!("the recording is absent: nothing was replayed");
        return None;
    }
    Some(file)
}

fn replaying(file: &Path, pace: Pace) -> Sim {
    let replay = Some(ReplaySettings { paths: vec![file.to_owned()], pace });
    Sim::with(ServerSettings { replay, ..settings() })
}

fn public(sim: &Sim, path: &str) -> Value {
    sim.http().request("GET", path, &[], "").expect("an answer").json()
}

/// The same session: a taker, a resting order in the queue, then ten recorded seconds.
fn session(file: &Path) -> (Vec<Value>, Value) {
    let mut sim = replaying(file, Pace::Times(1.0));
    sim.step(5_000);
    let quote = public(&sim, "/fapi/v1/ticker/bookTicker?symbol=ETHUSDT");
    let taker = "symbol=ETHUSDT&side=BUY&type=MARKET&quantity=0.050&newOrderRespType=RESULT";
    let bought = sim.signed("POST", "/fapi/v1/order", taker).expect("an answer").json();
    assert_eq!(bought["status"], "FILLED", "{bought}");
    let bid = quote["bidPrice"].as_str().expect("a price");
    let maker = format!(
        "symbol=ETHUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.050&price={bid}\
         &newClientOrderId=queued"
    );
    let resting = sim.signed("POST", "/fapi/v1/order", &maker).expect("an answer").json();
    assert_eq!(resting["status"], "NEW", "{resting}");
    sim.step(10_000);
    let trades = public(&sim, "/fapi/v1/trades?symbol=ETHUSDT&limit=1000");
    let depth = public(&sim, "/fapi/v1/depth?symbol=ETHUSDT&limit=100");
    let ledger = sim.ledger();
    let fill = &ledger["orders"][0]["fills"][0];
    let ask = quote["askPrice"].as_str().expect("a price");
    let ask = peregrine::base::Px::parse(ask).expect("a decimal");
    assert_eq!(fill["px"], ask.0, "a market order pays the recorded best ask");
    (vec![quote, trades, depth], ledger)
}

#[test]
fn a_recording_over_sockets_fills_clients_at_its_prices_and_repeats_byte_for_byte() {
    let Some(file) = recording() else { return };
    let (first, second) = (session(&file), session(&file));
    assert_eq!(first, second);
}

#[test]
fn the_contracts_of_a_recording_are_the_only_ones_the_exchange_lists() {
    let Some(file) = recording() else { return };
    let sim = replaying(&file, Pace::Times(1.0));
    let listed = public(&sim, "/fapi/v1/exchangeInfo");
    let symbols: Vec<&str> = listed["symbols"]
        .as_array()
        .expect("contracts")
        .iter()
        .filter_map(|entry| entry["symbol"].as_str())
        .collect();
    assert_eq!(symbols, ["ETHUSDT"]);
}

#[test]
fn a_faster_pace_shows_the_same_trades_in_less_time() {
    let Some(file) = recording() else { return };
    let traded = |pace: Pace, ms: i64| {
        let mut sim = replaying(&file, pace);
        sim.step(ms);
        let trades = public(&sim, "/fapi/v1/trades?symbol=ETHUSDT&limit=1000");
        let print = |trade: &Value| (trade["price"].clone(), trade["qty"].clone());
        trades.as_array().expect("trades").iter().map(print).collect::<Vec<_>>()
    };
    let own = traded(Pace::Times(1.0), 20_000);
    assert!(own.len() > 100, "{} trades", own.len());
    assert_eq!(own, traded(Pace::Times(10.0), 2_000));
}

#[test]
fn as_fast_as_possible_takes_no_notice_of_recorded_time() {
    let Some(file) = recording() else { return };
    let mut sim = replaying(&file, Pace::AsFastAsPossible);
    // 500 records a millisecond: these 100 ms hold more than a minute of the recording.
    sim.step(100);
    let trades = public(&sim, "/fapi/v1/trades?symbol=ETHUSDT&limit=1000");
    assert_eq!(trades.as_array().expect("trades").len(), 1_000);
}
