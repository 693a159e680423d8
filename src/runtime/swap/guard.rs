//! What a trial costs and how fast its model answers, read from the journal's lanes behind the
//! stages, which notice nothing.
//!
//! ```text
//!  lane 2  approved entries: whose model  ─┐
//!          positions: profit so far ───────┴► profit of the canary's trades, loss from its best
//!  lane 1  predictions: whose model ───────┐
//!  lane 4  passages of inference ──────────┴► times to answer, their 99th percentile
//! ```
//! A position belongs, until it is flat, to the model whose entry opened it, whoever leaves it.

use super::times::Times;
use crate::base::Reason;
use crate::base::event::Event;
use crate::base::settings::Settings;
use crate::base::units::Money;
use crate::journal::{
    ANSWERS_LANE, Followed, JournalHealth, LaneFollower, RISK_LANE, RecordIndex, STAMPS_LANE,
};
use crate::promotion::books::Books;
use crate::runtime::own::Pooled;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records of a lane read at one look, so that a look ends.
const RECORDS_PER_LOOK: u32 = 65_536;
/// Times to answer the percentile is taken of, and how many there must be.
const TIMES: std::ops::RangeInclusive<usize> = 200..=1_000;

/// See the head of this file.
pub(super) struct Guard {
    journal: PathBuf,
    health: Arc<JournalHealth>,
    risk: LaneFollower,
    share: Share,
    answers: Option<Answers>,
    loss_max: i64,
    p99_ns_max: u64,
}

impl Guard {
    /// Of the session whose journal lies in `journal`. `booked` are the profits, fees and funding
    /// that each instrument's books began with, 1e-8; `pooled` are those that share the champion.
    ///
    /// # Errors
    /// When the lane of positions cannot be followed.
    pub fn new(
        settings: &Settings,
        booked: Vec<i64>,
        (journal, pooled): (&Path, Pooled),
        health: Arc<JournalHealth>,
    ) -> Result<Self> {
        let equity = settings.risk.starting_equity.unwrap_or(Money::ZERO);
        let loss_max = i128::from(equity.0) * i128::from(settings.canary.loss_bps_max) / 10_000;
        let p99_us_max = match settings.canary.p99_us_max {
            0 => settings.model.budget_us,
            given => given,
        };
        Ok(Self {
            risk: LaneFollower::open(journal, RISK_LANE, RecordIndex(0))?,
            share: Share::new(booked, pooled),
            answers: None,
            loss_max: i64::try_from(loss_max).unwrap_or(i64::MAX),
            p99_ns_max: u64::from(p99_us_max) * 1_000,
            journal: journal.to_owned(),
            health,
        })
    }

    /// The trial of the model with this tag begins.
    ///
    /// # Errors
    /// When a lane cannot be followed.
    pub fn begin(&mut self, tag: u64) -> Result<()> {
        self.read_positions();
        self.share.begin(tag);
        let from = |lane| RecordIndex(self.health.appended(lane));
        let follow = |lane| LaneFollower::open(&self.journal, lane, from(lane));
        let (told, took) = (follow(ANSWERS_LANE)?, follow(STAMPS_LANE)?);
        self.answers = Some(Answers { told, took, times: Times::new(tag, TIMES) });
        Ok(())
    }

    /// It is over.
    pub fn end(&mut self) {
        self.share.trial = None;
        self.answers = None;
    }

    /// What the canary's trades are below their best, 1e-8; 0 without a trial.
    pub fn loss(&self) -> i64 {
        self.share.loss()
    }

    /// What its trades earned, 1e-8; 0 without a trial.
    pub fn profit(&self) -> i64 {
        self.share.profit()
    }

    /// Reads on; why the trial has to end, if it has to.
    pub fn look(&mut self) -> Option<Reason> {
        self.read_positions();
        let answers = self.answers.as_mut()?;
        answers.read(&self.share.pooled);
        if self.share.loss() >= self.loss_max {
            return Some(Reason::CanaryLoss);
        }
        let slow = answers.times.p99().is_some_and(|p99| p99 > self.p99_ns_max);
        slow.then_some(Reason::CanarySlow)
    }

    fn read_positions(&mut self) {
        let share = &mut self.share;
        read(&mut self.risk, |event| share.note(event));
    }
}

/// Hands on what was appended since the last call. What is damaged has its own alarm.
pub(in crate::runtime) fn read(lane: &mut LaneFollower, mut take: impl FnMut(&Event)) {
    for _ in 0..RECORDS_PER_LOOK {
        match lane.read() {
            Ok(Followed::Record(_, event)) => take(&event),
            Ok(Followed::Retired(..)) => {}
            Ok(Followed::Nothing) | Err(_) => return,
        }
    }
}

/// The part of the profit that is the canary's.
struct Share {
    /// Trials are on these instruments alone.
    pooled: Pooled,
    books: Books,
    trial: Option<Trial>,
}

struct Trial {
    tag: u64,
    banked: i64,
    best: i64,
    now: i64,
}

impl Share {
    fn new(booked: Vec<i64>, pooled: Pooled) -> Self {
        Self { pooled, books: Books::new(booked), trial: None }
    }

    fn begin(&mut self, tag: u64) {
        let open = self.books.open(tag);
        // What it holds already, from an earlier turn, is where it begins.
        self.trial = Some(Trial { tag, banked: -open, best: 0, now: 0 });
    }

    fn loss(&self) -> i64 {
        self.trial.as_ref().map_or(0, |trial| trial.best.saturating_sub(trial.now))
    }

    fn profit(&self) -> i64 {
        self.trial.as_ref().map_or(0, |trial| trial.now)
    }

    fn note(&mut self, event: &Event) {
        if !self.pooled.takes(event) {
            return;
        }
        let Some(moved) = self.books.note(event) else { return };
        let Some(trial) = &mut self.trial else { return };
        let open = self.books.open(trial.tag);
        if moved.owner == trial.tag {
            trial.banked = trial.banked.saturating_add(moved.change);
        }
        trial.now = trial.banked.saturating_add(open);
        trial.best = trial.best.max(trial.now);
    }
}

/// The lanes that tell how long the canary took.
struct Answers {
    told: LaneFollower,
    took: LaneFollower,
    times: Times,
}

impl Answers {
    fn read(&mut self, pooled: &Pooled) {
        let times = &mut self.times;
        read(&mut self.took, |event| times.note_passages(event));
        read(&mut self.told, |event| {
            if pooled.takes(event) {
                times.note_prediction(event);
            }
        });
        times.join();
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
