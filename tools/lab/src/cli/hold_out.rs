//! `hold-out`: a model on the part of the data that nothing else reads.

use super::progress_bar;
use anyhow::Result;
use clap::Args;
use peregrine_lab::forward::Config;
use peregrine_lab::forward::held_out::{HOLD_OUT_FILE, Reading, judge};
use std::path::PathBuf;

#[derive(Args)]
pub struct HoldOut {
    /// Folder of a data set that was frozen with --hold-out.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder of the model's version.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Reports folder with the walk-forward validation that judged the model's training; the
    /// findings go there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The configuration of that validation; usual values without one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Judges the model and writes what was found.
///
/// # Errors
/// Nothing held out, or a model that was not judged before.
pub fn hold_out(arguments: &HoldOut) -> Result<()> {
    let config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    let bar = progress_bar("reading");
    let reading = Reading {
        data: &arguments.data,
        model: &arguments.model,
        reports: &arguments.out,
        config: &config,
    };
    let told = judge(reading, &mut |part| bar.set_position((part * 1_000.0) as u64))?;
    bar.finish_and_clear();
    if arguments.json {
        println!("{told}");
        return Ok(());
    }
    println!("rows         {}", told["rows"]);
    println!("net return   {}", told["pooled"]["net_return"]);
    println!("round trips  {}", told["pooled"]["trades"]);
    println!("readings     {}", told["readings"]);
    println!("written to   {}", arguments.out.join(HOLD_OUT_FILE).display());
    Ok(())
}
