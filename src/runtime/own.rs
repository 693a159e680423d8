//! Models that symbols have of their own (`model.own`), from their files to the session's opening.
//!
//! ```text
//!  registry ── by the champion's rules ──┐                   ┌─► places of the inference stage
//!  journal's attachments, for a replay ──┴► OwnModels, loaded┼─► opening: ModelSwap, role own
//!                                                            └─► attachments beside the journal
//! ```
//! The others share the champion: a pooled model.

use super::assemble::{Budget, version_bytes};
use super::readiness::ModelFiles;
use super::revert::LeftModels;
use super::swap::ModelTerms;
use super::swap::attached::{attach, attached_files};
use crate::base::Reason;
use crate::base::event::{Event, Kind, ModelSwap};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::settings::Settings;
use crate::engine::{OWN_PLACES, OwnPlaces, Share, SwapRole};
use crate::features::Selection;
use crate::journal::{Attacher, JournalError, LaneReader};
use crate::model::artifact::{hex, sha256};
use crate::model::{ArtifactFiles, Model};
use crate::observe::snapshot::ModelView;
use crate::registry::Registry;
use crate::risk::ACTOR_SYSTEM;
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;

/// A symbol and the verified files of the model that it has of its own.
pub type OwnFiles = (Symbol, Arc<ArtifactFiles>);

/// The files that the configuration names, as a start takes them: by the rules of `model.version`.
///
/// # Errors
/// Names the symbol and the version that is missing, left, quarantined, or not what was registered.
pub fn files(settings: &Settings) -> Result<Vec<OwnFiles>> {
    if settings.model.own.is_empty() {
        return Ok(Vec::new());
    }
    let left = LeftModels::read(Path::new(&settings.session.state_dir))?;
    named(
        settings,
        |registry, version| Ok(registry.files(&left.version_named(registry, version)?)?),
    )
}

/// The same for a look back: what is quarantined too, as nothing is traded.
///
/// # Errors
/// Names the symbol and the version that is missing or not what was registered.
pub fn files_to_look_at(settings: &Settings) -> Result<Vec<OwnFiles>> {
    named(settings, |registry, version| Ok(registry.files(version)?))
}

fn named(
    settings: &Settings,
    read: impl Fn(&Registry, &str) -> Result<ArtifactFiles>,
) -> Result<Vec<OwnFiles>> {
    let own = &settings.model.own;
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let registry = Registry::open(Path::new(&settings.model.dir))?;
    let mut found: Vec<OwnFiles> = Vec::with_capacity(own.len());
    for (symbol, version) in own {
        let known = found.iter().find(|(_, files)| files.card.version == *version);
        let files = match known {
            Some((_, files)) => Arc::clone(files),
            None => Arc::new(read(&registry, version).with_context(|| row(symbol, version))?),
        };
        found.push((*symbol, files));
    }
    Ok(found)
}

/// How an error names a row of the table.
pub fn row(symbol: &Symbol, version: &str) -> String {
    format!("model.own: {symbol} = {version:?}")
}

/// What tells these models from others: the same symbols with the same files have the same hash.
pub fn hash(own: &[OwnFiles]) -> [u8; 32] {
    let line = |(symbol, files): &OwnFiles| {
        let card = hex(&sha256(files.card_text.as_bytes()));
        format!("{symbol} {} {card}\n", hex(&files.sha256))
    };
    let mut lines: Vec<String> = own.iter().map(line).collect();
    lines.sort();
    sha256(lines.concat().as_bytes())
}

/// A model that one instrument has of its own, loaded.
#[derive(Clone)]
struct OwnModel {
    symbol: Symbol,
    instrument: InstrumentId,
    files: Arc<ArtifactFiles>,
    model: Model,
    selection: Selection,
}

/// See the head of this file. In table order: the first lies at the first own place.
#[derive(Clone, Default)]
pub struct OwnModels(Vec<OwnModel>);

impl OwnModels {
    /// Loads each version once; a symbol that is not in the table `symbols` has no use for it.
    ///
    /// # Errors
    /// Names the symbol and the version that is refused.
    pub fn load(
        own: &[OwnFiles],
        symbols: &[Symbol],
        terms: &ModelTerms,
        budget: Budget,
    ) -> Result<Self> {
        let mut all: Vec<OwnModel> = Vec::new();
        for (place, symbol) in symbols.iter().enumerate() {
            let Some((_, files)) = own.iter().find(|(other, _)| other == symbol) else { continue };
            let known = all.iter().find(|known| Arc::ptr_eq(&known.files, files));
            let (model, selection) = match known {
                Some(known) => (known.model.clone(), known.selection.clone()),
                None => {
                    terms.load(files, budget).with_context(|| row(symbol, &files.card.version))?
                }
            };
            let instrument = InstrumentId(u16::try_from(place)?);
            let files = Arc::clone(files);
            all.push(OwnModel { symbol: *symbol, instrument, files, model, selection });
        }
        Ok(Self(all))
    }

    /// Those of the session whose journal lies in `dir`, as its opening and its attachments tell.
    ///
    /// # Errors
    /// Names the attachment that is missing, changed or refused.
    pub fn of_journal(dir: &Path, symbols: &[Symbol], terms: &ModelTerms) -> Result<Self> {
        let mut own: Vec<OwnFiles> = Vec::new();
        for item in LaneReader::open(dir, 0)? {
            let (_, event) = item?;
            match event.kind() {
                Some(Kind::SessionStart | Kind::Instrument | Kind::ModelLoaded) => {}
                Some(Kind::ModelSwap) if is_own(&event) => {
                    let symbol = symbols.get(event.instrument().index());
                    let symbol = symbol.context("an own model of no instrument")?;
                    let files = attached_files(dir, event.body())
                        .with_context(|| format!("the model that {symbol} has of its own"))?;
                    own.push((*symbol, Arc::new(files)));
                }
                _ => break,
            }
        }
        Self::load(&own, symbols, terms, Budget::None)
    }

    /// What the hash of the files is that [`files`] gave.
    pub fn hash(&self) -> [u8; 32] {
        let all = self.0.iter().map(|own| (own.symbol, Arc::clone(&own.files)));
        hash(&all.collect::<Vec<_>>())
    }

    /// True where that instrument is decided by a model of its own.
    pub fn has(&self, instrument: InstrumentId) -> bool {
        self.0.iter().any(|own| own.instrument == instrument)
    }

    /// The instruments of such a session that have none.
    pub fn pooled(&self, instruments: usize) -> Pooled {
        let of = |place| !self.has(InstrumentId(u16::try_from(place).unwrap_or(u16::MAX)));
        Pooled((0..instruments).map(of).collect())
    }

    /// The models at their places, for the stage that has these instruments.
    pub fn places(&self, share: Share) -> OwnPlaces {
        let mut places = OwnPlaces::new(share);
        for OwnModel { instrument, model, selection, .. } in &self.0 {
            places.add(*instrument, model, selection);
        }
        places
    }

    /// What the opening says of them: one [`ModelSwap`] each.
    pub fn opening(&self) -> impl Iterator<Item = Event> + '_ {
        self.0.iter().zip(OWN_PLACES).map(|(own, place)| {
            let swap = ModelSwap {
                sha256: own.files.sha256,
                version: version_bytes(&own.files.card.version),
                role: SwapRole::Own as u8,
                slot: u8::try_from(place).unwrap_or(u8::MAX),
                reason: Reason::StartUp as u16,
                actor: ACTOR_SYSTEM,
                card: own.files.card_tag(),
                ..ModelSwap::default()
            };
            Event::new(Kind::ModelSwap, own.instrument, &swap)
        })
    }

    /// Each version once, with the places where it decides.
    fn versions(&self) -> Vec<(&OwnModel, Vec<(usize, Symbol)>)> {
        let mut versions: Vec<(&OwnModel, Vec<(usize, Symbol)>)> = Vec::new();
        for (own, place) in self.0.iter().zip(OWN_PLACES) {
            let same = |(other, _): &&mut (&OwnModel, Vec<_>)| {
                other.files.tag() == own.files.tag()
                    && other.files.card_tag() == own.files.card_tag()
            };
            match versions.iter_mut().find(same) {
                Some((_, places)) => places.push((place, own.symbol)),
                None => versions.push((own, vec![(place, own.symbol)])),
            }
        }
        versions
    }

    /// Tags of model and card whose files [`Self::attach`] puts beside a journal.
    pub fn tags(&self) -> Vec<(u64, u64)> {
        let versions = self.versions().into_iter();
        versions.map(|(own, _)| (own.files.tag(), own.files.card_tag())).collect()
    }

    /// Puts their files beside the journal, before it has a record.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn attach(&self, journal: &Attacher) -> Result<(), JournalError> {
        self.versions().iter().try_for_each(|(own, _)| attach(journal, &own.files))
    }

    /// The files in the registry's folder `dir` that are to stay what they are, by version.
    pub fn watched(&self, dir: &Path) -> Vec<(String, ModelFiles)> {
        let watched = |(own, _): (&OwnModel, _)| {
            let (version, text) = (own.files.card.version.clone(), &own.files.card_text);
            let files = ModelFiles::new(&dir.join(&version), own.files.sha256, text);
            (version, files)
        };
        self.versions().into_iter().map(watched).collect()
    }

    /// How a page shows them, with the places whose counts are theirs.
    pub fn views(&self) -> Vec<(Vec<usize>, ModelView)> {
        let view = |(own, places): (&OwnModel, Vec<(usize, Symbol)>)| {
            let view = ModelView {
                version: own.files.card.version.clone(),
                stage: "own",
                symbols: places.iter().map(|(_, symbol)| symbol.to_string()).collect(),
                sha256: hex(&own.files.sha256),
                executor: own.model.executor().name(),
                ..ModelView::default()
            };
            (places.into_iter().map(|(place, _)| place).collect(), view)
        };
        self.versions().into_iter().map(view).collect()
    }
}

/// The instruments that share the champion, and the canary beside it: what happens on others is
/// nothing that either did.
#[derive(Clone, Debug, Default)]
pub struct Pooled(Vec<bool>);

impl Pooled {
    /// So many instruments, of which that one has a model of its own.
    #[cfg(test)]
    pub fn without(instruments: usize, own: InstrumentId) -> Self {
        Self((0..instruments).map(|place| place != own.index()).collect())
    }

    /// Whether an event is of such an instrument, or of none.
    pub fn takes(&self, event: &Event) -> bool {
        self.0.get(event.instrument().index()).is_none_or(|pooled| *pooled)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|pooled| **pooled).count()
    }
}

/// Whether a `ModelSwap` is that of an instrument's own model.
pub fn is_own(event: &Event) -> bool {
    event.kind() == Some(Kind::ModelSwap) && event.body::<ModelSwap>().role == SwapRole::Own as u8
}
