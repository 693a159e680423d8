//! The account behind signed requests: its credentials, and what cold threads ask of it.

use super::dialect::{TRADED, paths};
use super::job::{Access, RestFailure, RestJob, RestReply, RestRequest};
use super::ports::AnswerLimits;
use super::rest::RestClient;
use crate::base::Nanos;
use crate::base::fence::Fence;
use crate::base::settings::ORDER_WINDOW_MS;
use crate::execution::Signer;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Key and secret of an account. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct Credentials {
    key: Zeroizing<String>,
    signer: Signer,
    fence: Option<Arc<Fence>>,
}

/// Longest key; the venue's have 64 letters.
const KEY_BYTES_MAX: usize = 128;

impl Credentials {
    /// From their texts. The secret is one of HMAC, or a private Ed25519 key as PEM or as base64 of
    /// its PKCS#8. `None` for a key that cannot stand in a header or in JSON, an empty secret, or a
    /// PEM of another kind.
    pub fn new(key: String, secret: String) -> Option<Self> {
        let (key, secret) = (Zeroizing::new(key), Zeroizing::new(secret));
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'&');
        let named = !key.is_empty() && key.len() <= KEY_BYTES_MAX && key.bytes().all(plain);
        if !named || secret.is_empty() {
            return None;
        }
        let signer = Signer::from_secret(&secret)?.named(&key);
        Some(Self { key, signer, fence: None })
    }

    /// The same, with which nobody changes anything at the venue past the end of a lease.
    #[must_use]
    pub fn behind(mut self, fence: Arc<Fence>) -> Self {
        self.fence = Some(fence);
        self
    }

    /// The key, which goes into a header.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A signer with the secret in it.
    pub fn signer(&self) -> Signer {
        self.signer.clone()
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(secret)")
    }
}

/// How long the venue may take to accept a request of ours, in milliseconds.
pub const RECV_WINDOW_MS: u32 = 5_000;

/// Asks for one account, blocking; for start, end and side threads.
#[derive(Debug)]
pub struct AccountClient {
    rest: RestClient,
    credentials: Credentials,
    signer: Signer,
    clock: fn() -> Nanos,
}

/// The whole query of a request that leaves at `now`: its parameters, and time and signature where
/// it has to show them.
pub fn whole_query(request: &RestRequest, signer: &Signer, now: Nanos) -> String {
    query_within(RECV_WINDOW_MS, request, signer, now)
}

/// The same, which the venue takes for so many milliseconds.
fn query_within(window_ms: u32, request: &RestRequest, signer: &Signer, now: Nanos) -> String {
    if request.access != Access::Signed {
        return request.query.clone();
    }
    let mark = if request.query.is_empty() { "" } else { "&" };
    let time = now.to_millis();
    let mut query = format!("{}{mark}recvWindow={window_ms}&timestamp={time}", request.query);
    let signature = signer.sign(query.as_bytes());
    query.push_str("&signature=");
    query.extend(signature.iter().copied().map(char::from));
    query
}

impl AccountClient {
    /// For the venue at `base_url` (no path); `clock` is the time requests are stamped with.
    pub fn new(base_url: &str, credentials: Credentials, clock: fn() -> Nanos) -> Self {
        let signer = credentials.signer();
        Self { rest: RestClient::new(base_url), credentials, signer, clock }
    }

    /// The same, which gives up on an answer after `patience`.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.rest = self.rest.within(patience);
        self
    }

    /// What a job asks of the venue, before it is signed.
    pub fn request(&self, job: &RestJob) -> RestRequest {
        job.request(paths(TRADED))
    }

    /// Carries a job and reads its answer. What would change something at the venue is not carried
    /// where the lease of the credentials is over by the time that it would be signed with.
    pub fn answer(&self, job: &RestJob) -> (Result<RestReply, RestFailure>, AnswerLimits) {
        let request = self.request(job);
        let now = (self.clock)();
        let fence = self.credentials.fence.as_ref().filter(|_| job.changes_orders());
        if fence.is_some_and(|fence| is_fenced(fence, job, now)) {
            let RestRequest { method, path, .. } = request;
            let message = format!("{method} {path}: not asked: the lease of the leader is over");
            let failure = RestFailure { status: None, code: None, message, sent: false };
            return (Err(failure), AnswerLimits::default());
        }
        // Who leads next waits for the window of an order: nothing of ours may have a longer one.
        let window_ms = if fence.is_some() { ORDER_WINDOW_MS } else { RECV_WINDOW_MS };
        let query = query_within(window_ms, &request, &self.signer, now);
        let key = (request.access != Access::Public).then(|| self.credentials.key());
        self.rest.run(job, &request, &query, key)
    }
}

fn is_fenced(fence: &Fence, job: &RestJob, now: Nanos) -> bool {
    let by_hand = job.is_cancel() && fence.is_by_hand();
    let open = fence.lets_through(now, now, Instant::now());
    !open && !by_hand
}
