//! `learn`: a challenger each night.

use super::{Cli, carry_out, gate};
use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use peregrine::registry::Registry;
use peregrine::runtime::clock::wall_now;
use peregrine_lab::nightly::child::Worker;
use peregrine_lab::nightly::settings::Settings;
use peregrine_lab::nightly::store::{Entry, Ledger, Outcome};
use peregrine_lab::nightly::{Day, Nightly};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub const HELP: &str = "Examples:\n  peregrine-lab learn once --config config/learn.toml\n  \
    peregrine-lab learn watch\n  peregrine-lab learn status --json\n\n\
    Exit code 0 also where a night was refused or nothing better was found, 1 where one failed.";

/// Between two looks of `watch` at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const DEFAULT_CONFIG: &str = "config/learn.toml";

#[derive(Args)]
pub struct Learn {
    #[command(subcommand)]
    command: LearnCommand,
}

#[derive(Subcommand)]
enum LearnCommand {
    /// Do what is due: every finished day since the last one, oldest first; then look at drift.
    Once(Once),
    /// Do so by the clock, and look at drift in between, until SIGTERM or SIGINT.
    Watch(Watch),
    /// Tell what was learned, what is due, and why a night came to nothing.
    Status(Once),
    /// A step of a night, in a process that ends with its parent.
    #[command(hide = true)]
    Step(Step),
}

#[derive(Args)]
struct Once {
    /// What is learned, from what.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// What time it is, such as 2026-11-26T02:00:00Z; without it the clock says. The same time and
    /// inputs give the same bytes.
    #[arg(long, value_name = "TIME", value_parser = gate::time)]
    at: Option<u64>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

impl Once {
    fn now_ms(&self) -> i64 {
        let told = self.at.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
        told.unwrap_or_else(|| wall_now().to_millis())
    }
}

#[derive(Args)]
struct Watch {
    /// What is learned, from what.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

#[derive(Args)]
struct Step {
    /// The process that it ends with.
    #[arg(long)]
    parent: i32,
    /// A command of this program.
    #[arg(last = true, required = true)]
    words: Vec<OsString>,
}

/// Carries out a sub-command.
///
/// # Errors
/// Files that cannot be used, another one that learns, a state folder that cannot be read.
pub fn learn(arguments: Learn) -> Result<ExitCode> {
    match arguments.command {
        LearnCommand::Once(once) => self::once(&once),
        LearnCommand::Watch(watch) => self::watch(&watch),
        LearnCommand::Status(once) => status(&once),
        LearnCommand::Step(step) => self::step(step),
    }
}

/// The learner; all of its work, and every process that it starts, has a low priority.
fn opened(config: &std::path::Path, stop: Arc<AtomicBool>) -> Result<Nightly> {
    let program = std::env::current_exe().context("this program's own path")?;
    let nightly = Nightly::open(config, |settings: &Settings| Worker {
        program,
        limit: Duration::from_secs(settings.time_limit_s),
        logs: settings.work.join("log"),
        stop,
    })?;
    let nice = i32::from(nightly.settings().nice);
    // Whoever started it lower already keeps it so.
    if rustix::process::getpriority_process(None).is_ok_and(|own| own < nice) {
        rustix::process::setpriority_process(None, nice).context("nice")?;
    }
    Ok(nightly)
}

fn stopped_by_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn once(arguments: &Once) -> Result<ExitCode> {
    let nightly = opened(&arguments.config, stopped_by_signals()?)?;
    let now = arguments.now_ms();
    let told = nightly.once(now)?;
    let due = nightly.due(now)?.learn.len();
    if arguments.json {
        let nights: Vec<Value> = told.iter().map(|(name, entry)| shown(name, entry)).collect();
        println!("{}", json!({"nights": nights, "due": due}));
    } else {
        told.iter().for_each(|(name, entry)| tell(name, entry));
        println!("{} nights, {due} due", told.len());
    }
    let failed = told.iter().any(|(_, entry)| entry.outcome == Outcome::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn watch(arguments: &Watch) -> Result<ExitCode> {
    let stop = stopped_by_signals()?;
    let nightly = opened(&arguments.config, Arc::clone(&stop))?;
    let every_ms = i64::from(nightly.settings().drift.look_every_s) * 1_000;
    let mut looked = i64::MIN;
    println!("waits for {:02}:00 UTC", nightly.settings().hour);
    while !stop.load(Ordering::Relaxed) {
        let now = wall_now().to_millis();
        // A clock that went back is looked at again, too.
        let is_time = looked == i64::MIN || !(0..every_ms).contains(&(now - looked));
        if is_time {
            match nightly.once(now) {
                Ok(told) => told.iter().for_each(|(name, entry)| tell(name, entry)),
                Err(_) if stop.load(Ordering::Relaxed) => break,
                Err(error) => eprintln!("peregrine-lab learn: {error:#}"),
            }
            looked = now;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    println!("ended by a signal");
    Ok(ExitCode::SUCCESS)
}

fn status(arguments: &Once) -> Result<ExitCode> {
    let nightly = opened(&arguments.config, Arc::default())?;
    let now = arguments.now_ms();
    let (due, ledger) = (nightly.due(now)?, nightly.ledger()?);
    let registry = &nightly.settings().registry;
    let opened = Registry::is_one(registry).then(|| Registry::open(registry)).transpose()?;
    let champion = opened.as_ref().and_then(Registry::champion_version);
    let days = |days: &[Day]| days.iter().map(|day| day.name()).collect::<Vec<String>>();
    if arguments.json {
        let all = ledger.nights.iter();
        let nights: Vec<Value> = all.map(|(name, entry)| shown(name, entry)).collect();
        let line = json!({
            "champion": champion, "due": days(&due.learn), "too_old": days(&due.pass),
            "trials": trials(&ledger), "nights": nights,
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    ledger.nights.iter().for_each(|(name, entry)| tell(name, entry));
    println!("champion     {}", champion.unwrap_or("none"));
    println!("trials       {}", trials(&ledger));
    let told = days(&due.learn).join(" ");
    println!("due          {}", if told.is_empty() { "nothing" } else { &told });
    Ok(ExitCode::SUCCESS)
}

fn trials(ledger: &Ledger) -> u64 {
    ledger.nights.values().map(|entry| entry.trials).sum()
}

fn shown(name: &str, entry: &Entry) -> Value {
    json!({
        "day": name, "outcome": entry.outcome.name(), "version": entry.version,
        "reason": entry.reason, "trigger": entry.trigger, "trials": entry.trials,
        "tries": entry.tries,
    })
}

fn tell(name: &str, entry: &Entry) {
    let version = entry.version.as_deref().unwrap_or("–");
    println!("{name:<17} {:<10} {version:<24} {}", entry.outcome.name(), entry.reason);
}

/// A command of this program, which ends when whoever started it does.
fn step(step: Step) -> Result<ExitCode> {
    let signal = rustix::process::Signal::KILL;
    rustix::process::set_parent_process_death_signal(Some(signal))?;
    // It may have gone before that was asked for.
    let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
    if parent != Some(step.parent) {
        bail!("whoever began this step is gone");
    }
    let words = std::iter::once("peregrine-lab".into()).chain(step.words);
    let command = Cli::try_parse_from(words)?.command;
    if matches!(command, super::Command::Learn(_)) {
        bail!("a step of learning is not learning itself");
    }
    carry_out(command)
}
