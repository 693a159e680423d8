//! A gated recurrent step (Cho and others, 2014), in the form that resets after the product:
//!
//! ```text
//!   z = σ(Wz·x + Uz·h + b)   r = σ(Wr·x + Ur·h + b)   n = tanh(Wn·x + bn + r·(Un·h + cn))
//!   h' = n + z·(h − n)       logits = V·h' + c
//! ```
//! It is learned over windows of consecutive rows of one symbol; the first rows of a window only
//! lead up to the others. In use the memory is carried from row to row.

use super::affine::Affine;
use super::{Lesson, Net, OUTPUTS, Scale, begin_at, cross_entropy, finish};

/// See the head of this file.
#[derive(Clone, Debug, PartialEq)]
pub struct Gru {
    /// What inputs go through first.
    pub scale: Scale,
    hidden: usize,
    weights: Vec<f64>,
}

/// How long windows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Rows of a window that are learned from.
    pub steps: usize,
    /// Rows before those that only lead up to them.
    pub lead: usize,
}

/// What a step leaves for the way back.
struct Trace {
    /// h before the step.
    before: Vec<f64>,
    /// z, r, n.
    gates: Vec<f64>,
    /// U·h + c of all three.
    memory: Vec<f64>,
    after: Vec<f64>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

impl Gru {
    /// With weights drawn by lot (`draw` gives 0 to 1) and an answer that begins at `shares`.
    pub fn new(
        scale: Scale,
        hidden: usize,
        shares: &[f64],
        draw: &mut impl FnMut() -> f64,
    ) -> Self {
        let mut net = Self { scale, hidden, weights: Vec::new() };
        net.weights = vec![0.0; net.head().end()];
        for layer in [net.inward(), net.memory(), net.head()] {
            layer.start(&mut net.weights, draw);
        }
        let head = net.head();
        begin_at(&mut net.weights, head, shares);
        net
    }

    /// Length of the memory.
    pub const fn hidden(&self) -> usize {
        self.hidden
    }

    fn inward(&self) -> Affine {
        Affine { at: 0, inputs: self.scale.mean.len(), outputs: 3 * self.hidden }
    }

    fn memory(&self) -> Affine {
        Affine { at: self.inward().end(), inputs: self.hidden, outputs: 3 * self.hidden }
    }

    fn head(&self) -> Affine {
        Affine { at: self.memory().end(), inputs: self.hidden, outputs: OUTPUTS }
    }

    /// Weights and biases of the input, of the memory (gates z, r, n) and of the head, rows of
    /// outputs.
    pub fn layers(&self) -> [(&[f64], &[f64]); 3] {
        let all = [self.inward(), self.memory(), self.head()];
        all.map(|at| (at.matrix(&self.weights), at.bias(&self.weights)))
    }

    /// Logits of a row that was not scaled, and the memory after it.
    pub fn step(&self, row: &[f32], state: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut input = Vec::with_capacity(row.len());
        self.scale.apply(row, &mut input);
        let after = self.forward(&input, state).after;
        let mut logits = vec![0.0; OUTPUTS];
        self.head().run(&self.weights, &after, &mut logits);
        (logits, after)
    }

    fn forward(&self, input: &[f64], before: &[f64]) -> Trace {
        let size = self.hidden;
        let (mut gates, mut memory) = (vec![0.0; 3 * size], vec![0.0; 3 * size]);
        self.inward().run(&self.weights, input, &mut gates);
        self.memory().run(&self.weights, before, &mut memory);
        let mut after = vec![0.0; size];
        for k in 0..size {
            let z = sigmoid(gates[k] + memory[k]);
            let r = sigmoid(gates[size + k] + memory[size + k]);
            let n = libm::tanh(gates[2 * size + k] + r * memory[2 * size + k]);
            (gates[k], gates[size + k], gates[2 * size + k]) = (z, r, n);
            after[k] = n + z * (before[k] - n);
        }
        Trace { before: before.to_vec(), gates, memory, after }
    }

    /// One step back: `later` is the slope by the memory after the step and becomes that by the
    /// memory before it.
    fn backward(&self, lesson: &Lesson<'_>, trace: &Trace, later: &mut [f64], slope: &mut [f64]) {
        let size = self.hidden;
        let (mut inward, mut memory) = (vec![0.0; 3 * size], vec![0.0; 3 * size]);
        let mut before = vec![0.0; size];
        for k in 0..size {
            let (z, r, n) = (trace.gates[k], trace.gates[size + k], trace.gates[2 * size + k]);
            let dn = later[k] * (1.0 - z) * (1.0 - n * n);
            let dz = later[k] * (trace.before[k] - n) * z * (1.0 - z);
            let dr = dn * trace.memory[2 * size + k] * r * (1.0 - r);
            (inward[k], inward[size + k], inward[2 * size + k]) = (dz, dr, dn);
            (memory[k], memory[size + k], memory[2 * size + k]) = (dz, dr, dn * r);
            before[k] = later[k] * z;
        }
        self.inward().back(&self.weights, lesson.input, &inward, slope, None);
        self.memory().back(&self.weights, &trace.before, &memory, slope, Some(&mut before));
        later.copy_from_slice(&before);
    }

    /// Divides logits, takes from them what they have in common, rounds to f32.
    pub fn finish(&mut self, temperature: f64) {
        let head = self.head();
        finish(&mut self.weights, head, temperature);
    }
}

impl Net for Gru {
    fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut [f64] {
        &mut self.weights
    }

    fn loss(&self, window: &[Lesson<'_>], slope: Option<&mut [f64]>) -> f64 {
        let head = self.head();
        let mut traces: Vec<Trace> = Vec::with_capacity(window.len());
        let mut answers = Vec::with_capacity(window.len());
        let mut state = vec![0.0; self.hidden];
        let mut loss = 0.0;
        for lesson in window {
            let trace = self.forward(lesson.input, &state);
            state.copy_from_slice(&trace.after);
            let mut logits = vec![0.0; OUTPUTS];
            head.run(&self.weights, &trace.after, &mut logits);
            loss += cross_entropy(&mut logits, lesson.class, lesson.weight);
            answers.push(logits);
            traces.push(trace);
        }
        let Some(slope) = slope else { return loss };
        let mut later = vec![0.0; self.hidden];
        for (at, lesson) in window.iter().enumerate().rev() {
            if lesson.weight > 0.0 {
                head.back(&self.weights, &traces[at].after, &answers[at], slope, Some(&mut later));
            }
            self.backward(lesson, &traces[at], &mut later, slope);
        }
        loss
    }
}
