//! The whole river: a frame in memory to signed order bytes, model included, a decision on every
//! tick.
//!
//! ```text
//!  closed loop   the next frame when the last is done: the code's own time, and its parts
//!  open loop     frame i is due at start + i / rate, and its time counts from when it was due: a
//!                slow frame makes the ones behind it late, and that is in the figures
//! ```

#[path = "harness/mod.rs"]
mod harness;

use harness::desk::{Desk, PARTS, Part};
use harness::pipeline::{HopTimes, Pipeline, Trading, parts};
use harness::tape::{Content, Tape};
use harness::{
    Bench, heading, histogram, machine, nanos_at, nanos_per_tick, record_nanos, replayed, row,
};
use hdrhistogram::Histogram;
use peregrine::base::counters::Counter;
use peregrine::base::hop::{Hop, Stamp};
use peregrine::base::{Event, Kind};
use peregrine::book::{Book, BookUpdate};
use peregrine::features::{FeatureEngine, FeatureVector, TopOfBook};
use peregrine::feed::{EventBatch, Feed};
use peregrine::journal::{Journal, JournalSettings, verify};
use peregrine::model::ModelOutput;
use peregrine::runtime::assemble::{Budget, Parts};
use std::path::Path;

const FRAMES: usize = 120_000;
/// Frames before times are kept: books synchronised, features and caches warm.
const WARM_UP: usize = 30_000;
/// Longest open-loop pass, in seconds: where the bench runs at real-time priority, the system takes
/// such a thread's core away for a while in every second.
const OPEN_SECONDS: f64 = 0.3;

/// What a pass over the tape counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    market_events: u64,
    predictions: u64,
    orders: u64,
    fills: u64,
    dropped: u64,
}

struct Pass {
    times: HopTimes,
    /// Frame due to frame done, all four stages.
    frames: Histogram<u64>,
    counts: Counts,
    seconds: f64,
    /// Market events within `seconds`.
    events: u64,
}

/// One pass over the tape. With `per_second` frames are due on that schedule.
fn pass(bench: &Bench, parts: &Parts, tape: &Tape, dir: &Path, per_second: Option<f64>) -> Pass {
    pass_with(bench, parts, tape, dir, (per_second, 0))
}

/// The same; the model changes with every `swap_every`th frame, and that frame waits for it. 0 is
/// never.
fn pass_with(
    bench: &Bench,
    parts: &Parts,
    tape: &Tape,
    dir: &Path,
    (per_second, swap_every): (Option<f64>, usize),
) -> Pass {
    let mut pipeline = Pipeline::new(parts, dir, bench.clock.clone());
    let warm = bench.count(WARM_UP, 2_000).min(tape.entries.len() / 2);
    for entry in &tape.entries[..warm] {
        pipeline.settle(entry);
        pipeline.take(tape, entry, bench.clock.stamp());
        pipeline.deliver(entry);
    }
    pipeline.reset_times();
    let before = pipeline.count(Counter::MarketEvents);
    let mut frames = histogram();
    let clock = bench.clock.clone();
    let ticks = per_second.map_or(0.0, |rate| 1e9 / rate / nanos_per_tick(&clock));
    let most = per_second.map_or(usize::MAX, |rate| (rate * OPEN_SECONDS) as usize);
    let start = clock.stamp();
    for (i, entry) in tape.entries[warm..].iter().take(most).enumerate() {
        pipeline.settle(entry);
        let mut origin = clock.stamp();
        if per_second.is_some() {
            let due = Stamp(start.0 + (i as f64 * ticks) as u64);
            while clock.stamp() < due {
                std::hint::spin_loop();
            }
            origin = due;
        }
        if swap_every > 0 && i % swap_every == 0 {
            pipeline.swap(entry.ts);
        }
        pipeline.take(tape, entry, origin);
        if matches!(entry.content, Content::Frame(_)) {
            record_nanos(&mut frames, bench.since(origin));
        }
        pipeline.deliver(entry);
    }
    let seconds = bench.since(start) as f64 / 1e9;
    let counts = Counts {
        market_events: pipeline.count(Counter::MarketEvents),
        predictions: pipeline.count(Counter::Predictions),
        orders: pipeline.count(Counter::Orders),
        fills: pipeline.count(Counter::Fills),
        dropped: pipeline.count(Counter::Dropped),
    };
    let events = counts.market_events - before;
    Pass { times: pipeline.finish(), frames, counts, seconds, events }
}

/// A pass whose journal is whole and replays to the same bytes.
fn check(bench: &Bench, parts: &Parts, tape: &Tape, dir: &Path) -> Counts {
    let found = pass(bench, parts, tape, dir, None);
    let health = verify(dir);
    assert_eq!(health.first, None, "the journal is damaged");
    let replayed = replayed(dir);
    let counts = found.counts;
    assert!(counts.predictions > 0 && counts.orders > 0 && counts.fills > 0, "{counts:?}");
    assert_eq!(counts.dropped, 0, "{counts:?}");
    println!("checked: {} records replay to the same bytes; {counts:?}", replayed.records);
    counts
}

fn print_hops(times: &HopTimes) {
    for hop in Hop::ALL {
        if !times.hop(hop).is_empty() {
            row(hop.name(), times.hop(hop));
        }
    }
    row("tick_to_order of best bid and offer", &times.ticker_orders);
    if times.without_model > 0 {
        println!("  {} more orders had no model behind them: exits by timer", times.without_model);
    }
}

/// What changes of the model cost the orders behind them: the quietest of some rounds of each.
fn with_swaps(bench: &mut Bench, parts: &Parts, tape: &Tape) {
    const SWAP_EVERY: usize = 50;
    let mut best = [[f64::MAX; 2]; 2];
    for _ in 0..bench.count(5, 1) {
        for (place, every) in [0, SWAP_EVERY].into_iter().enumerate() {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let found = pass_with(bench, parts, tape, &dir.path().join("journal"), (None, every));
            let orders = found.times.hop(Hop::TickToOrder);
            for (at, quantile) in [0.5, 0.99].into_iter().enumerate() {
                best[place][at] = best[place][at].min(nanos_at(orders, quantile));
            }
        }
    }
    heading(&format!("a change of model with every {SWAP_EVERY}th frame, against none"));
    for (at, name) in ["p50", "p99"].into_iter().enumerate() {
        let ([without, with], key) = ([best[0][at], best[1][at]], format!("swaps_{name}_ratio"));
        println!("  tick to order {name}: {with:.0} ns with, {without:.0} ns without");
        bench.figure(&key, with / without);
    }
}

/// Returns the median of orders on a best bid and offer.
fn closed_loop(bench: &mut Bench, parts: &Parts, tape: &Tape, expected: Counts) -> f64 {
    let rounds = bench.count(5, 1);
    let mut best: Option<Pass> = None;
    let mut rates = Vec::new();
    for _ in 0..rounds {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let found = pass(bench, parts, tape, &dir.path().join("journal"), None);
        assert_eq!(found.counts, expected, "the same tape gives the same session");
        rates.push(found.events as f64 / found.seconds);
        let p50 = |pass: &Pass| nanos_at(pass.times.hop(Hop::TickToOrder), 0.5);
        if best.as_ref().is_none_or(|best| p50(&found) < p50(best)) {
            best = Some(found);
        }
    }
    let best = best.expect("there is a round");
    heading(&format!("closed loop, the quietest of {rounds} rounds"));
    print_hops(&best.times);
    row("whole frame", &best.frames);
    rates.sort_by(f64::total_cmp);
    let (middle, most) = (rates[rates.len() / 2], rates[rates.len() - 1]);
    println!("  market events a second: {middle:.0} (median round), {most:.0} (best round)");
    let orders = best.times.hop(Hop::TickToOrder);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
        bench.figure(&format!("tick_to_order_{name}_ns"), nanos_at(orders, quantile));
    }
    bench.figure("market_events_per_second", middle);
    bench.figure("market_events_per_second_best", most);
    bench.target("tick to order p50, ns", nanos_at(orders, 0.5), None, Some(2_000.0));
    bench.target("tick to order p99, ns", nanos_at(orders, 0.99), None, Some(5_000.0));
    bench.target("market events a second", middle, Some(500_000.0), None);
    nanos_at(&best.times.ticker_orders, 0.5)
}

/// What an order on a best bid and offer consists of, each part alone over the same frames, as
/// medians in nanoseconds.
fn alone(bench: &Bench, parts: &Parts, tape: &Tape) -> Vec<(&'static str, f64)> {
    let (mut model, selection) = parts.load_model(Budget::None).expect("the champion is good");
    let mut feed = Feed::new(&parts.instruments);
    let mut engines: Vec<FeatureEngine> =
        parts.instruments.iter().map(|_| FeatureEngine::new(&parts.settings.features)).collect();
    let mut books: Vec<Book> = parts.instruments.iter().map(|_| Book::new(16_384)).collect();
    let (mut out, mut vector) = (EventBatch::new(), FeatureVector::EMPTY);
    let (mut input, mut answer) = (vec![0.0; selection.len()], ModelOutput::default());
    let [mut decode, mut features, mut run] = [0; 3].map(|_| histogram());
    let since = |from: Stamp, to: Stamp| bench.clock.nanos_between(from, to);
    for entry in &tape.entries {
        let start = bench.clock.stamp();
        match &entry.content {
            Content::Frame(range) => feed.on_frame(tape.bytes(range), entry.ts, &mut out),
            Content::Snapshot(symbol, range) => {
                let id = feed.symbols().find(symbol.as_str().as_bytes());
                let id = id.expect("the tape's own symbol");
                feed.on_snapshot(id, tape.bytes(range), entry.ts, &mut out);
            }
        }
        let decoded = bench.clock.stamp();
        if let [event] = out.as_slice()
            && event.kind() == Some(Kind::BookTicker)
        {
            let engine = &mut engines[event.instrument().index()];
            let began = bench.clock.stamp();
            let _ = engine.on_event(event);
            engine.compute(event.now(), &mut vector);
            let usable = selection.gather(&vector, &mut input).is_ok();
            let ready = bench.clock.stamp();
            record_nanos(&mut decode, since(start, decoded));
            record_nanos(&mut features, since(began, ready));
            if usable {
                let ready = bench.clock.stamp();
                model.run(&input, &mut answer).expect("the champion answers");
                record_nanos(&mut run, since(ready, bench.clock.stamp()));
            }
            continue;
        }
        loop {
            for event in &out {
                let Some(engine) = engines.get_mut(event.instrument().index()) else { continue };
                learn(event, &mut books[event.instrument().index()], engine);
            }
            if !feed.drain(&mut out) {
                break;
            }
        }
    }
    assert!(!run.is_empty(), "no vector was usable");
    let [decode, features, run] = [&decode, &features, &run].map(|h| nanos_at(h, 0.5));
    let mut found = vec![("decode", decode), ("features", features), ("model", run)];
    let mut desk = Desk::new(bench);
    (0..bench.count(20_000, 500)).for_each(|_| desk.cycle());
    for (part, name, _) in PARTS {
        if matches!(part, Part::Policy | Part::Gate | Part::Send) {
            found.push((name, nanos_at(&desk.times[part as usize], 0.5)));
        }
    }
    found.push(("five records appended", 5.0 * append_alone(bench)));
    found
}

/// One event into book and features, as inference does.
fn learn(event: &Event, book: &mut Book, engine: &mut FeatureEngine) {
    match book.apply(event) {
        BookUpdate::Applied { .. } | BookUpdate::Synced => {
            let mut top = TopOfBook { valid: book.is_valid(), ..TopOfBook::default() };
            top.bid.iter_mut().zip(book.bids()).for_each(|(slot, level)| *slot = *level);
            top.ask.iter_mut().zip(book.asks()).for_each(|(slot, level)| *slot = *level);
            let _ = engine.on_top(&top, event.now());
        }
        _ => drop(engine.on_event(event)),
    }
}

/// Median of one append to a lane of its own.
fn append_alone(bench: &Bench) -> f64 {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let settings = JournalSettings { segment_records: [1 << 16; 5], ..JournalSettings::live(1) };
    let made = machine::on_any_core(|| Journal::create(&dir.path().join("journal"), settings));
    let (_journal, mut lanes) = made.expect("a journal");
    let mut times = histogram();
    for seq in 0..20_000 {
        let event = Event { seq, ..Event::EMPTY };
        let start = bench.clock.stamp();
        let _ = lanes[0].append(&event).expect("the lane has room");
        record_nanos(&mut times, bench.since(start));
    }
    nanos_at(&times, 0.5)
}

fn sum_of_parts(bench: &mut Bench, parts: &Parts, tape: &Tape, whole: f64) {
    let alone = alone(bench, parts, tape);
    let sum: f64 = alone.iter().map(|(_, nanos)| nanos).sum();
    println!();
    for (name, nanos) in &alone {
        println!("  alone: {name:<36} {nanos:>8.1} ns");
    }
    let ratio = whole / sum;
    println!("  sum of the parts alone {sum:.1} ns; together {whole:.1} ns");
    bench.figure("sum_of_parts_p50_ns", sum);
    bench.figure("tick_to_order_over_parts", ratio);
    bench.target("tick to order / sum of its parts", ratio, None, Some(1.5));
}

fn open_loop(bench: &mut Bench, parts: &Parts, tape: &Tape, per_frame: f64) {
    heading("open loop: from when the frame was due");
    for events in [50_000.0, 100_000.0, 250_000.0, 500_000.0] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let rate = events / per_frame;
        let found = pass(bench, parts, tape, &dir.path().join("journal"), Some(rate));
        assert!(found.counts.dropped == 0 && found.counts.orders > 0, "{:?}", found.counts);
        let reached = found.events as f64 / found.seconds;
        row(&format!("tick_to_order, {events:.0} events/s due"), found.times.hop(Hop::TickToOrder));
        row(&format!("  whole frame, {reached:.0} events/s done"), &found.frames);
        let name = format!("open_{:.0}k", events / 1_000.0);
        let orders = found.times.hop(Hop::TickToOrder);
        bench.figure(&format!("{name}_tick_to_order_p50_ns"), nanos_at(orders, 0.5));
        bench.figure(&format!("{name}_tick_to_order_p99_ns"), nanos_at(orders, 0.99));
        bench.figure(&format!("{name}_frame_p999_ns"), nanos_at(&found.frames, 0.999));
        bench.figure(&format!("{name}_events_per_second"), reached);
    }
}

/// The rate the design asks for, with decisions as often as the shipped configuration makes them.
fn sustained(bench: &mut Bench, tape: &Tape, per_frame: f64) {
    let parts = parts(&tape.instruments, Trading::AsConfigured);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let rate = 500_000.0 / per_frame;
    let found = pass(bench, &parts, tape, &dir.path().join("journal"), Some(rate));
    assert!(found.counts.dropped == 0 && found.counts.predictions > 0, "{:?}", found.counts);
    let reached = found.events as f64 / found.seconds;
    heading("open loop, decisions as configured");
    row(&format!("whole frame, {reached:.0} events/s done"), &found.frames);
    let p999 = nanos_at(&found.frames, 0.999);
    bench.figure("sustained_500k_frame_p50_ns", nanos_at(&found.frames, 0.5));
    bench.figure("sustained_500k_frame_p999_ns", p999);
    bench.figure("sustained_500k_events_per_second", reached);
    bench.target("500 k events a second, whole frame p99.9, ns", p999, None, Some(100_000.0));
}

fn main() {
    let mut bench = Bench::start(
        "tick_to_order: a frame in memory to signed order bytes, all four stages on one thread",
        &[
            "the network, the kernel, TLS and WebSocket framing on both sides",
            "rings between threads: `ring` has their price",
            "the paper venue's work, reports and timers: outside a frame's time, inside events/s",
        ],
    );
    machine::pin_last();
    let tape = Tape::best(bench.count(FRAMES, 12_000));
    println!("{}", tape.describe());
    let parts = parts(&tape.instruments, Trading::Eager);
    println!("model: {}, native plan", parts.files.card.version);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let expected = check(&bench, &parts, &tape, &dir.path().join("journal"));
    let per_frame = expected.market_events as f64 / tape.frames() as f64;
    println!("{per_frame:.2} market events a frame");
    let whole = closed_loop(&mut bench, &parts, &tape, expected);
    with_swaps(&mut bench, &parts, &tape);
    sum_of_parts(&mut bench, &parts, &tape, whole);
    open_loop(&mut bench, &parts, &tape, per_frame);
    sustained(&mut bench, &tape, per_frame);
    bench.finish();
}
