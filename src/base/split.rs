//! Who decides where a champion and a canary share the trading: dealt by blocks of time, so that
//! anybody who knows the seed deals the same.
//!
//! ```text
//!  xxh3(seed, instrument, block) mod 10 000 < share  →  the canary decides
//!       └ three u64, little-endian      block = event time ÷ block length, rounded down
//! ```

use super::ids::InstrumentId;
use super::time::Nanos;
use xxhash_rust::xxh3::xxh3_64;

/// Basis points of a whole.
const WHOLE_BPS: u64 = 10_000;
/// Lawful shares of a canary, in basis points.
pub const SHARE_BPS: std::ops::RangeInclusive<u32> = 1_000..=2_000;

/// A way to deal instruments and blocks of time; see the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Seed of the deal.
    pub seed: u64,
    /// Share of the canary in basis points.
    pub share_bps: u16,
    /// Length of a block in milliseconds; one of 0 counts as 1.
    pub block_ms: u32,
}

impl Split {
    /// Length of a block.
    pub fn length(&self) -> Nanos {
        Nanos::from_millis(i64::from(self.block_ms.max(1)))
    }

    /// The number of the block that `now` (event time) lies in.
    pub fn block(&self, now: Nanos) -> i64 {
        now.0.div_euclid(self.length().0)
    }

    /// True where the canary decides for `instrument` at `now` (event time).
    #[inline]
    pub fn is_canary(&self, instrument: InstrumentId, now: Nanos) -> bool {
        let mut key = [0; 24];
        let words = [self.seed, u64::from(instrument.0), self.block(now).cast_unsigned()];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        xxh3_64(&key) % WHOLE_BPS < u64::from(self.share_bps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLIT: Split = Split { seed: 7, share_bps: 1_500, block_ms: 60_000 };

    #[test]
    fn a_block_has_one_answer_and_the_canary_gets_its_share_of_blocks() {
        let mut dealt = 0;
        let blocks = 100_000;
        for block in 0..blocks {
            let begins = Nanos(block * 60_000_000_000);
            let answers = [0, 1, 59_999_999_999].map(|more| {
                let now = begins + Nanos(more);
                (SPLIT.block(now), SPLIT.is_canary(InstrumentId(1), now))
            });
            assert!(answers.iter().all(|answer| *answer == (block, answers[0].1)), "{block}");
            dealt += i64::from(answers[0].1);
        }
        // Five standard deviations of a binomial of 100 000 with 0.15.
        assert!((dealt - blocks * 15 / 100).abs() < 565, "{dealt}");
    }

    #[test]
    fn seeds_and_instruments_are_dealt_apart_and_no_share_is_never() {
        let deal = |split: Split, instrument| -> Vec<bool> {
            let at = |block: i64| Nanos(block * 60_000_000_000);
            (0..1_000).map(|b| split.is_canary(InstrumentId(instrument), at(b))).collect()
        };
        assert_eq!(deal(SPLIT, 0), deal(SPLIT, 0));
        assert_ne!(deal(SPLIT, 0), deal(SPLIT, 1));
        assert_ne!(deal(SPLIT, 0), deal(Split { seed: 8, ..SPLIT }, 0));
        assert!(!deal(Split { share_bps: 0, ..SPLIT }, 0).contains(&true));
    }

    #[test]
    fn time_before_the_epoch_has_blocks_of_the_same_length() {
        assert_eq!(SPLIT.block(Nanos(-1)), -1);
        assert_eq!(SPLIT.block(Nanos(-60_000_000_000)), -1);
        assert_eq!(SPLIT.block(Nanos(-60_000_000_001)), -2);
    }
}
