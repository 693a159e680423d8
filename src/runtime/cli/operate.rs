//! `status`, `arm`, `pause`, `kill`, `clear`: an operator and a running session.

use super::Failure;
use crate::risk::{self, Origin};
use crate::runtime::access;
use crate::runtime::admin::{self, Request};
use crate::runtime::clock::wall_now;
use crate::runtime::config;
use crate::runtime::kill;
use crate::runtime::kill::latch::{self, Latch};
use crate::runtime::state::StateFolder;
use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

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
    pub json: bool,
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
                  A killed session cancels what is open until nothing is, ends with exit code \
                  78 and stays killed over restarts, until it is cleared. Where no session \
                  answers, the kill file is left for it."
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

/// Gives `arm` or `pause`.
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
    let result = ask(&arguments.at, "kill", Some(mode), Some(&arguments.reason));
    let mode = match arguments.mode {
        Mode::Pause => return result,
        Mode::Graceful => latch::Mode::Graceful,
        Mode::Immediate => latch::Mode::Immediate,
    };
    match result {
        Err(Failure::Failed(error)) if error.is::<admin::NoAnswer>() => {
            leave_a_latch(arguments, mode, error)
        }
        result => result,
    }
}

/// Nobody answers: the kill file kills whatever starts on the folder, or is starting, or hangs.
fn leave_a_latch(
    arguments: &KillArguments,
    mode: latch::Mode,
    unheard: anyhow::Error,
) -> Result<(), Failure> {
    let state = state_of(&arguments.at)?;
    if !state.is_dir() {
        return Err(Failure::Failed(unheard));
    }
    let known = Latch::read(&state);
    if known.as_ref().is_none_or(|known| known.mode < mode) {
        let user = rustix::process::geteuid().as_raw();
        let verb = mode.verb();
        let command = risk::command(verb, Origin::Operator, user, &arguments.reason)?;
        Latch::of_command(&command, mode, wall_now().to_millis()).write(&state)?;
    }
    // The folder's lock tells whether anybody is there.
    if StateFolder::open(&state).is_err() {
        return Err(Failure::Failed(unheard.context(format!(
            "{}: the kill file is written, and the session that runs there, or is starting, does \
             not answer; it obeys the file as soon as it can, and if it does not end, use \
             peregrine-killer",
            state.display()
        ))));
    }
    if arguments.at.json {
        println!("{}", json!({ "ok": true, "state": "latched" }));
    } else {
        println!("no session runs on {}; whatever starts there is killed", state.display());
    }
    Ok(())
}

/// Lifts a kill.
pub fn clear(arguments: &CommandArguments) -> Result<(), Failure> {
    let at = &arguments.at;
    let (state, loaded) = match (&at.state, &at.config) {
        (Some(state), _) => (state.clone(), None),
        (None, Some(file)) => {
            let loaded = config::load(file)?;
            (PathBuf::from(&loaded.settings.session.state_dir), Some(loaded))
        }
        (None, None) => return Err(Failure::Usage(anyhow!("--state or --config is needed"))),
    };
    let request =
        Request { verb: "clear".to_owned(), mode: None, reason: Some(arguments.reason.clone()) };
    if let Ok(answer) = admin::ask(&state, &request) {
        return Err(refused(&state, &answer));
    }
    let user = rustix::process::geteuid().as_raw();
    let credentials = access::credentials_from_environment()?;
    let at_venue = loaded.as_ref().map(|loaded| (&loaded.settings, credentials));
    let note = kill::clear::clear(&state, at_venue, user, &arguments.reason)?;
    if at.json {
        println!("{}", json!({ "ok": true, "state": "cleared", "epoch": note.epoch }));
    } else {
        println!("cleared up to session {}; the next one waits for `peregrine arm`", note.epoch);
    }
    Ok(())
}

/// The state folder.
pub fn state_of(at: &Where) -> Result<PathBuf, Failure> {
    match (&at.state, &at.config) {
        (Some(state), _) => Ok(state.clone()),
        (None, Some(file)) => Ok(PathBuf::from(config::load(file)?.settings.session.state_dir)),
        (None, None) => Err(Failure::Usage(anyhow!("--state or --config is needed"))),
    }
}

fn ask(at: &Where, verb: &str, mode: Option<&str>, reason: Option<&str>) -> Result<(), Failure> {
    let state = state_of(at)?;
    let request = Request {
        verb: verb.to_owned(),
        mode: mode.map(str::to_owned),
        reason: reason.map(str::to_owned),
    };
    let answer = admin::ask(&state, &request)?;
    tell(at, &state, &answer, print)
}

/// Tells what the session whose state folder is `state` answered: as it is, or by `print` where it
/// did as asked. What it refused is a failure.
pub(super) fn tell(
    at: &Where,
    state: &Path,
    answer: &Value,
    print: fn(&Value),
) -> Result<(), Failure> {
    if at.json {
        println!("{answer}");
    } else if answer["ok"] == true {
        print(answer);
    }
    if answer["ok"] == true { Ok(()) } else { Err(refused(state, answer)) }
}

fn refused(state: &Path, answer: &Value) -> Failure {
    let what = answer["error"].as_str().unwrap_or("refused").to_owned();
    Failure::Failed(anyhow!("{}: {what}", state.display()))
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
