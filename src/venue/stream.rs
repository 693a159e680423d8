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
use super::backoff::Backoff;
use super::ports::StreamPort;
use super::transport::Transport;
use crate::base::limits::FRAME_BYTES_MAX;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tungstenite::client::client_with_config;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

/// Longest time for connecting and for the handshake, each.
const DIAL_MAX: Duration = Duration::from_secs(3);
/// Frames read in one poll, so that one busy connection cannot starve another.
const FRAMES_PER_POLL: usize = 64;
/// Read buffer: the library zero-fills it before every read, so it is kept small.
const READ_BUFFER_BYTES: usize = 8 * 1024;

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

enum State {
    Waiting { until: Instant },
    Dialing { socket: TcpStream, since: Instant },
    Shaking { handshake: Box<MidHandshake<ClientHandshake<Transport>>>, since: Instant },
    Open { socket: Box<WebSocket<Transport>>, last_payload: Instant, up: bool },
}

/// One connection; see the head of this file.
pub struct Stream {
    address: StreamAddress,
    addresses: Vec<SocketAddr>,
    attempts: usize,
    tls: Arc<ClientConfig>,
    token: Token,
    registry: Registry,
    /// `None` where silence is ordinary.
    silence_max: Option<Duration>,
    backoff: Backoff,
    state: State,
    moved: bool,
    open: bool,
    last_error: Option<String>,
}

impl Stream {
    /// Resolves the host (blocking, before threads are pinned); connects at the first poll. Its
    /// sockets are told to `registry` under `token`.
    ///
    /// # Errors
    /// When the host cannot be resolved.
    pub fn new(
        address: StreamAddress,
        tls: Arc<ClientConfig>,
        (registry, token): (&Registry, Token),
        silence_max: Duration,
        seed: u64,
    ) -> io::Result<Self> {
        let registry = registry.try_clone()?;
        let addresses = address.endpoint.resolve()?;
        let state = State::Waiting { until: Instant::now() };
        let backoff = Backoff::new(seed);
        Ok(Self {
            address,
            addresses,
            attempts: 0,
            tls,
            token,
            registry,
            silence_max: Some(silence_max),
            backoff,
            state,
            moved: false,
            open: true,
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
        let address = self.addresses[self.attempts % self.addresses.len()];
        self.attempts += 1;
        let mut socket = TcpStream::connect(address)?;
        self.registry.register(&mut socket, self.token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(State::Dialing { socket, since: now })
    }

    fn shake(&mut self, socket: TcpStream, since: Instant, now: Instant) -> io::Result<State> {
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                within(since, now, "connecting")?;
                return Ok(State::Dialing { socket, since });
            }
            Err(error) => return Err(error),
        }
        socket.set_nodelay(true)?;
        let transport = if self.address.endpoint.secure {
            Transport::tls(socket, &self.address.endpoint.host, &self.tls)?
        } else {
            Transport::Plain(socket)
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let result = client_with_config(self.address.url.as_str(), transport, Some(config));
        self.shaken(result, now, now)
    }

    fn shaken(
        &mut self,
        result: Result<
            (WebSocket<Transport>, tungstenite::handshake::client::Response),
            HandshakeError<ClientHandshake<Transport>>,
        >,
        since: Instant,
        now: Instant,
    ) -> io::Result<State> {
        match result {
            Ok((socket, _)) => {
                let up = self.silence_max.is_none();
                if up {
                    self.backoff.reset();
                }
                Ok(State::Open { socket: Box::new(socket), last_payload: now, up })
            }
            Err(HandshakeError::Interrupted(handshake)) => {
                within(since, now, "handshake")?;
                Ok(State::Shaking { handshake: Box::new(handshake), since })
            }
            Err(HandshakeError::Failure(error)) => Err(io::Error::other(error.to_string())),
        }
    }

    fn read(
        &mut self,
        mut socket: Box<WebSocket<Transport>>,
        mut last_payload: Instant,
        mut up: bool,
        now: Instant,
        on_frame: &mut dyn FnMut(&[u8]),
        polled: &mut Polled,
    ) -> io::Result<State> {
        while polled.frames < FRAMES_PER_POLL {
            match socket.read() {
                Ok(Message::Text(text)) => {
                    polled.frames += 1;
                    last_payload = now;
                    if !up {
                        up = true;
                        polled.came_up = true;
                        self.backoff.reset();
                    }
                    on_frame(text.as_bytes());
                }
                Ok(Message::Ping(_)) => flush(&mut socket)?,
                Ok(Message::Close(_)) => return Err(io::Error::other("closed by the venue")),
                Ok(_) => {}
                Err(tungstenite::Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
        let silence = now.saturating_duration_since(last_payload);
        if self.silence_max.is_some_and(|most| silence > most) {
            return Err(io::Error::other("open but silent"));
        }
        Ok(State::Open { socket, last_payload, up })
    }
}

impl StreamPort for Stream {
    fn poll(&mut self, now: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled {
        let mut polled = Polled::default();
        let state = std::mem::replace(&mut self.state, State::Waiting { until: now });
        let was_up = matches!(state, State::Open { up: true, .. });
        let moved = std::mem::take(&mut self.moved);
        let next = match state {
            _ if moved || !self.open => {
                polled.went_down = was_up;
                Ok(State::Waiting { until: now })
            }
            State::Waiting { until } if now < until => Ok(State::Waiting { until }),
            State::Waiting { .. } => self.dial(now),
            State::Dialing { socket, since } => self.shake(socket, since, now),
            State::Shaking { handshake, since } => self.shaken(handshake.handshake(), since, now),
            State::Open { socket, last_payload, up } => {
                self.read(socket, last_payload, up, now, on_frame, &mut polled)
            }
        };
        polled.came_up |= !was_up && matches!(next, Ok(State::Open { up: true, .. }));
        self.state = next.unwrap_or_else(|error| {
            // The query of an account's own stream holds its key, which no log may show.
            let shown = match self.silence_max {
                Some(_) => self.address.url.as_str(),
                None => self.address.url.split('?').next().unwrap_or(""),
            };
            self.last_error = Some(format!("{shown}: {error}"));
            polled.went_down = was_up || polled.came_up;
            State::Waiting { until: now + self.backoff.next_wait() }
        });
        polled
    }

    fn move_to(&mut self, url: String) {
        self.address.url = url;
        self.moved = true;
    }

    fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

/// The library queues the pong on reading the ping; without a flush it waits for the next write.
fn flush(socket: &mut WebSocket<Transport>) -> io::Result<()> {
    match socket.flush() {
        Ok(()) => Ok(()),
        Err(tungstenite::Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

fn within(since: Instant, now: Instant, what: &str) -> io::Result<()> {
    if now.saturating_duration_since(since) > DIAL_MAX {
        return Err(io::Error::other(format!("{what} took longer than {DIAL_MAX:?}")));
    }
    Ok(())
}
