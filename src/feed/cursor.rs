//! Scanner primitives over one frame. Each consumes exactly what it names and returns `None`
//! for anything else: the caller then declines the frame and the checked decoder decides.
//!
//! What they accept is a subset of JSON: no blanks, no escapes, no signs, no exponents, no leading
//! zeros in bare numbers. Digits are read eight at a time where eight bytes can be read.

use crate::base::units::parse_fixed;

/// A place in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

/// Powers of ten up to 1e8, to append a second group of digits to a first.
const POW10: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const ONES_WIDE: u128 = (ONES as u128) << 64 | ONES as u128;
const HIGH_WIDE: u128 = ONES_WIDE * 0x80;

impl<'a> Cursor<'a> {
    pub const fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame }
    }

    /// True when nothing is left.
    #[inline(always)]
    pub const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    #[inline(always)]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The byte at hand, if any.
    #[inline(always)]
    pub const fn peek(&self) -> Option<u8> {
        match self.rest {
            [first, ..] => Some(*first),
            [] => None,
        }
    }

    /// Steps over `literal`.
    #[inline(always)]
    pub fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    /// Steps over `literal` if it is there.
    #[inline(always)]
    pub fn accept(&mut self, literal: &[u8]) -> bool {
        self.literal(literal).is_some()
    }

    /// A bare unsigned integer of at most 18 digits.
    #[inline(always)]
    pub fn uint(&mut self) -> Option<u64> {
        let Some((first, second)) = two_words(self.rest) else { return self.uint_bytewise() };
        let count = digit_count(first);
        let (value, count) = if count < 8 {
            if count == 0 {
                return None;
            }
            (digits_right(first, count), count)
        } else {
            let more = digit_count(second);
            if more == 8 {
                return self.uint_bytewise();
            }
            let low = if more == 0 { 0 } else { digits_right(second, more) };
            (digits_right(first, 8) * POW10[more as usize] + low, 8 + more)
        };
        if self.rest[0] == b'0' && count > 1 {
            return None;
        }
        self.rest = &self.rest[count as usize..];
        Some(value)
    }

    /// A decimal and its closing quote.
    #[inline(always)]
    pub fn fixed_then_quote(&mut self) -> Option<i64> {
        let Some(chunk) = self.rest.first_chunk::<16>() else { return self.fixed_stepwise() };
        let values = u128::from_le_bytes(*chunk) ^ (ONES_WIDE * 0x30);
        let marks = (values.wrapping_add(ONES_WIDE * 0x76) | values) & HIGH_WIDE;
        let point = marks.trailing_zeros() / 8;
        // A point carries nothing into the next byte, so behind it the second mark is right too.
        let quote = (marks & marks.wrapping_sub(1)).trailing_zeros() / 8;
        let count = quote.wrapping_sub(point + 1);
        let is_usual = point.wrapping_sub(1) < 7 && count.wrapping_sub(1) < 8;
        if !is_usual || chunk[point as usize & 15] != b'.' || chunk[quote as usize & 15] != b'"' {
            return self.fixed_stepwise();
        }
        let whole = eight_digits((values as u64) << (64 - 8 * point)) * POW10[8];
        let fraction = (values >> (8 * (point + 1))) as u64 & (u64::MAX >> (64 - 8 * count));
        self.rest = &self.rest[quote as usize + 1..];
        Some((whole + eight_digits(fraction)) as i64)
    }

    /// The same for what is short of bytes behind it, has no point, or is long.
    #[inline(never)]
    fn fixed_stepwise(&mut self) -> Option<i64> {
        let Some(whole_word) = word_at(self.rest, 0) else { return self.fixed_bytewise() };
        let whole_count = digit_count(whole_word);
        if whole_count == 8 || whole_count == 0 {
            return self.fixed_bytewise();
        }
        let whole = digits_right(whole_word, whole_count) * POW10[8];
        let at = whole_count as usize;
        match self.rest[at] {
            b'"' => {
                self.rest = &self.rest[at + 1..];
                Some(whole as i64)
            }
            b'.' => {
                let Some(word) = word_at(self.rest, at + 1) else { return self.fixed_bytewise() };
                let count = digit_count(word);
                let end = at + 1 + count as usize;
                if count == 0 || self.rest.get(end) != Some(&b'"') {
                    return self.fixed_bytewise();
                }
                self.rest = &self.rest[end + 1..];
                Some((whole + digits_left(word, count)) as i64)
            }
            _ => None,
        }
    }

    /// A string's content without its quotes; no escapes, no control characters, valid UTF-8.
    #[inline(always)]
    pub fn quoted_text(&mut self) -> Option<&'a [u8]> {
        self.literal(b"\"")?;
        let len = plain_len(self.rest);
        if self.rest.get(len) != Some(&b'"') {
            return self.text_beyond_ascii();
        }
        let (text, rest) = self.rest.split_at(len);
        self.rest = &rest[1..];
        Some(text)
    }

    /// `true` or `false`.
    #[inline(always)]
    pub fn boolean(&mut self) -> Option<bool> {
        if self.accept(b"true") {
            Some(true)
        } else {
            self.literal(b"false")?;
            Some(false)
        }
    }

    #[cold]
    fn text_beyond_ascii(&mut self) -> Option<&'a [u8]> {
        let len = self.rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20)?;
        if self.rest[len] != b'"' {
            return None;
        }
        let text = &self.rest[..len];
        std::str::from_utf8(text).ok()?;
        self.rest = &self.rest[len + 1..];
        Some(text)
    }

    #[cold]
    fn uint_bytewise(&mut self) -> Option<u64> {
        let len = self.rest.iter().position(|b| !b.is_ascii_digit())?;
        let digits = &self.rest[..len];
        if len == 0 || len > 18 || (len > 1 && digits[0] == b'0') {
            return None;
        }
        self.rest = &self.rest[len..];
        Some(digits.iter().fold(0, |value, &b| value * 10 + u64::from(b - b'0')))
    }

    #[cold]
    fn fixed_bytewise(&mut self) -> Option<i64> {
        // A decimal of the fixed-point range has at most 11 digits before the point; zeros may
        // trail, but a frame that writes more of them than this is one for the checked decoder.
        let window = &self.rest[..self.rest.len().min(40)];
        let len = window.iter().position(|&b| b == b'"')?;
        if window[0] == b'-' {
            return None;
        }
        let value = parse_fixed(&window[..len]).ok()?;
        self.rest = &self.rest[len + 1..];
        Some(value)
    }
}

/// Eight bytes at `at`, the first in the lowest byte.
#[inline(always)]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Sixteen bytes as two words, zeros behind the end; `None` with fewer than eight bytes left.
#[inline(always)]
fn two_words(bytes: &[u8]) -> Option<(u64, u64)> {
    if let Some(chunk) = bytes.first_chunk::<16>() {
        let whole = u128::from_le_bytes(*chunk);
        return Some((whole as u64, (whole >> 64) as u64));
    }
    let first = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    // The last eight bytes overlap the first; what overlaps is shifted out.
    let last = u64::from_le_bytes(*bytes.last_chunk::<8>()?);
    let overlap = 16 - bytes.len() as u32;
    Some((first, last.checked_shr(8 * overlap).unwrap_or(0)))
}

/// How many of the eight bytes, from the first on, are digits.
///
/// A digit xor '0' is 0 to 9; adding 0x76 to 10 or more sets the high bit. Carries run upward
/// only, so the lowest marked byte is always right.
#[inline(always)]
const fn digit_count(word: u64) -> u32 {
    let value = word ^ (ONES * 0x30);
    let marks = (value.wrapping_add(ONES * 0x76) | value) & HIGH;
    marks.trailing_zeros() / 8
}

/// The number written by the first `count` (1 to 8) digits.
#[inline(always)]
const fn digits_right(word: u64, count: u32) -> u64 {
    eight_digits((word ^ (ONES * 0x30)) << (64 - 8 * count))
}

/// The first `count` (1 to 8) digits with zeros appended to make eight.
#[inline(always)]
const fn digits_left(word: u64, count: u32) -> u64 {
    eight_digits((word ^ (ONES * 0x30)) & (u64::MAX >> (64 - 8 * count)))
}

/// Eight digit values, most significant in the lowest byte, as a number: pairs, then fours, then
/// eight, each step one multiplication for all groups at once.
#[inline(always)]
const fn eight_digits(values: u64) -> u64 {
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let mask = 0x0000_00FF_0000_00FF;
    let high = (pairs & mask).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & mask).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

/// Bytes before the first quote, backslash, control character or byte beyond ASCII.
#[inline(always)]
fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word_at(bytes, at) {
        let marks = (zero_bytes(word ^ (ONES * 0x22)) | zero_bytes(word ^ (ONES * 0x5C)))
            | (word.wrapping_sub(ONES * 0x20) & !word)
            | word;
        let marks = marks & HIGH;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let tail = &bytes[at..];
    let special = |b: &u8| matches!(*b, b'"' | b'\\' | 0..=0x1F | 0x80..);
    at + tail.iter().position(special).unwrap_or(tail.len())
}

/// Marks the zero bytes; above the lowest zero byte marks may be wrong.
#[inline(always)]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}
