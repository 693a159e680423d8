//! Models that instruments have of their own, at places behind those that champion and canary
//! change between.
//!
//! ```text
//!  opening: ModelSwap, role own, of its instrument ──► place of the instrument
//!  decision on it ──► that place, whoever is champion or canary; on any other ──► as before
//! ```
//! They are here before the session begins and stay to its end: no ring brings or takes them.

use super::{Mounted, SLOTS, SlotSigns, SwapRole};
use crate::base::Event;
use crate::base::event::ModelSwap;
use crate::base::ids::InstrumentId;
use crate::base::limits::OWN_MODELS_MAX;
use crate::engine::link::Halt;
use crate::features::Selection;
use crate::model::Model;
use crossbeam::utils::CachePadded;

/// Places of own models, as a [`ModelSwap`] names them.
pub const OWN_PLACES: std::ops::Range<usize> = SLOTS..SLOTS + OWN_MODELS_MAX;

const _: () = assert!(OWN_PLACES.end <= NONE as usize, "a place and none of them fit in a byte");

/// No place.
const NONE: u8 = u8::MAX;

/// See the head of this file. Each place holds a model of one instrument, and its state of that
/// one.
#[derive(Default)]
pub struct OwnPlaces {
    places: Vec<Mounted>,
    /// Place of each instrument's own model, or [`NONE`]; empty where none has begun.
    of: Box<[u8]>,
    instruments: usize,
}

impl OwnPlaces {
    /// None yet, of a session with so many instruments.
    pub fn new(instruments: usize) -> Self {
        Self { places: Vec::new(), of: Box::default(), instruments }
    }

    /// Puts a model at the next place, for `instrument`; `selection` is its input, in its order.
    pub fn add(&mut self, instrument: InstrumentId, model: Model, selection: Selection) {
        assert!(self.places.len() < OWN_MODELS_MAX, "the configuration names no more");
        if self.of.is_empty() {
            self.of = vec![NONE; self.instruments].into();
        }
        let input = vec![0.0; selection.len()];
        let (models, moved, first) = (vec![model], vec![0], instrument.index());
        self.places.push(Mounted { models, moved, first, selection, input });
    }

    /// The place of the model that alone decides `instrument`.
    #[inline]
    pub(super) fn place(&self, instrument: InstrumentId) -> Option<usize> {
        match self.of.get(instrument.index()) {
            Some(&place) if place != NONE => Some(usize::from(place)),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn at(&self, slot: usize) -> Option<&Mounted> {
        self.places.get(slot.wrapping_sub(SLOTS))
    }

    #[inline]
    pub(super) fn at_mut(&mut self, slot: usize) -> Option<&mut Mounted> {
        self.places.get_mut(slot.wrapping_sub(SLOTS))
    }

    /// The model that `event`, a [`ModelSwap`], names begins to decide its instrument, of which so
    /// many bars have closed. Nothing for another role: those are of no instrument.
    pub(super) fn begin(&mut self, event: &Event, bars: u64) -> Result<(), Halt> {
        let swap: &ModelSwap = event.body();
        if swap.role != SwapRole::Own as u8 {
            return Ok(());
        }
        let instrument = event.instrument().index();
        let mounted = self.at_mut(usize::from(swap.slot));
        let mounted = mounted.filter(|mounted| mounted.first == instrument && mounted.is(swap));
        mounted.ok_or(Halt::ModelAbsent { slot: swap.slot })?.begin(std::iter::once(bars));
        if let Some(place) = self.of.get_mut(instrument) {
            *place = swap.slot;
        }
        Ok(())
    }

    /// What the own model of an instrument knows of it is over, after so many bars.
    pub(super) fn forget(&mut self, instrument: usize, bars: u64) {
        for mounted in self.places.iter_mut().filter(|mounted| mounted.first == instrument) {
            mounted.begin(std::iter::once(bars));
        }
    }
}

/// What own models did, by place.
#[derive(Debug)]
pub(super) struct OwnSigns(Box<[CachePadded<SlotSigns>]>);

impl Default for OwnSigns {
    fn default() -> Self {
        Self(OWN_PLACES.map(|_| CachePadded::default()).collect())
    }
}

impl OwnSigns {
    #[inline]
    pub(super) fn at(&self, slot: usize) -> Option<&CachePadded<SlotSigns>> {
        self.0.get(slot.wrapping_sub(SLOTS))
    }
}
