//! The models of the session as the page shows them.

use super::places::Places;
use crate::engine::{ModelSigns, SLOTS};
use crate::model::artifact::hex;
use crate::observe::snapshot::{ModelView, RollbackView};
use crate::runtime::lock::held;
use crate::runtime::readiness::ModelFiles;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A place and the view of its model, counts apart.
type Shown = (usize, ModelView);

/// See the head of this file. Shared by side threads alone.
#[derive(Debug, Default)]
pub struct ModelBoard {
    signs: Arc<ModelSigns>,
    shown: Mutex<Vec<Shown>>,
    /// Models that symbols have of their own, with the places whose counts are theirs.
    own: Vec<(Vec<usize>, ModelView)>,
    /// Files of a new champion, until the readiness takes them over.
    files: Mutex<Option<ModelFiles>>,
    rollback: Mutex<RollbackView>,
}

impl ModelBoard {
    /// Shows `first`, at the first place, and `own`: those that decide symbols alone, with the
    /// places of each.
    pub fn new(
        signs: Arc<ModelSigns>,
        first: ModelView,
        own: Vec<(Vec<usize>, ModelView)>,
    ) -> Self {
        let shown = Mutex::new(vec![(0, first)]);
        Self { signs, shown, own, files: Mutex::default(), rollback: Mutex::default() }
    }

    /// The views; `verified` says whether the champion's files are those that run, `changed` names
    /// the versions of symbols' own models whose files are not.
    pub fn views(&self, verified: bool, changed: &[&str]) -> Vec<ModelView> {
        let view = |(slot, view): &Shown| {
            let seen = self.signs.slot(*slot);
            ModelView {
                verified: verified || view.stage != "champion",
                predictions: seen.answers,
                faults: seen.faults,
                ..view.clone()
            }
        };
        let shown: Vec<ModelView> = held(&self.shown).iter().map(view).collect();
        shown.into_iter().chain(self.own_views(changed)).collect()
    }

    /// Those of models that symbols have of their own.
    pub fn own_views(&self, changed: &[&str]) -> impl Iterator<Item = ModelView> {
        self.own.iter().map(move |(places, view)| {
            let seen = places.iter().map(|place| self.signs.slot(*place));
            let (answers, faults) = seen.fold((0, 0), |(answers, faults), seen| {
                (answers + seen.answers, faults + seen.faults)
            });
            ModelView {
                verified: !changed.contains(&view.version.as_str()),
                predictions: answers,
                faults,
                ..view.clone()
            }
        })
    }

    /// Files of a champion that began to decide since the last call.
    pub fn new_files(&self) -> Option<ModelFiles> {
        held(&self.files).take()
    }

    /// What judges the champion.
    pub fn rollback(&self) -> RollbackView {
        held(&self.rollback).clone()
    }

    pub(super) fn show_rollback(&self, view: RollbackView) {
        *held(&self.rollback) = view;
    }

    /// What lies where, after a change; `dir` is the registry's folder.
    pub(super) fn show(&self, places: &Places, dir: &Path, champion_is_new: bool) {
        let trial = places.trial.map(|(slot, split)| (slot, split.share_bps));
        let stage = |slot: usize| match slot {
            _ if slot == places.champion => Some(("champion", 0)),
            _ if trial.is_some_and(|(canary, _)| canary == slot) => {
                Some(("canary", trial.map_or(0, |(_, share)| share)))
            }
            _ if places.previous == Some(slot) => Some(("previous", 0)),
            _ => None,
        };
        let mut shown: Vec<Shown> = (0..SLOTS)
            .filter_map(|slot| {
                let (seat, (stage, share_bps)) = (places.seat(slot)?, stage(slot)?);
                let (version, sha256) = (seat.version.clone(), hex(&seat.sha256));
                let executor = seat.executor;
                let view =
                    ModelView { version, stage, sha256, executor, share_bps, ..Default::default() };
                Some((slot, view))
            })
            .collect();
        // The champion first, then the canary.
        shown.sort_by_key(|(_, view)| (view.stage != "champion", view.stage != "canary"));
        *held(&self.shown) = shown;
        if let (true, Some(seat)) = (champion_is_new, places.seat(places.champion)) {
            *held(&self.files) = Some(seat.files(dir));
        }
    }
}
