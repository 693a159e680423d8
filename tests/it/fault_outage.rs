//! A start within an outage of the venue: it asks again until there is an answer, for as long as it
//! is told to, and ends with what was said last.

use crate::floor::sim;
use crate::lanes::{count, has, is};
use crate::pipeline_support::EAGER;
use crate::process::wait;
use crate::session_support::{Session, credentials, order, urls, with_faults};
use peregrine::base::event::{Event, Kind, StateChange};
use peregrine::exchange::ExchangeServer;
use peregrine::risk::TradingState;
use peregrine::runtime::kill::latch::Latch;
use peregrine::runtime::session;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a start asks first, and one of what it asks then.
const CONTRACTS: &str = "/fapi/v1/exchangeInfo";
const ACCOUNT: &str = "/fapi/v3/account";

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

/// The venue does not tell what is asked at this path, until it is told to.
fn away(path: &str) -> String {
    format!("[[fault]]\nkind = \"unavailable\"\ntarget = {{ path = \"{path}\" }}\n")
}

fn exchange(faults: &str) -> ExchangeServer {
    ExchangeServer::start(with_faults(faults)).unwrap()
}

/// How often each fault of its script struck.
fn hits(exchange: &ExchangeServer) -> Vec<u64> {
    let faults = sim(exchange, "GET", "/sim/faults", &Value::Null);
    let faults = faults.as_array().unwrap().iter();
    faults.map(|fault| fault["hits"].as_u64().unwrap()).collect()
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
    let exchange = exchange(&[away(CONTRACTS), away(ACCOUNT)].concat());
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
    let (error, asked) = refusal("0", false);
    assert!(error.contains("/fapi/v3/account") && error.contains("503"), "{error}");
    assert_eq!(asked, [1, 1]);
    let (error, asked) = refusal("150", true);
    assert!(error.contains("stopped"), "{error}");
    assert_eq!(asked, [1, 0]);
    let (error, [first, last]) = refusal("1", false);
    assert!(error.contains("/fapi/v3/account") && error.contains("503"), "{error}");
    assert!(first >= 2 && last >= 1, "{first} {last}");
}

/// True where the session was ever allowed to trade.
fn was_active(journal: &Path) -> bool {
    let active = |event: &Event| {
        event.kind() == Some(Kind::StateChange)
            && event.body::<StateChange>().to == TradingState::Active as u8
    };
    has(journal, 2, active)
}

#[test]
fn a_kill_that_comes_while_a_start_waits_is_obeyed_before_anything_is_sent() {
    for way in ["file", "signal"] {
        let exchange = exchange(&away(CONTRACTS));
        let state = tempfile::tempdir().unwrap();
        let order = order(state.path(), &urls(&exchange), credentials(&exchange), &EAGER);
        let kill = Arc::clone(&order.kill);
        let session = Session::run(state, order);
        wait("the start to ask again", || hits(&exchange)[0] >= 2);
        match way {
            "file" => Latch::default().write(session.state()).unwrap(),
            _ => kill.store(true, Ordering::Relaxed),
        }
        sim(&exchange, "DELETE", "/sim/faults", &Value::Null);
        session.wait(|_| false);
        let journal = session.journal();
        let (outcome, state) = session.end();
        assert!(outcome.killed && outcome.kill_done, "{way}: {:?}", outcome.halt);
        assert!(!was_active(&journal) && !has(&journal, 3, is(Kind::OrderIntent)), "{way}");
        assert!(Latch::read(state.path()).unwrap().finished, "{way}");
    }
}

#[test]
fn a_kill_by_signal_outlives_a_start_that_fails() {
    let state = tempfile::tempdir().unwrap();
    let gone = exchange(&away(ACCOUNT));
    let more = [&EAGER[..], &[("venue", "start_patience_s", "0")]].concat();
    let failing = order(state.path(), &urls(&gone), credentials(&gone), &more);
    failing.kill.store(true, Ordering::Relaxed);
    assert!(session::run(failing).is_err());
    assert_eq!(Latch::read(state.path()).unwrap().to_string(), "by signal: SIGUSR1");
    let back = exchange("");
    let next = order(state.path(), &urls(&back), credentials(&back), &more);
    let outcome = session::run(next).unwrap();
    assert!(outcome.killed && outcome.kill_done, "{:?}", outcome.halt);
}
