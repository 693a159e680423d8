//! Refusals with the venue's numbers and words.

use std::borrow::Cow;

/// A refusal: `{"code":…,"msg":…}` under an HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct VenueError {
    /// HTTP status.
    pub status: u16,
    /// The venue's number.
    pub code: i32,
    /// The venue's words.
    pub text: Cow<'static, str>,
}

impl VenueError {
    /// A refusal under status 400, as nearly all are.
    pub const fn new(code: i32, text: &'static str) -> Self {
        Self { status: 400, code, text: Cow::Borrowed(text) }
    }

    /// A refusal whose words hold values.
    pub fn with(code: i32, text: String) -> Self {
        Self { status: 400, code, text: Cow::Owned(text) }
    }

    /// The same under another status.
    #[must_use]
    pub fn under(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The body.
    pub fn body(&self) -> String {
        serde_json::json!({"code": self.code, "msg": self.text}).to_string()
    }
}

/// Declares the refusals that need no values.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)+) => {
        impl VenueError {
            $($(#[$doc])* pub const $name: Self = Self::new($code, $text);)+
        }
    };
}

refusals! {
    /// No such contract.
    BAD_SYMBOL = -1121, "Invalid symbol.";
    /// The signature does not fit the request.
    BAD_SIGNATURE = -1022, "Signature for this request is not valid.";
    /// The key is not known, or may not do this.
    BAD_KEY = -2015, "Invalid API-key, IP, or permissions for action.";
    /// The request's time is behind the window.
    STALE_TIMESTAMP = -1021, "Timestamp for this request is outside of the recvWindow.";
    /// The request's time is ahead of the venue's.
    EARLY_TIMESTAMP = -1021, "Timestamp for this request was 1000ms ahead of the server's time.";
    /// No such order, where one is asked after.
    NO_SUCH_ORDER = -2013, "Order does not exist.";
    /// No such order, where one is to be cancelled.
    UNKNOWN_ORDER = -2011, "Unknown order sent.";
    /// Not enough margin.
    MARGIN = -2019, "Margin is insufficient.";
    /// It would trigger at once.
    WOULD_TRIGGER = -2021, "Order would immediately trigger.";
    /// It would not shrink the position.
    REDUCE_ONLY = -2022, "ReduceOnly Order is rejected.";
    /// The client's name is in use.
    DUPLICATE_CLIENT_ID = -4116, "ClientOrderId is duplicated.";
    /// Fill-or-kill that cannot be filled.
    FOK = -5021, "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be recorded in the order history.";
    /// Post-only that would take.
    GTX = -5022, "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be recorded in the order history.";
    /// Conditional orders go to the algo service.
    USE_ALGO = -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.";
    /// The key of the user stream is not known.
    NO_LISTEN_KEY = -1125, "This listenKey does not exist.";
}
