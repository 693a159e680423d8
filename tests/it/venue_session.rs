//! A paper session against an exchange that goes away, comes back, and fails single requests.

use crate::lanes::read;
use crate::pipeline_support::{EAGER, assert_replays};
use crate::session_support::{Session, order};
use peregrine::base::event::{Event, Kind, flags};
use peregrine::base::{InstrumentId, Reason};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::runtime::session::{SessionOrder, SessionOutcome};
use peregrine::venue::rest::RestClient;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tiny_http::{Response, Server};

/// A session whose orders are filled by itself at these addresses.
fn start(rest_url: &str, ws_url: &str) -> Session {
    let state = tempfile::tempdir().unwrap();
    let urls = [rest_url, ws_url, ""].map(str::to_owned);
    let more = [&EAGER[..], &[("venue", "orders", "\"paper\"")]].concat();
    let order = order(state.path(), &urls, None, &more);
    Session::run(state, SessionOrder { statement: None, ..order })
}

fn books(events: &[Event], instrument: InstrumentId) -> Vec<bool> {
    let of_book = |e: &&Event| e.kind() == Some(Kind::BookState) && e.instrument() == instrument;
    events.iter().filter(of_book).map(|event| event.has(flags::ON)).collect()
}

const PAIR: [InstrumentId; 2] = [InstrumentId(0), InstrumentId(1)];

fn assert_sound(ended: (SessionOutcome, TempDir)) {
    let (outcome, state) = ended;
    assert_eq!(outcome.halt, None);
    let dir = state.path().join("journal/0000001-paper");
    let verified = peregrine::journal::verify(&dir);
    assert_eq!((verified.corrupt, verified.torn), (0, 0), "{:?}", verified.first);
    assert_replays(&dir);
}

#[test]
fn fault_x08_a_session_outlives_its_exchange_and_its_books_are_whole_when_it_comes_back() {
    let exchange = ExchangeServer::start(ServerSettings::default()).unwrap();
    let urls = (exchange.rest_url(), exchange.ws_url());
    let session = start(&urls.0, &urls.1);
    session
        .until("two whole books", 1, |events| PAIR.iter().all(|id| books(events, *id) == [true]));
    exchange.stop();
    session.until("two lost books", 1, |events| {
        PAIR.iter().all(|id| books(events, *id) == [true, false])
    });
    let addrs = [&urls.0, &urls.1].map(|url| url.split("://").nth(1).unwrap().parse().unwrap());
    let again = ServerSettings { rest_addr: addrs[0], ws_addr: addrs[1], ..Default::default() };
    let exchange = ExchangeServer::start(again).unwrap();
    let answers = session.until("two books whole again", 1, |events| {
        PAIR.iter().all(|id| books(events, *id).ends_with(&[false, true]))
    });
    let inputs = read(&session.journal(), 0);
    let edges: Vec<(bool, u16)> = inputs
        .iter()
        .filter(|event| event.kind() == Some(Kind::StreamStatus))
        .map(|event| {
            let status: &peregrine::base::event::StreamStatus = event.body();
            (event.has(flags::ON), status.reason)
        })
        .collect();
    let count = |edge| edges.iter().filter(|found| **found == edge).count();
    assert!(count((true, 0)) >= 3, "up twice at the start, up again: {edges:?}");
    assert!(count((false, Reason::StreamDown as u16)) >= 1, "{edges:?}");
    // Nothing was predicted between the loss and the new snapshot.
    for id in PAIR {
        let states: Vec<&Event> = answers
            .iter()
            .filter(|e| e.kind() == Some(Kind::BookState) && e.instrument() == id)
            .collect();
        let (lost, whole) = (states[1].seq, states.last().unwrap().seq);
        let priced = answers.iter().any(|e| {
            let of_ours = e.kind() == Some(Kind::Prediction) && e.instrument() == id;
            of_ours && (lost..whole).contains(&e.seq)
        });
        assert!(!priced, "{id:?} was priced without a book");
    }
    assert_sound(session.end());
    exchange.stop();
}

/// REST in front of an exchange's own that fails the first `failures` snapshots of one symbol.
fn failing_rest(upstream: String, failures: u32) -> (String, Arc<AtomicU32>, Arc<Server>) {
    let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
    let url = format!("http://{}", server.server_addr().to_ip().unwrap());
    let failed = Arc::new(AtomicU32::new(0));
    let (served, counted) = (Arc::clone(&server), Arc::clone(&failed));
    std::thread::spawn(move || {
        let client = RestClient::new(&upstream);
        for request in served.incoming_requests() {
            let path = request.url().to_owned();
            let fails = path.starts_with("/fapi/v1/depth?symbol=BTCUSDT")
                && counted.load(Ordering::Relaxed) < failures;
            if fails {
                let place = counted.fetch_add(1, Ordering::Relaxed);
                if place.is_multiple_of(2) {
                    let body = "{\"code\":-1000,\"msg\":\"An unknown error occurred.\"}";
                    let _ = request.respond(Response::from_string(body).with_status_code(500));
                } else {
                    // A connection that ends without an answer.
                    drop(request.into_writer());
                }
                continue;
            }
            let answer = client.get(&path).unwrap_or_default();
            let _ = request.respond(Response::from_data(answer));
        }
    });
    (url, failed, server)
}

#[test]
fn a_snapshot_that_fails_is_asked_for_again_and_disturbs_no_other_book() {
    let exchange = ExchangeServer::start(ServerSettings::default()).unwrap();
    let (rest, failed, server) = failing_rest(exchange.rest_url(), 2);
    let session = start(&rest, &exchange.ws_url());
    let answers = session.until("both books", 1, |events| {
        PAIR.iter().all(|id| books(events, *id).last() == Some(&true))
    });
    assert_eq!(failed.load(Ordering::Relaxed), 2, "both failures happened");
    assert_eq!(books(&answers, PAIR[0]), [true], "whole once, after the third request");
    assert_eq!(books(&answers, PAIR[1]), [true], "the other book was never lost");
    assert_sound(session.end());
    server.unblock();
    exchange.stop();
}
