//! The words everything else is said in. No I/O, no threads, no clock reads.
//!
//! | file | holds |
//! |---|---|
//! | `units` | prices, quantities, money and rates as fixed-point integers |
//! | `hop` | the measured stretches of the river |
//! | `ids` | instruments, client order ids, sequence numbers |
//! | `time` | nanosecond timestamps |
//! | `event` | the one 128-byte record that crosses every ring and fills every lane |
//! | `order` | order type, time in force and purpose as types |
//! | `reason` | every numbered reason for refusing, dropping or halting |
//! | `control` | breakers, their levels, what is measured for them |
//! | `limits` | every compile-time cap, with its arithmetic |
//! | `split` | who decides where a champion and a canary share the trading |
//! | `symbol_state` | whether an instrument is traded, being left, or asleep |
//! | `counters` | every counter, in one table |
//! | `fence` | until when a leader's requests may leave |
//! | `ring` | rings and queues whose memory is there from the start |
//! | `settings` | configuration text to validated settings |

pub mod control;
pub mod counters;
pub mod event;
pub mod fence;
pub mod hop;
pub mod ids;
pub mod limits;
pub mod order;
pub mod reason;
pub mod ring;
pub mod settings;
pub mod split;
pub mod symbol_state;
pub mod time;
pub mod units;

pub use control::{Control, Level, Measure};
pub use event::{Event, Kind};
pub use ids::{ClientOrderId, InstrumentId, Seq, Side, Symbol};
pub use order::{Bound, OrderType, Purpose, TimeInForce};
pub use reason::Reason;
pub use symbol_state::SymbolState;
pub use time::Nanos;
pub use units::{Money, Px, Qty, Rate};
