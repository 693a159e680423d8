//! `train`: a model from the synthetic market or from a frozen data set.

use super::progress_bar;
use anyhow::{Context, Result};
use clap::Args;
use peregrine::runtime::clock::wall_now;
use peregrine::venue::dataset::DataSet;
use peregrine_lab::forward::Config;
use peregrine_lab::learn::Kind;
use peregrine_lab::train::frozen::{Order, train_from};
use peregrine_lab::train::warm::Warm;
use peregrine_lab::train::{Plan, Step, Version, register, train_synthetic, write};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Train {
    /// Train on the synthetic market.
    #[arg(
        long, required_unless_present = "data", conflicts_with_all = ["config", "from", "to"]
    )]
    synthetic: bool,
    /// Train on the frozen data set in this folder; labels, trees and features are those of
    /// --config.
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "synthetic", "minutes", "horizon_ms", "threshold_bps", "warm_up_s",
    ])]
    data: Option<PathBuf>,
    #[command(flatten)]
    frozen: FrozenData,
    /// Kind of the model; that of --config, else trees.
    #[arg(long, value_enum, requires = "data")]
    model: Option<Kind>,
    /// Also tell quantiles .1, .5, .9 of the return.
    #[arg(long, requires = "data")]
    quantiles: bool,
    /// Go on from the trees of the version in this folder.
    #[arg(long, value_name = "VERSION", requires = "data")]
    warm_start: Option<PathBuf>,
    /// Seed of the market and of the training; 7 unless a file says otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder of the version; its last part is the version's name.
    #[arg(long)]
    out: PathBuf,
    /// Minutes of synthetic market.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(2..=10_080))]
    minutes: u32,
    /// Most rounds; each adds three trees. 60, with --data that of the file.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    rounds: Option<u32>,
    /// Deepest leaf. 4, with --data the first depth of the file.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=12))]
    depth: Option<u32>,
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

/// What is read of a frozen data set, and how.
#[derive(Args)]
pub struct FrozenData {
    /// Labels, costs, folds, trees, thresholds as TOML; usual values without one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take rows from this time on: RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Take rows before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
}

impl FrozenData {
    /// The data set and the configuration with the times over it.
    ///
    /// # Errors
    /// A folder that is no data set, a file that is no configuration.
    pub fn open(&self, dir: &Path) -> Result<(DataSet, Config)> {
        let set = DataSet::open(dir)?;
        let mut config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::default(),
        };
        let ms = |time: &jiff::Timestamp| time.as_millisecond();
        config.from_ms = self.from.as_ref().map(ms).or(config.from_ms);
        config.to_ms = self.to.as_ref().map(ms).or(config.to_ms);
        Ok((set, config))
    }
}

/// Trains a model.
///
/// # Errors
/// A plan that cannot be followed, or a folder that cannot be written.
pub fn train(args: &Train) -> Result<()> {
    let name = args.out.file_name().and_then(|name| name.to_str());
    let name = name.context("--out must end in the version's name")?.to_owned();
    let warm = match &args.warm_start {
        Some(dir) => Some(Warm::open(dir).with_context(|| dir.display().to_string())?),
        None => None,
    };
    let parent = warm.as_ref().map(|warm| warm.version.clone());
    let (version, origin) = match &args.data {
        Some(dir) => (from_data(args, (dir, name), warm)?, "trained on a frozen data set"),
        None => (from_synthetic(args, name)?, "trained on the synthetic market"),
    };
    write(&version, &args.out)?;
    if args.register {
        let at_ms = wall_now().to_millis().unsigned_abs();
        register(&args.out, parent.as_deref(), origin, at_ms)?;
    }
    report(&version, args);
    Ok(())
}

fn from_data(args: &Train, (dir, version): (&Path, String), warm: Option<Warm>) -> Result<Version> {
    let (set, mut config) = args.frozen.open(dir)?;
    config.seed = args.seed.unwrap_or(config.seed);
    config.trees.rounds = args.rounds.map_or(config.trees.rounds, |rounds| rounds as usize);
    if let Some(depth) = args.depth {
        config.trees.depths = vec![depth as usize];
    }
    config.model.kind = args.model.unwrap_or(config.model.kind);
    config.model.quantiles |= args.quantiles;
    let bar = progress_bar("training");
    let rounds = config.steps();
    let order = Order { version, config, threads: args.threads as usize };
    let mut told = |step| show(&bar, step, rounds);
    let version = train_from(&set, (&order, warm.as_ref()), &mut told)?;
    bar.finish_and_clear();
    Ok(version)
}

fn from_synthetic(args: &Train, version: String) -> Result<Version> {
    let plan = Plan {
        seed: args.seed.unwrap_or(7),
        minutes: args.minutes,
        version,
        rounds: args.rounds.unwrap_or(60) as usize,
        depth: args.depth.unwrap_or(4) as usize,
        horizon_ms: args.horizon_ms,
        threshold_bps: args.threshold_bps,
        warm_up_secs: args.warm_up_s,
        threads: args.threads as usize,
    };
    let bar = progress_bar("training");
    let version = train_synthetic(&plan, &mut |step| show(&bar, step, plan.rounds))?;
    bar.finish_and_clear();
    Ok(version)
}

fn show(bar: &indicatif::ProgressBar, step: Step, rounds: usize) {
    match step {
        Step::Market(part) => bar.set_position((part * 700.0) as u64),
        Step::Round(round) => bar.set_position(700 + (300 * round / rounds).min(300) as u64),
    }
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
            "kind": version.kind().name(),
            "trees": version.trees(),
            "features": card.features,
            "metrics": card.metrics,
        });
        println!("{line}");
        return;
    }
    println!("version      {}", card.version);
    let (kind, bytes) = (version.kind().name(), version.onnx.len());
    println!("model        {kind}, {bytes} bytes, {} trees", version.trees());
    println!("sha256       {}", card.model_sha256);
    println!("features     {}", card.features.join(" "));
    for (name, value) in &card.metrics {
        println!("{name:<22} {value:.6}");
    }
    println!("written to   {}", args.out.display());
}
