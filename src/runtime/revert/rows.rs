//! The champion's rows of features, worked out again from lane 0: whether each came out as the
//! session recorded it, and whether they are the like of what it was trained on.

use crate::base::event::{Event, Kind, Prediction};
use crate::base::ids::{InstrumentId, Seq};
use crate::base::time::Nanos;
use crate::engine::{Rows, row_hash};
use crate::features::Selection;
use crate::journal::{Followed, LaneFollower, RecordIndex};
use crate::model::Card;
use crate::promotion::record::FeatureDrift;
use crate::promotion::settings::DriftSettings;
use crate::promotion::watch::{FeatureWatch, SpacedWatch};
use crate::runtime::assemble::Parts;
use anyhow::Result;
use std::collections::VecDeque;
use std::path::Path;

/// Inputs taken in at one look, so that a look ends.
const INPUTS_PER_LOOK: u32 = 65_536;
/// Predictions that wait for their input at most.
const TOLD_MAX: usize = 65_536;
const DAY_NS: f64 = 86_400e9;

/// See the head of this file.
pub struct RowWatch {
    inputs: LaneFollower,
    /// An input whose answer is not there yet.
    ahead: Option<Event>,
    rows: Rows,
    /// What the champion said: number, instrument, hash of its row.
    told: VecDeque<(Seq, InstrumentId, u64)>,
    /// Number of the newest record of the session's inference.
    passed: Seq,
    tag: u64,
    drift: DriftSettings,
    instruments: usize,
    /// How many of them the champion decides.
    pooled: usize,
    features: Option<SpacedWatch>,
    mismatches: u64,
    compared: u64,
    /// Inputs are missing: what is worked out says nothing any more.
    lost: bool,
}

impl RowWatch {
    /// Over the session whose journal lies in `journal`; the champion is of `card` and `tag`.
    ///
    /// # Errors
    /// When the lane cannot be followed.
    pub fn new(
        parts: &Parts,
        journal: &Path,
        (card, tag): (&Card, u64),
        drift: DriftSettings,
    ) -> Result<Self> {
        let instruments = parts.instruments.len();
        let settings = parts.inference_settings();
        let mut watch = Self {
            inputs: LaneFollower::open(journal, 0, RecordIndex(0))?,
            ahead: None,
            rows: Rows::new(instruments, &settings, Selection::new(&[])?),
            told: VecDeque::new(),
            passed: 0,
            tag,
            drift,
            instruments,
            pooled: parts.own.pooled(instruments).count(),
            features: None,
            mismatches: 0,
            compared: 0,
            lost: false,
        };
        watch.begin(card, tag);
        Ok(watch)
    }

    /// Another champion begins; nothing of what was counts for it.
    pub fn begin(&mut self, card: &Card, tag: u64) {
        if let Ok(selection) = Selection::new(&card.features) {
            self.rows.select(selection);
        }
        // Rows a horizon apart are independent. Where a window of those is more than a day, they
        // are nearer, and each tells so much less.
        let horizon_ns = card.horizon_ms as f64 * 1e6;
        let a_day = DAY_NS * self.pooled as f64 / f64::from(self.drift.window.max(1));
        let spacing = horizon_ns.min(a_day).max(1.0);
        let dependence = (horizon_ns / spacing).max(1.0);
        let training = card.training.as_ref().map(|training| (training, card.features.len()));
        let watch = training.and_then(|of| FeatureWatch::of_training(of, dependence, &self.drift));
        self.features =
            watch.map(|watch| SpacedWatch::new(watch, Nanos(spacing as i64), self.instruments));
        self.told.clear();
        (self.tag, self.mismatches, self.compared) = (tag, 0, 0);
    }

    /// Takes in a record of lane 1.
    pub fn note_answer(&mut self, event: &Event) {
        self.passed = self.passed.max(event.seq);
        if event.kind() != Some(Kind::Prediction) || self.lost {
            return;
        }
        let body: &Prediction = event.body();
        if body.model_tag == self.tag {
            self.told.push_back((event.seq, event.instrument(), body.features_hash));
        }
        if self.told.len() > TOLD_MAX {
            self.told.pop_front();
        }
    }

    /// Takes in the inputs that the session's inference has passed.
    pub fn read(&mut self) {
        for _ in 0..INPUTS_PER_LOOK {
            if self.lost {
                return;
            }
            let event = match self.ahead.take() {
                Some(event) => event,
                None => match self.inputs.read() {
                    Ok(Followed::Record(_, event)) => event,
                    Ok(Followed::Nothing) => return,
                    Ok(Followed::Retired(..)) | Err(_) => {
                        tracing::warn!("inputs are gone: rows are not worked out again any more");
                        (self.lost, self.features) = (true, None);
                        return;
                    }
                },
            };
            if event.seq > self.passed {
                self.ahead = Some(event);
                return;
            }
            self.rows.on_input(&event);
            self.compare(&event);
        }
    }

    fn compare(&mut self, event: &Event) {
        while let Some(&(seq, instrument, hash)) = self.told.front() {
            if seq > event.seq {
                return;
            }
            self.told.pop_front();
            if seq < event.seq {
                continue;
            }
            let now = event.now();
            let row = self.rows.row(instrument, now);
            self.compared += 1;
            self.mismatches += u64::from(row.is_none_or(|row| row_hash(row) != hash));
            let (Some(row), Some(features)) = (row, &mut self.features) else { continue };
            features.push(instrument, now, row);
        }
    }

    /// Rows that came out differently.
    pub const fn mismatches(&self) -> u64 {
        self.mismatches
    }

    /// Rows that were held against what the session recorded.
    pub const fn compared(&self) -> u64 {
        self.compared
    }

    /// How far the features are from those of the training; `None` while that is not known.
    pub fn drift(&self) -> Option<FeatureDrift> {
        self.features.as_ref()?.judge()
    }
}
