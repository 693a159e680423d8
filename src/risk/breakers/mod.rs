//! Breakers: what acts after the fact, on what happened and not on what is asked.
//!
//! The gate shows them every event that moved the books; what they say moves the trading state.
//! Each acts on its own: a missing limit disarms one of them and none of the others.

use super::checks::{UNKNOWN_ORDERS_MAX, drawdown_reached};
use super::limits::{amount, count};
use super::state::TradingState;
use crate::base::settings::RiskSettings;
use crate::base::{Money, Reason};
use crate::ledger::Ledger;

/// Share of the policy's size that entries have while nothing lowers it, in percent.
pub(super) const FULL_SIZE: u32 = 100;

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Breakers {
    daily_loss: Option<Money>,
    drawdown_bps: Option<i64>,
    losses_in_a_row: Option<u32>,
}

impl Breakers {
    pub(super) fn new(settings: &RiskSettings) -> Self {
        Self {
            daily_loss: amount(settings.daily_loss_max),
            drawdown_bps: count(settings.drawdown_bps_max).map(i64::from),
            losses_in_a_row: count(settings.losses_in_a_row_max),
        }
    }

    /// What the books demand, if anything.
    pub(super) fn judge(&self, ledger: &Ledger) -> Option<(TradingState, Reason)> {
        let halted = |reason| Some((TradingState::Halted, reason));
        if let Some(fault) = ledger.fault() {
            halted(fault)
        } else if self.daily_loss.is_some_and(|most| ledger.day_loss() >= most) {
            halted(Reason::DailyLoss)
        } else if self.drawdown_bps.is_some_and(|most| drawdown_reached(ledger, most)) {
            halted(Reason::Drawdown)
        } else if self.losses_in_a_row.is_some_and(|most| ledger.losses_in_a_row() >= most) {
            halted(Reason::ConsecutiveLosses)
        } else if ledger.unknown_orders() >= UNKNOWN_ORDERS_MAX {
            Some((TradingState::Reconciling, Reason::OrderOutcomeUnknown))
        } else {
            None
        }
    }

    /// Share of the policy's size that an entry may have now, in percent: 0 to 100.
    pub(super) const fn size_percent(&self) -> u32 {
        FULL_SIZE
    }
}
