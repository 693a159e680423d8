//! How the desk leaves a champion by itself: first it is written down what is left, then the river
//! changes, then the registry follows on a thread of its own.

use super::desk::Ask;
use super::guard::Guard;
use super::work::Work;
use crate::base::event::{COMMAND_MODEL, ModelSwap};
use crate::engine::SwapRole;
use crate::observe::snapshot::RollbackView;
use crate::promotion::{Breach, RollbackCause};
use crate::registry::verdict::Contender;
use crate::registry::{Registry, RegistryError};
use crate::risk::Verb;
use crate::runtime::assemble::version_bytes;
use crate::runtime::clock::wall_now;
use crate::runtime::readiness::ModelFiles;
use crate::runtime::revert::judge::Champion;
use crate::runtime::revert::{Judge, Left, start};
use anyhow::{Context, Error, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;

/// What a pause says besides its cause.
const NOWHERE: &str = "; no model to go back to";

impl Work {
    /// Judges the champion, and leaves it where a limit was passed.
    pub fn judge(&mut self, judge: &mut Judge, guard: &mut Guard) {
        if self.champion().is_some_and(|champion| champion != *judge.champion()) {
            // Somebody else changed it; what it left is theirs.
            self.stopped_for.clear();
            self.begin_anew(judge);
        }
        let breaches = judge.look(self.ends.signs.slot(self.places.champion));
        self.stopped_for.retain(|cause| breaches.iter().any(|breach| breach.cause == *cause));
        let new = breaches.iter().find(|breach| !self.stopped_for.contains(&breach.cause));
        let Some(breach) = new else { return };
        match self.go_back(breach, guard) {
            Ok(()) => self.stopped_for.clear(),
            Err(error) => {
                let (cause, error) = (breach.to_string(), format!("{error:#}"));
                tracing::error!(cause, error, "no model to go back to: entries stop");
                self.stopped_for.extend(breaches.iter().map(|breach| breach.cause));
                if let Err(error) = self.stop_entries(breach) {
                    tracing::error!(error = format!("{error:#}"), "entries could not be stopped");
                    // Asked for once more at the next look.
                    self.stopped_for.clear();
                }
            }
        }
        self.begin_anew(judge);
        self.warm_up();
    }

    /// Without rules a champion is left for one thing alone: that it does not answer.
    pub fn judge_answers(&mut self, guard: &mut Guard) {
        let champion = self.places.champion;
        if !self.errs(champion) || self.places.previous.is_none() {
            return;
        }
        let in_a_row = self.ends.signs.slot(champion).faults_in_a_row;
        let breach = Breach {
            cause: RollbackCause::InferenceErrors,
            key: "errors_in_a_row_max",
            value: f64::from(in_a_row),
            limit: f64::from(self.canary.errors_max - 1),
        };
        if let Err(error) = self.go_back(&breach, guard) {
            tracing::error!(error = format!("{error:#}"), "the model fails, and cannot be left");
            self.places.previous = None;
        }
        self.warm_up();
    }

    /// Shows what judges the champion, and how far the registry is behind.
    pub fn show_judgement(&self, judge: Option<&Judge>) {
        let seen = self.ends.signs.slot(self.places.champion);
        self.board.show_rollback(RollbackView {
            limits: judge.map(|judge| judge.view(seen)).unwrap_or_default(),
            made: self.gone_back,
            waiting: self.left.waiting() as u64,
            trouble: self.left.trouble(),
        });
    }

    /// The session begins: its first champion is judged, and the one before it is made ready.
    pub fn begin_judging(&mut self, judge: &mut Option<Judge>) {
        self.keeper.wake();
        if let (Some(judge), Some(files)) = (judge, self.champion_files()) {
            judge.watch(files);
            judge.compare_with(self.former());
        }
        self.warm_up();
    }

    fn begin_anew(&self, judge: &mut Judge) {
        let seat = self.places.seat(self.places.champion);
        let Some(card) = seat.and_then(|seat| seat.about.as_deref()) else { return };
        if let (Some(champion), Some(files)) = (self.champion(), self.champion_files()) {
            judge.begin(champion, card, files, self.former());
        }
    }

    /// Leaves the champion for the one before it.
    ///
    /// # Errors
    /// When there is none that can be gone back to.
    fn go_back(&mut self, breach: &Breach, guard: &mut Guard) -> Result<()> {
        let slot = self.former_place()?;
        let to = self.places.seat(slot).map(|seat| seat.version.clone()).unwrap_or_default();
        let champion = self.champion().context("nothing decides")?;
        self.leave(&champion.who, &to, breach);
        self.use_slot(slot, &Ask::of_breach(breach, COMMAND_MODEL, ""), guard)?;
        self.gone_back += 1;
        tracing::error!(left = champion.who.version, to, cause = %breach, "went back by itself");
        self.keeper.wake();
        Ok(())
    }

    /// Writes down what is left before it is; where that cannot be, it is left all the same.
    fn leave(&self, champion: &Contender, to: &str, breach: &Breach) {
        let Contender { version, sha256, card_sha256 } = champion.clone();
        let left = Left {
            version,
            sha256,
            card_sha256,
            to: to.to_owned(),
            by: self.name.clone(),
            reason: breach.to_string(),
            at_ms: u64::try_from(wall_now().to_millis()).unwrap_or(0),
        };
        if let Err(error) = self.left.add(left) {
            self.left.report(format!("the state folder: {error}"));
            tracing::error!(%error, "what is left cannot be kept in the state folder");
        }
    }

    /// The place of the champion before, warm where it is.
    fn former_place(&mut self) -> Result<usize> {
        let warm = self.places.previous;
        let Ok(registry) = Registry::open(Path::new(&self.terms.model.dir)) else {
            return warm.context("the registry cannot be read, and no model is warm");
        };
        let names = self.candidates(&registry)?;
        let is_named = |slot: &usize| {
            self.places.seat(*slot).is_some_and(|seat| names.contains(&seat.version))
        };
        if let Some(slot) = warm.filter(is_named) {
            return Ok(slot);
        }
        let mut told = Vec::new();
        for name in &names {
            match self.place_of(name) {
                Ok(slot) => return Ok(slot),
                Err(error) => told.push(format!("{name}: {error:#}")),
            }
        }
        bail!("there is no former champion to go back to: {}", told.join("; "))
    }

    /// Versions that may be gone back to, the first to be tried first.
    fn candidates(&self, registry: &Registry) -> Result<Vec<String>, RegistryError> {
        let standing = registry.standing()?;
        let running = self.champion().map(|champion| champion.who.version).unwrap_or_default();
        let may = |version: &&str| {
            *version != running && standing.forbids(version).is_none() && !self.left.has(version)
        };
        let all = standing.champion.into_iter().chain(standing.former());
        Ok(all.filter(may).map(str::to_owned).collect())
    }

    /// Entries stop; exits go on under the model that decides.
    fn stop_entries(&mut self, breach: &Breach) -> Result<()> {
        let ask = Ask::of_breach(breach, Verb::Pause as u32, NOWHERE);
        let version = self.champion().map(|champion| champion.who.version).unwrap_or_default();
        let swap = ModelSwap {
            version: version_bytes(&version),
            ..self.swap(SwapRole::Refused, self.places.champion, &ask)
        };
        self.send(swap, &ask)
    }

    /// Tells the river that the champion could not be begun with.
    pub fn tell_failed(&mut self, version: &str, breach: &Breach) {
        let ask = Ask::of_breach(breach, COMMAND_MODEL, "");
        let swap = ModelSwap {
            version: version_bytes(version),
            role: SwapRole::Refused as u8,
            reason: ask.cause as u16,
            actor: ask.actor,
            ..ModelSwap::default()
        };
        if let Err(error) = self.send(swap, &ask) {
            tracing::error!(error = format!("{error:#}"), "models");
        }
    }

    /// The registry's new champion does not load: what decides goes on, and the registry goes back
    /// to it, so that the next start does not stand before the same.
    pub(super) fn keep_what_runs(&mut self, name: &str, error: &Error) {
        let (true, Some(cause)) = (self.judged, start::cause_of(error)) else { return };
        let registry = Registry::open(Path::new(&self.terms.model.dir)).ok();
        let found = registry.as_ref().and_then(|registry| {
            let version = self.left.version_named(registry, name).ok()?;
            let champion = Contender::of(&version, registry.show(&version).ok()?);
            let running = self.champion()?.who.version;
            let lawful = registry.standing().ok()?.former().contains(&running.as_str());
            lawful.then_some((champion, running))
        });
        if let Some((champion, running)) = found {
            self.leave(&champion, &running, &start::breach(cause));
            self.keeper.wake();
        }
    }

    /// Makes the champion before ready, so that going back to it takes no time.
    fn warm_up(&mut self) {
        if self.places.previous.is_some() {
            return;
        }
        let registry = Registry::open(Path::new(&self.terms.model.dir));
        let names = registry.and_then(|registry| self.candidates(&registry)).unwrap_or_default();
        let Some(name) = names.first() else { return };
        match self.place_of(name) {
            Ok(slot) if slot != self.places.champion => {
                self.places.previous = Some(slot);
                self.board.show(&self.places, Path::new(&self.terms.model.dir), false);
            }
            Ok(_) => {}
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(name, error, "the champion before cannot be made ready");
            }
        }
    }

    /// What decides, by what it is.
    fn champion(&self) -> Option<Champion> {
        self.places.seat(self.places.champion).map(super::places::Seat::champion)
    }

    fn champion_files(&self) -> Option<ModelFiles> {
        let seat = self.places.seat(self.places.champion)?;
        Some(seat.files(Path::new(&self.terms.model.dir)))
    }

    /// Every version that ever was champion.
    fn former(&self) -> BTreeSet<String> {
        let registry = Registry::open(Path::new(&self.terms.model.dir)).ok();
        let crowned = registry.as_ref().and_then(|registry| {
            let standing = registry.standing().ok()?;
            Some(standing.crowned.iter().map(|version| (*version).to_owned()).collect())
        });
        crowned.unwrap_or_default()
    }
}
