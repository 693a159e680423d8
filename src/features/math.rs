//! Decay, logarithm, sine. Only additions, multiplications, divisions and bit moves, which IEEE 754
//! fixes to the last bit: a journal replayed on another processor gives the same features, which
//! the system's mathematics library (it picks code by processor) does not promise.

use std::f64::consts::{LN_2, PI, SQRT_2};

/// `2^(-span / half_life)`; 1 for a span of zero or less, 0 beyond a thousand half-lives.
#[inline]
pub(super) fn decay(span_ns: i64, per_half_life: f64) -> f64 {
    if span_ns <= 0 {
        return 1.0;
    }
    let x = span_ns as f64 * per_half_life;
    if x >= 1_000.0 {
        return 0.0;
    }
    // x = n + r with |r| <= 1/2; 2^-n goes into the exponent, 2^-r into a polynomial.
    let n = (x + 0.5) as u64;
    let power = f64::from_bits((1_023 - n) << 52);
    exp_small((n as f64 - x) * LN_2) * power
}

/// Half-lives per nanosecond, the second argument of [`decay`].
pub(super) const fn per_half_life(half_life_ns: i64) -> f64 {
    1.0 / half_life_ns as f64
}

/// `e^y` for |y| <= ln 2 / 2 by its Taylor series, split into even and odd powers to shorten the
/// chain. The first term left out is below 0.3466^13 / 13! = 2e-16.
#[inline]
fn exp_small(y: f64) -> f64 {
    const C: [f64; 13] = {
        let mut c = [1.0; 13];
        let mut i = 1;
        while i < 13 {
            c[i] = c[i - 1] / i as f64;
            i += 1;
        }
        c
    };
    let z = y * y;
    let even = C[0] + z * (C[2] + z * (C[4] + z * (C[6] + z * (C[8] + z * (C[10] + z * C[12])))));
    let odd = C[1] + z * (C[3] + z * (C[5] + z * (C[7] + z * (C[9] + z * C[11]))));
    even + y * odd
}

/// Natural logarithm of a positive normal number; NaN for anything else.
pub(super) fn ln(x: f64) -> f64 {
    if !(x.is_normal() && x > 0.0) {
        return f64::NAN;
    }
    // x = m * 2^e with m in [1/sqrt 2, sqrt 2); ln m = 2 artanh((m - 1) / (m + 1)).
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1_023;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | (1_023 << 52));
    if m >= SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    // z <= 0.0295, so the term left out is below 0.0295^11 / 23 = 6e-19.
    let mut sum = 0.0;
    let mut k = 21.0;
    while k >= 1.0 {
        sum = sum * z + 1.0 / k;
        k -= 2.0;
    }
    2.0 * s * sum + exponent as f64 * LN_2
}

/// Sine and cosine of `turn` full turns, `turn` in [0, 1).
#[inline]
pub(super) fn sin_cos_turn(turn: f64) -> (f64, f64) {
    // Quarter q and a rest of at most an eighth of a turn either way, where both series are short.
    let q = (turn * 4.0 + 0.5) as u32;
    let y = (turn - f64::from(q) * 0.25) * (2.0 * PI);
    let z = y * y;
    let (sin, cos) = (y * alternating(z, &SIN_STEPS), alternating(z, &COS_STEPS));
    match q % 4 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// `1 - z c0 (1 - z c1 (1 - …))`.
#[inline]
fn alternating(z: f64, steps: &[f64]) -> f64 {
    steps.iter().rev().fold(1.0, |rest, step| 1.0 - z * step * rest)
}

/// Ratios of neighbouring Taylor terms of sine and cosine. With |y| <= pi / 4 the first terms left
/// out are below 1e-17.
const SIN_STEPS: [f64; 7] = reciprocals([6, 20, 42, 72, 110, 156, 210]);
const COS_STEPS: [f64; 8] = reciprocals([2, 12, 30, 56, 90, 132, 182, 240]);

const fn reciprocals<const N: usize>(divisors: [u32; N]) -> [f64; N] {
    let mut out = [0.0; N];
    let mut i = 0;
    while i < N {
        out[i] = 1.0 / divisors[i] as f64;
        i += 1;
    }
    out
}
