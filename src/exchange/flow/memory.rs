//! Contracts that remember: on for an exchange, off for a market by itself.

use super::contract::Contract;
use super::market::SyntheticMarket;
use crate::base::{Nanos, Rate};
use crate::exchange::tape::candle::Candle;
use crate::exchange::tape::history::{History, Opening};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// First of the random streams that the contracts' pasts are drawn from.
const FIRST_STREAM: u64 = 1_000;

impl SyntheticMarket {
    /// From here on the contracts remember what happens, and what went before: a past drawn from
    /// `seed`, or none where a recording drives the market.
    pub fn remember(&mut self, seed: u64) {
        let now = self.now;
        for (stream, contract) in (FIRST_STREAM..).zip(&mut self.contracts) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            let begins = contract.spec.start_px.is_positive() && !contract.replayed;
            contract.remember(now, begins.then_some(rng));
        }
    }

    /// From here on the contracts remember what happens, and nothing that went before.
    pub fn remember_from_now(&mut self) {
        let now = self.now;
        self.contracts.iter_mut().for_each(|contract| contract.remember(now, None));
    }
}

impl SyntheticMarket {
    /// Rate of the funding settlement at `ts`: the one that stood before it where the contract
    /// remembers it, else the one last published.
    pub fn settled_rate(&self, index: usize, ts: Nanos) -> Rate {
        let contract = self.at(index);
        let last = contract.history.as_ref().and_then(|history| history.fundings().back());
        let settled = last.filter(|funding| funding.ts == ts).map(|funding| funding.rate);
        Rate(settled.unwrap_or(contract.mark().rate))
    }
}

impl Contract {
    /// `past` draws what went before.
    fn remember(&mut self, now: Nanos, past: Option<ChaCha8Rng>) {
        let (trade_id, agg_id) = (self.trade_id, self.agg_id);
        let opening = Opening { now, trade_id, agg_id, open_interest: self.open_interest };
        let history = match past {
            Some(rng) => History::backfill(&self.spec, &opening, rng),
            None => History::unknown(&self.spec, now),
        };
        // The forming candle goes on from what is remembered of its minute.
        let begun = now.floor_to(crate::exchange::tape::candle::CANDLE);
        self.candle = Candle::at(now);
        for trade in history.trades().iter().filter(|trade| trade.ts >= begun) {
            self.candle.add(&self.spec, trade.id, trade.print);
        }
        if let Some(last) = history.trades().back() {
            self.last_tick = last.print.tick;
        }
        self.history = Some(Box::new(history));
    }
}
