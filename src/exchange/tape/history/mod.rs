//! What one contract remembers: past trades, their aggregates, candles, funding, open interest.

pub mod interval;

use super::frames::{Mark, Print};
use crate::base::Nanos;

/// The memory of one contract, bounded.
#[derive(Clone, Debug, Default)]
pub struct History {}

impl History {
    /// A trade took place.
    pub fn on_trade(&mut self, _ts: Nanos, _id: i64, _print: Print) {}

    /// Trades of one taker order at one price; `ids` are the first and last trade.
    pub fn on_aggregate(&mut self, _ts: Nanos, _id: i64, _ids: (i64, i64), _print: Print) {}

    /// Once a second: the mark price message's numbers and the open interest in lots.
    pub fn on_second(&mut self, _ts: Nanos, _mark: &Mark, _open_interest: i64) {}
}
