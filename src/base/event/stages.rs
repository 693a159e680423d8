//! Bodies of what the stages write: inference (64 to 79), risk (80 to 95), execution (96 to 111).

use super::{BODY_BYTES, Body};
use crate::base::ids::ClientOrderId;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
        /// First eight bytes of the SHA-256 of the model that was to decide.
        model_tag: u64,
        /// Zero.
        reserved: [u64; 10],
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
        /// What bound an entry's size: a [`crate::base::Bound`] number.
        bound: u8,
        /// Zero.
        pad: [u8; 4],
        /// First eight bytes of the deciding model's SHA-256.
        model_tag: u64,
        /// Average true range an entry was decided with, 1e-8; 0 if not warm.
        atr_px: i64,
        /// Distance from the entry price at which an entry takes its profit, 1e-8; 0 for none.
        target_px: i64,
        /// Return an entry is expected to have before costs, as a rate of 1e-8.
        edge: i64,
        /// Costs an entry is expected to have, its exit's included, as a rate of 1e-8.
        costs: i64,
        /// Zero.
        reserved: [u64; 1],
    }
);
body!(
    /// An intent that failed a check.
    Denied {
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Position of the check in the gate's list; `u16::MAX` where the policy's sizing refused.
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
        /// First eight bytes of the deciding model's SHA-256.
        model_tag: u64,
        /// Zero.
        reserved: [u64; 6],
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
        /// Average true range at the entry, 1e-8; 0 where not known.
        atr_px: i64,
        /// Distance from the entry price at which the profit is taken, 1e-8; 0 where not known.
        target_px: i64,
        /// Best price the position could have been left at, 1e-8; 0 while flat.
        best_px: i64,
        /// Zero.
        reserved: [u64; 1],
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
    /// A breaker's level changed: up with the flag `ON`, else down.
    Breaker {
        /// A [`crate::base::Control`] number.
        control: u16,
        /// Level before, as in [`crate::base::Level`].
        from: u8,
        /// Level after.
        to: u8,
        /// A [`crate::base::Reason`] number.
        reason: u16,
        /// Zero.
        pad: u16,
        /// What was found, in the control's unit.
        value: i64,
        /// The limit of the higher of the two levels, in the control's unit.
        limit: i64,
        /// Times the control was evaluated so far.
        evaluated: u64,
        /// Times it came within a fifth of its limit.
        near: u64,
        /// Times it tripped.
        tripped: u64,
        /// Zero.
        reserved: [u64; 6],
    }
);
body!(
    /// The size that entries may have changed, or what it depends on.
    SizeChange {
        /// Share of the policy's size, in percent.
        percent: u32,
        /// Share that losses in a row allow, in percent.
        losses_percent: u32,
        /// Share that the return from a halt allows, in percent; 0 where there is none.
        restart_percent: u32,
        /// Round trips without a loss since that step began.
        restart_trips: u32,
        /// Event time at which the step began.
        ts_restart: i64,
        /// Zero.
        reserved: [u64; 9],
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

impl Order {
    /// The id.
    pub const fn id(&self) -> ClientOrderId {
        ClientOrderId(self.client_id)
    }
}
