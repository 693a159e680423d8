//! Walk-forward and combinatorial validation on a frozen data set.
//!
//! ```text
//!   rows ─► folds, purged and embargoed ─► learn ─► stored fold: probabilities out of sample
//!                                                          │
//!     by depth and threshold: trade with costs ◄───────────┘
//!         └─► track of each trial ─► the best ─► figures, deflated by all that were tried
//!                                     └─► combinatorial paths ─► walk_forward.json, wfv_report.md
//! ```
//! No clock and no path goes into what is written: the same data and configuration give the same
//! bytes, whatever the number of threads, and however often the work was stopped in between.
//!
//! | file | holds |
//! |---|---|
//! | `config` | what a validation is made with |
//! | `models` | which kind of model, and how it is learned |
//! | `learn` | one model: fit, stop, calibration |
//! | `trade` | predictions to net returns |
//! | `training` | what a training is, as a hash |
//! | `figures` | what a track earned and what that proves |
//! | `engine` | the trader itself over each test |
//! | `held_out` | a model on what was held out |
//! | `store` | finished folds on disk |
//! | `report` | what is written |
//! | `plots` | its pictures |

pub mod config;
pub mod engine;
pub mod figures;
pub mod held_out;
pub mod learn;
pub mod models;
mod plots;
mod report;
mod store;
#[cfg(test)]
pub(crate) mod tests;
pub mod trade;
mod training;

pub use config::{Config, Trial};
pub use report::{JSON_FILE, REPORT_FILE, write};
pub use training::training_hash;

use crate::history::Rows;
use crate::learn::classes;
use crate::metrics::log_loss;
use crate::statistics::calibration::calibration_error;
use crate::validation::folds::{Fold, combinatorial, paths, walk_forward};
use anyhow::{Context, Result, ensure};
use figures::{Pooled, luck, pooled, quantile, sharpe};
use learn::{learn, prior_loss};
use peregrine::features::schema_hash;
use peregrine::model::artifact::{hex, sha256};
use peregrine::runtime::config::Loaded;
use serde::Serialize;
use std::path::Path;
use store::Stored;
use trade::{Rule, Track, View, trade};

/// Bins of the calibration error.
pub const BINS: usize = 15;
/// Numbers of combinatorial folds begin here, so that they draw other shares of rows.
const COMBINATORIAL: u32 = 1_000;

/// Figures of one walk-forward fold of the chosen trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldFigures {
    /// From 0.
    pub number: usize,
    /// First row learned from, milliseconds.
    pub train_from_ms: i64,
    /// Last row learned from.
    pub train_to_ms: i64,
    /// First row judged on.
    pub test_from_ms: i64,
    /// Last row judged on.
    pub test_to_ms: i64,
    /// Rows the model was fitted on.
    pub rows_fit: usize,
    /// Rows judged on.
    pub rows_test: usize,
    /// Annual ratio of its net returns.
    pub sharpe: Option<f64>,
    /// Compounded net return.
    pub net_return: f64,
    /// Log-loss on the test.
    pub log_loss: f64,
    /// That of the class shares of the fit.
    pub log_loss_prior: Option<f64>,
    /// Round trips.
    pub trades: usize,
}

/// One of the trials as it came out.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The configuration.
    pub trial: Trial,
    /// Its track over all walk-forward tests.
    pub track: Track,
}

/// What a validation came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Every trial.
    pub tried: Vec<Tried>,
    /// The one with the best ratio.
    pub chosen: usize,
    /// Trials that count for luck.
    pub trials: u64,
    /// Its folds.
    pub folds: Vec<FoldFigures>,
    /// Its figures.
    pub pooled: Pooled,
    /// Annual ratio of each combinatorial path; `None` where nothing was traded.
    pub paths: Vec<Option<f64>>,
    /// Their 5 % quantile.
    pub sharpe_q05: Option<f64>,
    /// Probability that the best trial is luck.
    pub pbo: Option<f64>,
    /// Probabilities and labels of all walk-forward tests, of the chosen depth.
    pub said: (Vec<Vec<f64>>, Vec<usize>),
    /// Calibration error of those.
    pub ece: f64,
    /// Share of splits by feature; zeros without trees.
    pub importance: Vec<f64>,
    /// Names of the stored folds it rests on.
    pub stored: Vec<String>,
    /// What the trader itself made of the chosen trial's folds, where that was asked for.
    pub engine: Option<engine::Engine>,
}

/// A step of the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<'s> {
    /// A part of all folds is done, 0 to 1.
    Part(f64),
    /// This fold is stored.
    Stored(&'s str),
}

/// What is judged, and where finished folds lie.
#[derive(Clone, Copy)]
pub struct Job<'j> {
    /// The rows.
    pub rows: &'j Rows,
    /// What to do.
    pub config: &'j Config,
    /// The report's folder.
    pub out: &'j Path,
    /// Threads; nothing depends on it.
    pub threads: usize,
}

/// A fold with its probabilities on the test.
struct Done {
    fold: Fold,
    stored: Stored,
    said: Vec<[f32; 3]>,
}

/// Validates. Folds that are stored from the same data and configuration are not made again.
///
/// # Errors
/// Too few rows, or a folder that cannot be written.
pub fn run(job: Job<'_>, progress: &mut dyn FnMut(Step<'_>)) -> Result<Outcome> {
    let Job { rows, config, .. } = job;
    config.check()?;
    let plan = plan(job)?;
    let depths = &config.depths();
    let later = if config.folds.groups > 0 {
        let embargo = config.folds.embargo_bars * rows.bar_ms;
        combinatorial(&rows.lives, config.folds.groups, config.folds.tested, embargo)?
    } else {
        Vec::new()
    };
    let all = plan.len() * depths.len() + later.len();
    let mut shop = Shop { job, all, done: 0, stored: Vec::new() };
    let mut by_depth = Vec::new();
    for &depth in depths {
        let mut folds = Vec::new();
        for (number, fold) in plan.iter().enumerate() {
            let name = format!("walk-{number:02}-{}", config.variant(depth));
            folds.push(shop.fold(&name, fold, depth, number as u32, progress)?);
        }
        by_depth.push((depth, folds));
    }
    let trials = config.trials();
    let of = |depth: usize| by_depth.iter().find(|(own, _)| *own == depth).map(|(_, done)| done);
    let mut tried = Vec::new();
    for trial in trials {
        let folds = of(trial.depth).context("every depth was made")?;
        tried.push(Tried { trial, track: Track::join(&tracks(job, folds, trial, 1.0)) });
    }
    let chosen = best(&tried, config.period_ms);
    let trial = tried[chosen].trial;
    let folds = of(trial.depth).context("every depth was made")?;
    let mut outcome = judge(job, folds, tried, chosen);
    let mut tested = Vec::new();
    for (number, fold) in later.iter().enumerate() {
        let name = format!("combinatorial-{number:02}-{}", config.variant(trial.depth));
        let draw = COMBINATORIAL + number as u32;
        tested.push(shop.fold(&name, fold, trial.depth, draw, progress)?);
    }
    outcome.paths = path_ratios(job, &tested, trial);
    let told: Vec<f64> = outcome.paths.iter().flatten().copied().collect();
    // A path without a ratio is no evidence, and none is left out of the worst.
    let is_whole = told.len() == outcome.paths.len();
    outcome.sharpe_q05 = if is_whole { quantile(&told, 0.05) } else { None };
    outcome.stored = shop.stored;
    Ok(outcome)
}

/// The walk-forward folds.
fn plan(job: Job<'_>) -> Result<Vec<Fold>> {
    let Job { rows, config, .. } = job;
    let train = (rows.len() as f64 * config.folds.train_share) as usize;
    let test = (rows.len() - train) / config.folds.count;
    Ok(walk_forward(&rows.lives, train, test)?)
}

/// Makes folds, or finds them made.
struct Shop<'j> {
    job: Job<'j>,
    all: usize,
    done: usize,
    stored: Vec<String>,
}

impl Shop<'_> {
    fn fold(
        &mut self,
        name: &str,
        fold: &Fold,
        depth: usize,
        draw: u32,
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<Done> {
        let Job { rows, config, out, threads } = self.job;
        let key = key(rows, config, name);
        if store::load(out, name, &key, fold.test.len()).is_none() {
            let (done, all, rounds) = (self.done, self.all, config.steps());
            let mut on_round = |round: usize| {
                let part = (round as f64 / rounds as f64).min(1.0);
                progress(Step::Part((done as f64 + part) / all as f64));
            };
            let made =
                learn(rows, &fold.train, (config, None), (depth, draw, threads), &mut on_round)
                    .with_context(|| format!("fold {name}"))?;
            let said = made.predictor.probabilities(rows.ground(), &fold.test);
            let single = |said: Vec<f64>| [said[0] as f32, said[1] as f32, said[2] as f32];
            let said: Vec<[f32; 3]> = said.into_iter().map(single).collect();
            let mut splits = vec![0; rows.table.features];
            let trees = made.predictor.forest().into_iter().flat_map(|forest| &forest.trees);
            for node in trees.flat_map(|tree| &tree.nodes) {
                splits[node.feature as usize] += u64::from(node.left != 0);
            }
            let counts = (made.fit.len(), made.stop.len(), made.rounds);
            let prior = prior_loss(rows, &made.fit, &fold.test);
            let stored = Stored::new(&key, counts, (made.temperature, prior), splits, &said);
            store::save(out, name, &stored)?;
            progress(Step::Stored(name));
        }
        // What was just made is read back too: a fold is the same however it was come by.
        let stored = store::load(out, name, &key, fold.test.len());
        let stored = stored.with_context(|| format!("fold {name} does not read back"))?;
        self.done += 1;
        self.stored.push(name.to_owned());
        progress(Step::Part(self.done as f64 / self.all as f64));
        let said = stored.probabilities()?;
        Ok(Done { fold: fold.clone(), stored, said })
    }
}

/// The program and its features: what else decides on a report than data and configuration.
pub fn code_of() -> String {
    format!("peregrine-lab {}, features {:016x}", env!("CARGO_PKG_VERSION"), schema_hash())
}

/// What a fold was made from.
fn key(rows: &Rows, config: &Config, name: &str) -> String {
    let code = env!("CARGO_PKG_VERSION");
    let schema = schema_hash();
    let (data, config) = (hex(&rows.data_hash), config.hash());
    // Labels are part of the rows: whoever changes them makes other folds.
    let targets: Vec<u8> = rows.table.targets.iter().map(|&target| target as u8).collect();
    let targets = hex(&sha256(&targets));
    let text = format!("{name}\n{code}\n{schema:016x}\n{data}\n{config}\n{targets}\n");
    hex(&sha256(text.as_bytes()))
}

fn views(test: &[usize], said: &[[f32; 3]]) -> Vec<View> {
    let view = |(&row, said): (&usize, &[f32; 3])| View {
        row,
        // As the policy computes it.
        edge: f64::from(said[2]) - f64::from(said[0]),
    };
    test.iter().zip(said).map(view).collect()
}

/// The track of each fold at a trial's threshold; costs times `times`.
fn tracks(job: Job<'_>, folds: &[Done], trial: Trial, times: f64) -> Vec<Track> {
    let rule = Rule::new(job.config, trial.enter_edge, times);
    let cost = job.config.label_of().cost;
    let one = |done: &Done| trade(job.rows, &views(&done.fold.test, &done.said), &rule, cost);
    folds.iter().map(one).collect()
}

/// The trial with the best ratio, the first of equals; one without a ratio is never better.
fn best(tried: &[Tried], period_ms: i64) -> usize {
    let ratio = |at: usize| sharpe(&tried[at].track, period_ms).unwrap_or(f64::NEG_INFINITY);
    (1..tried.len()).fold(0, |best, at| if ratio(at) > ratio(best) { at } else { best })
}

/// Figures of the chosen trial on its walk-forward folds.
fn judge(job: Job<'_>, folds: &[Done], tried: Vec<Tried>, chosen: usize) -> Outcome {
    let Job { rows, config, .. } = job;
    let (trial, period) = (tried[chosen].trial, config.period_ms);
    let single = tracks(job, folds, trial, 1.0);
    let twice = Track::join(&tracks(job, folds, trial, 2.0));
    let all: Vec<Track> = tried.iter().map(|tried| tried.track.clone()).collect();
    let trials = config.trials_before + all.len() as u64;
    let mut said: (Vec<Vec<f64>>, Vec<usize>) = Default::default();
    let mut splits = vec![0_u64; rows.table.features];
    let mut told = Vec::new();
    for (number, (done, track)) in folds.iter().zip(&single).enumerate() {
        let wide = |said: &[f32; 3]| said.iter().map(|&p| f64::from(p)).collect::<Vec<f64>>();
        let probabilities: Vec<Vec<f64>> = done.said.iter().map(wide).collect();
        let came = classes(&rows.table, &done.fold.test);
        let at = |row: Option<&usize>| row.map_or(0, |&row| rows.lives[row].from);
        told.push(FoldFigures {
            number,
            train_from_ms: at(done.fold.train.first()),
            train_to_ms: at(done.fold.train.last()),
            test_from_ms: at(done.fold.test.first()),
            test_to_ms: at(done.fold.test.last()),
            rows_fit: done.stored.rows_fit,
            rows_test: came.len(),
            sharpe: sharpe(track, period),
            net_return: track.net(),
            log_loss: log_loss(&probabilities, &came),
            log_loss_prior: done.stored.prior(),
            trades: track.trades.len(),
        });
        said.0.extend(probabilities);
        said.1.extend(came);
        splits.iter_mut().zip(&done.stored.splits).for_each(|(sum, more)| *sum += more);
    }
    let sum = splits.iter().sum::<u64>().max(1) as f64;
    Outcome {
        folds: told,
        pooled: pooled(&tried[chosen].track, &twice, &all, trials, period),
        pbo: luck(&all, config.folds.blocks),
        ece: calibration_error(&said.0, &said.1, BINS),
        importance: splits.iter().map(|&splits| splits as f64 / sum).collect(),
        tried,
        chosen,
        trials,
        said,
        paths: Vec::new(),
        sharpe_q05: None,
        stored: Vec::new(),
        engine: None,
    }
}

/// The annual ratio of each path through the combinatorial folds.
fn path_ratios(job: Job<'_>, tested: &[Done], trial: Trial) -> Vec<Option<f64>> {
    let Job { rows, config, .. } = job;
    let (groups, at_once) = (config.folds.groups, config.folds.tested);
    if tested.is_empty() {
        return Vec::new();
    }
    let rule = Rule::new(config, trial.enter_edge, 1.0);
    let cost = config.label_of().cost;
    let bound = |group: usize| group * rows.len() / groups;
    let part = |fold: usize, group: usize| {
        let all = views(&tested[fold].fold.test, &tested[fold].said);
        let own = bound(group)..bound(group + 1);
        let views: Vec<View> = all.into_iter().filter(|view| own.contains(&view.row)).collect();
        trade(rows, &views, &rule, cost)
    };
    let path = |judges: &Vec<usize>| {
        let parts: Vec<Track> =
            judges.iter().enumerate().map(|(group, &fold)| part(fold, group)).collect();
        sharpe(&Track::join(&parts), config.period_ms)
    };
    paths(groups, at_once).iter().map(path).collect()
}

/// Reads the rows of a data set, judges them, writes the report.
///
/// # Errors
/// As [`crate::history::rows`], [`run`] and [`write()`].
pub fn validate(
    set: &peregrine::venue::dataset::DataSet,
    ways: (&Config, &Path, usize),
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Outcome> {
    validate_with(set, ways, None, progress)
}

/// The same; with a `trader`, its configuration, the chosen trial's folds are run through the
/// trader's own stages as well.
///
/// # Errors
/// As [`validate`] and [`engine::engine`].
pub fn validate_with(
    set: &peregrine::venue::dataset::DataSet,
    (config, out, threads): (&Config, &Path, usize),
    trader: Option<&Loaded>,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Outcome> {
    config.check()?;
    let mut reading = |part: f64| progress(Step::Part(part));
    let rows = crate::history::rows(set, &config.wanted(), &config.label_of(), &mut reading)?;
    ensure!(config.period_ms >= rows.bar_ms, "period_ms: a period is at least a bar");
    let job = Job { rows: &rows, config, out, threads };
    let mut outcome = run(job, progress)?;
    if let Some(trader) = trader {
        let made = engine::engine(set, job, &outcome, trader, progress)?;
        let trial = outcome.tried[outcome.chosen].trial;
        let names = made.folds.iter().map(|lived| engine::name_of(lived.number, trial));
        outcome.stored.extend(names);
        outcome.engine = Some(made);
    }
    write(job, &outcome)?;
    Ok(outcome)
}
