//! One open WebSocket: what is read, what is answered, and when it counts as broken.

use super::pulse::{Beat, Pulse};
use super::transport::Transport;
use crate::base::limits::FRAME_BYTES_MAX;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};
use tungstenite::error::Error;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Bytes, Message, Utf8Bytes, WebSocket};

/// Messages read in one poll, so that one busy connection cannot starve another.
const MESSAGES_PER_POLL: usize = 64;
/// Read buffer: the library zero-fills it before every read, so it is kept small.
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// Bytes that may wait to be written: a request of the trading API, pongs and a close frame.
const WRITE_BUFFER_BYTES: usize = 2 * 1_024;
/// How long a stream that must speak may take for its first payload. An acknowledged subscription
/// is not data.
const FIRST_PAYLOAD_MAX: Duration = Duration::from_secs(5);
/// How long a frame may stay incomplete.
const FRAME_MAX: Duration = Duration::from_secs(2);

/// Limits and buffers of the library; its defaults are 64 times as large.
pub(super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}

/// The bytes beneath the library. It answers each ping by itself; while the gate is shut those
/// answers are thrown away, whole frames as they are, and [`Pulse`] says what leaves instead.
#[derive(Debug)]
pub(super) struct Gated {
    transport: Transport,
    is_open: bool,
    /// Bytes read so far.
    received: u64,
}

impl Gated {
    /// With the gate open, as the handshake needs it.
    pub const fn new(transport: Transport) -> Self {
        Self { transport, is_open: true, received: 0 }
    }
}

impl Read for Gated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.transport.read(buffer)?;
        self.received += count as u64;
        Ok(count)
    }
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_open { self.transport.write(bytes) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transport.flush()
    }
}

/// See the head of this file.
pub(super) struct Socket {
    inner: WebSocket<Gated>,
    pulse: Pulse,
    since: Instant,
    /// A payload came.
    pub has_spoken: bool,
    last_payload: Instant,
    /// Since when bytes lie there that are no whole frame.
    partial_since: Option<Instant>,
    /// `None` where silence is ordinary.
    silence_max: Option<Duration>,
}

impl Socket {
    /// Over a connection whose handshake was done at `now`.
    pub fn new(mut inner: WebSocket<Gated>, silence_max: Option<Duration>, now: Instant) -> Self {
        inner.get_mut().is_open = false;
        Self {
            inner,
            pulse: Pulse::new(silence_max.is_none(), now),
            since: now,
            has_spoken: false,
            last_payload: now,
            partial_since: None,
            silence_max,
        }
    }

    /// For how long it has been open.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// True when it was asked for a sign of life and says nothing.
    pub fn is_suspect(&self, now: Instant) -> bool {
        self.pulse.is_suspect(now)
    }

    /// Reads what is there, answers what is to be answered; the number of payloads.
    ///
    /// # Errors
    /// Why the connection is given up.
    pub fn turn(&mut self, now: Instant, on_frame: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        let before = self.inner.get_ref().received;
        let (mut messages, mut frames) = (0, 0);
        while messages < MESSAGES_PER_POLL {
            match self.inner.read() {
                Ok(Message::Text(text)) => {
                    frames += 1;
                    self.has_spoken = true;
                    self.last_payload = now;
                    on_frame(text.as_bytes());
                }
                Ok(Message::Ping(payload)) => self.pulse.ping(payload),
                Ok(Message::Pong(_)) => self.pulse.pong(),
                Ok(Message::Close(frame)) => return Err(closed(frame)),
                Ok(Message::Binary(_) | Message::Frame(_)) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(self.broken(error)),
            }
            messages += 1;
        }
        if messages > 0 {
            self.pulse.heard(now);
            self.partial_since = None;
        } else if self.inner.get_ref().received > before {
            self.partial_since.get_or_insert(now);
        }
        self.send(now)?;
        self.judge(now)?;
        Ok(frames)
    }

    /// Sends what is due. The gate stays open while the kernel does not take all of it: half a
    /// frame must be followed by its other half.
    fn send(&mut self, now: Instant) -> io::Result<()> {
        if self.inner.get_ref().is_open {
            return self.flush();
        }
        while let Some(beat) = self.pulse.due(now) {
            let message = match beat {
                Beat::Ping => Message::Ping(Bytes::new()),
                Beat::Pong(payload) => Message::Pong(payload),
            };
            self.write(message)?;
            if self.inner.get_ref().is_open {
                return Ok(());
            }
        }
        Ok(())
    }

    /// True when nothing waits to be written.
    pub fn is_free(&self) -> bool {
        !self.inner.get_ref().is_open
    }

    /// Sends a text; what the kernel does not take at once goes with the next turns.
    ///
    /// # Errors
    /// Why the connection is broken; the next turn finds it so.
    pub fn say(&mut self, text: String) -> io::Result<()> {
        self.write(Message::text(text))
    }

    fn write(&mut self, message: Message) -> io::Result<()> {
        // What the library still holds is its own answer to a ping; ours takes its place.
        self.inner.get_mut().is_open = false;
        let _ = self.inner.flush();
        self.inner.get_mut().is_open = true;
        match self.inner.write(message) {
            Ok(()) => self.flush(),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(Error::WriteBufferFull(_)) => {
                Err(io::Error::other("what is to be sent is not taken"))
            }
            Err(error) => Err(as_io(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.inner.flush() {
            Ok(()) => self.inner.get_mut().is_open = false,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(as_io(error)),
        }
        Ok(())
    }

    fn judge(&self, now: Instant) -> io::Result<()> {
        let since = |at: Instant| now.saturating_duration_since(at);
        if self.partial_since.is_some_and(|at| since(at) > FRAME_MAX) {
            return Err(io::Error::other(format!("a frame was incomplete for {FRAME_MAX:?}")));
        }
        if self.pulse.is_dead(now) {
            return Err(io::Error::other("asked for a sign of life and silent"));
        }
        let Some(silence_max) = self.silence_max else { return Ok(()) };
        if !self.has_spoken && since(self.since) > FIRST_PAYLOAD_MAX {
            return Err(io::Error::other(format!("open, no payload for {FIRST_PAYLOAD_MAX:?}")));
        }
        if self.has_spoken && since(self.last_payload) > silence_max {
            return Err(io::Error::other("open but silent"));
        }
        Ok(())
    }

    /// Tells the venue why we leave, if it can still be told.
    fn broken(&mut self, error: Error) -> io::Error {
        let code = match &error {
            Error::Capacity(_) => Some(CloseCode::Size),
            Error::Protocol(_) => Some(CloseCode::Protocol),
            Error::Utf8(_) => Some(CloseCode::Invalid),
            _ => None,
        };
        if let Some(code) = code {
            self.inner.get_mut().is_open = true;
            let _ = self.inner.close(Some(CloseFrame { code, reason: Utf8Bytes::default() }));
        }
        as_io(error)
    }
}

fn closed(frame: Option<CloseFrame>) -> io::Error {
    let Some(frame) = frame else { return io::Error::other("closed by the venue") };
    let (code, reason) = (u16::from(frame.code), frame.reason.as_str());
    io::Error::other(format!("closed by the venue: {code} {reason}"))
}

/// As an error of the transport, which it may be: TLS is found by its type.
pub(super) fn as_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}
