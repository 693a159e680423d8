//! Rounds of boosting, with early stopping on held-out rows.

use super::bins::Bins;
use super::forest::{Forest, Tree};
use super::grow::Grower;
use super::objective::{Gradient, base_scores, gradients, loss};
use super::random::{Purpose, share_of};
use super::{Objective, Params, Table, TrainError};
use std::ops::ControlFlow;

/// A forest and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The forest, cut back to its best round.
    pub forest: Forest,
    /// Rounds kept.
    pub rounds: usize,
    /// Loss on the held-out rows after each round; empty without any.
    pub held_out: Vec<f64>,
}

/// Told after each round: its number from 1, and the loss on the held-out rows if there are any.
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
    check(params, table)?;
    if let Some(held_out) = held_out {
        check(params, held_out)?;
    }
    let (mut table, mut held_out) = (table.clone(), held_out.cloned());
    let scale = standardise(params.objective, &mut table, held_out.as_mut());
    let bins = Bins::new(&table, params.bins_max);
    let grower = Grower::new(params, &bins);
    let outputs = params.objective.outputs();
    let base = base_scores(params.objective, &table);
    let mut scores = start(&base, table.rows());
    let mut held_scores = held_out.as_ref().map(|held| start(&base, held.rows()));
    let mut slopes = vec![vec![Gradient::default(); table.rows()]; outputs];
    let mut trees: Vec<Tree> = Vec::new();
    let mut losses: Vec<f64> = Vec::new();
    let mut best = (0, f64::INFINITY);
    for round in 0..params.rounds {
        gradients(params.objective, &table, &scores, &mut slopes);
        let key = (params.seed, Purpose::Rows, params.fold);
        let rows = share_of(table.rows(), params.row_share, key, (round, 0));
        for (output, slope) in slopes.iter().enumerate() {
            let key = (params.seed, Purpose::Features, params.fold);
            let features = share_of(table.features, params.feature_share, key, (round, output));
            let tree = grower.tree(&mut rows.clone(), &features, slope);
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
    let rounds = if losses.is_empty() { grown } else { best.0.max(1) };
    trees.truncate(rounds * outputs);
    let forest =
        Forest { objective: params.objective, features: table.features, base, scale, trees };
    Ok(Trained { forest, rounds, held_out: losses })
}

fn start(base: &[f32], rows: usize) -> Vec<f64> {
    (0..rows).flat_map(|_| base.iter().map(|&score| f64::from(score))).collect()
}

fn add(tree: &Tree, table: &Table, scores: &mut [f64], output: usize, outputs: usize) {
    for row in 0..table.rows() {
        scores[row * outputs + output] += f64::from(tree.value(table.row(row)));
    }
}

/// Brings the targets of a regression to mean 0 and deviation 1, so that fixed-point gradients
/// fit whatever their unit. Returns (scale, offset) to undo it.
fn standardise(objective: Objective, table: &mut Table, held: Option<&mut Table>) -> (f64, f64) {
    if objective != Objective::Squared {
        return (1.0, 0.0);
    }
    let n = table.rows() as f64;
    let mean = table.targets.iter().sum::<f64>() / n;
    let variance = table.targets.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / n;
    let scale = if variance > 0.0 { libm::sqrt(variance) } else { 1.0 };
    let fit = |targets: &mut Vec<f64>| {
        targets.iter_mut().for_each(|y| *y = (*y - mean) / scale);
    };
    fit(&mut table.targets);
    if let Some(held) = held {
        fit(&mut held.targets);
    }
    (scale, mean)
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
            Objective::Squared => target.is_finite(),
        };
        // Weights are bounded so that fixed-point sums cannot leave their range.
        if !fits || !(0.0..=1_000.0).contains(&weight) {
            return Err(TrainError::Target { row, target, weight });
        }
    }
    Ok(())
}
