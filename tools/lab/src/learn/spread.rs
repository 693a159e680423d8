//! Quantiles of the return, by trees, each moved so that it covers on the stop rows what it says.

use super::{Ground, pick};
use crate::gbdt::{Forest, Objective, Params, Watch, train_from, weighted_quantile};
use anyhow::Result;

/// Levels of the quantiles in thousandths, as the contract of models has them.
pub const LEVELS: [u16; 3] = [100, 500, 900];

/// Learns the quantiles of `changes`, one a row, from the rows `fit`; the rows `stop` tell when to
/// stop, and by how much each quantile moves: by that of what came less what was said (conformal
/// quantile regression, Romano, Patterson and Candès 2019, one-sided at each level).
///
/// # Errors
/// Parameters out of range, or a forest that cannot be gone on from.
pub fn learn_spread(
    ground: Ground<'_>,
    changes: &[f64],
    (fit, stop): (&[usize], &[usize]),
    (params, from): (&Params, Option<&Forest>),
    watch: Watch<'_>,
) -> Result<Forest> {
    let params = Params { objective: Objective::Quantiles { permille: LEVELS }, ..params.clone() };
    let of = |rows: &[usize]| {
        let mut table = pick(ground.table, rows);
        table.targets = rows.iter().map(|&row| changes[row]).collect();
        table
    };
    let (fit, stop) = (of(fit), of(stop));
    let mut forest = train_from(&params, from, &fit, Some(&stop), watch)?.forest;
    let said: Vec<Vec<f64>> = (0..stop.rows()).map(|row| forest.scores(stop.row(row))).collect();
    for (place, &permille) in LEVELS.iter().enumerate() {
        let off =
            |(row, said): (usize, &Vec<f64>)| (stop.targets[row] - said[place], stop.weight(row));
        let off = said.iter().enumerate().map(off).collect();
        let shift = weighted_quantile(off, f64::from(permille) / 1_000.0);
        forest.base[place] = (f64::from(forest.base[place]) + shift) as f32;
    }
    Ok(forest)
}

/// Share of returns at or below each quantile, by weight, and the mean pinball loss.
pub fn coverage(
    forest: &Forest,
    ground: Ground<'_>,
    changes: &[f64],
    rows: &[usize],
) -> ([f64; 3], f64) {
    let (mut below, mut loss, mut total) = ([0.0; 3], 0.0, 0.0);
    for &row in rows {
        let weight = ground.table.weight(row);
        for (place, said) in forest.quantiles(ground.table.row(row)).into_iter().enumerate() {
            let level = f64::from(LEVELS[place]) / 1_000.0;
            let off = changes[row] - said;
            below[place] += if off <= 0.0 { weight } else { 0.0 };
            loss += weight * (level * off).max((level - 1.0) * off) / LEVELS.len() as f64;
        }
        total += weight;
    }
    let total = f64::max(total, f64::MIN_POSITIVE);
    (below.map(|below| below / total), loss / total)
}
