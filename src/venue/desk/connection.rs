//! One HTTP/1.1 connection that stays open and carries one request at a time, polled.
//!
//! ```text
//!            wait over           socket writable       request written
//!  Waiting ────────────► Dialing ───────────► Open ──────────────────► Open, with a flight
//!     ▲                     │ refused, 3 s     │ ▲  answer whole           │
//!     └─────────────────────┴──────────────────┘ └────────────────────────┤
//!     └────────────── closed, error, no answer in time: outcome unknown ──┘
//! ```
//! One request at a time: an answer can belong to no other, and a lost connection leaves one
//! outcome open, not many.

use super::framing::{Framed, Parsed, parse};
use crate::venue::address::Endpoint;
use crate::venue::backoff::Backoff;
use crate::venue::ports::Ended;
use crate::venue::resolver::Addresses;
use crate::venue::transport::{Transport, guard, is_connected};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConfig;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Longest time for connecting.
const DIAL_MAX: Duration = Duration::from_secs(3);
/// Longest time for an answer; far beyond what the venue needs to accept or refuse.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A connection that was open for so long is dialled again without the waits of those before it:
/// the venue ends idle ones in its own time, and that is no failure.
const STEADY: Duration = Duration::from_secs(5);
/// Longest answer with its head: those to orders are below 2 KB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest request: a query of 512 bytes, a host name and a key.
const REQUEST_BYTES_MAX: usize = 4 * 1024;

enum State {
    Waiting { until: Instant },
    Dialing { socket: TcpStream, since: Instant },
    Open { transport: Transport, since: Instant },
}

/// See the head of this file.
pub(super) struct Connection {
    endpoint: Endpoint,
    addresses: Addresses,
    tls: Arc<ClientConfig>,
    token: Token,
    backoff: Backoff,
    state: State,
    /// When the request under way was handed over.
    asked: Option<Instant>,
    request: Zeroizing<Vec<u8>>,
    written: usize,
    answer: Box<[u8]>,
    filled: usize,
    last_error: Option<String>,
}

impl Connection {
    /// Connects at the first poll.
    pub fn new(
        endpoint: Endpoint,
        addresses: Addresses,
        tls: Arc<ClientConfig>,
        token: Token,
        seed: u64,
    ) -> Self {
        Self {
            endpoint,
            addresses,
            tls,
            token,
            backoff: Backoff::new(seed),
            state: State::Waiting { until: Instant::now() },
            asked: None,
            request: Zeroizing::new(Vec::with_capacity(REQUEST_BYTES_MAX)),
            written: 0,
            answer: vec![0; ANSWER_BYTES_MAX].into_boxed_slice(),
            filled: 0,
            last_error: None,
        }
    }

    /// True while open, with a request or without.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// True while open and without a request.
    pub const fn is_free(&self) -> bool {
        matches!(self.state, State::Open { .. }) && self.asked.is_none()
    }

    /// True when a request can be written at once. Looks first: a request on a connection that the
    /// venue has closed would be lost, and what lies there unread would be taken for its answer.
    pub fn is_ready(&mut self, now: Instant) -> bool {
        if self.asked.is_some() {
            return false;
        }
        let State::Open { transport, .. } = &mut self.state else { return false };
        match look(transport) {
            // A request on a connection that is not yet safe would be lost with it.
            Ok(()) => !transport.is_handshaking(),
            Err(error) => {
                self.lose(&error, now);
                false
            }
        }
    }

    /// Why the connection was last lost or refused.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Writes a request made of these pieces; only right after [`Connection::is_ready`]. What the
    /// socket does not take at once goes with the next polls.
    pub fn ask(&mut self, pieces: [&[u8]; 3], now: Instant) {
        debug_assert!(self.is_free());
        self.request.clear();
        // Growing would leave a copy of the key behind.
        debug_assert!(pieces.iter().map(|p| p.len()).sum::<usize>() <= REQUEST_BYTES_MAX);
        pieces.iter().for_each(|piece| self.request.extend_from_slice(piece));
        (self.written, self.filled) = (0, 0);
        self.asked = Some(now);
        if let State::Open { transport, .. } = &mut self.state
            && let Err(error) = write(transport, &self.request, &mut self.written)
        {
            // The next poll finds the connection broken and ends the request.
            self.last_error = Some(format!("{}: {error}", self.endpoint.host));
        }
    }

    /// Does what can be done without blocking; tells how the request under way ended, if it did.
    pub fn poll(&mut self, now: Instant, registry: &Registry) -> Option<Ended<'_>> {
        let step = match &mut self.state {
            State::Waiting { until } if now < *until => Ok(None),
            State::Waiting { .. } => self.dial(now, registry).map(|()| None),
            State::Dialing { .. } => self.connected(now).map(|()| None),
            State::Open { .. } => self.exchange(now),
        };
        let framed: Framed = match step {
            Ok(framed) => framed?,
            Err(error) => return self.lose(&error, now).then_some(Ended::Lost),
        };
        self.asked = None;
        self.filled = 0;
        self.backoff.reset();
        if framed.closes {
            self.state = State::Waiting { until: now };
        }
        let Framed { status, limits, body, .. } = framed;
        Some(Ended::Answered { status, limits, body: &self.answer[body] })
    }

    /// Leaves the connection; true when a request was under way.
    fn lose(&mut self, error: &io::Error, now: Instant) -> bool {
        let name = self.addresses.error().map(|e| format!(" ({e})")).unwrap_or_default();
        self.last_error = Some(format!("{}: {error}{name}", self.endpoint.host));
        if !matches!(self.state, State::Open { .. }) {
            self.addresses.failed();
        }
        if let State::Open { since, .. } = self.state
            && now.saturating_duration_since(since) >= STEADY
        {
            self.backoff.reset();
        }
        self.state = State::Waiting { until: now + self.backoff.next_wait() };
        self.asked.take().is_some()
    }

    fn dial(&mut self, now: Instant, registry: &Registry) -> io::Result<()> {
        let Some(address) = self.addresses.next(now) else {
            return Err(io::Error::other("no address is known"));
        };
        let mut socket = TcpStream::connect(address)?;
        registry.register(&mut socket, self.token, Interest::READABLE | Interest::WRITABLE)?;
        self.state = State::Dialing { socket, since: now };
        Ok(())
    }

    fn connected(&mut self, now: Instant) -> io::Result<()> {
        let State::Dialing { socket, since } = &self.state else { return Ok(()) };
        if !is_connected(socket)? {
            let late = now.saturating_duration_since(*since) > DIAL_MAX;
            let error = || io::Error::other("connecting took too long");
            return if late { Err(error()) } else { Ok(()) };
        }
        guard(socket)?;
        let waiting = State::Waiting { until: now };
        let State::Dialing { socket, .. } = std::mem::replace(&mut self.state, waiting) else {
            return Ok(());
        };
        let transport = Transport::to(&self.endpoint, socket, &self.tls)?;
        self.state = State::Open { transport, since: now };
        Ok(())
    }

    /// Writes what is left, reads what is there, and looks whether the answer is whole.
    fn exchange(&mut self, now: Instant) -> io::Result<Option<Framed>> {
        let State::Open { transport, since } = &mut self.state else { return Ok(None) };
        let Some(asked) = self.asked else {
            look(transport)?;
            let late = now.saturating_duration_since(*since) > DIAL_MAX;
            if transport.is_handshaking() && late {
                return Err(io::Error::other("the handshake took too long"));
            }
            return Ok(None);
        };
        write(transport, &self.request, &mut self.written)?;
        let mut closed = false;
        while self.filled < self.answer.len() {
            match transport.read(&mut self.answer[self.filled..]) {
                Ok(0) => {
                    closed = true;
                    break;
                }
                Ok(read) => self.filled += read,
                Err(error) if is_not_yet(&error) => break,
                Err(error) => return Err(error),
            }
        }
        match parse(&mut self.answer[..self.filled], closed) {
            Parsed::Whole(_) if self.written < self.request.len() => {
                // The rest would be read as the beginning of the next request.
                Err(io::Error::other("an answer before the request was whole"))
            }
            Parsed::Whole(framed) => Ok(Some(framed)),
            Parsed::Broken(what) => Err(io::Error::other(what)),
            Parsed::More if closed => Err(io::Error::other("closed before the answer was whole")),
            Parsed::More if self.filled == self.answer.len() => {
                Err(io::Error::other("the answer is too long"))
            }
            Parsed::More if now.saturating_duration_since(asked) > ANSWER_MAX => {
                Err(io::Error::other("no answer in time"))
            }
            Parsed::More => Ok(None),
        }
    }
}

/// Looks at a connection that carries no request: nothing may lie there.
fn look(transport: &mut Transport) -> io::Result<()> {
    match transport.read(&mut [0]) {
        Err(error) if is_not_yet(&error) => Ok(()),
        Ok(0) => Err(io::Error::other("closed while idle")),
        Ok(_) => Err(io::Error::other("an answer to nothing")),
        Err(error) => Err(error),
    }
}

fn write(transport: &mut Transport, request: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < request.len() {
        match transport.write(&request[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => *written += taken,
            Err(error) if is_not_yet(&error) => break,
            Err(error) => return Err(error),
        }
    }
    match transport.flush() {
        Err(error) if !is_not_yet(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
