//! Hand-written scanners for the payloads as the venue writes them: no tape, no allocation.
//!
//! ```text
//! frame ─► positional (keys in the venue's order) ─► key scan (other order, unknown scalars)
//!              │ done                                    │ done            │ declined
//!              ▼                                         ▼                 ▼
//!            event                                     event        checked decoder
//! ```
//!
//! A scanner may decline anything at any point; it may not accept what the checked decoder would
//! refuse, nor read it differently. Errors are therefore never decided here.

use super::batch::EventBatch;
use super::build;
use super::cursor::Cursor;
use super::depth::DepthWriter;
use super::form::Form;
use super::member::{Field, Members, Stop, millis_to_nanos, scalar_member};
use super::symbols::SymbolTable;
use crate::base::event::{Body, BookTicker, DepthHead, Event, Trade, flags};
use crate::base::{InstrumentId, Kind, Nanos};

/// Where scanned events go and what they are stamped with.
pub(super) struct Sink<'s> {
    pub symbols: &'s SymbolTable,
    pub ts_recv: Nanos,
    pub out: &'s mut EventBatch,
}

/// Reads a stream frame, combined or raw. `None`: declined, `out` may hold part of a batch.
#[inline]
pub(super) fn frame<F: Form>(bytes: &[u8], sink: &mut Sink<'_>) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    let mut stream: Option<&[u8]> = None;
    if cursor.accept(b"{\"stream\":") {
        stream = Some(cursor.quoted_text()?);
        cursor.literal(b",\"data\":")?;
    }
    let object = cursor;
    cursor.literal(b"{\"e\":\"")?;
    let end: &[u8] = if stream.is_some() { b"}" } else { b"" };
    match cursor.peek()? {
        b'b' => single(book_ticker::<F>(&mut cursor, end, sink), sink)
            .or_else(|| single(book_ticker_by_key(object, end, sink), sink)),
        b'a' => single(agg_trade(&mut cursor, end, sink), sink)
            .or_else(|| single(agg_trade_by_key(object, end, sink), sink)),
        b't' => single(trade(&mut cursor, end, sink), sink)
            .or_else(|| single(trade_by_key(object, end, sink), sink)),
        b'd' => {
            cursor.literal(b"depthUpdate\"")?;
            if stream.is_some_and(|name| !is_diff_stream(name)) {
                return None;
            }
            depth(object, end, sink)
        }
        b'm' => single(mark_price(object, &mut cursor, end, sink), sink),
        b'k' if F::CANDLES => single(kline(object, &mut cursor, end, sink), sink),
        b'f' => single(force_order(object, &mut cursor, end, sink), sink),
        _ => None,
    }
}

/// Reads a depth snapshot body (`GET /fapi/v1/depth`). `None`: declined.
pub(super) fn snapshot(bytes: &[u8], instrument: InstrumentId, sink: &mut Sink<'_>) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    cursor.literal(b"{")?;
    let mut members = Members::new(&build::SNAPSHOT);
    let Stop::Nested(b"bids") = members.scan(&mut cursor, true)? else { return None };
    let [id, time, matched, ..] = members.fields;
    let stamp = Event {
        instrument: instrument.0,
        flags: flags::SNAPSHOT,
        ts_venue: time.millis().ok()?,
        ts_recv: sink.ts_recv.0,
        ..Event::EMPTY
    };
    let mut writer = DepthWriter::open(sink.out, &stamp);
    levels(&mut cursor, &mut writer)?;
    cursor.literal(b",\"asks\":")?;
    writer.asks();
    levels(&mut cursor, &mut writer)?;
    let Stop::Closed = members.scan(&mut cursor, false)? else { return None };
    nested_come_once(&members.fields[3], &members.fields[4])?;
    let last_id = id.uint().ok()?;
    let ts_match = matched.millis().ok()?;
    let head = DepthHead { first_id: last_id, last_id, ts_match, ..DepthHead::default() };
    writer.close(head);
    cursor.is_at_end().then_some(())
}

/// True for `<symbol>@depth` and `<symbol>@depth@<speed>`. Partial depth (`@depth20`) and depth
/// with retail orders (`@rpiDepth`) come in the same shape and must never be taken for changes.
pub(super) fn is_diff_stream(name: &[u8]) -> bool {
    let Some(at) = name.iter().position(|&b| b == b'@') else { return false };
    let kind = &name[at + 1..];
    kind == b"depth" || kind.starts_with(b"depth@")
}

#[inline(always)]
fn single(event: Option<Event>, sink: &mut Sink<'_>) -> Option<()> {
    let mut event = event?;
    event.ts_recv = sink.ts_recv.0;
    sink.out.push(event).then_some(())
}

/// Steps over the end of the payload, of the frame around it, and nothing more.
#[inline(always)]
fn finish(cursor: &mut Cursor<'_>, end: &[u8]) -> Option<()> {
    cursor.literal(end)?;
    cursor.is_at_end().then_some(())
}

/// Steps over the rest of a payload whose wanted members (`keys`) were all read: its closing brace,
/// after members of other names if a venue has added some.
#[inline(always)]
fn close<const N: usize>(
    cursor: &mut Cursor<'_>,
    keys: &[&'static str; N],
    end: &[u8],
) -> Option<()> {
    if !cursor.accept(b"}") {
        added_members(cursor, keys)?;
    }
    finish(cursor, end)
}

#[inline(never)]
fn added_members(cursor: &mut Cursor<'_>, keys: &[&'static str]) -> Option<()> {
    loop {
        cursor.literal(b",")?;
        let (key, scalar) = scalar_member(cursor)?;
        scalar?;
        // One of the wanted members again: not for this scanner to choose between the two.
        if keys.iter().any(|wanted| wanted.as_bytes() == key) {
            return None;
        }
        if cursor.accept(b"}") {
            return Some(());
        }
    }
}

#[inline(always)]
fn event<B: Body>(
    kind: Kind,
    bits: u8,
    instrument: InstrumentId,
    [ts_venue, ts_recv]: [i64; 2],
    body: &B,
) -> Event {
    let body = zerocopy::IntoBytes::as_bytes(body);
    let body = zerocopy::FromBytes::read_from_bytes(body).expect("every body is 96 bytes");
    Event {
        kind: kind as u8,
        flags: bits,
        instrument: instrument.0,
        check: 0,
        seq: 0,
        ts_venue,
        ts_recv,
        body,
    }
}

#[inline(always)]
fn symbol(cursor: &mut Cursor<'_>, symbols: &SymbolTable) -> Option<InstrumentId> {
    let from = cursor.rest().get(1..)?;
    let len = cursor.quoted_text()?.len();
    symbols.find_prefix(from, len)
}

#[inline(always)]
fn millis(cursor: &mut Cursor<'_>) -> Option<i64> {
    millis_to_nanos(cursor.uint()?)
}

#[inline(always)]
fn px(cursor: &mut Cursor<'_>) -> Option<i64> {
    let px = cursor.fixed_then_quote()?;
    (px > 0).then_some(px)
}

#[inline(always)]
fn agg_trade(cursor: &mut Cursor<'_>, end: &[u8], sink: &Sink<'_>) -> Option<Event> {
    cursor.literal(b"aggTrade\",\"E\":")?;
    let ts_venue = millis(cursor)?;
    cursor.literal(b",\"a\":")?;
    let trade_id = cursor.uint()?;
    cursor.literal(b",\"s\":")?;
    let instrument = symbol(cursor, sink.symbols)?;
    cursor.literal(b",\"p\":\"")?;
    let px = px(cursor)?;
    cursor.literal(b",\"q\":\"")?;
    let qty = cursor.fixed_then_quote()?;
    cursor.literal(b",\"f\":")?;
    let first_id = cursor.uint()?;
    cursor.literal(b",\"l\":")?;
    let last_id = cursor.uint()?;
    cursor.literal(b",\"T\":")?;
    let ts_trade = millis(cursor)?;
    cursor.literal(b",\"m\":")?;
    let sold = if cursor.boolean()? { flags::SELL } else { 0 };
    close(cursor, &build::AGG_TRADE, end)?;
    let body = Trade { px, qty, trade_id, first_id, last_id, ts_trade, reserved: [0; 6] };
    Some(event(Kind::AggTrade, sold, instrument, [ts_venue, sink.ts_recv.0], &body))
}

#[inline(always)]
fn trade(cursor: &mut Cursor<'_>, end: &[u8], sink: &Sink<'_>) -> Option<Event> {
    cursor.literal(b"trade\",\"E\":")?;
    let ts_venue = millis(cursor)?;
    cursor.literal(b",\"T\":")?;
    let ts_trade = millis(cursor)?;
    cursor.literal(b",\"s\":")?;
    let instrument = symbol(cursor, sink.symbols)?;
    cursor.literal(b",\"t\":")?;
    let trade_id = cursor.uint()?;
    cursor.literal(b",\"p\":\"")?;
    let px = px(cursor)?;
    cursor.literal(b",\"q\":\"")?;
    let qty = cursor.fixed_then_quote()?;
    cursor.literal(b",\"X\":\"MARKET\",\"m\":")?;
    let sold = if cursor.boolean()? { flags::SELL } else { 0 };
    close(cursor, &build::TRADE, end)?;
    let (first_id, last_id) = (trade_id, trade_id);
    let body = Trade { px, qty, trade_id, first_id, last_id, ts_trade, reserved: [0; 6] };
    Some(event(Kind::Trade, sold, instrument, [ts_venue, sink.ts_recv.0], &body))
}

#[inline(always)]
fn book_ticker<F: Form>(cursor: &mut Cursor<'_>, end: &[u8], sink: &Sink<'_>) -> Option<Event> {
    cursor.literal(b"bookTicker\",\"u\":")?;
    let update_id = cursor.uint()?;
    cursor.literal(b",\"s\":")?;
    let instrument = symbol(cursor, sink.symbols)?;
    if F::PAIR_BEHIND_SYMBOL {
        cursor.literal(b",\"ps\":")?;
        cursor.quoted_text()?;
    }
    cursor.literal(b",\"b\":\"")?;
    let bid_px = px(cursor)?;
    cursor.literal(b",\"B\":\"")?;
    let bid_qty = cursor.fixed_then_quote()?;
    cursor.literal(b",\"a\":\"")?;
    let ask_px = px(cursor)?;
    cursor.literal(b",\"A\":\"")?;
    let ask_qty = cursor.fixed_then_quote()?;
    cursor.literal(b",\"T\":")?;
    let ts_match = millis(cursor)?;
    cursor.literal(b",\"E\":")?;
    let ts_venue = millis(cursor)?;
    close(cursor, &build::BOOK_TICKER, end)?;
    let body =
        BookTicker { update_id, bid_px, bid_qty, ask_px, ask_qty, ts_match, reserved: [0; 6] };
    Some(event(Kind::BookTicker, 0, instrument, [ts_venue, sink.ts_recv.0], &body))
}

/// All members of an object without nested values, to the end of the frame.
#[inline(always)]
fn flat<'a, const N: usize>(
    mut object: Cursor<'a>,
    keys: &[&'static str; N],
    end: &[u8],
) -> Option<Members<'a, N>> {
    object.literal(b"{")?;
    let mut members = Members::new(keys);
    let Stop::Closed = members.scan(&mut object, true)? else { return None };
    finish(&mut object, end)?;
    Some(members)
}

/// An object whose member `key` is itself an object, to the end of the frame.
#[inline(always)]
fn nested<'a, const N: usize>(
    mut object: Cursor<'a>,
    key: &[u8],
    keys: &[&'static str; N],
    end: &[u8],
) -> Option<(Members<'a, 5>, Members<'a, N>)> {
    object.literal(b"{")?;
    let mut outer = Members::new(&build::OUTER);
    match outer.scan(&mut object, true)? {
        Stop::Nested(found) if found == key => object.literal(b"{")?,
        _ => return None,
    }
    let mut inner = Members::new(keys);
    let Stop::Closed = inner.scan(&mut object, true)? else { return None };
    let Stop::Closed = outer.scan(&mut object, false)? else { return None };
    nested_come_once(&outer.fields[3], &outer.fields[4])?;
    finish(&mut object, end)?;
    Some((outer, inner))
}

fn agg_trade_by_key(object: Cursor<'_>, end: &[u8], sink: &Sink<'_>) -> Option<Event> {
    let members = flat(object, &build::AGG_TRADE, end)?;
    (members.fields[0].text() == Ok(b"aggTrade")).then_some(())?;
    build::agg_trade(&members, sink.symbols).ok()
}

fn trade_by_key(object: Cursor<'_>, end: &[u8], sink: &Sink<'_>) -> Option<Event> {
    let members = flat(object, &build::TRADE, end)?;
    (members.fields[0].text() == Ok(b"trade")).then_some(())?;
    build::trade(&members, sink.symbols).ok()
}

fn book_ticker_by_key(object: Cursor<'_>, end: &[u8], sink: &Sink<'_>) -> Option<Event> {
    let members = flat(object, &build::BOOK_TICKER, end)?;
    (members.fields[0].text() == Ok(b"bookTicker")).then_some(())?;
    build::book_ticker(&members, sink.symbols).ok()
}

fn mark_price(
    object: Cursor<'_>,
    cursor: &mut Cursor<'_>,
    end: &[u8],
    sink: &Sink<'_>,
) -> Option<Event> {
    cursor.literal(b"markPriceUpdate\"")?;
    build::mark_price(&flat(object, &build::MARK_PRICE, end)?, sink.symbols).ok()
}

fn kline(
    object: Cursor<'_>,
    cursor: &mut Cursor<'_>,
    end: &[u8],
    sink: &Sink<'_>,
) -> Option<Event> {
    cursor.literal(b"kline\"")?;
    let (outer, inner) = nested(object, b"k", &build::CANDLE, end)?;
    build::kline(&outer, &inner, sink.symbols).ok()
}

fn force_order(
    object: Cursor<'_>,
    cursor: &mut Cursor<'_>,
    end: &[u8],
    sink: &Sink<'_>,
) -> Option<Event> {
    cursor.literal(b"forceOrder\"")?;
    let (outer, inner) = nested(object, b"o", &build::FORCE_ORDER, end)?;
    build::force_order(&outer, &inner, sink.symbols).ok()
}

/// A change of depth: its plain members, then `b`, then `a`, then perhaps more plain members.
#[inline(always)]
fn depth(mut cursor: Cursor<'_>, end: &[u8], sink: &mut Sink<'_>) -> Option<()> {
    cursor.literal(b"{")?;
    let mut members = Members::new(&build::DEPTH);
    let Stop::Nested(b"b") = members.scan(&mut cursor, true)? else { return None };
    let stamp = Event {
        instrument: build::instrument(sink.symbols, &members.fields[3]).ok()?.0,
        ts_venue: members.fields[1].millis().ok()?,
        ts_recv: sink.ts_recv.0,
        ..Event::EMPTY
    };
    let mut writer = DepthWriter::open(sink.out, &stamp);
    levels(&mut cursor, &mut writer)?;
    cursor.literal(b",\"a\":")?;
    writer.asks();
    levels(&mut cursor, &mut writer)?;
    let Stop::Closed = members.scan(&mut cursor, false)? else { return None };
    let [_, _, matched, _, first, last, previous, bids, asks] = &members.fields;
    nested_come_once(bids, asks)?;
    writer.close(DepthHead {
        first_id: first.uint().ok()?,
        last_id: last.uint().ok()?,
        prev_id: previous.uint().ok()?,
        ts_match: matched.millis().ok()?,
        ..DepthHead::default()
    });
    finish(&mut cursor, end)
}

/// Declines a frame in which the name of a nested value is also the name of a plain one.
#[inline(always)]
fn nested_come_once(first: &Field<'_>, second: &Field<'_>) -> Option<()> {
    (first.is_missing() && second.is_missing()).then_some(())
}

/// `[["px","qty"],…]`, possibly empty.
#[inline(always)]
fn levels(cursor: &mut Cursor<'_>, writer: &mut DepthWriter<'_>) -> Option<()> {
    if cursor.accept(b"[]") {
        return Some(());
    }
    cursor.literal(b"[[\"")?;
    loop {
        let px = px(cursor)?;
        cursor.literal(b",\"")?;
        let qty = cursor.fixed_then_quote()?;
        if !writer.level(px, qty) {
            return None;
        }
        if !cursor.accept(b"],[\"") {
            return cursor.literal(b"]]");
        }
    }
}
