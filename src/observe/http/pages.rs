//! Which path gives what. Every page is rendered from the newest snapshot; none has a side effect.

use super::commands::Desk;
use super::dashboard::dashboard;
use crate::base::event::Passage;
use crate::observe::hlog::write_log;
use crate::observe::metrics;
use crate::observe::snapshot::{Snapshot, SnapshotCell};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Oldest snapshot that still counts as true; the observer makes several a second.
pub(super) const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(5);

/// Tells when the snapshot was taken that a part is of: nanoseconds since the epoch.
const TAKEN_HEADER: &str = "x-peregrine-taken-ns";
/// Tells how old that snapshot is: milliseconds.
const AGE_HEADER: &str = "x-peregrine-age-ms";

/// A request as the pages see it.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Ask {
    /// Takes over a request that came through the door, and so is short and complete.
    pub(super) fn read(request: &mut tiny_http::Request) -> Self {
        let headers = request.headers().iter();
        let headers = headers.map(|h| (h.field.as_str().as_str().to_owned(), h.value.to_string()));
        let mut ask = Self {
            method: request.method().as_str().to_owned(),
            path: request.url().to_owned(),
            headers: headers.collect(),
            body: Vec::new(),
        };
        // A body that cannot be read is an empty one, which no command accepts.
        let _ = request.as_reader().take(64 * 1024).read_to_end(&mut ask.body);
        ask
    }

    /// The first header of that name, any case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut same = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value.as_str())
    }
}

/// What goes back.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Vec<u8>,
}

impl Answer {
    fn text(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![
            ("content-type", content_type.into()),
            ("cache-control", "no-store".into()),
            ("x-content-type-options", "nosniff".into()),
        ];
        Self { status, headers, body: body.into() }
    }

    /// A JSON object.
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::text(status, "application/json", value.to_string())
    }

    /// `{"error": …}`.
    pub(super) fn error(status: u16, error: &str) -> Self {
        Self::json(status, &json!({ "error": error }))
    }

    /// The same with one header more.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// For `tiny_http`, never in chunks.
    pub(super) fn into_response(self) -> tiny_http::Response<Cursor<Vec<u8>>> {
        let headers = self.headers.iter().filter_map(|(name, value)| {
            tiny_http::Header::from_bytes(name.as_bytes(), value.as_bytes()).ok()
        });
        let headers = headers.collect();
        let length = Some(self.body.len());
        let status = tiny_http::StatusCode(self.status);
        tiny_http::Response::new(status, headers, Cursor::new(self.body), length, None)
            .with_chunked_threshold(usize::MAX)
    }
}

/// Everything a request can reach.
pub(super) struct Desks {
    cell: Arc<SnapshotCell>,
    hosts: Vec<String>,
    desk: Desk,
}

impl Desks {
    /// Pages from `cell` for requests to one of `hosts`; commands at `desk`.
    pub(super) fn new(cell: Arc<SnapshotCell>, hosts: Vec<String>, desk: Desk) -> Self {
        Self { cell, hosts, desk }
    }

    /// Answers one request.
    pub(super) fn answer(&mut self, ask: &Ask) -> Answer {
        // A foreign name that resolves to this machine (DNS rebinding) is not ours to serve.
        let host = ask.header("host").unwrap_or_default();
        if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            return Answer::error(403, "this host name is not served here");
        }
        let path = ask.path.split('?').next().unwrap_or_default();
        match ask.method.as_str() {
            "GET" | "HEAD" => {
                let (snapshot, age) = self.cell.load();
                page(path, &snapshot, age)
            }
            "POST" => match path.strip_prefix("/api/v1/") {
                Some(verb) => self.desk.take(verb, ask, Instant::now()),
                None => Answer::error(405, "only GET here").with("allow", "GET, HEAD"),
            },
            _ => Answer::error(405, "not a method of this server").with("allow", "GET, HEAD, POST"),
        }
    }
}

/// The page at `path`, rendered from a snapshot of that age.
pub(super) fn page(path: &str, snapshot: &Snapshot, age: Duration) -> Answer {
    match path {
        "/" => Answer::text(200, "text/html; charset=utf-8", dashboard().html.as_bytes())
            .with("content-security-policy", dashboard().policy.as_str())
            .with("referrer-policy", "no-referrer"),
        "/healthz" => health(snapshot, age),
        "/readiness" => readiness(snapshot, age),
        "/api/v1/latency.hlog" => histograms(snapshot),
        "/metrics" => Answer::text(200, metrics::METRICS_CONTENT_TYPE, metrics::render(snapshot)),
        _ => match path.strip_prefix("/api/v1/").and_then(|name| part(name, snapshot)) {
            // Parts that tell the same instant belong together, and age tells what they are worth.
            Some(Ok(value)) => Answer::json(200, &value)
                .with(TAKEN_HEADER, snapshot.session.taken_ns.to_string())
                .with(AGE_HEADER, age.as_millis().to_string()),
            Some(Err(_)) => Answer::error(500, "the snapshot does not serialise"),
            None => Answer::error(404, "no such page"),
        },
    }
}

fn health(snapshot: &Snapshot, age: Duration) -> Answer {
    let observed = age <= SNAPSHOT_AGE_MAX;
    let healthy = observed && snapshot.is_healthy();
    let body = json!({
        "healthy": healthy,
        "observed": observed,
        "snapshot_age_seconds": age.as_secs_f64(),
        "uptime_seconds": snapshot.session.uptime_seconds,
        "threads": snapshot.threads,
        "resources": snapshot.resources,
    });
    Answer::json(if healthy { 200 } else { 503 }, &body)
}

fn readiness(snapshot: &Snapshot, age: Duration) -> Answer {
    let mut reasons: Vec<&str> = snapshot.not_ready.iter().map(|reason| reason.name()).collect();
    // Readiness that nobody keeps up to date is not known, and unknown is no.
    if age > SNAPSHOT_AGE_MAX {
        reasons.push("observer_silent");
    }
    let ready = reasons.is_empty();
    let changed = snapshot.models.iter().filter(|model| !model.verified);
    let changed: Vec<&str> = changed.map(|model| model.version.as_str()).collect();
    let body = json!({
        "ready": ready,
        "reasons": reasons,
        "models_unverified": changed,
        "trading_state": snapshot.trading_state,
    });
    Answer::json(if ready { 200 } else { 503 }, &body)
}

/// The histograms since start as a log of one interval.
fn histograms(snapshot: &Snapshot) -> Answer {
    let session = &snapshot.session;
    let began = Duration::from_nanos(u64::try_from(session.started_ns).unwrap_or(0));
    let length = Duration::try_from_secs_f64(session.uptime_seconds).unwrap_or_default();
    let mut log = Vec::new();
    let written = write_log(&mut log, SystemTime::UNIX_EPOCH + began, |out| {
        out.interval(&snapshot.histograms, Duration::ZERO, length)
    });
    match written {
        Ok(()) => Answer::text(200, "text/plain; charset=utf-8", log),
        Err(_) => Answer::error(500, "the histograms do not serialise"),
    }
}

/// The longest passages of each hop, with the inputs that passed.
fn worst(snapshot: &Snapshot) -> Value {
    let row = |p: Passage| json!({ "hop": p.hop.name(), "ns": p.ns, "seq": p.seq });
    snapshot.latency.worst().map(row).collect()
}

/// One part of the snapshot as JSON; `None` when there is no such part.
fn part(name: &str, snapshot: &Snapshot) -> Option<Result<Value, serde_json::Error>> {
    Some(match name {
        "state" => state(snapshot),
        "orders" => serde_json::to_value(&snapshot.orders),
        "fills" => serde_json::to_value(&snapshot.fills),
        "equity" => serde_json::to_value(&snapshot.equity),
        "latency" => Ok(json!({
            "since_start_ns": snapshot.latency,
            "recent_ns": snapshot.latency_recent,
            "worst": worst(snapshot),
        })),
        "risk" => Ok(json!({
            "trading_state": snapshot.trading_state,
            "limits": snapshot.risk,
            "account": snapshot.account,
            "size_percent": snapshot.size_percent,
            "controls": snapshot.controls,
        })),
        "alerts" => serde_json::to_value(&snapshot.alerts),
        "journal" => Ok(journal(snapshot)),
        "models" => serde_json::to_value(&snapshot.models),
        "shadow" => serde_json::to_value(&snapshot.shadow),
        _ => return None,
    })
}

/// The journal's newest records, newest last.
fn journal(snapshot: &Snapshot) -> Value {
    snapshot.tail.iter().map(|record| Value::clone(record)).collect()
}

/// The whole snapshot but its lists, and what readiness says.
fn state(snapshot: &Snapshot) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(snapshot)?;
    if let Value::Object(object) = &mut value {
        object.insert("ready".to_owned(), Value::Bool(snapshot.is_ready()));
        object.insert("healthy".to_owned(), Value::Bool(snapshot.is_healthy()));
    }
    Ok(value)
}
