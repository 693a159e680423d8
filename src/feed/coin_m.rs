//! COIN-M: contracts over a fixed amount of dollars, settled in their coin.
//!
//! | payload | beside USD-M's |
//! |---|---|
//! | best bid and offer, depth, liquidations | `ps`, the pair, behind the symbol |
//! | snapshots, open interest, premium index | `symbol` and `pair` among the members |
//! | mark price | the rate is an empty text for dated contracts |
//! | candles | volume in contracts, turnover in the coin: no events are made of them |
//!
//! Quantities are numbers of contracts, as the venue writes them: turning them into an amount of
//! the coin would divide by the price and could not be exact. Ids, sequence rule and snapshots are
//! those of USD-M, so books are synchronised by the same machine.

use super::form::Form;
use crate::base::settings::Dialect;

/// Contracts settled in their coin.
pub(super) struct CoinM;

impl Form for CoinM {
    const PAIR_BEHIND_SYMBOL: bool = true;
    const CANDLES: bool = Dialect::CoinM.has_candles();
}
