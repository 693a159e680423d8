//! From a prediction to signed order bytes: ledger, policy, gate, request. Every cycle enters on
//! one prediction, is filled, leaves on the next and is filled again. Then the gate alone, with a
//! position and a book of working orders.

#[path = "harness/mod.rs"]
mod harness;

use harness::desk::{Desk, PARTS};
use harness::gate::{GateDesk, WORKING};
use harness::{Bench, heading, histogram, nanos_at, row};
use hdrhistogram::Histogram;

fn main() {
    let mut bench = Bench::start(
        "risk: a prediction to signed order bytes",
        &[
            "the journal: `journal` has it",
            "one reading of the clock, and in `send` a copy of the request, are in every row",
        ],
    );
    harness::machine::pin_last();
    let mut desk = Desk::new(&bench);
    desk.check();
    let warm = bench.count(20_000, 200);
    (0..warm).for_each(|_| desk.cycle());
    desk.times.iter_mut().for_each(Histogram::reset);
    let cycles = bench.count(200_000, 1_000);
    (0..cycles).for_each(|_| desk.cycle());
    let times = std::mem::take(&mut desk.times);
    drop(desk);
    heading(&format!("{cycles} times in and out"));
    for (part, name, label) in PARTS {
        let histogram = &times[part as usize];
        row(label, histogram);
        bench.figure(&format!("{name}_p50_ns"), nanos_at(histogram, 0.5));
        bench.figure(&format!("{name}_p99_ns"), nanos_at(histogram, 0.99));
    }
    gate_alone(&mut bench);
    bench.finish();
}

/// Rounds of the gate alone. A machine that is shared slows some of them down; what the gate itself
/// takes is that of the quietest.
const ROUNDS: usize = 10;

/// The gate alone: every check, with a position and working orders on the book.
fn gate_alone(bench: &mut Bench) {
    let mut desk = GateDesk::new();
    desk.check();
    let warm = bench.count(20_000, 200);
    (0..warm).for_each(|_| desk.cycle(bench));
    let cycles = bench.count(20_000, 100);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        desk.times.reset();
        (0..cycles).for_each(|_| desk.cycle(bench));
        desk.check_after(cycles as u64);
        rounds.push(desk.times.clone());
    }
    let mut all = histogram();
    rounds.iter().for_each(|round| all.add(round).expect("the bounds are the same"));
    let p99 = |times: &Histogram<u64>| nanos_at(times, 0.99);
    rounds.sort_by(|one, other| p99(one).total_cmp(&p99(other)));
    heading(&format!("every check, a position, {WORKING} working orders"));
    row("gate judges and approves an entry", &all);
    row(&format!("  the quietest of {ROUNDS} rounds"), &rounds[0]);
    let reading = bench.reading();
    bench.figure("clock_reading_ns", reading);
    for (name, what, times) in [("", "", &all), ("quietest_", " of the quietest round", &rounds[0])]
    {
        for (part, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            let figure = format!("gate_20_orders_{name}{part}_ns");
            bench.figure(&figure, nanos_at(times, quantile));
        }
        let told = format!("gate p99{what} less the clock's reading, ns");
        bench.target(&told, p99(times) - reading, None, Some(200.0));
    }
}
