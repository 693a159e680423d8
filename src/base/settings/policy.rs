//! `[policy]`: when positions are entered, and how orders are priced.

use super::section::Section;
use crate::base::units::Money;

/// How predictions become wanted positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicySettings {
    /// Least milliseconds between two decisions of one instrument; 0 decides on every market event.
    pub decision_interval_ms: u32,
    /// Enter when `p(up) − p(down)` reaches this (or its negative), 0 to 1.
    pub enter_edge: f64,
    /// Leave when the edge falls back below this, 0 to `enter_edge`.
    pub exit_edge: f64,
    /// Value of a full position in quote currency, before it is scaled and bounded by `[sizing]`.
    pub position_notional: Money,
    /// Enter with post-only orders at the touch instead of taking.
    pub enter_as_maker: bool,
    /// Cancel a resting entry after this many milliseconds.
    pub entry_rest_ms_max: u32,
    /// How far through the touch a taking order may go, in basis points.
    pub take_through_bps: u32,
}

impl PolicySettings {
    /// Reads the table.
    pub(super) fn read(mut s: Section<'_>) -> Self {
        let settings = Self::keys(&mut s);
        if settings.exit_edge > settings.enter_edge {
            s.fail("exit_edge", "must not be above enter_edge");
        }
        s.finish();
        settings
    }

    fn keys(s: &mut Section<'_>) -> Self {
        Self {
            decision_interval_ms: s.u32("decision_interval_ms", 0..=86_400_000),
            enter_edge: s.number("enter_edge", 0.0..=1.0),
            exit_edge: s.number("exit_edge", -1.0..=1.0),
            position_notional: s.money("position_notional"),
            enter_as_maker: s.flag("enter_as_maker", false),
            entry_rest_ms_max: s.u32_opt("entry_rest_ms_max", 1..=86_400_000).unwrap_or(2_000),
            take_through_bps: s.u32_opt("take_through_bps", 0..=1_000).unwrap_or(5),
        }
    }
}

/// Every key of `[policy]`, `[sizing]` and `[exits]` as `table.key`, as the parser asks for them.
#[cfg(test)]
pub(crate) fn policy_keys() -> Vec<String> {
    let mut errors = Vec::new();
    let mut keys = Vec::new();
    let mut gather = |table: &str, read: &mut dyn FnMut(&mut Section<'_>)| {
        let mut section = Section::new(table, toml::Table::new(), &mut errors);
        read(&mut section);
        keys.extend(section.asked().iter().map(|key| format!("{table}.{key}")));
    };
    gather("policy", &mut |s| {
        let _ = PolicySettings::keys(s);
    });
    gather("sizing", &mut |s| {
        let _ = super::SizingSettings::keys(s);
    });
    gather("exits", &mut |s| {
        let _ = super::ExitSettings::keys(s);
    });
    keys
}
