//! What the pages show: one plain struct that the runtime fills a few times a second and hands over
//! whole. Readers take a reference to the newest one; a stage never sees it.

use super::alerts::board::{AlertView, AlertingView};
pub use super::controls::ControlView;
pub use super::journal_view::{JournalView, LaneView};
use super::latency::{HopTotals, LatencyView};
use crate::base::counters::{Counter, Counters};
use crate::base::{Money, Px, Qty};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Orders, fills and alerts shown at most, newest last: a page, not an archive. The journal has
/// all.
pub const ROWS_SHOWN_MAX: usize = 200;
/// Points of the equity curve. When they are used up every other one goes, so the curve spans the
/// whole session at a resolution that halves.
pub const EQUITY_POINTS_MAX: usize = 2_048;

/// Everything the observer tells the outside at one instant.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Who is running.
    pub session: SessionView,
    /// The trading state's name: `reconciling`, `active`, `reducing`, `halted`, `killed`.
    pub trading_state: &'static str,
    /// Why the service is not ready; empty means ready.
    pub not_ready: Vec<NotReady>,
    /// Each thread's heartbeat.
    pub threads: Vec<ThreadView>,
    /// Each ring's fill.
    pub rings: Vec<RingView>,
    /// The process's use of the machine.
    pub resources: ResourceView,
    /// The journal's condition.
    pub journal: JournalView,
    /// The counters' values.
    pub counters: CounterValues,
    /// Hop percentiles since start.
    #[serde(rename = "latency_ns")]
    pub latency: LatencyView,
    /// Hop percentiles of the last interval.
    #[serde(rename = "latency_recent_ns")]
    pub latency_recent: LatencyView,
    /// Money.
    pub account: AccountView,
    /// Open positions.
    pub positions: Vec<PositionView>,
    /// The market as inference sees it.
    pub markets: Vec<MarketView>,
    /// Limits and how much of each is used.
    pub risk: Vec<LimitView>,
    /// Share of the policy's size that entries have, in percent.
    pub size_percent: u32,
    /// Every check and breaker with its counts.
    pub controls: Vec<ControlView>,
    /// Models that decide or watch.
    pub models: Vec<ModelView>,
    /// Challengers against the champion.
    pub shadow: Vec<ShadowView>,
    /// The histograms behind them.
    #[serde(skip)]
    pub histograms: Arc<HopTotals>,
    /// Newest orders.
    #[serde(skip)]
    pub orders: VecDeque<OrderView>,
    /// Newest fills.
    #[serde(skip)]
    pub fills: VecDeque<FillView>,
    /// The equity curve.
    #[serde(skip)]
    pub equity: Vec<EquityPoint>,
    /// Newest alerts.
    #[serde(skip)]
    pub alerts: VecDeque<AlertView>,
    /// What became of them.
    pub alerting: AlertingView,
}

impl Snapshot {
    /// True when nothing stands against trading.
    pub fn is_ready(&self) -> bool {
        self.not_ready.is_empty()
    }

    /// True while every thread's heart beats.
    pub fn is_healthy(&self) -> bool {
        self.threads.iter().all(|thread| thread.beating)
    }

    /// Adds an order, or replaces the one of the same id; the oldest goes when the list is full.
    pub fn note_order(&mut self, order: OrderView) {
        match self.orders.iter_mut().rev().find(|known| known.client_id == order.client_id) {
            Some(known) => *known = order,
            None => push_bounded(&mut self.orders, order),
        }
    }

    /// Adds a fill; the oldest goes when the list is full.
    pub fn note_fill(&mut self, fill: FillView) {
        push_bounded(&mut self.fills, fill);
    }

    /// Adds a point to the equity curve, thinning the curve when it is full.
    pub fn note_equity(&mut self, point: EquityPoint) {
        if self.equity.len() >= EQUITY_POINTS_MAX {
            let mut keep = false;
            self.equity.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.equity.push(point);
    }
}

fn push_bounded<T>(rows: &mut VecDeque<T>, row: T) {
    if rows.len() >= ROWS_SHOWN_MAX {
        rows.pop_front();
    }
    rows.push_back(row);
}

/// Who is running.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SessionView {
    /// Version of the program.
    pub version: &'static str,
    /// `demo`, `backtest`, `paper`, `testnet` or `live`.
    pub mode: &'static str,
    /// The journal's folder.
    pub journal: String,
    /// Start in nanoseconds since the epoch.
    pub started_ns: i64,
    /// When this snapshot was taken, nanoseconds since the epoch.
    pub taken_ns: i64,
    /// Seconds since start.
    pub uptime_seconds: f64,
}

/// One thing that stands against trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotReady {
    /// The session is not up yet.
    Starting,
    /// A traded instrument's book is invalid.
    BookInvalid,
    /// Market data is older than allowed.
    MarketStale,
    /// The private stream is down or silent.
    PrivateStreamStale,
    /// Orders and positions are not reconciled with the venue.
    Unreconciled,
    /// The running model is not the verified one.
    ModelUnverified,
    /// The clock is off by more than allowed, or not synchronised.
    ClockOff,
    /// The journal cannot be written or lags.
    JournalBehind,
    /// Trading is halted.
    Halted,
    /// Trading is killed.
    Killed,
    /// A thread's heart stopped.
    ThreadStopped,
}

impl NotReady {
    /// The name used in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            NotReady::Starting => "starting",
            NotReady::BookInvalid => "book_invalid",
            NotReady::MarketStale => "market_stale",
            NotReady::PrivateStreamStale => "private_stream_stale",
            NotReady::Unreconciled => "unreconciled",
            NotReady::ModelUnverified => "model_unverified",
            NotReady::ClockOff => "clock_off",
            NotReady::JournalBehind => "journal_behind",
            NotReady::Halted => "halted",
            NotReady::Killed => "killed",
            NotReady::ThreadStopped => "thread_stopped",
        }
    }
}

/// One thread's heartbeat.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ThreadView {
    /// Name of the thread, such as `feed`.
    pub name: &'static str,
    /// The core it is pinned to; `None` when it floats.
    pub core: Option<usize>,
    /// Turns of its loop since start.
    pub turns: u64,
    /// True when the turns rose within the allowed time.
    pub beating: bool,
    /// Seconds since the turns were last seen to rise.
    pub silent_seconds: f64,
}

/// One ring's fill.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RingView {
    /// `<producer>_<consumer>`.
    pub name: &'static str,
    /// Events in it.
    pub occupied: usize,
    /// Events it holds.
    pub capacity: usize,
}

/// The process's use of the machine.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ResourceView {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Processor time used since start, in seconds.
    pub cpu_seconds: f64,
    /// Free bytes where the journal lives.
    pub disk_free_bytes: u64,
}

/// The counters' values at one instant. Serialises as `{name: value}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterValues([u64; Counter::ALL.len()]);

impl Default for CounterValues {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl CounterValues {
    /// Reads every counter once.
    pub fn read(counters: &Counters) -> Self {
        let mut values = Self::default();
        for &counter in Counter::ALL {
            values.0[counter as usize] = counters.get(counter);
        }
        values
    }

    /// One counter's value.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }
}

impl Serialize for CounterValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Counter::ALL.len()))?;
        for &counter in Counter::ALL {
            map.serialize_entry(counter.name(), &self.get(counter))?;
        }
        map.end()
    }
}

/// Money, in quote currency.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct AccountView {
    /// Balance plus unrealised profit.
    #[serde(serialize_with = "money")]
    pub equity: Money,
    /// Net profit since session start: realised + unrealised − fees + funding.
    #[serde(serialize_with = "money")]
    pub pnl_quote: Money,
    /// Closed profit before fees and funding.
    #[serde(serialize_with = "money")]
    pub realised: Money,
    /// Open profit at the mark price.
    #[serde(serialize_with = "money")]
    pub unrealised: Money,
    /// Fees paid (below zero: received).
    #[serde(serialize_with = "money")]
    pub fees: Money,
    /// Funding received (below zero: paid).
    #[serde(serialize_with = "money")]
    pub funding: Money,
    /// Fall of the equity from its peak, as a fraction of the peak.
    pub drawdown_ratio: f64,
    /// Largest fall so far.
    pub drawdown_ratio_max: f64,
    /// Sharpe ratio of the session, annualised; `None` while there is too little to tell.
    pub sharpe: Option<f64>,
}

/// One open position.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PositionView {
    /// The instrument's symbol.
    pub symbol: String,
    /// Signed quantity.
    #[serde(serialize_with = "qty")]
    pub qty: Qty,
    /// Average entry price.
    #[serde(serialize_with = "px")]
    pub entry_px: Px,
    /// Price it is valued at.
    #[serde(serialize_with = "px")]
    pub mark_px: Px,
    /// Open profit.
    #[serde(serialize_with = "money")]
    pub unrealised: Money,
}

/// The market of one instrument.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MarketView {
    /// The instrument's symbol.
    pub symbol: String,
    /// Best bid.
    #[serde(serialize_with = "px")]
    pub bid_px: Px,
    /// Best ask.
    #[serde(serialize_with = "px")]
    pub ask_px: Px,
    /// The venue's mark price.
    #[serde(serialize_with = "px")]
    pub mark_px: Px,
    /// True while the book may be priced from.
    pub book_valid: bool,
    /// Age of the newest event in seconds.
    pub age_seconds: f64,
    /// Newest probabilities of down, flat, up.
    pub probability: Option<[f32; 3]>,
}

/// One limit and its use, in the limit's own unit.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LimitView {
    /// Name of the limit as in the configuration.
    pub name: &'static str,
    /// Unit: `quote`, `bps`, `count`, `ms`.
    pub unit: &'static str,
    /// What is used.
    pub used: f64,
    /// What is allowed; `None` is unset, which denies.
    pub limit: Option<f64>,
    /// True while it stops trading.
    pub tripped: bool,
}

/// One model.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelView {
    /// Version name.
    pub version: String,
    /// `champion` or `challenger`.
    pub stage: &'static str,
    /// SHA-256 of the model file in hex.
    pub sha256: String,
    /// `native` or `tract`.
    pub executor: &'static str,
    /// True when file, card and golden vectors agreed at load.
    pub verified: bool,
    /// Predictions made.
    pub predictions: u64,
}

/// One challenger against the champion.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShadowView {
    /// The challenger's version.
    pub version: String,
    /// Decisions compared.
    pub decisions: u64,
    /// Share of equal decisions.
    pub agreement_ratio: f64,
    /// Its simulated profit.
    #[serde(serialize_with = "money")]
    pub pnl_quote: Money,
    /// Its Sharpe ratio; `None` while there is too little to tell.
    pub sharpe: Option<f64>,
}

/// One order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrderView {
    /// Our id in text form.
    pub client_id: String,
    /// When it was last touched, nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The instrument's symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Limit price.
    #[serde(serialize_with = "px")]
    pub px: Px,
    /// Quantity.
    #[serde(serialize_with = "qty")]
    pub qty: Qty,
    /// Filled so far.
    #[serde(serialize_with = "qty")]
    pub cum_qty: Qty,
    /// Name of its state.
    pub state: &'static str,
    /// Name of the reason, empty when there is none.
    pub reason: &'static str,
}

/// One fill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FillView {
    /// Our order's id in text form.
    pub client_id: String,
    /// When, nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The instrument's symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Price.
    #[serde(serialize_with = "px")]
    pub px: Px,
    /// Quantity.
    #[serde(serialize_with = "qty")]
    pub qty: Qty,
    /// Fee; below zero is a rebate.
    #[serde(serialize_with = "money")]
    pub fee: Money,
    /// True when we were the maker.
    pub maker: bool,
}

/// One point of the equity curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EquityPoint {
    /// When, nanoseconds since the epoch.
    pub ts_ns: i64,
    /// Equity.
    #[serde(serialize_with = "money")]
    pub equity: Money,
}

/// Where the newest snapshot is handed over. Only cold threads touch it; the lock is held for the
/// copy of a pointer.
#[derive(Debug)]
pub struct SnapshotCell {
    newest: Mutex<(Arc<Snapshot>, Instant)>,
}

impl Default for SnapshotCell {
    fn default() -> Self {
        Self::new()
    }
}

impl SnapshotCell {
    /// Holds a snapshot that is not ready because nothing has started.
    pub fn new() -> Self {
        let starting = Snapshot {
            trading_state: "reconciling",
            not_ready: vec![NotReady::Starting],
            ..Snapshot::default()
        };
        Self { newest: Mutex::new((Arc::new(starting), Instant::now())) }
    }

    /// Replaces the newest snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = (Arc::new(snapshot), Instant::now());
    }

    /// The newest snapshot and its age.
    pub fn load(&self) -> (Arc<Snapshot>, Duration) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&newest.0), newest.1.elapsed())
    }
}

fn px<S: Serializer>(value: &Px, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_f64())
}

fn qty<S: Serializer>(value: &Qty, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_f64())
}

fn money<S: Serializer>(value: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_f64())
}
