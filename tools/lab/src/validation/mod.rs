//! What is learned from what, so that nothing is judged on what it was taught.
//!
//! | file | holds |
//! |---|---|
//! | `label` | what came of a moment: barriers, horizons, weights |
//! | `folds` | walk-forward and combinatorial splits, purged and embargoed |

pub mod folds;
pub mod label;

#[cfg(test)]
mod tests;
