//! The model that weighs others: multinomial logistic regression on their logits (Wolpert, 1992).
//!
//! ```text
//!   fit rows in parts ─► each part answered by models that learned from the others, purged and
//!                        embargoed ─► logits out of sample ─► weights ─┐
//!   fit rows as a whole ─► the models themselves ──────────────────────┴─► stack
//! ```
//! Weights are drawn to the plain mean of the others: with little to learn from it is that.

use super::{Ground, Kind, Predictor, Settings, classes, raw};
use crate::gbdt::{Watch, softmax};
use crate::validation::folds::{Life, combinatorial};
use anyhow::{Context, Result, ensure};
use peregrine::model::artifact::CLASSES;
use std::ops::ControlFlow;

/// Draws of the models of a part begin here, times its number.
const PART: u32 = 100_000;
/// Most steps of Newton's method; it needs about six.
const STEPS_MAX: usize = 60;
/// Slope at which a minimum is reached.
const FLAT: f64 = 1e-12;

/// Models, and how their logits are weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// The models.
    pub bases: Vec<Predictor>,
    /// A row a class: a weight for each logit of each model.
    pub weights: Vec<f64>,
    /// A number a class.
    pub bias: Vec<f64>,
}

impl Stack {
    /// Logits of a row, and the memory after it.
    pub fn step(&self, row: &[f32], state: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut inputs, mut after, mut at) = (Vec::new(), Vec::new(), 0);
        for base in &self.bases {
            let end = at + base.state_len();
            let (logits, next) = base.step(row, &state[at..end]);
            inputs.extend(logits);
            after.extend(next);
            at = end;
        }
        let rows = self.weights.chunks_exact(inputs.len());
        let weighed = rows.zip(&self.bias);
        let one = |(row, bias): (&[f64], &f64)| {
            row.iter().zip(&inputs).fold(*bias, |sum, (weight, logit)| sum + weight * logit)
        };
        (weighed.map(one).collect(), after)
    }

    pub(super) fn pass(&self, row: &[f32], state: &[f64]) -> Vec<f64> {
        let (mut after, mut at) = (Vec::new(), 0);
        for base in &self.bases {
            let end = at + base.state_len();
            after.extend(base.pass(row, &state[at..end]));
            at = end;
        }
        after
    }

    pub(super) fn finish(&mut self, temperature: f64) {
        let single = |weight: &mut f64| *weight = f64::from((*weight / temperature) as f32);
        self.weights.iter_mut().for_each(single);
        self.bias.iter_mut().for_each(single);
    }
}

/// Learns the models on parts of the fit rows, then the weights, then the models on all of them.
pub(super) fn learn(
    ground: Ground<'_>,
    (fit, stop): (&[usize], &[usize]),
    settings: &Settings,
    watch: Watch<'_>,
) -> Result<(Predictor, usize)> {
    let params = &settings.stack;
    ensure!(!params.of.is_empty() && !params.of.contains(&Kind::Stack), "what it is made of");
    let lives: Vec<Life> = fit.iter().map(|&row| ground.lives[row]).collect();
    let folds = combinatorial(&lives, params.groups, 1, params.embargo)?;
    let quiet = &mut |_: usize, _: Option<f64>| ControlFlow::Continue(());
    let width = params.of.len() * CLASSES.len();
    let mut inputs = vec![vec![0.0; width]; fit.len()];
    let mut step = 0;
    for (part, fold) in folds.iter().enumerate() {
        let place = |places: &[usize]| places.iter().map(|&at| fit[at]).collect::<Vec<usize>>();
        let (train, test) = (place(&fold.train), place(&fold.test));
        for (number, &kind) in params.of.iter().enumerate() {
            let draw = settings.fold() + PART * (part as u32 + 1);
            let own = settings.of(kind, draw);
            let (base, _) = raw(ground, (&train, stop), &own, None, quiet)
                .with_context(|| format!("{} without part {part}", kind.name()))?;
            for (logits, &at) in base.logits(ground, &test).iter().zip(&fold.test) {
                let from = number * CLASSES.len();
                inputs[at][from..from + CLASSES.len()].copy_from_slice(logits);
            }
            step += 1;
            let _ = watch(step, None);
        }
    }
    let weights: Vec<f64> = fit.iter().map(|&row| ground.table.weight(row)).collect();
    let mean = mean_of(params.of.len());
    let learned = weigh(&inputs, (&classes(ground.table, fit), &weights), params.pull, &mean);
    let mut stack = Stack { bases: Vec::new(), weights: Vec::new(), bias: Vec::new() };
    for row in learned.chunks_exact(width + 1) {
        stack.weights.extend_from_slice(&row[..width]);
        stack.bias.push(row[width]);
    }
    let mut rounds = 0;
    for &kind in &params.of {
        let own = settings.of(kind, settings.fold());
        let (mut base, kept) = raw(ground, (fit, stop), &own, None, quiet)?;
        base.finish(1.0);
        stack.bases.push(base);
        rounds = rounds.max(kept);
        step += 1;
        let _ = watch(step, None);
    }
    Ok((Predictor::Stack(Box::new(stack)), rounds))
}

/// Weights that take the mean of as many models: rows of classes with a bias of 0.
fn mean_of(models: usize) -> Vec<f64> {
    let width = models * CLASSES.len() + 1;
    let mut mean = vec![0.0; CLASSES.len() * width];
    for class in 0..CLASSES.len() {
        for model in 0..models {
            mean[class * width + model * CLASSES.len() + class] = 1.0 / models as f64;
        }
    }
    mean
}

/// The weights (rows of classes, the bias last) with the least weighted mean log-loss and half of
/// `pull` times the squared distance from `prior`, by Newton's method. `pull` is above 0, so there
/// is one minimum.
pub fn weigh(
    inputs: &[Vec<f64>],
    (labels, weights): (&[usize], &[f64]),
    pull: f64,
    prior: &[f64],
) -> Vec<f64> {
    let problem = Problem { inputs, labels, weights, pull, prior };
    let mut at = prior.to_vec();
    let mut now = problem.value(&at);
    for _ in 0..STEPS_MAX {
        let (slope, bend) = problem.slopes(&at);
        if slope.iter().all(|slope| slope.abs() < FLAT) {
            break;
        }
        let step = solve(bend, slope);
        let mut part = 1.0;
        let better = loop {
            let there: Vec<f64> = at.iter().zip(&step).map(|(at, step)| at - part * step).collect();
            let value = problem.value(&there);
            if value < now {
                break Some((there, value));
            }
            part /= 2.0;
            if part < 1e-6 {
                break None;
            }
        };
        let Some((there, value)) = better else { break };
        (at, now) = (there, value);
    }
    at
}

struct Problem<'p> {
    inputs: &'p [Vec<f64>],
    labels: &'p [usize],
    weights: &'p [f64],
    pull: f64,
    prior: &'p [f64],
}

impl Problem<'_> {
    fn said(&self, at: &[f64], row: usize) -> Vec<f64> {
        let input = &self.inputs[row];
        let of = |weights: &[f64]| {
            let bias = weights[input.len()];
            weights.iter().zip(input).fold(bias, |sum, (weight, x)| sum + weight * x)
        };
        let mut said: Vec<f64> = at.chunks_exact(input.len() + 1).map(of).collect();
        softmax(&mut said);
        said
    }

    fn total(&self) -> f64 {
        self.weights.iter().sum::<f64>().max(f64::MIN_POSITIVE)
    }

    fn value(&self, at: &[f64]) -> f64 {
        let one = |row: usize| {
            -self.weights[row] * libm::log(self.said(at, row)[self.labels[row]].max(1e-300))
        };
        let loss = (0..self.inputs.len()).map(one).sum::<f64>() / self.total();
        let far = at.iter().zip(self.prior).map(|(at, prior)| (at - prior) * (at - prior));
        loss + self.pull / 2.0 * far.sum::<f64>()
    }

    /// First and second derivatives.
    fn slopes(&self, at: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let size = at.len();
        let mut slope = vec![0.0; size];
        let mut bend = vec![vec![0.0; size]; size];
        let total = self.total();
        for row in 0..self.inputs.len() {
            let said = self.said(at, row);
            let mut x = self.inputs[row].clone();
            x.push(1.0);
            let weight = self.weights[row] / total;
            for (k, &p) in said.iter().enumerate() {
                let hit = f64::from(u8::from(self.labels[row] == k));
                for (a, xa) in x.iter().enumerate() {
                    slope[k * x.len() + a] += weight * (p - hit) * xa;
                    for (l, &q) in said.iter().enumerate().take(k + 1) {
                        let same = f64::from(u8::from(k == l));
                        let factor = weight * p * (same - q) * xa;
                        let cells = &mut bend[k * x.len() + a][l * x.len()..(l + 1) * x.len()];
                        cells.iter_mut().zip(&x).for_each(|(cell, xb)| *cell += factor * xb);
                    }
                }
            }
        }
        for k in 0..size {
            slope[k] += self.pull * (at[k] - self.prior[k]);
            bend[k][k] += self.pull;
        }
        (slope, bend)
    }
}

/// x of A·x = b by Cholesky's method; the lower half of A is read, which is positive definite.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let size = b.len();
    for row in 0..size {
        for column in 0..=row {
            let dot: f64 = (0..column).map(|k| a[row][k] * a[column][k]).sum();
            let rest = a[row][column] - dot;
            a[row][column] =
                if row == column { libm::sqrt(rest.max(1e-300)) } else { rest / a[column][column] };
        }
    }
    for row in 0..size {
        let dot: f64 = (0..row).map(|k| a[row][k] * b[k]).sum();
        b[row] = (b[row] - dot) / a[row][row];
    }
    for row in (0..size).rev() {
        let dot: f64 = (row + 1..size).map(|k| a[k][row] * b[k]).sum();
        b[row] = (b[row] - dot) / a[row][row];
    }
    b
}
