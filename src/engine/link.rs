//! How one stage hands on to the next: by a call on the same thread, or over a ring to another.
//!
//! ```text
//!   Here(next stage)     feed ──call──► inference            fused topologies, backtest, replay
//!   Ring(producer)       feed ══ring══► inference            split topologies
//!   Shards(fan)          feed ══rings══► shards by symbol    split, inference on several threads
//!   End                  feed ── nobody                      record only
//! ```

use super::probe::Probe;
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::Seq;
use rtrb::{Consumer, Producer};

/// What crosses a ring: the message, and beside it the stamps that no journal holds.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<M> {
    /// An event, or for execution an input or an approved order.
    pub message: M,
    /// When the bytes that caused it were in memory.
    pub origin: Stamp,
    /// When it was put on the ring.
    pub sent: Stamp,
}

/// A stage as its predecessor sees it.
pub trait Accept {
    /// What it takes.
    type Message;

    /// The place in the river of the input behind a message.
    fn seq(message: &Self::Message) -> Seq;

    /// Takes one message to its end: everything it causes has been recorded and handed on.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    fn accept<P: Probe>(
        &mut self,
        message: Self::Message,
        origin: Stamp,
        probe: &mut P,
    ) -> Result<(), Halt>;
}

/// Why a stage cannot go on. The process stops trading; nothing has been lost silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The journal cannot be written.
    #[error("lane {lane}: {fault}")]
    Journal {
        /// The lane.
        lane: usize,
        /// What failed.
        fault: crate::journal::JournalFault,
    },
    /// A ring that must not drop stayed full.
    #[error("ring {0} is full: the stage behind it does not keep up or is gone")]
    RingFull(&'static str),
    /// A thread could not be pinned though the topology requires it.
    #[error("thread {0} could not be pinned to its core")]
    NotPinned(&'static str),
    /// The river names a model that inference does not have.
    #[error("the model that is to decide is not at place {slot} of the inference stage")]
    ModelAbsent {
        /// The place.
        slot: u8,
    },
    /// A thread that shares the work on the inputs ended before it was through with them.
    #[error("thread {0} is gone before it was through with what it was sent")]
    ShardGone(&'static str),
    /// A step produced more events than its outbox holds.
    #[error("a step of {0} produced more events than its outbox holds")]
    OutboxFull(&'static str),
}

/// A way on that is several: each message goes to the thread that it is for, or to all.
pub trait Spread<M>: Send {
    /// Messages that every way can take now without waiting.
    fn room(&self) -> usize;

    /// Messages that every way holds.
    fn capacity(&self) -> usize;

    /// Hands on, waiting for room.
    ///
    /// # Errors
    /// [`Halt::RingFull`] when a ring stays full or its reader is gone.
    fn spread(&mut self, crossing: Crossing<M>) -> Result<(), Halt>;
}

/// The way to the next stage.
pub enum Next<S: Accept> {
    /// The same thread.
    Here(Box<S>),
    /// Another thread.
    Ring {
        /// Name as in the topology table.
        name: &'static str,
        /// Our end.
        producer: Producer<Crossing<S::Message>>,
    },
    /// Other threads, which share the work.
    Shards(Box<dyn Spread<S::Message>>),
    /// Nobody.
    End,
}

/// Turns a full ring is polled before the stage gives up: of the order of a second, far beyond any
/// scheduling hiccup the ring depth does not already cover.
const FULL_TURNS_MAX: u32 = 20_000_000;

impl<S: Accept> Next<S> {
    /// Events the way can take now without waiting.
    #[inline]
    pub fn room(&self) -> usize {
        match self {
            Self::Here(_) | Self::End => usize::MAX,
            Self::Ring { producer, .. } => producer.slots(),
            Self::Shards(ways) => ways.room(),
        }
    }

    /// Events the ring holds; `None` without a ring.
    pub fn capacity(&self) -> Option<usize> {
        match self {
            Self::Here(_) | Self::End => None,
            Self::Ring { producer, .. } => Some(producer.buffer().capacity()),
            Self::Shards(ways) => Some(ways.capacity()),
        }
    }

    /// Hands on, waiting for room when the ring is full: an event that was recorded must arrive.
    ///
    /// # Errors
    /// [`Halt::RingFull`] when the ring stays full or its reader is gone.
    #[inline]
    pub fn hand_on<P: Probe>(
        &mut self,
        message: S::Message,
        origin: Stamp,
        probe: &mut P,
    ) -> Result<(), Halt> {
        match self {
            Self::Here(stage) => stage.accept(message, origin, probe),
            Self::End => Ok(()),
            Self::Ring { name, producer } => {
                let crossing = Crossing { message, origin, sent: probe.stamp() };
                push_or_halt(name, producer, crossing)
            }
            Self::Shards(ways) => ways.spread(Crossing { message, origin, sent: probe.stamp() }),
        }
    }
}

/// Pushes, polling a full ring up to a bound.
pub(super) fn push_or_halt<T>(
    name: &'static str,
    producer: &mut Producer<T>,
    item: T,
) -> Result<(), Halt> {
    let mut waiting = item;
    for _ in 0..FULL_TURNS_MAX {
        match producer.push(waiting) {
            Ok(()) => return Ok(()),
            Err(rtrb::PushError::Full(back)) => waiting = back,
        }
        if producer.is_abandoned() {
            break;
        }
        std::hint::spin_loop();
    }
    Err(Halt::RingFull(name))
}

/// Takes what is on a ring, at most `limit` events, and lets `stage` accept each.
///
/// # Errors
/// What the stage returns.
pub fn drain<S: Accept, P: Probe>(
    ring: &mut Consumer<Crossing<S::Message>>,
    stage: &mut S,
    hop: Hop,
    limit: usize,
    probe: &mut P,
) -> Result<usize, Halt> {
    let mut taken = 0;
    while taken < limit {
        let Ok(crossing) = ring.pop() else { break };
        let now = probe.stamp();
        probe.record(hop, S::seq(&crossing.message), crossing.sent, now);
        stage.accept(crossing.message, crossing.origin, probe)?;
        taken += 1;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtrb::RingBuffer;

    #[test]
    fn fault_p10_a_ring_of_orders_never_drops_it_waits_and_without_a_reader_it_halts() {
        let (mut producer, mut consumer) = RingBuffer::new(8);
        let reader = std::thread::spawn(move || {
            let mut taken = Vec::new();
            while taken.len() < 64 {
                taken.extend(consumer.pop());
            }
            taken
        });
        for order in 0..64 {
            push_or_halt("orders", &mut producer, order).unwrap();
        }
        assert_eq!(reader.join().unwrap(), (0..64).collect::<Vec<_>>());

        let (mut producer, consumer) = RingBuffer::new(1);
        push_or_halt("orders", &mut producer, 1).unwrap();
        drop(consumer);
        assert_eq!(push_or_halt("orders", &mut producer, 2), Err(Halt::RingFull("orders")));
    }
}
