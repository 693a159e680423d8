//! Fake other sides of the alerts: a Bot API and a webhook receiver on loopback, which answer as a
//! test tells them to and keep what they were sent.

use crate::process::wait;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tiny_http::{Header, Request, Response, Server};

/// How long a question for updates is held back while there is none.
const HOLD: Duration = Duration::from_millis(50);

/// What happens to the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behave {
    /// Answered with this status and no content.
    Status(u16),
    /// Answered with 429 and this wait in seconds.
    TooMany(u64),
    /// Never answered.
    Hang,
    /// The connection ends without an answer.
    Drop,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Instant,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// It was answered with success.
    pub taken: bool,
}

impl Sent {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        self.json()["text"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> String {
        let mut same = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Shared {
    sent: Vec<Sent>,
    next: VecDeque<Behave>,
    always: Option<Behave>,
    updates: Vec<Value>,
    offsets: Vec<i64>,
}

/// The other side of a channel: a Bot API under any token, and a receiver of webhooks.
pub struct OtherSide {
    server: Arc<Server>,
    shared: Arc<Mutex<Shared>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OtherSide {
    pub fn start() -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let shared = Arc::new(Mutex::new(Shared::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (s, sh, st) = (Arc::clone(&server), Arc::clone(&shared), Arc::clone(&stop));
        let thread = Some(std::thread::spawn(move || serve(&s, &sh, &st)));
        Self { server, shared, stop, thread }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.server_addr().to_ip().unwrap())
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// How the next requests but questions for updates are treated.
    pub fn behave(&self, next: &[Behave]) {
        self.shared().next.extend(next);
    }

    /// How all further ones are.
    pub fn always(&self, behave: Option<Behave>) {
        self.shared().always = behave;
    }

    /// What came in, but for questions for updates.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared().sent.clone()
    }

    /// Texts that were taken.
    pub fn texts(&self) -> Vec<String> {
        self.sent().iter().filter(|sent| sent.taken).map(Sent::text).collect()
    }

    /// An update to be asked for.
    pub fn update(&self, update: Value) {
        self.shared().updates.push(update);
    }

    /// Waits until every update was asked for and done with.
    pub fn wait_for_updates(&self) {
        let last = self.shared().updates.iter().map(|u| u["update_id"].as_i64().unwrap()).max();
        let last = last.unwrap_or(0);
        wait("the updates to be read", || self.shared().offsets.iter().any(|o| *o > last));
    }

    /// Waits for a text that holds `word`.
    pub fn wait_for(&self, word: &str) -> String {
        let mut found = String::new();
        wait(word, || {
            let texts = self.texts();
            let hit = texts.into_iter().find(|text| text.contains(word));
            found = hit.clone().unwrap_or_default();
            hit.is_some()
        });
        found
    }
}

impl Drop for OtherSide {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(server: &Server, shared: &Mutex<Shared>, stop: &AtomicBool) {
    let (mut hung, mut held): (Vec<Request>, Vec<(Instant, i64, Request)>) = Default::default();
    while !stop.load(Ordering::Relaxed) {
        if let Ok(Some(mut request)) = server.recv_timeout(Duration::from_millis(5)) {
            let mut body = Vec::new();
            let _ = request.as_reader().read_to_end(&mut body);
            if request.url().ends_with("/getUpdates") {
                let asked: Value = serde_json::from_slice(&body).unwrap();
                let offset = asked["offset"].as_i64().unwrap();
                shared.lock().unwrap().offsets.push(offset);
                held.push((Instant::now(), offset, request));
            } else if let Some(request) = answer(request, body, shared) {
                hung.push(request);
            }
        }
        let updates = shared.lock().unwrap().updates.clone();
        let (mut later, due) = (Vec::new(), std::mem::take(&mut held));
        for (since, offset, request) in due {
            let fresh = |update: &&Value| update["update_id"].as_i64().unwrap() >= offset;
            let fresh: Vec<&Value> = updates.iter().filter(fresh).collect();
            if fresh.is_empty() && since.elapsed() < HOLD {
                later.push((since, offset, request));
            } else {
                let _ = request.respond(json_response(200, &json!({"ok": true, "result": fresh})));
            }
        }
        held = later;
    }
}

/// Answers; a request that is to hang comes back.
fn answer(request: Request, body: Vec<u8>, shared: &Mutex<Shared>) -> Option<Request> {
    let headers = request.headers().iter();
    let headers = headers.map(|h| (h.field.as_str().as_str().to_owned(), h.value.to_string()));
    let (headers, path, at) = (headers.collect(), request.url().to_owned(), Instant::now());
    let mut shared = shared.lock().unwrap();
    let behave = shared.next.pop_front().or(shared.always);
    shared.sent.push(Sent { at, path, headers, body, taken: behave.is_none() });
    drop(shared);
    match behave {
        None => {
            let _ = request.respond(json_response(200, &json!({"ok": true, "result": {}})));
        }
        Some(Behave::Status(status)) => {
            let body = json!({"ok": false, "error_code": status, "description": "no"});
            let _ = request.respond(json_response(status, &body));
        }
        Some(Behave::TooMany(seconds)) => {
            let parameters = json!({"retry_after": seconds});
            let body = json!({"ok": false, "error_code": 429, "parameters": parameters});
            let _ = request.respond(json_response(429, &body));
        }
        Some(Behave::Hang) => return Some(request),
        Some(Behave::Drop) => drop(request.into_writer()),
    }
    None
}

fn json_response(status: u16, body: &Value) -> Response<std::io::Cursor<Vec<u8>>> {
    let kind = Header::from_bytes("content-type", "application/json").unwrap();
    Response::from_string(body.to_string()).with_status_code(status).with_header(kind)
}
