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
//! 80–95 risk (lane 2), 96–111 execution (lane 3).
//!
//! `seq` is the input's place in the river. A record of lanes 1 to 3 carries the `seq` of the input
//! that caused it. `check` belongs to the journal; everywhere else it is zero.

use super::ids::{ClientOrderId, InstrumentId, Seq, Side};
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

    /// Recorded before the bytes leave ([`Order`]).
    OrderIntent = 96,
    /// Recorded before the cancel leaves ([`Order`]).
    CancelIntent = 97,
    /// The bytes that left ([`Sent`]).
    Sent = 98,
    /// The order state machine moved ([`OrderState`]).
    OrderState = 99,
}

/// The lane a kind belongs to: 0 inputs, 1 inference, 2 risk, 3 execution.
pub const fn lane_of(kind: Kind) -> usize {
    match kind as u8 {
        0..=63 => 0,
        64..=79 => 1,
        80..=95 => 2,
        _ => 3,
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
    /// One of the body structs of this file, by `kind`.
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

body!(
    /// One trade, or the trades of one taker order at one price. `SELL`: the taker sold.
    Trade {
        /// Price, 1e-8.
        px: i64,
        /// Quantity, 1e-8.
        qty: i64,
        /// The venue's trade id, or aggregate id.
        trade_id: u64,
        /// First trade id of an aggregate, else `trade_id`.
        first_id: u64,
        /// Last trade id of an aggregate, else `trade_id`.
        last_id: u64,
        /// When the venue matched it, nanoseconds.
        ts_trade: i64,
        /// Zero.
        reserved: [u64; 6],
    }
);
body!(
    /// Best bid and offer.
    BookTicker {
        /// Update id, on the same scale as depth ids.
        update_id: u64,
        /// Best bid price, 1e-8.
        bid_px: i64,
        /// Quantity at the best bid, 1e-8.
        bid_qty: i64,
        /// Best ask price, 1e-8.
        ask_px: i64,
        /// Quantity at the best ask, 1e-8.
        ask_qty: i64,
        /// Matching-engine time, nanoseconds.
        ts_match: i64,
        /// Zero.
        reserved: [u64; 6],
    }
);
body!(
    /// Opens a depth batch. With `SNAPSHOT` the book starts anew; the levels follow in
    /// [`DepthLevels`] events, the last of the batch flagged `LAST`. A batch without levels is a
    /// head flagged `LAST`.
    DepthHead {
        /// First update id in the batch (`U`).
        first_id: u64,
        /// Last update id in the batch (`u`, or a snapshot's `lastUpdateId`).
        last_id: u64,
        /// Last update id of the batch before (`pu`), 0 in a snapshot.
        prev_id: u64,
        /// Bid levels that follow.
        bid_count: u32,
        /// Ask levels that follow.
        ask_count: u32,
        /// Matching-engine time, nanoseconds.
        ts_match: i64,
        /// Zero.
        reserved: [u64; 7],
    }
);

/// One price level; a quantity of zero removes it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Level {
    /// Price, 1e-8; 0 ends the list.
    pub px: i64,
    /// Absolute quantity, 1e-8.
    pub qty: i64,
}

body!(
    /// Up to six levels of one side (`SELL`: asks), ended early by a price of 0.
    DepthLevels {
        /// The levels.
        levels: [Level; LEVELS_PER_EVENT],
    }
);
body!(
    /// Mark price stream.
    MarkPrice {
        /// Mark price, 1e-8.
        mark_px: i64,
        /// Index price, 1e-8.
        index_px: i64,
        /// Estimated settle price, 1e-8.
        settle_px: i64,
        /// Predicted funding rate, 1e-8.
        funding_rate: i64,
        /// Next funding time, nanoseconds.
        ts_next_funding: i64,
        /// Zero.
        reserved: [u64; 7],
    }
);
body!(
    /// A candle. `ON`: final.
    Kline {
        /// Open time, nanoseconds.
        ts_open: i64,
        /// Close time, nanoseconds.
        ts_close: i64,
        /// Open price, 1e-8.
        open: i64,
        /// High price, 1e-8.
        high: i64,
        /// Low price, 1e-8.
        low: i64,
        /// Close price, 1e-8.
        close: i64,
        /// Base volume, 1e-8.
        volume: i64,
        /// Quote volume, 1e-8.
        quote_volume: i64,
        /// Base volume bought by takers, 1e-8.
        taker_buy_volume: i64,
        /// Quote volume bought by takers, 1e-8.
        taker_buy_quote: i64,
        /// Trades.
        trade_count: u64,
        /// Zero.
        reserved: [u64; 1],
    }
);
body!(
    /// A forced order. `SELL`: a long was closed.
    Liquidation {
        /// Order price, 1e-8.
        px: i64,
        /// Average fill price, 1e-8.
        avg_px: i64,
        /// Order quantity, 1e-8.
        qty: i64,
        /// Filled so far, 1e-8.
        filled_qty: i64,
        /// Last fill, 1e-8.
        last_qty: i64,
        /// Time of the trade, nanoseconds.
        ts_trade: i64,
        /// Zero.
        reserved: [u64; 6],
    }
);
body!(
    /// Contracts outstanding in the market.
    OpenInterest {
        /// Open interest in base units, 1e-8.
        qty: i64,
        /// The venue's time, nanoseconds.
        ts: i64,
        /// Zero.
        reserved: [u64; 10],
    }
);
body!(
    /// A settled funding rate.
    Funding {
        /// Rate, 1e-8.
        rate: i64,
        /// Mark price it applied to, 1e-8; 0 if not told.
        mark_px: i64,
        /// Funding time, nanoseconds.
        ts_funding: i64,
        /// Zero.
        reserved: [u64; 9],
    }
);
body!(
    /// A hole in a stream.
    Gap {
        /// What was expected (an update id).
        expected: u64,
        /// What came.
        got: u64,
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Zero.
        pad: [u16; 3],
        /// Zero.
        reserved: [u64; 9],
    }
);
body!(
    /// A frame that could not be understood.
    Malformed {
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Zero.
        pad: u16,
        /// Length of the frame in bytes.
        frame_bytes: u32,
        /// Byte offset at which decoding failed.
        offset: u32,
        /// Zero.
        pad2: u32,
        /// xxh3 of the frame.
        frame_hash: u64,
        /// The frame's first bytes, padded with zeros.
        head: [u8; 72],
    }
);
/// What a connection or stream brings, as bits of [`StreamStatus`].
pub mod carries {
    /// Changes of the book.
    pub const DEPTH: u16 = 1;
    /// Best bid and offer.
    pub const TOUCH: u16 = 2;
    /// Trades, forced ones too.
    pub const TRADES: u16 = 4;
    /// Mark prices.
    pub const MARK: u16 = 8;
    /// What happens to the account.
    pub const ACCOUNT: u16 = 16;
}

body!(
    /// A connection came up (`ON`) or went down; with an instrument, one stream of it.
    StreamStatus {
        /// Ordinal of the connection in this session, from 1.
        connection: u64,
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Sum of [`carries`] bits; zero means everything.
        carries: u16,
        /// Zero.
        pad: [u16; 2],
        /// Zero.
        reserved: [u64; 10],
    }
);
body!(
    /// What the session runs with. Replay refuses other hashes.
    SessionStart {
        /// SHA-256 of the effective configuration text.
        config_sha256: [u8; 32],
        /// Hash of the feature schema.
        schema_hash: u64,
        /// Seed of everything random.
        seed: u64,
        /// Order-id epoch of this start.
        epoch: u32,
        /// 0 backtest, 1 paper, 2 testnet, 3 live.
        mode: u32,
        /// Version of the event layout: [`EVENT_VERSION`].
        event_version: u32,
        /// Number of [`Instrument`] events that follow.
        instrument_count: u32,
        /// Hash of the account's name at the venue; 0 on paper.
        account: u64,
        /// Zero.
        reserved: [u64; 3],
    }
);
body!(
    /// One instrument's contract facts.
    Instrument {
        /// Symbol, padded with zeros.
        symbol: [u8; 32],
        /// Price step, 1e-8.
        tick_size: i64,
        /// Quantity step, 1e-8.
        lot_size: i64,
        /// Least order quantity, 1e-8.
        min_qty: i64,
        /// Largest order quantity, 1e-8.
        max_qty: i64,
        /// Least order value, 1e-8.
        min_notional: i64,
        /// Maker fee rate, 1e-8 (negative: rebate).
        maker_fee: i64,
        /// Taker fee rate, 1e-8.
        taker_fee: i64,
        /// Zero.
        reserved: [u64; 1],
    }
);
body!(
    /// The model that decides from this point of the river on.
    ModelLoaded {
        /// SHA-256 of the ONNX file.
        sha256: [u8; 32],
        /// Version name, padded with zeros.
        version: [u8; 32],
        /// Hash of the feature schema it was trained on.
        schema_hash: u64,
        /// 1 native plan, 2 tract.
        executor: u32,
        /// Zero.
        pad: u32,
        /// Zero.
        reserved: [u64; 2],
    }
);
body!(
    /// Time passed; the time is `ts_recv`.
    Timer {
        /// Milliseconds between timers.
        interval_ms: u64,
        /// Zero.
        reserved: [u64; 11],
    }
);
body!(
    /// An operator's command.
    Command {
        /// 1 pause, 2 graceful kill, 3 immediate kill, 4 arm, 5 clear.
        verb: u32,
        /// User id that gave it; `u32::MAX` for a signal, [`ACTOR_UNATTENDED`] for paper trading's
        /// own setting.
        actor: u32,
        /// Why, padded with zeros.
        reason: [u8; 88],
    }
);
body!(
    /// Our books and the venue's agree; what was found there.
    Reconciled {
        /// Orders open at the venue.
        open_orders: u64,
        /// Instruments with a position.
        positions: u64,
        /// Zero.
        reserved: [u64; 10],
    }
);
body!(
    /// What the venue says of one of our orders. `SELL`, `REDUCE_ONLY`, `MAKER` apply.
    OrderReport {
        /// Our [`ClientOrderId`].
        client_id: u64,
        /// The venue's order id, 0 if not told.
        venue_id: u64,
        /// Order price, 1e-8.
        px: i64,
        /// Order quantity, 1e-8.
        qty: i64,
        /// Price of this fill, 1e-8.
        last_px: i64,
        /// Quantity of this fill, 1e-8.
        last_qty: i64,
        /// Filled so far, 1e-8.
        cum_qty: i64,
        /// Fee of this fill in quote currency, 1e-8; below zero is a rebate.
        fee: i64,
        /// The venue's trade id of this fill.
        trade_id: u64,
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Zero.
        pad: u16,
        /// The venue's own code, 0 if none.
        venue_code: i32,
        /// Zero.
        reserved: [u64; 2],
    }
);
body!(
    /// Funding paid (below zero) or received on our position.
    FundingPayment {
        /// Amount in quote currency, 1e-8.
        amount: i64,
        /// Rate, 1e-8.
        rate: i64,
        /// Mark price, 1e-8.
        mark_px: i64,
        /// Position it applied to, 1e-8.
        position_qty: i64,
        /// Zero.
        reserved: [u64; 8],
    }
);
body!(
    /// The model's answer, with the market it saw.
    Prediction {
        /// Probabilities of down, flat, up; they sum to 1.
        probability: [f32; 3],
        /// Return quantiles .1, .5, .9 as fractions; NaN where the model has none.
        quantile: [f32; 3],
        /// xxh3 of the model's input vector.
        features_hash: u64,
        /// First eight bytes of the model file's SHA-256.
        model_tag: u64,
        /// Best bid, 1e-8.
        bid_px: i64,
        /// Quantity at the best bid, 1e-8.
        bid_qty: i64,
        /// Best ask, 1e-8.
        ask_px: i64,
        /// Quantity at the best ask, 1e-8.
        ask_qty: i64,
        /// Average true range in price units, 1e-8; 0 if not warm.
        atr_px: i64,
        /// Place of the newest market input in the river.
        market_seq: u64,
        /// Receipt of the best bid and ask, nanoseconds; 0 stands for the event's own time.
        ts_quote: i64,
    }
);
body!(
    /// Why there is no answer.
    NoDecision {
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Index of the feature at fault, `u16::MAX` if none.
        feature: u16,
        /// Zero.
        pad: u32,
        /// Zero.
        reserved: [u64; 11],
    }
);
body!(
    /// The book became valid (`ON`) or invalid.
    BookState {
        /// Update id the book stands at.
        last_id: u64,
        /// Best bid, 1e-8, 0 if none.
        bid_px: i64,
        /// Best ask, 1e-8, 0 if none.
        ask_px: i64,
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Zero.
        pad: [u16; 3],
        /// Zero.
        reserved: [u64; 8],
    }
);
body!(
    /// An order, from approval to the wire. `SELL` and `REDUCE_ONLY` apply.
    Order {
        /// Our [`ClientOrderId`].
        client_id: u64,
        /// Limit or trigger price, 1e-8; 0 for a market order.
        px: i64,
        /// Quantity, 1e-8. A protective stop closes what is there when it triggers.
        qty: i64,
        /// Price the decision was taken at (opposite touch; of a stop the entry), 1e-8.
        reference_px: i64,
        /// Notional at the worst price, 1e-8.
        notional: i64,
        /// 1 limit, 2 market, 3 protective stop; in a cancel 3 for that of a stop, else 0.
        order_type: u8,
        /// 1 GTC, 2 IOC, 3 FOK, 4 GTX (post only).
        time_in_force: u8,
        /// A [`crate::base::Purpose`] number.
        purpose: u8,
        /// Zero.
        pad: [u8; 5],
        /// First eight bytes of the deciding model's SHA-256.
        model_tag: u64,
        /// Zero.
        reserved: [u64; 5],
    }
);
body!(
    /// An intent that failed a check.
    Denied {
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Position of the check in the gate's list.
        check: u16,
        /// A [`crate::base::Purpose`] number.
        purpose: u8,
        /// Zero.
        pad: [u8; 3],
        /// What was asked, in the check's unit.
        value: i64,
        /// What is allowed, in the check's unit.
        limit: i64,
        /// Price of the intent, 1e-8.
        px: i64,
        /// Quantity of the intent, 1e-8.
        qty: i64,
        /// Zero.
        reserved: [u64; 7],
    }
);
body!(
    /// A position that an earlier session left. The ledger starts from it.
    PositionCarried {
        /// Signed position, 1e-8.
        qty: i64,
        /// What the position cost, 1e-8, as the ledger keeps it.
        cost: i64,
        /// Realised profit, before fees and funding, 1e-8.
        realised: i64,
        /// Fees, 1e-8; above zero is paid.
        fees: i64,
        /// Funding, 1e-8; above zero is received.
        funding: i64,
        /// Number of the newest trade that was booked; 0 for none.
        last_trade_id: u64,
        /// Event time of the first fill of the open position; 0 when flat.
        ts_opened: i64,
        /// Venue time of the newest funding payment that was booked; 0 for none.
        ts_funding: i64,
        /// Profit of the round trip under way, before it is closed, 1e-8.
        round_trip: i64,
        /// Zero.
        reserved: [u64; 3],
    }
);
body!(
    /// An order that an earlier session left open, or of unknown outcome.
    OrderCarried {
        /// Our [`ClientOrderId`].
        client_id: u64,
        /// The venue's number; 0 while not known.
        venue_id: u64,
        /// Limit or trigger price, 1e-8; 0 for a market order.
        px: i64,
        /// Quantity, 1e-8.
        qty: i64,
        /// Booked fills, 1e-8.
        filled: i64,
        /// Most that the venue said was filled, 1e-8.
        reported: i64,
        /// Event time of its approval.
        ts_sent: i64,
        /// A [`crate::base::OrderType`] number.
        order_type: u8,
        /// A [`crate::base::TimeInForce`] number.
        time_in_force: u8,
        /// A [`crate::base::Purpose`] number.
        purpose: u8,
        /// State the earlier session knew, as in `execution::OrderState`.
        state: u8,
        /// Zero.
        pad: [u8; 4],
        /// Zero.
        reserved: [u64; 4],
    }
);
body!(
    /// What else an earlier session left; all zero but `starting_equity` where there was none.
    SessionCarried {
        /// Equity at the start of the first session of the chain, 1e-8.
        starting_equity: i64,
        /// Highest equity seen, 1e-8.
        peak_equity: i64,
        /// Equity at the start of the UTC day `day`, 1e-8.
        day_start_equity: i64,
        /// UTC day, counted from the epoch.
        day: i64,
        /// Order-id epoch of the session that left it; 0 for none.
        epoch: u32,
        /// Round trips in a row that ended with a loss.
        losses_in_a_row: u32,
        /// Entries on the UTC day `day`.
        entries_today: u32,
        /// Trading state it was left in, as in `risk::TradingState`.
        state: u8,
        /// 1 where part of its journal was lost.
        lossy: u8,
        /// Why the trading state was what it was: a [`crate::base::Reason`] number.
        reason: u16,
        /// Receive time of the newest event of that session.
        ts_last: i64,
        /// Zero.
        reserved: [u64; 5],
    }
);
body!(
    /// A position as the venue tells it. With the flag `LAST` two reads have told the same and the
    /// ledger must agree.
    VenuePosition {
        /// Signed position, 1e-8.
        qty: i64,
        /// Entry price, 1e-8; 0 when flat.
        entry_px: i64,
        /// Number of the reconciliation, counted from 1.
        round: u64,
        /// Zero.
        reserved: [u64; 9],
    }
);
body!(
    /// Something about the venue or our account there that bears on trading. The reason says what;
    /// risk alone says which trading state follows.
    VenueStatus {
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Zero.
        pad: u16,
        /// The venue's code, 0 for none.
        venue_code: i32,
        /// The order concerned; 0 for none.
        client_id: u64,
        /// What the venue says, in the reason's unit.
        told: i64,
        /// What we hold, in the reason's unit.
        held: i64,
        /// Time until which it lasts; 0 for not known.
        ts_until: i64,
        /// Zero.
        reserved: [u64; 7],
    }
);
body!(
    /// Our position after a change.
    Position {
        /// Signed position, 1e-8.
        qty: i64,
        /// Average entry price, 1e-8.
        avg_px: i64,
        /// Realised profit since session start, before fees and funding, 1e-8.
        realised: i64,
        /// Fees since session start, 1e-8; above zero is paid.
        fees: i64,
        /// Funding since session start, 1e-8; above zero is received.
        funding: i64,
        /// Unrealised profit at `mark_px`, 1e-8.
        unrealised: i64,
        /// Price the position is valued at, 1e-8.
        mark_px: i64,
        /// Account equity after the change, 1e-8.
        equity: i64,
        /// Zero.
        reserved: [u64; 4],
    }
);
body!(
    /// The trading state changed; numbers as in `risk::TradingState`.
    StateChange {
        /// State before.
        from: u8,
        /// State after.
        to: u8,
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// User id that asked for it; `u32::MAX` for the system.
        actor: u32,
        /// Zero.
        reserved: [u64; 11],
    }
);
body!(
    /// Bytes that left for the venue.
    Sent {
        /// Our [`ClientOrderId`].
        client_id: u64,
        /// xxh3 of the unsigned request text.
        request_hash: u64,
        /// Length of the unsigned request text in bytes.
        request_bytes: u32,
        /// 1 order, 2 cancel, 3 stop, 4 stop cancel.
        request: u32,
        /// Zero.
        reserved: [u64; 9],
    }
);
body!(
    /// The order state machine moved; numbers as in `execution::OrderState`.
    OrderState {
        /// Our [`ClientOrderId`].
        client_id: u64,
        /// State before.
        from: u8,
        /// State after.
        to: u8,
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Zero.
        pad: u32,
        /// Filled so far, 1e-8.
        cum_qty: i64,
        /// Still to fill, 1e-8.
        leaves_qty: i64,
        /// Zero.
        reserved: [u64; 8],
    }
);

/// The actor of commands that paper trading and backtests give themselves.
pub const ACTOR_UNATTENDED: u32 = u32::MAX - 2;

/// Version of everything in this file; a journal of another version is refused.
pub const EVENT_VERSION: u32 = 2;

impl StreamStatus {
    /// True when the connection or stream brings any of `what` ([`carries`] bits).
    pub const fn has_carried(&self, what: u16) -> bool {
        self.carries == 0 || self.carries & what != 0
    }
}

impl Order {
    /// The id.
    pub const fn id(&self) -> ClientOrderId {
        ClientOrderId(self.client_id)
    }
}

#[cfg(test)]
mod tests;
