//! `[sizing]`: how large an entry may be, and what it must be expected to earn.

use super::Mode;
use super::section::Section;
use crate::base::units::Money;

/// See the head of this file. Every bound is a most; the least of them is the size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizingSettings {
    /// Most of the equity that reaching the stop may lose, costs included, in basis points; 1 to
    /// 500.
    pub risk_bps: u32,
    /// Most of the equity times the leverage limit that one position may be worth, in basis points;
    /// 1 to 10 000.
    pub share_bps: u32,
    /// Part of the Kelly bet that may be made, 0 to 0.5; 0 is off.
    pub kelly_fraction: f64,
    /// Part of the model's edge that the Kelly bet leaves out, 0 to 0.95: an edge is over-estimated
    /// by whoever looked for it.
    pub kelly_shrink: f64,
    /// Average true range, in basis points of the price, at which `policy.position_notional` is the
    /// size; 0 leaves the size alone.
    pub volatility_reference_bps: f64,
    /// How fast the size falls with the range, 0 to 100.
    pub volatility_slope: f64,
    /// Least factor on the size, above 0 to 1.
    pub volatility_scale_min: f64,
    /// Largest factor on the size, 1 to 10.
    pub volatility_scale_max: f64,
    /// Least value of an entry in quote currency; the venue's own least counts too.
    pub notional_min: Money,
    /// Least expected return of an entry after all costs, in basis points of its value, −10 000 to
    /// 10 000; below zero trades at an expected loss.
    pub min_edge_bps: i32,
    /// Typical move over the model's horizon, in average true ranges, where the model tells no
    /// quantiles of the return; above 0 to 1 000.
    pub move_atr: f64,
    /// Slippage of an order that takes, in basis points, beside half the spread; 0 to 1 000.
    pub slippage_bps: f64,
    /// Largest factor on the slippage in a market that moves more than the reference; 1 to 100.
    pub slippage_volatility_max: f64,
    /// Slippage that every 1 000 of quote currency add, in basis points; 0 to 1 000.
    pub impact_bps: f64,
}

impl Default for SizingSettings {
    fn default() -> Self {
        Self {
            risk_bps: 200,
            share_bps: 2_000,
            kelly_fraction: 0.25,
            kelly_shrink: 0.5,
            volatility_reference_bps: 0.0,
            volatility_slope: 1.5,
            volatility_scale_min: 0.5,
            volatility_scale_max: 2.0,
            notional_min: Money::whole(10),
            min_edge_bps: 10,
            move_atr: 1.0,
            slippage_bps: 5.0,
            slippage_volatility_max: 2.0,
            impact_bps: 1.0,
        }
    }
}

/// Keys that live trading must have in its file: no size has a default there.
const LIVE_KEYS: [&str; 6] =
    ["risk_bps", "share_bps", "kelly_fraction", "notional_min", "min_edge_bps", "slippage_bps"];

impl SizingSettings {
    /// Reads the table.
    pub(super) fn read(mut s: Section<'_>, mode: Mode) -> Self {
        if mode == Mode::Live {
            s.require(&LIVE_KEYS);
        }
        let settings = Self::keys(&mut s);
        if mode == Mode::Live && settings.kelly_fraction == 0.0 {
            s.fail("kelly_fraction", "must be above 0 with mode = \"live\"");
        }
        if mode == Mode::Live && settings.min_edge_bps < 0 {
            s.fail("min_edge_bps", "must not be below 0 with mode = \"live\"");
        }
        s.finish();
        settings
    }

    pub(super) fn keys(s: &mut Section<'_>) -> Self {
        let d = Self::default();
        let edge = s.integer_opt("min_edge_bps", -10_000..=10_000);
        Self {
            risk_bps: s.u32_opt("risk_bps", 1..=500).unwrap_or(d.risk_bps),
            share_bps: s.u32_opt("share_bps", 1..=10_000).unwrap_or(d.share_bps),
            kelly_fraction: s.number_or("kelly_fraction", 0.0..=0.5, d.kelly_fraction),
            kelly_shrink: s.number_or("kelly_shrink", 0.0..=0.95, d.kelly_shrink),
            volatility_reference_bps: s.number_or(
                "volatility_reference_bps",
                0.0..=10_000.0,
                d.volatility_reference_bps,
            ),
            volatility_slope: s.number_or("volatility_slope", 0.0..=100.0, d.volatility_slope),
            volatility_scale_min: s.number_or(
                "volatility_scale_min",
                0.01..=1.0,
                d.volatility_scale_min,
            ),
            volatility_scale_max: s.number_or(
                "volatility_scale_max",
                1.0..=10.0,
                d.volatility_scale_max,
            ),
            notional_min: s.money_opt("notional_min").unwrap_or(d.notional_min),
            min_edge_bps: edge.and_then(|bps| i32::try_from(bps).ok()).unwrap_or(d.min_edge_bps),
            move_atr: s.number_or("move_atr", 0.01..=1_000.0, d.move_atr),
            slippage_bps: s.number_or("slippage_bps", 0.0..=1_000.0, d.slippage_bps),
            slippage_volatility_max: s.number_or(
                "slippage_volatility_max",
                1.0..=100.0,
                d.slippage_volatility_max,
            ),
            impact_bps: s.number_or("impact_bps", 0.0..=1_000.0, d.impact_bps),
        }
    }
}
