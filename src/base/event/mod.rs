//! The one message. Whatever crosses a ring or enters the journal is an [`Event`]: 128 bytes,
//! `repr(C)`, no padding, two cache lines.
//!
//! ```text
//! byte 0      1       2            4       8     16         24        32                128
//!      | kind | flags | instrument | check | seq | ts_venue | ts_recv | body (96 bytes)  |
//!      | u8   | u8    | u16        | u32   | u64 | i64      | i64     | by kind          |
//! ```
//!
//! Kinds come in blocks, so that a number tells which stage wrote it:
//! 1–31 market, 32–47 control, 48–63 venue reports (lane 0, the inputs), 64–79 inference (lane 1),
//! 80–95 risk (lane 2), 96–111 execution (lane 3), 112–127 latency stamps (lane 4).
//!
//! `seq` is the input's place in the river. A record of lanes 1 to 3 carries the `seq` of the input
//! that caused it. `check` belongs to the journal; everywhere else it is zero.

use super::ids::{InstrumentId, Seq, Side};
use super::symbol_state::SymbolState;
use super::time::Nanos;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Size of an event in bytes: two cache lines.
pub const EVENT_BYTES: usize = 128;
/// Size of an event's body in bytes.
pub const BODY_BYTES: usize = 96;
/// Price levels carried by one [`DepthLevels`] body.
pub const LEVELS_PER_EVENT: usize = 6;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        /// What an event is; the number is its byte in the header and in every journal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $number),* }

        impl Kind {
            /// Every kind, in numeric order.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];

            /// From the header's byte; `None` for a number that is no kind.
            #[inline]
            pub const fn from_u8(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The name used by tools and filters.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

kinds! {
    /// One execution on the venue ([`Trade`]).
    Trade = 1,
    /// Executions of one taker order at one price ([`Trade`]).
    AggTrade = 2,
    /// Best bid and offer ([`BookTicker`]).
    BookTicker = 3,
    /// Opens a depth batch: ids and counts ([`DepthHead`]).
    DepthHead = 4,
    /// Up to six levels of the open depth batch ([`DepthLevels`]).
    DepthLevels = 5,
    /// Mark price, index price and funding rate ([`MarkPrice`]).
    MarkPrice = 6,
    /// A candle as the venue sends it ([`Kline`]).
    Kline = 7,
    /// A forced order ([`Liquidation`]).
    Liquidation = 8,
    /// Contracts outstanding ([`OpenInterest`]).
    OpenInterest = 9,
    /// A settled funding rate ([`Funding`]).
    Funding = 10,
    /// A hole in a stream: the instrument's book is invalid from here on ([`Gap`]).
    Gap = 11,
    /// A frame that could not be understood ([`Malformed`]).
    Malformed = 12,
    /// A stream came up or went down ([`StreamStatus`]).
    StreamStatus = 13,

    /// First record of a session ([`SessionStart`]).
    SessionStart = 32,
    /// One line of the session's instrument table ([`Instrument`]).
    Instrument = 33,
    /// The model that decides from here on ([`ModelLoaded`]).
    ModelLoaded = 34,
    /// Time passed ([`Timer`]).
    Timer = 35,
    /// An operator's command ([`Command`]).
    Command = 36,
    /// Last record of a session that ended in order.
    SessionEnd = 37,
    /// The venue's orders and positions are known and agree with ours ([`Reconciled`]).
    Reconciled = 38,
    /// A position that an earlier session left ([`PositionCarried`]).
    PositionCarried = 39,
    /// An order that an earlier session left open, or of unknown outcome ([`OrderCarried`]).
    OrderCarried = 40,
    /// What else an earlier session left; the last record of every opening ([`SessionCarried`]).
    SessionCarried = 41,
    /// A kill looked at what is left at the venue ([`KillRound`]).
    KillRound = 42,
    /// Trades and funding behind the last clean look that an earlier session booked
    /// ([`BookedCarried`]).
    BookedCarried = 44,
    /// Other models decide from here on, or a change was refused ([`ModelSwap`]).
    ModelSwap = 45,
    /// Something measured outside of the river: a latency, a resource ([`Measured`]).
    Measured = 46,
    /// From here on an instrument is traded, being left, or asleep ([`SymbolChange`]).
    SymbolChange = 47,

    /// The venue accepted an order ([`OrderReport`]).
    OrderAccepted = 48,
    /// An execution of our order ([`OrderReport`]).
    OrderFilled = 49,
    /// Our order was cancelled ([`OrderReport`]).
    OrderCancelled = 50,
    /// The venue refused our order ([`OrderReport`]).
    OrderRejected = 51,
    /// Our order expired, for instance the rest of an IOC ([`OrderReport`]).
    OrderExpired = 52,
    /// The outcome of a request is not known ([`OrderReport`]).
    OrderUnknown = 53,
    /// A cancel request was refused ([`OrderReport`]).
    CancelRejected = 54,
    /// Funding paid or received on our position ([`FundingPayment`]).
    FundingPayment = 55,
    /// A position as the venue tells it in a reconciliation ([`VenuePosition`]).
    VenuePosition = 56,
    /// Something about the venue or our account there that bears on trading ([`VenueStatus`]).
    VenueStatus = 57,
    /// The account's balance and margins as the venue tells them ([`AccountStatus`]).
    AccountStatus = 58,
    /// A position's margin and liquidation price ([`MarginStatus`]).
    MarginStatus = 59,
    /// A contract's state and filters as the venue tells them ([`ContractStatus`]).
    ContractStatus = 60,

    /// The model's answer ([`Prediction`]).
    Prediction = 64,
    /// Why there is no answer ([`NoDecision`]).
    NoDecision = 65,
    /// The book became valid or invalid ([`BookState`]).
    BookState = 66,

    /// An order that passed every check ([`Order`]).
    OrderApproved = 80,
    /// A cancel that risk wants ([`Order`], only the id counts).
    CancelApproved = 81,
    /// An intent that failed a check ([`Denied`]).
    Denied = 82,
    /// Our position after a change ([`Position`]).
    Position = 83,
    /// The trading state changed ([`StateChange`]).
    StateChange = 84,
    /// A breaker's level changed; `ON` when it rose ([`Breaker`]).
    Breaker = 85,
    /// The size that entries may have changed ([`SizeChange`]).
    SizeChange = 86,

    /// Recorded before the bytes leave ([`Order`]).
    OrderIntent = 96,
    /// Recorded before the cancel leaves ([`Order`]).
    CancelIntent = 97,
    /// The bytes that left ([`Sent`]).
    Sent = 98,
    /// The order state machine moved ([`OrderState`]).
    OrderState = 99,

    /// How long passages of hops took ([`Stamps`]).
    Stamps = 112,
}

/// The lane a kind belongs to: 0 inputs, 1 inference, 2 risk, 3 execution, 4 latency stamps.
pub const fn lane_of(kind: Kind) -> usize {
    match kind as u8 {
        0..=63 => 0,
        64..=79 => 1,
        80..=95 => 2,
        96..=111 => 3,
        _ => 4,
    }
}

/// The header's flag bits. Their meaning is the same for every kind that uses them.
pub mod flags {
    /// Sell side: the taker sold, the level is an ask, the order sells. Clear means buy or bid.
    pub const SELL: u8 = 1;
    /// The last event of a batch.
    pub const LAST: u8 = 2;
    /// Part of a snapshot, not of a change.
    pub const SNAPSHOT: u8 = 4;
    /// The order may only shrink a position.
    pub const REDUCE_ONLY: u8 = 8;
    /// We were the maker of this fill.
    pub const MAKER: u8 = 16;
    /// The candle is final; the stream is up; the book is valid.
    pub const ON: u8 = 32;
    /// Came from a simulated venue.
    pub const PAPER: u8 = 64;
}

/// See the layout at the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Event {
    /// A [`Kind`] number; 0 is no event.
    pub kind: u8,
    /// Bits of [`flags`].
    pub flags: u8,
    /// An [`InstrumentId`]; `u16::MAX` for none.
    pub instrument: u16,
    /// The journal's checksum; zero outside a lane.
    pub check: u32,
    /// Place in the river, from 1.
    pub seq: Seq,
    /// The venue's time of the event in nanoseconds, 0 if it has none.
    pub ts_venue: i64,
    /// Our time of receipt in nanoseconds.
    pub ts_recv: i64,
    /// One of the body structs of this module, by `kind`.
    pub body: [u64; BODY_BYTES / 8],
}

const _: () = {
    assert!(size_of::<Event>() == EVENT_BYTES);
    assert!(align_of::<Event>() == 8);
    assert!(std::mem::offset_of!(Event, check) == 4);
    assert!(std::mem::offset_of!(Event, seq) == 8);
    assert!(std::mem::offset_of!(Event, ts_venue) == 16);
    assert!(std::mem::offset_of!(Event, ts_recv) == 24);
    assert!(std::mem::offset_of!(Event, body) == 32);
};

/// A struct that fills an event's body exactly.
pub trait Body: FromBytes + IntoBytes + Immutable + KnownLayout + Copy {}

impl Event {
    /// All zero: no event.
    pub const EMPTY: Self = Self {
        kind: 0,
        flags: 0,
        instrument: u16::MAX,
        check: 0,
        seq: 0,
        ts_venue: 0,
        ts_recv: 0,
        body: [0; BODY_BYTES / 8],
    };

    /// An event of `kind` with `body`; sequence and times are set by whoever orders it.
    #[inline]
    pub fn new<B: Body>(kind: Kind, instrument: InstrumentId, body: &B) -> Self {
        let mut event = Self { kind: kind as u8, instrument: instrument.0, ..Self::EMPTY };
        event.body.as_mut_bytes().copy_from_slice(body.as_bytes());
        event
    }

    /// An event caused by `cause`: it takes over sequence and times.
    #[inline]
    pub fn caused_by<B: Body>(
        cause: &Event,
        kind: Kind,
        instrument: InstrumentId,
        body: &B,
    ) -> Self {
        let mut event = Self::new(kind, instrument, body);
        event.seq = cause.seq;
        event.ts_venue = cause.ts_venue;
        event.ts_recv = cause.ts_recv;
        event
    }

    /// The same event with these flag bits set.
    #[inline]
    pub const fn with_flags(mut self, bits: u8) -> Self {
        self.flags |= bits;
        self
    }

    /// The kind; `None` for a byte that is no kind.
    #[inline]
    pub const fn kind(&self) -> Option<Kind> {
        Kind::from_u8(self.kind)
    }

    /// The instrument.
    #[inline]
    pub const fn instrument(&self) -> InstrumentId {
        InstrumentId(self.instrument)
    }

    /// True when all of `bits` are set.
    #[inline]
    pub const fn has(&self, bits: u8) -> bool {
        self.flags & bits == bits
    }

    /// What a [`SymbolChange`] makes of its instrument; `None` for every other event.
    #[inline]
    pub fn symbol_state(&self) -> Option<SymbolState> {
        if self.kind != Kind::SymbolChange as u8 {
            return None;
        }
        SymbolState::from_u8(self.body::<SymbolChange>().state)
    }

    /// True for a [`SymbolChange`] that puts its instrument to sleep.
    #[inline]
    pub fn puts_to_sleep(&self) -> bool {
        self.symbol_state() == Some(SymbolState::Asleep)
    }

    /// Side by the [`flags::SELL`] bit.
    #[inline]
    pub const fn side(&self) -> Side {
        if self.has(flags::SELL) { Side::Sell } else { Side::Buy }
    }

    /// Time of receipt: the only "now" a stage knows.
    #[inline]
    pub const fn now(&self) -> Nanos {
        Nanos(self.ts_recv)
    }

    /// The body as `B`. The caller has matched `kind`; any bytes are a valid body.
    #[inline]
    pub fn body<B: Body>(&self) -> &B {
        B::ref_from_bytes(self.body.as_bytes()).expect("every body is 96 bytes, 8-aligned")
    }
}

/// The [`flags::SELL`] bit of a side.
pub const fn side_flag(side: Side) -> u8 {
    match side {
        Side::Buy => 0,
        Side::Sell => flags::SELL,
    }
}

macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }

        impl Body for $name {}

        impl Default for $name {
            fn default() -> Self {
                zerocopy::FromZeros::new_zeroed()
            }
        }

        const _: () = assert!(size_of::<$name>() == BODY_BYTES && align_of::<$name>() <= 8);
    };
}

mod control;
mod latency;
mod market;
mod stages;
#[cfg(test)]
mod tests;
mod venue;

pub use control::{
    BookedCarried, COMMAND_MODEL, COMMAND_REASON_BYTES, Command, Instrument, KillRound, Measured,
    ModelLoaded, ModelSwap, OrderCarried, PositionCarried, Reconciled, SessionCarried,
    SessionStart, SymbolChange, Timer,
};
pub use latency::{PASSAGE_NS_MAX, PASSAGES_PER_EVENT, Passage, Stamps};
pub use market::{
    BookTicker, DepthHead, DepthLevels, Funding, Gap, Kline, Level, Liquidation, Malformed,
    MarkPrice, OpenInterest, StreamStatus, Trade, carries,
};
pub use stages::{
    BookState, Breaker, Denied, NoDecision, Order, OrderState, Position, Prediction, Sent,
    SizeChange, StateChange,
};
pub use venue::{
    AccountStatus, ContractStatus, FundingPayment, MarginStatus, OrderReport, VenuePosition,
    VenueStatus,
};

/// The actor of commands that paper trading and backtests give themselves.
pub const ACTOR_UNATTENDED: u32 = u32::MAX - 2;

/// Version of everything in this module; a journal of another version is refused.
pub const EVENT_VERSION: u32 = 4;
