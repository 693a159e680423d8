//! A study in its storage: parallel workers, a worker that is killed, and a database that Optuna
//! wrote.

use peregrine_lab::tune::functions::Function;
use peregrine_lab::tune::{
    Ending, Halving, Job, Median, Objective, Point, Pruner, Report, Rescue, State, Storage, Tpe,
    Trial, Verdict, run,
};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const RESCUE: Rescue = Rescue { grace_secs: 2.0, retries_max: 3 };

fn job<'a>(
    storage: &'a str,
    function: &'a dyn Objective,
    space: &'a peregrine_lab::tune::Space,
) -> Job<'a> {
    Job {
        storage,
        study: "s",
        space,
        objective: function,
        sampler: Tpe::new(5),
        pruner: Pruner::None,
        trials: 24,
        workers: 1,
        heartbeat_secs: 0.25,
        rescue: RESCUE,
        outage: Duration::ZERO,
    }
}

fn trials(storage: &str) -> Vec<Trial> {
    Storage::open(storage, "s").expect("a storage").trials().expect("trials")
}

/// Points and values of the trials that came to something, in their order.
fn points(storage: &str) -> Vec<(Vec<f64>, f64)> {
    let complete = |trial: Trial| {
        let values = trial.params.values().map(|(value, _)| *value).collect();
        Some((values, trial.value.filter(|_| trial.state == State::Complete)?))
    };
    trials(storage).into_iter().filter_map(complete).collect()
}

#[test]
fn one_worker_with_a_seed_gives_the_same_study_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let space = Function::Mixed.space();
    let files = ["a.db", "b.db"].map(|name| dir.path().join(name).display().to_string());
    for file in &files {
        let summary = run(&job(file, &Function::Mixed, &space), &|_| {}).expect("a search");
        assert_eq!((summary.complete, summary.failed), (24, 0));
        let best = summary.best.expect("a best trial");
        let least = points(file).iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        assert_eq!(best.value, least);
    }
    assert_eq!(points(&files[0]), points(&files[1]));
}

#[test]
fn workers_share_a_budget_and_no_trial_is_had_by_two() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("study.db").display().to_string();
    let space = Function::Branin.space();
    let ended = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let job = Job { workers: 2, ..job(&file, &Function::Branin, &space) };
                let note = |trial: &peregrine_lab::tune::Finished| {
                    ended.lock().expect("no panic").push(trial.number);
                };
                run(&job, &note).expect("a search");
            });
        }
    });
    let mut ended = ended.into_inner().expect("no panic");
    ended.sort_unstable();
    assert_eq!(ended, (0..24).collect::<Vec<_>>());
    let numbers: Vec<i64> = trials(&file).iter().map(|trial| trial.number).collect();
    assert_eq!(numbers, ended);
    let different: BTreeSet<String> =
        points(&file).iter().map(|(values, _)| format!("{values:?}")).collect();
    assert_eq!(different.len(), 24);
}

/// Says when it begins a trial, and at the given one waits for ever.
struct Hanging(Option<usize>, Mutex<usize>);

impl Objective for Hanging {
    fn about(&self) -> String {
        Function::Sphere.about()
    }

    fn value(&self, point: &Point<'_>, _: Report<'_>) -> Result<Verdict, anyhow::Error> {
        let mut count = self.1.lock().expect("no panic");
        if self.0 == Some(*count) {
            println!("hanging");
            loop {
                std::thread::park();
            }
        }
        *count += 1;
        Ok(Verdict::Value(Function::Sphere.value(&point.values)))
    }
}

/// Not a test of its own: what the next one starts and kills.
#[test]
fn child_of_the_killed_worker() {
    let Ok(file) = std::env::var("PEREGRINE_TEST_STUDY") else { return };
    let space = Function::Sphere.space();
    let hanging = Hanging(Some(13), Mutex::new(0));
    run(&job(&file, &hanging, &space), &|_| {}).expect("a search");
}

fn kill_within_trial_13(file: &str) {
    let mut child = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "child_of_the_killed_worker", "--nocapture"])
        .env("PEREGRINE_TEST_STUDY", file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let hangs = out.lines().any(|line| line.is_ok_and(|line| line.ends_with("hanging")));
    assert!(hangs, "it ended before its trial 13");
    child.kill().expect("a signal");
    child.wait().expect("its end");
}

/// Trial 13 failed with its worker and was tried once more under another number.
fn assert_tried_again(file: &str) {
    let all = trials(file);
    assert_eq!(all[13].state, State::Fail);
    let again: Vec<&Trial> = all.iter().filter(|trial| trial.retry_of.is_some()).collect();
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].retry_of, again[0].state), (Some(13), State::Complete));
    assert_eq!(again[0].params, all[13].params);
}

#[test]
fn a_search_goes_on_after_a_kill_as_if_it_never_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let [file, whole] = ["a.db", "b.db"].map(|name| dir.path().join(name).display().to_string());
    kill_within_trial_13(&file);
    let left = trials(&file);
    assert_eq!((left.len(), left[13].state), (14, State::Running));

    // One worker and no grace: whatever runs when it claims is of the dead.
    let space = Function::Sphere.space();
    let rescue = Rescue { grace_secs: 0.0, ..RESCUE };
    let resumed = Job { rescue, ..job(&file, &Function::Sphere, &space) };
    let summary = run(&resumed, &|_| {}).expect("a search");
    assert_eq!((summary.complete, summary.failed), (24, 1));
    assert_tried_again(&file);
    run(&job(&whole, &Function::Sphere, &space), &|_| {}).expect("a search");
    assert_eq!(points(&file), points(&whole));
}

#[test]
fn the_living_wait_for_the_heartbeat_of_a_killed_worker_to_grow_old() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("study.db").display().to_string();
    kill_within_trial_13(&file);
    let space = Function::Sphere.space();
    let resumed = Job { workers: 2, ..job(&file, &Function::Sphere, &space) };
    let summary = run(&resumed, &|_| {}).expect("a search");
    assert_eq!((summary.complete, summary.failed), (24, 1));
    assert_tried_again(&file);
}

#[test]
fn what_was_taken_from_a_worker_can_no_longer_be_ended_by_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("study.db").display().to_string();
    let space = Function::Sphere.space();
    let mut storage = Storage::open(&file, "s").expect("a storage");
    let mut draw = |_: &[_], _| vec![0.5; 5];
    let mut claim = |rescue| match storage.claim(&space, 9, rescue, &mut draw).expect("a claim") {
        peregrine_lab::tune::Claim::Trial(claimed) => claimed,
        other => panic!("{other:?}"),
    };
    let first = claim(RESCUE);
    // Any heartbeat is too old.
    let again = claim(Rescue { grace_secs: -1.0, ..RESCUE });
    assert_eq!((first.number, again.number), (0, 1));
    assert_eq!(first.values, again.values);
    assert!(!storage.end(first.id, Ending::Complete(1.0)).expect("an answer"));
    assert!(storage.end(again.id, Ending::Complete(2.0)).expect("an answer"));
    assert!(!storage.end(again.id, Ending::Complete(3.0)).expect("an answer"));
    let all = trials(&file);
    assert_eq!((all[0].state, all[0].value), (State::Fail, None));
    assert_eq!((all[1].state, all[1].value), (State::Complete, Some(2.0)));
}

/// A learning curve that ends at the sphere's value: worse points are worse at each step.
struct Slow;

impl Objective for Slow {
    fn about(&self) -> String {
        "slow sphere".to_owned()
    }

    fn value(&self, point: &Point<'_>, report: Report<'_>) -> Result<Verdict, anyhow::Error> {
        let end = Function::Sphere.value(&point.values);
        for step in 1..=9 {
            if report(step, end + 9.0 - step as f64).is_break() {
                return Ok(Verdict::Stopped);
            }
        }
        Ok(Verdict::Value(end))
    }
}

#[test]
fn pruners_stop_trials_and_never_the_best() {
    let dir = tempfile::tempdir().expect("a folder");
    let space = Function::Sphere.space();
    let pruners = [
        Pruner::Median(Median { startup: 5, warmup: 2, interval: 1 }),
        Pruner::Halving(Halving { least: 1, factor: 3 }),
    ];
    for (at, pruner) in pruners.into_iter().enumerate() {
        let file = dir.path().join(format!("{at}.db")).display().to_string();
        let summary = run(&Job { pruner, ..job(&file, &Slow, &space) }, &|_| {}).expect("a search");
        assert_eq!(summary.complete + summary.pruned, 24);
        assert!(summary.pruned >= 4, "{pruner:?} stopped {}", summary.pruned);
        let all = trials(&file);
        let pruned = all.iter().filter(|trial| trial.state == State::Pruned);
        let best = summary.best.expect("a best trial").value;
        for trial in pruned {
            let (step, value) = trial.last.expect("the step it was stopped at");
            assert_eq!(trial.value, Some(value), "the last value told is its value");
            assert!(value - (9 - step) as f64 >= best, "the best was stopped");
        }
    }
}

#[test]
fn a_study_of_something_else_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("study.db").display().to_string();
    let (sphere, ackley) = (Function::Sphere.space(), Function::Ackley.space());
    run(&job(&file, &Function::Sphere, &sphere), &|_| {}).expect("a search");
    let error = run(&job(&file, &Function::Ackley, &ackley), &|_| {}).expect_err("another study");
    assert!(error.to_string().contains("function sphere"), "{error}");
}

#[test]
fn a_database_as_optuna_wrote_it_is_read_and_gone_on_with() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("study.db").display().to_string();
    // Three trials and one that was asked for by hand, written by `tools/lab/tests/optuna/run`.
    let text = include_str!("optuna/study.sql");
    rusqlite::Connection::open(&file).expect("a file").execute_batch(text).expect("rows");
    let before = trials(&file);
    let states: Vec<State> = before.iter().map(|trial| trial.state).collect();
    assert_eq!(states, [State::Complete, State::Complete, State::Complete, State::Waiting]);

    let space = Function::Mixed.space();
    let summary = run(&Job { trials: 12, ..job(&file, &Function::Mixed, &space) }, &|_| {});
    assert_eq!(summary.expect("a search").complete, 12);
    let after = trials(&file);
    assert_eq!(after[..3], before[..3]);
    assert_eq!(after.len(), 12);
    let asked = &after[3];
    assert_eq!(asked.params["depth"].0, 5.0, "what was asked for by hand is kept");
    assert_eq!(asked.params["kind"].0, 1.0);
    let (_, theirs) = &before[0].params["rate"];
    let (_, ours) = &after[11].params["rate"];
    assert_eq!(theirs, ours, "both write a distribution alike");
}

#[test]
fn optuna_opens_our_study_where_it_is_installed() {
    let python = std::env::var("OPTUNA_PYTHON").unwrap_or("python3".to_owned());
    let has = Command::new(&python).args(["-c", "import optuna"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no package optuna; tools/lab/tests/optuna/run installs it");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("study.db").display().to_string();
    let space = Function::Mixed.space();
    run(&job(&file, &Function::Mixed, &space), &|_| {}).expect("a search");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/optuna/both.py");
    let output =
        Command::new(&python).arg(script).args(["go-on", &file]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let summary = run(&Job { trials: 36, ..job(&file, &Function::Mixed, &space) }, &|_| {});
    assert_eq!(summary.expect("a search").complete, 36);
}
