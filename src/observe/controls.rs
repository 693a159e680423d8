//! What the pages show of each control.

use serde::Serialize;

/// One control and how often it did what (RC-43).
#[derive(Clone, Debug, Default, Serialize)]
pub struct ControlView {
    /// Name of the check (`check_…`) or breaker.
    pub name: String,
    /// A breaker's level: `clear`, `warn`, `reduce`, `halt`, `kill`.
    pub level: &'static str,
    /// What a breaker found last, in `unit`; `None` where it was not told.
    pub value: Option<f64>,
    /// Where its next level begins, or its highest once that is reached; `None` without levels.
    pub limit: Option<f64>,
    /// Unit of both: `bps`, `quote`, `count`, `ms`, `us`, `percent`, `MiB`; empty without any.
    pub unit: &'static str,
    /// Times evaluated.
    pub evaluated: u64,
    /// Times within a fifth of its limit, without reaching it.
    pub near: u64,
    /// Times it tripped.
    pub tripped: u64,
    /// Seconds since it was last seen evaluated.
    pub silent_seconds: f64,
    /// Nothing has evaluated it for a day: it guards nothing.
    pub dead: bool,
}
