//! Frames through the trader's own rooms into labelled rows.
//!
//! ```text
//!   frames ─► feed ─► book ─► features ─► row at t ─┐
//!                      └────► mid at t, t + horizon ┴─► label: down, flat, up
//! ```
//! A row is taken when an applied change of the book is the first at or after the sampling time; so
//! rows look like the vectors a live session decides on.

use crate::gbdt::Table;
use peregrine::base::event::Event;
use peregrine::base::settings::{FeatureSettings, InstrumentSettings};
use peregrine::base::{InstrumentId, Kind, Nanos};
use peregrine::book::{Book, BookUpdate};
use peregrine::exchange::SyntheticMarket;
use peregrine::features::{
    FeatureEngine, FeatureVector, Input, SCHEMA, Selection, TOP_LEVELS, TopOfBook, WarmUp,
};
use peregrine::feed::{EventBatch, Feed};
use sha2::{Digest, Sha256};

/// Levels a side of a book kept for training.
const BOOK_LEVELS: usize = 8_192;

/// What a label means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelRule {
    /// How far ahead the mid is compared.
    pub horizon: Nanos,
    /// Moves up to this are flat, in basis points of the mid.
    pub threshold_bps: f64,
    /// Time between two rows of one instrument.
    pub every: Nanos,
}

/// Rows in time order, over all instruments.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Names of the features, in row order.
    pub names: Vec<String>,
    /// Time of each row.
    pub times: Vec<Nanos>,
    /// The rows with their labels: 0 down, 1 flat, 2 up.
    pub table: Table,
    /// Return of the mid over the horizon behind each label, basis points.
    pub moves_bps: Vec<f64>,
    /// Frames read.
    pub frames: u64,
    /// SHA-256 over every frame and its time.
    pub data_hash: [u8; 32],
}

/// The features a model may rest on that shall decide within seconds of its start, on any
/// recording of trades and books: their inputs are nothing else, and they need no bars and at most
/// `warm_up_secs`.
pub fn quick_features(warm_up_secs: u16) -> Vec<String> {
    let has_only = |spec: &&peregrine::features::FeatureSpec| {
        let inputs = spec.inputs;
        let others = [Input::Mark, Input::OpenInterest, Input::Funding, Input::Liquidations];
        !inputs.is_empty() && others.iter().all(|&other| !inputs.has(other))
    };
    let is_quick = |warm_up: WarmUp| match warm_up {
        WarmUp::Events(_) => true,
        WarmUp::Seconds(secs) => secs <= warm_up_secs,
        WarmUp::Bars(_) => false,
    };
    SCHEMA
        .iter()
        .filter(has_only)
        .filter(|spec| is_quick(spec.warm_up))
        .map(|spec| spec.name.to_owned())
        .collect()
}

/// A row whose future is not known yet.
struct Open {
    at: Nanos,
    mid: f64,
    row: Vec<f32>,
}

struct Lane {
    book: Book,
    engine: FeatureEngine,
    next: Nanos,
    open: std::collections::VecDeque<Open>,
}

/// Reads frames and collects rows.
pub struct Collector {
    feed: Feed,
    batch: EventBatch,
    lanes: Vec<Lane>,
    selection: Selection,
    rule: LabelRule,
    vector: FeatureVector,
    samples: Samples,
    hash: Sha256,
}

impl Collector {
    /// For some instruments, features by name and a label rule.
    ///
    /// # Errors
    /// The first feature the schema does not have.
    pub fn new(
        instruments: &[InstrumentSettings],
        names: Vec<String>,
        features: &FeatureSettings,
        rule: LabelRule,
    ) -> Result<Self, peregrine::features::UnknownFeature> {
        let lane = |_: &InstrumentSettings| Lane {
            book: Book::new(BOOK_LEVELS),
            engine: FeatureEngine::new(features),
            next: Nanos::ZERO,
            open: std::collections::VecDeque::new(),
        };
        let selection = Selection::new(&names)?;
        let table = Table { features: names.len(), ..Table::default() };
        Ok(Self {
            feed: Feed::new(instruments),
            batch: EventBatch::new(),
            lanes: instruments.iter().map(lane).collect(),
            selection,
            rule,
            vector: FeatureVector::EMPTY,
            samples: Samples { names, table, ..Samples::default() },
            hash: Sha256::new(),
        })
    }

    /// Takes one frame received at `ts`.
    pub fn on_frame(&mut self, frame: &[u8], ts: Nanos) {
        self.hash.update(ts.0.to_le_bytes());
        self.hash.update(frame);
        self.samples.frames += 1;
        self.feed.on_frame(frame, ts, &mut self.batch);
        self.take_batches();
    }

    /// Takes a depth snapshot received at `ts`.
    pub fn on_snapshot(&mut self, instrument: InstrumentId, body: &[u8], ts: Nanos) {
        self.feed.on_snapshot(instrument, body, ts, &mut self.batch);
        self.take_batches();
    }

    /// The next instrument whose book waits for a snapshot.
    pub fn snapshot_wanted(&mut self) -> Option<InstrumentId> {
        self.feed.snapshot_wanted()
    }

    /// Every row whose future became known, in time order.
    pub fn finish(mut self) -> Samples {
        self.samples.data_hash = self.hash.finalize().into();
        // Lanes close their rows at different instants: put them in order of their own time.
        let samples = &self.samples;
        let mut order: Vec<usize> = (0..samples.times.len()).collect();
        order.sort_by_key(|&row| samples.times[row]);
        let table = Table {
            features: samples.table.features,
            values: order.iter().flat_map(|&r| samples.table.row(r).iter().copied()).collect(),
            targets: order.iter().map(|&r| samples.table.targets[r]).collect(),
            weights: Vec::new(),
        };
        Samples {
            times: order.iter().map(|&r| samples.times[r]).collect(),
            moves_bps: order.iter().map(|&r| samples.moves_bps[r]).collect(),
            table,
            ..self.samples
        }
    }

    fn take_batches(&mut self) {
        loop {
            for i in 0..self.batch.len() {
                let event = self.batch.as_slice()[i];
                self.take(&event);
            }
            if !self.feed.drain(&mut self.batch) {
                break;
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let Some(lane) = self.lanes.get_mut(event.instrument().index()) else { return };
        lane.engine.on_event(event);
        let now = event.now();
        match lane.book.apply(event) {
            BookUpdate::Applied { .. } | BookUpdate::Synced => {
                lane.engine.on_top(&top_of(&lane.book), now);
                self.sample(event.instrument(), now);
            }
            BookUpdate::Invalid(_) if event.kind() == Some(Kind::Gap) => {
                lane.engine.on_top(&TopOfBook::default(), now);
                lane.open.clear();
            }
            _ => {}
        }
    }

    fn sample(&mut self, instrument: InstrumentId, now: Nanos) {
        let lane = &mut self.lanes[instrument.index()];
        let (Some(bid), Some(ask)) = (lane.book.best_bid(), lane.book.best_ask()) else { return };
        let mid = (bid.px + ask.px) as f64 / 2.0;
        while let Some(open) = lane.open.front()
            && now - open.at >= self.rule.horizon
        {
            let move_bps = 1e4 * (mid / open.mid - 1.0);
            let open = lane.open.pop_front().expect("the front was just seen");
            self.samples.times.push(open.at);
            self.samples.moves_bps.push(move_bps);
            self.samples.table.values.extend(open.row);
            self.samples.table.targets.push(label(move_bps, self.rule.threshold_bps));
        }
        if now < lane.next {
            return;
        }
        lane.engine.compute(now, &mut self.vector);
        let mut row = vec![0.0; self.selection.len()];
        if self.selection.gather(&self.vector, &mut row).is_ok() {
            lane.next = now + self.rule.every;
            lane.open.push_back(Open { at: now, mid, row });
        }
    }
}

/// Rows of a synthetic market run for `span`. `progress` is told the part done, 0 to 1.
///
/// # Errors
/// The first feature the schema does not have.
pub fn from_synthetic(
    mut market: SyntheticMarket,
    span: Nanos,
    (names, features, rule): (Vec<String>, &FeatureSettings, LabelRule),
    progress: &mut dyn FnMut(f64),
) -> Result<Samples, peregrine::features::UnknownFeature> {
    let instruments = market.instruments();
    let mut collector = Collector::new(&instruments, names, features, rule)?;
    let start = market.now();
    let mut body = Vec::new();
    while market.peek() < start + span {
        let frame = market.step();
        let ts = frame.ts;
        collector.on_frame(frame.frame, ts);
        while let Some(id) = collector.snapshot_wanted() {
            body.clear();
            market.snapshot(instruments[id.index()].symbol.as_str(), &mut body);
            collector.on_snapshot(id, &body, ts);
        }
        if collector.samples.frames.is_multiple_of(50_000) {
            progress((ts - start).0 as f64 / span.0 as f64);
        }
    }
    Ok(collector.finish())
}

/// The class of a move: 0 down, 1 flat, 2 up.
fn label(move_bps: f64, threshold_bps: f64) -> f64 {
    if move_bps < -threshold_bps {
        0.0
    } else if move_bps > threshold_bps {
        2.0
    } else {
        1.0
    }
}

/// The best levels as features see them.
pub(crate) fn top_of(book: &Book) -> TopOfBook {
    let mut top = TopOfBook { valid: book.is_valid(), ..TopOfBook::default() };
    for (slot, level) in top.bid.iter_mut().zip(book.bids().take(TOP_LEVELS)) {
        *slot = *level;
    }
    for (slot, level) in top.ask.iter_mut().zip(book.asks().take(TOP_LEVELS)) {
        *slot = *level;
    }
    top
}
