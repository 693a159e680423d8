//! The checked decoder: simd-json validates the whole frame, then the members are read off its
//! tape. It decides what the hand scanners declined, and is the only one that reports errors.
//!
//! Buffers and tape are kept, so that it does not allocate either once it has seen a long frame.
//! A wanted key that comes twice is refused; JSON leaves open which one counts, and so would two
//! decoders.

use super::build;
use super::depth::DepthWriter;
use super::form::Form;
use super::member::{Fail, Members, Scalar, Text, decimal};
use super::scan::{Sink, is_diff_stream};
use crate::base::event::{DepthHead, Event, flags};
use crate::base::limits::FRAME_BYTES_MAX;
use crate::base::{InstrumentId, Reason};
use simd_json::prelude::*;
use simd_json::tape::{Array, Object, Value};
use simd_json::{Buffers, INPUT_PADDING, Tape};

/// Buffers of the checked decoder.
pub(super) struct Checked {
    input: Vec<u8>,
    buffers: Buffers,
    tape: Option<Tape<'static>>,
}

/// What a body of the REST interface is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestBody {
    Snapshot(InstrumentId),
    OpenInterest,
    FundingRate,
    PremiumIndex,
    AggTrades(InstrumentId),
}

/// Nesting no payload of ours comes near; deeper input is refused before it costs anything.
const DEPTH_MAX: usize = 16;
/// Keys of answers and errors of the control interface; frames that have one are no events.
const CONTROL_KEYS: [&str; 5] = ["result", "error", "code", "id", "status"];

impl Checked {
    pub fn new() -> Self {
        Self {
            input: Vec::with_capacity(FRAME_BYTES_MAX + INPUT_PADDING),
            buffers: Buffers::with_max_depth(FRAME_BYTES_MAX, DEPTH_MAX),
            tape: Some(Tape(Vec::with_capacity(FRAME_BYTES_MAX / 8))),
        }
    }

    /// Reads a stream frame. On an error `out` may hold part of a batch, and the offset is where
    /// reading failed, as far as that is known.
    pub fn frame<F: Form>(
        &mut self,
        bytes: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), (Fail, usize)> {
        self.with_root(bytes, |root| read_frame::<F>(root, sink))
    }

    /// Reads a REST body.
    pub fn body(
        &mut self,
        bytes: &[u8],
        body: RestBody,
        sink: &mut Sink<'_>,
    ) -> Result<(), (Fail, usize)> {
        self.with_root(bytes, |root| read_body(root, body, sink))
    }

    fn with_root(
        &mut self,
        bytes: &[u8],
        read: impl FnOnce(Value<'_, '_>) -> Result<(), Fail>,
    ) -> Result<(), (Fail, usize)> {
        let not_json = Fail::new(Reason::FrameNotJson, "");
        if bytes.is_empty() || bytes.len() > FRAME_BYTES_MAX {
            return Err((not_json, 0));
        }
        self.input.clear();
        self.input.extend_from_slice(bytes);
        self.input.resize(bytes.len() + INPUT_PADDING, 0);
        let mut tape = self.tape.take().unwrap_or(Tape(Vec::new())).reset();
        let filled =
            simd_json::fill_tape_padded(&mut self.input, bytes.len(), &mut self.buffers, &mut tape);
        let result = match filled {
            Ok(()) => read(tape.as_value()).map_err(|fail| (fail, offset_of(bytes, fail.key))),
            Err(error) => Err((not_json, error.index().min(bytes.len()))),
        };
        self.tape = Some(tape.reset());
        result
    }
}

/// Where the key is written first; 0 for the frame as a whole.
fn offset_of(bytes: &[u8], key: &str) -> usize {
    if key.is_empty() {
        return 0;
    }
    let quoted = |window: &[u8]| {
        window[0] == b'"'
            && window[window.len() - 1] == b'"'
            && &window[1..=key.len()] == key.as_bytes()
    };
    bytes.windows(key.len() + 2).position(quoted).unwrap_or(0)
}

fn scalar<'i>(value: Value<'_, 'i>) -> Scalar<'i> {
    if let Some(text) = value.into_string() {
        Scalar::Text(Text::new(text.as_bytes()))
    } else if let Some(number) = value.as_u64() {
        Scalar::Int(number)
    } else if let Some(number) = value.as_f64() {
        whole_number(number)
    } else if let Some(flag) = value.as_bool() {
        Scalar::Bool(flag)
    } else {
        Scalar::Other
    }
}

/// An integer written with an exponent, where the float is certainly that integer.
fn whole_number(number: f64) -> Scalar<'static> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && (0.0..EXACT).contains(&number) {
        Scalar::Int(number as u64)
    } else {
        Scalar::Other
    }
}

fn members<'i, const N: usize>(
    object: &Object<'_, 'i>,
    keys: &[&'static str; N],
) -> Result<Members<'i, N>, Fail> {
    let mut members = Members::new(keys);
    for (key, value) in object.iter() {
        members.set(key.as_bytes(), scalar(value))?;
    }
    Ok(members)
}

/// The value of a key that must come once.
fn only<'t, 'i>(object: &Object<'t, 'i>, key: &'static str) -> Result<Option<Value<'t, 'i>>, Fail> {
    let mut found = None;
    for (name, value) in object.iter() {
        if name == key && found.replace(value).is_some() {
            return Err(Fail::new(Reason::FrameKeyTwice, key));
        }
    }
    Ok(found)
}

fn required<'t, 'i>(object: &Object<'t, 'i>, key: &'static str) -> Result<Value<'t, 'i>, Fail> {
    only(object, key)?.ok_or(Fail::new(Reason::FrameKeyMissing, key))
}

fn inner_object<'t, 'i>(
    object: &Object<'t, 'i>,
    key: &'static str,
) -> Result<Object<'t, 'i>, Fail> {
    required(object, key)?.as_object().ok_or(Fail::new(Reason::FrameValue, key))
}

fn read_frame<F: Form>(root: Value<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Fail> {
    let unknown = Fail::new(Reason::FrameUnknownType, "");
    let Some(outer) = root.as_object() else {
        let known = root.is_array();
        return Err(if known { unknown } else { Fail::new(Reason::FrameNotJson, "") });
    };
    let Some(data) = only(&outer, "data")? else {
        return read_event::<F>(&outer, None, sink);
    };
    let Some(name) = only(&outer, "stream")? else {
        return read_event::<F>(&outer, None, sink);
    };
    let name = name.into_string().ok_or(Fail::new(Reason::FrameValue, "stream"))?;
    if data.is_array() {
        return Err(unknown);
    }
    let object = data.as_object().ok_or(Fail::new(Reason::FrameValue, "data"))?;
    read_event::<F>(&object, Some(name), sink)
}

fn read_event<F: Form>(
    object: &Object<'_, '_>,
    stream: Option<&str>,
    sink: &mut Sink<'_>,
) -> Result<(), Fail> {
    let unknown = Fail::new(Reason::FrameUnknownType, "e");
    let Some(name) = only(object, "e")? else {
        let control = CONTROL_KEYS.iter().any(|key| object.get(*key).is_some());
        return Err(if control { unknown } else { Fail::new(Reason::FrameKeyMissing, "e") });
    };
    let symbols = sink.symbols;
    let event = match name.into_string() {
        Some("aggTrade") => build::agg_trade(&members(object, &build::AGG_TRADE)?, symbols)?,
        Some("trade") => build::trade(&members(object, &build::TRADE)?, symbols)?,
        Some("bookTicker") => build::book_ticker(&members(object, &build::BOOK_TICKER)?, symbols)?,
        Some("markPriceUpdate") => {
            build::mark_price(&members(object, &build::MARK_PRICE)?, symbols)?
        }
        Some("kline") if F::CANDLES => {
            let inner = members(&inner_object(object, "k")?, &build::CANDLE)?;
            build::kline(&members(object, &build::OUTER)?, &inner, symbols)?
        }
        Some("forceOrder") => {
            let inner = members(&inner_object(object, "o")?, &build::FORCE_ORDER)?;
            build::force_order(&members(object, &build::OUTER)?, &inner, symbols)?
        }
        Some("depthUpdate") => {
            if stream.is_some_and(|name| !is_diff_stream(name.as_bytes())) {
                return Err(unknown);
            }
            return read_diff(object, sink);
        }
        _ => return Err(unknown),
    };
    sink.out.push(Event { ts_recv: sink.ts_recv.0, ..event });
    Ok(())
}

fn read_diff(object: &Object<'_, '_>, sink: &mut Sink<'_>) -> Result<(), Fail> {
    let members = members(object, &build::DEPTH)?;
    let [_, time, matched, symbol, first, last, previous, ..] = &members.fields;
    let instrument = build::instrument(sink.symbols, symbol)?;
    let head = DepthHead {
        first_id: first.uint()?,
        last_id: last.uint()?,
        prev_id: previous.uint()?,
        ts_match: matched.millis()?,
        ..DepthHead::default()
    };
    let stamp = Event {
        instrument: instrument.0,
        ts_venue: time.millis()?,
        ts_recv: sink.ts_recv.0,
        ..Event::EMPTY
    };
    write_depth(object, ["b", "a"], &stamp, head, sink)
}

fn read_snapshot(
    object: &Object<'_, '_>,
    instrument: InstrumentId,
    sink: &mut Sink<'_>,
) -> Result<(), Fail> {
    let members = members(object, &build::SNAPSHOT)?;
    let [id, time, matched, ..] = &members.fields;
    let last_id = id.uint()?;
    let ts_match = matched.millis()?;
    let head = DepthHead { first_id: last_id, last_id, ts_match, ..DepthHead::default() };
    let stamp = Event {
        instrument: instrument.0,
        flags: flags::SNAPSHOT,
        ts_venue: time.millis()?,
        ts_recv: sink.ts_recv.0,
        ..Event::EMPTY
    };
    write_depth(object, ["bids", "asks"], &stamp, head, sink)
}

fn write_depth(
    object: &Object<'_, '_>,
    [bids, asks]: [&'static str; 2],
    stamp: &Event,
    head: DepthHead,
    sink: &mut Sink<'_>,
) -> Result<(), Fail> {
    let array = |key| {
        let value = required(object, key)?;
        value.as_array().ok_or(Fail::new(Reason::FrameValue, key))
    };
    let (bid_levels, ask_levels) = (array(bids)?, array(asks)?);
    let mut writer = DepthWriter::open(sink.out, stamp);
    write_levels(&bid_levels, &mut writer, bids)?;
    writer.asks();
    write_levels(&ask_levels, &mut writer, asks)?;
    writer.close(head);
    Ok(())
}

fn write_levels(
    levels: &Array<'_, '_>,
    writer: &mut DepthWriter<'_>,
    key: &'static str,
) -> Result<(), Fail> {
    let fail = |reason| Fail::new(reason, key);
    for level in levels.iter() {
        let pair = level.as_array().ok_or(fail(Reason::FrameValue))?;
        let mut parts = pair.iter().map(|part| match part.into_string() {
            Some(text) => decimal(text.as_bytes()).map_err(fail),
            None => Err(fail(Reason::FrameNumber)),
        });
        let (Some(px), Some(qty), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(fail(Reason::FrameValue));
        };
        let (px, qty) = (px?, qty?);
        if px <= 0 || qty < 0 {
            return Err(fail(Reason::FrameValue));
        }
        if !writer.level(px, qty) {
            return Err(fail(Reason::TooManyLevels));
        }
    }
    Ok(())
}

fn read_body(root: Value<'_, '_>, body: RestBody, sink: &mut Sink<'_>) -> Result<(), Fail> {
    if let Some(list) = root.as_array() {
        for item in list.iter() {
            let object = item.as_object().ok_or(Fail::new(Reason::FrameValue, ""))?;
            match read_item(&object, body, sink) {
                // A list over all symbols names many that this session does not trade.
                Err(Fail { reason: Reason::UnknownInstrument, .. }) => {}
                other => other?,
            }
        }
        return Ok(());
    }
    let object = root.as_object().ok_or(Fail::new(Reason::FrameNotJson, ""))?;
    read_item(&object, body, sink)
}

fn read_item(object: &Object<'_, '_>, body: RestBody, sink: &mut Sink<'_>) -> Result<(), Fail> {
    let symbols = sink.symbols;
    let event = match body {
        RestBody::Snapshot(instrument) => return read_snapshot(object, instrument, sink),
        RestBody::OpenInterest => {
            build::open_interest(&members(object, &build::OPEN_INTEREST)?, symbols)?
        }
        RestBody::AggTrades(instrument) => {
            build::rest_agg_trade(&members(object, &build::REST_AGG_TRADE)?, instrument)?
        }
        RestBody::FundingRate => {
            build::funding_rate(&members(object, &build::FUNDING_RATE)?, symbols)?
        }
        RestBody::PremiumIndex => {
            build::premium_index(&members(object, &build::PREMIUM_INDEX)?, symbols)?
        }
    };
    let fits = sink.out.push(Event { ts_recv: sink.ts_recv.0, ..event });
    if fits { Ok(()) } else { Err(Fail::new(Reason::TooManyLevels, "")) }
}
