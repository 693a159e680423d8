//! What the watch of the venue tells, at the gate.

use super::Gate;
use crate::base::settings::InstrumentSettings;
use crate::base::{Event, InstrumentId, Nanos};
use crate::ledger::Ledger;
use crate::risk::state::Actor;

impl Gate {
    /// What the watch of the venue tells, mark prices and time, after the ledger has taken them in;
    /// see `watch` for what follows. The record of the state's change, if there is one.
    pub fn on_watched(&mut self, event: &Event, ledger: &Ledger) -> Option<Event> {
        let terms = self.terms.get_mut(event.instrument().index());
        let facts = terms.map(|terms| &mut terms.facts);
        match self.watch.on_event(event, ledger, facts, &mut self.conditions) {
            Some((to, reason)) => self.request(event, to, reason, Actor::System),
            None => self.relax(event),
        }
    }

    /// The contract's facts as they are now: they follow the venue's.
    pub fn facts(&self, instrument: InstrumentId) -> Option<&InstrumentSettings> {
        self.terms.get(instrument.index()).map(|terms| &terms.facts)
    }

    /// True while a contract's entries are to be cancelled: it ends, or trades no more.
    pub fn is_ending(&self, instrument: InstrumentId) -> bool {
        self.watch.is_ending(instrument)
    }

    /// True while an operator wants the contract not to be traded.
    pub fn is_dropped(&self, instrument: InstrumentId) -> bool {
        self.watch.is_dropped(instrument)
    }

    /// True while a contract's position is to be left whole.
    pub fn leaves(&self, instrument: InstrumentId, now: Nanos) -> bool {
        self.watch.leaves(instrument, now)
    }

    /// True while half of a contract's position is to be taken back.
    pub fn takes_back(&self, instrument: InstrumentId, ledger: &Ledger) -> bool {
        self.watch.takes_back(instrument, ledger)
    }
}
