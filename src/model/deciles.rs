//! What a model was fitted on, a feature at a time: enough to tell later whether it still sees the
//! like of it.

use super::artifact::{card_error, decode, encode};
use super::error::ModelError;
use serde::{Deserialize, Serialize};

/// Edges between ten bins.
pub const EDGES: usize = 9;
/// Bins of a feature.
pub const BINS: usize = EDGES + 1;
/// How far the shares of a feature may be from 1 in sum: they are kept as single floats.
const SUM_OFF_MAX: f64 = 1e-3;

/// The rows a model was fitted on as deciles: little-endian f32 in base64, feature after feature
/// in the order of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Number of rows, at least 1.
    pub rows: u64,
    /// Features × [`EDGES`]: upper edges of all bins but the last, not falling.
    pub edges: String,
    /// Features × [`BINS`]: share of the rows in each bin, 0 to 1, 1 in sum. Equal values make
    /// unequal bins.
    pub shares: String,
}

/// The deciles of one feature. A value lies in the first bin whose edge is not below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deciles {
    /// Upper edges of all bins but the last, not falling.
    pub edges: [f32; EDGES],
    /// Share of the training in each bin.
    pub shares: [f32; BINS],
}

impl Deciles {
    /// Of a feature's values in any order; `None` without a finite one.
    pub fn of(values: impl Iterator<Item = f32>) -> Option<Self> {
        let mut sorted: Vec<f32> = values.filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        if sorted.is_empty() {
            return None;
        }
        let edges =
            std::array::from_fn(|at| sorted[(sorted.len() * (at + 1) / BINS).saturating_sub(1)]);
        let mut before = 0;
        let shares = std::array::from_fn(|bin| {
            let end = edges
                .get(bin)
                .map_or(sorted.len(), |edge: &f32| sorted.partition_point(|value| value <= edge));
            let share = (end - before) as f64 / sorted.len() as f64;
            before = end;
            share as f32
        });
        Some(Self { edges, shares })
    }
}

impl Training {
    /// Of rows one after the other, `features` values each; `None` without a row, or where a
    /// feature has no finite value.
    pub fn of(features: usize, rows: &[f32]) -> Option<Self> {
        let column = |at: usize| rows.iter().skip(at).step_by(features.max(1)).copied();
        let deciles: Option<Vec<Deciles>> =
            (0..features).map(|at| Deciles::of(column(at))).collect();
        let deciles = deciles?;
        let edges: Vec<f32> = deciles.iter().flat_map(|own| own.edges).collect();
        let shares: Vec<f32> = deciles.iter().flat_map(|own| own.shares).collect();
        Some(Self {
            rows: (rows.len() / features.max(1)) as u64,
            edges: encode(&edges),
            shares: encode(&shares),
        })
    }

    /// Takes it apart for a model of so many features.
    ///
    /// # Errors
    /// Names the key that is not what it has to be.
    pub fn deciles(&self, features: usize) -> Result<Vec<Deciles>, ModelError> {
        if self.rows == 0 {
            return Err(card_error("training.rows", "is not at least 1"));
        }
        let field = |key: &str, text: &str, row: usize| {
            let key = format!("training.{key}");
            let values = decode(text).ok_or_else(|| card_error(&key, "is not base64 of f32"))?;
            if values.len() != features * row {
                let what = format!("holds {} values for {features} features", values.len());
                return Err(card_error(&key, what));
            }
            Ok(values)
        };
        let (edges, shares) =
            (field("edges", &self.edges, EDGES)?, field("shares", &self.shares, BINS)?);
        let (edges, shares) = (edges.as_chunks::<EDGES>().0, shares.as_chunks::<BINS>().0);
        for (at, own) in edges.iter().enumerate() {
            if !own.iter().all(|edge| edge.is_finite()) || !own.is_sorted() {
                return Err(card_error("training.edges", format!("fall in feature {at}")));
            }
        }
        for (at, own) in shares.iter().enumerate() {
            let sum: f64 = own.iter().map(|&share| f64::from(share)).sum();
            let whole = own.iter().all(|share| (0.0..=1.0).contains(share));
            if !whole || (sum - 1.0).abs() > SUM_OFF_MAX {
                let what = format!("are not 1 in sum in feature {at}");
                return Err(card_error("training.shares", what));
            }
        }
        let pairs = edges.iter().zip(shares);
        Ok(pairs.map(|(&edges, &shares)| Deciles { edges, shares }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 to 99 in a shuffled order beside a feature of two values.
    fn rows() -> Vec<f32> {
        (0..100_u16).flat_map(|n| [f32::from(n * 37 % 100), f32::from(n / 90)]).collect()
    }

    #[test]
    fn deciles_are_a_tenth_each_and_equal_values_lie_in_one_bin() {
        let training = Training::of(2, &rows()).unwrap();
        assert_eq!(training.rows, 100);
        let [even, two] = training.deciles(2).unwrap()[..] else { panic!("two features") };
        assert_eq!(even.edges, [9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0]);
        assert_eq!(even.shares, [0.1; BINS]);
        assert_eq!(two.edges, [0.0; EDGES]);
        let mut shares = [0.0; BINS];
        (shares[0], shares[9]) = (0.9, 0.1);
        assert_eq!(two.shares, shares);
        assert!(Training::of(2, &[]).is_none());
        assert!(Training::of(1, &[f32::NAN]).is_none());
    }

    #[test]
    fn what_is_not_deciles_of_these_features_is_refused_by_its_key() {
        let told = Training::of(2, &rows()).unwrap();
        let refused = |training: Training, key: &str| {
            let error = training.deciles(2).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        };
        refused(Training { rows: 0, ..told.clone() }, "training.rows");
        refused(Training { edges: "?".to_owned(), ..told.clone() }, "training.edges");
        refused(Training { edges: encode(&[1.0; 9]), ..told.clone() }, "training.edges");
        let falling = [[1.0; 9], [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]].concat();
        refused(Training { edges: encode(&falling), ..told.clone() }, "training.edges");
        refused(Training { edges: encode(&[f32::NAN; 18]), ..told.clone() }, "training.edges");
        refused(Training { shares: encode(&[0.2; 20]), ..told.clone() }, "training.shares");
        let below = [[0.1; 10], [-1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]].concat();
        refused(Training { shares: encode(&below), ..told }, "training.shares");
    }
}
