//! What a successor must know of risk that the venue does not tell: the day's loss, the peak the
//! drawdown counts from, losses in a row, entries of the day, and whether trading was halted or
//! killed. The leader keeps it in etcd; it is small, and always the worse of two counts.

use crate::base::event::SessionCarried;
use crate::risk::TradingState;
use serde::{Deserialize, Serialize};

/// See the head of this file. Money is in 1e-8 of the quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedRisk {
    /// Epoch of the session that left it.
    pub epoch: u32,
    /// UTC day, counted from the epoch of time.
    pub day: i64,
    /// Equity at the start of that day.
    pub day_start_equity: i64,
    /// Highest equity seen.
    pub peak_equity: i64,
    /// Round trips in a row that ended with a loss.
    pub losses_in_a_row: u32,
    /// Entries on that day.
    pub entries_today: u32,
    /// A `TradingState` number.
    pub state: u8,
    /// Why: a [`crate::base::Reason`] number.
    pub reason: u16,
}

impl SharedRisk {
    /// As it is kept.
    pub fn to_text(self) -> String {
        serde_json::to_string(&self).unwrap_or_default()
    }

    /// As it was kept; `None` for a text that is none.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Takes it into what a session starts from: of every count the worse one. A day that is over
    /// is left behind; a halt and a kill stay, whoever has them.
    pub fn worsen(self, session: &mut SessionCarried) {
        if self.day > session.day {
            session.day = self.day;
            session.day_start_equity = self.day_start_equity;
            session.entries_today = self.entries_today;
        } else if self.day == session.day {
            session.day_start_equity = session.day_start_equity.max(self.day_start_equity);
            session.entries_today = session.entries_today.max(self.entries_today);
        }
        session.peak_equity = session.peak_equity.max(self.peak_equity);
        session.losses_in_a_row = session.losses_in_a_row.max(self.losses_in_a_row);
        if gravity(self.state) > gravity(session.state) {
            (session.state, session.reason) = (self.state, self.reason);
        }
    }

    /// True where a person had taken it off entries.
    pub fn is_reduced(self) -> bool {
        self.state == TradingState::Reducing as u8
    }
}

/// How much a state forbids that outlives its session.
fn gravity(state: u8) -> u8 {
    match TradingState::from_u8(state) {
        Some(TradingState::Active | TradingState::Reconciling | TradingState::Reducing) => 0,
        Some(TradingState::Halted) => 1,
        Some(TradingState::Killed) | None => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> SharedRisk {
        SharedRisk {
            epoch: 4,
            day: 20_000,
            day_start_equity: 1_000,
            peak_equity: 1_100,
            losses_in_a_row: 3,
            entries_today: 7,
            state: TradingState::Active as u8,
            reason: 0,
        }
    }

    #[test]
    fn what_is_kept_is_read_back_and_anything_else_is_none() {
        assert_eq!(SharedRisk::from_text(&shared().to_text()), Some(shared()));
        assert_eq!(SharedRisk::from_text(""), None);
        assert_eq!(SharedRisk::from_text("{\"epoch\": \"x\"}"), None);
    }

    #[test]
    fn of_two_counts_the_worse_one_is_taken_over_in_either_direction() {
        let fresh = SessionCarried {
            day: 20_000,
            day_start_equity: 900,
            peak_equity: 900,
            ..SessionCarried::default()
        };
        let mut session = fresh;
        shared().worsen(&mut session);
        let counts = (session.day_start_equity, session.peak_equity, session.losses_in_a_row);
        assert_eq!(counts, (1_000, 1_100, 3));
        let own = SessionCarried {
            day_start_equity: 2_000,
            peak_equity: 2_100,
            losses_in_a_row: 5,
            entries_today: 9,
            ..fresh
        };
        let mut session = own;
        shared().worsen(&mut session);
        assert_eq!(session, own, "ours was worse");
        let mut yesterday = SessionCarried { day: 19_999, entries_today: 50, ..own };
        shared().worsen(&mut yesterday);
        assert_eq!((yesterday.day, yesterday.entries_today), (20_000, 7));
        let mut tomorrow = SessionCarried { day: 20_001, ..fresh };
        shared().worsen(&mut tomorrow);
        assert_eq!((tomorrow.day_start_equity, tomorrow.peak_equity), (900, 1_100));
    }

    #[test]
    fn a_halt_and_a_kill_are_taken_over_and_never_lifted() {
        for (told, own, left) in [
            (TradingState::Killed, TradingState::Active, TradingState::Killed),
            (TradingState::Halted, TradingState::Active, TradingState::Halted),
            (TradingState::Active, TradingState::Halted, TradingState::Halted),
            (TradingState::Halted, TradingState::Killed, TradingState::Killed),
            (TradingState::Reducing, TradingState::Active, TradingState::Active),
        ] {
            let mut session = SessionCarried { state: own as u8, ..SessionCarried::default() };
            SharedRisk { state: told as u8, ..shared() }.worsen(&mut session);
            assert_eq!(session.state, left as u8, "{told:?} {own:?}");
        }
    }
}
