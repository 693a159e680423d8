//! One request's text with everything constant already in it.
//!
//! ```text
//! query  symbol=BTCUSDT&…&newClientOrderId=pg1-                     ◄── constant, hashed ahead
//!        0000100000000001&timestamp=1591702613943&quantity=         ◄── fixed width
//!        0.010&price=61800.3&signature=<64 hex>                     ◄── variable width
//! JSON   {"symbol":"BTCUSDT",…,"newClientOrderId":"pg1-             ◄── constant
//!        0000100000000001","timestamp":1591702613943,"quantity":"   ◄── fixed width
//!        0.010","price":"61800.3","apiKey":"…","signature":"…"}     ◄── variable width
//! ```
//! Both forms come from one list of parameters. The venue takes them in any order, with the
//! signature last, so what is constant comes first. In JSON the signature is over the parameters
//! sorted by name, which are hashed piece by piece; a session that is logged on needs none.

use super::super::number::{write_digits, write_fixed, write_hex};
use super::signer::{Signer, SigningKey, hmac};
use super::{REQUEST_BYTES_MAX, Text};
use crate::base::ids::percent_encoded;
use crate::base::settings::OrderEntry;
use crate::base::{Nanos, Reason};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::ops::Range;
use zeroize::Zeroize;

const ID_DIGITS: usize = 16;
const TIME_DIGITS: usize = 13;
const ID_PREFIX: &str = "pg1-";
/// Numbers of variable width in one request: quantity and price.
const NUMBERS_MAX: usize = 2;

/// What a parameter holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A constant text.
    Text(String),
    /// A constant number or flag.
    Plain(String),
    /// The client's name of the order. Stands first among what changes.
    Id,
    /// The time in milliseconds. Stands second.
    Time,
    /// The order's quantity.
    Qty,
    /// The order's price.
    Px,
}

/// A parameter of a request: its name and what it holds.
pub(super) type Param = (&'static str, Value);

/// What changes from one request to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changing {
    pub(super) id: u64,
    pub(super) time: Nanos,
    pub(super) qty: (i64, u32),
    pub(super) px: (i64, u32),
}

/// A piece of the text that a JSON request's signature is over.
#[derive(Clone, Debug)]
enum Piece {
    Constant(Box<[u8]>),
    Id,
    Time,
    /// The number of this place among the numbers.
    Number(usize),
}

#[derive(Clone)]
enum Seal {
    /// HMAC of the query; the hash after the constant part.
    Query(Hmac<Sha256>),
    /// Ed25519 of the query.
    Whole(Signer),
    /// None: the session is logged on.
    Session,
    /// HMAC of the parameters sorted by name, from the absorbed first piece on.
    Sorted { absorbed: Hmac<Sha256>, rest: Box<[Piece]>, key: Box<[u8]> },
}

#[derive(Clone, Copy, Debug)]
struct Number {
    /// Quantity, not price.
    is_qty: bool,
    /// Where its name and marks stand in `marks`.
    lead: (usize, usize),
}

/// See the head of this file.
#[derive(Clone)]
pub(super) struct Template {
    buffer: [u8; REQUEST_BYTES_MAX],
    /// End of the constant part: the id's digits begin here.
    head: usize,
    /// Where the time's digits begin.
    time: usize,
    /// End of the fixed-width part.
    fixed: usize,
    numbers: [Option<Number>; NUMBERS_MAX],
    /// What stands before each number.
    marks: Box<[u8]>,
    /// What stands behind a number.
    close: &'static [u8],
    seal: Seal,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Template({})", String::from_utf8_lossy(&self.buffer[..self.head]))
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        // A request that carried the key may stand here.
        self.buffer.zeroize();
        if let Seal::Sorted { key, .. } = &mut self.seal {
            key.zeroize();
        }
    }
}

impl Template {
    /// Builds the text of a request with `params`; allocates. Constants come first, then id, time
    /// and numbers.
    pub(super) fn new(params: &[Param], signer: &Signer) -> Self {
        let json = signer.entry == OrderEntry::WebSocket;
        let (mut text, mut marks) = (String::new(), String::new());
        let (mut head, mut time) = (0, 0);
        let mut numbers = [None; NUMBERS_MAX];
        let mut count = 0;
        for (at, (name, value)) in params.iter().enumerate() {
            let lead = match (json, at) {
                (false, 0) => format!("{name}="),
                (false, _) => format!("&{name}="),
                (true, 0) => format!("{{\"{name}\":"),
                (true, _) => format!(",\"{name}\":"),
            };
            let quote = if json { "\"" } else { "" };
            match value {
                Value::Text(constant) if json => text += &format!("{lead}\"{constant}\""),
                Value::Text(constant) => text += &format!("{lead}{}", percent_encoded(constant)),
                Value::Plain(constant) => text += &format!("{lead}{constant}"),
                Value::Id => {
                    text += &format!("{lead}{quote}{ID_PREFIX}");
                    head = text.len();
                    text += &format!("{}{quote}", "0".repeat(ID_DIGITS));
                }
                Value::Time => {
                    text += &lead;
                    time = text.len();
                    text += &"0".repeat(TIME_DIGITS);
                }
                Value::Qty | Value::Px => {
                    let start = marks.len();
                    marks += &format!("{lead}{quote}");
                    let is_qty = matches!(value, Value::Qty);
                    numbers[count] = Some(Number { is_qty, lead: (start, marks.len()) });
                    count += 1;
                }
            }
        }
        debug_assert!(head > 0 && time > head, "an id, then a time, then numbers");
        let mut buffer = [0; REQUEST_BYTES_MAX];
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        let seal = match (&signer.key, json) {
            (SigningKey::Hmac(keyed), false) => {
                Seal::Query(keyed.clone().chain_update(&text.as_bytes()[..head]))
            }
            (SigningKey::Hmac(keyed), true) => sorted(params, keyed, &signer.api_key),
            (SigningKey::Ed25519(_), false) => Seal::Whole(signer.clone()),
            (SigningKey::Ed25519(_), true) => Seal::Session,
        };
        Self {
            buffer,
            head,
            time,
            fixed: text.len(),
            numbers,
            marks: marks.into_bytes().into(),
            close: if json { b"\"" } else { b"" },
            seal,
        }
    }

    /// Writes what changes and signs. A number that the instrument's steps cannot express is
    /// refused.
    pub(super) fn fill(&mut self, with: &Changing) -> Result<Text<'_>, Reason> {
        let id_end = self.head + ID_DIGITS;
        write_hex(&mut self.buffer[self.head..id_end], &with.id.to_be_bytes());
        let time_end = self.time + TIME_DIGITS;
        let millis = u64::try_from(with.time.to_millis()).unwrap_or(0);
        write_digits(&mut self.buffer[self.time..time_end], millis);
        let mut end = self.fixed;
        let mut places: [Range<usize>; NUMBERS_MAX] = [0..0, 0..0];
        for (number, place) in self.numbers.iter().zip(&mut places) {
            let Some(number) = number else { break };
            end = put(&mut self.buffer, end, &self.marks[number.lead.0..number.lead.1]);
            let ((value, decimals), refusal) = match number.is_qty {
                true => (with.qty, Reason::LotSize),
                false => (with.px, Reason::TickSize),
            };
            let start = end;
            end = write_fixed(&mut self.buffer, start, value, decimals).ok_or(refusal)?;
            *place = start..end;
            end = put(&mut self.buffer, end, self.close);
        }
        Ok(self.sign(end, &places))
    }

    /// Appends what proves everything before `end`.
    fn sign(&mut self, end: usize, places: &[Range<usize>; NUMBERS_MAX]) -> Text<'_> {
        let buffer = &mut self.buffer;
        let signed_end = match &self.seal {
            Seal::Query(absorbed) => {
                let signature = hmac(absorbed.clone().chain_update(&buffer[self.head..end]));
                let at = put(buffer, end, b"&signature=");
                put(buffer, at, &signature)
            }
            Seal::Whole(signer) => {
                let signature = signer.sign(&buffer[..end]);
                let at = put(buffer, end, b"&signature=");
                put(buffer, at, &signature)
            }
            Seal::Session => put(buffer, end, b"}"),
            Seal::Sorted { absorbed, rest, key } => {
                let mut keyed = absorbed.clone();
                for piece in rest {
                    keyed.update(match piece {
                        Piece::Constant(text) => text,
                        Piece::Id => &buffer[self.head..self.head + ID_DIGITS],
                        Piece::Time => &buffer[self.time..self.time + TIME_DIGITS],
                        Piece::Number(at) => &buffer[places[*at].clone()],
                    });
                }
                let signature = hmac(keyed);
                let mut at = put(buffer, end, b",\"apiKey\":\"");
                at = put(buffer, at, key);
                at = put(buffer, at, b"\",\"signature\":\"");
                at = put(buffer, at, &signature);
                put(buffer, at, b"\"}")
            }
        };
        Text { signed: &self.buffer[..signed_end], unsigned: &self.buffer[..end] }
    }
}

/// Copies `bytes` to `at`; their end.
fn put(buffer: &mut [u8; REQUEST_BYTES_MAX], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    buffer[at..end].copy_from_slice(bytes);
    end
}

/// The pieces that a JSON request's signature is over, the first one absorbed.
fn sorted(params: &[Param], keyed: &Hmac<Sha256>, api_key: &str) -> Seal {
    let mut params = params.to_vec();
    let numbers: Vec<&'static str> = params
        .iter()
        .filter(|(_, value)| matches!(value, Value::Qty | Value::Px))
        .map(|(name, _)| *name)
        .collect();
    params.push(("apiKey", Value::Plain(api_key.to_owned())));
    params.sort_by_key(|(name, _)| *name);
    let mut pieces = Vec::new();
    let mut text = String::new();
    for (at, (name, value)) in params.into_iter().enumerate() {
        text += &format!("{}{name}=", if at == 0 { "" } else { "&" });
        let piece = match value {
            Value::Text(constant) | Value::Plain(constant) => {
                text += &constant;
                continue;
            }
            Value::Id => {
                text += ID_PREFIX;
                Piece::Id
            }
            Value::Time => Piece::Time,
            Value::Qty | Value::Px => {
                Piece::Number(numbers.iter().position(|number| *number == name).unwrap_or(0))
            }
        };
        let constant = std::mem::take(&mut text).into_bytes().into();
        pieces.extend([Piece::Constant(constant), piece]);
    }
    if !text.is_empty() {
        pieces.push(Piece::Constant(text.into_bytes().into()));
    }
    let mut absorbed = keyed.clone();
    if let Some(Piece::Constant(first)) = pieces.first_mut() {
        absorbed.update(first);
        // The key stands in it.
        first.zeroize();
    }
    pieces.remove(0);
    Seal::Sorted { absorbed, rest: pieces.into(), key: api_key.as_bytes().into() }
}
