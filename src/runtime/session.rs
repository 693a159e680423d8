//! A session in real time: start, run, stop.
//!
//! ```text
//!  start: state folder → account → instruments → model → journal → stages, last first → feed
//!         → page
//!  stop:  feed first, then each stage when its ring is empty → journal sealed
//!         with orders at the venue the feed first cancels what is open and hears the last reports
//! ```
//! Consumers start before producers and producers stop first, so nothing sent is left behind.

use super::access;
use super::admin::AdminSocket;
use super::alerting::{Aside, Watch};
use super::assemble::{Budget, Parts};
use super::backtest::{close_journal, publish_feed_counters};
use super::beside::Beside;
use super::clock::wall_now;
use super::closing::LastLook;
use super::config::Loaded;
use super::kill::latch::{Cleared, Latch, StaysKilled};
use super::kill::switch::Switched;
use super::own::{self, OwnModels};
use super::patience::Patience;
use super::recover::{Carried, Chain, newest_epoch};
use super::revert::LeftModels;
use super::revert::start::{self, Begun};
use super::rig::{Launch, Rig, VenueAccess};
use super::running::Ended;
use super::shadow::ShadowThread;
use super::standby::fenced::FenceWatch;
use super::standby::{self, Term};
use super::state::StateFolder;
use super::statement;
use super::stopped;
use super::swap::ModelDesk;
use super::swap::board::ModelBoard;
use super::swap::desk::DeskWork;
use super::symbols::{self, SymbolDesk, SymbolOrder};
use super::topology::{cores_available, plan};
use super::watcher::Watcher;
use crate::base::Nanos;
use crate::base::event::Command;
use crate::base::settings::{InstrumentSettings, Mode, OrderRoute, Settings};
use crate::base::units::Money;
use crate::execution::Signer;
use crate::journal::Recorder;
use crate::model::artifact::hex;
use crate::model::{ArtifactFiles, Model};
use crate::observe::latency::LatencyView;
use crate::observe::snapshot::{CounterValues, ModelView};
use crate::observe::{SnapshotCell, Summary};
use crate::promotion::Breach;
use crate::venue::account::Credentials;
use crate::venue::budget::{Budget as VenueBudget, RateLimits};
use crate::venue::capture::contracts;
use crate::venue::dialect::paths;
use crate::venue::listing::check;
use crate::venue::rest::RestClient;
use anyhow::{Context, Error, Result, bail};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What to run.
pub struct SessionOrder {
    /// The configuration.
    pub loaded: Loaded,
    /// `demo`, `paper` or `testnet`: names the journal and the page.
    pub name: &'static str,
    /// With real money: the configuration as it stands in its file, which the sign-off is of.
    pub signed: Option<Loaded>,
    /// How long; `None` until stopped.
    pub duration: Option<Duration>,
    /// Set by a signal to end the session in order.
    pub stop: Arc<AtomicBool>,
    /// Set by SIGUSR1 to kill it, gracefully.
    pub kill: Arc<AtomicBool>,
    /// The account's, for orders at the venue.
    pub credentials: Option<Credentials>,
    /// An operator says that the account has another key than in the session before.
    pub key_rotated: bool,
    /// Where the venue tells its own ledger, to be held against the journal's at the end.
    pub statement: Option<&'static str>,
}

/// What came of it.
pub struct SessionOutcome {
    /// The figures.
    pub summary: Summary,
    /// Why it ended before its time, if it did.
    pub halt: Option<String>,
    /// It was left killed.
    pub killed: bool,
    /// The kill found the venue empty, twice.
    pub kill_done: bool,
    /// In what the venue's ledger and the journal's differ, where they were compared.
    pub differences: Vec<String>,
}

/// The session that starts an exchange of its own each time.
pub const DEMO: &str = "demo";
/// What an end that the venue did not answer in time is called.
const UNSETTLED: &str = "the venue did not settle the end of the session in time; open orders are \
    not known to be gone";
/// What an end is called after which our books and the venue's are known to differ.
const DIFFERS: &str = "at the end the venue's orders or positions were not those of the journal; \
    the next session stays halted until an operator has looked";
/// What the end of a session is called whose node does not lead any more.
const FENCED: &str = "the lease of the leader was over as far as this node knew; what is open at \
    the venue was left to the next leader";
/// What an end is called at which that could not be found out.
const UNKNOWN: &str = "at the end the venue did not tell in time whether its positions are those \
    of the journal; the next session asks before it trades";
/// What the observer leaves: the latencies, and the recorder of their stamps.
type Finished = (LatencyView, Option<Recorder>);
/// Commands waiting at once.
const COMMANDS_MAX: usize = 64;

/// Runs a session to its end.
///
/// # Errors
/// When it cannot start: configuration, model, state folder, venue or threads are named.
pub fn run(order: SessionOrder) -> Result<SessionOutcome> {
    let state = StateFolder::open(Path::new(&order.loaded.settings.session.state_dir))?;
    let ran = match &order.loaded.settings.standby {
        None => run_in(&order, &state, None),
        Some(_) if order.name == DEMO => {
            bail!("[standby]: the demo is of one machine; leave it out")
        }
        Some(settings) => standby::run(&order, &state, settings),
    };
    if let Err(error) = Latch::keep_signal(state.dir(), &order.kill) {
        tracing::error!(%error, "a kill by signal was not kept");
    }
    ran
}

/// Runs a session in its state folder; of a group of nodes, as long as `term` lets it.
///
/// # Errors
/// As [`run`].
pub(super) fn run_in(
    order: &SessionOrder,
    state: &StateFolder,
    term: Option<&Term>,
) -> Result<SessionOutcome> {
    let lay = latch_of(state)?;
    let budget = Arc::new(VenueBudget::new(RateLimits::default()));
    let Begun { files, left, failed } = start::choose(&order.loaded.settings, order.name)?;
    let (mut parts, access) = enter(order, files, (state, lay.as_ref(), term), &budget)?;
    let latch = heed_meanwhile(order, state, lay, &mut parts.carried)?;
    let credentials = order.credentials.clone().filter(|_| access.is_some());
    let model = parts.load_model(Budget::Configured)?;
    let topology = plan(&parts.settings.topology, &cores_available())?;
    tracing::info!(%topology, "topology");
    let journal = StateFolder::journal_name(parts.epoch, order.name);
    let mut rig = Rig::build(&parts, &topology, &state.journals().join(&journal))?;
    state.begin(order.name, &journal)?;
    let signed = order.signed.as_ref().unwrap_or(&order.loaded);
    let (desk, board) = models(signed, (&parts, left, failed), &model.0, &mut rig)?;
    let watched = rig.watched(&parts, board, order.name);
    let shadow = ShadowThread::start(&parts, rig.journal(), state.dir(), &watched.shadow)?;
    let watch = Watch::of(&watched, &order.stop);
    let mut watcher = Watcher::start(&parts.settings.http, watched)?;
    let commands = watcher.commands();
    let (river, cell) = watcher.desk();
    let aside = Aside::start(&parts.settings, watch, (&river, &cell))?;
    let (admin, symbols) = admin(state.dir(), (&river, cell), &desk, &parts)?;
    let fence = term.map(|term| Arc::clone(&term.fence));
    let (topology, fenced) = (&topology, fence.clone());
    let launch = Launch { topology, stop: &order.stop, commands, symbols, access, fence: fenced };
    let running = rig.launch(&parts, model, launch)?;
    term.iter().for_each(|term| term.watch(Arc::clone(&running.counters), parts.epoch));
    let fence = FenceWatch::new(fence);
    let (counters, signal) = (Arc::clone(&running.counters), Arc::clone(&order.kill));
    let switched = Switched { state: state.dir(), river, counters, signal };
    let asking = (credentials.as_ref(), &budget);
    let mut beside = Beside::start(&parts, watcher, (switched, latch), asking, &running)?;
    beside.stand_behind(fence.clone());
    let started = Instant::now();
    beside.run(&running, (order.stop.as_ref(), order.duration), started);
    let elapsed = started.elapsed();
    let configured = parts.settings.risk.starting_equity.unwrap_or(Money::ZERO);
    let starting = parts.carried.equity(configured);
    let mut ended = running.join(starting);
    let is_fenced = fence.is_closed();
    if let (true, Ok(ended)) = (is_fenced, &mut ended) {
        ended.halt.get_or_insert_with(|| FENCED.to_owned());
    }
    beside.watcher.look();
    admin.settle();
    drop((admin, desk, shadow));
    // Also when a thread panicked, or the venue did not answer in time while it was asked to.
    let in_order = ended.as_ref().is_ok_and(|ended| ended.halt.is_none() && ended.settled);
    if let (Some(credentials), false, false) = (&credentials, in_order, is_fenced) {
        access::cancel_everything(&parts.settings, credentials.clone(), &budget);
        let _ = stopped::keep(state, &budget);
    }
    let (killed, kill_done) =
        ended.as_ref().map_or((false, false), |ended| (ended.killed, ended.kill_done));
    let watcher = beside.finish(in_order, killed, kill_done);
    aside.tell_end(&ended);
    let seen = (watcher.finish(), elapsed, starting);
    conclude(ended?, seen, aside, order.statement.and(credentials))
}

/// Closes the journal, and tells what came of a session; `compared` is the account whose ledger is
/// held against the journal.
fn conclude(
    mut ended: Ended,
    ((latency, stamps), elapsed, starting): (Finished, Duration, Money),
    aside: Aside,
    compared: Option<Credentials>,
) -> Result<SessionOutcome> {
    let (killed, kill_done) = (ended.killed, ended.kill_done);
    ended.recorders.extend(stamps);
    publish_feed_counters(&ended.counters, &ended.feed_stats);
    let dir = ended.journal.dir().to_path_buf();
    close_journal(ended.journal, ended.recorders)?;
    aside.finish();
    let differences = compared.map(|own| differences(&dir, ended.statement.as_deref(), &own));
    let summary = Summary {
        counters: CounterValues::read(&ended.counters),
        elapsed,
        pnl: ended.equity - starting,
        journal: Some(dir),
        latency,
        ledger_equal: differences.as_ref().map(Vec::is_empty),
        last_look: ended.last_look.map(LastLook::name),
    };
    let differences = differences.unwrap_or_default();
    let halt = ended.halt.or(fault_of(ended.settled, ended.last_look));
    Ok(SessionOutcome { summary, halt, killed, kill_done, differences })
}

/// Opens the admin socket; and where orders about symbols come out.
fn admin(
    state: &Path,
    (river, cell): (&Sender<Command>, Arc<SnapshotCell>),
    models: &ModelDesk,
    parts: &Parts,
) -> Result<(AdminSocket, Receiver<SymbolOrder>)> {
    let (asked, orders) = symbols::orders();
    let symbols = SymbolDesk::new(asked, &parts.symbols(), &parts.settings.risk.allow);
    let desks = (models.asking(), Some(symbols));
    Ok((AdminSocket::with_desks(state, river.clone(), cell, desks)?, orders))
}

/// Starts what has models changed; and what the page shows of them, beginning with `model`.
fn models(
    signed: &Loaded,
    (parts, left, failed): (&Parts, Arc<LeftModels>, Option<(String, Breach)>),
    model: &Model,
    rig: &mut Rig,
) -> Result<(ModelDesk, Arc<ModelBoard>)> {
    let (ends, attacher) = rig.let_models_change();
    let (executor, (health, journal)) = (model.executor().name(), rig.journal());
    let first = ModelView {
        version: parts.files.card.version.clone(),
        stage: "champion",
        sha256: hex(&parts.files.sha256),
        executor,
        ..ModelView::default()
    };
    let board = Arc::new(ModelBoard::new(Arc::clone(&ends.signs), first, parts.own.views()));
    let work = DeskWork {
        parts,
        executor,
        signed,
        ends,
        attacher,
        health,
        journal,
        board: Arc::clone(&board),
        left,
        failed,
    };
    Ok((ModelDesk::start(work)?, board))
}

/// What is wrong with an end in order.
fn fault_of(settled: bool, last_look: Option<LastLook>) -> Option<String> {
    let fault = match last_look {
        _ if !settled => UNSETTLED,
        None | Some(LastLook::Clean) => return None,
        Some(LastLook::Differs) => DIFFERS,
        Some(LastLook::Unknown) => UNKNOWN,
    };
    Some(fault.to_owned())
}

/// Looks at the account, where orders go to one, and gathers what the session is made of.
fn enter(
    order: &SessionOrder,
    files: ArtifactFiles,
    (state, latch, term): (&StateFolder, Option<&Latch>, Option<&Term>),
    budget: &Arc<VenueBudget>,
) -> Result<(Parts, Option<VenueAccess>)> {
    term.map_or(Ok(()), |term| term.check(&files))?;
    let carried = carried(order, state, latch)?;
    let settings = &order.loaded.settings;
    let patience = match term {
        None => Duration::from_secs(u64::from(settings.venue.start_patience_s)),
        // Another node may reach it.
        Some(_) => Duration::ZERO,
    };
    let patience = Patience::new(patience, &order.stop);
    if settings.venue.orders != OrderRoute::Venue {
        let carried = carried.of_account(0)?;
        let of_paper = (Signer::paper(), None, &patience);
        let parts = prepare(&order.loaded, (state, files), (carried, 0), of_paper)?;
        return Ok((parts, None));
    }
    stopped::wait(state, carried.stopped_until, &order.stop)?;
    let (loaded, mut access) = account(order, state, budget, &patience)?;
    let carried = match order.key_rotated {
        true => carried.of_rotated_key(access.account)?,
        false => carried.of_account(access.account)?,
    };
    let carried = match term {
        None => (carried, 0),
        Some(term) => term.take_over(carried, &loaded.settings, (&access, &patience), state)?,
    };
    let of_venue = (access.credentials.signer(), access.exchange_info.take(), &patience);
    let parts = prepare(&loaded, (state, files), carried, of_venue)?;
    term.map_or(Ok(()), |term| term.check_own(&parts.own))?;
    term.map_or(Ok(()), |term| term.seal(parts.epoch))?;
    Ok((parts, Some(access)))
}

/// Reads the account; where the venue does not want to be asked for a short while, again after it:
/// a start that ends instead is one of the few that a service manager allows.
fn account(
    order: &SessionOrder,
    state: &StateFolder,
    budget: &Arc<VenueBudget>,
    patience: &Patience<'_>,
) -> Result<(Loaded, VenueAccess)> {
    let open = || {
        let credentials = order.credentials.clone();
        let opened = access::open(&order.loaded, credentials, order.statement, (budget, patience));
        opened.map_err(|error| blame(error, state, budget))
    };
    open().or_else(|error| {
        if budget.stopped(wall_now()).is_none() {
            return Err(error);
        }
        stopped::wait(state, Nanos::ZERO, &order.stop).context(format!("{error:#}"))?;
        open()
    })
}

/// A start that failed because the venue does not want to be asked says until when, and keeps it.
fn blame(error: Error, state: &StateFolder, budget: &VenueBudget) -> Error {
    match stopped::keep(state, budget) {
        Some((reason, until)) => {
            error.context(format!("the venue does not answer ({}) before {until}", reason.name()))
        }
        None => error,
    }
}

/// In what the venue's ledger and the journal's differ.
fn differences(dir: &Path, told: Option<&[u8]>, own: &Credentials) -> Vec<String> {
    let Some(told) = told else { return vec!["the venue did not tell its ledger".to_owned()] };
    let found = statement::differences(dir, told, own.key());
    found.unwrap_or_else(|error| vec![format!("{error:#}")])
}

/// The latch of a state folder, where its kill is still to be brought to an end.
///
/// # Errors
/// [`StaysKilled`] where it has been.
fn latch_of(state: &StateFolder) -> Result<Option<Latch>> {
    match Latch::read(state.dir()) {
        Some(latch) if latch.finished => {
            Err(StaysKilled { state: state.dir().to_owned(), latch }.into())
        }
        latch => Ok(latch),
    }
}

/// A kill that came while the start waited, by signal or file, is carried into the opening as one
/// that lay there before: until now nobody looked. What lies in the state folder then; `lay` is
/// what was known.
///
/// # Errors
/// [`StaysKilled`] where somebody has brought it to an end, and when a signal's cannot be kept.
fn heed_meanwhile(
    order: &SessionOrder,
    state: &StateFolder,
    lay: Option<Latch>,
    carried: &mut Carried,
) -> Result<Option<Latch>> {
    Latch::keep_signal(state.dir(), &order.kill).context("a kill by signal is not kept")?;
    let lies = latch_of(state)?;
    let mode = |latch: &Option<Latch>| latch.as_ref().map(|latch| latch.mode);
    if mode(&lies) <= mode(&lay) {
        return Ok(lay);
    }
    carried.heed(lies.as_ref(), None);
    Ok(lies)
}

/// What earlier sessions left; a session that brings its own exchange along has none of it but a
/// kill.
fn carried(order: &SessionOrder, state: &StateFolder, latch: Option<&Latch>) -> Result<Carried> {
    let mut carried = if order.name == DEMO {
        Carried::default()
    } else {
        let chain = Chain::new(order.name, &order.loaded.settings);
        Carried::read(&state.journals(), &chain, state.begun(order.name)?.as_deref())?
    };
    carried.heed(latch, Cleared::read(state.dir()).as_ref());
    Ok(carried)
}

/// Instruments and epoch of a session; the epoch lies above `newest` in any case. `exchange_info`
/// is what the venue told before.
fn prepare(
    loaded: &Loaded,
    (state, files): (&StateFolder, ArtifactFiles),
    (carried, newest): (Carried, u32),
    (signer, exchange_info, patience): (Signer, Option<Vec<u8>>, &Patience<'_>),
) -> Result<Parts> {
    let settings = loaded.settings.clone();
    let own = own::files(&settings)?;
    let mut parts = Parts {
        instruments: instruments(&settings, exchange_info, patience)?,
        text: loaded.text.clone(),
        settings,
        files,
        own: OwnModels::default(),
        epoch: state.next_epoch(newest_epoch(&state.journals())?.max(newest))?,
        mode: mode_number(loaded.settings.mode),
        carried,
        signer,
    };
    parts.check_instruments()?;
    parts.own = OwnModels::load(&own, &parts.symbols(), &parts.terms(), Budget::Configured)?;
    Ok(parts)
}

/// As [`crate::base::event::SessionStart`] tells it.
const fn mode_number(mode: Mode) -> u32 {
    match mode {
        Mode::Paper => 1,
        Mode::Testnet => 2,
        Mode::Live => 3,
    }
}

/// Contract facts: the file's, else the venue's.
fn instruments(
    settings: &Settings,
    exchange_info: Option<Vec<u8>>,
    patience: &Patience<'_>,
) -> Result<Vec<InstrumentSettings>> {
    let list = &settings.instruments;
    let known = |symbol| list.facts.iter().any(|facts| facts.symbol == symbol);
    // With real money the list is read, or there is no start.
    let may_be_missing = settings.mode != Mode::Live;
    let listed = if exchange_info.is_none() && may_be_missing && list.all().all(known) {
        Vec::new()
    } else {
        let venue = &settings.venue;
        let path = paths(venue.dialect).contracts;
        let client = RestClient::new(&venue.rest_url);
        let asked = || patience.ask(|| Ok(client.get(path)?));
        let body = exchange_info
            .map_or_else(asked, Ok)
            .map_err(|error| anyhow::anyhow!("contract facts: {error}"))?;
        check(settings, &body).map_err(|what| anyhow::anyhow!("contract facts: {what}"))?;
        contracts(venue.dialect, &body)?
    };
    list.all()
        .map(|symbol| {
            let given = list.facts.iter().find(|facts| facts.symbol == symbol).copied();
            let told = listed.iter().find(|facts| facts.symbol == symbol);
            let fees = |facts: &InstrumentSettings| InstrumentSettings {
                maker_fee: list.maker_fee,
                taker_fee: list.taker_fee,
                ..*facts
            };
            given
                .or_else(|| told.map(fees))
                .with_context(|| format!("{symbol}: the venue lists no such contract"))
        })
        .collect()
}

/// A channel for operators' commands.
pub fn command_channel() -> (Sender<Command>, Receiver<Command>) {
    bounded(COMMANDS_MAX)
}
