//! After warm-up no event allocates: not in decoding, book, features, model, risk, execution, nor
//! in the journal.

use crate::allocations::count;
use crate::pipeline_support::{Rig, assert_replays, parts, recorded, synthetic};
use peregrine::base::counters::Counter;

/// Segments that hold a whole run, so that what is counted is the path of an event and not the
/// making of a file, which live sessions leave to the keeper's thread.
const SEGMENTS: [(&str, &str, &str); 2] =
    [("journal", "input_segment_mib", "256"), ("journal", "output_segment_mib", "64")];

fn counters(rig: &Rig) -> [u64; 5] {
    let kinds = [Counter::Frames, Counter::Predictions, Counter::Orders, Counter::Fills];
    let [frames, predictions, orders, fills] = kinds.map(|counter| rig.count(counter));
    [frames, predictions, orders, fills, rig.count(Counter::NoDecisions)]
}

#[test]
fn fault_p04_sixty_thousand_frames_with_orders_and_fills_allocate_nothing() {
    let (instruments, arrivals) = synthetic(7, 90_000, &[]);
    let mut changes = SEGMENTS.to_vec();
    changes.extend([("policy", "enter_edge", "0.05"), ("policy", "decision_interval_ms", "10")]);
    let parts = parts(instruments, &changes);
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::fused(&parts, &dir.path().join("journal"));
    let (warm_up, counted) = arrivals.split_at(10_000);
    rig.run(warm_up);
    let before = counters(&rig);
    assert!(before[3] > 0, "warm-up includes an order and its fill");
    let allocations = count(|| rig.run(counted));
    let after = counters(&rig);
    let [frames, predictions, orders, fills, _] = std::array::from_fn(|i| after[i] - before[i]);
    assert!(frames >= 50_000, "{frames} frames");
    assert!(predictions > 1_000 && orders > 10 && fills > 10, "{predictions} {orders} {fills}");
    assert_eq!(allocations, 0, "over {frames} frames");
    rig.finish();
    assert_replays(&dir.path().join("journal"));
}

#[test]
fn the_recorded_market_allocates_nothing_after_its_first_ten_thousand_frames() {
    let names = ["hftbacktest/usdm_btcusdt_20240808.gz"];
    let Some((instruments, arrivals)) = recorded(&names) else { return };
    let parts = parts(instruments, &SEGMENTS);
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::fused(&parts, &dir.path().join("journal"));
    let (warm_up, counted) = arrivals.split_at(10_000);
    rig.run(warm_up);
    let before = counters(&rig);
    let allocations = count(|| rig.run(counted));
    let after = counters(&rig);
    assert!(after[0] - before[0] >= 50_000 && after[2] > before[2] && after[3] > before[3]);
    assert_eq!(allocations, 0, "over {} frames", after[0] - before[0]);
    rig.finish();
}
