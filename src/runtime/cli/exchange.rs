//! `exchange`: the simulated exchange on sockets of its own.

use super::{Failure, output};
use crate::exchange::fault::{self, Fault};
use crate::exchange::flow::replay::Pace;
use crate::exchange::server::ReplaySettings;
use crate::exchange::server::config::{self, FileSettings};
use crate::exchange::{ClockMode, ExchangeServer};
use crate::runtime::config::ConfigError;
use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The configuration when no file is given.
const DEFAULT: &str = include_str!("../../../config/exchange.toml");
/// Longest wait between two looks at whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How the exchange's time passes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClockArgument {
    /// With the wall clock.
    Real,
    /// By `POST /sim/step` alone.
    Stepped,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine exchange --rest 127.0.0.1:0 --ws 127.0.0.1:0 --seed 7")]
pub struct ExchangeArguments {
    /// Configuration file; without it the built-in one (config/exchange.toml).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// REST address; port 0 picks a free one.
    #[arg(long, value_name = "ADDR")]
    rest: Option<SocketAddr>,
    /// WebSocket address; port 0 picks a free one.
    #[arg(long, value_name = "ADDR")]
    ws: Option<SocketAddr>,
    /// Let addresses be bound that others than this host can reach.
    #[arg(long)]
    allow_remote: bool,
    /// Seed of everything random.
    #[arg(long)]
    seed: Option<u64>,
    /// Fault script.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Recorded data (a file or folder) that drives the market instead of its own order flow; its
    /// symbols are the contracts. May be given several times.
    #[arg(long, value_name = "PATH")]
    replay: Vec<PathBuf>,
    /// How fast recorded data runs: a multiple of its own timing, or `max`.
    #[arg(long, value_name = "PACE", default_value = "1", requires = "replay")]
    pace: String,
    /// How time passes.
    #[arg(long, value_enum)]
    clock: Option<ClockArgument>,
    /// Time at the opening on a stepped clock, such as 2026-01-01T00:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    start: Option<String>,
    /// End after this time; without it the exchange runs until it is stopped.
    #[arg(long = "for", value_name = "TIME")]
    length: Option<String>,
}

/// Runs the exchange. The first line on standard output says where it is and who may trade.
pub fn exchange(arguments: &ExchangeArguments) -> Result<(), Failure> {
    let length = match &arguments.length {
        Some(text) => Some(output::duration(text).map_err(Failure::Usage)?),
        None => None,
    };
    let mut settings = settings(arguments)?;
    if !settings.faults.is_empty() {
        settings.server.faults = script(&settings.faults)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let server = ExchangeServer::start(settings.server)?;
    let line = json!({
        "rest": server.rest_url(),
        "ws": server.ws_url(),
        "api_key": server.api_key(),
        "api_secret": server.api_secret(),
    });
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush())?;
    let started = Instant::now();
    while !stop.load(Ordering::Relaxed) && server.is_running() {
        let left = length.map(|length| length.saturating_sub(started.elapsed()));
        match left {
            Some(Duration::ZERO) => break,
            left => std::thread::park_timeout(left.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)),
        }
    }
    if !server.is_running() {
        return Err(Failure::Failed(anyhow!("the exchange ended by itself; the log says why")));
    }
    server.stop();
    Ok(())
}

/// Reads a fault script.
fn script(path: &str) -> Result<Vec<Fault>, Failure> {
    let text = std::fs::read_to_string(path).with_context(|| path.to_owned());
    let parsed = fault::script::parse(&text.map_err(Failure::Usage)?);
    Ok(parsed.map_err(|problems| ConfigError { file: path.to_owned(), problems })?)
}

fn settings(arguments: &ExchangeArguments) -> Result<FileSettings, Failure> {
    let (origin, text) = match &arguments.config {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            (
                path.as_path(),
                text.with_context(|| path.display().to_string()).map_err(Failure::Usage)?,
            )
        }
        None => (Path::new("built-in configuration"), DEFAULT.to_owned()),
    };
    let mut read = config::parse(&text).map_err(|errors| ConfigError {
        file: origin.display().to_string(),
        problems: errors.iter().map(ToString::to_string).collect(),
    })?;
    let server = &mut read.server;
    server.rest_addr = arguments.rest.unwrap_or(server.rest_addr);
    server.ws_addr = arguments.ws.unwrap_or(server.ws_addr);
    server.allow_remote |= arguments.allow_remote;
    server.seed = arguments.seed.unwrap_or(server.seed);
    let start = match &arguments.start {
        Some(text) => config::instant(text).map_err(|e| Failure::Usage(anyhow!("--start: {e}")))?,
        None => read.start,
    };
    match arguments.clock {
        Some(ClockArgument::Real) => server.clock = ClockMode::Real,
        Some(ClockArgument::Stepped) => server.clock = ClockMode::Stepped { start },
        None if server.clock != ClockMode::Real => server.clock = ClockMode::Stepped { start },
        None => {}
    }
    if !arguments.replay.is_empty() {
        let pace = pace(&arguments.pace).map_err(Failure::Usage)?;
        server.replay = Some(ReplaySettings { paths: arguments.replay.clone(), pace });
    }
    if let Some(path) = &arguments.faults {
        read.faults = path.display().to_string();
    }
    Ok(read)
}

/// `max`, or a multiple above zero.
fn pace(text: &str) -> anyhow::Result<Pace> {
    if text == "max" {
        return Ok(Pace::AsFastAsPossible);
    }
    let times = text.parse().ok().filter(|times: &f64| times.is_finite() && *times > 0.0);
    let times = times.with_context(|| format!("--pace: {text} is neither `max` nor above zero"))?;
    Ok(Pace::Times(times))
}
