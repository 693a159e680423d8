//! One connection: what it talks, what came in, what is to go out.
//!
//! ```text
//!   HTTP ──(upgrade)──► WebSocket
//!     │                    │
//!     └──── ending: what waits is sent, the rest of what comes is read and thrown away ──► gone
//! ```

use super::frame::{self, Pipe};
use super::http1::{Incoming, Parser, Progress, Refusal};
use super::limits::Limits;
use super::outlet::{Outlet, Written};
use crate::base::Nanos;
use crate::exchange::wire::route::Route;
use crate::exchange::wire::streams::ConnId;
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Shutdown};
use std::time::Duration;
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes, WebSocket};

/// Frames read ahead of a connection's parser.
const READ_AHEAD_BYTES: usize = 4 << 10;
/// Pings and pongs a trading connection may send within a second.
const API_CONTROLS_MAX: usize = 5;
/// Thrown away at the end of a connection before it is cut.
const DRAIN_BYTES_MAX: usize = 8 << 20;
const SECOND: Nanos = Nanos::from_secs(1);

/// See the head of this file.
#[derive(Debug)]
pub struct Client {
    /// Number of the connection since the start.
    pub serial: u64,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// What waits for it.
    pub outlet: Outlet,
    /// There may be bytes to read.
    pub is_readable: bool,
    /// Something was added to the outlet since the last flush.
    pub is_dirty: bool,
    /// It is among those to be served.
    pub is_ready: bool,
    /// It has not asked for anything yet.
    pub is_new: bool,
    /// It asks for admin endpoints: faults leave it alone.
    pub is_admin: bool,
    /// A text that waits for the next one to overtake it.
    pub swapped: Option<Vec<u8>>,
    /// Neither read from nor written to any more, though it stays open.
    pub is_dead: bool,
    /// When the request that is arriving began, or when the last one was answered.
    pub since: Nanos,
    /// How it ends.
    pub ending: Ending,
    /// What it talks.
    pub talk: Talk,
    stream: TcpStream,
}

/// Whether a connection is on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is not.
    No,
    /// Once what waits is sent.
    AfterFlush,
    /// All is sent; what still comes is thrown away. The count of bytes.
    Draining(usize),
}

/// What a connection talks.
#[derive(Debug)]
pub enum Talk {
    /// Requests.
    Http(Box<Parser>),
    /// WebSocket messages.
    Ws(Box<Socket>),
}

/// A WebSocket connection.
#[derive(Debug)]
pub struct Socket {
    /// Its number for the exchange.
    pub conn: ConnId,
    /// Its route.
    pub route: Route,
    /// When it was opened.
    pub opened: Nanos,
    /// When it was last pinged.
    pub pinged: Nanos,
    /// When it last answered a ping.
    pub ponged: Nanos,
    ping: Vec<u8>,
    protocol: WebSocket<Pipe>,
    controls: VecDeque<Nanos>,
}

/// What came in.
#[derive(Debug)]
pub enum Input {
    /// Nothing whole.
    Nothing,
    /// A request.
    Request(Box<Incoming>),
    /// What is no request.
    Refused(Refusal),
    /// A message.
    Text(Utf8Bytes),
    /// A ping or a pong.
    Control,
}

/// What a look at the socket brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Bytes.
    Some,
    /// None for now.
    Blocked,
    /// The other side is gone.
    Gone,
}

impl Client {
    /// A connection that was just accepted.
    pub fn new(stream: TcpStream, peer: IpAddr, serial: u64, now: Nanos) -> Self {
        Self {
            serial,
            peer,
            outlet: Outlet::default(),
            is_readable: true,
            is_dirty: false,
            is_ready: false,
            is_new: true,
            is_admin: false,
            swapped: None,
            is_dead: false,
            since: now,
            ending: Ending::No,
            talk: Talk::Http(Box::default()),
            stream,
        }
    }

    /// The WebSocket side; `None` for a connection that talks HTTP.
    pub fn socket(&mut self) -> Option<&mut Socket> {
        match &mut self.talk {
            Talk::Ws(socket) => Some(socket),
            Talk::Http(_) => None,
        }
    }

    /// Becomes a WebSocket connection. The bytes behind the request are its first.
    pub fn upgrade(&mut self, conn: ConnId, route: Route, limits: &Limits, now: Nanos) {
        let Talk::Http(parser) = &mut self.talk else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_AHEAD_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(limits.message_bytes_max))
            .max_frame_size(Some(limits.message_bytes_max));
        let pipe = Pipe::holding(parser.rest());
        self.talk = Talk::Ws(Box::new(Socket {
            conn,
            route,
            opened: now,
            pinged: now,
            ponged: now,
            ping: Vec::new(),
            protocol: WebSocket::from_raw_socket(pipe, Role::Server, Some(config)),
            controls: VecDeque::new(),
        }));
    }

    /// Reads once from the socket.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Filled {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Filled::Gone,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_readable = false;
                return Filled::Blocked;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Filled::Some,
            Err(_) => return Filled::Gone,
        };
        if let Ending::Draining(seen) = &mut self.ending {
            *seen += count;
            return if *seen > DRAIN_BYTES_MAX { Filled::Gone } else { Filled::Some };
        }
        match &mut self.talk {
            Talk::Http(parser) => parser.feed(&buffer[..count]),
            Talk::Ws(socket) => {
                socket.protocol.get_mut().input.extend_from_slice(&buffer[..count]);
            }
        }
        Filled::Some
    }

    /// The next whole thing among the bytes that were read.
    pub fn next_input(&mut self, limits: &Limits, now: Nanos) -> Input {
        if self.ending != Ending::No {
            return Input::Nothing;
        }
        match &mut self.talk {
            Talk::Http(parser) => {
                let was_idle = parser.is_idle();
                loop {
                    match parser.step(limits) {
                        Progress::Wanting => break,
                        Progress::Continue => {
                            let line = b"HTTP/1.1 100 Continue\r\n\r\n";
                            self.outlet.append(|out| out.extend_from_slice(line));
                            self.is_dirty = true;
                        }
                        Progress::Whole(incoming) => return Input::Request(incoming),
                        Progress::Refused(why) => return Input::Refused(why),
                    }
                }
                if was_idle && !parser.is_idle() {
                    self.since = now;
                }
                Input::Nothing
            }
            Talk::Ws(socket) => {
                let read = socket.read(&mut self.outlet, now);
                // A pong waits for nothing else to be sent.
                self.is_dirty |= !self.outlet.is_empty();
                match read {
                    Ok(input) => input,
                    Err(end) => {
                        self.end(end);
                        Input::Nothing
                    }
                }
            }
        }
    }

    /// Ends the connection once what waits is sent; a WebSocket with a close frame, where one is
    /// due.
    pub fn end(&mut self, end: End) {
        self.outlet.append(|out| match &end {
            End::Close(code, reason) => frame::put_close(out, *code, reason),
            End::Told(code, reason) => frame::put_close(out, *code, reason.as_str()),
            End::Silent => {}
        });
        self.ending = Ending::AfterFlush;
        self.is_dirty = true;
    }

    /// Sends what may go. False when the connection is over.
    pub fn flush(&mut self, now: Nanos) -> bool {
        self.is_dirty = false;
        if self.outlet.flush(&mut self.stream, now) == Written::Gone {
            return false;
        }
        if self.ending == Ending::AfterFlush && self.outlet.is_empty() {
            // What the client still sends is read, or the end would overtake the answer.
            self.ending = Ending::Draining(0);
            (self.is_readable, self.since) = (true, now);
            return self.stream.shutdown(Shutdown::Write).is_ok();
        }
        true
    }

    /// Cuts the connection so that the other side sees a reset.
    pub fn reset(self) {
        // Without it the other side sees an ordinary end: a lesser fault, still an end.
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }
}

/// How a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a close frame.
    Close(u16, &'static str),
    /// With a close frame whose reason somebody else gave.
    Told(u16, Utf8Bytes),
    /// Without a word more.
    Silent,
}

impl Socket {
    /// Reads up to the next text. Answers pings and closes into the outlet.
    fn read(&mut self, outlet: &mut Outlet, now: Nanos) -> Result<Input, End> {
        loop {
            let read = self.protocol.read();
            // Sends what reading gave rise to: a pong, the answer to a close.
            let _ = self.protocol.flush();
            let output = std::mem::take(&mut self.protocol.get_mut().output);
            if !output.is_empty() {
                outlet.append(|out| out.extend_from_slice(&output));
            }
            match read {
                Ok(Message::Text(text)) => return Ok(Input::Text(text)),
                Ok(Message::Binary(_)) => return Ok(Input::Text(Utf8Bytes::default())),
                Ok(Message::Pong(payload)) if payload.as_ref() == self.ping.as_slice() => {
                    self.ponged = now;
                }
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Input::Nothing);
                }
                Err(error) => return Err(end_of(&error)),
            }
            if self.route != Route::Api {
                return Ok(Input::Control);
            }
            if !self.may(now) {
                return Err(End::Close(1_008, "Too many requests"));
            }
        }
    }

    /// Counts a ping or a pong; false when it is one too many within a second.
    fn may(&mut self, now: Nanos) -> bool {
        let times = &mut self.controls;
        while times.front().is_some_and(|first| now - *first >= SECOND) {
            times.pop_front();
        }
        times.push_back(now);
        times.len() <= API_CONTROLS_MAX
    }

    /// A ping's payload, the time as the venue sends it.
    pub fn ping(&mut self, now: Nanos) -> &[u8] {
        self.pinged = now;
        self.ping = now.to_millis().to_string().into_bytes();
        &self.ping
    }
}

/// How a connection ends on which what came in cannot be read.
fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            End::Close(1_009, "Payload too large")
        }
        Error::Utf8(_) => End::Close(1_007, "Invalid UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Silent,
        Error::Protocol(_) => End::Close(1_002, "Protocol error"),
        _ => End::Silent,
    }
}
