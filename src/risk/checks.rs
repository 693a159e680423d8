//! How each check of the gate is made.

use super::check::Check;
use super::limits::Limits;
use super::state::TradingState;
use super::throttle::{Duplicates, Throttle};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::settings::InstrumentSettings;
use crate::base::units::SCALE;
use crate::base::{Money, Nanos, OrderType, Purpose, Px, Qty, Reason, Side};
use crate::ledger::{Ledger, Position};
use crate::policy::Wanted;

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

/// All a check may look at.
pub(super) struct Question<'a> {
    pub(super) wanted: &'a Wanted,
    /// Why the watch of the venue lets no entry through.
    pub(super) watched: Option<Trip>,
    pub(super) facts: &'a InstrumentSettings,
    pub(super) allowed: bool,
    pub(super) position: &'a Position,
    pub(super) ledger: &'a Ledger,
    pub(super) limits: Option<&'a Limits>,
    pub(super) state: TradingState,
    /// The approvals that the wanted order's rate is judged by.
    pub(super) throttle: &'a Throttle,
    pub(super) duplicates: &'a Duplicates,
    pub(super) entries_today: u32,
    /// A venue's mark price is needed; else the mid serves where there is none.
    pub(super) mark_required: bool,
    /// Event time of the decision's cause.
    pub(super) decided_at: Nanos,
    /// Newest event time the gate knows.
    pub(super) now: Nanos,
}

impl Question<'_> {
    /// Makes one check.
    pub(super) fn ask(&self, check: Check) -> Result<(), Trip> {
        let wanted = self.wanted;
        let entry = wanted.purpose.is_entry();
        if !check.binds(wanted.purpose) {
            return Ok(());
        }
        let Some(limits) = self.limits else { return self.ask_without_limits(check) };
        match check {
            Check::TradingState
            | Check::LimitSet
            | Check::Allowed
            | Check::TickSize
            | Check::LotSize
            | Check::MinQty
            | Check::MaxQty
            | Check::ReduceOnly
            | Check::Watched
            | Check::Reference => self.ask_without_limits(check),
            Check::Duplicate
            | Check::Rate
            | Check::EntriesPerDay
            | Check::SelfTrade
            | Check::OpenOrders
            | Check::MarketAge
            | Check::DecisionAge => self.ask_pace(check, limits),
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
                let bps = if entry { bps } else { bps.max(EXIT_COLLAR_BPS) };
                self.band(self.position.bid, self.position.ask, bps)
            }
            Check::Position => {
                let value = self.worst_exposure()?;
                at_most(value, limits.position_notional.0, Reason::MaxPosition)
            }
            Check::GrossExposure => {
                let value = self.worst_gross()?;
                at_most(value, limits.gross_notional.0, Reason::MaxGrossExposure)
            }
            Check::Leverage => self.leverage(limits),
            Check::Capital => self.capital(limits),
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
            Check::UnknownOrders => {
                let here = u32::from(self.position.unknown_orders);
                let frozen = here > 0 || self.ledger.unknown_orders() >= UNKNOWN_ORDERS_MAX;
                yes_or(!frozen, Reason::OrderOutcomeUnknown)
            }
        }
    }

    /// The checks of how much, how often and how late.
    fn ask_pace(&self, check: Check, limits: &Limits) -> Result<(), Trip> {
        let (wanted, entry) = (self.wanted, self.wanted.purpose.is_entry());
        match check {
            Check::Duplicate => {
                let tick = self.facts.tick_size;
                let again = self.duplicates.holds(wanted, tick, limits.duplicate_window, self.now);
                yes_or(!again, Reason::DuplicateOrder)
            }
            Check::Rate => {
                // Exits have the other half of the venue's budget, so that entries cannot starve
                // them.
                let most = limits.orders_per_10s;
                let alone = entry || wanted.purpose == Purpose::Protect;
                self.rate(if alone { most } else { most.saturating_mul(2) })
            }
            Check::EntriesPerDay => {
                let next = i128::from(self.entries_today) + 1;
                at_most(next, limits.entries_per_day.into(), Reason::MaxEntriesPerDay)
            }
            Check::SelfTrade => self.self_trade(),
            Check::OpenOrders => {
                let most = if entry { limits.open_orders } else { OPEN_ORDERS_MAX };
                self.open_orders(most)
            }
            Check::MarketAge => {
                let Position { touched_at, told_at, .. } = *self.position;
                // What was held up on its way is old though it has just come.
                let told = if told_at > Nanos::ZERO { self.now - told_at } else { Nanos::ZERO };
                let age = (self.now - touched_at).max(told);
                at_most(age.0.into(), limits.market_age.0, Reason::StaleMarket)
            }
            Check::DecisionAge => {
                let age = self.now - self.decided_at;
                at_most(age.0.into(), limits.decision_age.0, Reason::DecisionLate)
            }
            _ => Ok(()),
        }
    }

    /// The checks that need no configured limit: all that stands between an exit and the wire where
    /// limits are missing. Entries do not get past `LimitSet`.
    fn ask_without_limits(&self, check: Check) -> Result<(), Trip> {
        let (wanted, facts) = (self.wanted, self.facts);
        match check {
            Check::TradingState => {
                let state = i64::from(self.state as u8);
                let trip = Trip { reason: Reason::TradingState, value: state, limit: 1 };
                if self.state.allows(wanted.purpose) { Ok(()) } else { Err(trip) }
            }
            Check::LimitSet => yes_or(self.limits.is_some(), Reason::LimitUnset),
            Check::Allowed => yes_or(self.allowed, Reason::InstrumentNotAllowed),
            Check::Watched => self.watched.map_or(Ok(()), Err),
            Check::TickSize => self.tick(),
            Check::LotSize => {
                let lot = facts.lot_size;
                let whole = lot.is_positive() && wanted.qty.0 % lot.0 == 0;
                let trip = Trip { reason: Reason::LotSize, value: wanted.qty.0, limit: lot.0 };
                if whole && wanted.qty.is_positive() { Ok(()) } else { Err(trip) }
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
            _ => Ok(()),
        }
    }

    /// A price must be a multiple of the tick. Only a flattening may go without one.
    fn tick(&self) -> Result<(), Trip> {
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
        if lawful { Ok(()) } else { Err(trip) }
    }

    fn reduce_only(&self) -> Result<(), Trip> {
        if self.wanted.purpose.is_entry() {
            return Ok(());
        }
        let held = self.position.qty;
        let shrinks = held.0.signum() == -self.wanted.side.sign();
        let most = if shrinks { held.0.saturating_abs() } else { 0 };
        at_most(self.wanted.qty.0.into(), most, Reason::ReduceOnlyWouldIncrease)
    }

    /// The venue's mark price, or the mid where a venue without one is allowed.
    fn mark(&self) -> Px {
        if self.mark_required { self.position.mark_px } else { self.position.value_px }
    }

    /// Worst of limit price, mark price and opposite touch.
    fn worst_px(&self) -> Px {
        self.wanted.px.max(self.mark()).max(self.position.ask)
    }

    pub(super) fn worst_notional(&self) -> Result<Money, Trip> {
        let value = value_of(self.wanted.qty, self.worst_px())?;
        i64::try_from(value).map(Money).map_err(|_| overflow())
    }

    /// Worst-case value of the instrument's position with this order.
    fn worst_exposure(&self) -> Result<i128, Trip> {
        let (buy, sell) = match self.wanted.side {
            Side::Buy => (self.wanted.qty, Qty::ZERO),
            Side::Sell => (Qty::ZERO, self.wanted.qty),
        };
        let qty = self.position.worst_qty(buy, sell);
        // Rounded up: a limit is never passed by a fraction.
        let product = qty.checked_mul(i128::from(self.worst_px().0)).ok_or(overflow())?;
        Ok((product + i128::from(SCALE) - 1) / i128::from(SCALE))
    }

    fn worst_gross(&self) -> Result<i128, Trip> {
        let others =
            i128::from(self.ledger.gross_exposure().0) - i128::from(self.position.exposure.0);
        Ok(others + self.worst_exposure()?)
    }

    fn leverage(&self, limits: &Limits) -> Result<(), Trip> {
        let gross = self.worst_gross()?.checked_mul(100).ok_or(overflow())?;
        let equity = i128::from(self.ledger.equity().0);
        let most = equity * i128::from(limits.leverage_percent);
        if equity > 0 && gross <= most {
            return Ok(());
        }
        let percent = if equity > 0 { cut((gross + equity - 1) / equity) } else { i64::MAX };
        Err(Trip { reason: Reason::MaxLeverage, value: percent, limit: limits.leverage_percent })
    }

    /// Margin in use at the highest allowed leverage, and what was lost today, within the capital
    /// the session started with: a bound that a wrong reading of the equity cannot move.
    fn capital(&self, limits: &Limits) -> Result<(), Trip> {
        let gross = self.worst_gross()?.checked_mul(100).ok_or(overflow())?;
        let leverage = i128::from(limits.leverage_percent);
        let margin = (gross + leverage - 1) / leverage;
        let used = margin + i128::from(self.ledger.day_loss().0);
        let capital = self.ledger.starting_equity().0.max(0);
        at_most(used, capital, Reason::MaxCapital)
    }

    /// Price within `bps` below `low` and above `high`. A market order is bounded by the venue.
    fn band(&self, low: Px, high: Px, bps: i64) -> Result<(), Trip> {
        if self.wanted.order_type == OrderType::Market {
            return Ok(());
        }
        let px = i128::from(self.wanted.px.0) * 10_000;
        let lowest = i128::from(low.0) * i128::from(10_000 - bps);
        let highest = i128::from(high.0) * i128::from(10_000 + bps);
        if low.is_positive() && px >= lowest && px <= highest {
            return Ok(());
        }
        let edge = if px < lowest { lowest } else { highest };
        let limit = cut(edge / 10_000);
        Err(Trip { reason: Reason::PriceCollar, value: self.wanted.px.0, limit })
    }

    fn rate(&self, most: usize) -> Result<(), Trip> {
        let most_shown = i64::try_from(most).unwrap_or(i64::MAX);
        let trip = Trip { reason: Reason::OrderRate, value: most_shown, limit: most_shown };
        if self.throttle.reached(most, self.now) { Err(trip) } else { Ok(()) }
    }

    /// Stops are bounded by the table alone, and take no place of the others' bound.
    fn open_orders(&self, most: usize) -> Result<(), Trip> {
        let stop = self.wanted.purpose == Purpose::Protect;
        let held = if stop { self.ledger.orders().len() } else { self.ledger.trading_orders() };
        let next = held as i128 + 1;
        let most = i64::try_from(most.min(OPEN_ORDERS_MAX)).unwrap_or(i64::MAX);
        at_most(next, most, Reason::MaxOpenOrders)
    }

    fn self_trade(&self) -> Result<(), Trip> {
        if self.position.open_orders == 0 {
            return Ok(());
        }
        let wanted = self.wanted;
        let mut ours = self.ledger.orders().iter().filter(|order| {
            order.instrument == wanted.instrument
                && order.side == wanted.side.opposite()
                && !order.protects()
        });
        let met = ours.find(|order| match wanted.side {
            Side::Buy => order.px <= wanted.px,
            Side::Sell => order.px >= wanted.px || order.px == Px::ZERO,
        });
        let Some(order) = met else { return Ok(()) };
        Err(Trip { reason: Reason::SelfTrade, value: wanted.px.0, limit: order.px.0 })
    }
}

/// Fall from the equity peak in basis points, rounded down; without capital it is total.
pub(super) fn drawdown_bps(ledger: &Ledger) -> i128 {
    let peak = i128::from(ledger.peak_equity().0);
    let fall = peak - i128::from(ledger.equity().0);
    if peak > 0 { fall * 10_000 / peak } else { 10_000 }
}

/// `qty × px` in money units, rounded up, without a range.
fn value_of(qty: Qty, px: Px) -> Result<i128, Trip> {
    let product = i128::from(qty.0).checked_mul(i128::from(px.0)).ok_or(overflow())?;
    Ok((product + i128::from(SCALE) - 1) / i128::from(SCALE))
}

fn at_most(value: i128, limit: i64, reason: Reason) -> Result<(), Trip> {
    if value <= i128::from(limit) { Ok(()) } else { Err(Trip { reason, value: cut(value), limit }) }
}

fn at_least(value: i128, limit: i64, reason: Reason) -> Result<(), Trip> {
    if value >= i128::from(limit) { Ok(()) } else { Err(Trip { reason, value: cut(value), limit }) }
}

fn below(value: i128, limit: i64, reason: Reason) -> Result<(), Trip> {
    if value < i128::from(limit) { Ok(()) } else { Err(Trip { reason, value: cut(value), limit }) }
}

fn yes_or(fine: bool, reason: Reason) -> Result<(), Trip> {
    if fine { Ok(()) } else { Err(Trip { reason, value: 0, limit: 0 }) }
}

fn overflow() -> Trip {
    Trip { reason: Reason::Overflow, value: i64::MAX, limit: i64::MAX }
}

fn cut(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value > 0 { i64::MAX } else { i64::MIN })
}
