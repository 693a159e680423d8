//! What the market shows: frames of the venue's format, candles, and what is remembered of both.
//!
//! | file | holds |
//! |---|---|
//! | `frames` | the venue's JSON, field by field, and the queue of frames |
//! | `candle` | the forming 1-minute candle |
//! | `history` | past trades, candles, funding: what REST answers from |

pub mod candle;
pub mod frames;
pub mod history;
