//! The whole way from a seed to `models_saved/<version>/`.
//!
//! ```text
//!   |◄────────── fit ──────────►|purge|◄─ stop ─►|purge|◄──── test ────►|
//! ```
//! Rows are split by time. Between two parts, rows whose label looks into the next part are thrown
//! away. The middle part decides when to stop; figures are those of the last part, which nothing
//! has seen.
//!
//! | file | holds |
//! |---|---|
//! | `frozen` | the same from a frozen data set |
//! | `warm` | a version to go on from |

pub mod frozen;
#[cfg(test)]
mod tests;
pub mod warm;

use crate::card::{golden, training};
use crate::export::to_onnx;
use crate::gbdt::{Forest, Objective, Params, train};
use crate::learn::{Ground, Kind, Predictor};
use crate::metrics::{accuracy, auc, auc_one_vs_rest, log_loss};
use crate::samples::{LabelRule, Samples, from_synthetic, quick_features};
use anyhow::{Context, Result, ensure};
use peregrine::base::Nanos;
use peregrine::base::settings::FeatureSettings;
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use peregrine::features::schema_hash;
use peregrine::model::artifact::{CARD_FILE, CLASSES, ONNX_FILE, hex, sha256};
use peregrine::model::{Card, CreatedFrom, Golden, Training};
use peregrine::registry::{Change, Registry};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Where synthetic time begins: a date, so that nothing depends on when training runs.
const START: Nanos = Nanos::from_secs(1_750_000_000);
/// Parts of the span: fit, then stop, then test.
const FIT_PART: f64 = 0.7;
const STOP_PART: f64 = 0.85;
/// Golden vectors in the card.
const GOLDEN_COUNT: usize = 256;
/// Fewest rows a part may have.
const PART_ROWS_MIN: usize = 200;

/// What to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Seed of the market and of the training.
    pub seed: u64,
    /// Minutes of synthetic market.
    pub minutes: u32,
    /// Version name.
    pub version: String,
    /// Most rounds.
    pub rounds: usize,
    /// Deepest leaf.
    pub depth: usize,
    /// Horizon of the label, milliseconds.
    pub horizon_ms: u64,
    /// Moves up to this are flat, basis points.
    pub threshold_bps: f64,
    /// Longest warm-up of a feature, seconds.
    pub warm_up_secs: u16,
    /// Threads; the result does not depend on it.
    pub threads: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 7,
            minutes: 120,
            version: "synthetic-1".to_owned(),
            rounds: 60,
            depth: 4,
            horizon_ms: 2_000,
            threshold_bps: 0.4,
            warm_up_secs: 5,
            threads: 1,
        }
    }
}

/// A trained version in memory.
#[derive(Clone, Debug)]
pub struct Version {
    /// Answers of the classes.
    pub predictor: Predictor,
    /// Quantiles of the return, where they are told.
    pub spread: Option<Forest>,
    /// Bytes of `model.onnx`.
    pub onnx: Vec<u8>,
    /// The card.
    pub card: Card,
}

impl Version {
    /// Kind of its model.
    pub const fn kind(&self) -> Kind {
        match self.predictor {
            Predictor::Trees(_) => Kind::Trees,
            Predictor::Dense(_) => Kind::Dense,
            Predictor::Gru(_) => Kind::Gru,
            Predictor::Stack(_) => Kind::Stack,
        }
    }

    /// Trees in it, those of quantiles among them.
    pub fn trees(&self) -> usize {
        let forests = self.predictor.forest().into_iter().chain(&self.spread);
        forests.map(|forest| forest.trees.len()).sum()
    }
}

/// A step of the work, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Part of the market run, 0 to 1.
    Market(f64),
    /// Rounds done.
    Round(usize),
}

/// Rows of the synthetic market of a seed, so many minutes long, and how far their labels look
/// ahead. `horizon_ms` and `threshold_bps` say what a label means, `warm_up_secs` which features
/// there are.
///
/// # Errors
/// When there is no such market, or no such features.
pub(crate) fn synthetic_rows(
    (seed, minutes): (u64, u32),
    (horizon_ms, threshold_bps): (u64, f64),
    warm_up_secs: u16,
    progress: &mut dyn FnMut(f64),
) -> Result<(Samples, Nanos)> {
    let features = FeatureSettings {
        bar_interval_ms: 1_000,
        market_age_ms_max: 5_000,
        slow_age_ms_max: 60_000,
    };
    let horizon = Nanos::from_millis(i64::try_from(horizon_ms)?);
    let rule = LabelRule { horizon, threshold_bps, every: Nanos::from_millis(500) };
    let names = quick_features(warm_up_secs);
    let market = SyntheticMarket::new(seed, &SymbolSpec::default_pair(), START);
    let span = Nanos::from_secs(60 * i64::from(minutes));
    let samples = from_synthetic(market, span, (names, &features, rule), progress)?;
    Ok((samples, horizon))
}

/// Trains on the synthetic market.
///
/// # Errors
/// When there are too few rows, or the features of the plan do not exist.
pub fn train_synthetic(plan: &Plan, progress: &mut dyn FnMut(Step)) -> Result<Version> {
    let label = (plan.horizon_ms, plan.threshold_bps);
    let mut on_part = |part| progress(Step::Market(part));
    let market = (plan.seed, plan.minutes);
    let (samples, horizon) = synthetic_rows(market, label, plan.warm_up_secs, &mut on_part)?;
    let parts = split(&samples, horizon)?;
    check_rows(&parts)?;
    let params = Params {
        rounds: plan.rounds,
        learning_rate: 0.1,
        depth_max: plan.depth,
        leaves_max: 1 << plan.depth.min(10),
        leaf_rows_min: 100,
        row_share: 0.8,
        patience: 12,
        threads: plan.threads.max(1),
        seed: plan.seed,
        ..Params::new(Objective::Softmax { classes: CLASSES.len() })
    };
    let [fit, stop] = [&parts[0], &parts[1]].map(|rows| samples.table.slice(rows.clone()));
    let mut on_round = |round, _| progress(Step::Round(round));
    let trained = train(&params, &fit, Some(&stop), &mut on_round)?;
    let predictor = Predictor::Trees(trained.forest);
    // Trees have no memory: neither lives nor symbols matter to what they say.
    let ground = Ground { table: &samples.table, lives: &[], symbols: &[] };
    let [fit, _, test] = parts.map(Iterator::collect::<Vec<usize>>);
    let mut metrics = judge(&predictor, ground, (&fit, &test));
    metrics.insert("rounds".to_owned(), trained.rounds as f64);
    metrics.insert("rows_fit".to_owned(), fit.len() as f64);
    metrics.insert("rows_test".to_owned(), test.len() as f64);
    metrics.insert("threshold_bps".to_owned(), plan.threshold_bps);
    let golden = golden((&predictor, None), (ground, &test), GOLDEN_COUNT);
    let training = training(&samples.table, &fit);
    version_of(plan, &samples, predictor, metrics, (training, golden))
}

/// Writes `model.onnx` and `card.toml` into `dir`.
///
/// # Errors
/// The file that could not be written.
pub fn write(version: &Version, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let card = version.card.to_toml()?;
    for (name, bytes) in [(ONNX_FILE, version.onnx.as_slice()), (CARD_FILE, card.as_bytes())] {
        let path = dir.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Registers the version in `dir` with the registry of the folder above, which is started where
/// there is none. The first version of a registry becomes its champion. `parent` is the version it
/// went on from, `origin` the reason that is recorded.
///
/// # Errors
/// As the registry words them: a version that is there already, a file that is not as hashed.
pub fn register(dir: &Path, parent: Option<&str>, origin: &str, at_ms: u64) -> Result<String> {
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    let mut registry = Registry::open_or_create(above)?;
    let change = |reason: &str| Change {
        at_ms,
        by: "peregrine-lab".to_owned(),
        reason: reason.to_owned(),
        evidence_sha256: None,
    };
    // A parent of another registry is named in the file, not here.
    let parent = parent.filter(|&parent| registry.list().any(|(version, _)| version == parent));
    let version = registry.register(dir, parent, change(origin))?;
    if registry.champion_version().is_none() && registry.list().count() == 1 {
        registry.crown_first(&version, change("first version of this registry"))?;
    }
    Ok(version)
}

fn version_of(
    plan: &Plan,
    samples: &Samples,
    predictor: Predictor,
    metrics: BTreeMap<String, f64>,
    (training, golden): (Option<Training>, Golden),
) -> Result<Version> {
    let data_hash = hex(&samples.data_hash);
    let schema = format!("{:016x}", schema_hash());
    let code = format!("peregrine-lab {}", env!("CARGO_PKG_VERSION"));
    let properties = [
        ("version", plan.version.clone()),
        ("features", samples.names.join(",")),
        ("schema_hash", schema.clone()),
        ("data_sha256", data_hash.clone()),
        ("horizon_ms", plan.horizon_ms.to_string()),
        ("threshold_bps", plan.threshold_bps.to_string()),
        ("seed", plan.seed.to_string()),
        ("code", code.clone()),
    ];
    let onnx = to_onnx(&predictor, None, &properties)?;
    let card = Card {
        version: plan.version.clone(),
        model_sha256: hex(&sha256(&onnx)),
        schema_hash: schema,
        horizon_ms: plan.horizon_ms,
        bar_interval_ms: None,
        classes: CLASSES.map(str::to_owned).to_vec(),
        features: samples.names.clone(),
        created_from: CreatedFrom { data_hash, seed: plan.seed, code, training_sha256: None },
        metrics,
        training,
        golden,
    };
    Ok(Version { predictor, spread: None, onnx, card })
}

/// How far a label looks ahead: one horizon, and to the next change of the book from there.
pub(crate) fn reach(horizon: Nanos) -> Nanos {
    horizon + Nanos::from_secs(1)
}

/// Rows of the three parts; between parts, rows whose label looks across the border are left out.
pub(crate) fn split(samples: &Samples, horizon: Nanos) -> Result<[Range<usize>; 3]> {
    let (Some(first), Some(last)) = (samples.times.first(), samples.times.last()) else {
        anyhow::bail!("the market gave no rows: more minutes are needed");
    };
    let at = |part: f64| *first + Nanos(((*last - *first).0 as f64 * part) as i64);
    let before = |border: Nanos| samples.times.partition_point(|&time| time < border);
    let purged = |border: Nanos| before(border - reach(horizon));
    let (stop, test) = (at(FIT_PART), at(STOP_PART));
    let parts = [0..purged(stop), before(stop)..purged(test), before(test)..samples.times.len()];
    Ok(parts)
}

/// Refuses parts with too few rows; the first parts of a split, in its order.
pub(crate) fn check_rows(parts: &[Range<usize>]) -> Result<()> {
    for (part, name) in parts.iter().zip(["fit", "stop", "test"]) {
        ensure!(
            part.len() >= PART_ROWS_MIN,
            "the {name} part has {} rows, {PART_ROWS_MIN} are needed: more minutes, please",
            part.len()
        );
    }
    Ok(())
}

/// Figures on the rows of the test part, beside those of always answering the class shares of the
/// fit part.
fn judge(
    predictor: &Predictor,
    ground: Ground<'_>,
    (fit, test): (&[usize], &[usize]),
) -> BTreeMap<String, f64> {
    let class = |&row: &usize| ground.table.targets[row] as usize;
    let labels: Vec<usize> = test.iter().map(class).collect();
    let probabilities = predictor.probabilities(ground, test);
    let share = |wanted: usize| {
        fit.iter().filter(|row| class(row) == wanted).count() as f64 / fit.len() as f64
    };
    let prior: Vec<f64> = (0..CLASSES.len()).map(share).collect();
    let priors = vec![prior.clone(); labels.len()];
    let moved: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] != 1).collect();
    let edge = |row: usize| probabilities[row][2] - probabilities[row][0];
    let edges: Vec<f64> = moved.iter().map(|&row| edge(row)).collect();
    let ups: Vec<bool> = moved.iter().map(|&row| labels[row] == 2).collect();
    let mut sizes: Vec<f64> = (0..labels.len()).map(|row| edge(row).abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let quantile = |part: f64| sizes[((sizes.len() - 1) as f64 * part) as usize];
    let mut figures = BTreeMap::from([
        ("log_loss".to_owned(), log_loss(&probabilities, &labels)),
        ("log_loss_prior".to_owned(), log_loss(&priors, &labels)),
        ("accuracy".to_owned(), accuracy(&probabilities, &labels)),
        ("accuracy_prior".to_owned(), accuracy(&priors, &labels)),
        ("edge_abs_p50".to_owned(), quantile(0.5)),
        ("edge_abs_p90".to_owned(), quantile(0.9)),
        ("edge_abs_p99".to_owned(), quantile(0.99)),
    ]);
    for (class, share) in CLASSES.iter().zip(&prior) {
        figures.insert(format!("share_{class}"), *share);
    }
    let areas = [
        ("auc", auc_one_vs_rest(&probabilities, &labels, CLASSES.len())),
        ("auc_up_against_down", auc(&edges, &ups)),
    ];
    for (name, area) in areas {
        if let Some(area) = area {
            figures.insert(name.to_owned(), area);
        }
    }
    figures
}
