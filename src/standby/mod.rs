//! Who of a group of nodes trades an account. One leads, the others stand by; etcd holds who.
//!
//! ```text
//!              ┌────────────── lease lost, key gone, deadline passed ──────────────┐
//!              ▼                                                                   │
//!   standing by ──nobody leads──► claiming ──won──► waiting out ──time──► leading ─┤
//!     │    ▲                         │ lost the race     │                         │
//!     │    └─────────────────────────┴───────────────────┴──── etcd answers ◄── fenced
//!     └ refused: another binary, configuration or model than the group agreed on;
//!       unsteady: lost the lease more than three times within ten minutes
//! ```
//! What keeps two nodes from sending at the same time is no word of etcd: a lease is known by the
//! time it was asked for, and ends by the node's own clocks ([`crate::base::fence::Fence`]), before
//! etcd lets anybody else lead; who leads next waits for the lease's length once more, for what the
//! venue may still accept, and for the clocks.
//!
//! | file | holds |
//! |---|---|
//! | `machine` | the states above: without a clock and without sockets |
//! | `etcd` | questions to etcd as JSON, and its answers |
//! | `line` | carries them over HTTP |
//! | `shared` | the risk state that a successor takes over |

pub mod etcd;
pub mod line;
pub mod machine;
pub mod shared;

pub use etcd::{Ask, Group, Reply, View};
pub use line::EtcdLine;
pub use machine::{Machine, MachineSettings, Role};
pub use shared::SharedRisk;
