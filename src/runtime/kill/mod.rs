//! Kill: one path for whoever gives it, one procedure, one latch.
//!
//! ```text
//!  admin socket, HTTP, Telegram ─┐
//!  SIGUSR1, kill file, dead man ─┼─► Command {verb, actor, origin, reason} ─► the river ─► KILLED
//!  breaker ──────────────────────┘          (a breaker is in the river already)      │ one word
//!                                                                                    ▼
//!   latch  file `killed` in the state folder, durable: the next start knows it too
//!   desk   no entry leaves any more, those that wait for a connection included
//!   watch  rounds: cancel per contract ─► cancel by number what is left ─► conditional entries
//!                  ─► what is open, what waits, what is held? ─► record KillRound
//!          an immediate kill also leaves every position (the risk stage wants it), then cancels
//!          the stops; until then they stay
//!          empty twice ─► the session ends, code 78     not in time ─► KillNotEmpty, KillStuck
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `rounds` | what is asked, what counts as empty, when help is called for: no clock, no socket |
//! | `watch` | the rounds beside the feed, at the venue or on paper |
//! | `latch` | the file that keeps a kill over restarts, and that of its being cleared |
//! | `switch` | signal, kill file, dead man; writes the latch |
//! | `clear` | a kill is lifted, once the venue is empty |

pub mod clear;
pub mod latch;
pub mod rounds;
pub mod switch;
pub mod watch;
