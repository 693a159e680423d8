//! Instruments of the table that are asleep: nothing of their market goes into the river.
//!
//! Their streams are left when they fall asleep, and yet what is under way still comes: frames of a
//! connection that is about to go, answers that were asked for before. None of it may begin a book.

use super::Feed;
use crate::base::InstrumentId;

/// Which instruments are asleep.
#[derive(Clone, Debug)]
pub(super) struct Sleepers {
    asleep: Vec<bool>,
    count: usize,
}

impl Sleepers {
    pub fn new(instruments: usize) -> Self {
        Self { asleep: vec![false; instruments], count: 0 }
    }

    /// True for an instrument that is asleep.
    #[inline]
    pub fn holds(&self, instrument: InstrumentId) -> bool {
        self.count > 0 && self.asleep.get(instrument.index()).copied().unwrap_or(false)
    }

    fn set(&mut self, instrument: InstrumentId, asleep: bool) {
        if let Some(place) = self.asleep.get_mut(instrument.index()) {
            *place = asleep;
            self.count = self.asleep.iter().filter(|asleep| **asleep).count();
        }
    }
}

impl Feed {
    /// From here on nothing of the instrument's market is handed on, and nothing is asked for; what
    /// was known of its streams is forgotten. Reports of the account still are.
    pub fn sleep(&mut self, instrument: InstrumentId) {
        self.sleepers.set(instrument, true);
        if let Some(sync) = self.syncs.get_mut(instrument.index()) {
            sync.reset(&mut self.pool);
            sync.asked = false;
        }
        self.releasing.retain(|id| *id != instrument);
        self.wanted.retain(|id| *id != instrument);
        if let Some(trades) = &mut self.trades {
            trades.forget(instrument);
        }
        if let Some(trust) = self.trust.get_mut(instrument.index()) {
            *trust = Default::default();
        }
    }

    /// From here on the instrument's market is handed on again, beginning as in a new session.
    pub fn wake(&mut self, instrument: InstrumentId) {
        self.sleepers.set(instrument, false);
    }
}
