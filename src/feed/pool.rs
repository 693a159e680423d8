//! Events waiting for a snapshot: lists of whole depth batches over one preallocated pool.
//!
//! ```text
//! List ─► node ─► node(LAST) ─► node ─► node(LAST) ─► end        free ─► node ─► …
//!         └── batch 1 ─────┘    └── batch 2 ─────┘
//! ```

use crate::base::Event;
use crate::base::event::flags;

/// End of a list.
const NONE: u32 = u32::MAX;

/// All nodes of all lists. Nothing is allocated after [`Pool::new`].
pub(super) struct Pool {
    events: Vec<Event>,
    next: Vec<u32>,
    free: u32,
    free_count: usize,
}

/// A list of batches, oldest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
    /// Batches in the list that are whole.
    pub batches: usize,
    /// Events in the list.
    pub events: usize,
}

impl List {
    pub const EMPTY: Self = Self { head: NONE, tail: NONE, batches: 0, events: 0 };

    pub const fn is_empty(&self) -> bool {
        self.head == NONE
    }
}

impl Pool {
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.min(NONE as usize - 1);
        let mut next: Vec<u32> = (1..=capacity as u32).collect();
        if let Some(last) = next.last_mut() {
            *last = NONE;
        }
        Self {
            events: vec![Event::EMPTY; capacity],
            next,
            free: if capacity == 0 { NONE } else { 0 },
            free_count: capacity,
        }
    }

    /// Nodes that no list holds.
    pub const fn free_count(&self) -> usize {
        self.free_count
    }

    /// Appends one whole batch; the caller has seen to it that it fits.
    pub fn append(&mut self, list: &mut List, batch: &[Event]) {
        for event in batch {
            let node = self.free;
            if node == NONE {
                return;
            }
            self.free = self.next[node as usize];
            self.free_count -= 1;
            self.events[node as usize] = *event;
            self.next[node as usize] = NONE;
            if list.tail == NONE {
                list.head = node;
            } else {
                self.next[list.tail as usize] = node;
            }
            list.tail = node;
            list.events += 1;
        }
        list.batches += 1;
    }

    /// The first event of the list: the head of its oldest batch.
    pub fn first(&self, list: &List) -> Option<&Event> {
        self.events.get(list.head as usize)
    }

    /// Takes the first event out.
    pub fn pop(&mut self, list: &mut List) -> Option<Event> {
        let node = list.head;
        let event = *self.events.get(node as usize)?;
        list.head = self.next[node as usize];
        if list.head == NONE {
            list.tail = NONE;
        }
        self.next[node as usize] = self.free;
        self.free = node;
        self.free_count += 1;
        list.events -= 1;
        if event.has(flags::LAST) {
            list.batches -= 1;
        }
        Some(event)
    }

    /// Throws the oldest batch away.
    pub fn drop_batch(&mut self, list: &mut List) {
        while let Some(event) = self.pop(list) {
            if event.has(flags::LAST) {
                return;
            }
        }
    }

    /// Throws everything away.
    pub fn clear(&mut self, list: &mut List) {
        while self.pop(list).is_some() {}
        *list = List::EMPTY;
    }

    /// Puts `front` before `list`.
    pub fn join(&mut self, front: List, list: List) -> List {
        if front.is_empty() {
            return list;
        }
        if list.is_empty() {
            return front;
        }
        self.next[front.tail as usize] = list.head;
        List {
            head: front.head,
            tail: list.tail,
            batches: front.batches + list.batches,
            events: front.events + list.events,
        }
    }
}
