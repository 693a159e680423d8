//! Breakers: what acts after the fact, on what happened and not on what is asked.
//!
//! The gate shows them every event; what they say moves the trading state. Each acts on its own: a
//! missing limit disarms one of them and none of the others.
//!
//! | file | holds |
//! |---|---|
//! | `ladder` | levels with hysteresis and cool-down |
//! | `board` | every control's level, counts and records |
//! | `rungs` | the settings as ladders |
//! | `loss` | RC-22 to RC-24: money |
//! | `fills` | RC-25: fills against their decisions |
//! | `balance` | RC-26: orders in and out, a second time |
//! | `seal` | the whole state twice |
//! | `rejects` | RC-28: refusals by class |
//! | `staleness` | RC-15: age of market data |
//! | `market` | RC-39: spread, range, jump |
//! | `latency` | RC-40, RC-41: answers, and what is measured |
//! | `outputs` | RC-16: answers that are no numbers |
//! | `restart` | the way back from a halt |

mod balance;
mod board;
mod fills;
mod ladder;
mod latency;
mod loss;
mod market;
mod outputs;
mod rejects;
mod restart;
mod rungs;
mod seal;
mod staleness;
#[cfg(test)]
mod tests;

pub use seal::GateCounts;

use super::checks::UNKNOWN_ORDERS_MAX;
use crate::base::counters::ControlRow;
use crate::base::event::{SessionCarried, SizeChange};
use crate::base::settings::{BreakerSettings, RiskSettings};
use crate::base::{Control, Event, InstrumentId, Kind, Level, Nanos, Reason, SymbolState};
use crate::ledger::{Ledger, LedgerChange};
use balance::{Balance, Heard};
use board::Board;
use latency::Latency;
use market::Markets;
use outputs::Outputs;
use rejects::Rejects;
use restart::Restart;
use staleness::Staleness;

/// A control's levels with the value from which each holds, lowest first: for those who show it.
pub fn levels_of(
    control: Control,
    settings: &BreakerSettings,
    risk: &RiskSettings,
) -> Vec<(Level, i64)> {
    let (rungs, _) = rungs::rungs_of(control, settings, risk);
    rungs.each().map(|rung| (rung.level, rung.trip)).collect()
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Breakers {
    board: Board,
    settings: BreakerSettings,
    balance: Balance,
    rejects: Rejects,
    staleness: Staleness,
    markets: Markets,
    latency: Latency,
    outputs: Outputs,
    restart: Restart,
    /// Fingerprint of the limits at the start.
    limits: u64,
    /// The limits that the caller keeps, at the start.
    outer_limits: u64,
    losses_percent: u32,
    size_changed: bool,
    second: i64,
}

impl Breakers {
    /// For instruments that may be traded or not, in table order. `outer_limits` is the print of
    /// the limits the gate keeps. The only allocations.
    pub(super) fn new(
        settings: &BreakerSettings,
        risk: &RiskSettings,
        allowed: &[bool],
        outer_limits: u64,
    ) -> Self {
        let count = allowed.len();
        let cool_down = Nanos::from_secs(i64::from(settings.cool_down_s));
        let board = Board::new(count, cool_down, |c| rungs::rungs_of(c, settings, risk));
        let s = settings;
        Self {
            limits: board.limits_hash(),
            outer_limits,
            board,
            settings: *settings,
            balance: Balance::new(count),
            rejects: Rejects::new(s.rejects_window),
            staleness: Staleness::new(allowed, s),
            markets: Markets::new(allowed, s.jump_bar_s),
            latency: Latency::new(),
            outputs: Outputs::default(),
            restart: Restart::new(settings),
            losses_percent: 100,
            size_changed: false,
            second: i64::MIN,
        }
    }

    /// Takes an event in that the ledger has taken in; `gate` and `outer_limits` are what the gate
    /// counts and the fingerprint of its limits, as they are now.
    pub(super) fn observe(
        &mut self,
        event: &Event,
        change: LedgerChange,
        ledger: &Ledger,
        gate: GateCounts,
        outer_limits: u64,
    ) {
        let now = event.now();
        match event.kind() {
            Some(Kind::BookTicker) => {
                let instrument = event.instrument();
                if let Some(position) = ledger.position(instrument) {
                    self.staleness.on_tick(&mut self.board, instrument, position, now);
                    self.markets.on_touch(&mut self.board, event, position);
                }
            }
            // Its quote has come before, and is no tick.
            Some(Kind::Prediction) => self.markets.on_prediction(&mut self.board, event),
            Some(Kind::NoDecision) => self.outputs.on_no_decision(&mut self.board, event),
            Some(Kind::Measured) => self.latency.on_measured(&mut self.board, event),
            Some(Kind::MarkPrice) => self.judge_money(ledger, now),
            Some(Kind::Timer) => self.on_timer(ledger, gate, outer_limits, now),
            Some(Kind::SymbolChange) => self.on_symbol_change(event),
            _ => self.on_books(event, change, ledger),
        }
        // A price alone can lead the books out of their range.
        if ledger.fault().is_some() {
            self.judge_fault(ledger, now);
        }
    }

    /// What the market of an instrument that falls asleep did is nobody's concern any more; one
    /// that is awake again begins anew.
    fn on_symbol_change(&mut self, event: &Event) {
        let instrument = event.instrument();
        match event.symbol_state() {
            Some(SymbolState::Asleep) => {
                self.staleness.forget(instrument, true);
                self.markets.forget(instrument);
                for control in [Control::Staleness, Control::Spread, Control::Range, Control::Jump]
                {
                    self.board.clear_at(control, instrument, event.now());
                }
            }
            Some(SymbolState::Awake) => self.staleness.forget(instrument, false),
            Some(SymbolState::Leaving) | None => {}
        }
    }

    /// Something that may have changed the books.
    fn on_books(&mut self, event: &Event, change: LedgerChange, ledger: &Ledger) {
        let now = event.now();
        match event.kind() {
            Some(
                Kind::OrderAccepted
                | Kind::OrderFilled
                | Kind::OrderCancelled
                | Kind::OrderRejected
                | Kind::OrderExpired
                | Kind::OrderUnknown,
            ) => self.on_report(event, change),
            Some(Kind::FundingPayment) if matches!(change, LedgerChange::Funding(_)) => {
                self.balance.on_funding(event);
            }
            Some(Kind::OrderCarried | Kind::PositionCarried | Kind::SessionCarried) => {
                self.balance.on_carried(event);
            }
            _ if change == LedgerChange::None => return,
            _ => {}
        }
        if let LedgerChange::Fill(booked) = change
            && let Some(result) = booked.closed
        {
            self.size_changed |= self.restart.on_round_trip(result.0 < 0, now);
        }
        self.judge_fault(ledger, now);
        let unknown = i64::from(ledger.unknown_orders());
        self.board.judge(Control::UnknownOrders, unknown, now);
        let unbalanced = i64::from(!self.balance.holds(ledger));
        self.board.judge(Control::OrderBalance, unbalanced, now);
        self.judge_money(ledger, now);
    }

    fn on_report(&mut self, event: &Event, change: LedgerChange) {
        let now = event.now();
        let Heard { order, first } = self.balance.on_report(event, change);
        if let (true, Some(order)) = (first, order) {
            self.latency.on_answer(order.sent_at, now);
            self.rejects.on_report(event, &mut self.board);
        }
        if event.kind() == Some(Kind::OrderFilled) && change != LedgerChange::Duplicate {
            fills::judge(&mut self.board, event, order.as_ref());
        }
    }

    fn judge_fault(&mut self, ledger: &Ledger, now: Nanos) {
        let fault = ledger.fault();
        let reason = fault.unwrap_or(Reason::InvariantBroken);
        let found = i64::from(fault.is_some());
        self.board.judge_for(Control::LedgerFault, reason, found, now);
    }

    fn judge_money(&mut self, ledger: &Ledger, now: Nanos) {
        loss::judge(&mut self.board, ledger, now);
        let (half, quarter) = (self.settings.losses_half, self.settings.losses_quarter);
        let percent = loss::size_percent(ledger.losses_in_a_row(), half, quarter);
        self.size_changed |= percent != self.losses_percent;
        self.losses_percent = percent;
    }

    fn on_timer(&mut self, ledger: &Ledger, gate: GateCounts, outer_limits: u64, now: Nanos) {
        self.staleness.on_time(&mut self.board, ledger, now);
        self.outputs.on_time(&mut self.board, now);
        self.board.calm(Control::Slippage, now);
        self.board.calm(Control::InvalidOutputs, now);
        self.size_changed |= self.restart.on_time(now);
        self.judge_money(ledger, now);
        let second = now.0.div_euclid(Nanos::from_secs(1).0);
        if second == self.second {
            return;
        }
        self.second = second;
        self.balance.on_time(now);
        self.latency.on_second(&mut self.board, now);
        self.rejects.judge(&mut self.board, now);
        let unbalanced = i64::from(!self.balance.holds(ledger));
        self.board.judge(Control::OrderBalance, unbalanced, now);
        let limits = self.board.limits_hash() == self.limits && outer_limits == self.outer_limits;
        let sound = limits && seal::holds(&self.balance, ledger, gate);
        self.board.judge(Control::StateSeal, i64::from(!sound), now);
    }

    /// A person armed: the day's entries count from none again.
    pub(super) fn on_entries_reset(&mut self) {
        self.balance.on_entries_reset();
    }

    /// Something is wanted of the gate.
    pub(super) fn on_intent(&mut self, now: Nanos) {
        self.balance.on_time(now);
        self.balance.on_intent();
    }

    /// The gate approved an order.
    #[inline(always)]
    pub(super) fn on_approved(&mut self, event: &Event) {
        self.balance.on_approved(event);
    }

    /// Goes on where an earlier session was.
    pub(super) fn on_carried(&mut self, carried: &SessionCarried) {
        self.restart.carry(carried);
        self.size_changed |= self.restart.percent() < 100;
    }

    /// An operator armed: what repeats is counted from none again, and after a halt entries begin
    /// small. The ledger's losses were forgotten before.
    pub(super) fn on_armed(&mut self, after_halt: bool, ledger: &Ledger, now: Nanos) {
        self.rejects.forget();
        self.rejects.judge(&mut self.board, now);
        self.board.calm(Control::Fee, now);
        if after_halt {
            self.restart.begin(now);
            self.size_changed = true;
        }
        self.judge_money(ledger, now);
    }

    /// The level demanded, and why.
    pub(super) const fn demand(&self) -> (Level, Reason) {
        self.board.demand()
    }

    /// True when so many orders are of unknown outcome that the account must be reconciled.
    pub(super) fn must_reconcile(ledger: &Ledger) -> bool {
        ledger.unknown_orders() >= UNKNOWN_ORDERS_MAX
    }

    /// RC-15: good ticks that an instrument's market still owes before an entry.
    pub(super) fn to_recover(&self, instrument: InstrumentId) -> u32 {
        self.staleness.to_recover(instrument)
    }

    /// True when the day's loss demands that every position is left.
    pub(super) fn wants_flat(&self) -> bool {
        self.board.level(Control::DayLoss) == Level::Kill
    }

    /// True while there is something to record or to do.
    pub(super) fn is_stirred(&self) -> bool {
        self.board.has_changes() || self.size_changed || self.board.demand().0 >= Level::Reduce
    }

    /// The next record of a level or size that changed.
    pub(super) fn take_record(&mut self, cause: &Event) -> Option<Event> {
        if let Some(record) = self.board.take_change(cause) {
            return Some(record);
        }
        if !std::mem::take(&mut self.size_changed) {
            return None;
        }
        let body = SizeChange {
            percent: self.size_percent(),
            losses_percent: self.losses_percent,
            restart_percent: self.restart.recorded(),
            restart_trips: self.restart.trips,
            ts_restart: self.restart.since.0,
            ..SizeChange::default()
        };
        Some(Event::caused_by(cause, Kind::SizeChange, InstrumentId::NONE, &body))
    }

    /// Share of the policy's size that an entry may have now, in percent: 0 to 100.
    pub(super) fn size_percent(&self) -> u32 {
        self.losses_percent.min(self.restart.percent())
    }

    /// Counts of a control.
    pub(super) fn count(&self, control: Control) -> ControlRow {
        self.board.count(control)
    }

    /// Level of a control.
    pub(super) fn level(&self, control: Control) -> Level {
        self.board.level(control)
    }
}
