//! `shadow run`: challengers beside the champion, as a process of its own.

use super::Failure;
use crate::registry::Registry;
use crate::runtime::assemble::Parts;
use crate::runtime::clock::wall_now;
use crate::runtime::shadow::{
    CHALLENGERS_MAX, Challenger, Engine, EvalLog, Field, Follower, LogBounds, Turn, challengers,
    drift, on_trial, session_parts,
};
use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Records of lane 0 between two writes of the log.
const TURN_RECORDS: usize = 8_192;
/// Between two looks at a journal that has nothing new.
const IDLE: Duration = Duration::from_millis(20);

#[derive(Args)]
pub struct RunArguments {
    /// The session's journal; it may still be written.
    #[arg(long, value_name = "DIR")]
    journal: PathBuf,
    /// Go on until the session ends, instead of up to what is there.
    #[arg(long)]
    follow: bool,
    /// A challenger's version, for each; without it those that the registry has in shadow or as
    /// canary.
    #[arg(long, value_name = "VERSION")]
    challenger: Vec<String>,
    /// The registry; without it the one that the session was configured with.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// From the session's beginning on, also what a challenger's training may have seen.
    #[arg(long)]
    whole: bool,
    /// Its [drift] says how drift of features is looked for.
    #[arg(long, default_value = "config/gates.toml", value_name = "FILE")]
    gates: PathBuf,
    /// The shadow log.
    #[arg(long, default_value = "logs/shadow/shadow_eval.jsonl", value_name = "FILE")]
    log: PathBuf,
    /// Size beyond which a part of the log is closed, MiB.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    part_mib: u64,
    /// Size of all parts together, MiB; the oldest are removed.
    #[arg(long, default_value_t = 8_192, value_parser = clap::value_parser!(u64).range(2..))]
    all_mib: u64,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Runs challengers over a journal.
pub fn run(arguments: &RunArguments) -> Result<(), Failure> {
    if arguments.all_mib < 2 * arguments.part_mib {
        return Err(Failure::Usage(anyhow!("--all-mib: must be twice --part-mib at least")));
    }
    let dir = &arguments.journal;
    let champion = session_parts(dir).with_context(|| dir.display().to_string())?;
    let engine = Engine::new(&Field {
        journal: dir,
        champion: &champion,
        challengers: &named(arguments, &champion)?,
        drift: &drift(&arguments.gates)?,
    })?;
    let bounds = LogBounds { part: arguments.part_mib << 20, all: arguments.all_mib << 20 };
    let log = EvalLog::open(&arguments.log, bounds)?;
    if log.cut() > 0 {
        let shown = arguments.log.display();
        eprintln!("{shown}: half a line of {} bytes at the end was cut off", log.cut());
    }
    let mut follower = Follower::new(dir, engine, log)?;
    loop {
        match follower.turn(TURN_RECORDS)? {
            Turn::Read => {}
            Turn::Idle if arguments.follow => std::thread::sleep(IDLE),
            Turn::Idle | Turn::Ended => break,
        }
    }
    follower.finish()?;
    tell(arguments, &follower)
}

/// The models on trial, as the registry verifies them.
fn named(arguments: &RunArguments, champion: &Parts) -> Result<Vec<Challenger>, Failure> {
    let configured = Path::new(&champion.settings.model.dir);
    let registry = Registry::open(arguments.models.as_deref().unwrap_or(configured))?;
    let mut names = arguments.challenger.clone();
    if names.is_empty() {
        names = on_trial(&registry);
    }
    if names.is_empty() {
        let told = "no version is in shadow or a canary: name one with --challenger";
        return Err(Failure::Usage(anyhow!(told)));
    }
    if names.len() > CHALLENGERS_MAX {
        let told = format!("{} challengers; {CHALLENGERS_MAX} at most: name them", names.len());
        return Err(Failure::Usage(anyhow!(told)));
    }
    Ok(challengers(&registry, champion, &names, arguments.whole)?)
}

fn tell(arguments: &RunArguments, follower: &Follower) -> Result<(), Failure> {
    let (progress, log) = (follower.progress(), follower.log());
    let behind_ms = progress.behind_ms(wall_now());
    if arguments.json {
        let object = json!({
            "progress": progress, "behind_ms": behind_ms, "lines": log.written(),
            "cut_bytes": log.cut(), "parts_removed": log.removed(),
            "log": arguments.log.display().to_string(),
        });
        println!("{object}");
        return Ok(());
    }
    let counts = progress.engine;
    println!("records      {} read", progress.read);
    println!("behind       {behind_ms} ms at the newest input");
    println!(
        "decisions    {}, {} rows compared with the session's, {} differ",
        counts.decisions, counts.compared, counts.mismatches
    );
    println!("outcomes     {}, {} decisions stay without", counts.outcomes, counts.lost);
    println!("lines        {} written to {}", log.written(), arguments.log.display());
    Ok(())
}
