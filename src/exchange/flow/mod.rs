//! What drives the market: latent values, the crowd's orders, event time.
//!
//! | file | holds |
//! |---|---|
//! | `climate` | regimes, correlated shocks and pressure that drive all contracts |
//! | `contract` | one contract: latent value, clustered order flow, identities |
//! | `gap` | the price jumps |
//! | `market` | [`market::SyntheticMarket`]: all contracts in event time |
//! | `trading` | orders take, trades are printed |
//! | `recording` | recorded market data as acts in order of time |
//! | `replay` | a recording drives the market |
//! | `memory` | contracts that remember |
//! | `client` | what named orders do in that market |

pub mod client;
pub mod climate;
pub mod contract;
mod gap;
pub mod market;
mod memory;
pub mod recording;
pub mod replay;
pub mod trading;

#[cfg(test)]
mod tests;
