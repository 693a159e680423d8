//! The gate's side of the breakers: what it shows them, and what it does where they trip.

use super::{CheckCount, Gate, fingerprint};
use crate::base::counters::{ControlRow, Counters};
use crate::base::{Control, Event, Kind, Level, Reason};
use crate::ledger::{Ledger, LedgerChange};
use crate::risk::breakers::{Breakers, GateCounts};
use crate::risk::check::Check;
use crate::risk::{Actor, TradingState, control_row};

impl Gate {
    /// A door for tests that damage the limits.
    #[cfg(test)]
    pub(crate) fn tamper_with_limits(&mut self) {
        if let Some(limits) = &mut self.limits {
            limits.open_orders += 1;
        }
    }

    /// Shows the breakers an event that the ledger has taken in; `change` is what it did there.
    pub fn observe(&mut self, event: &Event, change: LedgerChange, ledger: &Ledger) {
        let counts = GateCounts { orders: self.last_counter, entries: self.entries_today };
        // The fingerprint is needed once a second, with a timer.
        let timer = event.kind() == Some(Kind::Timer);
        let limits = if timer { fingerprint(&self.limits) } else { 0 };
        self.breakers.observe(event, change, ledger, counts, limits);
    }

    /// True while breakers have something to record, or demand a state.
    pub fn is_stirred(&self, ledger: &Ledger) -> bool {
        self.breakers.is_stirred() || Breakers::must_reconcile(ledger)
    }

    /// The next record of a breaker's level, or of the size of entries, that changed; `cause` is
    /// the event in hand.
    pub fn breaker_record(&mut self, cause: &Event) -> Option<Event> {
        self.breakers.take_record(cause)
    }

    /// Moves the trading state where the breakers demand it; the record of the move. The caller
    /// then cancels resting entries ([`Ledger::entry_to_cancel`]).
    pub fn break_on(&mut self, cause: &Event, ledger: &Ledger) -> Option<Event> {
        let (level, reason) = self.breakers.demand();
        match level {
            Level::Kill => self.request(cause, TradingState::Killed, reason, Actor::System),
            Level::Halt => self.request(cause, TradingState::Halted, reason, Actor::System),
            // A reconciliation is no way out of a halt.
            _ if Breakers::must_reconcile(ledger) && self.state() != TradingState::Halted => {
                let (to, reason) = (TradingState::Reconciling, Reason::OrderOutcomeUnknown);
                self.request(cause, to, reason, Actor::System)
            }
            _ => None,
        }
    }

    /// True when a breaker demands that every position is left.
    pub fn wants_flat(&self) -> bool {
        self.breakers.wants_flat()
    }

    /// Counts of a breaker.
    pub fn breaker_count(&self, control: Control) -> ControlRow {
        self.breakers.count(control)
    }

    /// Publishes what every check and breaker has counted (RC-43), in the rows of
    /// [`control_row`](crate::risk::control_row).
    pub fn publish_counts(&self, counters: &Counters) {
        for check in Check::ALL {
            let CheckCount { evaluated, near, tripped } = self.count(check);
            counters.set_control(check as usize, ControlRow { evaluated, near, tripped });
        }
        for control in Control::ALL {
            counters.set_control(control_row(control), self.breaker_count(control));
        }
    }

    /// Level of a breaker.
    pub fn breaker_level(&self, control: Control) -> Level {
        self.breakers.level(control)
    }

    /// Share of the policy's size that an entry may have now, in percent: 0 to 100. Breakers lower
    /// it; exits are never smaller for it.
    pub fn size_percent(&self) -> u32 {
        self.breakers.size_percent()
    }

    /// Reduces while there is a reason to, and goes on when there was none for the cool-down: a
    /// breaker serves its own, before its level falls, and what the venue tells serves it here.
    /// Time is an event: called for each that tells it.
    pub fn relax(&mut self, event: &Event) -> Option<Event> {
        self.conditions.on_time(event.now());
        let told = self.conditions.first();
        self.calm = told.map_or(self.calm.or(Some(event.now())), |_| None);
        let (level, broken) = self.breakers.demand();
        let broken = (level >= Level::Reduce).then_some(broken);
        let Some(reason) = told.or(broken) else { return self.resume(event) };
        if self.state() != TradingState::Active {
            return None;
        }
        self.request(event, TradingState::Reducing, reason, Actor::System)
    }

    /// Ends a reduction that nothing asks for any more; an operator's is held by the state itself.
    fn resume(&mut self, event: &Event) -> Option<Event> {
        if self.state() != TradingState::Reducing {
            return None;
        }
        if self.calm.is_none_or(|since| event.now() - since < self.cool_down) {
            return None;
        }
        self.request(event, TradingState::Active, Reason::None, Actor::System)
    }
}
