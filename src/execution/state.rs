//! The life of one order on the wire, as a table of (state, signal) → state.
//!
//! ```text
//!               accepted              part fill
//!  PendingNew ───────────► Working ───────────────► PartiallyFilled
//!     │ │ │                  │ cancel sent               │ cancel sent
//!     │ │ │                  └────────► PendingCancel ◄──┘   refused: back
//!     │ │ │  unknown (from any live state)
//!     │ │ └──────────────► Unknown ── found: Working … ── absent everywhere: Lost
//!     │ └── rejected ────► Rejected
//!     └── any live state: last fill ► Filled · cancelled ► Cancelled · expired ► Expired
//! ```
//! Signals come in any order: a fill may overtake its acknowledgement, an acknowledgement may
//! follow a cancel. A fill is evidence and always counts, in every state. What the table does not
//! expect changes nothing, or moves to `Unknown`, and is named in [`Step::note`].

use crate::base::Reason;

/// Where an order stands. Numbers are stored in `OrderState` records; 0 there means "not yet".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrderState {
    /// In flight: sent, nothing heard.
    PendingNew = 1,
    /// Acknowledged and resting.
    Working = 2,
    /// Resting, and filled in part.
    PartiallyFilled = 3,
    /// A cancel is in flight.
    PendingCancel = 4,
    /// Filled wholly. Terminal.
    Filled = 5,
    /// Cancelled. Terminal, but late fills count.
    Cancelled = 6,
    /// Refused by the venue. Terminal.
    Rejected = 7,
    /// Expired, such as the rest of an IOC. Terminal, but late fills count.
    Expired = 8,
    /// The outcome is not known.
    Unknown = 9,
    /// Proved absent at the venue after its time to arrive had passed. Terminal.
    Lost = 10,
}

impl OrderState {
    /// Every state, in numeric order.
    pub const ALL: [OrderState; 10] = [
        OrderState::PendingNew,
        OrderState::Working,
        OrderState::PartiallyFilled,
        OrderState::PendingCancel,
        OrderState::Filled,
        OrderState::Cancelled,
        OrderState::Rejected,
        OrderState::Expired,
        OrderState::Unknown,
        OrderState::Lost,
    ];

    /// The name used by pages and tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingNew => "pending_new",
            Self::Working => "working",
            Self::PartiallyFilled => "partially_filled",
            Self::PendingCancel => "pending_cancel",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Lost => "lost",
        }
    }

    /// From its number; `None` for a number that is no state.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).wrapping_sub(1)).copied()
    }

    /// True when nothing more is expected.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired | Self::Lost)
    }
}

/// What an order hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The venue accepted it.
    Accepted,
    /// Filled, and some is left.
    PartFill,
    /// Filled, and nothing is left.
    LastFill,
    /// The venue cancelled it.
    Cancelled,
    /// The venue refused it.
    Rejected,
    /// It expired.
    Expired,
    /// Reconciliation proved it absent.
    Lost,
    /// The outcome of the request is not known.
    Unknown,
    /// We sent a cancel.
    CancelSent,
    /// The venue refused the cancel: the order lives.
    CancelRefused,
    /// The venue does not know the order to cancel: filled, ended or never arrived.
    CancelMissed,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; 11] = [
        Signal::Accepted,
        Signal::PartFill,
        Signal::LastFill,
        Signal::Cancelled,
        Signal::Rejected,
        Signal::Expired,
        Signal::Lost,
        Signal::Unknown,
        Signal::CancelSent,
        Signal::CancelRefused,
        Signal::CancelMissed,
    ];
}

/// A move of the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// State after.
    pub to: OrderState,
    /// [`Reason::None`] for an expected signal, [`Reason::ReportAfterTerminal`] for one that came
    /// after the end, [`Reason::ReportOutOfState`] for one that contradicts the state.
    pub note: Reason,
}

/// One move. `filled` says whether anything was filled before the signal.
pub const fn step(from: OrderState, signal: Signal, filled: bool) -> Step {
    match from {
        OrderState::PendingNew
        | OrderState::Working
        | OrderState::PartiallyFilled
        | OrderState::PendingCancel => step_live(from, signal, filled),
        OrderState::Unknown => step_unknown(signal, filled),
        OrderState::Filled => match signal {
            Signal::Accepted | Signal::CancelRefused | Signal::CancelMissed => quiet(from),
            Signal::LastFill => quiet(from),
            _ => late(from),
        },
        OrderState::Cancelled | OrderState::Expired => match signal {
            Signal::Accepted | Signal::CancelRefused | Signal::CancelMissed => quiet(from),
            Signal::Cancelled if matches!(from, OrderState::Cancelled) => quiet(from),
            Signal::Expired if matches!(from, OrderState::Expired) => quiet(from),
            Signal::LastFill => late(OrderState::Filled),
            _ => late(from),
        },
        OrderState::Rejected => match signal {
            // The venue contradicts itself: nothing is certain but that it lives.
            Signal::Accepted => astray(OrderState::Unknown),
            Signal::PartFill => astray(OrderState::PartiallyFilled),
            Signal::LastFill => astray(OrderState::Filled),
            Signal::Rejected | Signal::CancelRefused | Signal::CancelMissed => quiet(from),
            _ => late(from),
        },
        OrderState::Lost => match signal {
            // Found after all: the proof was wrong.
            Signal::Accepted => astray(resting(filled)),
            Signal::PartFill => astray(OrderState::PartiallyFilled),
            Signal::LastFill => astray(OrderState::Filled),
            Signal::Cancelled => astray(OrderState::Cancelled),
            Signal::Expired => astray(OrderState::Expired),
            Signal::Lost | Signal::CancelRefused | Signal::CancelMissed => quiet(from),
            _ => late(from),
        },
    }
}

const fn step_live(from: OrderState, signal: Signal, filled: bool) -> Step {
    let cancelling = matches!(from, OrderState::PendingCancel);
    let unheard = matches!(from, OrderState::PendingNew) || (cancelling && !filled);
    match signal {
        Signal::Accepted if matches!(from, OrderState::PendingNew) => quiet(OrderState::Working),
        Signal::Accepted => quiet(from),
        Signal::PartFill if cancelling => quiet(from),
        Signal::PartFill => quiet(OrderState::PartiallyFilled),
        Signal::LastFill => quiet(OrderState::Filled),
        Signal::Cancelled => quiet(OrderState::Cancelled),
        Signal::Rejected if unheard => quiet(OrderState::Rejected),
        Signal::Rejected => astray(from),
        Signal::Expired => quiet(OrderState::Expired),
        // Only an order of unknown outcome can be proved absent.
        Signal::Lost => astray(from),
        Signal::Unknown => quiet(OrderState::Unknown),
        Signal::CancelSent => quiet(OrderState::PendingCancel),
        Signal::CancelRefused if cancelling => quiet(resting(filled)),
        Signal::CancelRefused => astray(from),
        Signal::CancelMissed => quiet(OrderState::Unknown),
    }
}

const fn step_unknown(signal: Signal, filled: bool) -> Step {
    if filled && matches!(signal, Signal::Rejected | Signal::Lost) {
        // What was filled in part was there: it can neither be refused nor be absent.
        return astray(OrderState::Unknown);
    }
    let to = match signal {
        Signal::Accepted => resting(filled),
        Signal::PartFill => OrderState::PartiallyFilled,
        Signal::LastFill => OrderState::Filled,
        Signal::Cancelled => OrderState::Cancelled,
        Signal::Rejected => OrderState::Rejected,
        Signal::Expired => OrderState::Expired,
        Signal::Lost => OrderState::Lost,
        Signal::Unknown | Signal::CancelSent => OrderState::Unknown,
        Signal::CancelRefused | Signal::CancelMissed => OrderState::Unknown,
    };
    quiet(to)
}

const fn resting(filled: bool) -> OrderState {
    if filled { OrderState::PartiallyFilled } else { OrderState::Working }
}

const fn quiet(to: OrderState) -> Step {
    Step { to, note: Reason::None }
}

const fn late(to: OrderState) -> Step {
    Step { to, note: Reason::ReportAfterTerminal }
}

const fn astray(to: OrderState) -> Step {
    Step { to, note: Reason::ReportOutOfState }
}
