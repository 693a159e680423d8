//! Which funding was booked before. A payment is told by the account's stream and by the venue's
//! list, and neither numbers it: a look at the list while the stream's frame is on its way tells it
//! first, and then the frame tells it again.
//!
//! ```text
//! told by one source ─► one of the other source, near in time, not yet paired ─► the same payment
//!                    └► none ─► new, and waits for its pair
//! ```
//! Each source tells a payment once, so two of one source are two payments, and a payment pairs
//! with one other at most.

use crate::base::event::{BookedCarried, Event, FundingPayment, flags};
use crate::base::limits::INSTRUMENTS_MAX;
use crate::base::{InstrumentId, Nanos};
use std::collections::VecDeque;

/// Payments of one instrument or amount this close are one: funding is hours apart.
const PAYMENT_APART: Nanos = Nanos::from_secs(60);
/// Payments that wait for their pair: two for every instrument.
const WAITING_MAX: usize = 2 * INSTRUMENTS_MAX;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct PaymentMemory {
    waiting: VecDeque<Payment>,
}

/// A payment as an event tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Whose position it was for. The stream may leave it out: then it is the first one's.
    pub instrument: InstrumentId,
    /// In quote currency, 1e-8; below zero is paid.
    pub amount: i64,
    /// The venue's time, or ours where it told none.
    pub at: Nanos,
    /// Told by the venue's list, not by the stream.
    pub is_listed: bool,
}

impl Payment {
    /// The payment in a `FundingPayment`.
    pub fn of(event: &Event) -> Self {
        let body: &FundingPayment = event.body();
        Self {
            instrument: event.instrument(),
            amount: body.amount,
            at: if event.ts_venue > 0 { Nanos(event.ts_venue) } else { event.now() },
            is_listed: event.flags & flags::SNAPSHOT != 0,
        }
    }

    /// What an earlier session's `BookedCarried` tells of an instrument.
    pub fn carried(instrument: InstrumentId, body: &BookedCarried) -> impl Iterator<Item = Self> {
        let rows = body.ts_funding.into_iter().zip(body.funding).filter(|(ts, _)| *ts > 0);
        rows.map(move |(ts, amount)| Self { instrument, amount, at: Nanos(ts), is_listed: false })
    }

    /// True for what may be the same payment told by another source.
    pub fn is_near(&self, other: &Self) -> bool {
        let apart = (self.at - other.at).0.abs();
        let is_alike = self.instrument == other.instrument || self.amount == other.amount;
        apart < PAYMENT_APART.0 && is_alike
    }
}

impl Default for PaymentMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl PaymentMemory {
    /// Empty. The only allocation.
    pub fn new() -> Self {
        Self { waiting: VecDeque::with_capacity(WAITING_MAX) }
    }

    /// True for a payment that no other source has told.
    pub fn is_new(&mut self, payment: Payment) -> bool {
        let is_pair =
            |known: &Payment| known.is_listed != payment.is_listed && known.is_near(&payment);
        let alike = |known: &Payment| {
            known.instrument == payment.instrument && known.amount == payment.amount
        };
        let pairs = || self.waiting.iter().enumerate().filter(|(_, known)| is_pair(known));
        let pair = pairs().find(|(_, known)| alike(known)).or_else(|| pairs().next());
        if let Some((place, _)) = pair {
            self.waiting.remove(place);
            return false;
        }
        // The oldest goes first, so that nothing grows.
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(payment);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Kind, Money};
    use crate::ledger::{Ledger, LedgerChange};

    fn paid(instrument: u16, amount: i64, at_s: i64, is_listed: bool) -> Payment {
        let at = Nanos::from_secs(1_700_000_000 + at_s);
        Payment { instrument: InstrumentId(instrument), amount, at, is_listed }
    }

    #[test]
    fn a_payment_told_by_the_list_and_by_the_stream_is_new_once_in_either_order() {
        for first_is_listed in [true, false] {
            let mut memory = PaymentMemory::new();
            assert!(memory.is_new(paid(0, -5, 0, first_is_listed)));
            assert!(!memory.is_new(paid(0, -5, 1, !first_is_listed)));
            // The pair is used up: what comes then is another payment.
            assert!(memory.is_new(paid(0, -5, 2, !first_is_listed)));
        }
    }

    #[test]
    fn the_ledger_books_a_payment_once_that_both_sources_tell() {
        let mut ledger = Ledger::new(1, Money(1_000));
        let body = FundingPayment { amount: -7, ..FundingPayment::default() };
        let told = Event::new(Kind::FundingPayment, InstrumentId(0), &body);
        let listed = told.with_flags(flags::SNAPSHOT);
        assert_eq!(ledger.on_report(&listed), LedgerChange::Funding(Money(-7)));
        assert_eq!(ledger.on_report(&told), LedgerChange::Duplicate);
        assert_eq!((ledger.equity(), ledger.fault()), (Money(993), None));
    }

    #[test]
    fn payments_of_one_source_or_of_other_hours_are_payments_of_their_own() {
        let mut memory = PaymentMemory::new();
        assert!(memory.is_new(paid(0, -5, 0, false)));
        assert!(memory.is_new(paid(0, -5, 1, false)));
        assert!(memory.is_new(paid(0, -5, 3_600, true)));
        assert!(memory.is_new(paid(1, 7, 0, true)));
    }

    #[test]
    fn a_payment_without_a_symbol_is_known_by_its_amount_before_any_other_of_its_instrument() {
        let mut memory = PaymentMemory::new();
        assert!(memory.is_new(paid(3, -9, 0, true)));
        assert!(memory.is_new(paid(0, -5, 0, true)));
        // The stream left the symbol out: booked on the first instrument.
        assert!(!memory.is_new(paid(0, -5, 0, false)));
        assert!(!memory.is_new(paid(0, -9, 0, false)));
    }

    #[test]
    fn of_several_that_may_be_its_pair_the_one_of_its_instrument_and_amount_goes() {
        let mut memory = PaymentMemory::new();
        let others = [paid(0, -9, 0, true), paid(3, -5, 0, true)];
        for listed in [others[0], others[1], paid(0, -5, 0, true)] {
            assert!(memory.is_new(listed));
        }
        assert!(!memory.is_new(paid(0, -5, 0, false)));
        assert_eq!(memory.waiting, others);
    }

    #[test]
    fn payments_are_near_within_a_minute_and_alike_by_instrument_or_amount() {
        let one = paid(0, -5, 100, true);
        for (other, is_near) in [
            (paid(0, -9, 159, false), true),
            (paid(3, -5, 41, false), true),
            (paid(0, -5, 160, false), false),
            (paid(0, -5, 40, false), false),
            (paid(3, -9, 100, false), false),
        ] {
            assert_eq!((one.is_near(&other), other.is_near(&one)), (is_near, is_near), "{other:?}");
        }
    }

    #[test]
    fn a_payment_is_of_the_venue_s_time_or_of_ours_and_listed_where_it_is_a_look() {
        let body = FundingPayment { amount: -7, ..FundingPayment::default() };
        let told = Event { ts_recv: 9, ..Event::new(Kind::FundingPayment, InstrumentId(2), &body) };
        for (ts_venue, at) in [(-1, 9), (0, 9), (1, 1)] {
            let payment = Payment::of(&Event { ts_venue, ..told });
            assert_eq!((payment.at, payment.is_listed), (Nanos(at), false));
            assert_eq!((payment.amount, payment.instrument), (-7, InstrumentId(2)));
        }
        assert!(Payment::of(&told.with_flags(flags::SNAPSHOT)).is_listed);
    }

    #[test]
    fn what_is_carried_of_payments_is_what_has_a_time_and_none_of_it_is_listed() {
        let mut body = BookedCarried::default();
        (body.ts_funding[0], body.funding[0]) = (1, -5);
        body.funding[1] = -6;
        let carried: Vec<Payment> = Payment::carried(InstrumentId(2), &body).collect();
        let first = Payment { at: Nanos(1), ..paid(2, -5, 0, false) };
        assert_eq!(carried, [first]);
    }

    #[test]
    fn a_memory_that_is_full_forgets_the_oldest_and_grows_no_further() {
        let mut memory = PaymentMemory::new();
        let far = |place: usize| i64::try_from(place).unwrap() * 100;
        for place in 0..=WAITING_MAX {
            assert!(memory.is_new(paid(0, -5, far(place), false)));
        }
        assert_eq!(memory.waiting.len(), WAITING_MAX);
        assert!(memory.is_new(paid(0, -5, far(0), true)), "the oldest is forgotten");
        assert!(!memory.is_new(paid(0, -5, far(WAITING_MAX), true)));
    }
}
