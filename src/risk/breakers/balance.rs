//! RC-26: what came in and what went out, counted a second time.
//!
//! ```text
//!   intents ≥ approvals            opened = approvals + carried = ended + live
//!   live here = live in the ledger              filled ≤ ordered
//! ```
//! It hears the same events as the ledger and shares none of its code or memory. Counts are held
//! against each other for every event, the books line by line once a second (see `seal`).

use crate::base::event::{
    FundingPayment, Order, OrderCarried, OrderReport, PositionCarried, SessionCarried,
};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::units::notional;
use crate::base::{Event, InstrumentId, Kind, Nanos, Purpose, Px, Qty};
use crate::ledger::{Ledger, LedgerChange};

/// A live order, as this side counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) id: u64,
    pub(super) instrument: InstrumentId,
    pub(super) qty: i64,
    pub(super) filled: i64,
    pub(super) reported: i64,
    pub(super) purpose: Purpose,
    pub(super) reference_px: i64,
    pub(super) sent_at: Nanos,
    /// The venue has said something of it.
    answered: bool,
    /// It ended; fills may still come.
    over: bool,
}

/// One instrument's books, as this side keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Twin {
    pub(super) qty: i64,
    /// Σ signed fill values: what the ledger splits into cost and realised profit.
    pub(super) paid: i64,
    pub(super) fees: i64,
    pub(super) funding: i64,
}

/// What a report did here.
pub(super) struct Heard {
    /// The order as it was, with the report in it.
    pub(super) order: Option<Live>,
    /// It was the venue's first word on it.
    pub(super) first: bool,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Balance {
    pub(super) live: Vec<Live>,
    pub(super) twins: Vec<Twin>,
    pub(super) intents: u64,
    pub(super) approvals: u64,
    pub(super) entries: u32,
    day: i64,
    /// Before it nothing is to be done about days.
    day_ends: Nanos,
    opened: u64,
    ended: u64,
    overfilled: bool,
}

impl Balance {
    pub(super) fn new(instruments: usize) -> Self {
        Self {
            live: Vec::with_capacity(OPEN_ORDERS_MAX),
            twins: vec![Twin::default(); instruments],
            intents: 0,
            approvals: 0,
            entries: 0,
            day: i64::MIN,
            day_ends: Nanos(i64::MIN),
            opened: 0,
            ended: 0,
            overfilled: false,
        }
    }

    /// The day's entries are counted by UTC days, and a day never comes back.
    pub(super) fn on_time(&mut self, now: Nanos) {
        if now < self.day_ends {
            return;
        }
        let day = now.utc_day();
        self.day_ends = Nanos::end_of_day(day);
        if day > self.day {
            (self.day, self.entries) = (day, 0);
        }
    }

    /// A person armed: the day's entries count from none again.
    pub(super) fn on_entries_reset(&mut self) {
        self.entries = 0;
    }

    /// Something is wanted of the gate.
    pub(super) fn on_intent(&mut self) {
        self.intents += 1;
    }

    /// The gate approved an order.
    #[inline]
    pub(super) fn on_approved(&mut self, event: &Event) {
        let body: &Order = event.body();
        self.approvals += 1;
        let purpose = Purpose::from_u8(body.purpose).unwrap_or(Purpose::Entry);
        self.entries += u32::from(purpose.is_entry());
        self.open(Live {
            id: body.client_id,
            instrument: event.instrument(),
            qty: body.qty,
            filled: 0,
            reported: 0,
            purpose,
            reference_px: body.reference_px,
            sent_at: event.now(),
            answered: false,
            over: false,
        });
    }

    /// What an earlier session left.
    pub(super) fn on_carried(&mut self, event: &Event) {
        match event.kind() {
            Some(Kind::OrderCarried) => self.carry_order(event),
            Some(Kind::PositionCarried) => {
                let body: &PositionCarried = event.body();
                let Some(twin) = self.twins.get_mut(event.instrument().index()) else { return };
                *twin = Twin {
                    qty: body.qty,
                    paid: body.cost.saturating_sub(body.realised),
                    fees: body.fees,
                    funding: body.funding,
                };
            }
            _ => {
                let body: &SessionCarried = event.body();
                if body.epoch > 0 && body.day >= self.day {
                    (self.day, self.entries) = (body.day, body.entries_today);
                }
            }
        }
    }

    fn carry_order(&mut self, event: &Event) {
        let body: &OrderCarried = event.body();
        self.open(Live {
            id: body.client_id,
            instrument: event.instrument(),
            qty: body.qty,
            filled: body.filled,
            reported: body.reported,
            purpose: Purpose::from_u8(body.purpose).unwrap_or(Purpose::Entry),
            // Of an earlier session's decision nothing is judged any more.
            reference_px: 0,
            sent_at: Nanos(body.ts_sent),
            answered: true,
            // 5 to 8 are the states of an order that ended.
            over: (5..=8).contains(&body.state),
        });
    }

    #[inline]
    fn open(&mut self, order: Live) {
        if order.instrument.index() >= self.twins.len() || self.live.len() == OPEN_ORDERS_MAX {
            return;
        }
        self.opened += 1;
        self.live.push(order);
    }

    /// The venue's word on an order; `change` is what the ledger made of it.
    pub(super) fn on_report(&mut self, event: &Event, change: LedgerChange) -> Heard {
        let report: &OrderReport = event.body();
        // What the ledger knows already is no news here either.
        let repeated = change == LedgerChange::Duplicate;
        let filled = event.kind() == Some(Kind::OrderFilled) && !repeated;
        if filled {
            self.book(event, report);
        }
        let place = self.live.iter().position(|order| order.id == report.client_id);
        let Some(place) = place.filter(|_| report.client_id != 0 && !repeated) else {
            return Heard { order: None, first: false };
        };
        let order = &mut self.live[place];
        let first = !std::mem::replace(&mut order.answered, true);
        match event.kind() {
            Some(Kind::OrderAccepted) if report.qty > 0 => order.qty = report.qty,
            Some(Kind::OrderFilled) => {
                order.filled = order.filled.saturating_add(report.last_qty);
                order.reported = order.reported.max(report.cum_qty).max(order.filled);
                let stop = order.purpose == Purpose::Protect;
                self.overfilled |= order.filled > order.qty && !stop;
            }
            Some(Kind::OrderCancelled | Kind::OrderExpired | Kind::OrderRejected) => {
                order.reported = order.reported.max(report.cum_qty);
                order.over = true;
            }
            _ => {}
        }
        let order = *order;
        let end = if order.over { order.reported } else { order.qty };
        if order.filled >= end {
            self.live.swap_remove(place);
            self.ended += 1;
        }
        Heard { order: Some(order), first }
    }

    fn book(&mut self, event: &Event, report: &OrderReport) {
        let Some(twin) = self.twins.get_mut(event.instrument().index()) else { return };
        let sign = event.side().sign();
        let value = notional(Qty(report.last_qty), Px(report.last_px)).map_or(0, |value| value.0);
        twin.qty = twin.qty.saturating_add(sign * report.last_qty);
        twin.paid = twin.paid.saturating_add(sign * value);
        twin.fees = twin.fees.saturating_add(report.fee);
    }

    /// Funding was paid or received.
    pub(super) fn on_funding(&mut self, event: &Event) {
        let body: &FundingPayment = event.body();
        if let Some(twin) = self.twins.get_mut(event.instrument().index()) {
            twin.funding = twin.funding.saturating_add(body.amount);
        }
    }

    /// True while everything that came in is accounted for.
    pub(super) fn holds(&self, ledger: &Ledger) -> bool {
        let live = self.live.len();
        self.opened == self.ended + live as u64
            && live == ledger.orders().len()
            && self.approvals <= self.intents
            && !self.overfilled
    }
}
