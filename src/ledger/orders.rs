//! Our live orders: in flight, working, of unknown outcome, or ended with fills still to come.
//!
//! ```text
//!   InFlight ──accepted──► Working ──┬─ cancelled, expired ──► gone, or Settling until the fills
//!      │  │                   │      │                         that the venue counted have come
//!      │  └──outcome unknown──┴──► Unknown
//!      └──rejected──► gone        (any) ──all filled──► gone
//! ```

use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{ClientOrderId, InstrumentId, Nanos, Purpose, Px, Qty, Side};

/// Where a live order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Approved; nothing heard yet.
    InFlight,
    /// Acknowledged.
    Working,
    /// The outcome is not known: open, filled or never arrived.
    Unknown,
    /// Ended, but the venue counted more filled than we have seen.
    Settling,
}

/// A live order as the ledger counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Our id.
    pub id: ClientOrderId,
    /// Whose order.
    pub instrument: InstrumentId,
    /// Side.
    pub side: Side,
    /// Why it exists.
    pub purpose: Purpose,
    /// Limit price, 0 for a market order.
    pub px: Px,
    /// Quantity, as last told by the venue.
    pub qty: Qty,
    /// Booked fills.
    pub filled: Qty,
    /// Most that the venue said was filled.
    pub reported: Qty,
    /// Stage.
    pub stage: Stage,
    /// A cancel is on its way.
    pub cancel_pending: bool,
    /// A cancel was refused; the next waits for a timer. A venue that refuses at once would
    /// otherwise be asked as fast as it answers, until the journal is full.
    pub cancel_refused: bool,
    /// Event time of the approval.
    pub sent_at: Nanos,
    /// Average true range an entry was decided with; 0 where not known.
    pub atr_px: Px,
    /// Distance at which an entry takes its profit; 0 for none.
    pub target_px: Px,
}

impl OpenOrder {
    /// A protective stop: it closes what is there when it triggers, so it adds no exposure, and
    /// neither entries nor exits have to wait for it.
    pub fn protects(&self) -> bool {
        self.purpose == Purpose::Protect
    }

    /// A cancel may be asked for: none is under way or was refused since the last timer, and the
    /// order is not over.
    pub fn is_cancellable(&self) -> bool {
        !self.cancel_pending && !self.cancel_refused && self.stage != Stage::Settling
    }

    /// The venue has told that it lives. One that was not known can be cancelled anew.
    pub(super) fn found(&mut self) {
        match self.stage {
            Stage::InFlight => self.stage = Stage::Working,
            Stage::Unknown => (self.stage, self.cancel_pending) = (Stage::Working, false),
            Stage::Working | Stage::Settling => {}
        }
    }

    /// What may still be filled, worst case.
    pub fn leaves(&self) -> Qty {
        let end = if self.stage == Stage::Settling { self.reported } else { self.qty };
        Qty((end.0.saturating_sub(self.filled.0)).max(0))
    }
}

/// A bounded table of [`OpenOrder`]s; its order carries no meaning.
#[derive(Clone, Debug)]
pub(super) struct OpenOrders {
    orders: Vec<OpenOrder>,
    /// The highest id there ever was.
    highest: ClientOrderId,
}

impl OpenOrders {
    pub(super) fn new() -> Self {
        Self { orders: Vec::with_capacity(OPEN_ORDERS_MAX), highest: ClientOrderId::default() }
    }

    pub(super) fn as_slice(&self) -> &[OpenOrder] {
        &self.orders
    }

    /// Orders whose cancel was refused may be cancelled anew; true when there were any.
    pub(super) fn cancel_anew(&mut self) -> bool {
        let refused = self.orders.iter_mut().map(|order| std::mem::take(&mut order.cancel_refused));
        refused.fold(false, |any, refused| any | refused)
    }

    /// The one that was added last.
    #[inline]
    pub(super) fn newest(&self) -> Option<&OpenOrder> {
        self.orders.last()
    }

    /// False when the table is full or knows the id.
    #[inline(always)]
    pub(super) fn insert(&mut self, order: OpenOrder) -> bool {
        // Ids rise within a session: an id above all before it is no other's, without a look.
        let new = order.id.0 > self.highest.0 || self.find(order.id).is_none();
        let free = self.orders.len() < OPEN_ORDERS_MAX && new;
        if free {
            self.highest = ClientOrderId(self.highest.0.max(order.id.0));
            self.orders.push(order);
        }
        free
    }

    pub(super) fn find(&self, id: ClientOrderId) -> Option<usize> {
        self.orders.iter().position(|order| order.id == id)
    }

    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut OpenOrder> {
        self.orders.get_mut(index)
    }

    pub(super) fn remove(&mut self, index: usize) {
        if index < self.orders.len() {
            self.orders.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_refused_while_its_order_lives_however_ids_come() {
        let order = |id| OpenOrder {
            id: ClientOrderId(id),
            instrument: InstrumentId(0),
            side: Side::Buy,
            purpose: Purpose::Entry,
            px: Px(1),
            qty: Qty(1),
            filled: Qty::ZERO,
            reported: Qty::ZERO,
            stage: Stage::InFlight,
            cancel_pending: false,
            cancel_refused: false,
            sent_at: Nanos(0),
            atr_px: Px::ZERO,
            target_px: Px::ZERO,
        };
        let mut orders = OpenOrders::new();
        let taken = [5, 3, 3, 5, 9, 7, 9, 7, 0, 0].map(|id| orders.insert(order(id)));
        assert_eq!(
            taken,
            [true, true, false, false, true, true, false, false, true, false],
            "those that live: 5, 3, 9, 7, 0"
        );
        // The highest goes, and the numbers below it are free and taken as before.
        orders.remove(orders.find(ClientOrderId(9)).unwrap());
        assert_eq!([9, 7, 8].map(|id| orders.insert(order(id))), [true, false, true]);
        // A place that no order has is left alone.
        let before = orders.as_slice().to_vec();
        orders.remove(before.len());
        assert_eq!(orders.as_slice(), before);
    }
}
