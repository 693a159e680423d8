//! `mirror`: show what the registry and reports say on an MLflow server.

use anyhow::Result;
use clap::{Args, Subcommand};
use peregrine_lab::mirror::outbox::{Outbox, Status};
use peregrine_lab::mirror::settings::Settings;
use peregrine_lab::mirror::watch::{Mirror as Watch, Outcome, Waits};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

pub const HELP: &str = "Examples:\n  peregrine-lab mirror sync --config config/mirror.toml\n  \
    peregrine-lab mirror watch --config config/mirror.toml\n  \
    peregrine-lab mirror status --json\n\n\
    Exit code 0: everything is there. 1: something is not yet; it waits on disk.";

/// Exit code of what is not there yet.
const EXIT_WAITS: u8 = 1;

#[derive(Args)]
pub struct Mirror {
    #[command(subcommand)]
    command: MirrorCommand,
}

#[derive(Subcommand)]
enum MirrorCommand {
    /// Make the server show everything, once.
    Sync(Sync),
    /// Go on doing so until it is ended; it may be ended at any moment.
    Watch(WatchArguments),
    /// Tell what was last seen, without asking anybody.
    Status(StatusArguments),
}

#[derive(Args)]
struct Sync {
    /// What is shown, and where.
    #[arg(long, value_name = "FILE", default_value = "config/mirror.toml")]
    config: PathBuf,
    /// How often a server that is away is asked, with growing waits between.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct WatchArguments {
    /// What is shown, and where.
    #[arg(long, value_name = "FILE", default_value = "config/mirror.toml")]
    config: PathBuf,
}

#[derive(Args)]
struct StatusArguments {
    /// What is shown, and where.
    #[arg(long, value_name = "FILE", default_value = "config/mirror.toml")]
    config: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
///
/// # Errors
/// Settings that cannot be used, an outbox that is in use, a disk that cannot be written.
pub fn mirror(arguments: &Mirror) -> Result<ExitCode> {
    match &arguments.command {
        MirrorCommand::Sync(arguments) => sync(arguments),
        MirrorCommand::Watch(arguments) => watch(arguments),
        MirrorCommand::Status(arguments) => {
            let settings = Settings::read(&arguments.config)?;
            let status = Outbox::status(&settings.outbox.dir)?;
            tell(&status, arguments.json);
            let is_whole = status.waiting == 0 && status.problems.is_empty();
            Ok(code(is_whole && status.whole_at_ms.is_some()))
        }
    }
}

fn code(is_whole: bool) -> ExitCode {
    if is_whole { ExitCode::SUCCESS } else { ExitCode::from(EXIT_WAITS) }
}

fn sync(arguments: &Sync) -> Result<ExitCode> {
    let settings = Settings::read(&arguments.config)?;
    let mut waits = Waits::new(settings.watch.wait_max_s);
    let mut mirror = Watch::open(settings)?;
    let mut tries = arguments.tries;
    let is_whole = loop {
        match mirror.round()? {
            Outcome::Through(_) => break mirror.status().problems.is_empty(),
            Outcome::Away { retry_after, .. } => {
                tries -= 1;
                if tries == 0 {
                    break false;
                }
                std::thread::sleep(waits.grow(retry_after));
            }
        }
    };
    tell(mirror.status(), arguments.json);
    Ok(code(is_whole))
}

/// Never gives up: a server that is away costs nobody anything.
fn watch(arguments: &WatchArguments) -> Result<ExitCode> {
    let settings = Settings::read(&arguments.config)?;
    let mut waits = Waits::new(settings.watch.wait_max_s);
    let mut mirror = Watch::open(settings)?;
    loop {
        let (wait, line) = mirror.turn(&mut waits)?;
        if let Some(line) = line {
            eprintln!("peregrine-lab: mirror: {line}");
        }
        std::thread::sleep(wait);
    }
}

fn tell(status: &Status, as_json: bool) {
    if as_json {
        println!("{}", json!(status));
        return;
    }
    let time = |at_ms: Option<u64>| {
        let at = at_ms.and_then(|at| jiff::Timestamp::from_millisecond(at as i64).ok());
        at.map_or("never".to_owned(), |at| at.to_string())
    };
    println!("server       {}", status.server);
    println!("runs         {} there, {} wait", status.delivered, status.waiting);
    println!("history      {} entries there", status.history);
    println!("all there    {}", time(status.whole_at_ms));
    println!("last tried   {}", time(status.tried_at_ms));
    if status.away_since_ms.is_some() {
        println!("away since   {}", time(status.away_since_ms));
    }
    for problem in &status.problems {
        println!("             {problem}");
    }
}
