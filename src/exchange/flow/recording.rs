//! Recorded market data as acts in order of time: what changed in which contract, in ticks and
//! lots.
//!
//! The recording goes through the same decoder and book synchronisation as live data, so a gap in
//! it is a gap here. Best prices (`bookTicker`) count where they are newer than the last depth
//! change.

use super::client::{lots_of, tick_of};
use crate::base::event::{
    BookTicker, DepthHead, DepthLevels, MarkPrice, OpenInterest, Trade, flags,
};
use crate::base::settings::InstrumentSettings;
use crate::base::{Event, Kind, Nanos, Px, Qty, Side};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Mark;
use crate::feed::{EventBatch, Feed};
use crate::venue::capture::{Capture, CaptureError, DiscoveredInstrument, Payload, discover};
use std::collections::VecDeque;
use std::path::PathBuf;

/// One thing a recording says of one contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The book begins anew, empty.
    Clear,
    /// A level holds `lots` from here on.
    Level {
        /// Side of the book.
        side: Side,
        /// Price.
        tick: i64,
        /// Quantity; 0 removes it.
        lots: i64,
    },
    /// All levels that changed together have been told.
    Changed,
    /// The best prices and their quantities.
    Quote {
        /// Best bid.
        bid: (i64, i64),
        /// Best ask.
        ask: (i64, i64),
    },
    /// A trade.
    Trade {
        /// The taker's side.
        taker: Side,
        /// Price.
        tick: i64,
        /// Quantity.
        lots: i64,
    },
    /// Mark price message; its funding time is as recorded.
    Mark(Mark),
    /// Contracts outstanding, in lots.
    OpenInterest(i64),
}

/// A recorded act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Time of receipt as recorded.
    pub ts: Nanos,
    /// Index of the contract.
    pub contract: usize,
    /// What.
    pub act: Act,
}

/// See the head of this file.
pub struct Recording {
    capture: Capture,
    feed: Feed,
    batch: EventBatch,
    specs: Vec<SymbolSpec>,
    told: Vec<Told>,
    waiting: VecDeque<Recorded>,
    refused: u64,
}

/// What has been told of one contract.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Update id of the last depth change.
    depth_id: u64,
    /// Number of the trade kind that counts, 0 before the first: the two streams repeat each other.
    trade_kind: u8,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("specs", &self.specs).finish_non_exhaustive()
    }
}

impl Recording {
    /// Opens captures; every symbol found in them is a contract.
    ///
    /// # Errors
    /// When they cannot be read or hold no instrument.
    pub fn open(paths: &[PathBuf]) -> Result<Self, CaptureError> {
        let found = discover(paths)?;
        if found.is_empty() {
            return Err(CaptureError::Nothing { paths: paths.to_vec() });
        }
        let settings: Vec<InstrumentSettings> = found.iter().map(|one| one.settings).collect();
        Ok(Self {
            capture: Capture::open(paths)?,
            feed: Feed::new(&settings),
            batch: EventBatch::new(),
            told: vec![Told::default(); found.len()],
            specs: found.iter().map(spec_of).collect(),
            waiting: VecDeque::new(),
            refused: 0,
        })
    }

    /// The contracts, in the order their acts number them.
    pub fn specs(&self) -> &[SymbolSpec] {
        &self.specs
    }

    /// Lines and frames that could not be read so far; what they held is missing.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// The next act, left in place; `None` at the end.
    pub fn peek(&mut self) -> Option<Recorded> {
        while self.waiting.is_empty() {
            if !self.read_on() {
                return None;
            }
        }
        self.waiting.front().copied()
    }

    /// The next act; `None` at the end.
    pub fn next_act(&mut self) -> Option<Recorded> {
        self.peek()?;
        self.waiting.pop_front()
    }

    /// Reads one record; false at the end.
    fn read_on(&mut self) -> bool {
        let ts = match self.capture.next() {
            None => return false,
            Some(Err(_)) => {
                self.refused += 1;
                return true;
            }
            Some(Ok(record)) => {
                match record.payload {
                    Payload::Frame(frame) => {
                        self.feed.on_frame(frame, record.ts_recv, &mut self.batch);
                    }
                    Payload::Snapshot { symbol, body } => {
                        let Some(id) = self.feed.symbols().find(symbol.as_str().as_bytes()) else {
                            return true;
                        };
                        self.feed.on_snapshot(id, body, record.ts_recv, &mut self.batch);
                    }
                    Payload::ExchangeInfo(_) => return true,
                }
                record.ts_recv
            }
        };
        loop {
            let events: Vec<Event> = self.batch.iter().copied().collect();
            events.iter().for_each(|event| self.tell(ts, event));
            if !self.feed.drain(&mut self.batch) {
                break;
            }
        }
        // The capture holds the snapshots there are; asking for others leads nowhere.
        while self.feed.snapshot_wanted().is_some() {}
        true
    }

    fn tell(&mut self, ts: Nanos, event: &Event) {
        let contract = event.instrument().index();
        let Some(spec) = self.specs.get(contract) else {
            self.refused += u64::from(event.kind() == Some(Kind::Malformed));
            return;
        };
        let waiting = &mut self.waiting;
        let mut push = |act| waiting.push_back(Recorded { ts, contract, act });
        match event.kind() {
            Some(Kind::DepthHead | Kind::DepthLevels) => {
                self.told[contract].depth(spec, event, &mut push);
            }
            Some(Kind::BookTicker) => self.told[contract].quote(spec, event.body(), &mut push),
            Some(kind @ (Kind::Trade | Kind::AggTrade)) => {
                let body: &Trade = event.body();
                let counts = self.told[contract].counts(kind);
                let (tick, lots) = (tick_of(spec, Px(body.px)), lots_of(spec, Qty(body.qty)));
                if let (Some(tick), Some(lots), true) = (tick, lots, counts) {
                    push(Act::Trade { taker: event.side(), tick, lots });
                }
            }
            Some(Kind::MarkPrice) => push(Act::Mark(mark_of(event.body()))),
            Some(Kind::OpenInterest) => {
                let body: &OpenInterest = event.body();
                if let Some(lots) = lots_of(spec, Qty(body.qty)) {
                    push(Act::OpenInterest(lots));
                }
            }
            _ => {}
        }
    }
}

impl Told {
    fn depth(&mut self, spec: &SymbolSpec, event: &Event, push: &mut impl FnMut(Act)) {
        if event.kind() == Some(Kind::DepthHead) {
            let head: &DepthHead = event.body();
            self.depth_id = head.last_id;
            if event.has(flags::SNAPSHOT) {
                push(Act::Clear);
            }
        } else {
            let body: &DepthLevels = event.body();
            for level in body.levels.iter().take_while(|level| level.px != 0) {
                let (tick, lots) = (tick_of(spec, Px(level.px)), lots_of(spec, Qty(level.qty)));
                if let (Some(tick), Some(lots)) = (tick, lots) {
                    push(Act::Level { side: event.side(), tick, lots });
                }
            }
        }
        if event.has(flags::LAST) {
            push(Act::Changed);
        }
    }

    fn quote(&self, spec: &SymbolSpec, body: &BookTicker, push: &mut impl FnMut(Act)) {
        let level = |px, qty| Some((tick_of(spec, Px(px))?, lots_of(spec, Qty(qty))?));
        let sides = (level(body.bid_px, body.bid_qty), level(body.ask_px, body.ask_qty));
        if let ((Some(bid), Some(ask)), true) = (sides, body.update_id > self.depth_id) {
            push(Act::Quote { bid, ask });
        }
    }

    /// True for the kind of trade event that came first.
    fn counts(&mut self, kind: Kind) -> bool {
        if self.trade_kind == 0 {
            self.trade_kind = kind as u8;
        }
        self.trade_kind == kind as u8
    }
}

const fn mark_of(body: &MarkPrice) -> Mark {
    Mark {
        mark: body.mark_px,
        settle: body.settle_px,
        index: body.index_px,
        rate: body.funding_rate,
        next: Nanos(body.ts_next_funding),
    }
}

/// What is recorded of a contract; what is not comes from its synthetic twin, or BTCUSDT's.
fn spec_of(found: &DiscoveredInstrument) -> SymbolSpec {
    let facts = &found.settings;
    let twin = SymbolSpec::by_symbol(facts.symbol.as_str()).unwrap_or_else(SymbolSpec::btcusdt);
    SymbolSpec {
        symbol: facts.symbol,
        tick_size: facts.tick_size,
        lot_size: facts.lot_size,
        price_decimals: found.price_decimals,
        qty_decimals: found.qty_decimals,
        start_px: Px::ZERO,
        touch_qty: facts.lot_size,
        min_qty: facts.min_qty,
        max_qty: facts.max_qty,
        min_px: facts.tick_size,
        max_px: Px::whole(10_000_000),
        market_max_qty: facts.max_qty,
        min_notional: facts.min_notional,
        maker_fee: facts.maker_fee,
        taker_fee: facts.taker_fee,
        ..twin
    }
}
