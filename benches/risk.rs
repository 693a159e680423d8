//! From a prediction to signed order bytes: ledger, policy, gate, request. Every cycle enters on
//! one prediction, is filled, leaves on the next and is filled again. Then the gate alone, with a
//! position and a book of working orders.

#[path = "harness/mod.rs"]
mod harness;

use harness::desk::{Desk, PARTS};
use harness::gate::{GateDesk, WORKING};
use harness::{Bench, heading, histogram, nanos_at, record_nanos, row};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::hint::black_box;

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

/// Rounds of the gate alone, a few seconds of them. A machine that is shared slows some of them
/// down: which ones, the reference tells, whatever the gate does.
const ROUNDS: usize = 200;
/// A round is undisturbed while the reference's p99 is no more than so many times that of its best
/// round.
const UNDISTURBED: f64 = 1.2;

/// The gate alone: every check, with a position and working orders on the book. After each
/// judgement comes one turn of the reference, so that both meet the same disturbances.
fn gate_alone(bench: &mut Bench) {
    let mut desk = GateDesk::new();
    desk.check();
    let mut map = OrderedMap::new();
    map.check();
    let warm = bench.count(20_000, 200);
    let cycles = bench.count(20_000, 100);
    (0..warm).for_each(|_| cycle(bench, &mut desk, &mut map));
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        desk.times.reset();
        map.times.reset();
        (0..cycles).for_each(|_| cycle(bench, &mut desk, &mut map));
        desk.check_after(cycles as u64);
        map.check();
        rounds.push([desk.times.clone(), map.times.clone()]);
    }
    tell(bench, &rounds);
}

fn cycle(bench: &Bench, desk: &mut GateDesk, map: &mut OrderedMap) {
    desk.cycle(bench);
    map.turn(bench);
}

/// Of the gate and the reference: all rounds, and those in which the reference was undisturbed.
fn tell(bench: &mut Bench, rounds: &[[Histogram<u64>; 2]]) {
    let p99 = |times: &Histogram<u64>| nanos_at(times, 0.99);
    let best = rounds.iter().map(|round| p99(&round[1])).fold(f64::INFINITY, f64::min);
    let calm = rounds.iter().filter(|round| p99(&round[1]) <= best * UNDISTURBED);
    let calm: Vec<_> = calm.collect();
    let sum = |which: usize, of: &mut dyn Iterator<Item = &[Histogram<u64>; 2]>| {
        of.fold(histogram(), |mut sum, round| {
            sum.add(&round[which]).expect("the bounds are the same");
            sum
        })
    };
    let [gate, map] = [0, 1].map(|which| sum(which, &mut rounds.iter()));
    let [calm_gate, calm_map] = [0, 1].map(|which| sum(which, &mut calm.iter().copied()));
    heading(&format!("every check, a position, {WORKING} working orders"));
    row("gate judges and approves an entry", &gate);
    row("an ordered map of as many, one in and out", &map);
    let undisturbed = format!("{} of {ROUNDS} rounds, undisturbed", calm.len());
    row(&format!("  gate, {undisturbed}"), &calm_gate);
    row(&format!("  map, {undisturbed}"), &calm_map);
    let reading = bench.reading();
    bench.figure("clock_reading_ns", reading);
    bench.figure("undisturbed_rounds", calm.len() as f64);
    let told = [
        ("gate_20_orders", &gate),
        ("gate_20_orders_undisturbed", &calm_gate),
        ("ordered_map", &map),
        ("ordered_map_undisturbed", &calm_map),
    ];
    for (name, times) in told {
        for (part, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            bench.figure(&format!("{name}_{part}_ns"), nanos_at(times, quantile));
        }
    }
    // What slows the map down within one run is of the machine.
    bench.figure("ordered_map_p99_over_best_round", p99(&map) / best);
    bench.figure("gate_p99_over_ordered_map", p99(&gate) / p99(&map));
    let undisturbed = format!(" of {undisturbed}");
    for (what, times) in [("", &gate), (undisturbed.as_str(), &calm_gate)] {
        let told = format!("gate p99{what}, less the clock's reading, ns");
        bench.target(&told, p99(times) - reading, None, Some(200.0));
    }
}

/// The reference: what the standard library takes for as many orders by price: one more, the sum of
/// all, and gone again.
struct OrderedMap {
    orders: BTreeMap<i64, i64>,
    turns: i64,
    sum: i64,
    times: Histogram<u64>,
}

impl OrderedMap {
    fn new() -> Self {
        let orders = (0..WORKING).map(|i| (i * 1_000, i)).collect();
        Self { orders, turns: 0, sum: 0, times: histogram() }
    }

    fn turn(&mut self, bench: &Bench) {
        let px = black_box(self.turns % WORKING * 1_000 + 500);
        let start = bench.clock.stamp();
        let _ = self.orders.insert(px, self.turns);
        self.sum = black_box(self.orders.values().sum());
        let gone = black_box(self.orders.remove(&px));
        record_nanos(&mut self.times, bench.since(start));
        assert_eq!(gone, Some(self.turns));
        self.turns += 1;
    }

    /// The sum was that of the orders with the last one among them.
    fn check(&self) {
        let last = if self.turns == 0 { 0 } else { WORKING * (WORKING - 1) / 2 + self.turns - 1 };
        assert_eq!((self.sum, self.orders.len() as i64), (last, WORKING));
    }
}
