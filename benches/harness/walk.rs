//! A market of many contracts that is walked round and round: frames in memory, made once, whose
//! ids and times are written anew for each lap, so that a run of minutes needs no more memory than
//! a short one.
//!
//! ```text
//!  lap 0      snapshot at id L │ changes L+… │ … │ back to the first book, at id L + span
//!  lap 1                         the same     …     with every id span higher
//! ```
//! The generator keeps the books itself, as plain maps: at the end of a lap each is the first one
//! again, and what a pipeline holds has to be the same.

use super::Sequence;
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::{Nanos, Side};
use peregrine::book::Book;
use peregrine::exchange::SymbolSpec;
use peregrine::exchange::matching::Top;
use peregrine::exchange::tape::frames::{self, Json, Mark, Print, Stream};
use std::collections::BTreeMap;
use std::ops::Range;

/// Levels a side of the first book.
const LEVELS: i64 = 300;
/// How far the best prices go up before they come down again, in ticks: entries at ever the same
/// price would be taken for a mistake and halt trading.
const RANGE: i64 = 300;
/// Ids begin here: as many digits as there are to the end.
const FIRST_ID: u64 = 5_000_000_000_000;
const FIRST_TRADE: u64 = 5_000_000_000;

/// Prices in ticks with their lots.
type Side8 = BTreeMap<i64, i64>;

/// One contract as the generator knows it.
struct Contract {
    spec: SymbolSpec,
    sides: [Side8; 2],
    first: [Side8; 2],
    middle: i64,
    rises: bool,
    /// Id of the first book, of the newest change, and of the newest told.
    ids: [u64; 3],
    trades: u64,
    touched: [Side8; 2],
}

/// A number in a frame that another lap writes anew.
struct Mend {
    at: u32,
    what: Number,
    value: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Id,
    Trade(u16),
    Millis,
}

/// One frame.
pub struct Step {
    /// Whose.
    pub contract: u16,
    /// Which stream.
    pub stream: Stream,
    bytes: Range<u32>,
    mends: Range<u32>,
}

/// See the head of this file.
pub struct Walk {
    /// The contracts.
    pub instruments: Vec<InstrumentSettings>,
    /// The frames of a lap.
    pub steps: Vec<Step>,
    bytes: Vec<u8>,
    mends: Vec<Mend>,
    contracts: Vec<Contract>,
    snapshots: Vec<Vec<u8>>,
    span: u64,
    lap: u64,
}

impl Walk {
    /// `contracts` made-up contracts and about `frames` frames a lap, drawn evenly over them.
    pub fn new(contracts: u16, frames: usize) -> Self {
        let mut ids = FIRST_ID;
        let mut random = Sequence::new(11);
        let specs = (1..=contracts).filter_map(SymbolSpec::made_up);
        let contracts: Vec<Contract> =
            specs.map(|spec| Contract::new(spec, &mut random, &mut ids)).collect();
        let mut walk = Self {
            instruments: contracts.iter().map(|contract| contract.spec.instrument()).collect(),
            steps: Vec::with_capacity(frames + contracts.len()),
            bytes: Vec::new(),
            mends: Vec::new(),
            snapshots: contracts.iter().map(Contract::snapshot).collect(),
            contracts,
            span: 0,
            lap: 0,
        };
        let count = walk.contracts.len();
        for _ in 0..frames {
            let place = random.below(count as u64) as usize;
            walk.step(place, &mut random, &mut ids);
        }
        walk.span = ids - FIRST_ID + count as u64;
        for place in 0..count {
            walk.go_back(place);
        }
        walk
    }

    /// The snapshot that the first lap begins with.
    pub fn snapshot(&self, contract: usize) -> &[u8] {
        &self.snapshots[contract]
    }

    /// Bytes of a lap's frames.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// A frame as this lap has it, at `ts`.
    pub fn frame(&mut self, step: usize, ts: Nanos) -> &[u8] {
        let Step { bytes, mends, .. } = &self.steps[step];
        let millis = ts.to_millis().unsigned_abs();
        for mend in &self.mends[mends.start as usize..mends.end as usize] {
            let value = match mend.what {
                Number::Id => mend.value + self.lap * self.span,
                Number::Trade(contract) => {
                    mend.value + self.lap * self.contracts[usize::from(contract)].trades
                }
                Number::Millis => millis,
            };
            write(&mut self.bytes[mend.at as usize..], value);
        }
        &self.bytes[bytes.start as usize..bytes.end as usize]
    }

    /// The next lap begins.
    pub fn turn(&mut self) {
        self.lap += 1;
    }

    /// How a book differs, at the end of a lap, from the generator's own.
    pub fn difference(&self, contract: usize, book: &Book) -> Option<String> {
        let own = &self.contracts[contract];
        let id = own.ids[0] + (self.lap + 1) * self.span;
        let symbol = own.spec.symbol;
        if !book.is_valid() || book.last_id() != id {
            return Some(format!("{symbol}: {:?} at {}, not {id}", book.reason(), book.last_id()));
        }
        let scaled = |(&tick, &lots): (&i64, &i64)| {
            (tick * own.spec.tick_size.0, lots * own.spec.lot_size.0)
        };
        let bids = book.bids().map(|level| (level.px, level.qty));
        let asks = book.asks().map(|level| (level.px, level.qty));
        let [buy, sell] = &own.first;
        let same = bids.eq(buy.iter().rev().map(scaled)) && asks.eq(sell.iter().map(scaled));
        (!same).then(|| format!("{symbol}: levels differ at {id}"))
    }

    /// Something happens at a contract.
    fn step(&mut self, place: usize, random: &mut Sequence, ids: &mut u64) {
        let kind = random.below(100);
        let contract = &mut self.contracts[place];
        let stream = match kind {
            0..55 => Stream::BookTicker,
            55..73 => Stream::AggTrade,
            73..75 => Stream::MarkPrice,
            _ => Stream::Depth,
        };
        match stream {
            Stream::BookTicker => contract.change_touch(random, ids),
            Stream::AggTrade => contract.trades += 1,
            Stream::Depth => contract.change(random, ids),
            _ => {}
        }
        let buys = random.below(2) == 0;
        self.tell(place, stream, if buys { Side::Buy } else { Side::Sell });
    }

    /// The last change of a lap: the book is the first one again.
    fn go_back(&mut self, place: usize) {
        let span = self.span;
        let contract = &mut self.contracts[place];
        for side in 0..2 {
            let (now, then) = (&contract.sides[side], &contract.first[side]);
            let gone = now.keys().filter(|tick| !then.contains_key(*tick)).map(|&tick| (tick, 0));
            let back = then.iter().filter(|&(tick, lots)| now.get(tick) != Some(lots));
            let all: Vec<(i64, i64)> = gone.chain(back.map(|(&t, &l)| (t, l))).collect();
            contract.touched[side].extend(all);
            contract.sides[side] = contract.first[side].clone();
        }
        contract.ids[1] = contract.ids[0] + span;
        self.tell(place, Stream::Depth, Side::Buy);
    }

    fn tell(&mut self, place: usize, stream: Stream, taker: Side) {
        let start = self.bytes.len();
        let contract = &mut self.contracts[place];
        contract.write(stream, taker, &mut self.bytes);
        let (first, number) = (self.mends.len(), place as u16);
        for (key, what) in keys_of(stream, number) {
            let (at, value) = number_at(&self.bytes[start..], key);
            self.mends.push(Mend { at: (start + at) as u32, what, value });
        }
        self.steps.push(Step {
            contract: number,
            stream,
            bytes: start as u32..self.bytes.len() as u32,
            mends: first as u32..self.mends.len() as u32,
        });
    }
}

impl Contract {
    fn new(spec: SymbolSpec, random: &mut Sequence, ids: &mut u64) -> Self {
        let middle = spec.start_px.0 / spec.tick_size.0;
        let lots = |random: &mut Sequence| 1 + random.below(900) as i64;
        let bids = (0..LEVELS).map(|away| (middle - away, lots(random))).collect::<Side8>();
        let asks = (1..=LEVELS).map(|away| (middle + away, lots(random))).collect::<Side8>();
        let sides = [bids, asks];
        *ids += 1;
        let (first, ids, touched) = (sides.clone(), [*ids; 3], Default::default());
        Self { spec, sides, first, middle, rises: true, ids, trades: 0, touched }
    }

    fn top(&self) -> Top {
        let best =
            |level: Option<(&i64, &i64)>| level.map_or((0, 0), |(&tick, &lots)| (tick, lots));
        Top {
            bid: best(self.sides[0].last_key_value()),
            ask: best(self.sides[1].first_key_value()),
        }
    }

    fn set(&mut self, side: usize, tick: i64, lots: i64) {
        if lots == 0 {
            self.sides[side].remove(&tick);
        } else {
            self.sides[side].insert(tick, lots);
        }
        self.touched[side].insert(tick, lots);
    }

    /// The best quantities change; it is told at once, and with the next change of the book.
    fn change_touch(&mut self, random: &mut Sequence, ids: &mut u64) {
        let Top { bid, ask } = self.top();
        let (side, tick) = if random.below(2) == 0 { (0, bid.0) } else { (1, ask.0) };
        self.set(side, tick, 1 + random.below(900) as i64);
        self.stamp(ids);
    }

    /// Some levels change, and now and then the best prices move by a tick.
    fn change(&mut self, random: &mut Sequence, ids: &mut u64) {
        for _ in 0..3 {
            for side in 0..2 {
                let Top { bid, ask } = self.top();
                let away = 1 + random.below(40) as i64;
                let tick = if side == 0 { bid.0 - away } else { ask.0 + away };
                let lots = if random.below(6) == 0 { 0 } else { 1 + random.below(900) as i64 };
                self.set(side, tick, lots);
            }
        }
        if random.below(8) == 0 {
            // One side's best price goes, and the other side follows.
            let Top { bid, ask } = self.top();
            let (gone, follows) = if self.rises { (1, ask.0) } else { (0, bid.0) };
            self.set(gone, follows, 0);
            self.set(1 - gone, follows, 1 + random.below(900) as i64);
            let start = self.spec.start_px.0 / self.spec.tick_size.0;
            self.middle = follows;
            let is_far = if self.rises { follows >= start + RANGE } else { follows <= start };
            self.rises ^= is_far;
        }
        self.stamp(ids);
    }

    fn stamp(&mut self, ids: &mut u64) {
        *ids += 3;
        self.ids[1] = *ids;
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        let [bids, asks] = &self.sides;
        json.raw("{\"lastUpdateId\":").int(self.ids[0].cast_signed()).raw(",\"E\":1,\"T\":1");
        json.raw(",\"bids\":").levels(&self.spec, bids.iter().rev().map(|(&t, &l)| (t, l)));
        json.raw(",\"asks\":").levels(&self.spec, asks.iter().map(|(&t, &l)| (t, l))).raw("}");
        out
    }

    /// The frame in its wrapper.
    fn write(&mut self, stream: Stream, taker: Side, out: &mut Vec<u8>) {
        let (spec, top) = (self.spec, self.top());
        // As many digits as any time a run can reach.
        let ts = Nanos::from_secs(1_700_000_000);
        let mut json = Json::new(out);
        let name = format!("{{\"stream\":\"{}{}\",\"data\":", spec.lower(), stream.suffix());
        json.raw(&name);
        match stream {
            Stream::BookTicker => {
                frames::book_ticker(&mut json, &spec, ts, self.ids[1].cast_signed(), &top);
            }
            Stream::AggTrade => {
                let number = (FIRST_TRADE + self.trades).cast_signed();
                let tick = if taker == Side::Buy { top.ask.0 } else { top.bid.0 };
                let print = Print { tick, lots: 1 + number % 7, taker };
                frames::agg_trade(&mut json, &spec, ts, number, (number, number), print);
            }
            Stream::Depth => self.write_change(ts, &mut json),
            _ => {
                let px = (top.bid.0 + top.ask.0) * spec.tick_size.0 / 2;
                let next = ts + Nanos::from_secs(6 * 3_600);
                let mark = Mark { mark: px, settle: px, index: px, rate: 10_000, next };
                frames::mark_price(&mut json, &spec, ts, &mark);
            }
        }
        json.raw("}");
    }

    fn write_change(&mut self, ts: Nanos, json: &mut Json<'_>) {
        let [_, last, told] = self.ids.map(u64::cast_signed);
        json.raw("{\"e\":\"depthUpdate\",\"E\":").millis(ts).raw(",\"T\":").millis(ts);
        json.raw(",\"s\":\"").raw(self.spec.symbol.as_str());
        json.raw("\",\"U\":").int(told + 1).raw(",\"u\":").int(last).raw(",\"pu\":").int(told);
        let [bids, asks] = &self.touched;
        json.raw(",\"b\":").levels(&self.spec, bids.iter().map(|(&t, &l)| (t, l)));
        json.raw(",\"a\":").levels(&self.spec, asks.iter().map(|(&t, &l)| (t, l))).raw("}");
        self.ids[2] = self.ids[1];
        self.touched.iter_mut().for_each(BTreeMap::clear);
    }
}

/// The numbers of a frame that another lap writes anew, by their keys.
fn keys_of(stream: Stream, contract: u16) -> Vec<(&'static str, Number)> {
    let number = Number::Trade(contract);
    let mut keys = match stream {
        Stream::BookTicker => vec![("u", Number::Id), ("T", Number::Millis)],
        Stream::AggTrade => {
            vec![("a", number), ("f", number), ("l", number), ("T", Number::Millis)]
        }
        Stream::Depth => {
            vec![("U", Number::Id), ("u", Number::Id), ("pu", Number::Id), ("T", Number::Millis)]
        }
        // Its `T` is when funding is next paid.
        _ => Vec::new(),
    };
    keys.push(("E", Number::Millis));
    keys
}

/// Where the number of a key stands, and what it says; the payload's, behind its wrapper.
fn number_at(frame: &[u8], key: &str) -> (usize, u64) {
    let name = format!("\"{key}\":");
    let place = frame.windows(name.len()).position(|part| part == name.as_bytes());
    let at = place.expect("the generator wrote it") + name.len();
    let digits = frame[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let value = digits.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    (at, value)
}

/// Writes a number over one of as many digits.
fn write(bytes: &mut [u8], value: u64) {
    let digits = value.ilog10() as usize + 1;
    let mut rest = value;
    for place in (0..digits).rev() {
        bytes[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}
