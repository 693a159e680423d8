//! Who is subscribed to what, and what each connection is sent.
//!
//! ```text
//!   market frame ──► (contract, kind) ──► boards fed by it ──┬─► as it is ──► listeners
//!                                                            └─► gathered ─┐
//!   time ──► boards due ──► made from the market's books, marks, history ◄─┘ ──► listeners
//! ```
//!
//! A board is one stream name that somebody listens to. Its text is made once per form (raw,
//! combined) and shared. Boards without listeners do not exist, so a stream nobody wants costs
//! nothing. Listeners are served in the order of their connections' numbers.

pub mod control;
mod diff;
mod kline;
mod made;
#[cfg(test)]
mod made_tests;
#[cfg(test)]
mod tests;
mod text;
pub mod topic;

use super::route::{Listen, Route, Target, is_listen_key, is_stream_name};
use crate::base::units::parse_fixed;
use crate::base::{Nanos, Symbol};
use crate::exchange::flow::market::{MarketFrame, SyntheticMarket};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Stream;
use control::{Refusal, Wish};
use diff::{DiffChain, Largest};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use topic::Topic;
use tungstenite::Utf8Bytes;

/// Streams a connection may have.
pub const STREAMS_MAX: usize = 1_024;
/// Messages a connection may send within [`INCOMING_WINDOW`]: control messages, pings and pongs.
pub const INCOMING_MAX: usize = 10;
/// See [`INCOMING_MAX`].
pub const INCOMING_WINDOW: Nanos = Nanos::from_secs(1);
/// Pace of the mark price stream without a pace in its name.
const SLOW_MARK: Nanos = Nanos::from_secs(3);
/// Weight of a new mark price in its moving average, as one part in so many: five minutes of them.
const AVERAGE_PARTS: i64 = 300;

/// A WebSocket connection, for as long as the exchange runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Text for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub conn: ConnId,
    /// Event time.
    pub ts: Nanos,
    /// What it is, for faults that aim: a stream name (`btcusdt@bookTicker`), a user event's name
    /// (`ORDER_TRADE_UPDATE`), `answer`, or `close`.
    pub topic: Utf8Bytes,
    /// The text; the reason where the connection is to be closed.
    pub text: Utf8Bytes,
    /// Nothing is to be sent: the exchange closes the connection (policy violation, 1008).
    pub closes: bool,
}

impl Delivery {
    /// An answer to a message.
    pub fn answer(conn: ConnId, ts: Nanos, text: String) -> Self {
        Self { conn, ts, topic: "answer".into(), text: text.into(), closes: false }
    }

    /// The end of a connection.
    pub fn close(conn: ConnId, ts: Nanos, reason: &'static str) -> Self {
        Self { conn, ts, topic: "close".into(), text: reason.into(), closes: true }
    }
}

/// What follows from a control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// This answer.
    Answer(String),
    /// Too many messages: the connection is cut off without an answer.
    Close,
}

/// Subscriptions, and the streams made out of others.
#[derive(Debug, Default)]
pub struct Streams {
    /// Lower case, by contract.
    symbols: Vec<String>,
    facts: Vec<Facts>,
    conns: BTreeMap<ConnId, Conn>,
    boards: Vec<Option<Board>>,
    free: Vec<usize>,
    by_name: HashMap<Utf8Bytes, usize>,
    /// Boards made of a contract's frames, by contract and kind.
    feeds: Vec<[Vec<usize>; Stream::ALL.len()]>,
    /// Boards with a pace, by when they are due.
    due: BTreeSet<(Nanos, usize)>,
}

/// What is kept of a contract, listened to or not.
#[derive(Debug)]
struct Facts {
    symbol: Symbol,
    /// Moving average of the mark price; 0 before the first.
    average: i64,
}

#[derive(Debug)]
struct Conn {
    route: Route,
    combined: bool,
    /// In the order subscribed, those of other routes among them.
    names: Vec<Utf8Bytes>,
    /// When its last messages came in.
    incoming: VecDeque<Nanos>,
}

#[derive(Debug)]
struct Board {
    name: Utf8Bytes,
    topic: Topic,
    /// By rising connection.
    listeners: Vec<Listener>,
    state: State,
}

#[derive(Debug)]
struct Listener {
    conn: ConnId,
    combined: bool,
    /// Names of user events wanted; all of them where none is named.
    events: Vec<String>,
}

/// What a board remembers between its messages.
#[derive(Debug)]
enum State {
    Nothing,
    Diff(DiffChain),
    /// Last update id sent.
    Partial(i64),
    /// When the candle begins that was looked at last.
    Candle(Nanos),
    /// By contract.
    Forced(Vec<Largest>),
    /// Facts and states last known, by contract.
    Specs(Vec<(SymbolSpec, &'static str)>),
}

impl State {
    fn of(topic: Topic, contracts: usize) -> Self {
        match topic {
            Topic::Diff(..) => Self::Diff(DiffChain::default()),
            Topic::Partial { .. } => Self::Partial(0),
            Topic::Kline(..) | Topic::Continuous(..) | Topic::Seconds(_) => {
                Self::Candle(Nanos::ZERO)
            }
            Topic::Facts => Self::Specs(Vec::new()),
            Topic::Forced(_) | Topic::AllForced => {
                Self::Forced((0..contracts).map(|_| Largest::default()).collect())
            }
            _ => Self::Nothing,
        }
    }
}

impl Board {
    /// The payload for everyone who listens.
    fn send(&self, ts: Nanos, data: &str, out: &mut Vec<Delivery>) {
        self.send_as(ts, &self.name, data, |_| true, out);
    }

    fn send_as(
        &self,
        ts: Nanos,
        topic: &Utf8Bytes,
        data: &str,
        wants: impl Fn(&Listener) -> bool,
        out: &mut Vec<Delivery>,
    ) {
        let (mut raw, mut combined) = (None, None);
        for listener in self.listeners.iter().filter(|listener| wants(listener)) {
            let text: &Utf8Bytes = if listener.combined {
                combined.get_or_insert_with(|| text::wrapped(&self.name, data))
            } else {
                raw.get_or_insert_with(|| Utf8Bytes::from(data))
            };
            let (topic, text) = (topic.clone(), text.clone());
            out.push(Delivery { conn: listener.conn, ts, topic, text, closes: false });
        }
    }
}

impl Streams {
    /// Nobody is connected yet.
    pub fn new(specs: &[SymbolSpec]) -> Self {
        Self {
            symbols: specs.iter().map(SymbolSpec::lower).collect(),
            facts: specs.iter().map(|spec| Facts { symbol: spec.symbol, average: 0 }).collect(),
            feeds: specs.iter().map(|_| Default::default()).collect(),
            ..Self::default()
        }
    }

    /// A connection is open; the streams its path names are subscribed.
    pub fn open(&mut self, conn: ConnId, target: &Target, now: Nanos) {
        let Target { route, combined, .. } = *target;
        let (names, incoming) = (Vec::new(), VecDeque::new());
        self.conns.insert(conn, Conn { route, combined, names, incoming });
        for name in target.streams.iter().take(STREAMS_MAX) {
            self.subscribe(conn, name, &[], now);
        }
        for Listen { key, events } in target.listens.iter().take(STREAMS_MAX) {
            self.subscribe(conn, key, events, now);
        }
    }

    /// A connection is gone.
    pub fn close(&mut self, conn: ConnId) {
        if let Some(gone) = self.conns.remove(&conn) {
            gone.names.iter().for_each(|name| self.leave(conn, name));
        }
    }

    /// A message or a ping or pong came in on a connection; false when it was one too many within a
    /// second and the connection is to be closed.
    pub fn count_incoming(&mut self, conn: ConnId, now: Nanos) -> bool {
        let Some(conn) = self.conns.get_mut(&conn) else { return false };
        while conn.incoming.front().is_some_and(|&first| now - first >= INCOMING_WINDOW) {
            conn.incoming.pop_front();
        }
        conn.incoming.push_back(now);
        conn.incoming.len() <= INCOMING_MAX
    }

    /// A control message (`SUBSCRIBE`…) came in; what follows from it.
    pub fn control(&mut self, conn: ConnId, text: &str, now: Nanos) -> Control {
        if !self.count_incoming(conn, now) {
            return Control::Close;
        }
        let (id, wish) = control::read(text);
        Control::Answer(match wish.and_then(|wish| self.grant(conn, wish, now)) {
            Ok(result) => control::granted(&id, &result),
            Err(refusal) => control::refused(&id, &refusal),
        })
    }

    /// A frame of the market for everyone who wants it.
    pub fn publish(&mut self, frame: &MarketFrame<'_>, out: &mut Vec<Delivery>) {
        let (index, kind) = (frame.contract, frame.kind);
        let unwanted = self.feeds.get(index).is_none_or(|feeds| feeds[kind as usize].is_empty());
        if unwanted && kind != Stream::MarkPrice {
            return;
        }
        let Ok(data) = std::str::from_utf8(frame.data) else { return };
        if kind == Stream::MarkPrice {
            self.average(index, data);
        }
        let Some(fed) = self.feeds.get(index).map(|feeds| &feeds[kind as usize]) else { return };
        let facts = &self.facts[index];
        let mut full = None;
        for &slot in fed {
            let Some(board) = &mut self.boards[slot] else { continue };
            match (&mut board.state, board.topic) {
                (State::Diff(chain), _) => chain.gather(data),
                (State::Forced(largest), _) => largest[index].offer(data),
                (_, Topic::SlowMark(_)) if frame.ts.floor_to(SLOW_MARK) != frame.ts => {}
                _ => {
                    let pair = facts.symbol.as_str();
                    let make = || text::extended(kind, data, pair, facts.average);
                    board.send(frame.ts, full.get_or_insert_with(make), out);
                }
            }
        }
    }

    /// A user event for every connection that listens with `listen_key`.
    pub fn tell(
        &mut self,
        listen_key: &str,
        event: &str,
        text: &str,
        ts: Nanos,
        out: &mut Vec<Delivery>,
    ) {
        let board = self.by_name.get(listen_key).and_then(|&slot| self.boards[slot].as_ref());
        if let Some(board) = board.filter(|board| board.topic == Topic::User) {
            let wants = |listener: &Listener| {
                listener.events.is_empty() || listener.events.iter().any(|own| own == event)
            };
            board.send_as(ts, &event.into(), text, wants, out);
        }
    }

    /// When a stream made on a timer is next due.
    pub fn next_due(&self) -> Nanos {
        self.due.first().map_or(Nanos(i64::MAX), |&(when, _)| when)
    }

    /// Makes the streams that are due by `now`.
    pub fn on_due(&mut self, market: &SyntheticMarket, now: Nanos, out: &mut Vec<Delivery>) {
        while let Some(&(when, slot)) = self.due.first().filter(|&&(when, _)| when <= now) {
            self.due.pop_first();
            let Some(board) = &mut self.boards[slot] else { continue };
            if let Some(every) = board.topic.pace() {
                self.due.insert((when + every, slot));
            }
            made::send(board, &self.facts, market, when, out);
        }
    }

    fn average(&mut self, contract: usize, data: &str) {
        let Some(facts) = self.facts.get_mut(contract) else { return };
        let mark = text::member(data, "p").and_then(|px| parse_fixed(px.as_bytes()).ok());
        if let Some(mark) = mark {
            let from = if facts.average == 0 { mark } else { facts.average };
            facts.average = from + (mark - from) / AVERAGE_PARTS;
        }
    }

    fn grant(&mut self, conn: ConnId, wish: Wish, now: Nanos) -> Result<Value, Refusal> {
        let open = self.conns.get(&conn);
        let have = open.map_or(0, |open| open.names.len());
        match wish {
            Wish::Subscribe(names) if have + names.len() > STREAMS_MAX => {
                return Err(Refusal(2, "Invalid request: too many streams".to_owned()));
            }
            Wish::Subscribe(names) => {
                names.iter().for_each(|name| self.subscribe(conn, name, &[], now));
            }
            Wish::Unsubscribe(names) => {
                names.iter().for_each(|name| self.unsubscribe(conn, name));
            }
            Wish::List => {
                let names = open.iter().flat_map(|open| &open.names);
                return Ok(names.map(|name| Value::from(name.as_str())).collect());
            }
            Wish::SetCombined(on) => self.set_combined(conn, on),
            Wish::Combined => return Ok(json!(open.is_some_and(|open| open.combined))),
        }
        Ok(Value::Null)
    }

    /// Notes a wanted stream. One of another route, of no contract or of no kind is acknowledged
    /// and stays silent, as on the venue.
    fn subscribe(&mut self, conn: ConnId, name: &str, events: &[String], now: Nanos) {
        let Some(open) = self.conns.get_mut(&conn) else { return };
        if open.names.iter().any(|own| own.as_str() == name) {
            return;
        }
        let name = Utf8Bytes::from(name);
        open.names.push(name.clone());
        let (route, combined) = (open.route, open.combined);
        let user = !is_stream_name(&name) && (route == Route::Private || is_listen_key(&name));
        let topic = if user { Some(Topic::User) } else { Topic::parse(&name, &self.symbols) };
        if let Some(topic) = topic.filter(|topic| topic.is_carried_by(route)) {
            let slot = self.board(name, topic, now);
            if let Some(board) = &mut self.boards[slot] {
                let at = board.listeners.partition_point(|other| other.conn < conn);
                let events = events.to_vec();
                board.listeners.insert(at, Listener { conn, combined, events });
            }
        }
    }

    fn unsubscribe(&mut self, conn: ConnId, name: &str) {
        let Some(open) = self.conns.get_mut(&conn) else { return };
        if let Some(at) = open.names.iter().position(|own| own.as_str() == name) {
            let name = open.names.remove(at);
            self.leave(conn, &name);
        }
    }

    fn set_combined(&mut self, conn: ConnId, on: bool) {
        let Some(open) = self.conns.get_mut(&conn) else { return };
        open.combined = on;
        for name in &open.names {
            let board = self.by_name.get(name).and_then(|&slot| self.boards[slot].as_mut());
            let listeners = board.into_iter().flat_map(|board| &mut board.listeners);
            listeners.filter(|own| own.conn == conn).for_each(|own| own.combined = on);
        }
    }

    /// The board of a stream, made when there is none.
    fn board(&mut self, name: Utf8Bytes, topic: Topic, now: Nanos) -> usize {
        if let Some(&slot) = self.by_name.get(&name) {
            return slot;
        }
        let slot = self.free.pop().unwrap_or(self.boards.len());
        if slot == self.boards.len() {
            self.boards.push(None);
        }
        self.by_name.insert(name.clone(), slot);
        let state = State::of(topic, self.symbols.len());
        self.boards[slot] = Some(Board { name, topic, listeners: Vec::new(), state });
        for feed in self.feeds_of(topic) {
            feed.push(slot);
        }
        if let Some(every) = topic.pace() {
            self.due.insert((now.floor_to(every) + every, slot));
        }
        slot
    }

    /// One listener less; the board goes with its last.
    fn leave(&mut self, conn: ConnId, name: &Utf8Bytes) {
        let Some(&slot) = self.by_name.get(name) else { return };
        let Some(board) = &mut self.boards[slot] else { return };
        board.listeners.retain(|listener| listener.conn != conn);
        if !board.listeners.is_empty() {
            return;
        }
        let topic = board.topic;
        self.boards[slot] = None;
        self.by_name.remove(name);
        self.free.push(slot);
        self.due.retain(|&(_, other)| other != slot);
        for feed in self.feeds_of(topic) {
            feed.retain(|&other| other != slot);
        }
    }

    fn feeds_of(&mut self, topic: Topic) -> impl Iterator<Item = &mut Vec<usize>> {
        let source = topic.source();
        let feeds = self.feeds.iter_mut().enumerate();
        feeds.filter_map(move |(contract, feeds)| match source {
            Some((None, kind)) => Some(&mut feeds[kind as usize]),
            Some((Some(own), kind)) if own == contract => Some(&mut feeds[kind as usize]),
            _ => None,
        })
    }
}
