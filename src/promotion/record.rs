//! The lines of `logs/shadow/shadow_eval.jsonl`.
//!
//! ```text
//! {"record":"decision", "schema":1, "seq":…, "ts_event_ns":…, "symbol":…, "champion":{…},
//!  "challenger":{…}, …}          one per decision and challenger, written when it was made
//! {"record":"outcome", "schema":1, "seq":…, "symbol":…, "challenger":…, "outcome":{…}}
//!                                one for each of them, when its horizon has passed: in order
//! ```
//! A line is written once and never changed; `seq`, `symbol` and the challenger's version join the
//! two. What was cut off in its middle by the end of a process is one malformed line.

use super::assign::Assigned;
use super::scores::{Probabilities, is_distribution};
use crate::registry::Stage;
use serde::{Deserialize, Serialize};

/// Layout of a line.
pub const SHADOW_SCHEMA: u32 = 1;
/// Longest line that is read, bytes.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// What a model wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Stay as it is.
    Hold,
    /// Enter or stay long.
    Buy,
    /// Enter or stay short.
    Sell,
    /// Leave.
    Close,
}

/// A fill as it would have been.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualFill {
    /// 1 bought, −1 sold.
    pub side: i8,
    /// Quantity in contracts, above 0.
    pub qty: f64,
    /// Price, quote currency, above 0.
    pub px: f64,
    /// Fees paid, quote currency.
    pub fees: f64,
    /// Slippage against the touch, quote currency.
    pub slippage: f64,
    /// What slippage the cost model expected, quote currency.
    pub slippage_model: f64,
    /// Funding paid since the fill before, quote currency; below 0 it was received.
    pub funding: f64,
}

/// What one model said and had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The version's name.
    pub version: String,
    /// SHA-256 of its `model.onnx`, 64 hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of its `card.toml`, 64 hexadecimal digits.
    pub card_sha256: String,
    /// Probabilities of down, flat and up; `None` where it made no decision.
    pub proba: Option<Probabilities>,
    /// Quantiles of the return, where the model has them.
    pub q: Option<[f64; 3]>,
    /// What it wanted.
    pub signal: Signal,
    /// Identifies its features, sixteen hexadecimal digits.
    pub feature_set_id: String,
    /// Hash of the row it was given, hexadecimal.
    pub features_hash: String,
    /// Time of the inference, nanoseconds.
    pub latency_ns: u64,
    /// The fills since the decision before on this instrument, as one.
    pub virtual_fill: Option<VirtualFill>,
    /// Contracts held at the decision before; below 0 short.
    pub position_before: f64,
    /// Contracts held now, when those fills have been booked.
    pub position_after: f64,
    /// Equity of its account after this, all costs paid, quote currency.
    pub equity: f64,
    /// Net profit of the trade that ended since, quote currency; `None` where none did.
    pub closed_pnl: Option<f64>,
    /// Why it made no decision.
    pub error: Option<String>,
}

/// What a watch of the features found, as `drift` has it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureDrift {
    /// Largest population stability index of a feature.
    pub psi_max: f64,
    /// Share of the features whose distribution is another one: 0 to 1.
    pub drifted_frac: f64,
}

/// A decision of both, as it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// [`SHADOW_SCHEMA`].
    pub schema: u32,
    /// Sequence number of the input that caused it.
    pub seq: u64,
    /// When, as a text for people: RFC 3339, UTC.
    pub timestamp: String,
    /// Time of the event, nanoseconds since 1970.
    pub ts_event_ns: i64,
    /// Time of the decision, nanoseconds since 1970.
    pub ts_decision_ns: i64,
    /// When its session began, nanoseconds since 1970: accounts begin anew with each.
    #[serde(default)]
    pub session_ns: i64,
    /// Instrument.
    pub symbol: String,
    /// Mid price, quote currency.
    pub price: f64,
    /// Number of the bar.
    pub bar_id: i64,
    /// Where the challenger stands: shadow or canary.
    pub stage: Stage,
    /// Who traded, while it is a canary.
    pub assigned: Option<Assigned>,
    /// Whether the row was worked out again from the record and came out the same.
    pub features_match: bool,
    /// The newest judgement on the challenger's features, on the decisions that brought one.
    pub drift: Option<FeatureDrift>,
    /// A guardrail of the canary that tripped since the decision before.
    pub guardrail: Option<String>,
    /// The model in place.
    pub champion: Told,
    /// The model on trial.
    pub challenger: Told,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// 0 down, 1 flat, 2 up.
    pub class: u8,
    /// When it was known, nanoseconds since 1970.
    pub t1_ns: i64,
    /// Return over the horizon of who is long, the fees of entering and leaving paid, as a
    /// fraction.
    pub ret_net: f64,
}

/// What came of a decision, on a line of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Came {
    /// [`SHADOW_SCHEMA`].
    pub schema: u32,
    /// Of the decision.
    pub seq: u64,
    /// Of the decision.
    pub symbol: String,
    /// The challenger's version.
    pub challenger: String,
    /// What came.
    pub outcome: Outcome,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Line {
    /// A decision.
    Decision(Box<Decided>),
    /// What came of one.
    Outcome(Came),
}

/// A decision with what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The decision.
    pub decided: Decided,
    /// What came.
    pub outcome: Outcome,
}

impl Line {
    /// Reads a line and checks that it can be one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        if text.len() > LINE_BYTES_MAX {
            return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
        }
        let line: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let schema = match &line {
            Self::Decision(decided) => {
                decided.check()?;
                decided.schema
            }
            Self::Outcome(came) if came.outcome.class > 2 => {
                return Err(format!("outcome.class: {} is none of 0, 1, 2", came.outcome.class));
            }
            Self::Outcome(came) => came.schema,
        };
        if schema != SHADOW_SCHEMA {
            return Err(format!("schema: {schema}, {SHADOW_SCHEMA} is read"));
        }
        Ok(line)
    }

    /// The line as it stands in the file, its end included.
    ///
    /// # Errors
    /// Never for numbers that are finite.
    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|text| text + "\n")
    }
}

impl Decided {
    fn check(&self) -> Result<(), String> {
        for (who, told) in [("champion", &self.champion), ("challenger", &self.challenger)] {
            if told.proba.as_ref().is_some_and(|proba| !is_distribution(proba)) {
                return Err(format!("{who}.proba: no distribution"));
            }
            if !told.equity.is_finite() || told.equity <= 0.0 {
                return Err(format!("{who}.equity: {} is not above 0", told.equity));
            }
        }
        if !matches!(self.stage, Stage::Shadow | Stage::Canary) {
            return Err(format!("stage: {} is neither shadow nor canary", self.stage.name()));
        }
        if (self.stage == Stage::Canary) != self.assigned.is_some() {
            return Err("assigned: is there exactly while the challenger is a canary".to_owned());
        }
        Ok(())
    }
}
