//! `kill-campaign`: a trading process is killed at random instants on a running exchange, started
//! again each time, and its journals are held against the exchange's own ledger in the end.
//!
//! ```text
//!  exchange (one process, real clock) ◄──── trader, SIGKILL, trader, SIGKILL, … trader, SIGTERM
//!      │ /sim/ledger                              │ journals, one folder a session
//!      └────────────────► compare ◄───────────────┘
//! ```
//! Both are the shipped program, started as processes of their own. Nothing else is ended or
//! touched, and the temporary folder goes with the campaign.

#[path = "kill_campaign/compare.rs"]
mod compare;
#[path = "kill_campaign/etcd.rs"]
mod etcd;
#[path = "kill_campaign/exchange.rs"]
mod exchange;
#[path = "kill_campaign/failover.rs"]
mod failover;
#[path = "kill_campaign/net.rs"]
mod net;
#[path = "kill_campaign/records.rs"]
mod records;
#[path = "kill_campaign/switch.rs"]
mod switch;
#[path = "kill_campaign/tap.rs"]
mod tap;
#[path = "kill_campaign/trader.rs"]
mod trader;

use anyhow::{Context, Result, bail};
use clap::Parser;
use compare::Findings;
use exchange::Exchange;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use trader::{Ending, Traders};

#[derive(Parser)]
#[command(
    name = "kill-campaign",
    version,
    about = "Kills a trading process again and again and compares its journals with the exchange",
    after_help = "Example: kill-campaign --kills 50 --seed 7"
)]
struct Arguments {
    /// How often to kill.
    #[arg(long, default_value_t = 25)]
    kills: u32,
    /// Seed of the market and of the instants.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Journals that are replayed and compared, spread over the campaign.
    #[arg(long, default_value_t = 3)]
    replays: u32,
    /// Kill by the kill switch, by each way in turn, instead of by SIGKILL.
    #[arg(long)]
    switch: bool,
    /// Two nodes of one group with three members of etcd: kill, stop, or cut off who leads.
    #[arg(long)]
    failover: bool,
    /// Keep the temporary folder and say where it is.
    #[arg(long)]
    keep: bool,
}

/// Longest wait for a session to trade, or to end in order: a machine that is too busy makes a
/// session reduce for a minute.
const PATIENCE: Duration = Duration::from_secs(180);
/// Sessions in a row that may end by themselves before the campaign is given up.
const FAILURES_MAX: u32 = 3;

/// What was done to the traders.
#[derive(Default)]
struct Deeds {
    kills: u32,
    terminated: u32,
    stopped: u32,
    failures: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kill-campaign: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let began = Instant::now();
    if arguments.failover {
        net::enter()?;
    }
    let mut folder = Folder::new(arguments.keep)?;
    let exchange = Exchange::start(folder.path(), arguments.seed)?;
    if arguments.failover {
        let result = failover::run(folder.path(), &exchange, arguments.seed, arguments.kills);
        folder.keep_unless(matches!(result, Ok(true)));
        return result;
    }
    let traders = Traders::new(folder.path(), &exchange, arguments.seed)?;
    let mut rng = ChaCha8Rng::seed_from_u64(arguments.seed);
    if arguments.switch {
        return switch::run(&traders, &exchange, &mut rng, arguments.kills, PATIENCE);
    }
    let mut deeds = Deeds::default();
    let mut in_a_row = 0;
    while deeds.kills < arguments.kills {
        let failed = one_life(&traders, &mut rng, &mut deeds)?;
        in_a_row = if failed { in_a_row + 1 } else { 0 };
        if in_a_row == FAILURES_MAX {
            bail!("the trader does not stay up: {}", traders.last_words());
        }
        // Killing what may not trade would prove nothing.
        let newest = traders.journals().pop();
        if let Some(reason) = newest.as_deref().and_then(records::began_halted) {
            bail!("the trader was left halted ({reason}) and may not trade");
        }
    }
    eprintln!("the last session: reconciles, trades, ends in order");
    traders.start(true)?.end_in_order(PATIENCE).context("the last session")?;
    let ledger = exchange.ledger()?;
    let journals = traders.journals();
    let findings = compare::findings(&ledger, &journals, exchange.api_key())?;
    let replays = replays(&journals, arguments.replays, &mut rng)?;
    Ok(report(&deeds, &findings, replays, began))
}

/// Starts a trader and ends it at a random instant; true when it ended by itself.
fn one_life(traders: &Traders, rng: &mut ChaCha8Rng, deeds: &mut Deeds) -> Result<bool> {
    // Takers and makers in turn, so that orders rest when the process dies.
    let mut trader = traders.start(rng.random_bool(0.5))?;
    let (kind, wait) = instant(rng);
    if !trader.lives_for(wait)? {
        deeds.failures += 1;
        return Ok(true);
    }
    let deed = match kind {
        Kind::Kill => trader.kill()?,
        Kind::StopThenKill(pause) => {
            trader.stop_and_continue(pause)?;
            deeds.stopped += 1;
            trader.lives_for(wait / 2)?;
            trader.kill()?
        }
        Kind::Terminate => trader.terminate(PATIENCE)?,
    };
    match deed {
        Ending::Killed => deeds.kills += 1,
        Ending::InOrder => deeds.terminated += 1,
        Ending::Failed => {
            deeds.failures += 1;
            return Ok(true);
        }
    }
    eprintln!(
        "{:>4} killed, {} terminated, {} stopped; the last lived for {} ms",
        deeds.kills,
        deeds.terminated,
        deeds.stopped,
        wait.as_millis()
    );
    Ok(false)
}

enum Kind {
    Kill,
    StopThenKill(Duration),
    Terminate,
}

/// What to do next, and after how long: now and then during start-up and reconciliation, mostly
/// while it trades.
fn instant(rng: &mut ChaCha8Rng) -> (Kind, Duration) {
    let kind = match rng.random_range(0..100) {
        0..6 => Kind::Terminate,
        6..12 => Kind::StopThenKill(Duration::from_millis(rng.random_range(50..600))),
        _ => Kind::Kill,
    };
    let early = rng.random_bool(0.2);
    let range = if early { 0..500_000 } else { 500_000..1_600_000 };
    (kind, Duration::from_micros(rng.random_range(range)))
}

/// Replays some of the journals, the last among them; how many were equal to what was recorded.
fn replays(journals: &[std::path::PathBuf], count: u32, rng: &mut ChaCha8Rng) -> Result<u32> {
    let mut equal = 0;
    for i in 0..count.min(u32::try_from(journals.len())?) {
        let at = if i == 0 { journals.len() - 1 } else { rng.random_range(0..journals.len()) };
        let dir = &journals[at];
        if records::opening(dir)?.is_none() {
            continue;
        }
        let found = peregrine::runtime::replay::verify(dir)?;
        if found.differences > 0 {
            bail!("{}: {} differences: {:?}", dir.display(), found.differences, found.first);
        }
        equal += 1;
    }
    Ok(equal)
}

fn report(deeds: &Deeds, findings: &Findings, replays: u32, began: Instant) -> bool {
    for line in &findings.lines {
        eprintln!("{line}");
    }
    let clean = findings.lost + findings.duplicated + findings.phantom == 0
        && findings.position_mismatches == 0;
    let line = json!({
        "kills": deeds.kills,
        "lost": findings.lost,
        "duplicated": findings.duplicated,
        "phantom": findings.phantom,
        "position_mismatches": findings.position_mismatches,
        "orders": findings.orders,
        "fills": findings.fills,
        "unknown_resolved": findings.unknown_resolved,
        "replays_verified": replays,
        "terminated": deeds.terminated,
        "stopped": deeds.stopped,
        "failed_starts": deeds.failures,
        "seconds": began.elapsed().as_secs_f64(),
    });
    println!("{line}");
    clean && deeds.failures == 0
}

/// A folder of the campaign's own, removed with it.
struct Folder {
    path: std::path::PathBuf,
    keep: bool,
}

impl Folder {
    fn new(keep: bool) -> Result<Self> {
        let name = format!("kill-campaign-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        if keep {
            eprintln!("everything stays in {}", path.display());
        }
        Ok(Self { path, keep })
    }

    /// What went wrong is to be found in it.
    fn keep_unless(&mut self, clean: bool) {
        if !clean && !self.keep {
            self.keep = true;
            eprintln!("everything stays in {}", self.path.display());
        }
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
