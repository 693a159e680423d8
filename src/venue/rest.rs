//! REST requests on a side thread, so that no pinned thread waits for one.
//!
//! Snapshots and open interest need no account; the rest is asked through [`AccountClient`].
//!
//! Jobs come in over a bounded channel, answers go back over another; a full answer channel makes
//! this thread wait, never the pinned one.

use super::account::AccountClient;
use super::ports::RestPort;
use crate::base::ids::{InstrumentId, Symbol};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// Requests waiting at once.
const JOBS_MAX: usize = 1_024;
/// Largest body accepted: a full snapshot is about 80 KB, exchangeInfo about 2 MB.
const BODY_BYTES_MAX: u64 = 16 << 20;

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestJob {
    /// The depth snapshot of an instrument.
    Snapshot {
        /// Whose.
        instrument: InstrumentId,
        /// Its symbol.
        symbol: Symbol,
        /// Levels a side.
        levels: u32,
    },
    /// The open interest of an instrument.
    OpenInterest {
        /// Whose.
        instrument: InstrumentId,
        /// Its symbol.
        symbol: Symbol,
    },
    /// A key for the account's stream; the body is the key.
    ListenKey,
    /// A longer life for that key; the body is empty.
    KeepListenKey,
    /// The end of every open order of a symbol; the body is empty.
    CancelAll {
        /// Whose.
        symbol: Symbol,
    },
    /// The open orders; the body names them by client id, one a line.
    OpenOrders,
    /// A page of the venue.
    Page {
        /// Its path.
        path: &'static str,
    },
}

/// An answer; a failed one carries why.
#[derive(Debug)]
pub struct RestAnswer {
    /// What was asked.
    pub job: RestJob,
    /// The body of a 200, else the reason in words.
    pub body: Result<Vec<u8>, String>,
}

/// The pinned side of the REST thread.
pub struct RestDesk {
    jobs: Sender<RestJob>,
    answers: Receiver<RestAnswer>,
    stop: Arc<AtomicBool>,
}

impl RestDesk {
    /// Starts the thread; `base_url` carries no path. Without an account, what needs one fails.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(base_url: &str, account: Option<AccountClient>) -> std::io::Result<Self> {
        let (jobs, jobs_in) = bounded::<RestJob>(JOBS_MAX);
        let (answers_out, answers) = bounded(JOBS_MAX);
        let client = RestClient::new(base_url);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new().name("rest".to_owned()).spawn(move || {
            for job in jobs_in {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let body = client.answer(&job, account.as_ref());
                if answers_out.send(RestAnswer { job, body }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, answers, stop })
    }

    /// Asks the thread to stop after the request it is in, and does not wait for it: a request
    /// that hangs must not hold up the end of a session.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl RestPort for RestDesk {
    fn ask(&mut self, job: RestJob) -> bool {
        match self.jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    fn answer(&mut self) -> Option<RestAnswer> {
        self.answers.try_recv().ok()
    }
}

/// Blocking REST client for cold threads.
#[derive(Debug)]
pub struct RestClient {
    agent: Agent,
    base_url: String,
}

impl RestClient {
    /// A client for `base_url` (no path).
    pub fn new(base_url: &str) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::WebPki)
            .build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .tls_config(tls)
            .timeout_resolve(Some(Duration::from_secs(3)))
            .timeout_connect(Some(Duration::from_secs(3)))
            .timeout_global(Some(Duration::from_secs(10)))
            .max_idle_age(Duration::from_secs(60))
            .build()
            .new_agent();
        Self { agent, base_url: base_url.trim_end_matches('/').to_owned() }
    }

    /// The body of `path` (with its query) on a 200.
    ///
    /// # Errors
    /// In words: the path, and the status with the start of its body or the transport's error.
    pub fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        self.ask("GET", path, "", None)
    }

    /// The body of a 200 to a request without a body, with the account's key in its header where
    /// one is given. The query is told in no error: it may be signed.
    ///
    /// # Errors
    /// In words: method and path, and the status with the start of its body or the transport's
    /// error.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        query: &str,
        key: Option<&str>,
    ) -> Result<Vec<u8>, String> {
        // A transport's error may quote the address it could not use, query and all.
        let named = |what: String| match query {
            "" => format!("{method} {path}: {what}"),
            _ => format!("{method} {path}: {}", what.replace(query, "…")),
        };
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{mark}{query}", self.base_url);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(key) = key {
            request = request.header("X-MBX-APIKEY", key);
        }
        // POST and PUT have a body by nature, be it empty; GET and DELETE have none.
        let sent = if matches!(method, "POST" | "PUT") {
            request.body(&[][..]).map(|request| self.agent.run(request))
        } else {
            request.body(()).map(|request| self.agent.run(request))
        };
        let sent = sent.map_err(|_| named("is no request".to_owned()))?;
        let mut response = sent.map_err(|e| named(e.to_string()))?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(BODY_BYTES_MAX)
            .read_to_vec()
            .map_err(|e| named(e.to_string()))?;
        if status == 200 {
            return Ok(body);
        }
        let head = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        Err(named(format!("status {status}: {head}")))
    }

    fn answer(&self, job: &RestJob, account: Option<&AccountClient>) -> Result<Vec<u8>, String> {
        let account = || account.ok_or_else(|| format!("{job:?} needs an account"));
        match job {
            RestJob::Snapshot { symbol, levels, .. } => {
                let symbol = percent_encoded(symbol);
                self.get(&format!("/fapi/v1/depth?symbol={symbol}&limit={levels}"))
            }
            RestJob::OpenInterest { symbol, .. } => {
                let symbol = percent_encoded(symbol);
                self.get(&format!("/fapi/v1/openInterest?symbol={symbol}"))
            }
            RestJob::ListenKey => account()?.listen_key().map(String::into_bytes),
            RestJob::KeepListenKey => account()?.keep_listen_key().map(|()| Vec::new()),
            RestJob::CancelAll { symbol } => account()?.cancel_all(symbol).map(|()| Vec::new()),
            RestJob::OpenOrders => {
                account()?.open_orders().map(|open| open.join("\n").into_bytes())
            }
            RestJob::Page { path } => self.get(path),
        }
    }
}

/// Symbols need not be ASCII: UTF-8 bytes outside the unreserved set are percent-encoded.
pub(super) fn percent_encoded(symbol: &Symbol) -> String {
    let mut text = String::new();
    for byte in symbol.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_query_stands_in_no_error() {
        for base in ["", "http://", "nothing://127.0.0.1:1", "http://127.0.0.1:1"] {
            let query = "timestamp=1&signature=00ff";
            let asked = RestClient::new(base).ask("GET", "/fapi/v3/account", query, Some("key"));
            let error = asked.unwrap_err();
            assert!(error.contains("/fapi/v3/account"), "{error}");
            assert!(!error.contains("00ff") && !error.contains("key"), "{error}");
        }
    }

    #[test]
    fn a_symbol_outside_ascii_is_percent_encoded_as_utf8() {
        let symbol = Symbol::new("币安USDT".as_bytes()).unwrap();
        assert_eq!(percent_encoded(&symbol), "%E5%B8%81%E5%AE%89USDT");
    }
}
