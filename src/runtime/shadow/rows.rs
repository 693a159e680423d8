//! The rows that a challenger is given, against those it was trained on: spread over hours, so that
//! minutes of calm do not look like another market.

use crate::base::ids::InstrumentId;
use crate::base::time::Nanos;
use crate::model::Card;
use crate::promotion::record::FeatureDrift;
use crate::promotion::settings::DriftSettings;
use crate::promotion::watch::{FeatureWatch, SpacedWatch};
use anyhow::{Context, Result};

/// Rows between two judgements.
const JUDGED_EVERY: u64 = 100;

/// See the head of this file.
pub struct Rows {
    /// `None` where the card does not tell what the model was trained on.
    watch: Option<SpacedWatch>,
    taken: u64,
}

impl Rows {
    /// Of the model of `card`, in a session of so many instruments, each decided on after every
    /// `interval` at the earliest.
    ///
    /// # Errors
    /// When what the card tells of its training cannot be held against rows.
    pub fn new(
        card: &Card,
        (instruments, interval): (usize, Nanos),
        drift: &DriftSettings,
    ) -> Result<Self> {
        let covered_ns = drift.window_hours * 3_600e9;
        let spacing = Nanos((covered_ns * instruments as f64 / f64::from(drift.window)) as i64);
        // Labels that overlap make neighbours tell the same.
        let horizon = Nanos::from_millis(i64::try_from(card.horizon_ms)?);
        let dependence = (horizon.0 as f64 / spacing.max(interval).0.max(1) as f64).max(1.0);
        let of = |training| -> Result<SpacedWatch> {
            let told = (training, card.features.len());
            let watch = FeatureWatch::of_training(told, dependence, drift);
            let none = || format!("{}: training: no deciles of its rows", card.version);
            Ok(SpacedWatch::new(watch.with_context(none)?, spacing, instruments))
        };
        let watch = card.training.as_ref().map(of).transpose()?;
        Ok(Self { watch, taken: 0 })
    }

    /// Takes in the row of a prediction; what the window comes to, where it is judged.
    pub fn push(&mut self, place: InstrumentId, at: Nanos, row: &[f32]) -> Option<FeatureDrift> {
        let watch = self.watch.as_mut()?;
        if !watch.push(place, at, row) {
            return None;
        }
        self.taken += 1;
        if self.taken.is_multiple_of(JUDGED_EVERY) { watch.judge() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Training;

    /// A feature that was 0 to 999 in training.
    fn rows() -> Rows {
        let trained: Vec<f32> = (0..1_000_u16).map(f32::from).collect();
        let card = Card {
            horizon_ms: 1_000,
            features: vec!["one".to_owned()],
            training: Training::of(1, &trained),
            ..card()
        };
        let drift = DriftSettings {
            window: 200,
            window_hours: 12.0,
            false_discovery_rate: 0.01,
            ..Default::default()
        };
        Rows::new(&card, (1, Nanos::ZERO), &drift).unwrap()
    }

    fn card() -> Card {
        let text = include_str!("../../../models_saved/synthetic-1/card.toml");
        Card::parse(text).unwrap()
    }

    #[test]
    fn rows_are_taken_at_their_spacing_and_judged_when_the_hours_of_a_window_are_over() {
        let (mut rows, spacing) = (rows(), 12 * 3_600 / 200);
        let mut judged = Vec::new();
        // A row each second; those taken run through the training's range.
        for second in 0..24 * 3_600_i64 {
            let value = (second / spacing * 37 % 1_000) as f32;
            let told = rows.push(InstrumentId(0), Nanos::from_secs(second), &[value]);
            judged.extend(told.map(|drift| (second, drift)));
        }
        let places: Vec<i64> = judged.iter().map(|(second, _)| second / spacing).collect();
        assert_eq!(places, [199, 299, 399]);
        for (_, drift) in judged {
            assert!(drift.psi_max < 0.1 && drift.drifted_frac == 0.0, "{drift:?}");
        }
    }

    #[test]
    fn a_feature_that_left_what_it_was_in_training_is_told_and_an_older_card_tells_nothing() {
        let mut rows = rows();
        let told = (0..200).filter_map(|number| {
            let value = 600.0 + (number * 37 % 1_000) as f32;
            rows.push(InstrumentId(0), Nanos::from_secs(number * 300), &[value])
        });
        let [drift] = told.collect::<Vec<_>>()[..] else { panic!("one judgement") };
        assert!(drift.psi_max > 0.25 && drift.drifted_frac == 1.0, "{drift:?}");
        let drift = DriftSettings { window: 100, window_hours: 1.0, ..Default::default() };
        let mut silent =
            Rows::new(&Card { training: None, ..card() }, (1, Nanos::ZERO), &drift).unwrap();
        let at = |number: i64| Nanos::from_secs(number * 1_000);
        assert!((0..200).all(|n| silent.push(InstrumentId(0), at(n), &[0.0; 9]).is_none()));
    }
}
