//! Research for Peregrine: what is learned from data, and how it is proved.
//!
//! | module | holds |
//! |---|---|
//! | `gbdt` | deterministic gradient-boosted trees |
//! | `metrics` | log-loss, accuracy, area under the curve |
//! | `data` | what is brought in, looked at, frozen |
//! | `gate` | whether a model may trade, decided and signed |
//! | `column` | long rows of numbers, in a file where they would fill the memory |
//! | `export` | a model as an ONNX file, and trees out of one |
//! | `card` | golden vectors of a version's card |
//! | `files` | files of reports, written whole |
//! | `forward` | walk-forward and combinatorial validation, costs, figures, report |
//! | `learn` | what is learned from rows, whatever the kind of model |
//! | `mirror` | what the registry and reports say, shown on an MLflow server |
//! | `nets` | dense net and recurrent step |
//! | `nightly` | a challenger each night, from what the sessions recorded |
//! | `history` | rows of a frozen data set |
//! | `samples` | frames through feed, book and features into labelled rows |
//! | `paper` | weeks of trading on paper, and whether real money may follow |
//! | `realism` | the backtest's fills against those of sessions |
//! | `session` | one session of the trader over a market |
//! | `steps` | command lines from a data set to a decision |
//! | `stress` | the trader in markets that go where markets seldom go |
//! | `statistics` | what a track record can be believed to say |
//! | `trace` | a journal read for what may not be in it |
//! | `train` | the whole way from a seed to `models_saved/<version>/` |
//! | `tune` | the search for hyper-parameters, in Optuna's tables |
//! | `validation` | what is learned from what: labels, purged folds |
//!
//! Features are never computed twice: rows come out of the same rooms that serve live trading.

pub mod card;
pub mod column;
pub mod data;
pub mod export;
pub mod files;
pub mod forward;
pub mod gate;
pub mod gbdt;
pub mod history;
pub mod learn;
pub mod metrics;
pub mod mirror;
pub mod nets;
pub mod nightly;
pub mod paper;
pub mod realism;
pub mod samples;
pub mod session;
pub mod steps;
pub mod stress;
pub mod statistics;
pub mod trace;
pub mod train;
pub mod tune;
pub mod validation;

#[cfg(test)]
mod tests;
