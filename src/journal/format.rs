//! Every byte of a segment file.
//!
//! ```text
//! lane<N>-<number:06>.pgj
//! byte 0     8        12              16        24     28             32       40             48
//!      | magic | format | event version | session | lane | record bytes | number | first record |
//! byte 48         56              64       68     72        80         88      96           104
//!      | capacity | opening check | ending | zero | records | previous | chain | seal check | 0
//! byte 4096 + 128 × i: record i, exactly a `base::Event` whose `check` is the commit word
//! ```
//!
//! All integers are little-endian. Bytes 0–63 (the opening) are written when the segment is made,
//! bytes 64–103 (the seal) when it is finished; until then they are zero. Both lie in the first
//! 512-byte sector, so a seal is on the disk whole or not at all. There is no wall-clock time, boot
//! id or path in a segment: the same inputs give the same bytes.

use super::error::Damage;
use crate::base::Event;
use crate::base::event::{EVENT_BYTES, EVENT_VERSION};
use std::fmt;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64, xxh3_64_with_seed};
use zerocopy::IntoBytes;

/// Lanes of a journal: 0 inputs, 1 [`ANSWERS_LANE`], 2 [`RISK_LANE`], 3 execution, 4
/// [`STAMPS_LANE`].
pub const LANES: usize = 5;
/// The lane of inference: what the models answered.
pub const ANSWERS_LANE: usize = 1;
/// The lane of risk: orders and positions.
pub const RISK_LANE: usize = 2;
/// The lane of latency stamps; replay never compares it.
pub const STAMPS_LANE: usize = 4;
/// Bytes before the first record.
pub const HEADER_BYTES: usize = 4_096;
/// Bytes of one record.
pub const RECORD_BYTES: usize = EVENT_BYTES;
/// Largest segment: 2 GiB of records. Bounds what a hostile header can ask for.
pub const SEGMENT_RECORDS_MAX: u64 = 1 << 24;
/// Segments one lane may have on disk; bounds what a hostile folder can ask for.
pub const SEGMENTS_MAX: usize = 1 << 20;
/// Version of this layout.
pub const FORMAT_VERSION: u32 = 1;

pub(super) const MAGIC: [u8; 8] = *b"PGRNJNL\n";
pub(super) const SEAL_AT: usize = 64;
const SEAL_END: usize = 104;

const _: () = {
    // Records are 128-aligned in the mapping, so a commit word never straddles a cache line.
    assert!(HEADER_BYTES.is_multiple_of(RECORD_BYTES));
    // A seal must not straddle two sectors.
    assert!(SEAL_END <= 512);
    // The bytes of an `Event` are the bytes on disk.
    assert!(cfg!(target_endian = "little"));
};

/// Place of a record in its lane, from 0, counted over all segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RecordIndex(pub u64);

impl fmt::Display for RecordIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a sealed segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Ending {
    /// Full; the lane goes on in the next segment.
    Full = 1,
    /// Last of a lane that was closed in order.
    Final = 2,
    /// Last of a lane that crashed; `repair` cut the unwritten rest, no record was lost.
    Cut = 3,
    /// Last of a damaged lane; an operator accepted the loss of what followed.
    Lossy = 4,
}

impl Ending {
    const fn from_u32(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Full),
            2 => Some(Self::Final),
            3 => Some(Self::Cut),
            4 => Some(Self::Lossy),
            _ => None,
        }
    }
}

/// What is known of a segment when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The session that writes.
    pub session: u64,
    /// Lane, below [`LANES`].
    pub lane: u32,
    /// Place of the segment in its lane, from 0.
    pub number: u64,
    /// Index of its first record.
    pub first_record: u64,
    /// Records it can hold, 1 to [`SEGMENT_RECORDS_MAX`].
    pub capacity: u64,
}

/// What is known of a segment when it is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// How it ended.
    pub ending: Ending,
    /// Records it holds, at most its capacity.
    pub records: u64,
    /// Chain hash of the segment before, 0 for segment 0.
    pub previous: u64,
    /// Hash over `previous`, the opening and all records: changes if anything before changes.
    pub chain: u64,
}

/// A segment's header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Written at creation.
    pub opening: Opening,
    /// Written at the end; `None` while the segment is being filled.
    pub seal: Option<Seal>,
}

impl Opening {
    /// Segment `number` of a lane whose segments all hold `capacity` records.
    pub const fn new(session: u64, lane: u32, number: u64, capacity: u64) -> Self {
        Self { session, lane, number, first_record: number.saturating_mul(capacity), capacity }
    }

    /// The file's name within the journal folder.
    pub fn file_name(&self) -> String {
        segment_file_name(self.lane as usize, self.number)
    }

    /// Index of the first record of the next segment.
    pub const fn end_record(&self) -> u64 {
        self.first_record.saturating_add(self.capacity)
    }

    /// Size of the file while it is being filled, in bytes.
    pub const fn file_bytes(&self) -> u64 {
        file_bytes(self.capacity)
    }

    /// What every record check of this segment is seeded with, before the record index.
    pub fn seed(&self) -> u64 {
        let mut identity = [0_u8; 20];
        identity[..8].copy_from_slice(&self.session.to_le_bytes());
        identity[8..12].copy_from_slice(&self.lane.to_le_bytes());
        identity[12..].copy_from_slice(&self.number.to_le_bytes());
        xxh3_64(&identity)
    }

    fn encode_into(&self, block: &mut [u8; HEADER_BYTES]) {
        block[..8].copy_from_slice(&MAGIC);
        put_u32(block, 8, FORMAT_VERSION);
        put_u32(block, 12, EVENT_VERSION);
        put_u64(block, 16, self.session);
        put_u32(block, 24, self.lane);
        put_u32(block, 28, RECORD_BYTES as u32);
        put_u64(block, 32, self.number);
        put_u64(block, 40, self.first_record);
        put_u64(block, 48, self.capacity);
        let check = xxh3_64(&block[..56]);
        put_u64(block, 56, check);
    }
}

impl Header {
    /// The block as it is on disk.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut block = [0; HEADER_BYTES];
        self.opening.encode_into(&mut block);
        if let Some(seal) = self.seal {
            put_u32(&mut block, 64, seal.ending as u32);
            put_u64(&mut block, 72, seal.records);
            put_u64(&mut block, 80, seal.previous);
            put_u64(&mut block, 88, seal.chain);
            let check = xxh3_64(&block[..96]);
            put_u64(&mut block, 96, check);
        }
        block
    }

    /// Reads a block.
    ///
    /// # Errors
    /// The byte offset of the first wrong field, and what is wrong with it. Any changed bit of the
    /// 4096 is found: every byte is either under a check or must be zero.
    pub fn decode(block: &[u8; HEADER_BYTES]) -> Result<Self, (u64, Damage)> {
        if block[..8] != MAGIC {
            return Err((0, Damage::NoMagic));
        }
        if u64_at(block, 56) != xxh3_64(&block[..56]) {
            return Err((56, Damage::HeaderCheck));
        }
        let format = u32_at(block, 8);
        if format != FORMAT_VERSION {
            return Err((8, Damage::FormatVersion(format)));
        }
        let event_version = u32_at(block, 12);
        if event_version != EVENT_VERSION {
            return Err((12, Damage::EventVersion(event_version)));
        }
        if u32_at(block, 28) != RECORD_BYTES as u32 {
            return Err((28, Damage::Field("record size")));
        }
        let capacity = u64_at(block, 48);
        if capacity == 0 || capacity > SEGMENT_RECORDS_MAX {
            return Err((48, Damage::Field("capacity")));
        }
        let lane = u32_at(block, 24);
        let opening = Opening::new(u64_at(block, 16), lane, u64_at(block, 32), capacity);
        if opening.first_record != u64_at(block, 40) {
            return Err((40, Damage::Field("first record")));
        }
        if let Some(at) = block[SEAL_END..].iter().position(|&b| b != 0) {
            return Err(((SEAL_END + at) as u64, Damage::Field("zero padding")));
        }
        Ok(Self { opening, seal: decode_seal(block, capacity)? })
    }
}

fn decode_seal(block: &[u8; HEADER_BYTES], capacity: u64) -> Result<Option<Seal>, (u64, Damage)> {
    if block[SEAL_AT..SEAL_END].iter().all(|&b| b == 0) {
        return Ok(None);
    }
    if u64_at(block, 96) != xxh3_64(&block[..96]) {
        return Err((96, Damage::SealCheck));
    }
    let ending = Ending::from_u32(u32_at(block, 64)).ok_or((64, Damage::Field("ending")))?;
    let records = u64_at(block, 72);
    let full = records == capacity;
    if records > capacity || (ending == Ending::Full && !full) {
        return Err((72, Damage::Field("record count")));
    }
    Ok(Some(Seal { ending, records, previous: u64_at(block, 80), chain: u64_at(block, 88) }))
}

/// Running hash that becomes [`Seal::chain`].
pub(super) struct Chain(Xxh3Default);

impl Chain {
    /// Starts with what came before and the segment's own identity.
    pub(super) fn new(previous: u64, opening: &Opening) -> Self {
        let mut block = [0; HEADER_BYTES];
        opening.encode_into(&mut block);
        let mut hash = Xxh3Default::new();
        hash.update(&previous.to_le_bytes());
        hash.update(&block[..SEAL_AT]);
        Self(hash)
    }

    /// Takes in the next bytes of the record area.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The chain hash so far.
    pub(super) fn digest(&self) -> u64 {
        self.0.digest()
    }
}

/// The commit word of `event` as record `record` of the segment with this [`Opening::seed`]: the
/// low half of xxh3-64 over the record with a zero in the word's own place. Never 0, which means
/// "not written".
#[inline]
pub fn commit_word(event: &Event, segment_seed: u64, record: RecordIndex) -> u32 {
    // An odd multiplier spreads the index over the seed, so that neighbours share no seed bits.
    let seed = segment_seed ^ record.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let clean = Event { check: 0, ..*event };
    (xxh3_64_with_seed(clean.as_bytes(), seed) as u32).max(1)
}

/// Name of a segment's file.
pub(super) fn segment_file_name(lane: usize, number: u64) -> String {
    format!("lane{lane}-{number:06}.pgj")
}

/// Lane and number from a file's name; `None` for any other spelling.
pub(super) fn parse_segment_file_name(name: &str) -> Option<(usize, u64)> {
    let (lane, number) = name.strip_prefix("lane")?.strip_suffix(".pgj")?.split_once('-')?;
    let (lane, number) = (lane.parse().ok()?, number.parse().ok()?);
    // Only the one spelling: `lane0-0000001.pgj` would be a second file for the same segment.
    (segment_file_name(lane, number) == name).then_some((lane, number))
}

/// Size of a segment file that holds `records`, in bytes.
pub(super) const fn file_bytes(records: u64) -> u64 {
    HEADER_BYTES as u64 + records * RECORD_BYTES as u64
}

fn put_u32(block: &mut [u8; HEADER_BYTES], at: usize, value: u32) {
    block[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(block: &mut [u8; HEADER_BYTES], at: usize, value: u64) {
    block[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn u32_at(block: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

fn u64_at(block: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(block, at)) | u64::from(u32_at(block, at + 4)) << 32
}
