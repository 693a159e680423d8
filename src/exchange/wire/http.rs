//! A request and its answer, taken apart and put together elsewhere.

/// A REST request. Text is as received: nothing is decoded, since signatures are over raw bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query without the `?`.
    pub query: String,
    /// Body; empty without one.
    pub body: Vec<u8>,
    /// `X-MBX-APIKEY`; empty without one.
    pub api_key: String,
}

/// An answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers beside content type and length, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// `application/json` unless it is a page of the gateway.
    pub content_type: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// JSON under a status.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let content_type = "application/json;charset=UTF-8";
        Self { status, headers: Vec::new(), content_type, body: body.into() }
    }
}
