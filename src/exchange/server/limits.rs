//! What a client may do, how much of it, and for how long. All times are the exchange's own: on a
//! stepped clock they pass when the clock is stepped.

use crate::base::Nanos;

/// Bounds of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; one more is closed at once.
    pub connections_max: usize,
    /// Bytes of a request's line and headers.
    pub head_bytes_max: usize,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Bytes of an incoming WebSocket message.
    pub message_bytes_max: usize,
    /// Bytes that may wait for one client before it is cut off.
    pub backlog_bytes_max: usize,
    /// How long a request may take to arrive, from its first byte.
    pub request_time_max: Nanos,
    /// How long a connection may stay open between requests.
    pub idle_max: Nanos,
    /// Time between the server's pings.
    pub ping_every: Nanos,
    /// A WebSocket connection without a pong for this long is closed.
    pub pong_within: Nanos,
    /// A WebSocket connection is closed at this age.
    pub life_max: Nanos,
}

impl Default for Limits {
    /// The venue's where it states them.
    fn default() -> Self {
        Self {
            connections_max: 2_048,
            head_bytes_max: 16 << 10,
            body_bytes_max: 1 << 20,
            message_bytes_max: 256 << 10,
            backlog_bytes_max: 4 << 20,
            request_time_max: Nanos::from_secs(10),
            idle_max: Nanos::from_secs(60),
            ping_every: Nanos::from_secs(180),
            pong_within: Nanos::from_secs(600),
            life_max: Nanos::from_secs(86_400),
        }
    }
}
