//! A preallocated batch of events: what one call of the feed produces.

use crate::base::Event;
use crate::base::limits::EVENTS_PER_FRAME_MAX;

/// Events in order, never more than [`EVENTS_PER_FRAME_MAX`]. The capacity is taken once, in
/// [`EventBatch::new`]; nothing grows afterwards.
#[derive(Clone, Debug)]
pub struct EventBatch {
    events: Box<[Event]>,
    len: usize,
}

impl EventBatch {
    /// An empty batch with room for the longest frame.
    pub fn new() -> Self {
        Self { events: vec![Event::EMPTY; EVENTS_PER_FRAME_MAX].into_boxed_slice(), len: 0 }
    }

    /// Forgets all events.
    #[inline]
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// The events in order.
    #[inline]
    pub fn as_slice(&self) -> &[Event] {
        &self.events[..self.len]
    }

    /// The events in order, to be numbered by whoever orders them.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [Event] {
        &mut self.events[..self.len]
    }

    /// Number of events.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when there is no event.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Events that still fit.
    #[inline]
    pub const fn room(&self) -> usize {
        self.events.len() - self.len
    }

    /// Iterates in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.as_slice().iter()
    }

    /// Appends; `false` when the batch is full and nothing was appended.
    #[inline]
    pub fn push(&mut self, event: Event) -> bool {
        let slot = self.events.get_mut(self.len);
        let fits = slot.is_some();
        if let Some(slot) = slot {
            *slot = event;
            self.len += 1;
        }
        fits
    }
}

impl Default for EventBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> IntoIterator for &'a EventBatch {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
