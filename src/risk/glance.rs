//! Every check of an entry at a glance: in 64 bits, and hardly a branch.
//!
//! ```text
//!  entry ─► glance ─┬─ passes for certain ─► approved, with the checks it passed narrowly
//!                   └─ anything else ──────► the checks one by one, in their order (`checks`),
//!                                            and what those say is so
//! ```
//! Nothing is denied here: what a glance cannot tell, for an amount is beyond its range or a
//! quotient anywhere near its limit, is looked at closer. Where it does tell, it tells what the
//! checks one by one would: in tests both are asked of every entry that passes.

use super::check::Check;
use super::checks::{Question, UNKNOWN_ORDERS_MAX};
use super::limits::Limits;
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{Money, OrderType, Purpose, Px};

/// Amounts and quantities have no more bits: 360 million in units of 1e-8. A hundred times the sum
/// of two such fits 64 bits.
const AMOUNT_BITS: u32 = 55;
/// Prices have no more bits: 2.8 million.
const PX_BITS: u32 = 48;
/// Widths of collars, in basis points, have no more bits: with a price they fit 64.
const BPS_BITS: u32 = 14;

/// An entry that passes every check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    /// A bit for each check that it passes narrowly.
    pub(super) near: u64,
    /// What it is worth in the worst case.
    pub(super) notional: Money,
}

/// What was seen so far.
#[derive(Clone, Copy, Debug)]
struct Seen {
    passes: bool,
    /// The checks passed narrowly, turned so that the bit of the last one is the lowest: what is
    /// seen of the next is added there, as a carry.
    turned: u64,
    /// The last check that may be passed narrowly.
    last: u32,
}

impl Seen {
    const NOTHING: Self = Self { passes: true, turned: 0, last: 0 };

    #[inline(always)]
    fn yes(&mut self, passes: bool) {
        self.passes &= passes;
    }

    /// `None` once something does not pass: there is nothing more to be seen, and nothing of it has
    /// to be kept.
    #[inline(always)]
    fn go_on(&self) -> Option<()> {
        self.passes.then_some(())
    }

    /// Of a check, once.
    #[inline(always)]
    fn near(&mut self, check: Check, near: bool) {
        let check = check as u32;
        self.turned =
            self.turned.rotate_right(check.wrapping_sub(self.last)).wrapping_add(u64::from(near));
        self.last = check;
    }

    /// A bit for each check that is passed narrowly.
    #[inline(always)]
    fn all_near(&self) -> u64 {
        self.turned.rotate_left(self.last)
    }

    /// A value that may be up to its limit; beyond `ample` it is near.
    #[inline(always)]
    fn most(&mut self, check: Check, value: i64, limit: i64, ample: i64) {
        self.passes &= value <= limit;
        self.near(check, is_above(value, ample));
    }

    /// The same of a value that has to stay below its limit.
    #[inline(always)]
    fn less(&mut self, check: Check, value: i64, limit: i64, ample: i64) {
        self.passes &= value < limit;
        self.near(check, is_above(value, ample));
    }

    /// A value that has to be at least its limit; near while the limit is beyond its four fifths.
    /// Both of them fit [`AMOUNT_BITS`] where it passes, so that nothing wraps around.
    #[inline(always)]
    fn least(&mut self, check: Check, value: i64, limit: i64) {
        self.passes &= value >= limit;
        self.near(check, is_above(limit.wrapping_mul(5), value.wrapping_mul(4)));
    }

    /// A value within [`AMOUNT_BITS`] that may be up to a limit whose four fifths are not kept.
    #[inline(always)]
    fn most_of_any(&mut self, check: Check, value: i64, limit: i64) {
        // Of more than twice what values come to all are far from it.
        let limit = limit.min(1 << (AMOUNT_BITS + 1));
        self.passes &= value <= limit;
        self.near(check, is_above(value * 5, limit.wrapping_mul(4)));
    }
}

/// True when one is above the other, neither of which is below zero.
#[inline(always)]
const fn is_above(one: i64, other: i64) -> bool {
    one as u64 > other as u64
}

/// True when none of the numbers is below zero or has more bits.
#[inline(always)]
fn fit<const N: usize>(numbers: [i64; N], bits: u32) -> bool {
    let all = numbers.into_iter().fold(0, |all, number| all | number);
    (all as u64) >> bits == 0
}

/// True of a multiple of a step; nothing is one of a step of none.
#[inline(always)]
const fn is_multiple(value: i64, step: i64) -> bool {
    step > 0 && value % step == 0
}

/// True when `part` is at least so many basis points of `whole`.
#[inline(always)]
fn is_part(whole: i64, bps: i64, part: i64) -> bool {
    i128::from(part) * 10_000 >= i128::from(whole) * i128::from(bps)
}

impl Question<'_> {
    /// What there is to know of an entry that passes every check for certain; `None` for every
    /// other order, and where a glance cannot tell.
    #[inline(always)]
    pub(super) fn glance(&self) -> Option<Glance> {
        let (wanted, position) = (self.wanted, self.position);
        // Books that are out of their range have sums that are not those of their parts.
        let sound = wanted.purpose == Purpose::Entry && self.ledger.fault().is_none();
        let limits = self.limits.filter(|_| sound)?;
        let px = [wanted.px, position.bid, position.ask, self.mark()].map(|px| px.0);
        let bps = [limits.collar_mark_bps, limits.collar_touch_bps];
        let facts = &self.terms.facts;
        let least = [facts.min_qty.0, facts.min_notional.0];
        if !(fit(px, PX_BITS) & fit(bps, BPS_BITS) & fit(least, AMOUNT_BITS)) {
            return None;
        }
        let worth = Worth::of(self, limits)?;
        let mut seen = Seen::NOTHING;
        self.see_order(&mut seen);
        seen.go_on()?;
        self.see_prices(&mut seen, limits);
        seen.go_on()?;
        self.see_worth(&mut seen, limits, &worth);
        seen.go_on()?;
        self.see_account(&mut seen, limits, &worth);
        seen.go_on()?;
        self.see_pace(&mut seen, limits);
        self.see_likeness(&mut seen, limits);
        seen.passes.then_some(Glance { near: seen.all_near(), notional: Money(worth.order) })
    }

    /// The order as it is, and whether it may be.
    #[inline(always)]
    fn see_order(&self, seen: &mut Seen) {
        let (wanted, facts) = (self.wanted, &self.terms.facts);
        let (px, qty, tick, lot) = (wanted.px.0, wanted.qty.0, facts.tick_size.0, facts.lot_size.0);
        seen.yes(self.state.allows(Purpose::Entry) & self.terms.allowed & self.watched.is_none());
        seen.yes((wanted.order_type == OrderType::Limit) & (px > 0) & (qty > 0));
        seen.yes(is_multiple(px, tick) & is_multiple(qty, lot));
        seen.least(Check::MinQty, qty, facts.min_qty.0);
        seen.most_of_any(Check::MaxQty, qty, self.qty_max().0);
    }

    /// Its price, beside the market's.
    #[inline(always)]
    fn see_prices(&self, seen: &mut Seen, limits: &Limits) {
        let (position, mark) = (self.position, self.mark());
        seen.yes(position.has_touch() & mark.is_positive());
        seen.yes(self.is_within(mark, mark, limits.collar_mark_bps));
        seen.yes(self.is_within(position.bid, position.ask, limits.collar_touch_bps));
        let (slipped, most) = (self.sense.slippage_bps().max(0), limits.collar_cumulative_bps);
        seen.most(Check::CollarCumulative, slipped, most, limits.ample.collar_cumulative_bps);
    }

    #[inline(always)]
    fn is_within(&self, low: Px, high: Px, bps: i64) -> bool {
        let px = self.wanted.px.0 * 10_000;
        (px >= low.0 * (10_000 - bps)) & (px <= high.0 * (10_000 + bps))
    }

    /// What it is worth, and what everything comes to with it.
    #[inline(always)]
    fn see_worth(&self, seen: &mut Seen, limits: &Limits, worth: &Worth) {
        let ample = &limits.ample;
        let terms = self.terms;
        seen.least(Check::MinNotional, worth.at_its_px, terms.facts.min_notional.0);
        let most = limits.order_notional.0;
        seen.most(Check::OrderNotional, worth.order, most, ample.order_notional);
        let most = limits.position_notional.0;
        seen.most(Check::Position, worth.exposure, most, ample.position_notional);
        seen.most(Check::SymbolBudget, worth.exposure, terms.budget.0, terms.ample_budget);
        let most = limits.gross_notional.0;
        seen.most(Check::GrossExposure, worth.gross, most, ample.gross_notional);
        // The others' net value, and no more than the position is worth.
        seen.yes(worth.others_net + worth.exposure <= ample.net_notional);
        // All others, if they are little enough, and those that move along if they are not.
        let few = worth.gross <= ample.correlated_notional;
        seen.yes(few || self.correlated_fits(ample.correlated_notional));
        let positions = i64::from(self.ledger.exposed()) + i64::from(!self.position.is_exposed());
        seen.most(Check::Positions, positions, limits.positions.into(), ample.positions);
    }

    #[inline(always)]
    fn correlated_fits(&self, most: i64) -> bool {
        self.worst_correlated().is_ok_and(|sum| sum <= i128::from(most))
    }

    /// What the account can bear.
    #[inline(always)]
    fn see_account(&self, seen: &mut Seen, limits: &Limits, worth: &Worth) {
        let (ledger, ample) = (self.ledger, &limits.ample);
        let hundredfold = i128::from(worth.gross * 100);
        let leverage = i128::from(limits.leverage_percent);
        seen.yes(hundredfold <= i128::from(worth.equity) * leverage);
        // Twice the distance that is asked for: no rounding brings it near.
        let twice = limits.liquidation_bps * 2;
        seen.yes(is_part(worth.gross, twice, worth.equity - worth.kept));
        seen.yes(ledger.is_far_from_liquidation(self.wanted.instrument, twice));
        // Half of the capital, for the same reason.
        let fall = worth.peak - worth.own_equity;
        let lost = if limits.limited { worth.lost.max(fall) } else { worth.lost };
        let margin = (worth.capital >> 1) - lost;
        seen.yes(hundredfold <= i128::from(margin) * leverage);
        seen.less(Check::DailyLoss, worth.lost, limits.daily_loss.0, ample.daily_loss);
        seen.yes((worth.peak > 0) & !is_part(worth.peak, limits.drawdown_bps, fall * 2));
        let losses = i64::from(ledger.losses_in_a_row());
        let most = limits.losses_in_a_row.into();
        seen.less(Check::ConsecutiveLosses, losses, most, ample.losses_in_a_row);
        let unknown = self.position.unknown_orders;
        seen.yes((unknown == 0) & (ledger.unknown_orders() < UNKNOWN_ORDERS_MAX));
    }

    /// When it comes, and beside what.
    #[inline(always)]
    fn see_pace(&self, seen: &mut Seen, limits: &Limits) {
        let (wanted, ample) = (self.wanted, &limits.ample);
        seen.yes(self.sense.decided != Some(self.seq));
        seen.yes(!self.throttle.reached(limits.orders_per_10s, self.now));
        let entries = i64::from(self.entries_today) + 1;
        let most = limits.entries_per_day.into();
        seen.most(Check::EntriesPerDay, entries, most, ample.entries_per_day);
        seen.yes(!self.position.resting.meets(wanted.side, wanted.px));
        let orders = self.ledger.trading_orders() as i64 + 1;
        let most = limits.open_orders.min(OPEN_ORDERS_MAX) as i64;
        seen.most(Check::OpenOrders, orders, most, ample.open_orders);
        let age = self.position.touch_age(self.now);
        seen.most(Check::MarketAge, age.0, limits.market_age.0, ample.market_age);
        seen.yes((self.to_recover == 0) & self.sense.suspicion(limits).is_none());
        let age = (self.now - self.decided_at).max(self.lag);
        seen.most(Check::DecisionAge, age.0, limits.decision_age.0, ample.decision_age);
    }

    /// What was approved lately.
    #[inline(always)]
    fn see_likeness(&self, seen: &mut Seen, limits: &Limits) {
        let (wanted, ample) = (self.wanted, &limits.ample);
        let tick = self.terms.facts.tick_size;
        let window = limits.duplicate_window;
        seen.yes(!self.duplicates.holds(wanted, tick, window, self.now));
        seen.yes(!self.duplicates.forgets(window, self.now));
        // Most of the time there are few enough that could be like it, like it or not.
        let entries = &self.sense.entries;
        let mut like = i64::from(entries.alike_at_most(wanted)) + 1;
        if like > ample.identical_entries {
            like = i64::from(entries.like(wanted, tick, self.now)) + 1;
        }
        let most = limits.identical_entries.into();
        seen.most(Check::Identical, like, most, ample.identical_entries);
    }
}

/// The amounts that limits are of, each within [`AMOUNT_BITS`].
struct Worth {
    /// The order at the worst price, and at its own.
    order: i64,
    at_its_px: i64,
    /// The instrument's position in the worst case.
    exposure: i64,
    /// The same of all instruments.
    gross: i64,
    /// The net value of the others, all buys or all sells, whichever is larger.
    others_net: i64,
    /// The lesser of our books' and the venue's, and that of our books.
    equity: i64,
    own_equity: i64,
    peak: i64,
    /// Maintenance margin.
    kept: i64,
    /// Of the day.
    lost: i64,
    /// The only one that may have more bits.
    capital: i64,
}

impl Worth {
    /// `None` where an amount is beyond the range.
    #[inline(always)]
    fn of(question: &Question<'_>, limits: &Limits) -> Option<Self> {
        let Question { ledger, position, worst, wanted, .. } = question;
        let narrow = |value: i128| i64::try_from(value).ok();
        let order = narrow(worst.value)?;
        let exposure = narrow(worst.exposure?)?;
        let at_its_px = narrow(worst.value_at(wanted.px))?;
        let others = ledger.gross_exposure().0.checked_sub(position.exposure.0)?;
        let [long, short] = ledger.net_exposure();
        let [own_long, own_short] = position.net;
        let long = long.0.checked_sub(own_long.0)?.wrapping_abs();
        let short = short.0.checked_sub(own_short.0)?.wrapping_abs();
        let account = ledger.account();
        let kept = account.map_or(Money::ZERO, |account| account.maintenance_margin).0;
        let (equity, own_equity) = (question.equity().0, ledger.equity().0);
        let (peak, lost) = (ledger.peak_equity().0, ledger.day_loss().0);
        let all = [order, at_its_px, exposure, others, long, short, equity, own_equity, peak];
        if !(fit(all, AMOUNT_BITS) & fit([kept, lost, wanted.qty.0], AMOUNT_BITS)) {
            return None;
        }
        let others_net = long.max(short);
        let capital = question.capital_at_risk(limits).0;
        let gross = others + exposure;
        Some(Self {
            order,
            at_its_px,
            exposure,
            gross,
            others_net,
            equity,
            own_equity,
            peak,
            kept,
            lost,
            capital,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Reason;
    use crate::risk::checks::{Answer, Margin, at_least, at_most, below};
    use crate::risk::limits::four_fifths;

    const CHECK: Check = Check::Position;

    fn seen(see: impl Fn(&mut Seen)) -> (bool, u64) {
        let mut seen = Seen::NOTHING;
        see(&mut seen);
        (seen.passes, seen.all_near())
    }

    /// What a check says, as a glance tells it; what is near of a value that does not pass is
    /// nobody's concern.
    fn same(told: (bool, u64), answer: Answer) -> bool {
        match answer {
            Ok(margin) => told == (true, u64::from(margin == Margin::Near) << CHECK as u32),
            Err(_) => !told.0,
        }
    }

    #[test]
    fn a_value_beside_its_limit_is_seen_as_its_check_says() {
        let limits = (0..40).chain([1 << 40, (1 << AMOUNT_BITS) - 1, 1 << 57, i64::MAX]);
        for limit in limits {
            let edges = [0, limit / 5 * 4, limit.saturating_mul(5) / 4, limit];
            let values = edges.into_iter().flat_map(|edge| (-6..6).map(move |by| (edge, by)));
            let values = values.filter_map(|(edge, by)| edge.checked_add(by)).filter(|v| *v >= 0);
            for value in values.filter(|value| *value < 1 << AMOUNT_BITS) {
                let wide = i128::from(value);
                let (most, least) =
                    (at_most(wide, limit, Reason::None), at_least(wide, limit, Reason::None));
                let ample = four_fifths(limit);
                assert!(
                    same(seen(|s| s.most(CHECK, value, limit, ample)), most),
                    "{value} {limit}"
                );
                assert!(
                    same(seen(|s| s.most_of_any(CHECK, value, limit)), most),
                    "{value} {limit}"
                );
                let less = below(wide, limit, Reason::None);
                assert!(
                    same(seen(|s| s.less(CHECK, value, limit, ample)), less),
                    "{value} {limit}"
                );
                assert!(same(seen(|s| s.least(CHECK, value, limit)), least), "{value} {limit}");
            }
        }
    }

    #[test]
    fn each_check_has_its_own_bit_in_whichever_order_they_are_seen() {
        let all = Check::ALL.into_iter();
        for (one, other) in all.clone().flat_map(|one| all.clone().map(move |other| (one, other))) {
            if one == other {
                continue;
            }
            for (first, second) in [(false, false), (true, false), (false, true), (true, true)] {
                let told = seen(|seen| {
                    seen.near(one, first);
                    seen.near(other, second);
                });
                let bits = u64::from(first) << one as u32 | u64::from(second) << other as u32;
                assert_eq!(told, (true, bits), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn nothing_more_is_seen_of_what_does_not_pass() {
        let mut seen = Seen::NOTHING;
        assert_eq!(seen.go_on(), Some(()));
        seen.yes(false);
        assert_eq!(seen.go_on(), None);
    }

    #[test]
    fn what_is_seen_once_not_to_pass_does_not_pass() {
        let told = seen(|seen| {
            seen.yes(false);
            seen.yes(true);
            seen.most(CHECK, 1, 2, 1);
        });
        assert_eq!(told, (false, 0));
        assert_eq!(seen(|seen| seen.most(CHECK, 3, 2, 1)), (false, 1 << CHECK as u32));
    }

    #[test]
    fn numbers_fit_so_many_bits_up_to_the_last_and_none_below_zero_does() {
        assert!(fit([0, 255, 1], 8) && !fit([0, 256], 8) && !fit([0, -1], 8));
        assert!(is_multiple(6, 3) && is_multiple(7, 1) && !is_multiple(7, 3) && !is_multiple(6, 0));
        assert!(!is_multiple(6, -3), "a step of less than none is none");
        assert!(is_part(200, 5_000, 100) && !is_part(200, 5_001, 100) && !is_part(200, 1, -1));
    }
}
