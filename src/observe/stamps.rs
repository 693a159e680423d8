//! Passages as records of the journal's lane 4, and histograms made of them again.
//!
//! ```text
//!  pinned thread ─ 16 bytes a passage ─► set ─► observer ─ Packer ─► Stamps, 11 passages ─► lane 4
//!                                                          lane 4 ─► Rebuilt ─► HopTotals
//! ```
//! The observer is the lane's one writer: what a stage pays is one store into memory of its own. A
//! process that dies takes the last moment's passages with it, and nothing else.

use super::hop::Hop;
use super::latency::HopTotals;
use crate::base::event::{Event, Kind, PASSAGES_PER_EVENT, Passage, Stamps};
use crate::base::ids::Seq;
use crate::base::time::Nanos;

/// A passage as a set keeps it: the length above four bits of the hop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    seq: Seq,
    ns_hop: u64,
}

const HOP_BITS: u32 = 4;

impl Kept {
    /// What a free place holds: not zero, so that its memory is there.
    pub(super) const PLACE: Self = Self { seq: Seq::MAX, ns_hop: u64::MAX };

    /// Lengths beyond 36 years are told as that long.
    #[inline]
    pub(super) fn of(hop: Hop, seq: Seq, ns: u64) -> Self {
        let longest = u64::MAX >> HOP_BITS;
        Self { seq, ns_hop: ns.min(longest) << HOP_BITS | hop as u64 }
    }

    fn passage(self) -> Option<Passage> {
        let hop = self.ns_hop & ((1 << HOP_BITS) - 1);
        let hop = *Hop::ALL.get(usize::try_from(hop).ok()?)?;
        Some(Passage { hop, ns: self.ns_hop >> HOP_BITS, seq: self.seq })
    }
}

/// Makes records of passages.
#[derive(Debug, Default)]
pub(super) struct Packer {
    /// Passages that are in no record and have not been told.
    missed: u64,
}

impl Packer {
    /// Hands `keep` the records of `passages`, as of `now`; `missed` more could not be kept.
    pub(super) fn pack(
        &mut self,
        passages: &[Kept],
        missed: u64,
        now: Nanos,
        keep: &mut dyn FnMut(&Event) -> bool,
    ) {
        self.missed += missed;
        let (mut stamps, mut place, mut first) = (Stamps::default(), 0, 0);
        for passage in passages.iter().filter_map(|kept| kept.passage()) {
            if place == 0 {
                first = passage.seq;
            }
            if place == PASSAGES_PER_EVENT || !stamps.put(place, first, passage) {
                self.hand_over(&mut stamps, place, first, now, keep);
                (place, first) = (0, passage.seq);
                stamps.put(0, first, passage);
            }
            place += 1;
        }
        if place > 0 || self.missed > 0 {
            self.hand_over(&mut stamps, place, first, now, keep);
        }
    }

    fn hand_over(
        &mut self,
        stamps: &mut Stamps,
        passages: usize,
        first: Seq,
        now: Nanos,
        keep: &mut dyn FnMut(&Event) -> bool,
    ) {
        stamps.missed = self.missed;
        if keep(&stamps.event(first, now)) {
            self.missed = 0;
        } else {
            self.missed += passages as u64;
        }
        *stamps = Stamps::default();
    }
}

/// Histograms made of lane 4 again: of all of it, and of each interval.
#[derive(Debug, Default)]
pub struct Rebuilt {
    /// Everything.
    pub totals: HopTotals,
    /// Passages that were measured and are in no record.
    pub missed: u64,
    /// When the first record was taken over.
    pub from: Option<Nanos>,
    /// When the last record was taken over.
    pub to: Option<Nanos>,
}

impl Rebuilt {
    /// Takes a record in; any other than [`Kind::Stamps`] changes nothing.
    pub fn take(&mut self, event: &Event) {
        if event.kind() != Some(Kind::Stamps) {
            return;
        }
        self.from.get_or_insert(event.now());
        self.to = Some(event.now());
        let stamps: &Stamps = event.body();
        self.missed = self.missed.saturating_add(stamps.missed);
        stamps.read(event.seq).for_each(|passage| self.totals.record(passage));
    }
}
