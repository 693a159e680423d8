use crate::base::Nanos;
use crate::observe::latency::{HOP_NS_MAX, HopTotals, readable_ns};
use crate::observe::stamps::Rebuilt;
use crate::observe::worst::WORST_KEPT;
use crate::observe::{CycleClock, Hop, HopCollector, LatencyView};
use proptest::prelude::*;

/// The value at a rank, the slow way: sort and count.
fn at_rank(values: &[u64], quantile: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted[rank.max(1) - 1]
}

/// Two significant digits: a percentile is at most one hundredth above the value it stands for.
fn close(measured: u64, exact: u64) -> bool {
    measured >= exact && measured as f64 <= exact as f64 * 1.01 + 1.0
}

#[test]
fn what_a_thread_records_arrives_at_the_observer() {
    let mut collector = HopCollector::new();
    let mut recorder = collector.recorder();
    for ns in 1..=1_000 {
        recorder.record(Hop::Inference, 1, ns);
    }
    recorder.record(Hop::Wire, 1, 5_000_000);
    assert!(recorder.publish());
    collector.collect();
    let view = collector.since_start();
    let inference = view.hop(Hop::Inference);
    assert_eq!((inference.count, inference.max, inference.sum_ns), (1_000, 1_000, 500_500));
    assert!(close(inference.p50, 500) && close(inference.p99, 990) && close(inference.p999, 999));
    assert_eq!(view.hop(Hop::Wire).count, 1);
    assert_eq!(view.hop(Hop::Risk).count, 0);
}

#[test]
fn fault_p15_nothing_waits_and_nothing_is_lost_while_the_observer_sleeps() {
    let mut collector = HopCollector::new();
    let mut recorder = collector.recorder();
    for ns in 0..100_000 {
        recorder.record(Hop::Risk, 1, ns);
        recorder.publish();
    }
    // Only one set could be handed over; the rest waits in the recorder.
    collector.collect();
    let early = collector.since_start().hop(Hop::Risk).count;
    assert!(early < 100_000);
    assert!(recorder.publish(), "the set came back clean");
    collector.collect();
    assert_eq!(collector.since_start().hop(Hop::Risk).count, 100_000);
}

#[test]
fn a_busy_thread_publishes_without_an_idle_turn() {
    let mut collector = HopCollector::new();
    let mut recorder = collector.recorder();
    for _ in 0..10_000 {
        recorder.record(Hop::Features, 1, 7);
    }
    collector.collect();
    assert!(collector.since_start().hop(Hop::Features).count > 0);
}

#[test]
fn the_last_records_of_a_thread_that_ends_arrive() {
    let mut collector = HopCollector::new();
    let mut recorder = collector.recorder();
    recorder.record(Hop::Policy, 1, 3);
    assert!(recorder.publish());
    recorder.record(Hop::Policy, 1, 4);
    drop(recorder);
    collector.collect();
    assert_eq!(collector.since_start().hop(Hop::Policy).count, 2);
}

#[test]
fn a_recorder_outlives_its_observer() {
    let mut collector = HopCollector::new();
    let mut recorder = collector.recorder();
    drop(collector);
    for _ in 0..20_000 {
        recorder.record(Hop::Policy, 1, 3);
        recorder.publish();
    }
}

#[test]
fn recorders_of_four_threads_add_up() {
    let mut collector = HopCollector::new();
    let recorders: Vec<_> = (0..4).map(|_| collector.recorder()).collect();
    std::thread::scope(|scope| {
        for mut recorder in recorders {
            scope.spawn(move || {
                for ns in 1..=50_000 {
                    recorder.record(Hop::TickToOrder, 1, ns);
                }
            });
        }
    });
    collector.collect();
    let hop = collector.since_start().hop(Hop::TickToOrder);
    assert_eq!((hop.count, hop.sum_ns), (200_000, 4 * 50_000 * 50_001 / 2));
}

#[test]
fn an_interval_begins_where_the_last_one_ended() {
    let mut collector = HopCollector::new();
    let mut recorder = collector.recorder();
    let mut one_interval = |ns| {
        recorder.record(Hop::Risk, 1, ns);
        recorder.publish();
        collector.collect();
        collector.take_interval().view().hop(Hop::Risk)
    };
    assert_eq!(one_interval(10).max, 10);
    let second = one_interval(4);
    assert_eq!((second.max, second.count), (4, 1));
    assert_eq!(collector.since_start().hop(Hop::Risk).count, 2);
}

#[test]
fn no_length_of_time_is_too_odd_to_record() {
    let mut collector = HopCollector::new();
    let mut recorder = collector.recorder();
    for ns in [0, 1, HOP_NS_MAX, HOP_NS_MAX + 1, u64::MAX, u64::MAX] {
        recorder.record(Hop::Wire, 1, ns);
    }
    recorder.publish();
    collector.collect();
    let hop = collector.since_start().hop(Hop::Wire);
    assert_eq!((hop.count, hop.max, hop.sum_ns), (6, u64::MAX, u64::MAX));
    assert!(hop.p50 >= 1 && hop.p50 <= hop.p999 && hop.p999 <= hop.max);
}

proptest! {
    #[test]
    fn percentiles_agree_with_sorting_and_counting(
        values in prop::collection::vec(1_u64..HOP_NS_MAX, 1..400),
    ) {
        let mut collector = HopCollector::new();
        let mut recorder = collector.recorder();
        for (i, &ns) in values.iter().enumerate() {
            recorder.record(Hop::Inference, 1, ns);
            if i % 7 == 0 {
                recorder.publish();
                collector.collect();
            }
        }
        drop(recorder);
        collector.collect();
        let hop = collector.since_start().hop(Hop::Inference);
        prop_assert_eq!(hop.count as usize, values.len());
        prop_assert_eq!(hop.max, *values.iter().max().unwrap());
        prop_assert_eq!(hop.sum_ns, values.iter().sum::<u64>());
        for (measured, quantile) in
            [(hop.p50, 0.5), (hop.p99, 0.99), (hop.p999, 0.999), (hop.p9999, 0.9999)]
        {
            let exact = at_rank(&values, quantile);
            prop_assert!(close(measured, exact), "p{}: {} for {}", quantile, measured, exact);
        }
    }
}

#[test]
fn json_and_table_name_the_hops_that_were_passed_and_no_others() {
    let mut totals = HopTotals::new();
    totals.record_n(Hop::TickToOrder, 1_500, 10);
    totals.record_n(Hop::ReceiveDecode, 12_345_678, 1);
    let view = totals.view();
    let json = serde_json::to_value(view).unwrap();
    let expected = serde_json::json!({
        "receive_decode": {
            "p50": 12_345_678, "p99": 12_345_678, "p999": 12_345_678, "p9999": 12_345_678,
            "max": 12_345_678, "count": 1
        },
        "tick_to_order": {
            "p50": 1_500, "p99": 1_500, "p999": 1_500, "p9999": 1_500, "max": 1_500, "count": 10
        },
    });
    assert_eq!(json, expected);
    let again = LatencyView::from_json(&json);
    assert_eq!(again.table(), view.table());

    let table = view.table();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[1].starts_with("receive_decode ") && lines[1].ends_with(" 12.3 ms"), "{table}");
    assert!(lines[2].starts_with("tick_to_order ") && lines[2].ends_with(" 1500 ns"), "{table}");
    let widths: Vec<usize> = lines.iter().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|&width| width == widths[0]), "{table}");
    assert!(LatencyView::default().is_empty() && !view.is_empty());
}

#[test]
fn lengths_of_time_are_readable_at_every_size() {
    let cases = [
        (0, "0 ns"),
        (9_999, "9999 ns"),
        (10_000, "10.0 µs"),
        (10_000_000, "10.0 ms"),
        (10_000_000_000, "10.0 s"),
    ];
    for (ns, text) in cases {
        assert_eq!(readable_ns(ns), text);
    }
}

#[test]
fn hop_names_are_those_of_the_contract() {
    let contract = "receive_decode|feed_inference|features|inference|inference_risk|policy|risk|\
                    risk_execution|encode_send|tick_to_order|wire";
    let names: Vec<&str> = Hop::ALL.iter().map(|hop| hop.name()).collect();
    assert_eq!(names.join("|"), contract);
    for hop in Hop::ALL {
        assert_eq!(Hop::from_name(hop.name()), Some(hop));
    }
    assert_eq!(Hop::from_name("decode"), None);
}

#[test]
fn fault_p13_the_cycle_clock_agrees_with_the_system_clock() {
    let clock = CycleClock::calibrate();
    let (start, before) = (clock.stamp(), std::time::Instant::now());
    // Long enough that reading two clocks one after the other does not matter.
    while before.elapsed().as_millis() < 50 {
        std::hint::spin_loop();
    }
    let (end, after) = (clock.stamp(), before.elapsed());
    let ratio = clock.nanos_between(start, end) as f64 / after.as_nanos() as f64;
    assert!((0.9..1.1).contains(&ratio), "cycle clock runs at {ratio} of the system clock");
    assert_eq!(clock.nanos_between(end, start), 0, "backwards is no time at all");
}

/// What a collector with stamps hands over of these passages, recorded by one thread at once.
fn packed(passages: &[(Hop, u64, u64)]) -> (Rebuilt, LatencyView) {
    let mut collector = HopCollector::with_stamps();
    let mut recorder = collector.recorder();
    passages.iter().for_each(|&(hop, seq, ns)| recorder.record(hop, seq, ns));
    drop(recorder);
    let mut rebuilt = Rebuilt::default();
    collector.collect_stamps(Nanos(7), &mut |record| {
        rebuilt.take(record);
        true
    });
    (rebuilt, collector.since_start())
}

#[test]
fn histograms_made_of_records_are_those_the_observer_has() {
    // Sequence numbers that fall, rise and jump further than one record reaches.
    let seqs = [5, 4, 1 << 40, 3, (1 << 40) + 1, u64::MAX];
    let passages: Vec<_> = (0..5_000)
        .map(|n| (Hop::ALL[n % Hop::COUNT], seqs[n % seqs.len()], (n * n % 70_001) as u64))
        .collect();
    let (rebuilt, live) = packed(&passages);
    assert_eq!(rebuilt.missed, 0);
    assert_eq!(rebuilt.totals.view(), live);
    assert_eq!((rebuilt.from, rebuilt.to), (Some(Nanos(7)), Some(Nanos(7))));
}

#[test]
fn passages_that_find_no_room_are_counted_and_told() {
    let passages: Vec<_> = (0..40_000).map(|n| (Hop::Risk, n, n % 1_000 + 1)).collect();
    // The first swap comes by itself, after 4 096; the rest is in one set of room for 32 768.
    let (rebuilt, live) = packed(&passages);
    let kept = rebuilt.totals.view().hop(Hop::Risk).count;
    assert_eq!(rebuilt.missed, 40_000 - kept);
    assert_eq!((kept, live.hop(Hop::Risk).count), (4_096 + 32_768, 40_000));
}

#[test]
fn records_that_nobody_takes_are_told_by_the_next_one() {
    let mut collector = HopCollector::with_stamps();
    let mut recorder = collector.recorder();
    let mut round = |taken: bool| {
        (0..15).for_each(|n| recorder.record(Hop::Policy, n, 9));
        recorder.publish();
        let mut rebuilt = Rebuilt::default();
        collector.collect_stamps(Nanos(7), &mut |record| {
            if taken {
                rebuilt.take(record);
            }
            taken
        });
        (rebuilt.missed, rebuilt.totals.view().hop(Hop::Policy).count)
    };
    assert_eq!(round(true), (0, 15));
    assert_eq!(round(false), (0, 0));
    assert_eq!(round(true), (15, 15));
    assert_eq!(round(true), (0, 15));
}

#[test]
fn the_longest_passages_of_a_hop_come_with_their_inputs_from_every_thread() {
    let mut collector = HopCollector::new();
    let mut recorders = [collector.recorder(), collector.recorder()];
    let mut all = Vec::new();
    for n in 0..2_000_u64 {
        let ns = n * 7_919 % 10_007 + 1;
        recorders[(n % 2) as usize].record(Hop::Inference, n, ns);
        all.push((ns, n));
        if n % 100 == 0 {
            for recorder in &mut recorders {
                recorder.publish();
            }
            collector.collect();
        }
    }
    drop(recorders);
    collector.collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    let longest: Vec<(u64, u64)> = collector.since_start().worst().map(|p| (p.ns, p.seq)).collect();
    assert_eq!(longest, all[..WORST_KEPT]);
}
