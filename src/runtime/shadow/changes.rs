//! The models that a session changes to, for the champion's place: read from where the session put
//! them beside its journal, and decided with from the same input on.

use super::seat::Identity;
use crate::base::event::{Event, ModelLoaded, ModelSwap};
use crate::engine::{InferenceStage, model_rings};
use crate::runtime::assemble::Parts;
use crate::runtime::swap::attached::AttachedModels;
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;

/// See the head of this file.
pub struct Changes {
    models: AttachedModels,
    /// Those that have decided.
    known: Vec<Identity>,
}

impl Changes {
    /// Lets the models of `journal` into `stages`, which begin with the one of `parts`.
    pub fn new(journal: &Path, parts: &Parts, stages: &mut InferenceStage) -> Result<Self> {
        let (supply, intake) = model_rings();
        stages.let_models_in(intake, Arc::default());
        let first = Identity::of(&parts.files)?;
        let loaded = ModelLoaded { sha256: first.model, ..ModelLoaded::default() };
        let models = AttachedModels::new(journal, parts.terms(), supply, (&loaded, first.card));
        Ok(Self { models, known: vec![first] })
    }

    /// Has the model that `event` (a `ModelSwap` of the champion) names at its place; which it is.
    ///
    /// # Errors
    /// Names the attachment that is missing, changed or refused.
    pub fn provide(&mut self, event: &Event) -> Result<Identity> {
        let read = self.models.provide(event)?;
        let swap: &ModelSwap = event.body();
        let is = |known: &&Identity| known.model == swap.sha256 && known.card == swap.card;
        if let Some(known) = self.known.iter().find(is) {
            return Ok(known.clone());
        }
        // What lay at its place before was read for an earlier change, and is known.
        let files = read.with_context(|| format!("input {}: no files of its model", event.seq))?;
        let identity = Identity::of(&files)?;
        self.known.push(identity.clone());
        Ok(identity)
    }
}
