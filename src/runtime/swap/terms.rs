//! What a model must be to decide in a session, and how it is made ready for it.

use crate::base::settings::ModelSettings;
use crate::engine::Mounted;
use crate::features::{SCHEMA, Selection, WarmUp, index_of, schema_hash};
use crate::model::{ArtifactFiles, LoadPolicy, Model};
use crate::runtime::assemble::Budget;
use anyhow::{Context, Result, bail};

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct ModelTerms {
    /// The registry, and what the configuration allows.
    pub model: ModelSettings,
    /// Length of the session's bars, milliseconds.
    pub bar_interval_ms: u32,
    /// Instruments of the session.
    pub instruments: usize,
}

impl ModelTerms {
    /// Loads a model: verified, compiled, checked against its golden vectors.
    ///
    /// # Errors
    /// When the model is refused, a feature it wants is not in the schema, or it rests on bars of
    /// another length.
    pub fn load(&self, files: &ArtifactFiles, budget: Budget) -> Result<(Model, Selection)> {
        let configured = LoadPolicy::of(&self.model);
        let policy = match budget {
            Budget::Configured => configured,
            Budget::None => configured.at_any_speed(),
        };
        let named = || format!("model {}", files.card.version);
        let model = Model::load(files, schema_hash(), policy).with_context(named)?;
        let selection = Selection::new(model.feature_names()).with_context(named)?;
        self.check_bars(files)?;
        Ok((model, selection))
    }

    /// The same, as the inference stage takes it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn mount(&self, files: &ArtifactFiles, budget: Budget) -> Result<Box<Mounted>> {
        let (model, selection) = self.load(files, budget)?;
        Ok(Box::new(Mounted::new(model, selection, self.instruments)))
    }

    /// Refuses a model whose features rest on bars of another length.
    fn check_bars(&self, files: &ArtifactFiles) -> Result<()> {
        let on_bars = |name: &&String| {
            index_of(name).is_some_and(|i| matches!(SCHEMA[i].warm_up, WarmUp::Bars(_)))
        };
        let Some(feature) = files.card.features.iter().find(on_bars) else { return Ok(()) };
        let (card, running) = (files.card.bar_interval_ms, self.bar_interval_ms);
        if card != Some(running) {
            bail!(
                "model {}: {feature} rests on bars; the card says bar_interval_ms {}, the \
                 configuration {running}",
                files.card.version,
                card.map_or("nothing".to_owned(), |ms| ms.to_string())
            );
        }
        Ok(())
    }
}
