//! A density over a space: a mixture with a component an observation and one for what was known
//! before any.
//!
//! A component is a product over the parameters: a normal curve cut off at the bounds for a number
//! (its integral over the cell for one with steps), and a share a choice for a list. Sources:
//! Bergstra et al. (2011), "Algorithms for Hyper-Parameter Optimization"; Falkner et al. (2018) for
//! components over all parameters together; Scott (1992) for the widths: the deviation of what was
//! seen times n^(−1/(d+4)).

use super::space::{Distribution, Space};
use rand::Rng;
use std::f64::consts::{LN_2, PI, SQRT_2};

/// Draws of a cut-off normal before it is taken at its nearest bound. Its mean lies within the
/// bounds, so that each draw is within with a chance of a third at least.
const DRAWS_MAX: usize = 200;

/// Least width of a component over the range, however many observations there are.
const WIDTH_MIN: f64 = 0.01;

/// A parameter as a line on which normal curves are laid, or a list.
#[derive(Clone, Debug)]
enum Axis {
    /// From `low` to `high` after the logarithm, if there is one; from `first` to `last` before.
    Line { low: f64, high: f64, log: bool, first: f64, last: f64 },
    /// As a line; values stand in the middle of cells.
    Cells { low: f64, high: f64, log: bool, first: f64, last: f64, step: f64 },
    /// So many choices.
    List(usize),
}

/// Part of a component on one axis.
#[derive(Clone, Debug)]
enum Curve {
    Normal { mean: f64, width: f64, ln_mass: f64 },
    Shares(Vec<f64>),
}

/// The mixture.
pub struct Mixture {
    axes: Vec<Axis>,
    /// All weigh the same.
    components: Vec<Vec<Curve>>,
}

fn axes_of(space: &Space) -> Vec<Axis> {
    let line = |low: f64, high: f64, log: bool, cells: Option<(f64, f64, f64)>| {
        let scale = |x: f64| if log { libm::log(x) } else { x };
        let (first, last) = (low, high);
        let (low, high) = (scale(low), scale(high));
        match cells {
            None => Axis::Line { low, high, log, first, last },
            Some((first, last, step)) => Axis::Cells { low, high, log, first, last, step },
        }
    };
    let axis = |distribution: &Distribution| match distribution {
        Distribution::Float { low, high, log, step: None } => line(*low, *high, *log, None),
        Distribution::Float { low, high, log, step: Some(step) } => {
            let last = low + libm::floor((high - low) / step + 1e-9) * step;
            line(low - step / 2.0, last + step / 2.0, *log, Some((*low, last, *step)))
        }
        Distribution::Int { low, high, log, step } => {
            let last = (low + (high - low) / step * step) as f64;
            let (low, step) = (*low as f64, *step as f64);
            line(low - step / 2.0, last + step / 2.0, *log, Some((low, last, step)))
        }
        Distribution::Categorical { choices } => Axis::List(choices.len()),
    };
    space.parameters().iter().map(|parameter| axis(&parameter.distribution)).collect()
}

/// The value at a part of 0 to 1 of a parameter's range.
pub fn value_at(space: &Space, parameter: usize, part: f64) -> f64 {
    match &axes_of(space)[parameter] {
        Axis::List(count) => libm::floor(part * *count as f64).min(*count as f64 - 1.0),
        axis => {
            let (low, high) = axis.bounds();
            axis.value(low + part * (high - low))
        }
    }
}

impl Axis {
    const fn bounds(&self) -> (f64, f64) {
        match self {
            Self::Line { low, high, .. } | Self::Cells { low, high, .. } => (*low, *high),
            Self::List(_) => (0.0, 0.0),
        }
    }

    fn coordinate(&self, value: f64) -> f64 {
        match self {
            Self::Line { log: true, .. } | Self::Cells { log: true, .. } => libm::log(value),
            _ => value,
        }
    }

    /// The value nearest to a coordinate.
    fn value(&self, at: f64) -> f64 {
        match self {
            // The logarithm and back may leave the bounds by a rounding.
            Self::Line { log, first, last, .. } => {
                let raw = if *log { libm::exp(at) } else { at };
                raw.clamp(*first, *last)
            }
            Self::Cells { log, first, last, step, .. } => {
                let raw = if *log { libm::exp(at) } else { at };
                (first + libm::round((raw - first) / step) * step).clamp(*first, *last)
            }
            Self::List(_) => at,
        }
    }

    /// Both ends of the cell around a value.
    fn cell(&self, value: f64) -> (f64, f64) {
        match self {
            Self::Cells { step, .. } => {
                (self.coordinate(value - step / 2.0), self.coordinate(value + step / 2.0))
            }
            _ => (value, value),
        }
    }
}

/// Deviation of a sample; 0 for fewer than two.
fn spread(sample: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = sample.clone().count() as f64;
    if count < 2.0 {
        return 0.0;
    }
    let mean = sample.clone().sum::<f64>() / count;
    libm::sqrt(sample.map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0))
}

/// Chance of a standard normal below `z`.
fn below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// Chance of a normal between two points, true to the last digits in either tail.
fn between(from: f64, to: f64, mean: f64, width: f64) -> f64 {
    let (a, b) = ((from - mean) / width, (to - mean) / width);
    if a > 0.0 { below(-a) - below(-b) } else { below(b) - below(a) }
}

impl Mixture {
    /// Of observations. The last component is what was known before; `factor` makes the widths
    /// of the others larger or smaller.
    pub fn new(space: &Space, observations: &[&[f64]], factor: f64) -> Self {
        let axes = axes_of(space);
        let count = observations.len() as f64;
        let scott = libm::pow(count.max(1.0), -1.0 / (axes.len() as f64 + 4.0));
        let least = factor.min(1.0) * (1.0 / (2.0 + count)).max(WIDTH_MIN);
        let width = |at: usize, axis: &Axis| {
            let (low, high) = axis.bounds();
            let spread = spread(observations.iter().map(|values| axis.coordinate(values[at])));
            (factor * spread * scott).clamp(least * (high - low), high - low)
        };
        let widths: Vec<f64> = axes.iter().enumerate().map(|(at, axis)| width(at, axis)).collect();
        let curve = |at: usize, axis: &Axis, value: Option<f64>| match axis {
            Axis::List(choices) => {
                // The more observations there are, the more one of them says.
                let mut shares = vec![1.0 / (count + 1.0); *choices];
                if let Some(value) = value {
                    shares[value as usize] += 1.0;
                }
                let sum: f64 = shares.iter().sum();
                Curve::Shares(shares.iter().map(|share| share / sum).collect())
            }
            axis => {
                let (low, high) = axis.bounds();
                let (mean, width) = match value {
                    Some(value) => (axis.coordinate(value).clamp(low, high), widths[at]),
                    None => (f64::midpoint(low, high), high - low),
                };
                let mass = if width > 0.0 { between(low, high, mean, width) } else { 1.0 };
                Curve::Normal { mean, width, ln_mass: libm::log(mass) }
            }
        };
        let component = |values: Option<&[f64]>| {
            let curve = |(at, axis)| curve(at, axis, values.map(|values| values[at]));
            axes.iter().enumerate().map(curve).collect::<Vec<_>>()
        };
        let seen = observations.iter().map(|values| component(Some(values)));
        let components = seen.chain([component(None)]).collect();
        Self { axes, components }
    }

    /// One draw.
    pub fn draw(&self, random: &mut impl Rng) -> Vec<f64> {
        let chosen = random.random_range(0..self.components.len());
        let curves = self.axes.iter().zip(&self.components[chosen]);
        curves.map(|(axis, curve)| axis.value(curve.draw(axis, random))).collect()
    }

    /// Logarithm of the density at a point.
    pub fn ln_density(&self, values: &[f64]) -> f64 {
        let spots: Vec<(f64, f64, f64)> = self
            .axes
            .iter()
            .zip(values)
            .map(|(axis, &value)| {
                let (from, to) = axis.cell(value);
                (axis.coordinate(value), from, to)
            })
            .collect();
        let terms: Vec<f64> = self
            .components
            .iter()
            .map(|curves| {
                let parts = self.axes.iter().zip(curves).zip(&spots);
                parts.map(|((axis, curve), spot)| curve.ln_at(axis, *spot)).sum::<f64>()
            })
            .collect();
        let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            return top;
        }
        let sum: f64 = terms.iter().map(|term| libm::exp(term - top)).sum();
        top + libm::log(sum / terms.len() as f64)
    }
}

impl Curve {
    fn draw(&self, axis: &Axis, random: &mut impl Rng) -> f64 {
        match self {
            Self::Shares(shares) => {
                let mut left: f64 = random.random();
                for (choice, share) in shares.iter().enumerate() {
                    if left < *share {
                        return choice as f64;
                    }
                    left -= share;
                }
                (shares.len() - 1) as f64
            }
            Self::Normal { mean, width, .. } => {
                let (low, high) = axis.bounds();
                let mut at = *mean;
                for _ in 0..DRAWS_MAX {
                    at = mean + width * normal(random);
                    if (low..=high).contains(&at) {
                        return at;
                    }
                }
                at.clamp(low, high)
            }
        }
    }

    fn ln_at(&self, axis: &Axis, (at, from, to): (f64, f64, f64)) -> f64 {
        match self {
            Self::Shares(shares) => libm::log(shares[at as usize]),
            // One value alone: certain.
            Self::Normal { width, .. } if *width <= 0.0 => 0.0,
            Self::Normal { mean, width, ln_mass } => match axis {
                Axis::Cells { .. } => libm::log(between(from, to, *mean, *width)) - ln_mass,
                _ => {
                    let z = (at - mean) / width;
                    -0.5 * (z * z + LN_2 + libm::log(PI)) - libm::log(*width) - ln_mass
                }
            },
        }
    }
}

/// A standard normal by Box and Muller.
fn normal(random: &mut impl Rng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    libm::sqrt(-2.0 * libm::log(1.0 - radius)) * libm::cos(2.0 * PI * angle)
}
