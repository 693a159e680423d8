//! Proper scores of a prediction against what came: the lower the better, and bounded.

use serde::{Deserialize, Serialize};

/// Number of classes: down, flat, up.
pub const CLASSES: usize = 3;
/// Probabilities below this count as this in the log-loss, so that it is bounded: 0.01.
pub const LOG_LOSS_PROBABILITY_MIN: f64 = 0.01;
/// −ln 0.01: the log-loss of being quite sure and wrong, and so the largest difference of two.
const LOG_LOSS_MAX: f64 = 4.605_170_185_988_091;
/// The Brier score of being quite sure and wrong, and so the largest difference of two.
const BRIER_MAX: f64 = 2.0;

/// Probabilities of down, flat and up.
pub type Probabilities = [f64; CLASSES];

/// Which score decides; named before a trial begins and not changed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// Sum over the classes of (probability − what came)²: 0 to 2.
    Brier,
    /// −ln of the probability of what came, nats: 0 to 4.61.
    LogLoss,
}

impl Score {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Brier => "brier",
            Self::LogLoss => "log_loss",
        }
    }

    /// The largest difference there can be between two predictions.
    pub const fn span(self) -> f64 {
        match self {
            Self::Brier => BRIER_MAX,
            Self::LogLoss => LOG_LOSS_MAX,
        }
    }

    /// The loss of a prediction where `class` came.
    pub fn loss(self, told: &Probabilities, class: usize) -> f64 {
        match self {
            Self::Brier => {
                let part = |(at, p): (usize, &f64)| {
                    let came = if at == class { 1.0 } else { 0.0 };
                    (p - came) * (p - came)
                };
                told.iter().enumerate().map(part).sum()
            }
            Self::LogLoss => -told[class].clamp(LOG_LOSS_PROBABILITY_MIN, 1.0).ln(),
        }
    }

    /// What the challenger gains on the champion by this outcome, and what each could lose by any.
    pub fn pair(
        self,
        champion: &Probabilities,
        challenger: &Probabilities,
        class: usize,
    ) -> Paired {
        let gain = |class: usize| self.loss(champion, class) - self.loss(challenger, class);
        let (mut up, mut down) = (0.0_f64, 0.0_f64);
        for possible in 0..CLASSES {
            up = up.max(gain(possible));
            down = down.max(-gain(possible));
        }
        Paired { gain: gain(class), stake: down, prize: up }
    }
}

/// One prediction of two models about the same thing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Paired {
    /// The champion's loss minus the challenger's: above 0 where the challenger was better.
    pub gain: f64,
    /// What the challenger could have lost at most, known before the outcome.
    pub stake: f64,
    /// What it could have gained at most, known before the outcome.
    pub prize: f64,
}

impl Paired {
    /// The same with the sides changed.
    pub fn reversed(self) -> Self {
        Self { gain: -self.gain, stake: self.prize, prize: self.stake }
    }
}

/// True for three probabilities that add up to one, within a hundred-thousandth.
pub fn is_distribution(told: &Probabilities) -> bool {
    told.iter().all(|p| (0.0..=1.0).contains(p)) && (told.iter().sum::<f64>() - 1.0).abs() < 1e-5
}

/// Bins of the calibration error.
pub const CALIBRATION_BINS: usize = 15;

/// How far a model's confidence is from how often it is right, over everything it was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    bins: [Bin; CALIBRATION_BINS],
    count: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    confidence: f64,
    right: u64,
}

impl Calibration {
    /// Takes a prediction in: its likeliest class, and whether that came.
    pub fn push(&mut self, told: &Probabilities, class: usize) {
        let (best, confidence) = told
            .iter()
            .enumerate()
            .fold((0, told[0]), |best, (at, &p)| if p > best.1 { (at, p) } else { best });
        // Bins are open below and closed above, as Guo et al. have them.
        let at = (confidence * CALIBRATION_BINS as f64).ceil() as usize;
        let bin = &mut self.bins[at.clamp(1, CALIBRATION_BINS) - 1];
        bin.confidence += confidence;
        bin.right += u64::from(best == class);
        self.count += 1;
    }

    /// Expected calibration error: 0 to 1; `None` before the first prediction.
    pub fn error(&self) -> Option<f64> {
        let apart = |bin: &Bin| (bin.right as f64 - bin.confidence).abs();
        let sum: f64 = self.bins.iter().map(apart).sum();
        (self.count > 0).then(|| sum / self.count as f64)
    }
}
