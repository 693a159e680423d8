//! Holds the one ledger and decides: reports and prices update it, the policy wants, the gate
//! allows.

mod watch;

use super::execution_stage::{ExecutionStage, ToExecution};
use super::link::{Accept, Halt, Next};
use super::outbox::Outbox;
use super::probe::Probe;
use crate::base::counters::{Counter, Counters};
use crate::base::event::{Command, Denied, Event, Kind, Prediction, side_flag};
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::{ClientOrderId, InstrumentId, Seq};
use crate::base::limits::{STEP_EVENTS_MAX, TIMER_VISITS_MAX};
use crate::base::order::Purpose;
use crate::base::settings::{InstrumentSettings, KillSettings, OrderRoute, Settings};
use crate::base::time::Nanos;
use crate::base::units::{Money, Qty};
use crate::journal::Recorder;
use crate::ledger::{Ledger, LedgerChange};
use crate::policy::{HeldBack, Intent, Policy, Rules};
use crate::risk::{
    Approved, Gate, GateError, GateSession, Trading, TradingState, TradingWord, Verb, Verdict,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// Room kept free in the outbox while instruments are gone through on a timer: a state change, a
/// position, and an order for the instrument in hand.
const TIMER_ROOM: usize = 8;

/// The third stage; see the head of this file.
pub struct RiskStage {
    ledger: Ledger,
    policy: Policy,
    gate: Gate,
    instruments: usize,
    /// Where the next timer goes on, when one timer could not visit every instrument.
    timer_cursor: usize,
    /// The same of the watch of the venue.
    watch_cursor: usize,
    /// An operator ordered every position closed, at this event time; only a restart ends it.
    flattening: Option<Nanos>,
    /// Instruments that an operator dropped and that are not asleep yet, each with the place in the
    /// river since when.
    leaving: Vec<(InstrumentId, Seq)>,
    kill: KillSettings,
    /// The trading state as it was last published.
    published: u32,
    /// The second positions were last valued in.
    valued: Nanos,
    out: Outbox,
    approved: VecDeque<Approved>,
    recorder: Recorder,
    next: Next<ExecutionStage>,
    counters: Arc<Counters>,
}

impl RiskStage {
    /// `recorder` writes lane 2.
    ///
    /// # Errors
    /// [`GateError`] when the session's numbers do not fit an order id.
    pub fn new(
        instruments: &[InstrumentSettings],
        settings: &Settings,
        session: GateSession,
        recorder: Recorder,
        next: Next<ExecutionStage>,
        counters: Arc<Counters>,
    ) -> Result<Self, GateError> {
        let equity = settings.risk.starting_equity.unwrap_or(Money::ZERO);
        let trading = match settings.venue.orders {
            OrderRoute::Nowhere => Trading::barred(),
            OrderRoute::Paper | OrderRoute::Venue => Trading::new(),
        };
        Ok(Self {
            ledger: Ledger::new(instruments.len(), equity),
            policy: Policy::new(Rules::new(settings), instruments),
            gate: Gate::new(&settings.risk, instruments, session, trading)?
                .with_breakers(&settings.breakers, &settings.risk)
                .with_watch(&settings.watch, settings.venue.orders == OrderRoute::Venue),
            instruments: instruments.len(),
            timer_cursor: 0,
            watch_cursor: 0,
            flattening: None,
            leaving: Vec::with_capacity(instruments.len()),
            kill: settings.kill,
            published: 0,
            valued: Nanos(i64::MIN),
            out: Outbox::new(),
            approved: VecDeque::with_capacity(STEP_EVENTS_MAX),
            recorder,
            next,
            counters,
        })
    }

    /// The books.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The gate.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Recorder and way on, at the end of a session.
    pub fn into_parts(self) -> (Recorder, Next<ExecutionStage>) {
        (self.recorder, self.next)
    }

    fn step<P: Probe>(&mut self, event: &Event, probe: &mut P) {
        let change = self.ledger.on_event(event);
        self.gate.on_event(event, change, &self.ledger);
        self.gate.observe(event, change, &self.ledger);
        self.trip(event, change);
        match event.kind() {
            Some(Kind::Command) => {
                let moved = self.gate.on_command(event, &mut self.ledger);
                self.push(moved);
                // What reduced before somebody armed reduces still.
                let moved = self.gate.relax(event);
                self.push(moved);
                self.trip(event, change);
                if is_immediate_kill(event) {
                    self.begin_flattening(event);
                }
                self.flatten(event);
            }
            Some(
                Kind::Reconciled | Kind::VenueStatus | Kind::VenuePosition | Kind::SessionCarried,
            ) => self.on_venue(event),
            Some(Kind::Prediction) => self.decide(event, probe),
            Some(Kind::BookTicker | Kind::MarkPrice | Kind::BookState) => {
                if event.kind() == Some(Kind::MarkPrice) {
                    self.policy.on_mark(event);
                }
                if self.flattening.is_some() {
                    self.flatten_one(event, event.instrument());
                } else {
                    self.check(event, event.instrument());
                }
                self.protect(event, event.instrument());
            }
            Some(
                Kind::OrderAccepted
                | Kind::OrderFilled
                | Kind::OrderCancelled
                | Kind::OrderRejected
                | Kind::OrderExpired
                | Kind::OrderUnknown,
            ) => {
                if event.kind() == Some(Kind::OrderFilled) {
                    let moved = self.gate.on_foreign_fill(event);
                    self.push(moved);
                }
                self.protect(event, event.instrument());
            }
            Some(Kind::Timer) => {
                let reduced = self.gate.relax(event);
                if reduced.is_some() {
                    self.push(reduced);
                    self.cancel_entries(event);
                }
                self.check_all(event);
                self.flatten(event);
                self.value_positions(event);
                self.publish_risk();
            }
            Some(Kind::SessionEnd) => self.value_positions(event),
            _ => {}
        }
        self.watch(event);
        self.after(event, change);
    }

    /// A decision, unless the model's answer is none; then what leaves without a model.
    fn decide<P: Probe>(&mut self, event: &Event, probe: &mut P) {
        let refused = self.gate.on_answer(event);
        self.follow(event);
        if let Some(refused) = refused {
            self.deny(refused);
            self.check(event, event.instrument());
            return;
        }
        let start = probe.stamp();
        let intent = self.policy.decide(event, &self.ledger, self.gate.size_percent());
        let wanted = probe.stamp();
        probe.record(Hop::Policy, event.seq, start, wanted);
        let is_entry = matches!(intent, Intent::Enter(_) | Intent::HoldBack(_));
        if is_entry && self.gate.is_dropped(event.instrument()) {
            return;
        }
        if let Intent::HoldBack(held_back) = &intent {
            self.hold_back(event, held_back);
        } else if intent != Intent::None {
            self.admit(event, &intent);
            let judged = probe.stamp();
            probe.record(Hop::Risk, event.seq, wanted, judged);
        }
    }

    /// What the breakers found: their records, and the state they demand. It comes before anything
    /// is decided on the event, and costs nothing while they are quiet.
    fn trip(&mut self, event: &Event, change: LedgerChange) {
        if !self.gate.is_stirred(&self.ledger) {
            return;
        }
        while let Some(record) = self.gate.breaker_record(event) {
            self.out.push(record);
        }
        let broken = self.gate.break_on(event, &self.ledger);
        let reduced = self.gate.relax(event);
        if self.gate.wants_flat() {
            self.begin_flattening(event);
        }
        let moved = broken.is_some() || reduced.is_some();
        self.push(broken);
        self.push(reduced);
        // What was carried is cancelled when the venue has been asked what there is to cancel.
        if moved && change != LedgerChange::Carried {
            self.cancel_entries(event);
        }
    }

    /// What the venue, or an earlier session, tells of the account.
    fn on_venue(&mut self, event: &Event) {
        let moved = match event.kind() {
            Some(Kind::VenueStatus) => self.gate.on_venue_status(event),
            Some(Kind::VenuePosition) => self.gate.on_venue_position(event, &self.ledger),
            Some(Kind::SessionCarried) => self.gate.on_carried(event),
            _ => self.gate.on_reconciled(event),
        };
        self.push(moved);
        let moved = self.gate.relax(event);
        self.push(moved);
        // What was carried is cancelled when the venue has been asked what there is to cancel.
        if event.kind() != Some(Kind::SessionCarried) {
            self.cancel_entries(event);
        }
    }

    /// Exits and cancels that need no prediction.
    fn check(&mut self, event: &Event, instrument: InstrumentId) {
        let intent = self.policy.check(instrument, event.now(), &self.ledger);
        self.admit(event, &intent);
    }

    /// The position's stop at the venue.
    fn protect(&mut self, event: &Event, instrument: InstrumentId) {
        let intent = self.policy.protect(instrument, event.now(), &self.ledger);
        self.admit(event, &intent);
    }

    /// As many instruments as a timer visits and the outbox has room for; the next timer goes on
    /// from there.
    fn check_all(&mut self, event: &Event) {
        for _ in 0..self.instruments.min(TIMER_VISITS_MAX) {
            if self.out.events().len() + TIMER_ROOM > STEP_EVENTS_MAX {
                return;
            }
            let id = u16::try_from(self.timer_cursor).unwrap_or(u16::MAX);
            self.check(event, InstrumentId(id));
            self.protect(event, InstrumentId(id));
            self.timer_cursor = (self.timer_cursor + 1) % self.instruments;
        }
    }

    /// After an immediate kill: every position is left, again on every price until it is flat,
    /// because an exit may expire unfilled.
    fn flatten(&mut self, event: &Event) {
        if self.flattening.is_none() {
            return;
        }
        for i in 0..self.instruments {
            if self.out.events().len() + TIMER_ROOM > STEP_EVENTS_MAX {
                return;
            }
            self.flatten_one(event, InstrumentId(u16::try_from(i).unwrap_or(u16::MAX)));
        }
    }

    fn flatten_one(&mut self, event: &Event, instrument: InstrumentId) {
        let Some(began) = self.flattening else { return };
        let since = event.now() - began;
        let intent = self.policy.flatten(instrument, &self.ledger, &self.kill, since);
        self.admit(event, &intent);
    }

    fn begin_flattening(&mut self, event: &Event) {
        self.flattening.get_or_insert(event.now());
    }

    /// Tells every thread the trading state where it is another than before.
    #[inline]
    fn publish(&mut self) {
        let word = TradingWord { state: self.gate.state(), flattens: self.flattening.is_some() };
        let word = word.pack();
        if word != self.published {
            self.published = word;
            self.counters.publish_trading(word);
        }
    }

    /// Tells the side threads what a successor would have to know.
    fn publish_risk(&self) {
        let (state, entries) = self.gate.left();
        self.counters.publish_risk([
            self.ledger.day(),
            self.ledger.day_start_equity().0,
            self.ledger.peak_equity().0,
            i64::from(self.ledger.losses_in_a_row()),
            i64::from(entries),
            i64::from(state as u8),
            i64::from(self.gate.state_reason() as u16),
        ]);
    }

    /// Once a second and at the end: what the open positions are worth, for the equity curve.
    fn value_positions(&mut self, event: &Event) {
        let second = event.now().floor_to(Nanos::from_secs(1));
        if second == self.valued && event.kind() != Some(Kind::SessionEnd) {
            return;
        }
        self.valued = second;
        self.gate.publish_counts(&self.counters);
        for i in 0..self.instruments {
            let id = InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
            let open = self.ledger.position(id).is_some_and(|p| p.qty != Qty::ZERO);
            if open && self.out.events().len() + TIMER_ROOM <= STEP_EVENTS_MAX {
                let position = self.ledger.position_event(event, id);
                self.push(position);
            }
        }
    }

    fn admit(&mut self, event: &Event, intent: &Intent) {
        match self.gate.admit(event, intent, &mut self.ledger) {
            None => {}
            Some(Verdict::Approved(approved)) => self.approve(approved),
            Some(Verdict::Denied(denied)) => {
                self.deny(denied);
                self.follow(event);
            }
        }
    }

    /// Counts an entry that is not worth it; the first of its reason is recorded.
    fn hold_back(&mut self, event: &Event, held: &HeldBack) {
        self.counters.add(Counter::HeldBack, 1);
        if held.again {
            return;
        }
        let body = Denied {
            reason: held.reason as u16,
            check: u16::MAX,
            purpose: Purpose::Entry as u8,
            value: held.value,
            limit: held.limit,
            px: held.px.0,
            model_tag: event.body::<Prediction>().model_tag,
            ..Denied::default()
        };
        let denied = Event::caused_by(event, Kind::Denied, held.instrument, &body);
        self.out.push(denied.with_flags(side_flag(held.side)));
    }

    fn deny(&mut self, denied: Event) {
        self.counters.add(Counter::Denied, 1);
        self.out.push(denied);
    }

    /// The state that denials and answers lead to; where it forbids new risk, resting entries go.
    fn follow(&mut self, event: &Event) {
        if let Some(moved) = self.gate.consequence(event) {
            self.out.push(moved);
            self.cancel_entries(event);
        }
    }

    fn approve(&mut self, approved: Approved) {
        self.counters.add(Counter::Approved, 1);
        self.out.push(*approved.event());
        if self.approved.len() < STEP_EVENTS_MAX {
            self.approved.push_back(approved);
        }
    }

    fn push(&mut self, event: Option<Event>) {
        if let Some(event) = event {
            self.out.push(event);
        }
    }

    /// What follows from a change of the books: the position's record, the breakers, and the cancel
    /// of resting entries where the state forbids new risk.
    fn after(&mut self, event: &Event, change: LedgerChange) {
        if change == LedgerChange::None && event.kind() != Some(Kind::MarkPrice) {
            if event.kind() == Some(Kind::Command) {
                self.cancel_entries(event);
            }
            return;
        }
        if matches!(change, LedgerChange::Fill(_) | LedgerChange::Funding(_))
            || event.kind() == Some(Kind::PositionCarried)
        {
            let position = self.ledger.position_event(event, event.instrument());
            self.push(position);
        }
        // What was carried is cancelled when the venue has been asked what there is to cancel.
        if change != LedgerChange::Carried {
            self.cancel_entries(event);
        }
    }

    fn cancel_entries(&mut self, event: &Event) {
        if self.gate.state() == TradingState::Active {
            return;
        }
        while let Some(order) = self.ledger.entry_to_cancel() {
            if self.out.events().len() + TIMER_ROOM > STEP_EVENTS_MAX {
                return;
            }
            let (instrument, id) = (order.instrument, order.id);
            self.cancel(event, instrument, id);
        }
    }

    fn cancel(&mut self, event: &Event, instrument: InstrumentId, id: ClientOrderId) {
        let cancel = self.gate.admit_cancel(event, instrument, id, &mut self.ledger);
        self.approve(cancel);
    }
}

fn is_immediate_kill(event: &Event) -> bool {
    let command: &Command = event.body();
    Verb::from_u32(command.verb) == Some(Verb::KillImmediate)
}

/// What execution needs of the inputs: reports, time, commands.
fn concerns_execution(event: &Event) -> bool {
    matches!(
        event.kind(),
        Some(
            Kind::OrderAccepted
                | Kind::OrderFilled
                | Kind::OrderCancelled
                | Kind::OrderRejected
                | Kind::OrderExpired
                | Kind::OrderUnknown
                | Kind::CancelRejected
                | Kind::PositionCarried
                | Kind::BookedCarried
                | Kind::OrderCarried
                | Kind::Timer
                | Kind::Command
                | Kind::SessionStart
                | Kind::SessionEnd
        )
    )
}

impl Accept for RiskStage {
    type Message = Event;

    #[inline]
    fn seq(event: &Event) -> Seq {
        event.seq
    }

    #[inline]
    fn accept<P: Probe>(&mut self, event: Event, origin: Stamp, probe: &mut P) -> Result<(), Halt> {
        self.out.clear();
        self.step(&event, probe);
        if concerns_execution(&event) {
            self.next.hand_on(ToExecution::Input(event), origin, probe)?;
        }
        for i in 0..self.out.events().len() {
            let event = self.out.events()[i];
            let _ =
                self.recorder.append(&event).map_err(|fault| Halt::Journal { lane: 2, fault })?;
        }
        while let Some(approved) = self.approved.pop_front() {
            self.next.hand_on(ToExecution::Approved(approved), origin, probe)?;
        }
        self.publish();
        if self.out.lost() > 0 {
            return Err(Halt::OutboxFull("risk"));
        }
        Ok(())
    }
}
