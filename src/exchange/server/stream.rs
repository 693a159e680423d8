//! The WebSocket side of the server: one thread's worth of non-blocking connections.
//!
//! ```text
//!   accepted ──► handshaking ──► open ──► gone
//!                   │ late, or a path that is no stream path   ▲
//!                   └──────────────────────────────────────────┤
//!                        closed, protocol error, buffer full ──┘
//! ```
//!
//! A client that does not read fills its own buffer and is cut off; nobody else waits for it.

use super::ExchangeError;
use crate::exchange::MarketFrame;
use crate::exchange::wire::route::{Route, Target, published_name, route_of};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response, ServerHandshake};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, HandshakeError, Message, Utf8Bytes, WebSocket};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST_CLIENT: usize = 2;
/// Bytes that may wait for one client: about twenty seconds of the default market.
const BACKLOG_BYTES_MAX: usize = 4 << 20;
/// Bytes gathered before a write is tried within a batch.
const WRITE_BYTES: usize = 32 << 10;
const READ_BYTES: usize = 4 << 10;
const MESSAGE_BYTES_MAX: usize = 256 << 10;
const CLIENTS_MAX: usize = 256;
const STREAMS_MAX: usize = 1_024;
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(180);

type Handshake = MidHandshake<ServerHandshake<TcpStream, PathSink>>;

/// All WebSocket connections and their listener.
#[derive(Debug)]
pub struct StreamServer {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    waker: Arc<Waker>,
    cut_off: u64,
}

#[derive(Debug)]
enum Client {
    Handshaking { handshake: Option<Box<Handshake>>, path: PathSink, since: Instant },
    Open(Box<Open>),
}

#[derive(Debug)]
struct Open {
    socket: WebSocket<TcpStream>,
    route: Route,
    combined: bool,
    /// Published name to the names it was asked for under.
    wants: BTreeMap<String, Vec<String>>,
    pinged: Instant,
}

/// Keeps the request path of a handshake, and refuses paths that are no stream paths.
#[derive(Clone, Debug, Default)]
struct PathSink(Arc<Mutex<Option<Target>>>);

impl Callback for PathSink {
    fn on_request(self, request: &Request, reply: Response) -> Result<Response, ErrorResponse> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        match Target::parse(path) {
            Some(target) => {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
                Ok(reply)
            }
            None => {
                let mut refusal = ErrorResponse::new(Some(format!("no stream path: {path}")));
                *refusal.status_mut() = tungstenite::http::StatusCode::NOT_FOUND;
                Err(refusal)
            }
        }
    }
}

impl StreamServer {
    /// Binds `addr`; port 0 picks a free one.
    ///
    /// # Errors
    /// [`ExchangeError`] when the address cannot be bound or polled.
    pub fn bind(addr: SocketAddr) -> Result<Self, ExchangeError> {
        let bind = |source| ExchangeError::Bind { what: "WebSocket", addr, source };
        let mut listener = TcpListener::bind(addr).map_err(bind)?;
        let poll = Poll::new().map_err(ExchangeError::Poll)?;
        let registry = poll.registry();
        registry
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(ExchangeError::Poll)?;
        let waker = Arc::new(Waker::new(registry, WAKER).map_err(ExchangeError::Poll)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            listener,
            clients: Vec::new(),
            waker,
            cut_off: 0,
        })
    }

    /// The address bound.
    ///
    /// # Errors
    /// The operating system's refusal to say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Ends a [`StreamServer::poll`] from another thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Clients cut off because they did not read.
    pub const fn cut_off(&self) -> u64 {
        self.cut_off
    }

    /// Queues a frame for everyone who wants it.
    pub fn publish(&mut self, frame: &MarketFrame<'_>) {
        let mut shared = Shared::default();
        for slot in &mut self.clients {
            let Some(Client::Open(open)) = slot else { continue };
            if let Err(error) = open.send(frame, &mut shared) {
                self.cut_off += u64::from(matches!(error, Error::WriteBufferFull(_)));
                *slot = None;
            }
        }
    }

    /// Hands queued bytes to the sockets, as far as they take them.
    pub fn flush(&mut self) {
        for slot in &mut self.clients {
            if let Some(Client::Open(open)) = slot
                && passing(open.socket.flush()).is_err()
            {
                *slot = None;
            }
        }
    }

    /// Waits up to `timeout` for connections and requests, and answers them.
    ///
    /// # Errors
    /// The operating system's refusal to poll; being interrupted is no error.
    pub fn poll(&mut self, timeout: Duration) -> std::io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let tokens: Vec<Token> = self.events.iter().map(|event| event.token()).collect();
        for token in tokens {
            match token {
                LISTENER => self.accept(),
                WAKER => {}
                Token(number) => self.serve(number - FIRST_CLIENT),
            }
        }
        Ok(())
    }

    /// Pings who is due, drops who never finished its handshake.
    pub fn tend(&mut self, now: Instant) {
        for slot in &mut self.clients {
            let keep = match slot {
                Some(Client::Handshaking { since, .. }) => now - *since < HANDSHAKE_MAX,
                Some(Client::Open(open)) if now - open.pinged >= PING_EVERY => {
                    open.pinged = now;
                    passing(open.socket.send(Message::Ping(Default::default()))).is_ok()
                }
                _ => true,
            };
            if !keep {
                *slot = None;
            }
        }
    }

    fn accept(&mut self) {
        // WouldBlock ends the burst; any other error is that connection's alone.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let free = self.clients.iter().position(Option::is_none);
            let index = free.unwrap_or(self.clients.len());
            if index >= CLIENTS_MAX {
                continue;
            }
            let token = Token(index + FIRST_CLIENT);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = self.poll.registry().register(&mut stream, token, interest);
            if registered.is_err() || stream.set_nodelay(true).is_err() {
                continue;
            }
            if index == self.clients.len() {
                self.clients.push(None);
            }
            self.clients[index] = start_handshake(stream);
            self.serve(index);
        }
    }

    fn serve(&mut self, index: usize) {
        let Some(slot) = self.clients.get_mut(index) else { return };
        if let Some(Client::Handshaking { handshake, path, since }) = slot {
            let since = *since;
            let Some(pending) = handshake.take() else { return };
            *slot = settle(pending.handshake(), path.clone(), since);
        }
        if let Some(Client::Open(open)) = slot
            && open.answer().is_err()
        {
            *slot = None;
        }
    }
}

/// One frame's messages, made once for all clients that take the usual form.
#[derive(Default)]
struct Shared {
    combined: Option<Utf8Bytes>,
    raw: Option<Utf8Bytes>,
}

impl Open {
    fn send(&mut self, frame: &MarketFrame<'_>, shared: &mut Shared) -> Result<(), Error> {
        let Some(names) = self.wants.get(frame.stream) else { return Ok(()) };
        for name in names {
            let text = if !self.combined {
                shared.raw.get_or_insert_with(|| text_of(frame.data)).clone()
            } else if name == frame.stream {
                shared.combined.get_or_insert_with(|| text_of(frame.frame)).clone()
            } else {
                let data = String::from_utf8_lossy(frame.data);
                Utf8Bytes::from(format!("{{\"stream\":\"{name}\",\"data\":{data}}}"))
            };
            passing(self.socket.write(Message::Text(text)))?;
        }
        Ok(())
    }

    /// Reads all there is, answers control frames.
    fn answer(&mut self) -> Result<(), Error> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    let reply = self.control(text.as_str());
                    passing(self.socket.write(Message::Text(reply.into())))?;
                }
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        passing(self.socket.flush())
    }

    fn control(&mut self, text: &str) -> String {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return refusal(3, "Invalid JSON: could not be parsed", &Value::Null);
        };
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let params = request.get("params").and_then(Value::as_array).cloned().unwrap_or_default();
        let names = || params.iter().filter_map(Value::as_str).map(str::to_owned);
        match request.get("method").and_then(Value::as_str) {
            Some("SUBSCRIBE") => {
                if self.wants.values().map(Vec::len).sum::<usize>() + params.len() > STREAMS_MAX {
                    return refusal(2, "Invalid request: too many streams", &id);
                }
                names().for_each(|name| self.subscribe(name));
                json!({"result": null, "id": id}).to_string()
            }
            Some("UNSUBSCRIBE") => {
                for name in names() {
                    if let Some(asked) = self.wants.get_mut(&published_name(&name)) {
                        asked.retain(|other| *other != name);
                    }
                }
                json!({"result": null, "id": id}).to_string()
            }
            Some("LIST_SUBSCRIPTIONS") => {
                let all: Vec<&String> = self.wants.values().flatten().collect();
                json!({"result": all, "id": id}).to_string()
            }
            Some("SET_PROPERTY") => match (params.first(), params.get(1)) {
                (Some(Value::String(key)), Some(Value::Bool(on))) if key == "combined" => {
                    self.combined = *on;
                    json!({"result": null, "id": id}).to_string()
                }
                _ => refusal(2, "Invalid request: unknown property", &id),
            },
            Some("GET_PROPERTY") => json!({"result": self.combined, "id": id}).to_string(),
            _ => refusal(2, "Invalid request: unknown method", &id),
        }
    }

    /// Notes a wanted stream. One of another route is acknowledged and stays silent, as on the
    /// venue.
    fn subscribe(&mut self, name: String) {
        if route_of(&name) != self.route {
            return;
        }
        let asked = self.wants.entry(published_name(&name)).or_default();
        if !asked.contains(&name) {
            asked.push(name);
        }
    }
}

fn start_handshake(stream: TcpStream) -> Option<Client> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_write_buffer_size(BACKLOG_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let path = PathSink::default();
    let result = tungstenite::accept_hdr_with_config(stream, path.clone(), Some(config));
    settle(result, path, Instant::now())
}

type HandshakeResult =
    Result<WebSocket<TcpStream>, HandshakeError<ServerHandshake<TcpStream, PathSink>>>;

fn settle(result: HandshakeResult, path: PathSink, since: Instant) -> Option<Client> {
    match result {
        Ok(socket) => {
            let target = path.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            let mut open = Open {
                socket,
                route: target.route,
                combined: target.combined,
                wants: BTreeMap::new(),
                pinged: Instant::now(),
            };
            target.streams.into_iter().take(STREAMS_MAX).for_each(|name| open.subscribe(name));
            Some(Client::Open(Box::new(open)))
        }
        Err(HandshakeError::Interrupted(pending)) => {
            Some(Client::Handshaking { handshake: Some(Box::new(pending)), path, since })
        }
        Err(HandshakeError::Failure(_)) => None,
    }
}

/// "Would block" only means that bytes wait in the client's buffer.
fn passing(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        other => other,
    }
}

fn text_of(bytes: &[u8]) -> Utf8Bytes {
    Utf8Bytes::from(String::from_utf8_lossy(bytes).into_owned())
}

fn refusal(code: u32, text: &str, id: &Value) -> String {
    json!({"error": {"code": code, "msg": text}, "id": id}).to_string()
}
