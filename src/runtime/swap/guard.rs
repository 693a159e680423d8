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

use crate::base::event::{Order, Position, Prediction, Stamps};
use crate::base::hop::Hop;
use crate::base::settings::Settings;
use crate::base::units::Money;
use crate::base::{Event, Kind, Purpose, Reason, Seq};
use crate::journal::{Followed, JournalHealth, LaneFollower, RecordIndex, STAMPS_LANE};
use anyhow::Result;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Lane of the predictions.
const ANSWERS_LANE: usize = 1;
/// Lane of orders and positions.
const RISK_LANE: usize = 2;
/// Records of a lane read at one look, so that a look ends.
const RECORDS_PER_LOOK: u32 = 65_536;
/// Predictions and passages remembered until the other one is read.
const WAITING_MAX: usize = 65_536;
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
    /// that each instrument's books began with, 1e-8.
    ///
    /// # Errors
    /// When the lane of positions cannot be followed.
    pub fn new(
        settings: &Settings,
        booked: Vec<i64>,
        journal: &Path,
        health: Arc<JournalHealth>,
    ) -> Result<Self> {
        let equity = settings.risk.starting_equity.unwrap_or(Money::ZERO);
        let share = i128::from(equity.0) * i128::from(settings.canary.loss_bps_max) / 10_000;
        let p99_us_max = match settings.canary.p99_us_max {
            0 => settings.model.budget_us,
            given => given,
        };
        Ok(Self {
            risk: LaneFollower::open(journal, RISK_LANE, RecordIndex(0))?,
            share: Share::new(booked),
            answers: None,
            loss_max: i64::try_from(share).unwrap_or(i64::MAX),
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
        self.answers = Some(Answers { told, took, times: Times::new(tag) });
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
        answers.read();
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
fn read(lane: &mut LaneFollower, mut take: impl FnMut(&Event)) {
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
    books: Vec<Book>,
    trial: Option<Trial>,
}

#[derive(Clone, Copy, Default)]
struct Book {
    /// Profit less fees, and funding, so far.
    net: i64,
    /// Model of the newest entry, and of the one that opened the position.
    wanted: u64,
    owner: u64,
    held: bool,
    unrealised: i64,
}

struct Trial {
    tag: u64,
    banked: i64,
    best: i64,
    now: i64,
}

impl Share {
    fn new(booked: Vec<i64>) -> Self {
        let book = |net| Book { net, ..Book::default() };
        Self { books: booked.into_iter().map(book).collect(), trial: None }
    }

    fn begin(&mut self, tag: u64) {
        let open = self.open(tag);
        // What it holds already, from an earlier turn, is where it begins.
        self.trial = Some(Trial { tag, banked: -open, best: 0, now: 0 });
    }

    fn open(&self, tag: u64) -> i64 {
        let own = self.books.iter().filter(|book| book.held && book.owner == tag);
        own.fold(0, |sum, book| sum.saturating_add(book.unrealised))
    }

    fn loss(&self) -> i64 {
        self.trial.as_ref().map_or(0, |trial| trial.best.saturating_sub(trial.now))
    }

    fn profit(&self) -> i64 {
        self.trial.as_ref().map_or(0, |trial| trial.now)
    }

    fn note(&mut self, event: &Event) {
        let Some(book) = self.books.get_mut(event.instrument().index()) else { return };
        match event.kind() {
            Some(Kind::OrderApproved) => {
                let order: &Order = event.body();
                if Purpose::from_u8(order.purpose).is_some_and(Purpose::is_entry) {
                    book.wanted = order.model_tag;
                }
            }
            Some(Kind::Position) => {
                let body: &Position = event.body();
                let held = body.qty != 0;
                if held && !book.held {
                    book.owner = book.wanted;
                }
                let net = body.realised.saturating_sub(body.fees).saturating_add(body.funding);
                let change = net.saturating_sub(std::mem::replace(&mut book.net, net));
                book.held = held;
                book.unrealised = if held { body.unrealised } else { 0 };
                let owner = book.owner;
                self.count(owner, change);
            }
            _ => {}
        }
    }

    fn count(&mut self, owner: u64, change: i64) {
        let Some(tag) = self.trial.as_ref().map(|trial| trial.tag) else { return };
        let open = self.open(tag);
        if let Some(trial) = &mut self.trial {
            if owner == tag {
                trial.banked = trial.banked.saturating_add(change);
            }
            trial.now = trial.banked.saturating_add(open);
            trial.best = trial.best.max(trial.now);
        }
    }
}

/// The lanes that tell how long the canary took.
struct Answers {
    told: LaneFollower,
    took: LaneFollower,
    times: Times,
}

impl Answers {
    fn read(&mut self) {
        let times = &mut self.times;
        read(&mut self.took, |event| times.note_passages(event));
        read(&mut self.told, |event| times.note_prediction(event));
        times.join();
    }
}

/// Times to answer of one model.
struct Times {
    tag: u64,
    /// Inputs that it answered, in order.
    own: VecDeque<Seq>,
    /// Newest input that any model answered.
    newest: Seq,
    /// Passages whose prediction was not read yet.
    waiting: VecDeque<(Seq, u64)>,
    taken: VecDeque<u64>,
}

impl Times {
    fn new(tag: u64) -> Self {
        let (own, waiting, taken) = Default::default();
        Self { tag, own, newest: 0, waiting, taken }
    }

    fn note_prediction(&mut self, event: &Event) {
        if event.kind() != Some(Kind::Prediction) {
            return;
        }
        self.newest = event.seq;
        if event.body::<Prediction>().model_tag == self.tag {
            push(&mut self.own, event.seq, WAITING_MAX);
        }
    }

    fn note_passages(&mut self, event: &Event) {
        for passage in event.body::<Stamps>().read(event.seq) {
            if passage.hop == Hop::Inference {
                push(&mut self.waiting, (passage.seq, passage.ns), WAITING_MAX);
            }
        }
    }

    fn join(&mut self) {
        while let Some(&(seq, ns)) = self.waiting.front().filter(|(seq, _)| *seq <= self.newest) {
            self.waiting.pop_front();
            if self.own.binary_search(&seq).is_ok() {
                push(&mut self.taken, ns, *TIMES.end());
            }
        }
    }

    fn p99(&self) -> Option<u64> {
        if self.taken.len() < *TIMES.start() {
            return None;
        }
        let mut sorted: Vec<u64> = self.taken.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() * 99).div_ceil(100) - 1).copied()
    }
}

/// Adds at the end; the oldest goes where there are too many.
fn push<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
