//! A session in flight, and taking it apart: threads are joined in the order of the river, each
//! when the one before it has gone and its ring is empty.

use super::closing::LastLook;
use super::feed_thread::FeedThread;
use super::heartbeat::Heartbeat;
use super::launch::Stages;
use super::outside::RealTime;
use super::private::PrivateLink;
use crate::base::counters::Counters;
use crate::base::units::Money;
use crate::engine::{ExecutionStage, Halt, InferenceStage, Next, RiskStage};
use crate::feed::FeedStats;
use crate::journal::{Journal, Recorder};
use crate::risk::TradingState;
use anyhow::{Result, anyhow};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A session in flight.
pub struct Running {
    /// The feed's thread.
    pub feed: JoinHandle<(FeedThread<RealTime>, Option<Halt>)>,
    /// The threads behind it.
    pub stages: Stages,
    /// Signs of life by name and core.
    pub heartbeats: Vec<(&'static str, Option<usize>, Arc<Heartbeat>)>,
    /// The counters.
    pub counters: Arc<Counters>,
    /// The journal.
    pub journal: Journal,
}

/// A session that has stopped.
pub struct Ended {
    /// Equity at the end.
    pub equity: Money,
    /// Why it stopped, if not on request.
    pub halt: Option<String>,
    /// It was left killed.
    pub killed: bool,
    /// A kill found the venue empty, twice.
    pub kill_done: bool,
    /// The recorders of lanes 0 to 3, in order.
    pub recorders: Vec<Recorder>,
    /// What the decoder counted.
    pub feed_stats: FeedStats,
    /// The counters.
    pub counters: Arc<Counters>,
    /// The journal, to be closed with the recorders.
    pub journal: Journal,
    /// The venue told that no order of the session is open any more; true on paper.
    pub settled: bool,
    /// What the last round of reconciliation came to; `None` on paper and after a halt.
    pub last_look: Option<LastLook>,
    /// The venue's own account of the session, where it was asked for and told.
    pub statement: Option<Vec<u8>>,
}

/// What is gathered while the stages are taken apart.
pub struct Gathered {
    /// Equity of the books.
    pub equity: Money,
    /// Trading was killed.
    pub killed: bool,
    /// Why threads stopped by themselves.
    pub halts: Vec<Halt>,
    /// Recorders, in lane order.
    pub recorders: Vec<Recorder>,
}

impl Running {
    /// True when any pinned thread has left its loop.
    pub fn any_ended(&self) -> bool {
        // A thread that panicked never tells its heart to stop.
        let gone = match &self.stages {
            Stages::Fused => false,
            Stages::Paired(thread) => thread.is_finished(),
            Stages::Split { inference, risk, execution } => {
                inference.is_finished() || risk.is_finished() || execution.is_finished()
            }
            Stages::Sharded { inference, risk, execution } => {
                inference.iter().any(JoinHandle::is_finished)
                    || risk.is_finished()
                    || execution.is_finished()
            }
        };
        let ended = self.heartbeats.iter().any(|(_, _, heartbeat)| heartbeat.has_ended());
        ended || gone || self.feed.is_finished()
    }

    /// Signs of life by name.
    pub fn hearts(&self) -> Vec<(&'static str, Arc<Heartbeat>)> {
        self.heartbeats.iter().map(|(name, _, heart)| (*name, Arc::clone(heart))).collect()
    }

    /// Joins the threads and gathers what they held. `starting` is the equity told when the books
    /// cannot be reached any more.
    ///
    /// # Errors
    /// When a thread panicked; its lane stays unsealed.
    pub fn join(self, starting: Money) -> Result<Ended> {
        let (thread, halt) = joined(self.feed)?;
        let FeedThread { inlet, rest, private, kill, .. } = thread;
        rest.into_inner().stop();
        let kill_done = kill.is_done();
        if let Some(line) = kill.into_line() {
            line.into_inner().stop();
        }
        let (feed, inputs, next) = inlet.feed.into_parts();
        let feed_stats = feed.stats().clone();
        drop(inlet.probe);
        let mut gathered = Gathered {
            equity: starting,
            killed: false,
            halts: halt.into_iter().collect(),
            recorders: vec![inputs],
        };
        gathered.stages(self.stages, next)?;
        Ok(Ended {
            equity: gathered.equity,
            killed: gathered.killed,
            kill_done,
            halt: gathered.cause().map(ToString::to_string),
            recorders: gathered.recorders,
            feed_stats,
            counters: self.counters,
            journal: self.journal,
            settled: private.as_ref().is_none_or(PrivateLink::has_settled),
            last_look: private.as_ref().and_then(PrivateLink::last_look),
            statement: private.and_then(PrivateLink::into_statement),
        })
    }
}

impl Gathered {
    /// The halt that came first: a full ring, and a shard that is gone, are what a stage sees of
    /// another one that stopped.
    fn cause(&self) -> Option<&Halt> {
        let symptom = |halt: &&Halt| matches!(halt, Halt::RingFull(_) | Halt::ShardGone(_));
        self.halts.iter().find(|halt| !symptom(halt)).or(self.halts.first())
    }

    fn join<S>(&mut self, thread: JoinHandle<(S, Option<Halt>)>) -> Result<S> {
        let (stage, halt) = joined(thread)?;
        self.halts.extend(halt);
        Ok(stage)
    }

    /// Joins the threads behind the feed, whose way there was `next`.
    fn stages(&mut self, stages: Stages, next: Next<InferenceStage>) -> Result<()> {
        match stages {
            Stages::Fused => {
                if let Next::Here(stage) = next {
                    self.inference(*stage);
                }
            }
            Stages::Paired(inference) => {
                drop(next);
                let stage = self.join(inference)?;
                self.inference(stage);
            }
            Stages::Split { inference, risk, execution } => {
                drop(next);
                let (recorder, next) = self.join(inference)?.into_parts();
                self.recorders.push(recorder);
                drop(next);
                let stage = self.join(risk)?;
                drop(self.risk(stage));
                let stage = self.join(execution)?;
                self.recorders.push(stage.into_recorder());
            }
            Stages::Sharded { inference, risk, execution } => {
                drop(next);
                for shard in inference {
                    drop(self.join(shard)?);
                }
                let (recorder, next) = self.join(risk)?.into_parts();
                self.recorders.push(recorder);
                if let Next::Here(risk) = next {
                    drop(self.risk(*risk));
                }
                let stage = self.join(execution)?;
                self.recorders.push(stage.into_recorder());
            }
        }
        Ok(())
    }

    /// Takes fused stages apart.
    pub fn inference(&mut self, stage: InferenceStage) {
        let (recorder, next) = stage.into_parts();
        self.recorders.push(recorder);
        if let Next::Here(risk) = next
            && let Next::Here(execution) = self.risk(*risk)
        {
            self.recorders.push(execution.into_recorder());
        }
    }

    fn risk(&mut self, stage: RiskStage) -> Next<ExecutionStage> {
        self.equity = stage.ledger().equity();
        self.killed = stage.gate().state() == TradingState::Killed;
        let (recorder, next) = stage.into_parts();
        self.recorders.push(recorder);
        next
    }
}

fn joined<T>(thread: JoinHandle<T>) -> Result<T> {
    let name = thread.thread().name().unwrap_or("a thread").to_owned();
    thread.join().map_err(|_| anyhow!("thread {name} panicked; its lane is unsealed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{JournalSettings, LANES, LaneEnd, LaneReader};

    #[test]
    fn fault_p05_a_thread_that_panics_ends_the_session_by_name_and_seals_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let settings =
            JournalSettings { segment_records: [64; LANES], ..JournalSettings::backtest(7) };
        let (journal, lanes) = Journal::create(dir.path(), settings).unwrap();
        let [inputs, ..] = lanes;
        let feed = std::thread::Builder::new().name("feed".to_owned());
        let running = Running {
            feed: feed.spawn(|| panic!("out of its bounds")).unwrap(),
            stages: Stages::Fused,
            heartbeats: vec![("feed", None, Arc::new(Heartbeat::default()))],
            counters: Arc::new(Counters::new()),
            journal,
        };
        while !running.any_ended() {
            std::thread::yield_now();
        }
        let error = running.join(Money::ZERO).err().unwrap().to_string();
        assert!(error.contains("feed panicked"), "{error}");
        drop(inputs);
        let mut lane = LaneReader::open(dir.path(), 0).unwrap();
        assert_eq!(lane.by_ref().count(), 0);
        assert!(matches!(lane.end(), Some(LaneEnd::Open { .. })), "a restart sees a crash");
    }
    #[test]
    fn a_shard_that_panics_while_the_feed_runs_is_seen_and_ends_the_session_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let settings =
            JournalSettings { segment_records: [64; LANES], ..JournalSettings::backtest(7) };
        let (journal, lanes) = Journal::create(dir.path(), settings).unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let broken = || panic!("out of its bounds");
        let waits = named("feed").spawn(move || {
            let _ = stopped.recv();
            panic!("told to end")
        });
        let (held, wait) = std::sync::mpsc::channel::<()>();
        let risk = named("risk").spawn(move || {
            let _ = wait.recv();
            panic!("told to end")
        });
        let running = Running {
            feed: waits.unwrap(),
            stages: Stages::Sharded {
                inference: vec![named("inference-1").spawn(broken).unwrap()],
                risk: risk.unwrap(),
                execution: named("execution").spawn(|| panic!("told to end")).unwrap(),
            },
            heartbeats: Vec::new(),
            counters: Arc::new(Counters::new()),
            journal,
        };
        while !running.any_ended() {
            std::thread::yield_now();
        }
        let mut gathered = Gathered {
            equity: Money::ZERO,
            killed: false,
            halts: vec![Halt::RingFull("feed_inference_1")],
            recorders: Vec::new(),
        };
        let error = gathered.stages(running.stages, Next::End).unwrap_err().to_string();
        assert!(error.contains("thread inference-1 panicked"), "{error}");
        // Where it halted instead, its own cause is told and not what the others saw of it.
        gathered.halts.extend([Halt::ShardGone("inference-1"), Halt::ModelAbsent { slot: 2 }]);
        assert_eq!(gathered.cause(), Some(&Halt::ModelAbsent { slot: 2 }));
        drop((stop, held, lanes));
        assert!(running.feed.join().is_err());
    }
}
