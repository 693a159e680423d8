//! The order state machine and the request bytes. Sends nothing that is not approved and journaled.
//!
//! ```text
//!  Approved ──intent()──► OrderIntent ──► journal ──► Journaled
//!     │                                                  │
//!     └──────────────────── send(Approved, &Journaled) ◄─┘ ──► Outgoing: bytes, Sent, OrderState
//!  report ──on_report()──► OrderState
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `state` | (state, signal) → state |
//! | `table` | the orders on the wire |
//! | `request` | signed request text from templates |
//! | `number` | integers as text |
//! | `outcome` | an answer's meaning: accepted, rejected or unknown |
//! | `reconcile` | what is true at the venue, found out by asking |

mod number;
pub mod outcome;
pub mod reconcile;
mod request;
mod state;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use request::base64;
pub use request::{REQUEST_BYTES_MAX, RequestText, Signature, Signer};
pub use state::{OrderState, Signal, Step, step};
pub use table::{OrderTable, TrackedOrder};

use crate::base::event::{self, Order, OrderReport, Sent, flags};
use crate::base::settings::InstrumentSettings;
use crate::base::{ClientOrderId, Event, Kind, Nanos, OrderType, Qty, Reason};
use crate::journal::Journaled;
use crate::risk::Approved;
use request::{Templates, Text};
use xxhash_rust::xxh3::xxh3_64;

/// What is asked of the venue. Numbers as in [`Sent::request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RequestKind {
    /// `POST /fapi/v1/order`.
    Order = 1,
    /// `DELETE /fapi/v1/order`.
    Cancel = 2,
    /// `POST /fapi/v1/algoOrder`: a protective stop.
    Stop = 3,
    /// `DELETE /fapi/v1/algoOrder`.
    StopCancel = 4,
}

impl RequestKind {
    /// What an approved order or cancel asks.
    pub fn of(approved: &Event) -> Self {
        let order: &Order = approved.body();
        let stop = order.order_type == OrderType::StopMarket as u8;
        match (approved.kind() == Some(Kind::CancelApproved), stop) {
            (false, false) => Self::Order,
            (true, false) => Self::Cancel,
            (false, true) => Self::Stop,
            (true, true) => Self::StopCancel,
        }
    }

    /// True for what takes an order back.
    pub const fn is_cancel(self) -> bool {
        matches!(self, Self::Cancel | Self::StopCancel)
    }
}

/// A request that may leave now. Only [`Execution::send`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// What is asked.
    pub kind: RequestKind,
    /// The approved order or cancel.
    pub order: Event,
    /// The `Sent` record.
    pub sent: Event,
    /// The `OrderState` record; `None` for a cancel that moved nothing.
    pub state: Option<Event>,
    query: &'a [u8],
}

impl Outgoing<'_> {
    /// The signed query text.
    pub fn query(&self) -> &[u8] {
        self.query
    }
}

/// An approved order that could not be sent. `report` is an `OrderRejected` event for the river:
/// the ledger counts the order until it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// For the feed.
    pub report: Event,
}

/// Purpose: approved orders to bytes, reports to order states. Owned by the execution stage.
#[derive(Clone, Debug)]
pub struct Execution {
    table: OrderTable,
    templates: Vec<Templates>,
}

impl Execution {
    /// For the session's instruments, in table order. The only allocations. `recv_window_ms` is how
    /// long the venue may take to accept a request.
    pub fn new(instruments: &[InstrumentSettings], recv_window_ms: u32, signer: &Signer) -> Self {
        let templates =
            instruments.iter().map(|facts| Templates::new(facts, recv_window_ms, signer)).collect();
        Self { table: OrderTable::new(), templates }
    }

    /// The record to be journaled before [`Execution::send`]: `OrderIntent` or `CancelIntent`.
    pub fn intent(approved: &Approved) -> Event {
        let mut event = *approved.event();
        let cancel = event.kind() == Some(Kind::CancelApproved);
        event.kind = if cancel { Kind::CancelIntent } else { Kind::OrderIntent } as u8;
        event
    }

    /// Builds and signs the request of an approved order whose intent is recorded. The bytes stay
    /// valid until the next call.
    ///
    /// # Errors
    /// [`Refused`] when the table is full, the id was used, the instrument is unknown or the
    /// numbers cannot be expressed: nothing may leave.
    #[inline]
    #[expect(clippy::result_large_err, reason = "a box would allocate on the hot path")]
    pub fn send(
        &mut self,
        approved: Approved,
        _journaled: &Journaled,
    ) -> Result<Outgoing<'_>, Refused> {
        self.write(approved)
    }

    /// Takes in what the venue says of our orders; the `OrderState` record if there is one to make.
    pub fn on_report(&mut self, event: &Event) -> Option<Event> {
        match event.kind() {
            Some(Kind::OrderCarried) => self.table.carry(event),
            Some(Kind::PositionCarried | Kind::BookedCarried) => {
                self.table.carry_fills(event);
                None
            }
            _ => self.table.on_report(event),
        }
    }

    /// An `OrderUnknown` event for an order whose request has been unanswered for `patience`, to be
    /// fed to the river; call again after it came back, while there are more.
    pub fn overdue(&self, now: Nanos, patience: Nanos) -> Option<Event> {
        let order = self.table.overdue(now, patience)?;
        let body = OrderReport {
            client_id: order.id.0,
            venue_id: order.venue_id,
            qty: order.qty.0,
            cum_qty: order.reported.0,
            reason: Reason::RequestTimeout as u16,
            ..OrderReport::default()
        };
        let mut event = Event::new(Kind::OrderUnknown, order.instrument, &body);
        event.ts_recv = now.0;
        Some(event)
    }

    /// An order by id, live or lately ended.
    pub fn order(&self, id: ClientOrderId) -> Option<&TrackedOrder> {
        self.table.find(id)
    }

    /// The orders on the wire.
    pub fn table(&self) -> &OrderTable {
        &self.table
    }

    #[expect(clippy::result_large_err, reason = "a box would allocate on the hot path")]
    fn write(&mut self, approved: Approved) -> Result<Outgoing<'_>, Refused> {
        let order = *approved.event();
        let body: &Order = order.body();
        let id = body.id();
        let instrument = order.instrument();
        let Some(templates) = self.templates.get_mut(instrument.index()) else {
            return Err(refused(&order, Reason::UnknownInstrument));
        };
        let kind = RequestKind::of(&order);
        if kind.is_cancel() {
            let text = match templates.cancel(&order) {
                Ok(text) => text,
                Err(reason) => return Err(refused(&order, reason)),
            };
            let state = self.table.cancel_sent(&order, id);
            return Ok(outgoing(kind, order, state, text));
        }
        // The text first: an order that cannot be written must not enter the table.
        let text = match templates.order(&order) {
            Ok(text) => text,
            Err(reason) => return Err(refused(&order, reason)),
        };
        if let Err(reason) = self.table.insert(id, instrument, Qty(body.qty), order.now()) {
            return Err(refused(&order, reason));
        }
        let state = event::OrderState {
            client_id: id.0,
            to: OrderState::PendingNew as u8,
            leaves_qty: body.qty,
            ..event::OrderState::default()
        };
        let state = Event::caused_by(&order, Kind::OrderState, instrument, &state);
        Ok(outgoing(kind, order, Some(state), text))
    }
}

fn outgoing<'a>(
    kind: RequestKind,
    order: Event,
    state: Option<Event>,
    text: Text<'a>,
) -> Outgoing<'a> {
    let body: &Order = order.body();
    let sent = Sent {
        client_id: body.client_id,
        request_hash: xxh3_64(text.unsigned),
        request_bytes: text.unsigned.len() as u32,
        request: kind as u32,
        ..Sent::default()
    };
    let sent = Event::caused_by(&order, Kind::Sent, order.instrument(), &sent);
    Outgoing { kind, order, sent, state, query: text.signed }
}

fn refused(order: &Event, reason: Reason) -> Refused {
    let body: &Order = order.body();
    let report = OrderReport {
        client_id: body.client_id,
        px: body.px,
        qty: body.qty,
        reason: reason as u16,
        ..OrderReport::default()
    };
    let bits = order.flags & (flags::SELL | flags::REDUCE_ONLY);
    let report = Event::caused_by(order, Kind::OrderRejected, order.instrument(), &report);
    Refused { reason, report: report.with_flags(bits) }
}
