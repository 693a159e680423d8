//! The loop that owns the exchange and every socket.
//!
//! ```text
//!   wait ─► accept ─► [time passes: deliveries ─► outlets] ─► requests ─► outlets ─► flush ─► tend
//! ```
//!
//! Nobody is waited for: reading stops where nothing more has come, writing where the socket takes
//! no more. A client that sends without reading is not read from; one that does not read what it
//! subscribed to is cut off.

use super::client::{Client, End, Ending, Filled, Input};
use super::clock::Clock;
use super::frame;
use super::limits::Limits;
use super::{ExchangeError, Shared};
use crate::base::Nanos;
use crate::exchange::fault::Faults;
use crate::exchange::venue::Exchange;
use crate::exchange::wire::streams::{ConnId, Delivery};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const WAKER: Token = Token(0);
const LISTENERS: usize = 2;
const FIRST_CLIENT: usize = 1 + LISTENERS;
/// Longest time that passes in one go: sockets are looked at in between even when the exchange
/// cannot keep up.
const SLICE: Nanos = Nanos::from_millis(10);
/// Looks at one client's socket before others have their turn.
const READS_MAX: u32 = 4;
const READ_BYTES: usize = 64 << 10;
/// Above this a client's requests wait until it has read its answers.
const UNREAD_BYTES_MAX: usize = 1 << 20;
const TEND_EVERY: Nanos = Nanos::from_millis(100);
/// How long a step waits for clients that do not read.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the head of this file.
#[derive(Debug)]
pub struct Reactor {
    /// The exchange.
    pub exchange: Exchange,
    /// How time passes.
    pub clock: Clock,
    /// Bounds.
    pub limits: Limits,
    /// Guards `/sim` where others than this host can reach it.
    pub sim_guard: SimGuard,
    /// What is to go wrong.
    pub faults: Faults,
    /// Texts held back up to a time: slot, number of the connection, bytes.
    pub held: BTreeMap<(Nanos, u64), (usize, u64, Vec<u8>)>,
    /// Texts held back so far.
    pub seq: u64,
    /// A step that is being taken.
    pub step: Option<Step>,
    /// The exchange's time.
    pub now: Nanos,
    /// What the handle shows.
    pub shared: Arc<Shared>,
    /// Slots by number of the WebSocket connection. Only looked up, never walked.
    pub by_conn: HashMap<ConnId, usize>,
    /// Connections, by slot.
    pub clients: Vec<Option<Client>>,
    /// WebSocket connections so far.
    pub conns: u64,
    poll: Poll,
    listeners: [TcpListener; LISTENERS],
    serials: u64,
    /// Connections that are open.
    pub open: usize,
    /// Slots with something to read or parse, in the order it came.
    ready: Vec<usize>,
    /// Slots with something to send.
    pub dirty: BTreeSet<usize>,
    /// Slots with something to send at a later time.
    timed: BTreeSet<usize>,
    accept_again: bool,
    tended: Nanos,
    buffer: Vec<u8>,
}

/// Who may use the admin endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimGuard {
    /// Everybody: the sockets are on loopback.
    Open,
    /// Who knows the token.
    Token(String),
    /// Nobody.
    Shut,
}

/// A step of a stepped clock.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Where it ends.
    pub until: Nanos,
    /// Who asked for it.
    pub slot: usize,
    /// That connection's number.
    pub serial: u64,
    /// The connection stays open behind the answer.
    pub keep_alive: bool,
    /// Time has begun to pass.
    pub begun: bool,
    /// Since when clients that do not read hold it up.
    pub held_up: Option<Instant>,
}

impl Reactor {
    /// Binds both addresses.
    ///
    /// # Errors
    /// The address that cannot be bound.
    pub fn new(
        addrs: [SocketAddr; LISTENERS],
        exchange: Exchange,
        clock: Clock,
        limits: Limits,
    ) -> Result<(Self, Arc<Waker>, [SocketAddr; LISTENERS]), ExchangeError> {
        let poll = Poll::new().map_err(ExchangeError::Poll)?;
        let mut bound = Vec::new();
        for (i, (addr, what)) in addrs.into_iter().zip(["REST", "WebSocket"]).enumerate() {
            let fault = |source| ExchangeError::Bind { what, addr, source };
            let mut listener = TcpListener::bind(addr).map_err(fault)?;
            let token = Token(1 + i);
            poll.registry()
                .register(&mut listener, token, Interest::READABLE)
                .map_err(ExchangeError::Poll)?;
            let local = listener.local_addr().map_err(ExchangeError::Poll)?;
            bound.push((listener, local));
        }
        let waker = Waker::new(poll.registry(), WAKER).map_err(ExchangeError::Poll)?;
        let [(first, first_addr), (second, second_addr)] =
            <[_; LISTENERS]>::try_from(bound).expect("one listener for each address");
        let now = exchange.now();
        let reactor = Self {
            exchange,
            clock,
            limits,
            faults: Faults::new(0, now),
            held: BTreeMap::new(),
            seq: 0,
            sim_guard: SimGuard::Open,
            step: None,
            now,
            shared: Arc::default(),
            by_conn: HashMap::new(),
            clients: Vec::new(),
            conns: 0,
            poll,
            listeners: [first, second],
            serials: 0,
            open: 0,
            ready: Vec::new(),
            dirty: BTreeSet::new(),
            timed: BTreeSet::new(),
            accept_again: false,
            tended: now,
            buffer: vec![0; READ_BYTES],
        };
        Ok((reactor, Arc::new(waker), [first_addr, second_addr]))
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        while !self.shared.stop.load(Ordering::Acquire) {
            match self.poll.poll(&mut events, self.wait()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    tracing::error!(%error, "the exchange's sockets cannot be polled; it ends");
                    return;
                }
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    Token(number) if number < FIRST_CLIENT => self.accept_again = true,
                    Token(number) => self.note(number - FIRST_CLIENT, event.is_readable()),
                }
            }
            self.turn();
        }
    }

    fn turn(&mut self) {
        if std::mem::take(&mut self.accept_again) {
            (0..LISTENERS).for_each(|i| self.accept(i));
        }
        if let Some(step) = &mut self.step {
            // What was sent before the step was asked for comes before it.
            if std::mem::replace(&mut step.begun, true) {
                self.go_on_stepping();
            } else {
                self.serve_ready();
            }
        } else {
            if let Some(now) = self.clock.now() {
                self.pass(now.min(self.now + SLICE));
                self.exchange.lag = now - self.now;
            }
            self.serve_ready();
        }
        self.flush();
        self.show();
    }

    /// Serves those who sent something, in the order they did.
    fn serve_ready(&mut self) {
        for slot in std::mem::take(&mut self.ready) {
            if let Some(Some(client)) = self.clients.get_mut(slot) {
                client.is_ready = false;
                self.serve(slot);
            }
        }
    }

    /// Notes that a client is to be served.
    fn enlist(&mut self, slot: usize) {
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        if !std::mem::replace(&mut client.is_ready, true) {
            self.ready.push(slot);
        }
    }

    /// How long to wait for sockets; `None` waits for them alone.
    fn wait(&self) -> Option<Duration> {
        if let Some(step) = &self.step {
            let held_up = step.held_up.is_some();
            return Some(if held_up { Duration::from_millis(5) } else { Duration::ZERO });
        }
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        // The system may be out of descriptors: new connections wait until some are given back.
        let patient = self.accept_again.then_some(Duration::from_millis(5));
        let Some(now) = self.clock.now() else { return patient };
        let timed = self.timed.iter().filter_map(|slot| self.clients.get(*slot)?.as_ref());
        let timed = timed.filter_map(|client| client.outlet.next_due()).min();
        let due = self.exchange.next_due().min(self.tended + TEND_EVERY);
        let due = timed.map_or(due, |other| due.min(other)).min(self.faults.next_due());
        let due = self.held.keys().next().map_or(due, |(other, _)| due.min(*other));
        let nanos = u64::try_from((due - now).0).unwrap_or(0);
        // A millisecond is the grain of pacing: what is due within it goes together.
        let wait = if self.now + SLICE < now { 0 } else { nanos.max(1_000_000) };
        Some(Duration::from_nanos(wait))
    }

    fn note(&mut self, slot: usize, readable: bool) {
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        client.is_readable |= readable;
        if !client.outlet.is_empty() {
            self.dirty.insert(slot);
        }
        self.enlist(slot);
    }

    fn accept(&mut self, index: usize) {
        loop {
            match self.listeners[index].accept() {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A connection that ended before it was accepted is its own affair.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.accept_again = true;
                    return;
                }
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream, peer: SocketAddr) {
        if self.open >= self.limits.connections_max {
            return;
        }
        let free = self.clients.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.clients.len());
        let token = Token(slot + FIRST_CLIENT);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, token, interest);
        if registered.is_err() || stream.set_nodelay(true).is_err() {
            return;
        }
        if slot == self.clients.len() {
            self.clients.push(None);
        }
        self.serials += 1;
        self.open += 1;
        self.clients[slot] = Some(Client::new(stream, peer.ip(), self.serials, self.now));
        self.enlist(slot);
    }

    /// Lets time pass up to `to`.
    pub fn pass(&mut self, to: Nanos) {
        loop {
            let due = self.faults.next_due().min(to);
            if due > self.now {
                self.exchange.advance(due);
                self.now = due;
                self.deliver();
            }
            if self.faults.next_due() > self.now {
                break;
            }
            self.carry_out();
        }
        self.release();
        if self.now - self.tended >= TEND_EVERY {
            self.tended = self.now.floor_to(TEND_EVERY);
            self.tend();
        }
        for slot in std::mem::take(&mut self.timed) {
            self.dirty.insert(slot);
        }
    }

    /// Takes the step's next slice, unless clients must read first.
    fn go_on_stepping(&mut self) {
        let half = self.limits.backlog_bytes_max / 2;
        let is_full = |client: &Client| client.outlet.backlog() > half;
        let full = self.clients.iter().flatten().any(is_full);
        let Some(step) = &mut self.step else { return };
        if full {
            let since = *step.held_up.get_or_insert_with(Instant::now);
            if since.elapsed() < PATIENCE {
                self.dirty.extend(0..self.clients.len());
                return;
            }
        } else {
            step.held_up = None;
        }
        let step = *step;
        self.pass(step.until.min(self.now.floor_to(SLICE) + SLICE));
        if self.now >= step.until {
            self.step = None;
            self.flush();
            self.answer_step(step);
            self.enlist(step.slot);
        }
    }

    fn serve(&mut self, slot: usize) {
        let mut reads = 0;
        loop {
            let Some(Some(client)) = self.clients.get_mut(slot) else { return };
            if client.is_dead {
                return;
            }
            if client.outlet.backlog() > UNREAD_BYTES_MAX && client.ending == Ending::No {
                // Comes back with the event that says it can be written to.
                self.dirty.insert(slot);
                return;
            }
            let input = client.next_input(&self.limits, self.now);
            if client.is_dirty {
                self.dirty.insert(slot);
            }
            match input {
                Input::Request(incoming) => self.request(slot, *incoming),
                Input::Text(text) => self.text(slot, &text),
                Input::Control => self.control(slot),
                Input::Refused(why) => self.refuse(slot, why),
                Input::Nothing if !client.is_readable => return,
                Input::Nothing if reads == READS_MAX => return self.enlist(slot),
                Input::Nothing => {
                    reads += 1;
                    if client.fill(&mut self.buffer) == Filled::Gone {
                        self.drop_client(slot);
                        return;
                    }
                }
            }
            if self.step.is_some_and(|step| step.slot == slot) {
                // What it sent behind the step waits for its answer.
                return;
            }
        }
    }

    /// Hands out what the exchange has to say.
    pub fn deliver(&mut self) {
        for delivery in self.exchange.take_deliveries() {
            self.send(&delivery);
        }
    }

    /// Sends one text.
    pub fn send(&mut self, delivery: &Delivery) {
        let Some(&slot) = self.by_conn.get(&delivery.conn) else { return };
        let Some(client) = &mut self.clients[slot] else { return };
        if delivery.closes {
            client.end(End::Told(1_008, delivery.text.clone()));
            return self.touch(slot);
        }
        if !self.faults.is_empty() || client.swapped.is_some() {
            return self.send_struck(slot, delivery);
        }
        let text = delivery.text.as_bytes();
        client.outlet.append(|out| frame::put(out, frame::TEXT, text));
        self.shared.frames.fetch_add(1, Ordering::Relaxed);
        self.touch(slot);
    }

    /// Notes that a client has something to send, and sends what it may not hold back.
    pub fn touch(&mut self, slot: usize) {
        self.dirty.insert(slot);
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        if client.outlet.backlog() <= self.limits.backlog_bytes_max {
            return;
        }
        let alive = client.flush(self.now);
        if alive && client.outlet.backlog() <= self.limits.backlog_bytes_max {
            return;
        }
        self.shared.cut_off.fetch_add(1, Ordering::Relaxed);
        self.drop_client(slot);
    }

    /// Sends what may go.
    pub fn flush(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            let Some(Some(client)) = self.clients.get_mut(slot) else { continue };
            if !client.flush(self.now) {
                self.drop_client(slot);
                continue;
            }
            if client.outlet.next_due().is_some() {
                self.timed.insert(slot);
            }
            let may_go_on = client.outlet.backlog() <= UNREAD_BYTES_MAX;
            if client.is_readable && may_go_on {
                self.enlist(slot);
            }
        }
    }

    /// Forgets a client; dropping its socket closes it.
    pub fn drop_client(&mut self, slot: usize) {
        drop(self.take_client(slot));
    }

    /// Takes a client out.
    pub fn take_client(&mut self, slot: usize) -> Option<Client> {
        let mut client = self.clients.get_mut(slot)?.take()?;
        self.open -= 1;
        if let Some(socket) = client.socket() {
            self.by_conn.remove(&socket.conn);
            self.exchange.close(socket.conn);
        }
        Some(client)
    }

    fn show(&self) {
        self.shared.clients.store(self.open, Ordering::Relaxed);
    }
}
