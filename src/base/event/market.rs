//! Bodies of market events (kinds 1 to 31).

use super::{BODY_BYTES, Body, LEVELS_PER_EVENT};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
    /// Some instruments' share: what is brought of each of them is told of it alone.
    pub const PART: u16 = 1 << 15;
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

impl StreamStatus {
    /// True when the connection or stream brings any of `what` ([`carries`] bits).
    pub const fn has_carried(&self, what: u16) -> bool {
        self.carries == 0 || self.carries & what != 0
    }
}
