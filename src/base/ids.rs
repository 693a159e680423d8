//! Identities: instruments, orders, positions in the river.

use std::fmt;

/// The place of an input in the one total order, given by the feed. Starts at 1; 0 means "none".
pub type Seq = u64;

/// Index of an instrument in the session's instrument table. The symbol is only its label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct InstrumentId(pub u16);

impl InstrumentId {
    /// Events that belong to no instrument carry this.
    pub const NONE: Self = Self(u16::MAX);

    /// As an index into per-instrument tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Side of an order, a taker or a position change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// Buys the base asset.
    Buy = 0,
    /// Sells the base asset.
    Sell = 1,
}

impl Side {
    /// The other side.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// +1 for buy, −1 for sell.
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }
}

/// A venue symbol in upper case, at most [`Symbol::CAPACITY`] bytes of UTF-8 (symbols need not be
/// ASCII).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol([u8; Self::CAPACITY]);

impl Symbol {
    /// Longest symbol in bytes.
    pub const CAPACITY: usize = 32;

    /// From the venue's bytes; `None` when empty, too long, not UTF-8 or containing a zero byte.
    pub fn new(text: &[u8]) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= Self::CAPACITY;
        if !fits || text.contains(&0) || std::str::from_utf8(text).is_err() {
            return None;
        }
        let mut bytes = [0; Self::CAPACITY];
        bytes[..text.len()].copy_from_slice(text);
        Some(Self(bytes))
    }

    /// The text without padding.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(Self::CAPACITY);
        std::str::from_utf8(&self.0[..end]).unwrap_or("")
    }

    /// From bytes as [`Symbol::to_bytes`] gives them; `None` where [`Symbol::new`] has none.
    pub fn from_bytes(bytes: &[u8; Self::CAPACITY]) -> Option<Self> {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(Self::CAPACITY);
        Self::new(&bytes[..end])
    }

    /// The padded bytes, as stored in events.
    pub const fn to_bytes(self) -> [u8; Self::CAPACITY] {
        self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({})", self.as_str())
    }
}

/// Our order identity, never reused.
///
/// ```text
/// bit 63            44 43      38 37      32 31                   0
///     | epoch (20)    | strat (6) | model (6) | counter (32)      |
/// ```
/// `epoch` rises by one at every start that may trade, so a lost journal tail can never repeat an
/// id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ClientOrderId(pub u64);

impl ClientOrderId {
    /// Length of the text form sent to the venue.
    pub const TEXT_LEN: usize = 20;
    const PREFIX: [u8; 4] = *b"pg1-";

    /// Packs the parts; each is cut to its width by the caller's tables (asserted in debug builds).
    pub const fn pack(epoch: u32, strategy: u8, model: u8, counter: u32) -> Self {
        debug_assert!(epoch < 1 << 20 && strategy < 1 << 6 && model < 1 << 6);
        Self(
            ((epoch as u64) << 44)
                | ((strategy as u64) << 38)
                | ((model as u64) << 32)
                | counter as u64,
        )
    }

    /// The start that issued the id.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 44) as u32
    }

    /// The count within the epoch.
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The venue's text form: `pg1-` and sixteen lower-case hex digits.
    pub fn to_text(self) -> [u8; Self::TEXT_LEN] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; Self::TEXT_LEN];
        text[..4].copy_from_slice(&Self::PREFIX);
        for (i, byte) in text[4..].iter_mut().enumerate() {
            *byte = HEX[((self.0 >> (60 - 4 * i)) & 0xf) as usize];
        }
        text
    }

    /// Reads the text form back; `None` for an id that is not ours.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(&Self::PREFIX)?;
        if digits.len() != 16 {
            return None;
        }
        digits
            .iter()
            .try_fold(0_u64, |value, &b| {
                let digit = match b {
                    b'0'..=b'9' => b - b'0',
                    b'a'..=b'f' => b - b'a' + 10,
                    _ => return None,
                };
                Some(value << 4 | u64::from(digit))
            })
            .map(Self)
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pg1-{:016x}", self.0)
    }
}

/// Percent-encodes what a query may not carry plainly: UTF-8 bytes outside the unreserved set, for
/// symbols need not be ASCII.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_outside_ascii_is_percent_encoded_as_utf8() {
        let symbol = Symbol::new("币安USDT".as_bytes()).unwrap();
        assert_eq!(percent_encoded(symbol.as_str()), "%E5%B8%81%E5%AE%89USDT");
    }
}
