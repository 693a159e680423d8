//! Changes of a book at a slower pace than the market publishes them: each pace has its own chain
//! of ids, in which `pu` is the `u` of the message before.

use super::text::{member, whole};
use crate::base::Nanos;
use crate::base::units::parse_fixed;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Json;
use std::collections::BTreeMap;

/// What has changed since the last message, by price in 1e-8 units.
#[derive(Debug, Default)]
pub struct DiffChain {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    /// First and last id gathered; 0 without any.
    first: i64,
    last: i64,
    /// Last id sent; 0 before the first message.
    sent: i64,
    matched_millis: i64,
}

impl DiffChain {
    /// Takes in a `depthUpdate` of the market.
    pub fn gather(&mut self, data: &str) {
        let [first, last, before] = ["U", "u", "pu"].map(|key| whole(data, key).unwrap_or(0));
        if self.sent == 0 {
            self.sent = before;
        }
        if self.first == 0 {
            self.first = first;
        }
        self.last = last;
        self.matched_millis = whole(data, "T").unwrap_or(0);
        let (bids, asks) = data.split_at(data.find("\"a\":").unwrap_or(data.len()));
        let bids = &bids[bids.find("\"b\":").unwrap_or(bids.len())..];
        gather_levels(bids, &mut self.bids);
        gather_levels(asks, &mut self.asks);
    }

    /// The message that is due, and the chain goes on behind it; `None` when nothing has changed.
    pub fn flush(&mut self, spec: &SymbolSpec, now: Nanos) -> Option<String> {
        if self.first == 0 {
            return None;
        }
        let mut body = Vec::with_capacity(256 + 32 * (self.bids.len() + self.asks.len()));
        let mut json = Json::new(&mut body);
        let ids = [self.first, self.last, self.sent];
        head(&mut json, spec, [now.to_millis(), self.matched_millis], ids);
        let (tick, lot) = (spec.tick_size.0, spec.lot_size.0);
        let level = |(&px, &qty): (&i64, &i64)| (px / tick, qty / lot);
        json.raw(",\"b\":").levels(spec, self.bids.iter().map(level));
        json.raw(",\"a\":").levels(spec, self.asks.iter().map(level)).raw("}");
        self.bids.clear();
        self.asks.clear();
        (self.first, self.sent) = (0, self.last);
        String::from_utf8(body).ok()
    }
}

/// The members of a `depthUpdate` up to its levels: send and match time, then `U`, `u`, `pu`.
pub fn head(json: &mut Json<'_>, spec: &SymbolSpec, times: [i64; 2], ids: [i64; 3]) {
    let symbol = spec.symbol.as_str();
    json.raw("{\"e\":\"depthUpdate\",\"E\":").int(times[0]).raw(",\"T\":").int(times[1]);
    json.raw(",\"s\":\"").raw(symbol).raw("\",\"ps\":\"").raw(symbol).raw("\",\"st\":1");
    json.raw(",\"U\":").int(ids[0]).raw(",\"u\":").int(ids[1]).raw(",\"pu\":").int(ids[2]);
}

/// From `"b":[["price","quantity"],…]`.
fn gather_levels(list: &str, side: &mut BTreeMap<i64, i64>) {
    let mut texts = list.split('"').skip(3).step_by(2);
    while let (Some(px), Some(qty)) = (texts.next(), texts.next()) {
        if let (Ok(px), Ok(qty)) = (parse_fixed(px.as_bytes()), parse_fixed(qty.as_bytes())) {
            side.insert(px, qty);
        }
    }
}

/// The largest forced order of the second, as sent.
#[derive(Debug, Default)]
pub struct Largest {
    qty: i64,
    data: String,
}

impl Largest {
    /// Takes in a `forceOrder` of the market.
    pub fn offer(&mut self, data: &str) {
        let qty = member(data, "q").and_then(|qty| parse_fixed(qty.as_bytes()).ok()).unwrap_or(0);
        if self.data.is_empty() || qty > self.qty {
            *self = Self { qty, data: data.to_owned() };
        }
    }

    /// The one that is due; empty without any.
    pub fn take(&mut self) -> String {
        std::mem::take(self).data
    }
}
