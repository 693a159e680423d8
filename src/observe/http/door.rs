//! The bounded front of the server. It owns every client socket, and lets through only what arrives
//! whole, in time and within bounds; whatever else a client does costs it its own connection.
//!
//! At most [`CONNECTIONS_MAX`] clients are inside at once, each for at most
//! [`REQUEST_TIME_MAX`] + [`BACKEND_TIME_MAX`] + [`REPLY_TIME_MAX`]. A client that finds no room is
//! told so (503) and goes.

use super::{HttpError, STOP_CHECK, spawn};
use crossbeam::channel::{Receiver, Sender, bounded};
use mio::{Events, Interest, Poll, Token};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients inside at once.
pub const CONNECTIONS_MAX: usize = 8;
/// Longest request head in bytes; browsers send about 1 KB.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Longest request body in bytes; a command is about 100.
const BODY_BYTES_MAX: usize = 2 * 1024;
/// Headers in one request.
const HEADERS_MAX: usize = 64;
/// Longest path with query in bytes.
const PATH_BYTES_MAX: usize = 1_024;
/// Longest answer in bytes: the equity curve is about 130 KB.
const REPLY_BYTES_MAX: u64 = 4 << 20;
/// From entry to the request's last byte.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(1);
/// For the pages to answer, each way.
const BACKEND_TIME_MAX: Duration = Duration::from_secs(2);
/// From the answer's first byte to its last.
const REPLY_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a client waits for room before it is sent away.
const ROOM_WAIT: Duration = Duration::from_millis(200);
/// How long a refused client's remaining bytes are taken, so that it can read the refusal.
const DRAIN_TIME: Duration = Duration::from_millis(20);
/// Headers that are passed on; all others stop here.
const PASSED_ON: [&str; 6] =
    ["host", "authorization", "content-type", "x-peregrine-request", "origin", "sec-fetch-site"];

/// The listening front; dropping it closes the port and waits for those inside.
pub(super) struct Door {
    addr: SocketAddr,
    closing: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Door {
    /// Listens on `addr` and passes requests on to `backend`.
    pub(super) fn open(addr: SocketAddr, backend: Backend) -> Result<Self, HttpError> {
        let failed = |cause: std::io::Error| match cause.kind() {
            ErrorKind::AddrInUse => HttpError::PortTaken(addr),
            _ => HttpError::Listen { addr, cause },
        };
        let poll = Poll::new().map_err(failed)?;
        let mut listener = mio::net::TcpListener::bind(addr).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        poll.registry().register(&mut listener, Token(0), Interest::READABLE).map_err(failed)?;

        let closing = Arc::new(AtomicBool::new(false));
        let mut door = Self { addr, closing, threads: Vec::new() };
        let (entry, inside) = bounded(0);
        for _ in 0..CONNECTIONS_MAX {
            let (inside, backend) = (inside.clone(), backend.clone());
            door.threads.push(spawn("http-worker", move || work(&inside, &backend))?);
        }
        let flag = Arc::clone(&door.closing);
        door.threads.push(spawn("http-door", move || admit(poll, &listener, &entry, &flag))?);
        Ok(door)
    }

    /// Where it listens.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Accepts until told to stop. No error ends it: the next turn tries again.
fn admit(
    mut poll: Poll,
    listener: &mio::net::TcpListener,
    entry: &Sender<TcpStream>,
    closing: &AtomicBool,
) {
    let mut events = Events::with_capacity(8);
    while !closing.load(Ordering::Relaxed) {
        // Interrupted or out of descriptors: the turn is then one of waiting.
        let _ = poll.poll(&mut events, Some(STOP_CHECK));
        while let Ok((stream, _)) = listener.accept() {
            let stream = TcpStream::from(stream);
            if stream.set_nonblocking(false).is_err() {
                continue;
            }
            if let Err(refused) = entry.send_timeout(stream, ROOM_WAIT) {
                let mut stream = refused.into_inner();
                // Fits into any socket buffer; one that is not ready does not get it.
                let _ = stream.set_nonblocking(true);
                let _ = stream.write_all(Refusal::Full.text().as_bytes());
            }
        }
    }
}

/// One worker: serves a client at a time until the door closes.
fn work(inside: &Receiver<TcpStream>, backend: &Backend) {
    for mut stream in inside {
        let refused = match Enquiry::read(&mut stream, Instant::now() + REQUEST_TIME_MAX) {
            Ok(enquiry) => match backend.ask(&enquiry) {
                Ok(reply) => {
                    let _ = write_by(&mut stream, &reply, Instant::now() + REPLY_TIME_MAX);
                    continue;
                }
                Err(_) => Refusal::NobodyBehind,
            },
            Err(refusal) => refusal,
        };
        let text = refused.text();
        let _ = write_by(&mut stream, text.as_bytes(), Instant::now() + REPLY_TIME_MAX);
        // Closing on unread bytes would reset the connection and take the refusal with it.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = drain_by(&mut stream, Instant::now() + DRAIN_TIME);
    }
}

/// The way to the server behind.
#[derive(Clone)]
pub(super) struct Backend {
    path: PathBuf,
}

impl Backend {
    /// A server on the unix socket at `path`.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    fn ask(&self, enquiry: &Enquiry) -> std::io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(BACKEND_TIME_MAX))?;
        stream.set_write_timeout(Some(BACKEND_TIME_MAX))?;
        stream.write_all(enquiry.head.as_bytes())?;
        stream.write_all(&enquiry.body)?;
        let mut reply = Vec::with_capacity(16 * 1024);
        stream.take(REPLY_BYTES_MAX).read_to_end(&mut reply)?;
        // One request per connection; the server behind cannot be made to say so itself.
        let line_end = find(&reply, b"\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        reply.splice(line_end..line_end, *b"\r\nconnection: close");
        Ok(reply)
    }
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not a request of known form.
    Malformed,
    /// Not whole in time.
    TooSlow,
    /// The body is too long.
    BodyTooLong,
    /// The head is too long.
    HeadTooLong,
    /// The pages do not answer.
    NobodyBehind,
    /// No room.
    Full,
    /// The client went away.
    Gone,
}

impl Refusal {
    fn text(self) -> String {
        let status = match self {
            Refusal::Malformed => "400 Bad Request",
            Refusal::TooSlow => "408 Request Timeout",
            Refusal::BodyTooLong => "413 Content Too Large",
            Refusal::HeadTooLong => "431 Request Header Fields Too Large",
            Refusal::NobodyBehind => "502 Bad Gateway",
            Refusal::Full => "503 Service Unavailable",
            Refusal::Gone => return String::new(),
        };
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    }
}

/// A whole request, rewritten: known headers only, one body of stated length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Enquiry {
    head: String,
    body: Vec<u8>,
}

impl Enquiry {
    fn read(stream: &mut TcpStream, deadline: Instant) -> Result<Self, Refusal> {
        let mut bytes = Vec::with_capacity(2 * 1024);
        let head_end = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end;
            }
            if bytes.len() >= HEAD_BYTES_MAX {
                return Err(Refusal::HeadTooLong);
            }
            read_by(stream, &mut bytes, deadline)?;
        };
        if head_end > HEAD_BYTES_MAX {
            return Err(Refusal::HeadTooLong);
        }
        let (head, body_bytes) = Self::rewrite(&bytes[..head_end])?;
        let mut body = bytes.split_off(head_end + 4);
        while body.len() < body_bytes {
            read_by(stream, &mut body, deadline)?;
        }
        body.truncate(body_bytes);
        Ok(Self { head, body })
    }

    /// Parses a head (without its empty line) and writes it anew; also gives the body's length.
    pub(super) fn rewrite(head: &[u8]) -> Result<(String, usize), Refusal> {
        let text = std::str::from_utf8(head).map_err(|_| Refusal::Malformed)?;
        let mut lines = text.split("\r\n");
        let (method, path) = request_line(lines.next().unwrap_or_default())?;
        let mut rewritten = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        let mut seen = [false; PASSED_ON.len()];
        let mut body_bytes = None;
        for (count, line) in lines.enumerate() {
            let (name, value) = header(line)?;
            if count >= HEADERS_MAX || name == "transfer-encoding" {
                return Err(Refusal::Malformed);
            }
            if name == "content-length" {
                let length = value.parse::<u32>().map_err(|_| Refusal::Malformed)?;
                if body_bytes.replace(length as usize).is_some() {
                    return Err(Refusal::Malformed);
                }
            }
            let Some(place) = PASSED_ON.iter().position(|known| *known == name) else { continue };
            // Twice the same header, and two readers may differ on which one counts.
            if std::mem::replace(&mut seen[place], true) {
                return Err(Refusal::Malformed);
            }
            let _ = write!(rewritten, "{name}: {value}\r\n");
        }
        let body_bytes = body_bytes.unwrap_or(0);
        if body_bytes > BODY_BYTES_MAX {
            return Err(Refusal::BodyTooLong);
        }
        let _ = write!(rewritten, "content-length: {body_bytes}\r\n\r\n");
        Ok((rewritten, body_bytes))
    }
}

fn request_line(line: &str) -> Result<(&str, &str), Refusal> {
    let mut words = line.split(' ');
    let (method, path, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(path), Some(version), None) = (method, path, version, words.next())
    else {
        return Err(Refusal::Malformed);
    };
    let method_known =
        (1..=8).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase());
    let path_known = path.starts_with('/')
        && path.len() <= PATH_BYTES_MAX
        && path.bytes().all(|b| b.is_ascii_graphic());
    if !method_known || !path_known || !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return Err(Refusal::Malformed);
    }
    Ok((method, path))
}

/// Name in lower case, value without surrounding blanks.
fn header(line: &str) -> Result<(String, &str), Refusal> {
    let (name, value) = line.split_once(':').ok_or(Refusal::Malformed)?;
    let name_known = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    let value = value.trim_matches([' ', '\t']);
    let value_known = value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
    if !name_known || !value_known {
        return Err(Refusal::Malformed);
    }
    Ok((name.to_ascii_lowercase(), value))
}

/// Appends what is there, waiting no longer than to `deadline`.
fn read_by(stream: &mut TcpStream, into: &mut Vec<u8>, deadline: Instant) -> Result<(), Refusal> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
        return Err(Refusal::TooSlow);
    }
    let mut chunk = [0; 2 * 1024];
    match stream.read(&mut chunk) {
        Ok(0) => Err(Refusal::Gone),
        Ok(count) => {
            into.extend_from_slice(&chunk[..count]);
            Ok(())
        }
        Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(Refusal::TooSlow)
        }
        Err(_) => Err(Refusal::Gone),
    }
}

/// Writes all of `bytes` by `deadline`, however slowly the client reads.
fn write_by(stream: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Takes what the client still sends, up to a bound in bytes and time.
fn drain_by(stream: &mut TcpStream, deadline: Instant) -> Result<(), Refusal> {
    let mut taken = Vec::new();
    while taken.len() < 8 * HEAD_BYTES_MAX {
        read_by(stream, &mut taken, deadline)?;
    }
    Ok(())
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
