//! Where a step puts what it produces: a fixed, pre-allocated list of events.

use crate::base::Event;
use crate::base::limits::STEP_EVENTS_MAX;

/// Events of one step, in order.
#[derive(Debug)]
pub struct Outbox {
    events: Vec<Event>,
    lost: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// Allocates room for [`STEP_EVENTS_MAX`] events; never grows.
    pub fn new() -> Self {
        Self { events: Vec::with_capacity(STEP_EVENTS_MAX), lost: 0 }
    }

    /// Adds an event. Beyond the capacity it is counted in [`Outbox::lost`] instead.
    #[inline]
    pub fn push(&mut self, event: Event) {
        if self.events.len() < STEP_EVENTS_MAX {
            self.events.push(event);
        } else {
            self.lost += 1;
        }
    }

    /// Empties the list.
    #[inline]
    pub fn clear(&mut self) {
        self.events.clear();
    }

    /// The events, in order.
    #[inline]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Events that did not fit, ever. Anything above zero is a broken invariant.
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}
