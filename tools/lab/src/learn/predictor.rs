//! Answers of any kind of model.

use super::{Ground, Stack};
use crate::gbdt::{Forest, softmax};
use crate::nets::{Dense, Gru};

/// A model of classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Predictor {
    /// Trees.
    Trees(Forest),
    /// A dense net.
    Dense(Dense),
    /// A recurrent step.
    Gru(Gru),
    /// Others, weighed.
    Stack(Box<Stack>),
}

/// What was said of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Logits of the classes.
    pub logits: Vec<f64>,
    /// The memory before the row; empty without one.
    pub before: Vec<f64>,
}

impl Predictor {
    /// Length of what it remembers from row to row; 0 for nothing.
    pub fn state_len(&self) -> usize {
        match self {
            Self::Trees(_) | Self::Dense(_) => 0,
            Self::Gru(net) => net.hidden(),
            Self::Stack(stack) => stack.bases.iter().map(Self::state_len).sum(),
        }
    }

    /// Logits of a row, and the memory after it.
    pub fn step(&self, row: &[f32], state: &[f64]) -> (Vec<f64>, Vec<f64>) {
        match self {
            Self::Trees(forest) => (forest.scores(row), Vec::new()),
            Self::Dense(net) => (net.logits(row), Vec::new()),
            Self::Gru(net) => net.step(row, state),
            Self::Stack(stack) => stack.step(row, state),
        }
    }

    /// The memory after a row, without an answer.
    pub(super) fn pass(&self, row: &[f32], state: &[f64]) -> Vec<f64> {
        match self {
            Self::Trees(_) | Self::Dense(_) => Vec::new(),
            Self::Gru(net) => net.step(row, state).1,
            Self::Stack(stack) => stack.pass(row, state),
        }
    }

    /// What is said of `rows`, rising, when the rows from `start` on are passed one by one, each
    /// symbol with a memory of its own.
    pub fn walk(&self, ground: Ground<'_>, start: usize, rows: &[usize]) -> Vec<Seen> {
        let none: &[f64] = &[];
        if self.state_len() == 0 {
            let one = |&row: &usize| Seen {
                logits: self.step(ground.table.row(row), none).0,
                before: Vec::new(),
            };
            return rows.iter().map(one).collect();
        }
        let symbols = ground.symbols.iter().max().map_or(0, |&most| usize::from(most) + 1);
        let mut states = vec![vec![0.0; self.state_len()]; symbols];
        let mut seen = Vec::with_capacity(rows.len());
        let mut wanted = rows.iter().peekable();
        let end = rows.last().map_or(start, |&last| last + 1);
        for row in start..end {
            let state = &mut states[usize::from(ground.symbols[row])];
            let input = ground.table.row(row);
            if wanted.next_if(|&&wanted| wanted == row).is_some() {
                let (logits, after) = self.step(input, state);
                seen.push(Seen { logits, before: std::mem::replace(state, after) });
            } else {
                *state = self.pass(input, state);
            }
        }
        seen
    }

    /// Logits of `rows`, rising, passed from the first row there is.
    pub fn logits(&self, ground: Ground<'_>, rows: &[usize]) -> Vec<Vec<f64>> {
        self.walk(ground, 0, rows).into_iter().map(|seen| seen.logits).collect()
    }

    /// Class probabilities of `rows`, rising.
    pub fn probabilities(&self, ground: Ground<'_>, rows: &[usize]) -> Vec<Vec<f64>> {
        let mut said = self.logits(ground, rows);
        said.iter_mut().for_each(|logits| softmax(logits));
        said
    }

    /// Divides every logit by `temperature` and brings weights to what a file holds.
    pub fn finish(&mut self, temperature: f64) {
        match self {
            Self::Trees(forest) => forest.cool(temperature),
            Self::Dense(net) => net.finish(temperature),
            Self::Gru(net) => net.finish(temperature),
            Self::Stack(stack) => stack.finish(temperature),
        }
    }

    /// The trees in it.
    pub fn forest(&self) -> Option<&Forest> {
        match self {
            Self::Trees(forest) => Some(forest),
            Self::Dense(_) | Self::Gru(_) => None,
            Self::Stack(stack) => stack.bases.iter().find_map(Self::forest),
        }
    }
}
