//! Epochs over windows of rows, steps by Adam (Kingma and Ba, 2015; decay apart from the slope,
//! Loshchilov and Hutter, 2019), and the weights of the best epoch.

use super::{Lesson, Net, NetParams};
use crate::gbdt::random::{Purpose, generator};
use rand::RngCore;
use std::ops::ControlFlow;

/// Shares a batch is cut into, whatever the number of threads: sums are added in their order.
const SHARES: usize = 4;
/// Lessons of a batch above which threads pay for themselves.
const THREADED_MIN: usize = 256;

const MEAN_KEPT: f64 = 0.9;
const SQUARE_KEPT: f64 = 0.999;
const LEAST: f64 = 1e-8;

/// Told after each epoch: its number from 1 and the loss on the held-out rows; breaks where it is
/// not worth more.
pub type Epoch<'a> = &'a mut dyn FnMut(usize, f64) -> ControlFlow<()>;

/// A net and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted<N> {
    /// The net at its best epoch.
    pub net: N,
    /// The best epoch, from 1.
    pub epochs: usize,
    /// Loss on the held-out rows after each.
    pub held_out: Vec<f64>,
}

/// Learns from windows; `judge` gives the loss on the held-out rows.
pub fn fit<N: Net>(
    mut net: N,
    windows: &[Vec<Lesson<'_>>],
    params: &NetParams,
    judge: &dyn Fn(&N) -> f64,
    told: Epoch<'_>,
) -> Fitted<N> {
    let mut adam = Adam::new(net.weights().len());
    let mut order: Vec<u32> = (0..windows.len() as u32).collect();
    let mut best = Fitted { net: net.clone(), epochs: 0, held_out: Vec::new() };
    let mut least = f64::INFINITY;
    for epoch in 0..params.epochs {
        shuffle(&mut order, params, epoch);
        for batch in order.chunks(params.batch.max(1)) {
            let slope = slope_of(&net, windows, batch, params.threads);
            adam.step(net.weights_mut(), &slope, params);
        }
        let loss = judge(&net);
        best.held_out.push(loss);
        let flow = told(epoch + 1, loss);
        if loss < least {
            least = loss;
            best.epochs = epoch + 1;
            best.net = net.clone();
        } else if params.patience > 0 && epoch + 1 - best.epochs >= params.patience {
            break;
        }
        if flow.is_break() {
            break;
        }
    }
    best
}

/// Another order each epoch (Fisher and Yates).
fn shuffle(order: &mut [u32], params: &NetParams, epoch: usize) {
    let mut random = generator(params.seed, Purpose::Order, params.fold, epoch, 0);
    for last in (1..order.len()).rev() {
        let place = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, place as usize);
    }
}

/// The slope of the mean loss of a batch.
fn slope_of<N: Net>(
    net: &N,
    windows: &[Vec<Lesson<'_>>],
    batch: &[u32],
    threads: usize,
) -> Vec<f64> {
    let share = batch.len().div_ceil(SHARES).max(1);
    let one = |share: &[u32]| {
        let (mut slope, mut weight) = (vec![0.0; net.weights().len()], 0.0);
        for &window in share {
            let window = &windows[window as usize];
            net.loss(window, Some(&mut slope));
            weight += window.iter().map(|lesson| lesson.weight).sum::<f64>();
        }
        (slope, weight)
    };
    let shares: Vec<&[u32]> = batch.chunks(share).collect();
    let lessons: usize = batch.iter().map(|&window| windows[window as usize].len()).sum();
    let parts: Vec<(Vec<f64>, f64)> = if threads < 2 || lessons < THREADED_MIN {
        shares.iter().map(|share| one(share)).collect()
    } else {
        std::thread::scope(|scope| {
            let hands: Vec<_> = shares
                .chunks(shares.len().div_ceil(threads))
                .map(|own| scope.spawn(|| own.iter().map(|share| one(share)).collect::<Vec<_>>()))
                .collect();
            let join = |hand: std::thread::ScopedJoinHandle<'_, Vec<_>>| {
                hand.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            hands.into_iter().flat_map(join).collect()
        })
    };
    let mut sum = vec![0.0; net.weights().len()];
    let mut weight = 0.0;
    for (slope, own) in &parts {
        sum.iter_mut().zip(slope).for_each(|(sum, slope)| *sum += slope);
        weight += own;
    }
    let weight = if weight > 0.0 { weight } else { 1.0 };
    sum.iter_mut().for_each(|slope| *slope /= weight);
    sum
}

struct Adam {
    mean: Vec<f64>,
    square: Vec<f64>,
    /// What is left of the start in both.
    left: (f64, f64),
}

impl Adam {
    fn new(weights: usize) -> Self {
        Self { mean: vec![0.0; weights], square: vec![0.0; weights], left: (1.0, 1.0) }
    }

    fn step(&mut self, weights: &mut [f64], slope: &[f64], params: &NetParams) {
        self.left = (self.left.0 * MEAN_KEPT, self.left.1 * SQUARE_KEPT);
        for (at, weight) in weights.iter_mut().enumerate() {
            let (mean, square) = (&mut self.mean[at], &mut self.square[at]);
            *mean = MEAN_KEPT * *mean + (1.0 - MEAN_KEPT) * slope[at];
            *square = SQUARE_KEPT * *square + (1.0 - SQUARE_KEPT) * slope[at] * slope[at];
            let size = libm::sqrt(*square / (1.0 - self.left.1)) + LEAST;
            let step = *mean / (1.0 - self.left.0) / size + params.decay * *weight;
            *weight -= params.learning_rate * step;
        }
    }
}
