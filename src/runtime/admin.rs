//! The admin socket: where an operator of this machine arms, pauses, kills and clears a running
//! session. A unix socket in the state folder, for its own user and root alone.
//!
//! ```text
//!  one line in    {"verb": "arm", "reason": "looked at it"}      status, arm, pause, kill, clear
//!                      │                                         (about models: `swap::ask`,
//!                      │                                         about symbols: `symbols::ask`)
//!                      │ peer's user id, verb, reason
//!                      ▼
//!                 the river, as a Command with that user id
//!                      │ up to 3 s until the page shows the trading state asked for
//!  one line out   {"ok": true, "state": "active", …}
//! ```
//! Threads of its own; a flood or a peer that says nothing holds up nobody.

use super::swap::ask::ModelRequest;
use super::swap::desk::Asking;
use super::symbols::SymbolDesk;
use super::symbols::ask::SymbolRequest;
use crate::base::event::Command;
use crate::observe::snapshot::{Snapshot, SnapshotCell};
use crate::risk::{self, Origin, Verb};
use anyhow::{Context, Result};
use crossbeam::channel::Sender;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The socket's name in the state folder.
pub const SOCKET: &str = "admin.sock";
/// Longest line taken, in bytes.
const LINE_BYTES_MAX: u64 = 4_096;
/// Connections at once.
const PEERS_MAX: usize = 8;
/// How long a peer may take for its line.
const LINE_TIME: Duration = Duration::from_secs(1);
/// How long an answer waits for the state that was asked for.
const OBEY_TIME: Duration = Duration::from_secs(3);
/// Wait between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What an operator asks for.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `status`, `arm`, `pause`, `kill` or `clear`.
    pub verb: String,
    /// Of a kill: `pause`, `graceful` or `immediate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Why, 1 to 84 bytes; for everything but `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Request {
    /// The command that it asks for; `None` for `status`.
    ///
    /// # Errors
    /// In words.
    pub fn verb(&self) -> Result<Option<Verb>, String> {
        let mode = self.mode.as_deref();
        let verb = match (self.verb.as_str(), mode) {
            ("status", None) => return Ok(None),
            ("arm", None) => Verb::Arm,
            ("pause", None) | ("kill", Some("pause")) => Verb::Pause,
            ("kill", Some("graceful")) => Verb::KillGraceful,
            ("kill", Some("immediate")) => Verb::KillImmediate,
            ("clear", None) => Verb::Clear,
            ("kill", _) => return Err("mode: pause, graceful or immediate".to_owned()),
            (_, Some(_)) => return Err("mode: only a kill has one".to_owned()),
            (other, None) => return Err(format!("verb: {other:?} is none")),
        };
        Ok(Some(verb))
    }

    /// The command as the river takes it.
    fn command(&self, verb: Verb, user: u32) -> Result<Command, String> {
        let reason = self.reason.as_deref().unwrap_or_default();
        risk::command(verb, Origin::Operator, user, reason).map_err(|error| error.to_string())
    }
}

/// What the server's threads share.
struct Desk {
    models: Option<Asking>,
    symbols: Option<SymbolDesk>,
    river: Sender<Command>,
    cell: Arc<SnapshotCell>,
    stop: AtomicBool,
    peers: AtomicUsize,
}

/// The running socket; gone when dropped.
pub struct AdminSocket {
    path: PathBuf,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl AdminSocket {
    /// Opens it in the state folder, whose lock the caller holds: a socket that lies there is a
    /// dead session's.
    ///
    /// # Errors
    /// Names the path.
    pub fn open(state: &Path, river: Sender<Command>, cell: Arc<SnapshotCell>) -> Result<Self> {
        Self::with_desks(state, river, cell, (None, None))
    }

    /// The same, with the ways to the desks that have models and symbols changed.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_desks(
        state: &Path,
        river: Sender<Command>,
        cell: Arc<SnapshotCell>,
        (models, symbols): (Option<Asking>, Option<SymbolDesk>),
    ) -> Result<Self> {
        let path = state.join(SOCKET);
        let named = || format!("admin socket {}", path.display());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(named);
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).with_context(named)?;
        let own = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, own).with_context(named)?;
        let (stop, peers) = (AtomicBool::new(false), AtomicUsize::new(0));
        let desk = Arc::new(Desk { models, symbols, river, cell, stop, peers });
        let shared = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || serve(&listener, &shared))
            .with_context(named)?;
        Ok(Self { path, desk, thread: Some(thread) })
    }
}

impl AdminSocket {
    /// Waits until whoever is being answered has the answer, for a second at most.
    pub fn settle(&self) {
        let began = Instant::now();
        while self.desk.peers.load(Ordering::Relaxed) > 0 && began.elapsed() < LINE_TIME {
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        self.desk.stop.store(true, Ordering::Relaxed);
        // The thread waits for a peer: be one.
        if UnixStream::connect(&self.path).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn serve(listener: &UnixListener, desk: &Arc<Desk>) {
    for peer in listener.incoming() {
        if desk.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(peer) = peer else { continue };
        if desk.peers.fetch_add(1, Ordering::Relaxed) >= PEERS_MAX {
            desk.peers.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let shared = Arc::clone(desk);
        let spawned = std::thread::Builder::new().name("admin-peer".to_owned()).spawn(move || {
            shared.hear(&peer);
            shared.peers.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            desk.peers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// True for those who may give commands: the session's own user and root.
fn may_command(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

impl Desk {
    fn hear(&self, peer: &UnixStream) {
        let answer = self.answer(peer).unwrap_or_else(|what| {
            tracing::warn!(what, "admin socket: refused");
            json!({ "ok": false, "error": what })
        });
        let mut out = peer;
        let _ = writeln!(out, "{answer}");
    }

    fn answer(&self, peer: &UnixStream) -> Result<Value, String> {
        let credentials = rustix::net::sockopt::socket_peercred(peer);
        let user = credentials.map_err(|error| format!("who asks is not known: {error}"))?.uid;
        if !may_command(user.as_raw(), rustix::process::geteuid().as_raw()) {
            return Err(format!("user {} may not command this session", user.as_raw()));
        }
        let timely = peer.set_read_timeout(Some(LINE_TIME));
        timely.and_then(|()| peer.set_write_timeout(Some(LINE_TIME))).map_err(|e| e.to_string())?;
        let mut line = String::new();
        let mut reader = BufReader::new(peer).take(LINE_BYTES_MAX);
        reader.read_line(&mut line).map_err(|error| format!("no line came: {error}"))?;
        let line: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        if ModelRequest::concerns(&line) {
            let desk = self.models.as_ref().ok_or("the models of this session do not change")?;
            let request = serde_json::from_value::<ModelRequest>(line);
            return request.map_err(|error| error.to_string())?.obey(desk, user.as_raw());
        }
        if SymbolRequest::concerns(&line) {
            let desk = self.symbols.as_ref().ok_or("the symbols of this session do not change")?;
            let request = serde_json::from_value::<SymbolRequest>(line);
            let request = request.map_err(|error| error.to_string())?;
            return request.obey(desk, &self.cell, user.as_raw());
        }
        let request: Request = serde_json::from_value(line).map_err(|error| error.to_string())?;
        let Some(verb) = request.verb()? else { return Ok(status(&self.cell.load().0)) };
        let command = request.command(verb, user.as_raw())?;
        if verb == Verb::Clear {
            return Err(self.not_cleared());
        }
        tracing::warn!(
            user = user.as_raw(),
            verb = request.verb,
            reason = request.reason,
            "command"
        );
        let before = self.cell.load().0.trading_state;
        let sent = self.river.try_send(command);
        sent.map_err(|_| "the command could not be passed on: too many wait".to_owned())?;
        self.obeyed(verb, before)
    }

    /// A kill is lifted between two sessions, never within one.
    fn not_cleared(&self) -> String {
        let what = match self.cell.load().0.trading_state {
            "killed" => {
                "the session that was killed still runs; it ends by itself once nothing is open at \
                 the venue: clear it then"
            }
            _ => "the session that runs was not killed",
        };
        format!("not cleared: {what}")
    }

    /// Waits for the state that a command leads to.
    fn obeyed(&self, verb: Verb, before: &str) -> Result<Value, String> {
        let began = Instant::now();
        while began.elapsed() < OBEY_TIME {
            let page = self.cell.load().0;
            if is_obeyed(verb, page.trading_state) {
                return Ok(status(&page));
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        let page = self.cell.load().0;
        match (verb, page.trading_state) {
            // What is not reconciled yet arms itself when it is.
            (Verb::Arm | Verb::Pause, "reconciling") => Ok(status(&page)),
            // The halt is over; what reduces ends by itself.
            (Verb::Arm, "reducing") if before != "reducing" => Ok(status(&page)),
            (Verb::Arm, "killed") => {
                Err("not armed: it was killed; clear it when it has ended".to_owned())
            }
            (_, state) => Err(format!("not obeyed: trading was {before} and is {state}")),
        }
    }
}

/// True where trading is in a state that the verb leads to, or in a tighter one.
fn is_obeyed(verb: Verb, state: &str) -> bool {
    match verb {
        Verb::Arm => state == "active",
        Verb::Pause => matches!(state, "reducing" | "halted" | "killed"),
        Verb::KillGraceful | Verb::KillImmediate => state == "killed",
        Verb::Clear => state != "killed",
    }
}

/// The session as an operator wants to see it.
fn status(page: &Snapshot) -> Value {
    let live = |state: &str| !matches!(state, "filled" | "cancelled" | "rejected" | "expired");
    let orders = page.orders.iter().filter(|order| live(order.state) && order.state != "lost");
    let positions = page.positions.iter().filter(|position| position.qty.0 != 0);
    let reasons: Vec<&str> = page.not_ready.iter().map(|reason| reason.name()).collect();
    json!({
        "ok": true,
        "state": page.trading_state,
        "session": page.session.mode,
        "journal": page.session.journal,
        "uptime_seconds": page.session.uptime_seconds,
        "not_ready": reasons,
        "equity": page.account.equity.to_string(),
        "pnl_quote": page.account.pnl_quote.to_string(),
        "open_orders": orders.count(),
        "positions": positions
            .map(|position| json!({
                "symbol": position.symbol,
                "qty": position.qty.to_string(),
                "entry_px": position.entry_px.to_string(),
                "unrealised": position.unrealised.to_string(),
            }))
            .collect::<Vec<_>>(),
    })
}

/// No session answers on a state folder: none runs there, or it hangs.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: no session answers there", .0.display())]
pub struct NoAnswer(PathBuf);

/// Asks a running session, as an operator's program does.
///
/// # Errors
/// When nobody answers: no session runs on that state folder, or it hangs.
pub fn ask(state: &Path, request: &Request) -> Result<Value> {
    ask_line(state, &serde_json::to_string(request)?, OBEY_TIME + OBEY_TIME)
}

/// The same with a line of any kind, whose answer may take `patience`.
///
/// # Errors
/// As [`ask`].
pub fn ask_line(state: &Path, request: &str, patience: Duration) -> Result<Value> {
    let path = state.join(SOCKET);
    let named = || NoAnswer(path.clone());
    let mut peer = UnixStream::connect(&path).with_context(named)?;
    peer.set_read_timeout(Some(patience))?;
    writeln!(peer, "{request}").with_context(named)?;
    let mut line = String::new();
    BufReader::new(&peer).read_line(&mut line).with_context(named)?;
    serde_json::from_str(&line).with_context(named)
}

#[cfg(test)]
#[path = "admin/tests.rs"]
mod tests;
