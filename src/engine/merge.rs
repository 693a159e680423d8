//! Puts the river back together behind the shards of inference: what they made of the inputs, in
//! the order of the inputs, is recorded in lane 1 and handed to the one risk stage.
//!
//! ```text
//!  order   2 0 ∗ 1 …            whose turn it is; ∗ is of all
//!  shard 0   a  a …             read to the mark of its input,
//!  shard 1      a b …           never beyond it
//!  shard 2 a    a …
//! ```
//! What comes out is what one inference stage would have handed on, record by record: whatever is
//! decided on the account is decided in one place, over one ledger, in one order. It never waits:
//! where the shard whose turn it is has nothing yet, a turn is over.

use super::link::{Crossing, Halt, Next};
use super::probe::Probe;
use super::risk_stage::RiskStage;
use super::shard::{FromShard, OF_ALL, Part, ShardRing};
use super::share::Share;
use crate::base::counters::Counters;
use crate::base::event::Event;
use crate::base::hop::Hop;
use crate::base::ids::InstrumentId;
use crate::base::limits::STEP_EVENTS_MAX;
use crate::journal::Recorder;
use rtrb::{Consumer, Producer};
use std::sync::Arc;

/// A shard's ring, and what it made of an input that is of all.
struct Source {
    name: &'static str,
    ring: Consumer<Crossing<FromShard>>,
    /// As many as its outbox holds.
    produced: Vec<Crossing<Event>>,
    /// How many of them were handed on.
    handed: usize,
    /// It came to the end of the input.
    is_through: bool,
}

impl Source {
    fn pop(&mut self) -> Result<Option<Crossing<FromShard>>, Halt> {
        match self.ring.pop() {
            Ok(crossing) => Ok(Some(crossing)),
            // What was sent before the end is still there: empty is asked last.
            Err(_) if self.ring.is_abandoned() && self.ring.is_empty() => {
                Err(Halt::ShardGone(self.name))
            }
            Err(_) => Ok(None),
        }
    }

    fn next_instrument(&self) -> Option<u16> {
        self.produced.get(self.handed).map(|crossing| crossing.message.instrument)
    }
}

/// See the head of this file.
pub struct Merger {
    order: Consumer<u8>,
    sources: Vec<Source>,
    /// Whose turn it is, while the input in hand is not through.
    awaited: Option<u8>,
    /// The input in hand, where it is of all and risk wants to see it.
    input: Option<Crossing<Event>>,
    /// As [`super::InferenceStage::ask_for_books`].
    lost_books: Option<Producer<InstrumentId>>,
    recorder: Recorder,
    next: Next<RiskStage>,
    counters: Arc<Counters>,
}

impl Merger {
    /// Over the shards of `instruments`, in their order, each named by its thread; `order` comes
    /// from the feed's [`super::Fan`]. `recorder` writes lane 1.
    pub fn new(
        instruments: usize,
        order: Consumer<u8>,
        shards: Vec<ShardRing>,
        recorder: Recorder,
        next: Next<RiskStage>,
        counters: Arc<Counters>,
    ) -> Self {
        let shares = Share::split(instruments, shards.len());
        let source = |(share, (name, ring)): (Share, ShardRing)| Source {
            name,
            ring,
            produced: Vec::with_capacity(STEP_EVENTS_MAX + share.places()),
            handed: 0,
            is_through: false,
        };
        Self {
            order,
            sources: shares.into_iter().zip(shards).map(source).collect(),
            awaited: None,
            input: None,
            lost_books: None,
            recorder,
            next,
            counters,
        }
    }

    /// Where to ask for a book to be synchronised anew: the ring back to the feed.
    pub fn ask_for_books(&mut self, ring: Producer<InstrumentId>) {
        self.lost_books = Some(ring);
    }

    /// Recorder and way on, at the end of a session.
    pub fn into_parts(self) -> (Recorder, Next<RiskStage>) {
        (self.recorder, self.next)
    }

    /// Most messages that wait on the ring of one shard, and how many it holds.
    pub fn waiting(&self) -> (usize, usize) {
        let rings = self.sources.iter().map(|source| &source.ring);
        rings
            .map(|ring| (ring.slots(), ring.buffer().capacity()))
            .max_by_key(|(waiting, _)| *waiting)
            .unwrap_or_default()
    }

    /// True when the feed has gone and everything it sent is through.
    pub fn has_ended(&self) -> bool {
        self.awaited.is_none() && self.order.is_abandoned() && self.order.is_empty()
    }

    /// Takes what is there, about `limit` messages; how many there were.
    ///
    /// # Errors
    /// [`Halt::ShardGone`] when a shard is gone whose turn it is, and what the stages behind
    /// return.
    pub fn turn<P: Probe>(&mut self, limit: usize, probe: &mut P) -> Result<usize, Halt> {
        let mut taken = 0;
        while taken < limit {
            let Some(whose) = self.awaited.or_else(|| self.order.pop().ok()) else { break };
            self.awaited = Some(whose);
            let is_through = match whose {
                OF_ALL => self.gather(&mut taken, probe)?,
                shard => self.pass_on(usize::from(shard), &mut taken, probe)?,
            };
            if !is_through {
                break;
            }
            self.awaited = None;
        }
        Ok(taken)
    }

    /// Hands on what one shard makes of its input; true at the mark.
    fn pass_on<P: Probe>(
        &mut self,
        shard: usize,
        taken: &mut usize,
        probe: &mut P,
    ) -> Result<bool, Halt> {
        while let Some(Crossing { message, origin, sent }) = self.sources[shard].pop()? {
            *taken += 1;
            self.note(&message);
            let FromShard { event, part, is_last, .. } = message;
            if part != Part::Mark {
                self.hand_on(Crossing { message: event, origin, sent }, part, probe)?;
            }
            if is_last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gathers what all shards make of their input; at the last mark it is handed on as one stage
    /// would have, instrument by instrument.
    fn gather<P: Probe>(&mut self, taken: &mut usize, probe: &mut P) -> Result<bool, Halt> {
        for i in 0..self.sources.len() {
            while !self.sources[i].is_through {
                let Some(Crossing { message, origin, sent }) = self.sources[i].pop()? else {
                    break;
                };
                *taken += 1;
                self.note(&message);
                let crossing = Crossing { message: message.event, origin, sent };
                match message.part {
                    Part::Input => self.input = Some(crossing),
                    Part::Out => self.sources[i].produced.push(crossing),
                    Part::Mark => {}
                }
                self.sources[i].is_through = message.is_last;
            }
        }
        if !self.sources.iter().all(|source| source.is_through) {
            return Ok(false);
        }
        if let Some(input) = self.input.take() {
            self.hand_on(input, Part::Input, probe)?;
        }
        let next = |sources: &[Source]| {
            let heads = sources.iter().enumerate();
            let heads = heads.filter_map(|(i, source)| Some((source.next_instrument()?, i)));
            heads.min().map(|(_, i)| i)
        };
        while let Some(i) = next(&self.sources) {
            let source = &mut self.sources[i];
            let crossing = source.produced[source.handed];
            source.handed += 1;
            self.hand_on(crossing, Part::Out, probe)?;
        }
        for source in &mut self.sources {
            source.produced.clear();
            (source.handed, source.is_through) = (0, false);
        }
        Ok(true)
    }

    /// What the last message of an input tells beside its event.
    #[inline]
    fn note(&mut self, message: &FromShard) {
        if !message.is_last {
            return;
        }
        message.answer.count(&self.counters);
        if let (true, Some(ring)) = (message.is_lost, &mut self.lost_books) {
            // A full ring holds older requests for the same few books; the book stays invalid.
            let _ = ring.push(message.event.instrument());
        }
    }

    #[inline]
    fn hand_on<P: Probe>(
        &mut self,
        Crossing { message, origin, sent }: Crossing<Event>,
        part: Part,
        probe: &mut P,
    ) -> Result<(), Halt> {
        let now = probe.stamp();
        probe.record(Hop::InferenceRisk, message.seq, sent, now);
        if part == Part::Out {
            let _ =
                self.recorder.append(&message).map_err(|fault| Halt::Journal { lane: 1, fault })?;
        }
        self.next.hand_on(message, origin, probe)
    }
}
