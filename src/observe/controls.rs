//! What the pages show of each control.

use serde::Serialize;

/// One control and how often it did what (RC-43).
#[derive(Clone, Debug, Default, Serialize)]
pub struct ControlView {
    /// Name of the check (`check_…`) or breaker.
    pub name: String,
    /// A breaker's level: `clear`, `warn`, `reduce`, `halt`, `kill`.
    pub level: &'static str,
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
