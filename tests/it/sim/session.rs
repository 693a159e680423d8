//! One session in a simulated world: the feed's loop over the simulated ports, the four stages on
//! the same thread, a journal on disk.

use super::account::{self, Account};
use super::net::Line;
use super::outside::{Shared, SimClock, SimEntry, SimOutside, SimRequests, SimRest, SimStream};
use super::parts::NAME;
use peregrine::base::counters::Counters;
use peregrine::base::event::{Command, Event, Kind, SymbolChange};
use peregrine::base::settings::{OrderEntry, Settings};
use peregrine::base::{InstrumentId, Measure, Nanos, Symbol, SymbolState};
use peregrine::book::Book;
use peregrine::engine::{FeedStage, Halt, InferenceStage, Next, Outlet, RiskStage};
use peregrine::execution::reconcile::Reconciler;
use peregrine::feed::Feed;
use peregrine::journal::{Journal, JournalHealth, LaneWriter, Recorder};
use peregrine::ledger::Ledger;
use peregrine::observe::{CycleClock, HopCollector};
use peregrine::runtime::assemble::{Budget, Parts, StageRecorders};
use peregrine::runtime::backtest::{LOST_BOOKS, close_journal, create_journal};
use peregrine::runtime::clock::CycleProbe;
use peregrine::runtime::dead_man::{DeadMan, Pulse};
use peregrine::runtime::feed_thread::{Due, FeedThread};
use peregrine::runtime::heartbeat::Heartbeat;
use peregrine::runtime::inlet::{Inlet, OrderVenue};
use peregrine::runtime::kill::watch::KillWatch;
use peregrine::runtime::lines::{self, Route};
use peregrine::runtime::private::{PrivateLink, stream_url};
use peregrine::runtime::running::Gathered;
use peregrine::runtime::standby::fenced::FenceWatch;
use peregrine::runtime::state::StateFolder;
use peregrine::runtime::symbols::{self, Roster, SymbolOrder};
use peregrine::venue::account::Credentials;
use peregrine::venue::ages::StreamName;
use peregrine::venue::budget::{self, Metered, RateLimits};
use peregrine::venue::desk::{ApiEntry, ApiPlan, OrderDesk};
use peregrine::venue::line::{Line as Overlapping, LinePlan};
use peregrine::venue::pace::Pace;
use peregrine::venue::ports::Now;
use peregrine::venue::watch::VenueWatch;
use rtrb::{Consumer, RingBuffer};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Records the watch may fall behind by: it listens after every turn.
const TAP_EVENTS: usize = 1 << 14;
/// Orders between execution and the desk within one turn.
const ORDERS: usize = 4_096;

/// See the head of this file.
pub struct Session {
    thread: FeedThread<SimOutside>,
    commands: crossbeam::channel::Sender<Command>,
    symbols: crossbeam::channel::Sender<SymbolOrder>,
    journal: Journal,
    stamps: Recorder,
    dir: PathBuf,
    /// The exchange's own timer over our orders, and what renews it.
    dead_man: Option<(DeadMan, Metered<SimRest>)>,
    /// What may still be asked of the exchange.
    budget: Arc<budget::Budget>,
    /// Held until the process is gone.
    _state: StateFolder,
}

fn clock() -> CycleClock {
    static CLOCK: OnceLock<CycleClock> = OnceLock::new();
    CLOCK.get_or_init(CycleClock::calibrate).clone()
}

fn tapped(writer: LaneWriter, taps: &mut Vec<Consumer<Event>>) -> Recorder {
    let (producer, consumer) = RingBuffer::new(TAP_EVENTS);
    taps.push(consumer);
    Recorder::lane(writer).with_tap(producer, shows)
}

/// Levels are not looked at.
fn shows(event: &Event) -> bool {
    event.kind() != Some(Kind::DepthLevels)
}

impl Session {
    /// Starts, with `key` for the account's stream.
    pub fn start(world: &Shared, parts: &Parts, dir: &Path, key: &str, state: StateFolder) -> Self {
        let (model, selection) = parts.load_model(Budget::None).expect("a sound model");
        let opening = parts.opening(&model);
        let (journal, lanes) = create_journal(parts, dir, false).expect("a journal");
        let name = dir.file_name().and_then(|name| name.to_str()).expect("a plain name");
        state.begin(NAME, name).expect("the state folder can be written");
        let [inputs, inference, risk, execution, stamps] = lanes;
        let mut taps = Vec::new();
        let inputs = tapped(inputs, &mut taps);
        let recorders = StageRecorders {
            inference: tapped(inference, &mut taps),
            risk: tapped(risk, &mut taps),
            execution: tapped(execution, &mut taps),
        };
        world.borrow_mut().watch.attach(taps);
        let counters = Arc::new(Counters::new());
        let (orders_in, orders) = RingBuffer::new(ORDERS);
        let (texts_in, texts) = RingBuffer::new(ORDERS);
        let outlet = Outlet::ring(orders_in).with_texts(texts_in);
        let fused = parts.fused((model, selection), recorders, outlet, &counters);
        let mut stages = fused.expect("sound settings");
        let (lost, lost_books) = RingBuffer::new(LOST_BOOKS);
        stages.ask_for_books(lost);
        let next = Next::Here(Box::new(stages));
        let settings = &parts.settings;
        let symbols: Vec<_> = parts.instruments.iter().map(|facts| facts.symbol).collect();
        let routes = lines::routes(settings, &symbols).expect("streams are configured");
        let mut feed = Feed::new(&parts.instruments);
        lines::tell_feed(&mut feed, &routes);
        let feed = FeedStage::new(feed, inputs, next, Arc::clone(&counters));
        let budget = Arc::new(budget::Budget::new(RateLimits::default()));
        let left = Arc::clone(&budget);
        let entry = entry(world, settings);
        let desk = Box::new(OrderDesk::new(entry, Arc::clone(&budget)));
        let every = settings.venue.reconcile_every_s;
        let reconciler = Box::new(Reconciler::new(&symbols, every));
        let venue = OrderVenue::Desk { desk, texts, reconciler };
        let probe = CycleProbe::new(clock(), HopCollector::new().recorder());
        let watch = VenueWatch::new(&parts.settings, &parts.instruments);
        let inlet = Inlet { feed, venue, orders, lost_books, watch, probe };
        let (commands, commands_out) = crossbeam::channel::bounded(64);
        let (asked, orders) = symbols::orders();
        let roster = Roster::new(parts.instruments.len(), &routes, orders);
        let ways = (commands_out, roster);
        let signs = (counters, journal.health());
        let mut thread = thread(world, parts, &routes, (inlet, budget), signs, ways, key);
        thread.open(&opening).expect("a fresh journal takes the opening");
        let stamps = Recorder::lane(stamps);
        let dir = dir.to_owned();
        let now = world.borrow().mono();
        let dead_man = DeadMan::new(settings.venue.dead_man_ms, &symbols, 1, now);
        let rest = || Metered::new(SimRest::new(world, Account::new()), Arc::clone(&left));
        let dead_man = dead_man.map(|core| (core, rest()));
        let budget = left;
        let _state = state;
        Self { thread, commands, symbols: asked, journal, stamps, dir, dead_man, budget, _state }
    }

    /// True while snapshots may be asked for.
    pub fn may_ask(&self, wall: Nanos) -> bool {
        self.budget.permits(budget::Use::Question(20), wall).is_ok()
    }

    /// One turn of the feed's loop, and of what watches it.
    pub fn turn(&mut self, Now { mono: now, wall }: Now) -> Result<usize, Halt> {
        let turned = self.thread.turn();
        if let Some((core, rest)) = &mut self.dead_man {
            rest.on_time(wall);
            let turns = self.thread.heartbeat.turns();
            if let Pulse::Stalled(thread) = core.turn(now, std::iter::once(turns), rest) {
                self.thread.heartbeat.tell_stall(thread);
            }
        }
        turned
    }

    /// Gives an operator's command.
    pub fn command(&self, verb: u32) {
        let command = Command { verb, ..Command::default() };
        // A full channel refuses it, as it would an operator.
        let _ = self.commands.try_send(command);
    }

    /// Gives an operator's order about a symbol.
    pub fn order_symbol(&self, instrument: InstrumentId, state: SymbolState, flat: bool) {
        let (state, flat) = (state as u8, u8::from(flat));
        let mut change = SymbolChange { state, flat, actor: 1_000, ..SymbolChange::default() };
        change.reason[..6].copy_from_slice(b"a test");
        let _ = self.symbols.try_send(SymbolOrder { instrument, change });
    }

    /// True while nothing of the instrument's market goes into the river.
    pub fn is_asleep(&self, instrument: InstrumentId) -> bool {
        self.thread.roster.is_asleep(instrument)
    }

    /// Tells the feed's thread what was measured beside it.
    pub fn tell(&self, measure: Measure, value: i64) {
        self.thread.heartbeat.tell(measure, value);
    }

    /// Lets it hear of another journal's condition than its own.
    pub fn hear_health(&mut self, health: Arc<JournalHealth>) {
        self.thread.health = health;
    }

    /// Begins the end, as a signal does.
    pub fn begin_end(&mut self) -> Result<(), Halt> {
        self.thread.begin_end()
    }

    /// True when the end has come.
    pub fn has_ended(&mut self) -> bool {
        self.thread.has_ended().expect("the river takes what is told at the end")
    }

    /// Writes the last record and seals the journal; its folder.
    pub fn finish(mut self) -> Result<PathBuf, Halt> {
        self.thread.close()?;
        let (_, inputs, next) = self.thread.inlet.feed.into_parts();
        let equity = peregrine::base::Money::ZERO;
        let mut gathered =
            Gathered { equity, killed: false, halts: Vec::new(), recorders: vec![inputs] };
        if let Next::Here(stages) = next {
            gathered.inference(*stages);
        }
        let mut recorders = gathered.recorders;
        recorders.push(self.stamps);
        close_journal(self.journal, recorders).expect("a sound journal is sealed");
        Ok(self.dir)
    }

    /// The process dies: nothing is sealed; the journal's folder.
    pub fn crash(self) -> PathBuf {
        self.dir
    }

    /// The books the session trades with.
    pub fn ledger(&mut self) -> &Ledger {
        self.risk().ledger()
    }

    /// A book as the inference stage holds it, and the id of the snapshot it rests on.
    pub fn book(&mut self, instrument: InstrumentId) -> (&Book, u64) {
        let stats = self.thread.inlet.feed.feed_mut().instrument_stats(instrument);
        let snapshot = stats.map_or(0, |stats| stats.snapshot_id);
        (self.inference().book(instrument).expect("a known instrument"), snapshot)
    }

    /// Times that market connections were renewed.
    pub fn renewals(&self) -> Vec<u64> {
        self.thread.streams.iter().map(Overlapping::renewals).collect()
    }

    /// Times that the connections of orders and of the account were renewed.
    pub fn own_renewals(&mut self) -> (u64, u64) {
        let of_orders = match self.thread.inlet.venue.desk_mut().map(|desk| desk.entry()) {
            Some(SimEntry::Api(_, entry)) => entry.renewals(),
            _ => 0,
        };
        let account = self.thread.private.as_ref();
        (of_orders, account.map_or(0, |link| link.stream().renewals()))
    }

    fn inference(&mut self) -> &InferenceStage {
        let Next::Here(inference) = self.thread.inlet.feed.next_mut() else {
            unreachable!("the stages are on this thread")
        };
        inference
    }

    /// The stage that holds them.
    pub fn risk(&mut self) -> &RiskStage {
        let Next::Here(risk) = self.inference().next() else {
            unreachable!("the stages are on this thread")
        };
        risk
    }
}

fn thread(
    world: &Shared,
    parts: &Parts,
    routes: &[Route],
    (inlet, budget): (Inlet<SimEntry>, Arc<budget::Budget>),
    (counters, health): (Arc<Counters>, Arc<JournalHealth>),
    (commands, roster): (crossbeam::channel::Receiver<Command>, Roster),
    key: &str,
) -> FeedThread<SimOutside> {
    let settings = &parts.settings;
    let symbols: Vec<Symbol> = parts.instruments.iter().map(|facts| facts.symbol).collect();
    let now = world.borrow().mono();
    let base = &settings.venue.private_url;
    let seed = settings.session.seed;
    let own =
        line(world, Line::Private, (&stream_url(base, key), Vec::new()), settings, seed ^ 100);
    let market = |(i, route): (u64, &Route)| {
        line(world, Line::Market, (&route.url, route.names.clone()), settings, seed ^ i)
    };
    let kill_line = Metered::new(SimRest::new(world, Account::new()), Arc::clone(&budget));
    FeedThread {
        kill: KillWatch::new(settings.kill, &symbols, Some(kill_line)),
        inlet,
        streams: (0..).zip(routes).map(market).collect(),
        private: Some(PrivateLink::new(own, base, now)),
        statement: None,
        clock: SimClock(std::rc::Rc::clone(world)),
        rest: Metered::new(SimRest::new(world, Account::new()), budget),
        symbols,
        commands,
        swaps: crossbeam::channel::never(),
        roster,
        stop: Arc::new(AtomicBool::new(false)),
        counters,
        heartbeat: Arc::new(Heartbeat::default()),
        health,
        timer_ms: settings.session.timer_interval_ms,
        open_interest_every_s: settings.venue.open_interest_every_s,
        snapshot_levels: settings.venue.snapshot_levels,
        pace: Pace::new(parts.instruments.len(), seed, now),
        due: Due::at(now),
        fence: FenceWatch::default(),
    }
}

fn age_max(settings: &Settings) -> Duration {
    Duration::from_secs(u64::from(settings.venue.connection_age_s_max))
}

/// A connection that is renewed, as a session in real time has it. Silence is ordinary where no
/// stream is named.
fn line(
    world: &Shared,
    line: Line,
    (url, names): (&str, Vec<StreamName>),
    settings: &Settings,
    seed: u64,
) -> Overlapping<SimStream> {
    let silence = Duration::from_millis(u64::from(settings.venue.silence_ms_max));
    let silence = (!names.is_empty()).then_some(silence);
    let ends = [0, 1].map(|n: u64| SimStream::new(world, line, url, silence, seed ^ n << 32));
    Overlapping::new(ends, &LinePlan { names, age_max: age_max(settings), seed })
}

/// Order entry as configured.
fn entry(world: &Shared, settings: &Settings) -> SimEntry {
    if settings.venue.order_entry == OrderEntry::Rest {
        return SimEntry::Rest(Box::new(SimRequests::new(world, Account::new())));
    }
    let seed = settings.session.seed ^ 200;
    let url = &settings.venue.api_url;
    let end = |n: u64| SimStream::new(world, Line::Entry, url, None, seed ^ n << 32);
    let credentials = Credentials::new(account::key(), account::secret()).expect("plain texts");
    // A key of HMAC logs nobody on, so no logon is stamped with a time.
    let plan = ApiPlan { age_max: age_max(settings), wall: || Nanos::ZERO, seed };
    let ends = [end(0), end(1)];
    SimEntry::Api(std::rc::Rc::clone(world), Box::new(ApiEntry::new(ends, credentials, plan)))
}
