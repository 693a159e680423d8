//! Connections, order entry, captures and the paper venue. No trading logic.
//!
//! | file | holds |
//! |---|---|
//! | `backoff` | waits between attempts: exponential with full jitter |
//! | `transport` | a TCP or TLS byte stream that never blocks |
//! | `stream` | one WebSocket connection, polled |
//! | `line` | a connection renewed without a gap: two ends, one stream of frames |
//! | `overlap` | two connections that deliver the same: once and in order |
//! | `ages` | when each stream last delivered |
//! | `pace` | how often market data is asked for over REST |
//! | `rounds` | who of many is asked about next |
//! | `socket` | an open WebSocket: limits, answers to pings, when it counts as broken |
//! | `pulse` | signs of life: pings, pongs, how many may leave |
//! | `resolver` | host names on a side thread, addresses tried in turn |
//! | `address` | hosts and ports out of URLs |
//! | `dialect` | what the dialects of venues differ in beside their frames |
//! | `coin_m` | one of them |
//! | `listing` | whether a listed contract is one that is traded |
//! | `job` | what is asked over REST, as requests, and what its answers say |
//! | `answers` | the bodies of those answers |
//! | `key_rights` | what a key may do, and what of it one that trades live must not |
//! | `rest` | REST requests on a side thread |
//! | `account` | signed requests of cold threads: wallet, open orders, the stream's key |
//! | `budget` | how much may still be asked, shared by orders and questions |
//! | `desk` | orders to the venue over signed requests, its answers as events |
//! | `capture` | recorded market data, merged by receive time |
//! | `dataset` | frozen history that a manifest lists, read back as frames |
//! | `paper` | orders filled on paper against the market as it is seen |
//! | `audit` | what a recording holds, counted and summed |

pub mod account;
pub mod address;
pub mod ages;
mod answers;
pub mod audit;
pub mod backoff;
pub mod budget;
pub mod capture;
#[cfg(feature = "coin-m")]
mod coin_m;
pub mod dataset;
pub mod desk;
pub mod dialect;
pub mod job;
pub mod key_rights;
pub mod line;
pub mod listing;
mod overlap;
pub mod pace;
pub mod paper;
pub mod ports;
pub mod pulse;
pub mod resolver;
pub mod rest;
pub mod rounds;
mod socket;
pub mod stream;
pub mod transport;
pub mod watch;
