//! `demo` and `run`: sessions in real time.

use super::{Failure, output};
use crate::base::Symbol;
use crate::base::settings::{Mode, OrderRoute};
use crate::exchange::{ExchangeServer, ServerSettings, SymbolSpec};
use crate::runtime::access;
use crate::runtime::alerting::AlertSecrets;
use crate::runtime::clock::wall_now;
use crate::runtime::config::{self, Loaded};
use crate::runtime::session::{self, SessionOrder};
use crate::runtime::stage;
use crate::runtime::statement;
use crate::venue::account::Credentials;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The demo's configuration when no file is given and none lies in `config/`.
const DEMO: &str = include_str!("../../../config/demo.toml");
/// Its risk limits.
const DEMO_RISK: &str = include_str!("../../../config/risk.toml");

#[derive(Args)]
#[command(after_help = "Example: peregrine demo --for 30s --json")]
pub struct DemoArguments {
    /// How long to run: 500ms, 30s, 5m, 2h. Ctrl-C ends it in order at any time.
    #[arg(long = "for", default_value = "30s", value_name = "TIME")]
    length: String,
    /// Configuration file; without it config/demo.toml, or the built-in one where there is none.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Seed of the simulated market.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

impl Default for DemoArguments {
    fn default() -> Self {
        Self { length: "30s".to_owned(), config: None, seed: 7, json: false }
    }
}

#[derive(Args)]
#[command(after_help = "Example: peregrine run --config config/paper.toml --for 1h")]
pub struct RunArguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// End after this time; without it the session runs until it is stopped.
    #[arg(long = "for", value_name = "TIME")]
    length: Option<String>,
    /// The account's key was replaced since the last session: go on from the journal of the old
    /// key. To be said once; somebody has to arm the session.
    #[arg(long)]
    account_key_rotated: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Runs the demo.
pub fn demo(arguments: &DemoArguments) -> Result<(), Failure> {
    let length = output::duration(&arguments.length).map_err(Failure::Usage)?;
    let mut loaded = demo_config(arguments.config.as_deref())?;
    let symbols = specs(&loaded)?;
    let server = ExchangeServer::start(ServerSettings {
        seed: arguments.seed,
        symbols,
        ..ServerSettings::default()
    })?;
    // The addresses are part of the effective configuration, so that the journal tells them.
    let venue = [
        ("rest_url", server.rest_url()),
        ("public_url", format!("{}/public", server.ws_url())),
        ("market_url", format!("{}/market", server.ws_url())),
        ("private_url", format!("{}/private", server.ws_url())),
        ("api_url", server.api_url()),
    ];
    let values = venue.map(|(key, url)| ("venue", key, toml::Value::String(url)));
    loaded = config::with_values(&loaded, &values)?;
    let credentials = Credentials::new(server.api_key().to_owned(), server.api_secret().to_owned());
    let statement = Some(statement::LEDGER_PATH);
    let (name, duration, key_rotated) = (session::DEMO, Some(length), false);
    let (stop, kill, json) = (Arc::default(), Arc::default(), arguments.json);
    let order = SessionOrder {
        loaded,
        name,
        signed: None,
        duration,
        stop,
        kill,
        credentials,
        key_rotated,
        statement,
    };
    let result = trade(order, json);
    server.stop();
    result
}

/// Runs a configured session.
pub fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let duration = match &arguments.length {
        Some(text) => Some(output::duration(text).map_err(Failure::Usage)?),
        None => None,
    };
    let loaded = config::load(&arguments.config)?;
    let today = wall_now().utc_day();
    let signed = (loaded.settings.mode == Mode::Live).then(|| loaded.clone());
    let (name, loaded) = match loaded.settings.mode {
        Mode::Paper => ("paper", stage::within_limits(loaded, today)),
        Mode::Testnet => ("testnet", stage::within_limits(loaded, today)),
        Mode::Live => ("live", live(arguments, loaded, today)),
    };
    let loaded = loaded.map_err(Failure::Usage)?;
    let key_rotated = arguments.account_key_rotated;
    if key_rotated && loaded.settings.venue.orders != OrderRoute::Venue {
        return Err(Failure::Usage(anyhow!(
            "--account-key-rotated: venue.orders is \"paper\", which needs no key; leave it out"
        )));
    }
    let credentials = access::credentials_from_environment().map_err(Failure::Usage)?;
    let (stop, kill, statement) = (Arc::default(), Arc::default(), None);
    let order = SessionOrder {
        loaded,
        name,
        signed,
        duration,
        stop,
        kill,
        credentials,
        key_rotated,
        statement,
    };
    trade(order, arguments.json)
}

/// The configuration that trades real money: of the model that the gate decided on, with the part
/// of its limits that the stage leaves.
///
/// # Errors
/// Everything that is missing for it.
fn live(arguments: &RunArguments, loaded: Loaded, today: i64) -> Result<Loaded> {
    let objections = stage::live_objections(&loaded, today);
    if !objections.is_empty() {
        return Err(anyhow!(
            "{}: mode: \"live\" needs a GO gate decision and the sign-off of its stage: {}",
            arguments.config.display(),
            objections.join("; ")
        ));
    }
    let limited = stage::within_limits(loaded, today)?;
    stage::pinned(&limited)
}

fn trade(order: SessionOrder, json: bool) -> Result<(), Failure> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&order.stop))?;
    }
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&order.kill))?;
    AlertSecrets::read(&order.loaded.settings.alerts).map_err(Failure::Usage)?;
    let outcome = session::run(order)?;
    for difference in &outcome.differences {
        eprintln!("exchange ledger   {difference}");
    }
    if json {
        println!("{}", outcome.summary.to_json());
    } else {
        print!("{}", outcome.summary.table());
    }
    match outcome.halt {
        _ if outcome.killed => Err(Failure::Killed(anyhow!(
            "trading was killed{}, and stays so over restarts; `peregrine clear` lifts it",
            if outcome.kill_done { "; the venue was found empty" } else { "" }
        ))),
        Some(halt) => Err(Failure::Failed(anyhow!("trading stopped: {halt}"))),
        None if outcome.differences.is_empty() => Ok(()),
        None => {
            let count = outcome.differences.len();
            Err(Failure::Failed(anyhow!("the exchange's ledger differs in {count} points")))
        }
    }
}

fn demo_config(path: Option<&Path>) -> Result<Loaded, Failure> {
    let usual = Path::new("config/demo.toml");
    match path {
        Some(path) => Ok(config::load(path)?),
        None if usual.is_file() => Ok(config::load(usual)?),
        None => {
            let text = DEMO.replace("risk_file = \"risk.toml\"\n", "");
            Ok(config::from_text("built-in demo", &format!("{text}\n{DEMO_RISK}"))?)
        }
    }
}

/// The simulated contracts of the configured symbols.
fn specs(loaded: &Loaded) -> Result<Vec<SymbolSpec>> {
    let spec = |symbol: Symbol| {
        SymbolSpec::by_symbol(symbol.as_str())
            .with_context(|| format!("instruments: {symbol} is not simulated"))
    };
    loaded.settings.instruments.all().map(spec).collect()
}
