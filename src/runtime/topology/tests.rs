use super::*;

fn settings(layout: Layout, cores: &[u32]) -> TopologySettings {
    TopologySettings {
        layout,
        inference_shards: 1,
        cores: cores.to_vec(),
        wait: Wait::Auto,
        pin_required: false,
        feed_inference_events: 64,
        inference_risk_events: 64,
        risk_execution_events: 64,
        execution_feed_events: 64,
    }
}

fn stages(topology: &Topology) -> Vec<Stage> {
    topology.threads.iter().flat_map(|t| t.stages.iter().copied()).collect()
}

const RIVER: [Stage; 4] = [Stage::Feed, Stage::Inference, Stage::Risk, Stage::Execution];

#[test]
fn every_layout_runs_every_stage_once_in_the_order_of_the_river() {
    for layout in [Layout::Split, Layout::Paired, Layout::Fused, Layout::Auto] {
        for count in 1..12 {
            let cores: Vec<usize> = (0..count).collect();
            let topology = plan(&settings(layout, &[]), &cores).unwrap();
            assert_eq!(stages(&topology), RIVER, "{layout:?} on {count} cores");
        }
    }
}

#[test]
fn auto_on_two_cores_uses_one_pinned_thread_and_leaves_the_first_core_free() {
    let topology = plan(&settings(Layout::Auto, &[]), &[0, 1]).unwrap();
    assert_eq!(topology.threads.len(), 1);
    assert_eq!(topology.threads[0].core, Some(1));
    assert_eq!(topology.threads[0].wait, Wait::Spin);
}

#[test]
fn no_thread_spins_or_is_pinned_where_cores_are_short() {
    let topology = plan(&settings(Layout::Split, &[]), &[0, 1]).unwrap();
    assert!(topology.threads.iter().all(|t| t.core.is_none() && t.wait == Wait::Yield));
}

#[test]
fn auto_splits_on_a_large_host() {
    let cores: Vec<usize> = (0..16).collect();
    let topology = plan(&settings(Layout::Auto, &[]), &cores).unwrap();
    assert_eq!(topology.layout, Layout::Split);
    let pinned: Vec<_> = topology.threads.iter().map(|t| t.core).collect();
    assert_eq!(pinned, [Some(12), Some(13), Some(14), Some(15)]);
}

#[test]
fn each_shard_of_inference_has_a_thread_a_core_and_a_ring_of_its_own() {
    let cores: Vec<usize> = (0..8).collect();
    let shards = |count, named: &[u32]| {
        let settings = settings(Layout::Split, named);
        plan(&TopologySettings { inference_shards: count, ..settings }, &cores)
    };
    let topology = shards(3, &[]).unwrap();
    let threads: Vec<_> = topology.threads.iter().map(|t| (t.name, t.core.unwrap())).collect();
    let wanted = [
        ("feed", 2),
        ("inference", 3),
        ("inference-1", 4),
        ("inference-2", 5),
        ("risk", 6),
        ("execution", 7),
    ];
    assert_eq!(threads, wanted);
    assert!(topology.to_string().contains("[inference-2 core 5 Spin]"), "{topology}");
    let rings: Vec<_> = wanted.iter().map(|(thread, _)| ring_of(thread).unwrap()).collect();
    let wanted = ["execution_feed", "feed_inference", "feed_inference_1", "feed_inference_2"];
    assert_eq!(rings[..4], wanted);
    assert_eq!(rings[4..], ["inference_risk", "risk_execution"]);
    let error = shards(2, &[1, 2, 3, 4]).unwrap_err();
    assert_eq!(error, TopologyError::CoreCount { named: 4, threads: 5 });
    assert!(shards(2, &[1, 2, 3, 4, 5]).is_ok());
    // As many as there may be have names that no other has.
    let names: std::collections::BTreeSet<_> =
        SHARDS.iter().flat_map(|shard| [shard.thread, shard.feed, shard.risk]).collect();
    assert_eq!(names.len(), 3 * SHARDS.len());
}

#[test]
fn a_named_core_that_is_not_there_is_refused_by_number() {
    let error = plan(&settings(Layout::Paired, &[1, 9]), &[0, 1, 2]).unwrap_err();
    assert_eq!(error, TopologyError::CoreMissing { core: 9, available: vec![0, 1, 2] });
    let error = plan(&settings(Layout::Paired, &[1]), &[0, 1, 2]).unwrap_err();
    assert_eq!(error, TopologyError::CoreCount { named: 1, threads: 2 });
    let error = plan(&settings(Layout::Paired, &[1, 1]), &[0, 1, 2]).unwrap_err();
    assert_eq!(error, TopologyError::CoreTwice { core: 1 });
}

#[test]
fn fault_p14_pinning_is_read_back_and_a_core_that_does_not_exist_fails() {
    std::thread::spawn(|| {
        let core = cores_available()[0];
        assert_eq!(pin_current_thread("test", core), Ok(()));
        assert!(pin_current_thread("test", 1_000).is_err());
    })
    .join()
    .unwrap();
}
