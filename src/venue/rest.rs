//! REST requests on a side thread, so that no pinned thread waits for one.
//!
//! What is asked and how answers are read is said in [`super::job`]; jobs that need an account are
//! asked through [`AccountClient`].
//!
//! Jobs come in over a bounded channel, answers go back over another; a full answer channel makes
//! this thread wait, never the pinned one.

use super::account::AccountClient;
use super::dialect::{Paths, paths};
use super::job::{Access, RestRequest, refusal};
pub use super::job::{RestFailure, RestJob, RestReply};
use super::ports::{AnswerLimits, RestPort};
use crate::base::settings::Dialect;
use crossbeam::channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// Longest time for a request and its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests waiting at once.
const JOBS_MAX: usize = 1_024;
/// Largest body accepted: a full snapshot is about 80 KB, exchangeInfo about 2 MB.
const BODY_BYTES_MAX: u64 = 16 << 20;

/// An answer; a failed one carries why.
#[derive(Debug)]
pub struct RestAnswer {
    /// What was asked.
    pub job: RestJob,
    /// What the answer says.
    pub reply: Result<RestReply, RestFailure>,
    /// What its head says of limits.
    pub limits: AnswerLimits,
}

/// The pinned side of the REST thread, and of a second one for the wallet's host.
pub struct RestDesk {
    jobs: Sender<RestJob>,
    wallet: Option<Sender<RestJob>>,
    answers: Receiver<RestAnswer>,
    answers_out: Sender<RestAnswer>,
    stop: Arc<AtomicBool>,
}

impl RestDesk {
    /// Starts the thread; `base_url` carries no path. Without an account, what needs one fails.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        dialect: Dialect,
        base_url: &str,
        account: Option<AccountClient>,
    ) -> std::io::Result<Self> {
        let (answers_out, answers) = bounded(JOBS_MAX);
        let client = RestClient::new(base_url);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = move |job: &RestJob| client.answer(job, paths(dialect), account.as_ref());
        let jobs = serve("rest", asked, (answers_out.clone(), Arc::clone(&stop)))?;
        Ok(Self { jobs, wallet: None, answers, answers_out, stop })
    }

    /// The same, which asks `account` at the wallet's host for what is told there, on a thread of
    /// its own: a host that does not answer holds up nothing that the other one is asked for.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn with_wallet(mut self, account: AccountClient) -> std::io::Result<Self> {
        let asked = move |job: &RestJob| account.answer(job);
        let ends = (self.answers_out.clone(), Arc::clone(&self.stop));
        self.wallet = Some(serve("wallet", asked, ends)?);
        Ok(self)
    }

    /// Asks the thread to stop after the request it is in, and does not wait for it: a request
    /// that hangs must not hold up the end of a session.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What a request was answered with, and what the answer's head says of limits.
type Answered = (Result<RestReply, RestFailure>, AnswerLimits);

/// Starts a thread that asks one job after the other; the end where jobs go in.
fn serve(
    name: &str,
    asked: impl Fn(&RestJob) -> Answered + Send + 'static,
    (answers, stop): (Sender<RestAnswer>, Arc<AtomicBool>),
) -> std::io::Result<Sender<RestJob>> {
    let (jobs, jobs_in) = bounded::<RestJob>(JOBS_MAX);
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        for job in jobs_in {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let (reply, limits) = asked(&job);
            if answers.send(RestAnswer { job, reply, limits }).is_err() {
                return;
            }
        }
    })?;
    Ok(jobs)
}

impl RestPort for RestDesk {
    fn ask(&mut self, job: RestJob) -> bool {
        let jobs = if job.is_of_wallet() { self.wallet.as_ref() } else { Some(&self.jobs) };
        // Refused alike where there is no room and where nobody listens.
        jobs.is_some_and(|jobs| jobs.try_send(job).is_ok())
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

/// What every request from a side thread is bounded by: `connect` for the name and for the
/// connection, `longest` in all; never a proxy that the environment names, never a redirect.
pub fn agent_bounds(connect: Duration, longest: Duration) -> ConfigBuilder<AgentScope> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::WebPki)
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .tls_config(tls)
        .timeout_resolve(Some(connect))
        .timeout_connect(Some(connect))
        .timeout_global(Some(longest))
}

impl RestClient {
    /// A client for `base_url` (no path).
    pub fn new(base_url: &str) -> Self {
        Self::patient(base_url, PATIENCE)
    }

    /// The same, which gives up on an answer after `patience`.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self::patient(&self.base_url, patience)
    }

    fn patient(base_url: &str, patience: Duration) -> Self {
        let bounds = agent_bounds(Duration::from_secs(3), patience);
        let agent = bounds.max_idle_age(Duration::from_secs(60)).build().new_agent();
        Self { agent, base_url: base_url.trim_end_matches('/').to_owned() }
    }

    /// The body of `path` (with its query) on a 200.
    ///
    /// # Errors
    /// In words: the path, and the status with the start of its body or the transport's error.
    pub fn get(&self, path: &str) -> Result<Vec<u8>, RestFailure> {
        let (status, body, _) = self.carry("GET", path, "", None)?;
        if status == 200 {
            return Ok(body);
        }
        let message = format!("GET {path}: {}", refusal(status, &body));
        Err(RestFailure { status: Some(status), code: None, message, sent: true })
    }

    /// Status, body and limits of a request without a body, with the account's key in its header
    /// where one is given. The query is told in no error: it may be signed.
    ///
    /// # Errors
    /// [`RestFailure`] when no answer came.
    pub fn carry(
        &self,
        method: &str,
        path: &str,
        query: &str,
        key: Option<&str>,
    ) -> Result<(u16, Vec<u8>, AnswerLimits), RestFailure> {
        // A transport's error may quote the address it could not use, query and all.
        let failure = |what: String, sent: bool| {
            let what = if query.is_empty() { what } else { what.replace(query, "…") };
            let message = format!("{method} {path}: {what}");
            RestFailure { status: None, code: None, message, sent }
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
        let sent = sent.map_err(|_| failure("is no request".to_owned(), false))?;
        let mut response = sent.map_err(|e| failure(e.to_string(), may_have_left(&e)))?;
        let status = response.status().as_u16();
        let limits = limits_of(response.headers());
        let body = response
            .body_mut()
            .with_config()
            .limit(BODY_BYTES_MAX)
            .read_to_vec()
            .map_err(|e| failure(e.to_string(), true))?;
        Ok((status, body, limits))
    }

    /// Carries a job's request with its whole query and reads the answer.
    pub fn run(
        &self,
        job: &RestJob,
        request: &RestRequest,
        query: &str,
        key: Option<&str>,
    ) -> Answered {
        match self.carry(request.method, request.path, query, key) {
            Ok((status, body, limits)) => (job.read(request, status, body), limits),
            Err(failure) => (Err(failure), AnswerLimits::default()),
        }
    }

    fn answer(&self, job: &RestJob, paths: &Paths, account: Option<&AccountClient>) -> Answered {
        let request = job.request(paths);
        match (request.access, account) {
            (Access::Public, _) => self.run(job, &request, &request.query, None),
            (_, Some(account)) => account.answer(job),
            (_, None) => {
                let message = format!("{job:?} needs an account");
                let failure = RestFailure { status: None, code: None, message, sent: false };
                (Err(failure), AnswerLimits::default())
            }
        }
    }
}

/// Whether a byte of a request may have left before its transport failed.
fn may_have_left(error: &ureq::Error) -> bool {
    use ureq::Timeout::{Connect, Resolve};
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::Timeout(Connect | Resolve) => false,
        ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::ConnectionRefused,
        _ => true,
    }
}

/// What the head of an answer says of limits.
fn limits_of(headers: &ureq::http::HeaderMap) -> AnswerLimits {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse().ok();
    AnswerLimits {
        used_weight: number("x-mbx-used-weight-1m"),
        orders_10s: number("x-mbx-order-count-10s"),
        orders_1m: number("x-mbx-order-count-1m"),
        retry_after_s: number("retry-after"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::venue::account::Credentials;
    use crate::venue::watch::Ask;
    use std::net::TcpListener;

    #[test]
    fn a_signed_query_stands_in_no_error() {
        for base in ["", "http://", "nothing://127.0.0.1:1", "http://127.0.0.1:1"] {
            let query = "timestamp=1&signature=00ff";
            let carried =
                RestClient::new(base).carry("GET", "/fapi/v3/account", query, Some("key"));
            let error = carried.unwrap_err().message;
            assert!(error.contains("/fapi/v3/account"), "{error}");
            assert!(!error.contains("00ff") && !error.contains("key"), "{error}");
        }
    }

    #[test]
    fn a_wallet_s_host_that_does_not_answer_holds_up_nothing_else() {
        let (silent, nowhere) = (TcpListener::bind("127.0.0.1:0").unwrap(), "http://127.0.0.1:1");
        let url = format!("http://{}", silent.local_addr().unwrap());
        let own = Credentials::new("k".repeat(64), "secret".to_owned()).unwrap();
        let wallet = AccountClient::new(&url, own, || Nanos::ZERO);
        let rights = RestJob::Watch(Ask::KeyRights);
        let page = RestJob::Page { path: "/" };
        let mut alone = RestDesk::start(Dialect::UsdM, nowhere, None).unwrap();
        assert!(!alone.ask(rights), "nobody is there to be asked");
        let mut desk = alone.with_wallet(wallet).unwrap();
        assert!(desk.ask(rights) && desk.ask(page));
        let mut next = || loop {
            match desk.answer() {
                Some(answer) => return answer.job,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(next(), page, "the other host's word comes although the wallet was asked first");
        drop(silent);
        assert_eq!(next(), rights, "it was asked at the host of its own");
    }

    #[test]
    fn a_refused_connection_is_known_to_have_carried_nothing() {
        let carried = RestClient::new("http://127.0.0.1:1").carry("GET", "/", "", None);
        assert!(!carried.unwrap_err().sent);
    }
}
