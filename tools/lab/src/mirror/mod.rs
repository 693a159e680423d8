//! What the registry and the lab's files say, shown on an MLflow server. The server is a mirror:
//! nothing is read from it but what it shows, and nothing else waits for it.
//!
//! ```text
//!  registry.json ─┐                       outbox, on disk
//!  reports ───────┼─► gather ─► runs ────► waiting ─► send ─► MLflow over HTTP
//!  studies ───────┘     └─► versions, tags, aliases ────┘
//! ```
//! | file | holds |
//! |---|---|
//! | `settings` | `config/mirror.toml` |
//! | `gather` | what is to be seen |
//! | `item` | a run as it is to be seen |
//! | `outbox` | what waits, on disk |
//! | `client`, `api` | requests, and the server's calls |
//! | `send` | the difference between both, made |
//! | `watch` | round after round, with growing waits |

pub mod api;
pub mod client;
pub mod gather;
pub mod item;
pub mod outbox;
pub mod send;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod watch;
