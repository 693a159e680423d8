//! How each check of the gate is made: of the order itself here, of what it adds up to in
//! `exposure`, of when it comes in `pace`.

use super::check::Check;
use super::exposure::Worst;
use super::limits::Limits;
use super::portfolio::Portfolio;
use super::senses::Sense;
use super::state::TradingState;
use super::terms::Terms;
use super::throttle::{Duplicates, Throttle};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::units::{SCALE, per_unit, per_unit_of, quotient};
use crate::base::{Nanos, OrderType, Purpose, Px, Qty, Reason};
use crate::ledger::{Ledger, Position};
use crate::policy::Wanted;

/// How far through the touch an exit may be priced, in basis points.
pub(super) const EXIT_COLLAR_BPS: i64 = 300;
/// Exits in ten seconds at least, whatever rate is set: a third of the venue's 300.
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
    pub(super) terms: &'a Terms,
    pub(super) position: &'a Position,
    /// What the order is worth, and the position with it, in the worst case.
    pub(super) worst: Worst,
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
    #[inline(always)]
    pub(super) fn ask(&self, limits: &Limits, check: Check) -> Answer {
        let wanted = self.wanted;
        match check {
            Check::MinNotional => {
                let value = self.worst.value_at(wanted.px);
                at_least(value, self.terms.facts.min_notional.0, Reason::MinNotional)
            }
            Check::OrderNotional => {
                let value = self.worst.notional()?;
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
                at_most(bps.into(), limits.collar_cumulative_bps, Reason::CumulativeCollar)
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
    #[inline(always)]
    pub(super) fn ask_without_limits(&self, check: Check) -> Answer {
        let (wanted, facts) = (self.wanted, &self.terms.facts);
        match check {
            Check::TradingState => {
                let state = i64::from(self.state as u8);
                let trip = Trip { reason: Reason::TradingState, value: state, limit: 1 };
                if self.state.allows(wanted.purpose) { Ok(Margin::Wide) } else { Err(trip) }
            }
            Check::LimitSet => yes_or(self.limits.is_some(), Reason::LimitUnset),
            Check::Allowed => yes_or(self.terms.allowed, Reason::InstrumentNotAllowed),
            Check::Watched => self.watched.map_or(Ok(Margin::Wide), Err),
            Check::TickSize => self.tick(),
            Check::LotSize => {
                let lot = facts.lot_size;
                let whole = lot.is_positive() && wanted.qty.0 % lot.0 == 0;
                let trip = Trip { reason: Reason::LotSize, value: wanted.qty.0, limit: lot.0 };
                if whole && wanted.qty.is_positive() { Ok(Margin::Wide) } else { Err(trip) }
            }
            Check::MinQty => at_least(wanted.qty.0.into(), facts.min_qty.0, Reason::MinQty),
            Check::MaxQty => at_most(wanted.qty.0.into(), self.qty_max().0, Reason::MaxQty),
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

    /// The venue's largest quantity; of an entry the lesser of that and our own, however large what
    /// is held became.
    #[inline(always)]
    pub(super) fn qty_max(&self) -> Qty {
        let own = match self.wanted.purpose.is_entry() {
            true => self.terms.qty_max,
            false => Qty::MAX,
        };
        own.min(self.terms.facts.max_qty)
    }

    fn unknown_orders(&self) -> Answer {
        let here = u32::from(self.position.unknown_orders);
        let frozen = here > 0 || self.ledger.unknown_orders() >= UNKNOWN_ORDERS_MAX;
        yes_or(!frozen, Reason::OrderOutcomeUnknown)
    }

    /// A price must be a multiple of the tick. Only a flattening may go without one.
    fn tick(&self) -> Answer {
        let (px, tick) = (self.wanted.px, self.terms.facts.tick_size);
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

    /// The price that stands for the market's.
    pub(super) fn mark(&self) -> Px {
        mark_of(self.position, self.paper)
    }

    /// Price within `bps` below `low` and above `high`. A market order is bounded by the venue.
    #[inline(always)]
    fn band(&self, low: Px, high: Px, bps: i64) -> Answer {
        if self.wanted.order_type == OrderType::Market {
            return Ok(Margin::Wide);
        }
        let px = i128::from(self.wanted.px.0) * 10_000;
        let lowest = i128::from(low.0) * i128::from(10_000 - bps);
        let highest = i128::from(high.0) * i128::from(10_000 + bps);
        let edge = if px < lowest || !low.is_positive() {
            lowest
        } else if px > highest {
            highest
        } else {
            return Ok(Margin::Wide);
        };
        let limit = cut(edge / 10_000);
        Err(Trip { reason: Reason::PriceCollar, value: self.wanted.px.0, limit })
    }
}

/// The venue's mark price, or the mid where a venue without one is allowed.
pub(super) const fn mark_of(position: &Position, paper: bool) -> Px {
    if paper { position.value_px } else { position.mark_px }
}

/// Fall from the equity peak in basis points, rounded down; without capital it is total.
pub(super) fn drawdown_bps(ledger: &Ledger) -> i128 {
    let peak = i128::from(ledger.peak_equity().0);
    let fall = peak - i128::from(ledger.equity().0);
    if peak > 0 { quotient(fall * 10_000, peak) } else { 10_000 }
}

/// `qty × px` in money units, rounded up, without a range.
#[inline(always)]
pub(super) fn value_of(qty: Qty, px: Px) -> i128 {
    // Nearly always neither is below zero: there is no sign to be taken off.
    if (qty.0 | px.0) >= 0 {
        let size = u128::from(qty.0 as u64) * u128::from(px.0 as u64);
        return per_unit_of(size + (SCALE - 1) as u128) as i128;
    }
    // Two of 64 bits have a product of 128.
    let size = u128::from(qty.0.unsigned_abs()) * u128::from(px.0.unsigned_abs());
    // Toward zero is up where it is negative. A quotient by more than two fits.
    if qty.0.is_negative() != px.0.is_negative() {
        return -(per_unit_of(size) as i128);
    }
    per_unit_of(size + (SCALE - 1) as u128) as i128
}

/// The same of a wider quantity.
pub(super) fn worth(qty: i128, px: Px) -> Result<i128, Trip> {
    if let Ok(qty) = i64::try_from(qty) {
        return Ok(value_of(Qty(qty), px));
    }
    let product = qty.checked_mul(i128::from(px.0)).ok_or(overflow())?;
    let up = if product.is_positive() { i128::from(SCALE - 1) } else { 0 };
    product.checked_add(up).map(per_unit).ok_or(overflow())
}

#[inline(always)]
pub(super) fn at_most(value: i128, limit: i64, reason: Reason) -> Answer {
    let most = i128::from(limit);
    if is_small(value, most) {
        return Ok(Margin::Wide);
    }
    if value <= most { Ok(near(passes_most_of(value, most))) } else { trip(value, limit, reason) }
}

#[inline(always)]
pub(super) fn at_least(value: i128, limit: i64, reason: Reason) -> Answer {
    let least = i128::from(limit);
    if value >= least { Ok(near(passes_most_of(least, value))) } else { trip(value, limit, reason) }
}

#[inline(always)]
pub(super) fn below(value: i128, limit: i64, reason: Reason) -> Answer {
    let most = i128::from(limit);
    if is_small(value, most) {
        return Ok(Margin::Wide);
    }
    if value < most { Ok(near(passes_most_of(value, most))) } else { trip(value, limit, reason) }
}

/// `value` is not even half of a limit, so that it is neither near nor beyond: the usual case.
const fn is_small(value: i128, limit: i128) -> bool {
    limit > 0 && value <= limit >> 1
}

/// `value` is more than four fifths of `whole`. A value of a check fits 64 bits or, being a product
/// of two such over the scale, a hundred: five times it fits 128.
const fn passes_most_of(value: i128, whole: i128) -> bool {
    // Shifted, for a product of 128 bits is looked through for an overflow in many steps.
    (value << 2) + value > whole << 2
}

const fn near(is: bool) -> Margin {
    if is { Margin::Near } else { Margin::Wide }
}

#[cold]
fn trip(value: i128, limit: i64, reason: Reason) -> Answer {
    Err(Trip { reason, value: cut(value), limit })
}

pub(super) fn yes_or(fine: bool, reason: Reason) -> Answer {
    if fine { Ok(Margin::Wide) } else { denied(reason) }
}

/// Not passed, and there is nothing to measure.
pub(super) fn denied(reason: Reason) -> Answer {
    Err(Trip { reason, value: 0, limit: 0 })
}

pub(super) fn overflow() -> Trip {
    Trip { reason: Reason::Overflow, value: i64::MAX, limit: i64::MAX }
}

pub(super) fn cut(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Money;

    const WHY: Reason = Reason::MaxPosition;

    /// The values that are near a limit, first and last, and those that trip it.
    fn near(judge: fn(i128, i64, Reason) -> Answer, limit: i64) -> (i128, i128, i128, i128) {
        let (mut near, mut tripped) = (Vec::new(), Vec::new());
        for value in -10..1_000 {
            match judge(value, limit, WHY) {
                Ok(Margin::Near) => near.push(value),
                Ok(Margin::Wide) => {}
                Err(trip) => {
                    assert_eq!((trip.reason, trip.limit), (WHY, limit));
                    assert_eq!(i128::from(trip.value), value);
                    tripped.push(value);
                }
            }
        }
        (near[0], near[near.len() - 1], tripped[0], tripped[tripped.len() - 1])
    }

    #[test]
    fn near_is_beyond_four_fifths_of_a_limit_and_the_limit_itself_is_where_it_says() {
        assert_eq!(near(at_most, 100), (81, 100, 101, 999));
        assert_eq!(near(below, 100), (81, 99, 100, 999));
        // Of a least value: the value's four fifths are less than it.
        assert_eq!(near(at_least, 100), (100, 124, -10, 99));
        // A limit of nothing: below it is less than nothing.
        assert!(at_most(0, 0, WHY) == Ok(Margin::Wide) && at_most(1, 0, WHY).is_err());
        assert!(below(0, 0, WHY).is_err() && below(-1, 0, WHY).is_ok());
        assert!(below(0, 1, WHY) == Ok(Margin::Wide) && below(1, 1, WHY).is_err());
    }

    #[test]
    fn worth_is_rounded_up_by_the_least_remainder_and_by_none() {
        let worth = |qty, px| worth(qty, Px(px)).unwrap();
        assert_eq!((worth(1, SCALE), worth(1, SCALE + 1), worth(1, 2 * SCALE)), (1, 2, 2));
        assert_eq!((worth(-1, SCALE + 1), worth(0, SCALE), worth(1, 1)), (-1, 0, 1));
        assert_eq!((worth(-1, -SCALE), worth(-1, -SCALE - 1), worth(1, -SCALE - 1)), (1, 2, -1));
    }

    #[test]
    fn worth_of_what_64_bits_do_not_hold_is_what_it_is_or_an_overflow() {
        let wide = i128::from(i64::MAX) + 1;
        for qty in [wide - 1, wide, wide + 1, -wide, -wide - 1, 3 * wide] {
            assert_eq!(worth(qty, Px(SCALE)), Ok(qty), "at one each");
        }
        // 2^63 times 2^62 is the largest power that fits; what is rounded comes on top.
        assert_eq!(worth(wide, Px(1 << 62)), Ok(((1_i128 << 125) + 99_999_999) / 100_000_000));
        // The least that is left over counts, up above zero and toward it below.
        let least = wide * i128::from(SCALE) + 1;
        assert_eq!((worth(least, Px(1)), worth(-least, Px(1))), (Ok(wide + 1), Ok(-wide)));
        assert_eq!(worth(wide * 4, Px(1 << 62)), Err(overflow()));
        assert_eq!(worth(i128::MIN, Px(2)), Err(overflow()));
    }

    #[test]
    fn without_capital_the_fall_is_total() {
        let fall = |start| drawdown_bps(&Ledger::new(0, Money(start)));
        assert_eq!((fall(0), fall(-1), fall(1), fall(100)), (10_000, 10_000, 0, 0));
    }
}
