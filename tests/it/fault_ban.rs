//! A venue that has banned us is not asked again by the next process.

use crate::session_support::order;
use peregrine::runtime::session;
use peregrine::venue::account::Credentials;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tiny_http::{Response, Server};

/// Answers everything with a ban until this time, and counts what is asked.
fn banning(until_ms: u128) -> (Arc<Server>, Arc<AtomicUsize>) {
    let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (own, count) = (Arc::clone(&server), Arc::clone(&asked));
    std::thread::spawn(move || {
        for request in own.incoming_requests() {
            count.fetch_add(1, Ordering::SeqCst);
            let words = format!("Way too many requests; IP(10.0.0.1) banned until {until_ms}.");
            let body = format!(r#"{{"code":-1003,"msg":"{words}"}}"#);
            let _ = request.respond(Response::from_string(body).with_status_code(418));
        }
    });
    (server, asked)
}

/// Why a session at this venue does not start.
fn refusal(state: &Path, rest_url: &str) -> String {
    let urls = [rest_url, "ws://127.0.0.1:1", "ws://127.0.0.1:1/private"].map(str::to_owned);
    let credentials = Credentials::new("key".to_owned(), "secret".to_owned());
    let order = order(state, &urls, credentials, &[]);
    let error = session::run(order).err().expect("it does not start");
    format!("{error:#}")
}

#[test]
fn fault_r07_a_start_that_is_banned_says_until_when_and_the_next_process_asks_nothing_before() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let until = now + Duration::from_secs(3_600);
    let (server, asked) = banning(until.as_millis());
    let url = format!("http://{}", server.server_addr());
    let state = tempfile::tempdir().unwrap();
    let first = refusal(state.path(), &url);
    assert!(first.contains("Banned") && first.contains("UTC"), "{first}");
    let before = asked.load(Ordering::SeqCst);
    assert!((1..=4).contains(&before), "{before} requests");
    let second = refusal(state.path(), &url);
    assert!(second.contains("not to be asked before"), "{second}");
    assert_eq!(asked.load(Ordering::SeqCst), before, "nothing was asked");
    // Another folder knows nothing of it.
    let other = tempfile::tempdir().unwrap();
    assert!(refusal(other.path(), &url).contains("Banned"));
    server.unblock();
}
