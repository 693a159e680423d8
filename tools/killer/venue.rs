//! Signed requests to the venue.

use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// Longest wait for an answer: the next round asks again.
const PATIENCE: Duration = Duration::from_secs(2);
/// The venue's code for a time too far from its own.
const CLOCK_SKEW: i64 = -1021;

/// The venue behind one key.
pub struct Venue {
    agent: Agent,
    base: String,
    key: String,
    keyed: Hmac<Sha256>,
    /// The venue's clock less ours, in milliseconds.
    offset: AtomicI64,
}

impl Venue {
    /// Over HTTPS; a loopback address may do without.
    pub fn new(url: &str, key: String, secret: String) -> Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        let open = ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
        if !base.starts_with("https://") && !open.iter().any(|start| base.starts_with(start)) {
            bail!("--url: must be https://; only a loopback address may do without");
        }
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
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let keyed = Hmac::new_from_slice(secret.as_bytes()).ok().context("the secret is none")?;
        Ok(Self { agent, base, key, keyed, offset: AtomicI64::new(0) })
    }

    /// Sets our clock by the venue's; where it does not answer, ours stays.
    pub fn set_clock(&self) {
        if let Ok(told) = self.public("/fapi/v1/time", "")
            && let Some(time) = told["serverTime"].as_i64()
        {
            self.offset.store(time - millis(), Ordering::Relaxed);
        }
    }

    /// What needs no key.
    pub fn public(&self, path: &str, query: &str) -> Result<Value> {
        self.carry("GET", path, query)
    }

    /// What needs the key, a time and a signature. A clock that is off is set, once.
    pub fn signed(&self, method: &str, path: &str, query: &str) -> Result<Value> {
        let ask = || {
            let time = millis() + self.offset.load(Ordering::Relaxed);
            let mark = if query.is_empty() { "" } else { "&" };
            let text = format!("{query}{mark}recvWindow=5000&timestamp={time}");
            let signature = signature(&self.keyed, &text);
            self.carry(method, path, &format!("{text}&signature={signature}"))
        };
        let told = ask();
        match &told {
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|r| r.code == CLOCK_SKEW) => {
                self.set_clock();
                ask()
            }
            _ => told,
        }
    }

    /// The query is told in no error: it is signed.
    fn carry(&self, method: &str, path: &str, query: &str) -> Result<Value> {
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{mark}{query}", self.base);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("X-MBX-APIKEY", &self.key);
        let sent = if method == "POST" {
            request.body(&[][..]).map(|request| self.agent.run(request))
        } else {
            request.body(()).map(|request| self.agent.run(request))
        };
        let lost = |what: String| {
            let what = if query.is_empty() { what } else { what.replace(query, "…") };
            anyhow::anyhow!("{method} {path}: {what}")
        };
        let answer = sent.map_err(|error| lost(error.to_string()))?;
        let mut answer = answer.map_err(|error| lost(error.to_string()))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_vec().map_err(|error| lost(error.to_string()))?;
        let told: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status != 200 {
            let code = told["code"].as_i64().unwrap_or(0);
            let words = told["msg"].as_str().unwrap_or_default().chars().take(120).collect();
            return Err(Refused { what: format!("{method} {path}"), status, code, words }.into());
        }
        if told.is_null() {
            bail!("{method} {path}: an answer that is no JSON");
        }
        Ok(told)
    }
}

/// The venue said no.
#[derive(Debug, thiserror::Error)]
#[error("{what}: status {status}, code {code}: {words}")]
pub struct Refused {
    what: String,
    status: u16,
    code: i64,
    words: String,
}

fn signature(keyed: &Hmac<Sha256>, text: &str) -> String {
    let bytes = keyed.clone().chain_update(text).finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the venue's documentation.
    #[test]
    fn a_request_is_signed_as_the_venue_s_example_is() {
        let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
        let text = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1\
                    &recvWindow=5000&timestamp=1499827319559";
        let wanted = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        let keyed = Hmac::new_from_slice(secret.as_bytes()).unwrap();
        assert_eq!(signature(&keyed, text), wanted);
    }

    #[test]
    fn nothing_goes_over_an_open_line_beyond_this_machine() {
        let at = |url: &str| Venue::new(url, "k".to_owned(), "s".to_owned()).is_ok();
        assert!(at("https://fapi.binance.com") && at("http://127.0.0.1:8080/"));
        assert!(!at("http://fapi.binance.com") && !at("http://127.0.0.1.example.com:80"));
    }
}
