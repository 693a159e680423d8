//! The models of a session beside its journal: each one's files are attached before the event that
//! names them, by what they are, so that a replay finds them.
//!
//! ```text
//!  model-<first eight bytes of its SHA-256>-<of its card's>.onnx, .toml
//! ```

use super::terms::ModelTerms;
use crate::base::event::{Event, ModelLoaded, ModelSwap};
use crate::engine::{ModelSupply, SLOTS, SwapRole};
use crate::journal::{Attacher, JournalError, read_attachment};
use crate::model::ArtifactFiles;
use crate::model::artifact::{hex, tag_of};
use crate::runtime::assemble::Budget;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// What a model's files are called beside a journal.
fn names(tag: u64, card: u64) -> (String, String) {
    let stem = format!("model-{tag:016x}-{card:016x}");
    (format!("{stem}.onnx"), format!("{stem}.toml"))
}

/// Puts a model's files beside the journal.
///
/// # Errors
/// When they cannot be written, or the journal has as many attachments as it may.
pub fn attach(journal: &Attacher, files: &ArtifactFiles) -> Result<(), JournalError> {
    let (onnx, card) = names(files.tag(), files.card_tag());
    journal.attach(&onnx, &files.onnx)?;
    journal.attach(&card, files.card_text.as_bytes())
}

/// The text of an attachment of the journal in `dir`.
///
/// # Errors
/// Names the attachment that is missing, changed or no text.
pub(in crate::runtime) fn attached_text(dir: &Path, name: &str) -> Result<String> {
    String::from_utf8(read_attachment(dir, name)?).with_context(|| format!("{name} is not UTF-8"))
}

/// The files of the model that `swap` names, out of the journal in `dir`.
///
/// # Errors
/// Names the attachment that is missing, changed or another model's.
pub(in crate::runtime) fn attached_files(dir: &Path, swap: &ModelSwap) -> Result<ArtifactFiles> {
    let (onnx, card) = names(tag_of(&swap.sha256), swap.card);
    let text = attached_text(dir, &card)?;
    let files = ArtifactFiles::from_bytes(read_attachment(dir, &onnx)?, text)
        .with_context(|| onnx.clone())?;
    if files.sha256 != swap.sha256 || files.card_tag() != swap.card {
        bail!("{onnx}, {card}: not the files of the model {}", hex(&swap.sha256));
    }
    Ok(files)
}

/// A replay's models: read out of the journal's folder when an event names one that is not at its
/// place.
pub struct AttachedModels {
    dir: PathBuf,
    terms: ModelTerms,
    supply: ModelSupply,
    /// What lies at each place of the stage: hash of the model, and of its card.
    slots: [Option<([u8; 32], u64)>; SLOTS],
}

impl AttachedModels {
    /// Of the journal in `dir`, whose session began with `first` and its card.
    pub fn new(
        dir: &Path,
        terms: ModelTerms,
        supply: ModelSupply,
        first: (&ModelLoaded, u64),
    ) -> Self {
        let mut slots = [None; SLOTS];
        slots[0] = Some((first.0.sha256, first.1));
        Self { dir: dir.to_owned(), terms, supply, slots }
    }

    /// Has the model that `event` (a `ModelSwap`) names at its place; its files, where they were
    /// read for it.
    ///
    /// # Errors
    /// Names the attachment that is missing, changed or refused.
    pub fn provide(&mut self, event: &Event) -> Result<Option<ArtifactFiles>> {
        let swap: &ModelSwap = event.body();
        let ends = swap.role == SwapRole::Canary as u8 && swap.share_bps == 0;
        // Own models are at their places before the first event.
        let is_there = [SwapRole::Refused as u8, SwapRole::Own as u8].contains(&swap.role);
        if is_there || ends {
            return Ok(None);
        }
        let wanted = Some((swap.sha256, swap.card));
        let place = self.slots.get_mut(usize::from(swap.slot));
        let place = place.with_context(|| format!("a swap names place {}", swap.slot))?;
        if *place == wanted {
            return Ok(None);
        }
        let files = attached_files(&self.dir, swap)?;
        let model = self.terms.mount(&files, Budget::None)?;
        if !self.supply.send(usize::from(swap.slot), model) {
            bail!("the inference stage takes no more models");
        }
        *place = wanted;
        Ok(Some(files))
    }
}
