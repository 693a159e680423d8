//! Models change at a numbered place of the river: nothing is missed, nothing is out of order, the
//! path allocates nothing, and a replay finds the same.

use crate::allocations::count;
use crate::model_fixtures::{card, onnx, vectors};
use crate::pipeline_support::{
    Arrival, EAGER, Rig, SNAPSHOT_AT, assert_replays, lane, leaning, parts, synthetic,
};
use peregrine::base::counters::Counter;
use peregrine::base::event::{Event, Kind, ModelSwap, NoDecision, Order, Prediction};
use peregrine::base::split::Split;
use peregrine::features::{Input, SCHEMA, WarmUp, schema_hash};
use peregrine::model::{ArtifactFiles, Card};
use peregrine::runtime::assemble::{Parts, version_bytes};
use std::collections::BTreeMap;
use std::path::Path;

/// Segments that hold a whole run: what is counted is the path of an event.
const SEGMENTS: [(&str, &str, &str); 2] =
    [("journal", "input_segment_mib", "256"), ("journal", "output_segment_mib", "64")];
/// Graph and vectors of the recurrent model.
const RECURRENT: &str = "gru_node_reset1";

/// A recurrent model on features of ours.
pub fn recurrent() -> ArtifactFiles {
    let (bytes, told) = (onnx(RECURRENT), vectors(RECURRENT));
    // What a few seconds of books and trades make.
    let soon = SCHEMA.iter().filter(|feature| {
        let others = [Input::Mark, Input::OpenInterest, Input::Funding, Input::Liquidations];
        let long = matches!(feature.warm_up, WarmUp::Bars(21..) | WarmUp::Seconds(11..));
        !long && others.iter().all(|input| !feature.inputs.has(*input))
    });
    let features = soon.take(told[0].input.len()).map(|feature| feature.name.to_owned());
    let card = Card {
        schema_hash: format!("{:016x}", schema_hash()),
        features: features.collect(),
        bar_interval_ms: Some(250),
        ..card("gru", &bytes, &told)
    };
    ArtifactFiles::from_bytes(bytes, card.to_toml().unwrap()).unwrap()
}

/// A swap to `files` at `slot`: of the champion, or with a split of the canary.
pub fn swap_to(files: &ArtifactFiles, slot: u8, split: Option<Split>) -> ModelSwap {
    let swap = ModelSwap {
        sha256: files.sha256,
        version: version_bytes(&files.card.version),
        role: if split.is_some() { 2 } else { 1 },
        slot,
        card: files.card_tag(),
        ..ModelSwap::default()
    };
    match split {
        Some(Split { seed, share_bps, block_ms }) => {
            ModelSwap { seed, share_bps, block_ms, ..swap }
        }
        None => swap,
    }
}

/// A session over `arrivals`; `act` is called with the number of arrivals taken, before each.
fn session(
    parts: &Parts,
    dir: &Path,
    arrivals: &[Arrival],
    act: impl FnMut(&mut Rig, usize),
) -> Vec<Vec<Event>> {
    let mut rig = Rig::fused(parts, dir);
    rig.drive(arrivals, act);
    rig.finish();
    (0..4).map(|number| lane(dir, number)).collect()
}

/// The market's own records, as they came: everything of lane 0 that no swap or report is.
fn market(lane_0: &[Event]) -> Vec<Event> {
    let plain = |event: &Event| Event { seq: 0, ..*event };
    lane_0.iter().filter(|event| event.kind < 32).map(plain).collect()
}

/// Predictions by the place of their cause among the market's records: row, model, probabilities.
fn predictions(lanes: &[Vec<Event>]) -> BTreeMap<u64, (u64, u64, [u32; 3])> {
    let mut place = BTreeMap::new();
    for (number, event) in lanes[0].iter().filter(|event| event.kind < 32).enumerate() {
        place.insert(event.seq, number as u64);
    }
    let told = lanes[1].iter().filter(|event| event.kind() == Some(Kind::Prediction));
    told.map(|event| {
        let body: &Prediction = event.body();
        let bits = body.probability.map(f32::to_bits);
        (place[&event.seq], (body.features_hash, body.model_tag, bits))
    })
    .collect()
}

#[test]
fn a_model_decides_from_its_swap_on_and_no_event_is_missed_or_moved_for_it() {
    let (instruments, arrivals) = synthetic(5, 20_000, &[]);
    let parts = parts(instruments, &EAGER);
    let other = leaning("other", "imbalance_1", 1.0);
    let dir = tempfile::tempdir().unwrap();
    let plain = session(&parts, &dir.path().join("plain"), &arrivals, |_, _| {});
    let swapped = session(&parts, &dir.path().join("swapped"), &arrivals, |rig, taken| {
        if taken == 8_000 {
            rig.bring(&parts, &other, 1);
        }
        if taken == 10_000 {
            rig.swap(&swap_to(&other, 1, None));
        }
    });
    let at = swapped[0].iter().find(|event| event.kind() == Some(Kind::ModelSwap)).unwrap().seq;
    let (mut before, mut after) = (0, 0);
    for event in &swapped[1] {
        let tag = match event.kind() {
            Some(Kind::Prediction) => event.body::<Prediction>().model_tag,
            Some(Kind::NoDecision) => event.body::<NoDecision>().model_tag,
            _ => continue,
        };
        let wanted = if event.seq < at { parts.files.tag() } else { other.tag() };
        assert_eq!(tag, wanted, "at {} with the swap at {at}", event.seq);
        (before, after) = (before + u64::from(event.seq < at), after + u64::from(event.seq > at));
    }
    assert!(before > 100 && after > 100, "{before} before, {after} after");
    let orders = swapped[3].iter().filter(|event| event.kind() == Some(Kind::OrderIntent));
    let of = |event: &&Event| event.body::<Order>().model_tag == other.tag();
    assert!(orders.clone().filter(of).all(|event| event.seq > at));
    assert!(orders.filter(of).count() > 0, "orders tell the model that decided them");
    // The market came as without the swap, every record numbered in turn.
    assert!(market(&plain[0]) == market(&swapped[0]));
    assert!((1..).zip(&swapped[0]).all(|(seq, event)| event.seq == seq));
    let (without, with) = (predictions(&plain), predictions(&swapped));
    assert!(without.keys().eq(with.keys()), "a decision for every one there was");
    assert_replays(&dir.path().join("swapped"));
}

#[test]
fn a_thousand_swaps_and_rollbacks_under_load_allocate_nothing_and_replay_without_a_difference() {
    let (instruments, arrivals) = synthetic(7, 60_000, &[]);
    let mut changes = SEGMENTS.to_vec();
    changes.extend(EAGER);
    let parts = parts(instruments, &changes);
    let other = leaning("other", "imbalance_5", 1.0);
    let dir = tempfile::tempdir().unwrap();
    let plain = session(&parts, &dir.path().join("plain"), &arrivals, |_, _| {});
    let journal = dir.path().join("swapped");
    let mut rig = Rig::fused(&parts, &journal);
    rig.bring(&parts, &other, 1);
    let (warm_up, counted) = arrivals.split_at(10_000);
    rig.run(warm_up);
    let (there, back) = (swap_to(&other, 1, None), swap_to(&parts.files, 0, None));
    rig.swap(&there);
    rig.swap(&back);
    let before = rig.count(Counter::Fills);
    let mut swaps = 2;
    let allocations = count(|| {
        for (taken, arrival) in counted.iter().enumerate() {
            if taken % 35 == 0 && swaps < 1_002 {
                rig.swap(if swaps % 2 == 0 { &there } else { &back });
                swaps += 1;
            }
            rig.take(arrival);
        }
    });
    assert_eq!((swaps, rig.signs.swaps()), (1_002, 1_002));
    assert!(rig.count(Counter::Fills) > before, "positions were opened and left in between");
    assert_eq!(allocations, 0, "over {} frames and 1000 swaps", counted.len());
    rig.finish();
    let swapped: Vec<_> = (0..4).map(|number| lane(&journal, number)).collect();
    assert!(market(&plain[0]) == market(&swapped[0]), "no event is missed or out of its order");
    assert!((1..).zip(&swapped[0]).all(|(seq, event)| event.seq == seq));
    let tags: std::collections::BTreeSet<u64> =
        predictions(&swapped).values().map(|(_, tag, _)| *tag).collect();
    assert_eq!(tags, [parts.files.tag(), other.tag()].into());
    assert_replays(&journal);
}

#[test]
fn a_recurrent_model_begins_anew_when_it_comes_to_decide_and_follows_the_market_in_a_trial() {
    let (instruments, arrivals) = synthetic(11, 16_000, &[]);
    let often = [("policy", "decision_interval_ms", "50")];
    let parts = parts(instruments, &[&EAGER[..], &often[..]].concat());
    let (gru, other) = (recurrent(), leaning("other", "imbalance_1", 1.0));
    let dir = tempfile::tempdir().unwrap();
    let at = 9_000;
    let run = |name: &str, act: &dyn Fn(&mut Rig, usize)| {
        let journal = dir.path().join(name);
        let lanes = session(&parts, &journal, &arrivals, |rig, taken| {
            if taken == SNAPSHOT_AT {
                rig.bring(&parts, &gru, 1);
                rig.bring(&parts, &other, 2);
            }
            act(rig, taken);
        });
        assert_replays(&journal);
        predictions(&lanes)
    };
    let fresh = run("fresh", &|rig, taken| {
        if taken == at {
            rig.swap(&swap_to(&gru, 1, None));
        }
    });
    let again = run("again", &|rig, taken| match taken {
        2_000 => rig.swap(&swap_to(&gru, 1, None)),
        5_000 => rig.swap(&swap_to(&other, 2, None)),
        _ if taken == at => rig.swap(&swap_to(&gru, 1, None)),
        _ => {}
    });
    // Half of short blocks, to see many changes of turn.
    let split = Split { seed: 3, share_bps: 5_000, block_ms: 500 };
    let trial = run("trial", &|rig, taken| {
        if taken == at {
            rig.swap(&swap_to(&gru, 1, Some(split)));
        }
    });
    let of = |told: &BTreeMap<u64, (u64, u64, [u32; 3])>| -> BTreeMap<u64, [u32; 3]> {
        let gru = told.iter().filter(|(_, (_, tag, _))| *tag == gru.tag());
        gru.map(|(place, (.., bits))| (*place, *bits)).collect()
    };
    let (fresh, again, in_trial) = (of(&fresh), of(&again), of(&trial));
    let first = *fresh.keys().next().unwrap();
    let answers = fresh.values().collect::<std::collections::BTreeSet<_>>().len();
    assert!(answers > 50, "{answers} of {}", fresh.len());
    let late = again.range(first..).map(|(place, bits)| (*place, *bits)).collect();
    assert!(fresh == late, "what it knew of an earlier turn counts no more");
    assert!(in_trial.len() > 50 && in_trial.len() < trial.len() - 50, "{}", in_trial.len());
    for (place, bits) in &in_trial {
        assert_eq!(fresh.get(place), Some(bits), "at {place}: as if it had decided all along");
    }
}

#[test]
fn a_trial_deals_by_seed_instrument_and_block_and_ends_at_its_event() {
    let (instruments, arrivals) = synthetic(13, 16_000, &[]);
    let parts = parts(instruments, &EAGER);
    let other = leaning("other", "imbalance_1", 1.0);
    let split = Split { seed: 9, share_bps: 2_000, block_ms: 300 };
    let dir = tempfile::tempdir().unwrap();
    let lanes = session(&parts, dir.path(), &arrivals, |rig, taken| match taken {
        3_000 => {
            rig.bring(&parts, &other, 1);
            rig.swap(&swap_to(&other, 1, Some(split)));
        }
        12_000 => rig.swap(&swap_to(&other, 1, Some(Split { share_bps: 0, ..split }))),
        _ => {}
    });
    let swaps = lanes[0].iter().filter(|event| event.kind() == Some(Kind::ModelSwap));
    let [begins, ends] = swaps.map(|event| event.seq).collect::<Vec<_>>()[..] else { panic!() };
    let mut by = [0, 0];
    for event in lanes[1].iter().filter(|event| event.kind() == Some(Kind::Prediction)) {
        let during = (begins..ends).contains(&event.seq);
        let canary = during && split.is_canary(event.instrument(), event.now());
        let wanted = if canary { other.tag() } else { parts.files.tag() };
        assert_eq!(event.body::<Prediction>().model_tag, wanted, "at {}", event.seq);
        by[usize::from(canary)] += usize::from(during);
    }
    assert!(by[1] > 50 && by[0] > by[1], "{by:?}");
    assert_replays(dir.path());
}

#[test]
fn a_replay_names_a_swapped_models_file_that_was_changed() {
    let (instruments, arrivals) = synthetic(3, 4_000, &[]);
    let parts = parts(instruments, &EAGER);
    let other = leaning("other", "imbalance_1", 1.0);
    let dir = tempfile::tempdir().unwrap();
    session(&parts, dir.path(), &arrivals, |rig, taken| {
        if taken == 2_000 {
            rig.bring(&parts, &other, 1);
            rig.swap(&swap_to(&other, 1, None));
        }
    });
    assert_replays(dir.path());
    let name = format!("model-{:016x}-{:016x}.onnx", other.tag(), other.card_tag());
    let path = dir.path().join(&name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let report = peregrine::runtime::replay::verify(dir.path()).unwrap();
    assert!(report.differences > 0 && report.first.as_ref().unwrap().contains(&name), "{report:?}");
}

#[test]
#[should_panic(expected = "ModelAbsent { slot: 2 }")]
fn a_swap_to_a_model_that_never_came_stops_the_session_instead_of_telling_a_lie() {
    let (instruments, arrivals) = synthetic(3, 2_000, &[]);
    let parts = parts(instruments, &EAGER);
    let other = leaning("other", "imbalance_1", 1.0);
    let dir = tempfile::tempdir().unwrap();
    session(&parts, dir.path(), &arrivals, |rig, taken| {
        if taken == 1_000 {
            rig.bring(&parts, &other, 1);
            rig.swap(&swap_to(&other, 2, None));
        }
    });
}
