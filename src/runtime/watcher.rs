//! The observer's loop: takes what the taps, counters, histograms and heartbeats show, keeps a
//! snapshot, and hands it to the page a few times a second. It never waits on a stage.

use super::clock::wall_now;
use super::controls::Controls;
use super::heartbeat::Heartbeat;
use super::measures::{DiskPlan, Measures, resources};
use super::readiness::Readiness;
use super::secret;
use super::session::command_channel;
use crate::base::counters::{Counter, Counters};
use crate::base::event::{
    BookState, BookTicker, Breaker, Command, Event, Kind, MarkPrice, Order, OrderReport,
    OrderState, Position, Prediction, SizeChange, StateChange, flags,
};
use crate::base::settings::HttpSettings as HttpWanted;
use crate::base::units::{Money, Px, Qty};
use crate::base::{ClientOrderId, Control, Level, Reason, Side, Symbol};
use crate::execution::OrderState as State;
use crate::journal::{JournalHealth, LANES, Recorder};
use crate::observe::alerts::board::AlertBoard;
use crate::observe::http::{HttpServer, HttpSettings};
use crate::observe::snapshot::{
    AccountView, CounterValues, EquityPoint, FillView, JournalView, MarketView, ModelView,
    OrderView, PositionView, RingView, SessionView, ThreadView,
};
use crate::observe::{HopCollector, LatencyView, Snapshot, SnapshotCell};
use crate::risk::{self, Origin, TradingState, Verb};
use anyhow::{Context, Result};
use crossbeam::channel::{Receiver, Sender};
use rtrb::Consumer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Milliseconds of one turn.
pub const TURN_MS: u32 = 50;
/// One turn of the loop.
const TURN: Duration = Duration::from_millis(TURN_MS as u64);
/// Turns between two snapshots.
const TURNS_PER_SNAPSHOT: u64 = 5;
/// The ring that each pinned thread empties, in topology order.
const RINGS: [&str; 4] = ["execution_feed", "feed_inference", "inference_risk", "risk_execution"];
/// Longest time a pinned thread may go without a turn.
const HEARTBEAT_MAX: Duration = Duration::from_secs(2);

/// What the observer reads.
pub struct Watched {
    /// `demo` or `paper`.
    pub name: &'static str,
    /// The journal's folder.
    pub journal: String,
    /// The journal's health.
    pub health: Arc<JournalHealth>,
    /// The counters.
    pub counters: Arc<Counters>,
    /// The histograms' collector.
    pub collector: HopCollector,
    /// Lane 4: what the histograms are made of.
    pub stamps: Option<Recorder>,
    /// Threads by name and core.
    pub heartbeats: Vec<(&'static str, Option<usize>, Arc<Heartbeat>)>,
    /// Lossy views of lanes 0 to 3.
    pub taps: Vec<Consumer<Event>>,
    /// Symbols in table order.
    pub symbols: Vec<Symbol>,
    /// Equity the session began with.
    pub starting_equity: Money,
    /// What `/readiness` is made of.
    pub readiness: Readiness,
    /// What runs the model.
    pub executor: &'static str,
    /// What the journal takes of its disk.
    pub disk: DiskPlan,
    /// The model's version and SHA-256.
    pub model: (String, String),
    /// Alerts, as their own threads raise them.
    pub board: Arc<AlertBoard>,
}

/// See the head of this file.
pub struct Watcher {
    watched: Watched,
    page: Snapshot,
    cell: Arc<SnapshotCell>,
    commands: Option<Receiver<Command>>,
    river: Sender<Command>,
    server: Option<HttpServer>,
    beats: Vec<(u64, Instant)>,
    started: Instant,
    turns: u64,
    peak: Money,
    measures: Measures,
    controls: Controls,
    /// Newest position record of each instrument.
    money: Vec<Position>,
    /// What killed, as far as it was seen.
    killed_by: Option<Command>,
}

impl Watcher {
    /// Starts the page, if one is wanted.
    ///
    /// # Errors
    /// When the address cannot be used and the page is not optional.
    pub fn start(http: &HttpWanted, watched: Watched) -> Result<Self> {
        let (sender, receiver) = command_channel();
        let river = sender.clone();
        let cell = Arc::new(SnapshotCell::new());
        let server = if http.bind.is_empty() {
            None
        } else {
            let settings = HttpSettings {
                addr: http.bind.parse().context("http.bind")?,
                token: secret::read("PEREGRINE_HTTP_TOKEN")?.map(Into::into),
                hosts: Vec::new(),
                ..HttpSettings::default()
            };
            if http.optional {
                HttpServer::start_if_free(settings, Arc::clone(&cell), sender)?
            } else {
                Some(HttpServer::start(settings, Arc::clone(&cell), sender)?)
            }
        };
        if let Some(server) = &server {
            tracing::info!(page = %format!("http://{}/", server.addr()), "status page");
        }
        let now = Instant::now();
        let page = first_page(&watched);
        let beats = watched.heartbeats.iter().map(|_| (0, now)).collect();
        let peak = watched.starting_equity;
        let commands = Some(receiver);
        let money = vec![Position::default(); watched.symbols.len()];
        Ok(Self {
            money,
            killed_by: None,
            measures: Measures::new(watched.disk, watched.heartbeats.len(), now),
            controls: Controls::new(now),
            watched,
            page,
            cell,
            commands,
            river,
            server,
            beats,
            started: now,
            turns: 0,
            peak,
        })
    }

    /// Where commands come out; once.
    pub fn commands(&mut self) -> Receiver<Command> {
        self.commands.take().unwrap_or_else(|| command_channel().1)
    }

    /// What an operator's desk needs: the way commands go, and the page.
    pub fn desk(&self) -> (Sender<Command>, Arc<SnapshotCell>) {
        (self.river.clone(), Arc::clone(&self.cell))
    }

    /// One turn, about 50 ms.
    pub fn turn(&mut self) {
        std::thread::sleep(TURN);
        self.turns += 1;
        self.read_taps();
        self.collect();
        let Watched { heartbeats, collector, health, .. } = &mut self.watched;
        if let Some(river) = heartbeats.first().map(|(_, _, heart)| Arc::clone(heart)) {
            let recent = self.measures.turn(Instant::now(), heartbeats, collector, health, &river);
            if let Some(recent) = recent {
                self.page.latency_recent = recent;
            }
        }
        if self.turns.is_multiple_of(TURNS_PER_SNAPSHOT) {
            self.publish();
        }
    }

    /// What killed, as far as the taps showed it: a command, or the breaker's reason.
    pub const fn killed_by(&self) -> Option<Command> {
        self.killed_by
    }

    /// Shows on the page what the taps brought until now.
    pub fn look(&mut self) {
        self.read_taps();
        self.publish();
    }

    /// Stops the page and gives the percentiles since start, and what writes lane 4.
    pub fn finish(mut self) -> (LatencyView, Option<Recorder>) {
        self.server = None;
        self.collect();
        (self.watched.collector.since_start(), self.watched.stamps)
    }

    /// Takes in what the threads measured. A lane that takes no record misses it and nothing else.
    fn collect(&mut self) {
        let Watched { collector, stamps, .. } = &mut self.watched;
        match stamps {
            Some(lane) => collector.collect_stamps(wall_now(), &mut |e| lane.append(e).is_ok()),
            None => collector.collect(),
        }
    }

    fn read_taps(&mut self) {
        for i in 0..self.watched.taps.len() {
            while let Ok(event) = self.watched.taps[i].pop() {
                self.note(&event);
            }
        }
    }

    fn note(&mut self, event: &Event) {
        self.watched.readiness.note(event);
        let place = event.instrument as usize;
        match event.kind() {
            Some(Kind::BookTicker) => {
                let body: &BookTicker = event.body();
                self.touch(place, body.bid_px, body.ask_px, event);
            }
            Some(Kind::Prediction) => {
                let body: &Prediction = event.body();
                // A decision on a trade does not make an old quote new.
                let at = if body.ts_quote > 0 { body.ts_quote } else { event.ts_recv };
                let quoted = Event { ts_recv: at.min(event.ts_recv), ..*event };
                self.touch(place, body.bid_px, body.ask_px, &quoted);
                if let Some(market) = self.page.markets.get_mut(place) {
                    market.probability = Some(body.probability);
                }
            }
            Some(Kind::BookState) => {
                let body: &BookState = event.body();
                if let Some(market) = self.page.markets.get_mut(place) {
                    market.book_valid = event.has(flags::ON);
                }
                if event.has(flags::ON) {
                    self.touch(place, body.bid_px, body.ask_px, event);
                }
            }
            Some(Kind::MarkPrice) => {
                if let Some(market) = self.page.markets.get_mut(place) {
                    market.mark_px = Px(event.body::<MarkPrice>().mark_px);
                }
            }
            Some(Kind::Position) => self.note_position(place, event),
            Some(Kind::StateChange) => self.note_state(event),
            Some(Kind::Command) => self.note_command(event),
            Some(Kind::Breaker) => self.note_breaker(event),
            Some(Kind::SizeChange) => {
                self.page.size_percent = event.body::<SizeChange>().percent;
            }
            Some(Kind::OrderIntent | Kind::OrderState) => self.note_order(event),
            Some(Kind::OrderFilled) => self.note_fill(event),
            _ => {}
        }
    }

    fn touch(&mut self, place: usize, bid: i64, ask: i64, event: &Event) {
        if let Some(market) = self.page.markets.get_mut(place) {
            (market.bid_px, market.ask_px) = (Px(bid), Px(ask));
            // The receive time for now; an age when the snapshot is taken.
            market.age_seconds = event.ts_recv as f64;
        }
    }

    fn symbol(&self, place: usize) -> String {
        self.watched.symbols.get(place).map(ToString::to_string).unwrap_or_default()
    }

    fn note_position(&mut self, place: usize, event: &Event) {
        let body: &Position = event.body();
        if let Some(view) = self.page.positions.get_mut(place) {
            view.qty = Qty(body.qty);
            view.entry_px = Px(body.avg_px);
            view.mark_px = Px(body.mark_px);
            view.unrealised = Money(body.unrealised);
        }
        if let Some(known) = self.money.get_mut(place) {
            *known = *body;
        }
        let account = &mut self.page.account;
        let sum = |part: fn(&Position) -> i64| Money(self.money.iter().map(part).sum());
        account.realised = sum(|p| p.realised);
        account.unrealised = sum(|p| p.unrealised);
        account.fees = sum(|p| p.fees);
        account.funding = sum(|p| p.funding);
        account.equity = Money(body.equity);
        account.pnl_quote = account.equity - self.watched.starting_equity;
        self.peak = self.peak.max(account.equity);
        let fall = (self.peak - account.equity).to_f64() / self.peak.to_f64().max(1e-9);
        account.drawdown_ratio = fall;
        account.drawdown_ratio_max = account.drawdown_ratio_max.max(fall);
        self.page.note_equity(EquityPoint { ts_ns: event.ts_recv, equity: Money(body.equity) });
    }

    fn note_state(&mut self, event: &Event) {
        let body: &StateChange = event.body();
        let state = TradingState::from_u8(body.to).unwrap_or(TradingState::Reconciling);
        self.page.trading_state = state.name();
        if body.to == TradingState::Killed as u8 && body.reason != Reason::Operator as u16 {
            let (verb, origin) = (Verb::KillGraceful, Origin::Breaker);
            let reason = Reason::from_u16(body.reason).map_or("unknown", Reason::name);
            let command = risk::command(verb, origin, body.actor, reason).ok();
            self.killed_by = self.killed_by.or(command);
        }
    }

    fn note_command(&mut self, event: &Event) {
        let command: &Command = event.body();
        let verb = Verb::from_u32(command.verb);
        if matches!(verb, Some(Verb::KillGraceful | Verb::KillImmediate)) {
            self.killed_by.get_or_insert(*command);
        }
    }

    fn note_breaker(&mut self, event: &Event) {
        let body: &Breaker = event.body();
        let Some(control) = Control::from_u16(body.control) else { return };
        let level = Level::from_u8(body.to).unwrap_or_default();
        self.controls.note_level(control, level.name());
    }

    fn note_order(&mut self, event: &Event) {
        let symbol = self.symbol(event.instrument as usize);
        if event.kind() == Some(Kind::OrderIntent) {
            let body: &Order = event.body();
            self.page.note_order(OrderView {
                client_id: body.id().to_string(),
                ts_ns: event.ts_recv,
                symbol,
                side: side_name(event),
                px: Px(body.px),
                qty: Qty(body.qty),
                state: "sent",
                ..OrderView::default()
            });
            return;
        }
        let body: &OrderState = event.body();
        let id = ClientOrderId(body.client_id).to_string();
        let known = self.page.orders.iter().rev().find(|order| order.client_id == id).cloned();
        if let Some(mut order) = known {
            order.cum_qty = Qty(body.cum_qty);
            order.state = State::from_u8(body.to).map_or("unknown", State::name);
            let reason = Reason::from_u16(body.reason).filter(|reason| *reason != Reason::None);
            order.reason = reason.map_or("", Reason::name);
            self.page.note_order(order);
        }
    }

    fn note_fill(&mut self, event: &Event) {
        let body: &OrderReport = event.body();
        self.page.note_fill(FillView {
            client_id: ClientOrderId(body.client_id).to_string(),
            ts_ns: event.ts_recv,
            symbol: self.symbol(event.instrument as usize),
            side: side_name(event),
            px: Px(body.last_px),
            qty: Qty(body.last_qty),
            fee: Money(body.fee),
            maker: event.has(flags::MAKER),
        });
    }

    fn publish(&mut self) {
        let now = wall_now();
        let watched = &mut self.watched;
        self.page.session.taken_ns = now.0;
        self.page.session.uptime_seconds = self.started.elapsed().as_secs_f64();
        let appended = (0..LANES).map(|lane| watched.health.appended(lane)).sum();
        watched.counters.set(Counter::JournalRecords, appended);
        self.page.counters = CounterValues::read(&watched.counters);
        let mut dead = Vec::new();
        let found = |name: &str| dead.push(name.to_owned());
        self.page.controls = self.controls.view(Instant::now(), &watched.counters, found);
        self.page.latency = watched.collector.since_start();
        self.page.histograms = Arc::new(watched.collector.totals().clone());
        self.page.models = vec![ModelView {
            version: watched.model.0.clone(),
            stage: "champion",
            sha256: watched.model.1.clone(),
            executor: watched.executor,
            verified: watched.readiness.is_model_verified(Instant::now()),
            predictions: watched.counters.get(Counter::Predictions),
        }];
        self.page.resources = resources(&watched.health);
        self.page.journal = JournalView::read(&watched.health);
        self.page.rings = rings(&watched.heartbeats);
        for control in dead {
            tracing::error!(control, "was not evaluated for a day: it guards nothing");
        }
        (self.page.alerts, self.page.alerting) = watched.board.view();
        self.beat();
        let poisoned = self.watched.health.poisoned();
        self.page.not_ready = self.watched.readiness.reasons(&self.page, now.0, poisoned);
        let mut page = self.page.clone();
        for market in &mut page.markets {
            market.age_seconds = (now.0 as f64 - market.age_seconds).max(0.0) / 1e9;
        }
        self.cell.publish(page);
    }

    fn beat(&mut self) {
        let now = Instant::now();
        self.page.threads.clear();
        for ((name, core, heart), last) in self.watched.heartbeats.iter().zip(&mut self.beats) {
            let turns = heart.turns();
            if turns != last.0 {
                *last = (turns, now);
            }
            let silent = now.duration_since(last.1);
            self.page.threads.push(ThreadView {
                name,
                core: *core,
                turns,
                beating: silent <= HEARTBEAT_MAX && !heart.has_ended(),
                silent_seconds: silent.as_secs_f64(),
            });
        }
    }
}

/// The page before anything has been seen.
fn first_page(watched: &Watched) -> Snapshot {
    let session = SessionView {
        version: env!("CARGO_PKG_VERSION"),
        mode: watched.name,
        journal: watched.journal.clone(),
        started_ns: wall_now().0,
        ..SessionView::default()
    };
    let names = || watched.symbols.iter().map(ToString::to_string);
    Snapshot {
        trading_state: "reconciling",
        size_percent: 100,
        session,
        account: AccountView { equity: watched.starting_equity, ..AccountView::default() },
        markets: names().map(|symbol| MarketView { symbol, ..MarketView::default() }).collect(),
        positions: names()
            .map(|symbol| PositionView { symbol, ..PositionView::default() })
            .collect(),
        ..Snapshot::default()
    }
}

const fn side_name(event: &Event) -> &'static str {
    match event.side() {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// How full the rings were since the last look; each pinned thread empties one.
fn rings(hearts: &[(&'static str, Option<usize>, Arc<Heartbeat>)]) -> Vec<RingView> {
    let of = |(name, (.., heart)): (&'static str, &(_, _, Arc<Heartbeat>))| {
        let (occupied, capacity) = heart.take_ring();
        (capacity > 0).then_some(RingView { name, occupied, capacity })
    };
    RINGS.into_iter().zip(hearts).filter_map(of).collect()
}
