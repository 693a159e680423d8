//! Requests to an MLflow server: bounded in time and size, over no proxy and no redirect, with what
//! went wrong told in three kinds that callers act on.

use super::settings::ServerSettings;
use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use peregrine::base::ids::percent_encoded;
use peregrine::observe::alerts::secret::Secret;
use peregrine::runtime::secret;
use peregrine::venue::rest::agent_bounds;
use serde_json::Value;
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder};

/// Longest time to a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Largest answer that is read, bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Bytes of an answer's text that an error repeats.
const TOLD_BYTES: usize = 300;
/// Base of the calls.
const API: &str = "/api/2.0/mlflow/";

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No whole answer, or the wish to be asked later: the whole server is left alone for a while.
    /// Whether the request was carried out is not known.
    #[error("{what}")]
    Away {
        /// Which request, and what happened to it.
        what: String,
        /// What the server asked for.
        retry_after: Option<Duration>,
    },
    /// The server failed at this request.
    #[error("{what}")]
    Failed {
        /// Which request, and what was answered.
        what: String,
    },
    /// The server does not accept this request.
    #[error("{what}")]
    Refused {
        /// The server's name for it, such as `RESOURCE_DOES_NOT_EXIST`.
        code: String,
        /// Which request, and what was answered.
        what: String,
    },
}

impl Trouble {
    /// Whether what was asked for is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "RESOURCE_DOES_NOT_EXIST")
    }

    /// Whether what was to be made is there already.
    pub fn is_there(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "RESOURCE_ALREADY_EXISTS")
    }

    fn away(what: String) -> Self {
        Self::Away { what, retry_after: None }
    }
}

/// What is sent.
#[derive(Clone, Copy)]
enum Call<'a> {
    Get(&'a [(&'a str, &'a str)]),
    Post(&'a Value),
    Delete(&'a Value),
    Put(&'a [u8]),
}

/// A server.
pub struct Client {
    agent: Agent,
    settings: ServerSettings,
    /// The `Authorization` header; empty for none.
    authorization: Secret,
}

impl Client {
    /// A client with the credentials that are found.
    ///
    /// # Errors
    /// Credentials that cannot be read, are given twice, or would leave in the open.
    pub fn new(settings: &ServerSettings) -> Result<Self> {
        let token = secret::read("MLFLOW_TRACKING_TOKEN")?.filter(|text| !text.is_empty());
        let user = secret::read("MLFLOW_TRACKING_USERNAME")?.filter(|text| !text.is_empty());
        let password = secret::read("MLFLOW_TRACKING_PASSWORD")?;
        let authorization = match (token, user) {
            (Some(_), Some(_)) => {
                bail!("MLFLOW_TRACKING_TOKEN and MLFLOW_TRACKING_USERNAME: one of them is enough")
            }
            (Some(token), None) => format!("Bearer {token}"),
            (None, Some(user)) => {
                let pair = Secret::new(format!("{user}:{}", password.unwrap_or_default()));
                format!("Basic {}", STANDARD.encode(pair.expose()))
            }
            (None, None) => String::new(),
        };
        Self::with(settings, Secret::new(authorization))
    }

    /// The same with a header that is known.
    ///
    /// # Errors
    /// A secret that would leave in the open.
    pub fn with(settings: &ServerSettings, authorization: Secret) -> Result<Self> {
        if !authorization.is_empty() && settings.is_open() && !settings.plain_credentials {
            bail!(
                "server.url: {}: credentials would leave without TLS; use https, or say \
                 server.plain_credentials = true",
                settings.url
            );
        }
        let agent = agent_bounds(CONNECT_MAX, settings.longest(0)).build().new_agent();
        Ok(Self { agent, settings: settings.clone(), authorization })
    }

    /// Asks.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Trouble> {
        self.call(&format!("{API}{path}"), Call::Get(query))
    }

    /// Tells.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        self.call(&format!("{API}{path}"), Call::Post(body))
    }

    /// Takes away.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn delete(&self, path: &str, body: &Value) -> Result<Value, Trouble> {
        self.call(&format!("{API}{path}"), Call::Delete(body))
    }

    /// Puts a file into the server's store of artifacts.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Trouble> {
        let path = format!("/api/2.0/mlflow-artifacts/artifacts/{}", escaped(path));
        self.call(&path, Call::Put(bytes)).map(|_| ())
    }

    fn call(&self, path: &str, call: Call<'_>) -> Result<Value, Trouble> {
        let (method, answer) = self.sent(path, call);
        let what = |told: &str| self.authorization.hide_in(&format!("{method} {path}: {told}"));
        let mut answer = answer.map_err(|error| Trouble::away(what(&error.to_string())))?;
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| Trouble::away(what(&error.to_string())))?;
        let told = String::from_utf8_lossy(&body[..body.len().min(TOLD_BYTES)]);
        let shown = what(&format!("status {status}: {}", told.replace(['\n', '\r'], " ")));
        match status {
            200..=299 if body.is_empty() => Ok(Value::Null),
            200..=299 => serde_json::from_slice(&body)
                .map_err(|error| Trouble::away(what(&format!("half an answer: {error}")))),
            408 | 425 | 429 | 502..=504 => Err(Trouble::Away { what: shown, retry_after }),
            500.. => Err(Trouble::Failed { what: shown }),
            _ => {
                let value: Value = serde_json::from_slice(&body).unwrap_or_default();
                let code = value["error_code"].as_str().unwrap_or_default().to_owned();
                Err(Trouble::Refused { code, what: shown })
            }
        }
    }

    /// A request with the header of who asks, where somebody is named.
    fn signed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        if self.authorization.is_empty() {
            return request;
        }
        request.header("authorization", self.authorization.expose())
    }

    fn sent(
        &self,
        path: &str,
        call: Call<'_>,
    ) -> (&'static str, Result<Response<Body>, ureq::Error>) {
        let url = format!("{}{path}", self.settings.url.trim_end_matches('/'));
        let json = "application/json";
        match call {
            Call::Get(query) => {
                let request = self.agent.get(&url).query_pairs(query.iter().copied());
                ("GET", self.signed(request).call())
            }
            Call::Post(body) => {
                let request = self.signed(self.agent.post(&url)).content_type(json);
                ("POST", request.send(body.to_string()))
            }
            Call::Delete(body) => {
                let request = self.agent.delete(&url).force_send_body();
                let request = self.signed(request).content_type(json);
                ("DELETE", request.send(body.to_string()))
            }
            Call::Put(bytes) => {
                let longest = self.settings.longest(bytes.len());
                let request = self.agent.put(&url).config().timeout_global(Some(longest)).build();
                let request = self.signed(request).content_type("application/octet-stream");
                ("PUT", request.send(bytes))
            }
        }
    }
}

/// A path with what an address may not carry plainly as `%XX`.
pub(super) fn escaped(path: &str) -> String {
    path.split('/').map(percent_encoded).collect::<Vec<String>>().join("/")
}
