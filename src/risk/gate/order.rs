//! The checks in their order, the first that trips wins, and how often each was made.

use crate::base::Purpose;
use crate::risk::check::Check;
use crate::risk::checks::{Margin, Question, Trip};
use crate::risk::session::CheckCount;

const CHECKS: usize = Check::ALL.len();

const _: () = assert!(CHECKS <= 64, "there is a bit for each check");

/// How often each check was made, passed narrowly, and not passed.
///
/// Every order is asked from the first check on up to the one that trips, so the orders and the
/// trips tell how often a check was made: an order that passes writes one count, not one for each.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    orders: u64,
    near: [u64; CHECKS],
    tripped: [u64; CHECKS],
    /// Made apart from an order, of a model's answer, and each time not passed.
    apart: [u64; CHECKS],
}

impl Counts {
    pub(super) const fn new() -> Self {
        Self { orders: 0, near: [0; CHECKS], tripped: [0; CHECKS], apart: [0; CHECKS] }
    }

    /// Of one check.
    pub(super) fn of(&self, check: Check) -> CheckCount {
        let at = check as usize;
        let ended_before: u64 = self.tripped[..at].iter().sum();
        CheckCount {
            evaluated: self.orders - ended_before + self.apart[at],
            near: self.near[at],
            tripped: self.tripped[at] + self.apart[at],
        }
    }

    /// A check that was made apart from an order, and not passed.
    pub(crate) fn trip_apart(&mut self, check: Check) {
        self.apart[check as usize] += 1;
    }

    /// An order that was asked; a bit of `near` for each check that it passed narrowly.
    #[inline]
    fn order(&mut self, near: u64) {
        self.orders += 1;
        let mut left = near;
        while left != 0 {
            self.near[left.trailing_zeros() as usize] += 1;
            left &= left - 1;
        }
    }

    /// An order that a check ended.
    #[cold]
    fn trip(&mut self, near: u64, check: Check, trip: Trip) -> Result<(), (Check, Trip)> {
        self.order(near);
        self.tripped[check as usize] += 1;
        Err((check, trip))
    }
}

/// A check's bit where it was passed narrowly, and none where it was not.
#[inline(always)]
fn bit(margin: Margin, check: Check) -> u64 {
    u64::from(margin == Margin::Near) << check as u32
}

/// Takes the answer of one check: its bit into `near`, and out where it is not passed.
macro_rules! take {
    ($counts:ident, $near:ident, $check:expr, $answer:expr) => {
        match $answer {
            Ok(margin) => $near |= bit(margin, $check),
            Err(trip) => return $counts.trip($near, $check, trip),
        }
    };
}

/// Written out in a row, so that each check is its own few instructions. The order is that of
/// `ALL`, which the compiler holds it to.
macro_rules! in_order {
    ($question:ident, $limits:ident, $counts:ident, $near:ident: $($check:ident)*) => {{
        const ORDER: [Check; CHECKS] = [$(Check::$check),*];
        const _: () = {
            let mut at = 0;
            while at < CHECKS {
                assert!(ORDER[at] as usize == at);
                at += 1;
            }
        };
        $(take!($counts, $near, Check::$check, $question.ask($limits, Check::$check));)*
    }};
}

/// Makes every check; the first that trips, if one does.
#[inline]
pub(super) fn ask_in_order(
    question: &Question<'_>,
    counts: &mut Counts,
) -> Result<(), (Check, Trip)> {
    // An entry has to pass every check there is.
    let (Some(limits), Purpose::Entry) = (question.limits, question.wanted.purpose) else {
        return ask_the_few(question, counts);
    };
    let mut near = 0;
    in_order! { question, limits, counts, near:
        TradingState LimitSet Allowed TickSize LotSize MinQty MaxQty ReduceOnly Reference
        MinNotional OrderNotional CollarMark CollarTouch CollarCumulative Position SymbolBudget
        GrossExposure NetExposure Correlated Positions Leverage Liquidation Capital DecisionOnce
        Duplicate Identical Rate EntriesPerDay SelfTrade OpenOrders MarketAge MarketRecovering
        ModelOutput DecisionAge DailyLoss Drawdown ConsecutiveLosses UnknownOrders Watched
    }
    counts.order(near);
    Ok(())
}

/// The same for what passes few of them: exits, stops, and a gate without limits.
#[inline(never)]
fn ask_the_few(question: &Question<'_>, counts: &mut Counts) -> Result<(), (Check, Trip)> {
    let mut near = 0;
    for check in Check::ALL {
        take!(counts, near, check, question.ask_if_bound(check));
    }
    counts.order(near);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Reason;

    #[test]
    fn counts_are_those_of_a_walk_that_counts_every_check_it_makes() {
        let mut counts = Counts::new();
        let mut naive = [CheckCount::default(); CHECKS];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for step in 0..2_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let near = (state >> 20) & ((1 << CHECKS) - 1);
            // Every seventh order passes; each check ends some of the others.
            let end = if step % 7 == 0 { CHECKS } else { step % CHECKS };
            // A check that was not made was not passed narrowly.
            let near = near & ((1_u64 << end) - 1);
            for (at, count) in naive.iter_mut().enumerate().take(end + 1) {
                count.evaluated += 1;
                count.near += near >> at & 1;
                count.tripped += u64::from(at == end);
            }
            if let Some(&check) = Check::ALL.get(end) {
                let trip = Trip { reason: Reason::MaxQty, value: step as i64, limit: 1 };
                assert_eq!(counts.trip(near, check, trip), Err((check, trip)));
            } else {
                counts.order(near);
            }
            if step % 5 == 0 {
                counts.trip_apart(Check::ModelOutput);
                naive[Check::ModelOutput as usize].evaluated += 1;
                naive[Check::ModelOutput as usize].tripped += 1;
            }
            for check in Check::ALL {
                assert_eq!(counts.of(check), naive[check as usize], "{step} {check:?}");
            }
        }
    }
}
