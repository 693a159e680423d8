//! Orders over signed REST requests: a fixed pool of connections carries one request each.

use super::connection::Connection;
use crate::execution::{RequestKind, RequestText};
use crate::venue::account::Credentials;
use crate::venue::address::Endpoint;
use crate::venue::ports::{Ended, EntryPort};
use crate::venue::resolver::Addresses;
use crate::venue::stream::Dialer;
use mio::{Registry, Token};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// Connections kept open: as many requests can be under way.
const CONNECTIONS: usize = 4;
/// Polls between two looks at an idle connection, which has nothing to tell but its end.
const IDLE_POLLS: u32 = 16;
/// Tokens of the connections begin here; those of the streams lie below.
const TOKEN_FIRST: usize = 64;

/// See the head of this file.
pub struct HttpEntry {
    connections: [Connection; CONNECTIONS],
    /// Whose request each connection carries.
    tickets: [Option<u64>; CONNECTIONS],
    /// The connection that was found free by the last look.
    free: Option<usize>,
    /// The end of every request's head, with the key in it.
    head_end: Zeroizing<Vec<u8>>,
    registry: Registry,
    polls: u32,
    /// The connection that had trouble last.
    last_lost: usize,
}

impl HttpEntry {
    /// For the venue at `base_url` (no path). Asks for its host, which blocks for a while; connects
    /// at the first poll, and asks again when no address serves any more.
    ///
    /// # Errors
    /// When the URL is none, or the system has no descriptor left.
    pub fn new(
        base_url: &str,
        credentials: &Credentials,
        dialer: &Dialer,
        seed: u64,
    ) -> io::Result<Self> {
        let endpoint = Endpoint::parse(base_url, "http", "https")?;
        let (host, port, key) = (&endpoint.host, endpoint.port, credentials.key());
        let head_end = format!(
            " HTTP/1.1\r\nHost: {host}:{port}\r\nX-MBX-APIKEY: {key}\r\nContent-Length: 0\r\n\r\n"
        );
        // One question for all: each asks again by itself.
        let addresses = Addresses::new(endpoint.clone(), dialer.resolver.clone())?;
        let connections = std::array::from_fn(|i| {
            let (token, tls) = (Token(TOKEN_FIRST + i), Arc::clone(&dialer.tls));
            Connection::new(endpoint.clone(), addresses.clone(), tls, token, seed ^ i as u64)
        });
        Ok(Self {
            connections,
            tickets: [None; CONNECTIONS],
            free: None,
            head_end: Zeroizing::new(head_end.into_bytes()),
            registry: dialer.registry.try_clone()?,
            polls: 0,
            last_lost: 0,
        })
    }
}

impl EntryPort for HttpEntry {
    fn is_ready(&mut self, now: Instant) -> bool {
        self.free = self.connections.iter_mut().position(|connection| connection.is_ready(now));
        self.free.is_some()
    }

    fn send(&mut self, ticket: u64, kind: RequestKind, text: &RequestText, now: Instant) {
        let at = self.free.take().expect("a request is sent right after the look for its way");
        let start: &[u8] = match kind {
            RequestKind::Order => b"POST /fapi/v1/order?",
            RequestKind::Cancel => b"DELETE /fapi/v1/order?",
            RequestKind::Stop => b"POST /fapi/v1/algoOrder?",
            RequestKind::StopCancel => b"DELETE /fapi/v1/algoOrder?",
        };
        self.connections[at].ask([start, text.as_bytes(), &self.head_end], now);
        self.tickets[at] = Some(ticket);
    }

    fn poll(&mut self, now: Instant, on_end: &mut dyn FnMut(u64, Ended<'_>)) -> usize {
        let mut ended = 0;
        self.polls = self.polls.wrapping_add(1);
        let idle_too = self.polls.is_multiple_of(IDLE_POLLS);
        for i in 0..CONNECTIONS {
            if self.connections[i].is_free() && !idle_too {
                continue;
            }
            let Some(end) = self.connections[i].poll(now, &self.registry) else { continue };
            if end == Ended::Lost {
                self.last_lost = i;
            }
            let Some(ticket) = self.tickets[i].take() else { continue };
            ended += 1;
            on_end(ticket, end);
        }
        ended
    }

    fn is_up(&self) -> bool {
        self.connections.iter().any(Connection::is_open)
    }

    fn last_error(&self) -> Option<&str> {
        self.connections[self.last_lost].last_error()
    }
}
