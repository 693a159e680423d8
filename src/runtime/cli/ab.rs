//! `model use`, `ab start|status|stop`: an operator, and the models of a running session.

use super::Failure;
use super::operate::{self, Where, state_of};
use crate::runtime::swap::ask::{ModelRequest, ask};
use clap::{Args, Subcommand};
use serde_json::Value;

#[derive(Args)]
#[command(
    after_help = "Example: peregrine model use previous --state state --reason \"it loses\"\n\n\
                  The version is read, verified and proved while the old one goes on; then it \
                  decides from one numbered event on. `previous` is warm and takes no loading."
)]
pub struct UseArguments {
    /// A version of the session's registry, `champion`, or `previous`.
    model: String,
    #[command(flatten)]
    at: Where,
    /// Why; it goes into the journal: 1 to 84 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Subcommand)]
pub enum AbCommand {
    /// Let a challenger decide a share of the trading.
    Start(StartArguments),
    /// Tell what decides, and what the challenger's trades earned.
    #[command(after_help = "Example: peregrine ab status --state state")]
    Status(Where),
    /// End the trial; the champion decides everything.
    Stop(StopArguments),
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine ab start --model b-2 --state state --reason \"shadowed\"\n\n\
                  Instruments and blocks of time are dealt by the seed. The trial ends by itself \
                  as `[canary]` of the configuration says."
)]
pub struct StartArguments {
    /// The challenger: a version of the session's registry.
    #[arg(long, value_name = "VERSION")]
    model: String,
    /// Its share in basis points: 1000 to 2000; the configuration's if not given.
    #[arg(long, value_name = "BPS")]
    share_bps: Option<u32>,
    /// Length of the blocks in milliseconds; the configuration's if not given.
    #[arg(long, value_name = "MS")]
    block_ms: Option<u32>,
    /// Seed of the deal; the configuration's if not given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    at: Where,
    /// Why; it goes into the journal: 1 to 84 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine ab stop --state state --reason \"seen enough\"")]
pub struct StopArguments {
    #[command(flatten)]
    at: Where,
    /// Why; it goes into the journal: 1 to 84 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Runs a command of the trial.
pub fn ab(command: &AbCommand) -> Result<(), Failure> {
    let request = |verb: &str| ModelRequest { verb: verb.to_owned(), ..ModelRequest::default() };
    match command {
        AbCommand::Start(arguments) => {
            let request = ModelRequest {
                model: Some(arguments.model.clone()),
                share_bps: arguments.share_bps,
                block_ms: arguments.block_ms,
                seed: arguments.seed,
                reason: Some(arguments.reason.clone()),
                ..request("ab_start")
            };
            tell(&arguments.at, &request)
        }
        AbCommand::Status(at) => tell(at, &request("ab_status")),
        AbCommand::Stop(arguments) => {
            let reason = Some(arguments.reason.clone());
            tell(&arguments.at, &ModelRequest { reason, ..request("ab_stop") })
        }
    }
}

/// Has a running session trade on another model.
pub fn use_model(arguments: &UseArguments) -> Result<(), Failure> {
    let request = ModelRequest {
        verb: "model_use".to_owned(),
        model: Some(arguments.model.clone()),
        reason: Some(arguments.reason.clone()),
        ..ModelRequest::default()
    };
    tell(&arguments.at, &request)
}

fn tell(at: &Where, request: &ModelRequest) -> Result<(), Failure> {
    let state = state_of(at)?;
    let answer = ask(&state, request)?;
    operate::tell(at, &state, &answer, print)
}

fn print(answer: &Value) {
    println!("{:<10} {:<32} {:>12} {:>8}", "", "version", "predictions", "faults");
    for role in ["champion", "canary", "previous"] {
        let model = &answer[role];
        if let Some(version) = model["version"].as_str() {
            let (predictions, faults) = (&model["predictions"], &model["faults"]);
            println!("{role:<10} {version:<32} {predictions:>12} {faults:>8}");
        }
    }
    let canary = &answer["canary"];
    if canary.is_object() {
        let text = |key: &str| canary[key].as_str().unwrap_or_default().to_owned();
        let (share, block, seed) = (&canary["share_bps"], &canary["block_ms"], &canary["seed"]);
        println!("share      {share} basis points of blocks of {block} ms, seed {seed}");
        println!("earned     {}, {} below its best", text("pnl_quote"), text("loss_quote"));
    }
}
