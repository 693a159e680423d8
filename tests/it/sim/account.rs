//! What a session's requests look like on the wire.

use peregrine::base::Nanos;
use peregrine::base::settings::Dialect;
use peregrine::exchange::wire::http::Request;
use peregrine::execution::{RequestKind, RequestText, Signer};
use peregrine::venue::account::whole_query;
use peregrine::venue::dialect::paths;
use peregrine::venue::rest::RestJob;

/// The account's key and secret.
pub fn secret() -> String {
    "S".repeat(64)
}

pub fn key() -> String {
    "K".repeat(64)
}

/// Builds requests.
#[derive(Clone)]
pub struct Account {
    signer: Signer,
}

impl Account {
    pub fn new() -> Self {
        Self { signer: Signer::new(secret().as_bytes()) }
    }

    /// An order or cancel by its signed text.
    pub fn order(&self, kind: RequestKind, text: &RequestText) -> Request {
        let (method, path) = match kind {
            RequestKind::Order => ("POST", "/fapi/v1/order"),
            RequestKind::Cancel => ("DELETE", "/fapi/v1/order"),
            RequestKind::Stop => ("POST", "/fapi/v1/algoOrder"),
            RequestKind::StopCancel => ("DELETE", "/fapi/v1/algoOrder"),
        };
        let query = String::from_utf8_lossy(text.as_bytes()).into_owned();
        request(method, path, query)
    }

    /// A signed request.
    pub fn signed(&self, method: &str, path: &str, params: &str, now: Nanos) -> Request {
        let text = format!("{params}&recvWindow=5000&timestamp={}", now.to_millis());
        let signature = self.signer.sign(text.as_bytes());
        let signature = String::from_utf8_lossy(&signature);
        request(method, path, format!("{text}&signature={signature}"))
    }

    /// The request of a job, signed where it has to be.
    pub fn job(&self, job: &RestJob, now: Nanos) -> Request {
        let asked = job.request(paths(Dialect::UsdM));
        request(asked.method, asked.path, whole_query(&asked, &self.signer, now))
    }
}

/// A request of the trading API, told as a query: its parameters are the same.
pub fn said(text: &RequestText) -> Request {
    let params: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text.as_bytes()).expect("parameters are an object");
    let text =
        |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs: Vec<String> =
        params.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    request("", "", pairs.join("&"))
}

fn request(method: &str, path: &str, query: String) -> Request {
    let (method, path) = (method.to_owned(), path.to_owned());
    Request { method, path, query, body: Vec::new(), api_key: key() }
}
