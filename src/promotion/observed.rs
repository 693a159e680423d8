//! What was seen of a pair, as numbers: everything that the rules ask for.

use serde::Serialize;

/// One model's figures. `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shown {
    /// Mean score of its predictions, the lower the better.
    pub score: Option<f64>,
    /// Annual Sharpe ratio of hourly returns.
    pub sharpe: Option<f64>,
    /// The same of the last 24 hours.
    pub sharpe_24h: Option<f64>,
    /// Largest fall from a peak, as a fraction of it.
    pub drawdown_max: Option<f64>,
    /// Trades that ended.
    pub trades: u64,
    /// Losses since the last trade that was none.
    pub losses_in_a_row: u64,
    /// 99th percentile of the inference, nanoseconds.
    pub latency_p99_ns: Option<f64>,
    /// How far slippage is from what was expected, as a fraction of that.
    pub slippage_apart: Option<f64>,
}

/// What was seen of a champion and one challenger.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Observed {
    /// Days from the first decision to the last.
    pub days: f64,
    /// Predictions of both with their outcome.
    pub predictions: u64,
    /// Predictions whose outcome is not there.
    pub unscored: u64,
    /// Predictions that came too late to be compared.
    pub late: u64,
    /// Spans of horizon and embargo with a prediction in them.
    pub label_blocks: u64,
    /// Decisions in which the two wanted different things.
    pub differing: u64,
    /// The model in place.
    pub champion: Shown,
    /// The model on trial.
    pub challenger: Shown,
    /// One over the p-value, valid at any time, that the challenger is no better.
    pub evidence: f64,
    /// The same for the champion being no better.
    pub evidence_against: f64,
    /// Challengers compared at the same time: they share the level.
    pub challengers: u32,
    /// Mean of the champion's score less the challenger's.
    pub mean_gain: Option<f64>,
    /// What that is above, at any time, with 95 %.
    pub mean_gain_low: Option<f64>,
    /// What it is below.
    pub mean_gain_high: Option<f64>,
    /// Expected calibration error of the challenger.
    pub ece: Option<f64>,
    /// Largest population stability index of its features.
    pub psi: Option<f64>,
    /// Share of its features whose distribution is another one.
    pub features_drifted: Option<f64>,
    /// Days since its loss rose last; days of the trial where it never did.
    pub days_since_rise: f64,
    /// Rows that came out differently when worked out again.
    pub mismatches: u64,
    /// Counted blocks of time in which the canary traded.
    pub canary_blocks: u64,
    /// Counted blocks of time in which the champion traded.
    pub champion_blocks: u64,
    /// What the canary's mean net of a block is above the champion's by, at any time.
    pub net_lower_bound: Option<f64>,
    /// Times a guardrail tripped during the canary; `None` where nobody counted.
    pub guardrail_trips: Option<u64>,
}

impl Observed {
    /// Challenger's Sharpe ratio over the champion's, less one; against a champion that earns
    /// nothing, by how much of its size it is above.
    pub fn sharpe_gain(&self) -> Option<f64> {
        let (own, other) = (self.challenger.sharpe?, self.champion.sharpe?);
        // Below a hundredth a ratio says nothing about size.
        Some((own - other) / other.abs().max(0.01))
    }

    /// By how much the challenger's drawdown is above the champion's.
    pub fn drawdown_worse(&self) -> Option<f64> {
        Some(self.challenger.drawdown_max? - self.champion.drawdown_max?)
    }

    /// Part of the predictions whose outcome is not there; `None` without predictions.
    pub fn unscored_frac(&self) -> Option<f64> {
        let all = self.predictions + self.unscored;
        (all > 0).then(|| self.unscored as f64 / all as f64)
    }

    /// The evidence, with the level shared out among the challengers.
    pub fn evidence_per_challenger(&self) -> Option<f64> {
        (self.challengers > 0).then(|| self.evidence / f64::from(self.challengers))
    }
}
