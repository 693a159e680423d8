//! The longest passages of one hop with the inputs that passed: a short list that a pinned thread
//! keeps, without allocating, at the price of one comparison for a passage that is not among them.

use super::hop::Hop;
use super::latency::readable_ns;
use crate::base::event::Passage;
use crate::base::ids::Seq;
use std::fmt::Write as _;

/// Passages remembered of each hop.
pub const WORST_KEPT: usize = 8;

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// Length and input, longest first; a length of 0 is a free place.
    rows: [(u64, Seq); WORST_KEPT],
}

impl Worst {
    /// None yet.
    pub const NONE: Self = Self { rows: [(0, 0); WORST_KEPT] };

    /// Takes a passage in. Of equal ones those that came first stay.
    #[inline]
    pub fn note(&mut self, ns: u64, seq: Seq) {
        if ns > self.rows[WORST_KEPT - 1].0 {
            self.insert(ns, seq);
        }
    }

    #[cold]
    fn insert(&mut self, ns: u64, seq: Seq) {
        let mut at = WORST_KEPT - 1;
        while at > 0 && self.rows[at - 1].0 < ns {
            self.rows[at] = self.rows[at - 1];
            at -= 1;
        }
        self.rows[at] = (ns, seq);
    }

    /// Takes in another list of the same hop.
    pub fn merge(&mut self, other: &Self) {
        other.rows.iter().for_each(|&(ns, seq)| self.note(ns, seq));
    }

    /// The passages, which are of `hop`, longest first.
    pub fn passages(&self, hop: Hop) -> impl Iterator<Item = Passage> + '_ {
        let told = self.rows.iter().take_while(|(ns, _)| *ns > 0);
        told.map(move |&(ns, seq)| Passage { hop, ns, seq })
    }
}

/// The aligned table of passages with their inputs' sequence numbers, at most `most` of each hop;
/// empty where there are none.
pub fn table(passages: impl Iterator<Item = Passage>, most: usize) -> String {
    let mut text = String::new();
    let mut of_hop = [0; Hop::COUNT];
    for Passage { hop, ns, seq } in passages {
        of_hop[hop as usize] += 1;
        if of_hop[hop as usize] > most {
            continue;
        }
        if text.is_empty() {
            let _ = writeln!(text, "{:<16}{:>12}{:>16}", "worst of", "took", "seq");
        }
        let _ = writeln!(text, "{:<16}{:>12}{seq:>16}", hop.name(), readable_ns(ns));
    }
    text
}
