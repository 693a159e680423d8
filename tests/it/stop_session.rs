//! Whole sessions at the simulated exchange whose positions have their stops there.

use crate::lanes::read;
use crate::pipeline_support::assert_replays;
use crate::process::look;
use crate::session_support::{Session, with_faults};
use peregrine::base::Reason;
use peregrine::base::event::{Event, Kind, VenueStatus};
use peregrine::exchange::ExchangeServer;
use peregrine::venue::rest::RestClient;
use serde_json::{Value, json};

/// Enters soon, and leaves by nothing but the stop, 1 % from the entry.
const HOLDS: [(&str, &str, &str); 12] = [
    ("features", "bar_interval_ms", "250"),
    ("policy", "enter_edge", "0.05"),
    ("policy", "exit_edge", "-0.99"),
    ("exits", "stop_atr", "0.0"),
    ("exits", "take_profit_r", "0.0"),
    ("exits", "trail_r", "0.0"),
    ("exits", "hold_bars", "0"),
    ("exits", "volatility_high", "0.0"),
    ("exits", "volatility_low", "0.0"),
    ("exits", "hold_ms_max", "3600000"),
    ("exits", "protective_stop_bps", "100"),
    ("venue", "dead_man_ms", "10000"),
];

struct Floor {
    exchange: ExchangeServer,
    rest: RestClient,
    session: Session,
}

impl Floor {
    fn start(faults: &str) -> Self {
        let (exchange, session) = Session::at_exchange(with_faults(faults), &HOLDS);
        let rest = RestClient::new(&exchange.rest_url());
        Self { exchange, rest, session }
    }

    fn account(&self) -> Value {
        account(&self.rest)
    }

    /// Looks at the exchange's own books until they are as wanted.
    #[track_caller]
    fn see(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        look(what, || {
            let account = self.account();
            if is_so(&account) { Ok(account) } else { Err(account) }
        })
    }

    fn spike(&self, symbol: &str, bps: i64) {
        let url = format!("{}/sim/faults", self.exchange.rest_url());
        let body = json!({"kind": "price_spike", "symbol": symbol, "bps": bps}).to_string();
        let sent = ureq::post(&url).send(body).unwrap();
        assert_eq!(sent.status().as_u16(), 200);
    }
}

fn account(rest: &RestClient) -> Value {
    let told: Value = serde_json::from_slice(&rest.get("/sim/ledger").unwrap()).unwrap();
    assert_eq!(told["balanced"], true);
    told["accounts"][0].clone()
}

fn held(account: &Value) -> Vec<(&str, i64, i64)> {
    let rows = account["positions"].as_array().unwrap().iter();
    rows.map(|row| {
        let number = |key: &str| row[key].as_i64().unwrap();
        (row["symbol"].as_str().unwrap(), number("qty"), number("cost"))
    })
    .filter(|(_, qty, _)| *qty != 0)
    .collect()
}

/// The stops of a symbol that wait at the exchange: side and trigger price.
fn waiting<'a>(account: &'a Value, symbol: &str) -> Vec<(&'a str, f64)> {
    let rows = account["algo_orders"].as_array().unwrap().iter();
    rows.filter(|row| row["symbol"] == symbol && row["status"] == "NEW")
        .map(|row| {
            assert_eq!(
                (&row["close_position"], &row["type"]),
                (&json!(true), &json!("STOP_MARKET"))
            );
            (row["side"].as_str().unwrap(), row["trigger_px"].as_f64().unwrap())
        })
        .collect()
}

/// True when each of `count` positions has exactly one stop, on its far side, 1 % from its entry.
fn each_has_its_stop(account: &Value, count: usize) -> bool {
    let positions = held(account);
    positions.len() == count
        && positions.iter().all(|&(symbol, qty, cost)| {
            let entry = cost as f64 / qty as f64 * 1e8;
            let (side, px) = if qty > 0 { ("SELL", entry * 0.99) } else { ("BUY", entry * 1.01) };
            let stops = waiting(account, symbol);
            // A tick and a tenth of the distance, by which a position may have grown.
            stops.len() == 1 && stops[0].0 == side && (stops[0].1 / px - 1.0).abs() < 0.0011
        })
}

fn is_triggered(event: &Event) -> bool {
    event.kind() == Some(Kind::VenueStatus)
        && event.body::<VenueStatus>().reason == Reason::StopTriggered as u16
}

#[test]
fn every_position_has_its_stop_at_the_exchange_though_its_requests_are_struck() {
    let floor = Floor::start(
        r#"
        [[fault]]
        kind = "unavailable"
        target = { method = "POST", path = "/fapi/v1/algoOrder" }
        probability = 0.4
        [[fault]]
        kind = "unknown_after_accept"
        target = { method = "POST", path = "/fapi/v1/algoOrder" }
        probability = 0.4
        [[fault]]
        kind = "duplicate"
        target = { event = "ALGO_UPDATE" }
        probability = 0.5
        "#,
    );
    floor.see("two positions with a stop each", |account| each_has_its_stop(account, 2));
    let Floor { rest, session, exchange } = floor;
    let (outcome, state) = session.end();
    assert_eq!(outcome.halt, None);
    assert_eq!(outcome.differences, Vec::<String>::new());
    // The session is gone; what it holds is still protected, and its timer does not run.
    assert!(each_has_its_stop(&account(&rest), 2), "{}", account(&rest));
    assert_replays(&state.path().join("journal/0000001-paper"));
    drop(exchange);
}

#[test]
fn fault_x03_a_gap_through_the_stop_closes_the_position_at_the_exchange_and_in_the_books() {
    let floor = Floor::start("");
    let before = floor.see("two positions", |account| each_has_its_stop(account, 2));
    let (_, qty, _) = held(&before).into_iter().find(|held| held.0 == "BTCUSDT").unwrap();
    floor.spike("BTCUSDT", -300 * qty.signum());
    floor.session.wait_for("the stop", is_triggered);
    let Floor { session, rest, .. } = floor;
    let inputs = read(&session.journal(), 0);
    let (outcome, state) = session.end();
    assert!(inputs.iter().any(is_triggered));
    let told = account(&rest);
    let ended = |status: &str| {
        let rows = told["algo_orders"].as_array().unwrap();
        rows.iter().filter(|row| row["symbol"] == "BTCUSDT" && row["status"] == status).count()
    };
    assert_eq!(ended("FINISHED"), 1);
    assert_eq!(outcome.halt, None);
    assert_eq!(outcome.differences, Vec::<String>::new());
    assert_replays(&state.path().join("journal/0000001-paper"));
}
