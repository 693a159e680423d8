//! `walk-forward`: whether what is learned holds on what comes after it.

use super::progress_bar;
use super::train::FrozenData;
use anyhow::Result;
use clap::Args;
use peregrine::runtime::config;
use peregrine_lab::forward::{JSON_FILE, Outcome, Step, validate_with};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(Args)]
pub struct WalkForward {
    /// Folder of a frozen data set.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder of the report; what is finished there already is not done again.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    frozen: FrozenData,
    /// Run the best trial's folds through the trader as well, with this configuration of it.
    #[arg(long, value_name = "FILE")]
    engine: Option<PathBuf>,
    /// Models of latency, queue and impact that `calibrate` estimated, for the trader.
    #[arg(long, value_name = "FILE", requires = "engine")]
    fills: Option<PathBuf>,
    /// Seed of the training, over that of the file.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads; nothing depends on it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Validates and writes the report.
///
/// # Errors
/// A data set that is not what it says, a configuration out of its ranges, too few rows.
pub fn walk_forward(args: &WalkForward) -> Result<()> {
    let (set, mut config) = args.frozen.open(&args.data)?;
    config.seed = args.seed.unwrap_or(config.seed);
    let bar = progress_bar("validating");
    let is_shown = std::io::stderr().is_terminal();
    let ways = (&config, args.out.as_path(), args.threads as usize);
    let mut trader = args.engine.as_deref().map(config::load).transpose()?;
    if let (Some(loaded), Some(fills)) = (&trader, &args.fills) {
        trader = Some(config::with_fills(loaded, fills)?);
    }
    let outcome = validate_with(&set, ways, trader.as_ref(), &mut |step| match step {
        Step::Part(part) => bar.set_position((part * 1_000.0) as u64),
        Step::Stored(name) if is_shown => bar.set_message(name.to_owned()),
        Step::Stored(name) => eprintln!("stored {name}"),
    })?;
    bar.finish_and_clear();
    tell(args, &outcome);
    Ok(())
}

fn tell(args: &WalkForward, outcome: &Outcome) {
    let pooled = &outcome.pooled;
    if args.json {
        let line = json!({
            "out": args.out, "report": JSON_FILE, "pooled": pooled, "pbo": outcome.pbo,
            "paths": outcome.paths, "ece": outcome.ece, "trials": outcome.trials,
            "engine": outcome.engine,
        });
        println!("{line}");
        return;
    }
    let told = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    println!("net return          {:.4}", pooled.net_return);
    println!("at twice the costs  {:.4}", pooled.net_return_cost_x2);
    println!("Sharpe, annual      {}", told(pooled.sharpe));
    println!("deflated            {}", told(pooled.dsr));
    println!("overfitting         {}", told(outcome.pbo));
    println!("round trips         {}", pooled.trades);
    if let Some(engine) = &outcome.engine {
        println!("through the trader  {:.4}", engine.net_return);
        println!("its Sharpe, annual  {}", told(engine.sharpe));
    }
    println!("written to          {}", args.out.display());
}
