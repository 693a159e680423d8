//! HTTP/1.1 requests out of bytes, whatever the bytes are and however they are cut.
//!
//! ```text
//!   head ──► body (length) ──► whole
//!     │  └─► chunk size ─► chunk ─► … ─► trailers ──► whole
//!     └────► refused: what follows on the connection cannot be told apart any more
//! ```

use super::limits::Limits;
use crate::exchange::wire::http::Request;

/// Headers a request may have.
const HEADERS_MAX: usize = 64;
/// Below this many bytes every arrival is looked at, so that garbage is refused at once.
const EAGER_BYTES: usize = 1 << 10;
/// Digits and extensions of a chunk's size line.
const CHUNK_LINE_MAX: usize = 64;
/// Bytes of trailers after the last chunk; they are read over.
const TRAILER_BYTES_MAX: usize = 4 << 10;

/// A request with what the connection needs to know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// What the exchange gets.
    pub request: Request,
    /// The answer is sent without its body.
    pub head_only: bool,
    /// The connection stays open after the answer.
    pub keep_alive: bool,
    /// What it asks to become; `None` for a plain request.
    pub upgrade: Option<Upgrade>,
    /// `X-Sim-Token`; empty without one.
    pub sim_token: String,
}

/// A request to become a WebSocket connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// `Sec-WebSocket-Key`.
    pub key: String,
    /// `Sec-WebSocket-Version` is the one there is.
    pub known_version: bool,
}

/// Why a request is not taken. The connection ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: not HTTP, or not sound.
    Malformed,
    /// 413: the body is too long.
    BodyTooLong,
    /// 414: the request line is too long.
    LineTooLong,
    /// 431: the headers are too long or too many.
    HeadersTooLong,
    /// 417: an expectation other than `100-continue`.
    Expectation,
    /// 501: a transfer coding other than `chunked`.
    Coding,
    /// 505: not HTTP/1.
    Version,
}

/// What the bytes so far make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing yet.
    Wanting,
    /// The client waits for `100 Continue` before it sends the body.
    Continue,
    /// A request.
    Whole(Box<Incoming>),
    /// The end.
    Refused(Refusal),
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Length(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailers(usize),
    Over,
}

/// Takes requests from a connection's bytes, one after the other.
#[derive(Debug, Default)]
pub struct Parser {
    input: Vec<u8>,
    at: usize,
    /// Where the search for the end of the head goes on.
    looked: usize,
    state: State,
    incoming: Box<Incoming>,
}

impl Parser {
    /// Adds bytes as they came.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 && self.at == self.input.len() {
            self.input.clear();
            (self.at, self.looked) = (0, 0);
        }
        self.input.extend_from_slice(bytes);
    }

    /// True between requests: nothing of a next one has come.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Head) && self.at == self.input.len()
    }

    /// Bytes that came behind the last request: what an upgraded connection begins with.
    pub fn rest(&mut self) -> Vec<u8> {
        let rest = self.input.split_off(self.at);
        *self = Self::default();
        rest
    }

    /// Goes on with the bytes there are.
    pub fn step(&mut self, limits: &Limits) -> Progress {
        loop {
            let done = match self.state {
                State::Head => self.head(limits),
                State::Length(left) => self.length(left),
                State::ChunkSize => self.chunk_size(limits),
                State::Chunk(left) => self.chunk(left),
                State::ChunkEnd => self.chunk_end(),
                State::Trailers(seen) => self.trailers(seen),
                State::Over => Some(Progress::Wanting),
            };
            match done {
                None => {}
                Some(Progress::Refused(why)) => {
                    self.state = State::Over;
                    return Progress::Refused(why);
                }
                Some(progress) => return progress,
            }
        }
    }

    fn pending(&self) -> &[u8] {
        &self.input[self.at..]
    }

    fn whole(&mut self) -> Option<Progress> {
        self.state = State::Head;
        self.input.drain(..self.at);
        (self.at, self.looked) = (0, 0);
        Some(Progress::Whole(std::mem::take(&mut self.incoming)))
    }

    fn head(&mut self, limits: &Limits) -> Option<Progress> {
        // Empty lines before a request line are a courtesy to old clients.
        while self.pending().first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            self.at += 1;
            self.looked = self.looked.max(self.at);
        }
        let bytes = &self.input[self.at..];
        let from = self.looked.saturating_sub(self.at + 3);
        let ended = has_end(&bytes[from.min(bytes.len())..]);
        self.looked = self.input.len();
        if bytes.is_empty() || !ended && bytes.len() > EAGER_BYTES && !is_over(bytes, limits) {
            return Some(Progress::Wanting);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let refused = |why| Some(Progress::Refused(why));
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length > limits.head_bytes_max => {
                return refused(too_long(bytes, limits));
            }
            Ok(httparse::Status::Complete(length)) => match read(&parsed) {
                Ok((incoming, body)) => {
                    self.at += length;
                    *self.incoming = incoming;
                    return self.begin(body, limits);
                }
                Err(why) => return refused(why),
            },
            Ok(httparse::Status::Partial) if is_over(bytes, limits) => {
                return refused(too_long(bytes, limits));
            }
            Ok(httparse::Status::Partial) => {}
            Err(httparse::Error::TooManyHeaders) => return refused(Refusal::HeadersTooLong),
            Err(httparse::Error::Version) => return refused(Refusal::Version),
            Err(_) => return refused(Refusal::Malformed),
        }
        Some(Progress::Wanting)
    }

    fn begin(&mut self, body: Body, limits: &Limits) -> Option<Progress> {
        let (state, waits) = match body {
            Body::Length { bytes, .. } if bytes > limits.body_bytes_max => {
                return Some(Progress::Refused(Refusal::BodyTooLong));
            }
            Body::Length { bytes, waits } => (State::Length(bytes), waits && bytes > 0),
            Body::Chunked { waits } => (State::ChunkSize, waits),
        };
        self.state = state;
        (waits && self.pending().is_empty()).then_some(Progress::Continue)
    }

    fn length(&mut self, left: usize) -> Option<Progress> {
        let left = self.take(left);
        self.state = State::Length(left);
        if left == 0 { self.whole() } else { Some(Progress::Wanting) }
    }

    fn chunk_size(&mut self, limits: &Limits) -> Option<Progress> {
        let line = &self.pending()[..self.pending().len().min(CHUNK_LINE_MAX)];
        match httparse::parse_chunk_size(line) {
            Ok(httparse::Status::Complete((length, size))) => {
                let room = limits.body_bytes_max - self.incoming.request.body.len();
                let Ok(size) = usize::try_from(size) else {
                    return Some(Progress::Refused(Refusal::BodyTooLong));
                };
                if size > room {
                    return Some(Progress::Refused(Refusal::BodyTooLong));
                }
                self.at += length;
                self.state = if size == 0 { State::Trailers(0) } else { State::Chunk(size) };
                None
            }
            Ok(httparse::Status::Partial) if line.len() < CHUNK_LINE_MAX => Some(Progress::Wanting),
            _ => Some(Progress::Refused(Refusal::Malformed)),
        }
    }

    fn chunk(&mut self, left: usize) -> Option<Progress> {
        let left = self.take(left);
        self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
        (left > 0).then_some(Progress::Wanting)
    }

    fn chunk_end(&mut self) -> Option<Progress> {
        match self.pending() {
            [] | [b'\r'] => Some(Progress::Wanting),
            [b'\r', b'\n', ..] => {
                self.at += 2;
                self.compact();
                self.state = State::ChunkSize;
                None
            }
            _ => Some(Progress::Refused(Refusal::Malformed)),
        }
    }

    fn trailers(&mut self, seen: usize) -> Option<Progress> {
        let pending = self.pending();
        let Some(end) = pending.iter().position(|byte| *byte == b'\n') else {
            let over = seen + pending.len() > TRAILER_BYTES_MAX;
            let over = over.then_some(Progress::Refused(Refusal::HeadersTooLong));
            return Some(over.unwrap_or(Progress::Wanting));
        };
        let is_last = matches!(pending[..end], [] | [b'\r']);
        self.at += end + 1;
        if is_last {
            return self.whole();
        }
        if seen + end > TRAILER_BYTES_MAX {
            return Some(Progress::Refused(Refusal::HeadersTooLong));
        }
        self.state = State::Trailers(seen + end + 1);
        None
    }

    /// Moves up to `left` bytes into the body; what is still left.
    fn take(&mut self, left: usize) -> usize {
        let taken = left.min(self.input.len() - self.at);
        let bytes = &self.input[self.at..self.at + taken];
        self.incoming.request.body.extend_from_slice(bytes);
        self.at += taken;
        self.compact();
        left - taken
    }

    /// Forgets bytes that were taken, now and then.
    fn compact(&mut self) {
        if self.at >= EAGER_BYTES.max(self.input.len() / 2) {
            self.input.drain(..self.at);
            (self.at, self.looked) = (0, 0);
        }
    }
}

#[derive(Clone, Copy)]
enum Body {
    Length { bytes: usize, waits: bool },
    Chunked { waits: bool },
}

fn has_end(bytes: &[u8]) -> bool {
    let pairs = bytes.windows(2).any(|pair| pair == b"\n\n");
    pairs || bytes.windows(3).any(|three| three == b"\n\r\n")
}

fn is_over(bytes: &[u8], limits: &Limits) -> bool {
    bytes.len() > limits.head_bytes_max
}

fn too_long(bytes: &[u8], limits: &Limits) -> Refusal {
    let in_line = !bytes[..limits.head_bytes_max.min(bytes.len())].contains(&b'\n');
    if in_line { Refusal::LineTooLong } else { Refusal::HeadersTooLong }
}

/// A parsed head as a request without its body, and how the body comes.
fn read(head: &httparse::Request<'_, '_>) -> Result<(Incoming, Body), Refusal> {
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Err(Refusal::Malformed);
    };
    let fields = Fields::read(head.headers)?;
    if version == 1 && !fields.has_host {
        return Err(Refusal::Malformed);
    }
    let (path, query) = split(target).ok_or(Refusal::Malformed)?;
    let body = match (fields.chunked, fields.length) {
        (true, Some(_)) => return Err(Refusal::Malformed),
        (true, None) if version == 0 => return Err(Refusal::Malformed),
        (true, None) => Body::Chunked { waits: fields.waits },
        (false, length) => Body::Length { bytes: length.unwrap_or(0), waits: fields.waits },
    };
    let upgrade = (fields.upgrades && fields.to_websocket && method == "GET" && version == 1)
        .then(|| Upgrade { key: fields.key.clone(), known_version: fields.known_version });
    let request = Request {
        method: if method == "HEAD" { "GET" } else { method }.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: Vec::new(),
        api_key: fields.api_key,
    };
    let incoming = Incoming {
        request,
        head_only: method == "HEAD",
        keep_alive: if version == 1 { !fields.closes } else { fields.keeps },
        upgrade,
        sim_token: fields.sim_token,
    };
    Ok((incoming, body))
}

/// Path and query of `/a?b`, `http://host/a?b` or `*`.
fn split(target: &str) -> Option<(&str, &str)> {
    let origin = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    if !origin.starts_with('/') && origin != "*" {
        return None;
    }
    let origin = origin.split_once('#').map_or(origin, |(before, _)| before);
    Some(origin.split_once('?').unwrap_or((origin, "")))
}

/// The headers that count.
#[derive(Default)]
struct Fields {
    api_key: String,
    sim_token: String,
    key: String,
    length: Option<usize>,
    has_host: bool,
    chunked: bool,
    waits: bool,
    closes: bool,
    keeps: bool,
    upgrades: bool,
    to_websocket: bool,
    known_version: bool,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for header in headers {
            let text = std::str::from_utf8(header.value).unwrap_or("\u{fffd}").trim();
            let lists =
                |wanted: &str| text.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted));
            match header.name.to_ascii_lowercase().as_str() {
                "host" => fields.has_host = true,
                "x-mbx-apikey" => fields.api_key = text.to_owned(),
                "x-sim-token" => fields.sim_token = text.to_owned(),
                "content-length" => fields.length(text)?,
                "transfer-encoding" if text.eq_ignore_ascii_case("chunked") && !fields.chunked => {
                    fields.chunked = true;
                }
                "transfer-encoding" => return Err(Refusal::Coding),
                "expect" if text.eq_ignore_ascii_case("100-continue") => fields.waits = true,
                "expect" => return Err(Refusal::Expectation),
                "connection" => {
                    fields.closes |= lists("close");
                    fields.keeps |= lists("keep-alive");
                    fields.upgrades |= lists("upgrade");
                }
                "upgrade" => fields.to_websocket |= lists("websocket"),
                "sec-websocket-key" => fields.key = text.to_owned(),
                "sec-websocket-version" => fields.known_version = text == "13",
                _ => {}
            }
        }
        Ok(fields)
    }

    /// A length said twice must be the same twice; signs and blanks are no digits.
    fn length(&mut self, text: &str) -> Result<(), Refusal> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::Malformed);
        }
        // What does not fit a word is too long in any case.
        let length = text.parse().unwrap_or(usize::MAX);
        if self.length.is_some_and(|other| other != length) {
            return Err(Refusal::Malformed);
        }
        self.length = Some(length);
        Ok(())
    }
}
