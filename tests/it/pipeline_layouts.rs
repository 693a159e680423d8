//! Whichever threads the stages run on: the same inputs give the same lanes.

use crate::pipeline_support::{
    EAGER, Lanes, Rig, assert_replays, lane, lanes, parts, recorded, synthetic,
};
use peregrine::base::counters::{Counter, Counters};
use peregrine::base::event::Event;
use peregrine::base::hop::Hop;
use peregrine::engine::{
    Accept, Crossing, Fan, FeedStage, InferenceShard, InferenceStage, Merger, Next, NoProbe,
    Outlet, Share, With, drain,
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

/// Five threads: the feed, two of inference, risk, and execution.
fn sharded(parts: &Parts, dir: &Path, inputs: &[Event]) {
    let Lanes { journal, inputs: lane_0, stages, stamps } = lanes(parts, dir);
    let counters = Arc::new(Counters::new());
    let execution = parts.execution(stages.execution, Outlet::none(), &counters);
    let (next, ring) = ring_to("risk_execution", STAGE_RING);
    let execution = stage(ring, execution, Hop::RiskExecution);
    let risk = parts.risk(stages.risk, next, &counters).unwrap();
    let (order_in, order) = RingBuffer::new(2 * (FEED_RING + STAGE_RING + 1));
    let (mut ways, mut rings, mut shards) = (Vec::new(), Vec::new(), Vec::new());
    for share in Share::split(parts.instruments.len(), 2) {
        let (out, from) = RingBuffer::new(STAGE_RING);
        rings.push(("inference", from));
        let (model, settings) =
            (parts.load_model(Budget::None).unwrap(), parts.inference_settings());
        let shard = InferenceShard::new(share, &settings, model, ("inference_risk", out));
        let (way, ring) = RingBuffer::new(FEED_RING);
        ways.push(("feed_inference", way));
        shards.push(stage(ring, shard, Hop::FeedInference));
    }
    let (count, next) = (parts.instruments.len(), Next::Here(Box::new(risk)));
    let mut merger = Merger::new(count, order, rings, stages.inference, next, counters);
    let merger = std::thread::spawn(move || {
        while !merger.has_ended() {
            if merger.turn(64, &mut NoProbe).unwrap() == 0 {
                std::thread::yield_now();
            }
        }
        merger.into_parts()
    });
    let next = Next::Shards(Box::new(Fan::new(count, order_in, ways)));
    let lane_0 = feed(parts, lane_0, next, inputs);
    shards.into_iter().for_each(|shard| drop(shard.join().unwrap()));
    let (lane_1, next) = merger.join().unwrap();
    let Next::Here(risk) = next else { panic!("risk stands behind the merger") };
    let (lane_2, next) = risk.into_parts();
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
    let [one, two, four, five] =
        ["fused", "paired", "split", "sharded"].map(|name| dir.path().join(name));
    rig(&one);
    let inputs = lane(&one, 0);
    paired(parts, &two, &inputs);
    split(parts, &four, &inputs);
    sharded(parts, &five, &inputs);
    for number in 0..4 {
        let wanted = lane(&one, number);
        assert!(!wanted.is_empty(), "lane {number} is empty and proves nothing");
        for other in [&two, &four, &five] {
            let found = lane(other, number);
            let differs = found.iter().zip(&wanted).position(|(a, b)| a != b);
            let name = other.file_name().unwrap();
            assert_eq!(differs, None, "lane {number} of {name:?}, first differing record");
            assert_eq!(found.len(), wanted.len(), "lane {number} of {name:?}");
        }
    }
    for dir in [&one, &two, &four, &five] {
        assert_replays(dir);
    }
}

#[test]
fn fused_paired_split_and_sharded_stages_write_the_same_lanes_over_a_recorded_market() {
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
fn fused_paired_split_and_sharded_stages_write_the_same_lanes_for_two_instruments() {
    let (instruments, arrivals) = synthetic(11, 20_000, &[]);
    let parts = parts(instruments, &EAGER);
    assert_layouts_agree(&parts, |dir| {
        let mut rig = Rig::fused(&parts, dir);
        rig.run(&arrivals);
        assert!(rig.count(Counter::Fills) > 0);
        rig.finish();
    });
}
