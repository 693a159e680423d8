//! How each check of the gate is made: of the order itself here, of what it adds up to in
//! `exposure`, of when it comes in `pace`.

use super::check::Check;
use super::limits::Limits;
use super::portfolio::Portfolio;
use super::senses::Sense;
use super::state::TradingState;
use super::throttle::{Duplicates, Throttle};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::settings::InstrumentSettings;
use crate::base::units::SCALE;
use crate::base::{Money, Nanos, OrderType, Purpose, Px, Qty, Reason};
use crate::ledger::{Ledger, Position};
use crate::policy::Wanted;
use std::cell::OnceCell;

/// How far through the touch an exit may be priced, in basis points.
pub(super) const EXIT_COLLAR_BPS: i64 = 300;
/// Exits in ten seconds where no rate is set: a third of the venue's 300.
pub(super) const EXITS_PER_10S: usize = 100;
/// Orders of unknown outcome that freeze the whole account.
pub(super) const UNKNOWN_ORDERS_MAX: u32 = 3;

/// A check that was not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) reason: Reason,
    /// What was asked, in the check's unit, cut to 64 bits.
    pub(super) value: i64,
    /// What is allowed, in the check's unit.
    pub(super) limit: i64,
}

/// How a check was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Margin {
    /// With room to spare, or there is nothing to measure.
    Wide,
    /// Beyond four fifths of the limit (RC-43).
    Near,
}

/// What a check says.
pub(super) type Answer = Result<Margin, Trip>;

/// All a check may look at.
pub(super) struct Question<'a> {
    pub(super) wanted: &'a Wanted,
    /// Why the watch of the venue lets no entry through.
    pub(super) watched: Option<Trip>,
    pub(super) facts: &'a InstrumentSettings,
    pub(super) allowed: bool,
    pub(super) position: &'a Position,
    /// Worst-case value of the position with the order, once a check has wanted it.
    pub(super) exposure: OnceCell<Result<i128, Trip>>,
    pub(super) ledger: &'a Ledger,
    pub(super) limits: Option<&'a Limits>,
    pub(super) state: TradingState,
    pub(super) sense: &'a Sense,
    /// Good ticks that the market still owes after a silence.
    pub(super) to_recover: u32,
    pub(super) portfolio: &'a Portfolio,
    /// The approvals that the wanted order's rate is judged by.
    pub(super) throttle: &'a Throttle,
    pub(super) duplicates: &'a Duplicates,
    pub(super) entries_today: u32,
    /// Simulated fills: our books are the account, and the mid serves where there is no mark price.
    pub(super) paper: bool,
    /// Place in the river of the decision's cause.
    pub(super) seq: u64,
    /// Event time of the decision's cause.
    pub(super) decided_at: Nanos,
    /// How long that was on its way from the venue.
    pub(super) lag: Nanos,
    /// Newest event time the gate knows.
    pub(super) now: Nanos,
}

impl Question<'_> {
    /// Makes one check.
    pub(super) fn ask(&self, check: Check) -> Answer {
        let wanted = self.wanted;
        if !check.binds(wanted.purpose) {
            return Ok(Margin::Wide);
        }
        let Some(limits) = self.limits else { return self.ask_without_limits(check) };
        match check {
            Check::MinNotional => {
                let value = value_of(wanted.qty, wanted.px)?;
                at_least(value, self.facts.min_notional.0, Reason::MinNotional)
            }
            Check::OrderNotional => {
                let value = self.worst_notional()?;
                at_most(value.0.into(), limits.order_notional.0, Reason::MaxOrderNotional)
            }
            Check::CollarMark => self.band(self.mark(), self.mark(), limits.collar_mark_bps),
            Check::CollarTouch => {
                let bps = limits.collar_touch_bps;
                let bps = if wanted.purpose.is_entry() { bps } else { bps.max(EXIT_COLLAR_BPS) };
                self.band(self.position.bid, self.position.ask, bps)
            }
            Check::CollarCumulative => {
                let bps = self.sense.slippage_bps();
                at_most(bps, limits.collar_cumulative_bps, Reason::CumulativeCollar)
            }
            Check::DailyLoss => {
                let loss = self.ledger.day_loss();
                below(loss.0.into(), limits.daily_loss.0, Reason::DailyLoss)
            }
            Check::Drawdown => {
                below(drawdown_bps(self.ledger), limits.drawdown_bps, Reason::Drawdown)
            }
            Check::ConsecutiveLosses => {
                let losses = self.ledger.losses_in_a_row();
                below(losses.into(), limits.losses_in_a_row.into(), Reason::ConsecutiveLosses)
            }
            Check::UnknownOrders => self.unknown_orders(),
            Check::Position
            | Check::SymbolBudget
            | Check::GrossExposure
            | Check::NetExposure
            | Check::Correlated
            | Check::Positions
            | Check::Leverage
            | Check::Liquidation
            | Check::Capital => self.ask_exposure(check, limits),
            Check::DecisionOnce
            | Check::Duplicate
            | Check::Identical
            | Check::Rate
            | Check::EntriesPerDay
            | Check::SelfTrade
            | Check::OpenOrders
            | Check::MarketAge
            | Check::MarketRecovering
            | Check::ModelOutput
            | Check::DecisionAge => self.ask_pace(check, limits),
            Check::TradingState
            | Check::Watched
            | Check::LimitSet
            | Check::Allowed
            | Check::TickSize
            | Check::LotSize
            | Check::MinQty
            | Check::MaxQty
            | Check::ReduceOnly
            | Check::Reference => self.ask_without_limits(check),
        }
    }

    /// The checks that need no configured limit: all that stands between an exit and the wire where
    /// limits are missing. Entries do not get past `LimitSet`.
    fn ask_without_limits(&self, check: Check) -> Answer {
        let (wanted, facts) = (self.wanted, self.facts);
        match check {
            Check::TradingState => {
                let state = i64::from(self.state as u8);
                let trip = Trip { reason: Reason::TradingState, value: state, limit: 1 };
                if self.state.allows(wanted.purpose) { Ok(Margin::Wide) } else { Err(trip) }
            }
            Check::LimitSet => yes_or(self.limits.is_some(), Reason::LimitUnset),
            Check::Allowed => yes_or(self.allowed, Reason::InstrumentNotAllowed),
            Check::Watched => self.watched.map_or(Ok(Margin::Wide), Err),
            Check::TickSize => self.tick(),
            Check::LotSize => {
                let lot = facts.lot_size;
                let whole = lot.is_positive() && wanted.qty.0 % lot.0 == 0;
                let trip = Trip { reason: Reason::LotSize, value: wanted.qty.0, limit: lot.0 };
                if whole && wanted.qty.is_positive() { Ok(Margin::Wide) } else { Err(trip) }
            }
            Check::MinQty => at_least(wanted.qty.0.into(), facts.min_qty.0, Reason::MinQty),
            Check::MaxQty => at_most(wanted.qty.0.into(), facts.max_qty.0, Reason::MaxQty),
            Check::ReduceOnly => self.reduce_only(),
            Check::Reference => {
                let touch = self.position.has_touch();
                let mark = self.mark().is_positive() || !wanted.purpose.is_entry();
                // The last step of a flattening goes at any price, and without one.
                let at_any_price =
                    wanted.order_type == OrderType::Market && wanted.purpose == Purpose::Flatten;
                yes_or(touch && mark || at_any_price, Reason::NoReferencePrice)
            }
            Check::CollarTouch => self.band(self.position.bid, self.position.ask, EXIT_COLLAR_BPS),
            Check::Rate => self.rate(EXITS_PER_10S),
            Check::OpenOrders => self.open_orders(OPEN_ORDERS_MAX),
            _ => Ok(Margin::Wide),
        }
    }

    fn unknown_orders(&self) -> Answer {
        let here = u32::from(self.position.unknown_orders);
        let frozen = here > 0 || self.ledger.unknown_orders() >= UNKNOWN_ORDERS_MAX;
        yes_or(!frozen, Reason::OrderOutcomeUnknown)
    }

    /// A price must be a multiple of the tick. Only a flattening may go without one.
    fn tick(&self) -> Answer {
        let (px, tick) = (self.wanted.px, self.facts.tick_size);
        let trip = Trip { reason: Reason::TickSize, value: px.0, limit: tick.0 };
        let lawful = match self.wanted.order_type {
            OrderType::Market => px == Px::ZERO && self.wanted.purpose == Purpose::Flatten,
            OrderType::Limit => px.is_positive() && tick.is_positive() && px.0 % tick.0 == 0,
            OrderType::StopMarket => {
                let protects = self.wanted.purpose == Purpose::Protect;
                protects && px.is_positive() && tick.is_positive() && px.0 % tick.0 == 0
            }
        };
        if lawful { Ok(Margin::Wide) } else { Err(trip) }
    }

    fn reduce_only(&self) -> Answer {
        if self.wanted.purpose.is_entry() {
            return Ok(Margin::Wide);
        }
        let held = self.position.qty;
        let shrinks = held.0.signum() == -self.wanted.side.sign();
        let most = if shrinks { held.0.saturating_abs() } else { 0 };
        at_most(self.wanted.qty.0.into(), most, Reason::ReduceOnlyWouldIncrease)
    }

    /// The venue's mark price, or the mid where a venue without one is allowed.
    pub(super) fn mark(&self) -> Px {
        if self.paper { self.position.value_px } else { self.position.mark_px }
    }

    /// Price within `bps` below `low` and above `high`. A market order is bounded by the venue.
    fn band(&self, low: Px, high: Px, bps: i64) -> Answer {
        if self.wanted.order_type == OrderType::Market {
            return Ok(Margin::Wide);
        }
        let px = i128::from(self.wanted.px.0) * 10_000;
        let lowest = i128::from(low.0) * i128::from(10_000 - bps);
        let highest = i128::from(high.0) * i128::from(10_000 + bps);
        if low.is_positive() && px >= lowest && px <= highest {
            return Ok(Margin::Wide);
        }
        let edge = if px < lowest { lowest } else { highest };
        let limit = cut(edge / 10_000);
        Err(Trip { reason: Reason::PriceCollar, value: self.wanted.px.0, limit })
    }
}

/// Fall from the equity peak in basis points, rounded down; without capital it is total.
pub(super) fn drawdown_bps(ledger: &Ledger) -> i128 {
    let peak = i128::from(ledger.peak_equity().0);
    let fall = peak - i128::from(ledger.equity().0);
    if peak > 0 { fall * 10_000 / peak } else { 10_000 }
}

/// `qty × px` in money units, rounded up, without a range.
pub(super) fn value_of(qty: Qty, px: Px) -> Result<i128, Trip> {
    worth(i128::from(qty.0), px)
}

/// The same of a wider quantity.
pub(super) fn worth(qty: i128, px: Px) -> Result<i128, Trip> {
    let product = qty.checked_mul(i128::from(px.0)).ok_or(overflow())?;
    Ok((product + i128::from(SCALE) - 1).div_euclid(i128::from(SCALE)))
}

pub(super) fn at_most(value: i128, limit: i64, reason: Reason) -> Answer {
    let most = i128::from(limit);
    if value <= most { Ok(near(value * 5 > most * 4)) } else { trip(value, limit, reason) }
}

pub(super) fn at_least(value: i128, limit: i64, reason: Reason) -> Answer {
    let least = i128::from(limit);
    if value >= least { Ok(near(value * 4 < least * 5)) } else { trip(value, limit, reason) }
}

fn below(value: i128, limit: i64, reason: Reason) -> Answer {
    let most = i128::from(limit);
    if value < most { Ok(near(value * 5 > most * 4)) } else { trip(value, limit, reason) }
}

const fn near(is: bool) -> Margin {
    if is { Margin::Near } else { Margin::Wide }
}

fn trip(value: i128, limit: i64, reason: Reason) -> Answer {
    Err(Trip { reason, value: cut(value), limit })
}

pub(super) fn yes_or(fine: bool, reason: Reason) -> Answer {
    if fine { Ok(Margin::Wide) } else { Err(Trip { reason, value: 0, limit: 0 }) }
}

pub(super) fn overflow() -> Trip {
    Trip { reason: Reason::Overflow, value: i64::MAX, limit: i64::MAX }
}

pub(super) fn cut(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value > 0 { i64::MAX } else { i64::MIN })
}

impl Question<'_> {
    /// Worst of limit price, mark price and opposite touch.
    pub(super) fn worst_px(&self) -> Px {
        self.wanted.px.max(self.mark()).max(self.position.ask)
    }

    pub(super) fn worst_notional(&self) -> Result<Money, Trip> {
        let value = value_of(self.wanted.qty, self.worst_px())?;
        i64::try_from(value).map(Money).map_err(|_| overflow())
    }
}
