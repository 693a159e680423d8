//! What it costs to measure a span: one reading of the cycle counter at its end (its begin is the
//! end of the span before it) and one record, with and without the passage kept for the journal,
//! while an observer takes the sets over.

#[path = "harness/mod.rs"]
mod harness;

use harness::{Bench, Race, machine};
use peregrine::base::hop::Hop;
use peregrine::base::time::Nanos;
use peregrine::observe::{CycleClock, HopCollector, HopRecorder};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUNDS: usize = 11;
const BATCH: usize = 64;
const BATCHES: usize = 20_000;
/// Time between two turns of a session's observer.
const TURN: Duration = Duration::from_millis(50);
/// What a span may cost.
const SPAN_NS_MAX: f64 = 35.0;

/// Spans of the hops in turn, as a stage measures them.
fn spans(clock: &CycleClock, recorder: &mut HopRecorder, range: std::ops::Range<usize>) {
    let mut begin = clock.stamp();
    for number in range {
        let end = clock.stamp();
        let hop = Hop::ALL[number % Hop::COUNT];
        recorder.record(hop, number as u64, clock.nanos_between(begin, end));
        begin = end;
    }
}

fn race(bench: &mut Bench) {
    let (mut plain, mut kept) = (HopCollector::new(), HopCollector::with_stamps());
    let recorders = [plain.recorder(), kept.recorder(), kept.recorder()].map(RefCell::new);
    let clock = bench.clock.clone();
    let over = AtomicBool::new(false);
    let records = std::thread::scope(|scope| {
        let observe = || {
            let mut records = 0_u64;
            loop {
                // Looked at first: what was handed over before the end is taken in any case.
                let last = over.load(Ordering::Acquire);
                plain.collect();
                kept.collect_stamps(Nanos::ZERO, &mut |record| {
                    records += u64::from(black_box(record).seq < u64::MAX);
                    true
                });
                if last {
                    return records;
                }
                std::thread::park_timeout(TURN);
            }
        };
        let observer = machine::on_any_core(|| scope.spawn(observe));
        let mut race = Race::new("one span", BATCH);
        race.add("counter read alone", |range| {
            for _ in range {
                black_box(clock.stamp());
            }
        });
        race.add("span, histogram", |range| spans(&clock, &mut recorders[0].borrow_mut(), range));
        race.add_prepared(
            "span, histogram and stamp",
            |_| {
                recorders[1].borrow_mut().publish();
            },
            |range| spans(&clock, &mut recorders[1].borrow_mut(), range),
        );
        race.add("record alone, histogram and stamp", |range| {
            let mut recorder = recorders[2].borrow_mut();
            for number in range {
                recorder.record(Hop::Inference, number as u64, black_box(700 + number as u64 % 64));
            }
        });
        let outcome = race.run(bench, ROUNDS, BATCHES);
        over.store(true, Ordering::Release);
        for (name, label) in [
            ("counter", "counter read alone"),
            ("span", "span, histogram"),
            ("span_kept", "span, histogram and stamp"),
            ("record", "record alone, histogram and stamp"),
        ] {
            bench.figure(&format!("{name}_p50_ns"), outcome.nanos(label, 0.5));
            bench.figure(&format!("{name}_p99_ns"), outcome.nanos(label, 0.99));
        }
        let span = outcome.nanos("span, histogram and stamp", 0.5);
        bench.target("a span with its stamp, ns", span, None, Some(SPAN_NS_MAX));
        observer.join().expect("the observer only takes over")
    });
    assert!(records > 0, "the observer was handed records");
}

fn main() {
    let mut bench = Bench::start(
        "latency: what measuring costs",
        &["the observer's own time: it runs on another core where there is one"],
    );
    machine::pin_last();
    race(&mut bench);
    bench.finish();
}
