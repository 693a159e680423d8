//! A market whose drift depends on the time of day: something to learn, and to unlearn.

use rand::{Rng, SeedableRng};
use std::fmt::Write as _;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// 2 March 2026, 00:00 UTC: day 0.
pub const START_MS: i64 = 1_772_409_600_000;
/// Length of a candle, milliseconds.
pub const BAR_MS: i64 = 180_000;
/// Its name in files.
pub const BAR_NAME: &str = "3m";
/// Drift of a candle.
const DRIFT: f64 = 7e-4;
/// Deviation of what chance adds to it.
const CHANCE: f64 = 4e-4;

/// Which way the price drifts in each four hours of a day. Every day ends about where it began.
pub type Relation = [f64; 6];

/// How it was before day 0.
pub const BEFORE: Relation = [-1.0, 1.0, 1.0, 1.0, -1.0, -1.0];
/// How it is from day 0 on: who knows what was before is right in four of six.
pub const SINCE: Relation = [1.0, 1.0, 1.0, -1.0, -1.0, -1.0];

/// The same, turned around.
pub fn turned(relation: Relation) -> Relation {
    relation.map(|sign| -sign)
}

/// When a day begins, as commands take it.
pub fn at(day: i64) -> String {
    at_hour(day, 0)
}

/// An hour of a day, as commands take it.
pub fn at_hour(day: i64, hour: i64) -> String {
    let seconds = (START_MS + day * DAY_MS) / 1_000 + hour * 3_600;
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

/// Candles from a day on, a relation for each day.
pub fn candles(seed: u64, first: i64, days: &[Relation]) -> String {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut px = 10_000.0_f64;
    let mut text = "open_time_ms,open,high,low,close,volume\n".to_owned();
    for (day, relation) in (first..).zip(days) {
        for bar in 0..DAY_MS / BAR_MS {
            let drift = relation[(bar * BAR_MS * 6 / DAY_MS) as usize];
            let normal = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
            let change = DRIFT * drift + CHANCE * normal;
            let close = (px * (1.0 + change) * 100.0).round() / 100.0;
            let (high, low) = (px.max(close) + 0.5, px.min(close) - 0.5);
            let volume = 0.8 + 0.001 * f64::from(random.random_range(-5..=5));
            let ms = START_MS + day * DAY_MS + bar * BAR_MS;
            let _ = writeln!(text, "{ms},{px:.2},{high:.2},{low:.2},{close:.2},{volume:.3}");
            px = close;
        }
    }
    text
}
