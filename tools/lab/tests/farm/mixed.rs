//! Workers of Optuna beside ours on one study.

use super::{of, world};
use crate::cluster::Cluster;
use crate::worker::{Worker, count, held_at, settings};
use peregrine_lab::tune::functions::Function;
use peregrine_lab::tune::{Claim, Claimed, Rescue, State, Storage};
use postgres::Client;
use serde_json::{Value, json};

/// Whoever has said nothing at all for a moment is gone.
const AT_ONCE: Rescue = Rescue { grace_secs: 0.0, retries_max: 3 };
const NEVER: Rescue = Rescue { grace_secs: 1e9, retries_max: 3 };

fn claim(url: &str, rescue: Rescue) -> Claimed {
    let mut storage = Storage::open(url, "s").expect("a storage");
    let mut draw = |_: &[_], _| vec![0.01, 3.0, 0.5, 2.0];
    match storage.claim(&Function::Mixed.space(), 100, rescue, &mut draw).expect("a claim") {
        Claim::Trial(claimed) => claimed,
        other => panic!("{other:?}"),
    }
}

/// Every heartbeat is as if nobody had been there for an hour.
fn silence(server: &mut Client) {
    let past = "UPDATE trial_heartbeats SET heartbeat = heartbeat - INTERVAL '1 hour'";
    assert!(server.execute(past, &[]).expect("an answer") > 0);
}

#[test]
fn a_dead_trial_is_put_back_as_optuna_puts_it_back() {
    let Some((cluster, optuna)) = world() else { return };
    let [by_us, by_them] = ["by_us", "by_them"].map(|name| {
        cluster.database(name);
        let url = cluster.python_url(name);
        optuna.ask(&["make", &url]);
        optuna.ask(&["leave", &url]);
        silence(&mut cluster.connect(name));
        // Twice: the second retry knows of the first.
        for round in 1..=2 {
            if name == "by_us" {
                assert_eq!(claim(&cluster.url(name), AT_ONCE).number, round);
            } else {
                optuna.ask(&["rescue", &url]);
                assert_eq!(claim(&cluster.url(name), NEVER).number, round);
            }
            silence(&mut cluster.connect(name));
        }
        optuna.ask(&["read", &url])
    });
    assert_eq!(by_us, by_them);
    assert_eq!(of(&by_us, "FAIL").len(), 2);
    let last = of(&by_us, "RUNNING")[0];
    assert_eq!(last["notes"]["retry_history"], json!([0, 1]));
    assert_eq!(last["notes"]["noted"], json!({"by": "a plug-in"}));
    assert_eq!(last["people"]["who"], json!(["somebody", 1.5]));
}

#[test]
fn a_point_of_the_queue_that_a_worker_of_optuna_takes_meanwhile_is_its_own() {
    let Ok(cluster) = Cluster::start().inspect_err(|why| println!("nothing checked: {why}")) else {
        return;
    };
    let url = cluster.database("race");
    let first = claim(&url, NEVER);
    let mut server = cluster.connect("race");
    silence(&mut server);
    // Back into the queue, and taken by nobody.
    let mut storage = Storage::open(&url, "s").expect("a storage");
    let again = claim(&url, AT_ONCE);
    let wait = "UPDATE trials SET state = 'WAITING' WHERE trial_id = $1";
    server.execute(wait, &[&i32::try_from(again.id).expect("small")]).expect("an answer");

    // What Optuna does: the row alone is locked, and its state changed.
    let mut keeper = cluster.connect("race");
    let mut theirs = keeper.transaction().expect("begun");
    let take = "UPDATE trials SET state = 'RUNNING' WHERE trial_id = $1";
    theirs.execute(take, &[&i32::try_from(again.id).expect("small")]).expect("an answer");
    std::thread::scope(|scope| {
        let ours = scope.spawn(|| claim(&url, NEVER));
        let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                     AND query LIKE 'UPDATE trials SET state = ''RUNNING''%'";
        while server.query_one(waits, &[]).expect("an answer").get::<_, i64>(0) == 0 {
            assert!(!ours.is_finished(), "it did not ask for the row");
            std::thread::yield_now();
        }
        theirs.commit().expect("taken");
        let ours = ours.join().expect("no panic");
        assert_ne!(ours.id, again.id, "two workers have one trial");
    });
    let states: Vec<State> = storage.trials().expect("trials").iter().map(|t| t.state).collect();
    assert_eq!(states, [State::Fail, State::Running, State::Running]);
    assert_ne!(first.id, again.id);
}

#[test]
fn workers_of_both_kinds_share_a_study_and_finish_each_others_dead_trials() {
    let Some((cluster, optuna)) = world() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let file = settings(dir.path(), &[]);
    let url = cluster.database("shared");
    let theirs = cluster.python_url("shared");
    let ours = |name: &str, trials: i64| {
        let budget = trials.to_string();
        Worker::tune(&file, &url, name, &["--function", "mixed", "--trials", &budget])
    };
    optuna.ask(&["make", &theirs]);

    // One of each kind is killed within a trial.
    let mut dying = Worker::start("theirs", &mut optuna.command(&["hang", &theirs]));
    dying.said("hanging");
    let (mut keeper, mut server) = (cluster.connect("shared"), cluster.connect("shared"));
    let mut lock = keeper.transaction().expect("begun");
    lock.batch_execute("LOCK TABLE trial_values IN SHARE MODE").expect("a lock");
    let mut held = [ours("ours", 30)];
    held_at(&mut server, "trial_values", &mut held);
    assert_eq!(count(&mut server, "RUNNING"), 2);
    dying.kill();
    held.into_iter().for_each(Worker::kill);
    lock.commit().expect("let go");

    let worker = Worker::start("theirs", &mut optuna.command(&["work", &theirs, "8"]));
    let told = ours("living", 30).end().expect("it ends well");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    worker.end().expect("it ends well");
    assert!(told["complete"].as_i64() >= Some(28), "{told}");
    // Whoever put a point back last may have left it in the queue: the study had its trials.
    let complete = count(&mut server, "COMPLETE");
    ours("last", complete + 2).end().expect("it ends well");

    let trials = optuna.ask(&["read", &theirs]);
    let all = trials.as_array().expect("a list");
    assert_eq!((of(&trials, "RUNNING").len(), of(&trials, "WAITING").len()), (0, 0));
    for (at, trial) in all.iter().enumerate() {
        assert_eq!(trial["number"], at);
    }
    for trial in of(&trials, "COMPLETE") {
        let (value, again) = (trial["value"].as_f64(), trial["again"].as_f64());
        let apart = value.expect("a value") - again.expect("its value by Optuna's own words");
        assert!(apart.abs() < 1e-9, "{trial}");
    }
    let dead = of(&trials, "FAIL");
    assert_eq!(dead.len(), 2);
    for dead in dead {
        let of_dead = |trial: &&Value| trial["notes"]["failed_trial"] == dead["number"];
        let again: Vec<&Value> = of(&trials, "COMPLETE").into_iter().filter(of_dead).collect();
        assert_eq!(again.len(), 1, "{dead} was finished once");
        assert_eq!(again[0]["params"], dead["params"]);
    }
}
