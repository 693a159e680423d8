//! A pinned thread that takes messages from one ring and runs one stage (with whatever stages are
//! fused behind it); or from the rings of several shards, and runs the stage behind them.
//!
//! It ends when the thread before it has gone and the ring is empty, so nothing sent is left
//! behind.

use super::clock::CycleProbe;
use super::heartbeat::Heartbeat;
use super::topology::{ThreadPlan, TopologyError, pin_current_thread};
use super::wait::idle;
use crate::base::hop::Hop;
use crate::engine::{Accept, Crossing, Halt, Merger, drain};
use rtrb::Consumer;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// Messages taken in one turn before the heart beats.
const TURN_MESSAGES: usize = 256;

/// A running stage; joining gives it back.
pub type StageThread<S> = JoinHandle<(S, Option<Halt>)>;

/// What a pinned thread does, turn by turn.
pub trait Work: Send + 'static {
    /// What joining gives back.
    type Stage: Send + 'static;

    /// Most that waits before the thread, and how much there is room for.
    fn waiting(&self) -> (usize, usize);

    /// Takes about so many messages; how many there were.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    fn turn(&mut self, limit: usize, probe: &mut CycleProbe) -> Result<usize, Halt>;

    /// True when nothing is there and nothing can come.
    fn has_ended(&self) -> bool;

    /// The stage, at the end.
    fn into_stage(self) -> Self::Stage;
}

/// One stage behind one ring.
pub struct Single<S: Accept> {
    /// Where messages come from.
    pub ring: Consumer<Crossing<S::Message>>,
    /// Who takes them.
    pub stage: S,
    /// How the way over the ring is called.
    pub hop: Hop,
}

impl<S: Accept + Send + 'static> Work for Single<S>
where
    S::Message: Send,
{
    type Stage = S;

    fn waiting(&self) -> (usize, usize) {
        (self.ring.slots(), self.ring.buffer().capacity())
    }

    fn turn(&mut self, limit: usize, probe: &mut CycleProbe) -> Result<usize, Halt> {
        drain(&mut self.ring, &mut self.stage, self.hop, limit, probe)
    }

    fn has_ended(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }

    fn into_stage(self) -> S {
        self.stage
    }
}

impl Work for Merger {
    type Stage = Self;

    fn waiting(&self) -> (usize, usize) {
        Self::waiting(self)
    }

    fn turn(&mut self, limit: usize, probe: &mut CycleProbe) -> Result<usize, Halt> {
        Self::turn(self, limit, probe)
    }

    fn has_ended(&self) -> bool {
        Self::has_ended(self)
    }

    fn into_stage(self) -> Self {
        self
    }
}

/// Starts the thread, pins it as planned and turns until the work has ended.
///
/// # Errors
/// When the thread cannot be started.
pub fn start<W: Work>(
    plan: &ThreadPlan,
    pin_required: bool,
    mut work: W,
    mut probe: CycleProbe,
    heartbeat: Arc<Heartbeat>,
) -> std::io::Result<StageThread<W::Stage>> {
    let plan = plan.clone();
    Builder::new().name(plan.name.to_owned()).spawn(move || {
        let mut halt = None;
        if let Err(error) = pin(&plan, pin_required) {
            tracing::error!(thread = plan.name, %error, "not pinned");
            heartbeat.end(Some(&Halt::NotPinned(plan.name)));
            return (work.into_stage(), Some(Halt::NotPinned(plan.name)));
        }
        loop {
            heartbeat.beat();
            let (waiting, holds) = work.waiting();
            heartbeat.note_ring(waiting, holds);
            match work.turn(TURN_MESSAGES, &mut probe) {
                Ok(0) => {
                    if work.has_ended() {
                        break;
                    }
                    probe.publish();
                    idle(plan.wait);
                }
                Ok(_) => {}
                Err(error) => {
                    halt = Some(error);
                    break;
                }
            }
        }
        heartbeat.end(halt.as_ref());
        (work.into_stage(), halt)
    })
}

/// Pins the calling thread as planned. Where pinning is not required a failure is logged.
///
/// # Errors
/// When pinning is required and fails.
pub fn pin(plan: &ThreadPlan, required: bool) -> Result<(), TopologyError> {
    let Some(core) = plan.core else { return Ok(()) };
    match pin_current_thread(plan.name, core) {
        Err(error) if required => Err(error),
        Err(error) => {
            tracing::warn!(thread = plan.name, %error, "running unpinned");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
