//! The four stage steps and how they hand on. No I/O, no clock, no threads.
//!
//! ```text
//!  FeedStage ──Next──► InferenceStage ──Next──► RiskStage ──Next──► ExecutionStage ──Outlet──►
//!   lane 0                lane 1                  lane 2               lane 3          orders
//! ```
//! Inference may run on several threads, by symbol: a fan before it and a merger behind it keep
//! the river in its order (`shard`, `merge`), and risk stays one.
//!
//! Each stage is one function over (state, message): it appends what it produces to its own lane
//! and hands on. `Next` is a call on the same thread or a ring to another; a topology decides
//! which. Backtest, paper, replay and live call exactly these stages.
//!
//! | file | holds |
//! |---|---|
//! | `link` | how one stage hands on to the next |
//! | `probe` | how a step is timed without a clock |
//! | `outbox` | where a step puts what it produces |
//! | `feed_stage` | decode, number, record: the only entrance |
//! | `inference_stage` | book, features, model |
//! | `inference`, `market` | what it does with an input, what it knows of an instrument |
//! | `share` | which instruments a thread has |
//! | `shard` | inference on several threads, and the feed's way there |
//! | `merge` | their answers in the order of the river, before risk |
//! | `models` | the models it holds, and which one decides |
//! | `rows` | rows of features worked out again, beside the stage |
//! | `risk_stage` | ledger, policy, gate |
//! | `execution_stage` | intent, bytes, order states |

mod execution_stage;
mod feed_stage;
mod inference;
mod inference_stage;
mod link;
mod market;
mod merge;
mod models;
mod outbox;
mod probe;
mod risk_stage;
mod rows;
mod shard;
mod share;

pub use execution_stage::{ExecutionStage, Outlet, ToExecution};
pub use feed_stage::{FeedStage, With};
pub use inference::{InferenceSettings, row_hash};
pub use inference_stage::InferenceStage;
pub use link::{Accept, Crossing, Halt, Next, Spread, drain};
pub use merge::Merger;
pub use models::{
    ModelIntake, ModelSigns, ModelSupply, Mounted, OWN_PLACES, OwnPlaces, SLOTS, SlotSeen,
    SwapRole, model_rings, model_rings_of,
};
pub use outbox::Outbox;
pub use probe::{NoProbe, Probe};
pub use risk_stage::RiskStage;
pub use rows::Rows;
pub use shard::{Fan, FromShard, InferenceShard, ShardRing, Way};
pub use share::Share;
