//! A venue that has banned us is not asked again by the next process.

use crate::session_support::order;
use peregrine::runtime::session;
use peregrine::venue::account::Credentials;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tiny_http::{Response, Server};

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Answers everything with a ban that lasts so long from the first question on, then with one that
/// lasts so long; and when it was asked.
fn banning(lengths: [Duration; 2]) -> (Arc<Server>, Arc<Mutex<Vec<Duration>>>) {
    let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (own, seen) = (Arc::clone(&server), Arc::clone(&asked));
    std::thread::spawn(move || {
        for request in own.incoming_requests() {
            let at = now();
            seen.lock().unwrap().push(at);
            let first = seen.lock().unwrap()[0];
            let mut untils = lengths.iter().map(|length| first + *length);
            let until = untils.find(|until| at < *until).expect("a time that lies ahead");
            let words =
                format!("Way too many requests; IP(10.0.0.1) banned until {}.", until.as_millis());
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
    let (server, asked) = banning([Duration::from_secs(3_600); 2]);
    let url = format!("http://{}", server.server_addr());
    let state = tempfile::tempdir().unwrap();
    let first = refusal(state.path(), &url);
    assert!(first.contains("Banned") && first.contains("UTC"), "{first}");
    let before = asked.lock().unwrap().len();
    assert!((1..=4).contains(&before), "{before} requests");
    let second = refusal(state.path(), &url);
    assert!(second.contains("not to be asked before"), "{second}");
    assert_eq!(asked.lock().unwrap().len(), before, "nothing was asked");
    // Another folder knows nothing of it.
    let other = tempfile::tempdir().unwrap();
    assert!(refusal(other.path(), &url).contains("Banned"));
    server.unblock();
}

#[test]
fn fault_r07_a_start_waits_for_the_end_of_a_short_ban_and_asks_again_only_then() {
    let short = Duration::from_secs(2);
    let (server, asked) = banning([short, Duration::from_secs(3_600)]);
    let url = format!("http://{}", server.server_addr());
    let state = tempfile::tempdir().unwrap();
    let refusal = refusal(state.path(), &url);
    assert!(refusal.contains("Banned) before"), "{refusal}");
    let asked = asked.lock().unwrap();
    let (early, late): (Vec<Duration>, Vec<Duration>) =
        asked.iter().partition(|at| **at < asked[0] + short);
    // The first question, and those that were under way beside it.
    assert!((1..=4).contains(&early.len()), "{early:?}");
    assert!((1..=4).contains(&late.len()), "{late:?}");
    server.unblock();
}
