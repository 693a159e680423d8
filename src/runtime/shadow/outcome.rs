//! What came of decisions, by the rule that the models were trained with: the mid of the book at
//! the decision against the mid at the first change of the book when the horizon is over.
//!
//! ```text
//!   mid₀ at t ───────── horizon ─────────► mid₁ at the first change of the book ≥ t + horizon
//!   move = mid₁ ÷ mid₀ − 1          down below −threshold, up above it, flat between
//! ```
//! Where the book is lost in between nothing is known, and nothing is told.

use crate::base::event::{Event, Kind, flags};
use crate::base::ids::InstrumentId;
use crate::base::time::Nanos;
use crate::book::{Book, BookUpdate};
use crate::promotion::record::Outcome;
use std::collections::VecDeque;

/// Levels a side of a book kept for mids.
const BOOK_LEVELS: usize = 8_192;
/// Decisions that wait at most; beyond it the oldest stays without outcome.
pub const WAITING_MAX: usize = 1 << 18;

/// How moves are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// How far ahead the mid is compared.
    pub horizon: Nanos,
    /// By instrument: moves up to this are flat, as a fraction.
    pub threshold: Vec<f64>,
    /// By instrument: what entering and leaving costs in fees, as a fraction.
    pub round_trip: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Came {
    Open { mid: f64 },
    Known(Outcome),
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    seq: u64,
    instrument: InstrumentId,
    at: Nanos,
    came: Came,
}

/// See the head of this file.
pub struct Outcomes {
    rule: Rule,
    books: Vec<Book>,
    waiting: VecDeque<Waiting>,
    lost: u64,
}

impl Outcomes {
    /// Nothing waits.
    pub fn new(rule: Rule) -> Self {
        let books = rule.threshold.iter().map(|_| Book::new(BOOK_LEVELS)).collect();
        Self { rule, books, waiting: VecDeque::new(), lost: 0 }
    }

    /// Decisions that stay without outcome so far.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The middle of an instrument's book, 1e-8; `None` where it has none.
    pub fn mid(&self, instrument: InstrumentId) -> Option<f64> {
        let book = self.books.get(instrument.index()).filter(|book| book.is_valid())?;
        Some((book.best_bid()?.px + book.best_ask()?.px) as f64 / 2.0)
    }

    /// Takes in a decision, in the order of time.
    pub fn decided(&mut self, seq: u64, instrument: InstrumentId, at: Nanos) {
        let came = self.mid(instrument).map_or(Came::Lost, |mid| Came::Open { mid });
        self.waiting.push_back(Waiting { seq, instrument, at, came });
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            self.lost += 1;
        }
    }

    /// Takes in an input of the market.
    pub fn on_event(&mut self, event: &Event) {
        let is_of_all = event.instrument() == InstrumentId::NONE;
        if event.kind() == Some(Kind::StreamStatus) && !event.has(flags::ON) && is_of_all {
            for i in 0..self.books.len() {
                self.apply(i, event);
            }
        } else if event.instrument().index() < self.books.len() {
            self.apply(event.instrument().index(), event);
        }
    }

    fn apply(&mut self, index: usize, event: &Event) {
        let Some(book) = self.books.get_mut(index) else { return };
        let was_valid = book.is_valid();
        let update = book.apply(event);
        let of_this = |waiting: &&mut Waiting| waiting.instrument.index() == index;
        match update {
            BookUpdate::Applied { .. } | BookUpdate::Synced => {
                let instrument = InstrumentId(u16::try_from(index).unwrap_or(u16::MAX));
                let Some(mid) = self.mid(instrument) else { return };
                let Rule { horizon, threshold, round_trip } = &self.rule;
                let (horizon, limit, costs) = (*horizon, threshold[index], round_trip[index]);
                let due = |waiting: &&mut Waiting| event.now() - waiting.at >= horizon;
                for waiting in self.waiting.iter_mut().take_while(due).filter(of_this) {
                    if let Came::Open { mid: before } = waiting.came {
                        let outcome = judged(mid / before - 1.0, limit, costs, event.now());
                        waiting.came = Came::Known(outcome);
                    }
                }
            }
            BookUpdate::Invalid(_) if was_valid => {
                for waiting in self.waiting.iter_mut().filter(of_this) {
                    if matches!(waiting.came, Came::Open { .. }) {
                        waiting.came = Came::Lost;
                    }
                }
            }
            _ => {}
        }
    }

    /// The next decision whose outcome is known, in the order of the decisions: when it was made,
    /// its number, instrument and outcome. Those whose outcome never comes are passed over.
    pub fn next_known(&mut self) -> Option<(Nanos, u64, InstrumentId, Outcome)> {
        loop {
            let first = *self.waiting.front()?;
            match first.came {
                Came::Open { .. } => return None,
                Came::Lost => self.lost += 1,
                Came::Known(_) => {}
            }
            self.waiting.pop_front();
            if let Came::Known(outcome) = first.came {
                return Some((first.at, first.seq, first.instrument, outcome));
            }
        }
    }
}

fn judged(moved: f64, threshold: f64, costs: f64, now: Nanos) -> Outcome {
    let class = match moved {
        _ if moved < -threshold => 0,
        _ if moved > threshold => 2,
        _ => 1,
    };
    Outcome { class, t1_ns: now.0, ret_net: moved - costs }
}
