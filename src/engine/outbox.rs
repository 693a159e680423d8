//! Where a step puts what it produces: a fixed, pre-allocated list of events.

use crate::base::Event;
use crate::base::limits::STEP_EVENTS_MAX;

/// Events of one step, in order.
#[derive(Debug)]
pub struct Outbox {
    events: Vec<Event>,
    most: usize,
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
        Self::holding(STEP_EVENTS_MAX)
    }

    /// The same with room for one event more of each of so many instruments: a lost connection
    /// makes every book invalid in one step.
    pub fn of_instruments(instruments: usize) -> Self {
        Self::holding(STEP_EVENTS_MAX + instruments)
    }

    fn holding(most: usize) -> Self {
        Self { events: Vec::with_capacity(most), most, lost: 0 }
    }

    /// Adds an event. Beyond the capacity it is counted in [`Outbox::lost`] instead.
    #[inline]
    pub fn push(&mut self, event: Event) {
        if self.events.len() < self.most {
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
