//! Labelled rows of a frozen data set, through the trader's own rooms.
//!
//! ```text
//!   data set ─► tape ─► feed ─► book ─► features ─► row: the first decision after a bar closed
//!                                 └────► candles ─► label: barriers or a horizon, with costs
//! ```
//! A row is what a session would decide on at that event: the same vector, bit for bit. Inside a
//! candle the tape only tells one of many ways the price may have gone, and even hints at the
//! close; so a row of candles is taken where a new one opens, from features of closed bars.
//!
//! | file | holds |
//! |---|---|
//! | `choose` | which features have a meaning on which data |
//! | `gather` | frames to rows |
//! | `market` | candles and settlements of a symbol |

mod choose;
mod gather;
mod market;
#[cfg(test)]
pub(crate) mod tests;

pub use choose::{CANDLE_FEATURES, choose};
pub use gather::{feature_settings, rows};
pub use market::{Bar, Market};

use crate::gbdt::Table;
use crate::learn::Ground;
use crate::validation::folds::Life;
use peregrine::base::Nanos;

/// Which rows are taken, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Length of a bar in milliseconds; 0 takes that of the data set's shortest candles.
    pub bar_ms: u32,
    /// A row every so many bars, at least 1.
    pub every_bars: u32,
    /// Names of features; empty takes those that have a meaning on the data.
    pub features: Vec<String>,
    /// First time taken.
    pub from: Option<Nanos>,
    /// First time no longer taken.
    pub to: Option<Nanos>,
}

/// What a label of a row means; see [`crate::validation::label`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelOf {
    /// Bars until a moment is over.
    pub horizon_bars: usize,
    /// Distance of the upper barrier in deviations of a bar; `None` for none.
    pub profit: Option<f64>,
    /// Distance of the lower one.
    pub loss: Option<f64>,
    /// A return up to this share is flat when the horizon is reached.
    pub flat: f64,
    /// Half-life of the deviation in bars.
    pub half_life_bars: f64,
    /// What a round trip costs, as a share of the price.
    pub cost: f64,
}

/// Rows of all symbols in the order of their times, then of the symbols.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Names of the features, in row order.
    pub names: Vec<String>,
    /// Length of a bar in milliseconds.
    pub bar_ms: i64,
    /// Candles and settlements by symbol.
    pub markets: Vec<Market>,
    /// Of each row when it was made and when its label was known, milliseconds.
    pub lives: Vec<Life>,
    /// Of each row its symbol, an index into `markets`.
    pub symbols: Vec<u16>,
    /// Of each row the newest closed bar, an index into its market's bars.
    pub bars: Vec<u32>,
    /// The rows with labels 0 down, 1 flat, 2 up; weights are uniqueness, 1 in the mean.
    pub table: Table,
    /// Of each row the return from its moment to what decided its label, before costs.
    pub changes: Vec<f64>,
    /// Moments at which no row could be taken, and the rows whose future is not known.
    pub left_out: u64,
    /// SHA-256 of the data set's manifest.
    pub data_hash: [u8; 32],
    /// From when on, milliseconds, the data set holds rows out.
    pub held_out_from_ms: Option<i64>,
}

impl Rows {
    /// What models are learned on.
    pub fn ground(&self) -> Ground<'_> {
        Ground { table: &self.table, lives: &self.lives, symbols: &self.symbols }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.lives.len()
    }

    /// True without any row.
    pub fn is_empty(&self) -> bool {
        self.lives.is_empty()
    }
}
