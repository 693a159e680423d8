//! Order entry: sends the bytes that execution signed to the venue, and makes events of its
//! answers. Polled, never blocks.
//!
//! ```text
//!  order + text ──► waiting ──► a free connection ──► POST or DELETE /fapi/v1/order?<text>
//!                                    │ answer           │ connection lost, no answer in time
//!                                    ▼                  ▼
//!                  accepted, rejected, cancelled     unknown ──► reports ──► the feed
//! ```
//! A fixed pool of connections carries one request each. An order and its cancel never travel at
//! the same time: the cancel could arrive first. A request that never left is refused for certain;
//! one of which any byte left and no answer came is unknown, never refused.
//!
//! Fills are not taken from answers: the account's stream tells each with its fee and trade id.
//!
//! | file | holds |
//! |---|---|
//! | `connection` | one HTTP connection |
//! | `framing` | where an answer begins and ends |
//! | `answer` | an answer as an event |
//! | `open` | orders that may still change |

mod answer;
mod connection;
mod framing;
mod open;

use super::account::Credentials;
use super::address::Endpoint;
use crate::base::hop::Stamp;
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{Event, Kind, Reason};
use crate::execution::{RequestKind, RequestText};
use answer::Flight;
use connection::{Connection, Ended};
use mio::{Registry, Token};
use open::OpenOrders;
use rustls::ClientConfig;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Connections kept open: as many requests can be under way.
const CONNECTIONS: usize = 4;
/// Requests waiting for a connection.
const WAITING_MAX: usize = 2 * OPEN_ORDERS_MAX;
/// Longest wait for a connection: the venue refuses a request older than its receive window.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Room for reports: one for each request.
const REPORTS_MAX: usize = 2 * WAITING_MAX;
/// Polls between two looks at an idle connection, which has nothing to tell but its end.
const IDLE_POLLS: u32 = 16;
/// Tokens of the connections begin here; those of the streams lie below.
const TOKEN_FIRST: usize = 64;

#[derive(Clone, Copy)]
struct Waiting {
    flight: Flight,
    text: RequestText,
    since: Instant,
}

/// See the head of this file.
pub struct OrderDesk {
    connections: [Connection; CONNECTIONS],
    /// What each connection carries.
    flights: [Option<Flight>; CONNECTIONS],
    waiting: VecDeque<Waiting>,
    open: OpenOrders,
    reports: VecDeque<Event>,
    /// The end of every request's head, with the key in it.
    head_end: Zeroizing<Vec<u8>>,
    /// Why no order may leave; [`Reason::None`] where they may.
    closed: Reason,
    polls: u32,
}

impl OrderDesk {
    /// For the venue at `base_url` (no path). Resolves its name, which blocks; connects at the
    /// first poll. No order leaves before [`OrderDesk::open`].
    ///
    /// # Errors
    /// When the URL is none or its host has no address.
    pub fn new(
        base_url: &str,
        credentials: &Credentials,
        tls: &Arc<ClientConfig>,
        seed: u64,
    ) -> io::Result<Self> {
        let endpoint = Endpoint::parse(base_url, "http", "https")?;
        let addresses = endpoint.resolve()?;
        let (host, port, key) = (&endpoint.host, endpoint.port, credentials.key());
        let head_end = format!(
            " HTTP/1.1\r\nHost: {host}:{port}\r\nX-MBX-APIKEY: {key}\r\nContent-Length: 0\r\n\r\n"
        );
        let connections = std::array::from_fn(|i| {
            let token = Token(TOKEN_FIRST + i);
            let (endpoint, addresses) = (endpoint.clone(), addresses.clone());
            Connection::new(endpoint, addresses, Arc::clone(tls), token, seed ^ i as u64)
        });
        Ok(Self {
            connections,
            flights: [None; CONNECTIONS],
            waiting: VecDeque::with_capacity(WAITING_MAX),
            open: OpenOrders::new(),
            reports: VecDeque::with_capacity(REPORTS_MAX),
            head_end: Zeroizing::new(head_end.into_bytes()),
            closed: Reason::StreamDown,
            polls: 0,
        })
    }

    /// Lets orders leave: the account's stream is up.
    pub fn open(&mut self) {
        self.closed = Reason::None;
    }

    /// Lets no further order leave, for `reason`, those that wait for a connection included;
    /// cancels still do.
    pub fn close(&mut self, reason: Reason) {
        self.closed = reason;
        let waiting = self.waiting.len();
        for _ in 0..waiting {
            let Some(next) = self.waiting.pop_front() else { return };
            match next.flight.kind {
                RequestKind::Order => self.report(next.flight.refused(reason, 0)),
                RequestKind::Cancel => self.waiting.push_back(next),
            }
        }
    }

    /// Sends an approved order or cancel by its signed text. `sent` comes back with the answer.
    pub fn submit(&mut self, order: &Event, text: &RequestText, now: Instant, sent: Stamp) {
        let flight = Flight::new(order, sent);
        let is_order = flight.kind == RequestKind::Order;
        if is_order && self.closed != Reason::None {
            return self.report(flight.refused(self.closed, 0));
        }
        if self.waiting.len() == WAITING_MAX {
            return self.report(flight.refused(Reason::OrderTableFull, 0));
        }
        if is_order {
            self.open.insert(order);
        }
        self.waiting.push_back(Waiting { flight, text: *text, since: now });
        self.send_waiting(now);
    }

    /// Does what can be done without blocking; the number of requests that ended. Each answer tells
    /// `on_answer` when its request was handed over.
    pub fn poll(
        &mut self,
        now: Instant,
        registry: &Registry,
        on_answer: &mut dyn FnMut(Stamp),
    ) -> usize {
        let mut ended = 0;
        self.polls = self.polls.wrapping_add(1);
        let idle_too = self.polls.is_multiple_of(IDLE_POLLS);
        for i in 0..CONNECTIONS {
            if self.connections[i].is_free() && !idle_too {
                continue;
            }
            let Some(end) = self.connections[i].poll(now, registry) else { continue };
            let Some(flight) = self.flights[i].take() else { continue };
            ended += 1;
            let event = match end {
                Ended::Answered { status, body } => {
                    on_answer(flight.sent);
                    flight.answered(status, body)
                }
                Ended::Lost => {
                    let error = self.connections[i].last_error().unwrap_or("no answer");
                    tracing::warn!(error, order = %flight.id(), "the answer to a request was lost");
                    Some(flight.lost())
                }
            };
            if let Some(event) = event.filter(|event| self.adds(&flight, event)) {
                self.report(event);
            }
        }
        self.send_waiting(now);
        ended
    }

    /// The next report; the feed numbers it and stamps its receipt.
    pub fn next_report(&mut self) -> Option<Event> {
        self.reports.pop_front()
    }

    /// True while a report waits.
    pub fn has_report(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Hears a numbered event of the river; other events than reports are ignored.
    pub fn hear(&mut self, event: &Event) {
        if (Kind::OrderAccepted as u8..=Kind::CancelRejected as u8).contains(&event.kind) {
            self.open.hear(event);
        }
    }

    /// Requests under way or waiting, and orders that may still change.
    pub fn unsettled(&self) -> usize {
        self.flights.iter().flatten().count() + self.waiting.len() + self.open.len()
    }

    /// Whether an event adds to what the account's stream has told already: an order that the
    /// stream has spoken of is neither unknown nor refused, and an end is told once.
    fn adds(&self, flight: &Flight, event: &Event) -> bool {
        match (event.kind(), flight.kind) {
            (Some(Kind::OrderUnknown | Kind::OrderRejected), RequestKind::Order) => {
                !self.open.is_known(flight.id())
            }
            (Some(Kind::OrderUnknown | Kind::OrderCancelled), RequestKind::Cancel) => {
                !self.open.is_over(flight.id())
            }
            _ => true,
        }
    }

    /// Gives waiting requests to free connections, in order; refuses those that waited too long.
    fn send_waiting(&mut self, now: Instant) {
        while let Some(first) = self.waiting.front().copied() {
            if now.saturating_duration_since(first.since) > WAIT_MAX {
                self.waiting.pop_front();
                self.report(first.flight.refused(Reason::StreamDown, 0));
                continue;
            }
            let id = first.flight.id();
            if self.flights.iter().flatten().any(|flight| flight.id() == id) {
                return;
            }
            let free = self.connections.iter_mut().position(|connection| connection.is_ready(now));
            let Some(i) = free else { return };
            self.waiting.pop_front();
            let start: &[u8] = match first.flight.kind {
                RequestKind::Order => b"POST /fapi/v1/order?",
                RequestKind::Cancel => b"DELETE /fapi/v1/order?",
            };
            self.connections[i].ask([start, first.text.as_bytes(), &self.head_end], now);
            self.flights[i] = Some(first.flight);
        }
    }

    fn report(&mut self, event: Event) {
        debug_assert!(self.reports.len() < REPORTS_MAX, "one report for each request");
        self.reports.push_back(event);
    }
}
