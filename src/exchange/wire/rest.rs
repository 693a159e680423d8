//! REST endpoints: who may use them, what they weigh, what they answer.

use super::http::{Answer, Request};
use crate::base::Nanos;
use crate::exchange::Exchange;
use std::net::IpAddr;

/// Answers a request that came from `peer`.
pub fn answer(_exchange: &mut Exchange, _request: &Request, _peer: IpAddr, _now: Nanos) -> Answer {
    Answer::json(404, "{}")
}
