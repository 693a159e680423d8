//! What the venue tells, as trading states: the one table from reason to state.
//!
//! | what is told | state | how it ends |
//! |---|---|---|
//! | the account's stream is down, no truth to be had | Reconciling | a clean reconcile |
//! | the lease of the leader is over | Reconciling | by the session's end |
//! | over a limit, overloaded, no order entry, clocks apart | Reducing | told over, time is up |
//! | no room for the journal soon | Reducing | told over |
//! | refused by filters that are others now | Reducing | the filters are told anew, see `watch` |
//! | maintenance is announced | Reducing | its end |
//! | what `watch` finds too old, too near or too far apart | Reducing | it is well again |
//! | banned, refused, foreign, mismatched, unresolved, … | Halted | an operator |
//! | the venue closed our position, margin runs out | Killed | an operator's `clear` |
//! | other numbers than asked, a stop triggered, a refusal, a measurement | none | |
//!
//! A `VenueStatus` with the flag `ON` says that something is over. Only what reduces ends that way:
//! a halt is for a person to look at, and a reconcile ends by being clean.

use super::state::TradingState;
use crate::base::{Nanos, Reason};

/// What a reason told by the venue leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Nothing but its record.
    Note,
    /// Exits only, until it is told over or its time is up.
    Reduce,
    /// A state that does not end by the venue's word.
    Enter(TradingState),
}

/// See the head of this file. Total: what it does not list halts.
pub const fn response(reason: Reason) -> Response {
    match reason {
        // While a thread stood still, nobody looked: what the venue holds is asked anew.
        Reason::AccountStreamDown
        | Reason::ReconcileFailed
        | Reason::ThreadStalled
        | Reason::Fenced => Response::Enter(TradingState::Reconciling),
        Reason::RateLimited
        | Reason::Overloaded
        | Reason::OrderEntryDown
        | Reason::ClockSkew
        | Reason::MarginShort
        | Reason::JournalFault
        | Reason::FiltersChanged
        | Reason::ClockFar
        | Reason::ClockUnread
        | Reason::FiltersOld
        | Reason::AccountUnread
        | Reason::MarginLow
        | Reason::MarginCritical
        | Reason::MarginDisagrees
        | Reason::Maintenance
        | Reason::DropCopyUnread
        | Reason::EquityShort
        | Reason::ModesUnread
        | Reason::RateRepeated
        | Reason::ModelConstant
        | Reason::ModelOneSided
        | Reason::DecisionsLate => Response::Reduce,
        Reason::ClosedByVenue | Reason::MarginCall => Response::Enter(TradingState::Killed),
        Reason::None
        | Reason::VenueAdjusted
        | Reason::StopTriggered
        | Reason::WouldTrigger
        | Reason::ReduceOnlyRefused
        | Reason::VenuePriceBand
        | Reason::VenueRejected
        | Reason::DuplicateId
        | Reason::NeverArrived
        | Reason::NotSent
        | Reason::ClockOff
        | Reason::FiltersReloaded
        | Reason::ContractEnding
        | Reason::FundingWindow
        | Reason::MarkDiverged
        | Reason::DropCopyAgrees
        | Reason::FundingChanged => Response::Note,
        _ => Response::Enter(TradingState::Halted),
    }
}

/// The reasons that reduce, each with its own end.
const REDUCING: [Reason; 22] = [
    Reason::RateLimited,
    Reason::Overloaded,
    Reason::OrderEntryDown,
    Reason::ClockSkew,
    Reason::MarginShort,
    Reason::JournalFault,
    Reason::FiltersChanged,
    Reason::ClockFar,
    Reason::ClockUnread,
    Reason::FiltersOld,
    Reason::AccountUnread,
    Reason::MarginLow,
    Reason::MarginCritical,
    Reason::MarginDisagrees,
    Reason::Maintenance,
    Reason::DropCopyUnread,
    Reason::EquityShort,
    Reason::ModesUnread,
    Reason::RateRepeated,
    Reason::ModelConstant,
    Reason::ModelOneSided,
    Reason::DecisionsLate,
];

/// What reduces at the moment, and until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    until: [Option<Nanos>; REDUCING.len()],
}

impl Conditions {
    /// Something began; `until` 0 for as long as it is not told over.
    pub fn begin(&mut self, reason: Reason, until: Nanos) {
        let until = if until == Nanos::ZERO { Nanos(i64::MAX) } else { until };
        if let Some(place) = REDUCING.iter().position(|&known| known == reason) {
            self.until[place] = Some(self.until[place].map_or(until, |old| old.max(until)));
        }
    }

    /// Something is over.
    pub fn end(&mut self, reason: Reason) {
        if let Some(place) = REDUCING.iter().position(|&known| known == reason) {
            self.until[place] = None;
        }
    }

    /// Ends what lasted until `now`.
    pub fn on_time(&mut self, now: Nanos) {
        for until in &mut self.until {
            *until = until.filter(|&until| until > now);
        }
    }

    /// The first reason there still is to reduce.
    pub fn first(&self) -> Option<Reason> {
        let place = self.until.iter().position(Option::is_some)?;
        REDUCING.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_response_and_what_is_not_known_halts() {
        let halted = Response::Enter(TradingState::Halted);
        for reason in [
            Reason::Banned,
            Reason::Blocked,
            Reason::CredentialsRefused,
            Reason::ForeignOrder,
            Reason::PositionMismatch,
            Reason::OutcomeUnresolved,
            Reason::AccountMode,
            Reason::NotTrading,
            Reason::ClockBroken,
            Reason::DropCopyDiffers,
            Reason::InvariantBroken,
        ] {
            assert_eq!(response(reason), halted, "{reason:?}");
        }
        for &reason in Reason::ALL {
            // What reduces must also be able to end.
            let reduces = response(reason) == Response::Reduce;
            assert_eq!(reduces, REDUCING.contains(&reason), "{reason:?}");
        }
    }

    #[test]
    fn a_condition_lasts_as_long_as_its_longest_word_and_ends_when_told_over() {
        let mut conditions = Conditions::default();
        conditions.begin(Reason::RateLimited, Nanos(50));
        conditions.begin(Reason::RateLimited, Nanos(20));
        conditions.begin(Reason::OrderEntryDown, Nanos::ZERO);
        conditions.on_time(Nanos(49));
        assert_eq!(conditions.first(), Some(Reason::RateLimited));
        conditions.on_time(Nanos(50));
        assert_eq!(conditions.first(), Some(Reason::OrderEntryDown));
        conditions.end(Reason::OrderEntryDown);
        assert_eq!(conditions.first(), None);
    }
}
