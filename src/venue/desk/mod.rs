//! Order entry: sends the bytes that execution signed to the venue, and makes events of its
//! answers. Polled, never blocks; sans-IO over an [`EntryPort`].
//!
//! ```text
//!  order + text ──► waiting ──► the entry port ──► POST or DELETE /fapi/v1/order?<text>
//!                                    │ answer          │ connection lost, no answer in time
//!                                    ▼                 ▼
//!                  accepted, rejected, cancelled    unknown ──► reports ──► the feed
//! ```
//! An order and its cancel never travel at the same time: the cancel could arrive first. A request
//! that never left is refused for certain; one of which any byte left and no answer came is
//! unknown, never refused.
//!
//! Fills are not taken from answers: the account's stream tells each with its fee and trade id.
//!
//! | file | holds |
//! |---|---|
//! | `http` | the entry port over REST |
//! | `connection` | one HTTP connection |
//! | `framing` | where an answer begins and ends |
//! | `answer` | an answer as an event |
//! | `open` | orders that may still change |

mod answer;
mod connection;
mod framing;
mod http;
mod open;

pub use http::HttpEntry;

use super::ports::{Ended, EntryPort};
use crate::base::hop::Stamp;
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{Event, Kind, Reason};
use crate::execution::{RequestKind, RequestText};
use answer::Flight;
use open::OpenOrders;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests waiting to leave, and requests under way.
const WAITING_MAX: usize = 2 * OPEN_ORDERS_MAX;
/// Longest wait for a way: the venue refuses a request older than its receive window.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Room for reports: one for each request.
const REPORTS_MAX: usize = 3 * WAITING_MAX;

#[derive(Clone, Copy)]
struct Waiting {
    flight: Flight,
    text: RequestText,
    since: Instant,
}

/// See the head of this file.
pub struct OrderDesk<E> {
    entry: E,
    /// What is under way, by ticket.
    flights: Vec<(u64, Flight)>,
    waiting: VecDeque<Waiting>,
    open: OpenOrders,
    reports: VecDeque<Event>,
    /// Why no order may leave; [`Reason::None`] where they may.
    closed: Reason,
    /// Given to the newest request.
    ticket: u64,
}

impl<E: EntryPort> OrderDesk<E> {
    /// Over a way to the venue. No order leaves before [`OrderDesk::open`].
    pub fn new(entry: E) -> Self {
        Self {
            entry,
            flights: Vec::with_capacity(WAITING_MAX),
            waiting: VecDeque::with_capacity(WAITING_MAX),
            open: OpenOrders::new(),
            reports: VecDeque::with_capacity(REPORTS_MAX),
            closed: Reason::StreamDown,
            ticket: 0,
        }
    }

    /// Lets orders leave: the account's stream is up.
    pub fn open(&mut self) {
        self.closed = Reason::None;
    }

    /// Lets no further order leave, for `reason`, those that wait for a connection included;
    /// cancels still do, and protective stops: they can only close what is there, and are needed
    /// most while nothing else can leave.
    pub fn close(&mut self, reason: Reason) {
        self.closed = reason;
        let waiting = self.waiting.len();
        for _ in 0..waiting {
            let Some(next) = self.waiting.pop_front() else { return };
            if leaves_when_closed(next.flight.kind) {
                self.waiting.push_back(next);
            } else {
                self.report(next.flight.refused(reason, 0));
            }
        }
    }

    /// Sends an approved order or cancel by its signed text. `sent` comes back with the answer.
    pub fn submit(&mut self, order: &Event, text: &RequestText, now: Instant, sent: Stamp) {
        let flight = Flight::new(order, sent);
        let is_order = !flight.kind.is_cancel();
        if !leaves_when_closed(flight.kind) && self.closed != Reason::None {
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
    pub fn poll(&mut self, now: Instant, on_answer: &mut dyn FnMut(Stamp)) -> usize {
        let Self { entry, flights, open, reports, .. } = self;
        let ended = entry.poll(now, &mut |ticket, end| {
            let at = flights.iter().position(|(of, _)| *of == ticket);
            let Some((_, flight)) = at.map(|at| flights.swap_remove(at)) else {
                debug_assert!(false, "ticket {ticket} ended twice");
                return;
            };
            let event = match end {
                Ended::Answered { status, body, .. } => {
                    on_answer(flight.sent);
                    flight.answered(status, body)
                }
                Ended::Lost => {
                    tracing::warn!(order = %flight.id(), "the answer to a request was lost");
                    Some(flight.lost())
                }
                Ended::NotSent => Some(flight.refused(Reason::NotSent, 0)),
            };
            if let Some(event) = event.filter(|event| adds(open, &flight, event)) {
                debug_assert!(reports.len() < REPORTS_MAX, "one report for each request");
                reports.push_back(event);
            }
        });
        self.send_waiting(now);
        ended
    }

    /// The way to the venue.
    pub const fn entry(&self) -> &E {
        &self.entry
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
        self.flights.len() + self.waiting.len() + self.open.len()
    }

    /// Sends what waits, in order, but lets nobody wait behind a cancel whose order is under way;
    /// refuses what waited too long.
    fn send_waiting(&mut self, now: Instant) {
        while let Some(first) = self.waiting.front().copied() {
            if now.saturating_duration_since(first.since) <= WAIT_MAX {
                break;
            }
            self.waiting.pop_front();
            self.report(first.flight.refused(Reason::NotSent, 0));
        }
        while let Some(at) = self.first_free() {
            if self.flights.len() == WAITING_MAX || !self.entry.is_ready(now) {
                return;
            }
            let Some(next) = self.waiting.remove(at) else { return };
            self.ticket += 1;
            self.entry.send(self.ticket, next.flight.kind, &next.text, now);
            self.flights.push((self.ticket, next.flight));
        }
    }

    /// The first waiting request of an order of which no other is under way or waits before it.
    fn first_free(&self) -> Option<usize> {
        (0..self.waiting.len()).find(|&at| {
            let id = self.waiting[at].flight.id();
            let travels = self.flights.iter().any(|(_, flight)| flight.id() == id);
            let behind = self.waiting.iter().take(at).any(|other| other.flight.id() == id);
            !travels && !behind
        })
    }

    fn report(&mut self, event: Event) {
        debug_assert!(self.reports.len() < REPORTS_MAX, "one report for each request");
        self.reports.push_back(event);
    }
}

const fn leaves_when_closed(kind: RequestKind) -> bool {
    kind.is_cancel() || matches!(kind, RequestKind::Stop)
}

/// Whether an event adds to what the account's stream has told already: an order that the stream
/// has spoken of is neither unknown nor refused, and an end is told once.
fn adds(open: &OpenOrders, flight: &Flight, event: &Event) -> bool {
    match (event.kind(), flight.kind.is_cancel()) {
        (Some(Kind::OrderUnknown | Kind::OrderRejected), false) => !open.is_known(flight.id()),
        (Some(Kind::OrderUnknown | Kind::OrderCancelled), true) => !open.is_over(flight.id()),
        _ => true,
    }
}
