//! A naive reading of market frames with serde_json and arbitrary-length decimals, to compare with.

#![expect(clippy::field_reassign_with_default, reason = "a body is filled as it is read")]

use super::super::SymbolTable;
use super::TS;
use crate::base::event::*;
use crate::base::limits::BATCH_LEVELS_MAX;
use crate::base::{InstrumentId, Kind};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// JSON that keeps keys that come twice.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Int(u64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Int(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Float(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = access.next_element()? {
                    list.push(item);
                }
                Ok(Json::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
                let mut object = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    object.push(entry);
                }
                Ok(Json::Object(object))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Json {
    fn all<'j>(&'j self, key: &str) -> Vec<&'j Json> {
        let Json::Object(entries) = self else { return Vec::new() };
        entries.iter().filter(|(name, _)| name == key).map(|(_, value)| value).collect()
    }

    /// The one value of a key; twice is none.
    fn one<'j>(&'j self, key: &str) -> Option<&'j Json> {
        match self.all(key).as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.one(key)? {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    fn int(&self, key: &str) -> Option<u64> {
        match self.one(key)? {
            Json::Int(value) => Some(*value).filter(|value| *value <= i64::MAX as u64),
            Json::Float(value) if *value >= 0.0 && *value < 2_f64.powi(53) => {
                (*value == value.trunc()).then_some(*value as u64)
            }
            _ => None,
        }
    }

    fn boolean(&self, key: &str) -> Option<bool> {
        match self.one(key)? {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn nanos(&self, key: &str) -> Option<i64> {
        i64::try_from(u128::from(self.int(key)?) * 1_000_000).ok()
    }

    fn px(&self, key: &str) -> Option<i64> {
        fixed(self.text(key)?).filter(|px| *px > 0)
    }

    fn qty(&self, key: &str) -> Option<i64> {
        fixed(self.text(key)?).filter(|qty| *qty >= 0)
    }
}

/// A decimal with an optional exponent in 1e-8: all digits written out as text, then cut.
pub(super) fn fixed(text: &str) -> Option<i64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.trim_start_matches(['+', '-']);
            let signs = exponent.len() - digits.len();
            if signs > 1 || digits.is_empty() || digits.len() > 2 {
                return None;
            }
            (mantissa, exponent.parse::<i32>().ok()?)
        }
        None => (text, 0),
    };
    let (sign, magnitude) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = match magnitude.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (magnitude, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let has_exponent = text.contains(['e', 'E']);
    if has_exponent && whole.len() + fraction.len() > 30 {
        return None;
    }
    let point = whole.len() as i32 + exponent + 8;
    let mut digits = format!("{whole}{fraction}");
    while (digits.len() as i32) < point {
        digits.push('0');
    }
    if point < 0 {
        return digits.bytes().all(|b| b == b'0').then_some(0);
    }
    let (kept, rest) = digits.split_at(point as usize);
    if rest.bytes().any(|b| b != b'0') {
        return None;
    }
    let kept = kept.trim_start_matches('0');
    let kept = if kept.is_empty() { "0" } else { kept };
    format!("{sign}{kept}").parse().ok()
}

/// The frame's events; `None` for one that gives none, for whatever reason.
pub(super) fn read(frame: &[u8], symbols: &SymbolTable) -> Option<Vec<Event>> {
    let root: Json = serde_json::from_slice(frame).ok()?;
    if root.all("data").len() > 1 || (root.one("data").is_some() && root.all("stream").len() > 1) {
        return None;
    }
    let (stream, data) = match (root.one("stream"), root.one("data")) {
        (Some(Json::Text(stream)), Some(data)) => (Some(stream.clone()), data),
        (Some(_), Some(_)) => return None,
        _ => (None, &root),
    };
    let event = match data.text("e")? {
        "aggTrade" => trade(data, symbols, Kind::AggTrade, ["a", "f", "l"])?,
        "trade" if data.text("X")? == "MARKET" => {
            trade(data, symbols, Kind::Trade, ["t", "t", "t"])?
        }
        "bookTicker" => book_ticker(data, symbols)?,
        "markPriceUpdate" => mark_price(data, symbols)?,
        "kline" => kline(data, symbols)?,
        "forceOrder" => force_order(data, symbols)?,
        "depthUpdate" => return diff(stream.as_deref(), data, symbols),
        _ => return None,
    };
    Some(vec![event])
}

fn instrument(data: &Json, symbols: &SymbolTable) -> Option<InstrumentId> {
    symbols.find(data.text("s")?.as_bytes())
}

fn stamped(mut event: Event, data: &Json) -> Option<Event> {
    event.ts_venue = data.nanos("E")?;
    event.ts_recv = TS.0;
    Some(event)
}

fn trade(data: &Json, symbols: &SymbolTable, kind: Kind, ids: [&str; 3]) -> Option<Event> {
    let mut body = Trade::default();
    body.px = data.px("p")?;
    body.qty = data.qty("q")?;
    body.trade_id = data.int(ids[0])?;
    body.first_id = data.int(ids[1])?;
    body.last_id = data.int(ids[2])?;
    body.ts_trade = data.nanos("T")?;
    let mut event = Event::new(kind, instrument(data, symbols)?, &body);
    if data.boolean("m")? {
        event.flags |= flags::SELL;
    }
    stamped(event, data)
}

fn book_ticker(data: &Json, symbols: &SymbolTable) -> Option<Event> {
    let mut body = BookTicker::default();
    body.update_id = data.int("u")?;
    body.bid_px = data.px("b")?;
    body.bid_qty = data.qty("B")?;
    body.ask_px = data.px("a")?;
    body.ask_qty = data.qty("A")?;
    body.ts_match = data.nanos("T")?;
    stamped(Event::new(Kind::BookTicker, instrument(data, symbols)?, &body), data)
}

fn mark_price(data: &Json, symbols: &SymbolTable) -> Option<Event> {
    let mut body = MarkPrice::default();
    body.mark_px = data.px("p")?;
    body.index_px = data.qty("i")?;
    body.settle_px = if data.all("P").is_empty() { 0 } else { data.qty("P")? };
    body.funding_rate = match data.text("r")? {
        "" => 0,
        rate => fixed(rate)?,
    };
    body.ts_next_funding = data.nanos("T")?;
    stamped(Event::new(Kind::MarkPrice, instrument(data, symbols)?, &body), data)
}

fn kline(data: &Json, symbols: &SymbolTable) -> Option<Event> {
    let k = data.one("k")?;
    let mut body = Kline::default();
    body.ts_open = k.nanos("t")?;
    body.ts_close = k.nanos("T")?;
    body.open = k.px("o")?;
    body.high = k.px("h")?;
    body.low = k.px("l")?;
    body.close = k.px("c")?;
    body.volume = k.qty("v")?;
    body.quote_volume = k.qty("q")?;
    body.taker_buy_volume = k.qty("V")?;
    body.taker_buy_quote = k.qty("Q")?;
    body.trade_count = k.int("n")?;
    let mut event = Event::new(Kind::Kline, instrument(data, symbols)?, &body);
    if k.text("s")? != data.text("s")? {
        return None;
    }
    if k.boolean("x")? {
        event.flags |= flags::ON;
    }
    stamped(event, data)
}

fn force_order(data: &Json, symbols: &SymbolTable) -> Option<Event> {
    let o = data.one("o")?;
    if data.all("s").len() > 1 {
        return None;
    }
    let mut body = Liquidation::default();
    body.px = o.px("p")?;
    body.avg_px = o.qty("ap")?;
    body.qty = o.qty("q")?;
    body.filled_qty = o.qty("z")?;
    body.last_qty = o.qty("l")?;
    body.ts_trade = o.nanos("T")?;
    let mut event = Event::new(Kind::Liquidation, instrument(o, symbols)?, &body);
    match o.text("S")? {
        "SELL" => event.flags |= flags::SELL,
        "BUY" => {}
        _ => return None,
    }
    stamped(event, data)
}

fn diff(stream: Option<&str>, data: &Json, symbols: &SymbolTable) -> Option<Vec<Event>> {
    if let Some(stream) = stream {
        let kind = stream.split_once('@')?.1;
        if kind.split('@').next()? != "depth" {
            return None;
        }
    }
    let sides = [levels(data.one("b")?)?, levels(data.one("a")?)?];
    let mut head = DepthHead::default();
    head.first_id = data.int("U")?;
    head.last_id = data.int("u")?;
    head.prev_id = data.int("pu")?;
    head.ts_match = data.nanos("T")?;
    head.bid_count = sides[0].len() as u32;
    head.ask_count = sides[1].len() as u32;
    if sides[0].len() + sides[1].len() > BATCH_LEVELS_MAX {
        return None;
    }
    let id = instrument(data, symbols)?;
    let mut events = vec![stamped(Event::new(Kind::DepthHead, id, &head), data)?];
    for (side, bit) in sides.iter().zip([0, flags::SELL]) {
        for chunk in side.chunks(LEVELS_PER_EVENT) {
            let mut body = DepthLevels::default();
            body.levels[..chunk.len()].copy_from_slice(chunk);
            let mut event = stamped(Event::new(Kind::DepthLevels, id, &body), data)?;
            event.flags |= bit;
            events.push(event);
        }
    }
    events.last_mut()?.flags |= flags::LAST;
    Some(events)
}

fn levels(list: &Json) -> Option<Vec<Level>> {
    let Json::List(list) = list else { return None };
    let level = |item: &Json| {
        let Json::List(pair) = item else { return None };
        let [Json::Text(px), Json::Text(qty)] = pair.as_slice() else { return None };
        let level = Level { px: fixed(px)?, qty: fixed(qty)? };
        (level.px > 0 && level.qty >= 0).then_some(level)
    };
    list.iter().map(level).collect()
}
