//! Workers on a study: threads of this process, beside those of any other.

use super::TuneError;
use super::pruner::{Curve, Pruner};
use super::sampler::Tpe;
use super::space::{Point, Space};
use super::storage::{Claim, Claimed, Ending, Rescue, State, Storage};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Between two looks at a study whose budget is filled by trials that run elsewhere.
const LOOK: Duration = Duration::from_millis(200);

/// Told a step and the value there; breaks where the trial is not worth finishing.
pub type Report<'a> = &'a mut dyn FnMut(i64, f64) -> ControlFlow<()>;

/// What a point came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Its value; what is no number counts as failed.
    Value(f64),
    /// It was stopped when a report broke.
    Stopped,
}

/// What is made small, or large where the study says so. Shared by the workers.
pub trait Objective: Sync {
    /// What it is of, in one line. A study goes on only with an objective that says the same.
    fn about(&self) -> String;

    /// The value of a point.
    ///
    /// # Errors
    /// What cannot be worked out. It ends the search.
    fn value(&self, point: &Point<'_>, report: Report<'_>) -> Result<Verdict, anyhow::Error>;
}

/// A search.
pub struct Job<'a> {
    /// A file, or a URL of `postgresql://`.
    pub storage: &'a str,
    /// Name of the study.
    pub study: &'a str,
    /// Where to look.
    pub space: &'a Space,
    /// What is made small.
    pub objective: &'a dyn Objective,
    /// Draws points.
    pub sampler: Tpe,
    /// Stops trials.
    pub pruner: Pruner,
    /// Trials of the study, complete or stopped early, whoever made them.
    pub trials: usize,
    /// Threads, at least 1.
    pub workers: usize,
    /// Seconds between two heartbeats, above 0.
    pub heartbeat_secs: f64,
    /// What becomes of trials whose worker is gone.
    pub rescue: Rescue,
    /// How long a server that went away is waited for. One that is not there when a search begins
    /// is not waited for.
    pub outage: Duration,
}

impl Job<'_> {
    fn open(&self) -> Result<Storage, TuneError> {
        Ok(Storage::open(self.storage, self.study)?.outlasting(self.outage))
    }
}

/// A trial this process ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Its number.
    pub number: i64,
    /// How it ended.
    pub ending: Ending,
    /// Its parameters by name.
    pub params: serde_json::Value,
}

/// The best trial of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Its number.
    pub number: i64,
    /// What it came to.
    pub value: f64,
    /// Its parameters by name.
    pub params: serde_json::Value,
}

/// What a study holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Trials with a value.
    pub complete: usize,
    /// Trials stopped early.
    pub pruned: usize,
    /// Trials without one.
    pub failed: usize,
    /// The best; none before the first is complete.
    pub best: Option<Best>,
}

/// What the threads of one run share.
struct Shared {
    running: Mutex<BTreeSet<i64>>,
    ending: AtomicBool,
}

/// Works on a study until it has its trials, and says what it holds then.
///
/// # Errors
/// The first thing that went wrong in a worker; the others finish the trial they are on.
pub fn run(job: &Job<'_>, progress: &(dyn Fn(&Finished) + Sync)) -> Result<Summary, TuneError> {
    let mut storage = job.open()?;
    storage.is_about(&job.objective.about(), job.space)?;
    let shared = Shared { running: Mutex::default(), ending: AtomicBool::new(false) };
    let (end, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let heart = scope.spawn(|| shared.stopping(beat(job, &shared, ended)));
        let worker = || shared.stopping(work(job, &shared, progress));
        let workers: Vec<_> = (0..job.workers.max(1)).map(|_| scope.spawn(worker)).collect();
        let done: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        drop(end);
        for done in done.into_iter().chain([heart.join()]) {
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok::<_, TuneError>(())
    })?;
    summary(&mut storage, job.space)
}

impl Shared {
    /// An error of one ends all.
    fn stopping(&self, done: Result<(), TuneError>) -> Result<(), TuneError> {
        if done.is_err() {
            self.ending.store(true, Ordering::Relaxed);
        }
        done
    }

    fn with_running<T>(&self, change: impl FnOnce(&mut BTreeSet<i64>) -> T) -> T {
        change(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says that this process is alive until `ended` closes.
fn beat(job: &Job<'_>, shared: &Shared, ended: Receiver<()>) -> Result<(), TuneError> {
    let mut storage = job.open()?;
    let pause = Duration::from_secs_f64(job.heartbeat_secs.max(0.01));
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let running = shared.with_running(|running| running.iter().copied().collect::<Vec<_>>());
        storage.beat(&running)?;
    }
    Ok(())
}

fn work(
    job: &Job<'_>,
    shared: &Shared,
    progress: &(dyn Fn(&Finished) + Sync),
) -> Result<(), TuneError> {
    let mut storage = job.open()?;
    let mut draw = |history: &[_], key| job.sampler.suggest(job.space, history, key);
    while !shared.ending.load(Ordering::Relaxed) {
        let claimed = match storage.claim(job.space, job.trials, job.rescue, &mut draw)? {
            Claim::Trial(claimed) => claimed,
            Claim::Wait(_) => {
                std::thread::sleep(LOOK);
                continue;
            }
            Claim::Done => break,
        };
        shared.with_running(|running| running.insert(claimed.id));
        let tried = attempt(job, &mut storage, &claimed);
        shared.with_running(|running| running.remove(&claimed.id));
        let (ending, failure) = match tried {
            Ok(ending) => (ending, None),
            Err(error) => (Ending::Fail, Some(error)),
        };
        let ours = storage.end(claimed.id, ending);
        if let Some(failure) = failure {
            return Err(failure);
        }
        if ours? {
            let point = Point { space: job.space, values: claimed.values };
            progress(&Finished { number: claimed.number, ending, params: point.to_json() });
        }
    }
    Ok(())
}

/// Works out one trial.
fn attempt(job: &Job<'_>, storage: &mut Storage, claimed: &Claimed) -> Result<Ending, TuneError> {
    let point = Point { space: job.space, values: claimed.values.clone() };
    let sign = storage.sign();
    let (mut curve, mut rung) = (Curve::new(), 0);
    let mut failed = None;
    let mut report = |step: i64, value: f64| {
        curve.insert(step, sign * value);
        let told = storage.report(claimed.id, step, value);
        let stops = told.and_then(|()| stops(job.pruner, storage, claimed.id, &curve, &mut rung));
        match stops {
            Ok(false) => ControlFlow::Continue(()),
            Ok(true) => ControlFlow::Break(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    let verdict = job.objective.value(&point, &mut report);
    if let Some(error) = failed {
        return Err(error);
    }
    match verdict {
        Ok(Verdict::Value(value)) if value.is_nan() => Ok(Ending::Fail),
        Ok(Verdict::Value(value)) => Ok(Ending::Complete(value)),
        Ok(Verdict::Stopped) => {
            Ok(Ending::Pruned(curve.last_key_value().map(|(_, value)| sign * value)))
        }
        Err(why) => Err(TuneError::Objective { number: claimed.number, why }),
    }
}

/// Whether a trial with this curve is to be stopped; its last step is new.
fn stops(
    pruner: Pruner,
    storage: &mut Storage,
    trial: i64,
    curve: &Curve,
    rung: &mut u32,
) -> Result<bool, TuneError> {
    let Some((&step, &value)) = curve.last_key_value() else { return Ok(false) };
    match pruner {
        Pruner::None => Ok(false),
        Pruner::Median(median) => {
            if !median.looks(curve) {
                return Ok(false);
            }
            let (complete, there) = storage.values_at(step)?;
            Ok(median.stops(curve, complete, &there))
        }
        Pruner::Halving(halving) => {
            while step >= halving.steps(*rung) {
                if value.is_nan() {
                    return Ok(true);
                }
                let others = storage.rung(trial, *rung, value)?;
                if !halving.promotes(value, &others) {
                    return Ok(true);
                }
                *rung += 1;
            }
            Ok(false)
        }
    }
}

/// Counts of a study and its best trial.
fn summary(storage: &mut Storage, space: &Space) -> Result<Summary, TuneError> {
    let sign = storage.sign();
    let mut summary = Summary::default();
    for trial in storage.trials()? {
        match trial.state {
            State::Complete => summary.complete += 1,
            State::Pruned => summary.pruned += 1,
            State::Fail => summary.failed += 1,
            State::Running | State::Waiting => {}
        }
        let Some(value) = trial.value.filter(|_| trial.state == State::Complete) else { continue };
        if summary.best.as_ref().is_none_or(|best| sign * value < sign * best.value) {
            let params = space.parameters().iter().filter_map(|parameter| {
                let (value, _) = trial.params.get(&parameter.name)?;
                Some((parameter.name.clone(), parameter.distribution.outside(*value)))
            });
            let params = serde_json::Value::Object(params.collect());
            summary.best = Some(Best { number: trial.number, value, params });
        }
    }
    Ok(summary)
}
