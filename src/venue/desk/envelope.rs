//! Requests and answers of the trading API as texts. A request's number is its ticket.
//!
//! ```text
//!  {"id":17,"method":"order.place","params":{…}}
//!  {"id":17,"status":200,"result":{…} | "error":{…},"rateLimits":[…]}
//! ```

use crate::base::Nanos;
use crate::execution::{RequestKind, RequestText};
use crate::venue::account::{Credentials, RECV_WINDOW_MS};
use crate::venue::ports::AnswerLimits;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The number of the logon, which no ticket has.
const LOGON: &str = "\"logon\"";

/// What a frame of the venue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// An answer.
    Answer(To, u16, AnswerLimits, &'a [u8]),
    /// The venue is about to close the connection.
    Leaving,
    /// Nothing that concerns order entry.
    Other,
    /// Nothing that can be read: whose answer it was is not known.
    Unreadable,
}

/// Whose an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// A request's.
    Ticket(u64),
    /// The logon's.
    Logon,
    /// Nobody's: it concerns the connection.
    Nobody,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rate_limits: Vec<Limit<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limit<'a> {
    rate_limit_type: &'a str,
    interval: &'a str,
    interval_num: u32,
    count: u32,
}

/// How long to wait, told as two times in milliseconds.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wait {
    server_time: i64,
    retry_after: i64,
}

/// A refusal as far as it is read here.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Refused {
    /// The venue's code.
    pub code: Option<i32>,
    /// Its words.
    pub msg: String,
    data: Wait,
}

impl Refused {
    /// Reads the `error` of an answer; what is not there stays empty.
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// The text of a request under this number.
pub(super) fn request(ticket: u64, kind: RequestKind, text: &RequestText) -> String {
    let method = match kind {
        RequestKind::Order => "order.place",
        RequestKind::Cancel => "order.cancel",
        RequestKind::Stop => "algoOrder.place",
        RequestKind::StopCancel => "algoOrder.cancel",
    };
    let params = std::str::from_utf8(text.as_bytes()).unwrap_or("{}");
    format!("{{\"id\":{ticket},\"method\":\"{method}\",\"params\":{params}}}")
}

/// The text that logs a connection on at `now`. Its signature is over the parameters by name.
pub(super) fn logon(credentials: &Credentials, now: Nanos) -> String {
    let (key, time) = (credentials.key(), now.to_millis());
    let signed = format!("apiKey={key}&recvWindow={RECV_WINDOW_MS}&timestamp={time}");
    let signature = credentials.signer().sign_plain(signed.as_bytes());
    let signature = String::from_utf8_lossy(&signature);
    format!(
        "{{\"id\":{LOGON},\"method\":\"session.logon\",\"params\":{{\"apiKey\":\"{key}\",\
         \"recvWindow\":{RECV_WINDOW_MS},\"signature\":\"{signature}\",\"timestamp\":{time}}}}}"
    )
}

/// Reads a frame.
pub(super) fn read(bytes: &[u8]) -> Said<'_> {
    let Ok(frame) = serde_json::from_slice::<Frame<'_>>(bytes) else { return Said::Unreadable };
    let Some(status) = frame.status else {
        const EVENT: &[u8] = b"\"serverShutdown\"";
        let leaves = bytes.windows(EVENT.len()).any(|window| window == EVENT);
        return if leaves { Said::Leaving } else { Said::Other };
    };
    let to = match frame.id.map(RawValue::get) {
        None => To::Nobody,
        Some(LOGON) => To::Logon,
        Some(number) => match number.parse() {
            Ok(ticket) => To::Ticket(ticket),
            Err(_) => return Said::Unreadable,
        },
    };
    let mut limits = AnswerLimits::default();
    for row in &frame.rate_limits {
        match (row.rate_limit_type, row.interval, row.interval_num) {
            ("REQUEST_WEIGHT", "MINUTE", 1) => limits.used_weight = Some(row.count),
            ("ORDERS", "SECOND", 10) => limits.orders_10s = Some(row.count),
            ("ORDERS", "MINUTE", 1) => limits.orders_1m = Some(row.count),
            _ => {}
        }
    }
    if let (None, Some(error), 418 | 429) = (frame.result, frame.error, status) {
        let wait = Refused::read(error.get().as_bytes()).data;
        let ms = wait.retry_after.saturating_sub(wait.server_time);
        let told = wait.server_time > 0 && ms > 0;
        limits.retry_after_s =
            told.then(|| u32::try_from(ms.unsigned_abs().div_ceil(1_000)).unwrap_or(u32::MAX));
    }
    let body = frame.result.or(frame.error).map_or(&b""[..], |body| body.get().as_bytes());
    Said::Answer(to, status, limits, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_whose_it_is_its_body_and_the_limits() {
        let text = br#"{"id":17,"status":200,"result":{"orderId":5},"rateLimits":[
            {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300,"count":3},
            {"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":1200,"count":4},
            {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400,
             "count":9}]}"#;
        let limits = AnswerLimits {
            used_weight: Some(9),
            orders_10s: Some(3),
            orders_1m: Some(4),
            retry_after_s: None,
        };
        assert_eq!(read(text), Said::Answer(To::Ticket(17), 200, limits, b"{\"orderId\":5}"));
        let text = br#"{"id":null,"status":401,"error":{"code":-2015,"msg":"no"}}"#;
        let body = br#"{"code":-2015,"msg":"no"}"#;
        assert_eq!(read(text), Said::Answer(To::Nobody, 401, AnswerLimits::default(), body));
        let text = br#"{"id":2,"status":429,"error":{"code":-1003,"msg":"","data":
            {"serverTime":1700000000000,"retryAfter":1700000001500}}}"#;
        let Said::Answer(_, 429, limits, _) = read(text) else { panic!("no answer") };
        assert_eq!(limits.retry_after_s, Some(2));
    }

    #[test]
    fn what_is_no_answer_is_taken_for_none() {
        assert_eq!(read(br#"{"event":{"e":"serverShutdown","E":1}}"#), Said::Leaving);
        assert_eq!(read(br#"{"event":{"e":"another"}}"#), Said::Other);
        for text in [&b"{\"id\":1,\"status\":200,"[..], b"", b"{\"id\":\"x\",\"status\":200}"] {
            assert_eq!(read(text), Said::Unreadable);
        }
    }
}
