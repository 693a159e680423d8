//! What the feed's thread touches of the outside, as traits: sockets, the REST thread, the clock.
//! A session in real time has real ones; the simulation has others over a simulated network and a
//! simulated clock, and runs the same code in between.

use super::ages::StreamEdge;
use super::rest::{RestAnswer, RestJob};
use super::stream::Polled;
use crate::base::{InstrumentId, Nanos, Reason};
use crate::execution::{RequestKind, RequestText};
use std::time::Instant;

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Never goes back: what waits and deadlines are measured with.
    pub mono: Instant,
    /// The wall clock: what receipts are stamped with.
    pub wall: Nanos,
}

/// The clocks, and what a thread without work does.
pub trait ClockPort {
    /// This instant.
    fn now(&mut self) -> Now;
    /// Passes the time of a thread that has no work.
    fn idle(&mut self);
}

/// A connection that delivers text payloads and comes back by itself after a loss.
pub trait StreamPort {
    /// Does what can be done without blocking and hands every payload to `on_frame`.
    fn poll(&mut self, now: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled;
    /// Leaves the connection, if there is one, and comes back at another path of the same host.
    fn move_to(&mut self, url: String);
    /// Brings the streams of the instruments that are `awake` from here on, and of no other one:
    /// those that `url` names; none at all without one. What is brought before and after is brought
    /// on. For a connection whose streams do not change this does nothing.
    fn carry(
        &mut self,
        _url: Option<String>,
        _awake: &dyn Fn(InstrumentId) -> bool,
        _now: Instant,
    ) {
    }
    /// The next stream of the connection that fell silent while others talk, or talks again; each
    /// is told once. To be asked after each poll.
    fn silent(&mut self, _now: Instant) -> Option<StreamEdge> {
        None
    }
    /// A closed one leaves its connection and stays away, until it is opened again; a new one is
    /// open. The next poll tells the loss.
    fn set_open(&mut self, open: bool);
    /// True when a text would leave at once.
    fn can_say(&self) -> bool {
        false
    }
    /// Sends a text; only right after [`StreamPort::can_say`]. Where it fails, the next poll tells
    /// the loss.
    fn say(&mut self, _text: String) {}
    /// Why the connection was last lost or refused.
    fn last_error(&self) -> Option<&str>;
}

/// How a request for an order or a cancel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// With an answer.
    Answered {
        /// HTTP status, or the one that the trading API plays.
        status: u16,
        /// What the head of the answer says of limits.
        limits: AnswerLimits,
        /// Its body; of the trading API the `result` or `error` alone.
        body: &'a [u8],
    },
    /// Without one: closed, broken, unreadable or too late. Whether it was taken is not known.
    Lost,
    /// No byte of it left.
    NotSent,
}

/// What an answer says of the limits; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Request weight used in the present minute.
    pub used_weight: Option<u32>,
    /// Orders counted in the present ten seconds.
    pub orders_10s: Option<u32>,
    /// Orders counted in the present minute.
    pub orders_1m: Option<u32>,
    /// Seconds to wait before anything is asked again.
    pub retry_after_s: Option<u32>,
}

/// The way of orders and cancels to the venue.
pub trait EntryPort {
    /// True when a request would leave at once.
    fn is_ready(&mut self, now: Instant) -> bool;
    /// Sends a request; only right after [`EntryPort::is_ready`]. `ticket` comes back with its end,
    /// which is told exactly once.
    fn send(&mut self, ticket: u64, kind: RequestKind, text: &RequestText, now: Instant);
    /// Does what can be done without blocking; the number of requests that ended.
    fn poll(&mut self, now: Instant, on_end: &mut dyn FnMut(u64, Ended<'_>)) -> usize;
    /// Why the way was last lost or refused.
    fn last_error(&self) -> Option<&str>;
    /// True while there is a way, be it busy.
    fn is_up(&self) -> bool {
        true
    }
    /// Why the venue refuses the way itself, told once, with its code and words.
    fn refusal(&mut self) -> Option<(Reason, i32)> {
        None
    }
}

/// No way to any venue: where orders are filled on paper.
#[derive(Clone, Copy, Debug)]
pub enum NoEntry {}

impl EntryPort for NoEntry {
    fn is_ready(&mut self, _: Instant) -> bool {
        match *self {}
    }

    fn send(&mut self, _: u64, _: RequestKind, _: &RequestText, _: Instant) {
        match *self {}
    }

    fn poll(&mut self, _: Instant, _: &mut dyn FnMut(u64, Ended<'_>)) -> usize {
        match *self {}
    }

    fn last_error(&self) -> Option<&str> {
        match *self {}
    }
}

/// Everything else that is asked of the venue, answered later and in any order.
pub trait RestPort {
    /// Hands a job over; false when too many wait (ask again later).
    fn ask(&mut self, job: RestJob) -> bool;
    /// The next answer, if one is there.
    fn answer(&mut self) -> Option<RestAnswer>;
}

/// The outside as one type: what a session's feed thread is made over.
pub trait Outside {
    /// The clocks.
    type Clock: ClockPort;
    /// Market connections and the account's own stream.
    type Stream: StreamPort;
    /// Order entry.
    type Entry: EntryPort;
    /// The rest.
    type Rest: RestPort;
}
