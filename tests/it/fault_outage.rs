//! A start within an outage of the venue: it asks again until there is an answer, for as long as it
//! is told to, and ends with what was said last.

use crate::lanes::count;
use crate::session_support::{Session, credentials, order, urls};
use peregrine::base::event::Kind;
use peregrine::exchange::fault::script;
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::runtime::session;
use peregrine::venue::rest::RestClient;
use serde_json::Value;
use std::sync::atomic::Ordering;

/// Whatever a start asks is not answered at first, in one way or another.
const OUTAGE: &str = r#"
    [[fault]]
    kind = "close_after_accept"
    count = 2

    [[fault]]
    kind = "unavailable"
    target = { path = "/fapi/v1/positionSide/dual" }
    count = 2

    [[fault]]
    kind = "internal_error"
    target = { path = "/fapi/v3/account" }
    count = 2

    [[fault]]
    kind = "timeout_after_accept"
    target = { path = "/fapi/v1/listenKey" }
    count = 2
"#;

fn exchange(faults: &str) -> ExchangeServer {
    let faults = script::parse(faults).unwrap();
    ExchangeServer::start(ServerSettings { faults, ..ServerSettings::default() }).unwrap()
}

/// How often each fault of its script struck.
fn hits(exchange: &ExchangeServer) -> Vec<u64> {
    let body = RestClient::new(&exchange.rest_url()).get("/sim/faults").unwrap();
    let faults: Vec<Value> = serde_json::from_slice(&body).unwrap();
    faults.iter().map(|fault| fault["hits"].as_u64().unwrap()).collect()
}

#[test]
fn fault_p18_a_start_within_an_outage_goes_on_when_the_venue_answers() {
    let exchange = exchange(OUTAGE);
    let session = Session::start_with(&urls(&exchange), credentials(&exchange), &[]);
    session.wait(|told| count(told, Kind::Reconciled) > 0);
    assert_eq!(hits(&exchange), [2; 4]);
    let (outcome, _state) = session.end();
    assert_eq!((outcome.halt, outcome.differences), (None, Vec::new()));
}

/// Why a session does not start while the venue is away for good.
fn refusal(patience_s: &str, is_stopped: bool) -> (String, [u64; 2]) {
    let away = "[[fault]]\nkind = \"unavailable\"\ntarget = { path = \"/fapi/v1/exchangeInfo\" }\n\
                [[fault]]\nkind = \"unavailable\"\ntarget = { path = \"/fapi/v3/account\" }\n";
    let exchange = exchange(away);
    let state = tempfile::tempdir().unwrap();
    let more = [("venue", "start_patience_s", patience_s)];
    let order = order(state.path(), &urls(&exchange), credentials(&exchange), &more);
    order.stop.store(is_stopped, Ordering::Relaxed);
    let error = session::run(order).err().expect("it does not start");
    assert!(!state.path().join("journal").read_dir().is_ok_and(|mut dir| dir.next().is_some()));
    (format!("{error:#}"), hits(&exchange).try_into().unwrap())
}

#[test]
fn a_start_without_patience_or_that_is_stopped_asks_once_and_any_other_asks_again() {
    for (patience_s, is_stopped) in [("0", false), ("240", true)] {
        let (error, asked) = refusal(patience_s, is_stopped);
        assert!(error.contains("/fapi/v3/account") && error.contains("503"), "{error}");
        assert_eq!(asked, [1, 1], "{patience_s}");
    }
    let (error, [first, last]) = refusal("1", false);
    assert!(error.contains("/fapi/v3/account") && error.contains("503"), "{error}");
    assert!(first >= 2 && last >= 1, "{first} {last}");
}
