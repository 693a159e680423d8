//! The orders on the wire, bounded. Terminal orders stay until their place is needed, so that late
//! reports still find them.
//!
//! ```text
//! id ──► index of places ──► 256 places;  ended: places of terminal orders, the oldest gives way
//! ```
//! Taking in an order, and finding one, takes the same time however many there are.

use super::state::{OrderState, Signal, step};
use crate::base::event::{self, OrderCarried, OrderReport};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{ClientOrderId, Event, InstrumentId, Kind, Nanos, Qty, Reason};
use crate::ledger::FillMemory;
use std::collections::{HashMap, VecDeque};

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
    /// It stands in the queue of the ended.
    queued: bool,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct OrderTable {
    orders: Vec<TrackedOrder>,
    /// Place by id. Only ever asked by id: its own order carries no meaning.
    places: HashMap<u64, usize>,
    /// Places of terminal orders in the order they ended. One may have come alive again since.
    ended: VecDeque<usize>,
    fills: FillMemory,
}

impl Default for OrderTable {
    fn default() -> Self {
        Self::new()
    }
}

impl OrderTable {
    /// Empty. The only allocations.
    pub fn new() -> Self {
        Self {
            orders: Vec::with_capacity(OPEN_ORDERS_MAX),
            // Twice the room: ids that went leave marks behind, which must not force it to grow.
            places: HashMap::with_capacity(2 * OPEN_ORDERS_MAX),
            ended: VecDeque::with_capacity(OPEN_ORDERS_MAX),
            fills: FillMemory::new(),
        }
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
        self.place(TrackedOrder {
            id,
            venue_id: 0,
            instrument,
            state: OrderState::PendingNew,
            qty,
            filled: Qty::ZERO,
            reported: Qty::ZERO,
            asked_at: now,
            queued: false,
        })
    }

    /// Takes in an order that an earlier session left (`OrderCarried`): its outcome is not known.
    /// The `OrderState` record.
    pub fn carry(&mut self, event: &Event) -> Option<Event> {
        let body: &OrderCarried = event.body();
        let order = TrackedOrder {
            id: ClientOrderId(body.client_id),
            venue_id: body.venue_id,
            instrument: event.instrument(),
            state: OrderState::Unknown,
            qty: Qty(body.qty),
            filled: Qty(body.filled),
            reported: Qty(body.reported.max(body.filled)),
            asked_at: Nanos(body.ts_sent),
            queued: false,
        };
        self.place(order).ok()?;
        let state = event::OrderState {
            client_id: body.client_id,
            from: body.state,
            to: OrderState::Unknown as u8,
            reason: Reason::Latched as u16,
            cum_qty: order.reported.0,
            leaves_qty: order.qty.0.saturating_sub(order.reported.0).max(0),
            ..event::OrderState::default()
        };
        Some(Event::caused_by(event, Kind::OrderState, event.instrument(), &state))
    }

    /// Takes in what an earlier session booked (`PositionCarried`, `BookedCarried`).
    pub fn carry_fills(&mut self, event: &Event) {
        self.fills.carry(event);
    }

    fn place(&mut self, order: TrackedOrder) -> Result<(), Reason> {
        if self.index(order.id).is_some() {
            return Err(Reason::DuplicateOrder);
        }
        if self.orders.len() < OPEN_ORDERS_MAX {
            self.places.insert(order.id.0, self.orders.len());
            self.orders.push(order);
            return Ok(());
        }
        while let Some(index) = self.ended.pop_front() {
            let old = &mut self.orders[index];
            old.queued = false;
            if old.state.is_terminal() {
                self.places.remove(&old.id.0);
                self.places.insert(order.id.0, index);
                *old = order;
                return Ok(());
            }
        }
        Err(Reason::OrderTableFull)
    }

    /// Notes that a cancel leaves; the `OrderState` record if that moved the order.
    pub fn cancel_sent(&mut self, cause: &Event, id: ClientOrderId) -> Option<Event> {
        let index = self.index(id)?;
        let order = self.orders.get_mut(index)?;
        order.asked_at = cause.now();
        moved(cause, order, Signal::CancelSent, Reason::None)
    }

    /// Takes in a report; an `OrderState` record where the order moved, or where the report
    /// deserves a reason. Reports on orders not held, and repeated ones, move nothing.
    pub fn on_report(&mut self, event: &Event) -> Option<Event> {
        let report: &OrderReport = event.body();
        let index = self.index(ClientOrderId(report.client_id))?;
        let state = self.hear(index, event, report);
        let order = &mut self.orders[index];
        if order.state.is_terminal() && !order.queued {
            order.queued = true;
            self.ended.push_back(index);
        }
        state
    }

    fn hear(&mut self, index: usize, event: &Event, report: &OrderReport) -> Option<Event> {
        let signal = signal_of(event, report)?;
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
        self.places.get(&id.0).copied()
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
