//! Which model lies at which place of the inference stage, and what each is there for.

use crate::base::split::Split;
use crate::engine::SLOTS;
use crate::model::artifact::{hex, sha256, tag_of};
use crate::model::{ArtifactFiles, Card};
use crate::registry::Record;
use crate::registry::verdict::Contender;
use crate::runtime::readiness::ModelFiles;
use crate::runtime::revert::judge::Champion;
use std::path::Path;
use std::sync::Arc;

/// A model at its place.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub version: String,
    pub sha256: [u8; 32],
    pub card_sha256: [u8; 32],
    pub card: u64,
    pub horizon_ms: u64,
    pub executor: &'static str,
    /// Its card; `None` in tests that need none.
    pub about: Option<Arc<Card>>,
}

impl Seat {
    pub fn new(files: &ArtifactFiles, executor: &'static str) -> Self {
        Self {
            version: files.card.version.clone(),
            sha256: files.sha256,
            card_sha256: sha256(files.card_text.as_bytes()),
            card: files.card_tag(),
            horizon_ms: files.card.horizon_ms,
            executor,
            about: Some(Arc::new(files.card.clone())),
        }
    }

    /// By what it is.
    pub fn champion(&self) -> Champion {
        let who = Contender {
            version: self.version.clone(),
            sha256: hex(&self.sha256),
            card_sha256: hex(&self.card_sha256),
        };
        Champion { who, tag: tag_of(&self.sha256) }
    }

    /// Its files in the registry's folder `dir`, which are to stay what they are.
    pub fn files(&self, dir: &Path) -> ModelFiles {
        ModelFiles::of(&dir.join(&self.version), self.sha256, self.card_sha256)
    }

    /// True where it is what was registered under that name, to the last byte.
    pub fn is(&self, version: &str, record: &Record) -> bool {
        self.champion().who == Contender::of(version, record)
    }
}

/// See the head of this file.
pub(super) struct Places {
    pub seats: [Option<Seat>; SLOTS],
    pub champion: usize,
    /// The champion before, warm; none once it was gone back to.
    pub previous: Option<usize>,
    pub trial: Option<(usize, Split)>,
}

impl Places {
    pub fn new(first: Seat) -> Self {
        let mut seats = [const { None }; SLOTS];
        seats[0] = Some(first);
        Self { seats, champion: 0, previous: None, trial: None }
    }

    pub fn seat(&self, slot: usize) -> Option<&Seat> {
        self.seats.get(slot)?.as_ref()
    }

    /// Where that version lies, if it does.
    pub fn find(&self, version: &str, record: &Record) -> Option<usize> {
        let is = |seat: &Option<Seat>| seat.as_ref().is_some_and(|seat| seat.is(version, record));
        self.seats.iter().position(is)
    }

    /// A place for the next model: an empty one, or one that is there for nothing.
    pub fn spare(&self) -> usize {
        let is_used = |slot: usize| {
            let trial = self.trial.map(|(slot, _)| slot);
            slot == self.champion || self.previous == Some(slot) || trial == Some(slot)
        };
        let empty = (0..SLOTS).find(|slot| self.seats[*slot].is_none());
        // Three uses at most, and one place more.
        empty.or((0..SLOTS).find(|slot| !is_used(*slot))).unwrap_or(SLOTS - 1)
    }

    /// Another champion; the one before stays warm.
    pub fn promote(&mut self, slot: usize) {
        if slot != self.champion {
            self.previous = Some(self.champion);
            self.champion = slot;
        }
        self.trial = self.trial.filter(|(canary, _)| *canary != slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(version: &str) -> Seat {
        let version = version.to_owned();
        let (sha256, card_sha256) = ([1; 32], [2; 32]);
        let (card, horizon_ms, executor, about) = (3, 4, "native", None);
        Seat { version, sha256, card_sha256, card, horizon_ms, executor, about }
    }

    #[test]
    fn a_place_in_use_is_never_given_to_the_next_model() {
        let split = Split { seed: 1, share_bps: 1_000, block_ms: 1_000 };
        let mut places = Places::new(seat("0"));
        for (number, trial) in [false, true, false, false, true, true, false].iter().enumerate() {
            let slot = places.spare();
            let used = [Some(places.champion), places.previous, places.trial.map(|t| t.0)];
            assert!(!used.contains(&Some(slot)), "{slot} at {number}: {used:?}");
            places.seats[slot] = Some(seat(&number.to_string()));
            if *trial {
                places.trial = Some((slot, split));
            } else {
                places.promote(slot);
                assert_eq!(places.previous, used[0], "the one before stays warm");
            }
        }
    }

    #[test]
    fn a_canary_that_is_promoted_is_no_canary_any_more() {
        let mut places = Places::new(seat("0"));
        places.trial = Some((2, Split { seed: 1, share_bps: 1_000, block_ms: 1_000 }));
        places.promote(2);
        assert_eq!((places.champion, places.previous, places.trial), (2, Some(0), None));
    }
}
