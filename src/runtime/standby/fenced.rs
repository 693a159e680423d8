//! What a session does when its fence has closed: the river is told once, which stops trading, and
//! nothing is concluded about the venue any more. What is open there is the next leader's.

use crate::base::event::{Event, Kind, VenueStatus};
use crate::base::fence::Fence;
use crate::base::{InstrumentId, Reason};
use crate::engine::{Halt, Probe};
use crate::runtime::inlet::Inlet;
use crate::venue::ports::{EntryPort, Now};
use std::sync::Arc;

/// See the head of this file; by default there is no fence, and nothing happens.
#[derive(Clone, Debug, Default)]
pub struct FenceWatch {
    fence: Option<Arc<Fence>>,
    told: bool,
}

impl FenceWatch {
    /// Of a session's fence.
    pub const fn new(fence: Option<Arc<Fence>>) -> Self {
        Self { fence, told: false }
    }

    /// True where there is one and it has closed.
    pub fn is_closed(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.is_closed())
    }

    /// One look at `now`.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn turn<E: EntryPort, P: Probe>(
        &mut self,
        now: Now,
        inlet: &mut Inlet<E, P>,
    ) -> Result<(), Halt> {
        let Some(fence) = self.fence.as_ref().filter(|_| !self.told) else { return Ok(()) };
        if fence.lets_through(now.wall, now.wall, now.mono) {
            return Ok(());
        }
        self.told = true;
        tracing::error!("the lease is over as far as this node knows: nothing leaves any more");
        if let Some(reconciler) = inlet.venue.reconciler_mut() {
            reconciler.retire();
        }
        let body = VenueStatus { reason: Reason::Fenced as u16, ..VenueStatus::default() };
        let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body);
        inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, now.wall, with))
    }
}
