//! The exchange as a server on real sockets: one thread, one loop, two addresses that both take
//! plain requests and WebSocket connections.
//!
//! ```text
//!   thread "exchange":  REST address ─┐                    ┌─► answers
//!                                     ├─► reactor ─► Exchange
//!                       WS address ───┘       ▲            └─► streams
//!                                           clock: real, or stepped by POST /sim/step
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `reactor` | the loop |
//! | `serve` | requests, upgrades, messages |
//! | `tend` | deadlines |
//! | `strike` | faults on the wire |
//! | `admin` | `/sim` |
//! | `client` | one connection |
//! | `http1` | requests out of bytes |
//! | `page` | answers as bytes |
//! | `frame` | WebSocket frames as bytes |
//! | `outlet` | bytes on their way out |
//! | `clock` | how time passes |
//! | `config` | the configuration file |
//! | `limits` | what a client may do |

pub mod admin;
pub mod client;
pub mod clock;
pub mod config;
pub mod frame;
pub mod http1;
pub mod limits;
pub mod outlet;
pub mod page;
pub mod reactor;
mod serve;
mod strike;
mod tend;

use super::account::{AccountSettings, Credential};
use super::fault::{Fault, Faults, world};
use super::flow::recording::Recording;
use super::flow::replay::{Pace, Replay};
use super::spec::SymbolSpec;
use super::venue::{Exchange, ExchangeSettings};
use super::wire::keys::letter_of;
use super::wire::limits::LimitSettings;
use crate::base::Money;
use crate::venue::capture::CaptureError;
pub use clock::ClockMode;
pub use limits::Limits;
use reactor::{Reactor, SimGuard};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// What to serve, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// REST address; port 0 picks a free one.
    pub rest_addr: SocketAddr,
    /// WebSocket address; port 0 picks a free one.
    pub ws_addr: SocketAddr,
    /// Addresses that are not loopback may be bound.
    pub allow_remote: bool,
    /// What `X-Sim-Token` must say where they are; `None` shuts the admin endpoints then.
    pub sim_token: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// The contracts.
    pub symbols: Vec<SymbolSpec>,
    /// Market frames per second over all contracts.
    pub rate: f64,
    /// The accounts; none stands for one with the key that [`default_key`] gives.
    pub accounts: Vec<AccountSettings>,
    /// USDT paid in to the account that stands in for none.
    pub deposit: Money,
    /// How time passes.
    pub clock: ClockMode,
    /// What is to go wrong.
    pub faults: Vec<Fault>,
    /// Bounds of connections.
    pub limits: Limits,
    /// What callers may ask for in a minute.
    pub request_limits: LimitSettings,
    /// Recorded data that drives the market instead of its own order flow; its symbols are the
    /// contracts then.
    pub replay: Option<ReplaySettings>,
}

/// Recorded data to replay.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplaySettings {
    /// Captures: files, or folders of them.
    pub paths: Vec<PathBuf>,
    /// How fast.
    pub pace: Pace,
}

impl Default for ServerSettings {
    /// BTCUSDT and ETHUSDT at the default rate on free loopback ports.
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            rest_addr: loopback,
            ws_addr: loopback,
            allow_remote: false,
            sim_token: None,
            seed: 7,
            symbols: SymbolSpec::default_pair().to_vec(),
            rate: super::flow::market::FRAMES_PER_SECOND,
            accounts: Vec::new(),
            deposit: Money::whole(10_000),
            clock: ClockMode::Real,
            faults: Vec::new(),
            limits: Limits::default(),
            request_limits: LimitSettings::default(),
            replay: None,
        }
    }
}

/// Leverage of the account that stands in for none.
const DEFAULT_LEVERAGE: u32 = 20;

/// The API key and its secret where no account is given: 64 letters and digits each, fixed by the
/// seed.
pub fn default_key(seed: u64) -> (String, String) {
    let mut state = xxhash_rust::xxh3::xxh3_64(format!("account key {seed}").as_bytes());
    let mut text = || -> String {
        let letter = |_| {
            state = xxhash_rust::xxh3::xxh3_64(&state.to_le_bytes());
            letter_of(state)
        };
        (0..64).map(letter).collect()
    };
    (text(), text())
}

/// Why the exchange could not start.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// An address is taken or not ours.
    #[error("{what} address {addr} cannot be bound: {source}")]
    Bind {
        /// Which side.
        what: &'static str,
        /// The address asked for.
        addr: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An address can be reached from elsewhere.
    #[error("address {0} is not loopback; it must be allowed explicitly")]
    Remote(SocketAddr),
    /// The system's event queue is not available.
    #[error("the system's event queue is not available: {0}")]
    Poll(std::io::Error),
    /// A thread could not be started.
    #[error("thread {name} could not be started: {source}")]
    Spawn {
        /// Its name.
        name: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// What is to be replayed cannot be read.
    #[error("replay: {0}")]
    Replay(#[from] CaptureError),
    /// A fault cannot be carried out here.
    #[error("fault[{0}].{1}")]
    Fault(usize, String),
    /// There is nothing to serve.
    #[error("symbols: at least one contract is needed")]
    NoSymbols,
}

/// What the running thread shows to the handle.
#[derive(Debug, Default)]
pub struct Shared {
    stop: AtomicBool,
    frames: AtomicU64,
    cut_off: AtomicU64,
    clients: AtomicUsize,
}

/// A running exchange. Dropping it stops it.
#[derive(Debug)]
pub struct ExchangeServer {
    addrs: [SocketAddr; 2],
    key: (String, String),
    shared: Arc<Shared>,
    waker: Arc<mio::Waker>,
    thread: Option<JoinHandle<()>>,
}

impl ExchangeServer {
    /// Binds both addresses and opens the exchange.
    ///
    /// # Errors
    /// [`ExchangeError`] naming the address or thread at fault.
    pub fn start(settings: ServerSettings) -> Result<Self, ExchangeError> {
        if settings.symbols.is_empty() && settings.replay.is_none() {
            return Err(ExchangeError::NoSymbols);
        }
        let addrs = [settings.rest_addr, settings.ws_addr];
        let remote = addrs.into_iter().find(|addr| !addr.ip().is_loopback());
        if let Some(addr) = remote
            && !settings.allow_remote
        {
            return Err(ExchangeError::Remote(addr));
        }
        let accounts = accounts(&settings);
        let key = key_of(&accounts);
        let (clock, opened_at) = settings.clock.start();
        let opening = ExchangeSettings {
            seed: settings.seed,
            symbols: settings.symbols,
            rate: settings.rate,
            opened_at,
            accounts,
        };
        let mut exchange = match settings.replay {
            None => Exchange::new(&opening),
            Some(ReplaySettings { paths, pace }) => {
                let replay = Replay::new(Recording::open(&paths)?, pace, opened_at);
                Exchange::replaying(&opening, replay)
            }
        };
        exchange.limits.settings = settings.request_limits;
        let (mut reactor, waker, addrs) = Reactor::new(addrs, exchange, clock, settings.limits)?;
        reactor.faults = Faults::new(settings.seed, opened_at);
        for (i, fault) in settings.faults.into_iter().enumerate() {
            world::check(&reactor.exchange, &fault).map_err(|why| ExchangeError::Fault(i, why))?;
            reactor.faults.add(fault);
        }
        reactor.sim_guard = match (remote, settings.sim_token) {
            (None, _) => SimGuard::Open,
            (Some(_), Some(token)) => SimGuard::Token(token),
            (Some(_), None) => SimGuard::Shut,
        };
        let shared = Arc::clone(&reactor.shared);
        let name = "exchange";
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(|| reactor.run());
        let thread = thread.map_err(|source| ExchangeError::Spawn { name, source })?;
        Ok(Self { addrs, key, shared, waker, thread: Some(thread) })
    }

    /// `http://host:port` of the REST side.
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.addrs[0])
    }

    /// `ws://host:port` of the WebSocket side; routes and streams go behind it.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.addrs[1])
    }

    /// Address of the trading WebSocket API.
    pub fn api_url(&self) -> String {
        format!("{}/ws-fapi/v1", self.ws_url())
    }

    /// API key of the first account.
    pub fn api_key(&self) -> &str {
        &self.key.0
    }

    /// Its secret; empty where the account signs with a key of its own.
    pub fn api_secret(&self) -> &str {
        &self.key.1
    }

    /// Texts sent to WebSocket clients so far.
    pub fn frames(&self) -> u64 {
        self.shared.frames.load(Ordering::Relaxed)
    }

    /// Clients cut off so far because they did not read.
    pub fn cut_off(&self) -> u64 {
        self.shared.cut_off.load(Ordering::Relaxed)
    }

    /// Stops it and waits for its thread.
    pub fn stop(mut self) {
        self.halt();
    }

    /// True while it serves: its thread may end by itself when the system fails it.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn halt(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Where the waker fails the thread has ended.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

impl Drop for ExchangeServer {
    fn drop(&mut self) {
        self.halt();
    }
}

fn accounts(settings: &ServerSettings) -> Vec<AccountSettings> {
    if !settings.accounts.is_empty() {
        return settings.accounts.clone();
    }
    let (key, secret) = default_key(settings.seed);
    vec![AccountSettings {
        keys: vec![(key, Credential::Hmac(secret))],
        deposit: settings.deposit,
        leverage: DEFAULT_LEVERAGE,
    }]
}

fn key_of(accounts: &[AccountSettings]) -> (String, String) {
    let first = accounts.first().and_then(|account| account.keys.first());
    match first {
        Some((key, Credential::Hmac(secret))) => (key.clone(), secret.clone()),
        Some((key, Credential::Ed25519(_))) => (key.clone(), String::new()),
        None => Default::default(),
    }
}
