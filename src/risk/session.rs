//! Whose orders the gate approves, and what it counts.

use crate::base::settings::Mode;

/// Who the session is: what goes into every order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSession {
    /// Order-id epoch of this start, below 2^20.
    pub epoch: u32,
    /// Strategy number, below 64.
    pub strategy: u8,
    /// Model number, below 64.
    pub model: u8,
    /// Paper may do without a venue's mark price; testnet and live may not.
    pub mode: Mode,
}

/// A session that cannot issue order ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The epoch does not fit an order id.
    #[error("order-id epoch {0} is not below 2^20")]
    Epoch(u32),
    /// The strategy or model number does not fit an order id.
    #[error("strategy {strategy} or model {model} is not below 64")]
    Number {
        /// Strategy number.
        strategy: u8,
        /// Model number.
        model: u8,
    },
}

/// How often a check was made and how often it tripped (RC-43: a control that is never evaluated is
/// dead).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckCount {
    /// Times made.
    pub evaluated: u64,
    /// Times passed beyond four fifths of the limit.
    pub near: u64,
    /// Times not passed.
    pub tripped: u64,
}
