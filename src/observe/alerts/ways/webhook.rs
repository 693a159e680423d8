//! Alerts as JSON to a URL, signed so that the receiver can tell them from anybody's.
//!
//! ```text
//!  X-Peregrine-Timestamp: seconds since the epoch      X-Peregrine-Delivery: number of the message
//!  X-Peregrine-Signature: sha256=hex( HMAC-SHA256( secret, timestamp ‖ "." ‖ body ) )
//! ```
//! A message that is tried again may arrive twice; what it tells has `seq` and `key`.

use super::super::dispatch::{Message, Undelivered};
use super::super::secret::Secret;
use super::http::Http;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use std::time::Duration;

/// Longest time of one delivery.
const SEND_MAX: Duration = Duration::from_secs(4);

/// See the head of this file.
pub struct Webhook {
    http: Http,
    url: String,
    secret: Secret,
}

/// The signature of `body` at `timestamp` (seconds since the epoch), in hex.
pub fn signature(secret: &Secret, timestamp: i64, body: &[u8]) -> String {
    let keyed = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    let mut keyed = keyed.expect("HMAC takes a key of any length");
    keyed.update(format!("{timestamp}.").as_bytes());
    keyed.update(body);
    crate::model::artifact::hex(&keyed.finalize().into_bytes())
}

impl Webhook {
    /// Posts to `url`.
    pub fn new(url: &str, secret: Secret) -> Self {
        Self { http: Http::new(SEND_MAX, secret.clone()), url: url.to_owned(), secret }
    }

    pub(super) fn carry(&self, message: &Message) -> Result<(), Undelivered> {
        let alerts: Vec<_> = message
            .alerts
            .iter()
            .map(|alert| {
                json!({
                    "severity": alert.severity.name(),
                    "class": alert.class.name(),
                    "key": alert.key,
                    "text": alert.text,
                    "seq": alert.seq,
                    "ts_ns": alert.ts_ns,
                })
            })
            .collect();
        let body = json!({
            "version": 1,
            "severity": message.severity.name(),
            "text": message.text,
            "alerts": alerts,
            "more": message.more,
        });
        let body = body.to_string();
        let timestamp = super::super::wall_ns().div_euclid(1_000_000_000);
        let signed = format!("sha256={}", signature(&self.secret, timestamp, body.as_bytes()));
        let (timestamp, number) = (timestamp.to_string(), message.number.to_string());
        let headers = [
            ("content-type", "application/json"),
            ("x-peregrine-timestamp", timestamp.as_str()),
            ("x-peregrine-delivery", number.as_str()),
            ("x-peregrine-signature", signed.as_str()),
        ];
        match self.http.post(&self.url, &headers, body.as_bytes()) {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(Undelivered {
                what: format!("status {}", answer.status),
                retry_after: answer.retry_after.map(Duration::from_secs),
            }),
            Err(what) => Err(Undelivered { what, retry_after: None }),
        }
    }
}
