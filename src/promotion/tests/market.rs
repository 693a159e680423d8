//! A market with two models that predict it, for experiments: labels overlap, signals and the
//! models' errors persist. It knows nothing of how a comparison is made.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Decisions a label reaches over.
pub const HORIZON: usize = 48;
/// How much of the signal and of a model's error is still there one decision later.
const PERSISTENCE: f64 = 0.97;

/// One decision with what came: the champion's and the challenger's probabilities, and the class.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub champion: [f64; 3],
    pub challenger: [f64; 3],
    pub class: usize,
}

/// The models: how strongly each errs, in deviations of the signal.
#[derive(Clone, Copy, Debug)]
pub struct Errors {
    pub champion: f64,
    pub challenger: f64,
}

/// Both err alike, and are no copies: whoever is better is so by chance.
pub const EQUAL: Errors = Errors { champion: 1.0, challenger: 1.0 };

/// A challenger whose log-loss is lower by a fifth (0.94 and 1.17 nats).
pub const FIFTH_BETTER: Errors = Errors { champion: 1.0, challenger: 0.3 };

/// `count` decisions from a seed.
pub fn scenes(seed: u64, count: usize, errors: Errors) -> Vec<Scene> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let fresh = (1.0 - PERSISTENCE * PERSISTENCE).sqrt();
    let mut draw = || -> f64 { random.sample(StandardNormal) };
    let (mut signal, mut one, mut other) = (draw(), draw(), draw());
    let mut told = Vec::with_capacity(count);
    let mut moves = Vec::with_capacity(count + HORIZON);
    for at in 0..count + HORIZON {
        if at < count {
            told.push((signal + errors.champion * one, signal + errors.challenger * other));
        }
        // Over a horizon the signal explains more than half of the variance of the return.
        moves.push(0.35 * signal + draw());
        for state in [&mut signal, &mut one, &mut other] {
            *state = PERSISTENCE * *state + fresh * draw();
        }
    }
    let deviation = (HORIZON as f64).sqrt();
    let scene = |(at, (champion, challenger)): (usize, (f64, f64))| {
        let moved: f64 = moves[at..at + HORIZON].iter().sum::<f64>() / deviation;
        let class = if moved < -0.4 { 0 } else { 1 + usize::from(moved > 0.4) };
        Scene { champion: probabilities(champion), challenger: probabilities(challenger), class }
    };
    told.into_iter().enumerate().map(scene).collect()
}

/// What a model says that sees this strength of a signal.
fn probabilities(seen: f64) -> [f64; 3] {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (down, up) = (logistic((-1.1 * seen - 0.4) / 0.6), logistic((1.1 * seen - 0.4) / 0.6));
    [down, (1.0 - down - up).max(0.0), up]
}
