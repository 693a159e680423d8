//! The orders on the wire, bounded. Terminal orders stay until their place is needed, so that late
//! reports still find them.

use super::state::{OrderState, Signal, step};
use crate::base::event::{self, OrderReport};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{ClientOrderId, Event, InstrumentId, Kind, Nanos, Qty, Reason};
use crate::ledger::FillMemory;

/// An order as execution knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedOrder {
    /// Our id.
    pub id: ClientOrderId,
    /// The venue's id, 0 until told.
    pub venue_id: u64,
    /// Whose order.
    pub instrument: InstrumentId,
    /// State.
    pub state: OrderState,
    /// Quantity, as last told by the venue.
    pub qty: Qty,
    /// Sum of the fills seen.
    pub filled: Qty,
    /// Most that the venue said was filled.
    pub reported: Qty,
    /// Event time of the last request for it.
    pub asked_at: Nanos,
    /// When it was taken in, counted; the oldest terminal order gives way first.
    order: u64,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct OrderTable {
    orders: Vec<TrackedOrder>,
    fills: FillMemory,
    taken: u64,
}

impl Default for OrderTable {
    fn default() -> Self {
        Self::new()
    }
}

impl OrderTable {
    /// Empty. The only allocations.
    pub fn new() -> Self {
        Self { orders: Vec::with_capacity(OPEN_ORDERS_MAX), fills: FillMemory::new(), taken: 0 }
    }

    /// Takes in an order about to be sent.
    ///
    /// # Errors
    /// [`Reason::OrderTableFull`] when every place holds a live order, [`Reason::DuplicateOrder`]
    /// when the id was used before.
    pub fn insert(
        &mut self,
        id: ClientOrderId,
        instrument: InstrumentId,
        qty: Qty,
        now: Nanos,
    ) -> Result<(), Reason> {
        if self.index(id).is_some() {
            return Err(Reason::DuplicateOrder);
        }
        let order = TrackedOrder {
            id,
            venue_id: 0,
            instrument,
            state: OrderState::PendingNew,
            qty,
            filled: Qty::ZERO,
            reported: Qty::ZERO,
            asked_at: now,
            order: self.taken,
        };
        self.taken += 1;
        if self.orders.len() < OPEN_ORDERS_MAX {
            self.orders.push(order);
            return Ok(());
        }
        let ended = self.orders.iter_mut().filter(|order| order.state.is_terminal());
        let oldest = ended.min_by_key(|order| order.order).ok_or(Reason::OrderTableFull)?;
        *oldest = order;
        Ok(())
    }

    /// Notes that a cancel leaves; the `OrderState` record if that moved the order.
    pub fn cancel_sent(&mut self, cause: &Event, id: ClientOrderId) -> Option<Event> {
        let order = self.index(id).and_then(|index| self.orders.get_mut(index))?;
        order.asked_at = cause.now();
        moved(cause, order, Signal::CancelSent, Reason::None)
    }

    /// Takes in a report; an `OrderState` record where the order moved, or where the report
    /// deserves a reason. Reports on orders not held, and repeated ones, move nothing.
    pub fn on_report(&mut self, event: &Event) -> Option<Event> {
        let report: &OrderReport = event.body();
        let signal = signal_of(event, report)?;
        let index = self.index(ClientOrderId(report.client_id))?;
        let order = self.orders.get_mut(index)?;
        let mut note = Reason::from_u16(report.reason).unwrap_or(Reason::None);
        let mut signal = signal;
        if signal == Signal::PartFill {
            let untold = report.trade_id == 0 && report.cum_qty <= order.filled.0;
            if untold || !self.fills.is_new(event.instrument(), report.trade_id) {
                return None;
            }
            let filled_before = order.filled > Qty::ZERO;
            order.filled = Qty(order.filled.0.saturating_add(report.last_qty.max(0)));
            order.reported = Qty(order.reported.0.max(report.cum_qty).max(order.filled.0));
            if order.reported >= order.qty {
                signal = Signal::LastFill;
            }
            if order.filled > order.qty {
                note = Reason::Overfill;
            }
            order.venue_id = if report.venue_id != 0 { report.venue_id } else { order.venue_id };
            return moved_by(event, order, signal, note, filled_before);
        }
        if report.venue_id != 0 {
            order.venue_id = report.venue_id;
        }
        if signal == Signal::Accepted && report.qty > 0 {
            order.qty = Qty(report.qty);
        }
        order.reported = Qty(order.reported.0.max(report.cum_qty));
        moved(event, order, signal, note)
    }

    /// An order whose request has been without an answer for `patience` or longer: its outcome is
    /// unknown, and whoever feeds the river says so with an `OrderUnknown` event.
    pub fn overdue(&self, now: Nanos, patience: Nanos) -> Option<&TrackedOrder> {
        self.orders.iter().find(|order| {
            let waiting = matches!(order.state, OrderState::PendingNew | OrderState::PendingCancel);
            waiting && now - order.asked_at >= patience
        })
    }

    /// An order by id, live or lately ended.
    pub fn find(&self, id: ClientOrderId) -> Option<&TrackedOrder> {
        self.index(id).and_then(|index| self.orders.get(index))
    }

    /// Every order held, live or lately ended, in no order.
    pub fn orders(&self) -> &[TrackedOrder] {
        &self.orders
    }

    fn index(&self, id: ClientOrderId) -> Option<usize> {
        self.orders.iter().position(|order| order.id == id)
    }
}

/// What a report event signals; fills are all [`Signal::PartFill`] until their quantity is known.
fn signal_of(event: &Event, report: &OrderReport) -> Option<Signal> {
    let absent = report.reason == Reason::UnknownOrder as u16;
    Some(match event.kind()? {
        Kind::OrderAccepted => Signal::Accepted,
        Kind::OrderFilled => Signal::PartFill,
        Kind::OrderCancelled => Signal::Cancelled,
        Kind::OrderRejected => Signal::Rejected,
        // Reconciliation reports an order that is nowhere as expired, for the reason "unknown
        // order".
        Kind::OrderExpired if absent => Signal::Lost,
        Kind::OrderExpired => Signal::Expired,
        Kind::OrderUnknown => Signal::Unknown,
        Kind::CancelRejected if absent => Signal::CancelMissed,
        Kind::CancelRejected => Signal::CancelRefused,
        _ => return None,
    })
}

fn moved(cause: &Event, order: &mut TrackedOrder, signal: Signal, note: Reason) -> Option<Event> {
    let filled = order.filled > Qty::ZERO;
    moved_by(cause, order, signal, note, filled)
}

fn moved_by(
    cause: &Event,
    order: &mut TrackedOrder,
    signal: Signal,
    note: Reason,
    filled_before: bool,
) -> Option<Event> {
    let from = order.state;
    let taken = step(from, signal, filled_before);
    order.state = taken.to;
    let fill = matches!(signal, Signal::PartFill | Signal::LastFill);
    if from == taken.to && taken.note == Reason::None && !fill {
        return None;
    }
    // What is wrong with an overfill outweighs when it came.
    let kept = note == Reason::Overfill || taken.note == Reason::None;
    let reason = if kept { note } else { taken.note };
    let body = event::OrderState {
        client_id: order.id.0,
        from: from as u8,
        to: taken.to as u8,
        reason: reason as u16,
        cum_qty: order.reported.0,
        leaves_qty: order.qty.0.saturating_sub(order.reported.0).max(0),
        ..event::OrderState::default()
    };
    Some(Event::caused_by(cause, Kind::OrderState, order.instrument, &body))
}
