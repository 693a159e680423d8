//! Orders over the trading WebSocket API: many requests under way on one connection, answers in
//! any order, matched by number.
//!
//! ```text
//!  Waiting ──► Open ──► logon asked ──► logged on: requests leave
//!     ▲         │  an HMAC key signs each request instead  ▲ │
//!     │         └──────────────────────────────────────────┘ │
//!     └── closed, 10 s without an answer, unreadable, refused ┘ all under way: lost
//!
//!  age reached:  front ─────────────────────────┐ last answer, then closed
//!                back      opened, logged on ───┴─► front: new requests
//! ```
//! An answer without a number concerns the connection: the key is no longer good, or a request was
//! not readable. Whose it was is not known, so everything under way is lost with the connection.

use super::envelope::{self, Refused, Said, To};
use crate::base::{Nanos, Reason};
use crate::execution::outcome::{Outcome, classify};
use crate::execution::{RequestKind, RequestText};
use crate::venue::account::Credentials;
use crate::venue::backoff::Backoff;
use crate::venue::ports::{Ended, EntryPort, StreamPort};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};

/// Requests under way on one connection.
const FLIGHTS_MAX: usize = 128;
/// Longest time for an answer; far beyond what the venue needs to accept or refuse.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a second connection may take until it is logged on.
const COMING_MAX: Duration = Duration::from_secs(30);
/// How long until the next attempt after one that did not come.
const RETRY: Duration = Duration::from_secs(60);
/// A connection is renewed up to one part in so many of its age early, so that many clients that
/// started together do not come back together.
const JITTER_PARTS: u32 = 10;

type OnEnd<'a> = dyn FnMut(u64, Ended<'_>) + 'a;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logon {
    /// There is no connection, or it was not asked yet.
    Due,
    Asked(Instant),
    /// Requests may leave.
    On,
}

/// Why a connection is given up by us.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Broken(&'static str),
    /// The venue refused the connection itself.
    Refused(Reason, i32),
}

/// What is said over one connection.
struct Talk {
    logon: Logon,
    /// Since when the connection is open; `None` without one.
    since: Option<Instant>,
    /// Ticket and time of what is under way.
    flights: Vec<(u64, Instant)>,
    fault: Option<Fault>,
    /// The venue said that it is going to close.
    leaves: bool,
    /// It was asked for a sign of life and says nothing.
    suspect: bool,
    backoff: Backoff,
    /// Until when no connection is opened.
    away_until: Option<Instant>,
    error: Option<String>,
}

struct End<S> {
    stream: S,
    talk: Talk,
}

/// The connection that carries no new requests.
#[derive(Clone, Copy, Debug)]
enum Back {
    Away,
    /// Is to become the one, since then.
    Coming(Instant),
    /// Was the one, and waits for its last answers.
    Draining,
}

/// How connections of the trading API are kept.
#[derive(Clone, Copy, Debug)]
pub struct ApiPlan {
    /// Age at which a connection is renewed.
    pub age_max: Duration,
    /// The time that a logon is stamped with.
    pub wall: fn() -> Nanos,
    /// Of jitter and waits.
    pub seed: u64,
}

/// See the head of this file. Sans-IO but for its two ends.
pub struct ApiEntry<S> {
    ends: [End<S>; 2],
    front: usize,
    back: Back,
    credentials: Credentials,
    /// The key logs connections on; otherwise each request is signed.
    logs_on: bool,
    plan: ApiPlan,
    random: ChaCha8Rng,
    renew_at: Option<Instant>,
    refusal: Option<(Reason, i32)>,
    renewals: u64,
}

impl<S: StreamPort> ApiEntry<S> {
    /// Over two ends that lead to the same.
    pub fn new(ends: [S; 2], credentials: Credentials, plan: ApiPlan) -> Self {
        let mut place = 0;
        let mut ends = ends.map(|stream| {
            place += 1;
            End { stream, talk: Talk::new(plan.seed ^ place) }
        });
        ends[1].stream.set_open(false);
        Self {
            ends,
            front: 0,
            back: Back::Away,
            logs_on: credentials.signer().can_log_on(),
            credentials,
            plan,
            random: ChaCha8Rng::seed_from_u64(plan.seed),
            renew_at: None,
            refusal: None,
            renewals: 0,
        }
    }

    /// Times a second connection took over.
    pub const fn renewals(&self) -> u64 {
        self.renewals
    }

    /// Does what can be done without blocking on one connection; the number of requests that ended.
    fn turn(&mut self, at: usize, now: Instant, on_end: &mut OnEnd<'_>) -> usize {
        let End { stream, talk } = &mut self.ends[at];
        if talk.away_until.is_some_and(|until| now >= until) {
            talk.away_until = None;
            stream.set_open(true);
        }
        let mut ended = 0;
        let polled = stream.poll(now, &mut |frame| ended += talk.hear(frame, on_end));
        if polled.came_up {
            talk.since = Some(now);
        }
        if polled.went_down {
            talk.error = stream.last_error().map(str::to_owned);
            ended += talk.lose(on_end);
        }
        if let Some(edge) = stream.silent(now) {
            talk.suspect = edge.is_silent;
        }
        if let Some(fault) = talk.fault.take().or_else(|| talk.late(now)) {
            let (wait, words) = match fault {
                Fault::Broken(words) => (talk.backoff.next_wait(), words),
                Fault::Refused(reason, code) => {
                    self.refusal = Some((reason, code));
                    (talk.backoff.next_wait_long(), reason.name())
                }
            };
            talk.error = Some(format!("trading API: {words}"));
            talk.away_until = Some(now + wait);
            stream.set_open(false);
            // It leaves its connection with this.
            let _ = stream.poll(now, &mut |_| {});
            ended += talk.lose(on_end);
        }
        if talk.since.is_some() && talk.logon == Logon::Due {
            if !self.logs_on {
                talk.logon = Logon::On;
            } else if stream.can_say() {
                talk.logon = Logon::Asked(now);
                stream.say(envelope::logon(&self.credentials, (self.plan.wall)()));
            }
        }
        ended
    }

    /// Keeps the connection younger than its age: opens a second one, lets it take over, and
    /// closes the first after its last answer.
    fn renew(&mut self, now: Instant) {
        let (front, back) = (self.front, 1 - self.front);
        let talk = &self.ends[front].talk;
        match talk.since.filter(|_| talk.logon == Logon::On) {
            Some(since) if self.renew_at.is_none() => {
                let most = u64::try_from(self.plan.age_max.as_nanos()).unwrap_or(u64::MAX);
                let early = self.random.random_range(0..=most / u64::from(JITTER_PARTS));
                self.renew_at = Some(since + Duration::from_nanos(most - early));
            }
            Some(_) => {}
            None => self.renew_at = None,
        }
        let is_due = talk.leaves || self.renew_at.is_some_and(|at| now >= at);
        match self.back {
            Back::Away if is_due => {
                self.ends[front].talk.leaves = false;
                self.ends[back].stream.set_open(true);
                self.back = Back::Coming(now);
            }
            Back::Coming(_) if self.ends[back].talk.logon == Logon::On => {
                self.front = back;
                self.back = Back::Draining;
                self.renew_at = None;
                self.renewals += 1;
            }
            Back::Coming(since) if now.saturating_duration_since(since) > COMING_MAX => {
                self.close_back(now);
                self.renew_at = Some(now + RETRY);
            }
            Back::Draining if self.ends[back].talk.flights.is_empty() => self.close_back(now),
            _ => {}
        }
    }

    /// Leaves the connection that carries nothing.
    fn close_back(&mut self, now: Instant) {
        let End { stream, talk } = &mut self.ends[1 - self.front];
        stream.set_open(false);
        let _ = stream.poll(now, &mut |_| {});
        talk.forget();
        talk.away_until = None;
        self.back = Back::Away;
    }
}

impl<S: StreamPort> EntryPort for ApiEntry<S> {
    fn is_ready(&mut self, _: Instant) -> bool {
        let End { stream, talk } = &self.ends[self.front];
        let has_room = talk.flights.len() < FLIGHTS_MAX;
        talk.logon == Logon::On && !talk.suspect && has_room && stream.can_say()
    }

    fn send(&mut self, ticket: u64, kind: RequestKind, text: &RequestText, now: Instant) {
        let End { stream, talk } = &mut self.ends[self.front];
        debug_assert!(talk.logon == Logon::On, "a request is sent right after the look for a way");
        talk.flights.push((ticket, now));
        stream.say(envelope::request(ticket, kind, text));
    }

    fn poll(&mut self, now: Instant, on_end: &mut dyn FnMut(u64, Ended<'_>)) -> usize {
        let ended = self.turn(0, now, on_end) + self.turn(1, now, on_end);
        self.renew(now);
        ended
    }

    fn last_error(&self) -> Option<&str> {
        let End { stream, talk } = &self.ends[self.front];
        talk.error.as_deref().or_else(|| stream.last_error())
    }

    fn is_up(&self) -> bool {
        self.ends[self.front].talk.logon == Logon::On
    }

    fn refusal(&mut self) -> Option<(Reason, i32)> {
        self.refusal.take()
    }
}

impl Talk {
    fn new(seed: u64) -> Self {
        Self {
            logon: Logon::Due,
            since: None,
            flights: Vec::with_capacity(FLIGHTS_MAX),
            fault: None,
            leaves: false,
            suspect: false,
            backoff: Backoff::new(seed),
            away_until: None,
            error: None,
        }
    }

    /// Takes a frame; the number of requests that it ended. An answer that is nobody's any more
    /// came too late.
    fn hear(&mut self, frame: &[u8], on_end: &mut OnEnd<'_>) -> usize {
        match envelope::read(frame) {
            Said::Answer(To::Ticket(ticket), status, limits, body) => {
                let Some(at) = self.flights.iter().position(|(of, _)| *of == ticket) else {
                    return 0;
                };
                self.flights.swap_remove(at);
                self.backoff.reset();
                on_end(ticket, Ended::Answered { status, limits, body });
                return 1;
            }
            Said::Answer(To::Logon, 200, ..) => {
                if matches!(self.logon, Logon::Asked(_)) {
                    self.logon = Logon::On;
                }
            }
            Said::Answer(To::Logon | To::Nobody, status, _, body) => {
                let said = Refused::read(body);
                self.fault = Some(match classify(Some(status), said.code, said.msg.as_bytes()) {
                    Outcome::Rejected(reason) => Fault::Refused(reason, said.code.unwrap_or(0)),
                    _ => Fault::Broken("an answer that is nobody's"),
                });
            }
            Said::Leaving => self.leaves = true,
            Said::Unreadable => self.fault = Some(Fault::Broken("an answer that is not readable")),
            Said::Other => {}
        }
        0
    }

    /// What did not come in time.
    fn late(&self, now: Instant) -> Option<Fault> {
        let is_late = |since: Instant| now.saturating_duration_since(since) > ANSWER_MAX;
        if self.flights.iter().any(|(_, since)| is_late(*since)) {
            return Some(Fault::Broken("no answer in time"));
        }
        let asked = matches!(self.logon, Logon::Asked(since) if is_late(since));
        asked.then_some(Fault::Broken("no answer to the logon in time"))
    }

    /// The connection is gone, and with it every answer; how many.
    fn lose(&mut self, on_end: &mut OnEnd<'_>) -> usize {
        let lost = self.flights.len();
        for (ticket, _) in self.flights.drain(..) {
            on_end(ticket, Ended::Lost);
        }
        self.forget();
        lost
    }

    /// There is no connection.
    fn forget(&mut self) {
        debug_assert!(self.flights.is_empty());
        (self.logon, self.since) = (Logon::Due, None);
        (self.leaves, self.suspect, self.fault) = (false, false, None);
    }
}
