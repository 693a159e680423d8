//! y = x · weights + bias for one row.
//!
//! ```text
//! outputs in blocks of 64, 32, 16 (the last padded with zeros)
//! one block:  for each input i:  acc[i mod P][o] += x[i] · w[i][o]     P = 1, 2, 4 partial sums
//!             y[o] = bias[o] + ((acc0 + acc1) + (acc2 + acc3))
//! ```
//! The weights of a block lie one input after another, so they stream through the cache once.
//! Narrow blocks split the inputs over partial sums to hide the latency of the additions.

use super::super::ops::Linear;
use super::PAD;

/// Sixteen weights, aligned to a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Lanes([f32; PAD]);

/// See the head of this file.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    inputs: usize,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
struct Block {
    first: usize,
    bias: Vec<Lanes>,
    weights: Vec<Lanes>,
}

impl Dense {
    pub fn new(linear: &Linear) -> Self {
        let mut blocks = Vec::new();
        let mut first = 0;
        while first < linear.outputs {
            let lanes = match linear.outputs - first {
                49.. => 4,
                17.. => 2,
                _ => 1,
            };
            let pack = |row: &[f32]| {
                let lane = |l: usize| {
                    Lanes(std::array::from_fn(|k| {
                        row.get(first + l * PAD + k).copied().unwrap_or(0.0)
                    }))
                };
                (0..lanes).map(lane).collect::<Vec<_>>()
            };
            let rows = linear.weights.chunks_exact(linear.outputs);
            blocks.push(Block {
                first,
                bias: pack(&linear.bias),
                weights: rows.flat_map(pack).collect(),
            });
            first += lanes * PAD;
        }
        Self { inputs: linear.inputs, blocks }
    }

    /// Elements of `y` that are written: the outputs in whole blocks.
    pub fn written(&self) -> usize {
        self.blocks.last().map_or(0, |b| b.first + b.bias.len() * PAD)
    }

    #[inline(always)]
    pub fn run(&self, x: &[f32], y: &mut [f32]) {
        let x = &x[..self.inputs];
        for block in &self.blocks {
            let y = &mut y[block.first..];
            match block.bias.len() {
                4 => run_block::<4, 1>(block, x, y),
                2 => run_block::<2, 2>(block, x, y),
                _ => run_block::<1, 4>(block, x, y),
            }
        }
    }
}

#[inline(always)]
fn run_block<const L: usize, const P: usize>(block: &Block, x: &[f32], y: &mut [f32]) {
    let mut sums = [[[0.0_f32; PAD]; L]; P];
    let mut inputs = x.chunks_exact(P);
    let mut weights = block.weights.chunks_exact(P * L);
    for (x, w) in (&mut inputs).zip(&mut weights) {
        for p in 0..P {
            for l in 0..L {
                accumulate(&mut sums[p][l], x[p], &w[p * L + l]);
            }
        }
    }
    let rest = weights.remainder().chunks_exact(L);
    for (p, (x, w)) in inputs.remainder().iter().zip(rest).enumerate() {
        for l in 0..L {
            accumulate(&mut sums[p % P][l], *x, &w[l]);
        }
    }
    for (l, (bias, y)) in block.bias.iter().zip(y.chunks_exact_mut(PAD)).enumerate().take(L) {
        for k in 0..PAD {
            let sum = match P {
                1 => sums[0][l][k],
                2 => sums[0][l][k] + sums[1 % P][l][k],
                _ => (sums[0][l][k] + sums[1 % P][l][k]) + (sums[2 % P][l][k] + sums[3 % P][l][k]),
            };
            y[k] = bias.0[k] + sum;
        }
    }
}

#[inline(always)]
fn accumulate(sum: &mut [f32; PAD], x: f32, w: &Lanes) {
    for (sum, w) in sum.iter_mut().zip(&w.0) {
        *sum = w.mul_add(x, *sum);
    }
}
