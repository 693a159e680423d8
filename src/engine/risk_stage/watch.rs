//! What follows from the watch of the venue beside the trading state: contracts that are left,
//! positions that are taken back, filters that are others.

use super::{RiskStage, TIMER_ROOM};
use crate::base::SymbolState;
use crate::base::event::{Event, Kind};
use crate::base::ids::InstrumentId;
use crate::base::limits::{STEP_EVENTS_MAX, TIMER_VISITS_MAX};
use crate::base::time::Nanos;
use crate::base::units::Qty;
use crate::risk::TradingState;

impl RiskStage {
    /// After the gate's own part and before breakers; every event passes here.
    pub(super) fn watch(&mut self, event: &Event) {
        let kind = event.kind();
        let told = matches!(
            kind,
            Some(
                Kind::SessionStart
                    | Kind::VenueStatus
                    | Kind::AccountStatus
                    | Kind::MarginStatus
                    | Kind::ContractStatus
                    | Kind::MarkPrice
                    | Kind::SymbolChange
                    | Kind::Timer
            )
        );
        if !told {
            return;
        }
        let moved = self.gate.on_watched(event, &self.ledger);
        let has_moved = moved.is_some();
        self.push(moved);
        let instrument = event.instrument();
        match kind {
            Some(Kind::ContractStatus) => {
                if let Some(facts) = self.gate.facts(instrument) {
                    self.policy.on_facts(instrument, facts);
                }
                self.leave(event, instrument);
            }
            Some(Kind::SymbolChange) => {
                self.follow_symbol(event);
                self.leave(event, instrument);
            }
            Some(Kind::MarginStatus | Kind::MarkPrice) => self.take_back(event, instrument),
            Some(Kind::Timer) => {
                // Where one timer visits them all, the first has the first turn each time.
                if self.instruments <= TIMER_VISITS_MAX {
                    self.watch_cursor = 0;
                }
                for _ in 0..self.instruments.min(TIMER_VISITS_MAX) {
                    if self.out.events().len() + TIMER_ROOM > STEP_EVENTS_MAX {
                        break;
                    }
                    let id = InstrumentId(u16::try_from(self.watch_cursor).unwrap_or(u16::MAX));
                    self.leave(event, id);
                    self.take_back(event, id);
                    self.watch_cursor = (self.watch_cursor + 1) % self.instruments;
                }
                self.tell_rests();
            }
            _ => {}
        }
        if has_moved {
            self.cancel_entries(event);
        }
    }

    /// Cancels the entry of a contract that ends, and leaves the position where that can be done.
    fn leave(&mut self, event: &Event, instrument: InstrumentId) {
        if self.gate.is_ending(instrument)
            && let Some(entry) = self.ledger.live_entry(instrument)
            && entry.is_cancellable()
        {
            self.cancel(event, instrument, entry.id);
        }
        if self.gate.leaves(instrument, event.now()) {
            // By the same steps as a kill leaves, from the first one on.
            let intent = self.policy.flatten(instrument, &self.ledger, &self.kill, Nanos::ZERO);
            self.admit(event, &intent);
        }
    }

    /// Remembers which instruments are being left, and since which place in the river.
    fn follow_symbol(&mut self, event: &Event) {
        let instrument = event.instrument();
        self.leaving.retain(|(id, _)| *id != instrument);
        self.counters.publish_rest(instrument, 0);
        if event.symbol_state() == Some(SymbolState::Leaving)
            && self.leaving.len() < self.instruments
        {
            self.leaving.push((instrument, event.seq));
        }
    }

    /// Tells of the instruments that are being left which are flat with nothing working. What is to
    /// be reconciled first is not known to be.
    fn tell_rests(&self) {
        let known = self.gate.state() != TradingState::Reconciling;
        for &(instrument, since) in &self.leaving {
            let flat = self.ledger.position(instrument).is_some_and(|p| p.qty == Qty::ZERO);
            let working = self.ledger.orders().iter().any(|order| order.instrument == instrument);
            let rests = known && flat && !working;
            self.counters.publish_rest(instrument, if rests { since } else { 0 });
        }
    }

    /// Takes half of a position back whose liquidation is critically near; what is left is judged
    /// anew once the venue tells of it.
    fn take_back(&mut self, event: &Event, instrument: InstrumentId) {
        if !self.gate.takes_back(instrument, &self.ledger) {
            return;
        }
        let intent = self.policy.halve(instrument, &self.ledger, &self.kill);
        self.admit(event, &intent);
    }
}
