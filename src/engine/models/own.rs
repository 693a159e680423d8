//! Models that instruments have of their own, at places behind those that champion and canary
//! change between.
//!
//! ```text
//!  opening: ModelSwap, role own, of its instrument ──► place of the instrument
//!  decision on it ──► that place, whoever is champion or canary; on any other ──► as before
//! ```
//! They are here before the session begins and stay to its end: no ring brings or takes them.

use super::signs::SlotSigns;
use super::{Mounted, SLOTS, SwapRole};
use crate::base::Event;
use crate::base::event::ModelSwap;
use crate::base::ids::InstrumentId;
use crate::base::limits::OWN_MODELS_MAX;
use crate::engine::link::Halt;
use crate::engine::share::Share;
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
pub struct OwnPlaces {
    /// In the order of the configuration; none where another shard has the instrument.
    places: Vec<Option<Mounted>>,
    /// Place of each instrument's own model, or [`NONE`]; empty where there are none.
    of: Box<[u8]>,
    share: Share,
}

impl Default for OwnPlaces {
    fn default() -> Self {
        Self::new(Share::whole(0))
    }
}

impl OwnPlaces {
    /// None yet, of the stage that has these instruments.
    pub fn new(share: Share) -> Self {
        Self { places: Vec::new(), of: Box::default(), share }
    }

    /// Puts a model at the next place, for `instrument`; `selection` is its input, in its order.
    /// Where another stage has the instrument, the place stays empty.
    pub fn add(&mut self, instrument: InstrumentId, model: &Model, selection: &Selection) {
        assert!(self.places.len() < OWN_MODELS_MAX, "the configuration names no more");
        if self.of.is_empty() {
            self.of = vec![NONE; self.share.instruments()].into();
        }
        let its = self.share.has(instrument.index()).then(|| Mounted {
            models: vec![model.clone()],
            moved: vec![0],
            first: self.share.place(instrument.index()),
            input: vec![0.0; selection.len()],
            selection: selection.clone(),
        });
        self.places.push(its);
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
        self.places.get(slot.wrapping_sub(SLOTS))?.as_ref()
    }

    #[inline]
    pub(super) fn at_mut(&mut self, slot: usize) -> Option<&mut Mounted> {
        self.places.get_mut(slot.wrapping_sub(SLOTS))?.as_mut()
    }

    /// The model that `event`, a [`ModelSwap`], names begins to decide its instrument, of which so
    /// many bars have closed. Nothing for another role: those are of no instrument.
    pub(super) fn begin(&mut self, event: &Event, bars: u64) -> Result<(), Halt> {
        let swap: &ModelSwap = event.body();
        if swap.role != SwapRole::Own as u8 {
            return Ok(());
        }
        let instrument = event.instrument().index();
        let place = self.share.place(instrument);
        let mounted = self.at_mut(usize::from(swap.slot));
        let mounted = mounted.filter(|mounted| mounted.first == place && mounted.is(swap));
        mounted.ok_or(Halt::ModelAbsent { slot: swap.slot })?.begin(std::iter::once(bars));
        if let Some(place) = self.of.get_mut(instrument) {
            *place = swap.slot;
        }
        Ok(())
    }

    /// What the own model of the instrument at `place` of the stage knows of it is over, after so
    /// many bars.
    pub(super) fn forget(&mut self, place: usize, bars: u64) {
        let its = self.places.iter_mut().flatten().filter(|mounted| mounted.first == place);
        for mounted in its {
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
