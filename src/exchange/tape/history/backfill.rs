//! A plausible past that ends where the market opens: a random walk backward from the opening
//! price. The last minutes are made trade by trade, what is older candle by candle, and every layer
//! is summed up from the finer one as far as that reaches.

use super::bar::{Bar, MarkBar, Ohlc, premium};
use super::layers::{LAYERS, Layers, Span};
use super::{
    AGGREGATES_MAX, FUNDINGS_MAX, Funding, History, INTEREST_EVERY, INTERESTS_MAX, Interest,
    MINUTE, Opening, PastAggregate, PastTrade, TRADES_MAX, push,
};
use crate::base::ring::queue;
use crate::base::{Nanos, Side};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::{Mark, Print};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};
use std::collections::VecDeque;

/// Trades that are made one by one, at least.
const TRADES: usize = 6_000;
/// Trades a minute.
const TRADES_A_MINUTE: f64 = 500.0;
/// Standard deviation of the log price over a minute: 2.6 % a day.
const SIGMA: f64 = 7e-4;
/// Pull of the log price toward the opening one, per minute: half of it in about nine months.
const PULL: f64 = 1.8e-6;
/// Premium of the mark price: what is kept of it over a candle, and its standard deviation.
const PREMIUM: (f64, f64) = (0.9, 2e-4);
/// Largest funding rate either way, 1e-8.
const RATE_MAX: i64 = 300_000;
/// Usual funding rate, 1e-8: the interest part.
const RATE: f64 = 10_000.0;

/// Where the walk backward stands.
struct Walk<'a> {
    spec: &'a SymbolSpec,
    rng: ChaCha8Rng,
    start: f64,
    tick: i64,
    premium: f64,
    /// Number of the trade before.
    trade_id: i64,
}

impl History {
    /// Opens with a past.
    pub fn backfill(spec: &SymbolSpec, opening: &Opening, rng: ChaCha8Rng) -> Self {
        let tick = spec.start_px.0 / spec.tick_size.0;
        let (start, trade_id) = (tick as f64, opening.trade_id);
        let mut walk = Walk { spec, rng, start, tick, premium: 0.0, trade_id };
        let (trades, aggregates) = walk.last_trades(opening);
        let first = trades.front().map_or(opening.now, |trade| trade.ts).floor_to(MINUTE);
        let mut made = walk.minutes_of(&trades, first, opening.now);
        let mut bars: [VecDeque<Bar>; LAYERS.len()] = Default::default();
        let mut marks: [VecDeque<MarkBar>; LAYERS.len()] = Default::default();
        for (i, (minutes, keep)) in LAYERS.into_iter().enumerate() {
            // A layer begins where a candle of the coarser one does.
            let coarser = LAYERS.get(i + 1).map_or(minutes, |&(longer, _)| longer);
            walk.extend(&mut made, minutes, keep, coarser);
            let sum = summed(&made, coarser);
            bars[i] = made.0.into_iter().rev().collect();
            marks[i] = made.1.into_iter().rev().collect();
            made = sum;
        }
        let marks = Layers::new(marks);
        let fundings = walk.fundings(opening.now, &marks);
        let interests = walk.interests(opening, &marks);
        let (bars, mark) = (Layers::new(bars), Mark::at_rest(spec, opening.now));
        let mut history = Self {
            spec: *spec,
            trades: queue(TRADES_MAX),
            aggregates: queue(AGGREGATES_MAX),
            bars,
            marks,
            fundings,
            interests,
            mark,
        };
        trades.into_iter().for_each(|trade| push(&mut history.trades, TRADES_MAX, trade));
        let own = &mut history.aggregates;
        aggregates.into_iter().for_each(|aggregate| push(own, AGGREGATES_MAX, aggregate));
        history
    }
}

impl History {
    /// Opens with nothing: the prices of a recording are known when it plays.
    pub fn unknown(spec: &SymbolSpec, now: Nanos) -> Self {
        let start = |i: usize| now.floor_to(Nanos(LAYERS[i].0 * MINUTE.0));
        let bars = std::array::from_fn(|i| VecDeque::from([Bar::quiet(start(i), 0)]));
        let quiet = |i| MarkBar { opened: start(i), ..MarkBar::default() };
        let marks = std::array::from_fn(|i| VecDeque::from([quiet(i)]));
        Self {
            spec: *spec,
            trades: VecDeque::with_capacity(TRADES_MAX),
            aggregates: VecDeque::with_capacity(AGGREGATES_MAX),
            bars: Layers::new(bars),
            marks: Layers::new(marks),
            fundings: VecDeque::new(),
            interests: VecDeque::new(),
            mark: Mark::at_rest(spec, now),
        }
    }
}

/// Candles of trades and of marks, both from the last backward.
type Made = (Vec<Bar>, Vec<MarkBar>);

impl Walk<'_> {
    fn normal(&mut self) -> f64 {
        self.rng.sample(StandardNormal)
    }

    /// The price some minutes earlier.
    fn step(&mut self, minutes: f64) -> i64 {
        let away = (self.tick as f64 / self.start).ln();
        let log = -PULL * minutes * away + SIGMA * minutes.sqrt() * self.normal();
        ((self.tick as f64 * log.exp()) as i64).max(2)
    }

    /// The trades of the last whole minutes and of the one that is not over, in order of time.
    fn last_trades(&mut self, opening: &Opening) -> (VecDeque<PastTrade>, VecDeque<PastAggregate>) {
        let (mut trades, mut aggregates) = (VecDeque::new(), VecDeque::new());
        let mut end = opening.now;
        let mut agg_id = opening.agg_id;
        while trades.len() < TRADES {
            let start = (end - Nanos(1)).floor_to(MINUTE);
            // Orders of one to three trades each, evenly jittered over the minute.
            let orders = TRADES_A_MINUTE / 2.0 * (end - start).0 as f64 / MINUTE.0 as f64;
            let wait = (end - start).0 / (orders as i64 + 1);
            let mut ts = end;
            for _ in 0..orders as i64 {
                ts = ts - Nanos(1 + self.rng.random_range(wait / 2..wait));
                self.tick = self.step(2.0 / TRADES_A_MINUTE);
                let taker = if self.rng.random() { Side::Buy } else { Side::Sell };
                let last = self.trade_id;
                let mut sum = 0;
                for _ in 0..self.rng.random_range(1..=3) {
                    let lots = self.lots();
                    sum += lots;
                    let print = Print { tick: self.tick, lots, taker };
                    trades.push_front(PastTrade { ts, id: self.trade_id, print });
                    self.trade_id -= 1;
                }
                let ids = (self.trade_id + 1, last);
                let print = Print { tick: self.tick, lots: sum, taker };
                aggregates.push_front(PastAggregate { ts, id: agg_id, ids, print });
                agg_id -= 1;
            }
            end = start;
        }
        (trades, aggregates)
    }

    fn lots(&mut self) -> i64 {
        let size: f64 = self.rng.sample(Exp1);
        let touch = (self.spec.touch_qty.0 / self.spec.lot_size.0) as f64;
        ((size * size * 0.02 * touch) as i64).max(1)
    }

    /// The one-minute candles of the trades made one by one.
    fn minutes_of(&mut self, trades: &VecDeque<PastTrade>, first: Nanos, now: Nanos) -> Made {
        let mut bars = vec![Bar::quiet(first, self.tick)];
        let roll = |bars: &mut Vec<Bar>, ts: Nanos| {
            while let Some(last) = bars.last().filter(|last| last.opened + MINUTE <= ts) {
                let next = last.follow(last.opened + MINUTE);
                bars.push(next);
            }
        };
        for trade in trades {
            roll(&mut bars, trade.ts);
            if let Some(bar) = bars.last_mut() {
                bar.add(trade.id, trade.print);
            }
        }
        roll(&mut bars, now);
        bars.reverse();
        let marks = bars.iter().map(|bar| self.mark_of(bar)).collect();
        (bars, marks)
    }

    /// Goes on backward with candles of `minutes` until `keep` of them are there, or the contract
    /// was not yet listed, and the oldest begins where one of `coarser` minutes does.
    fn extend(&mut self, made: &mut Made, minutes: i64, keep: usize, coarser: i64) {
        let (length, coarser) = (Nanos(minutes * MINUTE.0), Nanos(coarser * MINUTE.0));
        while let Some(next) = made.0.last().copied() {
            let is_whole = next.opened.floor_to(coarser) == next.opened;
            let listed = next.opened > self.spec.onboarded || !is_whole;
            if (made.0.len() + (coarser.0 / length.0) as usize > keep && is_whole) || !listed {
                break;
            }
            let bar = self.earlier(&next, length, minutes as f64);
            made.1.push(self.mark_of(&bar));
            made.0.push(bar);
        }
    }

    /// The candle before `next`.
    fn earlier(&mut self, next: &Bar, length: Nanos, minutes: f64) -> Bar {
        let close = next.open;
        self.tick = close;
        let open = self.step(minutes);
        self.tick = open;
        let reach = SIGMA * minutes.sqrt() * close as f64 * 0.5;
        let (above, below) = (self.normal().abs() * reach, self.normal().abs() * reach);
        let high = open.max(close) + above as i64;
        let low = (open.min(close) - below as i64).max(1);
        let busy = (0.5 * self.normal() - 0.125).exp();
        let trades = ((TRADES_A_MINUTE * minutes * busy) as i64).clamp(1, self.trade_id.max(2) / 2);
        let touch = (self.spec.touch_qty.0 / self.spec.lot_size.0) as f64;
        // The mean of exp² is 2, so a trade is of 0.04 touches on average.
        let lots = ((trades as f64 * 0.04 * touch) as i64).max(1);
        let share = (0.5 + 0.05 * self.normal()).clamp(0.05, 0.95);
        let taker_lots = (lots as f64 * share) as i64;
        let mid = (open + close + high + low) / 4;
        let (first_id, last_id) = (self.trade_id - trades + 1, self.trade_id);
        self.trade_id -= trades;
        let (turnover, taker_turnover) = (mid * lots, mid * taker_lots);
        let opened = next.opened - length;
        let bar = Bar { opened, open, high, low, close, lots, turnover, ..Bar::default() };
        Bar { taker_lots, taker_turnover, trades, first_id, last_id, ..bar }
    }

    /// Mark, index and premium of a candle; the premium goes on backward.
    fn mark_of(&mut self, bar: &Bar) -> MarkBar {
        let last = self.premium;
        let noise = (1.0 - PREMIUM.0 * PREMIUM.0).sqrt() * PREMIUM.1;
        self.premium = PREMIUM.0 * self.premium + noise * self.normal();
        let first = self.premium;
        let px = |tick: i64, part: f64| {
            let units = tick as f64 * self.spec.tick_size.0 as f64 * (1.0 + part);
            units as i64
        };
        let ohlc = |part: f64| {
            let (open, close) = (px(bar.open, part * first), px(bar.close, part * last));
            let mut ohlc = Ohlc { open, high: open, low: open, close: open };
            ohlc.go(px(bar.high, part * (first + last) / 2.0));
            ohlc.go(px(bar.low, part * (first + last) / 2.0));
            ohlc.go(close);
            ohlc
        };
        let (mark, index) = (ohlc(0.5), ohlc(-0.5));
        let mut premiums = Ohlc::flat(premium(mark.open, index.open));
        premiums.go(premium(mark.close, index.close));
        MarkBar { opened: bar.opened, mark, index, premium: premiums }
    }

    fn fundings(&mut self, now: Nanos, marks: &Layers<MarkBar>) -> VecDeque<Funding> {
        let every = self.spec.funding_every;
        let mut ts = now.floor_to(every);
        let mut rate = RATE;
        let mut list = VecDeque::with_capacity(FUNDINGS_MAX);
        while list.len() < FUNDINGS_MAX && ts > self.spec.onboarded {
            let Some(bar) = marks.holding(ts) else { break };
            // The venue's own stamps are late by up to 16 ms now and then.
            let late = if self.rng.random_bool(0.4) { self.rng.random_range(0..17) } else { 0 };
            let own = (rate as i64).clamp(-RATE_MAX, RATE_MAX);
            let late = Nanos::from_millis(late);
            list.push_front(Funding { ts: ts + late, rate: own, mark: bar.mark.open });
            rate = RATE + 0.7 * (rate - RATE) + 4_000.0 * self.normal();
            ts = ts - every;
        }
        list
    }

    fn interests(&mut self, opening: &Opening, marks: &Layers<MarkBar>) -> VecDeque<Interest> {
        let mut ts = opening.now.floor_to(INTEREST_EVERY);
        let mut lots = opening.open_interest as f64;
        let mut list = VecDeque::with_capacity(INTERESTS_MAX);
        while list.len() < INTERESTS_MAX {
            let Some(bar) = marks.holding(ts) else { break };
            list.push_front(Interest { ts, lots: lots as i64, mark: bar.mark.open });
            lots *= (5e-4 * self.normal()).exp();
            ts = ts - INTEREST_EVERY;
        }
        list
    }
}

/// Candles of `minutes` out of shorter ones, all from the last backward.
fn summed((bars, marks): &Made, minutes: i64) -> Made {
    let length = Nanos(minutes * MINUTE.0);
    (sum(bars, length), sum(marks, length))
}

/// The oldest of `fine` begins where one of `length` does.
fn sum<T: Span>(fine: &[T], length: Nanos) -> Vec<T> {
    let mut coarse: Vec<T> = Vec::new();
    for span in fine.iter().rev() {
        let start = span.opened().floor_to(length);
        match coarse.last_mut() {
            Some(open) if open.opened() == start => open.absorb(span),
            _ => coarse.push(span.clone()),
        }
    }
    coarse.reverse();
    coarse
}
