//! The members of one JSON object as scalars, in the order a builder asks for them.
//!
//! Two readers fill this table: the key scan of this file and the checked decoder. Builders see
//! only the table, so both readers mean the same by a field.

use super::cursor::Cursor;
use crate::base::units::{DECIMALS, ParseUnitError, parse_fixed};
use crate::base::{InstrumentId, Reason};

/// Why a frame is refused: the reason and the key at fault (`""` for the frame as a whole).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fail {
    pub reason: Reason,
    pub key: &'static str,
    /// The instrument concerned, as far as it is known.
    pub instrument: InstrumentId,
}

impl Fail {
    pub const fn new(reason: Reason, key: &'static str) -> Self {
        Self { reason, key, instrument: InstrumentId::NONE }
    }
}

/// A member's value. Arrays and objects are no scalars; builders that want them ask elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Missing,
    Text(Text<'a>),
    Int(u64),
    Bool(bool),
    Other,
}

/// A string's content, with what follows it in the frame as far as that is at hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Text<'a> {
    from: &'a [u8],
    len: usize,
}

/// A key a builder wants, with what was found for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub key: &'static str,
    pub scalar: Scalar<'a>,
}

/// The wanted keys of one object. A wanted key that comes twice is an error, never a choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'a, const N: usize> {
    pub fields: [Field<'a>; N],
    next: usize,
}

/// How the key scan of an object stopped.
pub(super) enum Stop<'a> {
    /// The object's closing brace was consumed.
    Closed,
    /// At the value of this key, which is an array or an object.
    Nested(&'a [u8]),
}

impl<'a, const N: usize> Members<'a, N> {
    pub fn new(keys: &[&'static str; N]) -> Self {
        Self { fields: keys.map(|key| Field { key, scalar: Scalar::Missing }), next: 0 }
    }

    /// Stores a value; keys that nobody wants are passed over.
    #[inline(always)]
    pub fn set(&mut self, key: &[u8], scalar: Scalar<'a>) -> Result<(), Fail> {
        for step in 0..N {
            // Members mostly come in the order of the table.
            let at = if self.next + step < N { self.next + step } else { self.next + step - N };
            let field = &mut self.fields[at];
            if same_key(field.key.as_bytes(), key) {
                if !field.is_missing() {
                    return Err(Fail::new(Reason::FrameKeyTwice, field.key));
                }
                field.scalar = scalar;
                self.next = (at + 1) % N;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads members from behind an opening brace (`first`) or from behind a value, up to the
    /// closing brace or to a value that is no scalar. `None`: not in the form the scan reads.
    #[inline(always)]
    pub fn scan(&mut self, cursor: &mut Cursor<'a>, mut first: bool) -> Option<Stop<'a>> {
        loop {
            if !first && cursor.accept(b"}") {
                return Some(Stop::Closed);
            }
            if !first {
                cursor.literal(b",")?;
            }
            first = false;
            match scalar_member(cursor)? {
                (key, None) => return Some(Stop::Nested(key)),
                (key, Some(scalar)) => self.set(key, scalar).ok()?,
            }
        }
    }
}

/// Reads one member: its key, and its value if that is a scalar. Before an array or an object it
/// stops behind the colon.
#[inline(always)]
pub(super) fn scalar_member<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Option<Scalar<'a>>)> {
    let key = cursor.quoted_text()?;
    if key == b"data" {
        // What looks raw may be meant as combined.
        return None;
    }
    cursor.literal(b":")?;
    let scalar = match cursor.peek()? {
        b'"' => {
            let from = cursor.rest().get(1..)?;
            let len = cursor.quoted_text()?.len();
            Scalar::Text(Text { from, len })
        }
        b'0'..=b'9' => Scalar::Int(cursor.uint()?),
        b't' | b'f' => Scalar::Bool(cursor.boolean()?),
        b'[' | b'{' => return Some((key, None)),
        _ => {
            cursor.literal(b"null")?;
            Scalar::Other
        }
    };
    Some((key, Some(scalar)))
}

impl<'a> Text<'a> {
    pub const fn new(text: &'a [u8]) -> Self {
        Self { from: text, len: text.len() }
    }

    #[inline(always)]
    pub fn bytes(self) -> &'a [u8] {
        &self.from[..self.len]
    }

    /// A decimal in 1e-8, read eight digits at a time where the frame goes on behind it.
    #[inline(always)]
    fn fixed(self) -> Result<i64, Reason> {
        let mut cursor = Cursor::new(self.from);
        match cursor.fixed_then_quote() {
            Some(value) if self.from.len() - cursor.rest().len() == self.len + 1 => Ok(value),
            _ => decimal(self.bytes()),
        }
    }
}

impl<'a> Field<'a> {
    pub const fn fail(&self, reason: Reason) -> Fail {
        Fail::new(reason, self.key)
    }

    pub fn is_missing(&self) -> bool {
        matches!(self.scalar, Scalar::Missing)
    }

    pub fn text(&self) -> Result<&'a [u8], Fail> {
        match self.scalar {
            Scalar::Text(text) => Ok(text.bytes()),
            Scalar::Missing => Err(self.fail(Reason::FrameKeyMissing)),
            _ => Err(self.fail(Reason::FrameValue)),
        }
    }

    /// A whole number of at most 63 bits: a larger one is no id of a venue, and as the newest of
    /// its stream it would make everything behind it old.
    pub fn uint(&self) -> Result<u64, Fail> {
        match self.scalar {
            Scalar::Int(value) if value > i64::MAX as u64 => Err(self.fail(Reason::FrameRange)),
            Scalar::Int(value) => Ok(value),
            Scalar::Missing => Err(self.fail(Reason::FrameKeyMissing)),
            _ => Err(self.fail(Reason::FrameNumber)),
        }
    }

    pub fn boolean(&self) -> Result<bool, Fail> {
        match self.scalar {
            Scalar::Bool(value) => Ok(value),
            Scalar::Missing => Err(self.fail(Reason::FrameKeyMissing)),
            _ => Err(self.fail(Reason::FrameValue)),
        }
    }

    /// A quoted decimal of any sign in 1e-8.
    pub fn fixed(&self) -> Result<i64, Fail> {
        match self.scalar {
            Scalar::Text(text) => text.fixed().map_err(|reason| self.fail(reason)),
            Scalar::Missing => Err(self.fail(Reason::FrameKeyMissing)),
            _ => Err(self.fail(Reason::FrameNumber)),
        }
    }

    /// A price: above zero.
    pub fn px(&self) -> Result<i64, Fail> {
        let value = self.fixed()?;
        if value > 0 { Ok(value) } else { Err(self.fail(Reason::FrameValue)) }
    }

    /// A quantity, or a price that may be unknown: not below zero.
    pub fn qty(&self) -> Result<i64, Fail> {
        let value = self.fixed()?;
        if value >= 0 { Ok(value) } else { Err(self.fail(Reason::FrameValue)) }
    }

    /// Milliseconds since the epoch, as nanoseconds.
    pub fn millis(&self) -> Result<i64, Fail> {
        millis_to_nanos(self.uint()?).ok_or(self.fail(Reason::FrameRange))
    }
}

/// Equality that does not call out for the usual key of one letter.
#[inline(always)]
fn same_key(wanted: &[u8], key: &[u8]) -> bool {
    match (wanted, key) {
        ([a], [b]) => a == b,
        _ => wanted.len() == key.len() && wanted == key,
    }
}

/// `None` beyond the range of nanoseconds in an `i64` (the year 2262).
#[inline(always)]
pub(super) fn millis_to_nanos(millis: u64) -> Option<i64> {
    i64::try_from(millis).ok()?.checked_mul(1_000_000)
}

/// A decimal with or without an exponent, exactly; `1e-8` is 1.
pub(super) fn decimal(text: &[u8]) -> Result<i64, Reason> {
    match parse_fixed(text) {
        Ok(value) => Ok(value),
        Err(ParseUnitError::OutOfRange) => Err(Reason::FrameRange),
        Err(ParseUnitError::TooFine) => Err(Reason::FrameNumber),
        Err(ParseUnitError::NotDecimal) => with_exponent(text).ok_or(Reason::FrameNumber),
    }
}

/// `mantissa e exponent` where the value is a whole number of 1e-8 within range.
fn with_exponent(text: &[u8]) -> Option<i64> {
    let at = text.iter().position(|b| matches!(b, b'e' | b'E'))?;
    let (mantissa, exponent) = (&text[..at], &text[at + 1..]);
    let (negative, mantissa) = match mantissa {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, mantissa),
    };
    let (whole, fraction) = match mantissa.iter().position(|&b| b == b'.') {
        Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
        None => (mantissa, &mantissa[..0]),
    };
    if whole.is_empty() || whole.len() + fraction.len() > 30 || mantissa.last() == Some(&b'.') {
        return None;
    }
    let mut value: i128 = 0;
    for &byte in whole.iter().chain(fraction) {
        value = value * 10 + i128::from(digit(byte)?);
    }
    let mut power = exponent_value(exponent)? + DECIMALS as i32 - fraction.len() as i32;
    while power < 0 && value != 0 {
        if value % 10 != 0 {
            return None;
        }
        value /= 10;
        power += 1;
    }
    while power > 0 && value != 0 {
        value = value.checked_mul(10)?;
        power -= 1;
    }
    i64::try_from(if negative { -value } else { value }).ok()
}

/// A signed exponent of at most two digits.
fn exponent_value(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    match digits {
        [a] => Some(sign * i32::from(digit(*a)?)),
        [a, b] => Some(sign * (i32::from(digit(*a)?) * 10 + i32::from(digit(*b)?))),
        _ => None,
    }
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}
