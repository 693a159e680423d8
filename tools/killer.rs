//! `peregrine-killer`: ends what is open at the venue from outside of the trader, with a key of its
//! own, while the trader hangs, is stopped or is gone. It shares no code with it.
//!
//! ```text
//!  kill file into the state folder (a trader that lives, or starts again, is killed by it)
//!  round: cancel per contract ─► what is left by number ─► conditional entries
//!         flatten: reduce-only IOC at the collar's edge, in slices ─► after 10 s MARKET ─► stops
//!         open orders, conditional orders, positions ─► empty twice: done
//! ```
//! Exit codes: 0 nothing is open any more, 1 something is or is not known not to be, 2 bad usage.

#[path = "killer/decimal.rs"]
mod decimal;
#[path = "killer/rounds.rs"]
mod rounds;
#[path = "killer/venue.rs"]
mod venue;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use venue::Venue;

/// The variables with the key, or the names of its credential files in lower case.
const KEY: &str = "PEREGRINE_KILLER_API_KEY";
const SECRET: &str = "PEREGRINE_KILLER_API_SECRET";

/// What to do with positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// They stay, with their stops.
    CancelOnly,
    /// They are closed.
    Flatten,
}

/// What the killer is told.
#[derive(Parser)]
#[command(
    name = "peregrine-killer",
    version,
    about = "Ends what is open at the venue from outside of the trader",
    after_help = "Example: peregrine-killer --url https://demo-fapi.binance.com --all-symbols \
                  --mode cancel-only --state state/testnet --reason \"the trader hangs\" --yes\n\n\
                  The key comes from PEREGRINE_KILLER_API_KEY and PEREGRINE_KILLER_API_SECRET, or \
                  from the service's credentials folder. Without --yes it only looks."
)]
pub struct Arguments {
    /// REST base URL of the venue, without a path.
    #[arg(long)]
    url: String,
    /// Contracts to end, separated by commas.
    #[arg(long, value_delimiter = ',', required_unless_present = "all_symbols")]
    symbols: Vec<String>,
    /// Every contract with an order or a position.
    #[arg(long, conflicts_with = "symbols")]
    all_symbols: bool,
    /// What to do with positions.
    #[arg(long, value_enum)]
    mode: Mode,
    /// The trader's state folder: a kill file is left there first.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Why; it goes into the kill file: 1 to 84 bytes.
    #[arg(long, default_value = "peregrine-killer")]
    reason: String,
    /// Seconds after which it gives up and says so; the venue is asked again until then.
    #[arg(long = "for", default_value_t = 60)]
    seconds: u64,
    /// Largest value of one closing order, in quote currency.
    #[arg(long, default_value_t = 1_000)]
    slice: u32,
    /// Seconds after which closing goes on at any price.
    #[arg(long, default_value_t = 10)]
    market_after: u64,
    /// Do it.
    #[arg(long)]
    yes: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let venue = match prepare(&arguments) {
        Ok(venue) => venue,
        Err(error) => {
            eprintln!("peregrine-killer: {error:#}");
            return ExitCode::from(2);
        }
    };
    let latched = match (&arguments.state, arguments.yes) {
        (Some(state), true) => leave_latch(state, &arguments),
        _ => Ok(false),
    };
    let is_latched = latched.unwrap_or_else(|error| {
        // The venue comes first; whoever reads this has to stop the trader by hand.
        eprintln!("peregrine-killer: the kill file was not written: {error:#}");
        false
    });
    let end = rounds::run(&venue, &arguments);
    let line = json!({
        "ok": end.is_empty,
        "dry": !arguments.yes,
        "latched": is_latched,
        "rounds": end.rounds,
        "orders": end.left.orders,
        "algo_entries": end.left.entries,
        "stops": end.left.stops,
        "positions": end.left.positions,
        "cancelled": end.cancelled,
        "closing_orders": end.closing,
        "milliseconds": u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX),
    });
    println!("{line}");
    if end.is_empty { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn prepare(arguments: &Arguments) -> Result<Venue> {
    let key = secret(KEY)?.with_context(|| format!("{KEY} is not set"))?;
    let secret = secret(SECRET)?.with_context(|| format!("{SECRET} is not set"))?;
    if !(1..=84).contains(&arguments.reason.len()) {
        bail!("--reason: 1 to 84 bytes are needed");
    }
    Venue::new(&arguments.url, key, secret)
}

fn secret(name: &str) -> Result<Option<String>> {
    if let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let file = Path::new(&folder).join(name.to_lowercase());
        if file.is_file() {
            let text = std::fs::read_to_string(&file);
            let text = text.with_context(|| file.display().to_string())?;
            return Ok(Some(text.trim_end().to_owned()));
        }
    }
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => bail!("{name}: not UTF-8"),
    }
}

/// Leaves the file that kills the session on the folder and every later one; one that lies there
/// stays, unless it is the weaker one.
fn leave_latch(state: &Path, arguments: &Arguments) -> Result<bool> {
    let path = state.join("killed");
    let mode = if arguments.mode == Mode::Flatten { "immediate" } else { "graceful" };
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if known.contains("immediate") || known.contains(mode) {
        return Ok(true);
    }
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let text = json!({
        "mode": mode,
        "origin": "peregrine-killer",
        "reason": arguments.reason,
        "at_ms": u64::try_from(at.as_millis()).unwrap_or(0),
    });
    let fresh = state.join("killed.new");
    std::fs::write(&fresh, text.to_string())?;
    std::fs::File::open(&fresh)?.sync_all()?;
    std::fs::rename(&fresh, &path)?;
    std::fs::File::open(state)?.sync_all()?;
    Ok(true)
}
