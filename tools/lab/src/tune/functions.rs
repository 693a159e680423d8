//! Functions whose least value is published: what a search finds of it can be judged.
//!
//! Definitions and minima: Surjanovic and Bingham, "Virtual Library of Simulation Experiments";
//! Dixon and Szegő (1978) for Branin and Hartmann.

use super::space::{Distribution, Parameter, Point, Space};
use super::{Objective, Report, Verdict};
use serde_json::Value;
use std::f64::consts::{E, PI};

/// Weights, scales and places of the four hills of Hartmann's function of six numbers.
const HILLS: [(f64, [f64; 6], [f64; 6]); 4] = [
    (1.0, [10.0, 3.0, 17.0, 3.5, 1.7, 8.0], [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886]),
    (1.2, [0.05, 10.0, 17.0, 0.1, 8.0, 14.0], [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991]),
    (3.0, [3.0, 3.5, 1.7, 10.0, 17.0, 8.0], [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650]),
    (3.2, [17.0, 8.0, 0.05, 10.0, 0.1, 14.0], [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381]),
];

/// A function to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Function {
    /// Sum of squares of five numbers from −5 to 5.
    Sphere,
    /// A bent valley over two numbers from −5 to 10.
    Rosenbrock,
    /// Three equal minima over two numbers.
    Branin,
    /// Four hills over six numbers from 0 to 1.
    Hartmann6,
    /// Many small dips around a deep one, over five numbers from −32.768 to 32.768.
    Ackley,
    /// A rate by its logarithm, a whole number, a share in steps and a choice: each kind once.
    Mixed,
}

impl Function {
    /// Every function.
    pub const ALL: [Self; 6] =
        [Self::Sphere, Self::Rosenbrock, Self::Branin, Self::Hartmann6, Self::Ackley, Self::Mixed];

    /// As it is named on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sphere => "sphere",
            Self::Rosenbrock => "rosenbrock",
            Self::Branin => "branin",
            Self::Hartmann6 => "hartmann6",
            Self::Ackley => "ackley",
            Self::Mixed => "mixed",
        }
    }

    /// Its least value, as published.
    pub const fn optimum(self) -> f64 {
        match self {
            Self::Branin => 0.397_887_357_729_738_16,
            Self::Hartmann6 => -3.322_368_011_391_339,
            Self::Sphere | Self::Rosenbrock | Self::Ackley | Self::Mixed => 0.0,
        }
    }

    /// Where it is searched.
    pub fn space(self) -> Space {
        let float = |low, high| Distribution::Float { low, high, log: false, step: None };
        let cube =
            |low, high, count| (0..count).map(move |at| (format!("x{at}"), float(low, high)));
        let parts: Vec<(String, Distribution)> = match self {
            Self::Sphere => cube(-5.0, 5.0, 5).collect(),
            Self::Rosenbrock => cube(-5.0, 10.0, 2).collect(),
            Self::Branin => {
                vec![("x0".to_owned(), float(-5.0, 10.0)), ("x1".to_owned(), float(0.0, 15.0))]
            }
            Self::Hartmann6 => cube(0.0, 1.0, 6).collect(),
            Self::Ackley => cube(-32.768, 32.768, 5).collect(),
            Self::Mixed => mixed_space(),
        };
        let named = |(name, distribution)| Parameter { name, distribution };
        Space::new(parts.into_iter().map(named).collect()).expect("the ranges above are not empty")
    }

    /// Its value at a point of [`Function::space`], in that order.
    pub fn value(self, x: &[f64]) -> f64 {
        let count = x.len() as f64;
        match self {
            Self::Sphere => x.iter().map(|x| x * x).sum(),
            Self::Rosenbrock => {
                let bend = x[1] - x[0] * x[0];
                100.0 * bend * bend + (1.0 - x[0]) * (1.0 - x[0])
            }
            Self::Branin => {
                let bend = x[1] - 5.1 / (4.0 * PI * PI) * x[0] * x[0] + 5.0 / PI * x[0] - 6.0;
                bend * bend + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * libm::cos(x[0]) + 10.0
            }
            Self::Hartmann6 => {
                let hill = |(weight, scale, place): &(f64, [f64; 6], [f64; 6])| {
                    let far = |i: usize| scale[i] * (x[i] - place[i]) * (x[i] - place[i]);
                    weight * libm::exp(-(0..6).map(far).sum::<f64>())
                };
                -HILLS.iter().map(hill).sum::<f64>()
            }
            Self::Ackley => {
                let square = x.iter().map(|x| x * x).sum::<f64>() / count;
                let wave = x.iter().map(|x| libm::cos(2.0 * PI * x)).sum::<f64>() / count;
                20.0 + E - 20.0 * libm::exp(-0.2 * libm::sqrt(square)) - libm::exp(wave)
            }
            Self::Mixed => {
                let (rate, depth, share) =
                    (libm::log10(x[0]) + 1.5, (x[1] - 5.0) / 4.0, x[2] - 0.7);
                let apart = [0.5, 0.0, 1.0][x[3] as usize];
                rate * rate + depth * depth + 4.0 * share * share + apart
            }
        }
    }
}

fn mixed_space() -> Vec<(String, Distribution)> {
    let choices = ["a", "b", "c"].map(|choice| Value::String(choice.to_owned())).to_vec();
    vec![
        ("rate".to_owned(), Distribution::Float { low: 1e-4, high: 1.0, log: true, step: None }),
        ("depth".to_owned(), Distribution::Int { low: 1, high: 12, log: false, step: 1 }),
        (
            "share".to_owned(),
            Distribution::Float { low: 0.1, high: 1.0, log: false, step: Some(0.05) },
        ),
        ("kind".to_owned(), Distribution::Categorical { choices }),
    ]
}

impl Objective for Function {
    fn about(&self) -> String {
        format!("function {}", self.name())
    }

    fn value(&self, point: &Point<'_>, _: Report<'_>) -> Result<Verdict, anyhow::Error> {
        Ok(Verdict::Value(Self::value(*self, &point.values)))
    }
}
