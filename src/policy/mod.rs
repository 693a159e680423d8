//! Prediction and ledger to wanted position; exits. Does not know the venue.
//!
//! ```text
//!               edge ≥ enter (or ≤ −enter)              filled
//!      Flat ───────────────────────────────► Entering ─────────► In position
//!       ▲                                       │                     │
//!       │   rested too long, edge < exit: cancel│                     │ edge < exit: ExitSignal
//!       └───────────────────────────────────────┘                     │ stop: ExitStop
//!       ▲                                                             │ profit taken: ExitSignal
//!       └───────────────── reduce-only IOC through the touch ─────────┘ held too long: ExitTime
//!
//!      edge = p(up) − p(down), signed by the side of the order or position
//! ```
//! The states are the ledger's: nothing is remembered here that the ledger knows. One instrument
//! has at most one live entry and, while its outcome is known, at most one live exit. Beside them a
//! position may have its stop at the venue, see `protect`. Floats end here.

mod flatten;
mod intent;
mod protect;
#[cfg(test)]
mod tests;

pub use intent::{Intent, Wanted};

use crate::base::event::Prediction;
use crate::base::settings::{InstrumentSettings, PolicySettings};
use crate::base::units::{SCALE, notional, shift_bps};
use crate::base::{Event, InstrumentId, Nanos, OrderType, Purpose, Px, Qty, Side, TimeInForce};
use crate::ledger::{Ledger, OpenOrder, Position, Stage};

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Policy {
    settings: PolicySettings,
    instruments: Vec<InstrumentSettings>,
    memory: Vec<Memory>,
    guards: Vec<protect::Guard>,
}

/// What the policy alone knows of an instrument.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// Event time of the last decision.
    decided_at: Nanos,
    /// Average true range in price units when the last entry was wanted; 0 before.
    atr: Px,
    /// Model of the last prediction.
    model_tag: u64,
}

impl Policy {
    /// For the session's instruments, in table order. The only allocations.
    pub fn new(settings: PolicySettings, instruments: &[InstrumentSettings]) -> Self {
        let fresh = Memory { decided_at: Nanos(i64::MIN), atr: Px::ZERO, model_tag: 0 };
        let mut instruments = instruments.to_vec();
        for facts in &mut instruments {
            // Steps are divisors; a step of zero is refused by the gate, and must not divide here.
            facts.tick_size = facts.tick_size.max(Px(1));
            facts.lot_size = facts.lot_size.max(Qty(1));
        }
        let guards = vec![protect::Guard::default(); instruments.len()];
        Self { settings, memory: vec![fresh; instruments.len()], guards, instruments }
    }

    /// The venue's steps and bounds of a contract are others from here on.
    pub fn on_facts(&mut self, instrument: InstrumentId, facts: &InstrumentSettings) {
        if let Some(own) = self.instruments.get_mut(instrument.index()) {
            *own = *facts;
            own.tick_size = own.tick_size.max(Px(1));
            own.lot_size = own.lot_size.max(Qty(1));
        }
    }

    /// What to do on a `Prediction`. The ledger must have taken the event in before.
    ///
    /// Exits that need no model ([`Policy::check`]) come first; they do not wait for the decision
    /// interval. `size_percent` is how much of its size an entry may have, 0 to 100.
    pub fn decide(&mut self, event: &Event, ledger: &Ledger, size_percent: u32) -> Intent {
        let (instrument, now) = (event.instrument(), event.now());
        let prediction: &Prediction = event.body();
        let Some(position) = ledger.position(instrument) else { return Intent::None };
        let Some(memory) = self.memory.get_mut(instrument.index()) else { return Intent::None };
        memory.model_tag = prediction.model_tag;
        if position.qty == Qty::ZERO || memory.atr == Px::ZERO {
            memory.atr = Px(prediction.atr_px.max(0));
        }
        let urgent = self.check(instrument, now, ledger);
        if urgent != Intent::None {
            return urgent;
        }
        let interval = Nanos::from_millis(i64::from(self.settings.decision_interval_ms));
        let memory = &mut self.memory[instrument.index()];
        if memory.decided_at.0 != i64::MIN && now - memory.decided_at < interval {
            return Intent::None;
        }
        memory.decided_at = now;
        let edge = f64::from(prediction.probability[2]) - f64::from(prediction.probability[0]);
        if position.qty != Qty::ZERO {
            let held_edge = if position.qty.is_positive() { edge } else { -edge };
            if held_edge < self.settings.exit_edge {
                return self.exit(instrument, position, ledger, Purpose::ExitSignal);
            }
            return Intent::None;
        }
        if let Some(entry) = ledger.live_entry(instrument) {
            let faded = entry.side.sign() as f64 * edge < self.settings.exit_edge;
            return if faded { cancel(entry) } else { Intent::None };
        }
        self.enter(instrument, position, edge, size_percent)
    }

    /// What to do without a model: stop, profit, longest hold, longest rest. For every change of
    /// the touch and, for each instrument, every timer.
    pub fn check(&self, instrument: InstrumentId, now: Nanos, ledger: &Ledger) -> Intent {
        let Some(position) = ledger.position(instrument) else { return Intent::None };
        if position.qty == Qty::ZERO && position.open_orders == 0 {
            return Intent::None;
        }
        let held = position.qty != Qty::ZERO;
        if held && let Some(purpose) = self.leaving(instrument, position, now) {
            let exit = self.exit(instrument, position, ledger, purpose);
            if exit != Intent::None {
                return exit;
            }
        }
        let Some(entry) = ledger.live_entry(instrument) else { return Intent::None };
        let rest = Nanos::from_millis(i64::from(self.settings.entry_rest_ms_max));
        let rested = now - entry.sent_at >= rest;
        // A position that is being left must not be filled up again from behind.
        let leaving = ledger.live_exit(instrument).is_some();
        if rested || leaving { cancel(entry) } else { Intent::None }
    }

    fn enter(
        &self,
        instrument: InstrumentId,
        position: &Position,
        edge: f64,
        size_percent: u32,
    ) -> Intent {
        let side = if edge >= self.settings.enter_edge {
            Side::Buy
        } else if edge <= -self.settings.enter_edge {
            Side::Sell
        } else {
            return Intent::None;
        };
        let memory = &self.memory[instrument.index()];
        let guarded = self.settings.stop_atr > 0.0 || self.settings.take_profit_atr > 0.0;
        // Without a range there is no stop, and without its stop no entry.
        if !position.has_touch() || (guarded && memory.atr == Px::ZERO) {
            return Intent::None;
        }
        let facts = &self.instruments[instrument.index()];
        let (near, far) = match side {
            Side::Buy => (position.bid, position.ask),
            Side::Sell => (position.ask, position.bid),
        };
        let maker = self.settings.enter_as_maker;
        let (px, time_in_force) = if maker {
            (Some(near), TimeInForce::Gtx)
        } else {
            (self.through(facts, side, far), TimeInForce::Ioc)
        };
        let Some(px) = px else { return Intent::None };
        let qty = self.size(facts, px.max(far), size_percent);
        let Some(qty) = qty else { return Intent::None };
        Intent::Enter(Wanted {
            instrument,
            side,
            qty,
            px,
            order_type: OrderType::Limit,
            time_in_force,
            purpose: Purpose::Entry,
            reference_px: far,
            model_tag: memory.model_tag,
        })
    }

    /// Closes the whole position, or as much as one order may carry, with a reduce-only IOC through
    /// the touch. Nothing while an exit is live, unless its outcome is unknown: reduce-only cannot
    /// overshoot, and staying exposed is worse than a refusal.
    fn exit(
        &self,
        instrument: InstrumentId,
        position: &Position,
        ledger: &Ledger,
        purpose: Purpose,
    ) -> Intent {
        let waiting = position.open_orders > 0
            && ledger.orders().iter().any(|order| {
                let exits = order.instrument == instrument && !order.purpose.is_entry();
                exits && !order.protects() && order.stage != Stage::Unknown
            });
        let Some(facts) = self.instruments.get(instrument.index()) else { return Intent::None };
        if waiting || !position.has_touch() {
            return Intent::None;
        }
        let (side, touch) = if position.qty.is_positive() {
            (Side::Sell, position.bid)
        } else {
            (Side::Buy, position.ask)
        };
        let Some(px) = self.through(facts, side, touch) else { return Intent::None };
        let held = Qty(position.qty.0.saturating_abs());
        let qty = held.min(facts.max_qty).floor_to(facts.lot_size);
        if !qty.is_positive() {
            return Intent::None;
        }
        Intent::Exit(Wanted {
            instrument,
            side,
            qty,
            px,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Ioc,
            purpose,
            reference_px: touch,
            model_tag: self.memory[instrument.index()].model_tag,
        })
    }

    /// The price that takes through `touch` by no more than the settings allow, rounded to the tick
    /// toward the safe side: a buy never pays more, a sell never takes less.
    fn through(&self, facts: &InstrumentSettings, side: Side, touch: Px) -> Option<Px> {
        through_by(facts, side, touch, i64::from(self.settings.take_through_bps))
    }

    /// So many percent of a full position at `px`, rounded down to the lot; `None` below the
    /// venue's least.
    fn size(&self, facts: &InstrumentSettings, px: Px, size_percent: u32) -> Option<Qty> {
        let percent = i128::from(size_percent.min(100));
        let full = i128::from(self.settings.position_notional.0) * i128::from(SCALE);
        let wanted = full * percent / 100;
        let qty = Qty(i64::try_from(wanted / i128::from(px.0)).ok()?);
        let qty = qty.min(facts.max_qty).floor_to(facts.lot_size);
        let value = notional(qty, px)?;
        let enough = qty.is_positive() && qty >= facts.min_qty && value >= facts.min_notional;
        enough.then_some(qty)
    }

    /// Why the position should be left now, if at all: the stop first.
    fn leaving(
        &self,
        instrument: InstrumentId,
        position: &Position,
        now: Nanos,
    ) -> Option<Purpose> {
        let atr = self.memory.get(instrument.index())?.atr;
        let long = position.qty.is_positive();
        let (sign, close_px) = if long { (1, position.bid) } else { (-1, position.ask) };
        let gain = close_px.0.saturating_sub(position.average_px().0).saturating_mul(sign);
        if position.has_touch() && atr.is_positive() {
            let stop = distance(self.settings.stop_atr, atr);
            if stop.is_some_and(|stop| gain <= -stop) {
                return Some(Purpose::ExitStop);
            }
            let profit = distance(self.settings.take_profit_atr, atr);
            if profit.is_some_and(|profit| gain >= profit) {
                return Some(Purpose::ExitSignal);
            }
        }
        let hold = i64::try_from(self.settings.hold_ms_max).unwrap_or(i64::MAX);
        let held = now - position.opened_at;
        (held >= Nanos::from_millis(hold)).then_some(Purpose::ExitTime)
    }
}

/// The price that takes through `touch` by no more than `bps`, rounded as [`Policy::through`] is.
fn through_by(facts: &InstrumentSettings, side: Side, touch: Px, bps: i64) -> Option<Px> {
    let px = match side {
        Side::Buy => shift_bps(touch, bps)?.floor_to(facts.tick_size),
        Side::Sell => ceil_to(shift_bps(touch, -bps)?, facts.tick_size)?,
    };
    px.is_positive().then_some(px)
}

/// A multiple of the range in price units; `None` where the multiple is off.
fn distance(multiple: f64, atr: Px) -> Option<i64> {
    // A cast from float saturates, and a range that saturates is never reached.
    (multiple > 0.0).then_some((multiple * atr.0 as f64) as i64)
}

fn ceil_to(px: Px, step: Px) -> Option<Px> {
    let rest = px.0.rem_euclid(step.0);
    if rest == 0 { Some(px) } else { px.checked_add(Px(step.0 - rest)) }
}

fn cancel(entry: &OpenOrder) -> Intent {
    if entry.cancel_pending || entry.stage == Stage::Settling {
        return Intent::None;
    }
    Intent::Cancel { instrument: entry.instrument, id: entry.id }
}
