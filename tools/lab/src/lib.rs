//! Research for Peregrine: what is learned from data, and how it is proved.
//!
//! | module | holds |
//! |---|---|
//! | `gbdt` | deterministic gradient-boosted trees |
//! | `metrics` | log-loss, accuracy, area under the curve |
//! | `data` | what is brought in, looked at, frozen |
//! | `export` | a forest as an ONNX file |
//! | `card` | golden vectors of a version's card |
//! | `samples` | frames through feed, book and features into labelled rows |
//! | `statistics` | what a track record can be believed to say |
//! | `train` | the whole way from a seed to `models_saved/<version>/` |
//! | `tune` | the search for hyper-parameters, in Optuna's tables |
//! | `validation` | what is learned from what: labels, purged folds |
//!
//! Features are never computed twice: rows come out of the same rooms that serve live trading.

pub mod card;
pub mod data;
pub mod export;
pub mod gbdt;
pub mod metrics;
pub mod samples;
pub mod statistics;
pub mod train;
pub mod tune;
pub mod validation;

#[cfg(test)]
mod tests;
