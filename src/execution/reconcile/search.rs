//! Orders of unknown outcome: procedure U. Each is asked for by its id, in its own service, after
//! growing waits; the first of them leaves the account's stream its time. What the venue does not
//! know after that is for a whole round to settle.

use super::mirror::Mirror;
use super::round::{ARRIVAL_MAX, Round};
use super::{Question, Reconciler, Told};
use crate::base::event::{Event, OrderReport, VenueStatus};
use crate::base::{ClientOrderId, Kind, Nanos, Qty, Reason, Symbol};
use crate::execution::{OrderState, TrackedOrder};
use std::collections::BTreeMap;

/// When an order is asked for, counted from when it became unknown.
pub const ASK_AFTER: [Nanos; 5] = [
    Nanos::from_millis(500),
    Nanos::from_secs(1),
    Nanos::from_secs(2),
    Nanos::from_secs(4),
    Nanos::from_secs(8),
];

/// Rounds that must have looked for an order in vain.
const VAIN_ROUNDS: u32 = 2;

/// One order.
#[derive(Clone, Copy, Debug)]
pub struct Sought {
    /// When it became unknown.
    pub since: Nanos,
    /// Questions so far.
    pub asked: usize,
    /// Rounds that looked for it in vain after that.
    pub rounds: u32,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Search {
    sought: BTreeMap<u64, Sought>,
}

impl Search {
    /// An order's outcome is not known.
    pub fn begin(&mut self, client_id: u64, now: Nanos) {
        if client_id != 0 {
            self.sought.entry(client_id).or_insert(Sought { since: now, asked: 0, rounds: 0 });
        }
    }

    /// An order of an earlier session, sent at `sent`: the waits count from then, and it is asked
    /// for at least once.
    pub fn begin_carried(&mut self, client_id: u64, sent: Nanos, now: Nanos) {
        let passed = ASK_AFTER.iter().filter(|&&after| now - sent >= after).count();
        let asked = passed.saturating_sub(1);
        self.sought.entry(client_id).or_insert(Sought { since: sent, asked, rounds: 0 });
    }

    /// Nothing is sought.
    pub fn is_empty(&self) -> bool {
        self.sought.is_empty()
    }

    /// A round is needed: every question has been asked.
    pub fn wants_round(&self) -> bool {
        self.sought.values().any(|sought| sought.asked == ASK_AFTER.len())
    }

    /// The next question that is due. What the river has settled is dropped.
    pub fn next(&mut self, mirror: &Mirror, symbols: &[Symbol], now: Nanos) -> Option<Question> {
        self.forget_settled(mirror);
        for (&id, sought) in &mut self.sought {
            let due = ASK_AFTER.get(sought.asked).is_some_and(|&after| now - sought.since >= after);
            let order = mirror.table.find(ClientOrderId(id)).filter(|_| due);
            let Some(order) = order else { continue };
            sought.asked += 1;
            let Some(&symbol) = symbols.get(order.instrument.index()) else { continue };
            let id = order.id;
            return Some(match mirror.is_algo(id) {
                true => Question::AlgoOrder { id },
                false => Question::Order { symbol, id },
            });
        }
        None
    }

    /// Drops what the river has settled.
    pub fn forget_settled(&mut self, mirror: &Mirror) {
        let unknown = |id: u64| {
            mirror.table.find(ClientOrderId(id)).is_some_and(|o| o.state == OrderState::Unknown)
        };
        self.sought.retain(|&id, _| unknown(id));
    }

    /// True while an order has been missing in one round and may be declared lost by the next.
    pub fn is_due_to_be_lost(&self) -> bool {
        self.sought.values().any(|sought| sought.rounds == 1)
    }

    /// What is sought of an order.
    pub fn of(&mut self, id: ClientOrderId) -> Option<&mut Sought> {
        self.sought.get_mut(&id.0)
    }

    /// An order that stays unknown is searched for from the beginning.
    pub fn restart(&mut self, id: ClientOrderId, now: Nanos) {
        self.sought.insert(id.0, Sought { since: now, asked: 0, rounds: 0 });
    }
}

impl Reconciler {
    /// The answer to a question that a search asked.
    pub(super) fn on_found(&mut self, question: &Question, told: &Told, now: Nanos) {
        let (Question::Order { .. } | Question::AlgoOrder { .. }) = question else { return };
        if let Told::Order(Some(order)) = told {
            self.adopt(order);
            // What it filled meanwhile comes by the list of trades.
            self.want(now);
        }
    }

    /// What becomes of orders that the venue does not know; false while one is not settled.
    pub(super) fn settle_absent(&mut self, round: &Round, agree: bool, now: Nanos) -> bool {
        let mut settled = true;
        for order in self.mirror.live() {
            if !round.live.contains(&order.id) || round.open.contains(&order.id.0) {
                continue;
            }
            settled = false;
            if !round.absent.contains(&order.id.0) {
                let filled = round.ended.get(&order.id.0);
                if filled.is_some_and(|&filled| order.filled.0 >= filled) {
                    // Every fill is known, and yet it is not over: it was for less than we asked,
                    // as a stop is that leaves a position which has shrunk.
                    self.out.push_back(ended(&order, Reason::ImmediateRest));
                }
                continue;
            }
            if order.state != OrderState::Unknown {
                // It was there and is not any more: what became of it is not known.
                let lost = ended(&order, Reason::UnknownOrder);
                self.out.push_back(Event { kind: Kind::OrderUnknown as u8, ..lost });
                continue;
            }
            let Some(sought) = self.search.of(order.id) else { continue };
            if sought.asked < ASK_AFTER.len() {
                continue;
            }
            let late = now - order.asked_at > ARRIVAL_MAX;
            sought.rounds += u32::from(late);
            if sought.rounds < VAIN_ROUNDS || !late {
                continue;
            }
            if agree {
                let was_there = order.filled > Qty::ZERO;
                let reason = if was_there { Reason::ImmediateRest } else { Reason::UnknownOrder };
                self.out.push_back(ended(&order, reason));
            } else {
                let status = VenueStatus { client_id: order.id.0, ..VenueStatus::default() };
                self.tell(order.instrument, Reason::OutcomeUnresolved, status);
                self.search.restart(order.id, now);
            }
        }
        settled
    }
}

/// An order that is over, with what is known to be filled.
fn ended(order: &TrackedOrder, reason: Reason) -> Event {
    let body = OrderReport {
        client_id: order.id.0,
        venue_id: order.venue_id,
        qty: order.qty.0,
        cum_qty: order.filled.0,
        reason: reason as u16,
        ..OrderReport::default()
    };
    Event::new(Kind::OrderExpired, order.instrument, &body)
}
