//! The trading WebSocket API: `order.place`, `order.cancel`, `session.logon` and the rest.

use super::streams::ConnId;
use crate::base::Nanos;
use crate::exchange::Exchange;
use std::net::IpAddr;

/// Answers a request on the connection `conn` of `peer`.
pub fn answer(
    _exchange: &mut Exchange,
    _conn: ConnId,
    _text: &str,
    _peer: IpAddr,
    _now: Nanos,
) -> String {
    String::new()
}
