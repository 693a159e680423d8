//! The synthetic market: several contracts in event time, as frames of the venue's format.
//!
//! One loop picks whatever is due first: the climate's grid, a contract's order, its depth diff,
//! its second, its candle. Ties go to the earlier entry of that list, then to the earlier contract,
//! so a seed fixes every byte. What is due next is the least entry of a heap: it is found as fast
//! among hundreds of contracts as among two.

use super::climate::{Climate, GRID_NANOS};
use super::contract::{Contract, Moment};
use crate::base::Nanos;
use crate::base::settings::InstrumentSettings;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::{FrameQueue, Json, Stream};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Frames per second over all contracts where nothing else is asked for.
pub const FRAMES_PER_SECOND: f64 = 1_500.0;
/// Frames one order becomes on average; ties the wanted frame rate to the order rate.
const FRAMES_PER_ORDER: f64 = 1.35;
/// Frames a second a contract sends on timers: diffs, mark price, candles.
const TIMED_FRAMES: f64 = 15.0;
const DIFF_EVERY: Nanos = Nanos::from_millis(100);
const SECOND: Nanos = Nanos::from_secs(1);
const CANDLE_EVERY: Nanos = Nanos::from_millis(250);
/// Update ids start here, the order of magnitude of recorded ones.
const FIRST_ID: i64 = 5_123_000_000_000;
/// Levels of a side in a full snapshot.
pub const SNAPSHOT_LEVELS: usize = 1_000;

/// A seeded market of several contracts. Same seed, contracts and start: same frames, byte for
/// byte.
#[derive(Clone, Debug)]
pub struct SyntheticMarket {
    climate: Climate,
    pub(super) contracts: Vec<Contract>,
    queue: FrameQueue,
    ids: i64,
    pub(super) now: Nanos,
    rate: f64,
    /// When each thing happens next: one entry for each, the first one on top.
    agenda: BinaryHeap<Reverse<(Nanos, Due)>>,
    /// Contracts at which something happened to clients' orders since that was last taken.
    pub(super) filled: Vec<usize>,
}

/// One frame. Borrowed until the next [`SyntheticMarket::step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketFrame<'a> {
    /// Event time; never runs backward.
    pub ts: Nanos,
    /// Index of the contract.
    pub contract: usize,
    /// Which of its streams.
    pub kind: Stream,
    /// Stream name, such as `btcusdt@bookTicker`.
    pub stream: &'a str,
    /// The combined form: `{"stream":…,"data":…}`.
    pub frame: &'a [u8],
    /// The payload alone.
    pub data: &'a [u8],
}

/// In the order of what is due at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Grid,
    Order(usize),
    Diff(usize),
    Second,
    Candle,
}

/// Orders a second of one contract, so that all of them together send so many frames.
fn orders_per_second(frames_per_second: f64, contracts: usize) -> f64 {
    let share = frames_per_second / contracts.max(1) as f64;
    ((share - TIMED_FRAMES) / FRAMES_PER_ORDER).max(1.0)
}

impl SyntheticMarket {
    /// A market that opens at `start`, at the default rate.
    pub fn new(seed: u64, specs: &[SymbolSpec], start: Nanos) -> Self {
        Self::with_rate(seed, specs, start, FRAMES_PER_SECOND)
    }

    /// A market of about `frames_per_second` over all contracts on average; busy regimes run at
    /// more than twice that, calm ones below.
    pub fn with_rate(
        seed: u64,
        specs: &[SymbolSpec],
        start: Nanos,
        frames_per_second: f64,
    ) -> Self {
        Self::made_of(specs, (seed, start, frames_per_second), Contract::new)
    }

    /// A market whose contracts come from a recording: nothing happens in them by itself.
    pub fn recorded(seed: u64, specs: &[SymbolSpec], start: Nanos) -> Self {
        Self::made_of(specs, (seed, start, FRAMES_PER_SECOND), Contract::recorded)
    }

    fn made_of(
        specs: &[SymbolSpec],
        (seed, start, frames_per_second): (u64, Nanos, f64),
        contract: fn(SymbolSpec, usize, ChaCha8Rng, Nanos) -> Contract,
    ) -> Self {
        let stream = |number: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(number);
            rng
        };
        let mut ids = FIRST_ID;
        let mut contracts: Vec<Contract> = specs
            .iter()
            .enumerate()
            .map(|(i, spec)| contract(*spec, i, stream(1 + i as u64), start))
            .collect();
        contracts.iter_mut().for_each(|contract| contract.open(&mut ids));
        // Diffs of different contracts do not leave at the same instant.
        let stagger = DIFF_EVERY.0 / specs.len().max(1) as i64;
        let mut agenda = vec![
            (start + Nanos(GRID_NANOS), Due::Grid),
            (start.floor_to(SECOND) + SECOND, Due::Second),
            (start.floor_to(CANDLE_EVERY) + CANDLE_EVERY, Due::Candle),
        ];
        for (i, contract) in contracts.iter().enumerate() {
            agenda.push((contract.next_order, Due::Order(i)));
            agenda.push((start + Nanos(1 + i as i64 * stagger), Due::Diff(i)));
        }
        Self {
            climate: Climate::new(stream(0)),
            queue: FrameQueue::default(),
            ids,
            now: start,
            rate: orders_per_second(frames_per_second, specs.len()),
            agenda: agenda.into_iter().map(Reverse).collect(),
            filled: Vec::new(),
            contracts,
        }
    }

    /// Makes every move from here on so many times as large as it would be; 1 as a rule.
    pub const fn set_volatility(&mut self, times: f64) {
        self.climate.set_volatility(times);
    }

    /// From here on about so many frames a second over all contracts on average.
    pub fn set_rate(&mut self, frames_per_second: f64) {
        self.rate = orders_per_second(frames_per_second, self.contracts.len());
    }

    /// The next frame.
    pub fn step(&mut self) -> MarketFrame<'_> {
        self.peek();
        let entry = self.queue.pop().expect("peek leaves a frame in the queue");
        MarketFrame {
            ts: entry.ts,
            contract: entry.contract,
            kind: entry.stream,
            stream: self.contracts[entry.contract].name(entry.stream),
            frame: self.queue.frame(&entry),
            data: self.queue.data(&entry),
        }
    }

    /// Event time of the frame that [`SyntheticMarket::step`] gives next. The market may have moved
    /// on to that time.
    pub fn peek(&mut self) -> Nanos {
        loop {
            if let Some(entry) = self.queue.peek() {
                return entry.ts;
            }
            self.queue.clear();
            self.advance();
        }
    }

    /// A frame that has been made and not yet handed out.
    pub fn pop(&mut self) -> Option<MarketFrame<'_>> {
        if self.queue.peek().is_none() {
            self.queue.clear();
            return None;
        }
        Some(self.step())
    }

    /// When the next thing happens by itself; nothing has happened yet. Frames already made are not
    /// counted: take them first.
    pub fn next_due(&self) -> Nanos {
        self.agenda.peek().map_or(Nanos(i64::MAX), |Reverse((when, _))| *when)
    }

    /// Lets the next due thing happen. The frames it makes are to be taken with
    /// [`SyntheticMarket::pop`].
    pub fn turn(&mut self) {
        self.advance();
    }

    /// Event time of the last thing that happened.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// The contracts' facts, in order.
    pub fn specs(&self) -> impl Iterator<Item = &SymbolSpec> {
        self.contracts.iter().map(|contract| &contract.spec)
    }

    /// The contracts' facts as trading settings, in order.
    pub fn instruments(&self) -> Vec<InstrumentSettings> {
        self.specs().map(SymbolSpec::instrument).collect()
    }

    /// A contract by its upper-case symbol.
    pub fn contract(&self, symbol: &str) -> Option<&Contract> {
        self.contracts.iter().find(|contract| contract.spec.symbol.as_str() == symbol)
    }

    /// Appends the REST depth body of 1 000 levels a side; false for an unknown symbol.
    pub fn snapshot(&self, symbol: &str, out: &mut Vec<u8>) -> bool {
        self.snapshot_of(symbol, SNAPSHOT_LEVELS, out)
    }

    /// Appends the REST depth body of up to `levels` levels a side; false for an unknown symbol.
    pub fn snapshot_of(&self, symbol: &str, levels: usize, out: &mut Vec<u8>) -> bool {
        let Some(contract) = self.contract(symbol) else { return false };
        let (spec, book) = (&contract.spec, &contract.book);
        let mut json = Json::new(out);
        json.raw("{\"lastUpdateId\":").int(contract.last_id());
        json.raw(",\"E\":").millis(self.now).raw(",\"T\":").millis(contract.changed_at());
        json.raw(",\"bids\":").levels(spec, book.bids().take(levels));
        json.raw(",\"asks\":").levels(spec, book.asks().take(levels)).raw("}");
        true
    }

    /// Appends the REST open-interest body; false for an unknown symbol.
    pub fn open_interest(&self, symbol: &str, out: &mut Vec<u8>) -> bool {
        let Some(contract) = self.contract(symbol) else { return false };
        let spec = &contract.spec;
        let mut json = Json::new(out);
        json.raw("{\"openInterest\":").qty(spec, contract.open_interest());
        json.raw(",\"symbol\":\"").raw(symbol).raw("\",\"time\":").millis(self.now).raw("}");
        true
    }

    /// Lets the next due thing happen; it may make any number of frames.
    fn advance(&mut self) {
        let Some(Reverse((when, due))) = self.agenda.pop() else { return };
        self.now = when;
        let again = match due {
            Due::Grid => {
                self.climate.step();
                for contract in &mut self.contracts {
                    contract.drift(&self.climate);
                }
                when + Nanos(GRID_NANOS)
            }
            Due::Order(i) => {
                self.with(i, Contract::order);
                self.contracts[i].next_order
            }
            Due::Diff(i) => {
                self.with(i, Contract::diff);
                when + DIFF_EVERY
            }
            Due::Second => {
                (0..self.contracts.len()).for_each(|i| self.with(i, Contract::second));
                when + SECOND
            }
            Due::Candle => {
                (0..self.contracts.len()).for_each(|i| self.with(i, Contract::candle));
                when + CANDLE_EVERY
            }
        };
        self.agenda.push(Reverse((again, due)));
    }

    /// When something is due next, by a look at every entry.
    #[cfg(test)]
    pub(super) fn due_by_hand(&self) -> Nanos {
        let order = |contract: &Contract| contract.next_order;
        let orders = self.contracts.iter().map(order).min().unwrap_or(Nanos(i64::MAX));
        let others = self.agenda.iter().filter(|Reverse((_, due))| !matches!(due, Due::Order(_)));
        others.map(|Reverse((when, _))| *when).min().unwrap_or(orders).min(orders)
    }

    pub(super) fn with<T>(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Contract, &mut Moment<'_>) -> T,
    ) -> T {
        let mut moment = Moment {
            now: self.now,
            ids: &mut self.ids,
            climate: &self.climate,
            out: &mut self.queue,
            rate: self.rate,
        };
        let contract = &mut self.contracts[index];
        let result = act(contract, &mut moment);
        if !contract.fills.is_empty() {
            self.filled.push(index);
        }
        result
    }
}
