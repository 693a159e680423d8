//! Connections, captures and the paper venue. No trading logic.
//!
//! | file | holds |
//! |---|---|
//! | `backoff` | waits between attempts: exponential with full jitter |
//! | `transport` | a TCP or TLS byte stream that never blocks |
//! | `stream` | one WebSocket connection, polled |
//! | `rest` | REST requests on a side thread: snapshots, open interest, contract facts |
//! | `capture` | recorded market data, merged by receive time |
//! | `paper` | orders filled on paper against the market as it is seen |
//! | `audit` | what a recording holds, counted and summed |

pub mod audit;
pub mod backoff;
pub mod capture;
pub mod paper;
pub mod rest;
pub mod stream;
pub mod transport;
