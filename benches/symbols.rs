//! One pipeline, ever more symbols: the same events a second over 1, 10, 100 and 500 of them, all
//! four stages on one thread, a decision on every tick.
//!
//! ```text
//!  warm-up ─► closed loop: what an event costs ─► open loop: 204 000 events a second are due,
//!             the curve over the symbols          for --seconds; nothing lost, memory flat
//!  at the end every book is the generator's own, price by price
//! ```

#[path = "harness/mod.rs"]
mod harness;

use harness::pipeline::{HopTimes, Pipeline, Trading, parts};
use harness::walk::Walk;
use harness::{Bench, heading, histogram, machine, nanos_at, nanos_per_tick, record_nanos};
use harness::{replayed, row};
use hdrhistogram::Histogram;
use peregrine::base::counters::Counter;
use peregrine::base::event::StateChange;
use peregrine::base::hop::{Hop, Stamp};
use peregrine::base::{InstrumentId, Kind, Nanos, Reason};
use peregrine::exchange::tape::frames::Stream;
use peregrine::journal::{LaneReader, verify};
use peregrine::risk::{TradingState, TradingWord};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// Symbols, smallest first: the others are compared with it.
const SIZES: [u16; 4] = [1, 10, 100, 500];
/// Frames of a lap, whatever the number of symbols.
const FRAMES: usize = 200_000;
/// Events a second of the open loop.
const RATE: f64 = 204_000.0;
/// What has to be reached of them, whatever waits when the time is over.
const WANTED: f64 = 200_000.0;
/// Event time of the warm-up in seconds: longer than every feature's memory and twenty bars.
const WARM_S: usize = 90;
const WARM_LAPS: usize = 3;
/// Seconds at most of the sizes that are there for the curve alone.
const CURVE_S_MAX: u64 = 60;
/// Segments of each lane kept: a long run needs no more of the disk than a short one.
const SEGMENTS: u32 = 4;

/// A pipeline at its place in a walk.
struct Drive<'b> {
    bench: &'b Bench,
    walk: Walk,
    pipeline: Pipeline,
    ts: Nanos,
    next: usize,
    /// Event time of one frame.
    step: Nanos,
}

/// What was found of one size.
struct Found {
    symbols: u16,
    /// Nanoseconds an event, closed loop, the tape's own share taken off.
    cost: f64,
    /// Of the open loop.
    times: HopTimes,
    frames: Histogram<u64>,
    reached: f64,
    orders: u64,
    /// Resident memory before the pipeline, at the start of the open loop and at its end, MiB.
    resident: [[f64; 2]; 3],
}

impl<'b> Drive<'b> {
    fn new(bench: &'b Bench, symbols: u16, dir: &Path, segments: u32) -> (Self, [f64; 2]) {
        // Each symbol has to have news every second of the warm-up, or nothing is decided on it.
        let few = 20_000.max(200 * usize::from(symbols));
        let walk = Walk::new(symbols, bench.count(FRAMES, few));
        let before = machine::resident();
        let parts = parts(&walk.instruments, Trading::EagerOfMany(segments));
        let pipeline = Pipeline::new(&parts, dir, bench.clock.clone());
        let ts = Nanos::from_secs(1_700_000_000);
        let mut drive = Self { bench, walk, pipeline, ts, next: 0, step: Nanos(1) };
        drive.begin(symbols);
        (drive, before)
    }

    /// The first frames buffer; then each book has its snapshot, and the rest warms everything up.
    fn begin(&mut self, symbols: u16) {
        let frames = self.walk.steps.len();
        let warm = Nanos::from_secs(self.bench.count(WARM_S, 30) as i64);
        self.step = Nanos(warm.0 / (WARM_LAPS * frames) as i64);
        let buffered = (20 * usize::from(symbols)).min(frames / 2);
        self.frames(buffered, None);
        for place in 0..symbols {
            let body = self.walk.snapshot(usize::from(place));
            self.pipeline.snapshot(InstrumentId(place), body, self.ts);
        }
        self.frames(WARM_LAPS * frames - buffered, None);
        self.check();
        self.pipeline.reset_times();
    }

    /// The next `count` frames. With a schedule each is due at its time, and what it took counts
    /// from then.
    fn frames(&mut self, count: usize, mut schedule: Option<(f64, &mut Histogram<u64>)>) {
        let clock = &self.bench.clock;
        let start = clock.stamp();
        for number in 0..count {
            if self.next == self.walk.steps.len() {
                self.walk.turn();
                self.next = 0;
            }
            self.ts = self.ts + self.step;
            let is_ticker = self.walk.steps[self.next].stream == Stream::BookTicker;
            self.pipeline.settle_at(self.ts, is_ticker);
            let frame = self.walk.frame(self.next, self.ts);
            let mut origin = clock.stamp();
            if let Some((ticks, _)) = &schedule {
                let due = Stamp(start.0 + (number as f64 * ticks) as u64);
                while clock.stamp() < due {
                    std::hint::spin_loop();
                }
                origin = due;
            }
            self.pipeline.frame(frame, self.ts, origin);
            if let Some((_, frames)) = &mut schedule {
                record_nanos(frames, self.bench.since(origin));
            }
            self.pipeline.deliver_at(self.ts);
            self.next += 1;
        }
    }

    /// Goes on to the end of the lap: nothing was lost, and every book is the generator's.
    fn check(&mut self) {
        self.frames(self.walk.steps.len() - self.next, None);
        let symbols = self.walk.instruments.len();
        for place in 0..symbols {
            let id = InstrumentId(place as u16);
            let book = self.pipeline.book(id).expect("there is one of each");
            let difference = self.walk.difference(place, book);
            assert_eq!(difference, None, "of {symbols} symbols");
        }
        let stats = self.pipeline.feed_stats();
        let troubles = [stats.gaps, stats.malformed_count(), stats.sync_buffer_drops];
        assert_eq!(troubles, [0; 3], "gaps, malformed, pushed out of a buffer");
        assert_eq!(stats.syncs, symbols as u64, "each book was synchronised once");
        assert_eq!(self.pipeline.count(Counter::Dropped), 0);
    }

    /// What an event costs without a schedule; the lap in hand begins with it.
    fn closed(&mut self, seconds: u64) -> f64 {
        let frames = self.walk.steps.len();
        let own = self.tape_alone();
        let events = |drive: &Self| drive.pipeline.count(Counter::MarketEvents);
        let mut costs = Vec::new();
        let end = Instant::now() + Duration::from_secs(seconds);
        while costs.is_empty() || Instant::now() < end {
            let (before, start) = (events(self), self.bench.clock.stamp());
            self.frames(frames, None);
            let nanos = self.bench.since(start) as f64 - own * frames as f64;
            costs.push(nanos / (events(self) - before) as f64);
        }
        costs.sort_by(f64::total_cmp);
        costs[costs.len() / 2]
    }

    /// Events of a frame, over a whole lap.
    fn events_per_frame(&mut self) -> f64 {
        let before = self.pipeline.count(Counter::MarketEvents);
        self.frames(self.walk.steps.len(), None);
        let events = self.pipeline.count(Counter::MarketEvents) - before;
        events as f64 / self.walk.steps.len() as f64
    }

    /// Nanoseconds a frame that writing the tape anew takes: the harness alone.
    fn tape_alone(&mut self) -> f64 {
        let frames = self.walk.steps.len();
        let start = self.bench.clock.stamp();
        for step in 0..frames {
            black_box(self.walk.frame(step, self.ts));
        }
        self.bench.since(start) as f64 / frames as f64
    }
}

/// One size, from the first frame to the last.
fn measure(bench: &Bench, symbols: u16, seconds: u64) -> Found {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (mut drive, before) = Drive::new(bench, symbols, &dir.path().join("journal"), SEGMENTS);
    let per_frame = drive.events_per_frame();
    drive.step = Nanos((1e9 * per_frame / RATE) as i64);
    let cost = drive.closed((seconds / 4).max(1));
    drive.pipeline.reset_times();
    let steady = machine::resident();
    let (mut frames, orders) = (histogram(), drive.pipeline.count(Counter::Orders));
    let events = drive.pipeline.count(Counter::MarketEvents);
    let ticks = 1e9 * per_frame / RATE / nanos_per_tick(&bench.clock);
    let start = bench.clock.stamp();
    let count = (seconds as f64 * RATE / per_frame) as usize;
    drive.frames(count, Some((ticks, &mut frames)));
    let took = bench.since(start) as f64 / 1e9;
    let reached = (drive.pipeline.count(Counter::MarketEvents) - events) as f64 / took;
    let ever = drive.pipeline.count(Counter::Orders);
    let orders = ever - orders;
    let end = machine::resident();
    // What goes on from here to the end of the lap is in no figure.
    let times = std::mem::replace(&mut drive.pipeline.times, HopTimes::new(bench.clock.clone()));
    drive.check();
    let trading = TradingWord::unpack(drive.pipeline.counters.trading());
    let is_over = matches!(trading.state, TradingState::Halted | TradingState::Killed);
    assert!(!is_over, "trading went on to the end: {:?}", trading.state);
    let resident = [before, steady, end];
    let _ = drive.pipeline.finish();
    if trading.state != TradingState::Active {
        let why = last_reason(&dir.path().join("journal"));
        println!("{symbols} symbols: trading is {:?} at the end: {why}", trading.state);
    }
    // Five hundred positions are held for 20 s and left together: a short look may meet none.
    assert!(ever > 0, "nothing was traded");
    Found { symbols, cost, times, frames, reached, orders, resident }
}

/// Why the trading state is what it came to last, out of the records of the risk stage.
fn last_reason(journal: &Path) -> &'static str {
    let records = LaneReader::open(journal, 2).expect("the lane was written");
    let changes = records.filter_map(|record| {
        let (_, event) = record.expect("the journal is whole");
        (event.kind() == Some(Kind::StateChange)).then(|| event.body::<StateChange>().reason)
    });
    let last = changes.last().and_then(Reason::from_u16);
    last.map_or("no change was recorded", Reason::name)
}

/// A short run whose journal is whole and replays to the same bytes.
fn replays(bench: &Bench, symbols: u16) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path().join("journal");
    let (drive, _) = Drive::new(bench, symbols, &dir, 0);
    let orders = drive.pipeline.count(Counter::Orders);
    let _ = drive.pipeline.finish();
    assert_eq!(verify(&dir).first, None, "the journal is damaged");
    let records = replayed(&dir).records;
    assert!(orders > 0, "nothing was traded");
    println!("checked: {symbols} symbols, {records} records replay to the same bytes");
}

fn tell(bench: &mut Bench, found: &Found, first: &Found) {
    let Found { symbols, cost, reached, orders, resident, .. } = found;
    heading(&format!("{symbols} symbols, {reached:.0} events a second"));
    let to_order = found.times.hop(Hop::TickToOrder);
    row("tick to order", to_order);
    row("whole frame, from when it was due", &found.frames);
    let [before, steady, end] = resident;
    let grown = end[0] - steady[0];
    let each = (steady[1] - before[1]) / f64::from(*symbols);
    println!("  {cost:.0} ns an event in the closed loop, {orders} orders in the open one");
    println!(
        "  resident: {:.0} MiB before, {:.0} in steady state, {:.0} at the end ({grown:+.1}); \
         {each:.2} MiB a symbol",
        before[0], steady[0], end[0]
    );
    let mut figure = |name: &str, value: f64| bench.figure(&format!("s{symbols}_{name}"), value);
    figure("ns_per_event", *cost);
    figure("events_per_second_closed", 1e9 / cost);
    figure("events_per_second_open", *reached);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
        figure(&format!("tick_to_order_{name}_ns"), nanos_at(to_order, quantile));
        figure(&format!("frame_{name}_ns"), nanos_at(&found.frames, quantile));
    }
    figure("resident_steady_mib", steady[0]);
    figure("resident_grown_mib", grown);
    figure("mib_per_symbol", each);
    let ratio = cost / first.cost;
    figure("cost_over_one_symbol", ratio);
    bench.target(&format!("{symbols} symbols, events a second"), *reached, Some(WANTED), None);
}

fn main() {
    let mut bench = Bench::start(
        "symbols: one pipeline over ever more symbols, all four stages on one thread",
        &[
            "the network, the kernel, TLS and WebSocket framing on both sides",
            "REST: every book has its snapshot at once",
            "the paper venue's work, reports and timers: outside a frame's time, inside events/s",
        ],
    );
    machine::pin_last();
    let seconds = bench.seconds(30, 1);
    let curve = seconds.min(CURVE_S_MAX);
    println!("{seconds} s of open loop for the most symbols, {curve} s for others");
    println!("{RATE:.0} events a second due");
    for symbols in [SIZES[0], SIZES[SIZES.len() - 1]] {
        replays(&bench, symbols);
    }
    let mut all: Vec<Found> = Vec::new();
    for symbols in SIZES {
        let of_all = symbols == SIZES[SIZES.len() - 1];
        let found = measure(&bench, symbols, if of_all { seconds } else { curve });
        tell(&mut bench, &found, all.first().unwrap_or(&found));
        all.push(found);
    }
    println!();
    println!("{:>8} {:>12} {:>10} {:>14}", "symbols", "ns an event", "ratio", "tick p99, ns");
    for found in &all {
        let p99 = nanos_at(found.times.hop(Hop::TickToOrder), 0.99);
        let ratio = found.cost / all[0].cost;
        println!("{:>8} {:>12.0} {ratio:>10.2} {p99:>14.0}", found.symbols, found.cost);
    }
    bench.finish();
}
