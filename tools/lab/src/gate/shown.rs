//! What weeks on paper showed, out of `paper_campaign.json`, for the record of a sign-off.

use super::GateError;
use crate::paper::{Day, report::Whole};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// The figures a record has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    /// Days.
    pub days: u32,
    /// Round trips.
    pub round_trips: u32,
    /// Annual Sharpe ratio.
    pub sharpe: f64,
    /// Largest drawdown in basis points, rounded up.
    pub drawdown_bps: u32,
}

#[derive(Deserialize)]
struct Campaign {
    kind: String,
    schema: u64,
    model_sha256: String,
    passed: bool,
    verdicts: Vec<Verdict>,
    whole: Value,
    days: Vec<Day>,
}

#[derive(Deserialize)]
struct Verdict {
    name: String,
    passed: bool,
}

impl Shown {
    /// Reads a campaign of the model with this SHA-256.
    ///
    /// # Errors
    /// A file that is no campaign, one of another model, one that missed a target, or one whose
    /// figures are not those of its days.
    pub fn read(path: &Path, model_sha256: &str) -> Result<Self, GateError> {
        let bytes =
            std::fs::read(path).map_err(|cause| GateError::Io { path: path.to_owned(), cause })?;
        Self::parse(&bytes, model_sha256)
            .map_err(|what| GateError::Evidence { path: path.to_owned(), what })
    }

    fn parse(bytes: &[u8], model_sha256: &str) -> Result<Self, String> {
        let told: Campaign = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if told.kind != "paper_campaign" || told.schema != 1 {
            return Err(format!("kind, schema: are {:?} and {}", told.kind, told.schema));
        }
        if told.model_sha256 != model_sha256 {
            let other = told.model_sha256;
            return Err(format!("model_sha256: is of another model: {other}, not {model_sha256}"));
        }
        let missed = told.verdicts.iter().filter(|verdict| !verdict.passed);
        let missed: Vec<&str> = missed.map(|verdict| verdict.name.as_str()).collect();
        if !missed.is_empty() || !told.passed {
            return Err(format!("passed: targets were not met: {}", missed.join(", ")));
        }
        let whole = Whole::of(&told.days);
        // Through the text, as the file was written.
        let again = serde_json::to_string(&whole).and_then(|text| serde_json::from_str(&text));
        let again: Value = again.map_err(|error| error.to_string())?;
        if again != told.whole {
            return Err("whole: its figures are not those of its days".to_owned());
        }
        let count = |what: &str, value: u64| {
            u32::try_from(value).map_err(|_| format!("whole.{what}: {value} is too much"))
        };
        Ok(Self {
            days: count("days", whole.days)?,
            round_trips: count("round_trips", whole.round_trips)?,
            sharpe: whole.sharpe.ok_or("whole.sharpe: is not known")?,
            drawdown_bps: (whole.drawdown_frac * 1e4).ceil() as u32,
        })
    }
}
