//! The venue's JSON, field by field, and the queue of frames. Field order, precisions and the
//! combined form are those of recorded payloads.

use crate::base::units::SCALE;
use crate::base::{Nanos, Side};
use crate::exchange::spec::SymbolSpec;

/// The streams of one contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Stream {
    /// Best bid and offer.
    BookTicker = 0,
    /// Every trade.
    Trade = 1,
    /// Trades of one taker order at one price.
    AggTrade = 2,
    /// Changes of the book every 100 ms.
    Depth = 3,
    /// Mark price every second.
    MarkPrice = 4,
    /// 1-minute candles.
    Kline = 5,
    /// Forced orders.
    ForceOrder = 6,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Self; 7] = [
        Self::BookTicker,
        Self::Trade,
        Self::AggTrade,
        Self::Depth,
        Self::MarkPrice,
        Self::Kline,
        Self::ForceOrder,
    ];

    /// The part of the name after the symbol, with the `@`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::BookTicker => "@bookTicker",
            Self::Trade => "@trade",
            Self::AggTrade => "@aggTrade",
            Self::Depth => "@depth@100ms",
            Self::MarkPrice => "@markPrice@1s",
            Self::Kline => "@kline_1m",
            Self::ForceOrder => "@forceOrder",
        }
    }
}

/// Which frame a queue entry is, and where its bytes lie.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Event time.
    pub ts: Nanos,
    /// Index of the contract.
    pub contract: usize,
    /// Its stream.
    pub stream: Stream,
    /// First byte of the combined frame.
    pub start: usize,
    /// First byte of the payload within the combined frame.
    pub data: usize,
    /// One past the last byte of the combined frame.
    pub end: usize,
}

/// Frames made but not yet handed out. Buffers are reused.
#[derive(Clone, Debug, Default)]
pub struct FrameQueue {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    next: usize,
}

impl FrameQueue {
    /// The oldest frame not yet handed out, left in place.
    pub fn peek(&self) -> Option<Entry> {
        self.entries.get(self.next).copied()
    }

    /// The oldest frame not yet handed out.
    pub fn pop(&mut self) -> Option<Entry> {
        let entry = self.peek()?;
        self.next += 1;
        Some(entry)
    }

    /// Forgets all frames; those handed out are no longer readable.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.next = 0;
    }

    /// The combined frame.
    pub fn frame(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start..entry.end]
    }

    /// The payload alone.
    pub fn data(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.data..entry.end - 1]
    }

    /// Appends a frame whose payload `write` makes.
    pub fn push(
        &mut self,
        ts: Nanos,
        contract: usize,
        stream: Stream,
        name: &str,
        write: impl FnOnce(&mut Json<'_>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(b"{\"stream\":\"");
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\",\"data\":");
        let data = self.bytes.len();
        write(&mut Json::new(&mut self.bytes));
        self.bytes.push(b'}');
        let end = self.bytes.len();
        self.entries.push(Entry { ts, contract, stream, start, data, end });
    }
}

/// Writes one flat JSON object at a time, keys in the order given.
#[derive(Debug)]
pub struct Json<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Json<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Bytes as they are.
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// A whole number.
    pub fn int(&mut self, value: i64) -> &mut Self {
        put_int(self.out, value);
        self
    }

    /// Milliseconds of `ts`.
    pub fn millis(&mut self, ts: Nanos) -> &mut Self {
        self.int(ts.to_millis())
    }

    /// 1e-8 units with exactly `decimals` (at most 8) decimals, in quotes.
    pub fn fixed(&mut self, units: i64, decimals: u32) -> &mut Self {
        self.out.push(b'"');
        put_fixed(self.out, units, decimals);
        self.out.push(b'"');
        self
    }

    /// A price given in ticks, in quotes.
    pub fn px(&mut self, spec: &SymbolSpec, tick: i64) -> &mut Self {
        self.fixed(tick * spec.tick_size.0, spec.price_decimals)
    }

    /// A quantity given in lots, in quotes.
    pub fn qty(&mut self, spec: &SymbolSpec, lots: i64) -> &mut Self {
        self.fixed(lots * spec.lot_size.0, spec.qty_decimals)
    }

    /// `[["price","quantity"],…]`.
    pub fn levels(
        &mut self,
        spec: &SymbolSpec,
        levels: impl Iterator<Item = (i64, i64)>,
    ) -> &mut Self {
        self.out.push(b'[');
        for (i, (tick, lots)) in levels.enumerate() {
            self.raw(if i == 0 { "[" } else { ",[" });
            self.px(spec, tick).raw(",").qty(spec, lots).raw("]");
        }
        self.out.push(b']');
        self
    }
}

/// One execution, as frames need it.
#[derive(Clone, Copy, Debug)]
pub struct Print {
    /// Price in ticks.
    pub tick: i64,
    /// Quantity in lots.
    pub lots: i64,
    /// The taker's side.
    pub taker: Side,
}

/// `trade` payload.
pub fn trade(json: &mut Json<'_>, spec: &SymbolSpec, ts: Nanos, id: i64, print: Print) {
    json.raw("{\"e\":\"trade\",\"E\":").millis(ts).raw(",\"T\":").millis(ts);
    json.raw(",\"s\":\"").raw(spec.symbol.as_str()).raw("\",\"t\":").int(id);
    json.raw(",\"p\":").px(spec, print.tick).raw(",\"q\":").qty(spec, print.lots);
    json.raw(",\"X\":\"MARKET\",\"m\":").raw(buyer_is_maker(print.taker)).raw("}");
}

/// `aggTrade` payload; `ids` are the first and last trade id.
pub fn agg_trade(
    json: &mut Json<'_>,
    spec: &SymbolSpec,
    ts: Nanos,
    id: i64,
    ids: (i64, i64),
    print: Print,
) {
    json.raw("{\"e\":\"aggTrade\",\"E\":").millis(ts).raw(",\"a\":").int(id);
    json.raw(",\"s\":\"").raw(spec.symbol.as_str());
    json.raw("\",\"p\":").px(spec, print.tick).raw(",\"q\":").qty(spec, print.lots);
    json.raw(",\"f\":").int(ids.0).raw(",\"l\":").int(ids.1).raw(",\"T\":").millis(ts);
    json.raw(",\"m\":").raw(buyer_is_maker(print.taker)).raw("}");
}

/// `bookTicker` payload.
pub fn book_ticker(
    json: &mut Json<'_>,
    spec: &SymbolSpec,
    ts: Nanos,
    id: i64,
    top: &crate::exchange::matching::Top,
) {
    json.raw("{\"e\":\"bookTicker\",\"u\":").int(id);
    json.raw(",\"s\":\"").raw(spec.symbol.as_str());
    json.raw("\",\"b\":").px(spec, top.bid.0).raw(",\"B\":").qty(spec, top.bid.1);
    json.raw(",\"a\":").px(spec, top.ask.0).raw(",\"A\":").qty(spec, top.ask.1);
    json.raw(",\"T\":").millis(ts).raw(",\"E\":").millis(ts).raw("}");
}

/// The mark price message's numbers, prices in 1e-8 units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Mark price.
    pub mark: i64,
    /// Estimated settle price.
    pub settle: i64,
    /// Index price.
    pub index: i64,
    /// Predicted funding rate.
    pub rate: i64,
    /// Next funding time.
    pub next: Nanos,
}

impl Mark {
    /// Before the first second: everything at the opening price.
    pub fn at_rest(spec: &SymbolSpec, now: Nanos) -> Self {
        let px = spec.start_px.0;
        let next = spec.next_funding(now);
        Self { mark: px, settle: px, index: px, rate: 10_000, next }
    }
}

/// `markPriceUpdate` payload.
pub fn mark_price(json: &mut Json<'_>, spec: &SymbolSpec, ts: Nanos, mark: &Mark) {
    json.raw("{\"e\":\"markPriceUpdate\",\"E\":").millis(ts);
    json.raw(",\"s\":\"").raw(spec.symbol.as_str());
    json.raw("\",\"p\":").fixed(mark.mark, 8).raw(",\"P\":").fixed(mark.settle, 8);
    json.raw(",\"i\":").fixed(mark.index, 8).raw(",\"r\":").fixed(mark.rate, 8);
    json.raw(",\"T\":").millis(mark.next).raw("}");
}

/// `forceOrder` payload; the print's taker is the side of the forced order.
pub fn force_order(json: &mut Json<'_>, spec: &SymbolSpec, ts: Nanos, print: Print) {
    let side = match print.taker {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    };
    json.raw("{\"e\":\"forceOrder\",\"E\":").millis(ts);
    json.raw(",\"o\":{\"s\":\"").raw(spec.symbol.as_str()).raw("\",\"S\":\"").raw(side);
    json.raw("\",\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":").qty(spec, print.lots);
    json.raw(",\"p\":").px(spec, print.tick).raw(",\"ap\":").px(spec, print.tick);
    json.raw(",\"X\":\"FILLED\",\"l\":").qty(spec, print.lots);
    json.raw(",\"z\":").qty(spec, print.lots).raw(",\"T\":").millis(ts).raw("}}");
}

const fn buyer_is_maker(taker: Side) -> &'static str {
    match taker {
        Side::Buy => "false",
        Side::Sell => "true",
    }
}

fn put_int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn put_fixed(out: &mut Vec<u8>, units: i64, decimals: u32) {
    if units < 0 {
        out.push(b'-');
    }
    let magnitude = units.unsigned_abs();
    let scale = SCALE.unsigned_abs();
    put_int(out, (magnitude / scale) as i64);
    if decimals == 0 {
        return;
    }
    out.push(b'.');
    let mut fraction = magnitude % scale;
    let mut place = scale / 10;
    for _ in 0..decimals.min(8) {
        out.push(b'0' + (fraction / place) as u8);
        fraction %= place;
        place = (place / 10).max(1);
    }
}
