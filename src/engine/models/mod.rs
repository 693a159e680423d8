//! The models of the inference stage: a few places for them, and which one decides.
//!
//! ```text
//!  side thread                                  inference stage
//!  read, verify, prove ── Arrival, by ring ───► slots  0 │ 1 │ 2 │ 3
//!        │                                             ▲ champion, canary: by ModelSwap events
//!        └─ ModelSwap, by the river, afterwards ───────┘
//!  drop ◄──────────────── replaced models, by ring
//! ```
//! A model is on the ring before the event that names it enters the river, so whoever takes the
//! event finds it: nothing waits, and nothing is made or given back to memory on this thread. A
//! model that starts to work begins with a zero state, and moves it from the next bar on; one that
//! is at work already keeps it, and so does one that rests between two blocks of a trial.
//!
//! Where inference is shared among threads, each of them has such places, with a copy of each model
//! for its instruments: what is sent is sent to all or to none.

mod own;
mod signs;

pub use own::{OWN_PLACES, OwnPlaces};
pub use signs::{ModelSigns, SlotSeen};

use super::link::Halt;
use super::share::Share;
use crate::base::event::{Kind, ModelSwap};
use crate::base::ids::InstrumentId;
use crate::base::split::Split;
use crate::base::time::Nanos;
use crate::base::{Event, Reason};
use crate::features::{FeatureVector, Selection};
use crate::model::{Model, ModelOutput};
use rtrb::{Consumer, Producer, RingBuffer};
use signs::StageSigns;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Places for models: champion, the one before it, canary, and one for the next.
pub const SLOTS: usize = 4;
/// Replaced models that fit on their way back: every place, and as many on their way there.
const GONE_MAX: usize = 2 * SLOTS;

/// What a [`ModelSwap`] changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SwapRole {
    /// Nothing: the change was refused.
    Refused = 0,
    /// The model that decides.
    Champion = 1,
    /// The model that decides a share beside it, or none any more.
    Canary = 2,
    /// The model that alone decides the event's instrument, from the opening to the end.
    Own = 3,
}

/// A model as the stage runs it: everything that belongs to it, made before it comes here.
pub struct Mounted {
    /// A carried state belongs to one instrument; a model without state serves them all.
    models: Vec<Model>,
    /// Bars that had closed when each instrument's state last moved.
    moved: Vec<u64>,
    /// The instrument that the first of both belongs to: 0, or the only one that the model decides.
    first: usize,
    selection: Selection,
    input: Vec<f32>,
}

impl Mounted {
    /// `selection` is the model's input, in its order.
    pub fn new(model: Model, selection: Selection, instruments: usize) -> Self {
        let stateful = !model.state().is_empty();
        Self {
            input: vec![0.0; selection.len()],
            moved: vec![0; instruments],
            models: vec![model; if stateful { instruments.max(1) } else { 1 }],
            first: 0,
            selection,
        }
    }

    /// The model, in the state of the first instrument.
    pub fn model(&self) -> &Model {
        &self.models[0]
    }

    /// A copy for so many instruments, before either has decided.
    fn copy_for(&self, instruments: usize) -> Box<Self> {
        Box::new(Self::new(self.model().clone(), self.selection.clone(), instruments))
    }

    fn is_stateful(&self) -> bool {
        !self.model().state().is_empty()
    }

    fn is(&self, swap: &ModelSwap) -> bool {
        *self.model().sha256() == swap.sha256 && self.model().card() == swap.card
    }

    /// Begins anew: zero states, which move from the next bar on.
    fn begin(&mut self, bars: impl Iterator<Item = u64>) {
        self.models.iter_mut().for_each(Model::reset_state);
        self.moved.iter_mut().zip(bars).for_each(|(moved, bars)| *moved = bars);
    }

    /// Takes its features out of the vector.
    #[inline]
    pub(super) fn gather(&mut self, vector: &FeatureVector) -> Result<(), (Reason, u16)> {
        self.selection.gather(vector, &mut self.input)
    }

    /// Answers what was gathered. The state moves once per bar, with the first answer after the bar
    /// closed; `bars` have.
    #[inline]
    pub(super) fn run(
        &mut self,
        instrument: usize,
        bars: u64,
        out: &mut ModelOutput,
    ) -> Result<(), Reason> {
        let instrument = instrument.wrapping_sub(self.first);
        let place = if self.models.len() > 1 { instrument } else { 0 };
        let model = self.models.get_mut(place).ok_or(Reason::ModelMissing)?;
        model.run(&self.input, out)?;
        let moved = self.moved.get_mut(instrument).ok_or(Reason::ModelMissing)?;
        if *moved != bars {
            *moved = bars;
            model.commit_state();
        }
        Ok(())
    }

    /// The row of the last answer.
    pub(super) fn input(&self) -> &[f32] {
        &self.input
    }
}

/// A model on its way to its place.
struct Arrival {
    slot: usize,
    model: Box<Mounted>,
}

/// The stage's ends of the rings.
pub struct ModelIntake {
    arrivals: Consumer<Arrival>,
    gone: Producer<Box<Mounted>>,
}

/// The way to one stage and back.
struct Way {
    arrivals: Producer<Arrival>,
    gone: Consumer<Box<Mounted>>,
    /// Models at the stage or on their way to or from it; the session's first is one.
    out: usize,
}

impl Way {
    fn is_open(&self) -> bool {
        self.out < GONE_MAX && !self.arrivals.is_full()
    }

    fn send(&mut self, slot: usize, model: Box<Mounted>) -> bool {
        let sent = self.is_open() && self.arrivals.push(Arrival { slot, model }).is_ok();
        self.out += usize::from(sent);
        sent
    }
}

fn way() -> (Way, ModelIntake) {
    let (to, arrivals) = RingBuffer::new(SLOTS);
    let (gone, back) = RingBuffer::new(GONE_MAX);
    (Way { arrivals: to, gone: back, out: 1 }, ModelIntake { arrivals, gone })
}

/// The other ends: a side thread's, or a replay's.
pub struct ModelSupply {
    /// To the stage that has all instruments, or to the first shard.
    first: Way,
    /// To the other shards, with how many instruments each has.
    others: Vec<(Way, usize)>,
    /// How many instruments the first has, where there are others.
    first_has: usize,
}

/// Both ends, for a stage that has all instruments.
pub fn model_rings() -> (ModelSupply, ModelIntake) {
    let (first, intake) = way();
    (ModelSupply { first, others: Vec::new(), first_has: 0 }, intake)
}

/// Both ends for the shards of these shares, in their order.
pub fn model_rings_of(shares: &[Share]) -> (ModelSupply, Vec<ModelIntake>) {
    let (mut supply, intake) = model_rings();
    let mut intakes = vec![intake];
    supply.first_has = shares.first().map_or(0, |share| share.places());
    for share in shares.iter().skip(1) {
        let (way, intake) = way();
        supply.others.push((way, share.places()));
        intakes.push(intake);
    }
    (supply, intakes)
}

impl ModelSupply {
    /// Sends a model to a place that is not at work. It lies there for every [`ModelSwap`] that
    /// enters the river afterwards. False where too many are on their way already: then no shard
    /// gets it.
    pub fn send(&mut self, slot: usize, model: Box<Mounted>) -> bool {
        self.take_back();
        if !self.first.is_open() || !self.others.iter().all(|(way, _)| way.is_open()) {
            return false;
        }
        let mut is_sent = true;
        for (way, places) in &mut self.others {
            is_sent &= way.send(slot, model.copy_for(*places));
        }
        let is_shared = !self.others.is_empty();
        let its = if is_shared { model.copy_for(self.first_has) } else { model };
        self.first.send(slot, its) && is_sent
    }

    /// Drops what came back.
    pub fn take_back(&mut self) {
        let others = self.others.iter_mut().map(|(way, _)| way);
        for way in std::iter::once(&mut self.first).chain(others) {
            while way.gone.pop().is_ok() {
                way.out -= 1;
            }
        }
    }
}

/// See the head of this file.
pub(super) struct Models {
    slots: [Option<Box<Mounted>>; SLOTS],
    champion: usize,
    canary: Option<(usize, Split)>,
    own: OwnPlaces,
    intake: Option<ModelIntake>,
    signs: Arc<ModelSigns>,
    /// Which of the signs are its own.
    shard: usize,
    /// Where the answer of a model that does not decide goes.
    aside: ModelOutput,
}

impl Models {
    /// `first` decides, at the first place.
    pub fn new(first: Mounted) -> Self {
        let mut slots = [const { None }; SLOTS];
        slots[0] = Some(Box::new(first));
        let (signs, aside) = (Arc::default(), ModelOutput::default());
        let own = OwnPlaces::default();
        Self { slots, champion: 0, canary: None, own, intake: None, signs, shard: 0, aside }
    }

    /// Models that instruments have of their own; each decides from its [`ModelSwap`] on.
    pub fn have_own(&mut self, own: OwnPlaces) {
        self.own = own;
    }

    /// Lets models come and go; `shard` says which of the signs are its own.
    pub fn wire(&mut self, intake: ModelIntake, signs: Arc<ModelSigns>, shard: usize) {
        (self.intake, self.signs, self.shard) = (Some(intake), signs, shard);
    }

    #[inline]
    fn signs(&self) -> &StageSigns {
        &self.signs.stages[self.shard]
    }

    /// Whose turn it is.
    #[inline]
    pub fn decides(&self, instrument: InstrumentId, now: Nanos) -> usize {
        if let Some(slot) = self.own.place(instrument) {
            return slot;
        }
        match &self.canary {
            Some((slot, split)) if split.is_canary(instrument, now) => *slot,
            _ => self.champion,
        }
    }

    /// The model at a place.
    #[inline]
    pub fn at(&mut self, slot: usize) -> Option<&mut Mounted> {
        match self.slots.get_mut(slot) {
            Some(mounted) => mounted.as_deref_mut(),
            None => self.own.at_mut(slot),
        }
    }

    /// The row that the champion was last given.
    pub fn row(&self) -> &[f32] {
        self.slots[self.champion].as_ref().map_or(&[], |mounted| mounted.input())
    }

    /// First eight bytes of the SHA-256 of the model at a place; 0 for none.
    #[inline]
    pub fn tag(&self, slot: usize) -> u64 {
        let mounted = match self.slots.get(slot) {
            Some(mounted) => mounted.as_deref(),
            None => self.own.at(slot),
        };
        mounted.map_or(0, |mounted| mounted.model().tag())
    }

    /// Counts what came of a decision.
    #[inline]
    pub fn note(&self, slot: usize, result: Result<(), Reason>) {
        let Some(signs) = self.signs().at(slot) else { return };
        match result {
            Ok(()) => {
                signs.answers.store(signs.answers.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                if signs.in_a_row.load(Ordering::Relaxed) > 0 {
                    signs.in_a_row.store(0, Ordering::Relaxed);
                }
            }
            // A row that is not finite is no fault of the model.
            Err(Reason::ModelFailed | Reason::ModelOutput | Reason::ModelMissing) => {
                signs.faults.store(signs.faults.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                let in_a_row = signs.in_a_row.load(Ordering::Relaxed).saturating_add(1);
                signs.in_a_row.store(in_a_row, Ordering::Relaxed);
            }
            Err(_) => {}
        }
    }

    /// After a decision: during a trial the model whose turn it was not moves its state too, so
    /// that neither knows less of the market than it would alone. Nothing without a trial or state,
    /// nor where a model of the instrument's own decided.
    #[inline]
    pub fn follow(&mut self, decided: usize, instrument: usize, bars: u64, seen: &FeatureVector) {
        let Some((canary, _)) = self.canary.filter(|_| decided < SLOTS) else { return };
        let other = if decided == canary { self.champion } else { canary };
        let Some(other) = self.slots[other].as_mut() else { return };
        let behind = other.moved.get(instrument).is_some_and(|moved| *moved != bars);
        if behind && other.is_stateful() && other.gather(seen).is_ok() {
            // What it answers nobody asked for; where it fails its state stays.
            let _ = other.run(instrument, bars, &mut self.aside);
        }
    }

    /// Takes the [`ModelSwap`] of an instrument's own model, of which so many bars have closed;
    /// nothing for any other event.
    ///
    /// # Errors
    /// [`Halt::ModelAbsent`] where it names a model that is not at its place.
    #[inline]
    pub fn own(&mut self, event: &Event, bars: u64) -> Result<(), Halt> {
        if event.kind == Kind::ModelSwap as u8 { self.own.begin(event, bars) } else { Ok(()) }
    }

    /// Takes a [`ModelSwap`]; `bars` are those of the instruments, in order.
    ///
    /// # Errors
    /// [`Halt::ModelAbsent`] where it names a model that is not at its place.
    pub fn swap(&mut self, event: &Event, bars: impl Iterator<Item = u64>) -> Result<(), Halt> {
        self.take_in();
        let swap: &ModelSwap = event.body();
        let slot = usize::from(swap.slot);
        if swap.role == SwapRole::Champion as u8 {
            self.begin(swap, bars)?;
            self.champion = slot;
            self.canary = self.canary.filter(|(canary, _)| *canary != slot);
        } else if swap.role == SwapRole::Canary as u8 && swap.share_bps == 0 {
            self.canary = None;
        } else if swap.role == SwapRole::Canary as u8 {
            self.begin(swap, bars)?;
            let ModelSwap { seed, share_bps, block_ms, .. } = *swap;
            self.canary = Some((slot, Split { seed, share_bps, block_ms }));
        }
        let swaps = self.signs().swaps.load(Ordering::Relaxed) + 1;
        self.signs().swaps.store(swaps, Ordering::Release);
        Ok(())
    }

    /// An instrument falls asleep with so many closed bars: what carried states know of it is over.
    pub fn forget(&mut self, instrument: usize, bars: u64) {
        for mounted in self.slots.iter_mut().flatten() {
            if mounted.is_stateful()
                && let Some(model) = mounted.models.get_mut(instrument)
                && let Some(moved) = mounted.moved.get_mut(instrument)
            {
                model.reset_state();
                *moved = bars;
            }
        }
        self.own.forget(instrument, bars);
    }

    /// The model that `swap` names begins to work, unless it is at work already.
    fn begin(&mut self, swap: &ModelSwap, bars: impl Iterator<Item = u64>) -> Result<(), Halt> {
        let slot = usize::from(swap.slot);
        let at_work = self.is_at_work(slot);
        let mounted = self.slots.get_mut(slot).and_then(Option::as_deref_mut);
        let mounted = mounted.filter(|mounted| mounted.is(swap));
        let mounted = mounted.ok_or(Halt::ModelAbsent { slot: swap.slot })?;
        if !at_work {
            mounted.begin(bars);
            self.signs().slots[slot].in_a_row.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_at_work(&self, slot: usize) -> bool {
        self.champion == slot || self.canary.is_some_and(|(canary, _)| canary == slot)
    }

    /// Puts what arrived in its place; what lay there goes back, and so does what was sent to a
    /// place that is at work.
    fn take_in(&mut self) {
        while let Some(Arrival { slot, model }) =
            self.intake.as_mut().and_then(|intake| intake.arrivals.pop().ok())
        {
            let is_free = slot < SLOTS && !self.is_at_work(slot);
            let gone = if is_free { self.slots[slot].replace(model) } else { Some(model) };
            if is_free {
                let signs = &self.signs().slots[slot];
                signs.answers.store(0, Ordering::Relaxed);
                signs.faults.store(0, Ordering::Relaxed);
            }
            if let (Some(gone), Some(intake)) = (gone, &mut self.intake) {
                // `ModelSupply` lets no more out than fit on their way back.
                let _ = intake.gone.push(gone);
            }
        }
    }
}
