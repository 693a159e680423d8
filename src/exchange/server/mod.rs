//! The exchange as a server on real sockets: starts, paces and stops the WebSocket and REST sides.
//!
//! ```text
//!   thread "exchange-ws":   clock ─► market (lock) ─► frames ─► every client's buffer ─► sockets
//!   thread "exchange-rest": request ─► market (lock) ─► answer
//! ```
//!
//! The market opens at the wall clock's time and runs with the monotonic clock, so timestamps are
//! those a live venue would send.

mod stream;

use super::spec::SymbolSpec;
use super::wire::public as rest;
use super::{MarketFrame, SyntheticMarket};
use crate::base::Nanos;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stream::StreamServer;
use tiny_http::{Header, Method, Response, Server};

/// Frames published between two looks at the sockets.
const BATCH_FRAMES_MAX: usize = 1_024;
/// Longest wait on the sockets: the grain of pacing.
const WAIT: Duration = Duration::from_millis(1);
const TEND_EVERY: Duration = Duration::from_secs(1);

/// What to serve, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// REST address; port 0 picks a free one.
    pub rest_addr: SocketAddr,
    /// WebSocket address; port 0 picks a free one.
    pub ws_addr: SocketAddr,
    /// Seed of the market.
    pub seed: u64,
    /// Its contracts.
    pub symbols: Vec<SymbolSpec>,
    /// Its frames per second over all contracts.
    pub rate: f64,
}

impl Default for ServerSettings {
    /// BTCUSDT and ETHUSDT at the default rate on free loopback ports.
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            rest_addr: loopback,
            ws_addr: loopback,
            seed: 7,
            symbols: SymbolSpec::default_pair().to_vec(),
            rate: super::flow::market::FRAMES_PER_SECOND,
        }
    }
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
    /// The system's event queue is not available.
    #[error("the system's event queue is not available: {0}")]
    Poll(std::io::Error),
    /// The REST server did not come up.
    #[error("the REST server did not start: {0}")]
    Rest(String),
    /// A thread could not be started.
    #[error("thread {name} could not be started: {source}")]
    Spawn {
        /// Its name.
        name: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// There is nothing to serve.
    #[error("symbols: at least one contract is needed")]
    NoSymbols,
}

/// A running exchange. Dropping it stops it.
#[derive(Debug)]
pub struct ExchangeServer {
    rest_addr: SocketAddr,
    ws_addr: SocketAddr,
    shared: Arc<Shared>,
    waker: Arc<mio::Waker>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    market: Mutex<SyntheticMarket>,
    opened: Instant,
    opened_at: Nanos,
    stop: AtomicBool,
    frames: AtomicU64,
    cut_off: AtomicU64,
}

impl Shared {
    fn market(&self) -> MutexGuard<'_, SyntheticMarket> {
        self.market.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wall-clock time at the opening, plus the monotonic time since.
    fn now(&self) -> Nanos {
        let since = i64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.opened_at + Nanos(since)
    }
}

impl ExchangeServer {
    /// Binds both sides and starts the market.
    ///
    /// # Errors
    /// [`ExchangeError`] naming the address or thread at fault.
    pub fn start(settings: ServerSettings) -> Result<Self, ExchangeError> {
        if settings.symbols.is_empty() {
            return Err(ExchangeError::NoSymbols);
        }
        let streams = StreamServer::bind(settings.ws_addr)?;
        let addr = settings.rest_addr;
        let bind = |source| ExchangeError::Bind { what: "REST", addr, source };
        let listener = TcpListener::bind(addr).map_err(bind)?;
        let rest_addr = listener.local_addr().map_err(bind)?;
        let ws_addr = streams.local_addr().map_err(ExchangeError::Poll)?;
        let http = Server::from_listener(listener, None)
            .map_err(|error| ExchangeError::Rest(error.to_string()))?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let opened_at = Nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(0));
        let market =
            SyntheticMarket::with_rate(settings.seed, &settings.symbols, opened_at, settings.rate);
        let shared = Arc::new(Shared {
            market: Mutex::new(market),
            opened: Instant::now(),
            opened_at,
            stop: AtomicBool::new(false),
            frames: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
        });
        let waker = streams.waker();
        let mut server = Self { rest_addr, ws_addr, waker, threads: Vec::new(), shared };
        let shared = Arc::clone(&server.shared);
        server.spawn("exchange-ws", move || run_streams(streams, &shared))?;
        let shared = Arc::clone(&server.shared);
        server.spawn("exchange-rest", move || run_rest(&http, &shared))?;
        Ok(server)
    }

    /// `http://host:port` of the REST side.
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.rest_addr)
    }

    /// `ws://host:port` of the WebSocket side; routes and streams go behind it.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.ws_addr)
    }

    /// Frames published so far.
    pub fn frames(&self) -> u64 {
        self.shared.frames.load(Ordering::Relaxed)
    }

    /// Clients cut off so far because they did not read.
    pub fn cut_off(&self) -> u64 {
        self.shared.cut_off.load(Ordering::Relaxed)
    }

    /// Stops both sides and waits for their threads.
    pub fn stop(mut self) {
        self.halt();
    }

    fn spawn(
        &mut self,
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), ExchangeError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(|source| ExchangeError::Spawn { name, source })?);
        Ok(())
    }

    fn halt(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Failure to wake costs one WAIT, no more.
        let _ = self.waker.wake();
        for thread in self.threads.drain(..) {
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

fn run_streams(mut streams: StreamServer, shared: &Shared) {
    let mut tended = Instant::now();
    while !shared.stop.load(Ordering::Acquire) {
        let published = publish_due(&mut streams, shared);
        streams.flush();
        let behind = published == BATCH_FRAMES_MAX;
        let wait = if behind { Duration::ZERO } else { WAIT };
        if let Err(error) = streams.poll(wait) {
            tracing::error!(%error, "the exchange's sockets cannot be polled; its streams end");
            return;
        }
        shared.cut_off.store(streams.cut_off(), Ordering::Relaxed);
        if tended.elapsed() >= TEND_EVERY {
            tended = Instant::now();
            streams.tend(tended);
        }
    }
}

fn publish_due(streams: &mut StreamServer, shared: &Shared) -> usize {
    let mut market = shared.market();
    let now = shared.now();
    let mut published = 0;
    while published < BATCH_FRAMES_MAX && market.peek() <= now {
        let frame: MarketFrame<'_> = market.step();
        streams.publish(&frame);
        published += 1;
    }
    shared.frames.fetch_add(published as u64, Ordering::Relaxed);
    published
}

fn run_rest(http: &Server, shared: &Shared) {
    let mut minute = Nanos::ZERO;
    let mut used = 0_u32;
    while !shared.stop.load(Ordering::Acquire) {
        let request = match http.recv_timeout(Duration::from_millis(50)) {
            Ok(Some(request)) => request,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(%error, "the exchange's REST side ended");
                return;
            }
        };
        let now = shared.now();
        if now.floor_to(Nanos::from_secs(60)) != minute {
            (minute, used) = (now.floor_to(Nanos::from_secs(60)), 0);
        }
        let answer = if *request.method() == Method::Get {
            rest::get(request.url(), &shared.market(), now)
        } else {
            rest::no_such_method()
        };
        used += answer.weight;
        // The venue answers with a length, never in chunks.
        let mut response = Response::from_data(answer.body)
            .with_status_code(answer.status)
            .with_chunked_threshold(usize::MAX);
        for (name, value) in [
            ("content-type", "application/json;charset=UTF-8".to_owned()),
            ("x-mbx-used-weight-1m", used.to_string()),
        ] {
            if let Ok(header) = Header::from_bytes(name.as_bytes(), value.as_bytes()) {
                response.add_header(header);
            }
        }
        // A client that went away needs no answer.
        let _ = request.respond(response);
    }
}
