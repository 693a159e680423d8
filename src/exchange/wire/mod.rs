//! The protocol: requests in, answers and streams out, in the venue's words. No sockets here.
//!
//! | file | holds |
//! |---|---|
//! | `http` | a REST request and its answer |
//! | `params` | request parameters |
//! | `error` | refusals with the venue's numbers and words |
//! | `number` | numbers as the protocol spells them |
//! | `auth` | API keys, time windows, signatures |
//! | `limits` | weights, order counts, bans |
//! | `rest` | endpoints, who may use them, what they weigh |
//! | `private` | signed endpoints |
//! | `market_data` | market data endpoints |
//! | `route` | stream names and which connection route carries them |
//! | `streams` | subscriptions and derived streams |
//! | `keys` | keys of user streams |
//! | `user` | user stream events |
//! | `api` | the trading WebSocket API |

pub mod api;
pub mod auth;
pub mod error;
pub mod http;
pub mod keys;
pub mod limits;
pub mod number;
pub mod market_data;
pub mod params;
pub mod private;
pub mod rest;
pub mod route;
pub mod streams;
pub mod user;
