//! Watches over a stream of predictions: has the loss risen, has the calibration broken? They see
//! means over whole horizons, because neighbouring labels overlap and would look like change.

use super::drift::{Adwin, PageHinkley, Sample, Shares, ks_probability, rejected};
use super::record::FeatureDrift;
use super::settings::DriftSettings;
use crate::base::ids::InstrumentId;
use crate::base::time::Nanos;
use crate::model::{Deciles, Training};

/// Mean of what falls into one span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Means {
    span_ns: i64,
    open: Option<(i64, f64, u64)>,
    closed: u64,
}

impl Means {
    pub(super) fn new(span_ns: i64) -> Self {
        Self { span_ns, open: None, closed: 0 }
    }

    /// Takes a value in; the mean of the span before, where this begins another.
    pub(super) fn push(&mut self, ts_ns: i64, value: f64) -> Option<f64> {
        let index = ts_ns.div_euclid(self.span_ns);
        match &mut self.open {
            Some((open, sum, count)) if *open == index => {
                *sum += value;
                *count += 1;
                None
            }
            other => {
                let mean = other.map(|(_, sum, count)| sum / count as f64);
                *other = Some((index, value, 1));
                self.closed += u64::from(mean.is_some());
                mean
            }
        }
    }

    /// Spans with a value in them, the open one included.
    pub(super) fn spans(&self) -> u64 {
        self.closed + u64::from(self.open.is_some())
    }
}

/// Looks for a change of a mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RiseWatch {
    means: Means,
    adwin: Adwin,
    rise: PageHinkley,
}

impl RiseWatch {
    pub(super) fn new(span_ns: i64, drift: &DriftSettings) -> Self {
        Self {
            means: Means::new(span_ns),
            adwin: Adwin::new(drift.adwin_delta),
            rise: PageHinkley::new(drift.rise_tolerance, drift.rise_threshold),
        }
    }

    /// True where what is watched has risen; values from 0 to 1.
    pub(super) fn push(&mut self, ts_ns: i64, value: f64) -> bool {
        let Some(mean) = self.means.push(ts_ns, value) else { return false };
        let before = self.adwin.mean();
        let cut = self.adwin.push(mean) && self.adwin.mean() > before;
        self.rise.push(mean) || cut
    }

    pub(super) fn spans(&self) -> u64 {
        self.means.spans()
    }
}

/// Holds the rows that a model is given against those it was trained on. Memory is bounded by
/// features and window.
#[derive(Clone, Debug)]
pub struct FeatureWatch {
    shares: Vec<Shares>,
    compared: Compared,
    rate: f64,
}

/// How distributions are compared.
#[derive(Clone, Debug)]
enum Compared {
    /// With every value of the training.
    Samples(Vec<Sample>),
    /// At the edges of its deciles, by the numbers of independent rows of both.
    Edges { training: f64, window: f64 },
}

impl FeatureWatch {
    /// `training` has a sample of each feature, in the order of a row; `dependence` rows in a row
    /// tell as much as one. `None` where a feature has no ten different values, which no watch of
    /// this kind can judge.
    pub fn new(training: &[Vec<f64>], dependence: f64, drift: &DriftSettings) -> Option<Self> {
        let window = drift.window as usize;
        let shares = training.iter().map(|sample| Shares::deciles(sample, window));
        let samples = training.iter().map(|sample| Sample::new(sample.clone(), window, dependence));
        Some(Self {
            shares: shares.collect::<Option<_>>()?,
            compared: Compared::Samples(samples.collect::<Option<_>>()?),
            rate: drift.false_discovery_rate,
        })
    }

    /// The same from what a card tells of its training, for a model of so many features. The
    /// distance of two distributions is then looked for at the edges of the deciles alone: it is
    /// at most the true one, so that less is told and never more. `None` where the card is of other
    /// features or `dependence` is below 1.
    pub fn of_training(
        (training, features): (&Training, usize),
        dependence: f64,
        drift: &DriftSettings,
    ) -> Option<Self> {
        if !(1.0..).contains(&dependence) {
            return None;
        }
        let window = drift.window as usize;
        let deciles = training.deciles(features).ok()?;
        let compared = Compared::Edges {
            training: training.rows as f64 / dependence,
            window: window as f64 / dependence,
        };
        let shares = deciles.iter().map(|own| shares_of(own, window));
        let shares = shares.collect::<Option<_>>()?;
        Some(Self { shares, compared, rate: drift.false_discovery_rate })
    }

    /// Takes a row in; what is beyond the number of features is not looked at.
    pub fn push(&mut self, row: &[f32]) {
        for (value, shares) in row.iter().zip(&mut self.shares) {
            shares.push(f64::from(*value));
        }
        if let Compared::Samples(samples) = &mut self.compared {
            for (value, sample) in row.iter().zip(samples) {
                sample.push(f64::from(*value));
            }
        }
    }

    /// What the window comes to; `None` before it is full. Sorts: not for every row.
    pub fn judge(&self) -> Option<FeatureDrift> {
        let indices: Option<Vec<f64>> = self.shares.iter().map(Shares::index).collect();
        let chances: Option<Vec<f64>> = match &self.compared {
            Compared::Samples(samples) => samples.iter().map(Sample::probability).collect(),
            Compared::Edges { training, window } => {
                let chance = |apart: f64| ks_probability(apart, *training, *window);
                self.shares.iter().map(|own| own.distance().map(chance)).collect()
            }
        };
        let chances = chances?;
        let drifted = rejected(&chances, self.rate).into_iter().filter(|drifted| *drifted).count();
        Some(FeatureDrift {
            psi_max: indices?.into_iter().reduce(f64::max)?,
            drifted_frac: drifted as f64 / chances.len() as f64,
        })
    }
}

/// The same for rows of several instruments, of each one a spacing apart at least.
#[derive(Clone, Debug)]
pub struct SpacedWatch {
    watch: FeatureWatch,
    spacing: Nanos,
    /// When each instrument last gave a row.
    newest: Vec<Option<Nanos>>,
}

impl SpacedWatch {
    /// Of so many instruments.
    pub fn new(watch: FeatureWatch, spacing: Nanos, instruments: usize) -> Self {
        Self { watch, spacing, newest: vec![None; instruments] }
    }

    /// Takes a row in; false where it is of no instrument that is watched, or too near to the one
    /// before.
    pub fn push(&mut self, instrument: InstrumentId, at: Nanos, row: &[f32]) -> bool {
        let Some(newest) = self.newest.get_mut(instrument.index()) else { return false };
        if newest.is_some_and(|newest| at - newest < self.spacing) {
            return false;
        }
        *newest = Some(at);
        self.watch.push(row);
        true
    }

    /// What the window comes to, as [`FeatureWatch::judge`].
    pub fn judge(&self) -> Option<FeatureDrift> {
        self.watch.judge()
    }
}

/// Bins of a feature's deciles; edges that are equal become one.
fn shares_of(deciles: &Deciles, window: usize) -> Option<Shares> {
    let (mut edges, mut expected) = (Vec::<f64>::new(), Vec::<f64>::new());
    for (&edge, &share) in deciles.edges.iter().zip(&deciles.shares) {
        let (edge, share) = (f64::from(edge), f64::from(share));
        match expected.last_mut() {
            Some(last) if edges.last() == Some(&edge) => *last += share,
            _ => {
                edges.push(edge);
                expected.push(share);
            }
        }
    }
    expected.push(f64::from(*deciles.shares.last()?));
    Shares::new(edges, expected, window)
}
