//! Prices that a lost connection brought are withdrawn.

use super::Ledger;
use crate::base::event::{StreamStatus, carries};
use crate::base::{Event, InstrumentId, Nanos, Px, SymbolState};

impl Ledger {
    /// Where nothing of the instrument's market is heard from here on, and where it begins to be
    /// heard again, prices are withdrawn as though none had ever come. What a position is worth
    /// stays at the last one.
    pub(super) fn on_symbol_change(&mut self, event: &Event) {
        if !matches!(event.symbol_state(), Some(SymbolState::Asleep | SymbolState::Awake)) {
            return;
        }
        let instrument = event.instrument();
        self.on_touch(instrument, Px::ZERO, Px::ZERO, Nanos::ZERO);
        if let Some(position) = self.positions.get_mut(instrument.index()) {
            // With neither price what it is worth stays: there is nothing to value it at.
            (position.mark_px, position.marked_at) = (Px::ZERO, Nanos::ZERO);
        }
    }

    /// What the market does while a connection is down is not known: the prices it brought are not.
    pub(super) fn on_stream_lost(&mut self, event: &Event) {
        let status: &StreamStatus = event.body();
        for place in 0..self.positions.len() {
            let id = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
            if event.instrument() != InstrumentId::NONE && event.instrument() != id {
                continue;
            }
            if status.has_carried(carries::TOUCH) || status.has_carried(carries::DEPTH) {
                self.on_touch(id, Px::ZERO, Px::ZERO, event.now());
            }
            if status.has_carried(carries::MARK) {
                self.positions[place].mark_px = Px::ZERO;
                self.revalue(id);
            }
        }
    }
}
