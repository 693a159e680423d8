//! Frames of a data set to labelled rows.

use super::{LabelOf, Market, Rows, Wanted, choose};
use crate::column::Column;
use crate::gbdt::Table;
use crate::samples::top_of;
use crate::validation::folds::Life;
use crate::validation::label::uniqueness;
use anyhow::{Context, Result, ensure};
use peregrine::base::event::{Event, Trade};
use peregrine::base::settings::FeatureSettings;
use peregrine::base::{Kind, Nanos, Reason};
use peregrine::book::{Book, BookUpdate};
use peregrine::features::{FeatureEngine, FeatureVector, SCHEMA, Selection};
use peregrine::feed::{EventBatch, Feed};
use peregrine::venue::capture::Payload;
use peregrine::venue::dataset::{DataSet, Stream, Tape};
use std::collections::BTreeMap;

/// Levels a side of a book kept: a tape quotes one.
const BOOK_LEVELS: usize = 64;
/// Frames between two words on the progress.
const FRAMES_TOLD: u64 = 100_000;

/// How features are computed on bars of this length: inputs that come once a bar are not stale.
pub fn feature_settings(bar_ms: u32) -> FeatureSettings {
    FeatureSettings {
        bar_interval_ms: bar_ms,
        market_age_ms_max: bar_ms.clamp(5_000, 3_600_000),
        slow_age_ms_max: bar_ms.saturating_mul(2).clamp(120_000, 86_400_000),
    }
}

/// The rows of a data set whose every file is what its manifest lists. `progress` is told the part
/// done, 0 to 1.
///
/// # Errors
/// The file that is missing, changed or not listed; features that cannot be; no row at all, with
/// what stood against one.
pub fn rows(
    set: &DataSet,
    wanted: &Wanted,
    label: &LabelOf,
    progress: &mut dyn FnMut(f64),
) -> Result<Rows> {
    set.verify()?;
    if let (Some(border), Some(to)) = (set.held_out_from_ms(), wanted.to) {
        ensure!(
            to.to_millis() <= border,
            "{} and later is held out of {}: take rows before it",
            crate::data::quality::at(border),
            set.manifest().name
        );
    }
    let bar_ms = bar_length(set, wanted)?;
    let names = choose(set, &wanted.features)?;
    let instruments = set.instruments()?;
    let mut gatherer = Gatherer {
        feed: Feed::new(&instruments),
        batch: EventBatch::new(),
        lanes: Vec::new(),
        selection: Selection::new(&names)?,
        vector: FeatureVector::EMPTY,
        input: vec![0.0; names.len()],
        wanted,
        bar: Nanos::from_millis(i64::from(bar_ms)),
        faults: BTreeMap::new(),
        values: Column::default(),
        rows: Vec::new(),
    };
    for facts in &set.manifest().symbols {
        let market = Market::new(facts.symbol.clone(), bar_ms.into(), settlements(set, facts)?);
        gatherer.lanes.push(Lane::new(market, bar_ms));
    }
    let span = span_of(set);
    let mut tape = Tape::open(set)?;
    let mut frames = 0_u64;
    while let Some((ts, payload)) = tape.next_payload()? {
        if wanted.to.is_some_and(|to| ts >= to) {
            break;
        }
        gatherer.take_payload(ts, payload);
        frames += 1;
        if frames.is_multiple_of(FRAMES_TOLD) {
            let part = (ts.0 / 1_000_000 - span.0) as f64 / (span.1 - span.0).max(1) as f64;
            progress(part.clamp(0.0, 1.0));
        }
    }
    let rows = gatherer.finish(names, label, set.hash())?;
    Ok(Rows { held_out_from_ms: set.manifest().hold_out_from_ms, ..rows })
}

/// Length of a bar, by the shortest candles where it is not told.
fn bar_length(set: &DataSet, wanted: &Wanted) -> Result<u32> {
    if wanted.bar_ms > 0 {
        return Ok(wanted.bar_ms);
    }
    let bars = set.manifest().files.iter().filter(|entry| entry.stream == Stream::Bars);
    let shortest = bars.map(|entry| entry.interval_ms).filter(|&ms| ms > 0).min();
    let shortest = shortest.context("the data set has no candles: tell the length of a bar")?;
    u32::try_from(shortest).context("a bar is too long")
}

fn span_of(set: &DataSet) -> (i64, i64) {
    let files = &set.manifest().files;
    let first = files.iter().map(|entry| entry.first_ms).min().unwrap_or(0);
    (first, files.iter().map(|entry| entry.last_ms).max().unwrap_or(0))
}

fn settlements(
    set: &DataSet,
    facts: &peregrine::venue::dataset::SymbolFacts,
) -> Result<Vec<(i64, f64)>> {
    let mut all = Vec::new();
    for entry in set.manifest().files_of(&facts.symbol, Stream::Funding) {
        let mut rows = set.rows(entry)?;
        while let Some(row) = rows.next_row()? {
            all.push((row[0], row[1] as f64 / 1e8));
        }
    }
    all.sort_by_key(|&(at, _)| at);
    all.dedup_by_key(|&mut (at, _)| at);
    Ok(all)
}

/// One symbol on the way.
struct Lane {
    book: Book,
    engine: FeatureEngine,
    market: Market,
    /// A bar closed since the last row.
    is_closed: bool,
    /// When a timer closes the bar that is open.
    timer: Option<Nanos>,
}

impl Lane {
    fn new(market: Market, bar_ms: u32) -> Self {
        Self {
            book: Book::new(BOOK_LEVELS),
            engine: FeatureEngine::new(&feature_settings(bar_ms)),
            market,
            is_closed: false,
            timer: None,
        }
    }

    /// The timers of a session that fall between two events: they close bars in silence.
    fn pass_silence(&mut self, now: Nanos, bar: Nanos) {
        let grace = Nanos((bar.0 / 4).min(300_000_000));
        let mut due = self.timer.unwrap_or(now.floor_to(bar) + bar + grace);
        while due < now {
            let timer = Event { kind: Kind::Timer as u8, ts_recv: due.0, ..Event::EMPTY };
            self.is_closed |= self.engine.on_event(&timer).bar_closed;
            due = due + bar;
        }
        self.timer = Some(due);
    }

    /// Takes an event as the inference stage does; true when a session would decide on it.
    fn observe(&mut self, event: &Event) -> bool {
        let ms = event.now().0 / 1_000_000;
        match event.kind() {
            Some(Kind::DepthHead | Kind::DepthLevels | Kind::Gap) => {
                let update = self.book.apply(event);
                let changed = matches!(update, BookUpdate::Applied { .. } | BookUpdate::Synced);
                if !changed && !matches!(update, BookUpdate::Invalid(_)) {
                    return false;
                }
                self.is_closed |= self.engine.on_top(&top_of(&self.book), event.now()).bar_closed;
                if let (Some(bid), Some(ask)) = (self.book.best_bid(), self.book.best_ask()) {
                    self.market.quote(ms, (bid.px + ask.px) as f64 / 2e8);
                }
                self.book.is_valid()
            }
            Some(kind @ (Kind::BookTicker | Kind::Trade | Kind::AggTrade)) => {
                self.is_closed |= self.engine.on_event(event).bar_closed;
                if kind != Kind::BookTicker {
                    self.market.trade(ms, event.body::<Trade>().px as f64 / 1e8);
                }
                true
            }
            Some(_) => {
                self.is_closed |= self.engine.on_event(event).bar_closed;
                false
            }
            None => false,
        }
    }
}

/// A row before its label.
#[derive(Clone, Copy)]
struct Taken {
    at: Nanos,
    symbol: u16,
    bar: u32,
}

struct Gatherer<'w> {
    feed: Feed,
    batch: EventBatch,
    lanes: Vec<Lane>,
    selection: Selection,
    vector: FeatureVector,
    input: Vec<f32>,
    wanted: &'w Wanted,
    bar: Nanos,
    /// Moments without a row, by reason and feature.
    faults: BTreeMap<(u16, u16), u64>,
    values: Column<f32>,
    rows: Vec<Taken>,
}

impl Gatherer<'_> {
    fn take_payload(&mut self, ts: Nanos, payload: Payload<'_>) {
        match payload {
            Payload::Frame(frame) => self.feed.on_frame(frame, ts, &mut self.batch),
            Payload::Snapshot { symbol, body } => {
                if let Some(id) = self.feed.symbols().find(symbol.as_str().as_bytes()) {
                    self.feed.on_snapshot(id, body, ts, &mut self.batch);
                }
            }
            Payload::ExchangeInfo(_) => {}
        }
        loop {
            for at in 0..self.batch.len() {
                let event = self.batch.as_slice()[at];
                self.take(&event);
            }
            if !self.feed.drain(&mut self.batch) {
                return;
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let symbol = event.instrument().index();
        let Some(lane) = self.lanes.get_mut(symbol) else { return };
        let now = event.now();
        lane.pass_silence(now, self.bar);
        let decides = lane.observe(event);
        if !decides || !lane.is_closed || !lane.book.is_valid() {
            return;
        }
        lane.is_closed = false;
        let place = lane.market.place(now.0 / 1_000_000) - 1;
        let nth = now.floor_to(self.bar).0 / self.bar.0.max(1);
        let is_due = nth % i64::from(self.wanted.every_bars.max(1)) == 0;
        if place < 0 || !is_due || self.wanted.from.is_some_and(|from| now < from) {
            return;
        }
        lane.engine.compute(now, &mut self.vector);
        match self.selection.gather(&self.vector, &mut self.input) {
            Ok(()) => {
                self.values.extend_from_slice(&self.input);
                self.rows.push(Taken { at: now, symbol: symbol as u16, bar: place as u32 });
            }
            Err((reason, feature)) => {
                *self.faults.entry((reason as u16, feature)).or_default() += 1;
            }
        }
    }

    /// Labels what was taken and puts it in order.
    fn finish(self, names: Vec<String>, label: &LabelOf, data_hash: [u8; 32]) -> Result<Rows> {
        let width = names.len();
        let mut markets: Vec<Market> = self.lanes.into_iter().map(|lane| lane.market).collect();
        let mut found = vec![None; self.rows.len()];
        let mut share = vec![0.0; self.rows.len()];
        for (symbol, market) in markets.iter_mut().enumerate() {
            let own: Vec<usize> = (0..self.rows.len())
                .filter(|&row| usize::from(self.rows[row].symbol) == symbol)
                .collect();
            let places: Vec<u32> = own.iter().map(|&row| self.rows[row].bar).collect();
            let labels = market.labels(&places, label);
            let life = |at: usize| {
                let until = labels[at].map_or(places[at] as usize, |label| label.until);
                places[at] as usize + 1..until + 1
            };
            let lives: Vec<_> = (0..places.len()).map(life).collect();
            let unique = uniqueness(&lives, market.bars.len());
            for (at, &row) in own.iter().enumerate() {
                (found[row], share[row]) = (labels[at], unique[at]);
            }
        }
        let faulty: u64 = self.faults.values().sum();
        let mut rows = Rows { names, bar_ms: self.bar.0 / 1_000_000, data_hash, ..Rows::default() };
        rows.table = Table { features: width, ..Table::default() };
        let mut order: Vec<usize> = (0..found.len()).filter(|&row| found[row].is_some()).collect();
        rows.left_out = faulty + (found.len() - order.len()) as u64;
        order.sort_by_key(|&row| (self.rows[row].at, self.rows[row].symbol));
        ensure!(!order.is_empty(), no_rows(found.len(), &self.faults));
        let mean = order.iter().map(|&row| share[row]).sum::<f64>() / order.len() as f64;
        for row in order {
            let (taken, Some(label)) = (self.rows[row], found[row]) else { continue };
            let market = &markets[usize::from(taken.symbol)];
            let from = taken.at.0 / 1_000_000;
            let until = market.opens(label.until + 1).max(from);
            rows.lives.push(Life { from, until });
            rows.symbols.push(taken.symbol);
            rows.bars.push(taken.bar);
            rows.changes.push(label.change);
            rows.table.values.extend_from_slice(&self.values[row * width..(row + 1) * width]);
            rows.table.targets.push(label.class as f64);
            rows.table.weights.push((share[row] / mean.max(f64::MIN_POSITIVE)).min(1_000.0));
        }
        rows.markets = markets;
        Ok(rows)
    }
}

/// Why there is no row.
fn no_rows(taken: usize, faults: &BTreeMap<(u16, u16), u64>) -> String {
    if let Some((&(reason, feature), count)) = faults.iter().max_by_key(|(_, count)| **count) {
        let name = SCHEMA.get(usize::from(feature)).map_or("the vector", |spec| spec.name);
        let reason = Reason::from_u16(reason).map_or_else(String::new, |r| format!("{r:?}"));
        return format!("no row: {count} moments were without {name} ({reason})");
    }
    match taken {
        0 => "no row: no bar closed within the time asked for".to_owned(),
        _ => format!("no row: the future of all {taken} moments is beyond the data"),
    }
}
