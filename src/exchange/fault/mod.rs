//! Faults on demand: what is to go wrong, when, for whom and how often. Here it is decided; the
//! server and the exchange carry it out.
//!
//! ```text
//!   script, /sim/faults ─► Fault ─► Faults ──strikes(point, subject, now)──► Strike ─► carried out
//!                                     │
//!                                     └──take_changes(now)──► Change: what begins or ends by time
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `kind` | the table of kinds |
//! | `target` | what a fault is aimed at |
//! | `script` | faults out of TOML and JSON |
//! | `garble` | texts made wrong |
//! | `request` | requests and answers made wrong |
//! | `world` | what happens to the market and to accounts |
//!
//! Every fault draws from a stream of its own: adding one does not change what another does.

pub mod garble;
pub mod kind;
pub mod request;
pub mod script;
pub mod target;
pub mod world;

use crate::base::Nanos;
use kind::{Kind, Point};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
pub use script::Fault;
use serde_json::{Value, json};
use target::{Side, Subject};
use world::LateFill;

/// First of the random streams that faults draw from; lower ones belong to the market.
const FIRST_STREAM: u64 = 1 << 32;

/// All faults that were asked for.
#[derive(Debug)]
pub struct Faults {
    list: Vec<Active>,
    seed: u64,
    opened_at: Nanos,
    made: u64,
    /// Fills that come after their order's cancellation was acknowledged.
    pub late: Vec<LateFill>,
}

#[derive(Debug)]
struct Active {
    id: u64,
    fault: Fault,
    rng: ChaCha8Rng,
    hits: u64,
    /// When it next begins; `None` once it has for the last time.
    begins: Option<Nanos>,
    /// It lasts.
    is_on: bool,
    /// Time of its first stroke.
    first: Option<Nanos>,
}

/// A fault that strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Strike {
    /// What goes wrong.
    pub kind: Kind,
    /// Its numbers in the order of the table of kinds.
    pub numbers: Vec<i64>,
    /// When it first struck.
    pub first: Nanos,
    /// From when on it may strike.
    pub from: Nanos,
}

/// A fault that begins or ends by time.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The fault.
    pub fault: Fault,
    /// It begins.
    pub begins: bool,
}

impl Faults {
    /// None yet, for an exchange that opened at `opened_at`.
    pub const fn new(seed: u64, opened_at: Nanos) -> Self {
        Self { list: Vec::new(), seed, opened_at, made: 0, late: Vec::new() }
    }

    /// Adds one; its number.
    pub fn add(&mut self, fault: Fault) -> u64 {
        self.made += 1;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(FIRST_STREAM + self.made);
        let begins = fault.is_timed().then_some(self.opened_at + fault.from);
        let id = self.made;
        self.list.push(Active { id, fault, rng, hits: 0, begins, is_on: false, first: None });
        id
    }

    /// Takes one out, or all; what that ends. `None` where there is none of that number.
    pub fn remove(&mut self, id: Option<u64>) -> Option<Vec<Change>> {
        let is_picked = |active: &Active| id.is_none_or(|id| id == active.id);
        if id.is_some() && !self.list.iter().any(is_picked) {
            return None;
        }
        let lasting = self.list.iter().filter(|active| is_picked(active) && active.is_on);
        let ended = lasting.map(|a| Change { fault: a.fault.clone(), begins: false }).collect();
        self.list.retain(|active| !is_picked(active));
        Some(ended)
    }

    /// True where nothing can go wrong.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty() && self.late.is_empty()
    }

    /// Time since the opening.
    pub fn age(&self, now: Nanos) -> Nanos {
        now - self.opened_at
    }

    /// What strikes a subject at a point.
    pub fn strikes(&mut self, point: Point, subject: &Subject<'_>, now: Nanos) -> Vec<Strike> {
        let age = now - self.opened_at;
        let mut strikes = Vec::new();
        for active in &mut self.list {
            let fault = &active.fault;
            let passes = fault.kind.row().point == point
                && fault.from <= age
                && fault.until.is_none_or(|until| age < until)
                && fault.kind.concerns(subject, &fault.target)
                && fault.target.fits(subject);
            if passes && active.strikes() {
                strikes.push(active.strike(self.opened_at, now));
            }
        }
        strikes
    }

    /// True while a fault of this kind lasts for the subject.
    pub fn is_on(&self, kind: Kind, subject: &Subject<'_>) -> bool {
        self.list.iter().any(|active| {
            active.is_on && active.fault.kind == kind && active.fault.target.fits(subject)
        })
    }

    /// When one next begins or ends by time.
    pub fn next_due(&self) -> Nanos {
        let due = |active: &Active| {
            let ends = active.fault.until.filter(|_| active.is_on);
            active.begins.into_iter().chain(ends.map(|until| self.opened_at + until)).min()
        };
        let late = self.late.iter().map(|late| late.due);
        self.list.iter().filter_map(due).chain(late).min().unwrap_or(Nanos(i64::MAX))
    }

    /// What begins or ends by `now`, in the order the faults were added; ends go first.
    pub fn take_changes(&mut self, now: Nanos) -> Vec<Change> {
        let opened_at = self.opened_at;
        let mut changes = Vec::new();
        for active in &mut self.list {
            let until = active.fault.until.map(|until| opened_at + until);
            if active.is_on && until.is_some_and(|until| until <= now) {
                active.is_on = false;
                changes.push(Change { fault: active.fault.clone(), begins: false });
            }
        }
        for active in &mut self.list {
            let Some(due) = active.begins.filter(|due| *due <= now) else { continue };
            let next = active.fault.every.map(|every| due + every);
            let until = active.fault.until.map(|until| opened_at + until);
            active.begins = next.filter(|next| until.is_none_or(|until| *next < until));
            let struck = active.strikes();
            if active.hits >= active.fault.count {
                active.begins = None;
            }
            if !struck {
                continue;
            }
            active.first.get_or_insert(now);
            active.is_on = active.fault.kind.row().point.is_of_state();
            changes.push(Change { fault: active.fault.clone(), begins: true });
        }
        changes
    }

    /// All faults with how often each struck.
    pub fn to_json(&self) -> Value {
        let row = |active: &Active| {
            let mut table = active.fault.to_json();
            table["id"] = json!(active.id);
            table["hits"] = json!(active.hits);
            table
        };
        Value::Array(self.list.iter().map(row).collect())
    }
}

impl Active {
    /// Draws whether it strikes, and counts.
    fn strikes(&mut self) -> bool {
        if self.hits >= self.fault.count {
            return false;
        }
        let p = self.fault.probability;
        // Certainty draws nothing: other faults with the same seed stay as they are.
        let strikes = p >= 1.0 || self.rng.random_bool(p);
        self.hits += u64::from(strikes);
        strikes
    }

    fn strike(&mut self, opened_at: Nanos, now: Nanos) -> Strike {
        let first = *self.first.get_or_insert(now);
        let mut numbers = self.fault.numbers.clone();
        if self.fault.kind == Kind::Delay
            && let [ms, jitter] = numbers.as_mut_slice()
            && *jitter > 0
        {
            *ms += self.rng.random_range(0..=*jitter);
        }
        Strike { kind: self.fault.kind, numbers, first, from: opened_at + self.fault.from }
    }
}

impl Fault {
    /// True for what begins by time, whether or not something passes.
    pub fn is_timed(&self) -> bool {
        self.kind.row().point.is_of_state() || self.at && self.kind.is_of_connection()
    }
}

impl Kind {
    /// True for what can be done to a connection on which nothing passes.
    pub const fn is_of_connection(self) -> bool {
        matches!(self, Self::Reset | Self::HalfOpen | Self::Close | Self::PingFlood)
    }

    /// True for subjects that the kind is about. A target narrows it down further.
    fn concerns(self, subject: &Subject<'_>, target: &target::Target) -> bool {
        let is_cancel = subject.method == "order.cancel"
            || subject.method == "DELETE" && is_order(subject.path);
        match self {
            Self::Gap => subject.topic.contains("@depth"),
            Self::LateFill => is_cancel,
            Self::CancelStays => {
                is_cancel || subject.method == "DELETE" && subject.path == "/fapi/v1/allOpenOrders"
            }
            Self::QueryLag => {
                let asks = ["/fapi/v1/order", "/fapi/v1/openOrder"].contains(&subject.path);
                subject.method == "order.status" || subject.method == "GET" && asks
            }
            Self::Stale | Self::AckWithoutData => subject.topic != "answer",
            // Answers to control messages are not data; who wants them struck says so.
            _ if self.row().point == Point::Text => {
                subject.topic != "answer" || target.stream.as_deref() == Some("answer")
            }
            _ => true,
        }
    }
}

fn is_order(path: &str) -> bool {
    path == "/fapi/v1/order"
}

/// A subject on a WebSocket connection.
pub fn on_socket<'a>(
    route: crate::exchange::wire::route::Route,
    connection: u64,
    topic: &'a str,
    symbol: &'a str,
) -> Subject<'a> {
    Subject { side: Side::Ws, route: Some(route), topic, symbol, connection, ..Subject::default() }
}

#[cfg(test)]
mod tests;
