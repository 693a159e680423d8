//! The same stages over recorded or synthetic data, on one thread, in event time.
//!
//! ```text
//!  capture ─┐
//!  timers  ─┼─ in time order ─► FeedStage ─► … ─► ExecutionStage ─┐
//!  paper   ─┘ reports               │ every input                 │ orders
//!  venue ◄──────────────────────────┴─────────────────────────────┘
//! ```
//! No clock is read but for latency stamps and the run's own duration; the same data and
//! configuration give the same journal bytes.

mod audit;
mod journal;

pub use journal::{Again, is_market};

use super::assemble::{Budget, Parts, StageRecorders};
use super::clock::CycleProbe;
use super::inlet::{Inlet, OrderVenue};
use super::running::Gathered;
use super::scripted::Scripted;
use crate::base::counters::{Counter, Counters};
use crate::base::event::{Event, Kind};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::settings::{InstrumentList, InstrumentSettings};
use crate::base::time::Nanos;
use crate::base::units::Money;
use crate::engine::{FeedStage, Halt, Next, Outlet, With};
use crate::feed::Feed;
use crate::journal::{Journal, JournalSettings, LANES, Recorder};
use crate::observe::{CycleClock, HopCollector, Summary};
use crate::venue::capture::{Capture, CaptureRecord, DiscoveredInstrument, Payload};
use crate::venue::dataset::{DataSet, Tape};
use crate::venue::paper::PaperVenue;
use crate::venue::ports::NoEntry;
use crate::venue::watch::VenueWatch;
use anyhow::{Context, Result, bail};
use audit::Audit;
use rtrb::RingBuffer;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// What to run over what.
pub struct BacktestOrder {
    /// Where the market comes from.
    pub source: Source,
    /// Journal folder; it must be empty or absent.
    pub journal: PathBuf,
    /// First receive time taken.
    pub from: Option<Nanos>,
    /// First receive time no longer taken.
    pub to: Option<Nanos>,
    /// Also count and sum what the data holds of these.
    pub audit: Option<Vec<DiscoveredInstrument>>,
}

/// Where a backtest's market comes from.
pub enum Source {
    /// Files and folders of recorded data, merged by receive time.
    Recorded(Vec<PathBuf>),
    /// A frozen data set.
    Frozen(DataSet),
    /// The simulated exchange's market in event time.
    Synthetic {
        /// Its seed.
        seed: u64,
        /// How long it runs.
        length: Nanos,
    },
    /// The same market, driven to where it seldom goes by itself.
    Scripted(Box<Scripted>),
    /// The market as a session recorded it.
    Journal(Again),
}

/// What came of it.
pub struct BacktestOutcome {
    /// The figures every session tells.
    pub summary: Summary,
    /// What the data holds, by instrument; `Null` without an audit.
    pub market: Value,
    /// Lines of the data that could not be read, with the first few named.
    pub bad_lines: Vec<String>,
    /// Frames refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
}

/// The instruments of a backtest: those named, with facts from the file or the data; with
/// `discover`, every other one found as well.
///
/// # Errors
/// When a named symbol has no facts anywhere.
pub fn instruments(
    list: &InstrumentList,
    found: &[DiscoveredInstrument],
) -> Result<Vec<InstrumentSettings>> {
    let with_fees = |facts: &InstrumentSettings| InstrumentSettings {
        maker_fee: list.maker_fee,
        taker_fee: list.taker_fee,
        ..*facts
    };
    let facts = |symbol: &Symbol| {
        let given = list.facts.iter().find(|f| f.symbol == *symbol).copied();
        let seen = found.iter().find(|f| f.settings.symbol == *symbol);
        given.or_else(|| seen.map(|f| with_fees(&f.settings)))
    };
    let mut table = Vec::new();
    for symbol in &list.symbols {
        match facts(symbol) {
            Some(facts) => table.push(facts),
            // With discovery the list is a wish; the data decides.
            None if list.discover => {}
            None => bail!("{symbol} is neither in the data nor has facts in the configuration"),
        }
    }
    if list.discover {
        for item in found {
            if !table.iter().any(|f| f.symbol == item.settings.symbol) {
                table.push(with_fees(&item.settings));
            }
        }
    }
    Ok(table)
}

/// Runs a backtest.
///
/// # Errors
/// When the data cannot be opened, the model is refused, or the journal cannot be written.
pub fn run(parts: &Parts, order: &BacktestOrder) -> Result<BacktestOutcome> {
    parts.check_instruments()?;
    let mut bench = Bench::new(parts, order)?;
    let started = Instant::now();
    let bad_lines = match &order.source {
        Source::Recorded(paths) => run_recorded(&mut bench, paths, order)?,
        Source::Frozen(set) => {
            run_frozen(&mut bench, set, order)?;
            Vec::new()
        }
        Source::Synthetic { seed, length } => {
            run_scripted(
                &mut bench,
                parts,
                Scripted::by_itself(&parts.instruments, *seed, *length)?,
            )?;
            Vec::new()
        }
        Source::Journal(again) => {
            journal::run(&mut bench, again, order)?;
            Vec::new()
        }
        Source::Scripted(scripted) => {
            run_scripted(&mut bench, parts, scripted.as_ref().clone())?;
            Vec::new()
        }
    };
    bench.finish(started, bad_lines)
}

/// Everything recorded within the order's time; lines that cannot be read are named.
fn run_recorded(
    bench: &mut Bench,
    paths: &[PathBuf],
    order: &BacktestOrder,
) -> Result<Vec<String>> {
    let mut capture = Capture::open(paths)?;
    let mut bad_lines = Vec::new();
    while let Some(record) = capture.next() {
        match record {
            Ok(record) if order.from.is_some_and(|from| record.ts_recv < from) => {}
            Ok(record) if order.to.is_some_and(|to| record.ts_recv >= to) => break,
            Ok(record) => bench.on_record(&record)?,
            Err(error) => bad_lines.push(error.to_string()),
        }
    }
    Ok(bad_lines)
}

/// Every row within the order's time, as the frames that tell it.
fn run_frozen(bench: &mut Bench, set: &DataSet, order: &BacktestOrder) -> Result<()> {
    let mut tape = Tape::open_at(set, order.from)?;
    let mut line = 0;
    while let Some((ts_recv, payload)) = tape.next_payload()? {
        line += 1;
        if order.to.is_some_and(|to| ts_recv >= to) {
            break;
        }
        bench.on_record(&CaptureRecord { ts_recv, source: 0, line, payload })?;
    }
    Ok(())
}

/// Longest hole in recorded data that is filled with timers. Across a longer one, as between
/// recordings of different days, the grid goes on at its far end.
const HOLE_MAX: Nanos = Nanos::from_secs(24 * 3_600);

/// The simulated exchange's own frames and snapshots, without sockets and without waiting.
fn run_scripted(bench: &mut Bench, parts: &Parts, mut scripted: Scripted) -> Result<()> {
    let mut body = Vec::new();
    while let Some((copies, frame)) = scripted.step() {
        let ts = frame.ts;
        // Time passes though nothing arrives.
        bench.pass_to(ts)?;
        for _ in 0..copies {
            bench.on_frame(ts, frame.frame)?;
        }
        if copies == 0 {
            continue;
        }
        while let Some(instrument) = bench.inlet.feed.feed_mut().snapshot_wanted() {
            let symbol = parts.instruments[instrument.index()].symbol;
            body.clear();
            if scripted.market().snapshot(symbol.as_str(), &mut body) {
                bench.with_feed(|feed, with| feed.on_snapshot(instrument, &body, ts, with))?;
            }
        }
    }
    Ok(())
}

/// The pipeline with its paper venue and its timers.
struct Bench {
    inlet: Inlet<NoEntry>,
    clock: CycleClock,
    collector: HopCollector,
    counters: Arc<Counters>,
    journal: Journal,
    timer_ms: u64,
    next_timer: Option<Nanos>,
    /// Timers come with the market.
    timers_recorded: bool,
    opening: Vec<Event>,
    audit: Option<Audit>,
    stamps: Recorder,
    starting_equity: Money,
}

impl Bench {
    fn new(parts: &Parts, order: &BacktestOrder) -> Result<Self> {
        let (model, selection) = parts.load_model(Budget::None)?;
        let again = match &order.source {
            Source::Journal(again) => Some(again),
            _ => None,
        };
        let opening = match again {
            Some(again) if again.as_session => Vec::new(),
            _ => parts.opening(&model),
        };
        let counters = Arc::new(Counters::new());
        let (journal, lanes) = create_journal(parts, &order.journal, false)?;
        let [inputs, inference, risk, execution, stamps] = lanes;
        let (producer, orders) = RingBuffer::new(RING_EVENTS);
        let recorders = StageRecorders {
            inference: Recorder::lane(inference),
            risk: Recorder::lane(risk),
            execution: Recorder::lane(execution),
        };
        let mut stages =
            parts.fused((model, selection), recorders, Outlet::ring(producer), &counters)?;
        let (lost, lost_books) = RingBuffer::new(LOST_BOOKS);
        stages.ask_for_books(lost);
        let feed = FeedStage::new(
            Feed::of(parts.settings.venue.dialect, &parts.instruments),
            Recorder::lane(inputs),
            Next::Here(Box::new(stages)),
            Arc::clone(&counters),
        );
        let deposit = parts.settings.risk.starting_equity.unwrap_or(Money::ZERO);
        let clock = CycleClock::calibrate();
        let mut collector = HopCollector::new();
        let probe = CycleProbe::new(clock.clone(), collector.recorder());
        let mut paper = PaperVenue::new(&parts.instruments, parts.settings.paper, deposit);
        if let Some(latencies) = again.and_then(|again| again.latencies.clone()) {
            paper = paper.with_latencies(latencies);
        }
        let venue = OrderVenue::Paper(Box::new(paper));
        Ok(Self {
            inlet: Inlet { feed, venue, orders, lost_books, watch: VenueWatch::none(), probe },
            clock,
            collector,
            counters,
            journal,
            timer_ms: u64::from(parts.settings.session.timer_interval_ms),
            next_timer: None,
            timers_recorded: false,
            opening,
            audit: order.audit.as_deref().map(|found| Audit::new(&parts.instruments, found)),
            stamps: Recorder::lane(stamps),
            starting_equity: deposit,
        })
    }

    /// A frame at its time, after everything that was due before it.
    fn on_frame(&mut self, ts: Nanos, frame: &[u8]) -> Result<()> {
        self.pass_to(ts)?;
        let origin = self.clock.stamp();
        self.with_feed(|feed, with| feed.on_frame(frame, ts, origin, with))
    }

    fn pass_to(&mut self, ts: Nanos) -> Result<()> {
        if self.next_timer.is_none() {
            self.open(ts)?;
        }
        self.advance(ts)
    }

    fn on_record(&mut self, record: &CaptureRecord<'_>) -> Result<()> {
        let ts = record.ts_recv;
        match record.payload {
            Payload::Frame(frame) => self.on_frame(ts, frame)?,
            Payload::Snapshot { symbol, body } => {
                self.pass_to(ts)?;
                let id = self.inlet.feed.feed_mut().symbols().find(symbol.as_str().as_bytes());
                if let Some(id) = id {
                    self.with_feed(|feed, with| feed.on_snapshot(id, body, ts, with))?;
                }
            }
            Payload::ExchangeInfo(_) => {}
        }
        if let Some(audit) = &mut self.audit {
            audit.counted.on_record(record);
        }
        Ok(())
    }

    /// The session's first records carry the first receive time.
    fn open(&mut self, ts: Nanos) -> Result<()> {
        for event in std::mem::take(&mut self.opening) {
            self.with_feed(|feed, with| feed.on_event(event, ts, with))?;
        }
        let step = Nanos::from_millis(i64::try_from(self.timer_ms)?);
        let recorded = Nanos(i64::MAX);
        let next = if self.timers_recorded { recorded } else { ts.floor_to(step) + step };
        self.next_timer = Some(next);
        Ok(())
    }

    /// Delivers timers and reports due up to `ts`, in time order; at the same time reports first.
    fn advance(&mut self, ts: Nanos) -> Result<()> {
        let step = Nanos::from_millis(i64::try_from(self.timer_ms)?);
        loop {
            let timer = self.next_timer.unwrap_or(Nanos(i64::MAX));
            match self.inlet.venue.next_due() {
                Some(due) if due <= timer && due <= ts => self.take_reports(due)?,
                _ if timer <= ts => {
                    let interval = self.timer_ms;
                    self.with_feed(|feed, with| feed.on_timer(interval, timer, with))?;
                    let next = timer + step;
                    let far = ts - next > HOLE_MAX;
                    self.next_timer = Some(if far { ts.floor_to(step) } else { next });
                }
                _ => return Ok(()),
            }
        }
    }

    fn take_reports(&mut self, now: Nanos) -> Result<()> {
        while let Some(report) = self.inlet.venue.poll(now) {
            let at = report.now();
            self.with_feed(|feed, with| feed.on_event(report, at, with))?;
        }
        Ok(())
    }

    /// One call into the feed, then the orders that came of it to the paper venue.
    fn with_feed(
        &mut self,
        call: impl FnOnce(&mut FeedStage, &mut With<'_, CycleProbe>) -> Result<(), Halt>,
    ) -> Result<()> {
        let audit = &mut self.audit;
        let mut watch = |event: &Event| {
            if let Some(audit) = audit {
                audit.on_event(event);
            }
        };
        self.inlet.call(&mut watch, call)?;
        let _ = self.inlet.settle(None)?;
        Ok(())
    }

    fn finish(mut self, started: Instant, bad_lines: Vec<String>) -> Result<BacktestOutcome> {
        if self.next_timer.is_some() {
            let end = Event {
                kind: Kind::SessionEnd as u8,
                instrument: InstrumentId::NONE.0,
                ..Event::EMPTY
            };
            self.with_feed(|feed, with| feed.on_event(end, Nanos(i64::MIN), with))?;
        }
        let elapsed = started.elapsed();
        let stats = self.inlet.feed.feed_mut().stats().clone();
        publish_feed_counters(&self.counters, &stats);
        let refused = stats.malformed_reasons();
        let market = self.audit.map_or(Value::Null, |audit| {
            audit.counted.to_json(self.inlet.feed.feed_mut(), &audit.books)
        });
        drop(self.inlet.probe);
        self.collector.collect();
        let (_, inputs, next) = self.inlet.feed.into_parts();
        let (equity, recorders) = (self.starting_equity, vec![inputs]);
        let mut gathered = Gathered { equity, killed: false, halts: Vec::new(), recorders };
        if let Next::Here(stages) = next {
            gathered.inference(*stages);
        }
        let Gathered { equity, mut recorders, .. } = gathered;
        recorders.push(self.stamps);
        let dir = self.journal.dir().to_path_buf();
        close_journal(self.journal, recorders)?;
        let summary = Summary {
            counters: crate::observe::snapshot::CounterValues::read(&self.counters),
            elapsed,
            pnl: equity - self.starting_equity,
            journal: Some(dir),
            latency: self.collector.since_start(),
            ledger_equal: None,
            last_look: None,
        };
        Ok(BacktestOutcome { summary, market, bad_lines, refused })
    }
}

/// Orders in flight between execution and the paper venue within one step.
const RING_EVENTS: usize = 4_096;
/// Requests for fresh books within one step.
pub const LOST_BOOKS: usize = 64;

/// Creates the journal of a session and attaches what a replay needs.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub fn create_journal(
    parts: &Parts,
    dir: &Path,
    threaded: bool,
) -> Result<(Journal, [crate::journal::LaneWriter; LANES])> {
    let settings = &parts.settings.journal;
    let records = |mib: u32| (mib as usize) << 20 >> 7;
    let (input, output) =
        (records(settings.input_segment_mib), records(settings.output_segment_mib));
    // The session's name depends on what it runs with alone, so that equal runs give equal bytes.
    let session_id = xxh3_64(format!("{}\n{}", parts.epoch, parts.text).as_bytes());
    let base = JournalSettings::live(session_id);
    let settings = JournalSettings {
        segment_records: [input, output, output, output, output],
        flush_interval_ms: settings.flush_interval_ms,
        keep_segments: settings.keep_segments,
        threaded,
        ..base
    };
    let (journal, lanes) =
        Journal::create(dir, settings).with_context(|| format!("journal {}", dir.display()))?;
    journal.attach("config.toml", parts.text.as_bytes())?;
    journal.attach("model.onnx", &parts.files.onnx)?;
    journal.attach("card.toml", parts.files.card_text.as_bytes())?;
    parts.own.attach(&journal.attacher())?;
    Ok((journal, lanes))
}

/// Seals a journal with the recorders that wrote it, in lane order.
///
/// # Errors
/// When a lane is missing or sealing fails.
pub fn close_journal(journal: Journal, recorders: Vec<Recorder>) -> Result<()> {
    let writers: Vec<_> = recorders.into_iter().filter_map(Recorder::into_writer).collect();
    let count = writers.len();
    let writers = <[_; LANES]>::try_from(writers).map_err(|_| {
        anyhow::anyhow!("{count} lanes came back of {LANES}; the journal stays unsealed")
    })?;
    let _ = journal.close(writers)?;
    Ok(())
}

/// What the decoder counted, as counters.
pub fn publish_feed_counters(counters: &Counters, stats: &crate::feed::FeedStats) {
    counters.set(Counter::FramesMalformed, stats.malformed_count());
    counters.set(Counter::FramesIgnored, stats.ignored_count());
    counters.set(Counter::FramesFallback, stats.fallbacks);
    counters.set(Counter::Gaps, stats.gaps);
    counters.set(Counter::BookSyncs, stats.syncs);
}
