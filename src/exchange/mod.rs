//! The simulated exchange: order flow and its server. Never needed by live trading.
//!
//! ```text
//!   climate ──► flow ──► ladder        one contract each: latent state, orders, book
//!      │          │         │
//!      └──────► market ◄────┘          event time, update ids, frames in the venue's format
//!                 │
//!               stream ─ server ─ rest    real sockets on loopback, paced by the clock
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `spec` | facts and starting point of one synthetic contract |
//! | `ladder` | limit order book of price levels in whole ticks and lots |
//! | `climate` | regimes, correlated shocks and pressure that drive all contracts |
//! | `contract` | one contract: latent value, clustered order flow, identities |
//! | `candle` | the forming 1-minute candle |
//! | `frames` | the venue's JSON, field by field, and the queue of frames |
//! | `market` | [`SyntheticMarket`]: everything above in event time |
//! | `route` | stream names and which connection route carries them |
//! | `stream` | the WebSocket side of the server |
//! | `rest` | the REST side of the server |
//! | `server` | [`ExchangeServer`]: starts, paces and stops both |

pub mod candle;
pub mod climate;
pub mod contract;
pub mod frames;
pub mod ladder;
pub mod market;
pub mod rest;
pub mod route;
pub mod server;
pub mod spec;
pub mod stream;

pub use market::{MarketFrame, SyntheticMarket};
pub use server::{ExchangeError, ExchangeServer, ServerSettings};
pub use spec::SymbolSpec;

#[cfg(test)]
mod tests;
