//! Rows of features worked out again from a session's inputs, by the steps of the stage itself and
//! beside it: for whoever wants to know whether they come out the same, and what they look like.

use super::inference::InferenceSettings;
use super::market::Market;
use super::outbox::Outbox;
use super::share::Share;
use crate::base::event::Event;
use crate::base::ids::InstrumentId;
use crate::base::time::Nanos;
use crate::features::{FeatureVector, Selection};

/// See the head of this file.
pub struct Rows {
    markets: Vec<Market>,
    vector: FeatureVector,
    selection: Selection,
    row: Vec<f32>,
    timer_next: usize,
    out: Outbox,
}

impl Rows {
    /// Over a session that begins; `selection` is the model's input, in its order.
    pub fn new(instruments: usize, settings: &InferenceSettings, selection: Selection) -> Self {
        Self {
            markets: (0..instruments).map(|_| Market::new(settings)).collect(),
            vector: FeatureVector::EMPTY,
            row: vec![0.0; selection.len()],
            selection,
            timer_next: 0,
            out: Outbox::of_instruments(instruments),
        }
    }

    /// Another model's input from here on.
    pub fn select(&mut self, selection: Selection) {
        self.row = vec![0.0; selection.len()];
        self.selection = selection;
    }

    /// Takes in a record of lane 0; each of them, in their order.
    pub fn on_input(&mut self, event: &Event) {
        self.out.clear();
        match self.markets.get_mut(event.instrument as usize) {
            Some(market) => {
                market.observe(event, &mut self.out);
            }
            None => {
                let (share, next) = (Share::whole(self.markets.len()), &mut self.timer_next);
                Market::observe_all(&mut self.markets, share, next, event, &mut self.out);
            }
        }
    }

    /// The row that a decision on this instrument has now; `None` where a feature has no value.
    pub fn row(&mut self, instrument: InstrumentId, now: Nanos) -> Option<&[f32]> {
        let market = self.markets.get_mut(instrument.index())?;
        market.features.compute(now, &mut self.vector);
        self.selection.gather(&self.vector, &mut self.row).ok()?;
        Some(&self.row)
    }
}
