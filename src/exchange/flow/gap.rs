//! The price jumps: quotes on the way are pulled, clients' orders there are taken, and the market
//! goes on from the new price.

use super::contract::{Contract, LEVELS, Moment, far_lots};
use super::market::SyntheticMarket;
use crate::base::{Nanos, Side};
use crate::exchange::spec::SymbolSpec;

/// Jumps end at so many times the starting price, and at that part of it: positions keep a value
/// that money can count.
const JUMPS_MAX: i64 = 12;

impl SyntheticMarket {
    /// Moves a contract's price by `bps` at once. A recording goes on from its own prices.
    pub fn gap(&mut self, now: Nanos, index: usize, bps: i64) {
        self.as_client(now, index, |contract, at| contract.gap(at, bps));
    }
}

impl Contract {
    /// Moves the value that quotes follow by `bps` at once, within what prices can be; the crowd's
    /// orders do the rest.
    pub fn shock(&mut self, bps: i64) {
        let SymbolSpec { start_px, tick_size, max_px, .. } = self.spec;
        let (start, most) = (start_px.0 / tick_size.0, max_px.0 / tick_size.0);
        let (lowest, highest) = match self.replayed {
            // Where a recording begins is not known.
            true => (0, most),
            false => (start / JUMPS_MAX, most.min(start * JUMPS_MAX)),
        };
        let lowest = lowest.max(LEVELS.end as i64);
        let value = self.latent.value * (1.0 + bps as f64 / 1e4);
        self.latent.value = value.clamp(lowest as f64, highest.max(lowest) as f64);
    }

    fn gap(&mut self, at: &mut Moment<'_>, bps: i64) {
        let top = self.book.top();
        if self.replayed {
            // A recording's value is what its book says.
            if top.bid.1 == 0 || top.ask.1 == 0 {
                return;
            }
            self.latent.value = (top.bid.0 + top.ask.0) as f64 / 2.0;
        }
        self.shock(bps);
        if self.halted {
            // Quotes follow when trading resumes.
            return;
        }
        let goal = (self.latent.value as i64).max(LEVELS.end as i64);
        let taker = if bps > 0 { Side::Buy } else { Side::Sell };
        let maker = taker.opposite();
        let best = |side| if side == Side::Buy { goal } else { goal + 1 };
        let is_on_way = |tick: &i64| (tick - best(maker)) * taker.sign() < 0;
        let ticks: Vec<i64> = match maker {
            Side::Buy => self.book.bids().map(|level| level.0).take_while(is_on_way).collect(),
            Side::Sell => self.book.asks().map(|level| level.0).take_while(is_on_way).collect(),
        };
        for &tick in &ticks {
            self.place(at, maker, tick, 0);
        }
        let left: i64 = ticks.iter().map(|tick| self.book.lots(maker, *tick)).sum();
        if left > 0 {
            self.take(at, taker, best(maker), left);
        }
        for side in [maker, taker] {
            let mut tick = best(side);
            for _ in 0..LEVELS.start / 2 {
                if self.book.crowd(side, tick) == 0 && tick > 0 {
                    let away = (tick - best(side)).abs();
                    let mean =
                        if away == 0 { self.touch_lots } else { far_lots(self.touch_lots, away) };
                    let lots = self.draw(mean);
                    self.place(at, side, tick, lots);
                }
                tick -= side.sign() * 2;
            }
        }
        self.tend(at);
        // The first trade at the new price, so that what waits for the last price sees it.
        self.take(at, taker, best(maker), 1);
    }
}
