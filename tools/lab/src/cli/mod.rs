//! Command line of the lab, a file a group of commands. Exit codes: 0 done, 1 failed, 2 bad usage,
//! 3 a gate that says NO-GO.

mod chain;
mod data;
mod fetch;
mod hold_out;
mod learn;
mod mirror;
mod paper;
mod realism;
mod stress;
mod gate;
mod train;
mod walk_forward;
mod tune;

use anyhow::Result;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Research for Peregrine: train models and prove them.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Go the whole way from files of history to a decision, and on where it was stopped.
    #[command(after_help = chain::HELP)]
    Chain(chain::Chain),
    /// Fetch history from the venue, as the files that `import` takes.
    #[command(after_help = fetch::HELP)]
    Fetch(fetch::Fetch),
    /// Bring files of history into a data set.
    #[command(after_help = "Example:\n  peregrine-lab import --out data/2024 downloads/klines")]
    Import(data::Import),
    /// Freeze a data set: look at every row, hash every file, write `data_manifest.yaml`.
    #[command(after_help = "Example:\n  peregrine-lab freeze data/2024 --name btc-sol-2024")]
    Freeze(data::Freeze),
    /// See whether a frozen data set is what its manifest says.
    #[command(after_help = "Example:\n  peregrine-lab verify data/2024")]
    Verify(data::Verify),
    /// Train a gradient-boosted model and write it as a version folder.
    #[command(after_help = "Example:\n  peregrine-lab train --synthetic --seed 7 \
        --out models_saved/synthetic-1 --minutes 120 --rounds 60\n  \
        peregrine-lab train --data data/2024 --out models_saved/candles-1")]
    Train(train::Train),
    /// Trade weeks on paper in compressed time, and write the document for the sign-off.
    #[command(after_help = "Example:\n  peregrine-lab paper --model models_saved/synthetic-1 \
        --synthetic 7 --days 14 --out reports/synthetic-1")]
    Paper(paper::Paper),
    /// Estimate the backtest's latency, queue and impact from the journals of sessions.
    #[command(after_help = "Example:\n  peregrine-lab calibrate \
        --journal state/journal/0000001-paper --out fills.toml")]
    Calibrate(realism::Calibrate),
    /// Tell where a session's profit and that of its backtest part.
    #[command(after_help = "Example:\n  peregrine-lab attribution \
        --journal state/journal/0000001-paper --out reports/attribution")]
    Attribution(realism::Attribution),
    /// Put a model under stress: scenarios on the synthetic market, a verdict for each.
    #[command(after_help = "Example:\n  peregrine-lab stress --model models_saved/synthetic-1 \
        --out reports/synthetic-1")]
    Stress(stress::Stress),
    /// Validate by walk-forward and combinatorial folds, with the costs of trading.
    #[command(after_help = "Example:\n  peregrine-lab walk-forward --data data/2024 \
        --out reports/2024 --config forward.toml")]
    WalkForward(walk_forward::WalkForward),
    /// Judge a model on the part of the data that was held out; each that reads it is counted.
    #[command(after_help = "Example:\n  peregrine-lab hold-out --data data/2024 \
        --model models_saved/candles-1 --out reports/2024 --config config/forward.toml")]
    HoldOut(hold_out::HoldOut),
    /// Decide whether a model may trade, from its evidence, and sign the decision.
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = gate::HELP
    )]
    Gate(Box<gate::Gate>),
    /// Learn each night from what the sessions recorded: a challenger, and never a champion.
    #[command(after_help = learn::HELP)]
    Learn(learn::Learn),
    /// Show what the registry and reports say on an MLflow server.
    #[command(after_help = mirror::HELP)]
    Mirror(mirror::Mirror),
    /// Search for hyper-parameters in a study that Optuna opens too.
    #[command(after_help = "Examples:\n  peregrine-lab tune --config config/search.toml\n  \
        peregrine-lab tune --function branin --storage reports/optuna_study.db --trials 100")]
    Tune(tune::Tune),
}

/// Runs the program.
pub fn main() -> ExitCode {
    // A usage error ends the process here with code 2.
    carry_out(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("peregrine-lab: {error:#}");
        ExitCode::FAILURE
    })
}

/// Carries out a command; the code to end with.
fn carry_out(command: Command) -> Result<ExitCode> {
    match command {
        Command::Chain(arguments) => return chain::chain(&arguments),
        Command::Fetch(arguments) => fetch::fetch(&arguments),
        Command::Import(arguments) => data::import(&arguments),
        Command::Freeze(arguments) => data::freeze(&arguments),
        Command::Verify(arguments) => data::verify(&arguments),
        Command::Train(arguments) => train::train(&arguments),
        Command::Paper(arguments) => paper::paper(&arguments),
        Command::Calibrate(arguments) => realism::calibrate(&arguments),
        Command::Attribution(arguments) => realism::attribution(&arguments),
        Command::Stress(arguments) => stress::stress(&arguments),
        Command::WalkForward(arguments) => walk_forward::walk_forward(&arguments),
        Command::HoldOut(arguments) => hold_out::hold_out(&arguments),
        Command::Gate(arguments) => return Ok(gate::gate(&arguments)),
        Command::Learn(arguments) => return learn::learn(arguments),
        Command::Mirror(arguments) => return mirror::mirror(&arguments),
        Command::Tune(arguments) => tune::tune(&arguments),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// A bar of a thousand steps on a terminal, and nothing elsewhere.
fn progress_bar(what: &'static str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(1_000), target).with_prefix(what);
    let style = ProgressStyle::with_template("{prefix} {bar:40} {percent:>3} %  {elapsed} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
