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
