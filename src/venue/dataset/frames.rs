//! What a venue would have sent for a row: frames of its streams, in its own words.

use crate::base::{Px, Qty, Symbol};
use std::fmt::Write as _;

/// Prints a candle's trades and the quotes around them. A quote is one lot on either side, half a
/// spread away.
#[derive(Debug)]
pub(super) struct Quoter {
    symbol: Symbol,
    tick: i64,
    lot: i64,
    spread_bps: i64,
    /// The venue's numbers of the last change of the book and of the last trade.
    update: u64,
    trade: u64,
    /// The best bid and ask as last sent; 0 before the first.
    bid: i64,
    ask: i64,
    last: i64,
}

impl Quoter {
    pub(super) fn new(symbol: Symbol, tick: i64, lot: i64, spread_bps: i64) -> Self {
        Self { symbol, tick, lot, spread_bps, update: 0, trade: 0, bid: 0, ask: 0, last: 0 }
    }

    /// The best bid and ask around a price: half a spread away, at least a tick, on the grid.
    fn around(&self, px: i64) -> (i64, i64) {
        let half = (i128::from(px) * i128::from(self.spread_bps) / 20_000) as i64;
        let half = half.max(self.tick);
        let down = (px - half).div_euclid(self.tick) * self.tick;
        let up = -(-(px + half)).div_euclid(self.tick) * self.tick;
        (down.max(self.tick), up)
    }

    /// Depth of either side: what the candle traded at one of its four prices, at least a lot.
    fn depth(&self, volume: i64) -> i64 {
        (volume / 4).div_euclid(self.lot).max(1) * self.lot
    }

    /// The change of the book that leads to `px`.
    pub(super) fn book(&mut self, px: i64, volume: i64, ms: i64, out: &mut String) {
        let (bid, ask) = self.around(px);
        let depth = Qty(self.depth(volume));
        let before = self.update;
        self.update += 1;
        let symbol = self.symbol;
        out.clear();
        let now = self.update;
        let _ = write!(out, r#"{{"e":"depthUpdate","E":{ms},"T":{ms},"s":"{symbol}""#);
        let _ = write!(out, r#","U":{now},"u":{now}"#);
        let _ = write!(out, r#","pu":{before},"b":["#);
        side(out, self.bid, bid, depth);
        out.push_str(r#"],"a":["#);
        side(out, self.ask, ask, depth);
        out.push_str("]}");
        (self.bid, self.ask) = (bid, ask);
    }

    /// The whole book as REST tells it.
    pub(super) fn snapshot(&self, volume: i64, ms: i64, out: &mut String) {
        let depth = Qty(self.depth(volume));
        out.clear();
        let (update, bid, ask) = (self.update, Px(self.bid), Px(self.ask));
        let _ = write!(out, r#"{{"lastUpdateId":{update},"E":{ms},"T":{ms}"#);
        let _ = write!(out, r#","bids":[["{bid}","{depth}"]],"asks":[["{ask}","{depth}"]]}}"#);
    }

    /// The quote.
    pub(super) fn ticker(&self, volume: i64, ms: i64, out: &mut String) {
        let (symbol, update, depth) = (self.symbol, self.update, Qty(self.depth(volume)));
        let (bid, ask) = (Px(self.bid), Px(self.ask));
        out.clear();
        let _ = write!(out, r#"{{"e":"bookTicker","u":{update},"s":"{symbol}","b":"{bid}""#);
        let _ = write!(out, r#","B":"{depth}","a":"{ask}","A":"{depth}","T":{ms},"E":{ms}}}"#);
    }

    /// A trade. Rising prices are bought.
    pub(super) fn trade(&mut self, px: i64, qty: i64, ms: i64, out: &mut String) {
        self.trade += 1;
        let (symbol, id) = (self.symbol, self.trade);
        let is_sold = px < self.last;
        self.last = px;
        let (px, qty) = (Px(px), Qty(qty));
        out.clear();
        let _ = write!(out, r#"{{"e":"aggTrade","E":{ms},"a":{id},"s":"{symbol}","p":"{px}""#);
        let _ = write!(out, r#","q":"{qty}","f":{id},"l":{id},"T":{ms},"m":{is_sold}}}"#);
    }
}

/// A side of the book that had one level and has another.
fn side(out: &mut String, old: i64, new: i64, depth: Qty) {
    if old != new && old != 0 {
        let _ = write!(out, r#"["{}","0"],"#, Px(old));
    }
    let _ = write!(out, r#"["{}","{depth}"]"#, Px(new));
}

/// The mark price with what is known of funding.
pub(super) fn mark(
    symbol: Symbol,
    px: i64,
    (rate, next_ms): (i64, i64),
    ms: i64,
    out: &mut String,
) {
    let (px, rate) = (Px(px), Px(rate));
    out.clear();
    let _ = write!(out, r#"{{"e":"markPriceUpdate","E":{ms},"s":"{symbol}","p":"{px}""#);
    let _ = write!(out, r#","P":"{px}","i":"{px}","r":"{rate}","T":{next_ms}}}"#);
}
