//! `train`: a model from the synthetic market.

use super::progress_bar;
use clap::Args;
use peregrine_lab::train::{Plan, Step, Version, register, train_synthetic, write};
use serde_json::json;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Args)]
pub struct Train {
    /// Train on the synthetic market.
    #[arg(long, required = true)]
    synthetic: bool,
    /// Seed of the market and of the training.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Folder of the version; its last part is the version's name.
    #[arg(long)]
    out: PathBuf,
    /// Minutes of synthetic market.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(2..=10_080))]
    minutes: u32,
    /// Most rounds; each adds three trees.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    rounds: u32,
    /// Deepest leaf.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=12))]
    depth: u32,
    /// Horizon of the label in milliseconds.
    #[arg(
        long, default_value_t = 2_000,
        value_parser = clap::value_parser!(u64).range(100..=600_000)
    )]
    horizon_ms: u64,
    /// Moves of the mid up to this many basis points are flat.
    #[arg(long, default_value_t = 0.4)]
    threshold_bps: f64,
    /// Longest warm-up of a feature in seconds: what needs more is left out.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=100))]
    warm_up_s: u16,
    /// Threads; the model does not depend on it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Register the version in the folder above; the first one there becomes the champion.
    #[arg(long)]
    register: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Trains a model.
///
/// # Errors
/// A plan that cannot be followed, or a folder that cannot be written.
pub fn train(args: &Train) -> anyhow::Result<()> {
    let name = args.out.file_name().and_then(|name| name.to_str());
    let version = name.map(str::to_owned);
    let plan = Plan {
        seed: args.seed,
        minutes: args.minutes,
        version: version.ok_or_else(|| anyhow::anyhow!("--out must end in the version's name"))?,
        rounds: args.rounds as usize,
        depth: args.depth as usize,
        horizon_ms: args.horizon_ms,
        threshold_bps: args.threshold_bps,
        warm_up_secs: args.warm_up_s,
        threads: args.threads as usize,
    };
    let bar = progress_bar("training");
    let version = train_synthetic(&plan, &mut |step| match step {
        Step::Market(part) => bar.set_position((part * 700.0) as u64),
        Step::Round(round) => bar.set_position(700 + (300 * round / plan.rounds) as u64),
    })?;
    bar.finish_and_clear();
    write(&version, &args.out)?;
    if args.register {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        register(&args.out, u64::try_from(since.as_millis()).unwrap_or(0))?;
    }
    report(&version, args);
    Ok(())
}

fn report(version: &Version, args: &Train) {
    let card = &version.card;
    if args.json {
        let line = json!({
            "version": card.version,
            "out": args.out,
            "model_sha256": card.model_sha256,
            "data_hash": card.created_from.data_hash,
            "bytes": version.onnx.len(),
            "trees": version.forest.trees.len(),
            "features": card.features,
            "metrics": card.metrics,
        });
        println!("{line}");
        return;
    }
    println!("version      {}", card.version);
    println!("model        {} bytes, {} trees", version.onnx.len(), version.forest.trees.len());
    println!("sha256       {}", card.model_sha256);
    println!("features     {}", card.features.join(" "));
    for (name, value) in &card.metrics {
        println!("{name:<22} {value:.6}");
    }
    println!("written to   {}", args.out.display());
}
