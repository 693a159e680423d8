//! An account whose key was replaced goes on from the journal of the old one, once that is said.

use crate::lanes::{has, is, read};
use crate::pipeline_support::EAGER;
use crate::process::wait;
use crate::session_support::{order, urls};
use peregrine::base::event::{Command, Kind, SessionStart};
use peregrine::base::units::Money;
use peregrine::exchange::account::{AccountSettings, Credential};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::risk::Verb;
use peregrine::runtime::session::{self, SessionOrder};
use peregrine::venue::account::Credentials;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use xxhash_rust::xxh3::xxh3_64;

const SECRET: &str = "secret-of-the-account";

/// The old key and the new one.
fn key(place: usize) -> String {
    ["o", "n"][place].repeat(64)
}

fn exchange() -> ExchangeServer {
    let keys = [0, 1].map(|place| (key(place), Credential::Hmac(SECRET.to_owned())));
    let account =
        AccountSettings { keys: keys.to_vec(), deposit: Money::whole(10_000), leverage: 20 };
    let settings = ServerSettings { accounts: vec![account], ..ServerSettings::default() };
    ExchangeServer::start(settings).unwrap()
}

/// A session with the key of this place, until its books and the exchange's agree; `Err` says why
/// it did not start.
fn run(exchange: &ExchangeServer, state: &Path, place: usize, rotated: bool) -> Result<(), String> {
    let credentials = Credentials::new(key(place), SECRET.to_owned());
    let unattended = [("session", "unattended", "true")];
    let order = order(state, &urls(exchange), credentials, &[&EAGER[..], &unattended].concat());
    let order = SessionOrder { key_rotated: rotated, statement: None, ..order };
    let stop = Arc::clone(&order.stop);
    let before = journals(state);
    let thread = std::thread::spawn(move || session::run(order));
    let is_known = || {
        let newest = journals(state).into_iter().find(|name| !before.contains(name));
        let dir = newest.map(|name| state.join("journal").join(name));
        dir.is_some_and(|dir| has(&dir, 0, is(Kind::Reconciled)))
    };
    wait("the books to agree", || thread.is_finished() || is_known());
    stop.store(true, Ordering::Relaxed);
    let ended = thread.join().unwrap();
    ended.map(|outcome| assert_eq!(outcome.halt, None)).map_err(|error| format!("{error:#}"))
}

fn journals(state: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(state.join("journal")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_rotated_key_is_refused_until_it_is_said_and_the_session_is_armed_by_a_person() {
    let exchange = exchange();
    let state = tempfile::tempdir().unwrap();
    run(&exchange, state.path(), 0, false).unwrap();
    let refused = run(&exchange, state.path(), 1, false).unwrap_err();
    assert!(refused.contains("--account-key-rotated"), "{refused}");
    run(&exchange, state.path(), 1, true).unwrap();
    // What is said for one start is no setting.
    let again = run(&exchange, state.path(), 1, true).unwrap_err();
    assert!(again.contains("leave it out"), "{again}");
    run(&exchange, state.path(), 1, false).unwrap();
    for (name, place) in [("0000001-paper", 0), ("0000002-paper", 1), ("0000003-paper", 1)] {
        let inputs = read(&state.path().join("journal").join(name), 0);
        let start: &SessionStart = inputs[0].body();
        assert_eq!(start.account, xxh3_64(key(place).as_bytes()), "{name}");
        let arms = inputs.iter().filter(|event| {
            event.kind() == Some(Kind::Command) && event.body::<Command>().verb == Verb::Arm as u32
        });
        assert_eq!(arms.count(), usize::from(place == 0), "{name}: nobody has looked");
    }
}
