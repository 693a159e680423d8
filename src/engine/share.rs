//! Which instruments a stage has: all of the session's, or one part of several.
//!
//! ```text
//!  instrument   0  1  2  3  4  5  6        of three shards
//!  shard        0  1  2  0  1  2  0        the remainder
//!  its place    0  0  0  1  1  1  2        the quotient
//! ```
//! Neighbours fall to different shards: a table is mostly written with the busiest symbols first.

use crate::base::ids::InstrumentId;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    shard: usize,
    shards: usize,
    instruments: usize,
}

impl Share {
    /// All of so many instruments.
    pub const fn whole(instruments: usize) -> Self {
        Self { shard: 0, shards: 1, instruments }
    }

    /// The parts of so many instruments, in order; at least one.
    pub fn split(instruments: usize, shards: usize) -> Vec<Self> {
        let shards = shards.max(1);
        (0..shards).map(|shard| Self { shard, shards, instruments }).collect()
    }

    /// Which part it is, from 0.
    pub const fn shard(self) -> usize {
        self.shard
    }

    /// Instruments of the session.
    pub const fn instruments(self) -> usize {
        self.instruments
    }

    /// Instruments of this part.
    pub const fn places(self) -> usize {
        self.instruments.saturating_sub(self.shard).div_ceil(self.shards)
    }

    /// The shard that has an instrument of the session.
    #[inline]
    pub const fn shard_of(self, instrument: usize) -> usize {
        instrument % self.shards
    }

    /// True for an instrument of this part; only those of the session are asked for.
    #[inline]
    pub const fn has(self, instrument: usize) -> bool {
        self.shards == 1 || self.shard_of(instrument) == self.shard
    }

    /// The place of an instrument in the part that has it; beyond every place for one that is not
    /// of the session.
    #[inline]
    pub const fn place(self, instrument: usize) -> usize {
        if self.shards == 1 {
            instrument
        } else if instrument < self.instruments {
            instrument / self.shards
        } else {
            usize::MAX
        }
    }

    /// The instrument at a place of this part.
    pub fn instrument(self, place: usize) -> InstrumentId {
        let instrument = place * self.shards + self.shard;
        InstrumentId(u16::try_from(instrument).unwrap_or(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instrument_is_of_one_shard_and_comes_back_from_its_place() {
        for (instruments, shards) in [(1, 1), (2, 2), (7, 3), (64, 5), (3, 8)] {
            let shares = Share::split(instruments, shards);
            assert_eq!(shares.iter().map(|share| share.places()).sum::<usize>(), instruments);
            for instrument in 0..instruments {
                let its: Vec<_> = shares.iter().filter(|share| share.has(instrument)).collect();
                let [its] = its[..] else { panic!("{instrument} of {shares:?}") };
                assert_eq!(its.shard(), its.shard_of(instrument));
                let place = its.place(instrument);
                assert!(place < its.places());
                assert_eq!(its.instrument(place).index(), instrument);
            }
            for share in shares {
                assert!(share.place(instruments) >= share.places(), "of no instrument");
                assert!(share.place(usize::from(u16::MAX)) >= share.places());
            }
        }
    }
}
