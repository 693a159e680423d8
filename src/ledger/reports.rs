//! What the venue says of our orders and positions, booked.

use super::{Ledger, LedgerChange, OpenOrder, Payment, Stage};
use crate::base::event::{FundingPayment, OrderReport};
use crate::base::{ClientOrderId, Event, Kind, Money, Px, Qty, Reason};

impl Ledger {
    /// Takes in what the venue says of our orders and position.
    pub(super) fn on_report(&mut self, event: &Event) -> LedgerChange {
        let report: &OrderReport = event.body();
        self.note_stop(event, report);
        match event.kind() {
            Some(Kind::OrderFilled) => self.book_fill(event, report),
            Some(Kind::FundingPayment) => self.book_funding(event),
            Some(Kind::OrderAccepted) => self.update(report, |order| {
                order.found();
                // Seen open at the venue by asking: a cancel that went astray may leave anew.
                order.cancel_pending &= report.reason != Reason::Reconciled as u16;
                // The venue may shrink a reduce-only order; its word counts.
                if report.qty > 0 {
                    order.qty = Qty(report.qty);
                }
            }),
            Some(Kind::OrderUnknown) => self.update(report, |order| {
                if order.stage != Stage::Settling {
                    order.stage = Stage::Unknown;
                }
            }),
            Some(Kind::CancelRejected) => self.update(report, |order| {
                // "No such order" may mean filled: that is not known until a report says so. The
                // same answer would come to every further cancel, so none is sent until then.
                let absent = report.reason == Reason::UnknownOrder as u16;
                order.cancel_pending &= absent;
                order.cancel_refused = !absent;
                if absent && order.stage != Stage::Settling {
                    order.stage = Stage::Unknown;
                }
            }),
            Some(Kind::OrderCancelled | Kind::OrderExpired | Kind::OrderRejected) => {
                self.update(report, |order| {
                    order.reported = Qty(order.reported.0.max(report.cum_qty));
                    order.stage = Stage::Settling;
                })
            }
            _ => self.on_carried(event),
        }
    }

    /// Changes a live order, drops it if that ended it, and counts anew.
    fn update(&mut self, report: &OrderReport, change: impl Fn(&mut OpenOrder)) -> LedgerChange {
        let Some(index) = self.orders.find(ClientOrderId(report.client_id)) else {
            return LedgerChange::None;
        };
        let Some(order) = self.orders.at_mut(index) else { return LedgerChange::None };
        change(order);
        let instrument = order.instrument;
        if order.leaves() == Qty::ZERO {
            self.orders.remove(index);
        }
        self.recount(instrument);
        LedgerChange::Order
    }

    fn book_fill(&mut self, event: &Event, report: &OrderReport) -> LedgerChange {
        let instrument = event.instrument();
        let (qty, px) = (Qty(report.last_qty), Px(report.last_px));
        if instrument.index() >= self.positions.len() || !qty.is_positive() || !px.is_positive() {
            return self.fail(Reason::ReportOutOfState);
        }
        let known = self.orders.find(ClientOrderId(report.client_id));
        let booked = known.and_then(|index| self.orders.at_mut(index)).map(|order| order.filled);
        // Without a trade id, a fill is new only if it raises the filled quantity.
        let repeated = report.trade_id == 0 && booked.is_some_and(|qty| report.cum_qty <= qty.0);
        if repeated || !self.fills.is_new(instrument, report.trade_id) {
            return LedgerChange::Duplicate;
        }
        let position = &mut self.positions[instrument.index()];
        let (held, before) = (position.qty, position.part());
        let fill = position.fill(event.side(), qty, px, Money(report.fee), event.now());
        let order = known.and_then(|index| self.orders.as_slice().get(index));
        let (atr_px, target_px) =
            order.map_or((Px::ZERO, Px::ZERO), |order| (order.atr_px, order.target_px));
        position.plan(held, atr_px, target_px, px);
        let after = position.part();
        let Some(fill) = fill else { return self.fail(Reason::Overflow) };
        self.shift(&before, &after);
        if let Some(result) = fill.closed {
            let lost = result < Money::ZERO;
            self.losses_in_a_row = if lost { self.losses_in_a_row.saturating_add(1) } else { 0 };
        }
        let fault = self.count_fill(known, report);
        self.recount(instrument);
        match fault {
            Some(reason) => self.fail(reason),
            None => LedgerChange::Fill(fill),
        }
    }

    /// Takes a booked fill off its order. An order that ended before is no longer known: a late
    /// fill is lawful. A fill without an id of ours is booked all the same, since it moved the
    /// position; the gate stops trading for it.
    fn count_fill(&mut self, known: Option<usize>, report: &OrderReport) -> Option<Reason> {
        let order = known.and_then(|index| self.orders.at_mut(index))?;
        order.filled = Qty(order.filled.0.saturating_add(report.last_qty));
        order.reported = Qty(order.reported.0.max(report.cum_qty).max(order.filled.0));
        order.found();
        // A stop closes what is there when it triggers, whatever it was when it was placed.
        let overfilled = order.filled > order.qty && !order.protects();
        if order.leaves() == Qty::ZERO {
            self.orders.remove(known?);
        }
        overfilled.then_some(Reason::Overfill)
    }

    fn book_funding(&mut self, event: &Event) -> LedgerChange {
        let payment: &FundingPayment = event.body();
        let amount = Money(payment.amount);
        if !self.payments.is_new(Payment::of(event)) {
            return LedgerChange::Duplicate;
        }
        let Some(position) = self.positions.get_mut(event.instrument().index()) else {
            return self.fail(Reason::UnknownInstrument);
        };
        let before = position.part();
        let paid = position.pay_funding(amount);
        let after = position.part();
        if paid.is_none() {
            return self.fail(Reason::Overflow);
        }
        self.shift(&before, &after);
        LedgerChange::Funding(amount)
    }
}
