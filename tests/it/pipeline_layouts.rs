//! Whichever threads the stages run on: the same inputs give the same lanes.

use crate::pipeline_support::{
    EAGER, Lanes, Rig, assert_replays, lane, lanes, parts, recorded, synthetic,
};
use peregrine::base::counters::{Counter, Counters};
use peregrine::base::event::Event;
use peregrine::base::hop::Hop;
use peregrine::engine::{
    Accept, Crossing, FeedStage, InferenceStage, Next, NoProbe, Outlet, With, drain,
};
use peregrine::feed::Feed;
use peregrine::journal::Recorder;
use peregrine::runtime::assemble::{Budget, Parts};
use peregrine::runtime::backtest::close_journal;
use rtrb::{Consumer, RingBuffer};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// From feed to inference: so few that the feed meets a full ring many times.
const FEED_RING: usize = 64;
/// Between the other stages: the default of the configuration.
const STAGE_RING: usize = 4_096;

/// A thread that runs a stage until nobody sends any more.
fn stage<S>(mut ring: Consumer<Crossing<S::Message>>, mut stage: S, hop: Hop) -> JoinHandle<S>
where
    S: Accept + Send + 'static,
    S::Message: Send,
{
    std::thread::spawn(move || {
        loop {
            let abandoned = ring.is_abandoned();
            let taken = drain(&mut ring, &mut stage, hop, 64, &mut NoProbe).unwrap();
            if taken == 0 {
                if abandoned {
                    return stage;
                }
                std::thread::yield_now();
            }
        }
    })
}

fn ring_to<S: Accept>(
    name: &'static str,
    depth: usize,
) -> (Next<S>, Consumer<Crossing<S::Message>>) {
    let (producer, consumer) = RingBuffer::new(depth);
    (Next::Ring { name, producer }, consumer)
}

/// The feed: the inputs in their order, each waiting for room. Gives lane 0 back; the way on ends.
fn feed(parts: &Parts, lane: Recorder, next: Next<InferenceStage>, inputs: &[Event]) -> Recorder {
    let counters = Arc::new(Counters::new());
    let mut feed = FeedStage::new(Feed::new(&parts.instruments), lane, next, counters);
    for input in inputs {
        while feed.next_mut().room() == 0 {
            std::thread::yield_now();
        }
        let mut with = With { probe: &mut NoProbe, watch: &mut |_| {} };
        feed.on_event(*input, input.now(), &mut with).unwrap();
    }
    feed.into_parts().1
}

/// Four threads.
fn split(parts: &Parts, dir: &Path, inputs: &[Event]) {
    let Lanes { journal, inputs: lane_0, stages, stamps } = lanes(parts, dir);
    let counters = Arc::new(Counters::new());
    let execution = parts.execution(stages.execution, Outlet::none(), &counters);
    let (next, ring) = ring_to("risk_execution", STAGE_RING);
    let execution = stage(ring, execution, Hop::RiskExecution);
    let risk = parts.risk(stages.risk, next, &counters).unwrap();
    let (next, ring) = ring_to("inference_risk", STAGE_RING);
    let risk = stage(ring, risk, Hop::InferenceRisk);
    let model = parts.load_model(Budget::None).unwrap();
    let inference = parts.inference(model, stages.inference, next, &counters);
    let (next, ring) = ring_to("feed_inference", FEED_RING);
    let inference = stage(ring, inference, Hop::FeedInference);

    let lane_0 = feed(parts, lane_0, next, inputs);
    let (lane_1, next) = inference.join().unwrap().into_parts();
    drop(next);
    let (lane_2, next) = risk.join().unwrap().into_parts();
    drop(next);
    let lane_3 = execution.join().unwrap().into_recorder();
    close_journal(journal, vec![lane_0, lane_1, lane_2, lane_3, stamps]).unwrap();
}

/// Two threads: the feed, and the other three stages.
fn paired(parts: &Parts, dir: &Path, inputs: &[Event]) {
    let Lanes { journal, inputs: lane_0, stages, stamps } = lanes(parts, dir);
    let counters = Arc::new(Counters::new());
    let model = parts.load_model(Budget::None).unwrap();
    let behind = parts.fused(model, stages, Outlet::none(), &counters).unwrap();
    let (next, ring) = ring_to("feed_inference", FEED_RING);
    let behind = stage(ring, behind, Hop::FeedInference);
    let lane_0 = feed(parts, lane_0, next, inputs);
    let (lane_1, next) = behind.join().unwrap().into_parts();
    let Next::Here(risk) = next else { panic!("the stages are fused") };
    let (lane_2, next) = risk.into_parts();
    let Next::Here(execution) = next else { panic!("the stages are fused") };
    let lane_3 = execution.into_recorder();
    close_journal(journal, vec![lane_0, lane_1, lane_2, lane_3, stamps]).unwrap();
}

fn assert_layouts_agree(parts: &Parts, rig: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, four] = ["fused", "paired", "split"].map(|name| dir.path().join(name));
    rig(&one);
    let inputs = lane(&one, 0);
    paired(parts, &two, &inputs);
    split(parts, &four, &inputs);
    for number in 0..4 {
        let wanted = lane(&one, number);
        assert!(!wanted.is_empty(), "lane {number} is empty and proves nothing");
        for other in [&two, &four] {
            let found = lane(other, number);
            let differs = found.iter().zip(&wanted).position(|(a, b)| a != b);
            let name = other.file_name().unwrap();
            assert_eq!(differs, None, "lane {number} of {name:?}, first differing record");
            assert_eq!(found.len(), wanted.len(), "lane {number} of {name:?}");
        }
    }
    for dir in [&one, &two, &four] {
        assert_replays(dir);
    }
}

#[test]
fn fused_paired_and_split_stages_write_the_same_lanes_over_a_recorded_market() {
    let names = ["hftbacktest-playground/btcusdt_20230404.dat.gz"];
    let Some((instruments, arrivals)) = recorded(&names) else { return };
    let parts = parts(instruments, &[("policy", "enter_edge", "0.15")]);
    assert_layouts_agree(&parts, |dir| {
        let mut rig = Rig::fused(&parts, dir);
        rig.run(&arrivals);
        assert!(rig.count(Counter::Fills) > 0);
        rig.finish();
    });
}

#[test]
fn fused_paired_and_split_stages_write_the_same_lanes_for_two_instruments() {
    let (instruments, arrivals) = synthetic(11, 20_000, &[]);
    let parts = parts(instruments, &EAGER);
    assert_layouts_agree(&parts, |dir| {
        let mut rig = Rig::fused(&parts, dir);
        rig.run(&arrivals);
        assert!(rig.count(Counter::Fills) > 0);
        rig.finish();
    });
}
