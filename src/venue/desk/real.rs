//! Order entry of a session in real time: one of the two ways, as configured.

use super::{ApiEntry, HttpEntry};
use crate::base::Reason;
use crate::execution::{RequestKind, RequestText};
use crate::venue::ports::{Ended, EntryPort};
use crate::venue::stream::Stream;
use std::time::Instant;

/// See the head of this file.
pub enum RealEntry {
    /// Signed REST requests.
    Http(Box<HttpEntry>),
    /// The trading WebSocket API.
    Api(Box<ApiEntry<Stream>>),
}

impl EntryPort for RealEntry {
    fn is_ready(&mut self, now: Instant) -> bool {
        match self {
            Self::Http(entry) => entry.is_ready(now),
            Self::Api(entry) => entry.is_ready(now),
        }
    }

    fn send(&mut self, ticket: u64, kind: RequestKind, text: &RequestText, now: Instant) {
        match self {
            Self::Http(entry) => entry.send(ticket, kind, text, now),
            Self::Api(entry) => entry.send(ticket, kind, text, now),
        }
    }

    fn poll(&mut self, now: Instant, on_end: &mut dyn FnMut(u64, Ended<'_>)) -> usize {
        match self {
            Self::Http(entry) => entry.poll(now, on_end),
            Self::Api(entry) => entry.poll(now, on_end),
        }
    }

    fn last_error(&self) -> Option<&str> {
        match self {
            Self::Http(entry) => entry.last_error(),
            Self::Api(entry) => entry.last_error(),
        }
    }

    fn is_up(&self) -> bool {
        match self {
            Self::Http(entry) => entry.is_up(),
            Self::Api(entry) => entry.is_up(),
        }
    }

    fn refusal(&mut self) -> Option<(Reason, i32)> {
        match self {
            Self::Http(entry) => entry.refusal(),
            Self::Api(entry) => entry.refusal(),
        }
    }
}
