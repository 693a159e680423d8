//! `symbols list|add|drop`: an operator, and which symbols a running session trades.

use super::Failure;
use super::operate::{Where, state_of, tell};
use crate::runtime::admin;
use crate::runtime::symbols::ask::{ANSWER_TIME, SymbolRequest};
use clap::{Args, Subcommand};
use serde_json::Value;

#[derive(Subcommand)]
pub enum SymbolsCommand {
    /// Tell which symbols have a place in the session, and which are traded.
    #[command(after_help = "Example: peregrine symbols list --state state")]
    List(Where),
    /// Trade a symbol from here on.
    Add(AddArguments),
    /// Trade a symbol no more.
    Drop(DropArguments),
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine symbols add SOLUSDT --state state --reason \"listed\"\n\n\
                  It has to stand in instruments.asleep, or to have been dropped before, and in \
                  risk.allow. Nothing is sent for it before its book is there and its features \
                  are warm. It stays added over restarts, until it is dropped."
)]
pub struct AddArguments {
    /// The symbol.
    symbol: String,
    #[command(flatten)]
    at: Where,
    /// Why; it goes into the journal: 1 to 84 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine symbols drop SOLUSDT --state state --reason \"news\"\n\n\
                  No entries from here on, and resting ones are cancelled. Its position is left \
                  by its exits, or with --flat at once; when nothing is left it falls asleep. It \
                  stays dropped over restarts, until it is added."
)]
pub struct DropArguments {
    /// The symbol.
    symbol: String,
    /// Leave its position at once.
    #[arg(long)]
    flat: bool,
    #[command(flatten)]
    at: Where,
    /// Why; it goes into the journal: 1 to 84 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Carries out one of the commands.
pub fn symbols(command: &SymbolsCommand) -> Result<(), Failure> {
    match command {
        SymbolsCommand::List(at) => {
            let verb = "symbols_list".to_owned();
            told(at, &SymbolRequest { verb, ..SymbolRequest::default() })
        }
        SymbolsCommand::Add(AddArguments { symbol, at, reason }) => {
            let verb = "symbols_add".to_owned();
            let (symbol, reason) = (Some(symbol.clone()), Some(reason.clone()));
            told(at, &SymbolRequest { verb, symbol, flat: false, reason })
        }
        SymbolsCommand::Drop(DropArguments { symbol, flat, at, reason }) => {
            let verb = "symbols_drop".to_owned();
            let (symbol, reason) = (Some(symbol.clone()), Some(reason.clone()));
            told(at, &SymbolRequest { verb, symbol, flat: *flat, reason })
        }
    }
}

fn told(at: &Where, request: &SymbolRequest) -> Result<(), Failure> {
    let state = state_of(at)?;
    let answer = admin::ask_line(&state, &serde_json::to_string(request)?, ANSWER_TIME)?;
    tell(at, &state, &answer, print)
}

fn print(answer: &Value) {
    for row in answer["symbols"].as_array().into_iter().flatten() {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let book = if row["book_valid"] == true { "valid" } else { "none" };
        println!(
            "{:<16} {:<8} book {book:<6} position {:<14} orders {}",
            text("symbol"),
            text("state"),
            text("qty"),
            row["open_orders"]
        );
    }
}
