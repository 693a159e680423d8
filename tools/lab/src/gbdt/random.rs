//! Random numbers by what they are for: no state is carried from one use to the next.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a draw is for.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Purpose {
    /// Which rows a round looks at.
    Rows = 1,
    /// Which features a tree looks at.
    Features = 2,
    /// First weights of a net.
    Weights = 3,
    /// In which order a net sees its rows.
    Order = 4,
}

/// The generator of one (seed, purpose, fold, round, tree).
pub fn generator(seed: u64, purpose: Purpose, fold: u32, round: usize, tree: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..12].copy_from_slice(&(purpose as u32).to_le_bytes());
    key[12..16].copy_from_slice(&fold.to_le_bytes());
    key[16..24].copy_from_slice(&(round as u64).to_le_bytes());
    key[24..].copy_from_slice(&(tree as u64).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// A `share` of `0..count`, ascending, never empty; everything when `share` is 1.
pub fn share_of(
    count: usize,
    share: f64,
    (seed, purpose, fold): (u64, Purpose, u32),
    (round, tree): (usize, usize),
) -> Vec<u32> {
    let all = 0..u32::try_from(count).expect("tables have fewer than 2^32 rows and features");
    if share >= 1.0 {
        return all.collect();
    }
    let mut random = generator(seed, purpose, fold, round, tree);
    let bar = (share * f64::from(u32::MAX)) as u32;
    let chosen: Vec<u32> = all.filter(|_| random.random::<u32>() <= bar).collect();
    if chosen.is_empty() { vec![0] } else { chosen }
}
