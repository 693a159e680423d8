//! `audit`: read the audit trail and find what was changed in it.

use super::Failure;
use crate::observe::audit::verify::texts;
use crate::observe::audit::{Line, verify};
use anyhow::anyhow;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The commands over an audit trail.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Check the chain of lines, and hold it against the journals.
    #[command(after_help = "Example: peregrine audit verify state --json")]
    Verify(FolderArguments),
    /// Print the lines: when, what, who and why.
    #[command(after_help = "Example: peregrine audit show state --last 20")]
    Show(ShowArguments),
}

#[derive(Args)]
pub struct FolderArguments {
    /// The state folder.
    dir: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ShowArguments {
    /// The state folder.
    dir: PathBuf,
    /// Only the newest lines, so many.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Print the lines as they stand in the file.
    #[arg(long)]
    json: bool,
}

/// Runs an audit command.
pub fn audit(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify(arguments) => check(arguments),
        AuditCommand::Show(arguments) => show(arguments),
    }
}

fn check(arguments: &FolderArguments) -> Result<(), Failure> {
    let report = verify(&arguments.dir).map_err(|what| anyhow!(what))?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("lines        {}", report.lines);
        println!("journals     {}", report.journals);
        println!("records      {}", report.records);
        println!("behind       {}", report.behind);
        report.faults.iter().for_each(|fault| println!("fault        {}", fault.what));
    }
    match report.faults.first() {
        None => Ok(()),
        Some(fault) => Err(Failure::Failed(anyhow!(
            "{}: the audit trail was tampered with or is not whole: {}",
            arguments.dir.display(),
            fault.what
        ))),
    }
}

fn show(arguments: &ShowArguments) -> Result<(), Failure> {
    let texts = texts(&arguments.dir).map_err(|what| anyhow!(what))?;
    let from = texts.len().saturating_sub(arguments.last.unwrap_or(texts.len()));
    for text in &texts[from..] {
        if arguments.json {
            println!("{text}");
            continue;
        }
        match Line::read(text) {
            Ok(line) => {
                let says: Vec<String> =
                    line.says.iter().map(|(key, value)| format!("{key} {value}")).collect();
                println!("{:>6} {} {:<10} {}", line.n, line.time, line.what, says.join(", "));
            }
            Err(what) => println!("{:>6} unreadable: {what}", "?"),
        }
    }
    Ok(())
}
