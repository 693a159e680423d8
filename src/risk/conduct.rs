//! What the gate makes of events before anything is asked of it, and what follows from its denials.
//!
//! | what | leads to |
//! |---|---|
//! | denials by a collar, too many within a minute | Halted |
//! | one decision, two entries | Halted |
//! | the same entry too often, or the day's last entry was made | Halted |
//! | denials by the rate, too many within ten seconds | Reducing for `reduce_s` |
//! | a model that says one thing, decisions that come late | Reducing for `reduce_s` |

use super::check::Check;
use super::checks::Trip;
use super::gate::{Gate, deny};
use super::senses::lag;
use super::state::{Actor, TradingState};
use crate::base::event::Prediction;
use crate::base::{Event, Kind, OrderType, Purpose, Px, Qty, Reason, Side, TimeInForce};
use crate::ledger::{Ledger, LedgerChange};
use crate::policy::{Plan, Wanted};

/// What a denial leads to beside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// A bug, or something that a person has to look at.
    Halt(Reason),
    /// Exits only, for a while.
    Reduce(Reason),
}

impl Gate {
    /// Every event of the stage, after the ledger took it in and before anything is decided on it.
    pub fn on_event(&mut self, event: &Event, change: LedgerChange, ledger: &Ledger) {
        self.on_time(event.now());
        if event.kind() == Some(Kind::Timer) {
            self.portfolio.on_timer(self.now, ledger);
        }
        let LedgerChange::Fill(_) = change else { return };
        let index = event.instrument().index();
        if let (Some(sense), Some(position)) =
            (self.senses.get_mut(index), ledger.position(event.instrument()))
        {
            sense.on_fill(event, position);
        }
    }

    /// Judges a model's answer before it is decided on. The `Denied` record when it is none.
    pub fn on_answer(&mut self, event: &Event) -> Option<Event> {
        let answer: &Prediction = event.body();
        let limits = self.limits.as_ref()?;
        let sense = self.senses.get_mut(event.instrument().index())?;
        let told = sense.on_answer(answer, limits);
        let late = lag(event) > limits.decision_age;
        let too_late = self.lateness.on_decision(self.now, late, limits.late_percent);
        match told {
            Some(Reason::ModelOutput) => {
                self.counts.trip_apart(Check::ModelOutput);
                let trip = Trip { reason: Reason::ModelOutput, value: 0, limit: 0 };
                return Some(deny(event, &nothing(event), Check::ModelOutput, trip));
            }
            Some(reason) => self.consequence = Some(Consequence::Reduce(reason)),
            None if too_late => {
                self.consequence = Some(Consequence::Reduce(Reason::DecisionsLate));
            }
            None => {}
        }
        None
    }

    /// What follows from the last denials and answers: the record of the state's change, if it
    /// changes.
    pub fn consequence(&mut self, event: &Event) -> Option<Event> {
        match self.consequence.take()? {
            Consequence::Halt(reason) => {
                self.request(event, TradingState::Halted, reason, Actor::System)
            }
            Consequence::Reduce(reason) => {
                let lasts = self.limits.as_ref()?.reduce;
                self.conditions.begin(reason, self.now + lasts);
                self.relax(event)
            }
        }
    }

    /// Counts a denial, and what it leads to.
    pub(super) fn on_denied(&mut self, reason: Reason) {
        let Some(limits) = &self.limits else { return };
        let consequence = match reason {
            Reason::PriceCollar | Reason::CumulativeCollar => {
                self.collar_denials.record(self.now);
                let many = self.collar_denials.reached(limits.collar_denials, self.now);
                many.then_some(Consequence::Halt(Reason::CollarRepeated))
            }
            Reason::OrderRate => {
                self.rate_denials.record(self.now);
                let many = self.rate_denials.reached(limits.rate_denials, self.now);
                many.then_some(Consequence::Reduce(Reason::RateRepeated))
            }
            Reason::DecisionTwice | Reason::IdenticalEntries | Reason::MaxEntriesPerDay => {
                Some(Consequence::Halt(reason))
            }
            _ => None,
        };
        if consequence.is_some() {
            self.consequence = consequence;
        }
    }
}

/// An order that was never wanted: what a record of no decision names.
fn nothing(event: &Event) -> Wanted {
    Wanted {
        instrument: event.instrument(),
        side: Side::Buy,
        qty: Qty::ZERO,
        px: Px::ZERO,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Ioc,
        purpose: Purpose::Entry,
        reference_px: Px::ZERO,
        model_tag: event.body::<Prediction>().model_tag,
        plan: Plan::default(),
    }
}
