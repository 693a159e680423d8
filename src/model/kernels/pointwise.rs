//! Functions of single values, softmax and norms.
//!
//! exp and tanh are polynomials with the minimax coefficients of S. L. Moshier's Cephes library
//! (expf, tanhf), within 2 units in the last place of the true value. Below e^−87.3 exp gives 0,
//! above e^88.3 infinity. NaN stays NaN everywhere.

use super::super::ops::{Binary, Fold, Norm, Unary};
use super::{PAD, padded};

/// e^x.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, so that n · ln 2 loses nothing.
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let mantissa = p.mul_add(r * r, r) + 1.0;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let value = mantissa * scale;
    let value = if x > 88.3 { f32::INFINITY } else { value };
    let value = if x < -87.3 { 0.0 } else { value };
    if x.is_nan() { x } else { value }
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let z = x * x;
    let p = -5.704_988_7e-3_f32;
    let p = p.mul_add(z, 2.063_908_8e-2);
    let p = p.mul_add(z, -5.373_971_5e-2);
    let p = p.mul_add(z, 0.133_314_42);
    let p = p.mul_add(z, -0.333_332_8);
    let small = (p * z).mul_add(x, x);
    let large = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    if x.abs() < 0.625 { small } else { large.copysign(x) }
}

/// 1 / (1 + e^−x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Applies a function to every element.
#[inline(always)]
pub(crate) fn unary(function: Unary, x: &[f32], y: &mut [f32]) {
    match function {
        Unary::Abs => map(x, y, f32::abs),
        Unary::Elu(alpha) => map(x, y, |v| if v < 0.0 { alpha * (exp(v) - 1.0) } else { v }),
        Unary::Exp => map(x, y, exp),
        Unary::LeakyRelu(alpha) => map(x, y, |v| if v < 0.0 { alpha * v } else { v }),
        Unary::Neg => map(x, y, |v| -v),
        Unary::Reciprocal => map(x, y, |v| 1.0 / v),
        Unary::Relu => map(x, y, |v| if v < 0.0 { 0.0 } else { v }),
        Unary::Sigmoid => map(x, y, sigmoid),
        Unary::Softplus => map_exact(x, y, |v| v.max(0.0) + exp(-v.abs()).ln_1p()),
        Unary::Sqrt => map(x, y, f32::sqrt),
        Unary::Tanh => map(x, y, tanh),
        Unary::Clip(low, high) => map(x, y, |v| {
            let v = if v < low { low } else { v };
            if v > high { high } else { v }
        }),
    }
}

#[inline(always)]
fn map(x: &[f32], y: &mut [f32], function: impl Fn(f32) -> f32) {
    let x = &x[..padded(y.len())];
    for (x, y) in x.as_chunks::<PAD>().0.iter().zip(y.as_chunks_mut::<PAD>().0) {
        for k in 0..PAD {
            y[k] = function(x[k]);
        }
    }
}

#[inline(always)]
fn map_exact(x: &[f32], y: &mut [f32], function: impl Fn(f32) -> f32) {
    for (x, y) in x.iter().zip(y) {
        *y = if x.is_nan() { *x } else { function(*x) };
    }
}

/// Applies a function of two values; an operand of one element serves all.
#[inline(always)]
pub(crate) fn binary(function: Binary, a: (&[f32], bool), b: (&[f32], bool), y: &mut [f32]) {
    match function {
        Binary::Add => zip(a, b, y, |a, b| a + b),
        Binary::Sub => zip(a, b, y, |a, b| a - b),
        Binary::Mul => zip(a, b, y, |a, b| a * b),
        Binary::Div => zip(a, b, y, |a, b| a / b),
        Binary::Max => zip(a, b, y, |a, b| if a > b || a.is_nan() { a } else { b }),
        Binary::Min => zip(a, b, y, |a, b| if a < b || a.is_nan() { a } else { b }),
        Binary::Pow => zip(a, b, y, f32::powf),
    }
}

#[inline(always)]
fn zip(a: (&[f32], bool), b: (&[f32], bool), y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    let len = padded(y.len());
    match (a, b) {
        ((a, false), (b, false)) => {
            let pairs = a[..len].as_chunks::<PAD>().0.iter().zip(b[..len].as_chunks::<PAD>().0);
            for ((a, b), y) in pairs.zip(y.as_chunks_mut::<PAD>().0) {
                for k in 0..PAD {
                    y[k] = f(a[k], b[k]);
                }
            }
        }
        ((a, true), (b, _)) => {
            let a = a[0];
            map(b, y, |b| f(a, b));
        }
        ((a, false), (b, true)) => {
            let b = b[0];
            map(a, y, |a| f(a, b));
        }
    }
}

/// (x − offset) · scale.
#[inline(always)]
pub(crate) fn scaler(x: &[f32], offset: &[f32], scale: &[f32], y: &mut [f32]) {
    for (k, y) in y.iter_mut().enumerate() {
        *y = (x[k] - offset[k]) * scale[k];
    }
}

/// e^(x − max) / sum.
#[inline(always)]
pub(crate) fn softmax(x: &[f32], y: &mut [f32]) {
    let max = fold_max(x);
    let mut sum = 0.0;
    for (x, y) in x.iter().zip(y.iter_mut()) {
        *y = exp(x - max);
        sum += *y;
    }
    for y in y {
        *y /= sum;
    }
}

/// x divided by a norm, at least 1e-12.
#[inline(always)]
pub(crate) fn normalize(norm: Norm, x: &[f32], y: &mut [f32]) {
    let size = match norm {
        Norm::Max => x.iter().fold(0.0, |m, v| f32::max(m, v.abs())),
        Norm::L1 => x.iter().fold(0.0, |sum, v| sum + v.abs()),
        Norm::L2 => x.iter().fold(0.0, |sum, v| v.mul_add(*v, sum)).sqrt(),
    };
    for (x, y) in x.iter().zip(y) {
        *y = x / size.max(1e-12);
    }
}

/// All elements to one.
#[inline(always)]
pub(crate) fn fold(fold: Fold, x: &[f32]) -> f32 {
    match fold {
        Fold::Sum => x.iter().sum(),
        Fold::Mean => x.iter().sum::<f32>() / x.len() as f32,
        Fold::Max => fold_max(x),
    }
}

/// The largest element; NaN when any is NaN.
#[inline(always)]
fn fold_max(x: &[f32]) -> f32 {
    x.iter().fold(f32::NEG_INFINITY, |m, &v| if v > m || v.is_nan() { v } else { m })
}
