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
//! unknown, never refused. A cancel of an order that still waits takes it out: neither leaves.
//!
//! Fills are not taken from answers: the account's stream tells each with its fee and trade id.
//!
//! | file | holds |
//! |---|---|
//! | `http` | the entry port over REST |
//! | `api` | the entry port over the trading WebSocket API |
//! | `envelope` | its requests and answers as texts |
//! | `real` | one of the two, as configured |
//! | `connection` | one HTTP connection |
//! | `framing` | where an answer begins and ends |
//! | `answer` | an answer as an event |
//! | `open` | orders that may still change |
//! | `unheard` | whether the account's stream tells what answers say |

mod answer;
mod api;
mod connection;
mod envelope;
#[cfg(test)]
mod fence_tests;
mod framing;
mod http;
mod open;
mod real;
#[cfg(test)]
mod tests;
mod unheard;

pub use api::{ApiEntry, ApiPlan};
pub use http::HttpEntry;
pub use real::RealEntry;

use super::budget::{Budget, Refusal, Use};
use super::ports::{Ended, EntryPort, Now};
use crate::base::counters::Counters;
use crate::base::event::{Command, Order, VenueStatus, flags};
use crate::base::fence::Fence;
use crate::base::hop::Stamp;
use crate::base::ids::Seq;
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::ring::queue;
use crate::base::{Event, InstrumentId, Kind, Purpose, Reason};
use crate::execution::{RequestKind, RequestText};
use crate::risk::{Origin, TradingWord, Verb};
use answer::Flight;
use open::OpenOrders;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use unheard::Unheard;

/// Requests waiting to leave, and requests under way.
const WAITING_MAX: usize = 2 * OPEN_ORDERS_MAX;
/// Longest wait for a way: the venue refuses a request older than its receive window.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Room for reports: one for each request, and news of the venue beside them.
const REPORTS_MAX: usize = 4 * WAITING_MAX;
/// Longest time from a request's leaving to its arrival: the venue's receive window and a second.
const ARRIVAL_MAX: Duration = Duration::from_secs(6);
/// How long there may be no way to the venue before it is told.
const DOWN_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
struct Waiting {
    flight: Flight,
    text: RequestText,
    since: Instant,
}

/// See the head of this file.
pub struct OrderDesk<E> {
    entry: E,
    /// What is under way, by ticket, and when it left.
    flights: Vec<(u64, Flight, Instant)>,
    waiting: VecDeque<Waiting>,
    open: OpenOrders,
    reports: VecDeque<Event>,
    /// Why no order may leave; [`Reason::None`] where they may.
    closed: Reason,
    /// Given to the newest request.
    ticket: u64,
    budget: Arc<Budget>,
    /// Since when there has been no way to the venue.
    down_since: Option<Instant>,
    down_told: bool,
    unheard: Unheard,
    /// Tells the trading state; killed, no entry leaves, whatever was approved before.
    trading: Option<Arc<Counters>>,
    /// When the newest entry was lost whose arrival is not known.
    entry_lost: Option<Instant>,
    /// Until when requests may leave, where another may take over.
    fence: Option<Arc<Fence>>,
}

impl<E: EntryPort> OrderDesk<E> {
    /// Over a way to the venue, within a budget. No order leaves before [`OrderDesk::open`].
    pub fn new(entry: E, budget: Arc<Budget>) -> Self {
        Self {
            entry,
            flights: Vec::with_capacity(WAITING_MAX),
            waiting: queue(WAITING_MAX),
            open: OpenOrders::new(),
            reports: queue(REPORTS_MAX),
            closed: Reason::StreamDown,
            ticket: 0,
            budget,
            down_since: None,
            down_told: false,
            unheard: Unheard::default(),
            trading: None,
            entry_lost: None,
            fence: None,
        }
    }

    /// Watches the trading state: where it is killed no entry leaves, those included that were
    /// approved before and wait.
    pub fn watch_trading(&mut self, counters: Arc<Counters>) {
        self.trading = Some(counters);
    }

    /// Lets requests leave only while `fence` does: cancels and exits too, for who takes over may
    /// have orders of its own by then.
    pub fn stand_behind(&mut self, fence: Arc<Fence>) {
        self.fence = Some(fence);
    }

    /// True where another node may lead, and no person ordered everything closed: nothing is to be
    /// done about what is open at the venue.
    pub fn is_kept_back(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.is_closed() && !fence.is_by_hand())
    }

    /// True where the lease forbids a request: by the time that it is signed with.
    fn is_fenced(&self, flight: &Flight, now: Now) -> bool {
        let Some(fence) = &self.fence else { return false };
        let flattens = flight.order.body::<Order>().purpose == Purpose::Flatten as u8;
        let by_hand = flattens && fence.is_by_hand();
        let open = fence.lets_through(flight.order.now(), now.wall, now.mono);
        !open && !by_hand
    }

    fn is_killed(&self) -> bool {
        let killed = |counters: &Arc<Counters>| TradingWord::unpack(counters.trading()).is_killed();
        self.trading.as_ref().is_some_and(killed)
    }

    /// True while an entry that left may still arrive at the venue: its answer is awaited, or was
    /// lost less than a receive window ago.
    pub fn may_an_entry_arrive(&self, now: Instant) -> bool {
        let lost = |at: Instant| now.saturating_duration_since(at) < ARRIVAL_MAX;
        let under_way = self.flights.iter().any(|(_, flight, _)| usage(flight) == Use::Entry);
        under_way || self.entry_lost.is_some_and(lost)
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
                self.refuse(&next.flight, reason);
            }
        }
    }

    /// Sends an approved order or cancel by its signed text. `sent` comes back with the answer.
    pub fn submit(&mut self, order: &Event, text: &RequestText, now: Now, sent: Stamp) {
        let flight = Flight::new(order, sent);
        let is_order = !flight.kind.is_cancel();
        if self.is_fenced(&flight, now) {
            return self.refuse(&flight, Reason::Fenced);
        }
        if !leaves_when_closed(flight.kind) && self.closed != Reason::None {
            return self.refuse(&flight, self.closed);
        }
        if usage(&flight) == Use::Entry && self.is_killed() {
            return self.refuse(&flight, Reason::TradingState);
        }
        let waits =
            |other: &Waiting| !other.flight.kind.is_cancel() && other.flight.id() == flight.id();
        if !is_order
            && let Some(at) = self.waiting.iter().position(waits)
            && let Some(order) = self.waiting.remove(at)
        {
            return self.refuse(&order.flight, Reason::NotSent);
        }
        if self.waiting.len() == WAITING_MAX {
            return self.refuse(&flight, Reason::OrderTableFull);
        }
        if is_order {
            self.open.insert(order);
        }
        self.waiting.push_back(Waiting { flight, text: *text, since: now.mono });
        self.send_waiting(now);
    }

    /// Does what can be done without blocking; the number of requests that ended. Each answer tells
    /// `on_answer` the input behind its request, and when that was handed over.
    pub fn poll(&mut self, now: Now, on_answer: &mut dyn FnMut(Seq, Stamp)) -> usize {
        let Self { entry, flights, open, reports, budget, unheard, entry_lost, .. } = self;
        let ended = entry.poll(now.mono, &mut |ticket, end| {
            let at = flights.iter().position(|(of, ..)| *of == ticket);
            let Some((_, flight, left)) = at.map(|at| flights.swap_remove(at)) else {
                debug_assert!(false, "ticket {ticket} ended twice");
                return;
            };
            let event = match end {
                Ended::Answered { status, limits, body } => {
                    on_answer(flight.order.seq, flight.sent);
                    budget.on_limits(&limits, now.wall);
                    let said = flight.answered(status, body);
                    let refusal = Refusal {
                        reason: said.tells,
                        code: said.code,
                        message: said.message.as_bytes(),
                        retry_after_s: limits.retry_after_s,
                        client_id: flight.id().0,
                    };
                    budget.on_refusal(&refusal, now.wall);
                    if said.event.as_ref().is_some_and(was_taken) {
                        unheard.taken(left, now.mono);
                    }
                    said.event
                }
                Ended::Lost => {
                    tracing::warn!(order = %flight.id(), "the answer to a request was lost");
                    if usage(&flight) == Use::Entry {
                        *entry_lost = Some(now.mono);
                    }
                    Some(flight.lost())
                }
                Ended::NotSent => Some(flight.refused(Reason::NotSent, 0)),
            };
            if let Some(event) = event.filter(|event| adds(open, &flight, event)) {
                tell(reports, event);
            }
        });
        self.watch_the_way(now);
        while let Some(news) = self.budget.news() {
            tell(&mut self.reports, Event::new(Kind::VenueStatus, InstrumentId::NONE, &news));
        }
        self.send_waiting(now);
        ended
    }

    /// Tells when there has been no way to the venue for a while, and when there is one again.
    fn watch_the_way(&mut self, now: Now) {
        if let Some((reason, code)) = self.entry.refusal() {
            let refusal = Refusal { reason, code, message: b"", retry_after_s: None, client_id: 0 };
            self.budget.on_refusal(&refusal, now.wall);
        }
        let is_up = self.entry.is_up();
        let since = *self.down_since.get_or_insert(now.mono);
        if is_up {
            self.down_since = None;
        }
        let down = !is_up && now.mono.saturating_duration_since(since) > DOWN_MAX;
        if is_up && self.down_told || down && !self.down_told {
            self.down_told = down;
            let reason = Reason::OrderEntryDown as u16;
            let body = VenueStatus { reason, ..VenueStatus::default() };
            let bits = if is_up { flags::ON } else { 0 };
            if down {
                let error = self.entry.last_error().unwrap_or("not connected");
                tracing::error!(error, "there is no way for orders to the venue");
            }
            let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body);
            tell(&mut self.reports, event.with_flags(bits));
        }
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

    /// Hears a numbered event of the river; other events than reports and kills are ignored.
    pub fn hear(&mut self, event: &Event) {
        if let Some(fence) = &self.fence
            && event.kind() == Some(Kind::Command)
            && is_flatten_by_person(event.body())
        {
            fence.close_by_hand();
        }
        if (Kind::OrderAccepted as u8..=Kind::CancelRejected as u8).contains(&event.kind) {
            self.open.hear(event);
        }
    }

    /// The account's stream brought something, or is a new one.
    pub fn on_account_stream(&mut self, now: Instant) {
        self.unheard.heard(now);
    }

    /// True when the venue took an order or cancel and the account's stream did not tell it.
    pub fn is_account_silent(&self, now: Instant) -> bool {
        self.unheard.is_silent(now)
    }

    /// Requests under way or waiting, and orders that may still change.
    pub fn unsettled(&self) -> usize {
        self.flights.len() + self.waiting.len() + self.open.len()
    }

    /// Sends what waits, in order, but lets nobody wait behind a cancel whose order is under way;
    /// refuses what waited too long and what is over the budget.
    fn send_waiting(&mut self, now: Now) {
        while let Some(first) = self.waiting.front().copied() {
            if now.mono.saturating_duration_since(first.since) <= WAIT_MAX {
                break;
            }
            self.waiting.pop_front();
            self.refuse(&first.flight, Reason::NotSent);
        }
        while let Some(at) = self.first_free() {
            let flight = self.waiting[at].flight;
            let usage = usage(&flight);
            if self.is_fenced(&flight, now) {
                self.waiting.remove(at);
                self.refuse(&flight, Reason::Fenced);
                continue;
            }
            if usage == Use::Entry && self.is_killed() {
                self.waiting.remove(at);
                self.refuse(&flight, Reason::TradingState);
                continue;
            }
            if let Err(reason) = self.budget.permits(usage, now.wall) {
                self.waiting.remove(at);
                self.refuse(&flight, reason);
                continue;
            }
            if self.flights.len() == WAITING_MAX || !self.entry.is_ready(now.mono) {
                return;
            }
            let Some(next) = self.waiting.remove(at) else { return };
            self.ticket += 1;
            self.budget.count(usage, now.wall);
            self.entry.send(self.ticket, next.flight.kind, &next.text, now.mono);
            self.flights.push((self.ticket, next.flight, now.mono));
        }
    }

    /// A request that did not leave.
    fn refuse(&mut self, flight: &Flight, reason: Reason) {
        tracing::warn!(order = %flight.id(), reason = reason.name(), "a request did not leave");
        tell(&mut self.reports, flight.refused(reason, 0));
    }

    /// The first waiting request of an order of which no other is under way or waits before it.
    fn first_free(&self) -> Option<usize> {
        (0..self.waiting.len()).find(|&at| {
            let id = self.waiting[at].flight.id();
            let travels = self.flights.iter().any(|(_, flight, _)| flight.id() == id);
            let behind = self.waiting.iter().take(at).any(|other| other.flight.id() == id);
            !travels && !behind
        })
    }
}

fn tell(reports: &mut VecDeque<Event>, event: Event) {
    debug_assert!(reports.len() < REPORTS_MAX, "one report for each request");
    reports.push_back(event);
}

/// What a request is counted as.
fn usage(flight: &Flight) -> Use {
    let entry = flight.order.body::<Order>().purpose == Purpose::Entry as u8;
    match flight.kind.is_cancel() {
        true => Use::Cancel,
        false if entry => Use::Entry,
        false => Use::Exit,
    }
}

/// An immediate kill that somebody gave, not a breaker or a thread that stands still.
fn is_flatten_by_person(command: &Command) -> bool {
    let machine = [Origin::Session, Origin::Breaker, Origin::DeadMan].map(|origin| origin as u32);
    command.verb == Verb::KillImmediate as u32 && !machine.contains(&command.origin)
}

const fn leaves_when_closed(kind: RequestKind) -> bool {
    kind.is_cancel() || matches!(kind, RequestKind::Stop)
}

/// Whether an answer says that the venue did what was asked.
fn was_taken(answer: &Event) -> bool {
    matches!(answer.kind(), Some(Kind::OrderAccepted | Kind::OrderCancelled))
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
