//! One contract: its latent value, its clustered order flow, its identities.
//!
//! ```text
//!   order due ─► value beyond reach?   ── yes ─► sweep: stale quotes pulled or taken up to value
//!                       │ no
//!                       ▼
//!                  spread > 1 tick ? ─────── yes ─► improve: makers step up behind the value
//!                       │ no
//!                       ▼
//!                  routine: small taker · touch add/cancel · deeper add/cancel
//! ```
//!
//! Where the value leans inside the spread, and pressure, tilt taker sides and the sizes makers
//! keep on each side; so imbalance and flow tell something about the next seconds, as they do on
//! the real venue, and no more than something. Sweeps and takers excite further orders (a Hawkes
//! process with an exponential kernel, evaluated on the climate's grid).

use super::climate::{Climate, Latent};
use super::trading::Fill;
use crate::base::{Nanos, Side};
use crate::exchange::matching::{Book, Hit, Top};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::candle::Candle;
use crate::exchange::tape::frames::{self, FrameQueue, Mark, Print, Stream};
use crate::exchange::tape::history::History;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

/// Levels kept on a side: refilled below the first, cut above the second.
pub(super) const LEVELS: std::ops::Range<usize> = 1_100..1_500;
/// How far the value may leave the mid before quotes follow, as a fraction of the price.
const REACH: f64 = 0.15e-4;
/// Excitation lost per grid step (five a second).
const HEAT_LOSS: f64 = 0.05;
/// Excitation by one taker, times the base rate: what excites is the share of takers, not their
/// number, so the market behaves alike at every pace.
const TAKER_HEAT: f64 = 8.0;
/// Excitation by one sweep.
const SWEEP_HEAT: f64 = 0.06;
/// Cap on excitation: the rate stays within an order of magnitude.
const HEAT_MAX: f64 = 4.0;
/// How often a halted contract looks whether trading resumed.
const HALTED_LOOK: Nanos = Nanos::from_millis(10);

/// One contract of the synthetic market.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its facts.
    pub spec: SymbolSpec,
    /// Its book.
    pub book: Book,
    /// Its latent state.
    pub latent: Latent,
    /// When its next order is due.
    pub next_order: Nanos,
    /// What it remembers for whoever asks later; `None` remembers nothing.
    pub history: Option<Box<History>>,
    /// Its market comes from a recording, not from its own order flow.
    pub replayed: bool,
    /// Trading is halted: nobody's orders are matched, the crowd's included.
    pub halted: bool,
    /// It is being settled: `SETTLING` instead of `TRADING`.
    pub settling: bool,
    /// How far the mark price is pushed away from the index, as a fraction; 0 as a rule.
    pub mark_skew: f64,
    /// What is added to the funding rate; 0 as a rule.
    pub funding_skew: f64,
    /// When it is delivered; `None` as a rule.
    pub delivery: Option<Nanos>,
    /// How far the liquidation prices it tells are off, in basis points; 0 as a rule.
    pub liquidation_skew_bps: i64,
    pub(super) index: usize,
    pub(super) names: [String; Stream::ALL.len()],
    pub(super) rng: ChaCha8Rng,
    pub(super) heat: f64,
    pub(super) touch_lots: f64,
    pub(super) first_id: i64,
    pub(super) last_id: i64,
    pub(super) shown_id: i64,
    pub(super) changed_at: Nanos,
    pub(super) trade_id: i64,
    pub(super) agg_id: i64,
    pub(super) shown: Top,
    pub(super) candle: Candle,
    pub(super) open_interest: i64,
    pub(super) premium: f64,
    pub(super) funding: f64,
    pub(super) forced_at: Nanos,
    pub(super) mark: Mark,
    pub(super) recorded_mark: Option<Mark>,
    pub(super) last_tick: i64,
    pub(super) hits: Vec<Hit>,
    pub(super) fills: Vec<Fill>,
}

/// What a contract needs to act: the time, the shared ids, the climate and where frames go.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Event time.
    pub now: Nanos,
    /// Last update id given out, shared by all contracts.
    pub ids: &'a mut i64,
    /// The shared climate.
    pub climate: &'a Climate,
    /// Where frames go.
    pub out: &'a mut FrameQueue,
    /// Orders per second of this contract in an average climate.
    pub rate: f64,
}

impl Contract {
    /// A contract with a full book around its start price.
    pub fn new(spec: SymbolSpec, index: usize, rng: ChaCha8Rng, start: Nanos) -> Self {
        let lower = spec.lower();
        let ticks = spec.start_px.0 / spec.tick_size.0;
        let mut contract = Self {
            names: Stream::ALL.map(|stream| format!("{lower}{}", stream.suffix())),
            latent: Latent::new(ticks as f64 + 0.5),
            book: Book::default(),
            next_order: start,
            history: None,
            replayed: false,
            halted: false,
            settling: false,
            mark_skew: 0.0,
            funding_skew: 0.0,
            delivery: None,
            liquidation_skew_bps: 0,
            heat: 0.4,
            touch_lots: (spec.touch_qty.0 / spec.lot_size.0) as f64,
            first_id: 0,
            last_id: 0,
            shown_id: 0,
            changed_at: start,
            trade_id: 5_000_000_000 + index as i64 * 1_000_000_000,
            agg_id: 2_000_000_000 + index as i64 * 1_000_000_000,
            shown: Top::default(),
            candle: Candle::at(start),
            open_interest: 20_000 * (spec.touch_qty.0 / spec.lot_size.0),
            premium: 0.0,
            funding: 1e-4,
            forced_at: start,
            mark: Mark::at_rest(&spec, start),
            recorded_mark: None,
            last_tick: ticks,
            hits: Vec::new(),
            fills: Vec::new(),
            spec,
            index,
            rng,
        };
        contract.stack(ticks);
        contract
    }

    /// A contract with an empty book whose market comes from a recording.
    pub fn recorded(spec: SymbolSpec, index: usize, rng: ChaCha8Rng, start: Nanos) -> Self {
        let mut contract = Self::new(spec, index, rng, start);
        contract.book = Book::default();
        contract.replayed = true;
        contract.next_order = Nanos(i64::MAX);
        contract
    }

    /// The name of one of its streams.
    pub fn name(&self, stream: Stream) -> &str {
        &self.names[stream as usize]
    }

    /// Last update id of its book.
    pub const fn last_id(&self) -> i64 {
        self.last_id
    }

    /// When its book last changed.
    pub const fn changed_at(&self) -> Nanos {
        self.changed_at
    }

    /// Contracts outstanding, in lots.
    pub const fn open_interest(&self) -> i64 {
        self.open_interest
    }

    /// The mark price message's numbers as last published.
    pub const fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Puts other numbers in place of the mark price message's, until the next second.
    pub const fn set_mark(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// Tick of the last trade; the opening one before the first.
    pub const fn last_tick(&self) -> i64 {
        self.last_tick
    }

    /// Number of the last trade.
    pub const fn last_trade_id(&self) -> i64 {
        self.trade_id
    }

    /// Index among the market's contracts.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// What happened to clients' resting orders since the last call, in order.
    pub fn take_fills(&mut self) -> Vec<Fill> {
        std::mem::take(&mut self.fills)
    }

    /// Gives the opening book its update id, as if it were one change.
    pub fn open(&mut self, ids: &mut i64) {
        *ids += 1;
        self.last_id = *ids;
        self.shown_id = *ids;
        self.book.clear_touched();
    }

    /// One grid step of the latent state.
    pub fn drift(&mut self, climate: &Climate) {
        self.latent.step(climate, &mut self.rng);
        self.heat -= self.heat * HEAT_LOSS;
    }

    /// The order that is due, its frames, and when the next one is due.
    pub fn order(&mut self, at: &mut Moment<'_>) {
        if self.halted {
            self.next_order = at.now + HALTED_LOOK;
            return;
        }
        let top = self.book.top();
        let mid = (top.bid.0 + top.ask.0) as f64 / 2.0;
        let reach = (mid * REACH).max(1.5);
        let value = self.latent.value;
        if value > top.ask.0 as f64 + reach {
            self.sweep(at, Side::Buy);
        } else if value < top.bid.0 as f64 + 1.0 - reach {
            self.sweep(at, Side::Sell);
        } else if top.ask.0 - top.bid.0 > 1 && self.rng.random_bool(0.9) {
            self.improve(at, &top);
        } else {
            let lean = ((value - mid) / reach).clamp(-1.0, 1.0);
            let tilt = 0.7 * lean + 0.4 * self.latent.pressure;
            self.routine(at, &top, tilt / (1.0 + tilt.abs()));
        }
        self.show(at);
        let top = self.book.top();
        let wide = top.ask.0 - top.bid.0 > 1;
        let wait: f64 = self.rng.sample(Exp1);
        let rate = at.rate * at.climate.activity() * (0.6 + self.heat);
        // Makers answer a wide spread within about a millisecond, whatever the pace of the rest.
        let rate = if wide { rate.max(900.0) } else { rate };
        self.next_order = at.now + Nanos(((wait / rate) * 1e9) as i64 + 1);
    }

    /// The book's changes since the last call as one diff, if there are any.
    pub fn diff(&mut self, at: &mut Moment<'_>) {
        if self.book.is_touched() {
            let (spec, name) = (&self.spec, &self.names[Stream::Depth as usize]);
            let (book, ts) = (&self.book, at.now);
            let ids = (self.first_id, self.last_id, self.shown_id);
            at.out.push(ts, self.index, Stream::Depth, name, |json| {
                json.raw("{\"e\":\"depthUpdate\",\"E\":").millis(ts);
                json.raw(",\"T\":").millis(self.changed_at);
                json.raw(",\"s\":\"").raw(spec.symbol.as_str());
                json.raw("\",\"U\":").int(ids.0).raw(",\"u\":").int(ids.1);
                json.raw(",\"pu\":").int(ids.2).raw(",\"b\":");
                json.levels(spec, book.touched(Side::Buy)).raw(",\"a\":");
                json.levels(spec, book.touched(Side::Sell)).raw("}");
            });
            self.shown_id = self.last_id;
            self.first_id = 0;
            self.book.clear_touched();
        }
    }

    /// Once a second: mark price, and care for the far ends of the book.
    pub fn second(&mut self, at: &mut Moment<'_>) {
        if !self.replayed {
            self.tend(at);
            self.price(at.now);
        } else if !self.price_as_recorded(at.now) {
            return;
        }
        if let Some(history) = &mut self.history {
            history.on_second(at.now, &self.mark, self.open_interest);
        }
        let name = &self.names[Stream::MarkPrice as usize];
        at.out.push(at.now, self.index, Stream::MarkPrice, name, |json| {
            frames::mark_price(json, &self.spec, at.now, &self.mark);
        });
    }

    /// Mark price and funding follow the value.
    fn price(&mut self, now: Nanos) {
        let nudge: f64 = self.rng.random_range(-1.0..1.0);
        self.premium += 2e-5 * nudge - 0.05 * self.premium;
        self.funding += 2e-7 * nudge + 0.001 * (1e-4 + self.premium - self.funding);
        let index = self.latent.value * self.spec.tick_size.0 as f64;
        self.mark = Mark {
            mark: (index * (1.0 + 0.5 * self.premium + self.mark_skew)) as i64,
            settle: (index * (1.0 - 0.1 * self.premium)) as i64,
            index: (index * (1.0 - 0.5 * self.premium)) as i64,
            rate: ((self.funding + self.funding_skew) * 1e8) as i64,
            next: self.spec.next_funding(now),
        };
    }

    /// Four times a second: the forming candle, or the closed one and then a new one.
    pub fn candle(&mut self, at: &mut Moment<'_>) {
        let closed = at.now >= self.candle.ends();
        if self.candle.has_trades() {
            let name = &self.names[Stream::Kline as usize];
            at.out.push(at.now, self.index, Stream::Kline, name, |json| {
                self.candle.write(json, &self.spec, at.now, closed);
            });
        }
        if closed {
            self.candle = Candle::at(at.now);
        }
    }

    /// Quotes on the way to the value are pulled or taken; quotes follow behind it.
    fn sweep(&mut self, at: &mut Moment<'_>, taker: Side) {
        let maker = taker.opposite();
        let goal = self.latent.value as i64;
        let mut taken = 0;
        for _ in 0..64 {
            let top = self.book.top();
            let (tick, lots) = if taker == Side::Buy { top.ask } else { top.bid };
            let reached = if taker == Side::Buy { tick > goal } else { tick < goal };
            if reached || lots == 0 || self.book.len(maker) <= LEVELS.start / 2 {
                break;
            }
            if self.rng.random_bool(0.4) {
                self.take(at, taker, tick, lots);
                taken += lots;
            } else {
                self.place(at, maker, tick, 0);
            }
        }
        self.heat = (self.heat + SWEEP_HEAT).min(HEAT_MAX);
        if taken as f64 > 0.5 * self.touch_lots && self.rng.random_bool(0.02) {
            self.forced(at, Print { tick: goal, lots: taken, taker });
        }
    }

    /// Makers step into a wide spread next to the value.
    fn improve(&mut self, at: &mut Moment<'_>, top: &Top) {
        let value = self.latent.value as i64;
        let bid = value.min(top.ask.0 - 1);
        let bid = if bid > top.bid.0 {
            let lots = self.draw(0.4 * self.touch_lots);
            self.place(at, Side::Buy, bid, lots);
            bid
        } else {
            top.bid.0
        };
        let ask = (value + 1).max(bid + 1);
        if ask < top.ask.0 {
            let lots = self.draw(0.4 * self.touch_lots);
            self.place(at, Side::Sell, ask, lots);
        }
    }

    /// An order that does not move quotes on purpose. `tilt` is −1 (selling) to 1 (buying).
    fn routine(&mut self, at: &mut Moment<'_>, top: &Top, tilt: f64) {
        let kind: f64 = self.rng.random();
        if kind < 0.10 {
            let buys = self.rng.random_bool(0.5 + 0.4 * tilt);
            let taker = if buys { Side::Buy } else { Side::Sell };
            let (tick, there) = if buys { top.ask } else { top.bid };
            let size: f64 = self.rng.sample(Exp1);
            let lots = ((size * size * 0.02 * self.touch_lots) as i64).clamp(1, there.max(1));
            if there > 0 {
                self.take(at, taker, tick, lots);
            }
            self.heat = (self.heat + TAKER_HEAT / at.rate).min(HEAT_MAX);
            return;
        }
        let side = if self.rng.random() { Side::Buy } else { Side::Sell };
        let best = if side == Side::Buy { top.bid.0 } else { top.ask.0 };
        let toward = if side == Side::Buy { tilt } else { -tilt };
        if kind < 0.72 {
            self.resize(at, side, best, self.touch_lots * (1.0 + 0.7 * toward), 0.15);
        } else {
            let far: f64 = self.rng.sample(Exp1);
            let mean = if self.rng.random_bool(0.85) { 25.0 } else { 300.0 };
            let away = 1 + (far * mean) as i64;
            let tick = best - side.sign() * away;
            let target = far_lots(self.touch_lots, away) * (1.0 + 0.3 * toward);
            self.resize(at, side, tick, target, 1.0);
        }
    }

    /// Adds to a level or takes from it; the odds pull it toward `target` lots.
    fn resize(&mut self, at: &mut Moment<'_>, side: Side, tick: i64, target: f64, step: f64) {
        let lots = self.book.crowd(side, tick);
        let change = self.draw(step * target);
        let grows = self.rng.random_bool((target / (target + lots as f64)).clamp(0.0, 1.0));
        let now = if grows { lots + change } else { (lots - change).max(0) };
        if now != lots {
            self.place(at, side, tick, now);
        }
    }

    /// Sets the crowd's lots of a level under a new update id.
    pub fn place(&mut self, at: &mut Moment<'_>, side: Side, tick: i64, lots: i64) {
        self.stamp(at);
        self.book.set_crowd(side, tick, lots);
    }

    /// A new update id for a change of the book.
    pub fn stamp(&mut self, at: &mut Moment<'_>) {
        *at.ids += self.rng.random_range(1..40);
        self.last_id = *at.ids;
        if self.first_id == 0 {
            self.first_id = *at.ids;
        }
        self.changed_at = at.now;
    }

    /// A `bookTicker` when the best price or quantity changed.
    pub fn show(&mut self, at: &mut Moment<'_>) {
        let top = self.book.top();
        if top == self.shown || self.book.is_empty(Side::Buy) || self.book.is_empty(Side::Sell) {
            return;
        }
        self.shown = top;
        let (id, name) = (self.last_id, &self.names[Stream::BookTicker as usize]);
        at.out.push(at.now, self.index, Stream::BookTicker, name, |json| {
            frames::book_ticker(json, &self.spec, at.now, id, &top);
        });
    }

    /// Keeps both far ends within [`LEVELS`].
    pub(super) fn tend(&mut self, at: &mut Moment<'_>) {
        for side in [Side::Buy, Side::Sell] {
            while self.book.len(side) > LEVELS.end {
                let Some(tick) = self.book.farthest_crowd(side) else { break };
                self.place(at, side, tick, 0);
            }
            let best = self.nearest(side);
            while self.book.len(side) < LEVELS.start {
                let tick = match self.book.farthest_crowd(side) {
                    Some(end) => end - side.sign() * self.rng.random_range(1..3),
                    None => best,
                };
                if tick <= 0 {
                    break;
                }
                let lots = self.draw(far_lots(self.touch_lots, (best - tick).abs()));
                self.place(at, side, tick, lots);
            }
        }
    }

    /// Best price of a side, or where the crowd comes back when a client has taken all of it.
    fn nearest(&self, side: Side) -> i64 {
        let (value, other) = (self.latent.value as i64, self.book.best(side.opposite()));
        if self.book.farthest_crowd(side).is_some() {
            return self.book.best(side).unwrap_or(value);
        }
        match side {
            Side::Buy => other.map_or(value, |ask| value.min(ask - 1)),
            Side::Sell => other.map_or(value + 1, |bid| (value + 1).max(bid + 1)),
        }
    }

    /// The opening book.
    fn stack(&mut self, ticks: i64) {
        for side in [Side::Buy, Side::Sell] {
            let mut tick = if side == Side::Buy { ticks } else { ticks + 1 };
            let best = tick;
            let lots = self.draw(self.touch_lots);
            self.book.set_crowd(side, tick, lots);
            while self.book.len(side) < LEVELS.start && tick > 2 {
                tick -= side.sign() * self.rng.random_range(1..3);
                let lots = self.draw(far_lots(self.touch_lots, (best - tick).abs()));
                self.book.set_crowd(side, tick, lots);
            }
        }
    }

    /// An exponential quantity in lots, at least 1.
    pub(super) fn draw(&mut self, mean: f64) -> i64 {
        let size: f64 = self.rng.sample(Exp1);
        ((size * mean) as i64).max(1)
    }
}

/// Usual lots `away` ticks behind the best price.
pub(super) fn far_lots(touch_lots: f64, away: i64) -> f64 {
    touch_lots * (0.03 + 0.12 / (1.0 + away as f64 / 10.0))
}
