//! The checks in their order, the first that trips wins, and how often each was made.

use super::Gate;
use crate::base::settings::Mode;
use crate::base::{Event, Money, Purpose, Reason};
use crate::ledger::Ledger;
use crate::policy::Wanted;
use crate::risk::check::Check;
use crate::risk::checks::{Margin, Question, Trip, mark_of};
use crate::risk::exposure::Worst;
use crate::risk::glance::Glance;
use crate::risk::limits::Limits;
use crate::risk::senses::lag;
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

    /// An order that was asked.
    #[inline]
    pub(super) fn order(&mut self, asked: &Asked) {
        self.orders += 1;
        let mut left = asked.near;
        while left != 0 {
            self.near[left.trailing_zeros() as usize] += 1;
            left &= left - 1;
        }
        if let Err((check, _)) = asked.answer {
            self.tripped[check as usize] += 1;
        }
    }
}

/// What an order was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// A bit for each check that it passed narrowly.
    pub(super) near: u64,
    /// The first check that it did not pass, if there is one.
    pub(super) answer: Result<(), (Check, Trip)>,
}

/// A check's bit where it was passed narrowly, and none where it was not.
#[inline(always)]
fn bit(margin: Margin, check: Check) -> u64 {
    u64::from(margin == Margin::Near) << check as u32
}

/// Takes the answer of one check: its bit into `near`, and out where it is not passed.
macro_rules! take {
    ($near:ident, $check:expr, $answer:expr) => {
        match $answer {
            Ok(margin) => $near |= bit(margin, $check),
            Err(trip) => return Asked { near: $near, answer: Err(($check, trip)) },
        }
    };
}

/// Written out in a row, so that each check is its own few instructions. The order is that of
/// `ALL`, which the compiler holds it to.
macro_rules! in_order {
    ($question:ident, $limits:ident, $purpose:ident, $near:ident: $($check:ident)*) => {{
        const ORDER: [Check; CHECKS] = [$(Check::$check),*];
        const _: () = {
            let mut at = 0;
            while at < CHECKS {
                assert!(ORDER[at] as usize == at);
                at += 1;
            }
        };
        $(if Check::$check.binds($purpose) {
            take!($near, Check::$check, $question.ask($limits, Check::$check));
        })*
    }};
}

/// Makes one check after the other that the order has to pass, up to the first that trips.
#[inline(never)]
pub(super) fn ask_in_order(question: &Question<'_>) -> Asked {
    let Some(limits) = question.limits else { return ask_without_limits(question) };
    // By purpose, so that each has a row of its own checks and no others.
    match question.wanted.purpose {
        Purpose::Entry => ask_row(question, limits, Purpose::Entry),
        Purpose::Protect => ask_row(question, limits, Purpose::Protect),
        Purpose::Flatten => ask_row(question, limits, Purpose::Flatten),
        _ => ask_row(question, limits, Purpose::ExitSignal),
    }
}

/// The checks that orders of a purpose have to pass.
#[inline(always)]
fn ask_row(question: &Question<'_>, limits: &Limits, purpose: Purpose) -> Asked {
    let mut near = 0;
    in_order! { question, limits, purpose, near:
        TradingState LimitSet Allowed TickSize LotSize MinQty MaxQty ReduceOnly Reference
        MinNotional OrderNotional CollarMark CollarTouch CollarCumulative Position SymbolBudget
        GrossExposure NetExposure Correlated Positions Leverage Liquidation Capital DecisionOnce
        Duplicate Identical Rate EntriesPerDay SelfTrade OpenOrders MarketAge MarketRecovering
        ModelOutput DecisionAge DailyLoss Drawdown ConsecutiveLosses UnknownOrders Watched
    }
    Asked { near, answer: Ok(()) }
}

/// The same at a gate without limits.
fn ask_without_limits(question: &Question<'_>) -> Asked {
    let mut near = 0;
    let purpose = question.wanted.purpose;
    for check in Check::ALL.into_iter().filter(|check| check.binds(purpose)) {
        take!(near, check, question.ask_without_limits(check));
    }
    Asked { near, answer: Ok(()) }
}

/// What an order for an instrument that is not the session's is told.
const FOREIGN: (Check, Trip) =
    (Check::Allowed, Trip { reason: Reason::InstrumentNotAllowed, value: 0, limit: 0 });

impl Gate {
    /// Makes every check; the worst-case notional, or the first check in order that trips.
    pub(super) fn ask_all(
        &mut self,
        cause: &Event,
        wanted: &Wanted,
        ledger: &Ledger,
    ) -> Result<Money, (Check, Trip)> {
        if wanted.purpose != Purpose::Entry {
            return self.ask_one_by_one(cause, wanted, None, ledger);
        }
        let position = ledger.position(wanted.instrument).ok_or(FOREIGN)?;
        let watched = self.watch.block(wanted.instrument, position, self.now);
        let question = self.question(cause, wanted, watched, ledger).ok_or(FOREIGN)?;
        let Some(Glance { near, notional }) = question.glance() else {
            return self.ask_one_by_one(cause, wanted, watched, ledger);
        };
        let asked = Asked { near, answer: Ok(()) };
        #[cfg(test)]
        assert_eq!(asked_at_a_glance(&question), asked, "{wanted:?}");
        self.counts.order(&asked);
        Ok(notional)
    }

    /// Makes the checks one by one.
    #[inline(never)]
    fn ask_one_by_one(
        &mut self,
        cause: &Event,
        wanted: &Wanted,
        watched: Option<Trip>,
        ledger: &Ledger,
    ) -> Result<Money, (Check, Trip)> {
        let question = self.question(cause, wanted, watched, ledger).ok_or(FOREIGN)?;
        let asked = ask_in_order(&question);
        let notional = question.worst.notional();
        self.counts.order(&asked);
        asked.answer?;
        notional.map_err(|trip| (Check::OrderNotional, trip))
    }

    /// All that the checks look at; `None` for an instrument that is not the session's. It is put
    /// together where it is looked at, so that a glance keeps it in registers.
    #[inline(always)]
    fn question<'a>(
        &'a self,
        cause: &Event,
        wanted: &'a Wanted,
        watched: Option<Trip>,
        ledger: &'a Ledger,
    ) -> Option<Question<'a>> {
        let index = wanted.instrument.index();
        let position = ledger.position(wanted.instrument)?;
        let stop = wanted.purpose == Purpose::Protect;
        let paper = self.session.mode == Mode::Paper;
        Some(Question {
            wanted,
            watched,
            terms: self.terms.get(index)?,
            position,
            worst: Worst::new(wanted, position, mark_of(position, paper)),
            ledger,
            limits: self.limits.as_ref(),
            state: self.trading.state(),
            throttle: if stop { &self.stop_throttle } else { &self.throttle },
            duplicates: &self.duplicates,
            sense: &self.senses[index],
            to_recover: self.breakers.to_recover(wanted.instrument),
            portfolio: &self.portfolio,
            entries_today: self.entries_today,
            paper,
            seq: cause.seq,
            decided_at: cause.now(),
            lag: lag(cause),
            now: self.now,
        })
    }
}

#[cfg(test)]
thread_local! {
    static GLANCES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// What the checks one by one say of an entry that passed at a glance: each test that has an order
/// judged holds the one against the other.
#[cfg(test)]
fn asked_at_a_glance(question: &Question<'_>) -> Asked {
    GLANCES.set(GLANCES.get() + 1);
    ask_in_order(question)
}

/// How many entries passed at a glance in this test so far.
#[cfg(test)]
pub(in crate::risk) fn glances() -> u32 {
    GLANCES.get()
}

#[cfg(test)]
mod tests {
    use super::*;

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
                counts.order(&Asked { near, answer: Err((check, trip)) });
            } else {
                counts.order(&Asked { near, answer: Ok(()) });
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
