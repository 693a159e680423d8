//! Peregrine: a low-latency trading system for perpetual futures.
//!
//! ```text
//!  market sockets ─┐   ┌────────┐ ring ┌───────────┐ ring ┌────────┐ ring ┌───────────┐
//!  order acks    ──┼──►│  feed  ├─────►│ inference ├─────►│  risk  ├─────►│ execution ├──► orders
//!  commands      ──┤   │ decode │      │ book      │      │ ledger │      │ order FSM │
//!  timers        ──┘   │ stamp  │      │ features  │      │ policy │      │ sign      │
//!        ▲             │ order  │      │ model     │      │ gate   │      │ send      │
//!        │             └───┬────┘      └─────┬─────┘      └───┬────┘      └─────┬─────┘
//!        │              lane 0            lane 1           lane 2            lane 3
//!        └───────────────────── execution reports come back in through the feed ──┘
//! ```
//!
//! The one rule of the layout: **a room may import only rooms above it in this list.**
//! `tests/it/layers.rs` enforces it.

pub mod base;
pub mod journal;
pub mod feed;
pub mod book;
pub mod features;
pub mod model;
pub mod ledger;
pub mod policy;
pub mod risk;
pub mod execution;
pub mod engine;
pub mod venue;
pub mod standby;
pub mod exchange;
pub mod registry;
pub mod promotion;
pub mod observe;
pub mod runtime;
