//! Incremental features, bars, the ordered schema and its hash. Never looks at positions, the
//! future or a clock.
//!
//! ```text
//!            trades ──► bars ──┬─► bar history ──► bar features (change once per bar)  ──┐
//!  events ──►         clock ───┤                                                        │
//!            open interest, ───┴─► samples at bar closes ─────────────────────────────► vector
//!            mark, funding                                                              │
//!            top of book, trades, liquidations ──► decayed sums ──► live features ──────┘
//! ```
//!
//! Two kinds of features:
//! * **bar features** rest on closed bars only and change once per bar;
//! * **live features** rest on the newest event and on the time asked for.
//!
//! Two times: bars are cut by the venue's trade time; everything else (decay, age, time of day)
//! uses the time of receipt, which is the only "now" there is.
//!
//! | file | holds |
//! |---|---|
//! | `schema` | the ordered table of features, its hash |
//! | `vector` | one computed vector, and the part of it a model takes |
//! | `engine` | events in, vector out, for one instrument |
//! | `bars` | the bar clock and the forming bar |
//! | `history` | closed bars and the features computed from them |
//! | `slow` | open interest, mark price, funding |
//! | `top` | the best five levels: spread, imbalance, order flow, volatility |
//! | `flow` | trades and liquidations as they come |
//! | `window` | fixed ring windows over bars |
//! | `math` | decay, logarithm, sine: the same bits on every machine |

mod bars;
mod engine;
mod flow;
mod history;
mod math;
mod schema;
mod slow;
#[cfg(test)]
mod tests;
mod top;
mod vector;
mod window;

pub use engine::{FeatureEngine, FeatureUpdate};
pub use schema::{
    FEATURE_COUNT, Feature, FeatureSpec, Input, Inputs, SCHEMA, SCHEMA_VERSION, WarmUp, index_of,
    schema_hash,
};
pub use top::{TOP_LEVELS, TopOfBook};
pub use vector::{FeatureVector, Selection, UnknownFeature};
