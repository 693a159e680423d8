//! The whole river on one thread, as a session lays it on a small machine, with a probe that keeps
//! every hop's times.
//!
//! ```text
//!  tape ─► FeedStage ─► InferenceStage ─► RiskStage ─► ExecutionStage ─► paper venue ─┐
//!   ▲                                                                                 │
//!   └────────────────────────── reports, timers: outside the time of a frame ─────────┘
//! ```

use super::machine::on_any_core;
use super::tape::{Content, Entry, Tape};
use super::{histogram, record_nanos, repository};
use hdrhistogram::Histogram;
use peregrine::base::counters::{Counter, Counters};
use peregrine::base::event::{Event, ModelSwap};
use peregrine::base::hop::{Hop, Stamp};
use peregrine::base::ids::Seq;
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::{InstrumentId, Kind, Money, Nanos};
use peregrine::book::Book;
use peregrine::engine::{
    Crossing, FeedStage, ModelSupply, Next, Outlet, Probe, SwapRole, With, model_rings,
};
use peregrine::feed::{Feed, FeedStats};
use peregrine::journal::{Journal, Recorder};
use peregrine::observe::CycleClock;
use peregrine::registry::Registry;
use peregrine::runtime::assemble::{Budget, Parts, StageRecorders};
use peregrine::runtime::backtest::{close_journal, create_journal};
use peregrine::runtime::config;
use peregrine::runtime::running::Gathered;
use peregrine::venue::paper::PaperVenue;
use rtrb::{Consumer, RingBuffer};
use std::path::Path;
use std::sync::Arc;
use toml::{Table, Value};

/// How eagerly the bench's pipeline trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trading {
    /// As `config/paper.toml` says.
    AsConfigured,
    /// A decision on every tick, an order as often as positions and limits allow: what is measured
    /// is the way to an order, not whether it is a good one.
    Eager,
    /// The same over so many instruments that limits of the whole account would bind, with so many
    /// segments of the journal kept; 0 keeps all.
    EagerOfMany(u32),
}

/// Settings, instruments and the champion for a tape.
pub fn parts(instruments: &[InstrumentSettings], trading: Trading) -> Parts {
    let loaded = config::load(&repository("config/paper.toml")).expect("the shipped file is good");
    let mut document: Table = loaded.text.parse().expect("it was written by the program");
    let names = instruments.iter().map(|f| Value::String(f.symbol.to_string())).collect();
    set(&mut document, "risk", "allow", Value::Array(names));
    if trading != Trading::AsConfigured {
        make_eager(&mut document);
    }
    if let Trading::EagerOfMany(segments) = trading {
        widen(&mut document, segments, instruments.len());
    }
    let text = toml::to_string(&document).expect("a table can be written");
    let loaded = config::from_text("bench", &text).expect("the changed keys are lawful");
    let registry = Registry::open(&repository("models_saved")).expect("the registry is shipped");
    let files = registry.champion().expect("the champion is shipped");
    Parts {
        settings: loaded.settings,
        text: loaded.text,
        instruments: instruments.to_vec(),
        files,
        own: peregrine::runtime::own::OwnModels::default(),
        epoch: 1,
        mode: 0,
        carried: peregrine::runtime::recover::Carried::default(),
        signer: peregrine::execution::Signer::paper(),
    }
}

fn make_eager(document: &mut Table) {
    let numbers: &[(&str, &str, i64)] = &[
        ("policy", "decision_interval_ms", 0),
        ("exits", "hold_ms_max", 1),
        ("sizing", "min_edge_bps", -10_000),
        ("paper", "order_latency_us", 0),
        ("paper", "report_latency_us", 0),
        ("risk", "duplicate_window_ms", 1),
        ("risk", "orders_per_10s_max", 1_000_000),
        ("risk", "entries_per_day_max", 1_000_000),
        ("risk", "open_orders_max", 64),
        ("risk", "identical_entries_per_min_max", 32),
        ("risk", "collar_denials_per_min_max", 64),
        ("risk", "rate_denials_per_10s_max", 64),
        ("risk", "collar_cumulative_bps", 10_000),
        ("risk", "model_identical_max", 1_000_000),
        ("risk", "model_one_sided_percent_max", 100),
        ("risk", "late_percent_max", 100),
        ("risk", "decision_age_ms_max", 60_000),
        ("risk", "collar_mark_bps", 5_000),
        ("risk", "collar_touch_bps", 5_000),
        ("risk", "losses_in_a_row_max", 1_000_000),
        ("risk", "drawdown_bps_max", 9_999),
        ("breakers", "day_loss_warn_bps", 9_000),
        ("breakers", "day_loss_halt_bps", 9_500),
        ("breakers", "day_loss_kill_bps", 9_900),
        ("breakers", "drawdown_reduce_bps", 9_000),
        ("breakers", "drawdown_halt_bps", 9_999),
        ("breakers", "losses_half", 999_990),
        ("breakers", "losses_quarter", 999_995),
        ("breakers", "losses_halt", 1_000_000),
        ("breakers", "slippage_bps", 10_000),
        ("breakers", "rejects_in_a_row", 200),
        ("breakers", "rejects_window", 256),
        ("breakers", "rejects_percent", 100),
        ("breakers", "spread_trip_bps", 10_000),
        ("breakers", "core_stall_ms", 600_000),
        ("breakers", "send_to_ack_ms", 600_000),
        ("breakers", "send_to_ack_p95_ms", 600_000),
        ("breakers", "tick_to_gate_us", 10_000_000),
        ("breakers", "tick_to_gate_p95_us", 10_000_000),
        // A pass fits the segments it starts with: the keeper's pace is measured in `journal`.
        ("journal", "output_segment_mib", 32),
    ];
    for &(section, key, value) in numbers {
        set(document, section, key, Value::Integer(value));
    }
    set(document, "policy", "enter_edge", Value::Float(0.0));
    set(document, "policy", "exit_edge", Value::Float(0.0));
    for key in ["starting_equity", "capital_max", "daily_loss_max"] {
        set(document, "risk", key, Value::String("10000000".into()));
    }
}

/// Limits of the account as wide as hundreds of instruments need them. Positions are left by time
/// alone, and held the longer, the more instruments there are: together they make as many orders,
/// some 25 entries a second of event time.
fn widen(document: &mut Table, segments: u32, instruments: usize) {
    set(document, "journal", "keep_segments", Value::Integer(segments.into()));
    set(document, "portfolio", "positions_max", Value::Integer(1_024));
    set(document, "risk", "open_orders_max", Value::Integer(250));
    set(document, "exits", "hold_ms_max", Value::Integer(40 * instruments as i64));
    // The warm-up is in slower time than what follows.
    set(document, "breakers", "range_trip_percent", Value::Integer(100_000));
    set(document, "exits", "hold_bars", Value::Integer(0));
    for key in ["stop_atr", "take_profit_r", "trail_r", "volatility_high", "volatility_low"] {
        set(document, "exits", key, Value::Float(0.0));
    }
    set(document, "policy", "exit_edge", Value::Float(-1.0));
    for (section, key) in [
        ("risk", "gross_notional_max"),
        ("portfolio", "net_notional_max"),
        ("portfolio", "correlated_notional_max"),
    ] {
        set(document, section, key, Value::String("5000000".into()));
    }
}

fn set(document: &mut Table, section: &str, key: &str, value: Value) {
    let table = document.get_mut(section).and_then(Value::as_table_mut);
    let _ = table.expect("the shipped file has every section").insert(key.into(), value);
}

/// Keeps the times of every hop; knows whether the model ran for the frame in hand.
pub struct HopTimes {
    /// The cycle counter.
    pub clock: CycleClock,
    /// Times by hop.
    pub hops: Vec<Histogram<u64>>,
    /// Tick to order where the frame in hand was a best bid and offer and the model ran for it.
    pub ticker_orders: Histogram<u64>,
    /// Orders sent for a frame the model did not run for.
    pub without_model: u64,
    model_ran: bool,
    is_ticker: bool,
}

impl HopTimes {
    /// None yet.
    pub fn new(clock: CycleClock) -> Self {
        let hops = Hop::ALL.iter().map(|_| histogram()).collect();
        let ticker_orders = histogram();
        Self { clock, hops, ticker_orders, without_model: 0, model_ran: false, is_ticker: false }
    }

    /// The times of a hop.
    pub fn hop(&self, hop: Hop) -> &Histogram<u64> {
        &self.hops[hop as usize]
    }

    fn reset(&mut self) {
        self.hops.iter_mut().for_each(Histogram::reset);
        self.ticker_orders.reset();
        self.without_model = 0;
    }
}

impl Probe for HopTimes {
    #[inline]
    fn stamp(&mut self) -> Stamp {
        self.clock.stamp()
    }

    #[inline]
    fn record(&mut self, hop: Hop, _seq: Seq, from: Stamp, to: Stamp) {
        // Reports and timers have no model behind them; their orders are counted apart.
        if hop == Hop::TickToOrder && !self.model_ran {
            self.without_model += 1;
            return;
        }
        self.model_ran |= hop == Hop::Inference;
        let nanos = self.clock.nanos_between(from, to);
        record_nanos(&mut self.hops[hop as usize], nanos);
        if hop == Hop::TickToOrder && self.is_ticker {
            record_nanos(&mut self.ticker_orders, nanos);
        }
    }
}

/// The stages, their journal and a paper venue.
pub struct Pipeline {
    /// Where the times are.
    pub times: HopTimes,
    /// What the stages count.
    pub counters: Arc<Counters>,
    feed: FeedStage,
    paper: PaperVenue,
    orders: Consumer<Crossing<Event>>,
    journal: Journal,
    stamps: Recorder,
    timer: Nanos,
    opening: Vec<Event>,
    deposit: Money,
    _supply: ModelSupply,
    champion: ModelSwap,
}

/// Milliseconds of event time between timers, as shipped.
const TIMER_MS: u64 = 100;
/// Orders in flight between execution and the paper venue within one step.
const RING_EVENTS: usize = 4_096;

impl Pipeline {
    /// A pipeline that journals into `dir`, with the keeper thread a live session has.
    pub fn new(parts: &Parts, dir: &Path, clock: CycleClock) -> Self {
        let (model, selection) = parts.load_model(Budget::None).expect("the champion is good");
        let opening = parts.opening(&model);
        let counters = Arc::new(Counters::new());
        let (journal, lanes) =
            on_any_core(|| create_journal(parts, dir, true)).expect("the folder is fresh");
        let [inputs, inference, risk, execution, stamps] = lanes;
        let (producer, orders) = RingBuffer::new(RING_EVENTS);
        let recorders = StageRecorders {
            inference: Recorder::lane(inference),
            risk: Recorder::lane(risk),
            execution: Recorder::lane(execution),
        };
        let mut stages = parts
            .fused((model, selection), recorders, Outlet::ring(producer), &counters)
            .expect("the session's numbers fit");
        let (mut supply, intake) = model_rings();
        stages.let_models_in(intake, Arc::default());
        // The same model again, to change to and fro without another outcome.
        let again = parts.terms().mount(&parts.files, Budget::None).expect("as the first");
        assert!(supply.send(1, again));
        let next = Next::Here(Box::new(stages));
        let inputs = Recorder::lane(inputs);
        let feed =
            FeedStage::new(Feed::new(&parts.instruments), inputs, next, Arc::clone(&counters));
        let deposit = parts.settings.risk.starting_equity.unwrap_or(Money::ZERO);
        Self {
            times: HopTimes::new(clock),
            counters,
            feed,
            paper: PaperVenue::new(&parts.instruments, parts.settings.paper, deposit),
            orders,
            journal,
            stamps: Recorder::lane(stamps),
            timer: Nanos::ZERO,
            opening,
            deposit,
            _supply: supply,
            champion: ModelSwap {
                role: SwapRole::Champion as u8,
                sha256: parts.files.sha256,
                card: parts.files.card_tag(),
                ..ModelSwap::default()
            },
        }
    }

    /// Lets the model at the other place decide.
    pub fn swap(&mut self, ts: Nanos) {
        self.champion.slot ^= 1;
        let event = Event::new(Kind::ModelSwap, InstrumentId::NONE, &self.champion);
        let paper = &mut self.paper;
        let mut watch = |event: &Event| paper.on_market(event);
        let mut with = With { probe: &mut self.times, watch: &mut watch };
        self.feed.on_event(event, ts, &mut with).expect("the model is at its place");
    }

    /// What is due in event time before a receipt: reports of the paper venue, timers.
    pub fn settle(&mut self, entry: &Entry) {
        self.settle_until(entry.ts);
        self.times.model_ran = false;
        self.times.is_ticker = entry.is_ticker;
    }

    /// One receipt, after [`Pipeline::settle`]. `origin` is when the frame's bytes were in memory.
    #[inline]
    pub fn take(&mut self, tape: &Tape, entry: &Entry, origin: Stamp) {
        let ts = entry.ts;
        let (feed, paper, times) = (&mut self.feed, &mut self.paper, &mut self.times);
        let mut watch = |event: &Event| paper.on_market(event);
        match &entry.content {
            Content::Frame(range) => {
                let frame = tape.bytes(range);
                let mut with = With { probe: times, watch: &mut watch };
                feed.on_frame(frame, ts, origin, &mut with).expect("nothing stops trading here");
            }
            Content::Snapshot(symbol, range) => {
                let name = symbol.as_str().as_bytes();
                let id = feed.feed_mut().symbols().find(name).expect("the tape's own symbol");
                let mut with = With { probe: times, watch: &mut watch };
                feed.on_snapshot(id, tape.bytes(range), ts, &mut with).expect("nothing stops");
            }
        }
        self.times.model_ran = false;
    }

    /// Hands the orders that left to the paper venue.
    pub fn deliver(&mut self, entry: &Entry) {
        self.deliver_at(entry.ts);
    }

    /// The same at an event time.
    pub fn deliver_at(&mut self, ts: Nanos) {
        while let Ok(Crossing { message, .. }) = self.orders.pop() {
            match message.kind() {
                Some(Kind::OrderApproved) => self.paper.submit(&message, ts),
                Some(Kind::CancelApproved) => self.paper.cancel(&message, ts),
                _ => self.event(message, ts),
            }
        }
    }

    /// What is due in event time before a frame that is handed in as bytes, see
    /// [`Pipeline::settle`].
    pub fn settle_at(&mut self, ts: Nanos, is_ticker: bool) {
        self.settle_until(ts);
        self.times.model_ran = false;
        self.times.is_ticker = is_ticker;
    }

    /// A frame, after [`Pipeline::settle_at`].
    #[inline]
    pub fn frame(&mut self, frame: &[u8], ts: Nanos, origin: Stamp) {
        let (feed, paper, times) = (&mut self.feed, &mut self.paper, &mut self.times);
        let mut watch = |event: &Event| paper.on_market(event);
        let mut with = With { probe: times, watch: &mut watch };
        feed.on_frame(frame, ts, origin, &mut with).expect("nothing stops trading here");
        self.times.model_ran = false;
    }

    /// A depth snapshot.
    pub fn snapshot(&mut self, id: InstrumentId, body: &[u8], ts: Nanos) {
        let (feed, paper, times) = (&mut self.feed, &mut self.paper, &mut self.times);
        let mut watch = |event: &Event| paper.on_market(event);
        let mut with = With { probe: times, watch: &mut watch };
        feed.on_snapshot(id, body, ts, &mut with).expect("nothing stops trading here");
    }

    /// The book that inference holds of an instrument.
    pub fn book(&mut self, id: InstrumentId) -> Option<&Book> {
        match self.feed.next_mut() {
            Next::Here(stages) => stages.book(id),
            _ => None,
        }
    }

    /// What the decoder counted.
    pub fn feed_stats(&mut self) -> &FeedStats {
        self.feed.feed_mut().stats()
    }

    /// Forgets the times so far: they were warm-up.
    pub fn reset_times(&mut self) {
        self.times.reset();
    }

    /// A counter.
    pub fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    /// Seals the journal and returns the times.
    pub fn finish(self) -> HopTimes {
        let (_, inputs, next) = self.feed.into_parts();
        let mut gathered = Gathered {
            equity: self.deposit,
            killed: false,
            halts: Vec::new(),
            recorders: vec![inputs],
        };
        if let Next::Here(stages) = next {
            gathered.inference(*stages);
        }
        gathered.recorders.push(self.stamps);
        close_journal(self.journal, gathered.recorders).expect("the journal can be sealed");
        self.times
    }

    fn settle_until(&mut self, ts: Nanos) {
        if self.timer == Nanos::ZERO {
            for event in std::mem::take(&mut self.opening) {
                self.event(event, ts);
            }
            self.timer = ts;
        }
        while let Some(report) = self.paper.poll(ts) {
            let at = report.now();
            self.event(report, at);
        }
        while self.timer <= ts {
            let at = self.timer;
            let (feed, paper, times) = (&mut self.feed, &mut self.paper, &mut self.times);
            let mut watch = |event: &Event| paper.on_market(event);
            let mut with = With { probe: times, watch: &mut watch };
            feed.on_timer(TIMER_MS, at, &mut with).expect("nothing stops trading here");
            self.timer = at + Nanos::from_millis(TIMER_MS as i64);
        }
    }

    fn event(&mut self, event: Event, at: Nanos) {
        let (feed, paper, times) = (&mut self.feed, &mut self.paper, &mut self.times);
        let mut watch = |event: &Event| paper.on_market(event);
        let mut with = With { probe: times, watch: &mut watch };
        feed.on_event(event, at, &mut with).expect("nothing stops trading here");
    }
}
