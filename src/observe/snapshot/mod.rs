//! What the pages show: one plain struct that the runtime fills a few times a second and hands over
//! whole. Readers take a reference to the newest one; a stage never sees it.

mod machine;
mod rollback;
mod trade;

use super::alerts::board::{AlertView, AlertingView};
pub use super::controls::ControlView;
pub use super::journal_view::{JournalView, LaneView};
use super::latency::{HopTotals, LatencyView};
use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use machine::{CounterValues, ResourceView, RingView, SessionView, ThreadView};
pub use rollback::{RollbackLimit, RollbackView};
pub use trade::{
    AccountView, EquityPoint, FeedView, FillView, LimitView, MarketView, ModelView, OrderView,
    PerformanceView, PositionView, ShadowLag, ShadowView, SymbolView,
};

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
    /// How well it trades.
    pub performance: PerformanceView,
    /// Profit by instrument.
    pub symbols: Vec<SymbolView>,
    /// Open positions.
    pub positions: Vec<PositionView>,
    /// What market data and the account's stream come by.
    pub feed: FeedView,
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
    /// What judges the champion.
    pub rollback: RollbackView,
    /// Challengers against the champion.
    pub shadow: Vec<ShadowView>,
    /// How far they are behind.
    pub shadow_lag: ShadowLag,
    /// The histograms behind the percentiles since start.
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
    /// Newest records of the journal that tell what was decided and what happened, each as the
    /// journal's dump renders it.
    #[serde(skip)]
    pub tail: VecDeque<Arc<Value>>,
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

    /// Adds an order, or replaces the one of the same id. When the list is full the oldest goes
    /// that is no longer open, or the oldest of all where every one is.
    pub fn note_order(&mut self, order: OrderView) {
        if let Some(known) = self.orders.iter_mut().rev().find(|o| o.client_id == order.client_id) {
            *known = order;
            return;
        }
        if self.orders.len() >= ROWS_SHOWN_MAX {
            let ended = self.orders.iter().position(|known| !known.open);
            self.orders.remove(ended.unwrap_or(0));
        }
        self.orders.push_back(order);
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
