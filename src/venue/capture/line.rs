//! One line of a capture: its time of receipt and what it holds.

use super::LineFault;
use crate::base::{Nanos, Symbol};

/// The form of a file's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `<digits> <JSON>`.
    Stamped,
    /// `<seconds>: <frame>`.
    Sockets,
    /// `<URL> -> <seconds>: <body>`.
    Requests,
}

/// What a line holds; slices of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'l> {
    Frame(&'l [u8]),
    Snapshot { symbol: Symbol, body: &'l [u8] },
    ExchangeInfo(&'l [u8]),
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'l> {
    Record(Nanos, Content<'l>),
    /// A depth snapshot that does not say of which symbol.
    BareSnapshot(Nanos, &'l [u8]),
    Ignored,
}

/// Quote assets by which a symbol is recognised in a file's name.
const QUOTES: [&str; 6] = ["USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD1"];

impl Form {
    /// The form of a file, by its first line.
    pub fn of(first_line: &[u8]) -> Option<Self> {
        if first_line.starts_with(b"ws://") || first_line.starts_with(b"wss://") {
            return Some(Self::Sockets);
        }
        if first_line.starts_with(b"http://") || first_line.starts_with(b"https://") {
            return Some(Self::Requests);
        }
        if matches!(stamped(first_line), Some((_, rest)) if is_json(rest)) {
            return Some(Self::Stamped);
        }
        matches!(seconds(first_line), Some((_, rest)) if is_json(rest)).then_some(Self::Sockets)
    }

    /// Reads one line without its line end.
    pub fn read<'l>(self, line: &'l [u8]) -> Result<Line<'l>, LineFault> {
        match self {
            Self::Stamped => {
                let (ts, body) = stamped(line).ok_or(LineFault::Stamp)?;
                frame_or_snapshot(ts, body)
            }
            Self::Sockets if line.starts_with(b"ws") => Ok(Line::Ignored),
            Self::Sockets => {
                let (ts, body) = seconds(line).ok_or(LineFault::Stamp)?;
                frame_or_snapshot(ts, body)
            }
            Self::Requests => request(line),
        }
    }
}

fn is_json(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'{' | b'['))
}

fn frame_or_snapshot(ts: Nanos, body: &[u8]) -> Result<Line<'_>, LineFault> {
    if !is_json(body) {
        return Err(LineFault::Payload);
    }
    if is_snapshot(body) {
        return Ok(match symbol_of_snapshot(body) {
            Some(symbol) => Line::Record(ts, Content::Snapshot { symbol, body }),
            None => Line::BareSnapshot(ts, body),
        });
    }
    Ok(Line::Record(ts, Content::Frame(body)))
}

/// A depth snapshot begins with its id, whatever blanks a recorder put in.
fn is_snapshot(body: &[u8]) -> bool {
    let after = body[1..].trim_ascii_start();
    after.starts_with(b"\"lastUpdateId\"") && contains(body, b"\"bids\"")
}

fn request(line: &[u8]) -> Result<Line<'_>, LineFault> {
    const ARROW: &[u8] = b" -> ";
    if !line.starts_with(b"http") {
        // The recorder's own remarks.
        return Ok(Line::Ignored);
    }
    let at = find(line, ARROW).ok_or(LineFault::Stamp)?;
    let url = &line[..at];
    let (ts, body) = seconds(&line[at + ARROW.len()..]).ok_or(LineFault::Stamp)?;
    if contains(url, b"/exchangeInfo") {
        return Ok(Line::Record(ts, Content::ExchangeInfo(body)));
    }
    if !contains(url, b"/depth?") {
        return Ok(Line::Ignored);
    }
    if !is_json(body) {
        return Err(LineFault::Payload);
    }
    let symbol = query_value(url, b"symbol=").ok_or(LineFault::SnapshotSymbol)?;
    let symbol = Symbol::new(symbol).ok_or(LineFault::SnapshotSymbol)?;
    Ok(Line::Record(ts, Content::Snapshot { symbol, body }))
}

fn query_value<'u>(url: &'u [u8], key: &[u8]) -> Option<&'u [u8]> {
    let query = &url[url.iter().position(|&b| b == b'?')? + 1..];
    let mut pairs = query.split(|&b| b == b'&');
    pairs.find_map(|pair| pair.strip_prefix(key))
}

/// `<digits> <rest>`: seconds, milli-, micro- or nanoseconds by the number of digits. Ten digits of
/// seconds last until the year 2286, and each unit has three more.
fn stamped(line: &[u8]) -> Option<(Nanos, &[u8])> {
    let count = line.iter().position(|b| !b.is_ascii_digit())?;
    let unit: i64 = match count {
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    let rest = line[count..].strip_prefix(b" ")?;
    let value = digits(&line[..count])?;
    Some((Nanos(value.checked_mul(unit)?), rest.trim_ascii_start()))
}

/// `<seconds>[.<fraction>]: <rest>`.
fn seconds(line: &[u8]) -> Option<(Nanos, &[u8])> {
    let colon = line.iter().take(32).position(|&b| b == b':')?;
    let rest = line[colon + 1..].strip_prefix(b" ")?;
    let stamp = &line[..colon];
    let point = stamp.iter().position(|&b| b == b'.').unwrap_or(colon);
    let fraction = stamp.get(point + 1..).unwrap_or(&[]);
    if point == 0 || fraction.len() > 9 {
        return None;
    }
    let scale = 10_i64.pow(9 - fraction.len() as u32);
    let nanos = if fraction.is_empty() { 0 } else { digits(fraction)? * scale };
    let whole = digits(&stamp[..point])?.checked_mul(1_000_000_000)?;
    Some((Nanos(whole.checked_add(nanos)?), rest))
}

/// A number of at most 19 digits and nothing else.
fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let append = |value: i64, &byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    };
    text.iter().try_fold(0, append)
}

/// Where `needle` (not empty) begins first.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle[0];
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|&b| b == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    find(haystack, needle).is_some()
}

/// The symbol in a file's name (`usdm_btcusdt_20240808.gz`), if one part of it looks like one.
pub(super) fn symbol_of_name(name: &str) -> Option<Symbol> {
    name.split(|c: char| !c.is_alphanumeric()).find_map(|part| {
        let part = part.to_uppercase();
        let is_symbol = QUOTES.iter().any(|q| part.len() > q.len() && part.ends_with(q));
        is_symbol.then(|| Symbol::new(part.as_bytes())).flatten()
    })
}

/// The symbol that a snapshot of some dialects names, before its levels.
fn symbol_of_snapshot(body: &[u8]) -> Option<Symbol> {
    let head = &body[..find(body, b"\"bids\"")?];
    symbol_behind(head, b"\"symbol\":")
}

/// The symbol a frame names: its first `"s":"…"`.
pub(super) fn symbol_of_frame(frame: &[u8]) -> Option<Symbol> {
    symbol_behind(frame, b"\"s\":")
}

fn symbol_behind(text: &[u8], key: &[u8]) -> Option<Symbol> {
    let after = text[find(text, key)? + key.len()..].trim_ascii_start().strip_prefix(b"\"")?;
    let end = after.iter().take(Symbol::CAPACITY + 1).position(|&b| b == b'"')?;
    Symbol::new(&after[..end])
}
