//! Prices that a lost connection brought are withdrawn.

use super::Ledger;
use crate::base::event::{StreamStatus, carries};
use crate::base::{Event, InstrumentId, Px};

impl Ledger {
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
