//! The world outside a simulated session: the exchange, the lines to it, and time. Nothing here
//! happens by itself; [`World::run_until`] lets it.
//!
//! ```text
//!   session ── dial, text, request ──► line: delay, cuts, loss ──► Exchange
//!   session ◄── inbox, answers ─────── line: delay, cuts, loss ◄──    │ faults of its own
//! ```
//! Lines behave as TCP does: what is sent arrives in order, later when the line is down for a
//! while, or never when its connection ends. Requests are one connection each.

mod struck;

use super::books::Books;
use super::watch::Watch;
use peregrine::base::Nanos;
use peregrine::exchange::Exchange;
use peregrine::exchange::fault::Faults;
use peregrine::exchange::fault::request::{Fate, rest};
use peregrine::exchange::wire::http::{Answer, Request};
use peregrine::exchange::wire::route::{Route, Target};
use peregrine::exchange::wire::streams::ConnId;
use peregrine::venue::ports::Now;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Levels of a side that are compared: four times what a snapshot tells.
const BOOK_DEPTH: usize = 200;

/// A way between session and exchange, with faults of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Market connections.
    Market,
    /// The account's own stream.
    Private,
    /// Orders and cancels.
    Entry,
    /// Everything else that is asked.
    Rest,
}

/// How a line behaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manner {
    /// Least time a message takes.
    pub delay: Nanos,
    /// Most that chance adds.
    pub jitter: Nanos,
    /// When nothing passes, from and until; what is sent then arrives afterwards.
    pub down: Vec<(Nanos, Nanos)>,
    /// How likely a request is lost before the exchange sees it.
    pub request_loss: f64,
    /// How likely the answer is lost behind it.
    pub answer_loss: f64,
    /// How likely a dial is refused.
    pub refusal: f64,
}

/// The end of connections of a line at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// When.
    pub at: Nanos,
    /// Which.
    pub line: Line,
    /// The one of this place among those that are open, counted round; `None` for all.
    pub only: Option<usize>,
    /// Nobody tells the session: nothing comes any more.
    pub half_open: bool,
}

/// What came in on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// It is open.
    Opened,
    /// A text.
    Text(String),
    /// It is over.
    Closed,
}

/// A market frame that left the exchange, before any fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    /// Its stream.
    pub topic: String,
    /// Its text.
    pub text: String,
    /// Over which connection.
    pub conn: u64,
}

/// What is on its way.
enum Packet {
    Dial { conn: u64, path: String },
    Opened { conn: u64 },
    Text { conn: u64, text: String },
    Said { conn: u64, text: String },
    Closed { conn: u64 },
    Request { id: u64, line: Line, request: Request },
    Answer { id: u64, answer: Option<Answer> },
}

struct Conn {
    line: Line,
    route: Option<Route>,
    inbox: VecDeque<Arrived>,
    /// Nothing reaches the session any more.
    deaf: bool,
    /// The session has left it.
    left: bool,
    last_in: Nanos,
    last_out: Nanos,
    /// When the exchange opened it.
    opened: Nanos,
}

/// See the head of this file.
pub struct World {
    /// The exchange.
    pub exchange: Exchange,
    /// Its own faults.
    pub faults: Faults,
    /// How each line behaves, by its number.
    pub manners: [Manner; 4],
    /// Ends of connections to come, in order of time.
    pub cuts: VecDeque<Cut>,
    /// What checks the session against the exchange.
    pub watch: Watch,
    /// What the exchange's books were.
    pub books: Books,
    /// What was sent over market connections, where a test wants to know.
    pub sent: Option<Vec<Sent>>,
    /// What the exchange makes of the next text that this has an answer to, by topic and text.
    pub lie: Option<fn(&str, &str) -> Option<String>>,
    /// How far the session's wall clock is ahead of the exchange's.
    pub skew: Nanos,
    /// The session's thread panics at its so many-th look at the clock from here on.
    pub panics_in: Option<u32>,
    /// Requests and connections carry nothing else than this seed's chance.
    pub rng: ChaCha8Rng,
    opened_at: Nanos,
    base: Instant,
    now: Nanos,
    conns: BTreeMap<u64, Conn>,
    answers: BTreeMap<u64, Option<Answer>>,
    packets: BTreeMap<(Nanos, u64), Packet>,
    made: u64,
}

impl World {
    pub fn new(seed: u64, exchange: Exchange, faults: Faults, watch: Watch) -> Self {
        let opened_at = exchange.now();
        let books = Books::new(exchange.market.len(), BOOK_DEPTH);
        Self {
            exchange,
            faults,
            manners: Default::default(),
            cuts: VecDeque::new(),
            watch,
            books,
            sent: None,
            lie: None,
            skew: Nanos::ZERO,
            panics_in: None,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x006e_6574),
            opened_at,
            base: Instant::now(),
            now: Nanos::ZERO,
            conns: BTreeMap::new(),
            answers: BTreeMap::new(),
            packets: BTreeMap::new(),
            made: 0,
        }
    }

    /// Time since the opening.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// The session's clock that never goes back.
    pub fn mono(&self) -> Instant {
        self.base + Duration::from_nanos(self.now.0.unsigned_abs())
    }

    /// The session's wall clock.
    pub fn wall(&self) -> Nanos {
        self.opened_at + self.now + self.skew
    }

    /// True at the look at the clock in which the session's thread is to panic.
    pub fn panics_now(&mut self) -> bool {
        let Some(left) = self.panics_in.as_mut().filter(|left| **left > 0) else { return false };
        *left -= 1;
        *left == 0
    }

    /// Both clocks of the session.
    pub fn clock(&self) -> Now {
        Now { mono: self.mono(), wall: self.wall() }
    }

    /// The exchange's clock.
    pub fn venue_time(&self) -> Nanos {
        self.opened_at + self.now
    }

    /// Lets everything happen up to `until`, or up to the first thing that reaches the session.
    pub fn run_until(&mut self, until: Nanos) {
        loop {
            let packet = self.packets.first_key_value().map(|((at, _), _)| *at);
            let cut = self.cuts.front().map(|cut| cut.at);
            let due = self.faults.next_due();
            let fault = (due.0 < i64::MAX).then(|| due - self.opened_at);
            let next = packet.into_iter().chain(cut).chain(fault).min().unwrap_or(until);
            self.now = next.min(until).max(self.now);
            self.advance();
            self.deliver();
            // A delivery may have made a packet that is due before what was found above.
            let packet = self.packets.first_key_value().map(|((at, _), _)| *at);
            if fault.is_some_and(|at| at <= self.now) {
                self.carry_out();
            } else if cut.is_some_and(|at| at <= self.now) {
                let cut = self.cuts.pop_front().expect("the front was looked at");
                self.cut(cut);
            } else if packet.is_some_and(|at| at <= self.now) {
                let (_, packet) = self.packets.pop_first().expect("the first was looked at");
                if self.arrive(packet) {
                    return;
                }
            } else if self.now >= until {
                return;
            }
        }
    }

    /// Lets the exchange go on to this time, and notes its books on the way.
    fn advance(&mut self) {
        let until = self.venue_time();
        while self.exchange.next_due() <= until {
            let due = self.exchange.next_due();
            self.exchange.advance(due);
            self.books.look(&self.exchange.market);
        }
        self.exchange.advance(until);
        self.books.look(&self.exchange.market);
    }

    /// Dials; the connection's number. [`Arrived::Opened`] or [`Arrived::Closed`] follows, or
    /// nothing where the line is down.
    pub fn dial(&mut self, line: Line, path: &str) -> u64 {
        self.made += 1;
        let conn = self.made;
        let (route, inbox) = (None, VecDeque::new());
        let (last_in, last_out) = (self.now, self.now);
        let opened = self.now;
        let new = Conn { line, route, inbox, deaf: false, left: false, last_in, last_out, opened };
        self.conns.insert(conn, new);
        if self.chance(self.manners[line as usize].refusal) {
            self.send_in(conn, Packet::Closed { conn });
        } else {
            self.send_out(conn, Packet::Dial { conn, path: path.to_owned() });
        }
        conn
    }

    /// The next thing that came in on a connection.
    pub fn receive(&mut self, conn: u64) -> Option<Arrived> {
        self.conns.get_mut(&conn)?.inbox.pop_front()
    }

    /// Sends a text over a connection.
    pub fn say(&mut self, conn: u64, text: String) {
        self.send_out(conn, Packet::Said { conn, text });
    }

    /// Leaves a connection. What was sent before still arrives.
    pub fn leave(&mut self, conn: u64) {
        if let Some(own) = self.conns.get_mut(&conn) {
            (own.left, own.deaf) = (true, true);
            self.send_out(conn, Packet::Closed { conn });
        }
    }

    /// Sends a request; [`World::answer`] tells what came of it.
    pub fn request(&mut self, line: Line, request: Request) -> u64 {
        self.made += 1;
        let id = self.made;
        if self.chance(self.manners[line as usize].request_loss) {
            let at = self.arrival(line);
            self.post(at, Packet::Answer { id, answer: None });
        } else {
            let at = self.arrival(line);
            self.post(at, Packet::Request { id, line, request });
        }
        id
    }

    /// What came of a request, once: its answer, or `None` inside where its connection was lost.
    pub fn answer(&mut self, id: u64) -> Option<Option<Answer>> {
        self.answers.remove(&id)
    }

    /// The session's process dies: nothing reaches it any more, and what it sent goes on.
    pub fn forget_session(&mut self) {
        let conns: Vec<u64> = self.conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.leave(conn));
        self.answers.clear();
        self.packets.retain(|_, packet| !matches!(packet, Packet::Answer { .. }));
    }

    pub fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && self.rng.random_bool(p)
    }

    /// When something sent at this time arrives.
    fn arrival(&mut self, line: Line) -> Nanos {
        let manner = &self.manners[line as usize];
        let jitter = manner.jitter.0;
        let (delay, now) = (manner.delay, self.now);
        let down = manner.down.iter().find(|(from, until)| *from <= now && now < *until);
        let leaves = down.map_or(now, |(_, until)| *until);
        let chance = if jitter > 0 { self.rng.random_range(0..=jitter) } else { 0 };
        leaves + delay + Nanos(chance)
    }

    fn post(&mut self, at: Nanos, packet: Packet) {
        self.made += 1;
        self.packets.insert((at, self.made), packet);
    }

    fn send_in(&mut self, conn: u64, packet: Packet) {
        let Some(own) = self.conns.get(&conn) else { return };
        if own.deaf {
            return;
        }
        let at = self.arrival(own.line);
        let own = self.conns.get_mut(&conn).expect("it was found above");
        own.last_in = own.last_in.max(at);
        let at = own.last_in;
        self.post(at, packet);
    }

    fn send_out(&mut self, conn: u64, packet: Packet) {
        let Some(own) = self.conns.get(&conn) else { return };
        let at = self.arrival(own.line);
        let own = self.conns.get_mut(&conn).expect("it was found above");
        own.last_out = own.last_out.max(at);
        let at = own.last_out;
        self.post(at, packet);
    }

    /// Takes a packet to where it goes; true when the session has something to do.
    fn arrive(&mut self, packet: Packet) -> bool {
        let now = self.venue_time();
        match packet {
            Packet::Dial { conn, path } => {
                let target = Target::parse(&path);
                let target = target.filter(|target| !self.is_out(Some(target.route)));
                let open = self.conns.get_mut(&conn).filter(|own| !own.left);
                if let (Some(own), Some(target)) = (open, target) {
                    (own.route, own.opened) = (Some(target.route), self.now);
                    self.exchange.open(ConnId(conn), &target, now);
                    self.send_in(conn, Packet::Opened { conn });
                } else {
                    self.send_in(conn, Packet::Closed { conn });
                }
                false
            }
            Packet::Said { conn, text } => {
                self.hear(conn, &text, now);
                false
            }
            Packet::Request { id, line, request } => {
                if self.is_out(None) {
                    let at = self.arrival(line);
                    self.post(at, Packet::Answer { id, answer: None });
                    return false;
                }
                self.note_snapshot(&request);
                let fate = rest(&mut self.exchange, &mut self.faults, &request, PEER, now);
                self.after_request();
                let answer = match fate {
                    Fate::Answer(answer) => Some(answer),
                    Fate::Cut => None,
                    Fate::Silence => return false,
                };
                let lost = self.chance(self.manners[line as usize].answer_loss);
                let at = self.arrival(line);
                self.post(at, Packet::Answer { id, answer: answer.filter(|_| !lost) });
                false
            }
            Packet::Answer { id, answer } => {
                self.answers.insert(id, answer);
                true
            }
            Packet::Closed { conn } if self.conns.get(&conn).is_some_and(|own| own.left) => {
                self.exchange.close(ConnId(conn));
                self.conns.remove(&conn);
                false
            }
            Packet::Opened { conn } => self.put(conn, Arrived::Opened),
            Packet::Text { conn, text } => self.put(conn, Arrived::Text(text)),
            Packet::Closed { conn } => self.put(conn, Arrived::Closed),
        }
    }

    fn put(&mut self, conn: u64, what: Arrived) -> bool {
        match self.conns.get_mut(&conn).filter(|own| !own.deaf) {
            Some(own) => own.inbox.push_back(what),
            None => return false,
        }
        true
    }
}
