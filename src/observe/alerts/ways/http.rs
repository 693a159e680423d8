//! Requests over HTTP from side threads: bounded in time and size, never by a proxy that the
//! environment names, never over a redirect.

use super::super::secret::Secret;
use crate::venue::rest::agent_bounds;
use std::time::Duration;
use ureq::Agent;

/// Longest time to a connection.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Largest answer in bytes that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
    /// Seconds of a `Retry-After` header.
    pub retry_after: Option<u64>,
}

/// See the head of this file.
pub struct Http {
    agent: Agent,
    /// What may stand in an address and in no error.
    secret: Secret,
}

impl Http {
    /// Requests that take at most `longest`. `secret` is taken out of every error.
    pub fn new(longest: Duration, secret: Secret) -> Self {
        let agent = agent_bounds(CONNECT_MAX, longest).build().new_agent();
        Self { agent, secret }
    }

    /// Posts `body`.
    ///
    /// # Errors
    /// What the transport says, without the secret.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, String> {
        let hidden = |what: String| self.secret.hide_in(&what);
        let mut request = ureq::http::Request::builder().method("POST").uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|error| hidden(error.to_string()))?;
        let answer = self.agent.run(request);
        let mut answer = answer.map_err(|error| hidden(error.to_string()))?;
        let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| text.parse().ok());
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| hidden(error.to_string()))?;
        Ok(Answer { status, body, retry_after })
    }
}
