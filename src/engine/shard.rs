//! Inference on several threads, by symbol: each shard does all of the work on its instruments,
//! and none of what is of the account.
//!
//! ```text
//!            order: which shard takes the input ───────────────┐
//!  FeedStage ═► InferenceShard 0 ═════════════════════════════►│
//!   (Fan)    ═► InferenceShard 1 ═════════════════════════════►│ Merger ─► RiskStage
//!            ═► …                                              │  lane 1    the one ledger
//! ```
//! An input of an instrument goes to its shard, one of none to all of them. What a shard makes of
//! an input it sends with a mark on the last message, so that [`super::Merger`] puts the river back
//! together in the order of the inputs.

use super::inference::{Answer, Inference, InferenceSettings, concerns_risk};
use super::link::{Accept, Crossing, Halt, Spread, push_or_halt};
use super::models::{ModelIntake, ModelSigns, OwnPlaces};
use super::probe::Probe;
use super::share::Share;
use crate::base::event::Event;
use crate::base::hop::Stamp;
use crate::base::ids::Seq;
use crate::features::Selection;
use crate::model::Model;
use rtrb::{Consumer, Producer};
use std::sync::Arc;

/// Stands in the order for an input of every shard.
pub(super) const OF_ALL: u8 = u8::MAX;

/// What a message of a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The input itself, which risk wants to see.
    Input,
    /// What the shard produced.
    Out,
    /// Nothing: only the mark counts.
    Mark,
}

/// What a shard makes of an input, message by message; opaque but to [`super::Merger`].
#[derive(Clone, Copy, Debug)]
pub struct FromShard {
    pub(super) event: Event,
    pub(super) part: Part,
    /// The last message of its input.
    pub(super) is_last: bool,
    /// The last message says: the book of the input's instrument has to start anew.
    pub(super) is_lost: bool,
    /// The last message says what the step came to.
    pub(super) answer: Answer,
}

/// A way to another thread, by the name of its ring.
pub type Way<M> = (&'static str, Producer<Crossing<M>>);
/// What comes from a shard, by the name of its thread.
pub type ShardRing = (&'static str, Consumer<Crossing<FromShard>>);

/// One thread's part of inference; see the head of this file.
pub struct InferenceShard {
    core: Inference,
    name: &'static str,
    ring: Producer<Crossing<FromShard>>,
}

impl InferenceShard {
    /// For the instruments of `share`; `way` leads to the merger.
    pub fn new(
        share: Share,
        settings: &InferenceSettings,
        model: (Model, Selection),
        (name, ring): Way<FromShard>,
    ) -> Self {
        Self { core: Inference::new(share, settings, model), name, ring }
    }

    /// Messages that the way to the merger can take now without waiting.
    pub fn room(&self) -> usize {
        self.ring.slots()
    }

    /// See [`super::InferenceStage::have_own_models`].
    pub fn have_own_models(&mut self, own: OwnPlaces) {
        self.core.have_own_models(own);
    }

    /// See [`super::InferenceStage::let_models_in`]; `signs` are those of all shards.
    pub fn let_models_in(&mut self, intake: ModelIntake, signs: Arc<ModelSigns>) {
        self.core.let_models_in(intake, signs);
    }
}

impl Accept for InferenceShard {
    type Message = Event;

    #[inline]
    fn seq(event: &Event) -> Seq {
        event.seq
    }

    #[inline]
    fn accept<P: Probe>(&mut self, event: Event, origin: Stamp, probe: &mut P) -> Result<(), Halt> {
        let step = self.core.step(&event, probe)?;
        let share = self.core.share();
        let is_of_all = event.instrument as usize >= share.instruments();
        // One tells risk of what all of them see.
        let tells = concerns_risk(&event) && (!is_of_all || share.shard() == 0);
        let (ring, name, out) = (&mut self.ring, self.name, self.core.out().events());
        let mut left = out.len() + usize::from(tells);
        let mut send = |part, event| {
            left = left.saturating_sub(1);
            let is_last = left == 0;
            let (is_lost, answer) = (is_last && step.is_lost, step.answer);
            let message = FromShard { event, part, is_last, is_lost, answer };
            push_or_halt(name, ring, Crossing { message, origin, sent: probe.stamp() })
        };
        if tells {
            send(Part::Input, event)?;
        } else if out.is_empty() {
            send(Part::Mark, event)?;
        }
        for produced in out {
            send(Part::Out, *produced)?;
        }
        self.core.follow(step);
        if self.core.out().lost() > 0 {
            return Err(Halt::OutboxFull("inference"));
        }
        Ok(())
    }
}

/// The feed's way to the shards and to the merger.
pub struct Fan {
    order: Producer<u8>,
    ways: Vec<Way<Event>>,
    share: Share,
}

impl Fan {
    /// To the shards of `instruments`, in their order; `order` leads to the merger. At least one
    /// and at most [`crate::base::limits::INFERENCE_SHARDS_MAX`].
    pub fn new(instruments: usize, order: Producer<u8>, ways: Vec<Way<Event>>) -> Self {
        let share = Share::split(instruments, ways.len())[0];
        Self { order, ways, share }
    }
}

impl Spread<Event> for Fan {
    /// The least of all ways: an input of no instrument takes a place on each.
    fn room(&self) -> usize {
        let ways = self.ways.iter().map(|(_, ring)| ring.slots());
        ways.fold(self.order.slots(), usize::min)
    }

    fn capacity(&self) -> usize {
        let ways = self.ways.iter().map(|(_, ring)| ring.buffer().capacity());
        ways.fold(self.order.buffer().capacity(), usize::min)
    }

    fn spread(&mut self, crossing: Crossing<Event>) -> Result<(), Halt> {
        let instrument = crossing.message.instrument as usize;
        if instrument >= self.share.instruments() {
            push_or_halt("inference_order", &mut self.order, OF_ALL)?;
            for (name, ring) in &mut self.ways {
                push_or_halt(name, ring, crossing)?;
            }
            return Ok(());
        }
        let shard = self.share.shard_of(instrument);
        push_or_halt("inference_order", &mut self.order, shard as u8)?;
        let (name, ring) = &mut self.ways[shard];
        push_or_halt(name, ring, crossing)
    }
}
