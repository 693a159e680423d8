//! One WebSocket connection, polled. It connects, reads, answers pings, notices silence, and comes
//! back after a loss; the caller only sees frames and the two edges "up" and "down".
//!
//! ```text
//!            wait over           socket writable        101 received
//!  Waiting ────────────► Dialing ───────────► Shaking ───────────► Open
//!     ▲                     │ refused, 3 s       │ failed, 3 s       │ closed, error, silence
//!     └─────────────────────┴────────────────────┴───────────────────┘
//! ```
//! "Up" is told at the first payload, not at the acknowledgement: an acknowledged subscription is
//! not data. An account's own stream is the exception, see [`Stream::quiet`].

use super::address::Endpoint;
use super::ages::StreamEdge;
use super::backoff::Backoff;
use super::ports::StreamPort;
use super::resolver::{Addresses, Resolver};
use super::socket::{self, Gated, Socket};
use super::transport::{Transport, guard, is_connected, is_refused_by_tls};
use crate::base::InstrumentId;
use crate::base::event::carries;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tungstenite::WebSocket;
use tungstenite::client::client_with_config;
use tungstenite::handshake::client::{ClientHandshake, Response};
use tungstenite::handshake::{HandshakeError, MidHandshake};

/// Longest time for connecting and for the handshake, each.
const DIAL_MAX: Duration = Duration::from_secs(3);
/// A connection that was open for so long is dialled again without the waits of those before it. A
/// venue that takes everybody and cuts them at once is not stormed.
const STEADY: Duration = Duration::from_secs(10);

/// Where a stream comes from.
#[derive(Clone, Debug)]
pub struct StreamAddress {
    /// `ws://host:port/path` or `wss://…`.
    pub url: String,
    endpoint: Endpoint,
}

impl StreamAddress {
    /// Reads a URL.
    ///
    /// # Errors
    /// Names the URL that is no WebSocket address.
    pub fn parse(url: &str) -> io::Result<Self> {
        Ok(Self { url: url.to_owned(), endpoint: Endpoint::parse(url, "ws", "wss")? })
    }
}

/// What a poll saw besides frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Frames delivered.
    pub frames: usize,
    /// The first payload of a connection came in this poll.
    pub came_up: bool,
    /// The connection was lost in this poll after having been up.
    pub went_down: bool,
}

type Shaken = Result<(WebSocket<Gated>, Response), HandshakeError<ClientHandshake<Gated>>>;

enum State {
    /// `None`: no longer.
    Waiting {
        until: Option<Instant>,
    },
    Dialing {
        socket: TcpStream,
        since: Instant,
    },
    Shaking {
        handshake: Box<MidHandshake<ClientHandshake<Gated>>>,
        since: Instant,
    },
    Open {
        socket: Box<Socket>,
    },
}

/// What the connections of a session share.
#[derive(Debug)]
pub struct Dialer {
    /// Settings of TLS.
    pub tls: Arc<ClientConfig>,
    /// Where sockets are registered.
    pub registry: Registry,
    /// Finds hosts.
    pub resolver: Resolver,
}

impl Dialer {
    /// With the system's resolver.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn new(tls: Arc<ClientConfig>, registry: Registry) -> io::Result<Self> {
        Ok(Self { tls, registry, resolver: Resolver::start()? })
    }
}

/// One connection; see the head of this file.
pub struct Stream {
    address: StreamAddress,
    addresses: Addresses,
    tls: Arc<ClientConfig>,
    token: Token,
    registry: Registry,
    /// `None` where silence is ordinary.
    silence_max: Option<Duration>,
    backoff: Backoff,
    state: State,
    moved: bool,
    open: bool,
    /// That it does not answer was told.
    suspected: bool,
    last_error: Option<String>,
}

impl Stream {
    /// Asks for the host (waits for the answer, before threads are pinned); connects at the first
    /// poll. Its sockets are registered under `token`.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(
        address: StreamAddress,
        dialer: &Dialer,
        token: Token,
        silence_max: Duration,
        seed: u64,
    ) -> io::Result<Self> {
        let addresses = Addresses::new(address.endpoint.clone(), dialer.resolver.clone())?;
        Ok(Self {
            address,
            addresses,
            tls: Arc::clone(&dialer.tls),
            token,
            registry: dialer.registry.try_clone()?,
            silence_max: Some(silence_max),
            backoff: Backoff::new(seed),
            state: State::Waiting { until: None },
            moved: false,
            open: true,
            suspected: false,
            last_error: None,
        })
    }

    /// The same for a stream that says nothing while nothing happens: it is up with the handshake,
    /// and silence is no fault.
    pub fn quiet(mut self) -> Self {
        self.silence_max = None;
        self
    }

    /// The address.
    pub fn url(&self) -> &str {
        &self.address.url
    }

    fn dial(&mut self, now: Instant) -> io::Result<State> {
        let Some(address) = self.addresses.next(now) else {
            return Err(io::Error::other("no address is known"));
        };
        let mut socket = TcpStream::connect(address)?;
        self.registry.register(&mut socket, self.token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(State::Dialing { socket, since: now })
    }

    fn shake(&mut self, socket: TcpStream, since: Instant, now: Instant) -> io::Result<State> {
        if !is_connected(&socket)? {
            within(since, now, "connecting")?;
            return Ok(State::Dialing { socket, since });
        }
        guard(&socket)?;
        let gated = Gated::new(Transport::to(&self.address.endpoint, socket, &self.tls)?);
        let url = self.address.url.as_str();
        let result = client_with_config(url, gated, Some(socket::config()));
        self.shaken(result, now, now)
    }

    fn shaken(&self, result: Shaken, since: Instant, now: Instant) -> io::Result<State> {
        match result {
            Ok((socket, _)) => {
                let socket = Box::new(Socket::new(socket, self.silence_max, now));
                Ok(State::Open { socket })
            }
            Err(HandshakeError::Interrupted(handshake)) => {
                within(since, now, "handshake")?;
                Ok(State::Shaking { handshake: Box::new(handshake), since })
            }
            Err(HandshakeError::Failure(error)) => Err(socket::as_io(error)),
        }
    }

    fn is_up(&self, state: &State) -> bool {
        matches!(state, State::Open { socket } if socket.has_spoken || self.silence_max.is_none())
    }

    /// Says why, and how long nothing is tried.
    fn lose(&mut self, error: &io::Error, was_open: bool, now: Instant) -> State {
        if !was_open {
            self.addresses.failed();
        }
        // The query of an account's own stream holds its key, which no log may show.
        let shown = match self.silence_max {
            Some(_) => self.address.url.as_str(),
            None => self.address.url.split('?').next().unwrap_or(""),
        };
        let name = self.addresses.error().map(|e| format!(" ({e})")).unwrap_or_default();
        self.last_error = Some(format!("{shown}: {error}{name}"));
        let wait = if is_refused_by_tls(error) {
            self.backoff.next_wait_long()
        } else {
            self.backoff.next_wait()
        };
        State::Waiting { until: Some(now + wait) }
    }
}

impl StreamPort for Stream {
    fn poll(&mut self, now: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled {
        let mut polled = Polled::default();
        let state = std::mem::replace(&mut self.state, State::Waiting { until: None });
        let was_up = self.is_up(&state);
        let was_open = matches!(state, State::Open { .. });
        let moved = std::mem::take(&mut self.moved);
        let next = match state {
            _ if moved || !self.open => Ok(State::Waiting { until: None }),
            State::Waiting { until } if until.is_some_and(|until| now < until) => {
                Ok(State::Waiting { until })
            }
            State::Waiting { .. } => self.dial(now),
            State::Dialing { socket, since } => self.shake(socket, since, now),
            State::Shaking { handshake, since } => self.shaken(handshake.handshake(), since, now),
            State::Open { mut socket } => {
                let mut frames = 0;
                let turned = socket.turn(now, &mut |frame| {
                    frames += 1;
                    on_frame(frame);
                });
                polled.frames = frames;
                polled.came_up = !was_up && socket.has_spoken;
                if socket.age(now) >= STEADY {
                    self.backoff.reset();
                }
                turned.map(|_| State::Open { socket })
            }
        };
        self.state = next.unwrap_or_else(|error| self.lose(&error, was_open, now));
        let is_up = self.is_up(&self.state);
        polled.came_up |= !was_up && is_up;
        polled.went_down = (was_up || polled.came_up) && !is_up;
        polled
    }

    fn silent(&mut self, now: Instant) -> Option<StreamEdge> {
        let State::Open { socket } = &self.state else {
            // A loss is told otherwise.
            self.suspected = false;
            return None;
        };
        let is_silent = socket.is_suspect(now);
        if is_silent == std::mem::replace(&mut self.suspected, is_silent) {
            return None;
        }
        Some(StreamEdge { instrument: InstrumentId::NONE, carries: carries::ACCOUNT, is_silent })
    }

    fn move_to(&mut self, url: String) {
        self.address.url = url;
        self.moved = true;
    }

    fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    fn can_say(&self) -> bool {
        matches!(&self.state, State::Open { socket } if socket.is_free())
    }

    fn say(&mut self, text: String) {
        if let State::Open { socket } = &mut self.state
            && let Err(error) = socket.say(text)
        {
            self.last_error = Some(error.to_string());
        }
    }

    fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

fn within(since: Instant, now: Instant, what: &str) -> io::Result<()> {
    if now.saturating_duration_since(since) > DIAL_MAX {
        return Err(io::Error::other(format!("{what} took longer than {DIAL_MAX:?}")));
    }
    Ok(())
}
