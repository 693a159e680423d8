//! Predictions to net returns, by the policy's thresholds and with the costs of execution.
//!
//! ```text
//!   row of closed bar b ─► edge = p(up) − p(down) ─► order at the open of bar b + 1
//!   out: edge on the side held < exit_edge, a barrier (the losing one first), the horizon
//!   net = side × (exit / entry − 1) − 2 × (fee + half the spread + slippage) − side × funding
//! ```
//! Each symbol has an equal part of the capital and at most one position of that size. What is open
//! at the end of a test is closed there.

use super::config::Config;
use crate::history::{Market, Rows};

/// A row with what is thought of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The row.
    pub row: usize,
    /// p(up) − p(down).
    pub edge: f64,
}

/// What came of trading over a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Net return of the capital in each period.
    pub returns: Vec<f64>,
    /// Net return of each round trip on its part of the capital.
    pub trades: Vec<f64>,
    /// Value traded, in multiples of the capital.
    pub traded: f64,
}

impl Track {
    /// One after the other.
    pub fn join(parts: &[Self]) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.returns.extend_from_slice(&part.returns);
            all.trades.extend_from_slice(&part.trades);
            all.traded += part.traded;
        }
        all
    }

    /// Compounded return.
    pub fn net(&self) -> f64 {
        self.returns.iter().fold(1.0, |equity, change| equity * (1.0 + change)) - 1.0
    }
}

/// When is traded, and at what cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Edge from which is entered.
    pub enter_edge: f64,
    /// Edge below which is left.
    pub exit_edge: f64,
    /// Cost of one order as a share of its value.
    pub side: f64,
    /// Distance of both barriers in deviations, with the round trip's costs on top; 0 for none.
    pub barrier: f64,
    /// Bars a position is held at most.
    pub horizon: usize,
    /// Length of a period, milliseconds.
    pub period_ms: i64,
}

impl Rule {
    /// Of a configuration; `times` multiplies the costs of trading, not the barriers.
    pub fn new(config: &Config, enter_edge: f64, times: f64) -> Self {
        Self {
            enter_edge,
            exit_edge: config.policy.exit_edge,
            side: times * config.costs.side(),
            barrier: config.label.barrier,
            horizon: config.label.horizon_bars,
            period_ms: config.period_ms,
        }
    }
}

/// Trades `views`, rising rows of one span, and cuts the span into periods.
pub fn trade(rows: &Rows, views: &[View], rule: &Rule, barrier_cost: f64) -> Track {
    let (Some(first), Some(last)) = (views.first(), views.last()) else { return Track::default() };
    let from_ms = rows.lives[first.row].from;
    // The orders of the last row are done at its own time: it ends the span.
    let span = rows.lives[last.row].from - from_ms;
    let periods = (span.max(1) as u64).div_ceil(rule.period_ms as u64) as usize;
    let mut track = Track { returns: vec![0.0; periods], ..Track::default() };
    let part = 1.0 / rows.markets.len().max(1) as f64;
    for (symbol, market) in rows.markets.iter().enumerate() {
        let own: Vec<View> = views
            .iter()
            .filter(|view| usize::from(rows.symbols[view.row]) == symbol)
            .copied()
            .collect();
        let mut desk = Desk { market, rule, barrier_cost, part, from_ms, held: None, track };
        desk.run(rows, &own);
        track = desk.track;
    }
    track
}

/// An open position.
#[derive(Clone, Copy, Debug)]
struct Held {
    side: f64,
    entry: f64,
    /// Price its value was last told at.
    told: f64,
    /// First bar it lives through.
    since: usize,
    /// Distance of its barriers as a share of the entry.
    reach: f64,
    /// Net so far.
    net: f64,
}

struct Desk<'d> {
    market: &'d Market,
    rule: &'d Rule,
    barrier_cost: f64,
    part: f64,
    from_ms: i64,
    held: Option<Held>,
    track: Track,
}

impl Desk<'_> {
    fn run(&mut self, rows: &Rows, own: &[View]) {
        let mut next = own.iter().peekable();
        let (Some(first), Some(last)) = (own.first(), own.last()) else { return };
        let place = |view: &View| rows.bars[view.row] as usize;
        let end = place(last) + 1;
        for bar in place(first) + 1..=end {
            let view = next.next_if(|view| place(view) + 1 == bar);
            self.open(bar, view.map(|view| view.edge), bar == end);
            if bar < end {
                self.live(bar);
            }
        }
    }

    /// What is done at the open of a bar.
    fn open(&mut self, bar: usize, edge: Option<f64>, is_end: bool) {
        let px = self.market.bars.get(bar).map(|bar| bar.open);
        let Some(px) = px else { return self.leave_at_last(bar) };
        if let Some(held) = self.held {
            let is_over = bar - held.since >= self.rule.horizon;
            let is_unwanted = edge.is_some_and(|edge| held.side * edge < self.rule.exit_edge);
            if is_end || is_over || is_unwanted {
                self.leave(bar, px);
            }
        }
        let Some(edge) = edge else { return };
        if self.held.is_some() || is_end || edge.abs() < self.rule.enter_edge {
            return;
        }
        let sigma = f64::from(self.market.sigma[bar - 1]);
        let reach = self.rule.barrier * sigma + self.barrier_cost;
        let side = edge.signum();
        self.held = Some(Held { side, entry: px, told: px, since: bar, reach, net: 0.0 });
        self.track.traded += self.part;
        self.book(bar, -self.rule.side);
    }

    /// What a bar does to the position.
    fn live(&mut self, bar: usize) {
        let Some(held) = self.held else { return };
        let from = self.market.opens(bar);
        let funding = self.market.settled(from, from + self.market.bar_ms);
        if funding != 0.0 {
            self.book(bar, -held.side * funding);
        }
        let prices = self.market.bars[bar];
        if self.rule.barrier > 0.0 {
            let (worst, best) =
                if held.side > 0.0 { (prices.low, prices.high) } else { (prices.high, prices.low) };
            let gain = |px: f64| held.side * (px / held.entry - 1.0);
            let at = |distance: f64| held.entry * (1.0 + held.side * distance);
            if gain(worst) <= -held.reach {
                // A bar that opens beyond the barrier is left at its open.
                let is_beyond = gain(prices.open) <= -held.reach;
                return self.leave(bar, if is_beyond { prices.open } else { at(-held.reach) });
            }
            if gain(best) >= held.reach {
                return self.leave(bar, at(held.reach));
            }
        }
        self.tell(bar, prices.close);
    }

    /// The data end with a position open.
    fn leave_at_last(&mut self, bar: usize) {
        if let (Some(_), Some(last)) = (self.held, self.market.bars.last()) {
            self.leave(bar - 1, last.close);
        }
    }

    fn leave(&mut self, bar: usize, px: f64) {
        self.tell(bar, px);
        self.book(bar, -self.rule.side);
        self.track.traded += self.part;
        if let Some(held) = self.held.take() {
            self.track.trades.push(held.net);
        }
    }

    /// The change of the position's value since it was last told.
    fn tell(&mut self, bar: usize, px: f64) {
        let Some(held) = &mut self.held else { return };
        let change = held.side * (px - held.told) / held.entry;
        held.told = px;
        self.book(bar, change);
    }

    fn book(&mut self, bar: usize, change: f64) {
        let ms = self.market.opens(bar) - self.from_ms;
        let period = (ms.max(0) / self.rule.period_ms) as usize;
        let period = period.min(self.track.returns.len() - 1);
        self.track.returns[period] += self.part * change;
        if let Some(held) = &mut self.held {
            held.net += change;
        }
    }
}
