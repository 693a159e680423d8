//! The account behind signed requests: its credentials, and what cold threads ask of it.

use super::dialect::{TRADED, paths};
use super::job::{Access, RestFailure, RestJob, RestReply, RestRequest};
use super::ports::AnswerLimits;
use super::rest::RestClient;
use crate::base::Nanos;
use crate::execution::Signer;
use std::time::Duration;
use zeroize::Zeroizing;

/// Key and secret of an account. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct Credentials {
    key: Zeroizing<String>,
    signer: Signer,
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
        Some(Self { key, signer })
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
    if request.access != Access::Signed {
        return request.query.clone();
    }
    let mark = if request.query.is_empty() { "" } else { "&" };
    let time = now.to_millis();
    let mut query = format!("{}{mark}recvWindow={RECV_WINDOW_MS}&timestamp={time}", request.query);
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

    /// Carries a job and reads its answer.
    pub fn answer(&self, job: &RestJob) -> (Result<RestReply, RestFailure>, AnswerLimits) {
        let request = self.request(job);
        let query = whole_query(&request, &self.signer, (self.clock)());
        let key = (request.access != Access::Public).then(|| self.credentials.key());
        self.rest.run(job, &request, &query, key)
    }
}
