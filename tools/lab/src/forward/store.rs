//! Finished folds on disk: written whole or not at all, named by what they were made from.

use crate::files::write_whole;
use anyhow::{Result, ensure};
use peregrine::model::artifact::{hex, sha256};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A fold's folder below the report's.
pub const FOLDS: &str = "folds";

/// What a fold came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Hash of configuration, data, code and place.
    pub key: String,
    /// Rows the trees were grown on.
    pub rows_fit: usize,
    /// Rows that stopped and calibrated.
    pub rows_stop: usize,
    /// Rounds kept.
    pub rounds: usize,
    /// By which logits were divided, as text that reads back exactly.
    temperature: String,
    /// Log-loss of the class shares of the fit on the test, as text.
    prior: String,
    /// Splits by feature.
    pub splits: Vec<u64>,
    /// Probabilities of the test rows, three each: little-endian f32 in hexadecimal digits.
    probabilities: String,
    /// SHA-256 of that text.
    check: String,
}

impl Stored {
    /// Of what was learned.
    pub fn new(
        key: &str,
        (rows_fit, rows_stop, rounds): (usize, usize, usize),
        (temperature, prior): (f64, f64),
        splits: Vec<u64>,
        probabilities: &[[f32; 3]],
    ) -> Self {
        let bytes: Vec<u8> =
            probabilities.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        let probabilities = hex(&bytes);
        let check = hex(&sha256(probabilities.as_bytes()));
        Self {
            key: key.to_owned(),
            rows_fit,
            rows_stop,
            rounds,
            temperature: temperature.to_string(),
            prior: prior.to_string(),
            splits,
            probabilities,
            check,
        }
    }

    /// Log-loss of the class shares of the fit on the test.
    pub fn prior(&self) -> Option<f64> {
        self.prior.parse().ok()
    }

    /// Probabilities of the test rows.
    ///
    /// # Errors
    /// Digits that are none.
    pub fn probabilities(&self) -> Result<Vec<[f32; 3]>> {
        let digits = self.probabilities.as_bytes();
        ensure!(digits.len().is_multiple_of(24), "probabilities: half a row");
        let value = |eight: &[u8]| -> Result<f32> {
            let bits = u32::from_str_radix(std::str::from_utf8(eight)?, 16)?;
            Ok(f32::from_le_bytes(bits.to_be_bytes()))
        };
        let row = |digits: &[u8]| -> Result<[f32; 3]> {
            Ok([value(&digits[..8])?, value(&digits[8..16])?, value(&digits[16..])?])
        };
        digits.chunks(24).map(row).collect()
    }
}

/// Where a fold lies.
pub fn path_of(out: &Path, name: &str) -> PathBuf {
    out.join(FOLDS).join(format!("{name}.json"))
}

/// The stored fold of a name, where it was made from the same and is whole.
pub fn load(out: &Path, name: &str, key: &str, rows: usize) -> Option<Stored> {
    let text = std::fs::read(path_of(out, name)).ok()?;
    let stored: Stored = serde_json::from_slice(&text).ok()?;
    let is_whole = hex(&sha256(stored.probabilities.as_bytes())) == stored.check;
    let fits = stored.probabilities().is_ok_and(|found| found.len() == rows);
    (stored.key == key && is_whole && fits).then_some(stored)
}

/// Writes a fold so that it is there whole or not at all.
///
/// # Errors
/// The file that could not be written.
pub fn save(out: &Path, name: &str, stored: &Stored) -> Result<()> {
    let path = path_of(out, name);
    write_whole(&path, &serde_json::to_vec(stored)?)
}
