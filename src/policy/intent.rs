//! What the policy wants done; not yet allowed.

use crate::base::{
    Bound, ClientOrderId, InstrumentId, OrderType, Purpose, Px, Qty, Rate, Reason, Side,
    TimeInForce,
};

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
    /// What an entry was sized by, and how it is to be left; nothing for other orders.
    pub plan: Plan,
}

/// What an entry was decided with. It is recorded with the order, and the position keeps what
/// leaving it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Which bound was the least.
    pub bound: Bound,
    /// Average true range; 0 if not warm.
    pub atr_px: Px,
    /// Distance from the entry price at which the profit is taken; 0 for none.
    pub target_px: Px,
    /// Expected return before costs.
    pub edge: Rate,
    /// Expected costs, those of the exit included.
    pub costs: Rate,
}

/// Why an entry that the edge asked for is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// Instrument.
    pub instrument: InstrumentId,
    /// Side of the entry.
    pub side: Side,
    /// Worst price of the entry.
    pub px: Px,
    /// Why; one of 470 to 479.
    pub reason: Reason,
    /// What it came to, in the reason's unit: a rate or an amount of 1e-8.
    pub value: i64,
    /// The least it must be.
    pub limit: i64,
    /// It was told for this instrument within the last minute.
    pub again: bool,
}

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Nothing.
    None,
    /// Open a position.
    Enter(Wanted),
    /// Nothing, though the edge asks for an entry: it is not worth its costs, or its size is none.
    HoldBack(HeldBack),
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
