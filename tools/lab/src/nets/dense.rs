//! One hidden layer: relu(W·x + b), then V·h + c.

use super::affine::Affine;
use super::{Lesson, Net, OUTPUTS, Scale, begin_at, cross_entropy, finish};

/// See the head of this file.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// What inputs go through first.
    pub scale: Scale,
    hidden: usize,
    weights: Vec<f64>,
}

impl Dense {
    /// With weights drawn by lot (`draw` gives 0 to 1) and an answer that begins at `shares`.
    pub fn new(
        scale: Scale,
        hidden: usize,
        shares: &[f64],
        draw: &mut impl FnMut() -> f64,
    ) -> Self {
        let mut net = Self { scale, hidden, weights: Vec::new() };
        net.weights = vec![0.0; net.head().end()];
        let (body, head) = (net.body(), net.head());
        body.start(&mut net.weights, draw);
        head.start(&mut net.weights, draw);
        begin_at(&mut net.weights, head, shares);
        net
    }

    fn body(&self) -> Affine {
        Affine { at: 0, inputs: self.scale.mean.len(), outputs: self.hidden }
    }

    fn head(&self) -> Affine {
        Affine { at: self.body().end(), inputs: self.hidden, outputs: OUTPUTS }
    }

    /// Weights and biases of the hidden layer and of the head, rows of outputs.
    pub fn layers(&self) -> [(&[f64], &[f64]); 2] {
        [self.body(), self.head()].map(|at| (at.matrix(&self.weights), at.bias(&self.weights)))
    }

    /// Logits of a row that was not scaled.
    pub fn logits(&self, row: &[f32]) -> Vec<f64> {
        let mut input = Vec::with_capacity(row.len());
        self.scale.apply(row, &mut input);
        let mut hidden = vec![0.0; self.hidden];
        self.body().run(&self.weights, &input, &mut hidden);
        hidden.iter_mut().for_each(|value| *value = value.max(0.0));
        let mut logits = vec![0.0; OUTPUTS];
        self.head().run(&self.weights, &hidden, &mut logits);
        logits
    }

    /// Divides logits, takes from them what they have in common, rounds to f32.
    pub fn finish(&mut self, temperature: f64) {
        let head = self.head();
        finish(&mut self.weights, head, temperature);
    }
}

impl Net for Dense {
    fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut [f64] {
        &mut self.weights
    }

    fn loss(&self, window: &[Lesson<'_>], mut slope: Option<&mut [f64]>) -> f64 {
        let (body, head) = (self.body(), self.head());
        let (mut hidden, mut back) = (vec![0.0; self.hidden], vec![0.0; self.hidden]);
        let mut logits = vec![0.0; OUTPUTS];
        let mut loss = 0.0;
        for lesson in window {
            body.run(&self.weights, lesson.input, &mut hidden);
            hidden.iter_mut().for_each(|value| *value = value.max(0.0));
            head.run(&self.weights, &hidden, &mut logits);
            loss += cross_entropy(&mut logits, lesson.class, lesson.weight);
            let Some(slope) = slope.as_deref_mut() else { continue };
            back.fill(0.0);
            head.back(&self.weights, &hidden, &logits, slope, Some(&mut back));
            for (back, hidden) in back.iter_mut().zip(&hidden) {
                *back = if *hidden > 0.0 { *back } else { 0.0 };
            }
            body.back(&self.weights, lesson.input, &back, slope, None);
        }
        loss
    }
}
