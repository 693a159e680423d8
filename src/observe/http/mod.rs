//! The HTTP server: status pages for people and machines, and the few commands that only tighten.
//! All of it runs on side threads that no stage knows of; start it from an unpinned thread, because
//! threads inherit core and scheduling class.
//!
//! ```text
//!  client ─TCP, loopback─► http-door ─► http-worker × 8 ─unix socket─► tiny_http ─► http-pages
//!                          accepts,     one whole request within a      parses,      answers from
//!                          refuses      second, in 8 KB and known        frames       the snapshot
//!                          the ninth    headers, or no entry
//!  http-watch: asks for /healthz through the door now and then; rebuilds everything on silence
//! ```
//!
//! `tiny_http` has no timeouts and no bounds, keeps a thread per stalled client, and stops
//! accepting for good at the first error. So it never sees a client: the door in front of it takes
//! the time limits, the bounds and the errors, and passes on only complete requests of known form.
//! The socket between them lies in a folder that only this user may enter.

mod commands;
mod dashboard;
mod door;
mod pages;

use super::snapshot::SnapshotCell;
use crate::base::event::Command;
use commands::{Desk, TokenDigest};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use door::{Backend, Door};
use pages::{Ask, Desks};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub use commands::ACTOR_HTTP;
pub use door::{CONNECTIONS_MAX, HEAD_BYTES_MAX};

/// Bytes of entropy a token must be able to hold: 43 base64 digits or 64 hex digits are 256 bits.
pub const TOKEN_CHARS_MIN: usize = 43;
/// How long a thread waits before it looks whether it should stop.
const STOP_CHECK: Duration = Duration::from_millis(100);
/// How long a probe waits for its answer.
const PROBE_WAIT: Duration = Duration::from_secs(3);
/// How far the server's threads stand behind all others: a third of another thread's share.
const NICENESS: i32 = 5;
/// Probes without an answer in a row after which the server is rebuilt.
const PROBES_LOST_MAX: u32 = 2;

/// How the server is set up.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where to listen; loopback only. Port 0 picks a free one.
    pub addr: SocketAddr,
    /// Token for commands, at least [`TOKEN_CHARS_MIN`] characters; `None` refuses all commands.
    pub token: Option<zeroize::Zeroizing<String>>,
    /// `Host` values accepted beside the loopback names, for a reverse proxy.
    pub hosts: Vec<String>,
    /// Existing folder in which the server makes its private one.
    pub private_dir: PathBuf,
    /// Time between two probes of `/healthz`.
    pub probe_interval: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 9464)),
            token: None,
            hosts: Vec::new(),
            private_dir: std::env::temp_dir(),
            probe_interval: Duration::from_secs(3),
        }
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is reachable from outside.
    #[error("http.addr {0}: only loopback addresses are allowed; put a proxy in front instead")]
    NotLoopback(SocketAddr),
    /// Someone else listens there.
    #[error("http.addr {0}: the port is taken by another process")]
    PortTaken(SocketAddr),
    /// The address cannot be listened on for another cause.
    #[error("http.addr {addr}: cannot listen: {cause}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// The token is too easy to guess.
    #[error("the http token is shorter than {TOKEN_CHARS_MIN} characters")]
    TokenTooShort,
    /// The private folder or its socket cannot be made.
    #[error("cannot make the private socket {path}: {cause}")]
    PrivateSocket {
        /// The path at fault.
        path: PathBuf,
        /// The system's answer.
        cause: String,
    },
    /// A thread cannot be started.
    #[error("cannot start thread {name}: {cause}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// The system's answer.
        cause: std::io::Error,
    },
}

/// The running server; dropping it stops it.
#[derive(Debug)]
pub struct HttpServer {
    addr: SocketAddr,
    rebuilds: Arc<AtomicU64>,
    stop: Option<Sender<()>>,
    watch: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Starts listening. Commands taken from clients come out of `commands`' other end, to be fed
    /// into the river.
    ///
    /// # Errors
    /// [`HttpError`] when the settings are refused or the address cannot be had.
    pub fn start(
        settings: HttpSettings,
        cell: Arc<SnapshotCell>,
        commands: Sender<Command>,
    ) -> Result<Self, HttpError> {
        if !settings.addr.ip().is_loopback() {
            return Err(HttpError::NotLoopback(settings.addr));
        }
        let token = match &settings.token {
            Some(token) if token.len() < TOKEN_CHARS_MIN => return Err(HttpError::TokenTooShort),
            Some(token) => Some(TokenDigest::of(token.as_bytes())),
            None => None,
        };
        let mut plan = Plan { settings, token, cell, commands };
        let built = Built::new(&plan)?;
        let addr = built.door.addr();
        // A rebuilt server must be found where the first one was.
        plan.settings.addr = addr;
        let rebuilds = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = bounded(0);
        let counter = Arc::clone(&rebuilds);
        let watch = spawn("http-watch", move || keep_alive(&plan, built, &stopped, &counter))?;
        Ok(Self { addr, rebuilds, stop: Some(stop), watch: Some(watch) })
    }

    /// Like [`HttpServer::start`], but goes without, saying so in the log, when the port is taken.
    ///
    /// # Errors
    /// Every [`HttpError`] but [`HttpError::PortTaken`].
    pub fn start_if_free(
        settings: HttpSettings,
        cell: Arc<SnapshotCell>,
        commands: Sender<Command>,
    ) -> Result<Option<Self>, HttpError> {
        match Self::start(settings, cell, commands) {
            Err(taken @ HttpError::PortTaken(_)) => {
                tracing::warn!("{taken}; going on without the status pages");
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How often it had to be rebuilt.
    pub fn rebuilds(&self) -> u64 {
        self.rebuilds.load(Ordering::Relaxed)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

/// All that is needed to build the server, again if need be.
struct Plan {
    settings: HttpSettings,
    token: Option<TokenDigest>,
    cell: Arc<SnapshotCell>,
    commands: Sender<Command>,
}

/// One life of the server. Fields drop in order: first the door, so that nobody enters any more.
struct Built {
    door: Door,
    pages: Pages,
}

impl Built {
    fn new(plan: &Plan) -> Result<Self, HttpError> {
        let socket = PrivateSocket::new(&plan.settings.private_dir)?;
        let door = Door::open(plan.settings.addr, Backend::new(&socket.path))?;
        let pages = Pages::start(plan, door.addr(), socket)?;
        Ok(Self { door, pages })
    }

    fn answers(&self) -> bool {
        !self.pages.ended() && probe(self.door.addr()).is_ok()
    }
}

/// The watch thread: probes until told to stop, rebuilds on silence.
fn keep_alive(plan: &Plan, built: Built, stopped: &Receiver<()>, rebuilds: &AtomicU64) {
    let mut built = Some(built);
    let mut lost = 0;
    while stopped.recv_timeout(plan.settings.probe_interval) == Err(RecvTimeoutError::Timeout) {
        lost = match &built {
            Some(server) if server.answers() => 0,
            _ => lost + 1,
        };
        if lost < PROBES_LOST_MAX {
            continue;
        }
        // The old listener must be closed before the same port can be had again.
        drop(built.take());
        match Built::new(plan) {
            Ok(server) => {
                built = Some(server);
                lost = 0;
                rebuilds.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("the http server on {} was rebuilt", plan.settings.addr);
            }
            Err(error) => tracing::error!("the http server cannot be rebuilt: {error}"),
        }
    }
}

/// Asks for `/healthz` as any client would. A refusal by the door for want of room is an answer;
/// only the door's word that nobody is behind it (502) is not.
fn probe(addr: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&addr, PROBE_WAIT)?;
    stream.set_read_timeout(Some(PROBE_WAIT))?;
    stream.set_write_timeout(Some(PROBE_WAIT))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: {addr}\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    match head.strip_prefix(b"HTTP/1.1 ") {
        Some(status) if status != b"502" => Ok(()),
        _ => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

/// The thread that answers, with `tiny_http` before it.
struct Pages {
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pages {
    fn start(plan: &Plan, addr: SocketAddr, socket: PrivateSocket) -> Result<Self, HttpError> {
        let server = tiny_http::Server::http_unix(&socket.path).map_err(|cause| {
            HttpError::PrivateSocket { path: socket.path.clone(), cause: cause.to_string() }
        })?;
        let mut hosts = plan.settings.hosts.clone();
        hosts.extend(loopback_hosts(addr));
        let desk = Desk::new(plan.token, plan.commands.clone());
        let mut desks = Desks::new(Arc::clone(&plan.cell), hosts, desk);
        let closing = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closing);
        let thread = spawn("http-pages", move || {
            serve(&server, &mut desks, &flag);
            // The server removes its socket before the folder goes.
            drop(server);
            drop(socket);
        })?;
        Ok(Self { closing, thread: Some(thread) })
    }

    fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers until told to stop or until `tiny_http` has stopped accepting.
fn serve(server: &tiny_http::Server, desks: &mut Desks, closing: &AtomicBool) {
    while !closing.load(Ordering::Relaxed) {
        match server.recv_timeout(STOP_CHECK) {
            Ok(Some(mut request)) => {
                let answer = desks.answer(&Ask::read(&mut request));
                // The door gave up waiting; there is nobody left to tell.
                let _ = request.respond(answer.into_response());
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!("the http server stopped accepting: {error}");
                return;
            }
        }
    }
}

/// What a browser on this host may call the page: no name of a stranger can stand for these.
fn loopback_hosts(addr: SocketAddr) -> [String; 4] {
    let port = addr.port();
    let [four, name, six] =
        ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
    [addr.to_string(), four, name, six]
}

/// A socket path in a fresh folder that only this user may enter; the folder goes with it.
struct PrivateSocket {
    dir: PathBuf,
    path: PathBuf,
}

impl PrivateSocket {
    fn new(parent: &Path) -> Result<Self, HttpError> {
        let process = std::process::id();
        let mut last = None;
        for attempt in 0..1_000 {
            let dir = parent.join(format!("peregrine-http-{process}-{attempt}"));
            match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return Ok(Self { path: dir.join("pages.sock"), dir }),
                Err(cause) => {
                    let taken = cause.kind() == std::io::ErrorKind::AlreadyExists;
                    let error = HttpError::PrivateSocket { path: dir, cause: cause.to_string() };
                    if !taken {
                        return Err(error);
                    }
                    last = Some(error);
                }
            }
        }
        Err(last.expect("the loop ran, and each turn either returned or left an error"))
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_dir(&self.dir);
    }
}

fn spawn(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, HttpError> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    let behind = move || {
        // Where cores are short a page waits for a stage, and not the other way round. What cannot
        // be had is no reason not to answer.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        body();
    };
    builder.spawn(behind).map_err(|cause| HttpError::Thread { name, cause })
}

#[cfg(test)]
mod tests;
