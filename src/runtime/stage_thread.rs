//! A pinned thread that takes messages from one ring and runs one stage (with whatever stages are
//! fused behind it).
//!
//! It ends when the thread before it has gone and the ring is empty, so nothing sent is left
//! behind.

use super::clock::CycleProbe;
use super::heartbeat::Heartbeat;
use super::topology::{ThreadPlan, TopologyError, pin_current_thread};
use super::wait::idle;
use crate::base::hop::Hop;
use crate::engine::{Accept, Crossing, Halt, drain};
use rtrb::Consumer;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// Messages taken in one turn before the heart beats.
const TURN_MESSAGES: usize = 256;

/// A running stage; joining gives it back.
pub type StageThread<S> = JoinHandle<(S, Option<Halt>)>;

/// Starts the thread, pins it as planned and runs `stage` on what comes over `ring`.
///
/// # Errors
/// When the thread cannot be started.
pub fn start<S>(
    plan: &ThreadPlan,
    pin_required: bool,
    hop: Hop,
    mut ring: Consumer<Crossing<S::Message>>,
    mut stage: S,
    mut probe: CycleProbe,
    heartbeat: Arc<Heartbeat>,
) -> std::io::Result<StageThread<S>>
where
    S: Accept + Send + 'static,
    S::Message: Send,
{
    let plan = plan.clone();
    Builder::new().name(plan.name.to_owned()).spawn(move || {
        let mut halt = None;
        if let Err(error) = pin(&plan, pin_required) {
            tracing::error!(thread = plan.name, %error, "not pinned");
            heartbeat.end(Some(&Halt::NotPinned(plan.name)));
            return (stage, Some(Halt::NotPinned(plan.name)));
        }
        loop {
            heartbeat.beat();
            heartbeat.note_ring(ring.slots(), ring.buffer().capacity());
            match drain(&mut ring, &mut stage, hop, TURN_MESSAGES, &mut probe) {
                Ok(0) => {
                    if ring.is_abandoned() && ring.is_empty() {
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
        (stage, halt)
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
