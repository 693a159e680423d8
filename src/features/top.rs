//! The best five levels of the book: spread, imbalance, microprice, order flow, movement of the
//! mid.
//!
//! ```text
//!            first good top                bad top
//!   NeverSeen ───────────► Live ─────────────────────────► Invalid
//!                           ▲  └─ good top: update ─┘         │
//!                           └─── good top: start anew ────────┘
//! ```
//! A top is bad when its book is invalid, a side is empty, or bid and ask meet. What happened while
//! the book was invalid is unknown, so everything with a memory starts over.

use super::math::{decay, per_half_life};
use super::schema::Feature;
use super::vector::FeatureVector;
use crate::base::Nanos;
use crate::base::event::Level;
use std::f64::consts::LN_2;

/// Levels a side.
pub const TOP_LEVELS: usize = 5;

/// The best levels of a book, best first, padded with zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopOfBook {
    /// Bids, falling prices.
    pub bid: [Level; TOP_LEVELS],
    /// Asks, rising prices.
    pub ask: [Level; TOP_LEVELS],
    /// The book is synchronised; nothing is computed from one that is not.
    pub valid: bool,
}

const FLOW_HALF_LIFE_NS: i64 = 1_000_000_000;
const FLOW_PER_HALF_LIFE: f64 = per_half_life(FLOW_HALF_LIFE_NS);
const VOLATILITY_HALF_LIFE_NS: i64 = 5_000_000_000;
const VOLATILITY_PER_HALF_LIFE: f64 = per_half_life(VOLATILITY_HALF_LIFE_NS);
/// Half-lives until what came before weighs less than a millionth.
const WARM_HALF_LIVES: i64 = 20;

/// Grid on which past mids are kept.
const GRID_NS: i64 = 100_000_000;
/// Grid points kept: 5 s are 50.
const GRID_POINTS: i64 = 64;

/// What can be said of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopState {
    NeverSeen,
    Live,
    Invalid,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct TopFlow {
    state: TopState,
    /// Receipt of the first top since the book became valid, and of the newest.
    first: Nanos,
    newest: Nanos,
    top: TopOfBook,
    shape: Shape,
    /// Fading sums as of `newest`, half-life 1 s: order flow over 1 and 5 levels, depth over 1 and
    /// 5 levels (1e-8), updates, changes of the best level.
    ofi: [f64; 2],
    depth: [f64; 2],
    updates: f64,
    changes: f64,
    /// Fading sum of squared mid returns as of `newest`, half-life 5 s.
    variance: f64,
    /// Mid in force at each grid point up to `grid_last`, both divided by the grid's step.
    grid: [f64; GRID_POINTS as usize],
    grid_last: i64,
}

/// What one top says by itself, in 1e-8 units.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    mid: f64,
    /// Quantities of the best level and of all five.
    bid: [f64; 2],
    ask: [f64; 2],
    /// Mean of the farthest bid and ask price.
    far: f64,
}

impl TopFlow {
    pub(super) const EMPTY: Self = Self {
        state: TopState::NeverSeen,
        first: Nanos::ZERO,
        newest: Nanos::ZERO,
        top: TopOfBook {
            bid: [Level { px: 0, qty: 0 }; TOP_LEVELS],
            ask: [Level { px: 0, qty: 0 }; TOP_LEVELS],
            valid: false,
        },
        shape: Shape { mid: 0.0, bid: [0.0; 2], ask: [0.0; 2], far: 0.0 },
        ofi: [0.0; 2],
        depth: [0.0; 2],
        updates: 0.0,
        changes: 0.0,
        variance: 0.0,
        grid: [0.0; GRID_POINTS as usize],
        grid_last: 0,
    };

    #[inline]
    pub(super) const fn state(&self) -> TopState {
        self.state
    }

    /// Receipt of the newest good top.
    #[inline]
    pub(super) fn received(&self) -> Option<Nanos> {
        (self.state == TopState::Live).then_some(self.newest)
    }

    /// Takes the book as it is after a change.
    #[inline]
    pub(super) fn take(&mut self, top: &TopOfBook, now: Nanos) {
        if !is_good(top) {
            // A book that was never valid has not become invalid.
            if self.state == TopState::Live {
                self.state = TopState::Invalid;
            }
            return;
        }
        let shape = Shape::of(top);
        if self.state == TopState::Live {
            self.update(top, &shape, now);
        } else {
            let grid_last = now.0.saturating_sub(1).div_euclid(GRID_NS);
            *self = Self { state: TopState::Live, first: now, grid_last, ..Self::EMPTY };
        }
        self.updates += 1.0;
        for i in 0..2 {
            self.depth[i] += (shape.bid[i] + shape.ask[i]) / 2.0;
        }
        self.newest = now;
        self.top = *top;
        self.shape = shape;
    }

    #[inline]
    fn update(&mut self, top: &TopOfBook, shape: &Shape, now: Nanos) {
        self.keep_mid_until(now);
        let span = (now - self.newest).0;
        let fade = decay(span, FLOW_PER_HALF_LIFE);
        for i in 0..2 {
            self.ofi[i] *= fade;
            self.depth[i] *= fade;
        }
        self.updates *= fade;
        self.changes *= fade;
        self.variance *= decay(span, VOLATILITY_PER_HALF_LIFE);

        let best = level_flow(&self.top, top, 0);
        self.ofi[0] += best;
        self.ofi[1] += (1..TOP_LEVELS).fold(best, |sum, i| sum + level_flow(&self.top, top, i));
        if top.bid[0] != self.top.bid[0] || top.ask[0] != self.top.ask[0] {
            self.changes += 1.0;
        }
        if shape.mid != self.shape.mid {
            let change = shape.mid / self.shape.mid - 1.0;
            self.variance += change * change;
        }
    }

    /// Stores the mid at grid points passed since the newest top. A point exactly at `now` belongs
    /// to the top that comes now.
    #[inline]
    fn keep_mid_until(&mut self, now: Nanos) {
        let last = now.0.saturating_sub(1).div_euclid(GRID_NS);
        let from = (self.grid_last + 1).max(last - GRID_POINTS + 1);
        for point in from..=last {
            self.grid[point.rem_euclid(GRID_POINTS) as usize] = self.shape.mid;
        }
        self.grid_last = last.max(self.grid_last);
    }

    /// Writes every feature of the top.
    #[inline]
    pub(super) fn write(&self, now: Nanos, out: &mut FeatureVector) {
        use Feature::*;
        if self.state != TopState::Live {
            return;
        }
        let Shape { mid, bid, ask, far } = self.shape;
        let (best_bid, best_ask) = (self.top.bid[0].px as f64, self.top.ask[0].px as f64);
        let bps = 10_000.0 / mid;
        out.put(SpreadBps, Some((best_ask - best_bid) * bps));
        // Microprice minus mid, without subtracting two near numbers.
        let lean = (bid[0] - ask[0]) / (bid[0] + ask[0]);
        out.put(MicropriceBps, Some((best_ask - best_bid) / 2.0 * lean * bps));
        out.put(Imbalance1, Some(lean));
        out.put(Imbalance5, Some((bid[1] - ask[1]) / (bid[1] + ask[1])));
        out.put(DepthRatio5, Some((bid[0] + ask[0]) / (bid[1] + ask[1])));
        out.put(BookSkewBps, Some((far - mid) * bps));
        out.put(MidReturn1s, self.mid_return(1_000_000_000, now));
        out.put(MidReturn5s, self.mid_return(5_000_000_000, now));

        let seen = (now - self.first).0;
        let age = (now - self.newest).0;
        let flow_warm = seen >= WARM_HALF_LIVES * FLOW_HALF_LIFE_NS;
        let fade = decay(age, FLOW_PER_HALF_LIFE);
        let ofi = |i: usize| flow_warm.then(|| self.ofi[i] * fade * self.updates / self.depth[i]);
        out.put(Ofi1, ofi(0));
        out.put(Ofi5, ofi(1));
        let changes = self.changes * fade * (LN_2 * 1e9 / FLOW_HALF_LIFE_NS as f64);
        out.put(QuoteIntensity, flow_warm.then_some(changes));
        let volatility_warm = seen >= WARM_HALF_LIVES * VOLATILITY_HALF_LIFE_NS;
        let volatility = volatility_warm.then(|| {
            let rate = LN_2 * 1e9 / VOLATILITY_HALF_LIFE_NS as f64;
            10_000.0 * (self.variance * decay(age, VOLATILITY_PER_HALF_LIFE) * rate).sqrt()
        });
        out.put(MidVolatility, volatility);
    }

    #[inline]
    fn mid_return(&self, span_ns: i64, now: Nanos) -> Option<f64> {
        let since = now.0.saturating_sub(span_ns);
        if since < self.first.0 {
            return None;
        }
        let point = since.div_euclid(GRID_NS) + i64::from(since.rem_euclid(GRID_NS) != 0);
        if point > self.grid_last {
            return Some(0.0);
        }
        let before = self.grid[point.rem_euclid(GRID_POINTS) as usize];
        Some(self.shape.mid / before - 1.0)
    }
}

impl Shape {
    #[inline]
    fn of(top: &TopOfBook) -> Self {
        let (bid_all, bid_far) = side_of(&top.bid);
        let (ask_all, ask_far) = side_of(&top.ask);
        Self {
            mid: (top.bid[0].px as f64 + top.ask[0].px as f64) / 2.0,
            bid: [top.bid[0].qty as f64, bid_all],
            ask: [top.ask[0].qty as f64, ask_all],
            far: (bid_far + ask_far) / 2.0,
        }
    }
}

/// Total quantity and farthest price of one side.
#[inline]
fn side_of(levels: &[Level; TOP_LEVELS]) -> (f64, f64) {
    let (mut total, mut far) = (0.0, 0.0);
    for level in levels.iter().take_while(|level| level.px > 0) {
        total += level.qty as f64;
        far = level.px as f64;
    }
    (total, far)
}

#[inline]
fn is_good(top: &TopOfBook) -> bool {
    let (bid, ask) = (&top.bid[0], &top.ask[0]);
    top.valid && bid.px > 0 && bid.qty > 0 && ask.qty > 0 && ask.px > bid.px
}

/// What one level adds to the order flow imbalance between two tops: quantity that came or improved
/// on the bid minus the same on the ask (Cont, Kukanov, Stoikov: The Price Impact of Order Book
/// Events, 2014, equation 4; over deeper levels as in Xu, Gould, Howison: Multi-Level Order-Flow
/// Imbalance, 2018). A missing ask is infinitely far.
#[inline]
fn level_flow(before: &TopOfBook, after: &TopOfBook, i: usize) -> f64 {
    let far = |px: i64| if px > 0 { px } else { i64::MAX };
    let (b0, b1) = (&before.bid[i], &after.bid[i]);
    let (a0, a1) = (&before.ask[i], &after.ask[i]);
    let (ask0, ask1) = (far(a0.px), far(a1.px));
    let mut flow = 0.0;
    if b1.px >= b0.px {
        flow += b1.qty as f64;
    }
    if b1.px <= b0.px {
        flow -= b0.qty as f64;
    }
    if ask1 <= ask0 {
        flow -= a1.qty as f64;
    }
    if ask1 >= ask0 {
        flow += a0.qty as f64;
    }
    flow
}
