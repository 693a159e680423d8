//! The simulated exchange: order flow, matching, accounts, the venue's protocol and its server.
//! Never needed by live trading.
//!
//! ```text
//!   flow ──► matching ◄── account        latent values and the crowd's orders; books; clients
//!     │          │           │
//!     └──► tape ◄┘           │           frames in the venue's format, what is remembered of them
//!            │               │
//!          venue ◄───────────┘           the whole exchange without sockets and without a clock
//!            │
//!          wire                          REST, streams, user events, the trading WebSocket API
//!            │
//!          server ◄── fault              real sockets on loopback, and what can go wrong on them
//! ```
//!
//! | part | holds |
//! |---|---|
//! | `spec` | facts and starting point of one contract |
//! | `flow` | what drives the market |
//! | `matching` | price-time priority |
//! | `tape` | frames, candles, history |
//! | `account` | orders, positions, margin, the ledger |
//! | `wire` | the protocol |
//! | `venue` | [`Exchange`]: all of the above in event time |
//! | `fault` | faults on demand |
//! | `server` | [`ExchangeServer`]: starts, paces and stops it on sockets |

pub mod account;
pub mod fault;
pub mod flow;
pub mod matching;
pub mod server;
pub mod spec;
pub mod tape;
pub mod venue;
pub mod wire;

pub use flow::market::{MarketFrame, SyntheticMarket};
pub use server::{ClockMode, ExchangeError, ExchangeServer, Limits, ServerSettings};
pub use spec::SymbolSpec;
pub use venue::{Exchange, ExchangeSettings};

#[cfg(test)]
mod tests;
