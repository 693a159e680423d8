//! What drives all contracts together: the regime, correlated shocks and buying pressure.
//!
//! ```text
//!            45 s              30 s              15 s          mean stay, exponential
//!   calm ◄────────► trend ◄────────► volatile
//!     └──────────────────────────────────┘        next regime: one of the other two, even odds
//! ```
//!
//! Pressure is an Ornstein-Uhlenbeck process of unit variance. It moves the latent value (so it
//! carries information about the next seconds) and leans on the order flow (so it can be seen).

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};

/// Step of the latent processes in nanoseconds.
pub const GRID_NANOS: i64 = 10_000_000;
const GRID_SECS: f64 = 0.01;
/// Time constant of pressure in seconds.
const PRESSURE_SECS: f64 = 4.0;
/// Part of a contract's shock that is common to all, as a correlation of log returns.
const CORRELATION: f64 = 0.7;
/// Drift of the latent value in standard deviations per second and unit of pressure.
const PRESSURE_DRIFT: f64 = 0.45;
/// Drift of the latent value in a trend, standard deviations per second.
const TREND_DRIFT: f64 = 0.35;

/// The market's mood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// Small moves, few orders.
    Calm,
    /// A drift in one direction.
    Trend,
    /// Large moves, many orders.
    Volatile,
}

/// The state shared by all contracts.
#[derive(Clone, Debug)]
pub struct Climate {
    rng: ChaCha8Rng,
    regime: Regime,
    direction: f64,
    left_secs: f64,
    pressure: f64,
    shock: f64,
    volatility: f64,
}

/// The latent state of one contract.
#[derive(Clone, Debug, Default)]
pub struct Latent {
    /// Value in ticks that quotes follow.
    pub value: f64,
    /// Buying pressure, about standard normal.
    pub pressure: f64,
    own_pressure: f64,
    anchor: f64,
}

impl Climate {
    /// Starts calm.
    pub fn new(rng: ChaCha8Rng) -> Self {
        Self {
            rng,
            regime: Regime::Calm,
            direction: 1.0,
            left_secs: 20.0,
            pressure: 0.0,
            shock: 0.0,
            volatility: 1.0,
        }
    }

    /// Makes every move so many times as large; 1 as a rule.
    pub const fn set_volatility(&mut self, times: f64) {
        self.volatility = times;
    }

    /// One grid step: the regime, the common pressure and the common shock.
    pub fn step(&mut self) {
        self.left_secs -= GRID_SECS;
        if self.left_secs <= 0.0 {
            self.change_regime();
        }
        self.shock = self.rng.sample(StandardNormal);
        self.pressure = mean_revert(self.pressure, &mut self.rng);
    }

    /// The regime now.
    pub const fn regime(&self) -> Regime {
        self.regime
    }

    /// Standard deviation of the latent log return over one second.
    pub const fn sigma(&self) -> f64 {
        let usual = match self.regime {
            Regime::Calm => 0.6e-4,
            Regime::Trend => 0.9e-4,
            Regime::Volatile => 1.8e-4,
        };
        usual * self.volatility
    }

    /// Factor on the rate of orders.
    pub const fn activity(&self) -> f64 {
        match self.regime {
            Regime::Calm => 0.7,
            Regime::Trend => 1.1,
            Regime::Volatile => 1.9,
        }
    }

    fn change_regime(&mut self) {
        let first: bool = self.rng.random();
        self.regime = match (self.regime, first) {
            (Regime::Calm, true) | (Regime::Volatile, true) => Regime::Trend,
            (Regime::Calm, false) | (Regime::Trend, true) => Regime::Volatile,
            (Regime::Trend, false) | (Regime::Volatile, false) => Regime::Calm,
        };
        self.direction = if self.rng.random() { 1.0 } else { -1.0 };
        let mean = match self.regime {
            Regime::Calm => 45.0,
            Regime::Trend => 30.0,
            Regime::Volatile => 15.0,
        };
        let stay: f64 = self.rng.sample(Exp1);
        self.left_secs = mean * stay;
    }
}

impl Latent {
    /// At rest on `value` ticks.
    pub fn new(value: f64) -> Self {
        Self { value, anchor: value, ..Self::default() }
    }

    /// One grid step under the climate's new state.
    pub fn step(&mut self, climate: &Climate, rng: &mut ChaCha8Rng) {
        self.own_pressure = mean_revert(self.own_pressure, rng);
        self.pressure = (climate.pressure + self.own_pressure) * std::f64::consts::FRAC_1_SQRT_2;
        let own: f64 = rng.sample(StandardNormal);
        let common = CORRELATION.sqrt();
        let noise = common * climate.shock + (1.0 - CORRELATION).sqrt() * own;
        let trend = match climate.regime {
            Regime::Trend => TREND_DRIFT * climate.direction,
            Regime::Calm | Regime::Volatile => 0.0,
        };
        let drift = PRESSURE_DRIFT * self.pressure + trend;
        let step = climate.sigma() * (noise * GRID_SECS.sqrt() + drift * GRID_SECS);
        // A pull of one part in ten thousand a second keeps week-long runs near where they began.
        let pull = 1e-4 * GRID_SECS * (self.anchor - self.value);
        self.value += self.value * step + pull;
    }
}

fn mean_revert(value: f64, rng: &mut ChaCha8Rng) -> f64 {
    let noise: f64 = rng.sample(StandardNormal);
    let rate = GRID_SECS / PRESSURE_SECS;
    value - value * rate + (2.0 * rate).sqrt() * noise
}
