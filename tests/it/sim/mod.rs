//! The whole of Peregrine against the whole of the simulated exchange in one thread, on a simulated
//! clock and network, driven by a seed. A seed that fails reproduces.
//!
//! ```text
//!   seed ─► Plan ─► World: exchange, lines, faults ◄─ports─► the feed's loop, four stages, journal
//!                     │ every request, every order              │ every record of every lane
//!                     └───────────────► Watch ◄─────────────────┘
//! ```
//! | file | holds |
//! |---|---|
//! | `plan` | what goes wrong in a seed, and when |
//! | `net` | exchange, lines and time |
//! | `books` | what the exchange's books and trades were |
//! | `loss` | what a loss of power takes |
//! | `outside` | the ports of a session over them |
//! | `account` | requests as they stand on the wire |
//! | `session` | a session over the ports |
//! | `parts` | what sessions and exchanges are made of |
//! | `run` | a seed from start to end |
//! | `watch`, `agree` | the promises, checked while it runs and when it has settled |
//! | `seeds` | the tests: seeds in ranges |
//! | `missed` | the tests: what was missed right before a crash |
//! | `lines` | the tests: renewals, storms and holes, each alone, to the last event |
//! | `rows` | the tests: rows of the catalogue of faults, each alone |
//! | `breakers` | the tests: each breaker in whole sessions |
//! | `exits` | the tests: each way out of a position, in every state that lets it pass |
//! | `symbols` | the tests: symbols added and dropped while a session trades |
//! | `watched` | the tests: what the watch of the venue sees, and what follows |
//! | `broken` | that each check finds what it is there for |

mod account;
mod agree;
pub mod books;
mod loss;
mod net;
mod outside;
mod parts;
mod plan;
mod run;
mod session;
mod watch;

mod breakers;
mod broken;
mod lines;
mod missed;
mod exits;
mod rows;
mod seeds;
mod symbols;
mod watched;
