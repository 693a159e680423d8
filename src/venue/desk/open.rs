//! Which of our orders may still change at the venue, as told by its reports: for deciding what an
//! answer still adds, and when everything has been heard at the end of a session.

use crate::base::event::{Event, Order, OrderReport};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{ClientOrderId, Kind, OrderType, Reason};

#[derive(Clone, Copy, Debug)]
struct OpenOrder {
    id: ClientOrderId,
    qty: i64,
    filled: i64,
    /// Most that the venue said was filled.
    reported: i64,
    /// The venue's stream or an answer told of it.
    heard: bool,
    ended: bool,
    /// A protective stop that waits: it stays at the venue, whatever ends here.
    waits: bool,
}

/// See the head of this file. Bounded by the orders risk may have open.
#[derive(Clone, Debug)]
pub(super) struct OpenOrders {
    orders: Vec<OpenOrder>,
}

impl OpenOrders {
    /// Empty. The only allocation.
    pub fn new() -> Self {
        Self { orders: Vec::with_capacity(2 * OPEN_ORDERS_MAX) }
    }

    /// An order is about to leave.
    pub fn insert(&mut self, order: &Event) {
        let body: &Order = order.body();
        if self.orders.len() < self.orders.capacity() {
            let (id, qty) = (body.id(), body.qty);
            let waits = body.order_type == OrderType::StopMarket as u8;
            let (heard, ended) = (false, false);
            self.orders.push(OpenOrder { id, qty, filled: 0, reported: 0, heard, ended, waits });
        }
    }

    /// A numbered report of the river; fills come once, the feed's order is theirs.
    pub fn hear(&mut self, event: &Event) {
        let report: &OrderReport = event.body();
        let id = ClientOrderId(report.client_id);
        let Some(at) = self.orders.iter().position(|order| order.id == id) else { return };
        let order = &mut self.orders[at];
        order.reported = order.reported.max(report.cum_qty);
        order.waits &= report.reason != Reason::StopTriggered as u16;
        match event.kind() {
            Some(Kind::OrderAccepted) => {
                order.heard = true;
                // The venue may shrink a reduce-only order; its word counts.
                order.qty = if report.qty > 0 { report.qty } else { order.qty };
            }
            Some(Kind::OrderFilled) => {
                order.heard = true;
                // The total, not the sum: the same fill may come again.
                order.filled = order.filled.max(report.cum_qty);
            }
            Some(Kind::OrderCancelled | Kind::OrderExpired | Kind::OrderRejected) => {
                order.ended = true;
            }
            _ => return,
        }
        let whole = order.filled >= order.qty;
        if whole || order.ended && order.filled >= order.reported {
            self.orders.swap_remove(at);
        }
    }

    /// True when the venue has been heard on the order, or it is over: a missing answer then adds
    /// nothing.
    pub fn is_known(&self, id: ClientOrderId) -> bool {
        self.orders.iter().find(|order| order.id == id).is_none_or(|order| order.heard)
    }

    /// True when the order has ended or was filled whole.
    pub fn is_over(&self, id: ClientOrderId) -> bool {
        self.orders.iter().find(|order| order.id == id).is_none_or(|order| order.ended)
    }

    /// Orders that may still change, without the stops that wait.
    pub fn len(&self) -> usize {
        self.orders.iter().filter(|order| !order.waits).count()
    }
}
