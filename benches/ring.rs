//! One hop between two pinned threads: the river's ring against the floor, two atomics that answer
//! each other. Half a round trip is one hop.

#[path = "harness/mod.rs"]
mod harness;

use crossbeam::utils::CachePadded;
use harness::{Bench, heading, histogram, machine, nanos_at, row};
use hdrhistogram::Histogram;
use peregrine::base::Event;
use rtrb::RingBuffer;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};

const ROUNDS: usize = 11;
const TRIPS: usize = 20_000;
const RING_EVENTS: usize = 1_024;
/// Polls without an answer before the thread lets another run: on a machine whose cores are shared
/// the other side may not be running at all.
const POLLS_MAX: u32 = 1 << 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    No,
    Yes,
}

impl Pause {
    #[inline]
    fn wait(self, polls: &mut u32) {
        *polls += 1;
        if self == Self::Yes {
            spin_loop();
        }
        if *polls > POLLS_MAX {
            std::thread::yield_now();
            *polls = 0;
        }
    }
}

/// Runs `near` here and `far` on the other core.
fn on_two_cores(far: impl FnOnce() + Send, near: impl FnOnce()) {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let _ = machine::pin(1);
            far();
        });
        near();
        other.join().expect("the far side only answers");
    });
}

fn two_atomics(bench: &Bench, trips: usize, pause: Pause, times: &mut Histogram<u64>) {
    let there = CachePadded::new(AtomicU64::new(0));
    let back = CachePadded::new(AtomicU64::new(0));
    let await_value = |atomic: &AtomicU64, value: u64| {
        let mut polls = 0;
        while atomic.load(Ordering::Acquire) != value {
            pause.wait(&mut polls);
        }
    };
    let far = || {
        for trip in 1..=trips as u64 {
            await_value(&there, trip);
            back.store(trip, Ordering::Release);
        }
    };
    on_two_cores(far, || {
        for trip in 1..=trips as u64 {
            let start = bench.clock.stamp();
            there.store(trip, Ordering::Release);
            await_value(&back, trip);
            times.saturating_record(bench.since(start) * 500);
        }
    });
}

fn ring(bench: &Bench, trips: usize, pause: Pause, times: &mut Histogram<u64>) {
    let (mut there, mut inbound) = RingBuffer::<Event>::new(RING_EVENTS);
    let (mut outbound, mut back) = RingBuffer::<Event>::new(RING_EVENTS);
    let far = || {
        let mut polls = 0;
        for _ in 0..trips {
            let event = loop {
                match inbound.pop() {
                    Ok(event) => break event,
                    Err(_) => pause.wait(&mut polls),
                }
            };
            outbound.push(event).expect("one event is under way at a time");
        }
    };
    let mut sum = 0;
    on_two_cores(far, || {
        let mut polls = 0;
        for trip in 1..=trips as u64 {
            let event = Event { seq: trip, ..Event::EMPTY };
            let start = bench.clock.stamp();
            there.push(black_box(event)).expect("one event is under way at a time");
            let event = loop {
                match back.pop() {
                    Ok(event) => break event,
                    Err(_) => pause.wait(&mut polls),
                }
            };
            times.saturating_record(bench.since(start) * 500);
            sum += black_box(event).seq;
        }
    });
    let trips = trips as u64;
    assert_eq!(sum, trips * (trips + 1) / 2, "an event was lost or came twice");
}

/// Events one way as fast as they go; nanoseconds each.
fn throughput(bench: &Bench, events: usize) -> f64 {
    let (mut producer, mut consumer) = RingBuffer::<Event>::new(RING_EVENTS);
    let mut nanos = 0;
    let far = || {
        let mut polls = 0;
        let mut event = Event::EMPTY;
        for seq in 1..=events as u64 {
            event.seq = seq;
            while producer.push(event).is_err() {
                Pause::Yes.wait(&mut polls);
            }
        }
    };
    on_two_cores(far, || {
        let (mut polls, mut sum, mut taken) = (0, 0_u64, 0);
        let start = bench.clock.stamp();
        while taken < events {
            match consumer.pop() {
                Ok(event) => {
                    sum += event.seq;
                    taken += 1;
                }
                Err(_) => Pause::Yes.wait(&mut polls),
            }
        }
        nanos = bench.since(start);
        let events = events as u64;
        assert_eq!(sum, events * (events + 1) / 2, "an event was lost or came twice");
    });
    nanos as f64 / events as f64
}

type Way = fn(&Bench, usize, Pause, &mut Histogram<u64>);

const WAYS: [(&str, Way, Pause); 4] = [
    ("two atomics", two_atomics, Pause::No),
    ("two atomics, pause", two_atomics, Pause::Yes),
    ("ring of 128-byte events", ring, Pause::No),
    ("ring of 128-byte events, pause", ring, Pause::Yes),
];

fn main() {
    let mut bench = Bench::start(
        "ring: one event from one pinned thread to another",
        &["what the stages do with the event", "waking a parked thread"],
    );
    if machine::cores() < 2 {
        bench.absent("ring_over_floor", "a hop needs two cores");
        return bench.finish();
    }
    println!("pinned: {}", if machine::pin(0) { "cores 0 and 1" } else { "no" });
    let (rounds, trips) = (bench.count(ROUNDS, 2), bench.count(TRIPS, 200));
    let mut all = WAYS.map(|_| histogram());
    let mut medians = WAYS.map(|_| Vec::new());
    for round in 0..=rounds {
        for (i, (_, way, pause)) in WAYS.iter().enumerate() {
            let mut times = histogram();
            way(&bench, trips, *pause, &mut times);
            if round > 0 {
                medians[i].push(nanos_at(&times, 0.5));
                all[i].add(&times).expect("all histograms have the same bounds");
            }
        }
    }
    heading("one hop (half a round trip)");
    for ((label, ..), times) in WAYS.iter().zip(&all) {
        row(label, times);
    }
    let ratio = |of: usize, to: usize| harness::median_ratio(&medians[of], &medians[to]);
    let (plain, paused) = (ratio(2, 0), ratio(3, 1));
    println!("  ring / floor: {plain:.2}; both with pause: {paused:.2}");
    let each: Vec<f64> =
        (0..rounds).map(|_| throughput(&bench, bench.count(1_000_000, 10_000))).collect();
    let best = each.iter().copied().fold(f64::INFINITY, f64::min);
    println!("  one way, as fast as it goes: {best:.1} ns an event in the best round");
    bench.figure("floor_p50_ns", nanos_at(&all[0], 0.5));
    bench.figure("floor_pause_p50_ns", nanos_at(&all[1], 0.5));
    bench.figure("ring_p50_ns", nanos_at(&all[2], 0.5));
    bench.figure("ring_p99_ns", nanos_at(&all[2], 0.99));
    bench.figure("ring_pause_p50_ns", nanos_at(&all[3], 0.5));
    bench.figure("ring_over_floor", plain);
    bench.figure("ring_pause_over_floor_pause", paused);
    bench.figure("ring_throughput_ns", best);
    bench.target("ring / two atomics", plain, None, Some(2.2));
    bench.finish();
}
