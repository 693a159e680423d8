//! `config/search.toml`.

use super::TuneError;
use super::pruner::{Halving, Median, Pruner};
use super::sampler::Tpe;
use super::space::{Distribution, Parameter, Space};
use crate::learn::Kind;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// What is searched and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Name of the study.
    pub study: String,
    /// A file, or a URL of `postgresql://`.
    pub storage: String,
    /// Trials of the study, complete or stopped early.
    pub trials: usize,
    /// Threads.
    pub workers: usize,
    /// Seconds between two heartbeats.
    pub heartbeat_s: f64,
    /// A heartbeat older than this is of a worker that is gone, seconds.
    pub grace_s: f64,
    /// How often one point is tried again at most.
    pub retries_max: usize,
    /// How long a server that went away is waited for, seconds.
    pub outage_s: f64,
    /// Draws points.
    pub sampler: Tpe,
    /// Stops trials.
    pub pruner: Pruner,
    /// What is trained on.
    pub market: Market,
    /// Where to look.
    pub space: Space,
}

/// The synthetic market a model is trained on, and what the search leaves as it is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Market {
    /// Seed of the market.
    pub seed: u64,
    /// Minutes of market, 2 to 10 080.
    pub minutes: u32,
    /// Horizon of the label in milliseconds, 100 to 600 000.
    pub horizon_ms: u64,
    /// Moves of the mid up to this many basis points are flat, 0 to 1 000.
    pub threshold_bps: f64,
    /// Longest warm-up of a feature in seconds, 0 to 100.
    pub warm_up_s: u16,
    /// Rounds without improvement after which a training ends, 0 to 5 000; 0 never ends it.
    pub patience: u32,
    /// Kind of model.
    #[serde(default)]
    pub model: Kind,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    study: StudyPart,
    sampler: SamplerPart,
    pruner: PrunerPart,
    market: Market,
    space: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StudyPart {
    name: String,
    storage: String,
    trials: usize,
    workers: usize,
    heartbeat_s: f64,
    grace_s: f64,
    retries_max: usize,
    outage_s: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SamplerPart {
    seed: u64,
    startup_trials: usize,
    candidates: usize,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PrunerKind {
    None,
    Median,
    Halving,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrunerPart {
    kind: PrunerKind,
    startup_trials: usize,
    warmup_steps: i64,
    interval_steps: i64,
    rung_steps: i64,
    reduction_factor: i64,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Range {
    Float {
        low: f64,
        high: f64,
        #[serde(default)]
        log: bool,
        step: Option<f64>,
    },
    Int {
        low: i64,
        high: i64,
        #[serde(default)]
        log: bool,
        #[serde(default = "one")]
        step: i64,
    },
    Choice {
        of: Vec<Value>,
    },
}

const fn one() -> i64 {
    1
}

/// Reads a file of settings.
///
/// # Errors
/// A file that cannot be read, a key that is missing or unknown, and all values out of their range
/// at once.
pub fn load(path: &Path) -> anyhow::Result<Search> {
    let wrong = |error: &dyn std::fmt::Display| anyhow::anyhow!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    parse(&text).map_err(|error| wrong(&error))
}

/// Reads the text of a file of settings.
pub(super) fn parse(text: &str) -> anyhow::Result<Search> {
    let file: File = toml::from_str(text)?;
    let mut errors = ranges(&file);
    let mut parameters = Vec::new();
    for (name, range) in &file.space {
        match range.clone().try_into::<Range>() {
            Ok(range) => {
                parameters.push(Parameter { name: name.clone(), distribution: range.into() });
            }
            Err(error) => errors.push(format!("space.{name}: {}", error.message())),
        }
    }
    let space = Space::new(parameters);
    if let Err(TuneError::Space(error)) = &space
        && errors.is_empty()
    {
        errors.push(format!("space: {error}"));
    }
    anyhow::ensure!(errors.is_empty(), "{}", errors.join("; "));
    let File { study, sampler, pruner, market, .. } = file;
    Ok(Search {
        study: study.name,
        storage: study.storage,
        trials: study.trials,
        workers: study.workers,
        heartbeat_s: study.heartbeat_s,
        grace_s: study.grace_s,
        retries_max: study.retries_max,
        outage_s: study.outage_s,
        sampler: Tpe {
            seed: sampler.seed,
            startup: sampler.startup_trials,
            candidates: sampler.candidates,
        },
        pruner: match pruner.kind {
            PrunerKind::None => Pruner::None,
            PrunerKind::Median => Pruner::Median(Median {
                startup: pruner.startup_trials,
                warmup: pruner.warmup_steps,
                interval: pruner.interval_steps,
            }),
            PrunerKind::Halving => Pruner::Halving(Halving {
                least: pruner.rung_steps,
                factor: pruner.reduction_factor,
            }),
        },
        market,
        space: space?,
    })
}

/// Every value out of its range.
fn ranges(file: &File) -> Vec<String> {
    let File { study, sampler, pruner, market, .. } = file;
    let name = study.name.trim();
    let ranges = [
        ("study.name is 1 to 512 bytes", !name.is_empty() && name.len() <= 512),
        ("study.storage is a file or a URL", !study.storage.trim().is_empty()),
        ("study.trials is 1 to 100000", (1..=100_000).contains(&study.trials)),
        ("study.workers is 1 to 256", (1..=256).contains(&study.workers)),
        ("study.heartbeat_s is 0.1 to 3600", (0.1..=3_600.0).contains(&study.heartbeat_s)),
        (
            "study.grace_s is at least twice study.heartbeat_s, and 86400 at most",
            study.grace_s >= 2.0 * study.heartbeat_s && study.grace_s <= 86_400.0,
        ),
        ("study.retries_max is 0 to 100", study.retries_max <= 100),
        ("study.outage_s is 0 to 86400", (0.0..=86_400.0).contains(&study.outage_s)),
        ("sampler.startup_trials is 1 to 10000", (1..=10_000).contains(&sampler.startup_trials)),
        ("sampler.candidates is 1 to 10000", (1..=10_000).contains(&sampler.candidates)),
        ("pruner.startup_trials is 0 to 10000", pruner.startup_trials <= 10_000),
        ("pruner.warmup_steps is 0 to 100000", (0..=100_000).contains(&pruner.warmup_steps)),
        ("pruner.interval_steps is 1 to 100000", (1..=100_000).contains(&pruner.interval_steps)),
        ("pruner.rung_steps is 1 to 100000", (1..=100_000).contains(&pruner.rung_steps)),
        ("pruner.reduction_factor is 2 to 100", (2..=100).contains(&pruner.reduction_factor)),
        ("market.minutes is 2 to 10080", (2..=10_080).contains(&market.minutes)),
        ("market.horizon_ms is 100 to 600000", (100..=600_000).contains(&market.horizon_ms)),
        ("market.threshold_bps is 0 to 1000", (0.0..=1_000.0).contains(&market.threshold_bps)),
        ("market.warm_up_s is 0 to 100", market.warm_up_s <= 100),
        ("market.patience is 0 to 5000", market.patience <= 5_000),
    ];
    ranges.iter().filter(|(_, holds)| !holds).map(|(rule, _)| (*rule).to_owned()).collect()
}

impl From<Range> for Distribution {
    fn from(range: Range) -> Self {
        match range {
            Range::Float { low, high, log, step } => Self::Float { low, high, log, step },
            Range::Int { low, high, log, step } => Self::Int { low, high, log, step },
            Range::Choice { of } => Self::Categorical { choices: of },
        }
    }
}
