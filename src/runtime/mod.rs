//! The roof: topology, pinning, start, stop, the command line. No trading logic.
//!
//! | file | holds |
//! |---|---|
//! | `config` | configuration files to settings |
//! | `state` | the state folder: its lock, the order-id epoch |
//! | `admin` | the socket an operator commands a session by |
//! | `recover` | what earlier sessions left, carried into the next opening |
//! | `assemble` | stages from settings, instruments and a model |
//! | `own` | models that symbols have of their own |
//! | `topology` | which stage on which thread and core |
//! | `inlet` | the feed with the order venue beside it |
//! | `private` | the account's own stream, and the end of a session at the venue |
//! | `alerting` | alerts from settings and secrets |
//! | `access` | what a start at the venue needs: credentials, an empty account |
//! | `patience` | how long a start asks a venue that does not answer |
//! | `key_rights` | what the session's key may do, read back before it is used |
//! | `statement` | the venue's own account of a session against the journal's |
//! | `feed_thread`, `stage_thread` | the loops of the pinned threads |
//! | `outside` | what the feed's thread touches: clocks, sockets, the REST thread |
//! | `session` | start, run, stop of a live session |
//! | `rig`, `launch`, `running` | its machine: built, set going, taken apart |
//! | `beside` | what turns on the session's own thread |
//! | `kill` | one path and one procedure for whoever kills; what keeps it over restarts |
//! | `secret` | keys and tokens, from credentials or the environment |
//! | `notify` | what a service manager is told |
//! | `host` | how the host is tuned, from `/proc` and `/sys` |
//! | `standby` | a node of a group: stands by, takes over, trades behind its fence |
//! | `dead_man` | the venue's own timer, renewed while every pinned thread turns |
//! | `swap` | which model decides, changed while a session runs |
//! | `symbols` | which instruments are traded, changed while a session runs |
//! | `gates` | the rules of `gates.toml`, for whoever judges by them |
//! | `revert` | a session that judges its champion and leaves it by itself |
//! | `watcher` | the observer's loop: snapshots |
//! | `readiness` | what stands against trading |
//! | `shown` | what the page shows of books, orders, limits and the journal |
//! | `backtest`, `replay` | the same stages in event time |
//! | `shadow` | challengers beside the champion, over a session's journal |
//! | `scripted` | a synthetic market driven to where it seldom goes |
//! | `cli` | the commands |

pub mod admin;
pub mod assemble;
pub mod backtest;
pub mod beside;
pub mod cli;
pub mod clock;
mod closing;
pub mod config;
pub mod controls;
pub mod dead_man;
pub mod feed_thread;
pub mod gates;
pub mod heartbeat;
pub mod host;
pub mod access;
pub mod alerting;
pub mod inlet;
pub mod key_rights;
pub mod kill;
pub mod launch;
pub mod lines;
pub mod lock;
pub mod measures;
pub mod notify;
pub mod own;
pub mod outside;
pub mod patience;
pub mod private;
pub mod readiness;
pub mod recover;
pub mod replay;
pub mod revert;
pub mod rig;
pub mod scripted;
pub mod running;
pub mod secret;
pub mod session;
pub mod shadow;
pub mod shown;
pub mod stage;
pub mod stage_thread;
pub mod standby;
pub mod state;
pub mod statement;
mod stopped;
pub mod streams_seen;
pub mod swap;
pub mod symbols;
pub mod topology;
pub mod wait;
pub mod watcher;
