//! What the policy wants done; not yet allowed.

use crate::base::{ClientOrderId, InstrumentId, OrderType, Purpose, Px, Qty, Side, TimeInForce};

/// An order that is wanted. Exits are always reduce-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Instrument.
    pub instrument: InstrumentId,
    /// Side.
    pub side: Side,
    /// Quantity, a multiple of the lot.
    pub qty: Qty,
    /// Limit price, a multiple of the tick; 0 for a market order.
    pub px: Px,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Why it is wanted.
    pub purpose: Purpose,
    /// Opposite touch at the decision.
    pub reference_px: Px,
    /// First eight bytes of the deciding model's SHA-256; 0 where no model decided.
    pub model_tag: u64,
}

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Nothing.
    None,
    /// Open a position.
    Enter(Wanted),
    /// Close the position.
    Exit(Wanted),
    /// Have a stop wait at the venue for the position.
    Protect(Wanted),
    /// Take a resting entry or a stop back.
    Cancel {
        /// Whose order.
        instrument: InstrumentId,
        /// Which order.
        id: ClientOrderId,
    },
}
