//! Which fills were booked before, so that a repeated report never counts twice.
//!
//! ```text
//! hash(instrument, trade id) ──► one of 512 buckets ──► 8 keys, the oldest is overwritten
//! ```
//! About four thousand fills are remembered; a venue repeats a fill within minutes of it, after a
//! reconnect, not thousands of fills later.

use crate::base::InstrumentId;

const BUCKETS: usize = 512;
const WAYS: usize = 8;

const _: () = assert!(BUCKETS.is_power_of_two(), "the bucket is taken by mask");

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct FillMemory {
    buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Instrument and trade id; trade id 0 is an empty place.
    keys: [(u16, u64); WAYS],
    /// Where the next key goes.
    next: usize,
}

impl Default for FillMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl FillMemory {
    /// Empty. The only allocation.
    pub fn new() -> Self {
        Self { buckets: vec![Bucket { keys: [(0, 0); WAYS], next: 0 }; BUCKETS] }
    }

    /// True the first time a fill is shown. A trade id of 0 means the venue did not tell one: such
    /// a fill is always new here, and the caller must judge it by the filled quantity.
    pub fn is_new(&mut self, instrument: InstrumentId, trade_id: u64) -> bool {
        if trade_id == 0 {
            return true;
        }
        let key = (instrument.0, trade_id);
        let bucket = &mut self.buckets[place(instrument, trade_id)];
        if bucket.keys.contains(&key) {
            return false;
        }
        bucket.keys[bucket.next] = key;
        bucket.next = (bucket.next + 1) % WAYS;
        true
    }
    /// True for a fill that was shown before and is still remembered.
    pub fn knows(&self, instrument: InstrumentId, trade_id: u64) -> bool {
        let bucket = &self.buckets[place(instrument, trade_id)];
        trade_id != 0 && bucket.keys.contains(&(instrument.0, trade_id))
    }
}

fn place(instrument: InstrumentId, trade_id: u64) -> usize {
    // Fibonacci hashing: the high bits of a product with 2^64 / golden ratio are well mixed.
    let mixed = (trade_id ^ (u64::from(instrument.0) << 48)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize & (BUCKETS - 1)
}
