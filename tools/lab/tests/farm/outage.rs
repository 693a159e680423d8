//! A server that is killed, and comes back or does not.

use super::STEPS;
use crate::cluster::Cluster;
use crate::worker::{Worker, count, held_at, settings};
use peregrine_lab::tune::functions::Function;
use peregrine_lab::tune::{Claim, Rescue, Storage};
use serde_json::Value;
use std::time::{Duration, Instant};

/// As the settings of the workers have it.
const GRACE: Duration = Duration::from_secs(8);

/// Workers that stand within a trial of a study of 12, in a server that is then killed.
fn killed_below(cluster: &mut Cluster, changes: &[(&str, &str)], names: &[&str]) -> Vec<Worker> {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, url) = (settings(dir.path(), changes), cluster.database("farm"));
    let begin = |name: &&str| Worker::tune(&file, &url, name, &["--trials", "12"]);
    drop(Storage::open(&url, "s").expect("a storage"));
    let (mut keeper, mut server) = (cluster.connect("farm"), cluster.connect("farm"));
    let mut lock = keeper.transaction().expect("begun");
    lock.batch_execute(&format!("LOCK TABLE {STEPS} IN SHARE MODE")).expect("a lock");
    let mut workers: Vec<Worker> = names.iter().map(begin).collect();
    held_at(&mut server, STEPS, &mut workers);
    cluster.kill();
    workers
}

fn cluster() -> Option<Cluster> {
    Cluster::start().inspect_err(|why| println!("nothing checked: {why}")).ok()
}

#[test]
fn workers_outlast_a_server_that_is_killed_and_lose_no_trial() {
    let Some(mut cluster) = cluster() else { return };
    let workers = killed_below(&mut cluster, &[], &["a", "b", "c"]);
    // Away for longer than the silence after which a worker is thought to be gone.
    let away = Instant::now();
    while away.elapsed() < GRACE + Duration::from_secs(1) {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    cluster.resume();
    // Nobody has had the time to say that it lives, and none of them is taken for dead.
    let mut storage = Storage::open(&cluster.url("farm"), "s").expect("a storage");
    let rescue = Rescue { grace_secs: GRACE.as_secs_f64(), retries_max: 3 };
    let mut draw = |_: &[_], _: u64| -> Vec<f64> { panic!("three trials run") };
    let claim = storage.claim(&Function::Mixed.space(), 3, rescue, &mut draw).expect("an answer");
    assert!(matches!(claim, Claim::Wait(_)), "{claim:?}");
    for worker in workers {
        let told: Value = serde_json::from_str(&worker.end().expect("it ends well")).expect("JSON");
        assert_eq!((&told["complete"], &told["failed"]), (&12.into(), &0.into()));
    }
    let mut server = cluster.connect("farm");
    assert_eq!((count(&mut server, "COMPLETE"), count(&mut server, "RUNNING")), (12, 0));
}

#[test]
fn a_worker_whose_server_stays_away_says_so_and_its_trial_is_done_by_the_next() {
    let Some(mut cluster) = cluster() else { return };
    let soon = [("outage_s = 300.0", "outage_s = 0.5"), ("grace_s = 8.0", "grace_s = 1.0")];
    let workers = killed_below(&mut cluster, &soon, &["alone"]);
    for worker in workers {
        let complaint = worker.end().expect_err("there is no server");
        assert!(complaint.contains("server is away and was waited for 0.5 s"), "{complaint}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = settings(dir.path(), &soon);
    let at_once = Worker::tune(&file, &cluster.url("farm"), "early", &["--trials", "12"]);
    assert!(at_once.end().expect_err("there is no server").contains("the study's server"));

    cluster.resume();
    let next = Worker::tune(&file, &cluster.url("farm"), "next", &["--trials", "12"]);
    let told: Value = serde_json::from_str(&next.end().expect("it ends well")).expect("JSON");
    assert_eq!((&told["complete"], &told["failed"]), (&12.into(), &1.into()));
    let mut server = cluster.connect("farm");
    assert_eq!((count(&mut server, "COMPLETE"), count(&mut server, "RUNNING")), (12, 0));
}

#[test]
fn a_claim_whose_connection_is_cut_is_made_again_and_once() {
    let Some(cluster) = cluster() else { return };
    let url = cluster.database("farm");
    let storage = Storage::open(&url, "s").expect("a storage");
    let mut storage = storage.outlasting(Duration::from_secs(60));
    let mut server = cluster.connect("farm");
    let mut draws = 0;
    let mut draw = |_: &[_], _| {
        draws += 1;
        // Within its claim a worker is idle in a transaction.
        let cut = "SELECT COUNT(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity \
                   WHERE state = 'idle in transaction' AND datname = 'farm'";
        if draws == 1 {
            let ended: i64 = server.query_one(cut, &[]).expect("an answer").get(0);
            assert_eq!(ended, 1);
        }
        vec![0.01, 3.0, 0.5, 2.0]
    };
    let rescue = Rescue { grace_secs: 60.0, retries_max: 3 };
    let claim = storage.claim(&Function::Mixed.space(), 3, rescue, &mut draw).expect("a claim");
    assert!(matches!(claim, Claim::Trial(claimed) if claimed.number == 0));
    assert_eq!(draws, 2);
    assert_eq!(storage.trials().expect("trials").len(), 1);
}
