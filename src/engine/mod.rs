//! The four stage steps and how they hand on. No I/O, no clock, no threads.
//!
//! ```text
//!  FeedStage ──Next──► InferenceStage ──Next──► RiskStage ──Next──► ExecutionStage ──Outlet──►
//!   lane 0                lane 1                  lane 2               lane 3          orders
//! ```
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
//! | `models` | the models it holds, and which one decides |
//! | `rows` | rows of features worked out again, beside the stage |
//! | `risk_stage` | ledger, policy, gate |
//! | `execution_stage` | intent, bytes, order states |

mod execution_stage;
mod feed_stage;
mod inference_stage;
mod link;
mod models;
mod outbox;
mod probe;
mod risk_stage;
mod rows;

pub use execution_stage::{ExecutionStage, Outlet, ToExecution};
pub use feed_stage::{FeedStage, With};
pub use inference_stage::{InferenceSettings, InferenceStage, row_hash};
pub use link::{Accept, Crossing, Halt, Next, drain};
pub use models::{
    ModelIntake, ModelSigns, ModelSupply, Mounted, OWN_PLACES, OwnPlaces, SLOTS, SlotSeen,
    SwapRole, model_rings,
};
pub use outbox::Outbox;
pub use probe::{NoProbe, Probe};
pub use risk_stage::RiskStage;
pub use rows::Rows;
