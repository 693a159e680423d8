//! Symbols to instrument ids: open addressing over the padded 32 bytes of a symbol.
//!
//! The table is at most a quarter full, so that a lookup is one probe in nearly every case. The
//! key is the whole symbol, never a hash alone: two symbols can share a slot, not an id.

use crate::base::settings::InstrumentSettings;
use crate::base::{InstrumentId, Symbol};

/// Symbols of the session; see the head of this file.
#[derive(Clone, Debug)]
pub struct SymbolTable {
    slots: Vec<Slot>,
    mask: usize,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: Key,
    instrument: InstrumentId,
}

/// The padded bytes of a symbol; no symbol contains a zero byte, so the padding ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    low: u128,
    high: u128,
}

const HALF: usize = Symbol::CAPACITY / 2;
const EMPTY: Slot = Slot { key: Key { low: 0, high: 0 }, instrument: InstrumentId::NONE };

impl SymbolTable {
    /// Numbers the instruments in the order given. Of two equal symbols the first keeps the id.
    pub fn new(instruments: &[InstrumentSettings]) -> Self {
        let size = (instruments.len() * 4).next_power_of_two().max(16);
        let mut table = Self { slots: vec![EMPTY; size], mask: size - 1, len: 0 };
        for (index, settings) in instruments.iter().enumerate() {
            let Ok(index) = u16::try_from(index) else { break };
            table.insert(settings.symbol, InstrumentId(index));
        }
        table
    }

    /// Number of distinct symbols.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when there is no symbol.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of a symbol as the venue writes it (upper case, UTF-8).
    #[inline]
    pub fn find(&self, text: &[u8]) -> Option<InstrumentId> {
        self.find_prefix(text, text.len())
    }

    /// The id of the symbol in the first `len` bytes of `from`. What lies behind them is not looked
    /// at, but lets short symbols be loaded in one piece.
    #[inline]
    pub(super) fn find_prefix(&self, from: &[u8], len: usize) -> Option<InstrumentId> {
        // A zero at the end would be taken for padding.
        if from.get(len.wrapping_sub(1)) == Some(&0) {
            return None;
        }
        let key = Key::of(from, len)?;
        let mut at = key.hash() & self.mask;
        loop {
            let slot = self.slots.get(at)?;
            if slot.key == key {
                return Some(slot.instrument);
            }
            if slot.instrument == InstrumentId::NONE {
                return None;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Whose a frame is that may not be readable: by the name of its stream, else by its symbol.
    #[cold]
    pub(super) fn of_stream(&self, frame: &[u8]) -> Option<InstrumentId> {
        const STREAM: &[u8] = b"{\"stream\":\"";
        const SYMBOL: &[u8] = b"\"s\":\"";
        let (rest, end) = match frame.strip_prefix(STREAM) {
            Some(rest) => (rest, b'@'),
            None => {
                let at = frame.windows(SYMBOL.len()).position(|window| window == SYMBOL)?;
                (&frame[at + SYMBOL.len()..], b'"')
            }
        };
        let len = rest.iter().take(Symbol::CAPACITY).position(|&byte| byte == end)?;
        let mut upper = [0; Symbol::CAPACITY];
        upper[..len].copy_from_slice(&rest[..len]);
        upper[..len].make_ascii_uppercase();
        self.find(&upper[..len])
    }

    fn insert(&mut self, symbol: Symbol, instrument: InstrumentId) {
        let text = symbol.as_str().as_bytes();
        let Some(key) = Key::of(text, text.len()) else { return };
        if self.find(text).is_some() {
            return;
        }
        let mut at = key.hash() & self.mask;
        while self.slots[at].instrument != InstrumentId::NONE {
            at = (at + 1) & self.mask;
        }
        self.slots[at] = Slot { key, instrument };
        self.len += 1;
    }
}

impl Key {
    #[inline(always)]
    fn of(from: &[u8], len: usize) -> Option<Self> {
        match from.first_chunk::<HALF>() {
            Some(chunk) if len.wrapping_sub(1) < HALF => {
                let mask = u128::MAX >> (128 - 8 * len);
                Some(Self { low: u128::from_le_bytes(*chunk) & mask, high: 0 })
            }
            _ => Self::padded(from.get(..len)?),
        }
    }

    fn padded(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > Symbol::CAPACITY {
            return None;
        }
        let mut bytes = [0; Symbol::CAPACITY];
        bytes[..text.len()].copy_from_slice(text);
        let (low, high) = bytes.split_first_chunk::<HALF>()?;
        let high = high.first_chunk::<HALF>()?;
        Some(Self { low: u128::from_le_bytes(*low), high: u128::from_le_bytes(*high) })
    }

    #[inline(always)]
    const fn hash(self) -> usize {
        let folded = self.low ^ self.high.rotate_left(29);
        let mixed = (folded as u64) ^ ((folded >> 64) as u64).rotate_left(23);
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
    }
}
