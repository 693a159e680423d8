//! The checks of when an order comes: how often, how late, after what, and beside what.

use super::check::Check;
use super::checks::{Answer, EXITS_PER_10S, Margin, Question, Trip, at_most, denied, yes_or};
use super::limits::Limits;
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::{Purpose, Px, Reason, Side};

impl Question<'_> {
    #[inline(always)]
    pub(super) fn ask_pace(&self, check: Check, limits: &Limits) -> Answer {
        let (wanted, entry) = (self.wanted, self.wanted.purpose.is_entry());
        match check {
            Check::DecisionOnce => {
                yes_or(self.sense.decided != Some(self.seq), Reason::DecisionTwice)
            }
            Check::Duplicate => {
                let (tick, window) = (self.terms.facts.tick_size, limits.duplicate_window);
                let again = self.duplicates.holds(wanted, tick, window, self.now);
                // An exit is no worse for what is not known.
                let unknown = entry && self.duplicates.forgets(window, self.now);
                yes_or(!(again || unknown), Reason::DuplicateOrder)
            }
            Check::Identical => {
                let like = self.sense.entries.like(wanted, self.terms.facts.tick_size, self.now);
                let most = limits.identical_entries;
                at_most(i128::from(like) + 1, most.into(), Reason::IdenticalEntries)
            }
            Check::Rate => {
                // Exits have the other half of the venue's budget, so that entries cannot starve
                // them, and never less than where no rate is set.
                let most = limits.orders_per_10s;
                let alone = entry || wanted.purpose == Purpose::Protect;
                let exits = most.saturating_mul(2).max(EXITS_PER_10S);
                self.rate(if alone { most } else { exits })
            }
            Check::EntriesPerDay => {
                let next = i128::from(self.entries_today) + 1;
                at_most(next, limits.entries_per_day.into(), Reason::MaxEntriesPerDay)
            }
            Check::SelfTrade => self.self_trade(),
            Check::OpenOrders => {
                let most = if entry { limits.open_orders } else { OPEN_ORDERS_MAX };
                self.open_orders(most)
            }
            Check::MarketAge => {
                let age = self.position.touch_age(self.now);
                at_most(age.0.into(), limits.market_age.0, Reason::StaleMarket)
            }
            Check::MarketRecovering => at_most(self.to_recover.into(), 0, Reason::MarketRecovering),
            Check::ModelOutput => {
                let suspicion = self.sense.suspicion(limits);
                suspicion.map_or(Ok(Margin::Wide), denied)
            }
            Check::DecisionAge => {
                let age = (self.now - self.decided_at).max(self.lag);
                at_most(age.0.into(), limits.decision_age.0, Reason::DecisionLate)
            }
            _ => denied(Reason::InvariantBroken),
        }
    }

    pub(super) fn rate(&self, most: usize) -> Answer {
        let most_shown = i64::try_from(most).unwrap_or(i64::MAX);
        let trip = Trip { reason: Reason::OrderRate, value: most_shown, limit: most_shown };
        if self.throttle.reached(most, self.now) { Err(trip) } else { Ok(Margin::Wide) }
    }

    /// Stops are bounded by the table alone, and take no place of the others' bound.
    pub(super) fn open_orders(&self, most: usize) -> Answer {
        let stop = self.wanted.purpose == Purpose::Protect;
        let held = if stop { self.ledger.orders().len() } else { self.ledger.trading_orders() };
        let next = held as i128 + 1;
        let most = i64::try_from(most.min(OPEN_ORDERS_MAX)).unwrap_or(i64::MAX);
        at_most(next, most, Reason::MaxOpenOrders)
    }

    fn self_trade(&self) -> Answer {
        let wanted = self.wanted;
        if !self.position.resting.meets(wanted.side, wanted.px) {
            return Ok(Margin::Wide);
        }
        // The first of them is told.
        let mut ours = self.ledger.orders().iter().filter(|order| {
            order.instrument == wanted.instrument
                && order.side == wanted.side.opposite()
                && !order.protects()
        });
        let met = ours.find(|order| match wanted.side {
            Side::Buy => order.px <= wanted.px,
            Side::Sell => order.px >= wanted.px || order.px == Px::ZERO,
        });
        let Some(order) = met else { return Ok(Margin::Wide) };
        Err(Trip { reason: Reason::SelfTrade, value: wanted.px.0, limit: order.px.0 })
    }
}
