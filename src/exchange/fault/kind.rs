//! Every kind of fault: its name, where it strikes, its numbers. One table, read by the parser, by
//! the admin endpoint and by the test that compares it with `docs/EXCHANGE.md`.

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A connection that was just accepted, or that sends its first request.
    Connect,
    /// Something about to be sent: a text of a WebSocket connection or an answer.
    Send,
    /// A text about to be sent on a WebSocket connection.
    Text,
    /// A request before the exchange sees it: the exchange never does.
    Before,
    /// A request the exchange has carried out, before its answer leaves.
    After,
    /// While the fault lasts, of itself.
    State,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the table below says what each does")]
pub enum Kind {
    RefuseConnect,
    HangConnect,
    Delay,
    Reset,
    HalfOpen,
    Trickle,
    Fragment,
    Drop,
    Gap,
    Stale,
    AckWithoutData,
    Duplicate,
    Reorder,
    LateBurst,
    Close,
    CloseMidFrame,
    OversizeFrame,
    InvalidUtf8,
    BadOpcode,
    ReservedBits,
    MaskedFrame,
    PingFlood,
    MalformedJson,
    UnknownEvent,
    UnknownField,
    MissingField,
    WrongType,
    WrongSymbol,
    HugeId,
    ZeroPrice,
    NegativePrice,
    PriceJump,
    LostRequest,
    Unavailable,
    Overloaded,
    InternalError,
    RateLimited,
    Banned,
    Firewall,
    KeyRevoked,
    BadSignature,
    UnknownAfterAccept,
    TimeoutAfterAccept,
    GatewayAfterAccept,
    EmptyBody,
    TruncatedJson,
    CloseAfterAccept,
    LostAnswer,
    QueryLag,
    CancelStays,
    LateFill,
    ClockSkew,
    NoPings,
    Outage,
    ExpireListenKey,
    ForeignOrder,
    FilterChange,
    Halt,
    Settle,
    PriceSpike,
    MarkDivergence,
    FundingSpike,
    Delivery,
    LiquidationSkew,
    Withdrawal,
    HiddenFee,
}

/// A number a kind takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// Its key.
    pub key: &'static str,
    /// What it is where it is not given; `None` where it must be.
    pub default: Option<i64>,
    /// Least and greatest value.
    pub range: (i64, i64),
}

/// One kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The kind.
    pub kind: Kind,
    /// Its name in scripts.
    pub name: &'static str,
    /// Where it strikes.
    pub point: Point,
    /// Its numbers.
    pub numbers: &'static [Number],
    /// Its texts; each must be there.
    pub texts: &'static [&'static str],
}

const DAY_MS: i64 = 86_400_000;

const fn with(key: &'static str, default: i64, min: i64, max: i64) -> Number {
    Number { key, default: Some(default), range: (min, max) }
}

const fn need(key: &'static str, min: i64, max: i64) -> Number {
    Number { key, default: None, range: (min, max) }
}

const fn row(kind: Kind, name: &'static str, point: Point, numbers: &'static [Number]) -> Row {
    Row { kind, name, point, numbers, texts: &[] }
}

const fn of_symbol(kind: Kind, name: &'static str, numbers: &'static [Number]) -> Row {
    Row { kind, name, point: Point::State, numbers, texts: &["symbol"] }
}

const MS: &[Number] = &[need("ms", 0, DAY_MS)];
const BPS: &[Number] = &[need("bps", -9_000, 100_000)];

/// Every kind there is.
pub const ROWS: &[Row] = &[
    row(Kind::RefuseConnect, "refuse_connect", Point::Connect, &[]),
    row(Kind::HangConnect, "hang_connect", Point::Connect, &[]),
    row(
        Kind::Delay,
        "delay",
        Point::Send,
        &[need("ms", 0, DAY_MS), with("jitter_ms", 0, 0, DAY_MS)],
    ),
    row(Kind::Reset, "reset", Point::Send, &[]),
    row(Kind::HalfOpen, "half_open", Point::Send, &[]),
    row(
        Kind::Trickle,
        "trickle",
        Point::Send,
        &[with("bytes", 1, 1, 1 << 20), with("every_ms", 1_000, 1, DAY_MS)],
    ),
    row(Kind::Fragment, "fragment", Point::Send, &[with("bytes", 1, 1, 1 << 20)]),
    row(Kind::Drop, "drop", Point::Text, &[]),
    row(Kind::Gap, "gap", Point::Text, &[]),
    row(Kind::Stale, "stale", Point::Text, &[]),
    row(Kind::AckWithoutData, "ack_without_data", Point::Text, &[]),
    row(Kind::Duplicate, "duplicate", Point::Text, &[with("copies", 1, 1, 1_000)]),
    row(Kind::Reorder, "reorder", Point::Text, &[]),
    row(Kind::LateBurst, "late_burst", Point::Text, &[need("ms", 1, DAY_MS)]),
    row(Kind::Close, "close", Point::Text, &[with("code", 1_006, 1_000, 4_999)]),
    row(Kind::CloseMidFrame, "close_mid_frame", Point::Text, &[]),
    row(
        Kind::OversizeFrame,
        "oversize_frame",
        Point::Text,
        &[with("bytes", 5 << 20, 1 << 10, 64 << 20)],
    ),
    row(Kind::InvalidUtf8, "invalid_utf8", Point::Text, &[]),
    row(Kind::BadOpcode, "bad_opcode", Point::Text, &[with("opcode", 3, 3, 15)]),
    row(Kind::ReservedBits, "reserved_bits", Point::Text, &[]),
    row(Kind::MaskedFrame, "masked_frame", Point::Text, &[]),
    row(Kind::PingFlood, "ping_flood", Point::Text, &[with("pings", 100, 1, 10_000)]),
    row(Kind::MalformedJson, "malformed_json", Point::Text, &[]),
    row(Kind::UnknownEvent, "unknown_event", Point::Text, &[]),
    row(Kind::UnknownField, "unknown_field", Point::Text, &[]),
    row(Kind::MissingField, "missing_field", Point::Text, &[]),
    row(Kind::WrongType, "wrong_type", Point::Text, &[]),
    row(Kind::WrongSymbol, "wrong_symbol", Point::Text, &[]),
    row(Kind::HugeId, "huge_id", Point::Text, &[]),
    row(Kind::ZeroPrice, "zero_price", Point::Text, &[]),
    row(Kind::NegativePrice, "negative_price", Point::Text, &[]),
    row(Kind::PriceJump, "price_jump", Point::Text, &[with("times", 10, 2, 1_000)]),
    row(Kind::LostRequest, "lost_request", Point::Before, &[]),
    row(Kind::Unavailable, "unavailable", Point::Before, &[]),
    row(Kind::Overloaded, "overloaded", Point::Before, &[]),
    row(Kind::InternalError, "internal_error", Point::Before, &[]),
    row(
        Kind::RateLimited,
        "rate_limited",
        Point::Before,
        &[with("retry_after_s", 5, 0, 86_400), with("weight", 2_400, 1, 1_000_000)],
    ),
    row(Kind::Banned, "banned", Point::Before, &[with("ms", 120_000, 1_000, 3 * DAY_MS)]),
    row(Kind::Firewall, "firewall", Point::Before, &[]),
    row(Kind::KeyRevoked, "key_revoked", Point::Before, &[]),
    row(Kind::BadSignature, "bad_signature", Point::Before, &[]),
    row(Kind::UnknownAfterAccept, "unknown_after_accept", Point::After, &[]),
    row(Kind::TimeoutAfterAccept, "timeout_after_accept", Point::After, &[]),
    row(
        Kind::GatewayAfterAccept,
        "gateway_after_accept",
        Point::After,
        &[with("status", 502, 400, 599)],
    ),
    row(Kind::EmptyBody, "empty_body", Point::After, &[]),
    row(Kind::TruncatedJson, "truncated_json", Point::After, &[]),
    row(Kind::CloseAfterAccept, "close_after_accept", Point::After, &[]),
    row(Kind::LostAnswer, "lost_answer", Point::After, &[]),
    row(Kind::QueryLag, "query_lag", Point::After, MS),
    row(Kind::CancelStays, "cancel_stays", Point::Before, &[]),
    row(Kind::LateFill, "late_fill", Point::Before, &[with("ms", 200, 0, DAY_MS)]),
    row(Kind::ClockSkew, "clock_skew", Point::State, &[need("ms", -DAY_MS, DAY_MS)]),
    row(Kind::NoPings, "no_pings", Point::State, &[]),
    row(Kind::Outage, "outage", Point::State, &[]),
    row(Kind::ExpireListenKey, "expire_listen_key", Point::State, &[]),
    Row {
        kind: Kind::ForeignOrder,
        name: "foreign_order",
        point: Point::State,
        numbers: &[with("bps", -50, -500, 500), with("account", 0, 0, 1_000)],
        texts: &["symbol", "side", "quantity"],
    },
    of_symbol(
        Kind::FilterChange,
        "filter_change",
        &[
            with("tick_times", 1, 1, 1_000),
            with("step_times", 1, 1, 1_000),
            with("notional_times", 1, 1, 1_000),
        ],
    ),
    of_symbol(Kind::Halt, "halt", &[]),
    of_symbol(Kind::Settle, "settle", &[]),
    of_symbol(Kind::PriceSpike, "price_spike", BPS),
    of_symbol(Kind::MarkDivergence, "mark_divergence", BPS),
    of_symbol(Kind::FundingSpike, "funding_spike", &[need("bps", -1_000, 1_000)]),
    of_symbol(Kind::Delivery, "delivery", &[need("after_ms", 0, 365 * DAY_MS)]),
    of_symbol(Kind::LiquidationSkew, "liquidation_skew", BPS),
    row(
        Kind::Withdrawal,
        "withdrawal",
        Point::State,
        &[need("units", 1, i64::MAX), with("account", 0, 0, 1_000)],
    ),
    of_symbol(
        Kind::HiddenFee,
        "hidden_fee",
        &[need("units", 1, i64::MAX), with("account", 0, 0, 1_000)],
    ),
];

impl Kind {
    /// Its row.
    pub fn row(self) -> &'static Row {
        let found = ROWS.iter().find(|row| row.kind == self);
        found.expect("the table holds every kind")
    }

    /// By its name in scripts.
    pub fn parse(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.kind)
    }

    /// True for what begins at a time and may end at one, rather than striking what passes.
    pub const fn is_once(self) -> bool {
        matches!(
            self,
            Self::ExpireListenKey
                | Self::ForeignOrder
                | Self::PriceSpike
                | Self::FilterChange
                | Self::Withdrawal
                | Self::HiddenFee
        )
    }
}
