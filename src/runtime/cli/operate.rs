//! `status`, `arm`, `pause`, `kill`, `clear`: an operator and a running session.

use super::Failure;
use crate::runtime::admin::{self, Request};
use crate::runtime::config;
use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;

/// Where the session is.
#[derive(Args)]
pub struct Where {
    /// The session's state folder.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    state: Option<PathBuf>,
    /// The session's configuration file, which names its state folder.
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    config: Option<PathBuf>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine status --state state")]
pub struct StatusArguments {
    #[command(flatten)]
    at: Where,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine arm --state state --reason \"books compared\"")]
pub struct CommandArguments {
    #[command(flatten)]
    at: Where,
    /// Why; it goes into the journal: 1 to 84 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// How to kill.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// No new entries; exits go on. An operator's `arm` lifts it.
    Pause,
    /// Nothing but cancels; positions stay, with their protective stops.
    Graceful,
    /// Cancels entries and closes every position.
    Immediate,
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine kill --state state --mode immediate --reason \"runs wild\"\n\n\
                  A killed session stays killed over restarts, until it is cleared, and ends with \
                  exit code 78."
)]
pub struct KillArguments {
    #[command(flatten)]
    at: Where,
    /// How.
    #[arg(long, value_enum)]
    mode: Mode,
    /// Why; it goes into the journal: 1 to 84 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Tells a session's state.
pub fn status(arguments: &StatusArguments) -> Result<(), Failure> {
    ask(&arguments.at, "status", None, None)
}

/// Gives `arm`, `pause` or `clear`.
pub fn command(verb: &str, arguments: &CommandArguments) -> Result<(), Failure> {
    ask(&arguments.at, verb, None, Some(&arguments.reason))
}

/// Kills.
pub fn kill(arguments: &KillArguments) -> Result<(), Failure> {
    let mode = match arguments.mode {
        Mode::Pause => "pause",
        Mode::Graceful => "graceful",
        Mode::Immediate => "immediate",
    };
    ask(&arguments.at, "kill", Some(mode), Some(&arguments.reason))
}

fn ask(at: &Where, verb: &str, mode: Option<&str>, reason: Option<&str>) -> Result<(), Failure> {
    let state = match (&at.state, &at.config) {
        (Some(state), _) => state.clone(),
        (None, Some(file)) => PathBuf::from(config::load(file)?.settings.session.state_dir),
        (None, None) => return Err(Failure::Usage(anyhow!("--state or --config is needed"))),
    };
    let request = Request {
        verb: verb.to_owned(),
        mode: mode.map(str::to_owned),
        reason: reason.map(str::to_owned),
    };
    let answer = admin::ask(&state, &request)?;
    if at.json {
        println!("{answer}");
    } else if answer["ok"] == true {
        print(&answer);
    }
    if answer["ok"] == true {
        return Ok(());
    }
    let what = answer["error"].as_str().unwrap_or("refused").to_owned();
    Err(Failure::Failed(anyhow!("{}: {what}", state.display())))
}

fn print(answer: &Value) {
    let text = |key: &str| match &answer[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for key in ["state", "session", "equity", "pnl_quote", "open_orders", "journal"] {
        println!("{key:<12} {}", text(key));
    }
    let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    for reason in list("not_ready") {
        println!("not ready    {}", reason.as_str().unwrap_or_default());
    }
    for position in list("positions") {
        let part = |key: &str| position[key].as_str().unwrap_or_default().to_owned();
        println!("{:<12} {} at {}", part("symbol"), part("qty"), part("entry_px"));
    }
}
