//! What a stretch of recorded market amounts to: counts, sums, bars and the book, as exact
//! decimals.
//!
//! The layout of [`MarketAudit::to_json`] is that of an independent reckoning of the same
//! recordings, so that the two can be compared key by key.

use super::capture::{CaptureRecord, DiscoveredInstrument, Payload};
use crate::base::event::{Event, Level, Trade, flags};
use crate::base::{Kind, Nanos, Side};
use crate::book::Book;
use crate::feed::{Feed, InstrumentStats};
use serde_json::{Map, Value, json};

/// Accumulates over a capture: hand it every record, then every event with the book it was applied
/// to.
#[derive(Clone, Debug)]
pub struct MarketAudit {
    instruments: Vec<InstrumentAudit>,
}

#[derive(Clone, Debug)]
struct InstrumentAudit {
    symbol: String,
    stream_prefix: String,
    price_decimals: u32,
    qty_decimals: u32,
    frames: Vec<(String, u64)>,
    first_receive: Option<Nanos>,
    last_receive: Nanos,
    /// Trades and aggregated trades; the first are told where there are any.
    tapes: [Tape; 2],
    diffs_applied: u64,
    in_snapshot: bool,
    checkpoints: Vec<Value>,
}

#[derive(Clone, Debug, Default)]
struct Tape {
    count: u64,
    first_id: u64,
    last_id: u64,
    /// Quantities taken by buyers and by sellers, 1e-8.
    taken: [i128; 2],
    /// Sum of price × quantity, 1e-16.
    notional: i128,
    bars: Vec<Bar>,
}

#[derive(Clone, Copy, Debug)]
struct Bar {
    ts_open: Nanos,
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: i128,
    count: u64,
}

const MINUTE: Nanos = Nanos::from_secs(60);
/// Depth batches between two checkpoints of the book.
const CHECKPOINT_DIFFS: u64 = 100;
const COLUMNS: [&str; 8] = [
    "diffs_applied",
    "update_id",
    "best_bid",
    "bid_qty",
    "best_ask",
    "ask_qty",
    "bid_levels",
    "ask_levels",
];

impl MarketAudit {
    /// An empty audit over these instruments, in the order of their ids.
    pub fn new(instruments: &[DiscoveredInstrument]) -> Self {
        Self { instruments: instruments.iter().map(InstrumentAudit::new).collect() }
    }

    /// Takes a record as it was read. Frames of other symbols are passed over.
    pub fn on_record(&mut self, record: &CaptureRecord<'_>) {
        let (symbol, stream) = match record.payload {
            Payload::Frame(frame) => match stream_of(frame) {
                Some((symbol, stream)) => (symbol, stream),
                None => return,
            },
            Payload::Snapshot { symbol, .. } => {
                let of = |audit: &&mut InstrumentAudit| audit.symbol == symbol.as_str();
                if let Some(audit) = self.instruments.iter_mut().find(of) {
                    audit.on_frame("snapshot", record.ts_recv);
                }
                return;
            }
            Payload::ExchangeInfo(_) => return,
        };
        let of =
            |audit: &&mut InstrumentAudit| audit.stream_prefix == symbol || audit.symbol == symbol;
        if let Some(audit) = self.instruments.iter_mut().find(of) {
            audit.on_frame(stream, record.ts_recv);
        }
    }

    /// Takes an event after it was applied to its instrument's book.
    pub fn on_event(&mut self, event: &Event, book: &Book) {
        let Some(audit) = self.instruments.get_mut(event.instrument().index()) else { return };
        match event.kind() {
            Some(Kind::Trade) => audit.tapes[0].add(event),
            Some(Kind::AggTrade) => audit.tapes[1].add(event),
            Some(Kind::DepthHead) => {
                audit.in_snapshot = event.has(flags::SNAPSHOT);
                audit.on_depth(event, book);
            }
            Some(Kind::DepthLevels) => audit.on_depth(event, book),
            _ => {}
        }
    }

    /// All instruments by symbol. `books` are in the order of the instruments' ids.
    pub fn to_json(&self, feed: &Feed, books: &[Book]) -> Value {
        let mut all = Map::new();
        for (index, audit) in self.instruments.iter().enumerate() {
            let id = crate::base::InstrumentId(index as u16);
            let stats = feed.instrument_stats(id).copied().unwrap_or_default();
            if let Some(book) = books.get(index) {
                all.insert(audit.symbol.clone(), audit.to_json(&stats, book));
            }
        }
        Value::Object(all)
    }
}

impl InstrumentAudit {
    fn new(found: &DiscoveredInstrument) -> Self {
        let symbol = found.settings.symbol.as_str();
        Self {
            symbol: symbol.to_owned(),
            stream_prefix: symbol.to_lowercase(),
            price_decimals: found.price_decimals,
            qty_decimals: found.qty_decimals,
            frames: Vec::new(),
            first_receive: None,
            last_receive: Nanos::ZERO,
            tapes: [Tape::default(), Tape::default()],
            diffs_applied: 0,
            in_snapshot: false,
            checkpoints: Vec::new(),
        }
    }

    fn on_frame(&mut self, stream: &str, ts_recv: Nanos) {
        match self.frames.iter_mut().find(|(name, _)| name == stream) {
            Some((_, count)) => *count += 1,
            None => self.frames.push((stream.to_owned(), 1)),
        }
        self.first_receive.get_or_insert(ts_recv);
        self.last_receive = ts_recv;
    }

    fn on_depth(&mut self, event: &Event, book: &Book) {
        if self.in_snapshot || !event.has(flags::LAST) {
            return;
        }
        self.diffs_applied += 1;
        if self.diffs_applied == 1 || self.diffs_applied.is_multiple_of(CHECKPOINT_DIFFS) {
            let mut row = vec![json!(self.diffs_applied), json!(book.last_id())];
            for best in [book.best_bid(), book.best_ask()] {
                row.extend(self.level_json(best));
            }
            row.push(json!(book.levels(Side::Buy)));
            row.push(json!(book.levels(Side::Sell)));
            self.checkpoints.push(Value::Array(row));
        }
    }

    fn level_json(&self, level: Option<Level>) -> [Value; 2] {
        match level {
            Some(level) => [json!(self.price(level.px)), json!(self.qty(level.qty.into()))],
            None => [Value::Null, Value::Null],
        }
    }

    fn price(&self, px: i64) -> String {
        decimal_text(px.into(), 8, self.price_decimals)
    }

    fn qty(&self, qty: i128) -> String {
        decimal_text(qty, 8, self.qty_decimals)
    }

    fn to_json(&self, stats: &InstrumentStats, book: &Book) -> Value {
        let frames: Map<String, Value> =
            self.frames.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
        let tape = if self.tapes[0].count > 0 { &self.tapes[0] } else { &self.tapes[1] };
        let [bought, sold] = tape.taken;
        let notional_decimals = self.price_decimals + self.qty_decimals;
        let bar = |bar: &Bar| {
            json!([
                bar.ts_open.to_millis(),
                self.price(bar.open),
                self.price(bar.high),
                self.price(bar.low),
                self.price(bar.close),
                self.qty(bar.volume),
                bar.count
            ])
        };
        json!({
            "receive_time_unit": "ns",
            "first_receive": self.first_receive.unwrap_or(Nanos::ZERO).0,
            "last_receive": self.last_receive.0,
            "frames": frames,
            "market_trades": {
                "first_id": tape.first_id,
                "last_id": tape.last_id,
                "qty": self.qty(bought + sold),
                "notional": decimal_text(tape.notional, 16, notional_decimals),
                "taker_buy_qty": self.qty(bought),
                "taker_sell_qty": self.qty(sold),
                "non_market_trades_excluded": stats.trades_not_market,
            },
            "book": {
                "snapshot_last_update_id": stats.snapshot_id,
                "diffs_before_snapshot_dropped": stats.diffs_dropped,
                "diffs_applied": stats.diffs_applied,
                "pu_breaks": stats.gaps,
                "last_update_id": book.last_id(),
                "best_bid": self.level_json(book.best_bid()),
                "best_ask": self.level_json(book.best_ask()),
                "bid_levels": book.levels(Side::Buy),
                "ask_levels": book.levels(Side::Sell),
            },
            "bars_1m_from_market_trades": tape.bars.iter().map(bar).collect::<Vec<_>>(),
            "book_checkpoints_columns": COLUMNS,
            "book_checkpoints": self.checkpoints,
        })
    }
}

impl Tape {
    fn add(&mut self, event: &Event) {
        let trade = event.body::<Trade>();
        if self.count == 0 {
            self.first_id = trade.trade_id;
        }
        self.count += 1;
        self.last_id = trade.trade_id;
        self.taken[event.side() as usize] += i128::from(trade.qty);
        self.notional += i128::from(trade.px) * i128::from(trade.qty);
        let ts_open = Nanos(trade.ts_trade).floor_to(MINUTE);
        match self.bars.iter_mut().rev().find(|bar| bar.ts_open <= ts_open) {
            Some(bar) if bar.ts_open == ts_open => bar.add(trade),
            _ => {
                let at = self.bars.partition_point(|bar| bar.ts_open < ts_open);
                self.bars.insert(at, Bar::new(ts_open, trade));
            }
        }
    }
}

impl Bar {
    fn new(ts_open: Nanos, trade: &Trade) -> Self {
        let px = trade.px;
        let volume = trade.qty.into();
        Self { ts_open, open: px, high: px, low: px, close: px, volume, count: 1 }
    }

    fn add(&mut self, trade: &Trade) {
        self.high = self.high.max(trade.px);
        self.low = self.low.min(trade.px);
        self.close = trade.px;
        self.volume += i128::from(trade.qty);
        self.count += 1;
    }
}

/// Symbol and stream of a frame: `("btcusdt", "depth@0ms")` of a combined frame, symbol and event
/// type of a raw one.
fn stream_of(frame: &[u8]) -> Option<(&str, &str)> {
    if let Some(rest) = frame.strip_prefix(b"{\"stream\":\"") {
        let name = std::str::from_utf8(&rest[..rest.iter().position(|&b| b == b'"')?]).ok()?;
        return name.split_once('@');
    }
    Some((quoted_after(frame, "\"s\":\"")?, quoted_after(frame, "\"e\":\"")?))
}

fn quoted_after<'f>(frame: &'f [u8], key: &str) -> Option<&'f str> {
    let at = frame.windows(key.len()).position(|window| window == key.as_bytes())?;
    let rest = &frame[at + key.len()..];
    std::str::from_utf8(&rest[..rest.iter().position(|&b| b == b'"')?]).ok()
}

/// A value in units of 10^-`scale`, written with `decimals` decimals, or with as many as it needs.
fn decimal_text(value: i128, scale: u32, decimals: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let unit = 10_u128.pow(scale);
    let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    let mut digits = format!("{fraction:0width$}", width = scale as usize);
    while digits.len() > decimals as usize && digits.ends_with('0') {
        digits.pop();
    }
    let point = if digits.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{digits}")
}
