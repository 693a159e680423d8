//! Prediction and ledger to wanted position; exits. Does not know the venue.
//!
//! ```text
//!               edge ≥ enter (or ≤ −enter)              filled
//!      Flat ───────────────────────────────► Entering ─────────► In position
//!       ▲         and worth its costs           │                     │
//!       │                                       │                     │ edge < exit: ExitSignal
//!       │   rested too long, edge < exit: cancel│                     │ or as `exits` says: stop,
//!       └───────────────────────────────────────┘                     │ trail, profit, time, …
//!       ▲                                                             │
//!       └───────────────── reduce-only IOC through the touch ─────────┘
//!
//!      edge = p(up) − p(down), signed by the side of the order or position
//! ```
//! The states are the ledger's: nothing is remembered here that the ledger knows. One instrument
//! has at most one live entry and, while its outcome is known, at most one live exit. Beside them a
//! position may have its stop at the venue, see `protect`. How large an entry is says `sizing`.
//! Floats end here.

mod costs;
mod exits;
mod flatten;
mod funding;
mod intent;
mod outlook;
mod protect;
mod sizing;
#[cfg(test)]
mod tests;

pub use intent::{HeldBack, Intent, Plan, Wanted};

use crate::base::event::{MarkPrice, Prediction};
use crate::base::settings::{
    ExitSettings, InstrumentSettings, PolicySettings, Settings, SizingSettings,
};
use crate::base::units::shift_bps;
use crate::base::{Event, InstrumentId, Nanos, OrderType, Purpose, Px, Qty, Side, TimeInForce};
use crate::ledger::{Ledger, OpenOrder, Position};

/// How long the same reason for holding an entry back is not told again.
const TOLD_AGAIN: Nanos = Nanos::from_secs(60);

/// What the policy goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// When to enter and how orders are priced.
    pub policy: PolicySettings,
    /// How large entries are.
    pub sizing: SizingSettings,
    /// When positions are left.
    pub exits: ExitSettings,
    /// Length of a bar.
    pub bar: Nanos,
    /// The gate's limit on gross exposure over equity, in percent; 0 where it is not set.
    pub leverage_max_percent: u32,
}

impl Rules {
    /// Those of a configuration.
    pub fn new(settings: &Settings) -> Self {
        Self {
            policy: settings.policy,
            sizing: settings.sizing,
            exits: settings.exits,
            bar: Nanos::from_millis(i64::from(settings.features.bar_interval_ms)),
            leverage_max_percent: settings.risk.leverage_max_percent.unwrap_or(0),
        }
    }
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Rules,
    instruments: Vec<InstrumentSettings>,
    memory: Vec<Memory>,
    guards: Vec<protect::Guard>,
}

/// What the policy alone knows of an instrument.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// Event time of the last decision.
    decided_at: Nanos,
    /// Average true range in price units while flat, and of the last moment before; 0 before the
    /// first. Of a position whose entry tells its own, that one counts.
    atr: Px,
    /// The newest average true range; 0 before the first.
    range: Px,
    /// Model of the last prediction.
    model_tag: u64,
    /// Why entries were held back, a bit for each reason, and since when it is remembered.
    held_back: u16,
    held_back_at: Nanos,
    /// What the mark price stream tells of funding.
    funding: funding::FundingTold,
}

impl Memory {
    /// Range of the market that `position` was entered in.
    fn entry_atr(&self, position: &Position) -> Px {
        if position.entry_atr.is_positive() { position.entry_atr } else { self.atr }
    }
}

impl Policy {
    /// For the session's instruments, in table order. The only allocations.
    pub fn new(rules: Rules, instruments: &[InstrumentSettings]) -> Self {
        let past = Nanos(i64::MIN);
        let fresh = Memory {
            decided_at: past,
            atr: Px::ZERO,
            range: Px::ZERO,
            model_tag: 0,
            held_back: 0,
            held_back_at: past,
            funding: funding::FundingTold::default(),
        };
        let mut instruments = instruments.to_vec();
        for facts in &mut instruments {
            // Steps are divisors; a step of zero is refused by the gate, and must not divide here.
            facts.tick_size = facts.tick_size.max(Px(1));
            facts.lot_size = facts.lot_size.max(Qty(1));
        }
        let guards = vec![protect::Guard::default(); instruments.len()];
        Self { rules, memory: vec![fresh; instruments.len()], guards, instruments }
    }

    /// Takes in a `MarkPrice`: what funding will cost.
    pub fn on_mark(&mut self, event: &Event) {
        let body: &MarkPrice = event.body();
        if let Some(memory) = self.memory.get_mut(event.instrument().index()) {
            memory.funding.on_mark(body);
        }
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
        memory.range = Px(prediction.atr_px.max(0));
        if position.qty == Qty::ZERO || memory.atr == Px::ZERO {
            memory.atr = memory.range;
        }
        let urgent = self.check(instrument, now, ledger);
        if urgent != Intent::None {
            return urgent;
        }
        let policy = &self.rules.policy;
        let interval = Nanos::from_millis(i64::from(policy.decision_interval_ms));
        let memory = &mut self.memory[instrument.index()];
        if memory.decided_at.0 != i64::MIN && now - memory.decided_at < interval {
            return Intent::None;
        }
        memory.decided_at = now;
        let edge = f64::from(prediction.probability[2]) - f64::from(prediction.probability[0]);
        if position.qty != Qty::ZERO {
            let held_edge = if position.qty.is_positive() { edge } else { -edge };
            if held_edge < policy.exit_edge {
                return self.exit(instrument, position, ledger, Purpose::ExitSignal);
            }
            return Intent::None;
        }
        if let Some(entry) = ledger.live_entry(instrument) {
            let faded = entry.side.sign() as f64 * edge < policy.exit_edge;
            return if faded { cancel(entry) } else { Intent::None };
        }
        let side = if edge >= policy.enter_edge {
            Side::Buy
        } else if edge <= -policy.enter_edge {
            Side::Sell
        } else {
            return Intent::None;
        };
        self.enter(event, ledger, side, size_percent)
    }

    /// What to do without a model: the exits of `exits`, and the longest rest of an entry. For
    /// every change of the touch and, for each instrument, every timer.
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
        let rest = Nanos::from_millis(i64::from(self.rules.policy.entry_rest_ms_max));
        let rested = now - entry.sent_at >= rest;
        // A position that is being left must not be filled up again from behind.
        let leaving = ledger.live_exit(instrument).is_some();
        if rested || leaving { cancel(entry) } else { Intent::None }
    }

    fn leaving(
        &self,
        instrument: InstrumentId,
        position: &Position,
        now: Nanos,
    ) -> Option<Purpose> {
        let memory = self.memory.get(instrument.index())?;
        let facts = self.instruments.get(instrument.index())?;
        let now = exits::Now {
            time: now,
            entry_atr: memory.entry_atr(position),
            atr: memory.range,
            funding: &memory.funding,
            bar: self.rules.bar,
        };
        exits::leaving(&self.rules.exits, facts, position, &now)
    }

    fn enter(&mut self, event: &Event, ledger: &Ledger, side: Side, size_percent: u32) -> Intent {
        let (instrument, now) = (event.instrument(), event.now());
        let Some(position) = ledger.position(instrument) else { return Intent::None };
        if !position.has_touch() {
            return Intent::None;
        }
        let memory = &self.memory[instrument.index()];
        let facts = &self.instruments[instrument.index()];
        let (near, far) = match side {
            Side::Buy => (position.bid, position.ask),
            Side::Sell => (position.ask, position.bid),
        };
        let (px, time_in_force) = if self.rules.policy.enter_as_maker {
            (Some(near), TimeInForce::Gtx)
        } else {
            (self.through(facts, side, far), TimeInForce::Ioc)
        };
        let Some(px) = px else { return Intent::None };
        let hold = exits::expected_hold(&self.rules.exits, self.rules.bar);
        let market = costs::Market { bid: position.bid, ask: position.ask, atr: memory.atr };
        let ask = sizing::Ask {
            facts,
            prediction: event.body(),
            side,
            px: px.max(far),
            market,
            equity: ledger.equity(),
            funding: memory.funding.paid(side, now, hold),
            percent: size_percent,
        };
        let sized = sizing::size(&self.rules, &ask);
        let (qty, plan) = match sized {
            Ok(sized) => sized,
            Err(short) => return self.hold_back(instrument, side, px, now, short),
        };
        let memory = &mut self.memory[instrument.index()];
        memory.held_back = 0;
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
            plan,
        })
    }

    /// Tells why there is no entry; whether it was told lately decides about its record.
    fn hold_back(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        px: Px,
        now: Nanos,
        short: sizing::Short,
    ) -> Intent {
        let sizing::Short { reason, value, limit } = short;
        let memory = &mut self.memory[instrument.index()];
        if memory.held_back == 0 || now - memory.held_back_at >= TOLD_AGAIN {
            (memory.held_back, memory.held_back_at) = (0, now);
        }
        let bit = 1_u16 << (reason as u16 % 10);
        let again = memory.held_back & bit != 0;
        memory.held_back |= bit;
        Intent::HoldBack(HeldBack { instrument, side, px, reason, value, limit, again })
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
        let Some(facts) = self.instruments.get(instrument.index()) else { return Intent::None };
        if flatten::is_leaving(instrument, position, ledger) || !position.has_touch() {
            return Intent::None;
        }
        let (side, touch) = flatten::closing(position);
        let Some(px) = self.through(facts, side, touch) else { return Intent::None };
        let qty = flatten::whole(position, facts);
        if !qty.is_positive() {
            return Intent::None;
        }
        let limit = (OrderType::Limit, px, touch);
        Intent::Exit(Wanted { purpose, ..self.leave(instrument, side, qty, limit) })
    }

    /// The price that takes through `touch` by no more than the settings allow, rounded to the tick
    /// toward the safe side: a buy never pays more, a sell never takes less.
    fn through(&self, facts: &InstrumentSettings, side: Side, touch: Px) -> Option<Px> {
        through_by(facts, side, touch, i64::from(self.rules.policy.take_through_bps))
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

fn ceil_to(px: Px, step: Px) -> Option<Px> {
    let rest = px.0.rem_euclid(step.0);
    if rest == 0 { Some(px) } else { px.checked_add(Px(step.0 - rest)) }
}

fn cancel(entry: &OpenOrder) -> Intent {
    if !entry.is_cancellable() {
        return Intent::None;
    }
    Intent::Cancel { instrument: entry.instrument, id: entry.id }
}
