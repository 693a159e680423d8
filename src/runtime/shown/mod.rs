//! What the page shows of a session, worked out beside the watcher's loop from what the taps bring.
//! It decides nothing: the ledger, the gate and the breakers count for themselves.
//!
//! | file | holds |
//! |---|---|
//! | `books` | profit by instrument, drawdown, ratios, losses |
//! | `orders` | orders and fills as rows, and how many there were |
//! | `limits` | each limit with how much of it is used |
//! | `tail` | the journal's newest records |

mod books;
mod limits;
mod orders;
mod tail;

pub use books::Books;
pub use limits::limits;
pub use orders::Orders;
pub use tail::Tail;

#[cfg(test)]
mod tests;
