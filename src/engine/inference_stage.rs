//! Knows the market and never our position: book, features, model.

use super::link::{Accept, Halt, Next};
use super::models::{ModelIntake, ModelSigns, Models, Mounted, OwnPlaces};
use super::outbox::Outbox;
use super::probe::Probe;
use super::risk_stage::RiskStage;
use crate::base::counters::{Counter, Counters};
use crate::base::event::{
    BookState, BookTicker, Event, Kind, Level, NoDecision, Prediction, flags,
};
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::{InstrumentId, Seq};
use crate::base::limits::TIMER_VISITS_MAX;
use crate::base::reason::Reason;
use crate::base::settings::FeatureSettings;
use crate::base::time::Nanos;
use crate::book::{Book, BookUpdate};
use crate::features::{FeatureEngine, FeatureVector, Selection, TopOfBook};
use crate::journal::Recorder;
use crate::model::{Model, ModelOutput};
use rtrb::Producer;
use std::sync::Arc;

/// Everything the stage knows of one instrument.
pub(super) struct Market {
    book: Book,
    pub(super) features: FeatureEngine,
    /// Best bid and ask of the newest of book and bookTicker.
    bid: Level,
    ask: Level,
    newest_id: u64,
    /// Receipt of `bid` and `ask`.
    ts_quote: i64,
    book_valid: bool,
    /// The book broke in a way only a fresh snapshot mends.
    is_lost: bool,
    /// Bars that have closed.
    bars: u64,
    decided: Nanos,
    /// Why there last was no answer: reason, feature and model.
    last_fault: (u16, u16, u64),
}

/// What the stage decides with.
pub struct InferenceSettings {
    /// How features are computed.
    pub features: FeatureSettings,
    /// Least time between two decisions of one instrument; zero decides on every market event.
    pub decision_interval: Nanos,
    /// Levels a book holds on one side.
    pub book_levels: usize,
}

/// The second stage; see the head of this file.
pub struct InferenceStage {
    markets: Vec<Market>,
    models: Models,
    vector: FeatureVector,
    /// Whose model decided on the event in hand, and on which instrument.
    decided: Option<(usize, usize)>,
    output: ModelOutput,
    decision_interval: Nanos,
    /// Whom the next timer visits first, see [`Market::observe_all`].
    timer_next: usize,
    out: Outbox,
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
        Self {
            markets: (0..instruments).map(|_| Market::new(settings)).collect(),
            models: Models::new(Mounted::new(model, selection, instruments)),
            decided: None,
            vector: FeatureVector::EMPTY,
            output: ModelOutput::default(),
            decision_interval: settings.decision_interval,
            timer_next: 0,
            out: Outbox::of_instruments(instruments),
            lost_books: None,
            recorder,
            next,
            counters,
        }
    }

    /// Where to ask for a book to be synchronised anew: the ring back to the feed. Without it, as
    /// in a replay, the answer is already among the inputs.
    pub fn ask_for_books(&mut self, ring: Producer<InstrumentId>) {
        self.lost_books = Some(ring);
    }

    /// Lets other models come in over `intake` and decide when the river says so; `signs` tell what
    /// they do. Without it the first model decides to the end.
    pub fn let_models_in(&mut self, intake: ModelIntake, signs: Arc<ModelSigns>) {
        self.models.wire(intake, signs);
    }

    /// Instruments that have models of their own, which decide from their places in the river on.
    pub fn have_own_models(&mut self, own: OwnPlaces) {
        self.models.have_own(own);
    }

    /// The book of an instrument, for checks against an independent source.
    pub fn book(&self, instrument: InstrumentId) -> Option<&Book> {
        self.markets.get(instrument.index()).map(|m| &m.book)
    }

    /// The row that the champion was last given, in the order of its features.
    pub fn row(&self) -> &[f32] {
        self.models.row()
    }

    /// The way on, for checks of the stages behind it.
    pub const fn next(&self) -> &Next<RiskStage> {
        &self.next
    }

    /// Recorder and way on, at the end of a session.
    pub fn into_parts(self) -> (Recorder, Next<RiskStage>) {
        (self.recorder, self.next)
    }

    fn step<P: Probe>(&mut self, event: &Event, probe: &mut P) -> Result<(), Halt> {
        let Some(market) = self.markets.get_mut(event.instrument as usize) else {
            let next = &mut self.timer_next;
            Market::observe_all(&mut self.markets, next, event, &mut self.out);
            if event.kind == Kind::ModelSwap as u8 {
                self.models.swap(event, self.markets.iter().map(|market| market.bars))?;
            }
            return Ok(());
        };
        let decide = market.observe(event, &mut self.out);
        if event.puts_to_sleep() {
            self.models.forget(event.instrument as usize, market.bars);
            return Ok(());
        }
        if std::mem::take(&mut market.is_lost)
            && let Some(ring) = &mut self.lost_books
        {
            // A full ring holds older requests for the same few books; the book stays invalid.
            let _ = ring.push(event.instrument());
        }
        if !decide || event.now() - market.decided < self.decision_interval {
            return self.models.own(event, market.bars);
        }
        market.decided = event.now();
        let start = probe.stamp();
        let slot = self.models.decides(event.instrument(), event.now());
        let decision = self.predict(event, slot, start, probe);
        self.models.note(slot, decision.map_err(|(reason, _)| reason));
        self.record_decision(event, slot, decision);
        // An invalid book has no row to follow with.
        let has_row = !matches!(decision, Err((Reason::BookInvalid, _)));
        self.decided = has_row.then_some((slot, event.instrument as usize));
        Ok(())
    }

    /// Features, selection and model; the reason and the feature at fault where one fails.
    fn predict<P: Probe>(
        &mut self,
        event: &Event,
        slot: usize,
        start: Stamp,
        probe: &mut P,
    ) -> Result<(), (Reason, u16)> {
        let market = &mut self.markets[event.instrument as usize];
        if !market.book_valid {
            return Err((Reason::BookInvalid, u16::MAX));
        }
        market.features.compute(event.now(), &mut self.vector);
        let model = self.models.at(slot).ok_or((Reason::ModelMissing, u16::MAX))?;
        model.gather(&self.vector)?;
        let ready = probe.stamp();
        probe.record(Hop::Features, event.seq, start, ready);
        let place = event.instrument as usize;
        let result = model.run(place, market.bars, &mut self.output);
        let done = probe.stamp();
        probe.record(Hop::Inference, event.seq, ready, done);
        result.map_err(|reason| (reason, u16::MAX))
    }

    fn record_decision(&mut self, event: &Event, slot: usize, decision: Result<(), (Reason, u16)>) {
        let model_tag = self.models.tag(slot);
        let market = &mut self.markets[event.instrument as usize];
        let instrument = event.instrument();
        match decision {
            Ok(()) => {
                market.last_fault = (0, 0, 0);
                let input = self.models.at(slot).map_or(&[][..], |model| model.input());
                self.counters.add(Counter::Predictions, 1);
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
            }
            Err((reason, feature)) => {
                self.counters.add(Counter::NoDecisions, 1);
                // The same fault again is counted, not recorded: a cold start would fill the lane.
                let fault = (reason as u16, feature, model_tag);
                if market.last_fault != fault {
                    market.last_fault = fault;
                    let reason = reason as u16;
                    let body = NoDecision { reason, feature, model_tag, ..NoDecision::default() };
                    self.out.push(Event::caused_by(event, Kind::NoDecision, instrument, &body));
                }
            }
        }
    }
}

impl Market {
    pub(super) fn new(settings: &InferenceSettings) -> Self {
        Self {
            book: Book::new(settings.book_levels),
            features: FeatureEngine::new(&settings.features),
            bid: Level::default(),
            ask: Level::default(),
            newest_id: 0,
            ts_quote: 0,
            book_valid: false,
            is_lost: false,
            bars: 0,
            decided: Nanos(i64::MIN / 2),
            last_fault: (0, 0, 0),
        }
    }

    /// Takes in what is of no instrument, and so of all. Time closes the bars of those that nothing
    /// else happens to: a timer visits the next [`TIMER_VISITS_MAX`] of them, from `next` on.
    pub(super) fn observe_all(
        markets: &mut [Self],
        next: &mut usize,
        event: &Event,
        out: &mut Outbox,
    ) {
        if event.kind == Kind::Timer as u8 {
            for _ in 0..markets.len().min(TIMER_VISITS_MAX) {
                markets[*next].learn(event);
                *next = (*next + 1) % markets.len();
            }
        } else if event.kind == Kind::StreamStatus as u8 && !event.has(flags::ON) {
            for (i, market) in markets.iter_mut().enumerate() {
                let instrument = InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
                market.apply_to_book(event, instrument, out);
            }
        }
    }

    /// Nothing is known of the market any more. Closed bars go on being counted.
    fn forget(&mut self) {
        self.features.forget();
        (self.bid, self.ask) = (Level::default(), Level::default());
        (self.newest_id, self.ts_quote) = (0, 0);
        self.last_fault = (0, 0, 0);
    }

    fn learn(&mut self, event: &Event) {
        self.bars += u64::from(self.features.on_event(event).bar_closed);
    }

    /// Takes a market event in; true when it is one to decide on.
    pub(super) fn observe(&mut self, event: &Event, out: &mut Outbox) -> bool {
        match event.kind() {
            Some(Kind::DepthHead | Kind::DepthLevels | Kind::Gap) => {
                self.apply_to_book(event, event.instrument(), out)
            }
            Some(Kind::SymbolChange) if event.puts_to_sleep() => {
                self.apply_to_book(event, event.instrument(), out);
                self.forget();
                false
            }
            Some(Kind::BookTicker) => {
                let ticker = event.body::<BookTicker>();
                self.learn(event);
                if ticker.update_id >= self.newest_id {
                    self.newest_id = ticker.update_id;
                    self.ts_quote = event.ts_recv;
                    self.bid = Level { px: ticker.bid_px, qty: ticker.bid_qty };
                    self.ask = Level { px: ticker.ask_px, qty: ticker.ask_qty };
                }
                true
            }
            Some(Kind::Trade | Kind::AggTrade) => {
                self.learn(event);
                true
            }
            Some(_) => {
                self.learn(event);
                false
            }
            None => false,
        }
    }

    /// True when the book changed and is valid.
    fn apply_to_book(&mut self, event: &Event, instrument: InstrumentId, out: &mut Outbox) -> bool {
        let update = self.book.apply(event);
        let valid = self.book.is_valid();
        if valid != self.book_valid {
            self.book_valid = valid;
            // A venue that starts counting anew must not be taken for late news.
            self.newest_id = 0;
            let body = BookState {
                last_id: self.book.last_id(),
                bid_px: self.book.best_bid().map_or(0, |l| l.px),
                ask_px: self.book.best_ask().map_or(0, |l| l.px),
                reason: self.book.reason() as u16,
                ..BookState::default()
            };
            self.is_lost = self.book.reason() == Reason::BookCrossed;
            let bits = if valid { flags::ON } else { 0 };
            let event = Event::caused_by(event, Kind::BookState, instrument, &body);
            out.push(event.with_flags(bits));
        }
        let changed = matches!(update, BookUpdate::Applied { .. } | BookUpdate::Synced);
        if !changed && !matches!(update, BookUpdate::Invalid(_)) {
            return false;
        }
        let update = self.features.on_top(&self.top(), event.now());
        self.bars += u64::from(update.bar_closed);
        if valid && self.book.last_id() >= self.newest_id {
            self.newest_id = self.book.last_id();
            self.ts_quote = event.ts_recv;
            self.bid = self.book.best_bid().unwrap_or_default();
            self.ask = self.book.best_ask().unwrap_or_default();
        }
        valid
    }

    fn top(&self) -> TopOfBook {
        let mut top = TopOfBook { valid: self.book.is_valid(), ..TopOfBook::default() };
        for (slot, level) in top.bid.iter_mut().zip(self.book.bids()) {
            *slot = *level;
        }
        for (slot, level) in top.ask.iter_mut().zip(self.book.asks()) {
            *slot = *level;
        }
        top
    }
}

/// What a row of features is told by.
pub fn row_hash(row: &[f32]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(zerocopy::IntoBytes::as_bytes(row))
}

/// What risk needs of the inputs: everything but trades and depth, which end in predictions.
fn concerns_risk(event: &Event) -> bool {
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

impl Accept for InferenceStage {
    type Message = Event;

    #[inline]
    fn seq(event: &Event) -> Seq {
        event.seq
    }

    #[inline]
    fn accept<P: Probe>(&mut self, event: Event, origin: Stamp, probe: &mut P) -> Result<(), Halt> {
        self.out.clear();
        self.step(&event, probe)?;
        if concerns_risk(&event) {
            self.next.hand_on(event, origin, probe)?;
        }
        for i in 0..self.out.events().len() {
            let event = self.out.events()[i];
            let _ =
                self.recorder.append(&event).map_err(|fault| Halt::Journal { lane: 1, fault })?;
            self.next.hand_on(event, origin, probe)?;
        }
        if let Some((slot, instrument)) = self.decided.take() {
            // Behind the decision, which does not wait for it.
            let bars = self.markets[instrument].bars;
            self.models.follow(slot, instrument, bars, &self.vector);
        }
        if self.out.lost() > 0 {
            return Err(Halt::OutboxFull("inference"));
        }
        Ok(())
    }
}
