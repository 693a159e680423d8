//! Refusals of orders that `wire::error` has no name for.

use crate::exchange::wire::error::VenueError;

pub(super) const BAD_TYPE: VenueError = VenueError::new(-1116, "Invalid orderType.");
pub(super) const BAD_SIDE: VenueError = VenueError::new(-1117, "Invalid side.");
pub(super) const PRECISION: VenueError =
    VenueError::new(-1111, "Precision is over the maximum defined for this asset.");
pub(super) const MAX_ORDERS: VenueError = VenueError::new(-2025, "Reach max open order limit.");
pub(super) const REDUCE_ONLY_CONFLICT: VenueError = VenueError::new(
    -2022,
    "This indicates the new reduce-only order conflicts with existing open orders; cancel the \
     existing order and resubmit the reduce-only order.",
);
pub(super) const MAX_POSITION: VenueError =
    VenueError::new(-2027, "Exceeded the maximum allowable position at current leverage.");
pub(super) const PX_NEGATIVE: VenueError = VenueError::new(-4001, "Price less than 0.");
pub(super) const PX_LARGE: VenueError = VenueError::new(-4002, "Price greater than max price.");
pub(super) const QTY_NEGATIVE: VenueError = VenueError::new(-4003, "Quantity less than zero.");
pub(super) const QTY_SMALL: VenueError = VenueError::new(-4004, "Quantity less than min quantity.");
pub(super) const QTY_LARGE: VenueError =
    VenueError::new(-4005, "Quantity greater than max quantity.");
pub(super) const PX_SMALL: VenueError = VenueError::new(-4013, "Price less than min price.");
pub(super) const PX_STEP: VenueError = VenueError::new(-4014, "Price not increased by tick size.");
pub(super) const CLIENT_ID: VenueError = VenueError::new(-4015, "Client order id is not valid.");
pub(super) const CLIENT_ID_LONG: VenueError =
    VenueError::new(-4015, "Client order id length should not be more than 36 chars");
pub(super) const PX_CAP: VenueError =
    VenueError::new(-4016, "Price is higher than mark price multiplier cap.");
pub(super) const QTY_STEP: VenueError = VenueError::new(-4023, "Qty not increased by step size.");
pub(super) const PX_FLOOR: VenueError =
    VenueError::new(-4024, "Price is lower than mark price multiplier floor.");
pub(super) const POSITION_SIDE: VenueError =
    VenueError::new(-4061, "Order's position side does not match user's setting.");
pub(super) const REDUCE_ONLY_HEDGE: VenueError =
    VenueError::new(-4062, "Invalid or improper reduceOnly value.");
pub(super) const MARKET_PX: VenueError = VenueError::new(
    -4131,
    "The counterparty's best price does not meet the PERCENT_PRICE filter limit",
);
pub(super) const CLOSED: VenueError = VenueError::new(-4141, "Symbol is closed");
pub(super) const MODIFY_CLOSED: VenueError =
    VenueError::new(-5024, "Symbol is not in trading status. Order amendment is not permitted.");
pub(super) const MODIFY_KIND: VenueError = VenueError::new(-5025, "Only limit order is supported.");
pub(super) const MODIFY_MAX: VenueError =
    VenueError::new(-5026, "Exceed maximum modify order limit.");
pub(super) const MODIFY_SAME: VenueError = VenueError::new(-5027, "No need to modify the order.");
pub(super) const PRICE_MATCH_KIND: VenueError =
    VenueError::new(-5038, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT");
pub(super) const GOOD_TILL: VenueError = VenueError::new(
    -5040,
    "The goodTillDate timestamp must be greater than the current time plus 600 seconds and \
     smaller than 253402300799000 (UTC 9999-12-31 23:59:59)",
);
pub(super) const NO_DEPTH: VenueError = VenueError::new(-5041, "No depth matches this BBO order");

/// A parameter that must be there.
pub(super) fn missing(name: &str) -> VenueError {
    let text = format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.");
    VenueError::with(-1102, text)
}

/// A parameter that must not be there.
pub(super) fn not_required(name: &str) -> VenueError {
    VenueError::with(-1106, format!("Parameter '{name}' sent when not required."))
}

/// A parameter of a value that is not possible.
pub(super) fn invalid(name: &str) -> VenueError {
    VenueError::with(-1130, format!("Data sent for parameter '{name}' is not valid."))
}

// Modes, leverage, isolated margin.
pub(super) const LEVERAGE_MARGIN: VenueError =
    VenueError::new(-2028, "Leverage is smaller than permitted: insufficient margin balance.");
pub(super) const SAME_MARGIN_TYPE: VenueError =
    VenueError::new(-4046, "No need to change margin type.");
pub(super) const MARGIN_TYPE_ORDERS: VenueError =
    VenueError::new(-4047, "Margin type cannot be changed if there exists open orders.");
pub(super) const MARGIN_TYPE_POSITION: VenueError =
    VenueError::new(-4048, "Margin type cannot be changed if there exists position.");
pub(super) const MOVE_CROSS: VenueError =
    VenueError::new(-4049, "Add margin only support for isolated position.");
pub(super) const CROSS_SHORT: VenueError = VenueError::new(-4050, "Cross balance insufficient.");
pub(super) const ISOLATED_SHORT: VenueError =
    VenueError::new(-4051, "Isolated balance insufficient.");
pub(super) const MOVE_NO_POSITION: VenueError =
    VenueError::new(-4054, "Cannot add position margin: position is 0.");
pub(super) const AMOUNT: VenueError = VenueError::new(-4055, "Amount must be positive.");
pub(super) const SAME_HEDGE: VenueError =
    VenueError::new(-4059, "No need to change position side.");
pub(super) const HEDGE_ORDERS: VenueError =
    VenueError::new(-4067, "Position side cannot be changed if there exists open orders.");
pub(super) const HEDGE_POSITION: VenueError =
    VenueError::new(-4068, "Position side cannot be changed if there exists position.");
pub(super) const LEVERAGE_ISOLATED: VenueError = VenueError::new(
    -4161,
    "Leverage reduction is not supported in Isolated Margin Mode with open positions",
);
pub(super) const ASSETS_ISOLATED: VenueError = VenueError::new(
    -4167,
    "Unable to adjust to Multi-Assets mode with symbols of USDⓈ-M Futures under \
     isolated-margin mode.",
);
pub(super) const ISOLATED_ASSETS: VenueError =
    VenueError::new(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.");
pub(super) const ASSETS_ORDERS: VenueError = VenueError::new(
    -4170,
    "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures.",
);
pub(super) const SAME_ASSETS: VenueError = VenueError::new(
    -4171,
    "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.",
);

// Conditional orders.
pub(super) const MAX_ALGOS: VenueError = VenueError::new(-4045, "Reach max stop order limit.");
pub(super) const CLOSE_QTY: VenueError =
    VenueError::new(-4137, "Quantity must be zero with closePosition equals true");
pub(super) const CLOSE_REDUCE_ONLY: VenueError =
    VenueError::new(-4138, "Reduce only must be true with closePosition equals true");
pub(super) const STOP_PX_CAP: VenueError =
    VenueError::new(-4183, "Price is higher than stop price multiplier cap.");
pub(super) const STOP_PX_FLOOR: VenueError =
    VenueError::new(-4184, "Price is lower than stop price multiplier floor.");
