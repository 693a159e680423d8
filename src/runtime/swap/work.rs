//! What the desk does with a wish: the model is found or loaded first, then named in the river.

use super::attached::attach;
use super::board::ModelBoard;
use super::desk::{Ask, Wish};
use super::guard::Guard;
use super::places::{Places, Seat};
use super::terms::ModelTerms;
use super::{DeskEnds, SwapOrder};
use crate::base::Reason;
use crate::base::event::ModelSwap;
use crate::base::settings::CanarySettings;
use crate::base::split::Split;
use crate::base::units::Money;
use crate::engine::{ModelSigns, SwapRole};
use crate::journal::Attacher;
use crate::model::artifact::hex;
use crate::model::{ArtifactFiles, ModelError};
use crate::promotion::RollbackCause;
use crate::registry::{Registry, RegistryError};
use crate::runtime::assemble::{Budget, version_bytes};
use crate::runtime::clock::wall_now;
use crate::runtime::config::Loaded;
use crate::runtime::revert::LeftModels;
use crate::runtime::revert::keeper::RegistryKeeper;
use crate::runtime::stage;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the stages may take to come to a change.
const TAKEN_TIME: Duration = Duration::from_secs(30);
/// Wait between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// No signed decision lets the model trade real money.
#[derive(Debug, thiserror::Error)]
#[error("model {version} may not trade real money: {what}")]
struct Unsigned {
    version: String,
    what: String,
}

/// See the head of this file.
pub(super) struct Work {
    pub terms: ModelTerms,
    pub canary: CanarySettings,
    /// With real money: what sign-offs are of.
    pub signed: Option<Loaded>,
    pub ends: DeskEnds,
    pub attacher: Attacher,
    /// Models whose files lie beside the journal under their own names.
    pub attached: Vec<(u64, u64)>,
    pub places: Places,
    /// Changes sent into the river.
    pub sent: u64,
    pub board: Arc<ModelBoard>,
    /// Versions that were left and of which the registry does not say so yet.
    pub left: Arc<LeftModels>,
    /// Has the registry follow.
    pub keeper: RegistryKeeper,
    /// The session, as the registry's history names it.
    pub name: String,
    /// Whether rules judge the champion.
    pub judged: bool,
    /// Times it left a champion by itself.
    pub gone_back: u64,
    /// Causes for which entries were stopped, as long as they stand.
    pub stopped_for: Vec<RollbackCause>,
    /// Set when the session ends: what it did not come to, it does not come to.
    pub ending: Arc<AtomicBool>,
}

impl Work {
    /// Does it; what decides then.
    ///
    /// # Errors
    /// In words; what decided goes on.
    pub fn serve(&mut self, ask: &Ask, guard: &mut Guard) -> Result<Value, String> {
        let done = match &ask.wish {
            Wish::Use(name) => self.use_model(name, ask, guard),
            Wish::StartTrial { version, share_bps, block_ms, seed } => {
                let share = share_bps.unwrap_or(self.canary.share_bps);
                let split = Split {
                    seed: seed.unwrap_or(self.canary.seed),
                    share_bps: u16::try_from(share).unwrap_or(u16::MAX),
                    block_ms: block_ms.unwrap_or(self.canary.block_ms),
                };
                self.start_trial(version, split, ask, guard)
            }
            Wish::EndTrial => self.end_trial(ask, guard),
            Wish::Status => Ok(()),
        };
        done.map(|()| self.status(guard)).map_err(|error| format!("{error:#}"))
    }

    /// Why the trial has to end, if it has to.
    pub fn fault(&self, guard: &mut Guard) -> Option<(Wish, Reason)> {
        let over = guard.look();
        let (slot, _) = self.places.trial?;
        let over = if self.errs(slot) { Some(Reason::ModelErrors) } else { over };
        over.map(|reason| (Wish::EndTrial, reason))
    }

    /// Whether the model at that place fails as often in a row as a trial may not.
    pub(super) fn errs(&self, slot: usize) -> bool {
        self.ends.signs.slot(slot).faults_in_a_row >= self.canary.errors_max
    }

    fn use_model(&mut self, name: &str, ask: &Ask, guard: &mut Guard) -> Result<()> {
        let found = match (name, self.places.previous) {
            ("previous", Some(slot)) => self.check_chosen(slot).map(|()| slot),
            ("previous", None) => bail!("there is no model before the one that decides"),
            _ => self.place_of(name),
        };
        let slot = found.or_else(|error| self.refuse(name, ask, error))?;
        self.use_slot(slot, ask, guard)
    }

    /// Refuses a place whose version was left or is quarantined, as far as that can be known.
    fn check_chosen(&self, slot: usize) -> Result<()> {
        let registry = Registry::open(Path::new(&self.terms.model.dir));
        let (Some(seat), Ok(registry)) = (self.places.seat(slot), registry) else { return Ok(()) };
        self.left.version_named(&registry, &seat.version).map(drop)
    }

    /// The model at that place decides.
    pub(super) fn use_slot(&mut self, slot: usize, ask: &Ask, guard: &mut Guard) -> Result<()> {
        if slot == self.places.champion {
            return Ok(());
        }
        match self.places.trial {
            // A trial is of a canary against the champion it began with.
            Some((canary, _)) if canary != slot => self.end_trial(ask, guard)?,
            Some(_) => guard.end(),
            None => {}
        }
        let swap = self.swap(SwapRole::Champion, slot, ask);
        self.places.promote(slot);
        if ask.leaves_for_good() {
            // What failed is nothing to go back to.
            self.places.previous = None;
        }
        self.board.show(&self.places, Path::new(&self.terms.model.dir), true);
        self.send(swap, ask)
    }

    fn start_trial(
        &mut self,
        version: &str,
        split: Split,
        ask: &Ask,
        guard: &mut Guard,
    ) -> Result<()> {
        if self.places.trial.is_some() {
            bail!("a trial is on; end it first");
        }
        let slot = self.place_of(version).or_else(|error| self.refuse(version, ask, error))?;
        if slot == self.places.champion {
            bail!("model {version} decides already");
        }
        let horizons = [slot, self.places.champion].map(|slot| self.places.seat(slot));
        let horizon = horizons.iter().flatten().map(|seat| seat.horizon_ms).max().unwrap_or(0);
        if u64::from(split.block_ms) < horizon {
            bail!("block_ms: {} is below the models' horizon of {horizon}", split.block_ms);
        }
        let swap = self.swap(SwapRole::Canary, slot, ask);
        let Split { seed, share_bps, block_ms } = split;
        let swap = ModelSwap { seed, share_bps, block_ms, ..swap };
        guard.begin(
            self.places.seat(slot).map_or(0, |seat| crate::model::artifact::tag_of(&seat.sha256)),
        )?;
        self.places.trial = Some((slot, split));
        self.board.show(&self.places, Path::new(&self.terms.model.dir), false);
        self.send(swap, ask)
    }

    fn end_trial(&mut self, ask: &Ask, guard: &mut Guard) -> Result<()> {
        let Some((slot, split)) = self.places.trial.take() else { bail!("no trial is on") };
        guard.end();
        let swap = self.swap(SwapRole::Canary, slot, ask);
        let Split { seed, block_ms, .. } = split;
        self.board.show(&self.places, Path::new(&self.terms.model.dir), false);
        self.send(ModelSwap { seed, block_ms, ..swap }, ask)
    }

    /// The place of a version of the registry: where it lies already, or a place it is brought to,
    /// read, verified, proved, and kept beside the journal.
    pub(super) fn place_of(&mut self, name: &str) -> Result<usize> {
        let registry = Registry::open(Path::new(&self.terms.model.dir))?;
        let version = self.left.version_named(&registry, name)?;
        let version = version.as_str();
        let warm = self.places.find(version, registry.show(version)?);
        if let Some(slot) = warm {
            let traded = slot == self.places.champion || self.places.previous == Some(slot);
            if let (false, Some(seat)) = (traded, self.places.seat(slot)) {
                self.check_signed(version, &seat.sha256)?;
            }
            return Ok(slot);
        }
        let files = registry.files(version)?;
        self.check_signed(version, &files.sha256)?;
        self.bring(&files)
    }

    fn bring(&mut self, files: &ArtifactFiles) -> Result<usize> {
        let model = self.terms.mount(files, Budget::Configured)?;
        let seat = Seat::new(files, model.model().executor().name());
        let name = (files.tag(), files.card_tag());
        if !self.attached.contains(&name) {
            attach(&self.attacher, files).context("beside the journal")?;
            self.attached.push(name);
        }
        let slot = self.places.spare();
        if !self.ends.supply.send(slot, model) {
            bail!("the inference stage takes no more models at this moment");
        }
        if let Some(place) = self.places.seats.get_mut(slot) {
            *place = Some(seat);
        }
        Ok(slot)
    }

    /// With real money: what a start would ask for.
    fn check_signed(&self, version: &str, sha256: &[u8; 32]) -> Result<()> {
        let Some(signed) = &self.signed else { return Ok(()) };
        let today = wall_now().utc_day();
        let objections = stage::model_objections(signed, &hex(sha256), today);
        if objections.is_empty() {
            return Ok(());
        }
        let (version, what) = (version.to_owned(), objections.join("; "));
        Err(Unsigned { version, what }.into())
    }

    pub(super) fn swap(&self, role: SwapRole, slot: usize, ask: &Ask) -> ModelSwap {
        let known = self.places.seat(slot);
        ModelSwap {
            sha256: known.map_or([0; 32], |seat| seat.sha256),
            version: known.map_or([0; 32], |seat| version_bytes(&seat.version)),
            card: known.map_or(0, |seat| seat.card),
            role: role as u8,
            slot: u8::try_from(slot).unwrap_or(u8::MAX),
            reason: ask.cause as u16,
            actor: ask.actor,
            ..ModelSwap::default()
        }
    }

    /// Tells the river that nothing changes, and why; gives the error back.
    fn refuse(&mut self, name: &str, ask: &Ask, error: anyhow::Error) -> Result<usize> {
        let swap = ModelSwap {
            version: version_bytes(name),
            role: SwapRole::Refused as u8,
            reason: reason_of(&error) as u16,
            actor: ask.actor,
            ..ModelSwap::default()
        };
        self.send(swap, ask)?;
        if ask.cause == Reason::ChampionMoved {
            self.keep_what_runs(name, &error);
        }
        Err(error)
    }

    /// Into the river, and until inference has come to it.
    pub(super) fn send(&mut self, swap: ModelSwap, ask: &Ask) -> Result<()> {
        let order = SwapOrder { command: ask.command, swap };
        let late = "the session did not come to the change in time";
        self.ends.river.send_timeout(order, TAKEN_TIME).ok().context(late)?;
        self.sent += 1;
        let began = Instant::now();
        while self.ends.signs.swaps() < self.sent {
            if began.elapsed() > TAKEN_TIME || self.ending.load(Ordering::Relaxed) {
                bail!(late);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// What decides.
    fn status(&self, guard: &Guard) -> Value {
        let signs: &ModelSigns = &self.ends.signs;
        let told = |slot: usize| {
            let (seen, seat) = (signs.slot(slot), self.places.seat(slot)?);
            Some(json!({
                "version": seat.version,
                "sha256": hex(&seat.sha256),
                "executor": seat.executor,
                "predictions": seen.answers,
                "faults": seen.faults,
            }))
        };
        let trial = self.places.trial.and_then(|(slot, split)| {
            let mut canary = told(slot)?;
            canary["share_bps"] = json!(split.share_bps);
            canary["block_ms"] = json!(split.block_ms);
            canary["seed"] = json!(split.seed);
            canary["pnl_quote"] = json!(Money(guard.profit()).to_string());
            canary["loss_quote"] = json!(Money(guard.loss()).to_string());
            Some(canary)
        });
        json!({
            "ok": true,
            "champion": told(self.places.champion),
            "previous": self.places.previous.and_then(told),
            "canary": trial,
            "own": self.board.own_views(&[]).map(|own| {
                json!({"version": own.version, "symbols": own.symbols, "sha256": own.sha256,
                    "executor": own.executor, "predictions": own.predictions,
                    "faults": own.faults})
            }).collect::<Vec<_>>(),
            "swaps": self.sent,
        })
    }
}

/// What the river tells of an error.
fn reason_of(error: &anyhow::Error) -> Reason {
    if error.is::<Unsigned>() {
        return Reason::ModelUnsigned;
    }
    if let Some(ModelError::Schema { .. }) = error.downcast_ref() {
        return Reason::SchemaMismatch;
    }
    match error.downcast_ref() {
        Some(RegistryError::Files(_)) => Reason::ModelHashMismatch,
        Some(
            RegistryError::UnknownVersion { .. }
            | RegistryError::NoChampion
            | RegistryError::Removed { .. },
        ) => Reason::ModelMissing,
        _ => Reason::ModelRefused,
    }
}
