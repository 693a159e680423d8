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
    /// No API key, or a text that cannot be one.
    KEY_FORMAT = -2014, "API-key format invalid.";
    /// The window asked for is too wide.
    WIDE_WINDOW = -1131, "recvWindow must be less than 60000";
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
    FOK = -5021, "Due to the order could not be filled immediately, the FOK order has been \
        rejected. The order will not be recorded in the order history.";
    /// Post-only that would take.
    GTX = -5022, "Due to the order could not be executed as maker, the Post Only order will be \
        rejected. The order will not be recorded in the order history.";
    /// Neither buy nor sell.
    BAD_SIDE = -1117, "Invalid side.";
    /// No such order type.
    BAD_TYPE = -1116, "Invalid orderType.";
    /// No such time in force.
    BAD_TIF = -1115, "Invalid timeInForce.";
    /// No such form of answer.
    BAD_RESPONSE_TYPE = -1136, "Invalid newOrderRespType.";
    /// The client's name holds what no name may.
    BAD_CLIENT_ID = -4015, "Client order id is not valid.";
    /// No such position side.
    BAD_POSITION_SIDE = -4060, "Invalid position side.";
    /// No such price out of the book.
    BAD_PRICE_MATCH = -5037, "Invalid price match";
    /// No such self-trade prevention.
    BAD_SELF_TRADE = -5039, "Invalid self trade prevention mode";
    /// The whole position closes, whatever its size.
    CLOSE_WITH_QTY = -4137, "Quantity must be zero with closePosition equals true";
    /// The whole position closes, which needs no further word.
    CLOSE_WITH_REDUCE = -4138, "Reduce only must be true with closePosition equals true";
    /// Too few or too many orders in a batch.
    BATCH_SIZE = -4082, "Invalid number of batch place orders.";
    /// Parameters that exclude one another.
    BAD_COMBINATION = -1128, "Combination of optional parameters invalid.";
    /// Start after end.
    START_AFTER_END = -1023, "Start time is greater than end time.";
    /// More than a request may span.
    SPAN_OF_WEEK = -4165, "Maximum time interval is 7 days";
    /// Only Ed25519 keys open sessions.
    SESSION_KEY_TYPE = -4056, "HMAC_SHA256 API key is not supported.";
    /// No such method of the trading WebSocket API.
    UNKNOWN_METHOD = -1099, "Not found, unauthenticated, or unauthorized.";
    /// Text that is no request.
    BAD_JSON = -1135, "Invalid JSON Request";
    /// Conditional orders go to the algo service.
    USE_ALGO = -4120, "Order type not supported for this endpoint. Please use the Algo Order API \
        endpoints instead.";
    /// The key of the user stream is not known.
    NO_LISTEN_KEY = -1125, "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` \
        to recreate `listenKey`";
}
