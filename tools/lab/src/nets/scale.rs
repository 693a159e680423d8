//! Inputs brought to one size: mean 0, deviation 1, cut off where they are far out.

use crate::gbdt::Table;

/// Deviations at which inputs are cut off.
pub const FAR: f64 = 5.0;

/// Of each feature its mean and one over its deviation, as f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// Means.
    pub mean: Vec<f32>,
    /// One over the deviations; 0 for a feature that never changes.
    pub inverse: Vec<f32>,
}

impl Scale {
    /// Of some rows of a table.
    pub fn of(table: &Table, rows: &[usize]) -> Self {
        let count = rows.len().max(1) as f64;
        let (mut mean, mut inverse) = (Vec::new(), Vec::new());
        for feature in 0..table.features {
            let value = |&row: &usize| f64::from(table.row(row)[feature]);
            let middle = (rows.iter().map(value).sum::<f64>() / count) as f32;
            let square = |row: &usize| {
                let off = value(row) - f64::from(middle);
                off * off
            };
            let deviation = libm::sqrt(rows.iter().map(square).sum::<f64>() / count);
            // What only changes in its last digits would be blown up to noise.
            let is_fixed = deviation <= 1e-6 * f64::from(middle).abs() || deviation < 1e-30;
            mean.push(middle);
            inverse.push(if is_fixed { 0.0 } else { (1.0 / deviation) as f32 });
        }
        Self { mean, inverse }
    }

    /// A row, scaled and cut off.
    pub fn apply(&self, row: &[f32], into: &mut Vec<f64>) {
        into.clear();
        let pairs = row.iter().zip(self.mean.iter().zip(&self.inverse));
        into.extend(pairs.map(|(&x, (&mean, &inverse))| {
            ((f64::from(x) - f64::from(mean)) * f64::from(inverse)).clamp(-FAR, FAR)
        }));
    }
}
