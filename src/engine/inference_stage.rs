//! Knows the market and never our position: book, features, model. All instruments on one thread.

use super::inference::{Inference, InferenceSettings, concerns_risk};
use super::link::{Accept, Halt, Next};
use super::models::{ModelIntake, ModelSigns, OwnPlaces};
use super::probe::Probe;
use super::risk_stage::RiskStage;
use super::share::Share;
use crate::base::counters::Counters;
use crate::base::event::Event;
use crate::base::hop::Stamp;
use crate::base::ids::{InstrumentId, Seq};
use crate::book::Book;
use crate::features::Selection;
use crate::journal::Recorder;
use crate::model::Model;
use rtrb::Producer;
use std::sync::Arc;

/// The second stage; see the head of this file.
pub struct InferenceStage {
    core: Inference,
    /// Books that cannot heal by themselves, for the feed to synchronise anew.
    lost_books: Option<Producer<InstrumentId>>,
    recorder: Recorder,
    next: Next<RiskStage>,
    counters: Arc<Counters>,
}

impl InferenceStage {
    /// `recorder` writes lane 1. `selection` is the model's input, in its order.
    pub fn new(
        instruments: usize,
        settings: &InferenceSettings,
        model: Model,
        selection: Selection,
        recorder: Recorder,
        next: Next<RiskStage>,
        counters: Arc<Counters>,
    ) -> Self {
        let core = Inference::new(Share::whole(instruments), settings, (model, selection));
        Self { core, lost_books: None, recorder, next, counters }
    }

    /// Where to ask for a book to be synchronised anew: the ring back to the feed. Without it, as
    /// in a replay, the answer is already among the inputs.
    pub fn ask_for_books(&mut self, ring: Producer<InstrumentId>) {
        self.lost_books = Some(ring);
    }

    /// Lets other models come in over `intake` and decide when the river says so; `signs` tell what
    /// they do. Without it the first model decides to the end.
    pub fn let_models_in(&mut self, intake: ModelIntake, signs: Arc<ModelSigns>) {
        self.core.let_models_in(intake, signs);
    }

    /// Instruments that have models of their own, which decide from their places in the river on.
    pub fn have_own_models(&mut self, own: OwnPlaces) {
        self.core.have_own_models(own);
    }

    /// The book of an instrument, for checks against an independent source.
    pub fn book(&self, instrument: InstrumentId) -> Option<&Book> {
        self.core.book(instrument)
    }

    /// The row that the champion was last given, in the order of its features.
    pub fn row(&self) -> &[f32] {
        self.core.row()
    }

    /// The way on, for checks of the stages behind it.
    pub const fn next(&self) -> &Next<RiskStage> {
        &self.next
    }

    /// Recorder and way on, at the end of a session.
    pub fn into_parts(self) -> (Recorder, Next<RiskStage>) {
        (self.recorder, self.next)
    }
}

impl Accept for InferenceStage {
    type Message = Event;

    #[inline]
    fn seq(event: &Event) -> Seq {
        event.seq
    }

    #[inline]
    fn accept<P: Probe>(&mut self, event: Event, origin: Stamp, probe: &mut P) -> Result<(), Halt> {
        let step = self.core.step(&event, probe)?;
        if let (true, Some(ring)) = (step.is_lost, &mut self.lost_books) {
            // A full ring holds older requests for the same few books; the book stays invalid.
            let _ = ring.push(event.instrument());
        }
        step.answer.count(&self.counters);
        if concerns_risk(&event) {
            self.next.hand_on(event, origin, probe)?;
        }
        for i in 0..self.core.out().events().len() {
            let event = self.core.out().events()[i];
            let _ =
                self.recorder.append(&event).map_err(|fault| Halt::Journal { lane: 1, fault })?;
            self.next.hand_on(event, origin, probe)?;
        }
        self.core.follow(step);
        if self.core.out().lost() > 0 {
            return Err(Halt::OutboxFull("inference"));
        }
        Ok(())
    }
}
