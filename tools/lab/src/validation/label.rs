//! What came of a moment. Source: López de Prado, "Advances in financial machine learning" (2018),
//! chapters 3 and 4.
//!
//! ```text
//!   upper  ──────────────────────  +profit · σ        touched first: up
//!   entry  ●─ ─ ─ ─ ─ ─ ─ ─ ─ ─│   after the horizon: flat, with its return
//!   lower  ──────────────────────  −loss · σ          touched first: down
//! ```
//! A candle that touches both is taken to have touched the barrier that loses.

use std::ops::Range;

/// A candle as far as labels look at it; prices of any unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
}

/// What a label means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Barriers {
    /// Distance of the upper one, in deviations; `None` for none.
    pub profit: Option<f64>,
    /// Distance of the lower one.
    pub loss: Option<f64>,
    /// Candles until the moment is over.
    pub horizon: usize,
    /// A return up to this share, either way, is flat when the horizon is reached.
    pub flat: f64,
    /// What a round trip costs, as a share of the price: both barriers lie this much higher for a
    /// buyer, since a move has to pay for itself.
    pub cost: f64,
}

/// What came of a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// 0 down, 1 flat, 2 up.
    pub class: usize,
    /// The candle in which it was known.
    pub until: usize,
    /// Return from the entry to what decided it, before costs.
    pub change: f64,
}

/// The label of an entry at the close of candle `at`, with a deviation of returns a candle of
/// `sigma`; `None` where the future is not long enough.
pub fn barrier_label(
    candles: &[Candle],
    at: usize,
    sigma: f64,
    barriers: &Barriers,
) -> Option<Label> {
    let entry = candles.get(at)?.close;
    let last = at + barriers.horizon;
    let upper = barriers.profit.map(|times| times * sigma + barriers.cost);
    let lower = barriers.loss.map(|times| -(times * sigma + barriers.cost));
    for (until, candle) in candles.iter().enumerate().take(last + 1).skip(at + 1) {
        let (fell, rose) = (candle.low / entry - 1.0, candle.high / entry - 1.0);
        if let Some(lower) = lower
            && fell <= lower
        {
            return Some(Label { class: 0, until, change: lower });
        }
        if let Some(upper) = upper
            && rose >= upper
        {
            return Some(Label { class: 2, until, change: upper });
        }
    }
    let change = candles.get(last)?.close / entry - 1.0;
    let bound = barriers.flat + barriers.cost;
    let class = if change > bound {
        2
    } else if change < -bound {
        0
    } else {
        1
    };
    Some(Label { class, until: last, change })
}

/// Deviation of returns a candle, fading with this half-life in candles: for each close that of
/// the returns up to it, 0 for the first.
pub fn fading_deviation(closes: &[f64], half_life: f64) -> Vec<f64> {
    let keep = 0.5_f64.powf(1.0 / half_life);
    let (mut weight, mut squares) = (0.0, 0.0);
    let mut found = Vec::with_capacity(closes.len());
    for (at, close) in closes.iter().enumerate() {
        if at > 0 {
            let change = close / closes[at - 1] - 1.0;
            weight = keep * weight + 1.0;
            squares = keep * squares + change * change;
        }
        found.push(if weight > 0.0 { (squares / weight).sqrt() } else { 0.0 });
    }
    found
}

/// How much of each label is its own: the mean, over the candles of its life, of one over the
/// labels that live then. `lives` are candles from the one behind the entry to the deciding one.
/// The sum is the number of independent labels.
pub fn uniqueness(lives: &[Range<usize>], candles: usize) -> Vec<f64> {
    let mut alive = vec![0_i64; candles + 1];
    for life in lives {
        alive[life.start.min(candles)] += 1;
        alive[life.end.min(candles)] -= 1;
    }
    // Sums of one over the living, so that each life is one subtraction.
    let (mut now, mut sum, mut sums) = (0, 0.0, vec![0.0; candles + 1]);
    for at in 0..candles {
        now += alive[at];
        sum += if now > 0 { 1.0 / now as f64 } else { 0.0 };
        sums[at + 1] = sum;
    }
    let one = |life: &Range<usize>| {
        let (start, end) = (life.start.min(candles), life.end.min(candles));
        if end > start { (sums[end] - sums[start]) / (end - start) as f64 } else { 0.0 }
    };
    lives.iter().map(one).collect()
}
