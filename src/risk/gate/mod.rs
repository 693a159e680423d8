//! The gate: the one place where an intent becomes an approved order.

mod order;
mod trips;
mod watched;

#[cfg(test)]
pub(super) use order::glances;

use super::breakers::Breakers;
use super::check::Check;
use super::checks::{self, Trip};
use super::command::arms_by_name;
use super::conduct::Consequence;
use super::limits::Limits;
use super::portfolio::Portfolio;
use super::senses::{Lateness, Sense};
use super::session::{CheckCount, GateError, GateSession};
use super::state::{Actor, Trading, TradingState, Verb};
use super::terms::Terms;
use super::throttle::{Duplicates, MINUTE, TEN_SECONDS, Throttle};
use super::venue::{Conditions, Response, response};
use super::watch::Watch;
use crate::base::event::{
    Command, Denied, Order, OrderReport, SessionCarried, VenuePosition, VenueStatus, flags,
    side_flag,
};
use crate::base::limits::DENIALS_MAX;
use crate::base::settings::{BreakerSettings, InstrumentSettings, RiskSettings, WatchSettings};
use crate::base::{
    ClientOrderId, Event, InstrumentId, Kind, Money, Nanos, OrderType, Purpose, Qty, Reason,
    TimeInForce,
};
use crate::ledger::Ledger;
use crate::policy::{Intent, Wanted};

/// An order or cancel that passed the gate. Only the gate makes one, and it cannot be copied: one
/// approval is one send.
#[derive(Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Approved(Event);

impl Approved {
    /// The `OrderApproved` or `CancelApproved` record.
    pub fn event(&self) -> &Event {
        &self.0
    }
}

/// What the gate says.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be sent; the ledger counts it already.
    Approved(Approved),
    /// It may not; the `Denied` record says why.
    Denied(Event),
}

/// Denials kept for counting: the largest limit there can be.
const DENIALS_KEPT: usize = DENIALS_MAX as usize;

/// See the head of this file. Owned by the risk stage.
#[derive(Clone, Debug)]
pub struct Gate {
    pub(super) limits: Option<Limits>,
    pub(super) breakers: Breakers,
    /// By instrument.
    terms: Vec<Terms>,
    session: GateSession,
    trading: Trading,
    throttle: Throttle,
    /// Approved protective stops: they take nothing of the others' rate.
    stop_throttle: Throttle,
    duplicates: Duplicates,
    /// By instrument.
    pub(super) senses: Vec<Sense>,
    pub(super) portfolio: Portfolio,
    pub(super) lateness: Lateness,
    /// Denials by a collar, and by the rate.
    pub(super) collar_denials: Throttle,
    pub(super) rate_denials: Throttle,
    /// What the last denial leads to beside itself.
    pub(super) consequence: Option<Consequence>,
    pub(super) counts: order::Counts,
    last_counter: u32,
    pub(super) entries_today: u32,
    /// What reduces at the moment, by the venue's word or a limit's.
    pub(super) conditions: Conditions,
    /// Since when nothing that is told is a reason to reduce.
    calm: Option<Nanos>,
    cool_down: Nanos,
    /// It was halted or killed, and nobody has armed since.
    owes_restart: bool,
    watch: Watch,
    day: i64,
    /// Before it nothing is to be done about days.
    day_ends: Nanos,
    pub(super) now: Nanos,
}

impl Gate {
    /// For the session's instruments, in table order. The only allocations.
    ///
    /// # Errors
    /// [`GateError`] when the session's numbers do not fit an order id.
    pub fn new(
        settings: &RiskSettings,
        instruments: &[InstrumentSettings],
        session: GateSession,
        trading: Trading,
    ) -> Result<Self, GateError> {
        let GateSession { epoch, strategy, model, .. } = session;
        if epoch >= 1 << 20 {
            return Err(GateError::Epoch(epoch));
        }
        if strategy >= 1 << 6 || model >= 1 << 6 {
            return Err(GateError::Number { strategy, model });
        }
        let limits = Limits::new(settings);
        let terms: Vec<_> = instruments.iter().map(|facts| Terms::new(settings, facts)).collect();
        let levels = BreakerSettings::default();
        let breakers = Breakers::new(&levels, settings, &allowed(&terms), fingerprint(&limits));
        let remembered = limits.map_or(0, |limits| limits.orders_per_10s.saturating_mul(2));
        Ok(Self {
            limits,
            breakers,
            terms,
            session,
            trading,
            throttle: Throttle::new(remembered.max(checks::EXITS_PER_10S), TEN_SECONDS),
            stop_throttle: Throttle::new(remembered.max(checks::EXITS_PER_10S), TEN_SECONDS),
            duplicates: Duplicates::new(),
            senses: vec![Sense::new(); instruments.len()],
            portfolio: Portfolio::new(&settings.portfolio, instruments.len()),
            lateness: Lateness::new(),
            collar_denials: Throttle::new(DENIALS_KEPT, MINUTE),
            rate_denials: Throttle::new(DENIALS_KEPT, TEN_SECONDS),
            consequence: None,
            counts: order::Counts::new(),
            last_counter: 0,
            entries_today: 0,
            conditions: Conditions::default(),
            calm: None,
            cool_down: Nanos::ZERO,
            owes_restart: false,
            watch: Watch::new(&WatchSettings::asking_nothing(), instruments.len(), false),
            day: i64::MIN,
            day_ends: Nanos(i64::MIN),
            now: Nanos(i64::MIN),
        })
    }

    /// With breakers of these levels.
    #[must_use]
    pub fn with_breakers(mut self, settings: &BreakerSettings, risk: &RiskSettings) -> Self {
        let limits = fingerprint(&self.limits);
        self.breakers = Breakers::new(settings, risk, &allowed(&self.terms), limits);
        self.cool_down = Nanos::from_secs(i64::from(settings.cool_down_s));
        self
    }

    /// The same with thresholds for what the watch of the venue tells. `at_venue`: orders go to a
    /// venue, where there is an account to be watched.
    #[must_use]
    pub fn with_watch(mut self, settings: &WatchSettings, at_venue: bool) -> Self {
        self.watch = Watch::new(settings, self.terms.len(), at_venue);
        self
    }

    /// The newest event time; every event of the stage is shown here first. Time never goes back.
    pub fn on_time(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        if self.now < self.day_ends {
            return;
        }
        let day = self.now.utc_day();
        self.day_ends = Nanos::end_of_day(day);
        if day > self.day {
            self.day = day;
            self.entries_today = 0;
        }
    }

    /// Judges an intent that `cause` led to; `None` for no intent. What is approved is counted in
    /// the ledger at once, so that the next intent is judged with it.
    pub fn admit(
        &mut self,
        cause: &Event,
        intent: &Intent,
        ledger: &mut Ledger,
    ) -> Option<Verdict> {
        match intent {
            Intent::None | Intent::HoldBack(_) => None,
            Intent::Enter(wanted) | Intent::Exit(wanted) | Intent::Protect(wanted) => {
                Some(self.admit_order(cause, wanted, ledger))
            }
            Intent::Cancel { instrument, id } => {
                Some(Verdict::Approved(self.admit_cancel(cause, *instrument, *id, ledger)))
            }
        }
    }

    /// Approves a cancel: always, in every state.
    pub fn admit_cancel(
        &mut self,
        cause: &Event,
        instrument: InstrumentId,
        id: ClientOrderId,
        ledger: &mut Ledger,
    ) -> Approved {
        let mut body = Order { client_id: id.0, ..Order::default() };
        let mut bits = 0;
        if let Some(order) = ledger.order(id) {
            body.px = order.px.0;
            body.qty = order.qty.0;
            body.purpose = order.purpose as u8;
            // A stop is cancelled elsewhere than the other orders.
            body.order_type = if order.protects() { OrderType::StopMarket as u8 } else { 0 };
            bits = side_flag(order.side);
        }
        let event =
            Event::caused_by(cause, Kind::CancelApproved, instrument, &body).with_flags(bits);
        // A cancel changes no table size: it cannot fail.
        let _ = ledger.on_order_sent(&event);
        Approved(event)
    }

    /// Moves the trading state where the rules allow it; the record of the move.
    pub fn request(
        &mut self,
        cause: &Event,
        to: TradingState,
        reason: Reason,
        actor: Actor,
    ) -> Option<Event> {
        let change = self.trading.request(cause, to, reason, actor)?;
        self.owes_restart |= matches!(to, TradingState::Halted | TradingState::Killed);
        Some(change)
    }

    /// Obeys an operator's `Command` event. A person who arms has seen the losses: they count from
    /// none again, though what the venue holds may have to be found out first. The day's loss and
    /// the drawdown stay what they are.
    pub fn on_command(&mut self, event: &Event, ledger: &mut Ledger) -> Option<Event> {
        let command: &Command = event.body();
        // A kill is over when everything it had to cancel is gone, and not before.
        if command.verb == Verb::Clear as u32 && !ledger.orders().is_empty() {
            return None;
        }
        let arms = self.trading.may_arm(command);
        let change = self.trading.on_command(event);
        self.owes_restart |= self.state() == TradingState::Killed;
        // Armed is also what becomes active as soon as it is reconciled.
        if arms && self.trading.is_armed() {
            if arms_by_name(command) {
                ledger.forget_losses();
                self.entries_today = 0;
                self.breakers.on_entries_reset();
            }
            let after_halt = std::mem::take(&mut self.owes_restart);
            self.breakers.on_armed(after_halt, ledger, event.now());
        }
        change
    }

    /// Takes over what an earlier session left: entries of the day are not forgotten, and neither a
    /// halt nor a kill ends by a restart.
    pub fn on_carried(&mut self, event: &Event) -> Option<Event> {
        let carried: &SessionCarried = event.body();
        if carried.epoch > 0 && carried.day >= self.day {
            self.day = carried.day;
            self.entries_today = carried.entries_today;
        }
        self.breakers.on_carried(carried);
        let change = self.trading.on_carried(event);
        self.owes_restart |= self.trading.is_latched();
        change
    }

    /// The ledger and the venue agree.
    pub fn on_reconciled(&mut self, cause: &Event) -> Option<Event> {
        self.trading.on_reconciled(cause)
    }

    /// Something about the venue or our account there; see `venue` for what follows.
    pub fn on_venue_status(&mut self, event: &Event) -> Option<Event> {
        let body: &VenueStatus = event.body();
        let reason = Reason::from_u16(body.reason).unwrap_or(Reason::InvariantBroken);
        let over = event.has(flags::ON);
        match response(reason) {
            Response::Note => None,
            Response::Reduce if over => {
                self.conditions.end(reason);
                self.relax(event)
            }
            Response::Reduce => {
                self.conditions.begin(reason, Nanos(body.ts_until));
                self.relax(event)
            }
            Response::Enter(_) if over => None,
            Response::Enter(to) => self.request(event, to, reason, Actor::System),
        }
    }

    /// A position as the venue tells it: with `LAST` the ledger must agree.
    pub fn on_venue_position(&mut self, event: &Event, ledger: &Ledger) -> Option<Event> {
        let body: &VenuePosition = event.body();
        let held = ledger.position(event.instrument()).map_or(Qty::ZERO, |position| position.qty);
        if !event.has(flags::LAST) || held.0 == body.qty {
            return None;
        }
        self.request(event, TradingState::Halted, Reason::PositionMismatch, Actor::System)
    }

    /// A fill of an order that is not ours: the venue closed the position, or someone else trades.
    pub fn on_foreign_fill(&mut self, event: &Event) -> Option<Event> {
        let body: &OrderReport = event.body();
        if body.client_id != 0 {
            return None;
        }
        let closed = body.reason == Reason::ClosedByVenue as u16;
        let (to, reason) = match closed {
            true => (TradingState::Killed, Reason::ClosedByVenue),
            false => (TradingState::Halted, Reason::ForeignOrder),
        };
        self.request(event, to, reason, Actor::System)
    }

    /// The trading state.
    pub fn state(&self) -> TradingState {
        self.trading.state()
    }

    /// The trading state that outlives the session, and the entries of the day.
    pub fn left(&self) -> (TradingState, u32) {
        (self.trading.left(), self.entries_today)
    }

    /// Why the trading state is what it is.
    pub fn state_reason(&self) -> Reason {
        self.trading.reason()
    }

    /// Counts of a check.
    pub fn count(&self, check: Check) -> CheckCount {
        self.counts.of(check)
    }

    fn admit_order(&mut self, cause: &Event, wanted: &Wanted, ledger: &mut Ledger) -> Verdict {
        self.on_time(cause.now());
        self.breakers.on_intent(cause.now());
        match self.ask_all(cause, wanted, ledger) {
            Ok(notional) => self.approve(cause, wanted, notional, ledger),
            Err((check, trip)) => {
                self.on_denied(trip.reason);
                Verdict::Denied(deny(cause, wanted, check, trip))
            }
        }
    }

    fn approve(
        &mut self,
        cause: &Event,
        wanted: &Wanted,
        notional: Money,
        ledger: &mut Ledger,
    ) -> Verdict {
        let spent = Trip { reason: Reason::Overflow, value: i64::MAX, limit: i64::MAX };
        let Some(counter) = self.last_counter.checked_add(1) else {
            return Verdict::Denied(deny(cause, wanted, Check::OpenOrders, spent));
        };
        let GateSession { epoch, strategy, model, .. } = self.session;
        let body = Order {
            client_id: ClientOrderId::pack(epoch, strategy, model, counter).0,
            px: wanted.px.0,
            qty: wanted.qty.0,
            reference_px: wanted.reference_px.0,
            notional: notional.0,
            order_type: wanted.order_type as u8,
            time_in_force: match wanted.order_type {
                OrderType::Limit => wanted.time_in_force as u8,
                OrderType::Market => TimeInForce::Ioc as u8,
                OrderType::StopMarket => TimeInForce::Gtc as u8,
            },
            purpose: wanted.purpose as u8,
            bound: wanted.plan.bound as u8,
            model_tag: wanted.model_tag,
            atr_px: wanted.plan.atr_px.0,
            target_px: wanted.plan.target_px.0,
            edge: wanted.plan.edge.0,
            costs: wanted.plan.costs.0,
            ..Order::default()
        };
        let reduce = if wanted.purpose.is_entry() { 0 } else { flags::REDUCE_ONLY };
        let mut event = Event::caused_by(cause, Kind::OrderApproved, wanted.instrument, &body);
        event.flags = side_flag(wanted.side) | reduce;
        if let Err(reason) = ledger.on_order_sent(&event) {
            let trip = Trip { reason, value: 0, limit: 0 };
            return Verdict::Denied(deny(cause, wanted, Check::OpenOrders, trip));
        }
        self.last_counter = counter;
        self.breakers.on_approved(&event);
        if wanted.purpose == Purpose::Protect {
            self.stop_throttle.record(self.now);
        } else {
            self.throttle.record(self.now);
            self.duplicates.record(wanted, self.now);
        }
        if wanted.purpose.is_entry() {
            self.entries_today += 1;
            if let Some(sense) = self.senses.get_mut(wanted.instrument.index()) {
                sense.decided = Some(cause.seq);
                sense.entries.record(wanted, self.now);
            }
        }
        Verdict::Approved(Approved(event))
    }
}

/// By instrument, whether it may be traded.
fn allowed(terms: &[Terms]) -> Vec<bool> {
    terms.iter().map(|terms| terms.allowed).collect()
}

/// Fingerprint of the limits: what runs may not change them.
fn fingerprint(limits: &Option<Limits>) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    limits.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn deny(cause: &Event, wanted: &Wanted, check: Check, trip: Trip) -> Event {
    let body = Denied {
        reason: trip.reason as u16,
        check: check as u16,
        purpose: wanted.purpose as u8,
        value: trip.value,
        limit: trip.limit,
        px: wanted.px.0,
        qty: wanted.qty.0,
        model_tag: wanted.model_tag,
        ..Denied::default()
    };
    let event = Event::caused_by(cause, Kind::Denied, wanted.instrument, &body);
    event.with_flags(side_flag(wanted.side))
}
