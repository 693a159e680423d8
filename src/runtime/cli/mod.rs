//! The command line: one ordered table of commands, each a file. The order is the order of
//! `--help`.
//!
//! Exit codes: 0 done, 1 failed or refused, 2 bad usage or bad configuration, 78 killed.

mod ab;
mod audit;
mod backtest;
mod check;
mod exchange;
mod journal;
mod latency;
mod log;
mod model;
mod operate;
mod output;
mod replay;
mod report;
mod shadow;
mod shadow_run;
mod symbols;
mod trade;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

pub use audit::AuditCommand;
pub use journal::JournalCommand;

/// Bad usage or bad configuration.
const EXIT_USAGE: u8 = 2;
/// Failed or refused.
const EXIT_FAILED: u8 = 1;
/// Killed by an operator or a breaker: a service manager must not start it again.
const EXIT_KILLED: u8 = 78;

#[derive(Parser)]
#[command(
    name = "peregrine",
    version,
    about = "A low-latency trading system for perpetual futures.\n\
             Without a command it runs the demo.",
    after_help = "Example: peregrine demo --for 30s"
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<CommandLine>,
}

#[derive(Subcommand)]
enum CommandLine {
    /// Trade on paper against a simulated exchange on loopback, with no set-up.
    Demo(trade::DemoArguments),
    /// Trade as the configuration says.
    Run(trade::RunArguments),
    /// Serve the simulated exchange on sockets of its own.
    Exchange(exchange::ExchangeArguments),
    /// Run the same steps over recorded or synthetic data.
    Backtest(backtest::BacktestArguments),
    /// Run a journal's inputs again and compare everything that follows, byte for byte.
    Replay(replay::ReplayArguments),
    /// Inspect a journal: dump, stat, verify, export, repair.
    #[command(
        subcommand,
        after_help = "Example: peregrine journal stat state/journal/0000001-demo"
    )]
    Journal(JournalCommand),
    /// Read the audit trail and find what was changed in it: verify, show.
    #[command(subcommand, after_help = "Example: peregrine audit verify state")]
    Audit(AuditCommand),
    /// Sum up a day, a week or everything from the journals, with a picture of the equity.
    Report(report::ReportArguments),
    /// Print per-hop latency percentiles.
    Latency(latency::LatencyArguments),
    /// Tell the state of a running session.
    Status(operate::StatusArguments),
    /// Let a running session trade.
    Arm(operate::CommandArguments),
    /// Keep a running session from entering positions; exits go on.
    #[command(after_help = "Example: peregrine pause --state state --reason \"news at noon\"")]
    Pause(operate::CommandArguments),
    /// End a running session's trading, for good until it is cleared.
    Kill(operate::KillArguments),
    /// Lift a kill, once nothing is open at the venue; the session has to be armed after it.
    #[command(
        after_help = "Example: peregrine clear --config config/testnet.toml --reason \"cause \
                      removed\"\n\nNo session may run. With orders at the venue give --config and \
                      the account's key, so that it can be looked at."
    )]
    Clear(operate::CommandArguments),
    /// Check configuration, model, cores and folders without trading.
    Check(check::CheckArguments),
    /// The model registry: versions, stages, papers, rollback, bundles.
    #[command(subcommand, after_help = "Example: peregrine model list")]
    Model(model::ModelCommand),
    /// Champion against challengers: run, report.
    #[command(subcommand, after_help = "Example: peregrine shadow report")]
    Shadow(shadow::ShadowCommand),
    /// A challenger's share of a running session's trading.
    #[command(subcommand, after_help = "Example: peregrine ab status --state state")]
    Ab(ab::AbCommand),
    /// Which symbols a running session trades.
    #[command(subcommand, after_help = "Example: peregrine symbols list --state state")]
    Symbols(symbols::SymbolsCommand),
}

/// What a command ends with.
pub enum Failure {
    /// Exit code 2.
    Usage(anyhow::Error),
    /// Exit code 1.
    Failed(anyhow::Error),
    /// Exit code 78.
    Killed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        if error.is::<super::config::ConfigError>() {
            return Self::Usage(error);
        }
        if error.is::<super::kill::latch::StaysKilled>() {
            return Self::Killed(error);
        }
        Self::Failed(error)
    }
}

/// Runs the program: `main` without the name.
pub fn main() -> ExitCode {
    let _log = log::start();
    ExitCode::from(run(std::env::args_os()))
}

/// Carries out a command line, the program's name first; the code to end with.
pub fn run(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; where they cannot be printed nobody reads them.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE);
        }
    };
    let command = arguments.command.unwrap_or_else(|| CommandLine::Demo(Default::default()));
    finish(match command {
        CommandLine::Demo(arguments) => trade::demo(&arguments),
        CommandLine::Run(arguments) => trade::run(&arguments),
        CommandLine::Exchange(arguments) => exchange::exchange(&arguments),
        CommandLine::Backtest(arguments) => backtest::backtest(&arguments),
        CommandLine::Replay(arguments) => replay::replay(&arguments),
        CommandLine::Journal(command) => journal::journal(&command),
        CommandLine::Audit(command) => audit::audit(&command),
        CommandLine::Report(arguments) => report::report(&arguments),
        CommandLine::Latency(arguments) => latency::latency(&arguments),
        CommandLine::Status(arguments) => operate::status(&arguments),
        CommandLine::Arm(arguments) => operate::command("arm", &arguments),
        CommandLine::Pause(arguments) => operate::command("pause", &arguments),
        CommandLine::Kill(arguments) => operate::kill(&arguments),
        CommandLine::Clear(arguments) => operate::clear(&arguments),
        CommandLine::Check(arguments) => check::check(&arguments),
        CommandLine::Model(command) => model::model(&command),
        CommandLine::Shadow(command) => shadow::shadow(&command),
        CommandLine::Ab(command) => ab::ab(&command),
        CommandLine::Symbols(command) => symbols::symbols(&command),
    })
}

/// Runs the journal inspector as a program of its own.
pub fn journal_main() -> ExitCode {
    #[derive(Parser)]
    #[command(name = "journal-dump", version, about = "Inspects a Peregrine journal")]
    struct Alone {
        #[command(subcommand)]
        command: JournalCommand,
    }
    let _log = log::start();
    ExitCode::from(finish(journal::journal(&Alone::parse().command)))
}

fn finish(result: Result<(), Failure>) -> u8 {
    let (code, error) = match result {
        Ok(()) => return 0,
        Err(Failure::Usage(error)) => (EXIT_USAGE, error),
        Err(Failure::Failed(error)) => (EXIT_FAILED, error),
        Err(Failure::Killed(error)) => (EXIT_KILLED, error),
    };
    eprintln!("error: {error:#}");
    code
}
