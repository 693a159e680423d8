//! What a track record can be believed to say.
//!
//! | file | holds |
//! |---|---|
//! | `moments` | mean, deviation, skewness and kurtosis of returns |
//! | `sharpe` | probabilistic and deflated Sharpe ratio, shortest track record, shortest backtest |
//! | `overfitting` | the probability that the best of many trials is luck (CSCV) |
//! | `difference` | whether two Sharpe ratios differ |
//! | `calibration` | whether probabilities mean what they say |
//!
//! A Sharpe ratio here is per observation unless a name says otherwise; times its root of
//! observations a year it is the annual one. A normal distribution has kurtosis 3.

pub mod calibration;
pub mod difference;
pub mod moments;
pub mod overfitting;
pub mod sharpe;

#[cfg(test)]
mod tests;

use statrs::distribution::{ContinuousCDF, Normal};

/// Φ: the share of a standard normal distribution below `z`.
pub fn normal_below(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The inverse of Φ; `share` lies between 0 and 1.
pub fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}
