//! Bodies of venue reports (kinds 48 to 63).

use super::{BODY_BYTES, Body};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

body!(
    /// What the venue says of one of our orders. `SELL`, `REDUCE_ONLY`, `MAKER` apply.
    OrderReport {
        /// Our [`crate::base::ClientOrderId`].
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
    /// Funding paid (below zero) or received on our position. With the flag `SNAPSHOT` the venue's
    /// list told it, otherwise the stream: one payment may come from either, and is booked once.
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
    /// A position as the venue tells it. With the flag `LAST` two reads have told the same and the
    /// ledger must agree.
    VenuePosition {
        /// Signed position, 1e-8.
        qty: i64,
        /// Entry price, 1e-8; 0 when flat.
        entry_px: i64,
        /// Number of the reconciliation, counted from 1.
        round: u64,
        /// Number from which on the venue's trades are still to be asked for; 0 where its list was
        /// not read.
        trades_from: u64,
        /// Zero.
        reserved: [u64; 8],
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
    /// The account as the venue tells it, in the quote currency. Belongs to no instrument.
    AccountStatus {
        /// What the wallet holds, 1e-8.
        wallet: i64,
        /// Equity: wallet and unrealised profit of every position, 1e-8.
        equity: i64,
        /// Unrealised profit, 1e-8.
        unrealised: i64,
        /// Margin that positions and open orders take, 1e-8.
        initial_margin: i64,
        /// Equity below which the venue liquidates, 1e-8.
        maintenance_margin: i64,
        /// What new orders may take as margin, 1e-8.
        available: i64,
        /// When it was asked for; what happened since may not be in it.
        ts_asked: i64,
        /// Zero.
        reserved: [u64; 5],
    }
);
body!(
    /// A position's margin as the venue tells it, and its liquidation price by the venue and by
    /// our own arithmetic.
    MarginStatus {
        /// Signed position, 1e-8.
        qty: i64,
        /// Entry price, 1e-8; 0 when flat.
        entry_px: i64,
        /// Mark price the venue valued it at, 1e-8.
        mark_px: i64,
        /// Mark price at which the venue liquidates, as it says, 1e-8; 0 for none.
        liquidation_px: i64,
        /// The same from the leverage brackets, 1e-8; 0 for none, below zero where it is not known.
        computed_px: i64,
        /// Margin the position takes, 1e-8.
        initial_margin: i64,
        /// Margin below which it is liquidated, 1e-8.
        maintenance_margin: i64,
        /// Leverage set for the symbol; 0 where it is not told.
        leverage: u32,
        /// 1 with a margin of its own, 0 where the account's whole equity stands behind it.
        isolated: u32,
        /// Zero.
        reserved: [u64; 4],
    }
);
body!(
    /// A contract's state and filters as the venue tells them.
    ContractStatus {
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
        /// Hash of the whole set of filters, those that are not read among them.
        filters_hash: u64,
        /// When it is delivered, and ends; 0 where it is not told.
        ts_delivery: i64,
        /// The venue's word for its state, padded with zeros; empty where it is not listed.
        state: [u8; 24],
        /// 1 while it trades, and is of the sort that is traded.
        trading: u32,
        /// Zero.
        pad: u32,
        /// Zero.
        reserved: [u64; 1],
    }
);
