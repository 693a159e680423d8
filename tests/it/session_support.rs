//! Whole sessions inside the test's own process, with orders at a venue over real sockets.

use crate::lanes::{first, has, read};
use crate::pipeline_support::{config_text, root, text};
use crate::process::{look, wait};
use peregrine::base::event::{Event, Kind, ModelLoaded};
use peregrine::exchange::fault::script;
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::runtime::config;
use peregrine::runtime::session::{self, SessionOrder, SessionOutcome};
use peregrine::runtime::statement::LEDGER_PATH;
use peregrine::venue::account::Credentials;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// Where a session meets an exchange: REST, market streams, the account's stream.
pub fn urls(exchange: &ExchangeServer) -> [String; 3] {
    let ws = exchange.ws_url();
    [exchange.rest_url(), ws.clone(), format!("{ws}/private")]
}

/// An exchange with these faults from the beginning.
pub fn with_faults(script: &str) -> ServerSettings {
    ServerSettings { faults: script::parse(script).unwrap(), ..ServerSettings::default() }
}

/// The keys of its account.
pub fn credentials(exchange: &ExchangeServer) -> Option<Credentials> {
    Credentials::new(exchange.api_key().to_owned(), exchange.api_secret().to_owned())
}

/// The model that a session's journal begins with, once it is there.
#[track_caller]
pub fn loaded(journal: &Path) -> ModelLoaded {
    look("the session's opening", || {
        let lane = read(journal, 0);
        let loaded = first(&lane, Kind::ModelLoaded).map(|event| *event.body());
        loaded.ok_or_else(|| format!("{} records", lane.len()))
    })
}

/// A session with the shipped champion and its orders at the venue of these addresses, whose ledger
/// its journal is held against at the end.
pub fn order(
    state: &Path,
    [rest, ws, private]: &[String; 3],
    credentials: Option<Credentials>,
    more: &[(&str, &str, &str)],
) -> SessionOrder {
    let quoted = |text: &str| format!("\"{text}\"");
    let values = [
        ("session", "state_dir", quoted(text(state))),
        ("model", "dir", quoted(text(&root().join("models_saved")))),
        ("model", "budget_us", "1000000".to_owned()),
        // A model of chance soon loses five times in a row.
        ("rollback", "gates", quoted("")),
        ("instruments", "discover", "false".to_owned()),
        ("venue", "orders", quoted("venue")),
        ("venue", "rest_url", quoted(rest)),
        ("venue", "public_url", quoted(&format!("{ws}/public"))),
        ("venue", "market_url", quoted(&format!("{ws}/market"))),
        ("venue", "private_url", quoted(private)),
        ("http", "bind", quoted("")),
        // Tests share the machine: a session with nothing to do leaves it to the others.
        ("topology", "wait", quoted("park")),
    ];
    let changes: Vec<(&str, &str, &str)> =
        values.iter().map(|(section, key, value)| (*section, *key, value.as_str())).collect();
    let written = config_text(&[&changes[..], more].concat());
    SessionOrder {
        loaded: config::from_text("test", &written).unwrap(),
        name: "paper",
        signed: None,
        duration: None,
        stop: Arc::default(),
        kill: Arc::default(),
        credentials,
        key_rotated: false,
        statement: Some(LEDGER_PATH),
    }
}

/// A session that runs; told to end if a test fails before it ended.
pub struct Session {
    state: TempDir,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<SessionOutcome>>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Session {
    /// One in a state folder of its own, with these changes to the configuration.
    pub fn start_with(
        urls: &[String; 3],
        credentials: Option<Credentials>,
        more: &[(&str, &str, &str)],
    ) -> Self {
        let state = tempfile::tempdir().unwrap();
        let order = order(state.path(), urls, credentials, more);
        Self::run(state, order)
    }

    /// One in this state folder.
    pub fn run(state: TempDir, order: SessionOrder) -> Self {
        let stop = Arc::clone(&order.stop);
        let thread = Some(std::thread::spawn(move || session::run(order)));
        Self { state, stop, thread }
    }

    /// One at an exchange of its own that is set up so.
    pub fn at_exchange(
        settings: ServerSettings,
        more: &[(&str, &str, &str)],
    ) -> (ExchangeServer, Self) {
        let exchange = ExchangeServer::start(settings).unwrap();
        let session = Self::start_with(&urls(&exchange), credentials(&exchange), more);
        (exchange, session)
    }

    pub fn state(&self) -> &Path {
        self.state.path()
    }

    pub fn journal(&self) -> PathBuf {
        self.state.path().join("journal/0000001-paper")
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Looks at lane 0 until it is as wanted. A session that ends by itself is not waited for: its
    /// outcome says more.
    #[track_caller]
    pub fn wait(&self, mut is_there: impl FnMut(&[Event]) -> bool) {
        let is_over = || is_there(&read(&self.journal(), 0)) || self.has_ended();
        wait("what the session is to write down", is_over);
    }

    /// Looks at lane 0 until it holds such an event; the same for a session that ends.
    #[track_caller]
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&Event) -> bool) {
        wait(what, || has(&self.journal(), 0, &is_it) || self.has_ended());
    }

    /// Looks at a lane while it is being written until `is_met` says yes.
    #[track_caller]
    pub fn until(&self, what: &str, lane: usize, is_met: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        look(what, || {
            let events = read(&self.journal(), lane);
            if is_met(&events) {
                return Ok(events);
            }
            assert!(!self.has_ended(), "{what}: the session ended by itself");
            Err(format!("{} events", events.len()))
        })
    }

    /// Ends it; its state folder is there as long as it is held.
    pub fn end(mut self) -> (SessionOutcome, TempDir) {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = self.thread.take().unwrap().join().unwrap().unwrap();
        let empty = tempfile::tempdir().unwrap();
        (outcome, std::mem::replace(&mut self.state, empty))
    }
}
