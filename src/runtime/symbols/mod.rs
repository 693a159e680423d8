//! Which instruments of the table are traded, changed while the session runs, at a numbered place
//! of the river.
//!
//! ```text
//!  admin socket ── symbols add, drop ──► SymbolOrder ──► feed ── SymbolChange in lane 0 ─► stages
//!                                                         │                                  │
//!  connections ◄── the streams of who is awake ───────────┤      risk: flat, nothing works ──┘
//!                                                         └◄──── by a word in the counters
//! ```
//! Every place of the table is laid out when the session starts: adding takes no memory, and a
//! replay needs nothing but lane 0. What is dropped falls asleep when risk has told that nothing of
//! it is left; who asked and why stands on that change, too, so that the next session knows.
//!
//! | file | holds |
//! |---|---|
//! | `roster` | who is awake, leaving or asleep, and what may follow |
//! | `turn` | the part of the feed's thread |
//! | `ask` | orders over the admin socket |

pub mod ask;
mod roster;
mod turn;

pub use ask::SymbolDesk;
pub use roster::{Roster, Wanted, may_follow};

use crate::base::InstrumentId;
use crate::base::event::SymbolChange;
use crossbeam::channel::{Receiver, Sender, bounded};

/// Orders that wait for the feed at once.
const ORDERS_MAX: usize = 16;

/// An order on its way into the river.
#[derive(Clone, Copy, Debug)]
pub struct SymbolOrder {
    /// Of whom.
    pub instrument: InstrumentId,
    /// What changes, who asked and why.
    pub change: SymbolChange,
}

/// The way orders go.
pub fn orders() -> (Sender<SymbolOrder>, Receiver<SymbolOrder>) {
    bounded(ORDERS_MAX)
}
