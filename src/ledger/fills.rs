//! Which fills were booked before, so that a repeated report never counts twice.
//!
//! ```text
//! hash(instrument, trade id) ──► one of 512 buckets ──► 8 keys, the oldest is overwritten
//!                                                            │
//! floor of the instrument: the highest number overwritten ◄──┘     at or below it: booked before
//! ```
//! A venue numbers the trades of an instrument upwards. So a number that was shown is either still
//! in its bucket or not above the floor: however many fills lie between, none is new twice. A trade
//! that was never shown and lies at or below the floor is taken for known. It is then missing in
//! the books, which a reconciliation finds and halts for; for that it has to be older than some
//! thousand later fills and unknown to every look at the venue since.

use crate::base::InstrumentId;
use crate::base::event::{BookedCarried, Event, Kind, PositionCarried};
use crate::base::limits::INSTRUMENTS_MAX;

const BUCKETS: usize = 512;
const WAYS: usize = 8;

const _: () = assert!(BUCKETS.is_power_of_two(), "a bucket's number is so many highest bits");

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct FillMemory {
    buckets: Vec<Bucket>,
    /// By instrument: numbers up to this one are known, 0 for none.
    floors: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
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
    /// Empty. The only allocations.
    pub fn new() -> Self {
        Self { buckets: vec![Bucket::default(); BUCKETS], floors: vec![0; INSTRUMENTS_MAX] }
    }

    /// True the first time a fill is shown. A trade id of 0 means the venue did not tell one: such
    /// a fill is always new here, and the caller must judge it by the filled quantity.
    pub fn is_new(&mut self, instrument: InstrumentId, trade_id: u64) -> bool {
        if trade_id == 0 {
            return true;
        }
        if self.knows(instrument, trade_id) {
            return false;
        }
        let bucket = &mut self.buckets[place(instrument, trade_id)];
        let (of, old) = std::mem::replace(&mut bucket.keys[bucket.next], (instrument.0, trade_id));
        bucket.next = (bucket.next + 1) % WAYS;
        self.raise(InstrumentId(of), old);
        true
    }

    /// True for a fill that was shown before, or lies at or below the instrument's floor.
    pub fn knows(&self, instrument: InstrumentId, trade_id: u64) -> bool {
        let bucket = &self.buckets[place(instrument, trade_id)];
        trade_id != 0
            && (trade_id <= self.floor(instrument)
                || bucket.keys.contains(&(instrument.0, trade_id)))
    }

    /// Numbers up to this one are known; 0 for none.
    pub fn floor(&self, instrument: InstrumentId) -> u64 {
        self.floors.get(instrument.index()).copied().unwrap_or(0)
    }

    /// Numbers from `first` on that were shown and are still remembered one by one, rising. For
    /// cold threads: it allocates.
    pub fn from(&self, instrument: InstrumentId, first: u64) -> std::vec::IntoIter<u64> {
        let keys = self.buckets.iter().flat_map(|bucket| bucket.keys);
        let own = keys.filter(|&(of, id)| of == instrument.0 && id > 0 && id >= first);
        let mut ids: Vec<u64> = own.map(|(_, id)| id).collect();
        ids.sort_unstable();
        ids.into_iter()
    }

    /// Takes in what an earlier session booked (`PositionCarried`, `BookedCarried`).
    pub fn carry(&mut self, event: &Event) {
        match event.kind() {
            Some(Kind::PositionCarried) => {
                let body: &PositionCarried = event.body();
                self.raise(event.instrument(), body.trades_from.saturating_sub(1));
            }
            Some(Kind::BookedCarried) => {
                let body: &BookedCarried = event.body();
                for &id in &body.trade_ids {
                    let _ = self.is_new(event.instrument(), id);
                }
            }
            _ => {}
        }
    }

    fn raise(&mut self, instrument: InstrumentId, trade_id: u64) {
        if let Some(floor) = self.floors.get_mut(instrument.index()) {
            *floor = trade_id.max(*floor);
        }
    }
}

fn place(instrument: InstrumentId, trade_id: u64) -> usize {
    // Fibonacci hashing: the high bits of a product with 2^64 / golden ratio are well mixed.
    let mixed = (trade_id ^ (u64::from(instrument.0) << 48)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - BUCKETS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const BTC: InstrumentId = InstrumentId(0);
    const ETH: InstrumentId = InstrumentId(1);

    #[test]
    fn no_fill_is_new_twice_however_many_lie_between() {
        // An ever growing set is the oracle; gaps in the numbers, two instruments, old repeats.
        let (mut memory, mut shown) = (FillMemory::new(), HashSet::new());
        let mut random = 1_u64;
        let mut newest = [1_000_u64; 2];
        for step in 0..60_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let of = (random >> 40) as usize % 2;
            let instrument = [BTC, ETH][of];
            newest[of] += 1 + (random >> 50) % 3;
            assert!(memory.is_new(instrument, newest[of]), "step {step}: above everything shown");
            shown.insert((of, newest[of]));
            let back = (random >> 33) % 50_000;
            let old = newest[of].saturating_sub(back).max(1);
            if shown.contains(&(of, old)) {
                assert!(memory.knows(instrument, old));
                assert!(!memory.is_new(instrument, old), "step {step}: {back} numbers later");
            }
        }
    }

    #[test]
    fn a_trade_that_was_missed_a_thousand_fills_ago_is_still_new() {
        let mut memory = FillMemory::new();
        for id in (2..=4_000).step_by(2) {
            assert!(memory.is_new(BTC, id));
        }
        assert!((3_001..4_000).step_by(2).all(|id| memory.is_new(BTC, id)));
    }

    #[test]
    fn a_bucket_keeps_as_many_as_it_has_places_and_the_next_one_raises_the_floor() {
        let mut memory = FillMemory::new();
        let of = place(BTC, 1);
        let ids: Vec<u64> = (1..).filter(|&id| place(BTC, id) == of).take(WAYS + 2).collect();
        assert!(ids[..WAYS].iter().all(|&id| memory.is_new(BTC, id)), "and none was known before");
        assert_eq!((memory.floor(BTC), memory.from(BTC, 0).count()), (0, WAYS), "no empty place");
        for (gone, &next) in ids[WAYS..].iter().enumerate() {
            assert!(memory.is_new(BTC, next));
            // The number itself is known too, though its place is another's now.
            assert_eq!(memory.floor(BTC), ids[gone]);
            assert!(memory.knows(BTC, ids[gone]) && !memory.is_new(BTC, ids[gone]));
        }
        assert_eq!(memory.from(BTC, ids[3]).collect::<Vec<_>>(), ids[3..]);
        assert!(!memory.knows(BTC, 0) && memory.is_new(BTC, 0), "no number");
        assert_eq!((memory.floor(ETH), memory.floor(InstrumentId::NONE)), (0, 0));
    }

    #[test]
    fn numbers_in_a_row_spread_over_all_buckets_and_so_does_one_number_of_many_instruments() {
        let full = |places: &mut dyn Iterator<Item = usize>| {
            let mut used = [0; BUCKETS];
            places.for_each(|at| used[at] += 1);
            (used.iter().filter(|&&count| count == 0).count(), used.into_iter().max())
        };
        let (empty, most) = full(&mut (1..=4_096).map(|id| place(BTC, id)));
        assert!(empty == 0 && most < Some(2 * WAYS), "{empty} {most:?}");
        let (empty, _) = full(&mut (0..4_096).map(|of| place(InstrumentId(of), 1_000)));
        assert!(empty < BUCKETS / 4, "{empty}");
    }

    #[test]
    fn what_is_carried_is_known_and_what_lies_between_is_not() {
        let mut memory = FillMemory::new();
        let position = PositionCarried { trades_from: 101, ..PositionCarried::default() };
        memory.carry(&Event::new(Kind::PositionCarried, BTC, &position));
        let booked = BookedCarried { trade_ids: [103, 104, 0, 0], ..BookedCarried::default() };
        memory.carry(&Event::new(Kind::BookedCarried, BTC, &booked));
        let new: Vec<u64> = (95..=106).filter(|&id| memory.is_new(BTC, id)).collect();
        assert_eq!(new, [101, 102, 105, 106]);
        assert!(memory.is_new(ETH, 95), "another contract has numbers of its own");
        assert_eq!(memory.from(BTC, 102).collect::<Vec<_>>(), [102, 103, 104, 105, 106]);
    }
}
