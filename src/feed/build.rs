//! From the members of a payload to its event. One function per event type; both readers end
//! here, so there is one place that says which keys a payload must have and what they mean.

use super::member::{Fail, Field, Members};
use super::symbols::SymbolTable;
use crate::base::event::{
    BookTicker, Event, Funding, Kline, Liquidation, MarkPrice, OpenInterest, Trade, flags,
};
use crate::base::{InstrumentId, Kind, Reason};

pub(super) const AGG_TRADE: [&str; 10] = ["e", "E", "a", "s", "p", "q", "f", "l", "T", "m"];
pub(super) const TRADE: [&str; 9] = ["e", "E", "T", "s", "t", "p", "q", "X", "m"];
pub(super) const BOOK_TICKER: [&str; 9] = ["e", "u", "s", "b", "B", "a", "A", "T", "E"];
pub(super) const MARK_PRICE: [&str; 8] = ["e", "E", "s", "p", "P", "i", "r", "T"];
/// Outer keys of the payloads that carry an inner object, with the names of those objects.
pub(super) const OUTER: [&str; 5] = ["e", "E", "s", "k", "o"];
pub(super) const CANDLE: [&str; 13] =
    ["t", "T", "s", "o", "c", "h", "l", "v", "n", "x", "q", "V", "Q"];
pub(super) const FORCE_ORDER: [&str; 8] = ["s", "S", "q", "p", "ap", "l", "z", "T"];
pub(super) const DEPTH: [&str; 9] = ["e", "E", "T", "s", "U", "u", "pu", "b", "a"];
pub(super) const SNAPSHOT: [&str; 5] = ["lastUpdateId", "E", "T", "bids", "asks"];
pub(super) const OPEN_INTEREST: [&str; 3] = ["openInterest", "symbol", "time"];
pub(super) const FUNDING_RATE: [&str; 4] = ["symbol", "fundingTime", "fundingRate", "markPrice"];
pub(super) const PREMIUM_INDEX: [&str; 7] = [
    "symbol",
    "markPrice",
    "indexPrice",
    "estimatedSettlePrice",
    "lastFundingRate",
    "nextFundingTime",
    "time",
];

pub(super) const REST_AGG_TRADE: [&str; 7] = ["a", "p", "q", "f", "l", "T", "m"];

/// The instrument a symbol field names.
pub(super) fn instrument(symbols: &SymbolTable, field: &Field<'_>) -> Result<InstrumentId, Fail> {
    symbols.find(field.text()?).ok_or(field.fail(Reason::UnknownInstrument))
}

pub(super) fn agg_trade(members: &Members<'_, 10>, symbols: &SymbolTable) -> Result<Event, Fail> {
    let [_, time, id, symbol, px, qty, first, last, matched, maker] = &members.fields;
    let instrument = instrument(symbols, symbol)?;
    let event = aggregated(instrument, [id, px, qty, first, last, matched, maker])?;
    Ok(Event { ts_venue: time.millis()?, ..event })
}

/// A trade of the REST interface, which names neither symbol nor time of sending.
pub(super) fn rest_agg_trade(
    members: &Members<'_, 7>,
    instrument: InstrumentId,
) -> Result<Event, Fail> {
    let [id, px, qty, first, last, matched, maker] = &members.fields;
    let event = aggregated(instrument, [id, px, qty, first, last, matched, maker])?;
    Ok(Event { ts_venue: matched.millis()?, ..event })
}

/// An aggregated trade out of its fields, wherever they came from. The buyer is maker where the
/// taker sold.
fn aggregated(instrument: InstrumentId, fields: [&Field<'_>; 7]) -> Result<Event, Fail> {
    let [id, px, qty, first, last, matched, buyer_is_maker] = fields;
    let body = Trade {
        px: px.px()?,
        qty: qty.qty()?,
        trade_id: id.uint()?,
        first_id: first.uint()?,
        last_id: last.uint()?,
        ts_trade: matched.millis()?,
        ..Trade::default()
    };
    Ok(traded(Kind::AggTrade, instrument, &body, buyer_is_maker.boolean()?))
}

/// A trade's event; `sold` when the taker sold.
pub(super) fn traded(kind: Kind, instrument: InstrumentId, body: &Trade, sold: bool) -> Event {
    Event::new(kind, instrument, body).with_flags(if sold { flags::SELL } else { 0 })
}

pub(super) fn trade(members: &Members<'_, 9>, symbols: &SymbolTable) -> Result<Event, Fail> {
    let [_, time, matched, symbol, id, px, qty, origin, buyer_is_maker] = &members.fields;
    let instrument = instrument(symbols, symbol)?;
    // Insurance-fund and deleveraging prints are far off the market: they are no price at all.
    if origin.text()? != b"MARKET" {
        return Err(Fail { instrument, ..origin.fail(Reason::TradeNotMarket) });
    }
    let id = id.uint()?;
    let body = Trade {
        px: px.px()?,
        qty: qty.qty()?,
        trade_id: id,
        first_id: id,
        last_id: id,
        ts_trade: matched.millis()?,
        ..Trade::default()
    };
    let sold = if buyer_is_maker.boolean()? { flags::SELL } else { 0 };
    let event = Event::new(Kind::Trade, instrument, &body).with_flags(sold);
    Ok(Event { ts_venue: time.millis()?, ..event })
}

pub(super) fn book_ticker(members: &Members<'_, 9>, symbols: &SymbolTable) -> Result<Event, Fail> {
    let [_, id, symbol, bid_px, bid_qty, ask_px, ask_qty, matched, time] = &members.fields;
    let instrument = instrument(symbols, symbol)?;
    let body = BookTicker {
        update_id: id.uint()?,
        bid_px: bid_px.px()?,
        bid_qty: bid_qty.qty()?,
        ask_px: ask_px.px()?,
        ask_qty: ask_qty.qty()?,
        ts_match: matched.millis()?,
        ..BookTicker::default()
    };
    Ok(Event { ts_venue: time.millis()?, ..Event::new(Kind::BookTicker, instrument, &body) })
}

pub(super) fn mark_price(members: &Members<'_, 8>, symbols: &SymbolTable) -> Result<Event, Fail> {
    let [_, time, symbol, mark, settle, index, rate, next] = &members.fields;
    let instrument = instrument(symbols, symbol)?;
    let body = MarkPrice {
        mark_px: mark.px()?,
        index_px: index.qty()?,
        settle_px: if settle.is_missing() { 0 } else { settle.qty()? },
        funding_rate: rate_or_none(rate)?,
        ts_next_funding: next.millis()?,
        ..MarkPrice::default()
    };
    Ok(Event { ts_venue: time.millis()?, ..Event::new(Kind::MarkPrice, instrument, &body) })
}

pub(super) fn kline(
    outer: &Members<'_, 5>,
    inner: &Members<'_, 13>,
    symbols: &SymbolTable,
) -> Result<Event, Fail> {
    let [_, time, symbol, ..] = &outer.fields;
    let [open_time, close_time, inner_symbol, open, close, high, low, ..] = &inner.fields;
    let [.., volume, count, is_final, quote, taker, taker_quote] = &inner.fields;
    let instrument = instrument(symbols, symbol)?;
    if inner_symbol.text()? != symbol.text()? {
        return Err(inner_symbol.fail(Reason::FrameValue));
    }
    let body = Kline {
        ts_open: open_time.millis()?,
        ts_close: close_time.millis()?,
        open: open.px()?,
        high: high.px()?,
        low: low.px()?,
        close: close.px()?,
        volume: volume.qty()?,
        quote_volume: quote.qty()?,
        taker_buy_volume: taker.qty()?,
        taker_buy_quote: taker_quote.qty()?,
        trade_count: count.uint()?,
        ..Kline::default()
    };
    let on = if is_final.boolean()? { flags::ON } else { 0 };
    let event = Event::new(Kind::Kline, instrument, &body).with_flags(on);
    Ok(Event { ts_venue: time.millis()?, ..event })
}

pub(super) fn force_order(
    outer: &Members<'_, 5>,
    inner: &Members<'_, 8>,
    symbols: &SymbolTable,
) -> Result<Event, Fail> {
    let [_, time, ..] = &outer.fields;
    let [symbol, side, qty, px, avg_px, last, filled, matched] = &inner.fields;
    let instrument = instrument(symbols, symbol)?;
    let sold = match side.text()? {
        b"SELL" => flags::SELL,
        b"BUY" => 0,
        _ => return Err(side.fail(Reason::FrameValue)),
    };
    let body = Liquidation {
        px: px.px()?,
        avg_px: avg_px.qty()?,
        qty: qty.qty()?,
        filled_qty: filled.qty()?,
        last_qty: last.qty()?,
        ts_trade: matched.millis()?,
        ..Liquidation::default()
    };
    let event = Event::new(Kind::Liquidation, instrument, &body).with_flags(sold);
    Ok(Event { ts_venue: time.millis()?, ..event })
}

pub(super) fn open_interest(
    members: &Members<'_, 3>,
    symbols: &SymbolTable,
) -> Result<Event, Fail> {
    let [qty, symbol, time] = &members.fields;
    let instrument = instrument(symbols, symbol)?;
    let ts = time.millis()?;
    let body = OpenInterest { qty: qty.qty()?, ts, ..OpenInterest::default() };
    Ok(Event { ts_venue: ts, ..Event::new(Kind::OpenInterest, instrument, &body) })
}

pub(super) fn funding_rate(members: &Members<'_, 4>, symbols: &SymbolTable) -> Result<Event, Fail> {
    let [symbol, time, rate, mark] = &members.fields;
    let instrument = instrument(symbols, symbol)?;
    let ts = time.millis()?;
    let body = Funding {
        rate: rate.fixed()?,
        // Old rates carry no mark price: the key is missing or its text is empty.
        mark_px: if mark.is_missing() || mark.text() == Ok(b"") { 0 } else { mark.qty()? },
        ts_funding: ts,
        ..Funding::default()
    };
    Ok(Event { ts_venue: ts, ..Event::new(Kind::Funding, instrument, &body) })
}

pub(super) fn premium_index(
    members: &Members<'_, 7>,
    symbols: &SymbolTable,
) -> Result<Event, Fail> {
    let [symbol, mark, index, settle, rate, next, time] = &members.fields;
    let instrument = instrument(symbols, symbol)?;
    let body = MarkPrice {
        mark_px: mark.px()?,
        index_px: index.qty()?,
        settle_px: if settle.is_missing() { 0 } else { settle.qty()? },
        funding_rate: rate_or_none(rate)?,
        ts_next_funding: next.millis()?,
        ..MarkPrice::default()
    };
    Ok(Event { ts_venue: time.millis()?, ..Event::new(Kind::MarkPrice, instrument, &body) })
}

/// Dated contracts have no funding and carry an empty text.
fn rate_or_none(rate: &Field<'_>) -> Result<i64, Fail> {
    if rate.text()?.is_empty() { Ok(0) } else { rate.fixed() }
}
