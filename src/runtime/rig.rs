//! A live session's machine: built whole, then set going thread by thread, last stage first.

use super::assemble::{Parts, StageRecorders};
use super::backtest::{LOST_BOOKS, create_journal};
use super::clock::{CycleProbe, wall_now};
use super::feed_thread::{Due, FeedThread};
use super::heartbeat::Heartbeat;
use super::inlet::{Inlet, OrderVenue};
use super::key_rights;
use super::kill::watch::KillWatch;
use super::launch::{Launcher, LoadedModel, Stages};
use super::lines;
use super::measures::DiskPlan;
use super::outside::{RealTime, SystemClock};
use super::private::{PrivateLink, stream_url};
use super::readiness::{ClockSeen, ModelFiles, Readiness};
use super::running::Running;
use super::stage_thread;
use super::standby::fenced::FenceWatch;
use super::swap::board::ModelBoard;
use super::swap::{self, DeskEnds, StageEnds, SwapOrder};
use super::symbols::{Roster, SymbolOrder};
use super::topology::Topology;
use super::watcher::Watched;
use crate::base::counters::Counters;
use crate::base::event::{Command, Event};
use crate::base::fence::Fence;
use crate::base::ring::ring;
use crate::base::settings::{Layout, OrderEntry};
use crate::base::units::Money;
use crate::engine::{FeedStage, Halt, Next, Outlet, Share};
use crate::execution::reconcile::Reconciler;
use crate::feed::Feed;
use crate::journal::{Attacher, JournalHealth, Recorder};
use crate::observe::{CycleClock, HopCollector};
use crate::venue::account::{AccountClient, Credentials};
use crate::venue::budget::{Budget, Metered, RateLimits};
use crate::venue::desk::{HttpEntry, OrderDesk, RealEntry};
use crate::venue::pace::Pace;
use crate::venue::paper::PaperVenue;
use crate::venue::ports::ClockPort;
use crate::venue::rest::RestDesk;
use crate::venue::stream::Dialer;
use crate::venue::transport::tls_config;
use crate::venue::watch::VenueWatch;
use anyhow::{Context, Result};
use crossbeam::channel::Receiver;
use rtrb::Consumer;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Records a side thread may fall behind by.
const TAP_EVENTS: usize = 8_192;

/// What a session needs to send orders to the venue.
pub struct VenueAccess {
    /// Key and secret.
    pub credentials: Credentials,
    /// What may be asked of the venue, and what was.
    pub budget: Arc<Budget>,
    /// The venue's facts as it told them at the start; `None` where it did not.
    pub exchange_info: Option<Vec<u8>>,
    /// A fresh key of the account's stream.
    pub listen_key: String,
    /// Hash of the account's name.
    pub account: u64,
    /// Where the venue tells its own account of the session, to be read at the end.
    pub statement: Option<&'static str>,
}

/// Longest wait for an answer in a kill: the next round asks again.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// What a launch takes besides the session's parts.
pub struct Launch<'l> {
    /// Which stage runs where.
    pub topology: &'l Topology,
    /// Set to end the session.
    pub stop: &'l Arc<AtomicBool>,
    /// Operators' commands.
    pub commands: Receiver<Command>,
    /// Operators' orders about symbols.
    pub symbols: Receiver<SymbolOrder>,
    /// The way to the venue; `None` for paper orders.
    pub access: Option<VenueAccess>,
    /// Until when orders may leave, where another node may lead.
    pub fence: Option<Arc<Fence>>,
}

/// Everything built and not yet running.
pub struct Rig {
    counters: Arc<Counters>,
    collector: Option<HopCollector>,
    probes: Vec<CycleProbe>,
    heartbeats: Vec<(&'static str, Option<usize>, Arc<Heartbeat>)>,
    taps: Vec<Consumer<Event>>,
    journal: crate::journal::Journal,
    inputs: Recorder,
    stages: Option<StageRecorders>,
    stamps: Option<Recorder>,
    models: Option<StageEnds>,
    /// How inference is shared among threads.
    shares: Vec<Share>,
}

/// Inputs a page shows: reports, gaps, stream edges, mark prices.
fn shows_input(event: &Event) -> bool {
    matches!(event.kind, 6 | 11..=13 | 32..=34 | 36..=63)
}

fn shows_all(_: &Event) -> bool {
    true
}

impl Rig {
    /// Builds everything but the stages' threads.
    ///
    /// # Errors
    /// When the journal cannot be created.
    pub fn build(parts: &Parts, topology: &Topology, dir: &Path) -> Result<Self> {
        let clock = CycleClock::calibrate();
        let mut collector = HopCollector::with_stamps();
        let (mut probes, mut heartbeats) = (Vec::new(), Vec::new());
        for thread in &topology.threads {
            probes.push(CycleProbe::new(clock.clone(), collector.recorder()));
            heartbeats.push((thread.name, thread.core, Arc::new(Heartbeat::default())));
        }
        let (journal, lanes) = create_journal(parts, dir, true)?;
        let [inputs, inference, risk, execution, stamps] = lanes;
        let mut taps = Vec::new();
        let mut tapped = |writer, shows: fn(&Event) -> bool| {
            let (producer, consumer) = ring(TAP_EVENTS);
            taps.push(consumer);
            Recorder::lane(writer).with_tap(producer, shows)
        };
        let inputs = tapped(inputs, shows_input);
        let stages = StageRecorders {
            inference: tapped(inference, shows_all),
            risk: tapped(risk, shows_all),
            execution: tapped(execution, shows_all),
        };
        Ok(Self {
            models: None,
            shares: parts.shares(),
            counters: Arc::new(Counters::new()),
            collector: Some(collector),
            probes,
            heartbeats,
            taps,
            journal,
            inputs,
            stages: Some(stages),
            stamps: Some(Recorder::lane(stamps)),
        })
    }

    /// Lets models change; the ends that the desk holds, with what attaches their files.
    pub fn let_models_change(&mut self) -> (DeskEnds, Attacher) {
        let (desk, stages) = swap::ends(&self.shares);
        self.models = Some(stages);
        (desk, self.journal.attacher())
    }

    /// The journal's health, and its folder.
    pub fn journal(&self) -> (Arc<JournalHealth>, &Path) {
        (self.journal.health(), self.journal.dir())
    }

    /// What the observer reads.
    pub fn watched(
        &mut self,
        parts: &Parts,
        models: Arc<ModelBoard>,
        name: &'static str,
    ) -> Watched {
        Watched {
            risk: parts.settings.risk.clone(),
            breakers: parts.settings.breakers,
            name,
            journal: self.journal.dir().display().to_string(),
            health: self.journal.health(),
            counters: Arc::clone(&self.counters),
            stamps: self.stamps.take(),
            collector: self.collector.take().unwrap_or_default(),
            heartbeats: self.heartbeats.clone(),
            taps: std::mem::take(&mut self.taps),
            symbols: parts.symbols(),
            starting_equity: parts.settings.risk.starting_equity.unwrap_or(Money::ZERO),
            readiness: readiness(parts),
            disk: disk_plan(parts),
            models,
            board: Arc::default(),
            shadow: Arc::default(),
        }
    }

    /// Starts the threads, last stage first, and lets the feed run.
    ///
    /// # Errors
    /// When a stage or a connection is misconfigured or a thread cannot start.
    pub fn launch(
        mut self,
        parts: &Parts,
        model: LoadedModel,
        launch: Launch<'_>,
    ) -> Result<Running> {
        let topology = launch.topology;
        let opening = parts.opening(&model.0);
        let rings = &parts.settings.topology;
        let (orders_in, orders) = ring(rings.execution_feed_events as usize);
        let clock = SystemClock::new(topology.threads[0].wait)?;
        let outlet = Outlet::ring(orders_in);
        let budget = launch.access.as_ref().map(|access| Arc::clone(&access.budget));
        let budget = budget.unwrap_or_else(|| Arc::new(Budget::new(RateLimits::default())));
        let dialer = Dialer::new(tls_config()?, clock.registry()?)?;
        let way = (&dialer, &budget);
        let (outlet, venue) = order_venue(parts, outlet, launch.access.as_ref(), way)?;
        let recorders = self.stages.take().context("the stages were built twice")?;
        let mut probes = self.probes.drain(..);
        let feed_probe = probes.next().context("a topology without threads")?;
        let probes: Vec<CycleProbe> = probes.collect();
        let counters = Arc::clone(&self.counters);
        let (lost, lost_books) = ring(LOST_BOOKS);
        let ends = self.models.take().unwrap_or_else(|| swap::ends(&self.shares).1);
        let (swaps, models) = (ends.swaps, Some((ends.intakes, ends.signs)));
        let lost = Some(lost);
        let heartbeats = &self.heartbeats;
        let mut launcher = Launcher { parts, topology, heartbeats, probes, lost, models };
        let (next, threads) = match topology.layout {
            Layout::Split => launcher.split(model, recorders, outlet, &counters)?,
            Layout::Paired => launcher.paired(model, recorders, outlet, &counters)?,
            Layout::Fused | Layout::Auto => {
                let mut stages = parts.fused(model, recorders, outlet, &counters)?;
                launcher.wire(&mut stages);
                (Next::Here(Box::new(stages)), Stages::Fused)
            }
        };
        let feed = Feed::of(parts.settings.venue.dialect, &parts.instruments);
        let feed = FeedStage::new(feed, self.inputs, next, counters);
        let watch = VenueWatch::new(&parts.settings, &parts.instruments);
        let inlet = Inlet { feed, venue, orders, lost_books, watch, probe: feed_probe };
        let heartbeat = Arc::clone(&self.heartbeats[0].2);
        let signs = (Arc::clone(&self.counters), heartbeat, self.journal.health());
        let thread = feed_thread(parts, (launch, swaps), (inlet, budget), (clock, &dialer), signs)?;
        let (plan, required) = (topology.threads[0].clone(), rings.pin_required);
        let feed = std::thread::Builder::new().name(plan.name.to_owned()).spawn(move || {
            if stage_thread::pin(&plan, required).is_err() {
                let halt = Halt::NotPinned(plan.name);
                thread.heartbeat.end(Some(&halt));
                return (thread, Some(halt));
            }
            thread.run(&opening)
        })?;
        Ok(Running {
            feed,
            stages: threads,
            heartbeats: self.heartbeats,
            counters: self.counters,
            journal: self.journal,
        })
    }
}

/// What `/readiness` is made of.
fn readiness(parts: &Parts) -> Readiness {
    let settings = &parts.settings;
    let asks = !settings.venue.rest_url.is_empty();
    let clock = ClockSeen::new(&settings.watch, asks, wall_now());
    let files = &parts.files;
    let dir = Path::new(&settings.model.dir).join(&files.card.version);
    let model = ModelFiles::new(&dir, files.sha256, &files.card_text);
    let age_max = u64::from(settings.features.market_age_ms_max);
    let own = parts.own.watched(Path::new(&settings.model.dir));
    Readiness::new(clock, model, Duration::from_millis(age_max)).with_own(own)
}

/// What the journal takes of its disk.
fn disk_plan(parts: &Parts) -> DiskPlan {
    let journal = &parts.settings.journal;
    let (input, output) = (journal.input_segment_mib, journal.output_segment_mib);
    // Inputs and stamps, then the three outputs.
    let segments = (2 * u64::from(input) + 3 * u64::from(output)) << 20;
    let kept = u64::from(journal.keep_segments);
    DiskPlan {
        segments,
        reserve_hours: parts.settings.breakers.disk_reserve_hours,
        most: (kept > 0).then(|| kept.saturating_mul(segments)),
    }
}

/// Where orders go, and execution's way there.
fn order_venue(
    parts: &Parts,
    outlet: Outlet,
    access: Option<&VenueAccess>,
    (dialer, budget): (&Dialer, &Arc<Budget>),
) -> Result<(Outlet, OrderVenue<RealEntry>)> {
    let settings = &parts.settings;
    let Some(access) = access else {
        let deposit = settings.risk.starting_equity.unwrap_or(Money::ZERO);
        let paper = PaperVenue::new(&parts.instruments, settings.paper, deposit);
        return Ok((outlet, OrderVenue::Paper(Box::new(paper))));
    };
    let (texts_in, texts) = ring(settings.topology.execution_feed_events as usize);
    let seed = settings.session.seed ^ wall_now().0.unsigned_abs();
    let credentials = &access.credentials;
    let entry = match settings.venue.order_entry {
        OrderEntry::Rest => {
            let entry = HttpEntry::new(&settings.venue.rest_url, credentials, dialer, seed)?;
            RealEntry::Http(Box::new(entry))
        }
        OrderEntry::WebSocket => {
            RealEntry::Api(Box::new(lines::api(settings, credentials, dialer)?))
        }
    };
    let desk = Box::new(OrderDesk::new(entry, Arc::clone(budget)));
    let reconciler = Box::new(Reconciler::new(&parts.symbols(), settings.venue.reconcile_every_s));
    Ok((outlet.with_texts(texts_in), OrderVenue::Desk { desk, texts, reconciler }))
}

fn feed_thread(
    parts: &Parts,
    (launch, swaps): (Launch<'_>, Receiver<SwapOrder>),
    (mut inlet, budget): (Inlet<RealEntry>, Arc<Budget>),
    (mut clock, dialer): (SystemClock, &Dialer),
    (counters, heartbeat, health): (Arc<Counters>, Arc<Heartbeat>, Arc<JournalHealth>),
) -> Result<FeedThread<RealTime>> {
    let now = clock.now().mono;
    let (settings, venue) = (&parts.settings, &parts.settings.venue);
    let symbols = parts.symbols();
    let routes = lines::routes(settings, &symbols)?;
    lines::tell_feed(inlet.feed.feed_mut(), &routes);
    let pace = Pace::new(symbols.len(), settings.session.seed, now);
    let (mut private, mut account, mut statement) = (None, None, None);
    let (mut kill_line, mut wallet) = (None, None);
    if let Some(access) = launch.access {
        let base = &venue.private_url;
        let stream = lines::account(settings, &stream_url(base, &access.listen_key), dialer)?;
        let seed = settings.session.seed ^ wall_now().0.unsigned_abs();
        private = Some(PrivateLink::new(stream, base, now).seeded(seed));
        statement = access.statement;
        let (dialect, url) = (venue.dialect, &venue.rest_url);
        let client = || AccountClient::new(url, access.credentials.clone(), wall_now);
        let hasty = RestDesk::start(dialect, url, Some(client().within(KILL_PATIENCE)))?;
        kill_line = Some(Metered::new(hasty, Arc::clone(&budget)));
        account = Some(client());
        wallet = settings.reads_key_rights().then(|| key_rights::client(venue, access.credentials));
    }
    if let Some(desk) = inlet.venue.desk_mut() {
        desk.watch_trading(Arc::clone(&counters));
        if let Some(fence) = &launch.fence {
            desk.stand_behind(Arc::clone(fence));
        }
    }
    let mut rest = RestDesk::start(venue.dialect, &venue.rest_url, account)?;
    if let Some(wallet) = wallet {
        rest = rest.with_wallet(wallet)?;
    }
    Ok(FeedThread {
        kill: KillWatch::new(settings.kill, &symbols, kill_line),
        inlet,
        streams: lines::market(settings, &routes, dialer)?,
        private,
        statement,
        clock,
        rest: Metered::new(rest, budget),
        roster: Roster::new(symbols.len(), &routes, launch.symbols),
        symbols,
        commands: launch.commands,
        swaps,
        stop: Arc::clone(launch.stop),
        counters,
        heartbeat,
        health,
        timer_ms: settings.session.timer_interval_ms,
        open_interest_every_s: settings.venue.open_interest_every_s,
        snapshot_levels: settings.venue.snapshot_levels,
        pace,
        due: Due::at(now),
        fence: FenceWatch::new(launch.fence),
    })
}
