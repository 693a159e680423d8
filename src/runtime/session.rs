//! A session in real time: start, run, stop.
//!
//! ```text
//!  start: state folder → instruments → model → journal → stages (last first) → feed → page
//!  stop:  feed first, then each stage when its ring is empty → journal sealed
//! ```
//! Consumers start before producers and producers stop first, so nothing sent is left behind.

use super::assemble::{Budget, Parts};
use super::backtest::{close_journal, publish_feed_counters};
use super::config::Loaded;
use super::rig::Rig;
use super::state::StateFolder;
use super::topology::{cores_available, plan};
use super::watcher::Watcher;
use crate::base::event::Command;
use crate::base::settings::{InstrumentSettings, Settings};
use crate::base::units::Money;
use crate::observe::Summary;
use crate::observe::snapshot::CounterValues;
use crate::registry::Registry;
use crate::venue::capture::contracts;
use crate::venue::rest::RestClient;
use anyhow::{Context, Result};
use crossbeam::channel::{Receiver, bounded};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What to run.
pub struct SessionOrder {
    /// The configuration.
    pub loaded: Loaded,
    /// `demo` or `paper`: names the journal and the page.
    pub name: &'static str,
    /// How long; `None` until stopped.
    pub duration: Option<Duration>,
    /// Set by a signal to end the session in order.
    pub stop: Arc<AtomicBool>,
}

/// What came of it.
pub struct SessionOutcome {
    /// The figures.
    pub summary: Summary,
    /// Why it ended before its time, if it did.
    pub halt: Option<String>,
}

/// Commands waiting at once.
const COMMANDS_MAX: usize = 64;

/// Runs a session to its end.
///
/// # Errors
/// When it cannot start: configuration, model, state folder, venue or threads are named.
pub fn run(order: SessionOrder) -> Result<SessionOutcome> {
    let settings = order.loaded.settings.clone();
    let state = StateFolder::open(Path::new(&settings.session.state_dir))?;
    let parts = prepare(&order.loaded, &state)?;
    let model = parts.load_model(Budget::Configured)?;
    let topology = plan(&settings.topology, &cores_available())?;
    tracing::info!(%topology, "topology");
    let mut rig = Rig::build(&parts, &topology, &state.journal_dir(parts.epoch, order.name))?;
    let watched = rig.watched(&parts, model.0.executor(), order.name);
    let mut watcher = Watcher::start(&settings.http, watched)?;
    let running = rig.launch(&parts, model, &topology, &order.stop, watcher.commands())?;
    let started = Instant::now();
    let over = |elapsed: Duration| order.duration.is_some_and(|all| elapsed >= all);
    while !order.stop.load(Ordering::Relaxed) && !over(started.elapsed()) {
        watcher.turn();
        if running.any_ended() {
            break;
        }
    }
    order.stop.store(true, Ordering::Relaxed);
    let elapsed = started.elapsed();
    let starting = parts.settings.risk.starting_equity.unwrap_or(Money::ZERO);
    let ended = running.join(starting)?;
    let latency = watcher.finish();
    publish_feed_counters(&ended.counters, &ended.feed_stats);
    let dir = ended.journal.dir().to_path_buf();
    close_journal(ended.journal, ended.recorders)?;
    let summary = Summary {
        counters: CounterValues::read(&ended.counters),
        elapsed,
        pnl: ended.equity - starting,
        journal: Some(dir),
        latency,
    };
    Ok(SessionOutcome { summary, halt: ended.halt })
}

/// Instruments, model files and epoch of a session.
fn prepare(loaded: &Loaded, state: &StateFolder) -> Result<Parts> {
    let settings = loaded.settings.clone();
    let registry = Registry::open(Path::new(&settings.model.dir))?;
    let files = registry.select(&settings.model.version)?;
    let parts = Parts {
        instruments: instruments(&settings)?,
        text: loaded.text.clone(),
        settings,
        files,
        epoch: state.next_epoch()?,
        mode: 1,
    };
    parts.check_instruments()?;
    Ok(parts)
}

/// Contract facts: the file's, else the venue's.
fn instruments(settings: &Settings) -> Result<Vec<InstrumentSettings>> {
    let list = &settings.instruments;
    let known = |symbol| list.facts.iter().any(|facts| facts.symbol == symbol);
    let listed = if list.symbols.iter().all(|&symbol| known(symbol)) {
        Vec::new()
    } else {
        let body = RestClient::new(&settings.venue.rest_url)
            .get("/fapi/v1/exchangeInfo")
            .map_err(|error| anyhow::anyhow!("contract facts: {error}"))?;
        contracts(&body)?
    };
    list.symbols
        .iter()
        .map(|symbol| {
            let given = list.facts.iter().find(|facts| facts.symbol == *symbol).copied();
            let told = listed.iter().find(|facts| facts.symbol == *symbol);
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
pub fn command_channel() -> (crossbeam::channel::Sender<Command>, Receiver<Command>) {
    bounded(COMMANDS_MAX)
}
