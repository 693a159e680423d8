//! `[exits]`: when a position is left, and its stop at the venue.
//!
//! R is the distance of the stop from the average entry price. Where `stop_atr` is off, it is
//! `protective_stop_bps`, else `stop_bps_max`.

use super::Mode;
use super::section::Section;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExitSettings {
    /// Stop at this many average true ranges of the entry against us, 0 to 1 000; 0 is off.
    pub stop_atr: f64,
    /// Least distance of that stop in basis points of the entry price, 1 to 10 000.
    pub stop_bps_min: u32,
    /// Largest distance of that stop in basis points of the entry price, 1 to 10 000.
    pub stop_bps_max: u32,
    /// Take profit at this many R, 0 to 1 000; 0 is off.
    pub take_profit_r: f64,
    /// Part of the taken profit that follows the model's expected return where it tells quantiles,
    /// 0 to 1; the rest follows `take_profit_r`.
    pub take_profit_model: f64,
    /// The stop trails the best price once the gain has reached this many R, 0 to 1 000.
    pub trail_start_r: f64,
    /// Distance of the trailing stop from the best price in R, 0 to 1 000; 0 is off.
    pub trail_r: f64,
    /// Leave after this many bars if that leaves a profit after costs; 0 is off.
    pub hold_bars: u32,
    /// Leave after this many milliseconds in any case.
    pub hold_ms_max: u64,
    /// Leave when the average true range is above this many of the entry's; 0 is off, else above 1.
    pub volatility_high: f64,
    /// Leave when the average true range is below this part of the entry's, 0 to 0.99; 0 is off.
    pub volatility_low: f64,
    /// Leave ahead of a funding payment of at least this many basis points, 0 to 10 000; 0 is off.
    pub funding_bps: f64,
    /// How long ahead of it, in seconds, 1 to 86 400.
    pub funding_ahead_s: u32,
    /// Distance of the stop at the venue beyond our own stop, or without one from the entry price,
    /// in basis points; 0 for no stop at the venue.
    pub protective_stop_bps: u32,
    /// RC-34: leave a position that has been without its stop at the venue for this many
    /// milliseconds, 1 to 60 000.
    pub protective_ms_max: u32,
}

impl Default for ExitSettings {
    fn default() -> Self {
        Self {
            stop_atr: 1.5,
            stop_bps_min: 100,
            stop_bps_max: 500,
            take_profit_r: 2.0,
            take_profit_model: 0.7,
            trail_start_r: 1.0,
            trail_r: 0.0,
            hold_bars: 48,
            hold_ms_max: 86_400_000,
            volatility_high: 2.0,
            volatility_low: 0.5,
            funding_bps: 0.0,
            funding_ahead_s: 60,
            protective_stop_bps: 0,
            protective_ms_max: 1_000,
        }
    }
}

/// Keys that live trading must have in its file.
const LIVE_KEYS: [&str; 3] = ["stop_atr", "take_profit_r", "protective_stop_bps"];

impl ExitSettings {
    /// Reads the table.
    pub(super) fn read(mut s: Section<'_>, mode: Mode) -> Self {
        if mode == Mode::Live {
            s.require(&LIVE_KEYS);
        }
        let settings = Self::keys(&mut s);
        if settings.stop_bps_min > settings.stop_bps_max {
            s.fail("stop_bps_min", "must not be above stop_bps_max");
        }
        if settings.volatility_high > 0.0 && settings.volatility_high <= 1.0 {
            s.fail("volatility_high", "must be 0 (off) or above 1");
        }
        if mode == Mode::Live && settings.protective_stop_bps == 0 {
            s.fail("protective_stop_bps", "must be above 0 with mode = \"live\" (RC-34)");
        }
        s.finish();
        settings
    }

    pub(super) fn keys(s: &mut Section<'_>) -> Self {
        let d = Self::default();
        Self {
            stop_atr: s.number_or("stop_atr", 0.0..=1_000.0, d.stop_atr),
            stop_bps_min: s.u32_opt("stop_bps_min", 1..=10_000).unwrap_or(d.stop_bps_min),
            stop_bps_max: s.u32_opt("stop_bps_max", 1..=10_000).unwrap_or(d.stop_bps_max),
            take_profit_r: s.number_or("take_profit_r", 0.0..=1_000.0, d.take_profit_r),
            take_profit_model: s.number_or("take_profit_model", 0.0..=1.0, d.take_profit_model),
            trail_start_r: s.number_or("trail_start_r", 0.0..=1_000.0, d.trail_start_r),
            trail_r: s.number_or("trail_r", 0.0..=1_000.0, d.trail_r),
            hold_bars: s.u32_opt("hold_bars", 0..=1_000_000).unwrap_or(d.hold_bars),
            hold_ms_max: s.integer("hold_ms_max", 1..=i64::MAX).unsigned_abs(),
            volatility_high: s.number_or("volatility_high", 0.0..=1_000.0, d.volatility_high),
            volatility_low: s.number_or("volatility_low", 0.0..=0.99, d.volatility_low),
            funding_bps: s.number_or("funding_bps", 0.0..=10_000.0, d.funding_bps),
            funding_ahead_s: s.u32_opt("funding_ahead_s", 1..=86_400).unwrap_or(d.funding_ahead_s),
            protective_stop_bps: s
                .u32_opt("protective_stop_bps", 0..=5_000)
                .unwrap_or(d.protective_stop_bps),
            protective_ms_max: s
                .u32_opt("protective_ms_max", 1..=60_000)
                .unwrap_or(d.protective_ms_max),
        }
    }
}
