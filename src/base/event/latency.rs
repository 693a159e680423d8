//! Latency stamps (kind 112, lane 4): passages of hops, eleven to a record.
//!
//! ```text
//!  one passage, a word     bits 0–3   the hop's number and one; 0 for no passage
//!                          bits 4–37  nanoseconds
//!                          bits 38–63 sequence number less the record's own
//! ```

use super::{BODY_BYTES, Body, Event};
use crate::base::hop::Hop;
use crate::base::ids::{InstrumentId, Seq};
use crate::base::time::Nanos;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Passages of one record.
pub const PASSAGES_PER_EVENT: usize = 11;
/// Longest passage a record tells, in nanoseconds: 17 s. Longer ones are told as this long.
pub const PASSAGE_NS_MAX: u64 = (1 << NS_BITS) - 1;

const HOP_BITS: u32 = 4;
const NS_BITS: u32 = 34;
/// Sequence numbers one record reaches.
const SEQ_SPAN: u64 = 1 << (u64::BITS - HOP_BITS - NS_BITS);

body!(
    /// Passages of hops as they were measured on one thread, in order.
    Stamps {
        /// See the head of this file.
        passages: [u64; PASSAGES_PER_EVENT],
        /// Passages that were measured about the time of these ones and are in no record.
        missed: u64,
    }
);

const _: () = {
    // Every hop has a number that is not 0 within its bits.
    assert!(Hop::COUNT < (1 << HOP_BITS));
    assert!(PASSAGES_PER_EVENT * 8 + 8 == BODY_BYTES);
};

/// One passage of one hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Which.
    pub hop: Hop,
    /// How long it took, in nanoseconds.
    pub ns: u64,
    /// The input that passed, by its place in the river; 0 for none.
    pub seq: Seq,
}

impl Stamps {
    /// Puts `passage` at `place` of a record that begins at `first`; false where its sequence
    /// number is out of the record's reach, and it begins another one.
    pub fn put(&mut self, place: usize, first: Seq, passage: Passage) -> bool {
        let Some(ahead) = passage.seq.checked_sub(first).filter(|ahead| *ahead < SEQ_SPAN) else {
            return false;
        };
        let Some(slot) = self.passages.get_mut(place) else { return false };
        let hop = passage.hop as u64 + 1;
        let ns = passage.ns.min(PASSAGE_NS_MAX);
        *slot = hop | ns << HOP_BITS | ahead << (HOP_BITS + NS_BITS);
        true
    }

    /// The passages of a record that begins at `first`. A word that is none is left out.
    pub fn read(&self, first: Seq) -> impl Iterator<Item = Passage> + '_ {
        self.passages.iter().filter_map(move |word| {
            let number = (word & ((1 << HOP_BITS) - 1)).checked_sub(1)?;
            let hop = *Hop::ALL.get(usize::try_from(number).ok()?)?;
            let ns = word >> HOP_BITS & PASSAGE_NS_MAX;
            Some(Passage { hop, ns, seq: first.wrapping_add(word >> (HOP_BITS + NS_BITS)) })
        })
    }

    /// The record of these passages, which were taken over at `now`.
    pub fn event(&self, first: Seq, now: Nanos) -> Event {
        let event = Event::new(super::Kind::Stamps, InstrumentId::NONE, self);
        Event { seq: first, ts_recv: now.0, ..event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_of_every_hop_and_length_come_out_of_a_record_as_they_went_in() {
        let lengths = [0, 1, 999, PASSAGE_NS_MAX];
        for (n, hop) in Hop::ALL.into_iter().enumerate() {
            let ns = lengths[n % lengths.len()];
            let mut stamps = Stamps::default();
            let reach = [0, 1, SEQ_SPAN - 1];
            let passages = reach.map(|ahead| Passage { hop, ns, seq: 7_000_000_000 + ahead });
            for (place, passage) in passages.into_iter().enumerate() {
                assert!(stamps.put(place, 7_000_000_000, passage));
            }
            let event = stamps.event(7_000_000_000, Nanos(5));
            let told: Vec<Passage> = event.body::<Stamps>().read(event.seq).collect();
            assert_eq!(told, passages);
        }
    }

    #[test]
    fn what_does_not_fit_a_record_is_refused_or_told_as_the_longest() {
        let mut stamps = Stamps::default();
        let passage = Passage { hop: Hop::Wire, ns: u64::MAX, seq: 50 };
        assert!(!stamps.put(0, 51, passage), "it came before");
        assert!(!stamps.put(0, 50, Passage { seq: 50 + SEQ_SPAN, ..passage }));
        assert!(!stamps.put(PASSAGES_PER_EVENT, 50, passage));
        assert_eq!(stamps.read(50).count(), 0);
        assert!(stamps.put(0, 50, passage));
        assert_eq!(stamps.read(50).map(|p| p.ns).collect::<Vec<_>>(), [PASSAGE_NS_MAX]);
    }
}
