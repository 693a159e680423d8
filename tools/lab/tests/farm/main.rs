//! Many processes on one study at a PostgreSQL server: killed, cut off from it, and beside workers
//! of Optuna.

mod cluster;
mod mixed;
mod outage;
#[path = "../python/mod.rs"]
mod python;
mod worker;

use cluster::Cluster;
use peregrine_lab::tune::Storage;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use worker::{Optuna, PACKAGES, Worker, count, held_at, settings};

const STEPS: &str = "trial_intermediate_values";

/// A server and Optuna; where there is none, the reason is told and there is nothing to check.
fn world() -> Option<(Cluster, Optuna)> {
    let all = Cluster::start().and_then(|cluster| {
        let folder = python::environment(&PACKAGES)?;
        Ok((cluster, Optuna(folder)))
    });
    all.inspect_err(|why| println!("the farm did not run and checked nothing: {why}")).ok()
}

/// Trials in a state.
fn of<'a>(trials: &'a Value, state: &str) -> Vec<&'a Value> {
    let all = trials.as_array().expect("a list").iter();
    all.filter(|trial| trial["state"] == state).collect()
}

/// Four processes that train models for a study of 24 trials; one may be killed within a trial.
fn four_on(cluster: &Cluster, name: &str, is_killed: bool) {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, url) = (settings(dir.path(), &[]), cluster.database(name));
    let trials = ["--trials", "24"];
    let begin = |at| Worker::tune(&file, &url, &format!("farm-{at}"), &trials);
    let mut workers: Vec<Worker>;
    if is_killed {
        // Made before any of them comes, so that it can be locked.
        drop(Storage::open(&url, "s").expect("a storage"));
        let (mut keeper, mut server) = (cluster.connect(name), cluster.connect(name));
        let mut lock = keeper.transaction().expect("begun");
        lock.batch_execute(&format!("LOCK TABLE {STEPS} IN SHARE MODE")).expect("a lock");
        workers = (0..4).map(begin).collect();
        held_at(&mut server, STEPS, &mut workers);
        assert_eq!(count(&mut server, "RUNNING"), 4);
        workers.remove(2).kill();
        assert_eq!(count(&mut server, "RUNNING"), 4, "nobody ends the trial of the killed");
        lock.commit().expect("let go");
    } else {
        workers = (0..4).map(begin).collect();
    }
    for worker in workers {
        let told: Value = serde_json::from_str(&worker.end().expect("it ends well")).expect("JSON");
        assert_eq!(told["complete"], 24);
    }
}

#[test]
fn a_study_of_four_processes_with_one_killed_in_a_trial_equals_one_without_the_kill() {
    let Some((cluster, optuna)) = world() else { return };
    cluster.database("theirs");
    optuna.ask(&["make", &cluster.python_url("theirs")]);
    four_on(&cluster, "killed", true);
    four_on(&cluster, "whole", false);

    let read = |name: &str| optuna.ask(&["read", &cluster.python_url(name)]);
    let (killed, whole) = (read("killed"), read("whole"));
    for (name, trials, failed) in [("killed", &killed, 1), ("whole", &whole, 0)] {
        let counts =
            ["COMPLETE", "FAIL", "RUNNING", "WAITING", "PRUNED"].map(|s| of(trials, s).len());
        assert_eq!(counts, [24, failed, 0, 0, 0], "{name}");
        let numbers: Vec<&Value> =
            trials.as_array().expect("a list").iter().map(|trial| &trial["number"]).collect();
        let wanted: Vec<Value> = (0..24 + failed).map(Value::from).collect();
        assert_eq!(numbers, wanted.iter().collect::<Vec<_>>(), "{name}");
        let points: BTreeSet<String> =
            of(trials, "COMPLETE").iter().map(|trial| trial["params"].to_string()).collect();
        assert_eq!(points.len(), 24, "{name}: a point was tried twice");
        assert!(of(trials, "COMPLETE").iter().all(|trial| trial["steps"] != 0), "{name}");
    }
    // The trial of the killed one is done by another, under a number of its own.
    let dead = of(&killed, "FAIL")[0];
    let again = of(&killed, "COMPLETE").into_iter().filter(|t| t["notes"] != json!({}));
    let again: Vec<&Value> = again.collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["params"], dead["params"]);
    let notes = json!({"failed_trial": dead["number"], "retry_history": [dead["number"]]});
    assert_eq!(again[0]["notes"], notes);

    let theirs = cluster.schema("theirs");
    assert_eq!(cluster.schema("killed"), theirs);
    assert_eq!(cluster.schema("whole"), theirs);

    for (name, failed) in [("killed", 1), ("whole", 0)] {
        let shown = optuna.dashboard(&cluster, name);
        assert_eq!((&shown["name"], &shown["page"]), (&json!("s"), &json!(true)));
        let states = shown["states"].as_array().expect("a list");
        let in_state = |state: &str| states.iter().filter(|shown| **shown == *state).count();
        assert_eq!(
            (in_state("Complete"), in_state("Fail"), states.len()),
            (24, failed, 24 + failed)
        );
        let best = of(if failed == 1 { &killed } else { &whole }, "COMPLETE");
        let best = best.iter().min_by(|a, b| {
            a["value"].as_f64().expect("a value").total_cmp(&b["value"].as_f64().expect("a value"))
        });
        assert_eq!(shown["best"][0], best.expect("a best one")["number"]);
    }
}
