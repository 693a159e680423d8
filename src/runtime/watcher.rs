//! The observer's loop: takes what the taps, counters, histograms and heartbeats show, keeps a
//! snapshot, and hands it to the page a few times a second. It never waits on a stage.

use super::clock::wall_now;
use super::controls::Controls;
use super::heartbeat::Heartbeat;
use super::measures::{DiskPlan, Measures, resources};
use super::readiness::Readiness;
use super::secret;
use super::session::command_channel;
use super::shadow::ShadowBoard;
use super::shown::{Books, Orders, Tail, limits};
use super::swap::board::ModelBoard;
use super::topology::ring_of;
use crate::base::counters::{Counter, Counters};
use crate::base::event::{
    BookState, BookTicker, Breaker, Command, Event, Kind, MarkPrice, Measured, Prediction,
    SizeChange, StateChange, flags,
};
use crate::base::settings::{BreakerSettings, HttpSettings as HttpWanted, RiskSettings};
use crate::base::units::{Money, Px};
use crate::base::{Control, Level, Measure, Reason, Symbol, SymbolState};
use crate::journal::{JournalHealth, LANES, Recorder};
use crate::observe::alerts::board::AlertBoard;
use crate::observe::http::{HttpServer, HttpSettings};
use crate::observe::snapshot::{
    AccountView, ControlView, CounterValues, FeedView, JournalView, MarketView, PositionView,
    RingView, SessionView, ThreadView,
};
use crate::observe::{HopCollector, LatencyView, Snapshot, SnapshotCell};
use crate::risk::{self, Origin, TradingState, Verb};
use anyhow::{Context, Result};
use crossbeam::channel::{Receiver, Sender};
use rtrb::Consumer;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Milliseconds of one turn.
pub const TURN_MS: u32 = 50;
/// One turn of the loop.
const TURN: Duration = Duration::from_millis(TURN_MS as u64);
/// Turns between two snapshots.
const TURNS_PER_SNAPSHOT: u64 = 5;
/// Longest time a pinned thread may go without a turn.
const HEARTBEAT_MAX: Duration = Duration::from_secs(2);

/// The taps' names, by lane.
const TAPS: [&str; 4] = ["tap_inputs", "tap_inference", "tap_risk", "tap_execution"];

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
    /// The limits, to be shown with how much of each is used.
    pub risk: RiskSettings,
    /// The breakers' levels, to be shown.
    pub breakers: BreakerSettings,
    /// What the journal takes of its disk.
    pub disk: DiskPlan,
    /// The models, as their own thread changes them.
    pub models: Arc<ModelBoard>,
    /// Challengers, as their own thread runs them.
    pub shadow: Arc<ShadowBoard>,
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
    measures: Measures,
    controls: Controls,
    books: Books,
    orders: Orders,
    tail: Tail,
    /// Most events found in each tap since the last snapshot.
    tapped: [usize; TAPS.len()],
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
        let commands = Some(receiver);
        let equity = watched.starting_equity;
        Ok(Self {
            books: Books::new(&watched.symbols, equity, page.session.started_ns),
            orders: Orders::default(),
            tail: Tail::new(Path::new(&watched.journal)),
            tapped: [0; TAPS.len()],
            killed_by: None,
            measures: Measures::new(watched.disk, watched.heartbeats.len(), now),
            controls: Controls::new(now).with_levels(&watched.breakers, &watched.risk),
            watched,
            page,
            cell,
            commands,
            river,
            server,
            beats,
            started: now,
            turns: 0,
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
            if let Some(most) = self.tapped.get_mut(i) {
                *most = self.watched.taps[i].slots().max(*most);
            }
            while let Ok(event) = self.watched.taps[i].pop() {
                if i == 0 {
                    self.tail.note_input(&event);
                }
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
            Some(Kind::SymbolChange) => self.note_symbol(place, event),
            Some(Kind::Position) => self.books.note(event, &mut self.page),
            Some(Kind::PositionCarried) => self.books.note_position_carried(event),
            Some(Kind::SessionCarried) => {
                self.books.note_session_carried(event);
                self.orders.note_session_carried(event);
            }
            Some(Kind::Measured) => self.note_measured(event),
            Some(Kind::StateChange) => self.note_state(event),
            Some(Kind::Command) => self.note_command(event),
            Some(Kind::Breaker) => self.note_breaker(event),
            Some(Kind::SizeChange) => {
                self.page.size_percent = event.body::<SizeChange>().percent;
            }
            Some(Kind::OrderIntent | Kind::OrderState) => {
                self.orders.note(event, self.symbol(place), &mut self.page);
            }
            Some(Kind::OrderFilled) => {
                Orders::note_fill(event, self.symbol(place), &mut self.page);
            }
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

    /// What was known of the market of an instrument that falls asleep is shown no more.
    fn note_symbol(&mut self, place: usize, event: &Event) {
        let (state, market) = (event.symbol_state(), self.page.markets.get_mut(place));
        if let (Some(state), Some(market)) = (state, market) {
            if state == SymbolState::Asleep {
                *market = MarketView {
                    symbol: std::mem::take(&mut market.symbol),
                    ..MarketView::default()
                };
            }
            market.state = state;
        }
    }

    fn symbol(&self, place: usize) -> String {
        self.watched.symbols.get(place).map(ToString::to_string).unwrap_or_default()
    }

    fn note_measured(&mut self, event: &Event) {
        let body: &Measured = event.body();
        let Some(measure) = Measure::from_u16(body.measure) else { return };
        self.controls.note_measure(measure, body.value);
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
        if verb == Some(Verb::Arm) {
            self.books.forget_losses();
        }
    }

    fn note_breaker(&mut self, event: &Event) {
        let body: &Breaker = event.body();
        let Some(control) = Control::from_u16(body.control) else { return };
        let level = Level::from_u8(body.to).unwrap_or_default();
        self.controls.note_level(control, level, body.value);
    }

    fn publish(&mut self) {
        let now = wall_now();
        let watched = &mut self.watched;
        self.page.session.taken_ns = now.0;
        self.page.session.uptime_seconds = self.started.elapsed().as_secs_f64();
        let appended = (0..LANES).map(|lane| watched.health.appended(lane)).sum();
        watched.counters.set(Counter::JournalRecords, appended);
        self.page.counters = CounterValues::read(&watched.counters);
        self.page.latency = watched.collector.since_start();
        self.page.histograms = Arc::new(watched.collector.totals().clone());
        if let Some(files) = watched.models.new_files() {
            watched.readiness.follow(files);
        }
        let at = Instant::now();
        let verified = watched.readiness.is_model_verified(at);
        self.page.models = watched.models.views(verified, &watched.readiness.changed_own(at));
        (self.page.shadow, self.page.shadow_lag) = watched.shadow.view();
        self.page.rollback = watched.models.rollback();
        self.page.resources = resources(&watched.health);
        self.page.journal = JournalView::read(&watched.health);
        (self.page.alerts, self.page.alerting) = watched.board.view();
        let streams = self.watched.readiness.streams();
        let (market_down, account_down) = (streams.market_down(), streams.is_account_down());
        self.page.feed = FeedView { market_down, account_down };
        self.page.rings = self.rings();
        self.beat();
        let poisoned = self.watched.health.poisoned();
        self.page.not_ready = self.watched.readiness.reasons(&self.page, now.0, poisoned);
        self.books.show(&mut self.page, Instant::now());
        self.tail.look();
        self.page.tail = self.tail.rows();
        let mut page = self.page.clone();
        for market in &mut page.markets {
            if market.state == SymbolState::Asleep {
                // Nothing of it is awaited.
                continue;
            }
            market.age_seconds = (now.0 as f64 - market.age_seconds).max(0.0) / 1e9;
        }
        page.risk = limits(&page, &self.watched.risk, &self.books, &mut self.orders, now);
        page.controls = self.look_at_controls(&page);
        self.cell.publish(page);
    }

    /// The controls' rows, with what the page itself shows of what they look at.
    fn look_at_controls(&mut self, page: &Snapshot) -> Vec<ControlView> {
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole * 1e4 } else { 0.0 };
        let loss = self.books.day_loss(page.account.equity);
        let spread = page.markets.iter().map(|m| {
            let (bid, ask) = (m.bid_px.to_f64(), m.ask_px.to_f64());
            share(ask - bid, (ask + bid) / 2.0)
        });
        let age = page.markets.iter().map(|m| m.age_seconds * 1e3).fold(0.0, f64::max);
        let unknown = page.orders.iter().filter(|order| order.state == "unknown").count();
        let seen = [
            (Control::DayLoss, share(loss.to_f64(), self.books.day_start().to_f64())),
            (Control::DayLossAmount, loss.0 as f64),
            (Control::Drawdown, page.account.drawdown_ratio * 1e4),
            (Control::LossesInARow, f64::from(self.books.losses_in_a_row())),
            (Control::Spread, spread.fold(0.0, f64::max)),
            (Control::Staleness, age),
            (Control::UnknownOrders, unknown as f64),
        ];
        for (control, value) in seen {
            // Rounded down, as the breakers do.
            self.controls.note_value(control, value as i64);
        }
        let mut dead = Vec::new();
        let found = |name: &str| dead.push(name.to_owned());
        let rows = self.controls.view(Instant::now(), &self.watched.counters, found);
        for control in dead {
            tracing::error!(control, "was not evaluated for a day: it guards nothing");
        }
        rows
    }

    /// The rings of the pinned threads, and the taps of this one.
    fn rings(&mut self) -> Vec<RingView> {
        let taps = self.watched.taps.iter().zip(TAPS).zip(&mut self.tapped);
        let taps = taps.map(|((tap, name), most)| RingView {
            name,
            occupied: std::mem::take(most),
            capacity: tap.buffer().capacity(),
        });
        let pinned = rings(&self.watched.heartbeats);
        pinned.into_iter().chain(taps).collect()
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

/// How full the rings were since the last look; each pinned thread empties one.
fn rings(hearts: &[(&'static str, Option<usize>, Arc<Heartbeat>)]) -> Vec<RingView> {
    let of = |(thread, _, heart): &(&'static str, _, Arc<Heartbeat>)| {
        let (occupied, capacity) = heart.take_ring();
        let name = ring_of(thread)?;
        (capacity > 0).then_some(RingView { name, occupied, capacity })
    };
    hearts.iter().filter_map(of).collect()
}
