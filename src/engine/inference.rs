//! What inference does with an input, wherever it runs: markets, models, and what they answer. It
//! neither records nor hands on; its owners do, [`super::InferenceStage`] and
//! [`super::InferenceShard`].

use super::link::Halt;
use super::market::Market;
use super::models::{ModelIntake, ModelSigns, Models, Mounted, OwnPlaces};
use super::outbox::Outbox;
use super::probe::Probe;
use super::share::Share;
use crate::base::counters::{Counter, Counters};
use crate::base::event::{Event, Kind, NoDecision, Prediction};
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::InstrumentId;
use crate::base::reason::Reason;
use crate::base::settings::FeatureSettings;
use crate::base::time::Nanos;
use crate::book::Book;
use crate::features::{FeatureVector, Selection};
use crate::model::{Model, ModelOutput};
use std::sync::Arc;

/// What the stage decides with.
pub struct InferenceSettings {
    /// How features are computed.
    pub features: FeatureSettings,
    /// Least time between two decisions of one instrument; zero decides on every market event.
    pub decision_interval: Nanos,
    /// Levels a book holds on one side.
    pub book_levels: usize,
}

/// What a step came to, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing was to be decided.
    #[default]
    None,
    /// A prediction.
    Prediction,
    /// No prediction could be made.
    NoDecision,
}

impl Answer {
    /// Counts it; a counter has one writer.
    #[inline]
    pub fn count(self, counters: &Counters) {
        match self {
            Self::None => {}
            Self::Prediction => counters.add(Counter::Predictions, 1),
            Self::NoDecision => counters.add(Counter::NoDecisions, 1),
        }
    }
}

/// What a step leaves to its owner beside the outbox.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    pub answer: Answer,
    /// The book of the event's instrument broke in a way only a fresh snapshot mends.
    pub is_lost: bool,
    /// Whose model decided, and at which place.
    decided: Option<(usize, usize)>,
}

/// See the head of this file.
pub(super) struct Inference {
    share: Share,
    markets: Vec<Market>,
    models: Models,
    vector: FeatureVector,
    output: ModelOutput,
    decision_interval: Nanos,
    /// Whom the next timer visits first, see [`Market::observe_all`].
    timer_next: usize,
    out: Outbox,
}

impl Inference {
    /// For the instruments of `share`. `selection` is the model's input, in its order.
    pub fn new(
        share: Share,
        settings: &InferenceSettings,
        (model, selection): (Model, Selection),
    ) -> Self {
        let places = share.places();
        Self {
            share,
            markets: (0..places).map(|_| Market::new(settings)).collect(),
            models: Models::new(Mounted::new(model, selection, places)),
            vector: FeatureVector::EMPTY,
            output: ModelOutput::default(),
            decision_interval: settings.decision_interval,
            timer_next: 0,
            out: Outbox::of_instruments(places),
        }
    }

    /// Which instruments it has.
    pub const fn share(&self) -> Share {
        self.share
    }

    /// See [`super::InferenceStage::let_models_in`].
    pub fn let_models_in(&mut self, intake: ModelIntake, signs: Arc<ModelSigns>) {
        self.models.wire(intake, signs, self.share.shard());
    }

    /// Instruments that have models of their own, which decide from their places in the river on.
    pub fn have_own_models(&mut self, own: OwnPlaces) {
        self.models.have_own(own);
    }

    /// The book of an instrument, for checks against an independent source.
    pub fn book(&self, instrument: InstrumentId) -> Option<&Book> {
        self.markets.get(self.share.place(instrument.index())).map(|m| &m.book)
    }

    /// The row that the champion was last given, in the order of its features.
    pub fn row(&self) -> &[f32] {
        self.models.row()
    }

    /// What the last step produced, in order.
    #[inline]
    pub const fn out(&self) -> &Outbox {
        &self.out
    }

    /// Takes an input in.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn step<P: Probe>(&mut self, event: &Event, probe: &mut P) -> Result<Step, Halt> {
        self.out.clear();
        let place = self.share.place(event.instrument as usize);
        let Some(market) = self.markets.get_mut(place) else {
            let next = &mut self.timer_next;
            Market::observe_all(&mut self.markets, self.share, next, event, &mut self.out);
            if event.kind == Kind::ModelSwap as u8 {
                self.models.swap(event, self.markets.iter().map(|market| market.bars))?;
            }
            return Ok(Step::default());
        };
        let decide = market.observe(event, &mut self.out);
        if event.puts_to_sleep() {
            self.models.forget(place, market.bars);
            return Ok(Step::default());
        }
        let mut step = Step { is_lost: std::mem::take(&mut market.is_lost), ..Step::default() };
        if !decide || event.now() - market.decided < self.decision_interval {
            self.models.own(event, market.bars)?;
            return Ok(step);
        }
        market.decided = event.now();
        let start = probe.stamp();
        let slot = self.models.decides(event.instrument(), event.now());
        let decision = self.predict((event, place), slot, start, probe);
        self.models.note(slot, decision.map_err(|(reason, _)| reason));
        step.answer = self.record_decision((event, place), slot, decision);
        // An invalid book has no row to follow with.
        let has_row = !matches!(decision, Err((Reason::BookInvalid, _)));
        step.decided = has_row.then_some((slot, place));
        Ok(step)
    }

    /// Behind a decision, which does not wait for it: what the other model of a trial learns.
    #[inline]
    pub fn follow(&mut self, step: Step) {
        if let Some((slot, place)) = step.decided {
            let bars = self.markets[place].bars;
            self.models.follow(slot, place, bars, &self.vector);
        }
    }

    /// Features, selection and model; the reason and the feature at fault where one fails.
    fn predict<P: Probe>(
        &mut self,
        (event, place): (&Event, usize),
        slot: usize,
        start: Stamp,
        probe: &mut P,
    ) -> Result<(), (Reason, u16)> {
        let market = &mut self.markets[place];
        if !market.book_valid {
            return Err((Reason::BookInvalid, u16::MAX));
        }
        market.features.compute(event.now(), &mut self.vector);
        let model = self.models.at(slot).ok_or((Reason::ModelMissing, u16::MAX))?;
        model.gather(&self.vector)?;
        let ready = probe.stamp();
        probe.record(Hop::Features, event.seq, start, ready);
        let result = model.run(place, market.bars, &mut self.output);
        let done = probe.stamp();
        probe.record(Hop::Inference, event.seq, ready, done);
        result.map_err(|reason| (reason, u16::MAX))
    }

    fn record_decision(
        &mut self,
        (event, place): (&Event, usize),
        slot: usize,
        decision: Result<(), (Reason, u16)>,
    ) -> Answer {
        let model_tag = self.models.tag(slot);
        let market = &mut self.markets[place];
        let instrument = event.instrument();
        match decision {
            Ok(()) => {
                market.last_fault = (0, 0, 0);
                let input = self.models.at(slot).map_or(&[][..], |model| model.input());
                let body = Prediction {
                    probability: self.output.probability,
                    quantile: self.output.quantile,
                    features_hash: row_hash(input),
                    model_tag,
                    bid_px: market.bid.px,
                    bid_qty: market.bid.qty,
                    ask_px: market.ask.px,
                    ask_qty: market.ask.qty,
                    atr_px: market.features.atr().map_or(0, |px| px.0),
                    market_seq: event.seq,
                    ts_quote: market.ts_quote,
                };
                self.out.push(Event::caused_by(event, Kind::Prediction, instrument, &body));
                Answer::Prediction
            }
            Err((reason, feature)) => {
                // The same fault again is counted, not recorded: a cold start would fill the lane.
                // An answer that is none is recorded each time, as one that is: a breaker counts.
                let fault = (reason as u16, feature, model_tag);
                let answered = matches!(reason, Reason::ModelOutput | Reason::ModelFailed);
                if answered || market.last_fault != fault {
                    market.last_fault = fault;
                    let reason = reason as u16;
                    let body = NoDecision { reason, feature, model_tag, ..NoDecision::default() };
                    self.out.push(Event::caused_by(event, Kind::NoDecision, instrument, &body));
                }
                Answer::NoDecision
            }
        }
    }
}

/// What a row of features is told by.
pub fn row_hash(row: &[f32]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(zerocopy::IntoBytes::as_bytes(row))
}

/// What risk needs of the inputs: everything but trades and depth, which end in predictions.
pub(super) fn concerns_risk(event: &Event) -> bool {
    !matches!(
        event.kind(),
        Some(
            Kind::Trade
                | Kind::AggTrade
                | Kind::DepthHead
                | Kind::DepthLevels
                | Kind::Kline
                | Kind::OpenInterest
                | Kind::Liquidation
                | Kind::Malformed
        )
    )
}
