//! `replay`: a journal's inputs through the stages again.

use super::Failure;
use crate::runtime::replay::verify;
use anyhow::anyhow;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Example: peregrine replay state/journal/0000001-demo --verify")]
pub struct ReplayArguments {
    /// The journal's folder.
    dir: PathBuf,
    /// Compare lanes 1 to 3 with what comes out, byte for byte. What a replay is for; there is no
    /// other mode.
    #[arg(long, required = true)]
    verify: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Replays and compares; exit code 1 on any difference.
pub fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let report = verify(&arguments.dir)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("inputs       {}", report.inputs);
        println!("records      {}", report.records);
        println!("differences  {}", report.differences);
    }
    match report.first {
        None => Ok(()),
        Some(first) => Err(Failure::Failed(anyhow!("{}: {first}", arguments.dir.display()))),
    }
}
