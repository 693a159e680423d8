//! Proof at load that an executor computes what it should: against the card's golden vectors,
//! against the other executor, and within its time.

use super::artifact::GoldenVectors;
use super::error::{Mismatch, ModelError};
use super::executor::{Executor, ModelOutput};
use super::graph::Graph;
use super::ops::Op;
use super::tree::TreeNode;

/// Largest difference of two probabilities.
const PROBABILITY_TOLERANCE: f32 = 1e-6;
/// Largest difference of other values, times 1 + the value's size.
const VALUE_TOLERANCE: f32 = 2e-6;
/// Random rows both executors are compared on.
const RANDOM_ROWS: usize = 256;
/// Thresholds of trees both executors are compared on, with their neighbours.
const THRESHOLDS_MAX: usize = 1_024;
/// Runs timed in one round, and rounds; the quietest round counts.
const TIMED_RUNS: usize = 1_000;
const TIMED_ROUNDS: usize = 3;

/// A row, a state, and a name for errors.
struct Vector<'a> {
    name: String,
    input: &'a [f32],
    state: &'a [f32],
}

/// The answer to a vector.
#[derive(Clone, Debug)]
struct Answer {
    output: ModelOutput,
    next_state: Vec<f32>,
}

/// Compares an executor with the card's golden vectors.
pub(crate) fn against_golden(
    executor: &mut impl Executor,
    name: &'static str,
    golden: &GoldenVectors,
) -> Result<(), ModelError> {
    let state_len = executor.state().len();
    let mut worst = Worst::new(name, "the golden vectors");
    for at in 0..golden.count {
        let vector = golden_vector(golden, at, state_len);
        let row = |values: &[f32], len: usize| values[at * len..(at + 1) * len].to_vec();
        let three = |values: &[f32]| std::array::from_fn(|k| values[at * 3 + k]);
        let quantile =
            if golden.quantiles.is_empty() { [f32::NAN; 3] } else { three(&golden.quantiles) };
        let expected = Answer {
            output: ModelOutput { probability: three(&golden.probabilities), quantile },
            next_state: row(&golden.next_states, state_len),
        };
        let found = answer(executor, name, &vector)?;
        worst.compare(&vector, &found, &expected);
    }
    worst.finish()
}

/// Compares two executors on golden inputs, random rows and the thresholds of trees.
pub(crate) fn against_each_other(
    graph: &Graph,
    native: &mut impl Executor,
    tract: &mut impl Executor,
    golden: &GoldenVectors,
) -> Result<(), ModelError> {
    let state_len = native.state().len();
    let features = golden.inputs.len() / golden.count;
    let mut worst = Worst::new("native", "tract");
    let mut compare = |vector: &Vector<'_>| -> Result<(), ModelError> {
        let found = answer(native, "native", vector)?;
        let expected = answer(tract, "tract", vector)?;
        worst.compare(vector, &found, &expected);
        Ok(())
    };
    for at in 0..golden.count.min(RANDOM_ROWS) {
        compare(&golden_vector(golden, at, state_len))?;
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for at in 0..RANDOM_ROWS {
        let input: Vec<f32> = (0..features).map(|f| random.feature(golden, features, f)).collect();
        let state: Vec<f32> = (0..state_len).map(|_| random.signed()).collect();
        compare(&Vector { name: format!("random {at}"), input: &input, state: &state })?;
    }
    let state = vec![0.0; state_len];
    for (at, (feature, threshold)) in thresholds(graph).into_iter().enumerate() {
        for near in [threshold.next_down(), threshold, threshold.next_up()] {
            let row = at % golden.count;
            let mut input = golden.inputs[row * features..(row + 1) * features].to_vec();
            input[feature] = near;
            compare(&Vector { name: format!("threshold {at}"), input: &input, state: &state })?;
        }
    }
    worst.finish()
}

/// p99 of a run in nanoseconds: the quietest of a few rounds over the golden inputs.
pub(crate) fn p99_ns(executor: &mut impl Executor, golden: &GoldenVectors) -> u64 {
    let features = golden.inputs.len() / golden.count;
    let mut out = ModelOutput::default();
    let mut times = vec![0_u64; TIMED_RUNS];
    let mut best = u64::MAX;
    for _ in 0..TIMED_ROUNDS {
        for (at, time) in times.iter_mut().enumerate() {
            let row = at % golden.count;
            let input = &golden.inputs[row * features..(row + 1) * features];
            let start = std::time::Instant::now();
            // A failure shows in the comparisons; here only its time counts.
            let _ = std::hint::black_box(executor.run(std::hint::black_box(input), &mut out));
            *time = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        }
        times.sort_unstable();
        best = best.min(times[TIMED_RUNS * 99 / 100 - 1]);
    }
    best
}

fn golden_vector(golden: &GoldenVectors, at: usize, state_len: usize) -> Vector<'_> {
    let features = golden.inputs.len() / golden.count;
    Vector {
        name: format!("golden {at}"),
        input: &golden.inputs[at * features..(at + 1) * features],
        state: &golden.states[at * state_len..(at + 1) * state_len],
    }
}

fn answer(
    executor: &mut impl Executor,
    name: &'static str,
    vector: &Vector<'_>,
) -> Result<Answer, ModelError> {
    let mut output = ModelOutput::default();
    executor
        .set_state(vector.state)
        .and_then(|()| executor.run(vector.input, &mut output))
        .map_err(|reason| ModelError::Failed {
            executor: name,
            vector: vector.name.clone(),
            reason: reason.name(),
        })?;
    Ok(Answer { output, next_state: executor.next_state().to_vec() })
}

/// The comparison furthest out of tolerance.
struct Worst {
    left: &'static str,
    right: &'static str,
    excess: f32,
    mismatch: Option<Mismatch>,
}

impl Worst {
    fn new(left: &'static str, right: &'static str) -> Self {
        Self { left, right, excess: 1.0, mismatch: None }
    }

    fn compare(&mut self, vector: &Vector<'_>, found: &Answer, expected: &Answer) {
        let (f, e) = (&found.output, &expected.output);
        for k in 0..3 {
            let tolerance = PROBABILITY_TOLERANCE;
            let pair = (f.probability[k], e.probability[k]);
            self.one(vector, ("probabilities", k), pair, tolerance);
        }
        let others = f.quantile.iter().zip(&e.quantile).enumerate();
        let others = others.map(|(k, pair)| ("quantiles", k, pair));
        let states = found.next_state.iter().zip(&expected.next_state).enumerate();
        let states = states.map(|(k, pair)| ("next state", k, pair));
        for (output, k, (&found, &expected)) in others.chain(states) {
            let tolerance = VALUE_TOLERANCE * (1.0 + expected.abs());
            self.one(vector, (output, k), (found, expected), tolerance);
        }
    }

    fn one(
        &mut self,
        vector: &Vector<'_>,
        (output, index): (&str, usize),
        (found, expected): (f32, f32),
        tolerance: f32,
    ) {
        if found == expected || (found.is_nan() && expected.is_nan()) {
            return;
        }
        let ratio = (found - expected).abs() / tolerance;
        let excess = if ratio.is_nan() { f32::INFINITY } else { ratio };
        if excess > self.excess {
            self.excess = excess;
            self.mismatch = Some(Mismatch {
                left: self.left,
                right: self.right,
                vector: vector.name.clone(),
                output: output.to_owned(),
                index,
                found,
                expected,
                tolerance,
            });
        }
    }

    fn finish(self) -> Result<(), ModelError> {
        self.mismatch.map_or(Ok(()), |mismatch| Err(mismatch.into()))
    }
}

/// Thresholds of trees that read the input row directly.
fn thresholds(graph: &Graph) -> Vec<(usize, f32)> {
    let mut found = Vec::new();
    for node in &graph.nodes {
        let Op::Trees(ensemble) = &node.op else { continue };
        if node.inputs.first() != Some(&Some(graph.input)) {
            continue;
        }
        let step = (ensemble.nodes.len() / THRESHOLDS_MAX).max(1);
        found.extend(ensemble.nodes.iter().step_by(step).filter_map(|node| match node {
            TreeNode::Branch { feature, threshold, .. } if threshold.is_finite() => {
                Some((*feature as usize, *threshold))
            }
            _ => None,
        }));
    }
    found
}

/// SplitMix64: rows that are the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// −1 to 1.
    fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A golden value of the feature, moved by up to itself.
    fn feature(&mut self, golden: &GoldenVectors, features: usize, feature: usize) -> f32 {
        let row = (self.next() % golden.count as u64) as usize;
        let value = golden.inputs[row * features + feature];
        let value = value + self.signed() * value.abs().max(0.5);
        if value.is_finite() { value } else { 0.0 }
    }
}
