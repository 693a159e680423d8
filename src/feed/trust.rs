//! Whether what the venue sends of a symbol can be read. One frame that cannot be is an accident;
//! three are a venue that speaks another language, and then nothing is bet on that symbol.
//!
//! ```text
//!            3 bad, without 20 good in a row between          20 good in a row
//!   trusted ─────────────────────────────────────► distrusted ─────────────────► trusted
//!                                                  its book is invalid, its depth thrown away
//! ```

use super::{EventBatch, Feed};
use crate::base::event::Malformed;
use crate::base::{Nanos, Reason};

/// Bad frames that end trust.
const BAD_MAX: u8 = 3;
/// Good frames in a row after which what was bad is forgotten.
const GOOD_MIN: u8 = 20;

/// Of one instrument.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trust {
    bad: u8,
    good: u8,
}

impl Trust {
    /// A frame that was understood; whether its symbol is trusted.
    #[inline]
    pub fn on_good(&mut self) -> bool {
        if self.bad == 0 {
            return true;
        }
        self.good += 1;
        if self.good >= GOOD_MIN {
            *self = Self::default();
        }
        self.bad < BAD_MAX
    }

    /// A frame that was not; true where trust ends with it.
    pub fn on_bad(&mut self) -> bool {
        self.good = 0;
        let ends = self.bad + 1 == BAD_MAX;
        self.bad = (self.bad + 1).min(BAD_MAX);
        ends
    }
}

impl Feed {
    /// A market frame was refused: the third of one symbol ends the trust in it.
    #[cold]
    pub(super) fn doubt(&mut self, frame: &[u8], ts_recv: Nanos, out: &mut EventBatch) {
        let Some(reason) = out.iter().next().map(|event| event.body::<Malformed>().reason) else {
            return;
        };
        let Some(instrument) = self.symbols.of_stream(frame) else { return };
        if !self.trust.get_mut(instrument.index()).is_some_and(Trust::on_bad) {
            return;
        }
        let reason = Reason::from_u16(reason).unwrap_or(Reason::BookGap);
        self.start_over(instrument, reason, ts_recv, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_ends_with_the_third_bad_frame_and_comes_back_after_twenty_good_ones_in_a_row() {
        let mut trust = Trust::default();
        assert_eq!([trust.on_bad(), trust.on_bad()], [false, false]);
        assert!(trust.on_good());
        assert!(trust.on_bad(), "one good frame forgets nothing");
        assert!(!trust.on_bad(), "it is told once");
        for _ in 0..19 {
            assert!(!trust.on_good());
        }
        assert!(!trust.on_bad());
        for _ in 0..19 {
            assert!(!trust.on_good());
        }
        assert!(trust.on_good());
        assert_eq!([trust.on_bad(), trust.on_bad(), trust.on_bad()], [false, false, true]);
    }
}
