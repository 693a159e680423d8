//! Gradients of the objectives, and their loss.

use super::{Objective, Table};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Units per 1.0 of a summed gradient. Gradients are at most a few units times the row's weight, so
/// a million rows stay far below the range of i64.
pub const UNIT: f64 = 4_294_967_296.0;

/// First and second derivative of one row and output, in [`UNIT`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Gradient {
    /// First derivative.
    pub g: i64,
    /// Second derivative.
    pub h: i64,
}

/// Probabilities of scores, in place.
pub fn softmax(scores: &mut [f64]) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = libm::exp(*score - top);
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// Where scores start: the log of the class shares, or the mean.
pub fn base_scores(objective: Objective, table: &Table) -> Vec<f32> {
    let total: f64 = (0..table.rows()).map(|row| table.weight(row)).sum();
    match objective {
        Objective::Softmax { classes } => {
            let mut shares = vec![0.0; classes];
            for row in 0..table.rows() {
                shares[table.targets[row] as usize] += table.weight(row);
            }
            let log = |share: &f64| libm::log((share / total).max(1e-9)) as f32;
            shares.iter().map(log).collect()
        }
        Objective::Squared => {
            let sum: f64 = (0..table.rows()).map(|r| table.targets[r] * table.weight(r)).sum();
            vec![(sum / total) as f32]
        }
        Objective::Quantiles { .. } => {
            let all = || (0..table.rows()).map(|row| (table.targets[row], table.weight(row)));
            let levels = (0..objective.outputs()).filter_map(|output| objective.level(output));
            levels.map(|level| weighted_quantile(all().collect(), level) as f32).collect()
        }
    }
}

/// Writes the gradients of all rows and outputs, output after output.
pub fn gradients(objective: Objective, table: &Table, scores: &[f64], out: &mut [Gradient]) {
    let (outputs, rows) = (objective.outputs(), table.rows());
    let mut work = vec![0.0; outputs];
    let fix = |value: f64| libm::round(value * UNIT) as i64;
    for row in 0..table.rows() {
        let weight = table.weight(row);
        work.copy_from_slice(&scores[row * outputs..(row + 1) * outputs]);
        match objective {
            Objective::Softmax { .. } => {
                softmax(&mut work);
                for (class, &p) in work.iter().enumerate() {
                    let hit = f64::from(u8::from(table.targets[row] as usize == class));
                    let h = (2.0 * p * (1.0 - p)).max(1e-9);
                    out[class * rows + row] =
                        Gradient { g: fix(weight * (p - hit)), h: fix(weight * h) };
                }
            }
            Objective::Squared => {
                let g = weight * (work[0] - table.targets[row]);
                out[row] = Gradient { g: fix(g), h: fix(weight) };
            }
            Objective::Quantiles { .. } => {
                for (output, &score) in work.iter().enumerate() {
                    let level = objective.level(output).unwrap_or(0.5);
                    let g = if score < table.targets[row] { -level } else { 1.0 - level };
                    out[output * rows + row] = Gradient { g: fix(weight * g), h: fix(weight) };
                }
            }
        }
    }
}

/// The value at which a share of `level` of the weight lies at or below: the first of the sorted
/// (value, weight) that reaches it. 0 without any weight.
pub fn weighted_quantile(mut values: Vec<(f64, f64)>, level: f64) -> f64 {
    values.retain(|&(_, weight)| weight > 0.0);
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Whole numbers, so that the order of equal values cannot matter.
    let whole = |weight: f64| libm::round(weight * UNIT) as i128;
    let total: i128 = values.iter().map(|&(_, weight)| whole(weight)).sum();
    let wanted = level * total as f64;
    let mut reached = 0;
    for &(value, weight) in &values {
        reached += whole(weight);
        if reached as f64 >= wanted {
            return value;
        }
    }
    values.last().map_or(0.0, |&(value, _)| value)
}

/// What a quantile of a level is off by: `level` for each unit too low, the rest for each too high.
fn pinball(level: f64, said: f64, came: f64) -> f64 {
    let off = came - said;
    if off > 0.0 { level * off } else { (level - 1.0) * off }
}

/// Weighted mean loss: log-loss, the squared error, or the mean pinball loss of the levels.
pub fn loss(objective: Objective, table: &Table, scores: &[f64]) -> f64 {
    let outputs = objective.outputs();
    let mut work = vec![0.0; outputs];
    let (mut sum, mut total) = (0.0, 0.0);
    for row in 0..table.rows() {
        work.copy_from_slice(&scores[row * outputs..(row + 1) * outputs]);
        let one = match objective {
            Objective::Softmax { .. } => {
                softmax(&mut work);
                -libm::log(work[table.targets[row] as usize].max(1e-15))
            }
            Objective::Squared => (work[0] - table.targets[row]) * (work[0] - table.targets[row]),
            Objective::Quantiles { .. } => {
                let of = |(output, &said): (usize, &f64)| {
                    let level = objective.level(output).unwrap_or(0.5);
                    pinball(level, said, table.targets[row])
                };
                work.iter().enumerate().map(of).sum::<f64>() / outputs as f64
            }
        };
        sum += table.weight(row) * one;
        total += table.weight(row);
    }
    sum / total
}
