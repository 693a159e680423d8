//! Market events to a model's input: taking events in, and computing and selecting a vector.

#[path = "harness/mod.rs"]
mod harness;

use harness::pipeline::{Trading, parts};
use harness::tape::{Content, Tape};
use harness::{Bench, heading, histogram, nanos_at, record_nanos, row};
use hdrhistogram::Histogram;
use peregrine::base::event::{Event, Kind};
use peregrine::base::{InstrumentId, Nanos};
use peregrine::book::{Book, BookUpdate};
use peregrine::features::{
    FEATURE_COUNT, Feature, FeatureEngine, FeatureVector, Selection, TopOfBook,
};
use peregrine::feed::{EventBatch, Feed};
use std::hint::black_box;

const LEVELS: usize = 16_384;

/// What the engine is given.
enum Input {
    Event(Box<Event>),
    Top(Box<TopOfBook>, Nanos),
}

impl Input {
    const fn label(&self) -> Taken {
        match self {
            Self::Top(..) => Taken::Top,
            Self::Event(event) if event.kind == Kind::BookTicker as u8 => Taken::Ticker,
            Self::Event(event) if event.kind == Kind::Trade as u8 => Taken::Trade,
            Self::Event(_) => Taken::Other,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Ticker,
    Trade,
    Top,
    Other,
}

/// The inputs of the tape's first instrument.
fn inputs(tape: &Tape) -> Vec<Input> {
    let mut feed = Feed::new(&tape.instruments);
    let (mut out, mut book, mut inputs) = (EventBatch::new(), Book::new(LEVELS), Vec::new());
    for entry in &tape.entries {
        match &entry.content {
            Content::Frame(range) => feed.on_frame(tape.bytes(range), entry.ts, &mut out),
            Content::Snapshot(symbol, range) => {
                let id = feed.symbols().find(symbol.as_str().as_bytes());
                let id = id.expect("the tape's own symbol");
                feed.on_snapshot(id, tape.bytes(range), entry.ts, &mut out);
            }
        }
        loop {
            for event in out.iter().filter(|event| event.instrument() == InstrumentId(0)) {
                match event.kind() {
                    Some(Kind::DepthHead | Kind::DepthLevels | Kind::Gap) => {
                        let update = book.apply(event);
                        let changed =
                            matches!(update, BookUpdate::Applied { .. } | BookUpdate::Synced);
                        if changed {
                            inputs.push(Input::Top(Box::new(top(&book)), event.now()));
                        }
                    }
                    _ => inputs.push(Input::Event(Box::new(*event))),
                }
            }
            if !feed.drain(&mut out) {
                break;
            }
        }
    }
    inputs
}

fn top(book: &Book) -> TopOfBook {
    let mut top = TopOfBook { valid: book.is_valid(), ..TopOfBook::default() };
    top.bid.iter_mut().zip(book.bids()).for_each(|(slot, level)| *slot = *level);
    top.ask.iter_mut().zip(book.asks()).for_each(|(slot, level)| *slot = *level);
    top
}

/// The spread as the engine tells it is the one of the newest top, and a vector can be used.
fn check(engine: &FeatureEngine, now: Nanos, newest: &TopOfBook, selection: &Selection) {
    let mut vector = FeatureVector::EMPTY;
    engine.compute(now, &mut vector);
    let (bid, ask) = (newest.bid[0].px as f64, newest.ask[0].px as f64);
    let expected = (ask - bid) / ((ask + bid) / 2.0) * 1e4;
    let found = f64::from(vector.get(Feature::SpreadBps).expect("the book is valid"));
    assert!((found - expected).abs() <= 1e-6 * expected.abs() + 1e-9, "{found}, not {expected}");
    let mut input = vec![0.0; selection.len()];
    selection.gather(&vector, &mut input).expect("the model's features are warm");
    assert!(input.iter().all(|value| value.is_finite()), "{input:?}");
}

struct Times {
    taken: [Histogram<u64>; 4],
    computed: Histogram<u64>,
    gathered: Histogram<u64>,
    usable: u64,
}

fn run(bench: &Bench, inputs: &[Input], selection: &Selection, times: &mut Times) {
    let settings = parts_settings();
    let mut engine = FeatureEngine::new(&settings);
    let (mut vector, mut input) = (FeatureVector::EMPTY, vec![0.0; selection.len()]);
    let mut newest = TopOfBook::default();
    let mut now = Nanos::ZERO;
    for given in inputs {
        let start = bench.clock.stamp();
        now = match given {
            Input::Event(event) => {
                black_box(engine.on_event(event));
                event.now()
            }
            Input::Top(top, at) => {
                black_box(engine.on_top(top, *at));
                newest = **top;
                *at
            }
        };
        let taken = bench.clock.stamp();
        engine.compute(now, &mut vector);
        black_box(&vector);
        let computed = bench.clock.stamp();
        let usable = black_box(selection.gather(&vector, &mut input)).is_ok();
        let done = bench.clock.stamp();
        let nanos = |from, to| bench.clock.nanos_between(from, to);
        record_nanos(&mut times.taken[given.label() as usize], nanos(start, taken));
        record_nanos(&mut times.computed, nanos(taken, computed));
        record_nanos(&mut times.gathered, nanos(computed, done));
        times.usable += u64::from(usable);
    }
    check(&engine, now, &newest, selection);
}

/// Features as shipped.
fn parts_settings() -> peregrine::base::settings::FeatureSettings {
    let path = harness::repository("config/paper.toml");
    let loaded = peregrine::runtime::config::load(&path).expect("the shipped file is good");
    loaded.settings.features
}

fn main() {
    let mut bench = Bench::start(
        "features: events in, a model's input out",
        &["the book: `book` has it", "one reading of the clock is in every row"],
    );
    harness::machine::pin_last();
    let tape = Tape::best(bench.count(150_000, 12_000));
    println!("{}", tape.describe());
    let parts = parts(&tape.instruments, Trading::AsConfigured);
    let selection = Selection::new(&parts.files.card.features).expect("the schema has them");
    let inputs = inputs(&tape);
    println!("{} inputs of one instrument, {FEATURE_COUNT} features", inputs.len());
    let fresh = || Times {
        taken: [0; 4].map(|_| histogram()),
        computed: histogram(),
        gathered: histogram(),
        usable: 0,
    };
    run(&bench, &inputs, &selection, &mut fresh());
    let mut times = fresh();
    let rounds = bench.count(7, 1);
    for _ in 0..rounds {
        run(&bench, &inputs, &selection, &mut times);
    }
    let share = times.usable as f64 / (rounds * inputs.len()) as f64;
    println!("checked: spread equals the book's; {:.1} % of vectors usable", share * 100.0);
    heading("features");
    row("take a best bid and offer", &times.taken[Taken::Ticker as usize]);
    row("take a trade", &times.taken[Taken::Trade as usize]);
    row("take the best five levels", &times.taken[Taken::Top as usize]);
    row("compute every feature", &times.computed);
    row("select the model's", &times.gathered);
    for (name, histogram) in [
        ("take_ticker", &times.taken[Taken::Ticker as usize]),
        ("take_trade", &times.taken[Taken::Trade as usize]),
        ("take_top", &times.taken[Taken::Top as usize]),
        ("compute", &times.computed),
        ("select", &times.gathered),
    ] {
        bench.figure(&format!("{name}_p50_ns"), nanos_at(histogram, 0.5));
        bench.figure(&format!("{name}_p99_ns"), nanos_at(histogram, 0.99));
    }
    bench.finish();
}
