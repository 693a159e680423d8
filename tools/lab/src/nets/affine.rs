//! y = W·x + b with the weights in one flat row: `outputs` rows of `inputs`, then the biases.

/// Where the weights of a layer lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Affine {
    /// First weight.
    pub at: usize,
    /// Width of x.
    pub inputs: usize,
    /// Width of y.
    pub outputs: usize,
}

impl Affine {
    /// The place behind its last bias.
    pub const fn end(self) -> usize {
        self.at + self.outputs * (self.inputs + 1)
    }

    /// Its weights without the biases.
    pub fn matrix(self, weights: &[f64]) -> &[f64] {
        &weights[self.at..self.at + self.outputs * self.inputs]
    }

    /// Its biases.
    pub fn bias(self, weights: &[f64]) -> &[f64] {
        &weights[self.at + self.outputs * self.inputs..self.end()]
    }

    /// Weights within the bounds of Glorot and Bengio (2010); biases stay 0.
    pub fn start(self, weights: &mut [f64], draw: &mut impl FnMut() -> f64) {
        let bound = libm::sqrt(6.0 / (self.inputs + self.outputs) as f64);
        let all = &mut weights[self.at..self.at + self.outputs * self.inputs];
        all.iter_mut().for_each(|weight| *weight = bound * (2.0 * draw() - 1.0));
    }

    pub fn run(self, weights: &[f64], x: &[f64], y: &mut [f64]) {
        let rows = self.matrix(weights).chunks_exact(self.inputs);
        for ((y, row), bias) in y.iter_mut().zip(rows).zip(self.bias(weights)) {
            *y = row.iter().zip(x).fold(*bias, |sum, (w, x)| sum + w * x);
        }
    }

    /// Adds the slopes by weights and biases, and by x where it is asked for.
    pub fn back(
        self,
        weights: &[f64],
        x: &[f64],
        dy: &[f64],
        slope: &mut [f64],
        dx: Option<&mut [f64]>,
    ) {
        let middle = self.at + self.outputs * self.inputs;
        for (out, &dy) in dy.iter().enumerate() {
            let at = self.at + out * self.inputs;
            let row = &mut slope[at..at + self.inputs];
            row.iter_mut().zip(x).for_each(|(slope, x)| *slope += dy * x);
            slope[middle + out] += dy;
        }
        let Some(dx) = dx else { return };
        for (row, &dy) in self.matrix(weights).chunks_exact(self.inputs).zip(dy) {
            dx.iter_mut().zip(row).for_each(|(dx, w)| *dx += dy * w);
        }
    }
}
