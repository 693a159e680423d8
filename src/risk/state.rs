//! The trading state: what kind of order may leave.
//!
//! ```text
//!               reconciled, armed            soft trip
//!  Reconciling ──────────────────► Active ──────────────► Reducing
//!    ▲   ▲  │ reconciled,            │  ▲  ◄──────────────  │
//!    │   │  │ not armed              │  │ system cool-down,  │ hard trip
//!    │   │  ▼                        │  │ operator           ▼
//!    │   └─ Halted ◄─────────────────┴──┼─────────────── (from any but Killed)
//!    │        │        hard trip        │
//!    │        └─────────────────────────┘ operator only
//!    │
//!  Killed ◄──── anyone, from anywhere;  left by an operator's `clear` alone, to Reconciling
//! ```
//! Throttles and cool-downs expire; halts and kills never reset themselves.

use super::command::{ACTOR_SYSTEM, Origin};
use crate::base::event::{ACTOR_UNATTENDED, Command, SessionCarried, StateChange};
use crate::base::{Event, InstrumentId, Kind, Purpose, Reason};

/// What may be sent. Cancels may always be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TradingState {
    /// What the venue holds is not known: nothing but an operator's flattening, and protective
    /// stops for what the ledger holds.
    Reconciling = 0,
    /// Everything that passes the gate.
    Active = 1,
    /// Exits only; clears itself after a cool-down unless an operator asked for it.
    Reducing = 2,
    /// Exits only; left by an operator alone.
    Halted = 3,
    /// Nothing but the flattening procedure and, until flat, protective stops; left by an
    /// operator's `clear` alone.
    Killed = 4,
}

impl TradingState {
    /// The name that pages, metrics and the audit trail use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reconciling => "reconciling",
            Self::Active => "active",
            Self::Reducing => "reducing",
            Self::Halted => "halted",
            Self::Killed => "killed",
        }
    }

    /// From its number in a record; `None` for a number that is no state.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Reconciling),
            1 => Some(Self::Active),
            2 => Some(Self::Reducing),
            3 => Some(Self::Halted),
            4 => Some(Self::Killed),
            _ => None,
        }
    }

    /// True when an order of this purpose may be sent.
    pub const fn allows(self, purpose: Purpose) -> bool {
        match self {
            Self::Active => true,
            Self::Reducing | Self::Halted => !purpose.is_entry(),
            // A stop can only close what is there. Where there is less than we believe, it waits
            // for nothing; where there is more, it is what protects it.
            Self::Reconciling | Self::Killed => {
                matches!(purpose, Purpose::Flatten | Purpose::Protect)
            }
        }
    }
}

/// Who wants the state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A check, a breaker, reconciliation.
    System,
    /// A person, by user id.
    Operator(u32),
}

impl Actor {
    /// As stored in records: `u32::MAX` is the system.
    pub const fn number(self) -> u32 {
        match self {
            Self::System => u32::MAX,
            Self::Operator(user) => user,
        }
    }
}

/// An operator's verb. Numbers as in [`Command::verb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verb {
    /// No new entries; exits go on.
    Pause = 1,
    /// Killed; resting entries are cancelled, positions stay.
    KillGraceful = 2,
    /// Killed; resting entries are cancelled, positions are flattened.
    KillImmediate = 3,
    /// May trade, as soon as reconciled.
    Arm = 4,
    /// Leaves the killed state, to be reconciled and armed again.
    Clear = 5,
}

impl Verb {
    /// From its number; `None` for a number that is no verb.
    pub const fn from_u32(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Pause),
            2 => Some(Self::KillGraceful),
            3 => Some(Self::KillImmediate),
            4 => Some(Self::Arm),
            5 => Some(Self::Clear),
            _ => None,
        }
    }
}

/// The state machine of the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trading {
    state: TradingState,
    /// Where a clean reconcile leads.
    resume: TradingState,
    /// An operator asked for the reduction, which every way into it says; no cool-down lifts it.
    held: bool,
    /// What the venue holds is not known, whatever the state: nothing becomes active before it is.
    astray: bool,
    /// An earlier session was left halted or killed, and no person has armed since.
    latched: bool,
    /// Orders go nowhere: nothing is ever reconciled, and nobody arms.
    barred: bool,
    reason: Reason,
}

impl Default for Trading {
    fn default() -> Self {
        Self::new()
    }
}

impl Trading {
    /// At start: nothing is known, and nobody has armed us.
    pub fn new() -> Self {
        Self {
            state: TradingState::Reconciling,
            resume: TradingState::Halted,
            held: false,
            astray: true,
            latched: false,
            barred: false,
            reason: Reason::StartUp,
        }
    }

    /// For a session whose orders go nowhere: it stays as it starts, or is halted or killed.
    pub fn barred() -> Self {
        Self { barred: true, ..Self::new() }
    }

    /// True for an `arm` of somebody who may give one: a signal may only tighten, and a setting is
    /// no person, it lifts nothing that an earlier session was left in.
    pub fn may_arm(&self, command: &Command) -> bool {
        command.verb == Verb::Arm as u32
            && Origin::from_u32(command.origin).is_some_and(|origin| origin.may(Verb::Arm))
            && command.actor != ACTOR_SYSTEM
            && !self.barred
            && !(self.latched && command.actor == ACTOR_UNATTENDED)
    }

    /// True when somebody has armed it: it trades, or does so as soon as it is reconciled.
    pub fn is_armed(&self) -> bool {
        let at = if self.state == TradingState::Reconciling { self.resume } else { self.state };
        matches!(at, TradingState::Active | TradingState::Reducing)
    }

    /// True while a halt or kill of an earlier session waits for a person.
    pub fn is_latched(&self) -> bool {
        self.latched
    }

    /// The state.
    pub fn state(&self) -> TradingState {
        self.state
    }

    /// What outlives the session: while everything is looked at, what a clean look leads to. A
    /// reduction that no person asked for is not of it: whoever goes on measures anew.
    pub fn left(&self) -> TradingState {
        let left = if self.state == TradingState::Reconciling { self.resume } else { self.state };
        let passes = left == TradingState::Reducing && !self.held;
        if passes { TradingState::Active } else { left }
    }

    /// Why it is what it is.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// True when `actor` may move the state from `from` to `to`.
    pub const fn may(from: TradingState, to: TradingState, actor: Actor) -> bool {
        use TradingState::{Active, Halted, Killed, Reconciling, Reducing};
        let operator = matches!(actor, Actor::Operator(_));
        match (from, to) {
            (Killed, Reconciling) => operator,
            (Killed, _) => false,
            (_, Killed) => true,
            // Only a clean reconcile leaves this state, see `Trading::on_reconciled`.
            (Reconciling, Halted) => true,
            (Reconciling, _) => false,
            (Active | Reducing | Halted, Reconciling) => true,
            (Active | Reducing, Halted) => true,
            (Active, Reducing) => true,
            (Reducing, Active) => true,
            (Halted, Active) => operator,
            _ => false,
        }
    }

    /// Moves to `to` where [`Trading::may`] allows it; the record of the move, if there was one.
    pub fn request(
        &mut self,
        cause: &Event,
        to: TradingState,
        reason: Reason,
        actor: Actor,
    ) -> Option<Event> {
        let operator = matches!(actor, Actor::Operator(_));
        let lifts_hold = self.held && to == TradingState::Active && !operator;
        self.astray |= to == TradingState::Reconciling;
        if self.state == to || lifts_hold || !Self::may(self.state, to, actor) {
            return None;
        }
        match to {
            TradingState::Reconciling => {
                // After a kill someone must arm again; after a lost stream the work goes on.
                let killed = self.state == TradingState::Killed;
                self.resume = if killed { TradingState::Halted } else { self.state };
            }
            TradingState::Halted | TradingState::Killed => self.resume = TradingState::Halted,
            TradingState::Active => self.latched = false,
            TradingState::Reducing => self.held = operator,
        }
        Some(self.enter(cause, to, reason, actor))
    }

    /// What the venue holds is known and agrees with the ledger.
    pub fn on_reconciled(&mut self, cause: &Event) -> Option<Event> {
        self.astray = self.barred;
        if self.state != TradingState::Reconciling || self.barred {
            return None;
        }
        let latched = matches!(self.reason, Reason::Latched | Reason::JournalLossy);
        let reason = if latched { self.reason } else { Reason::Reconciled };
        Some(self.enter(cause, self.resume, reason, Actor::System))
    }

    /// Takes over what an earlier session left: neither a halt nor a kill ends by a restart, and
    /// where a part of its journal was lost somebody has to look first.
    pub fn on_carried(&mut self, cause: &Event) -> Option<Event> {
        let carried: &SessionCarried = cause.body();
        let lossy = carried.lossy != 0;
        self.reason = if lossy { Reason::JournalLossy } else { self.reason };
        let left = TradingState::from_u8(carried.state);
        self.latched = lossy || matches!(left, Some(TradingState::Halted | TradingState::Killed));
        match left {
            Some(TradingState::Killed) => {
                self.request(cause, TradingState::Killed, Reason::Latched, Actor::System)
            }
            Some(TradingState::Halted) => {
                self.resume = TradingState::Halted;
                self.reason = Reason::Latched;
                None
            }
            _ => {
                if lossy {
                    self.resume = TradingState::Halted;
                }
                None
            }
        }
    }

    /// Obeys an operator's `Command` event. A command that came as a signal (no user) may only
    /// tighten.
    pub fn on_command(&mut self, event: &Event) -> Option<Event> {
        let command: &Command = event.body();
        let verb = Verb::from_u32(command.verb)?;
        // Who may only tighten cannot loosen, whatever carried the command here.
        if !Origin::from_u32(command.origin).is_some_and(|origin| origin.may(verb)) {
            return None;
        }
        let signal = command.actor == ACTOR_SYSTEM;
        let actor = if signal { Actor::System } else { Actor::Operator(command.actor) };
        let reason = Reason::Operator;
        match verb {
            Verb::Pause if self.state == TradingState::Reconciling => {
                if self.resume == TradingState::Active {
                    self.resume = TradingState::Reducing;
                }
                self.held = true;
                None
            }
            Verb::Pause => {
                // A reduction that a breaker began becomes the operator's.
                self.held |= self.state == TradingState::Reducing;
                let change = self.request(event, TradingState::Reducing, reason, actor);
                self.held |= change.is_some();
                change
            }
            Verb::KillGraceful | Verb::KillImmediate => {
                self.request(event, TradingState::Killed, reason, actor)
            }
            Verb::Clear if signal => None,
            Verb::Arm if !self.may_arm(command) => None,
            Verb::Arm if self.state == TradingState::Reconciling => {
                self.resume = TradingState::Active;
                self.latched = false;
                // Whoever arms has seen what an earlier session left.
                self.reason = Reason::StartUp;
                None
            }
            Verb::Arm if self.astray && self.state == TradingState::Halted => {
                // Halted on top of a lost stream: first the truth, then the work.
                let change = self.request(event, TradingState::Reconciling, reason, actor);
                self.resume = TradingState::Active;
                self.latched = false;
                change
            }
            Verb::Arm => self.request(event, TradingState::Active, reason, actor),
            Verb::Clear if self.state == TradingState::Killed => {
                self.request(event, TradingState::Reconciling, reason, actor)
            }
            Verb::Clear => None,
        }
    }

    fn enter(&mut self, cause: &Event, to: TradingState, reason: Reason, actor: Actor) -> Event {
        let body = StateChange {
            from: self.state as u8,
            to: to as u8,
            reason: reason as u16,
            actor: actor.number(),
            ..StateChange::default()
        };
        self.state = to;
        self.reason = reason;
        Event::caused_by(cause, Kind::StateChange, InstrumentId::NONE, &body)
    }
}
