//! Rounds of boosting, with early stopping on held-out rows.

use super::bins::Bins;
use super::forest::{Forest, Tree};
use super::grow::Grower;
use super::objective::{Gradient, base_scores, gradients, loss, weighted_quantile};
use super::random::{Purpose, share_of};
use super::{Objective, Params, Table, TrainError};
use crate::column::Column;
use std::ops::ControlFlow;

/// A forest and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The forest, cut back to its best round.
    pub forest: Forest,
    /// Rounds of the forest, with those of the one it went on from.
    pub rounds: usize,
    /// Loss on the held-out rows after each new round; empty without any.
    pub held_out: Vec<f64>,
}

/// Told after each new round: its number from 1, and the loss on the held-out rows, if any.
pub type Progress<'a> = &'a mut dyn FnMut(usize, Option<f64>);

/// As [`Progress`], and breaks where the forest is not worth more rounds.
pub type Watch<'a> = &'a mut dyn FnMut(usize, Option<f64>) -> ControlFlow<()>;

/// Grows a forest on `table`; `held_out` decides when to stop and where to cut back.
///
/// # Errors
/// [`TrainError`] naming the row or parameter at fault.
pub fn train(
    params: &Params,
    table: &Table,
    held_out: Option<&Table>,
    progress: Progress<'_>,
) -> Result<Trained, TrainError> {
    let mut watch = |round, loss| {
        progress(round, loss);
        ControlFlow::Continue(())
    };
    train_while(params, table, held_out, &mut watch)
}

/// As [`train`], until `watch` breaks: the forest is then that of the rounds so far.
///
/// # Errors
/// [`TrainError`] naming the row or parameter at fault.
pub fn train_while(
    params: &Params,
    table: &Table,
    held_out: Option<&Table>,
    watch: Watch<'_>,
) -> Result<Trained, TrainError> {
    train_from(params, None, table, held_out, watch)
}

/// As [`train_while`], adding to the trees of `from`: so many rounds and then so many more are as
/// many at once, if nothing stops either. Where no new round helps the held-out rows, none is kept.
///
/// # Errors
/// As [`train`], and a forest that was grown for something else.
pub fn train_from(
    params: &Params,
    from: Option<&Forest>,
    table: &Table,
    held_out: Option<&Table>,
    watch: Watch<'_>,
) -> Result<Trained, TrainError> {
    check(params, table)?;
    held_out.map_or(Ok(()), |held_out| check(params, held_out))?;
    from.map_or(Ok(()), |from| check_base(params, from, table))?;
    let (mut table, mut held_out) = (table.clone(), held_out.cloned());
    let scale = standardise(params.objective, from, &mut table, held_out.as_mut());
    let bins = Bins::new(&table, params.bins_max);
    let grower = Grower::new(params, &bins);
    let outputs = params.objective.outputs();
    let base = from.map_or_else(|| base_scores(params.objective, &table), |from| from.base.clone());
    let mut trees: Vec<Tree> = from.map_or_else(Vec::new, |from| from.trees.clone());
    let done = trees.len() / outputs;
    let mut scores = start(&base, &trees, &table);
    let mut held_scores = held_out.as_ref().map(|held| start(&base, &trees, held));
    let mut slopes = Column::filled(Gradient::default(), outputs * table.rows());
    let mut losses: Vec<f64> = Vec::new();
    let mut best = (0, f64::INFINITY);
    if let (Some(held), Some(scores), true) = (&held_out, &held_scores, done > 0) {
        best.1 = loss(params.objective, held, scores);
    }
    for round in 0..params.rounds {
        gradients(params.objective, &table, &scores, &mut slopes);
        let key = (params.seed, Purpose::Rows, params.fold);
        let rows = share_of(table.rows(), params.row_share, key, (done + round, 0));
        for (output, slope) in slopes.chunks_exact(table.rows()).enumerate() {
            let key = (params.seed, Purpose::Features, params.fold);
            let place = (done + round, output);
            let features = share_of(table.features, params.feature_share, key, place);
            let level = params.objective.level(output);
            let quantile = |rows: &[u32]| {
                level.map(|level| residual(&table, &scores, rows, level, (output, outputs)))
            };
            let tree = grower.tree(&mut rows.clone(), &features, slope, &quantile);
            add(&tree, &table, &mut scores, output, outputs);
            if let (Some(held), Some(scores)) = (&held_out, &mut held_scores) {
                add(&tree, held, scores, output, outputs);
            }
            trees.push(tree);
        }
        let now = match (&held_out, &held_scores) {
            (Some(held), Some(scores)) => Some(loss(params.objective, held, scores)),
            _ => None,
        };
        let flow = watch(round + 1, now);
        if let Some(now) = now {
            losses.push(now);
            if now < best.1 {
                best = (round + 1, now);
            } else if params.patience > 0 && round + 1 - best.0 >= params.patience {
                break;
            }
        }
        if flow.is_break() {
            break;
        }
    }
    let grown = trees.len() / outputs;
    let least = usize::from(done == 0);
    let rounds = if losses.is_empty() { grown } else { done + best.0.max(least) };
    trees.truncate(rounds * outputs);
    let forest =
        Forest { objective: params.objective, features: table.features, base, scale, trees };
    Ok(Trained { forest, rounds, held_out: losses })
}

fn start(base: &[f32], trees: &[Tree], table: &Table) -> Column<f64> {
    let one = || base.iter().map(|&score| f64::from(score));
    let mut scores: Column<f64> = (0..table.rows()).flat_map(|_| one()).collect();
    for (number, tree) in trees.iter().enumerate() {
        add(tree, table, &mut scores, number % base.len(), base.len());
    }
    scores
}

/// The quantile of what some rows are still off by: what a leaf of them has to add.
fn residual(
    table: &Table,
    scores: &[f64],
    rows: &[u32],
    level: f64,
    (output, outputs): (usize, usize),
) -> f64 {
    let one = |&row: &u32| {
        let row = row as usize;
        (table.targets[row] - scores[row * outputs + output], table.weight(row))
    };
    weighted_quantile(rows.iter().map(one).collect(), level)
}

fn add(tree: &Tree, table: &Table, scores: &mut [f64], output: usize, outputs: usize) {
    for row in 0..table.rows() {
        scores[row * outputs + output] += f64::from(tree.value(table.row(row)));
    }
}

/// Brings the targets of a regression to mean 0 and deviation 1, so that fixed-point gradients
/// fit whatever their unit. Returns (scale, offset) to undo it.
fn standardise(
    objective: Objective,
    from: Option<&Forest>,
    table: &mut Table,
    held: Option<&mut Table>,
) -> (f64, f64) {
    if objective != Objective::Squared {
        return (1.0, 0.0);
    }
    let n = table.rows() as f64;
    let mean = table.targets.iter().sum::<f64>() / n;
    let variance = table.targets.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / n;
    let scale = if variance > 0.0 { libm::sqrt(variance) } else { 1.0 };
    // What was grown in one unit goes on in it.
    let (scale, mean) = from.map_or((scale, mean), |from| from.scale);
    let fit = |targets: &mut Vec<f64>| {
        targets.iter_mut().for_each(|y| *y = (*y - mean) / scale);
    };
    fit(&mut table.targets);
    if let Some(held) = held {
        fit(&mut held.targets);
    }
    (scale, mean)
}

/// Trees to go on from are of the same kind of rows and answers.
fn check_base(params: &Params, from: &Forest, table: &Table) -> Result<(), TrainError> {
    let fits = [
        ("classes or levels", from.objective == params.objective),
        ("features", from.features == table.features),
    ];
    let other = fits.iter().find(|(_, holds)| !holds);
    other.map_or(Ok(()), |(what, _)| Err(TrainError::Base(what)))
}

fn check(params: &Params, table: &Table) -> Result<(), TrainError> {
    let (rows, features) = (table.rows(), table.features);
    if rows == 0 || features == 0 {
        return Err(TrainError::Empty { rows, features });
    }
    if table.values.len() != rows * features {
        return Err(TrainError::Shape { part: "values", rows });
    }
    if !table.weights.is_empty() && table.weights.len() != rows {
        return Err(TrainError::Shape { part: "weights", rows });
    }
    let share = |share: f64| share > 0.0 && share <= 1.0;
    let ranges = [
        ("rounds", params.rounds > 0),
        ("learning_rate", share(params.learning_rate)),
        ("depth_max", (1..=32).contains(&params.depth_max)),
        ("leaves_max", (2..=65_536).contains(&params.leaves_max)),
        ("lambda", params.lambda >= 0.0 && params.lambda.is_finite()),
        ("leaf_rows_min", params.leaf_rows_min > 0),
        ("row_share", share(params.row_share)),
        ("feature_share", share(params.feature_share)),
        ("bins_max", (2..=256).contains(&params.bins_max)),
        ("permille", is_rising(params.objective)),
    ];
    if let Some((name, _)) = ranges.iter().find(|(_, holds)| !holds) {
        return Err(TrainError::Parameter(name));
    }
    if let Some(at) = table.values.iter().position(|value| !value.is_finite()) {
        return Err(TrainError::NotFinite { row: at / features, feature: at % features });
    }
    let class_count = params.objective.outputs() as f64;
    for row in 0..rows {
        let (target, weight) = (table.targets[row], table.weight(row));
        let fits = match params.objective {
            Objective::Softmax { .. } => {
                (0.0..class_count).contains(&target) && libm::floor(target) == target
            }
            _ => target.is_finite(),
        };
        // Weights are bounded so that fixed-point sums cannot leave their range.
        if !fits || !(0.0..=1_000.0).contains(&weight) {
            return Err(TrainError::Target { row, target, weight });
        }
    }
    Ok(())
}

/// Levels of quantiles rise and lie inside of 0 to 1.
fn is_rising(objective: Objective) -> bool {
    let Objective::Quantiles { permille: [low, middle, high] } = objective else { return true };
    0 < low && low < middle && middle < high && high < 1_000
}
