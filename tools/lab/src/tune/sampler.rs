//! Where to look next: the tree-structured Parzen estimator.
//!
//! ```text
//!   finished trials by value ─► the best few ─► density l ─► candidates ─┐
//!                            └► all others ───► density g                ├─► largest l / g
//!   running trials ─────────────────▲ (taken to be no good)             ─┘
//! ```
//! Trials that run are counted among the bad, so that parallel workers spread out. Sources:
//! Bergstra et al. (2011, 2013); Watanabe (2023), arXiv 2304.11127.

use super::parzen::{Mixture, value_at};
use super::space::Space;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Its value; less is better.
    Complete(f64),
    /// Stopped early: the last step and the value there, if any was told.
    Pruned(Option<(i64, f64)>),
    /// Not known yet.
    Running,
}

/// A point and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// A value a parameter, in the space's order, each within its distribution.
    pub values: Vec<f64>,
    /// What became of it.
    pub outcome: Outcome,
}

/// The sampler. The same seed, history and key give the same point on every machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tpe {
    /// Seed of every draw.
    pub seed: u64,
    /// Finished trials before the estimator begins; until then points are spread evenly.
    pub startup: usize,
    /// Candidates of which the best is taken, at least 1.
    pub candidates: usize,
}

/// Widths are drawn anew for each point between 1/e^WAVE and e^WAVE of the usual: narrow ones
/// refine what is known, wide ones look around.
const WAVE: f64 = 0.7;
/// Most trials that count as good.
const GOOD_MAX: usize = 25;

impl Tpe {
    /// Usual settings.
    pub const fn new(seed: u64) -> Self {
        Self { seed, startup: 10, candidates: 40 }
    }

    /// The next point. `key` is a number no other point of the study was drawn with; drawn in
    /// rising order, the first points fill the space evenly.
    pub fn suggest(&self, space: &Space, history: &[Observation], key: u64) -> Vec<f64> {
        let finished = history.iter().filter(|seen| seen.outcome != Outcome::Running).count();
        let mut random = self.random(key);
        if finished < self.startup {
            return self.spread(space, key);
        }
        let ranked = ranked(history);
        let good = (ranked.len().div_ceil(10)).min(GOOD_MAX);
        let points = |seen: &[usize]| -> Vec<&[f64]> {
            seen.iter().map(|&at| history[at].values.as_slice()).collect()
        };
        let mut rest = ranked[good..].to_vec();
        let running = |at: &usize| history[*at].outcome == Outcome::Running;
        rest.extend((0..history.len()).filter(running));
        let factor = libm::exp(WAVE * (2.0 * random.random::<f64>() - 1.0));
        let near = Mixture::new(space, &points(&ranked[..good]), factor);
        let far = Mixture::new(space, &points(&rest), factor);
        let mut best = (f64::NEG_INFINITY, near.draw(&mut random));
        for _ in 0..self.candidates {
            let candidate = near.draw(&mut random);
            let gain = near.ln_density(&candidate) - far.ln_density(&candidate);
            if gain > best.0 {
                best = (gain, candidate);
            }
        }
        best.1
    }

    fn random(&self, key: u64) -> ChaCha8Rng {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&key.to_le_bytes());
        bytes[16] = 1;
        ChaCha8Rng::from_seed(bytes)
    }

    /// Point `key` of a sequence that fills the space evenly, moved by the seed: steps of an
    /// irrational length for each parameter, the powers of the root of x^(d+1) = x + 1 (Roberts,
    /// 2018).
    fn spread(&self, space: &Space, key: u64) -> Vec<f64> {
        let mut moved = self.random(u64::MAX);
        let power = 1.0 / (space.len() as f64 + 1.0);
        let root = (0..64).fold(1.5, |root: f64, _| libm::pow(1.0 + root, power));
        let part = |at: usize| {
            let step = libm::pow(root, -(at as f64 + 1.0));
            let place = moved.random::<f64>() + step * (key % 1_000_000) as f64;
            value_at(space, at, place - libm::floor(place))
        };
        (0..space.len()).map(part).collect()
    }
}

/// Places of the finished trials, best first: those that ended by value, then those stopped early,
/// the later and the lower before.
fn ranked(history: &[Observation]) -> Vec<usize> {
    let key = |at: usize| match history[at].outcome {
        Outcome::Complete(value) => Some((0, 0, value)),
        Outcome::Pruned(Some((step, value))) => Some((1, -step, value)),
        Outcome::Pruned(None) => Some((2, 0, 0.0)),
        Outcome::Running => None,
    };
    let mut order: Vec<(usize, (i32, i64, f64))> =
        (0..history.len()).filter_map(|at| Some((at, key(at)?))).collect();
    order.sort_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.total_cmp(&b.2)));
    order.into_iter().map(|(at, _)| at).collect()
}
