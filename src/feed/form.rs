//! In which form a venue's frames come, as far as its dialects differ.

use crate::base::settings::Dialect;

/// The form of one dialect's frames. The readers are compiled once for each, so that what one of
/// them needs costs the others nothing; [`super::Feed`] chooses between them once a frame.
pub(super) trait Form {
    /// Best bid and offer name the pair (`ps`) right behind the symbol.
    const PAIR_BEHIND_SYMBOL: bool;
    /// Candles tell volume and turnover in the units of [`crate::base::event::Kline`].
    const CANDLES: bool;
}

/// Contracts settled in USDT or USDC.
pub(super) struct UsdM;

impl Form for UsdM {
    const PAIR_BEHIND_SYMBOL: bool = false;
    const CANDLES: bool = Dialect::UsdM.has_candles();
}
