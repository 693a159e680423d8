//! What we believe: our orders and positions as the river told them. The same reports move it that
//! move the ledger, so what differs from it differs from the ledger.

use crate::base::event::{
    BookedCarried, Event, Order, OrderCarried, OrderReport, PositionCarried, SessionCarried,
};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{ClientOrderId, InstrumentId, Kind, Nanos, Purpose, Qty, Reason};
use crate::execution::{OrderState, OrderTable, TrackedOrder};
use crate::ledger::{FillMemory, Payment};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Payments remembered, for one that is told by the stream and by the list.
const PAYMENTS_MAX: usize = 256;
/// Venue's numbers remembered; a number is needed for one round.
const NAMES_MAX: usize = 1_024;
/// Numbers of conditional orders remembered before those of orders long gone are dropped; four
/// times what the table can hold.
const ALGOS_MAX: usize = 4 * OPEN_ORDERS_MAX;
/// How long a request may be under way before its order's state is no matter of waiting: a little
/// longer than execution's own patience.
const FLIGHT_MAX: Nanos = Nanos::from_secs(6);

/// One instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Signed position, 1e-8.
    pub qty: i64,
    /// Number of the newest trade that was read from the list; `None` before the first read. What
    /// the stream tells does not move it: a trade before it may have been missed.
    pub cursor: Option<u64>,
    /// Reports and requests so far.
    pub moves: u64,
    /// Since when trades are wanted where no number is known.
    pub since: Option<Nanos>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Mirror {
    pub table: OrderTable,
    pub fills: FillMemory,
    holdings: Vec<Holding>,
    payments: VecDeque<Payment>,
    /// Conditional orders among ours.
    algos: BTreeSet<u64>,
    /// Venue's numbers of orders of ours that were found by asking.
    names: BTreeMap<u64, ClientOrderId>,
    /// Orders that no session remembers, by the venue's number, and what a fill of them means.
    pub strangers: BTreeMap<u64, Reason>,
    /// Order-id epoch of the session before; 0 for none.
    epoch_before: u32,
    /// Funding is wanted from here on.
    pub funding_since: Nanos,
}

impl Mirror {
    pub fn new(instruments: usize) -> Self {
        Self {
            table: OrderTable::new(),
            fills: FillMemory::new(),
            holdings: vec![Holding::default(); instruments],
            payments: VecDeque::with_capacity(PAYMENTS_MAX),
            algos: BTreeSet::new(),
            names: BTreeMap::new(),
            strangers: BTreeMap::new(),
            epoch_before: 0,
            funding_since: Nanos::ZERO,
        }
    }

    pub fn holding(&self, index: usize) -> Option<&Holding> {
        self.holdings.get(index)
    }

    pub fn holding_mut(&mut self, index: usize) -> Option<&mut Holding> {
        self.holdings.get_mut(index)
    }

    pub fn hear_request(&mut self, request: &Event) {
        let order: &Order = request.body();
        self.note_move(request.instrument());
        if request.kind() == Some(Kind::CancelApproved) {
            self.table.cancel_sent(request, order.id());
            return;
        }
        if Purpose::from_u8(order.purpose) == Some(Purpose::Protect) {
            self.note_algo(order.client_id);
        }
        // A full table refuses the order in execution just as here: it does not leave.
        let _ = self.table.insert(order.id(), request.instrument(), Qty(order.qty), request.now());
    }

    pub fn hear(&mut self, event: &Event) {
        if self.funding_since == Nanos::ZERO {
            self.funding_since = event.now();
        }
        match event.kind() {
            Some(Kind::OrderFilled) => self.fill(event),
            Some(Kind::FundingPayment) => self.note_payment(Payment::of(event)),
            Some(Kind::PositionCarried) => {
                let body: &PositionCarried = event.body();
                let Some(holding) = self.holdings.get_mut(event.instrument().index()) else {
                    return;
                };
                holding.qty = body.qty;
                holding.cursor = body.trades_from.checked_sub(1);
                self.carry_fills(event);
            }
            Some(Kind::BookedCarried) => {
                let body: &BookedCarried = event.body();
                self.carry_fills(event);
                Payment::carried(event.instrument(), body).for_each(|paid| self.note_payment(paid));
            }
            Some(Kind::OrderCarried) => {
                let body: &OrderCarried = event.body();
                self.table.carry(event);
                if Purpose::from_u8(body.purpose) == Some(Purpose::Protect) {
                    self.note_algo(body.client_id);
                }
                if let Some(holding) = self.holdings.get_mut(event.instrument().index()) {
                    let sent = Nanos(body.ts_sent);
                    holding.since = Some(holding.since.map_or(sent, |old| old.min(sent)));
                }
            }
            Some(Kind::SessionCarried) => {
                let body: &SessionCarried = event.body();
                if body.epoch > 0 {
                    self.funding_since = Nanos(body.funding_since);
                    self.epoch_before = body.epoch;
                }
            }
            Some(
                Kind::OrderAccepted
                | Kind::OrderCancelled
                | Kind::OrderRejected
                | Kind::OrderExpired
                | Kind::OrderUnknown
                | Kind::CancelRejected,
            ) => {
                self.note_move(event.instrument());
                self.table.on_report(event);
            }
            _ => {}
        }
    }

    fn note_algo(&mut self, client_id: u64) {
        if self.algos.len() >= ALGOS_MAX {
            let table = &self.table;
            self.algos.retain(|&id| table.find(ClientOrderId(id)).is_some());
        }
        self.algos.insert(client_id);
    }

    fn carry_fills(&mut self, event: &Event) {
        self.fills.carry(event);
        self.table.carry_fills(event);
    }

    fn fill(&mut self, event: &Event) {
        let report: &OrderReport = event.body();
        self.note_move(event.instrument());
        self.table.on_report(event);
        let first = self.fills.is_new(event.instrument(), report.trade_id);
        if let Some(holding) = self.holdings.get_mut(event.instrument().index())
            && first
        {
            holding.qty = holding.qty.saturating_add(event.side().sign() * report.last_qty);
        }
    }

    fn note_move(&mut self, instrument: InstrumentId) {
        if let Some(holding) = self.holdings.get_mut(instrument.index()) {
            holding.moves += 1;
        }
    }

    fn note_payment(&mut self, payment: Payment) {
        if self.payments.len() == PAYMENTS_MAX {
            self.payments.pop_front();
        }
        self.payments.push_back(payment);
    }

    /// True for a payment that the river was told of. One without a symbol was booked on another
    /// instrument, and is known by its amount.
    pub fn knows_payment(&self, payment: &Payment) -> bool {
        self.payments.iter().any(|known| known.is_near(payment))
    }

    /// True for a conditional order of ours.
    pub fn is_algo(&self, id: ClientOrderId) -> bool {
        self.algos.contains(&id.0)
    }

    /// Our orders that may still change, in order of their ids.
    pub fn live(&self) -> Vec<TrackedOrder> {
        let live = self.table.orders().iter().filter(|order| !order.state.is_terminal());
        let mut live: Vec<TrackedOrder> = live.copied().collect();
        live.sort_by_key(|order| order.id);
        live
    }

    /// Our id of the venue's number of an order.
    pub fn id_of(&self, venue_id: u64) -> Option<ClientOrderId> {
        let known = self.table.orders().iter().find(|order| order.venue_id == venue_id);
        let known = known.filter(|_| venue_id != 0).map(|order| order.id);
        known.or_else(|| self.names.get(&venue_id).copied())
    }

    /// True for an order of the session before that no journal remembers: its records were lost
    /// with the machine's power, and it was sent all the same.
    pub fn is_lost_record(&self, id: ClientOrderId) -> bool {
        self.epoch_before > 0 && id.epoch() == self.epoch_before && self.table.find(id).is_none()
    }

    /// A fill of the order of this number is of nobody we know, and means this.
    pub fn note_stranger(&mut self, number: u64, meaning: Reason) {
        if self.strangers.len() >= NAMES_MAX {
            self.strangers.clear();
        }
        self.strangers.insert(number, meaning);
    }

    /// The venue's number of an order of ours, or of what a conditional one became.
    pub fn name(&mut self, venue_id: u64, id: ClientOrderId) {
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        if venue_id != 0 {
            self.names.insert(venue_id, id);
        }
    }

    /// True while a request is under way whose end the river will tell shortly.
    pub fn in_flight(&self, now: Nanos) -> bool {
        self.table.orders().iter().any(|order| {
            let waits = matches!(order.state, OrderState::PendingNew | OrderState::PendingCancel);
            waits && now - order.asked_at < FLIGHT_MAX
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Side;
    use crate::base::event::{OrderReport, side_flag};

    #[test]
    fn what_is_remembered_of_stops_stays_bounded_and_live_ones_are_never_forgotten() {
        let mut mirror = Mirror::new(1);
        let stop = |id: u64| {
            let purpose = Purpose::Protect as u8;
            let body = Order { client_id: id, qty: 5, purpose, ..Order::default() };
            let event = Event::new(Kind::OrderApproved, InstrumentId(0), &body);
            event.with_flags(side_flag(Side::Sell))
        };
        for id in 1..20_000_u64 {
            mirror.hear_request(&stop(id));
            // The first one lives on; of the others each ends before the next.
            if id > 1 {
                let body = OrderReport { client_id: id, ..OrderReport::default() };
                mirror.hear(&Event::new(Kind::OrderCancelled, InstrumentId(0), &body));
            }
            assert!(mirror.algos.len() <= ALGOS_MAX);
            assert!(mirror.is_algo(ClientOrderId(id)) && mirror.is_algo(ClientOrderId(1)));
        }
    }
}
