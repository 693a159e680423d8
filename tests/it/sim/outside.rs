//! The outside of a simulated session: the ports over [`World`].

use super::account::{self, Account};
use super::net::{Arrived, Line, World};
use peregrine::base::Reason;
use peregrine::base::settings::Dialect;
use peregrine::exchange::wire::http::Answer;
use peregrine::execution::{RequestKind, RequestText};
use peregrine::venue::backoff::Backoff;
use peregrine::venue::desk::ApiEntry;
use peregrine::venue::dialect::paths;
use peregrine::venue::line::Line as Overlapping;
use peregrine::venue::ports::{
    AnswerLimits, ClockPort, Ended, EntryPort, Now, Outside, RestPort, StreamPort,
};
use peregrine::venue::rest::{RestAnswer, RestFailure, RestJob};
use peregrine::venue::stream::Polled;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The world, shared by the ports of a session and by who drives it.
pub type Shared = Rc<RefCell<World>>;

/// Longest time for connecting and for the handshake, as of real connections.
const DIAL_MAX: Duration = Duration::from_secs(3);
/// Longest wait for an answer to an order, as of real connections.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Longest wait for any other answer.
const REST_MAX: Duration = Duration::from_secs(10);
/// Requests under way at once.
const REQUESTS_MAX: usize = 4;
/// Jobs that wait.
const JOBS_MAX: usize = 1_024;

/// The outside as one type.
pub struct SimOutside;

impl Outside for SimOutside {
    type Clock = SimClock;
    type Stream = Overlapping<SimStream>;
    type Entry = SimEntry;
    type Rest = SimRest;
}

/// The clocks of a world.
pub struct SimClock(pub Shared);

impl ClockPort for SimClock {
    fn now(&mut self) -> Now {
        let (now, panics) = {
            let mut world = self.0.borrow_mut();
            (world.clock(), world.panics_now())
        };
        assert!(!panics, "the thread of the feed panics, as it was told to");
        now
    }

    /// Time passes in the world alone.
    fn idle(&mut self) {}
}

enum State {
    Waiting { until: Instant },
    Dialing { conn: u64, since: Instant },
    Open { conn: u64, last_payload: Instant, up: bool },
}

/// A connection of streams.
pub struct SimStream {
    world: Shared,
    line: Line,
    path: String,
    /// `None` where silence is ordinary.
    silence_max: Option<Duration>,
    backoff: Backoff,
    state: State,
    moved: bool,
    open: bool,
    error: Option<String>,
}

impl SimStream {
    /// `silence_max` is `None` for a stream that is up with its handshake.
    pub fn new(
        world: &Shared,
        line: Line,
        url: &str,
        silence_max: Option<Duration>,
        seed: u64,
    ) -> Self {
        let until = world.borrow().mono();
        Self {
            world: Rc::clone(world),
            line,
            path: path_of(url),
            silence_max,
            backoff: Backoff::new(seed),
            state: State::Waiting { until },
            moved: false,
            open: true,
            error: None,
        }
    }

    fn lose(&mut self, conn: u64, why: &str, now: Instant) -> State {
        self.world.borrow_mut().leave(conn);
        self.error = Some(why.to_owned());
        State::Waiting { until: now + self.backoff.next_wait() }
    }

    fn read(
        &mut self,
        (conn, mut last_payload, mut up): (u64, Instant, bool),
        now: Instant,
        on_frame: &mut dyn FnMut(&[u8]),
        polled: &mut Polled,
    ) -> State {
        loop {
            let arrived = self.world.borrow_mut().receive(conn);
            match arrived {
                Some(Arrived::Text(text)) => {
                    last_payload = now;
                    polled.frames += 1;
                    if !std::mem::replace(&mut up, true) {
                        self.backoff.reset();
                    }
                    on_frame(text.as_bytes());
                }
                Some(Arrived::Closed) => return self.lose(conn, "closed by the venue", now),
                Some(Arrived::Opened) => {}
                None => break,
            }
        }
        let silence = now.saturating_duration_since(last_payload);
        if self.silence_max.is_some_and(|most| silence > most) {
            return self.lose(conn, "open but silent", now);
        }
        State::Open { conn, last_payload, up }
    }
}

/// Path and query of a URL.
fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned())
}

impl StreamPort for SimStream {
    fn poll(&mut self, now: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled {
        let mut polled = Polled::default();
        let state = std::mem::replace(&mut self.state, State::Waiting { until: now });
        let was_up = matches!(state, State::Open { up: true, .. });
        self.state = match state {
            State::Dialing { conn, .. } | State::Open { conn, .. } if self.moved || !self.open => {
                self.world.borrow_mut().leave(conn);
                State::Waiting { until: now }
            }
            State::Waiting { until } if now < until || !self.open => State::Waiting { until },
            State::Waiting { .. } => {
                let conn = self.world.borrow_mut().dial(self.line, &self.path);
                State::Dialing { conn, since: now }
            }
            State::Dialing { conn, since } => {
                let arrived = self.world.borrow_mut().receive(conn);
                match arrived {
                    Some(Arrived::Opened) => {
                        let up = self.silence_max.is_none();
                        if up {
                            self.backoff.reset();
                        }
                        self.read((conn, now, up), now, on_frame, &mut polled)
                    }
                    Some(_) => self.lose(conn, "refused", now),
                    None if now.saturating_duration_since(since) > DIAL_MAX => {
                        self.lose(conn, "connecting took too long", now)
                    }
                    None => State::Dialing { conn, since },
                }
            }
            State::Open { conn, last_payload, up } => {
                self.read((conn, last_payload, up), now, on_frame, &mut polled)
            }
        };
        self.moved = false;
        let is_up = matches!(self.state, State::Open { up: true, .. });
        polled.came_up = !was_up && (is_up || polled.frames > 0);
        polled.went_down = (was_up || polled.came_up) && !is_up;
        polled
    }

    fn move_to(&mut self, url: String) {
        self.path = path_of(&url);
        self.moved = true;
    }

    fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    fn can_say(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    fn say(&mut self, text: String) {
        if let State::Open { conn, .. } = self.state {
            self.world.borrow_mut().say(conn, text);
        }
    }

    fn last_error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

struct Flight {
    ticket: u64,
    request: u64,
    since: Instant,
}

/// Order entry of a session: one of the two ways.
pub enum SimEntry {
    /// Signed requests, a connection each.
    Rest(Box<SimRequests>),
    /// The trading API over a connection that is renewed, and the world that watches it.
    Api(Shared, Box<ApiEntry<SimStream>>),
}

impl EntryPort for SimEntry {
    fn is_ready(&mut self, now: Instant) -> bool {
        match self {
            Self::Rest(requests) => requests.flights.len() < REQUESTS_MAX,
            Self::Api(_, entry) => entry.is_ready(now),
        }
    }

    fn send(&mut self, ticket: u64, kind: RequestKind, text: &RequestText, now: Instant) {
        match self {
            Self::Rest(requests) => requests.send(ticket, kind, text, now),
            Self::Api(world, entry) => {
                let said = account::said(text);
                let mut borrowed = world.borrow_mut();
                let at = (borrowed.now(), borrowed.venue_time());
                borrowed.watch.on_send(kind, &said, at);
                drop(borrowed);
                entry.send(ticket, kind, text, now);
            }
        }
    }

    fn poll(&mut self, now: Instant, on_end: &mut dyn FnMut(u64, Ended<'_>)) -> usize {
        match self {
            Self::Rest(requests) => requests.poll(now, on_end),
            Self::Api(_, entry) => entry.poll(now, on_end),
        }
    }

    fn last_error(&self) -> Option<&str> {
        match self {
            Self::Rest(requests) => requests.error.as_deref(),
            Self::Api(_, entry) => entry.last_error(),
        }
    }

    fn is_up(&self) -> bool {
        match self {
            Self::Rest(_) => true,
            Self::Api(_, entry) => entry.is_up(),
        }
    }

    fn refusal(&mut self) -> Option<(Reason, i32)> {
        match self {
            Self::Rest(_) => None,
            Self::Api(_, entry) => entry.refusal(),
        }
    }
}

/// Order entry by signed requests.
pub struct SimRequests {
    world: Shared,
    account: Account,
    flights: Vec<Flight>,
    error: Option<String>,
}

impl SimRequests {
    pub fn new(world: &Shared, account: Account) -> Self {
        Self { world: Rc::clone(world), account, flights: Vec::new(), error: None }
    }

    fn send(&mut self, ticket: u64, kind: RequestKind, text: &RequestText, now: Instant) {
        let request = self.account.order(kind, text);
        let mut world = self.world.borrow_mut();
        let at = (world.now(), world.venue_time());
        world.watch.on_send(kind, &request, at);
        let request = world.request(Line::Entry, request);
        self.flights.push(Flight { ticket, request, since: now });
    }

    fn poll(&mut self, now: Instant, on_end: &mut dyn FnMut(u64, Ended<'_>)) -> usize {
        let mut ended = 0;
        let mut at = 0;
        while at < self.flights.len() {
            let flight = &self.flights[at];
            let answer = self.world.borrow_mut().answer(flight.request);
            let late = now.saturating_duration_since(flight.since) > ANSWER_MAX;
            if answer.is_none() && !late {
                at += 1;
                continue;
            }
            let ticket = self.flights.remove(at).ticket;
            ended += 1;
            match answer.flatten() {
                Some(answer) => {
                    let (status, limits) = (answer.status, limits_of(&answer));
                    on_end(ticket, Ended::Answered { status, limits, body: &answer.body });
                }
                None => {
                    self.error = Some("the connection was lost".to_owned());
                    on_end(ticket, Ended::Lost);
                }
            }
        }
        ended
    }
}

fn limits_of(answer: &Answer) -> AnswerLimits {
    let number = |name: &str| {
        let found = answer.headers.iter().find(|(own, _)| *own == name);
        found.and_then(|(_, value)| value.parse().ok())
    };
    AnswerLimits {
        used_weight: number("x-mbx-used-weight-1m"),
        orders_10s: number("x-mbx-order-count-10s"),
        orders_1m: number("x-mbx-order-count-1m"),
        retry_after_s: number("retry-after"),
    }
}

/// What else is asked: one request at a time, as the thread of a real session does.
pub struct SimRest {
    world: Shared,
    account: Account,
    jobs: VecDeque<RestJob>,
    under_way: Option<(RestJob, u64, Instant)>,
}

impl SimRest {
    pub fn new(world: &Shared, account: Account) -> Self {
        Self { world: Rc::clone(world), account, jobs: VecDeque::new(), under_way: None }
    }

    fn begin(&mut self) {
        while self.under_way.is_none()
            && let Some(job) = self.jobs.pop_front()
        {
            let mut world = self.world.borrow_mut();
            let request = self.account.job(&job, world.wall());
            let id = world.request(Line::Rest, request);
            self.under_way = Some((job, id, world.mono()));
        }
    }
}

impl RestPort for SimRest {
    fn ask(&mut self, job: RestJob) -> bool {
        let room = self.jobs.len() < JOBS_MAX;
        if room {
            self.jobs.push_back(job);
            self.begin();
        }
        room
    }

    fn answer(&mut self) -> Option<RestAnswer> {
        self.begin();
        let (job, id, since) = self.under_way?;
        let (answer, now) = {
            let mut world = self.world.borrow_mut();
            (world.answer(id), world.mono())
        };
        if answer.is_none() && now.saturating_duration_since(since) < REST_MAX {
            return None;
        }
        self.under_way = None;
        self.begin();
        let (reply, limits) = match answer.flatten() {
            Some(answer) => {
                let limits = limits_of(&answer);
                let request = job.request(paths(Dialect::UsdM));
                (job.read(&request, answer.status, answer.body), limits)
            }
            None => (Err(no_answer(&job)), AnswerLimits::default()),
        };
        Some(RestAnswer { job, reply, limits })
    }
}

fn no_answer(job: &RestJob) -> RestFailure {
    let message = format!("{job:?}: the connection was lost");
    RestFailure { status: None, code: None, message, sent: true }
}
