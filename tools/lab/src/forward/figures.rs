//! Figures of a track: what it earned, and what that proves. What cannot be told is `None`.

use super::trade::Track;
use crate::statistics::moments::{Moments, drawdown_max, sortino};
use crate::statistics::overfitting::{Trials, overfitting};
use crate::statistics::sharpe::Seen;
use serde::Serialize;

/// Milliseconds of a year of 365 days: the market never closes.
const YEAR_MS: f64 = 365.0 * 86_400_000.0;
/// Confidence of the shortest track record.
const CONFIDENCE: f64 = 0.95;

/// Figures of the folds put together. Ratios are annual.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pooled {
    /// Mean over deviation of the periods' returns, annual.
    pub sharpe: Option<f64>,
    /// The same over the root of the mean square of losses, annual.
    pub sortino: Option<f64>,
    /// Largest fall from a peak as a share of it.
    pub max_drawdown_frac: Option<f64>,
    /// What won round trips left, over what the others lost.
    pub profit_factor: Option<f64>,
    /// Share of round trips that left more than nothing.
    pub win_rate: Option<f64>,
    /// Value traded a year in multiples of the capital.
    pub turnover: Option<f64>,
    /// Probability that the true ratio is above zero.
    pub psr: Option<f64>,
    /// The same above what the best of the trials would show by luck.
    pub dsr: Option<f64>,
    /// Periods after which the ratio would be above zero with 95 %.
    pub min_track_record_length_periods: Option<f64>,
    /// Periods seen.
    pub periods: usize,
    /// Of them in a year.
    pub periods_per_year: f64,
    /// Compounded return.
    pub net_return: f64,
    /// The same at twice the costs.
    pub net_return_cost_x2: f64,
    /// Round trips.
    pub trades: usize,
}

/// A number that is one.
pub fn told(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Periods of a year.
pub fn periods_a_year(period_ms: i64) -> f64 {
    YEAR_MS / period_ms as f64
}

/// Annual ratio of a track.
pub fn sharpe(track: &Track, period_ms: i64) -> Option<f64> {
    let seen = Moments::of(&track.returns)?;
    told(seen.sharpe() * periods_a_year(period_ms).sqrt())
}

/// Figures of the track of the trial chosen among `tried`; `trials` counts every one ever made.
pub fn pooled(
    track: &Track,
    twice: &Track,
    tried: &[Track],
    trials: u64,
    period_ms: i64,
) -> Pooled {
    let a_year = periods_a_year(period_ms);
    let periods = track.returns.len();
    let moments = Moments::of(&track.returns);
    let seen = moments.map(|moments| Seen {
        sharpe: moments.sharpe(),
        count: moments.count as f64,
        skewness: moments.skewness,
        kurtosis: moments.kurtosis,
    });
    let gains: f64 = track.trades.iter().filter(|&&net| net > 0.0).sum();
    let losses: f64 = -track.trades.iter().filter(|&&net| net < 0.0).sum::<f64>();
    let trades = track.trades.len();
    let won = track.trades.iter().filter(|&&net| net > 0.0).count();
    let is_traded = trades > 0;
    let ratio = |value: Option<f64>| value.and_then(|value| told(value * a_year.sqrt()));
    let deflated = |seen: &Seen| seen.deflated(trials as f64, variance(tried, periods));
    Pooled {
        sharpe: ratio(seen.map(|seen| seen.sharpe)),
        sortino: ratio(sortino(&track.returns)),
        max_drawdown_frac: (periods > 0).then(|| drawdown_max(&track.returns)),
        profit_factor: (losses > 0.0).then(|| gains / losses),
        win_rate: is_traded.then(|| won as f64 / trades as f64),
        turnover: (periods > 0).then(|| track.traded * a_year / periods as f64),
        psr: seen.and_then(|seen| told(seen.probability_above(0.0))),
        dsr: seen.and_then(|seen| told(deflated(&seen).probability)),
        min_track_record_length_periods: seen
            .and_then(|seen| told(seen.track_record_min(0.0, CONFIDENCE))),
        periods,
        periods_per_year: a_year,
        net_return: track.net(),
        net_return_cost_x2: twice.net(),
        trades,
    }
}

/// Variance of the trials' ratios a period. Fewer than two cannot tell it; then it is that of the
/// estimate of a ratio of zero, one over the periods less one.
fn variance(tried: &[Track], periods: usize) -> f64 {
    let ratio = |track: &Track| Moments::of(&track.returns).map_or(0.0, |seen| seen.sharpe());
    let ratios: Vec<f64> = tried.iter().map(ratio).collect();
    let least = 1.0 / (periods.max(3) as f64 - 1.0);
    if ratios.len() < 2 {
        return least;
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    let squares = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>();
    squares / (ratios.len() as f64 - 1.0)
}

/// Probability that the best of the trials is luck; `None` for fewer than two, or too few periods.
pub fn luck(tried: &[Track], blocks: usize) -> Option<f64> {
    let periods = tried.first()?.returns.len();
    let row = |at: usize| tried.iter().map(move |track| track.returns[at]);
    let returns = (0..periods).flat_map(row).collect();
    let trials = Trials { trials: tried.len(), returns };
    overfitting(&trials, blocks).ok().map(|found| found.probability)
}

/// A quantile of values, between neighbours where it falls between them.
pub fn quantile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = part * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    Some(sorted[low] + (at - at.floor()) * (sorted[high] - sorted[low]))
}
