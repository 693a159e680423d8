//! One session in a simulated world: the feed's loop over the simulated ports, the four stages on
//! the same thread, a journal on disk.

use super::account::Account;
use super::outside::{Shared, SimClock, SimEntry, SimOutside, SimRest, SimStream};
use super::parts::NAME;
use peregrine::base::Symbol;
use peregrine::base::counters::Counters;
use peregrine::base::event::{Command, Event, Kind};
use peregrine::base::settings::Settings;
use peregrine::engine::{FeedStage, Halt, Next, Outlet, RiskStage};
use peregrine::execution::reconcile::Reconciler;
use peregrine::feed::Feed;
use peregrine::journal::{Journal, JournalHealth, LaneWriter, Recorder};
use peregrine::ledger::Ledger;
use peregrine::observe::{CycleClock, HopCollector};
use peregrine::runtime::assemble::{Budget, Parts, StageRecorders};
use peregrine::runtime::backtest::{LOST_BOOKS, close_journal, create_journal};
use peregrine::runtime::clock::CycleProbe;
use peregrine::runtime::feed_thread::{Due, FeedThread};
use peregrine::runtime::heartbeat::Heartbeat;
use peregrine::runtime::inlet::{Inlet, OrderVenue};
use peregrine::runtime::private::{PrivateLink, stream_url};
use peregrine::runtime::running::Gathered;
use peregrine::runtime::state::StateFolder;
use peregrine::venue::budget::{self, Metered, RateLimits};
use peregrine::venue::desk::OrderDesk;
use peregrine::venue::pace::Pace;
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
    journal: Journal,
    stamps: Recorder,
    dir: PathBuf,
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
        let feed = Feed::new(&parts.instruments);
        let feed = FeedStage::new(feed, inputs, next, Arc::clone(&counters));
        let budget = Arc::new(budget::Budget::new(RateLimits::default()));
        let entry = SimEntry::new(world, Account::new());
        let desk = Box::new(OrderDesk::new(entry, Arc::clone(&budget)));
        let symbols: Vec<_> = parts.instruments.iter().map(|facts| facts.symbol).collect();
        let every = parts.settings.venue.reconcile_every_s;
        let reconciler = Box::new(Reconciler::new(&symbols, every));
        let venue = OrderVenue::Desk { desk, texts, reconciler };
        let probe = CycleProbe::new(clock(), HopCollector::new().recorder());
        let inlet = Inlet { feed, venue, orders, lost_books, probe };
        let (commands, commands_out) = crossbeam::channel::bounded(64);
        let signs = (counters, journal.health());
        let mut thread = thread(world, parts, (inlet, budget), signs, commands_out, key);
        thread.open(&opening).expect("a fresh journal takes the opening");
        let stamps = Recorder::lane(stamps);
        let dir = dir.to_owned();
        Self { thread, commands, journal, stamps, dir, _state: state }
    }

    /// One turn of the feed's loop.
    pub fn turn(&mut self) -> Result<usize, Halt> {
        self.thread.turn()
    }

    /// Gives an operator's command.
    pub fn command(&self, verb: u32) {
        let command = Command { verb, ..Command::default() };
        // A full channel refuses it, as it would an operator.
        let _ = self.commands.try_send(command);
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

    fn risk(&mut self) -> &RiskStage {
        let Next::Here(inference) = self.thread.inlet.feed.next_mut() else {
            unreachable!("the stages are on this thread")
        };
        let Next::Here(risk) = inference.next() else {
            unreachable!("the stages are on this thread")
        };
        risk
    }
}

fn thread(
    world: &Shared,
    parts: &Parts,
    (inlet, budget): (Inlet<SimEntry>, Arc<budget::Budget>),
    (counters, health): (Arc<Counters>, Arc<JournalHealth>),
    commands: crossbeam::channel::Receiver<Command>,
    key: &str,
) -> FeedThread<SimOutside> {
    let settings = &parts.settings;
    let symbols: Vec<Symbol> = parts.instruments.iter().map(|facts| facts.symbol).collect();
    let now = world.borrow().mono();
    let base = &settings.venue.private_url;
    let seed = settings.session.seed;
    let own = SimStream::new(world, &stream_url(base, key), None, seed ^ 100);
    FeedThread {
        inlet,
        streams: streams(world, settings, &symbols),
        private: Some(PrivateLink::new(own, base, now)),
        statement: None,
        clock: SimClock(std::rc::Rc::clone(world)),
        rest: Metered::new(SimRest::new(world, Account::new()), budget),
        symbols,
        commands,
        stop: Arc::new(AtomicBool::new(false)),
        counters,
        heartbeat: Arc::new(Heartbeat::default()),
        health,
        timer_ms: settings.session.timer_interval_ms,
        open_interest_every_s: settings.venue.open_interest_every_s,
        snapshot_levels: settings.venue.snapshot_levels,
        pace: Pace::new(parts.instruments.len(), seed, now),
        due: Due::at(now),
    }
}

/// The market connections, as a session in real time has them.
fn streams(world: &Shared, settings: &Settings, symbols: &[Symbol]) -> Vec<SimStream> {
    let venue = &settings.venue;
    let silence = Some(Duration::from_millis(u64::from(venue.silence_ms_max)));
    let routes =
        [(&venue.public_url, &venue.public_streams), (&venue.market_url, &venue.market_streams)];
    let stream = |(i, (base, names)): (u64, (&String, &Vec<String>))| {
        let lower = symbols.iter().map(|symbol| symbol.as_str().to_lowercase());
        let wanted: Vec<String> = lower
            .flat_map(|lower| names.iter().map(move |name| format!("{lower}@{name}")))
            .collect();
        let url = format!("{base}/stream?streams={}", wanted.join("/"));
        SimStream::new(world, &url, silence, settings.session.seed ^ i)
    };
    (0..).zip(routes).map(stream).collect()
}
