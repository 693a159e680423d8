//! Values to bins. Cuts lie at midpoints of neighbouring values, stored as the largest f32 not
//! above the midpoint, so that `x <= cut` decides alike in f32 and f64.

use super::Table;
use crate::column::Column;

/// Every feature's cuts and every row's bins.
#[derive(Debug)]
pub struct Bins {
    /// Cuts of each feature, rising; bin `b` holds `cuts[b-1] < x <= cuts[b]`.
    pub cuts: Vec<Vec<f32>>,
    /// Bins, feature after feature, in each row after row.
    codes: Column<u8>,
    rows: usize,
}

impl Bins {
    /// Bins a table whose values are finite.
    pub fn new(table: &Table, bins_max: usize) -> Self {
        let mut bins = Self { cuts: Vec::new(), codes: Column::default(), rows: table.rows() };
        let mut column = Vec::with_capacity(table.rows());
        for feature in 0..table.features {
            column.clear();
            column.extend((0..table.rows()).map(|row| table.row(row)[feature]));
            let mut sorted = column.clone();
            sorted.sort_unstable_by(f32::total_cmp);
            let cuts = cuts_of(&sorted, bins_max);
            // At most 256 bins, so every code fits.
            let code = |x: &f32| cuts.partition_point(|cut| cut < x) as u8;
            bins.codes.extend(column.iter().map(code));
            bins.cuts.push(cuts);
        }
        bins
    }

    /// Bins of a feature, row after row.
    pub fn codes_of(&self, feature: usize) -> &[u8] {
        &self.codes[feature * self.rows..(feature + 1) * self.rows]
    }
}

/// Cuts of sorted values: between all distinct values where they fit, else a bin is closed as soon
/// as it holds its share of the rows that are left.
fn cuts_of(sorted: &[f32], bins_max: usize) -> Vec<f32> {
    let mut runs: Vec<(f32, usize)> = Vec::new();
    for &value in sorted {
        match runs.last_mut() {
            // −0 and 0 are one value: they compare equal.
            Some((last, count)) if *last == value => *count += 1,
            _ => runs.push((value, 1)),
        }
    }
    let mut cuts = Vec::new();
    let mut left = sorted.len();
    let mut held = 0;
    let keep_all = runs.len() <= bins_max;
    for pair in runs.windows(2) {
        held += pair[0].1;
        let bins_left = bins_max - cuts.len();
        if cuts.len() + 1 < bins_max && (keep_all || held * bins_left >= left) {
            cuts.push(cut_between(pair[0].0, pair[1].0));
            left -= held;
            held = 0;
        }
    }
    cuts
}

fn cut_between(low: f32, high: f32) -> f32 {
    let middle = (f64::from(low) + f64::from(high)) / 2.0;
    let cut = middle as f32;
    if f64::from(cut) > middle { cut.next_down() } else { cut }
}
