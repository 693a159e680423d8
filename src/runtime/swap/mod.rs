//! Which model decides, changed while the session runs, at a numbered place of the river.
//!
//! ```text
//!  admin socket ─┐            ┌ registry: read, verify ─ prove ─ attach to the journal
//!  registry.json ┼─► ModelDesk ─ model ───────────── ring ──────────► inference stage, its place
//!  guardrails ───┘  (a thread)└ ModelSwap ── feed ── lane 0 ── river ─► the place decides
//! ```
//! What cannot be is refused by the desk's thread before anything changes: what decided goes on,
//! and a `ModelSwap` of role 0 tells the journal, and so the alerts, what was refused.
//!
//! | file | holds |
//! |---|---|
//! | `terms` | what a model must be to decide in the session |
//! | `attached` | the models beside the journal, and how a replay finds them |
//! | `places` | which model lies at which place of the stage |
//! | `desk` | the thread: wishes, the registry's champion, guardrails |
//! | `work` | what it does with a wish |
//! | `back` | how it leaves a champion by itself |
//! | `guard` | what a trial costs |
//! | `times` | how fast a model answers |
//! | `ask` | wishes over the admin socket |
//! | `board` | what the page shows |

pub mod ask;
pub mod attached;
mod back;
pub mod board;
pub mod desk;
pub(in crate::runtime) mod guard;
mod places;
mod terms;
pub(in crate::runtime) mod times;
mod work;

pub use ask::ask_swap;
pub use desk::ModelDesk;
pub use terms::ModelTerms;

use crate::base::event::{Command, ModelSwap};
use crate::engine::{ModelIntake, ModelSigns, ModelSupply, Share, model_rings_of};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::sync::Arc;

/// Changes that wait for the feed at once.
const SWAPS_MAX: usize = 16;

/// A change on its way into the river.
#[derive(Clone, Copy, Debug)]
pub struct SwapOrder {
    /// Who asked and why, where somebody did.
    pub command: Option<Command>,
    /// What changes.
    pub swap: ModelSwap,
}

/// The ends that the desk holds.
pub struct DeskEnds {
    /// To the inference stage.
    pub supply: ModelSupply,
    /// To the feed.
    pub river: Sender<SwapOrder>,
    /// What the models do.
    pub signs: Arc<ModelSigns>,
}

/// The ends that the stages hold.
pub struct StageEnds {
    /// Inference takes models in here, each shard at its own.
    pub intakes: Vec<ModelIntake>,
    /// What they do, for the desk.
    pub signs: Arc<ModelSigns>,
    /// The feed takes changes in here.
    pub swaps: Receiver<SwapOrder>,
}

/// Both, for inference in these shares.
pub fn ends(shares: &[Share]) -> (DeskEnds, StageEnds) {
    let (supply, intakes) = model_rings_of(shares);
    let (river, swaps) = bounded(SWAPS_MAX);
    let signs = Arc::new(ModelSigns::of_shards(shares.len()));
    let desk = DeskEnds { supply, river, signs: Arc::clone(&signs) };
    (desk, StageEnds { intakes, signs, swaps })
}
